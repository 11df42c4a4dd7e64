/* POST /v1/chat/completions
 *
 * The estimate is token_estimate.h's, plus one a message, plus 2. Tools and response_format are not
 * counted.
 *
 *     one message of 114 characters -> 28 + 1 + 2 = 31 tokens
 */
#include "base/text.h"
#include "mockserver/api.h"
#include "mockserver/chat_message.h"
#include "mockserver/chat_scan.h"
#include "mockserver/completion.h"
#include "mockserver/endpoint.h"
#include "mockserver/logprobs.h"
#include "mockserver/response_format.h"
#include "mockserver/stop_sequences.h"
#include "mockserver/token_estimate.h"
#include "mockserver/tool_choice.h"

enum { TOKENS_PER_CHAT = 2, TOKENS_PER_MESSAGE = 1, CHOICES_MAX = 128 };

static bool read_messages(struct endpoint_call *call)
{
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(call->root, "messages");
    if (messages == NULL)
        return endpoint_refuse_missing(call, "messages");
    if (!cJSON_IsArray(messages))
        return endpoint_refuse(call->answer, 400,
                               "Invalid type for 'messages': expected an array of objects.",
                               "invalid_type", "messages");
    if (cJSON_GetArraySize(messages) == 0)
        return endpoint_refuse(
            call->answer, 400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            "empty_array", "messages");
    call->tokens = TOKENS_PER_CHAT;
    size_t index = 0;
    const cJSON *message;
    cJSON_ArrayForEach (message, messages) {
        if (!cJSON_IsObject(message))
            return endpoint_refuse(call->answer, 400,
                                   "Invalid type for 'messages[]': expected an object.",
                                   "invalid_type", "messages");
        if (!chat_message_check(call, message, index++))
            return false;
        call->tokens +=
            TOKENS_PER_MESSAGE +
            token_estimate_content(cJSON_GetObjectItemCaseSensitive(message, "content"));
    }
    return true;
}

static int64_t choice_count(struct endpoint_call *call)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->root, "n");
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : 1;
}

/* The usual request needs no tree, and what is to be known of it fits in the call. */
static bool read_usual(struct endpoint_call *call)
{
    struct chat_scan scan;
    if (!chat_scan(call->request->body, call->request->body_length, &scan))
        return false;
    bool is_deployed = call->deployment != NULL && call->deployment[0] != '\0';
    text_copy(call->model, sizeof call->model, is_deployed ? call->deployment : scan.model);
    call->tokens = TOKENS_PER_CHAT + TOKENS_PER_MESSAGE * scan.message_count + scan.text_tokens;
    call->tokens_max =
        scan.max_completion_tokens >= 0 ? scan.max_completion_tokens : scan.max_tokens;
    return true;
}

/* How the answer is to be. */
static bool read_wishes(struct endpoint_call *call)
{
    return stop_sequences_read(call) && logprobs_read(call) && tool_choice_read(call);
}

bool endpoint_chat_read(struct endpoint_call *call)
{
    if (read_usual(call))
        return true;
    int64_t choices = 1;
    if (!endpoint_read_body(call, NULL) || !read_messages(call) ||
        !endpoint_read_whole(call, "n", 1, CHOICES_MAX, &choices) ||
        !endpoint_read_whole(call, "max_tokens", 1, INT64_C(1000000000), &call->tokens_max) ||
        !endpoint_read_whole(call, "max_completion_tokens", 1, INT64_C(1000000000),
                             &call->tokens_max) ||
        !read_wishes(call))
        return false;
    return endpoint_read_flag(call, "stream", &call->is_streamed) &&
           response_format_check_chat(call);
}

static void want_logprobs(struct completion *completion, const cJSON *root)
{
    const cJSON *top = cJSON_GetObjectItemCaseSensitive(root, "top_logprobs");
    completion->has_logprobs = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "logprobs"));
    completion->logprobs_length =
        logprobs_length(completion->reply->text, completion->choice_count);
    completion->has_top_logprobs = cJSON_IsNumber(top) && top->valuedouble > 0;
}

void endpoint_chat_make(struct endpoint_call *call)
{
    struct reply reply;
    reply_choose(&reply, call->root, call->content, call->tokens_max);
    if (call->root != NULL)
        reply_end_before(&reply, cJSON_GetObjectItemCaseSensitive(call->root, "stop"));
    const int64_t choices = choice_count(call);
    call->spoken_tokens = choices * reply.tokens;
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(call->root, "stream_options");
    struct completion completion = {
        .model = call->model,
        .reply = &reply,
        .choice_count = (int)choices,
        .prompt_tokens = call->tokens,
        .id_bits = call->bits,
        .created_s = call->created_s,
        .include_usage = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage")),
        .is_padded = endpoint_is_padded(call),
    };
    if (call->root != NULL)
        want_logprobs(&completion, call->root);
    if (call->is_streamed) {
        completion_chat_stream(&completion, &call->pace, call->answer);
    } else {
        size_t length = 0;
        char *body = completion_chat(&completion, &length);
        answer_body_bytes(call->answer, body, length);
        call->work_ns = pace_whole_ns(&call->pace, reply.tokens);
    }
    reply_free(&reply);
}
