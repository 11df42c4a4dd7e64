/* endpoint: what the API has, one row of a table each: method, path, and the functions that read a
 * request and make its answer.
 *
 * To add one, write endpoint_NAME.c, declare its functions below and add its row in endpoint.c.
 * An endpoint with a `read` asks a model: script and quotas are asked between reading and
 * answering. One without is answered at once.
 *
 * Pure but for what an api stores (files, batches): the same call gives the same answer.
 */
#ifndef TOOMANY_MOCKSERVER_ENDPOINT_H
#define TOOMANY_MOCKSERVER_ENDPOINT_H

#include "mockserver/answer.h"
#include "mockserver/event_stream.h"
#include "mockserver/openai_error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct api;
struct api_request;

enum { ENDPOINT_ID_SIZE = 128 };

/* One request on its way through an endpoint. */
struct endpoint_call {
    struct api *api;
    const struct api_request *request;
    char id[ENDPOINT_ID_SIZE]; /* what stands for {id} in the path, or "" */
    int64_t now_ns;
    int64_t wall_ns;        /* the same as Unix time */
    int64_t created_s;      /* Unix time at which the answer is made */
    const char *deployment; /* of Azure's path, in place of the body's model; or "" */
    const char *owner;      /* whose quotas it takes */
    struct openai_names names;

    /* Filled by read. */
    cJSON *root; /* the body, or NULL where it could be read without; freed by
                  * endpoint_call_free */
    char model[96];
    int64_t tokens;      /* estimated from what the request says: what it is admitted with */
    int64_t short_texts; /* texts that are estimated at no token, though they are not empty */
    int64_t tokens_max;  /* what it allows the model to say, or -1 */
    int64_t images;      /* that it asks for */
    bool is_streamed;

    /* What a set-up or a script says in place of the endpoint's own words, or NULL. */
    const char *content;
    uint64_t bits; /* random, for ids */
    struct pace pace;

    /* The answer, whose status is 200 when it is to be made. */
    struct answer *answer;
    int64_t spoken_tokens; /* what the model said, for the settlement */
    int64_t work_ns;       /* how long the model speaks, where the answer is not streamed */
};

struct endpoint {
    const char *method;
    const char *path; /* "{id}" stands for one segment, at the end for all that follow */
    /* False when the request is wrong; the answer then holds the error. */
    bool (*read)(struct endpoint_call *call);
    void (*make)(struct endpoint_call *call);
};

/* The row for this request. NULL when there is none; *allowed is then the method that the path
 * takes, or NULL for an unknown path. Fills `id`. */
const struct endpoint *endpoint_find(const char *method, const char *path,
                                     char id[ENDPOINT_ID_SIZE], const char **allowed);

/* Whether a row without a model gives ids to what it makes. */
bool endpoint_makes_objects(const struct endpoint *endpoint);

/* The table; ends with a row whose method is NULL. */
const struct endpoint *endpoint_table(void);

void endpoint_call_free(struct endpoint_call *call);

/* ---- what their files share ---- */

/* Answers with an invalid_request_error. Returns false. */
bool endpoint_refuse(struct answer *answer, int status, const char *message, const char *code,
                     const char *param);

/* Reads the body's JSON object and its "model" (`model_otherwise` where there is none, NULL: it
 * must be said). */
bool endpoint_read_body(struct endpoint_call *call, const char *model_otherwise);

/* Reads the whole number in [low, high] that stands in `name`, if it does. */
bool endpoint_read_whole(struct endpoint_call *call, const char *name, int64_t low, int64_t high,
                         int64_t *value);

/* The tokens of the request as its usage tells them, and as the settlement takes them: the
 * estimate, and one token for each text that it counts as none. */
int64_t endpoint_prompt_tokens(const struct endpoint_call *call);

/* The estimate of a text of the request; counts it among the short ones if it is one. */
int64_t endpoint_text_tokens(struct endpoint_call *call, const char *text);

/* Whether the events of its stream are padded: they are where "stream_options" does not say no. */
bool endpoint_is_padded(const struct endpoint_call *call);

