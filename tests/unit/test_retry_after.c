#include "client/retry_after.h"

#include "base/duration.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* 2026-01-01T00:00:00Z, a Thursday */
#define NOW_S INT64_C(1767225600)

enum { NONE = -1 };

static int64_t read_both(const char *retry_after_ms, const char *retry_after)
{
    int64_t wait_ns = NONE;
    bool is_read = retry_after_read(retry_after_ms, retry_after, NOW_S, &wait_ns);
    assert_int_equal(is_read, wait_ns != NONE); /* untouched exactly when nothing was asked */
    return wait_ns;
}

static int64_t read_ms(const char *text)
{
    return read_both(text, NULL);
}

static int64_t read_s(const char *text)
{
    return read_both(NULL, text);
}

static void reads_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(read_ms("1500"), 1500 * NS_PER_MS);
    assert_int_equal(read_ms("1500.5"), 1500 * NS_PER_MS + 500 * NS_PER_US);
    assert_int_equal(read_ms("0.25"), 250 * NS_PER_US);
    assert_int_equal(read_ms(" 20\t"), 20 * NS_PER_MS);
}

static void reads_seconds(void **state)
{
    (void)state;
    assert_int_equal(read_s("56"), 56 * NS_PER_S);
    assert_int_equal(read_s("1.5"), 1500 * NS_PER_MS);
    assert_int_equal(read_s(".5"), 500 * NS_PER_MS);
    assert_int_equal(read_s("5."), 5 * NS_PER_S);
    assert_int_equal(read_s("007"), 7 * NS_PER_S);
    assert_int_equal(read_s("0"), 0);
    assert_int_equal(read_s("18.642"), 18642 * NS_PER_MS);
}

static void never_rounds_down(void **state)
{
    (void)state;
    assert_int_equal(read_s("0.0000000001"), 1);
    assert_int_equal(read_s("1.0000000001"), NS_PER_S + 1);
    assert_int_equal(read_s("1.0000000000000"), NS_PER_S);
    assert_int_equal(read_ms("0.0000001"), 1);
}

static void reads_the_three_forms_of_dates(void **state)
{
    (void)state;
    assert_int_equal(read_s("Thu, 01 Jan 2026 00:00:20 GMT"), 20 * NS_PER_S);    /* IMF-fixdate */
    assert_int_equal(read_s("Thursday, 01-Jan-26 00:01:00 GMT"), 60 * NS_PER_S); /* RFC 850 */
    assert_int_equal(read_s("Thu Jan  1 01:00:00 2026"), NS_PER_HOUR);           /* asctime */
    assert_int_equal(read_s("  Thu, 01 Jan 2026 00:00:20 GMT"), 20 * NS_PER_S);
}

static void takes_a_date_that_is_now_as_no_wait(void **state)
{
    (void)state;
    assert_int_equal(read_s("Thu, 01 Jan 2026 00:00:00 GMT"), 0);
}

static void takes_a_past_date_as_absent(void **state)
{
    (void)state;
    assert_int_equal(read_s("Wed, 31 Dec 2025 23:59:59 GMT"), NONE);
    assert_int_equal(read_s("Sun, 06 Nov 1994 08:49:37 GMT"), NONE);
    assert_int_equal(read_s("Wed, 31 Dec 1969 23:59:59 GMT"), NONE); /* -1 is curl's failure too */
}

static void takes_what_is_no_date_as_absent(void **state)
{
    (void)state;
    /* curl_getdate alone would read these. */
    assert_int_equal(read_s("20300101"), 20300101 * NS_PER_S); /* seconds, not the year 2030 */
    assert_int_equal(read_s("2030-01-01"), NONE);
    assert_int_equal(read_s("01 Jan 2030"), NONE);
    assert_int_equal(read_s("Tue, 01 Jan 2030"), NONE);
    assert_int_equal(read_s("Thu, 45 Foo 2026 00:00:20 GMT"), NONE);
    assert_int_equal(read_s("Thu: tomorrow"), NONE);
}

static void takes_garbage_as_absent(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",    " ",     ".",     "-1",   "-0.5", "+1",       "NaN", "nan",   "inf",  "Infinity",
        "0x1", "0x1p3", "1e3",   "1s",   "6m0s", "1,5",      "1 2", "1.2.3", "soon", "1\r\n",
        "--1", "1_000", "1;q=2", "\xff", "null", "\xd9\xa1", "1/2", "0b1",   "1.-5", "- 1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (read_ms(texts[i]) != NONE || read_s(texts[i]) != NONE)
            fail_msg("\"%s\" was read", texts[i]);
    }
}

static void takes_absent_headers_as_absent(void **state)
{
    (void)state;
    assert_int_equal(read_both(NULL, NULL), NONE);
}

static void prefers_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(read_both("250", "7"), 250 * NS_PER_MS);
    assert_int_equal(read_both("0", "7"), 0);
    assert_int_equal(read_both("250", "Thu, 01 Jan 2026 00:00:20 GMT"), 250 * NS_PER_MS);
}

static void falls_back_from_milliseconds_that_cannot_be_read(void **state)
{
    (void)state;
    assert_int_equal(read_both("soon", "7"), 7 * NS_PER_S);
    assert_int_equal(read_both("-5", "7"), 7 * NS_PER_S);
    assert_int_equal(read_both("", "Thu, 01 Jan 2026 00:00:20 GMT"), 20 * NS_PER_S);
}

static void cuts_what_is_too_long(void **state)
{
    (void)state;
    /* Absent would mean the client comes back early, overflow that it comes back at once. */
    assert_int_equal(read_s("315360000"), DURATION_NS_MAX);
    assert_int_equal(read_s("315359999.9"), DURATION_NS_MAX - 100 * NS_PER_MS);
    assert_int_equal(read_s("315360000.5"), DURATION_NS_MAX);
    assert_int_equal(read_s("9223372036854775807"), DURATION_NS_MAX);
    assert_int_equal(read_s("99999999999999999999999999999999999999999"), DURATION_NS_MAX);
    assert_int_equal(read_ms("99999999999999999999999999999999999999999"), DURATION_NS_MAX);
    assert_int_equal(read_s("Fri, 01 Jan 9999 00:00:00 GMT"), DURATION_NS_MAX);
    assert_int_equal(read_s("198300"), 198300 * NS_PER_S); /* earendil-works/pi#3671 */
}

static void does_not_depend_on_the_locale(void **state)
{
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL)
        skip(); /* a machine without such a locale */
    assert_int_equal(read_s("1.5"), 1500 * NS_PER_MS);
    assert_int_equal(read_s("1,5"), NONE);
    assert_int_equal(read_s("Thu, 01 Jan 2026 00:00:20 GMT"), 20 * NS_PER_S);
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_milliseconds),
        cmocka_unit_test(reads_seconds),
        cmocka_unit_test(never_rounds_down),
        cmocka_unit_test(reads_the_three_forms_of_dates),
        cmocka_unit_test(takes_a_date_that_is_now_as_no_wait),
        cmocka_unit_test(takes_a_past_date_as_absent),
        cmocka_unit_test(takes_what_is_no_date_as_absent),
        cmocka_unit_test(takes_garbage_as_absent),
        cmocka_unit_test(takes_absent_headers_as_absent),
        cmocka_unit_test(prefers_milliseconds),
        cmocka_unit_test(falls_back_from_milliseconds_that_cannot_be_read),
        cmocka_unit_test(cuts_what_is_too_long),
        cmocka_unit_test(does_not_depend_on_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
