/* script: what the server answers, step by step, before any quota is asked.
 *
 * For each request the first step that is not used up and that matches is played. A step without
 * `when` matches every request. `times` says how often it is played (1 by default; SCRIPT_FOREVER),
 * `lasts_ns` for how long after its first play. When no step is left, quotas decide.
 *
 *     [{"answer": {"error": "rate_limit_exceeded"}, "times": 2}, {"answer": "ok"}]
 *
 * answers 429, 429, 200, and from then on as the quotas say.
 *
 * Where no model is asked (files, batches, lists of models) only steps play whose `when` names the
 * path. A path that ends with "*" stands for all that begin so.
 *
 * script_next is pure but for the random numbers that `share` draws from the run's seed.
 */
#ifndef TOOMANY_MOCKSERVER_SCRIPT_H
#define TOOMANY_MOCKSERVER_SCRIPT_H

#include "base/random.h"
#include "mockserver/answer.h"
#include "mockserver/fault.h"
#include "mockserver/openai_error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SCRIPT_STEPS_MAX = 1000,
    SCRIPT_PIECES_MAX = 100000, /* of a body */
    SCRIPT_FOREVER = -1,
    SCRIPT_STATUS_MAX = 599,
    SCRIPT_HEADERS_MAX = 12, /* beside the server's own, within ANSWER_HEADERS_MAX */
};

/* How a wait is said: retry-after in seconds, retry-after-ms, or retry-after as an HTTP date in one
 * of its three formats, which every recipient must read (RFC 9110, 5.6.7). */
enum retry_after_form {
    RETRY_AFTER_SECONDS,
    RETRY_AFTER_MILLISECONDS,
    RETRY_AFTER_DATE,
    RETRY_AFTER_DATE_RFC850,
    RETRY_AFTER_DATE_ASCTIME,
};

struct script_header {
    char name[ANSWER_HEADER_NAME_SIZE];
    char value[ANSWER_HEADER_VALUE_SIZE];
};

struct script_step {
    /* When it matches; NULL and 0: always. */
    const char *method; /* one of script_methods */
    char *model;
    char *path;
    char *key_tail;
    double share;     /* of the requests that reach it; 1 all */
    int64_t request;  /* only the request with this number, from 1; 0 any */
    int64_t every;    /* of those that match, each that has a multiple of this number; 1 all */
    int64_t after_ns; /* not before this long after the server's start */
    int64_t until_ns; /* and not from then on; 0 no end */

    int64_t times;      /* SCRIPT_FOREVER or 1 and more */
    int64_t lasts_ns;   /* since its first play; 0 no end */
    int64_t latency_ns; /* before the answer; -1 that of the model */

    struct fault fault; /* what becomes of the model's answer; its kind is NULL where it is none */

    bool serves;   /* "ok": not answered here but by quota and model */
    char *content; /* with serves: what the model says; NULL as ever */

    int status;
    char *error_kind; /* row of openai_error, or NULL */
    char *message;    /* instead of the kind's */
    char *type;
    char *code;
    char *param;
    bool has_type, has_code, has_param; /* given, perhaps as null */
    char *body;                         /* verbatim, instead of an error body */
    struct answer_piece *pieces;        /* of the body, where it comes a piece at a time */
    size_t piece_count;
    int64_t retry_after_ns; /* -1 none */
    enum retry_after_form retry_after_form;
    struct script_header headers[SCRIPT_HEADERS_MAX];
    size_t header_count;
};

struct script_state {
    int64_t matched; /* requests, with those that `every` left out */
    int64_t played;
    int64_t first_played_ns; /* -1 not yet */
};

struct script {
    struct script_step *steps;
    size_t step_count;
};

struct script_request {
    const char *method;
    const char *model; /* "" where the path has none */
    const char *path;
    const char *route; /* what OpenAI calls an Azure path; or the same */
    bool asks_model;
    const char *key_tail;
    int64_t number; /* of the server, from 1 */
    int64_t age_ns; /* since the server's start */
    bool is_streamed;
};

/* The methods that a step may ask for, with a NULL at the end. */
extern const char *const script_methods[];

/* The index of the step to play, or -1. Updates `states` (one a step). */
int script_next(const struct script *script, struct script_state *states,
                const struct script_request *request, int64_t now_ns, struct random *random);

/* Whether a step has been played as often as it asks for: `times`, or once when it is for ever or
 * lasts for a period. */
bool script_step_is_played(const struct script_step *step, const struct script_state *state);

/* The status of a step that does not serve and is no fault. */
int script_status(const struct script_step *step);

/* The answer of a step that does not serve; wall_ns is the Unix time of the answer. */
void script_answer(const struct script_step *step, const struct openai_names *names,
                   int64_t wall_ns, struct answer *answer);

void script_free(struct script *script);

#endif