/* Reads the true or false that stands in `name`, if it does. */
bool endpoint_read_flag(struct endpoint_call *call, const char *name, bool *value);

/* Whether `item` (NULL: missing), which has to stand at `place`, is one of `words`
 * (NULL-terminated); else refuses it. */
bool endpoint_check_word(struct endpoint_call *call, const cJSON *item, const char *place,
                         const char *const words[]);

/* Refuses a member that is of another type than the `wanted` one ("an integer"). */
bool endpoint_refuse_type(struct endpoint_call *call, const char *name, const char *wanted,
                          const cJSON *item);

/* Refuses a member that is not there. */
bool endpoint_refuse_missing(struct endpoint_call *call, const char *name);

/* The body of the answer; deletes `root`. */
void endpoint_answer_json(struct endpoint_call *call, cJSON *root);

/* The id of an object: prefix and digits, `index` tells those of one answer apart. */
#define ENDPOINT_OBJECT_ID_SIZE 64
const char *endpoint_object_id(char id[ENDPOINT_OBJECT_ID_SIZE], const char *prefix, uint64_t bits,
                               unsigned int index);

/* The value of an argument of the query, or NULL. */
const char *endpoint_argument(const struct endpoint_call *call, const char *name);

/* One page of a list: so many, after the object of an id. */
struct endpoint_page {
    int64_t limit;
    const char *after; /* the id that has not been met yet, or NULL */
    int64_t taken;
    bool is_ascending;
    bool has_more;
};

/* Reads "limit", "after" and "order" of the query. */
bool endpoint_read_page(struct endpoint_call *call, struct endpoint_page *page);
/* Whether the next object of the list, whose id this is, stands on the page. */
bool endpoint_page_takes(struct endpoint_page *page, const char *id);
/* Answers with the page; deletes `data`. */
void endpoint_answer_page(struct endpoint_call *call, const struct endpoint_page *page,
                          cJSON *data);

/* Refuses what the store has no room for. */
void endpoint_refuse_full(struct endpoint_call *call);

/* {"object": "list", "data": [...], "first_id", "last_id", "has_more": false} around `data`. */
cJSON *endpoint_list(cJSON *data);

/* ---- the endpoints ---- */

bool endpoint_chat_read(struct endpoint_call *call);
void endpoint_chat_make(struct endpoint_call *call);
bool endpoint_responses_read(struct endpoint_call *call);
void endpoint_responses_make(struct endpoint_call *call);
bool endpoint_completions_read(struct endpoint_call *call);
void endpoint_completions_make(struct endpoint_call *call);
bool endpoint_embeddings_read(struct endpoint_call *call);
void endpoint_embeddings_make(struct endpoint_call *call);
bool endpoint_images_read(struct endpoint_call *call);
void endpoint_images_make(struct endpoint_call *call);
bool endpoint_moderations_read(struct endpoint_call *call);
void endpoint_moderations_make(struct endpoint_call *call);
bool endpoint_speech_read(struct endpoint_call *call);
void endpoint_speech_make(struct endpoint_call *call);
/* Not in the table; false: it asks no model. */
bool endpoint_other_read(struct endpoint_call *call);
void endpoint_other_make(struct endpoint_call *call);
void endpoint_models_list(struct endpoint_call *call);
void endpoint_models_get(struct endpoint_call *call);
void endpoint_fine_tuning_list(struct endpoint_call *call);
void endpoint_fine_tuning_get(struct endpoint_call *call);
void endpoint_fine_tuning_events(struct endpoint_call *call);
void endpoint_files_create(struct endpoint_call *call);
void endpoint_files_list(struct endpoint_call *call);
void endpoint_files_get(struct endpoint_call *call);
void endpoint_files_content(struct endpoint_call *call);
void endpoint_files_delete(struct endpoint_call *call);
void endpoint_batches_create(struct endpoint_call *call);
void endpoint_batches_list(struct endpoint_call *call);
void endpoint_batches_get(struct endpoint_call *call);
void endpoint_batches_cancel(struct endpoint_call *call);

#endif
