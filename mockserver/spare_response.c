#include "mockserver/spare_response.h"

#include <stdlib.h>
#include <string.h>

enum { LISTS = 64 };

struct spare_responses {
    struct spare_response *lists[LISTS]; /* by the lengths of body and tail */
    size_t count;
    size_t dropped_last; /* the list that had to give one up for others */
};

struct spare_responses *spare_responses_new(void)
{
    return calloc(1, sizeof(struct spare_responses));
}

static void destroy(struct spare_response *spare)
{
    if (spare->response != NULL)
        MHD_destroy_response(spare->response);
    free(spare->body);
    free(spare);
}

static struct spare_response **list_of(struct spare_responses *spares, size_t body_length,
                                       size_t tail_length)
{
    return &spares->lists[(body_length + 7 * tail_length) % LISTS];
}

static void drop_first(struct spare_responses *spares, struct spare_response **list)
{
    struct spare_response *spare = *list;
    *list = spare->next;
    spares->count--;
    destroy(spare);
}

void spare_responses_free(struct spare_responses *spares)
{
    if (spares == NULL)
        return;
    for (size_t i = 0; i < LISTS; i++) {
        while (spares->lists[i] != NULL)
            drop_first(spares, &spares->lists[i]);
    }
    free(spares);
}

/* Headers by which libmicrohttpd frames the answer: it has to know of them. */
static bool has_framing(const struct answer *answer)
{
    return answer_find_header(answer, "connection") != NULL ||
           answer_find_header(answer, "content-length") != NULL ||
           answer_find_header(answer, "transfer-encoding") != NULL;
}

/* libmicrohttpd copies a value into memory of its own and lends it to be read. Nothing reads it
 * while the response is not queued. NULL when memory is out. */
static char *add_value(struct MHD_Response *response, const char *name, size_t length)
{
    char *placeholder = malloc(length + 1);
    if (placeholder == NULL)
        return NULL;
    memset(placeholder, '-', length);
    placeholder[length] = '\0';
    enum MHD_Result is_added = MHD_add_response_header(response, name, placeholder);
    free(placeholder);
    union {
        const char *lent;
        char *held;
    } value = {.lent = is_added == MHD_YES ? MHD_get_response_header(response, name) : NULL};
    return value.held;
}

static bool add_headers(struct spare_response *spare, const struct answer *answer)
{
    const char *name = answer_name(answer, 0);
    if (spare->is_kept && spare->tail_length > 0) {
        memcpy(spare->first_name, name, answer->places[0].name_length);
        spare->tail = add_value(spare->response, name, spare->tail_length);
        return spare->tail != NULL;
    }
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(spare->response, answer_name(answer, i), answer_value(answer, i));
    return true;
}

static struct spare_response *make(const struct answer *answer, size_t tail_length, bool is_kept)
{
    struct spare_response *spare = calloc(1, sizeof *spare);
    if (spare == NULL)
        return NULL;
    spare->is_kept = is_kept;
    spare->body_length = answer->body_length;
    spare->tail_length = tail_length;
    spare->body = malloc(answer->body_length + 1);
    if (spare->body != NULL)
        spare->response = MHD_create_response_from_buffer(answer->body_length, spare->body,
                                                          MHD_RESPMEM_PERSISTENT);
    if (spare->response == NULL || !add_headers(spare, answer)) {
        destroy(spare);
        return NULL;
    }
    return spare;
}

/* NULL: there is none of these lengths and this first name. */
static struct spare_response *find(struct spare_responses *spares, const struct answer *answer,
                                   size_t tail_length)
{
    const char *name = answer->header_count > 0 ? answer_name(answer, 0) : "";
    struct spare_response **place = list_of(spares, answer->body_length, tail_length);
    for (; *place != NULL; place = &(*place)->next) {
        struct spare_response *spare = *place;
        if (spare->body_length != answer->body_length || spare->tail_length != tail_length ||
            strcmp(spare->first_name, name) != 0)
            continue;
        *place = spare->next;
        spares->count--;
        return spare;
    }
    return NULL;
}

struct spare_response *spare_response_take(struct spare_responses *spares,
                                           const struct answer *answer)
{
    size_t tail_length = answer_tail_length(answer);
    bool is_kept = answer->body_length <= SPARE_RESPONSE_BODY_MAX && !has_framing(answer);
    struct spare_response *spare = is_kept ? find(spares, answer, tail_length) : NULL;
    if (spare == NULL)
        spare = make(answer, tail_length, is_kept);
    if (spare == NULL)
        return NULL;
    if (answer->body_length > 0)
        memcpy(spare->body, answer->body, answer->body_length);
    if (spare->tail != NULL)
        answer_write_tail(answer, spare->tail);
    return spare;
}

/* Some length may never come again: each list in turn gives one up. */
static void make_room(struct spare_responses *spares)
{
    while (spares->count >= SPARE_RESPONSES_MAX) {
        spares->dropped_last = (spares->dropped_last + 1) % LISTS;
        if (spares->lists[spares->dropped_last] != NULL)
            drop_first(spares, &spares->lists[spares->dropped_last]);
    }
}

void spare_response_give(struct spare_responses *spares, struct spare_response *spare)
{
    if (!spare->is_kept) {
        destroy(spare);
        return;
    }
    make_room(spares);
    struct spare_response **list = list_of(spares, spare->body_length, spare->tail_length);
    spare->next = *list;
    *list = spare;
    spares->count++;
}
