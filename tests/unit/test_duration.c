#include "base/duration.h"

#include "base/random.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void reads_openais_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"250ms", 250 * NS_PER_MS},
        {"1.5s", 1500 * NS_PER_MS},
        {"6m0s", 6 * NS_PER_MINUTE},
        {"7m12s", 432 * NS_PER_S},
        {"28m48s", 1728 * NS_PER_S},
        {"43.2s", 43200 * NS_PER_MS},
        {"8.64s", 8640 * NS_PER_MS},
        {"114h18m0s", 411480 * NS_PER_S},
        {"1d", NS_PER_DAY},
        {"1d2h3m4s5ms6us7ns", NS_PER_DAY + 2 * NS_PER_HOUR + 3 * NS_PER_MINUTE + 4 * NS_PER_S +
                                  5 * NS_PER_MS + 6 * NS_PER_US + 7},
        {"0s", 0},
        {"0ns", 0},
        {"0.5m", 30 * NS_PER_S},
        {"1.25h", 75 * NS_PER_MINUTE},
        {"0.000000001s", 1},
        {"0.0000000019s", 1}, /* what is below a nanosecond is cut */
        {"0.9ns", 0},
        {"007s", 7 * NS_PER_S},
        {"1.0s", NS_PER_S},
        {"1h0.001s", NS_PER_HOUR + NS_PER_MS},
        {"3650d", DURATION_NS_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = -1;
        if (!duration_parse(cases[i].text, &ns) || ns != cases[i].ns)
            fail_msg("%s gave %" PRId64 ", not %" PRId64, cases[i].text, ns, cases[i].ns);
    }
}

static void refuses_what_is_no_duration_and_leaves_the_target_alone(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "5",
        "s",
        "-1s",
        "+1s",
        "1s ",
        " 1s",
        "1 s",
        "1.s",
        ".5s",
        "1..5s",
        "1e3s",
        "1S",
        "1sec",
        "1.5",
        "1s1",
        "1s1s",
        "1s1m",
        "1ms1s",
        "1m1h",
        "s1",
        "1µs",
        "1\xc2\xb5s",
        "1s\n",
        "inf",
        "0x1s",
        "1,5s",
        "1w",
        "1.5.5s",
        "1m-1s",
        "3650d1ns",
        "3650.5d",
        "3651d",
        "99999999999999999999999s",
        "99999999999999999999ns",
        "87601h",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 77;
        if (duration_parse(cases[i], &ns))
            fail_msg("\"%s\" was read as %" PRId64, cases[i], ns);
        assert_int_equal(ns, 77);
    }
}

/* The examples are from openai-dotnet's recorded sessions and the messages in public issues. */
static void prints_as_go_does_cut_to_milliseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {INT64_C(9904800000), "9.904s"},
        {INT64_C(2363700000), "2.363s"},
        {INT64_C(6600000), "6ms"},
        {INT64_C(900000), "0s"},
        {0, "0s"},
        {999999, "0s"},
        {NS_PER_MS, "1ms"},
        {999 * NS_PER_MS, "999ms"},
        {NS_PER_S, "1s"},
        {1001 * NS_PER_MS, "1.001s"},
        {1100 * NS_PER_MS, "1.1s"},
        {20 * NS_PER_S, "20s"},
        {8640 * NS_PER_MS, "8.64s"},
        {3114 * NS_PER_MS, "3.114s"},
        {INT64_C(59999999999), "59.999s"},
        {NS_PER_MINUTE, "1m0s"},
        {360 * NS_PER_S, "6m0s"},
        {432 * NS_PER_S, "7m12s"},
        {NS_PER_MINUTE + 10 * NS_PER_S, "1m10s"},
        {NS_PER_MINUTE + 500 * NS_PER_MS, "1m0.5s"},
        {NS_PER_HOUR, "1h0m0s"},
        {NS_PER_DAY, "24h0m0s"},
        {411480 * NS_PER_S, "114h18m0s"},
        {-1500 * NS_PER_MS, "-1.5s"},
        {-900000, "0s"},
        {-90 * NS_PER_S, "-1m30s"},
        {-250 * NS_PER_MS, "-250ms"},
        {-NS_PER_HOUR, "-1h0m0s"},
        {DURATION_NS_MAX, "87600h0m0s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[DURATION_TEXT_SIZE];
        assert_string_equal(duration_go(cases[i].ns, text), cases[i].text);
    }
}

static void what_is_printed_is_read_back(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1, 0);
    for (int i = 0; i < 200000; i++) {
        int64_t ns =
            (int64_t)random_below(&random, (uint64_t)DURATION_NS_MAX) >> random_below(&random, 60);
        char text[DURATION_TEXT_SIZE];
        int64_t read_ns = -1;
        assert_true(duration_parse(duration_go(ns, text), &read_ns));
        assert_int_equal(read_ns, ns / NS_PER_MS * NS_PER_MS);
    }
}

static void prints_for_people(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {999, "999ns"},
        {37000, "37us"},
        {37999, "37us"},
        {1500000, "1.5ms"},
        {250 * NS_PER_MS, "250ms"},
        {NS_PER_S, "1s"},
        {INT64_C(1004000000), "1.004s"},
        {INT64_C(1004200000), "1.004s"},
        {125 * NS_PER_S, "2m5s"},
        {INT64_C(125000000001), "2m5s"},
        {-1, "-1ns"},
        {-37000, "-37us"},
        {-1500000, "-1.5ms"},
        {INT64_C(-1004200000), "-1.004s"},
        {INT64_C(999999999), "999.9ms"}, /* never "1000.0ms" */
        {INT64_C(59999999999), "59.999s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[DURATION_TEXT_SIZE];
        assert_string_equal(duration_text(cases[i].ns, text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_openais_forms),
        cmocka_unit_test(refuses_what_is_no_duration_and_leaves_the_target_alone),
        cmocka_unit_test(prints_as_go_does_cut_to_milliseconds),
        cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(prints_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
