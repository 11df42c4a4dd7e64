/* toomany client: OpenAI chat completions in C that live with rate limits.
 *
 *     char error[256];
 *     struct toomany_client *client = toomany_client_new(NULL, error, sizeof error);
 *     struct toomany_reply reply;
 *     if (toomany_chat(client, "gpt-4o-mini", "Hello", &reply))
 *         puts(reply.content);
 *     else
 *         toomany_reply_print_error(&reply, stderr);
 *     toomany_reply_free(&reply);
 *     toomany_client_free(client);
 *
 * A client may be used by one thread at a time; each thread may have its own.
 * Link with `pkg-config --cflags --libs toomany-client`.
 */
#ifndef TOOMANY_CLIENT_H
#define TOOMANY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOOMANY_API __attribute__((visibility("default")))

struct toomany_client;

enum toomany_policy {
    TOOMANY_POLICY_DEFAULT = 0, /* exponential */
    TOOMANY_POLICY_NONE,        /* one attempt, no retries */
    TOOMANY_POLICY_FIXED,       /* waits base_ms before each retry */
    TOOMANY_POLICY_EXPONENTIAL, /* waits base_ms, then factor times as long each time */
};

enum toomany_jitter {
    TOOMANY_JITTER_DEFAULT = 0, /* full; none for a fixed policy */
    TOOMANY_JITTER_NONE,  /* the delay as it is: programs that fail together return together */
    TOOMANY_JITTER_FULL,  /* between 0 and the delay */
    TOOMANY_JITTER_EQUAL, /* between half the delay and the delay */
    TOOMANY_JITTER_DECORRELATED, /* base_ms to 3 times the delay before; exponential only */
};

/* What is about to happen: an attempt failed, the next one comes after wait_ms. */
struct toomany_wait {
    int attempt;            /* the one that failed, from 1 */
    int status;             /* its HTTP status; 0: no whole answer came */
    const char *error_code; /* such as "rate_limit_exceeded"; NULL: none was said */
    int64_t wait_ms;        /* until the next attempt */
};

/* Everything that is 0 or NULL means the default. */
struct toomany_client_options {
    const char *api_key;        /* default: environment variable OPENAI_API_KEY */
    const char *base_url;       /* default: OPENAI_BASE_URL, else https://api.openai.com/v1 */
    enum toomany_policy policy; /* default: exponential */
    enum toomany_jitter jitter; /* default: full; none for a fixed policy */
    int max_attempts;           /* attempts of a call, the first one counted; default 3 */
    int64_t base_ms;            /* first delay; default 1000 */
    double factor;              /* growth of the delay, 1 to 100; default 2 */
    int64_t cap_ms;             /* longest delay of the policy; default 60000 */
    bool ignore_retry_after;    /* default: the server's Retry-After takes the place of the delay */
    int64_t retry_after_cap_ms; /* gives up when asked to wait longer; default 120000 */
    int64_t total_ms;  /* no retry later than this after the start; default: no such limit */
    int max_in_flight; /* calls at a time in toomany_chat_all; default: all */
    int64_t attempt_timeout_ms; /* for one attempt's whole answer; default 600000 */
    uint64_t seed; /* of the jitter, to repeat a run; default: a different one each time */
    void (*on_wait)(void *owner, const struct toomany_wait *wait); /* default: nobody is told */
    void *on_wait_owner;
};

/* How a call ended. Filled by toomany_chat, freed by toomany_reply_free. */
struct toomany_reply {
    bool succeeded;
    char *content;    /* the answer; NULL if it did not succeed */
    int status;       /* HTTP status of the last attempt; 0: no whole answer came */
    char *error_type; /* the last error, whole, as the server said it; NULL: not said */
    char *error_code;
    char *error_message; /* the server's, or why no whole answer came */
    char *request_id;    /* to be quoted to OpenAI's support */
    char *body;          /* of the last answer, as it came; NULL: no whole answer came */
    int attempts;        /* that were made; 0: the call could not even be begun */
};

/* `options` may be NULL. The caller frees the result with toomany_client_free. NULL on failure,
 * with the reason in `error` (error_size bytes, cut if longer; may be NULL). */
TOOMANY_API struct toomany_client *toomany_client_new(const struct toomany_client_options *options,
                                                      char *error, size_t error_size);

/* Asks `model` and waits for the answer, retries and all. Returns reply->succeeded. */
TOOMANY_API bool toomany_chat(struct toomany_client *client, const char *model, const char *message,
                              struct toomany_reply *reply);

/* Makes `count` calls, at most max_in_flight of them at a time, in the order of `messages`, and
 * waits for all. replies[i] belongs to messages[i]. True when all succeeded. */
TOOMANY_API bool toomany_chat_all(struct toomany_client *client, const char *model,
                                  const char *const messages[], size_t count,
                                  struct toomany_reply replies[]);

/* Writes the error of a failed call on one line, as the official Python SDK words it:
 * RateLimitError: Error code: 429 - {"error":{...}} */
TOOMANY_API void toomany_reply_print_error(const struct toomany_reply *reply, FILE *stream);

/* Frees what the reply points to, not the reply. */
TOOMANY_API void toomany_reply_free(struct toomany_reply *reply);

/* NULL is allowed. */
TOOMANY_API void toomany_client_free(struct toomany_client *client);

#ifdef __cplusplus
}
#endif

#endif
