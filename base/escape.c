#include "base/escape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistr.h>
#include <uniwidth.h>

enum { REPLACEMENT = 0xFFFD, DELETE = 0x7F };

/* One character, or one byte that is no UTF-8 (then *valid is false). Returns its bytes. */
static size_t take(const char *text, size_t length, ucs4_t *character, bool *valid)
{
    int taken = u8_mbtoucr(character, (const uint8_t *)text, length);
    *valid = taken > 0;
    if (*valid)
        return (size_t)taken;
    *character = REPLACEMENT;
    return 1;
}

static void put_utf8(FILE *stream, ucs4_t character)
{
    uint8_t bytes[6];
    int length = u8_uctomb(bytes, character, sizeof bytes);
    if (length > 0)
        fwrite(bytes, 1, (size_t)length, stream);
}

static bool is_control(ucs4_t character)
{
    return character < 0x20 || (character >= DELETE && character < 0xA0);
}

/* Characters that change the order in which others are shown can make a line read as another. */
static bool turns_text(ucs4_t character)
{
    return character == 0x061C || character == 0x200E || character == 0x200F ||
           (character >= 0x2028 && character <= 0x202E) ||
           (character >= 0x2066 && character <= 0x2069) || character == 0xFEFF;
}

static void put_terminal(FILE *stream, ucs4_t character, bool unicode)
{
    if (character == '\n')
        fputs("\\n", stream);
    else if (character == '\r')
        fputs("\\r", stream);
    else if (character == '\t')
        fputs("    ", stream);
    else if (is_control(character))
        fprintf(stream, "\\x%02" PRIx32, (uint32_t)character);
    else if (character < DELETE)
        fputc((int)character, stream);
    else if (!unicode || turns_text(character) || uc_width(character, "UTF-8") < 0)
        fprintf(stream, "\\u{%" PRIx32 "}", (uint32_t)character);
    else
        put_utf8(stream, character);
}

char *escape_terminal(const char *text, size_t length, bool unicode)
{
    char *escaped = NULL;
    size_t escaped_length = 0;
    FILE *stream = open_memstream(&escaped, &escaped_length);
    if (stream == NULL)
        return NULL;
    for (size_t i = 0; i < length;) {
        ucs4_t character = 0;
        bool valid = false;
        size_t taken = take(text + i, length - i, &character, &valid);
        if (valid)
            put_terminal(stream, character, unicode);
        else
            fprintf(stream, "\\x%02x", (unsigned)(unsigned char)text[i]);
        i += taken;
    }
    if (fclose(stream) == 0)
        return escaped;
    free(escaped);
    return NULL;
}

char *escape_utf8(const char *text, size_t length)
{
    char *escaped = NULL;
    size_t escaped_length = 0;
    FILE *stream = open_memstream(&escaped, &escaped_length);
    if (stream == NULL)
        return NULL;
    for (size_t i = 0; i < length;) {
        ucs4_t character = 0;
        bool valid = false;
        i += take(text + i, length - i, &character, &valid);
        put_utf8(stream, character == 0 ? REPLACEMENT : character);
    }
    if (fclose(stream) == 0)
        return escaped;
    free(escaped);
    return NULL;
}

/* XML 1.0 (fifth edition), 2.2: what a document may hold. */
static ucs4_t xml_character(ucs4_t character)
{
    enum { CONTROL_PICTURES = 0x2400, PICTURE_OF_DELETE = 0x2421 };
    if (character == '\n' || character == '\t')
        return character;
    if (character < 0x20)
        return CONTROL_PICTURES + character;
    if (character == DELETE)
        return PICTURE_OF_DELETE;
    bool allowed = !is_control(character) && !turns_text(character) && character != 0xFFFE &&
                   character != 0xFFFF;
    return allowed ? character : REPLACEMENT;
}

void escape_xml(FILE *stream, const char *text, size_t length, bool is_attribute)
{
    for (size_t i = 0; i < length;) {
        ucs4_t character = 0;
        bool valid = false;
        i += take(text + i, length - i, &character, &valid);
        bool ends_line = character == '\r' && i < length && text[i] == '\n';
        if (ends_line)
            continue; /* of CR LF the LF is enough */
        character = xml_character(character);
        if (character == '&')
            fputs("&amp;", stream);
        else if (character == '<')
            fputs("&lt;", stream);
        else if (character == '>')
            fputs("&gt;", stream); /* "]]>" may not stand in text */
        else if (character == '"')
            fputs("&quot;", stream);
        else if (character == '\'')
            fputs("&#39;", stream);
        else if (is_attribute && (character == '\n' || character == '\t'))
            fprintf(stream, "&#%u;", (unsigned)character);
        else
            put_utf8(stream, character);
    }
}

void escape_quoted(FILE *stream, const char *text, size_t length)
{
    fputc('"', stream);
    for (size_t i = 0; i < length;) {
        ucs4_t character = 0;
        bool valid = false;
        i += take(text + i, length - i, &character, &valid);
        bool is_hidden = is_control(character) || turns_text(character) || character == 0xFFFE ||
                         character == 0xFFFF;
        if (character == '"' || character == '\\')
            fprintf(stream, "\\%c", (char)character);
        else if (character == '\n')
            fputs("\\n", stream);
        else if (is_hidden)
            fprintf(stream, "\\u%04" PRIx32, (uint32_t)character);
        else
            put_utf8(stream, character);
    }
    fputc('"', stream);
}
