#include "mockserver/token_estimate.h"

#include <stdbool.h>
#include <string.h>
#include <unistr.h>

int64_t token_estimate_text(const char *text)
{
    return (int64_t)u8_mbsnlen((const uint8_t *)text, strlen(text)) / TOKEN_CHARACTERS;
}

static int64_t part_tokens(const cJSON *part)
{
    static const char *const others[] = {"image_url", "file", "file_id", "file_data", "file_url"};
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(part, "text");
    if (cJSON_IsString(text))
        return token_estimate_text(text->valuestring);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (cJSON_HasObjectItem(part, others[i]))
            return TOKENS_PER_IMAGE;
    }
    return 0;
}

int64_t token_estimate_content(const cJSON *content)
{
    int64_t tokens = 0;
    if (cJSON_IsString(content))
        return token_estimate_text(content->valuestring);
    const cJSON *part;
    if (cJSON_IsArray(content)) {
        cJSON_ArrayForEach (part, content)
            tokens += part_tokens(part);
    }
    return tokens;
}

int64_t token_estimate_reply(const char *text)
{
    return ((int64_t)strlen(text) + TOKEN_CHARACTERS - 1) / TOKEN_CHARACTERS;
}

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Wherever a character is cut. */
static size_t bytes_of(const char *text, int64_t count)
{
    bool is_more_than_any = count > INT64_MAX / TOKEN_CHARACTERS;
    return strnlen(text, is_more_than_any ? SIZE_MAX : (size_t)count * TOKEN_CHARACTERS);
}

size_t token_estimate_bytes(const char *text, int64_t count)
{
    size_t bytes = bytes_of(text, count);
    while (continues_character(text[bytes]))
        bytes++;
    return bytes;
}

size_t token_estimate_bytes_within(const char *text, int64_t count)
{
    size_t bytes = bytes_of(text, count);
    while (bytes > 0 && continues_character(text[bytes]))
        bytes--;
    return bytes;
}
