/* POST /v1/completions: a text for each prompt. */
#include "mockserver/api.h"
#include "mockserver/completion.h"
#include "mockserver/endpoint.h"
#include "mockserver/logprobs.h"
#include "mockserver/stop_sequences.h"
#include "mockserver/token_estimate.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHOICES_MAX = 128,
    PROMPTS_MAX = 128,
    TOKENS_MAX_OTHERWISE = 16, /* the default of max_tokens in OpenAI's description of its API */
};

static const cJSON *prompt_of(const struct endpoint_call *call)
{
    return cJSON_GetObjectItemCaseSensitive(call->root, "prompt");
}

/* A string, an array of strings, an array of tokens, or an array of such arrays. */
static int64_t prompt_count(const cJSON *prompt)
{
    if (prompt == NULL || !cJSON_IsArray(prompt) || cJSON_IsNumber(prompt->child))
        return 1;
    return cJSON_GetArraySize(prompt);
}

static int64_t prompt_tokens(struct endpoint_call *call, const cJSON *prompt)
{
    if (prompt == NULL)
        return 0;
    if (cJSON_IsString(prompt))
        return endpoint_text_tokens(call, prompt->valuestring);
    int64_t tokens = 0;
    const cJSON *one;
    if (cJSON_IsArray(prompt)) {
        cJSON_ArrayForEach (one, prompt)
            tokens += cJSON_IsNumber(one) ? 1 : prompt_tokens(call, one);
    }
    return tokens;
}

static bool read_wishes(struct endpoint_call *call)
{
    int64_t top = -1;
    return stop_sequences_read(call) &&
           endpoint_read_whole(call, "logprobs", 0, LOGPROBS_TOP_MAX_COMPLETION, &top);
}

bool endpoint_completions_read(struct endpoint_call *call)
{
    int64_t choices = 1;
    call->tokens_max = TOKENS_MAX_OTHERWISE;
    if (!endpoint_read_body(call, NULL))
        return false;
    const cJSON *prompt = prompt_of(call);
    if (prompt != NULL && !cJSON_IsString(prompt) && !cJSON_IsArray(prompt) &&
        !cJSON_IsNull(prompt))
        return endpoint_refuse(call->answer, 400,
                               "Invalid type for 'prompt': expected a string, an array of strings, "
                               "an array of tokens, or an array of token arrays.",
                               "invalid_type", "prompt");
    if (prompt_count(prompt) < 1 || prompt_count(prompt) > PROMPTS_MAX)
        return endpoint_refuse(call->answer, 400, "'$.prompt' is invalid: 1 to 128 prompts.",
                               "invalid_value", "prompt");
    if (!endpoint_read_whole(call, "n", 1, CHOICES_MAX, &choices) ||
        !endpoint_read_whole(call, "max_tokens", 0, INT64_C(1000000000), &call->tokens_max) ||
        !read_wishes(call))
        return false;
    call->tokens = prompt_tokens(call, prompt);
    return endpoint_read_flag(call, "stream", &call->is_streamed);
}

static cJSON *head(const struct endpoint_call *call)
{
    char id[ENDPOINT_OBJECT_ID_SIZE];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", endpoint_object_id(id, "cmpl-", call->bits, 0));
    cJSON_AddStringToObject(root, "object", "text_completion");
    cJSON_AddNumberToObject(root, "created", (double)call->created_s);
    cJSON_AddStringToObject(root, "model", call->model);
    cJSON_AddStringToObject(root, "system_fingerprint", "fp_toomany");
    return root;
}

/* Of a part of the text, of which `end` bytes have them; or null. */
static cJSON *logprobs_of(const struct endpoint_call *call, const char *text, size_t begin,
                          size_t length, size_t end)
{
    const cJSON *top = cJSON_GetObjectItemCaseSensitive(call->root, "logprobs");
    if (!cJSON_IsNumber(top))
        return cJSON_CreateNull();
    size_t left = end > begin ? end - begin : 0;
    return logprobs_completion(text, begin, length < left ? length : left, top->valuedouble > 0);
}

