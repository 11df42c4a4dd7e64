#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_evidence.h"

enum verdict_of { HOLDS, TOO_EARLY, TOO_LATE, WRONG_NUMBER, NO_JITTER };

static const char *const hints[] = {
    [HOLDS] = "",
    [TOO_EARLY] = "An attempt came earlier than asked",
    [TOO_LATE] = "An attempt came later than asked",
    [WRONG_NUMBER] = "The number of waits differs",
    [NO_JITTER] = "The delays follow the rule without any jitter",
};

/* Judges `members` on one call with these delays. */
static void assert_delays(const char *members, enum verdict_of wanted, size_t count,
                          const int64_t delays_ns[])
{
    struct result result = sample_delays(count, delays_ns);
    struct verdict verdict = judged(members, &result);
    const char *hint = hints[wanted];
    if ((verdict.state == VERDICT_HELD) != (wanted == HOLDS) ||
        strncmp(verdict.hint, hint, strlen(hint)) != 0)
        fail_msg("%s: state %d, seen %s, hint \"%s\"", members, verdict.state, verdict.seen,
                 verdict.hint);
    free(verdict.expected);
    free(verdict.seen);
    result_free(&result);
}

#define DELAYS(...)                                                                                \
    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[])                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void each_delay_is_judged_to_the_nanosecond(void **state)
{
    (void)state;
    static const char members[] = "\"delays\": [\"1s\", \"2s\"]"; /* within a tenth */
    assert_delays(members, HOLDS, DELAYS(NS_PER_S, 2 * NS_PER_S));
    assert_delays(members, HOLDS, DELAYS(900000000, 2200000000));
    assert_delays(members, HOLDS, DELAYS(1100000000, 1800000000));
    assert_delays(members, TOO_EARLY, DELAYS(899999999, 2 * NS_PER_S));
    assert_delays(members, TOO_LATE, DELAYS(1100000001, 2 * NS_PER_S));
    assert_delays(members, TOO_EARLY, DELAYS(NS_PER_S, 1799999999));
    assert_delays(members, TOO_LATE, DELAYS(NS_PER_S, 2200000001));
    assert_delays(members, WRONG_NUMBER, DELAYS(NS_PER_S));
    assert_delays(members, WRONG_NUMBER, DELAYS(NS_PER_S, 2 * NS_PER_S, 4 * NS_PER_S));
}

static void the_tolerance_may_be_a_share_or_a_time_on_either_side(void **state)
{
    (void)state;
    /* 0.29 * 1e9 is a little less than 290,000,000 in floating point. */
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"29%\"", HOLDS, DELAYS(1290000000));
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"29%\"", TOO_LATE,
                  DELAYS(1290000001));
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"29%\"", HOLDS, DELAYS(710000000));
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"29%\"", TOO_EARLY,
                  DELAYS(709999999));
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"20ms\"", HOLDS, DELAYS(980000000));
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"20ms\"", TOO_EARLY,
                  DELAYS(979999999));
    static const char sides[] =
        "\"delays\": [\"1s\"], \"delay_tolerance\": {\"early\": \"0s\", \"late\": \"50%\"}";
    assert_delays(sides, HOLDS, DELAYS(NS_PER_S));
    assert_delays(sides, TOO_EARLY, DELAYS(NS_PER_S - 1));
    assert_delays(sides, HOLDS, DELAYS(1500000000));
    assert_delays(sides, TOO_LATE, DELAYS(1500000001));
    /* What is not said stays a tenth. */
    static const char early[] = "\"delays\": [\"1s\"], \"delay_tolerance\": {\"early\": \"0s\"}";
    assert_delays(early, HOLDS, DELAYS(1100000000));
    assert_delays(early, TOO_LATE, DELAYS(1100000001));
    /* A tolerance larger than the delay does not reach below 0. */
    assert_delays("\"delays\": [\"1s\"], \"delay_tolerance\": \"5s\"", HOLDS, DELAYS(0));
}

