/* POST /v1/responses: an output message or a call of a tool, whole or as the sequence of events
 * that recorded streams show (no [DONE]). */
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "mockserver/obfuscation.h"
#include "mockserver/reply.h"
#include "mockserver/response_format.h"
#include "mockserver/token_estimate.h"
#include "mockserver/tool_choice.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS_PER_RESPONSE = 2, TOKENS_PER_ITEM = 1 };

static const cJSON *member(const struct endpoint_call *call, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(call->root, name);
}

static int64_t item_tokens(const cJSON *item)
{
    const cJSON *output = cJSON_GetObjectItemCaseSensitive(item, "output");
    return TOKENS_PER_ITEM + token_estimate_content(output) +
           token_estimate_content(cJSON_GetObjectItemCaseSensitive(item, "content"));
}

bool endpoint_responses_read(struct endpoint_call *call)
{
    if (!endpoint_read_body(call, NULL))
        return false;
    const cJSON *input = member(call, "input");
    bool is_input = cJSON_IsString(input) || cJSON_IsArray(input);
    if (!is_input && input != NULL && !cJSON_IsNull(input))
        return endpoint_refuse(call->answer, 400,
                               "Invalid type for 'input': expected a string or an array of items.",
                               "invalid_type", "input");
    /* A stored prompt has it, and a response may only be continued. */
    if (!is_input && member(call, "prompt") == NULL && member(call, "previous_response_id") == NULL)
        return endpoint_refuse_missing(call, "input");
    call->tokens = TOKENS_PER_RESPONSE + token_estimate_content(member(call, "instructions"));
    if (input != NULL && cJSON_IsString(input))
        call->tokens += TOKENS_PER_ITEM + token_estimate_text(input->valuestring);
    const cJSON *item;
    if (cJSON_IsArray(input)) {
        cJSON_ArrayForEach (item, input) {
            if (!cJSON_IsObject(item))
                return endpoint_refuse(call->answer, 400,
                                       "Invalid type for 'input[]': expected an object.",
                                       "invalid_type", "input");
            call->tokens += item_tokens(item);
        }
    }
    if (!endpoint_read_flag(call, "stream", &call->is_streamed) ||
        !response_format_check_response(call))
        return false;
    /* OpenAI's minimum, as vectorize-io/hindsight#58 shows its refusal. */
    return endpoint_read_whole(call, "max_output_tokens", 16, INT64_C(1000000000),
                               &call->tokens_max) &&
           tool_choice_read(call);
}

/* What the request says of itself, or what OpenAI says where it does not. */
static void add_echo(cJSON *root, const struct endpoint_call *call, const char *name,
                     const char *otherwise)
{
    const cJSON *item = member(call, name);
    bool is_said = item != NULL && !cJSON_IsNull(item);
    cJSON_AddItemToObject(root, name,
                          is_said ? cJSON_Duplicate(item, true) : cJSON_Parse(otherwise));
}

static void add_usage(cJSON *root, const struct endpoint_call *call, const struct reply *reply)
{
    cJSON *usage = cJSON_AddObjectToObject(root, "usage");
    int64_t spoken = reply->tokens;
    cJSON_AddNumberToObject(usage, "input_tokens", (double)call->tokens);
    cJSON *details = cJSON_AddObjectToObject(usage, "input_tokens_details");
    cJSON_AddNumberToObject(details, "cached_tokens", 0);
    cJSON_AddNumberToObject(details, "cache_write_tokens", 0);
    cJSON_AddNumberToObject(usage, "output_tokens", (double)spoken);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(usage, "output_tokens_details"),
                            "reasoning_tokens", 0);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)(call->tokens + spoken));
}

static cJSON *part_object(const char *text)
{
    cJSON *part = cJSON_CreateObject();
    cJSON_AddStringToObject(part, "type", "output_text");
    cJSON_AddArrayToObject(part, "annotations");
    cJSON_AddArrayToObject(part, "logprobs");
    cJSON_AddStringToObject(part, "text", text);
    return part;
}

/* How the one item of the output is told of. */
struct item_words {
    const char *id_prefix;
    const char *type;
    const char *text; /* the member in which what is said stands */
    const char *delta_event;
    const char *done_event;
};

