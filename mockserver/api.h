/* api: what requests share of all that decides what each is answered (decision.h): set-up, quotas,
 * script, random numbers. What OpenAI does, without the sockets.
 */
#ifndef TOOMANY_MOCKSERVER_API_H
#define TOOMANY_MOCKSERVER_API_H

#include "base/cache_line.h"
#include "base/random.h"
#include "mockserver/answer.h"
#include "mockserver/config.h"
#include "mockserver/journal.h"
#include "mockserver/pools.h"

/* Streams of the seed, so that what is drawn for one does not shift the other. The simulation of
 * the lab draws its service times from the same ones. */
enum api_stream {
    API_STREAM_SHARES = 1, /* which requests a step of the script plays for */
    API_STREAM_IDS = 2,    /* of requests and completions */
    API_STREAM_LATENCY = 3,
    API_STREAM_REFUSAL = 4, /* latencies of refusals */
};

struct store;

struct api {
    int64_t request_count; /* requests to the API so far */
    struct random id_random;
    struct random share_random; /* the streams of enum api_stream, as the one above */
    struct random latency_random;
    struct random refusal_random;

    char apart[CACHE_LINE];      /* threads change what is above while others read what is below */
    const struct config *config; /* not owned */
    struct pools *pools;
    struct store *store;     /* files and batches */
    const struct tier *tier; /* in force now, or NULL */
    struct script_state *script_states;
    bool *change_made;
    uint64_t seed;
    int64_t start_ns; /* when it was made or reset: timed changes count from then */
    bool forwards;    /* the model's answers are given by somebody else */
};

enum api_value { API_HEADER, API_ARGUMENT };

struct api_request {
    const char *method;
    const char *path;
    /* Headers, or NULL. */
    const char *authorization;
    const char *organization; /* OpenAI-Organization */
    const char *project;      /* OpenAI-Project */
    const char *origin;       /* of the page that sends it */
    const char *body;
    size_t body_length;
    /* The value of another header, or of an argument of the query, or NULL. NULL: there are none.
     */
    const char *(*find)(const void *owner, enum api_value kind, const char *name);
    const void *owner;
};

const char *api_request_header(const struct api_request *request, const char *name);
const char *api_request_argument(const struct api_request *request, const char *name);

struct api_outcome {
    bool is_forwarded;  /* somebody else is asked for it; of `answer` only the headers count */
    int64_t latency_ns; /* to wait before the answer goes out */
    int64_t refuse_ns;  /* from now on no connection is to be taken for so long; 0 all are */
    struct pool *pool;  /* whose place is to be given back by api_finish; NULL none */
    int64_t admitted_ns;
    int64_t charged_tokens;
    int64_t used_tokens;  /* what it really used, for api_settle; -1 not known */
    bool is_to_end;       /* api_settle or api_finish would change what is admitted */
    struct answer answer; /* the last, see api_outcome_init() */
};

/* No answer yet. Not all of it is zeroed: see answer_init(). */
void api_outcome_init(struct api_outcome *outcome);

/* False when memory is out. `config` must outlive the api. */
bool api_init(struct api *api, const struct config *config, uint64_t seed, int64_t now_ns);
void api_free(struct api *api);

/* From the seed. */
struct api_request_id {
    uint64_t first;
    uint64_t second;
};

struct api_request_id api_draw_request_id(struct api *api);

/* Adds the headers that every answer has, as far as they are not there, with the id in the
 * journal's entry. */
void api_add_headers(const struct api *api, struct answer *answer, int64_t wall_ns,
                     const struct api_request_id *id, struct journal_entry *entry);

/* And those of OpenAI alone: `organization` is whose the request was, NULL where it was wrong. */
void api_add_model_headers(const struct api *api, struct answer *answer, const char *organization,
                           int64_t processing_ns);

/* The answer has ended: charges the tokens that were really used, if the rules say so. Before
 * api_finish. */
void api_settle(const struct api *api, struct api_outcome *outcome, int64_t now_ns);

/* The answer has ended: gives the place among concurrent requests back. */
void api_finish(struct api_outcome *outcome);

/* Sets new quotas now, in the place of those of the same names. False when memory is out. */
bool api_change_quotas(struct api *api, const struct config_quotas *quotas, int64_t now_ns);

/* Another usage tier, now; what is used stays used. False when memory is out. */
bool api_change_tier(struct api *api, const struct tier *tier, int64_t now_ns);

/* Another set-up, which must outlive the api; the one before may go then. What is used of pools
 * stays used where they keep their limits' kind; script and changes start anew, random numbers go
 * on. False when memory is out: then limits may be changed in part, and the set-up is the new one
 * or the old. */
bool api_change_config(struct api *api, const struct config *config, int64_t now_ns);

/* Makes the changes whose time has come. Returns the time of the next one, or -1. */
int64_t api_make_timed_changes(struct api *api, int64_t now_ns);
/* Makes those that were due after so many requests as have come by now. */
void api_make_counted_changes(struct api *api, int64_t now_ns);

/* Back to the start: script, random numbers, quotas and changes as configured, counters; what is in
 * flight stays counted. */
bool api_reset(struct api *api, int64_t now_ns);

/* Whether a model of this id is there. */
bool api_serves_model(const struct api *api, const char *id);

/* What the set-up says of this model, or NULL. */
const struct config_model *api_find_model(const struct api *api, const char *id);

/* What the set-up lets this model say, or NULL. */
const char *api_content_of(const struct api *api, const char *model);

enum { API_BASIC_KEY_SIZE = 512 };

/* The key of an Authorization header; "" when there is none. That of basic authentication, the
 * password of an empty name, is written to `basic`; NULL: it is not read. */
const char *api_key_of(const char *authorization, char basic[API_BASIC_KEY_SIZE]);

#endif
