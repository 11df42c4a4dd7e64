#include "client/retry_after.h"

#include "base/duration.h"

#include <curl/curl.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* value * 10 + digit, staying at `most` once it got there. */
static int64_t append_digit(int64_t value, int digit, int64_t most)
{
    return value > (most - digit) / 10 ? most : value * 10 + digit;
}

/* Reads digits with an optional fraction as a multiple of unit_ns. strtod would take hexadecimal,
 * exponents, "inf" and the decimal point of the locale, none of which a header has. */
static bool read_decimal(const char *text, int64_t unit_ns, int64_t *ns)
{
    int64_t whole = 0;
    int64_t fraction_ns = 0;
    int64_t digit_ns = unit_ns;
    bool has_digits = false;
    bool round_up = false;
    while (is_blank(*text))
        text++;
    for (; is_digit(*text); text++, has_digits = true)
        whole = append_digit(whole, *text - '0', DURATION_NS_MAX / unit_ns);
    if (*text == '.') {
        for (text++; is_digit(*text); text++, has_digits = true) {
            digit_ns /= 10;
            fraction_ns += (*text - '0') * digit_ns;
            round_up |= digit_ns == 0 && *text != '0';
        }
    }
    while (is_blank(*text))
        text++;
    if (!has_digits || *text != '\0')
        return false;
    int64_t total_ns = whole * unit_ns + fraction_ns + (round_up ? 1 : 0);
    *ns = total_ns > DURATION_NS_MAX ? DURATION_NS_MAX : total_ns;
    return true;
}

/* curl_getdate takes "20300101" and "6 Nov" too; what HTTP calls a date starts with the name of a
 * day and has a time in it. */
static bool looks_like_http_date(const char *text)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    if (strchr(text, ':') == NULL)
        return false;
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        if (strncasecmp(text, days[i], 3) == 0)
            return true;
    }
    return false;
}

static bool read_date(const char *text, int64_t wall_now_s, int64_t *ns)
{
    while (is_blank(*text))
        text++;
    if (!looks_like_http_date(text))
        return false;
    time_t at_s = curl_getdate(text, NULL);
    if (at_s == -1 || at_s < wall_now_s)
        return false;
    int64_t wait_s = at_s - wall_now_s;
    *ns = wait_s > DURATION_NS_MAX / NS_PER_S ? DURATION_NS_MAX : wait_s * NS_PER_S;
    return true;
}

bool retry_after_read(const char *retry_after_ms, const char *retry_after, int64_t wall_now_s,
                      int64_t *wait_ns)
{
    if (retry_after_ms != NULL && read_decimal(retry_after_ms, NS_PER_MS, wait_ns))
        return true;
    if (retry_after == NULL)
        return false;
    return read_decimal(retry_after, NS_PER_S, wait_ns) ||
           read_date(retry_after, wall_now_s, wait_ns);
}