static const struct item_words *words_of(const struct reply *reply)
{
    static const struct item_words message = {
        "msg_", "message", "text", "response.output_text.delta", "response.output_text.done"};
    static const struct item_words function = {"fc_", "function_call", "arguments",
                                               "response.function_call_arguments.delta",
                                               "response.function_call_arguments.done"};
    static const struct item_words custom = {"ctc_", "custom_tool_call", "input",
                                             "response.custom_tool_call_input.delta",
                                             "response.custom_tool_call_input.done"};
    if (reply->tool == NULL)
        return &message;
    return reply->tool_kind == TOOL_CUSTOM ? &custom : &function;
}

static const char *item_id(char id[ENDPOINT_OBJECT_ID_SIZE], const struct endpoint_call *call,
                           const struct reply *reply)
{
    return endpoint_object_id(id, words_of(reply)->id_prefix, call->bits, 1);
}

/* A cut answer ends as what it is: not complete. */
static const char *status_of(const struct reply *reply, bool has_ended)
{
    if (!has_ended)
        return "in_progress";
    return reply->is_cut ? "incomplete" : "completed";
}

/* The one item of the output, as it is when it begins or when it has ended. */
static cJSON *item_object(const struct endpoint_call *call, const struct reply *reply,
                          bool has_ended)
{
    char id[ENDPOINT_OBJECT_ID_SIZE];
    char call_id[ENDPOINT_OBJECT_ID_SIZE];
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", item_id(id, call, reply));
    cJSON_AddStringToObject(item, "type", words_of(reply)->type);
    cJSON_AddStringToObject(item, "status", status_of(reply, has_ended));
    if (reply->tool != NULL) {
        cJSON_AddStringToObject(item, words_of(reply)->text, has_ended ? reply->text : "");
        cJSON_AddStringToObject(item, "call_id",
                                endpoint_object_id(call_id, "call_", call->bits, 2));
        cJSON_AddStringToObject(item, "name", reply->tool);
        return item;
    }
    cJSON *content = cJSON_AddArrayToObject(item, "content");
    if (has_ended)
        cJSON_AddItemToArray(content, part_object(reply->text));
    cJSON_AddStringToObject(item, "role", "assistant");
    return item;
}

static cJSON *response_object(const struct endpoint_call *call, const struct reply *reply,
                              bool has_ended)
{
    char id[ENDPOINT_OBJECT_ID_SIZE];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", endpoint_object_id(id, "resp_", call->bits, 0));
    cJSON_AddStringToObject(root, "object", "response");
    cJSON_AddNumberToObject(root, "created_at", (double)call->created_s);
    cJSON_AddStringToObject(root, "status", status_of(reply, has_ended));
    cJSON_AddFalseToObject(root, "background");
    cJSON_AddNullToObject(root, "error");
    if (has_ended && reply->is_cut)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "incomplete_details"), "reason",
                                "max_output_tokens");
    else
        cJSON_AddNullToObject(root, "incomplete_details");
    add_echo(root, call, "instructions", "null");
    add_echo(root, call, "max_output_tokens", "null");
    cJSON_AddStringToObject(root, "model", call->model);
    cJSON *output = cJSON_AddArrayToObject(root, "output");
    if (has_ended)
        cJSON_AddItemToArray(output, item_object(call, reply, true));
    add_echo(root, call, "parallel_tool_calls", "true");
    add_echo(root, call, "previous_response_id", "null");
    add_echo(root, call, "reasoning", "{\"effort\": null, \"summary\": null}");
    cJSON_AddStringToObject(root, "service_tier", "default");
    add_echo(root, call, "store", "true");
    add_echo(root, call, "temperature", "1");
    add_echo(root, call, "text", "{\"format\": {\"type\": \"text\"}, \"verbosity\": \"medium\"}");
    add_echo(root, call, "tool_choice", "\"auto\"");
    add_echo(root, call, "tools", "[]");
    add_echo(root, call, "top_p", "1");
    add_echo(root, call, "truncation", "\"disabled\"");
    if (has_ended)
        add_usage(root, call, reply);
    else
        cJSON_AddNullToObject(root, "usage");
    add_echo(root, call, "user", "null");
    add_echo(root, call, "metadata", "{}");
    return root;
}

/* An event that carries the whole response as it stands. */
static void add_state(struct event_stream *stream, const struct endpoint_call *call,
                      const struct reply *reply, const char *event, bool has_ended, int64_t due_ns)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddItemToObject(data, "response", response_object(call, reply, has_ended));
    event_stream_add(stream, due_ns, event, data);
}

static void add_item(struct event_stream *stream, const struct endpoint_call *call,
                     const struct reply *reply, const char *event, bool has_ended, int64_t due_ns)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "output_index", 0);
    cJSON_AddItemToObject(data, "item", item_object(call, reply, has_ended));
    event_stream_add(stream, due_ns, event, data);
}

