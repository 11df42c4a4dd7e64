/* client: chat completions on a loop, by a strategy: retried by its policy and its outer loop, let
 * through by its gate.
 *
 *     struct client_options options = {
 *         .base_url = "http://127.0.0.1:8429/v1",
 *         .api_key = key,
 *         .strategy = {.policy = retry_policy_default(),
 *                      .gate = {.in_flight_max = 2, .holds_for_call = true}},
 *     };
 *     struct client *client = client_new(&loop, &options, &error);
 *     struct client_request request = {.model = "gpt-4o-mini", .message = "Hello"};
 *     client_call(client, &request, on_done, owner, &error);
 *     while (client_calls_open(client) > 0)
 *         loop_turn(&loop, -1);
 *     client_free(client);
 *
 * With holds_for_call a call keeps its place in the gate while it waits for a retry, as a program
 * that holds a semaphore around the call does; else each attempt passes the gate for itself. Who
 * has to wait at the gate is served first come, first served (client/gate.h).
 *
 * All attempts of a call carry the same Idempotency-Key, drawn from key_seed, so that a server can
 * tell which requests are one call.
 *
 * One attempt is one request on the wire. libcurl's own silent repetition on a connection that
 * the server had closed is refused: it counts as a failed attempt, and the policy decides.
 *
 * The clock is held (clock/loop.h) from handing a request to libcurl until the attempt has ended.
 * Bounds: an answer has at most CLIENT_BODY_BYTES_MAX, an attempt takes at most
 * attempt_timeout_ns on the run's clock.
 */
#ifndef TOOMANY_CLIENT_CLIENT_H
#define TOOMANY_CLIENT_CLIENT_H

#include "base/error.h"
#include "client/strategy.h"
#include "clock/loop.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_BODY_BYTES_MAX = 16 * 1024 * 1024, /* far more than a completion has */
    CLIENT_CONNECT_TIMEOUT_MS = 30000,        /* real time, libcurl's */
    CLIENT_HOST_SIZE = 256,                   /* of a name, with the closing NUL */
};

#define CLIENT_BASE_URL_DEFAULT "https://api.openai.com/v1"

/* An attempt failed and will be retried after wait_ns. Valid during the call only. */
struct client_wait {
    uint64_t call;               /* number of the call, from 1 in the order of client_call */
    int attempt;                 /* that failed, from 1 */
    int status;                  /* 0: no whole answer */
    const char *error_code;      /* or NULL */
    const char *transport_error; /* or NULL */
    int64_t wait_ns;
    const char *reason;
};

/* What happens to a call on its way, for those who measure. */
enum client_event_kind {
    CLIENT_CALL_WAITS,   /* at the gate, or for its retry */
    CLIENT_ATTEMPT_SENT, /* handed to libcurl; it waits no more */
    CLIENT_ATTEMPT_ENDED,
};

/* Valid during on_event only. */
struct client_event {
    enum client_event_kind kind;
    int64_t at_ns;
    uint64_t call; /* its number, from 1 */
    void *owner;   /* as given to client_call */
    int attempt;   /* of the call, from 1: the one that is waited for, sent, or has ended */
    /* Of an attempt that has ended. */
    int status;             /* 0: no whole answer came */
    int64_t retry_after_ns; /* -1: not asked for */
};

struct client_options {
    const char *base_url; /* with the /v1; NULL: CLIENT_BASE_URL_DEFAULT */
    const char *api_key;
    struct strategy strategy;   /* policy, outer and gate of it; it knows the quota already */
    int64_t attempt_timeout_ns; /* 0: 600 s, as the official SDKs */
    uint64_t seed;              /* of the jitter; each call has a stream of its own */
    struct random *jitter;      /* one stream for all calls in its place; NULL: none. Not owned */
    uint64_t key_seed;      /* of the idempotency keys; clients that share it send the same keys */
    const char *user_agent; /* NULL: "toomany/VERSION" */
    int connections_kept;   /* idle ones, at most; 0: as libcurl thinks fit */
    void (*on_wait)(void *owner, const struct client_wait *wait); /* or NULL */
    void *on_wait_owner;
    void (*on_event)(void *owner, const struct client_event *event); /* or NULL */
    void *on_event_owner;
};

struct client_request {
    const char *model;
    const char *message;            /* of role "user" */
    int64_t tokens;                 /* its cost, for a gate that paces by tokens; 0: not known */
    const char *marker_header_name; /* tells the call to the journal; NULL: none */
    const char *marker_header_value;
};

/* How a call ended. All texts belong to the client and are valid during on_done only; NULL is
 * what was not said. */
struct client_outcome {
    uint64_t call; /* its number, from 1 */
    bool succeeded;
    int status;             /* of the last attempt; 0: no whole answer came */
    const char *content;    /* when it succeeded, never NULL then */
    const char *error_type; /* the last error, whole, as the body's "error" says it */
    const char *error_code;
    const char *error_param;
    const char *error_message;
    const char *request_id; /* x-request-id */
    const char *body;       /* as it came, with a closing NUL; NULL without a whole answer */
    size_t body_bytes;
    const char *transport_error; /* why no whole answer came */
    const char *reason;          /* why it was not retried (again); NULL when it succeeded */
    int attempts;
    int64_t wait_ns; /* all waits between the attempts */
};

/* `options` is copied. NULL with the error filled (place "base_url" or "api_key" where one of
 * these is wrong). */
struct client *client_new(struct loop *loop, const struct client_options *options,
                          struct error *error);

/* Starts a call, or queues it behind the gate; `request` is copied. on_done is called once, never
 * from within this function; it may make calls and cancel, and must not free the client. False
 * with the error filled when the call cannot be made at all. */
bool client_call(struct client *client, const struct client_request *request,
                 void (*on_done)(void *owner, const struct client_outcome *outcome), void *owner,
                 struct error *error);

/* The host that a base_url names, and whether it is this machine. False with the error filled
 * (place "base_url") when it is none. */
bool client_host_of(const char *base_url, char host[CLIENT_HOST_SIZE], bool *is_loopback,
                    struct error *error);

/* Calls that were made and have not ended. */
size_t client_calls_open(const struct client *client);

/* Ends all open calls, without their on_done. Attempts under way are cut off. */
void client_cancel_all(struct client *client);

/* Cancels what is open. The loop must still be there. NULL is allowed. */
void client_free(struct client *client);

#endif
