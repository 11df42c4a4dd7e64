#include "mockserver/completion.h"

#include "base/text.h"
#include "mockserver/logprobs.h"
#include "mockserver/token_estimate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body of this size, which holds most, malloc has at hand; it looks for larger ones. */
enum { ID_SIZE = 64, BODY_SIZE = 1000 };

cJSON *completion_usage(int64_t prompt_tokens, int64_t completion_tokens)
{
    cJSON *usage = cJSON_CreateObject();
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)prompt_tokens);
    cJSON_AddNumberToObject(usage, "completion_tokens", (double)completion_tokens);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)(prompt_tokens + completion_tokens));
    return usage;
}

static void add_usage(struct text *text, const struct completion *completion)
{
    int64_t spoken_tokens = completion->choice_count * completion->reply->tokens;
    text_add(text, "{\n    \"prompt_tokens\": ");
    text_add_whole(text, completion->prompt_tokens);
    text_add(text, ",\n    \"completion_tokens\": ");
    text_add_whole(text, spoken_tokens);
    text_add(text, ",\n    \"total_tokens\": ");
    text_add_whole(text, completion->prompt_tokens + spoken_tokens);
    text_add(text, ",\n    \"prompt_tokens_details\": {\n"
                   "      \"cached_tokens\": 0,\n"
                   "      \"audio_tokens\": 0\n"
                   "    },\n"
                   "    \"completion_tokens_details\": {\n"
                   "      \"reasoning_tokens\": 0,\n"
                   "      \"audio_tokens\": 0,\n"
                   "      \"accepted_prediction_tokens\": 0,\n"
                   "      \"rejected_prediction_tokens\": 0\n"
                   "    }\n"
                   "  }");
}

static cJSON *usage_object(const struct completion *completion)
{
    struct text text;
    size_t length = 0;
    text_begin(&text, BODY_SIZE);
    add_usage(&text, completion);
    char *usage = text_end(&text, &length);
    cJSON *object = cJSON_ParseWithLength(usage != NULL ? usage : "", length);
    free(usage);
    return object;
}

/* The members in which a call stands, for each kind of tool. */
static const struct {
    const char *object;
    const char *text;
    const char *reason; /* why the answer ends with it */
} call_words[] = {
    [TOOL_FUNCTION] = {"function", "arguments", "tool_calls"},
    [TOOL_CUSTOM] = {"custom", "input", "tool_calls"},
    [TOOL_LEGACY_FUNCTION] = {"function_call", "arguments", "function_call"},
};

/* What a call is added to: the message itself, or the one entry of its tool_calls. */
static cJSON *call_in(cJSON *message, const struct reply *reply)
{
    if (reply->tool_kind == TOOL_LEGACY_FUNCTION)
        return message;
    cJSON *call = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(message, "tool_calls"), call);
    return call;
}

/* Adds the call with its name, or of a stream, once that has been said, NULL for it. */
static void add_call_words(cJSON *call, const struct reply *reply, const char *name,
                           const char *text)
{
    cJSON *object = cJSON_AddObjectToObject(call, call_words[reply->tool_kind].object);
    if (name != NULL)
        cJSON_AddStringToObject(object, "name", name);
    cJSON_AddStringToObject(object, call_words[reply->tool_kind].text, text);
}

/* Returns what it was added to. */
static cJSON *add_call(cJSON *message, const struct completion *completion, int choice,
                       const char *text)
{
    const struct reply *reply = completion->reply;
    cJSON *call = call_in(message, reply);
    if (call != message) {
        char id[ID_SIZE];
        snprintf(id, sizeof id, "call_%016" PRIx64 "%02x", completion->id_bits,
                 (unsigned int)choice);
        cJSON_AddStringToObject(call, "id", id);
        cJSON_AddStringToObject(call, "type", call_words[reply->tool_kind].object);
    }
    add_call_words(call, reply, reply->tool, text);
    return call;
}

