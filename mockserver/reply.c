#include "mockserver/reply.h"

#include "mockserver/completion.h"
#include "mockserver/schema_example.h"
#include "mockserver/stop_sequences.h"
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

/* What a custom tool is given is free text: of a grammar nothing is known. */
static char *call_text(const struct tool *tool)
{
    return tool->kind == TOOL_CUSTOM ? strdup("test") : schema_example_text(tool->parameters);
}

/* What is said; tool, text and owned are set. */
static void choose(struct reply *reply, const cJSON *root, const char *content)
{
    struct tool tool = {.name = NULL};
    if (root != NULL && tool_choice_find(root, content != NULL, &tool))
        reply->owned = call_text(&tool);
    if (reply->owned != NULL) {
        reply->tool = tool.name;
        reply->tool_kind = tool.kind;
    } else if (root != NULL && content == NULL) {
        reply->owned = formatted(root);
    }
    reply->text = reply->owned != NULL ? reply->owned
                  : content != NULL    ? content
                                       : COMPLETION_CONTENT;
}

/* Memory that is out is as good as a text of that length. */
static void cut(struct reply *reply, size_t length, bool is_cut)
{
    char *text = strndup(reply->text, length);
    free(reply->owned);
    reply->owned = text;
    reply->text = text != NULL ? text : "";
    reply->tokens = token_estimate_reply(reply->text);
    reply->is_cut = is_cut;
}

void reply_choose(struct reply *reply, const cJSON *root, const char *content, int64_t tokens_max)
{
    *reply = (struct reply){0};
    choose(reply, root, content);
    reply->tokens = token_estimate_reply(reply->text);
    if (tokens_max >= 0 && reply->tokens > tokens_max)
        cut(reply, token_estimate_bytes_within(reply->text, tokens_max), true);
}

void reply_end_before(struct reply *reply, const cJSON *stop)
{
    size_t length = stop_sequences_find(stop, reply->text);
    if (reply->tool == NULL && reply->text[length] != '\0')
        cut(reply, length, false);
}

void reply_free(struct reply *reply)
{
    free(reply->owned);
    *reply = (struct reply){0};
}
