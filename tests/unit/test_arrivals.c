#include "lab/arrivals.h"

#include "base/duration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct error error;
static char path[64];

static void write_file(const char *ending, const char *text)
{
    snprintf(path, sizeof path, "/tmp/toomany-arrivals-XXXXXX%s", ending);
    int fd = mkstemps(path, (int)strlen(ending));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static bool read_text(struct arrivals_settings *settings, const char *ending, const char *text)
{
    write_file(ending, text);
    *settings = (struct arrivals_settings){0};
    bool is_read = arrivals_read_trace(settings, path, &error);
    unlink(path);
    return is_read;
}

static void poisson_arrivals_have_exponential_gaps(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    struct arrivals_settings settings = {.kind = ARRIVALS_POISSON};
    struct arrivals arrivals;
    struct random random;
    random_seed(&random, 1, 0);
    arrivals_init(&arrivals, &settings, 50);
    int64_t before_ns = 0;
    double squares = 0;
    for (int i = 0; i < COUNT; i++) {
        struct arrival arrival = arrivals_next(&arrivals, &random);
        assert_true(arrival.at_ns >= before_ns);
        assert_int_equal(arrival.tokens, -1);
        double gap_s = (double)(arrival.at_ns - before_ns) * 1e-9;
        squares += gap_s * gap_s;
        before_ns = arrival.at_ns;
    }
    assert_true(fabs((double)before_ns * 1e-9 - COUNT / 50.0) < 0.01 * COUNT / 50);
    assert_true(fabs(squares / COUNT - 2.0 / 2500) < 0.02 * 2 / 2500);
}

static void bursts_come_at_once_and_lose_no_fraction(void **state)
{
    (void)state;
    struct arrivals_settings settings = {.kind = ARRIVALS_BURSTS, .every_ns = 10 * NS_PER_S};
    struct arrivals arrivals;
    arrivals_init(&arrivals, &settings, 0.25); /* 2, 3, 2, 3, ... */
    static const int64_t expected_s[] = {0, 0, 10, 10, 10, 20, 20, 30, 30, 30, 40};
    for (size_t i = 0; i < sizeof expected_s / sizeof expected_s[0]; i++)
        assert_int_equal(arrivals_next(&arrivals, NULL).at_ns, expected_s[i] * NS_PER_S);
    arrivals_init(&arrivals, &settings, 0.05); /* one every second time */
    for (int64_t i = 1; i < 5; i++)
        assert_int_equal(arrivals_next(&arrivals, NULL).at_ns, (20 * i - 10) * NS_PER_S);
}

static void a_diurnal_curve_follows_its_weights_and_keeps_the_mean(void **state)
{
    (void)state;
    struct arrivals_settings settings = {.kind = ARRIVALS_DIURNAL, .day_ns = 24 * NS_PER_S};
    for (int i = 0; i < ARRIVALS_HOURS; i++)
        settings.weights[i] = i < 12 ? 0 : 2;
    struct arrivals arrivals;
    struct random random;
    random_seed(&random, 1, 0);
    arrivals_init(&arrivals, &settings, 1000);
    int hours[ARRIVALS_HOURS] = {0};
    int count = 0;
    for (;;) {
        int64_t at_ns = arrivals_next(&arrivals, &random).at_ns;
        if (at_ns >= 240 * NS_PER_S)
            break;
        hours[at_ns / NS_PER_S % ARRIVALS_HOURS]++;
        count++;
    }
    assert_true(abs(count - 240000) < 2000);
    for (int i = 1; i < 11; i++)
        assert_int_equal(hours[i], 0);
    for (int i = 13; i < 23; i++)
        assert_true(abs(hours[i] - 20000) < 600);
    /* Linear from the middle of an hour to that of the next: a quarter, and a 16th of two, is
     * there in each half hour beside the step. */
    assert_true(abs(hours[12] - 17500) < 600);
    assert_true(abs(hours[11] - 2500) < 300);
}

static void reads_a_table_and_plays_it_at_the_rate_asked_for(void **state)
{
    (void)state;
    struct arrivals_settings settings;
    assert_true(
        read_text(&settings, ".csv", "user,at,tokens\n\"x\",12.5,100\ny,10,\nz,\"15s\",7\n\n"));
    assert_int_equal(settings.record_count, 3);
    assert_int_equal(settings.records[1].at_ns, 2500 * NS_PER_MS);
    assert_int_equal(settings.records[1].tokens, 100);
    /* The gap before it begins again is the mean one: three calls in 7.5 s. */
    assert_int_equal(settings.span_ns, 7500 * NS_PER_MS);
    struct arrivals arrivals;
    arrivals_init(&arrivals, &settings, arrivals_trace_rate(&settings) * 2);
    static const int64_t expected_ms[] = {0, 1250, 2500, 3750, 5000, 6250, 7500};
    static const int64_t expected_tokens[] = {-1, 100, 7, -1, 100, 7, -1};
    for (size_t i = 0; i < sizeof expected_ms / sizeof expected_ms[0]; i++) {
        struct arrival arrival = arrivals_next(&arrivals, NULL);
        assert_int_equal(arrival.at_ns, expected_ms[i] * NS_PER_MS);
        assert_int_equal(arrival.tokens, expected_tokens[i]);
    }
    arrivals_settings_free(&settings);
}

#define ENTRY(at, more)                                                                            \
    "{\"arrived_ns\":" #at ",\"answered_ns\":null,\"status\":429,\"tokens\":5" more "}\n"

static void takes_of_a_journal_the_first_attempt_of_each_call(void **state)
{
    (void)state;
    struct arrivals_settings settings;
    assert_true(read_text(
        &settings, ".jsonl",
        ENTRY(1000, ",\"idempotency_key\":\"a\"") ENTRY(3000, ",\"idempotency_key\":\"b\"")
            ENTRY(4000, ",\"idempotency_key\":\"a\"") ENTRY(5000, ",\"retry_count\":0")
                ENTRY(6000, ",\"retry_count\":1") ENTRY(7000, "")));
    assert_int_equal(settings.record_count, 4);
    static const int64_t expected_ns[] = {0, 2000, 4000, 6000};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(settings.records[i].at_ns, expected_ns[i]);
    arrivals_settings_free(&settings);
}

static void assert_refused(const char *ending, const char *text, const char *line,
                           const char *message)
{
    struct arrivals_settings settings;
    assert_false(read_text(&settings, ending, text));
    if (strstr(error.place, line) == NULL || strstr(error.message, message) == NULL)
        fail_msg("%s: %s", error.place, error.message);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    struct arrivals_settings settings = {0};
    assert_refused(".csv", "time\n1\n", ".csv:1", "\"at\"");
    assert_refused(".csv", "at\n1\n-2\n", ".csv:3", "seconds");
    assert_refused(".csv", "at,tokens\n1,x\n", ".csv:2", "whole number");
    assert_refused(".csv", "at\n", ".csv", "no call");
    assert_refused(".jsonl", ENTRY(1, "") "\n{}\n", ".jsonl:3", "no entry");
    assert_refused(".jsonl", "not json\n", ".jsonl:1", "no entry");
    assert_false(arrivals_read_trace(&settings, "/nonexistent/x.csv", &error));
    assert_string_equal(error.place, "/nonexistent/x.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poisson_arrivals_have_exponential_gaps),
        cmocka_unit_test(bursts_come_at_once_and_lose_no_fraction),
        cmocka_unit_test(a_diurnal_curve_follows_its_weights_and_keeps_the_mean),
        cmocka_unit_test(reads_a_table_and_plays_it_at_the_rate_asked_for),
        cmocka_unit_test(takes_of_a_journal_the_first_attempt_of_each_call),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
