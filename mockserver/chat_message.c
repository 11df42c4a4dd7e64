#include "mockserver/chat_message.h"

#include <stdio.h>
#include <string.h>

enum { PLACE_SIZE = 64 };

/* The order is that of OpenAI's own message. */
static const char *const roles[] = {"system", "assistant", "user", "function",
                                    "tool",   "developer", NULL};

/* A model may have said nothing but calls of tools, and a function may have had nothing to say. */
static bool may_lack_content(const char *role)
{
    return strcmp(role, "assistant") == 0 || strcmp(role, "function") == 0;
}

bool chat_message_check(struct endpoint_call *call, const cJSON *message, size_t index)
{
    char place[PLACE_SIZE];
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    snprintf(place, sizeof place, "messages[%zu].role", index);
    if (!endpoint_check_word(call, role, place, roles))
        return false;
    if (cJSON_IsString(content) || cJSON_IsArray(content))
        return true;
    if ((content == NULL || cJSON_IsNull(content)) && may_lack_content(role->valuestring))
        return true;
    snprintf(place, sizeof place, "messages[%zu].content", index);
    if (content == NULL)
        return endpoint_refuse_missing(call, place);
    return endpoint_refuse_type(call, place, "one of a string or array of objects", content);
}
