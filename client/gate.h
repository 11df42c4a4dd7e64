/* gate: which call, or attempt, may go now, and which has to wait for what.
 *
 * A pure core: the client, the simulator and the tests tell it the time and what came back.
 *
 *     struct gate gate;
 *     gate_init(&gate, &(struct gate_settings){.in_flight_max = 2}, now_ns);
 *     gate_ask(&gate, now_ns, tokens)   {GATE_GO}, 1 in flight
 *     gate_ask(&gate, now_ns, tokens)   {GATE_GO}, 2 in flight
 *     gate_ask(&gate, now_ns, tokens)   {GATE_FULL}: until somebody leaves
 *     gate_told(&gate, &news, now_ns)             : what an attempt brought back
 *     gate_leave(&gate)                 1 in flight: the first of the queue asks again
 *
 * Who waits is the caller's, and so is the order: first come, first served, but that retries stand
 * before first attempts where settings.retries_first says so. Only the head of the queue asks. It
 * asks again at `until_ns` of a GATE_WAIT, and after every gate_told and gate_leave; then the next
 * one does, until one is told to wait.
 *
 * Five kinds of rule, each of which also keeps in_flight_max (0: no limit):
 *
 *     plain     nothing else
 *     paced     a token bucket each for requests and tokens per minute, full at the start, as the
 *               server's own; every attempt takes its cost out of both
 *     adaptive  concurrency that grows by `increase` for each round of answers and shrinks to
 *               `decrease` of itself when an attempt is throttled (AIMD; Chiu and Jain, "Analysis
 *               of the Increase and Decrease Algorithms", 1989), once for all attempts that were
 *               sent before the shrinking, as TCP does once a round trip (RFC 5681, 3.1)
 *     headers   paced by what x-ratelimit-limit, -remaining and -reset say: what remained when the
 *               server wrote it, less what was sent since, plus what came back at the rate
 *               (limit - remaining) / reset. Until the first answer, one attempt goes alone.
 *
 * and a pause: for pause_ns after a 429 nobody goes.
 *
 * With `holds_for_call` a place is for a whole call with the waits for its retries, as a semaphore
 * around the call holds it, and only the first attempt asks; else each attempt asks.
 */
#ifndef TOOMANY_CLIENT_GATE_H
#define TOOMANY_CLIENT_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum gate_kind { GATE_PLAIN, GATE_PACED, GATE_ADAPTIVE, GATE_HEADERS };

struct gate_settings {
    enum gate_kind kind;
    int in_flight_max; /* 0: no limit */
    bool holds_for_call;
    bool retries_first;
    int64_t requests_per_minute; /* paced; 0: not paced by it */
    int64_t tokens_per_minute;   /* paced; 0: not paced by it */
    int64_t spacing_ns;          /* at least this from one to the next; 0: none */
    int64_t pause_ns;            /* after a 429; 0: none */
    int in_flight_start;         /* adaptive; 1 and more */
    double increase;             /* adaptive; above 0 */
    double decrease;             /* adaptive; above 0, below 1 */
};

/* What an attempt that was let go keeps, and shows when it tells what came back. */
struct gate_ticket {
    int64_t sent_ns;
    int64_t requests; /* let go until then, itself counted */
    int64_t tokens;
};

/* One dimension of the x-ratelimit headers. */
struct gate_remaining {
    bool is_told;
    int64_t limit;
    int64_t remaining;
    int64_t reset_ns;
};

/* What an attempt brought back. */
struct gate_news {
    int status; /* 0: no whole answer came */
    struct gate_ticket ticket;
    struct gate_remaining requests;
    struct gate_remaining tokens;
};

enum gate_verdict {
    GATE_GO,   /* counted in flight; gate_leave is due */
    GATE_WAIT, /* ask again at until_ns */
    GATE_FULL, /* ask again when somebody has left, or was told news */
};

struct gate_answer {
    enum gate_verdict verdict;
    int64_t until_ns;          /* of GATE_WAIT; later than now */
    struct gate_ticket ticket; /* of GATE_GO */
};

/* A token bucket. `level` is what is used, in units of a nanosecond's share: times 60e9. */
__extension__ typedef unsigned __int128 gate_level;

struct gate_bucket {
    int64_t per_minute; /* 0: lets all through */
    gate_level level;
    int64_t updated_ns;
};

/* What the headers have told of one dimension. */
struct gate_known {
    bool is_told;
    int64_t limit;
    int64_t remaining;   /* at told_ns, as the server saw it */
    int64_t told_ns;     /* when the attempt was sent that brought this back */
    int64_t sent;        /* the ticket's count of that attempt */
    int64_t refill_used; /* refill_used units come back in refill_ns: the longest reset told */
    int64_t refill_ns;
};

struct gate {
    int in_flight_max; /* 0: no limit; of an adaptive gate what it is now */
    int in_flight;
    struct gate_settings settings;
    int64_t paused_until_ns;
    int64_t next_ns; /* by spacing_ns */
    struct gate_bucket requests;
    struct gate_bucket tokens;
    int64_t adapted_millionths; /* the adaptive limit */
    int64_t shrunk_ns;          /* when it last shrank; -1: never */
    int64_t sent_requests;      /* all that were let go */
    int64_t sent_tokens;
    bool heard; /* headers: an answer came */
    struct gate_known known_requests;
    struct gate_known known_tokens;
};

/* What is 0 in settings->kind adaptive (start, increase, decrease) is an error of the caller. */
void gate_init(struct gate *gate, const struct gate_settings *settings, int64_t now_ns);

/* True when the settings hold nobody back, so that nobody need ask. */
bool gate_is_open(const struct gate_settings *settings);

/* For an attempt that costs `tokens`. now_ns may not go back. */
struct gate_answer gate_ask(struct gate *gate, int64_t now_ns, int64_t tokens);

/* What an attempt brought back; every answer counts, served or not. */
void gate_told(struct gate *gate, const struct gate_news *news, int64_t now_ns);

/* For each GATE_GO once: when the attempt has ended, or with holds_for_call the call. */
void gate_leave(struct gate *gate);

/* gate_ask of a gate that only counts: for {.in_flight_max = n}, without gate_init. */
bool gate_enter(struct gate *gate);

#endif
