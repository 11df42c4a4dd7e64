#include "mockserver/spare_response.h"

#include <stdlib.h>
#include <string.h>

enum { LISTS = 64 };

struct spare_responses {
    struct spare_response *lists[LISTS]; /* by the length of the body */
    size_t count;
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

void spare_responses_free(struct spare_responses *spares)
{
    if (spares == NULL)
        return;
    for (size_t i = 0; i < LISTS; i++) {
        while (spares->lists[i] != NULL) {
            struct spare_response *spare = spares->lists[i];
            spares->lists[i] = spare->next;
            destroy(spare);
        }
    }
    free(spares);
}

static bool has_names_of(const struct spare_response *spare, const struct answer *answer)
{
    size_t count = answer->header_count;
    if (spare->header_count != count ||
        memcmp(spare->name_lengths, answer->name_lengths, count) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (memcmp(spare->headers[i].name, answer->headers[i].name, answer->name_lengths[i]) != 0)
            return false;
    }
    return true;
}

/* libmicrohttpd copies a value into memory of its own and lends it to be read. Nothing reads it
 * while the response is not queued. */
static char *held_value(const struct spare_response *spare, size_t i)
{
    union {
        const char *lent;
        char *held;
    } value = {.lent = MHD_get_response_header(spare->response, spare->headers[i].name)};
    return value.held;
}

static void set_header(struct spare_response *spare, size_t i, const struct answer *answer)
{
    struct spare_header *header = &spare->headers[i];
    const char *value = answer->headers[i].value;
    if (MHD_add_response_header(spare->response, header->name, value) != MHD_YES) {
        spare->is_kept = false; /* a script's, with odd bytes in it; it is left out */
        return;
    }
    header->held = held_value(spare, i);
    spare->value_lengths[i] = answer->value_lengths[i];
    /* The first of several of one name is all that it lends. */
    for (size_t other = 0; other < spare->header_count; other++) {
        if (other != i && spare->headers[other].held == header->held)
            spare->is_kept = false;
    }
}

static void renew(struct spare_response *spare, const struct answer *answer)
{
    memcpy(spare->body, answer->body, answer->body_length);
    for (size_t i = 0; i < spare->header_count; i++) {
        struct spare_header *header = &spare->headers[i];
        if (answer->value_lengths[i] == spare->value_lengths[i]) {
            memcpy(header->held, answer->headers[i].value, answer->value_lengths[i]);
            continue;
        }
        char old[ANSWER_HEADER_VALUE_SIZE];
        memcpy(old, header->held, spare->value_lengths[i]);
        old[spare->value_lengths[i]] = '\0';
        MHD_del_response_header(spare->response, header->name, old);
        set_header(spare, i, answer);
    }
}

static struct spare_response *make(const struct answer *answer)
{
    size_t count = answer->header_count;
    struct spare_response *spare = calloc(1, sizeof *spare + count * sizeof spare->headers[0]);
    if (spare == NULL)
        return NULL;
    spare->is_kept = answer->body_length <= SPARE_RESPONSE_BODY_MAX;
    spare->body_length = answer->body_length;
    spare->header_count = count;
    spare->body = malloc(answer->body_length + 1);
    if (spare->body != NULL)
        spare->response = MHD_create_response_from_buffer(answer->body_length, spare->body,
                                                          MHD_RESPMEM_PERSISTENT);
    if (spare->response == NULL) {
        destroy(spare);
        return NULL;
    }
    if (answer->body_length > 0)
        memcpy(spare->body, answer->body, answer->body_length);
    for (size_t i = 0; i < count; i++) {
        memcpy(spare->headers[i].name, answer->headers[i].name, answer->name_lengths[i]);
        spare->name_lengths[i] = answer->name_lengths[i];
        set_header(spare, i, answer);
    }
    return spare;
}

/* The one that needs no header taken out, or another that will do, or none. */
static struct spare_response **find(struct spare_responses *spares, const struct answer *answer)
{
    struct spare_response **other = NULL;
    struct spare_response **place = &spares->lists[answer->body_length % LISTS];
    for (; *place != NULL; place = &(*place)->next) {
        if ((*place)->body_length != answer->body_length || !has_names_of(*place, answer))
            continue;
        if (memcmp((*place)->value_lengths, answer->value_lengths, answer->header_count) == 0)
            return place;
        other = place;
    }
    return other;
}

struct spare_response *spare_response_take(struct spare_responses *spares,
                                           const struct answer *answer)
{
    struct spare_response **place = find(spares, answer);
    if (place == NULL)
        return make(answer);
    struct spare_response *spare = *place;
    *place = spare->next;
    spares->count--;
    renew(spare, answer);
    return spare;
}

void spare_response_give(struct spare_responses *spares, struct spare_response *spare)
{
    if (spares->count >= SPARE_RESPONSES_MAX || !spare->is_kept) {
        destroy(spare);
        return;
    }
    struct spare_response **list = &spares->lists[spare->body_length % LISTS];
    spare->next = *list;
    *list = spare;
    spares->count++;
}