static void add_choice(cJSON *choices, int64_t index, const char *text, cJSON *logprobs,
                       const char *reason)
{
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddItemToArray(choices, choice);
    cJSON_AddStringToObject(choice, "text", text);
    cJSON_AddNumberToObject(choice, "index", (double)index);
    cJSON_AddItemToObject(choice, "logprobs", logprobs);
    cJSON_AddItemToObject(choice, "finish_reason",
                          reason != NULL ? cJSON_CreateString(reason) : cJSON_CreateNull());
}

static bool wants_usage(const struct endpoint_call *call)
{
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(call->root, "stream_options");
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage"));
}

/* `reason` ends a choice, whose last chunk has no text. */
static void add_chunk(struct event_stream *stream, const struct endpoint_call *call, int64_t index,
                      const char *part, cJSON *logprobs, const char *reason, int64_t due_ns)
{
    cJSON *root = head(call);
    add_choice(cJSON_AddArrayToObject(root, "choices"), index, part, logprobs, reason);
    if (wants_usage(call))
        cJSON_AddNullToObject(root, "usage");
    event_stream_add(stream, due_ns, NULL, root);
}

static const char *finish_reason(const struct reply *reply)
{
    return reply->is_cut ? "length" : "stop";
}

static void make_stream(struct endpoint_call *call, const struct reply *reply, int64_t count)
{
    struct event_stream stream;
    size_t begin = 0;
    size_t end = logprobs_length(reply->text, count);
    int64_t step = event_stream_step(reply->tokens * count);
    int64_t due_ns = call->pace.first_token_ns;
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    for (int64_t token = 0; reply->text[begin] != '\0'; token += step) {
        size_t length = token_estimate_bytes(reply->text + begin, step);
        char *part = strndup(reply->text + begin, length);
        due_ns = pace_due_ns(&call->pace, token);
        for (int64_t i = 0; i < count; i++)
            add_chunk(&stream, call, i, part != NULL ? part : "",
                      logprobs_of(call, reply->text, begin, length, end), NULL, due_ns);
        free(part);
        begin += length;
    }
    for (int64_t i = 0; i < count; i++)
        add_chunk(&stream, call, i, "", cJSON_CreateNull(), finish_reason(reply), due_ns);
    if (wants_usage(call)) {
        cJSON *root = head(call);
        cJSON_AddArrayToObject(root, "choices");
        cJSON_AddItemToObject(
            root, "usage", completion_usage(endpoint_prompt_tokens(call), count * reply->tokens));
        event_stream_add(&stream, due_ns, NULL, root);
    }
    event_stream_add_text(&stream, due_ns, "[DONE]");
    event_stream_end(&stream, call->answer);
}

void endpoint_completions_make(struct endpoint_call *call)
{
    struct reply reply;
    reply_choose(&reply, NULL, call->content, call->tokens_max);
    reply_end_before(&reply, cJSON_GetObjectItemCaseSensitive(call->root, "stop"));
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(call->root, "n");
    int64_t count = prompt_count(prompt_of(call));
    if (cJSON_IsNumber(n))
        count *= (int64_t)n->valuedouble;
    call->spoken_tokens = count * reply.tokens;
    if (call->is_streamed) {
        make_stream(call, &reply, count);
    } else {
        cJSON *root = head(call);
        cJSON *choices = cJSON_AddArrayToObject(root, "choices");
        size_t length = strlen(reply.text);
        size_t end = logprobs_length(reply.text, count);
        for (int64_t i = 0; i < count; i++)
            add_choice(choices, i, reply.text, logprobs_of(call, reply.text, 0, length, end),
                       finish_reason(&reply));
        cJSON_AddItemToObject(root, "usage",
                              completion_usage(endpoint_prompt_tokens(call), call->spoken_tokens));
        endpoint_answer_json(call, root);
        call->work_ns = pace_whole_ns(&call->pace, reply.tokens);
    }
    reply_free(&reply);
}