static void delays_are_told_with_their_tolerance(void **state)
{
    (void)state;
    struct result result = sample_delays(DELAYS(1003000000, 2004000000));
    assert_held("\"delays\": [\"1s\", \"2s\"]", &result, "1s, 2s (+-10%)", "1.003s, 2.004s");
    assert_held("\"delays\": [\"1s\", \"2s\"], \"delay_tolerance\": \"20ms\"", &result,
                "1s, 2s (+-20ms)", "1.003s, 2.004s");
    assert_held("\"delays\": [\"1s\", \"2s\"], \"delay_tolerance\": {\"early\": \"0s\", \"late\": "
                "\"1s\"}",
                &result, "1s, 2s (-0% +1s)", "1.003s, 2.004s");
    assert_failed("\"delays\": []", &result, "no delay (+-10%)", "1.003s, 2.004s",
                  hints[WRONG_NUMBER]);
    result_free(&result);
}

static void a_call_without_a_retry_has_no_delay(void **state)
{
    (void)state;
    struct result result = sample_delays(0, NULL);
    assert_held("\"delays\": []", &result, "no delay (+-10%)", "no delay");
    assert_failed("\"delays\": [\"1s\"]", &result, "1s (+-10%)", "no delay", hints[WRONG_NUMBER]);
    result_free(&result);
}

static void a_client_without_a_call_does_not_pass(void **state)
{
    (void)state;
    struct result result = sample_result("none", "s.json");
    assert_failed("\"delays\": []", &result, "no delay (+-10%)", "no call at all",
                  "The client never reached the server");
    assert_failed("\"backoff\": {\"kind\": \"fixed\", \"base\": \"1s\"}", &result,
                  "always 1s, no jitter (+-10%)", "no delay", "The client made no retry");
    assert_failed("\"retry_after\": \"honoured\"", &result,
                  "each retry no earlier than Retry-After asks, at most 1s later",
                  "no retry after an answer with Retry-After", "The client never met the header");
    assert_failed("\"wait_after_last\": {\"max\": \"1s\"}", &result,
                  "an answer, and the client's end soon after it", "no answer at all",
                  "The client never reached the server");
    result_free(&result);
}

static void the_first_call_that_is_wrong_is_named(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 0, 1);
    sample_attempt(&result, call, 200, 3, 4);
    assert_failed("\"delays\": [\"1s\", \"2s\"]", &result, "1s, 2s (+-10%)", "call 2: 2ms",
                  hints[WRONG_NUMBER]);
    result_free(&result);
}

static void many_delays_end_in_dots_and_are_all_counted(void **state)
{
    (void)state;
    enum { COUNT = EXPECTATION_ITEMS_MAX + 5 };
    int64_t delays_ns[COUNT];
    for (int i = 0; i < COUNT; i++)
        delays_ns[i] = NS_PER_S;
    struct result result = sample_delays(COUNT, delays_ns);
    assert_failed("\"delays\": [\"1s\"]", &result, "1s (+-10%)",
                  "1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, ...", hints[WRONG_NUMBER]);
    char *members = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&members, &length);
    fputs("\"delays\": [\"1s\"", stream);
    for (int i = 1; i < EXPECTATION_ITEMS_MAX; i++)
        fputs(",\"1s\"", stream);
    fputs("]", stream);
    fclose(stream);
    struct verdict verdict = judged(members, &result);
    assert_int_equal(verdict.state, VERDICT_FAILED);
    free(verdict.expected);
    free(verdict.seen);
    free(members);
    result_free(&result);
}

static void the_loops_delays_leave_out_the_sdks(void **state)
{
    (void)state;
    struct result result = sample_amplified();
    assert_held("\"loop_delays\": [\"1s\", \"2s\"]", &result, "1s, 2s (+-10%)", "1.004s, 2.009s");
    assert_failed("\"delays\": [\"1s\", \"2s\"]", &result, "1s, 2s (+-10%)",
                  "479ms, 929ms, 1.004s, 474ms, 959ms, 2.009s, 469ms, 919ms", hints[WRONG_NUMBER]);
    result_free(&result);
}

