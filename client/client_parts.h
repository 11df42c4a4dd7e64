/* client_parts: what a client and a call know, for the files of the client: client.c (the public
 * functions), call.c (a call's course: gate, attempts, waits), transfer.c (an attempt's request and
 * answer in libcurl).
 */
#ifndef TOOMANY_CLIENT_CLIENT_PARTS_H
#define TOOMANY_CLIENT_CLIENT_PARTS_H

#include "client/client.h"
#include "client/curl_loop.h"

enum {
    HEADER_VALUE_SIZE = 128, /* a longer Retry-After or x-request-id says nothing that we read */
    IDEMPOTENCY_HEADER_SIZE = 64,
};

enum call_phase {
    CALL_QUEUED,  /* at the gate */
    CALL_SENDING, /* an attempt is with libcurl, the clock is held */
    CALL_WAITING, /* for its next attempt */
};

/* What the x-ratelimit headers of one dimension say. */
struct remaining_headers {
    char limit[HEADER_VALUE_SIZE];
    char remaining[HEADER_VALUE_SIZE];
    char reset[HEADER_VALUE_SIZE];
};

/* The headers of an answer that matter for retrying and for the gate. */
struct answer_headers {
    char retry_after_ms[HEADER_VALUE_SIZE]; /* "" where it had none */
    char retry_after[HEADER_VALUE_SIZE];
    char should_retry[HEADER_VALUE_SIZE];
    char request_id[HEADER_VALUE_SIZE];
    struct remaining_headers requests; /* read for gates that want them */
    struct remaining_headers tokens;
};

struct client_call {
    struct client *client;
    struct client_call *previous; /* of all open calls, in the order in which they were made */
    struct client_call *next;
    struct client_call *next_in_line; /* at the gate */
    uint64_t number;
    enum call_phase phase;
    void (*on_done)(void *owner, const struct client_outcome *outcome);
    void *owner;

    char *request_body;
    char *marker_header;                              /* "Name: value", or NULL */
    char idempotency_header[IDEMPOTENCY_HEADER_SIZE]; /* the same in all attempts */

    struct strategy_state state;
    struct random random;
    int64_t tokens;
    int64_t wait_total_ns;
    bool is_inside; /* holds a place in the gate */
    struct gate_ticket ticket;
    struct deadline next_attempt;
    struct deadline attempt_timeout;

    /* Of the attempt under way. */
    CURL *easy;
    struct curl_slist *request_headers;
    int requests_sent;
    bool headers_ended;
    bool body_too_large;
    struct answer_headers headers;
    char *body;
    size_t body_bytes;
    size_t body_capacity;
    char curl_error[CURL_ERROR_SIZE];
};

/* libcurl's handles are made once and used again; the connections belong to the multi handle. */
struct idle_handle {
    struct idle_handle *next;
    CURL *easy;
};

/* First come, first served. */
struct line {
    struct client_call *first;
    struct client_call *last;
};

struct client {
    struct loop *loop;
    struct client_options options;
    char *url;
    char *authorization; /* header line with the key: never to be shown */
    char *user_agent;
    bool is_loopback;
    struct curl_loop curl;
    struct idle_handle *idle;
    struct gate gate;
    bool has_gate;
    struct deadline gate_due; /* when the head of the line may ask again */
    struct line line;         /* at the gate */
    struct line retries;      /* before it, where the gate lets retries go first */
    struct client_call *first;
    struct client_call *last;
    size_t open_count;
    uint64_t calls_made;
    struct random keys; /* a stream of its own: keys and jitter do not shift each other */
};

/* ---- call.c ---- */

/* Enters the open calls and goes to the gate or, where there is none, makes its first attempt when
 * the loop turns. */
void call_begin(struct client_call *call);
/* The attempt under way is over. `transport_error`: NULL when there is a whole answer. */
void call_end_attempt(struct client_call *call, const char *transport_error);
/* Ends it, whatever it waits for, without telling anybody. */
void call_cancel(struct client_call *call);
void call_free(struct client_call *call);
/* The gate may let the head of the line go: of a deadline, whose owner is the client. */
void call_gate_due(void *owner, int64_t now_ns);

/* ---- transfer.c ---- */

/* Gets the request ready for libcurl. False: out of memory. */
bool transfer_prepare(struct client_call *call);
/* Takes the transfer from libcurl, if there is one. One that is not complete is cut off. */
void transfer_put_down(struct client_call *call);
/* Of struct curl_loop. */
void transfer_ended(void *owner, CURL *easy, CURLcode result);
void transfer_free_idle(struct client *client);

#endif
