#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "base/text_line.h"
#include "harness/report_timeline.h"
#include "tests/unit/sample_results.h"

static const struct report_style plain = {.unicode = true, .width = 80};

static char *drawn(const struct result *result, struct report_style style)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    timeline_write(result, &style, 6, stream);
    fclose(stream);
    return text;
}

static void assert_drawn(struct result result, const char *expected)
{
    char *text = drawn(&result, plain);
    assert_string_equal(text, expected);
    free(text);
    result_free(&result);
}

static void without_a_call_nothing_is_drawn(void **state)
{
    (void)state;
    assert_drawn(sample_result("none", "s.json"), "");
}

static void one_attempt_needs_no_axis(void **state)
{
    (void)state;
    struct result result = sample_result("one", "s.json");
    sample_attempt(&result, sample_call(&result), 200, 5, 255);
    assert_drawn(result, "      ● 200 after 250ms\n");
    result = sample_result("one", "s.json");
    sample_attempt(&result, sample_call(&result), 0, 5, -1);
    assert_drawn(result, "      × no answer\n");
}

static void what_took_no_time_is_drawn_too(void **state)
{
    (void)state;
    struct result result = sample_result("at once", "s.json");
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 0, 0);
    sample_attempt(&result, call, 200, 0, 0);
    assert_drawn(result, "      ●\n      429 200\n");
}

static void the_span_ends_with_the_last_answer_or_a_long_stay(void **state)
{
    (void)state;
    struct result result = sample_result("span", "s.json");
    struct timeline_span span = timeline_span_of(&result);
    assert_true(span.end_ns > span.start_ns);
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 100, 200);
    sample_attempt(&result, call, 200, 1000, 1100);
    sample_run(&result, 0, 0, 1500, "", "");
    span = timeline_span_of(&result);
    assert_int_equal(span.start_ns, 100 * NS_PER_MS);
    assert_int_equal(span.end_ns, 1100 * NS_PER_MS);
    assert_false(span.reaches_end);
    result.runs[0].ended_ns = 1600 * NS_PER_MS; /* half a second: a stay that stands out */
    span = timeline_span_of(&result);
    assert_int_equal(span.end_ns, 1600 * NS_PER_MS);
    assert_true(span.reaches_end);
    result_free(&result);
}

static void ticks_are_round_and_two_to_six(void **state)
{
    (void)state;
    assert_int_equal(timeline_tick_ns(1), 1);
    assert_int_equal(timeline_tick_ns(3 * NS_PER_S), NS_PER_S / 2);
    assert_int_equal(timeline_tick_ns(40 * NS_PER_S), 10 * NS_PER_S);
    assert_int_equal(timeline_tick_ns(5 * NS_PER_MINUTE), NS_PER_MINUTE);
    assert_int_equal(timeline_tick_ns(24 * NS_PER_HOUR), 4 * NS_PER_HOUR);
    struct random random;
    random_seed(&random, 3, 0);
    for (int i = 0; i < 100000; i++) {
        int64_t span_ns = (int64_t)(random_bits(&random) >> (2 + random_below(&random, 60)));
        int64_t tick_ns = timeline_tick_ns(span_ns);
        assert_true(tick_ns > 0);
        assert_true(span_ns / tick_ns <= 6);
    }
}

static void calls_that_tell_least_are_left_out_first(void **state)
{
    (void)state;
    struct result result = sample_result("many", "s.json");
    for (int i = 0; i < 10; i++) {
        struct call *call = sample_call(&result);
        if (i == 3 || i == 8)
            sample_attempt(&result, call, 429, i, i + 0.1);
        sample_attempt(&result, call, i == 5 ? 500 : 200, i + 0.2, i + 0.3);
    }
    size_t chosen[10];
    assert_int_equal(timeline_choose(&result, chosen, 10), 10);
    assert_int_equal(timeline_choose(&result, chosen, 5), 5);
    static const size_t five[] = {0, 1, 3, 5, 8};
    assert_memory_equal(chosen, five, sizeof five);
    assert_int_equal(timeline_choose(&result, chosen, 2), 2);
    assert_int_equal(chosen[0], 3);
    assert_int_equal(chosen[1], 5);
    result_free(&result);
    result = sample_result("none", "s.json");
    assert_int_equal(timeline_choose(&result, chosen, 10), 0);
    result_free(&result);
}

static void several_runs_are_told_apart(void **state)
{
    (void)state;
    struct result result = sample_result("runs", "s.json");
    for (int i = 0; i < 2; i++) {
        sample_run(&result, 0, 1000 * i, 1000 * i + 500, "", "");
        struct call *call = sample_call(&result);
        call->run = i;
        sample_attempt(&result, call, 429, 1000 * i + 100, 1000 * i + 110);
    }
    char *text = drawn(&result, plain);
    assert_int_equal(strncmp(text, "      run 1 call 1  ", 20), 0);
    assert_non_null(strstr(text, "\n      run 2 call 2 "));
    free(text);
    result_free(&result);
}

/* Whatever happened, at every width: no line is wider, none ends in a space. */
static void every_result_keeps_to_every_width(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 5, 0);
    static const int statuses[] = {200, 429, 500, 0};
    for (int round = 0; round < 3000; round++) {
        struct result result = sample_result("any", "s.json");
        int calls = 1 + (int)random_below(&random, 15);
        double end_ms = 0;
        for (int i = 0; i < calls; i++) {
            struct call *call = sample_call(&result);
            double at_ms = (double)random_below(&random, 5000);
            int attempts = 1 + (int)random_below(&random, 9);
            for (int j = 0; j < attempts; j++) {
                double takes_ms = (double)random_below(&random, 800);
                int status = statuses[random_below(&random, 4)];
                sample_attempt(&result, call, status, at_ms, status == 0 ? -1 : at_ms + takes_ms);
                at_ms += takes_ms + (double)random_below(&random, 90000) / 7;
                end_ms = at_ms > end_ms ? at_ms : end_ms;
            }
            call->loop_attempts = 1 + random_below(&random, call->attempt_count);
        }
        sample_run(&result, 0, 0, end_ms + (double)random_below(&random, 9000), "", "");
        struct report_style style = {.unicode = round % 2 == 0,
                                     .width = 60 + (int)random_below(&random, 141)};
        char *text = drawn(&result, style);
        for (char *line = text; *line != '\0';) {
            char *end = strchr(line, '\n');
            assert_non_null(end);
            *end = '\0';
            assert_true(text_columns(line) <= style.width);
            assert_true(end == line || end[-1] != ' ');
            line = end + 1;
        }
        free(text);
        result_free(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_call_nothing_is_drawn),
        cmocka_unit_test(one_attempt_needs_no_axis),
        cmocka_unit_test(what_took_no_time_is_drawn_too),
        cmocka_unit_test(the_span_ends_with_the_last_answer_or_a_long_stay),
        cmocka_unit_test(ticks_are_round_and_two_to_six),
        cmocka_unit_test(calls_that_tell_least_are_left_out_first),
        cmocka_unit_test(several_runs_are_told_apart),
        cmocka_unit_test(every_result_keeps_to_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
