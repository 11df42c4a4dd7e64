#include "base/duration.h"

#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {
    {"d", NS_PER_DAY}, {"h", NS_PER_HOUR}, {"m", NS_PER_MINUTE}, {"s", NS_PER_S}, {"ms", NS_PER_MS},
    {"us", NS_PER_US}, {"ns", 1},
};

enum { UNIT_COUNT = sizeof units / sizeof units[0] };

static bool read_unit(const char **text, size_t *index)
{
    size_t length = 0;
    while (isalpha((unsigned char)(*text)[length]))
        length++;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (strlen(units[i].name) == length && strncmp(units[i].name, *text, length) == 0) {
            *text += length;
            *index = i;
            return true;
        }
    }
    return false;
}

/* One part, such as "1.5s". The unit comes after the digits, so the digits are read twice. */
static bool read_part(const char **text, size_t *unit_index, int64_t *ns)
{
    const char *digits = *text;
    const char *end = digits;
    while (isdigit((unsigned char)*end))
        end++;
    if (end == digits)
        return false;
    const char *fraction = NULL;
    if (*end == '.') {
        fraction = ++end;
        while (isdigit((unsigned char)*end))
            end++;
        if (end == fraction)
            return false;
    }
    const char *unit_text = end;
    if (!read_unit(&end, unit_index))
        return false;

    int64_t unit_ns = units[*unit_index].ns;
    int64_t whole = 0;
    for (; isdigit((unsigned char)*digits); digits++) {
        whole = whole * 10 + (*digits - '0');
        if (whole > DURATION_NS_MAX / unit_ns)
            return false;
    }
    *ns = whole * unit_ns;
    if (fraction != NULL) {
        int64_t digit_ns = unit_ns;
        for (; fraction < unit_text; fraction++) {
            /* Digits below a nanosecond are dropped; those of "m" and "h" divide evenly enough
             * because every unit above ns is a multiple of a power of ten times 36. */
            *ns += (*fraction - '0') * digit_ns / 10;
            digit_ns /= 10;
        }
    }
    *text = end;
    return true;
}

bool duration_parse(const char *text, int64_t *ns)
{
    int64_t total = 0;
    size_t previous_unit = 0;
    bool first = true;
    if (*text == '\0')
        return false;
    while (*text != '\0') {
        size_t unit_index = 0;
        int64_t part_ns = 0;
        if (!read_part(&text, &unit_index, &part_ns))
            return false;
        if (!first && unit_index <= previous_unit)
            return false;
        if (total > DURATION_NS_MAX - part_ns)
            return false;
        total += part_ns;
        previous_unit = unit_index;
        first = false;
    }
    *ns = total;
    return true;
}

/* "." and three digits of milliseconds, without zeros at the end. */
static char *put_fraction(char *end, int64_t ms)
{
    if (ms == 0)
        return end;
    *end++ = '.';
    for (int64_t digit = 100; ms > 0; digit /= 10) {
        *end++ = (char)('0' + ms / digit);
        ms %= digit;
    }
    return end;
}

/* Put together by hand: every answer has several. */
const char *duration_go(int64_t ns, char text[DURATION_TEXT_SIZE])
{
    int64_t ms = (ns < 0 ? -ns : ns) / NS_PER_MS;
    char *end = text;
    if (ns < 0 && ms > 0)
        *end++ = '-';
    if (ms > 0 && ms < 1000) {
        end += text_whole(end, ms);
        *end++ = 'm';
    } else {
        int64_t hours = ms / 3600000;
        int64_t minutes = ms / 60000 % 60;
        if (hours > 0) {
            end += text_whole(end, hours);
            *end++ = 'h';
        }
        if (hours > 0 || minutes > 0) {
            end += text_whole(end, minutes);
            *end++ = 'm';
        }
        end += text_whole(end, ms / 1000 % 60);
        end = put_fraction(end, ms % 1000);
    }
    *end++ = 's';
    *end = '\0';
    return text;
}

const char *duration_text(int64_t ns, char text[DURATION_TEXT_SIZE])
{
    const char *sign = ns < 0 ? "-" : "";
    int64_t magnitude = ns < 0 ? -ns : ns;
    if (magnitude % NS_PER_MS == 0)
        return duration_go(ns, text);
    if (magnitude < NS_PER_US)
        snprintf(text, DURATION_TEXT_SIZE, "%s%" PRId64 "ns", sign, magnitude);
    else if (magnitude < NS_PER_MS)
        snprintf(text, DURATION_TEXT_SIZE, "%s%" PRId64 "us", sign, magnitude / NS_PER_US);
    else if (magnitude < NS_PER_S)
        snprintf(text, DURATION_TEXT_SIZE, "%s%" PRId64 ".%" PRId64 "ms", sign,
                 magnitude / NS_PER_MS, magnitude / (NS_PER_MS / 10) % 10);
    else if (magnitude < NS_PER_MINUTE)
        snprintf(text, DURATION_TEXT_SIZE, "%s%" PRId64 ".%03" PRId64 "s", sign,
                 magnitude / NS_PER_S, magnitude / NS_PER_MS % 1000);
    else
        return duration_go(ns, text);
    return text;
}
