#include "mockserver/fault.h"

#include "mockserver/config.h"
#include "mockserver/wire.h"

#include <stdio.h>
#include <string.h>

/* One row for each fault_NAME.c. */
#define KINDS(ROW)                                                                                 \
    ROW(refuse)                                                                                    \
    ROW(reset)                                                                                     \
    ROW(stall)                                                                                     \
    ROW(drip)                                                                                      \
    ROW(truncate)                                                                                  \
    ROW(wrong_length)                                                                              \
    ROW(endless_chunks)                                                                            \
    ROW(invalid_json)                                                                              \
    ROW(proxy_page)                                                                                \
    ROW(bad_retry_after)                                                                           \
    ROW(stream_error)                                                                              \
    ROW(stream_cut)

#define DECLARE(name) extern const struct fault_kind fault_##name;
KINDS(DECLARE)

#define ADDRESS(name) &fault_##name,
static const struct fault_kind *const kinds[] = {KINDS(ADDRESS) NULL};

const struct fault_kind *const *fault_kinds(void)
{
    return kinds;
}

const struct fault_kind *fault_find(const char *name)
{
    for (const struct fault_kind *const *kind = kinds; *kind != NULL; kind++) {
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    }
    return NULL;
}

static bool read_kind(struct fault *fault, const struct json_reader *reader, const cJSON *object,
                      const char *pointer)
{
    const char *names[64] = {NULL};
    int index = 0;
    for (size_t i = 0; kinds[i] != NULL; i++)
        names[i] = kinds[i]->name;
    if (!json_read_word(reader, object, pointer, "fault", names, &index))
        return false;
    fault->kind = kinds[index];
    return true;
}

static bool read_known(const struct fault *fault, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    const char *known[16] = {"fault"};
    for (size_t i = 0; fault->kind->keys[i] != NULL; i++)
        known[i + 1] = fault->kind->keys[i];
    return json_known_members(reader, object, pointer, known);
}

bool fault_read(struct fault *fault, const struct json_reader *reader, const cJSON *object,
                const char *pointer)
{
    static const char *const places[] = {"before_headers", "in_headers", "after_headers", "in_body",
                                         NULL};
    int place = 0;
    *fault = (struct fault){.for_ns = -1};
    bool is_read = read_kind(fault, reader, object, pointer) &&
                   read_known(fault, reader, object, pointer) &&
                   json_read_word(reader, object, pointer, "at", places, &place) &&
                   json_read_duration(reader, object, pointer, "for", &fault->for_ns) &&
                   json_read_number(reader, object, pointer, "bytes_per_second", 0.1, 1e9,
                                    &fault->bytes_per_second) &&
                   json_read_whole(reader, object, pointer, "status", 502, 504, &fault->status) &&
                   json_read_whole(reader, object, pointer, "by", -1000000, 1000000, &fault->by);
    if (is_read && fault->kind->forms != NULL)
        is_read = json_read_word(reader, object, pointer, "form", fault->kind->forms, &fault->form);
    if (!is_read)
        return false;
    fault->at = (enum fault_place)place;
    char at[JSON_POINTER_SIZE];
    if (fault->for_ns > CONFIG_LATENCY_NS_MAX)
        return json_wrong(reader, json_pointer_member(at, pointer, "for"),
                          cJSON_GetObjectItemCaseSensitive(object, "for"), "at most 24h");
    if (cJSON_HasObjectItem(object, "by") && fault->by == 0)
        return json_wrong(reader, json_pointer_member(at, pointer, "by"),
                          cJSON_GetObjectItemCaseSensitive(object, "by"),
                          "a whole number other than 0");
    return true;
}

bool fault_breaks(const struct fault *fault)
{
    return fault->kind != NULL && (fault->kind->breaks == NULL || fault->kind->breaks(fault));
}

bool fault_spares(const struct fault *fault)
{
    (void)fault;
    return false;
}

size_t fault_offset(const struct fault *fault, struct fault_play *play)
{
    if (!wire_make(play->answer, WIRE_LENGTH, 0))
        return 0;
    size_t head = wire_head_length(play->answer);
    switch (fault->at) {
    case FAULT_BEFORE_HEADERS:
        return 0;
    case FAULT_IN_HEADERS:
        return head / 2;
    case FAULT_AFTER_HEADERS:
        return head;
    default:
        return head + (play->answer->body_length - head) / 2;
    }
}
