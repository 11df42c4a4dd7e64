/* A stream that began well and in the middle of which an error comes, as an event; then it ends. */
#include "mockserver/event_stream.h"
#include "mockserver/fault.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE "The server had an error while processing your request. Sorry about that!"

static cJSON *error_object(void)
{
    cJSON *error = cJSON_CreateObject();
    cJSON_AddStringToObject(error, "message", MESSAGE);
    cJSON_AddStringToObject(error, "type", "server_error");
    cJSON_AddNullToObject(error, "param");
    cJSON_AddStringToObject(error, "code", "server_error");
    return error;
}

static void add_data(struct event_stream *stream, int64_t due_ns)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddItemToObject(data, "error", error_object());
    event_stream_add(stream, due_ns, NULL, data);
}

/* The first event of a stream says which response it is. */
static cJSON *failed_response(const struct answer *answer)
{
    const char *text = memchr(answer->body, '{', answer->pieces[0].end);
    size_t length = text != NULL ? answer->pieces[0].end - (size_t)(text - answer->body) : 0;
    cJSON *first = text != NULL ? cJSON_ParseWithLength(text, length) : NULL;
    cJSON *response = cJSON_DetachItemFromObjectCaseSensitive(first, "response");
    cJSON_Delete(first);
    cJSON *error = cJSON_CreateObject();
    cJSON_AddStringToObject(error, "code", "server_error");
    cJSON_AddStringToObject(error, "message", MESSAGE);
    cJSON_ReplaceItemInObjectCaseSensitive(response, "status", cJSON_CreateString("failed"));
    cJSON_ReplaceItemInObjectCaseSensitive(response, "error", error);
    return response;
}

static void add_events(struct event_stream *stream, const struct answer *answer, int64_t due_ns)
{
    cJSON *data = error_object();
    cJSON_DeleteItemFromObjectCaseSensitive(data, "type");
    event_stream_add(stream, due_ns, "error", data);
    cJSON *failed = cJSON_CreateObject();
    cJSON_AddItemToObject(failed, "response", failed_response(answer));
    event_stream_add(stream, due_ns, "response.failed", failed);
}

static void play_stream_error(const struct fault *fault, struct fault_play *play)
{
    struct answer *answer = play->answer;
    (void)fault;
    if (answer->piece_count < 2)
        return;
    size_t kept = answer->piece_count / 2;
    struct event_stream stream;
    event_stream_begin(&stream, answer->stream);
    stream.sequence_number = (int64_t)kept;
    for (size_t i = 0, begin = 0; i < kept; i++) {
        size_t end = answer->pieces[i].end;
        event_stream_add_bytes(&stream, answer->pieces[i].due_ns, answer->body + begin,
                               end - begin);
        begin = end;
    }
    int64_t due_ns = answer->pieces[kept].due_ns;
    if (answer->stream == ANSWER_STREAM_EVENTS)
        add_events(&stream, answer, due_ns);
    else
        add_data(&stream, due_ns);
    event_stream_end(&stream, answer);
}

extern const struct fault_kind fault_stream_error;
const struct fault_kind fault_stream_error = {
    .name = "stream_error",
    .needs_stream = true,
    .keys = (const char *const[]){NULL},
    .play = play_stream_error,
};