static void an_exponential_backoff_is_judged_delay_by_delay(void **state)
{
    (void)state;
    static const char members[] = "\"backoff\": {\"kind\": \"exponential\", \"base\": \"1s\", "
                                  "\"cap\": \"3s\"}, \"delay_tolerance\": \"0s\"";
    assert_delays(members, HOLDS, DELAYS(NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S, 3 * NS_PER_S));
    assert_delays(members, TOO_LATE, DELAYS(NS_PER_S + 1));
    assert_delays(members, TOO_EARLY, DELAYS(NS_PER_S - 1));
    assert_delays(members, TOO_LATE, DELAYS(NS_PER_S, 2 * NS_PER_S, 4 * NS_PER_S));
    assert_delays(members, TOO_EARLY, DELAYS(NS_PER_S, NS_PER_S));
    struct result result = sample_delays(DELAYS(NS_PER_S));
    assert_held(members, &result, "1s, times 2 each, at most 3s, no jitter (+-0%)", "1s");
    assert_held("\"backoff\": {\"kind\": \"exponential\", \"base\": \"1s\", \"factor\": 1.5}",
                &result, "1s, times 1.5 each, no jitter (+-10%)", "1s");
    result_free(&result);
}

static void a_delay_that_grows_beyond_all_bounds_stays_at_the_cap(void **state)
{
    (void)state;
    int64_t delays_ns[40];
    for (size_t i = 0; i < 40; i++)
        delays_ns[i] = i == 0 ? NS_PER_S : 8 * NS_PER_S;
    assert_delays("\"backoff\": {\"kind\": \"exponential\", \"base\": \"1s\", \"factor\": 1000, "
                  "\"cap\": \"8s\"}",
                  HOLDS, 40, delays_ns);
}

static void a_fixed_backoff_is_always_the_same(void **state)
{
    (void)state;
    static const char members[] = "\"backoff\": {\"kind\": \"fixed\", \"base\": \"2s\"}";
    assert_delays(members, HOLDS, DELAYS(2 * NS_PER_S, 2 * NS_PER_S));
    assert_delays(members, TOO_LATE, DELAYS(2 * NS_PER_S, 4 * NS_PER_S));
    struct result result = sample_delays(DELAYS(2 * NS_PER_S));
    assert_held(members, &result, "always 2s, no jitter (+-10%)", "2s");
    result_free(&result);
}

static void each_jitter_has_its_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *jitter;
        int64_t low_ns;
        int64_t high_ns;
    } rows[] = {
        {"full", 0, 4000000000},
        {"equal", 2000000000, 4000000000},
        {"quarter", 3000000000, 4000000000},
        {"decorrelated", 4000000000, 12000000000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char members[200];
        snprintf(members, sizeof members,
                 "\"backoff\": {\"kind\": \"exponential\", \"base\": \"4s\", \"jitter\": \"%s\"}, "
                 "\"delay_tolerance\": \"0s\"",
                 rows[i].jitter);
        assert_delays(members, HOLDS, DELAYS(rows[i].low_ns));
        assert_delays(members, HOLDS, DELAYS(rows[i].high_ns));
        if (rows[i].low_ns > 0)
            assert_delays(members, TOO_EARLY, DELAYS(rows[i].low_ns - 1));
        assert_delays(members, TOO_LATE, DELAYS(rows[i].high_ns + 1));
    }
}

static void decorrelated_jitter_follows_the_delay_before(void **state)
{
    (void)state;
    static const char members[] =
        "\"backoff\": {\"kind\": \"exponential\", \"base\": \"1s\", \"jitter\": \"decorrelated\", "
        "\"cap\": \"5s\"}, \"delay_tolerance\": \"0s\"";
    assert_delays(members, HOLDS, DELAYS(1500000000, 4500000000, NS_PER_S, 3 * NS_PER_S));
    assert_delays(members, TOO_LATE, DELAYS(1500000000, 4500000001));
    assert_delays(members, TOO_LATE, DELAYS(3 * NS_PER_S, 5 * NS_PER_S + 1));
    assert_delays(members, TOO_EARLY, DELAYS(3 * NS_PER_S, NS_PER_S - 1));
}

