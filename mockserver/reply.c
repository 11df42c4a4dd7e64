#include "mockserver/reply.h"

#include "mockserver/completion.h"
#include "mockserver/schema_example.h"
#include "mockserver/token_estimate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* A function stands in "function" in chat completions, and in the tool itself in responses. */
static const cJSON *function_of(const cJSON *tool)
{
    if (strcmp(text_of(tool, "type"), "function") != 0)
        return NULL;
    const cJSON *function = member(tool, "function");
    return cJSON_IsObject(function) ? function : tool;
}

/* The first function of this name, or the first at all where `name` is "". */
static const cJSON *find_function(const cJSON *tools, const char *name)
{
    const cJSON *tool;
    cJSON_ArrayForEach (tool, tools) {
        const cJSON *function = function_of(tool);
        const char *found = text_of(function, "name");
        if (found[0] != '\0' && (name[0] == '\0' || strcmp(name, found) == 0))
            return function;
    }
    return NULL;
}

/* Whether what came last in the conversation is what a tool has found. */
static bool tool_has_answered(const cJSON *root)
{
    const cJSON *items = member(root, "messages");
    if (items == NULL)
        items = member(root, "input");
    int count = cJSON_IsArray(items) ? cJSON_GetArraySize(items) : 0;
    const cJSON *last = cJSON_GetArrayItem(items, count - 1);
    return strcmp(text_of(last, "role"), "tool") == 0 ||
           strcmp(text_of(last, "type"), "function_call_output") == 0;
}

static const cJSON *choose_function(const cJSON *root, bool has_content)
{
    const cJSON *tools = member(root, "tools");
    const cJSON *choice = member(root, "tool_choice");
    if (cJSON_IsObject(choice)) {
        const cJSON *function = function_of(choice);
        return find_function(tools, text_of(function, "name"));
    }
    const char *word = cJSON_IsString(choice) ? choice->valuestring : "auto";
    if (strcmp(word, "none") == 0)
        return NULL;
    if (strcmp(word, "required") != 0 && (has_content || tool_has_answered(root)))
        return NULL;
    return find_function(tools, "");
}

/* The schema stands in response_format.json_schema.schema, or in text.format.schema. */
static char *formatted(const cJSON *root)
{
    const cJSON *format = member(root, "response_format");
    if (format == NULL)
        format = member(member(root, "text"), "format");
    const char *type = text_of(format, "type");
    if (strcmp(type, "json_object") == 0)
        return strdup("{}");
    if (strcmp(type, "json_schema") != 0)
        return NULL;
    const cJSON *inner = member(format, "json_schema");
    return schema_example_text(member(inner != NULL ? inner : format, "schema"));
}

void reply_choose(struct reply *reply, const cJSON *root, const char *content)
{
    *reply = (struct reply){0};
    if (root == NULL) { /* nothing but text was asked for */
        reply->content = strdup(content != NULL ? content : COMPLETION_CONTENT);
        return;
    }
    const cJSON *function = choose_function(root, content != NULL);
    if (function != NULL) {
        reply->tool = strdup(text_of(function, "name"));
        reply->arguments = schema_example_text(member(function, "parameters"));
        if (reply->tool != NULL && reply->arguments != NULL)
            return;
        reply_free(reply);
    }
    reply->content = content != NULL ? strdup(content) : formatted(root);
    if (reply->content == NULL)
        reply->content = strdup(COMPLETION_CONTENT);
}

void reply_free(struct reply *reply)
{
    free(reply->content);
    free(reply->tool);
    free(reply->arguments);
    *reply = (struct reply){0};
}

void reply_cut(struct reply *reply, int64_t tokens_max)
{
    char *text = reply->tool != NULL ? reply->arguments : reply->content;
    if (text == NULL || tokens_max < 0)
        return;
    size_t length = token_estimate_bytes_within(text, tokens_max);
    reply->is_cut = text[length] != '\0';
    text[length] = '\0';
}

const char *reply_text(const struct reply *reply)
{
    return reply->tool != NULL ? reply->arguments : reply->content;
}

int64_t reply_tokens(const struct reply *reply)
{
    const char *text = reply_text(reply);
    return text != NULL ? token_estimate_reply(text) : 0;
}