/* An event about the item: where it stands and, of a message, which part is meant. */
static cJSON *item_event(const struct endpoint_call *call, const struct reply *reply)
{
    char id[ENDPOINT_OBJECT_ID_SIZE];
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "item_id", item_id(id, call, reply));
    cJSON_AddNumberToObject(data, "output_index", 0);
    if (reply->tool == NULL)
        cJSON_AddNumberToObject(data, "content_index", 0);
    return data;
}

static void add_part(struct event_stream *stream, const struct endpoint_call *call,
                     const struct reply *reply, const char *event, const char *text, int64_t due_ns)
{
    cJSON *data = item_event(call, reply);
    cJSON_AddItemToObject(data, "part", part_object(text));
    event_stream_add(stream, due_ns, event, data);
}

static void add_text(struct event_stream *stream, const struct endpoint_call *call,
                     const struct reply *reply, int64_t due_ns)
{
    cJSON *data = item_event(call, reply);
    cJSON_AddStringToObject(data, words_of(reply)->text, reply->text);
    if (reply->tool == NULL)
        cJSON_AddArrayToObject(data, "logprobs");
    else if (reply->tool_kind != TOOL_CUSTOM)
        cJSON_AddStringToObject(data, "name", reply->tool);
    event_stream_add(stream, due_ns, words_of(reply)->done_event, data);
}

/* `random` is where the padding comes from; NULL: there is none. */
static void add_delta(struct event_stream *stream, const struct endpoint_call *call,
                      const struct reply *reply, struct random *random, const char *text,
                      int64_t due_ns)
{
    char padding[OBFUSCATION_STEP];
    cJSON *data = item_event(call, reply);
    cJSON_AddStringToObject(data, "delta", text);
    if (reply->tool == NULL)
        cJSON_AddArrayToObject(data, "logprobs");
    if (random != NULL) {
        obfuscation_make(random, strlen(text), padding);
        cJSON_AddStringToObject(data, "obfuscation", padding);
    }
    event_stream_add(stream, due_ns, words_of(reply)->delta_event, data);
}

/* Returns when the last of them is due. */
static int64_t add_deltas(struct event_stream *stream, const struct endpoint_call *call,
                          const struct reply *reply)
{
    struct random random;
    bool is_padded = endpoint_is_padded(call);
    const char *text = reply->text;
    int64_t step = event_stream_step(reply->tokens);
    int64_t due_ns = call->pace.first_token_ns;
    obfuscation_begin(&random, call->bits);
    for (int64_t token = 0; *text != '\0'; token += step) {
        size_t length = token_estimate_bytes(text, step);
        char *part = strndup(text, length);
        due_ns = pace_due_ns(&call->pace, token);
        add_delta(stream, call, reply, is_padded ? &random : NULL, part != NULL ? part : "",
                  due_ns);
        free(part);
        text += length;
    }
    return due_ns;
}

static void make_stream(struct endpoint_call *call, const struct reply *reply)
{
    struct event_stream stream;
    int64_t begin_ns = call->pace.first_token_ns;
    event_stream_begin(&stream, ANSWER_STREAM_EVENTS);
    add_state(&stream, call, reply, "response.created", false, 0);
    add_state(&stream, call, reply, "response.in_progress", false, 0);
    add_item(&stream, call, reply, "response.output_item.added", false, begin_ns);
    if (reply->tool == NULL)
        add_part(&stream, call, reply, "response.content_part.added", "", begin_ns);
    int64_t end_ns = add_deltas(&stream, call, reply);
    add_text(&stream, call, reply, end_ns);
    if (reply->tool == NULL)
        add_part(&stream, call, reply, "response.content_part.done", reply->text, end_ns);
    add_item(&stream, call, reply, "response.output_item.done", true, end_ns);
    add_state(&stream, call, reply, reply->is_cut ? "response.incomplete" : "response.completed",
              true, end_ns);
    event_stream_end(&stream, call->answer);
}

void endpoint_responses_make(struct endpoint_call *call)
{
    struct reply reply;
    reply_choose(&reply, call->root, call->content, call->tokens_max);
    call->spoken_tokens = reply.tokens;
    if (call->is_streamed) {
        make_stream(call, &reply);
    } else {
        endpoint_answer_json(call, response_object(call, &reply, true));
        call->work_ns = pace_whole_ns(&call->pace, reply.tokens);
    }
    reply_free(&reply);
}