static void three_delays_without_jitter_are_no_jitter(void **state)
{
    (void)state;
    static const char members[] = "\"backoff\": {\"kind\": \"exponential\", \"base\": \"1s\", "
                                  "\"jitter\": \"full\"}";
    assert_delays(members, NO_JITTER, DELAYS(NS_PER_S, 2 * NS_PER_S, 4 * NS_PER_S));
    assert_delays(members, NO_JITTER, DELAYS(1002000000, 2003000000, 4004000000));
    assert_delays(members, HOLDS, DELAYS(NS_PER_S, 2 * NS_PER_S));
    assert_delays(members, HOLDS, DELAYS(NS_PER_S, 2 * NS_PER_S, 3700000000));
    /* Jitter of some milliseconds: what is measured says nothing of it. */
    assert_delays("\"backoff\": {\"kind\": \"fixed\", \"base\": \"10ms\", \"jitter\": \"full\"}",
                  HOLDS, DELAYS(4 * NS_PER_MS, 9 * NS_PER_MS, NS_PER_MS));
    assert_delays("\"backoff\": {\"kind\": \"fixed\", \"base\": \"1s\", \"jitter\": \"quarter\"}",
                  NO_JITTER, DELAYS(1001000000, 1001000000, 1001000000));
    assert_delays("\"backoff\": {\"kind\": \"fixed\", \"base\": \"1s\", \"jitter\": \"quarter\"}",
                  HOLDS, DELAYS(980000000, 1001000000, 1001000000));
}

static void a_call_that_needed_no_retry_shows_no_backoff(void **state)
{
    (void)state;
    struct result result = sample_delays(0, NULL);
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 0, 0);
    sample_attempt(&result, call, 200, 1000, 1000);
    assert_held("\"backoff\": {\"kind\": \"fixed\", \"base\": \"1s\"}", &result,
                "always 1s, no jitter (+-10%)", "1s");
    result_free(&result);
}

