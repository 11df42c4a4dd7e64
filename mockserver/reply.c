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

/* What is said; tool, text and owned are set. */
static void choose(struct reply *reply, const cJSON *root, const char *content)
{
    const cJSON *function = root != NULL ? choose_function(root, content != NULL) : NULL;
    if (function != NULL)
        reply->owned = schema_example_text(member(function, "parameters"));
    if (reply->owned != NULL)
        reply->tool = text_of(function, "name");
    else if (root != NULL && content == NULL)
        reply->owned = formatted(root);
    reply->text = reply->owned != NULL ? reply->owned
                  : content != NULL    ? content
                                       : COMPLETION_CONTENT;
}

/* Memory that is out is as good as a text of that length. */
static void cut(struct reply *reply, size_t length)
{
    char *text = strndup(reply->text, length);
    free(reply->owned);
    reply->owned = text;
    reply->text = text != NULL ? text : "";
    reply->tokens = token_estimate_reply(reply->text);
    reply->is_cut = true;
}

void reply_choose(struct reply *reply, const cJSON *root, const char *content, int64_t tokens_max)
{
    *reply = (struct reply){0};
    choose(reply, root, content);
    reply->tokens = token_estimate_reply(reply->text);
    if (tokens_max >= 0 && reply->tokens > tokens_max)
        cut(reply, token_estimate_bytes_within(reply->text, tokens_max));
}

void reply_free(struct reply *reply)
{
    free(reply->owned);
    *reply = (struct reply){0};
}
