#include "lab/journal_lines.h"

#include "base/digest.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers below 2^53 are exact in JSON; in ns that is a run of 104 days. */
static bool read_whole(const cJSON *object, const char *name, bool may_be_missing, int64_t *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL || cJSON_IsNull(item)) {
        *value = -1;
        return may_be_missing;
    }
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        item->valuedouble < -1 || item->valuedouble > 0x1.0p53)
        return false;
    *value = (int64_t)item->valuedouble;
    return true;
}

static uint64_t call_digest(const cJSON *object)
{
    static const char *const names[] = {"call_marker", "idempotency_key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, names[i]));
        if (text != NULL && text[0] != '\0')
            return digest_bytes(text, strlen(text)) | 1;
    }
    return 0;
}

static bool read_line(const cJSON *object, struct journal_line *line)
{
    int64_t status = 0;
    int64_t retry_count = -1;
    bool is_read = cJSON_IsObject(object) &&
                   read_whole(object, "arrived_ns", false, &line->arrived_ns) &&
                   read_whole(object, "answered_ns", true, &line->answered_ns) &&
                   read_whole(object, "status", false, &status) &&
                   read_whole(object, "tokens", false, &line->tokens) &&
                   read_whole(object, "retry_count", true, &retry_count);
    if (!is_read || status > 999 || retry_count > 1000000)
        return false;
    line->status = (int)status;
    line->retry_count = (int)retry_count;
    line->call_digest = call_digest(object);
    return true;
}

bool journal_lines_read(const char *path,
                        bool (*visit)(void *owner, const struct journal_line *line), void *owner,
                        struct error *error)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return error_set(error, path, "%s", strerror(errno));
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    unsigned long number = 0;
    bool is_right = true;
    while (is_right && (length = getline(&text, &size, stream)) >= 0) {
        number++;
        if (strspn(text, " \t\r\n") == (size_t)length)
            continue;
        struct journal_line line;
        cJSON *object = cJSON_ParseWithLength(text, (size_t)length);
        is_right = read_line(object, &line);
        cJSON_Delete(object);
        if (!is_right) {
            char place[512];
            snprintf(place, sizeof place, "%s:%lu", path, number);
            error_set(error, place,
                      "found no entry of a journal, wanted a JSON object with "
                      "arrived_ns, answered_ns, status and tokens");
        } else if (!visit(owner, &line)) {
            is_right = error_set_run(error, path, "out of memory, or too many entries");
        }
    }
    if (is_right && ferror(stream))
        is_right = error_set_run(error, path, "%s", strerror(errno));
    free(text);
    fclose(stream);
    return is_right;
}
