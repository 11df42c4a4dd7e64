#include "mockserver/tool_choice.h"

#include "base/text.h"
#include "mockserver/endpoint.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 400, WORD_SIZE = 129 /* twice what a name may have, and a NUL */ };

enum mode { MODE_NONE, MODE_AUTO, MODE_REQUIRED, MODE_UNKNOWN };

struct choice {
    const char *param;       /* where it stands */
    const char *tools_param; /* where the tools do */
    const cJSON *said;       /* or NULL */
    const cJSON *tools;      /* that are offered, or NULL */
    enum mode mode;
    const cJSON *named;   /* says which one; or NULL */
    const cJSON *allowed; /* say which ones; NULL: all */
    bool is_legacy;
};

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    return item != NULL && cJSON_IsString(item) ? item->valuestring : "";
}

static bool is_chat(const cJSON *root)
{
    return member(root, "messages") != NULL;
}

/* Stands under the name of its type in chats, and in the object itself in responses. */
static const cJSON *definition_of(const cJSON *object)
{
    const cJSON *inner = member(object, text_of(object, "type"));
    return cJSON_IsObject(inner) ? inner : object;
}

static const char *name_of(const cJSON *tool)
{
    return text_of(definition_of(tool), "name");
}

/* One of those from `first` to `last`. */
static enum mode mode_of(const char *word, enum mode first, enum mode last)
{
    static const char *const words[] = {
        [MODE_NONE] = "none", [MODE_AUTO] = "auto", [MODE_REQUIRED] = "required"};
    for (enum mode mode = first; mode <= last; mode++) {
        if (strcmp(words[mode], word) == 0)
            return mode;
    }
    return MODE_UNKNOWN;
}

static struct choice choice_of(const cJSON *root, bool is_legacy)
{
    struct choice choice = {
        .param = is_legacy ? "function_call" : "tool_choice",
        .tools_param = is_legacy ? "functions" : "tools",
        .mode = MODE_AUTO,
        .is_legacy = is_legacy,
    };
    choice.said = member(root, choice.param);
    choice.tools = member(root, choice.tools_param);
    if (cJSON_IsString(choice.said)) {
        choice.mode =
            mode_of(choice.said->valuestring, MODE_NONE, is_legacy ? MODE_AUTO : MODE_REQUIRED);
    } else if (strcmp(text_of(choice.said, "type"), "allowed_tools") == 0) {
        choice.mode =
            mode_of(text_of(definition_of(choice.said), "mode"), MODE_AUTO, MODE_REQUIRED);
        choice.allowed = member(definition_of(choice.said), "tools");
    } else if (cJSON_IsObject(choice.said)) {
        choice.mode = MODE_REQUIRED;
        choice.named = choice.said;
    }
    return choice;
}

/* Those that OpenAI runs itself have other types, legacy functions have none. */
static bool has_known_type(const struct choice *choice, const cJSON *tool)
{
    const char *type = text_of(tool, "type");
    return choice->is_legacy || strcmp(type, "function") == 0 || strcmp(type, "custom") == 0;
}

static bool is_callable(const struct choice *choice, const cJSON *tool)
{
    return has_known_type(choice, tool) && name_of(tool)[0] != '\0';
}

static bool is_meant(const cJSON *reference, const cJSON *tool)
{
    return strcmp(text_of(reference, "type"), text_of(tool, "type")) == 0 &&
           strcmp(name_of(reference), name_of(tool)) == 0;
}

static bool is_allowed(const struct choice *choice, const cJSON *tool)
{
    if (choice->named != NULL)
        return is_meant(choice->named, tool);
    const cJSON *reference;
    cJSON_ArrayForEach (reference, choice->allowed) {
        if (is_meant(reference, tool))
            return true;
    }
    return choice->allowed == NULL;
}

static const cJSON *first_allowed(const struct choice *choice)
{
    const cJSON *tool;
    cJSON_ArrayForEach (tool, choice->tools) {
        if (is_callable(choice, tool) && is_allowed(choice, tool))
            return tool;
    }
    return NULL;
}

/* Whether what came last in the conversation is what a tool has found. */
static bool tool_has_answered(const cJSON *root)
{
    const cJSON *items = member(root, is_chat(root) ? "messages" : "input");
    int count = cJSON_IsArray(items) ? cJSON_GetArraySize(items) : 0;
    const cJSON *last = cJSON_GetArrayItem(items, count - 1);
    const char *role = text_of(last, "role");
    const char *type = text_of(last, "type");
    return strcmp(role, "tool") == 0 || strcmp(role, "function") == 0 ||
           strstr(type, "_output") != NULL; /* function_call_output and its like */
}

bool tool_choice_find(const cJSON *root, bool has_content, struct tool *tool)
{
    bool is_legacy = is_chat(root) && member(root, "tools") == NULL;
    struct choice choice = choice_of(root, is_legacy);
    if (choice.mode == MODE_NONE)
        return false;
    if (choice.mode != MODE_REQUIRED && (has_content || tool_has_answered(root)))
        return false;
    const cJSON *found = first_allowed(&choice);
    if (found == NULL)
        return false;
    bool is_custom = strcmp(text_of(found, "type"), "custom") == 0;
    tool->kind = is_legacy ? TOOL_LEGACY_FUNCTION : is_custom ? TOOL_CUSTOM : TOOL_FUNCTION;
    tool->name = name_of(found);
    tool->parameters = member(definition_of(found), "parameters");
    return true;
}

