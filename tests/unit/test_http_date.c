#include "mockserver/http_date.h"

#include "base/random.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static void writes_the_examples_of_rfc_9110(void **state)
{
    (void)state;
    char text[HTTP_DATE_SIZE];
    /* 5.6.7, 6.6.1 and 10.2.3 */
    assert_string_equal(http_date(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http_date(784887151, text), "Tue, 15 Nov 1994 08:12:31 GMT");
    assert_string_equal(http_date(946684799, text), "Fri, 31 Dec 1999 23:59:59 GMT");
}

static void writes_the_obsolete_formats_of_rfc_9110(void **state)
{
    (void)state;
    char text[HTTP_DATE_SIZE];
    assert_string_equal(http_date_as(784111777, HTTP_DATE_RFC850, text),
                        "Sunday, 06-Nov-94 08:49:37 GMT");
    assert_string_equal(http_date_as(784111777, HTTP_DATE_ASCTIME, text),
                        "Sun Nov  6 08:49:37 1994");
}

static void knows_leap_years(void **state)
{
    (void)state;
    char text[HTTP_DATE_SIZE];
    assert_string_equal(http_date(0, text), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(http_date(951782400, text), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_string_equal(http_date(1709251199, text), "Thu, 29 Feb 2024 23:59:59 GMT");
    assert_string_equal(http_date(1709251200, text), "Fri, 01 Mar 2024 00:00:00 GMT");
    assert_string_equal(http_date(1772323199, text), "Sat, 28 Feb 2026 23:59:59 GMT");
    assert_string_equal(http_date(1772323200, text), "Sun, 01 Mar 2026 00:00:00 GMT");
    assert_string_equal(http_date(4107542400, text), "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_string_equal(http_date(1767225600, text), "Thu, 01 Jan 2026 00:00:00 GMT");
}

static void agrees_with_strftime(void **state)
{
    (void)state;
    assert_non_null(setlocale(LC_ALL, "C"));
    struct random random;
    random_seed(&random, 9110, 0);
    for (int i = 0; i < 100000; i++) {
        int64_t wall_s = (int64_t)random_below(&random, UINT64_C(253402300800)); /* to 9999 */
        time_t moment = (time_t)wall_s;
        char expected[64];
        char text[HTTP_DATE_SIZE];
        assert_true(
            strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&moment)) > 0);
        assert_string_equal(http_date(wall_s, text), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_examples_of_rfc_9110),
        cmocka_unit_test(writes_the_obsolete_formats_of_rfc_9110),
        cmocka_unit_test(knows_leap_years),
        cmocka_unit_test(agrees_with_strftime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