static const char *finish_reason(const struct completion *completion)
{
    const struct reply *reply = completion->reply;
    if (reply->is_cut)
        return "length";
    return reply->tool != NULL ? call_words[reply->tool_kind].reason : "stop";
}

/* Calls of tools are rare enough for a tree. */
static void add_tool_call(struct text *text, const struct completion *completion, int choice)
{
    cJSON *message = cJSON_CreateObject();
    add_call(message, completion, choice, completion->reply->text);
    const cJSON *called = cJSON_GetArrayItem(message, 0);
    char *printed = cJSON_PrintUnformatted(called);
    text_add(text, "        \"content\": null");
    if (printed != NULL) {
        text_add(text, ",\n        \"");
        text_add(text, called->string);
        text_add(text, "\": ");
        text_add(text, printed);
    }
    free(printed);
    cJSON_Delete(message);
}

/* Of a part of the text, or null: arguments of a call have none. */
static cJSON *logprobs_of(const struct completion *completion, const char *text, size_t length)
{
    if (!completion->has_logprobs || completion->reply->tool != NULL)
        return cJSON_CreateNull();
    size_t begin = (size_t)(text - completion->reply->text);
    size_t left = completion->logprobs_length > begin ? completion->logprobs_length - begin : 0;
    return logprobs_chat(text, length < left ? length : left, completion->has_top_logprobs);
}

static void add_logprobs(struct text *text, const struct completion *completion)
{
    const char *said = completion->reply->text;
    cJSON *logprobs = logprobs_of(completion, said, strlen(said));
    char *printed = cJSON_PrintUnformatted(logprobs);
    text_add(text, printed != NULL ? printed : "null");
    free(printed);
    cJSON_Delete(logprobs);
}

#define AFTER_CONTENT                                                                              \
    ",\n        \"refusal\": null,\n        \"annotations\": []\n      },\n      \"logprobs\": "
#define BEFORE_REASON ",\n      \"finish_reason\": \""

static void add_choice(struct text *text, const struct completion *completion, int index)
{
    text_add(text, index == 0 ? "\n    {\n      \"index\": " : ",\n    {\n      \"index\": ");
    text_add_whole(text, index);
    text_add(text, ",\n      \"message\": {\n        \"role\": \"assistant\",\n");
    if (completion->reply->tool != NULL) {
        add_tool_call(text, completion, index);
    } else {
        text_add(text, "        \"content\": ");
        text_add_json(text, completion->reply->text);
    }
    if (completion->has_logprobs) {
        text_add(text, AFTER_CONTENT);
        add_logprobs(text, completion);
        text_add(text, BEFORE_REASON);
    } else {
        text_add(text, AFTER_CONTENT "null" BEFORE_REASON); /* the usual one, in one piece */
    }
    text_add(text, finish_reason(completion));
    text_add(text, "\"\n    }");
}

/* As text at once, in OpenAI's layout: a tree of it costs 60,000 instructions. */
char *completion_chat(const struct completion *completion, size_t *length)
{
    struct text text;
    text_begin(&text, BODY_SIZE);
    text_add(&text, "{\n  \"id\": \"chatcmpl-");
    text_add_hex(&text, completion->id_bits);
    text_add(&text, "\",\n  \"object\": \"chat.completion\",\n  \"created\": ");
    text_add_whole(&text, completion->created_s);
    text_add(&text, ",\n  \"model\": ");
    text_add_json(&text, completion->model);
    text_add(&text, ",\n  \"choices\": [");
    for (int i = 0; i < completion->choice_count; i++)
        add_choice(&text, completion, i);
    text_add(&text, "\n  ],\n  \"usage\": ");
    add_usage(&text, completion);
    text_add(&text, ",\n  \"service_tier\": \"default\",\n"
                    "  \"system_fingerprint\": \"fp_toomany\"\n}\n");
    return text_end(&text, length);
}