/* ---- refusals ---- */

static bool has_items(const cJSON *list)
{
    return list != NULL && cJSON_IsArray(list) && list->child != NULL;
}

static bool refuse_mode(struct endpoint_call *call, const struct choice *choice)
{
    char message[MESSAGE_SIZE];
    char word[WORD_SIZE];
    const char *known = choice->is_legacy ? "'none' and 'auto'" : "'none', 'auto', and 'required'";
    if (cJSON_IsObject(choice->said)) {
        known = "'auto' and 'required'";
        text_copy_utf8(word, sizeof word, text_of(definition_of(choice->said), "mode"));
    } else {
        text_copy_utf8(word, sizeof word, choice->said->valuestring);
    }
    snprintf(message, sizeof message, "Invalid value: '%s'. Supported values are: %s.", word,
             known);
    return endpoint_refuse(call->answer, 400, message, "invalid_value", choice->param);
}

static bool refuse_without_tools(struct endpoint_call *call, const struct choice *choice)
{
    char message[MESSAGE_SIZE] = "Tool choice 'required' must be specified with 'tools' parameter.";
    if (is_chat(call->root))
        snprintf(message, sizeof message,
                 "Invalid value for '%s': '%s' is only allowed when '%s' are specified.",
                 choice->param, choice->param, choice->tools_param);
    return endpoint_refuse(call->answer, 400, message, NULL, choice->param);
}

static bool refuse_reference(struct endpoint_call *call, const struct choice *choice,
                             const cJSON *reference)
{
    char message[MESSAGE_SIZE];
    char name[WORD_SIZE];
    const char *type = text_of(reference, "type");
    text_copy_utf8(name, sizeof name, name_of(reference));
    if (is_chat(call->root))
        snprintf(message, sizeof message,
                 "Invalid value for '%s': no %s named '%s' was specified in the '%s' parameter.",
                 choice->param, strcmp(type, "custom") == 0 ? "custom tool" : "function", name,
                 choice->tools_param);
    else
        snprintf(message, sizeof message, "Tool choice '%s' not found in 'tools' parameter.", type);
    return endpoint_refuse(call->answer, 400, message, NULL, choice->param);
}

static bool check_reference(struct endpoint_call *call, const struct choice *choice,
                            const cJSON *reference)
{
    if (!has_known_type(choice, reference))
        return !is_chat(call->root) || endpoint_refuse_missing(call, "tool_choice.function");
    const cJSON *tool;
    cJSON_ArrayForEach (tool, choice->tools) {
        if (is_callable(choice, tool) && is_meant(reference, tool))
            return true;
    }
    return refuse_reference(call, choice, reference);
}

static bool check_allowed(struct endpoint_call *call, const struct choice *choice)
{
    if (!has_items(choice->allowed))
        return endpoint_refuse(call->answer, 400,
                               "Invalid 'tool_choice': expected an array of allowed tools with "
                               "minimum length 1.",
                               "invalid_value", choice->param);
    const cJSON *reference;
    cJSON_ArrayForEach (reference, choice->allowed) {
        if (!check_reference(call, choice, reference))
            return false;
    }
    return true;
}

/* In the words that OpenAI has for arrays that are too long. */
static bool check_count(struct endpoint_call *call, const cJSON *list, const char *param)
{
    int count = cJSON_GetArraySize(list);
    if (count <= TOOLS_MAX)
        return true;
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message,
             "Invalid '%s': array too long. Expected an array with maximum length %d, but got an "
             "array with length %d instead.",
             param, TOOLS_MAX, count);
    return endpoint_refuse(call->answer, 400, message, "array_above_max_length", param);
}

static bool check(struct endpoint_call *call, bool is_legacy)
{
    const struct choice choice = choice_of(call->root, is_legacy);
    if (!check_count(call, choice.tools, choice.tools_param) ||
        !check_count(call, choice.allowed, choice.param))
        return false;
    if (choice.said == NULL)
        return true;
    bool is_object = cJSON_IsObject(choice.said);
    if (!is_object && !cJSON_IsString(choice.said))
        return endpoint_refuse_type(call, choice.param, "one of a string or object", choice.said);
    if (choice.mode == MODE_UNKNOWN)
        return refuse_mode(call, &choice);
    bool has_tools = has_items(choice.tools);
    bool has_others = member(call->root, "prompt") != NULL; /* a stored one may bring them */
    bool needs_tools =
        is_chat(call->root) || (choice.mode == MODE_REQUIRED && !is_object && !has_others);
    if (needs_tools && !has_tools)
        return refuse_without_tools(call, &choice);
    if (choice.named != NULL)
        return check_reference(call, &choice, choice.named);
    return !is_object || check_allowed(call, &choice);
}

bool tool_choice_read(struct endpoint_call *call)
{
    return check(call, false) && (!is_chat(call->root) || check(call, true));
}
