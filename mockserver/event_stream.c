#include "mockserver/event_stream.h"

#include "base/duration.h"
#include "mockserver/obfuscation.h"

#include <stdlib.h>
#include <string.h>

int64_t pace_due_ns(const struct pace *pace, int64_t token)
{
    if (pace->tokens_per_second <= 0)
        return pace->first_token_ns;
    double wait_ns = (double)token * (double)NS_PER_S / pace->tokens_per_second;
    double wait_ns_max = (double)(DURATION_NS_MAX - pace->first_token_ns);
    return pace->first_token_ns + (int64_t)(wait_ns < wait_ns_max ? wait_ns : wait_ns_max);
}

int64_t pace_whole_ns(const struct pace *pace, int64_t tokens)
{
    return pace_due_ns(pace, tokens > 0 ? tokens - 1 : 0);
}

int64_t event_stream_step(int64_t tokens)
{
    return 1 + (tokens > 0 ? (tokens - 1) / EVENT_STREAM_DELTAS_MAX : 0);
}

void event_stream_begin(struct event_stream *stream, enum answer_stream kind)
{
    *stream = (struct event_stream){.kind = kind};
    stream->file = open_memstream(&stream->text, &stream->length);
    stream->has_failed = stream->file == NULL;
}

static void end_piece(struct event_stream *stream, int64_t due_ns)
{
    if (fflush(stream->file) != 0) {
        stream->has_failed = true;
        return;
    }
    if (stream->count == stream->capacity) {
        size_t capacity = stream->capacity == 0 ? 16 : 2 * stream->capacity;
        struct answer_piece *larger = realloc(stream->pieces, capacity * sizeof *larger);
        if (larger == NULL) {
            stream->has_failed = true;
            return;
        }
        stream->pieces = larger;
        stream->capacity = capacity;
    }
    stream->pieces[stream->count++] = (struct answer_piece){stream->length, due_ns};
}

void event_stream_add_text(struct event_stream *stream, int64_t due_ns, const char *data)
{
    if (stream->has_failed)
        return;
    fprintf(stream->file, "data: %s\n\n", data);
    end_piece(stream, due_ns);
}

void event_stream_add_bytes(struct event_stream *stream, int64_t due_ns, const char *bytes,
                            size_t length)
{
    if (stream->has_failed)
        return;
    fwrite(bytes, 1, length, stream->file);
    end_piece(stream, due_ns);
}

/* As OpenAI sends them, with what kind of event it is in front. */
static cJSON *with_type(cJSON *data, const char *event, int64_t sequence_number)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "type", event);
    cJSON_AddNumberToObject(root, "sequence_number", (double)sequence_number);
    while (data != NULL && data->child != NULL) {
        cJSON *member = cJSON_DetachItemViaPointer(data, data->child);
        char *name = member->string;
        member->string = NULL;
        cJSON_AddItemToObject(root, name, member);
        cJSON_free(name);
    }
    cJSON_Delete(data);
    return root;
}

void event_stream_pad(struct event_stream *stream, uint64_t id_bits)
{
    stream->is_padded = true;
    obfuscation_begin(&stream->random, id_bits);
}

/* The object with one member more, its last. */
static void add_padded(struct event_stream *stream, int64_t due_ns, const char *text)
{
    static const char name[] = ",\"obfuscation\":\"\"";
    char padding[OBFUSCATION_STEP];
    size_t length = strlen(text);
    if (stream->has_failed)
        return;
    obfuscation_make(&stream->random, length + strlen(name), padding);
    fprintf(stream->file, "data: %.*s,\"obfuscation\":\"%s\"}\n\n", (int)length - 1, text, padding);
    end_piece(stream, due_ns);
}

void event_stream_add(struct event_stream *stream, int64_t due_ns, const char *event, cJSON *data)
{
    if (stream->kind == ANSWER_STREAM_EVENTS) {
        data = with_type(data, event, stream->sequence_number++);
        if (!stream->has_failed)
            fprintf(stream->file, "event: %s\n", event);
    }
    char *text = cJSON_PrintUnformatted(data);
    cJSON_Delete(data);
    if (text == NULL)
        stream->has_failed = true;
    else if (stream->is_padded)
        add_padded(stream, due_ns, text);
    else
        event_stream_add_text(stream, due_ns, text);
    free(text);
}

void event_stream_end(struct event_stream *stream, struct answer *answer)
{
    if (stream->file != NULL && fclose(stream->file) != 0)
        stream->has_failed = true;
    if (stream->has_failed) {
        free(stream->text);
        free(stream->pieces);
        answer_body(answer, NULL);
        return;
    }
    answer_body_bytes(answer, stream->text, stream->length);
    answer_pieces(answer, stream->pieces, stream->count);
    answer->stream = stream->kind;
    answer_header(answer, "content-type", "text/event-stream; charset=utf-8");
}