static cJSON *chunk(const struct completion *completion)
{
    char id[ID_SIZE];
    snprintf(id, sizeof id, "chatcmpl-%016" PRIx64, completion->id_bits);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", id);
    cJSON_AddStringToObject(root, "object", "chat.completion.chunk");
    cJSON_AddNumberToObject(root, "created", (double)completion->created_s);
    cJSON_AddStringToObject(root, "model", completion->model);
    cJSON_AddStringToObject(root, "service_tier", "default");
    cJSON_AddStringToObject(root, "system_fingerprint", "fp_toomany");
    return root;
}

/* Sends `delta` as the next chunk of a choice; `reason` ends the choice. */
static void add_delta(struct event_stream *stream, const struct completion *completion, int index,
                      cJSON *delta, cJSON *logprobs, const char *reason, int64_t due_ns)
{
    cJSON *root = chunk(completion);
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "choices"), choice);
    cJSON_AddNumberToObject(choice, "index", index);
    cJSON_AddItemToObject(choice, "delta", delta);
    cJSON_AddItemToObject(choice, "logprobs", logprobs);
    cJSON_AddItemToObject(choice, "finish_reason",
                          reason != NULL ? cJSON_CreateString(reason) : cJSON_CreateNull());
    if (completion->include_usage)
        cJSON_AddNullToObject(root, "usage");
    event_stream_add(stream, due_ns, NULL, root);
}

static cJSON *first_delta(const struct completion *completion, int index)
{
    cJSON *delta = cJSON_CreateObject();
    cJSON_AddStringToObject(delta, "role", "assistant");
    if (completion->reply->tool == NULL) {
        cJSON_AddStringToObject(delta, "content", "");
    } else {
        cJSON_AddNullToObject(delta, "content");
        cJSON *call = add_call(delta, completion, index, "");
        if (call != delta)
            cJSON_AddNumberToObject(call, "index", 0);
    }
    cJSON_AddNullToObject(delta, "refusal");
    return delta;
}

static cJSON *text_delta(const struct completion *completion, const char *text, size_t length)
{
    cJSON *delta = cJSON_CreateObject();
    char *part = strndup(text, length);
    const char *said = part != NULL ? part : "";
    if (completion->reply->tool == NULL) {
        cJSON_AddStringToObject(delta, "content", said);
    } else {
        cJSON *call = call_in(delta, completion->reply);
        if (call != delta)
            cJSON_AddNumberToObject(call, "index", 0);
        add_call_words(call, completion->reply, NULL, said);
    }
    free(part);
    return delta;
}

void completion_chat_stream(const struct completion *completion, const struct pace *pace,
                            struct answer *answer)
{
    struct event_stream stream;
    const struct reply *reply = completion->reply;
    const char *text = reply->text;
    int64_t step = event_stream_step(reply->tokens * completion->choice_count);
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    if (completion->is_padded)
        event_stream_pad(&stream, completion->id_bits);
    for (int i = 0; i < completion->choice_count; i++)
        add_delta(&stream, completion, i, first_delta(completion, i),
                  logprobs_of(completion, text, 0), NULL, 0);
    int64_t due_ns = pace->first_token_ns;
    for (int64_t token = 0; *text != '\0'; token += step) {
        size_t length = token_estimate_bytes(text, step);
        due_ns = pace_due_ns(pace, token);
        for (int i = 0; i < completion->choice_count; i++)
            add_delta(&stream, completion, i, text_delta(completion, text, length),
                      logprobs_of(completion, text, length), NULL, due_ns);
        text += length;
    }
    for (int i = 0; i < completion->choice_count; i++)
        add_delta(&stream, completion, i, cJSON_CreateObject(), cJSON_CreateNull(),
                  finish_reason(completion), due_ns);
    if (completion->include_usage) {
        cJSON *root = chunk(completion);
        cJSON_AddArrayToObject(root, "choices");
        cJSON_AddItemToObject(root, "usage", usage_object(completion));
        event_stream_add(&stream, due_ns, NULL, root);
    }
    event_stream_add_text(&stream, due_ns, "[DONE]");
    event_stream_end(&stream, answer);
}
