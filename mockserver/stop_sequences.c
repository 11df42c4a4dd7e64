#include "mockserver/stop_sequences.h"

#include "mockserver/endpoint.h"

#include <stdio.h>
#include <string.h>

static bool refuse_type(struct endpoint_call *call, const cJSON *found)
{
    return endpoint_refuse_type(call, "stop", "one of a string or array of strings", found);
}

static bool refuse_count(struct endpoint_call *call, int count)
{
    char message[128];
    snprintf(message, sizeof message,
             "Invalid 'stop': array too long. Expected an array with maximum length %d, but got an "
             "array with length %d instead.",
             STOP_SEQUENCES_MAX, count);
    return endpoint_refuse(call->answer, 400, message, "array_above_max_length", "stop");
}

bool stop_sequences_read(struct endpoint_call *call)
{
    const cJSON *stop = cJSON_GetObjectItemCaseSensitive(call->root, "stop");
    if (stop == NULL || cJSON_IsNull(stop) || cJSON_IsString(stop))
        return true;
    if (!cJSON_IsArray(stop))
        return refuse_type(call, stop);
    const cJSON *sequence;
    cJSON_ArrayForEach (sequence, stop) {
        if (!cJSON_IsString(sequence))
            return refuse_type(call, sequence);
    }
    int count = cJSON_GetArraySize(stop);
    return count <= STOP_SEQUENCES_MAX || refuse_count(call, count);
}

/* Where the sequence begins in the first `length` bytes of the text, or `length`. */
static size_t find(const cJSON *sequence, const char *text, size_t length)
{
    if (!cJSON_IsString(sequence) || sequence->valuestring[0] == '\0')
        return length;
    const char *found = strstr(text, sequence->valuestring);
    return found != NULL && (size_t)(found - text) < length ? (size_t)(found - text) : length;
}

size_t stop_sequences_find(const cJSON *stop, const char *text)
{
    size_t length = find(stop, text, strlen(text));
    const cJSON *sequence;
    if (!cJSON_IsArray(stop))
        return length;
    cJSON_ArrayForEach (sequence, stop)
        length = find(sequence, text, length);
    return length;
}