static void retry_after_is_no_earlier_than_asked_and_not_much_later(void **state)
{
    (void)state;
    static const struct {
        int64_t delay_ns;
        bool holds;
        const char *seen;
        const char *hint;
    } rows[] = {
        {2000000000, true, "asked for 2s, came after 2s", ""},
        {3000000000, true, "asked for 2s, came after 3s", ""},
        {1999999999, false, "asked for 2s, came after 1.999s", "The client ignores Retry-After"},
        {3000000001, false, "asked for 2s, came after 3.000s", "The client waits much longer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct result result = sample_delays(1, &rows[i].delay_ns);
        result.calls[0].attempts[0].retry_after_ns = 2 * NS_PER_S;
        sample_assert("\"retry_after\": \"honoured\"", &result,
                      rows[i].holds ? VERDICT_HELD : VERDICT_FAILED,
                      "each retry no earlier than Retry-After asks, at most 1s later", rows[i].seen,
                      rows[i].hint);
        result_free(&result);
    }
}

static void how_much_later_can_be_said(void **state)
{
    (void)state;
    struct result result = sample_delays(DELAYS(2 * NS_PER_S + 50 * NS_PER_MS));
    result.calls[0].attempts[0].retry_after_ns = 2 * NS_PER_S;
    assert_held("\"retry_after\": {\"late\": \"50ms\"}", &result,
                "each retry no earlier than Retry-After asks, at most 50ms later",
                "asked for 2s, came after 2.05s");
    assert_failed("\"retry_after\": {\"late\": \"49ms\"}", &result,
                  "each retry no earlier than Retry-After asks, at most 49ms later",
                  "asked for 2s, came after 2.05s", "The client waits much longer");
    result_free(&result);
}

static void who_was_still_waiting_when_killed_did_not_give_up(void **state)
{
    (void)state;
    struct result result = sample_delays(0, NULL);
    struct attempt *only = &result.calls[0].attempts[0];
    only->retry_after_ns = 1500 * NS_PER_MS;
    struct client_run *run = sample_run(&result, 1, 0, 30000, "", "");
    run->timed_out = true;
    assert_failed("\"retry_after\": \"honoured\"", &result,
                  "each retry no earlier than Retry-After asks, at most 1s later",
                  "asked for 1.5s, no retry in the 30s until it was killed",
                  "The client waits far longer than it was asked to");
    assert_failed("\"wait_after_last\": {\"max\": \"1s\"}", &result, "at most 1s", "30s",
                  "The client was still waiting");
    run->timed_out = false;
    assert_failed("\"wait_after_last\": {\"max\": \"1s\"}", &result, "at most 1s", "30s",
                  "The client waits after its last attempt");
    result_free(&result);
}

static void retries_that_were_asked_for_nothing_do_not_count(void **state)
{
    (void)state;
    struct result result = sample_delays(DELAYS(NS_PER_S, 5 * NS_PER_S));
    assert_failed("\"retry_after\": \"honoured\"", &result,
                  "each retry no earlier than Retry-After asks, at most 1s later",
                  "no retry after an answer with Retry-After", "The client never met the header");
    result.calls[0].attempts[1].retry_after_ns = 5 * NS_PER_S;
    assert_held("\"retry_after\": \"honoured\"", &result,
                "each retry no earlier than Retry-After asks, at most 1s later",
                "asked for 5s, came after 5s");
    result_free(&result);
}

static void each_delay_is_in_its_bounds(void **state)
{
    (void)state;
    struct result result = sample_delays(DELAYS(NS_PER_S, 5 * NS_PER_S));
    assert_held("\"each_delay\": {\"min\": \"1s\", \"max\": \"5s\"}", &result, "1s to 5s",
                "2 of 2 delays");
    assert_failed("\"each_delay\": {\"min\": \"2s\"}", &result, "at least 2s", "1s",
                  "The client comes back too soon");
    assert_failed("\"each_delay\": {\"max\": \"4s\"}", &result, "at most 4s", "5s",
                  "The client waits longer than it should");
    result_free(&result);
    result = sample_delays(0, NULL);
    assert_failed("\"each_delay\": {\"min\": \"2s\"}", &result, "at least 2s", "no delay",
                  "The client made no retry");
    result_free(&result);
}

static void the_whole_has_a_duration(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    result.duration_ns = 3 * NS_PER_S;
    assert_held("\"duration\": {\"min\": \"3s\", \"max\": \"3s\"}", &result, "3s to 3s", "3s");
    assert_held("\"duration\": {\"min\": \"3s\"}", &result, "at least 3s", "3s");
    assert_held("\"duration\": {\"max\": \"3s\"}", &result, "at most 3s", "3s");
    result.duration_ns++;
    assert_failed("\"duration\": {\"max\": \"3s\"}", &result, "at most 3s", "3.000s",
                  "The whole took too long");
    result.duration_ns -= 2;
    assert_failed("\"duration\": {\"min\": \"3s\"}", &result, "at least 3s", "2.999s",
                  "The whole was over too soon");
    result_free(&result);
}

static void a_wait_after_the_last_answer_is_seen(void **state)
{
    (void)state;
    struct result result = sample_fails(); /* answered at 7.4125 s, ended at 15.43 s */
    assert_failed("\"wait_after_last\": {\"max\": \"1s\"}", &result, "at most 1s", "8.017s",
                  "The client waits after its last attempt");
    assert_held("\"wait_after_last\": {\"max\": \"9s\"}", &result, "at most 9s", "8.017s");
    assert_failed("\"wait_after_last\": {\"min\": \"9s\"}", &result, "at least 9s", "8.017s",
                  "The client ends sooner");
    result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_delay_is_judged_to_the_nanosecond),
        cmocka_unit_test(the_tolerance_may_be_a_share_or_a_time_on_either_side),
        cmocka_unit_test(delays_are_told_with_their_tolerance),
        cmocka_unit_test(a_call_without_a_retry_has_no_delay),
        cmocka_unit_test(a_client_without_a_call_does_not_pass),
        cmocka_unit_test(the_first_call_that_is_wrong_is_named),
        cmocka_unit_test(many_delays_end_in_dots_and_are_all_counted),
        cmocka_unit_test(the_loops_delays_leave_out_the_sdks),
        cmocka_unit_test(an_exponential_backoff_is_judged_delay_by_delay),
        cmocka_unit_test(a_delay_that_grows_beyond_all_bounds_stays_at_the_cap),
        cmocka_unit_test(a_fixed_backoff_is_always_the_same),
        cmocka_unit_test(each_jitter_has_its_bounds),
        cmocka_unit_test(decorrelated_jitter_follows_the_delay_before),
        cmocka_unit_test(three_delays_without_jitter_are_no_jitter),
        cmocka_unit_test(a_call_that_needed_no_retry_shows_no_backoff),
        cmocka_unit_test(retry_after_is_no_earlier_than_asked_and_not_much_later),
        cmocka_unit_test(how_much_later_can_be_said),
        cmocka_unit_test(who_was_still_waiting_when_killed_did_not_give_up),
        cmocka_unit_test(retries_that_were_asked_for_nothing_do_not_count),
        cmocka_unit_test(each_delay_is_in_its_bounds),
        cmocka_unit_test(the_whole_has_a_duration),
        cmocka_unit_test(a_wait_after_the_last_answer_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
