#include "mockserver/completion.h"

#include "mockserver/token_estimate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_SIZE = 64 };

cJSON *completion_usage(int64_t prompt_tokens, int64_t completion_tokens)
{
    cJSON *usage = cJSON_CreateObject();
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)prompt_tokens);
    cJSON_AddNumberToObject(usage, "completion_tokens", (double)completion_tokens);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)(prompt_tokens + completion_tokens));
    return usage;
}

static cJSON *usage_object(const struct completion *completion)
{
    cJSON *usage = completion_usage(completion->prompt_tokens,
                                    completion->choice_count * reply_tokens(completion->reply));
    cJSON *prompt = cJSON_AddObjectToObject(usage, "prompt_tokens_details");
    cJSON_AddNumberToObject(prompt, "cached_tokens", 0);
    cJSON_AddNumberToObject(prompt, "audio_tokens", 0);
    cJSON *spoken = cJSON_AddObjectToObject(usage, "completion_tokens_details");
    cJSON_AddNumberToObject(spoken, "reasoning_tokens", 0);
    cJSON_AddNumberToObject(spoken, "audio_tokens", 0);
    cJSON_AddNumberToObject(spoken, "accepted_prediction_tokens", 0);
    cJSON_AddNumberToObject(spoken, "rejected_prediction_tokens", 0);
    return usage;
}

static cJSON *tool_call_object(const struct completion *completion, int choice,
                               const char *arguments)
{
    char id[ID_SIZE];
    snprintf(id, sizeof id, "call_%016" PRIx64 "%02x", completion->id_bits, (unsigned int)choice);
    cJSON *call = cJSON_CreateObject();
    cJSON_AddStringToObject(call, "id", id);
    cJSON_AddStringToObject(call, "type", "function");
    cJSON *function = cJSON_AddObjectToObject(call, "function");
    cJSON_AddStringToObject(function, "name", completion->reply->tool);
    cJSON_AddStringToObject(function, "arguments", arguments);
    return call;
}

static const char *finish_reason(const struct completion *completion)
{
    return completion->reply->tool != NULL ? "tool_calls" : "stop";
}

static cJSON *choice_object(const struct completion *completion, int index)
{
    const struct reply *reply = completion->reply;
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddNumberToObject(choice, "index", index);
    cJSON *message = cJSON_AddObjectToObject(choice, "message");
    cJSON_AddStringToObject(message, "role", "assistant");
    if (reply->tool != NULL) {
        cJSON_AddNullToObject(message, "content");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(message, "tool_calls"),
                             tool_call_object(completion, index, reply->arguments));
    } else {
        cJSON_AddStringToObject(message, "content", reply->content);
    }
    cJSON_AddNullToObject(message, "refusal");
    cJSON_AddArrayToObject(message, "annotations");
    cJSON_AddNullToObject(choice, "logprobs");
    cJSON_AddStringToObject(choice, "finish_reason", finish_reason(completion));
    return choice;
}

/* What a completion and each chunk of it begin with. */
static cJSON *head(const struct completion *completion, const char *kind)
{
    char id[ID_SIZE];
    snprintf(id, sizeof id, "chatcmpl-%016" PRIx64, completion->id_bits);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", id);
    cJSON_AddStringToObject(root, "object", kind);
    cJSON_AddNumberToObject(root, "created", (double)completion->created_s);
    cJSON_AddStringToObject(root, "model", completion->model);
    return root;
}

char *completion_chat(const struct completion *completion)
{
    cJSON *root = head(completion, "chat.completion");
    cJSON *choices = cJSON_AddArrayToObject(root, "choices");
    for (int i = 0; i < completion->choice_count; i++)
        cJSON_AddItemToArray(choices, choice_object(completion, i));
    cJSON_AddItemToObject(root, "usage", usage_object(completion));
    cJSON_AddStringToObject(root, "service_tier", "default");
    cJSON_AddStringToObject(root, "system_fingerprint", "fp_toomany");
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static cJSON *chunk(const struct completion *completion)
{
    cJSON *root = head(completion, "chat.completion.chunk");
    cJSON_AddStringToObject(root, "service_tier", "default");
    cJSON_AddStringToObject(root, "system_fingerprint", "fp_toomany");
    return root;
}

/* Sends `delta` as the next chunk of a choice; `reason` ends the choice. */
static void add_delta(struct event_stream *stream, const struct completion *completion, int index,
                      cJSON *delta, const char *reason, int64_t due_ns)
{
    cJSON *root = chunk(completion);
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "choices"), choice);
    cJSON_AddNumberToObject(choice, "index", index);
    cJSON_AddItemToObject(choice, "delta", delta);
    cJSON_AddNullToObject(choice, "logprobs");
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
        cJSON *call = tool_call_object(completion, index, "");
        cJSON_AddNumberToObject(call, "index", 0);
        cJSON_AddNullToObject(delta, "content");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(delta, "tool_calls"), call);
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
        cJSON *call = cJSON_CreateObject();
        cJSON_AddNumberToObject(call, "index", 0);
        cJSON_AddStringToObject(cJSON_AddObjectToObject(call, "function"), "arguments", said);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(delta, "tool_calls"), call);
    }
    free(part);
    return delta;
}

void completion_chat_stream(const struct completion *completion, const struct pace *pace,
                            struct answer *answer)
{
    struct event_stream stream;
    const struct reply *reply = completion->reply;
    const char *text = reply->tool != NULL ? reply->arguments : reply->content;
    int64_t tokens = reply_tokens(reply);
    int64_t step = event_stream_step(tokens * completion->choice_count);
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    for (int i = 0; i < completion->choice_count; i++)
        add_delta(&stream, completion, i, first_delta(completion, i), NULL, 0);
    int64_t due_ns = pace->first_token_ns;
    for (int64_t token = 0; *text != '\0'; token += step) {
        size_t length = token_estimate_bytes(text, step);
        due_ns = pace_due_ns(pace, token);
        for (int i = 0; i < completion->choice_count; i++)
            add_delta(&stream, completion, i, text_delta(completion, text, length), NULL, due_ns);
        text += length;
    }
    for (int i = 0; i < completion->choice_count; i++)
        add_delta(&stream, completion, i, cJSON_CreateObject(), finish_reason(completion), due_ns);
    if (completion->include_usage) {
        cJSON *root = chunk(completion);
        cJSON_AddArrayToObject(root, "choices");
        cJSON_AddItemToObject(root, "usage", usage_object(completion));
        event_stream_add(&stream, due_ns, NULL, root);
    }
    event_stream_add_text(&stream, due_ns, "[DONE]");
    event_stream_end(&stream, answer);
}
