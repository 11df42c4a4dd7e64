#include "grade/probe.h"

#include "sample_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* A run of the program, from a journal: what judges see. */
struct sample_run {
    struct journal *journal;
    struct journal_entry entries[64];
    struct call *calls;
    struct client_run end;
    struct probe_run run;
};

static void make_run(struct sample_run *sample, int exit_code, size_t count,
                     const struct sample_request *requests)
{
    *sample = (struct sample_run){.journal = sample_journal(count, requests)};
    struct calls_input input = {
        .journal = sample->journal, .run_lasts = (const uint64_t[]){count}, .run_count = 1};
    size_t call_count = 0;
    assert_true(calls_find(&input, &sample->calls, &call_count));
    for (size_t i = 0; i < count; i++) {
        sample->entries[i] = *journal_at(sample->journal, i);
        if (sample->entries[i].answered_ns > sample->end.ended_ns)
            sample->end.ended_ns = sample->entries[i].answered_ns;
    }
    sample->end.exit_code = exit_code;
    sample->run = (struct probe_run){.entries = sample->entries,
                                     .entry_count = count,
                                     .calls = sample->calls,
                                     .call_count = call_count,
                                     .end = &sample->end};
}

static void free_run(struct sample_run *sample)
{
    for (size_t i = 0; i < sample->run.call_count; i++)
        free(sample->calls[i].attempts);
    free(sample->calls);
    journal_free(sample->journal);
}

/* Judges runs, in virtual time; a healthy start sent one request. */
static struct judgement judged(const char *id, const struct probe_run *runs, size_t count)
{
    static const struct sample_request served[] = {{.status = 200}};
    struct sample_run healthy;
    struct judgement judgement;
    make_run(&healthy, 0, 1, served);
    struct probe_evidence evidence = {.runs = runs,
                                      .run_count = count,
                                      .healthy = &healthy.run,
                                      .programs = 1,
                                      .is_virtual = true};
    probe_judge(probe_find(id), &evidence, &judgement);
    free_run(&healthy);
    return judgement;
}

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void says(const char *id, int exit_code, size_t count, const struct sample_request *requests,
                 enum probe_outcome outcome, const char *seen)
{
    struct sample_run sample;
    make_run(&sample, exit_code, count, requests);
    struct judgement judgement = judged(id, &sample.run, 1);
    assert_string_equal(judgement.seen, seen);
    assert_int_equal(judgement.outcome, outcome);
    free_run(&sample);
}

static const struct sample_request recovered[] = {{.status = 429}, {.at_ms = 1001, .status = 200}};
static const struct sample_request refused[] = {{.status = 429}, {.at_ms = 1001, .status = 429}};

static void recovers_when_it_was_served_and_says_so(void **state)
{
    (void)state;
    says("recovers/one-429", 0, COUNT(recovered), recovered, PROBE_RIGHT,
         "served after 1 retry (1.0s)");
    says("recovers/one-429", 1, COUNT(recovered), recovered, PROBE_WRONG,
         "it was served after 1 retry, and yet failed: exit code 1");
    says("recovers/one-429", 1, 1, refused, PROBE_WRONG,
         "it gave up after one request, without a retry (exit code 1), though the next request "
         "would have been served");
    says("recovers/one-429", 0, 1, refused, PROBE_WRONG,
         "it was never served, and yet ended with exit code 0 after 0 retries");
    says("recovers/409", 1, 1, refused, PROBE_NON_STRICT,
         "it gave up after one request, without a retry (exit code 1), though the next request "
         "would have been served");
}

static void early_is_wrong_and_late_is_not(void **state)
{
    (void)state;
    struct sample_request early[] = {{.status = 429}, {.at_ms = 19996, .status = 200}};
    struct sample_request just[] = {{.status = 429}, {.at_ms = 20001, .status = 200}};
    struct sample_request late[] = {{.status = 429}, {.at_ms = 200000, .status = 200}};
    says("waits/seconds", 0, 2, early, PROBE_WRONG,
         "asked to wait 20s, it came back after 19.995s");
    says("waits/seconds", 0, 2, just, PROBE_RIGHT, "asked to wait 20s, it waited 20s");
    says("waits/seconds", 0, 2, late, PROBE_NON_STRICT, "asked to wait 20s, it waited 3m19.999s");
    says("waits/milliseconds", 0, 2, early, PROBE_NON_STRICT,
         "asked to wait 20s, it came back after 19.995s");
    says("waits/date", 0, 2, early, PROBE_RIGHT, "asked to wait 20s, it waited 19.995s");
    says("waits/seconds", 1, 1, refused, PROBE_NOT_APPLICABLE, "it did not retry (exit code 1)");
    says("waits/ten-minutes", 1, 1, refused, PROBE_RIGHT,
         "it gave up rather than wait 10m0s (exit code 1)");
}

static void a_number_that_is_read_in_another_unit_is_wrong(void **state)
{
    (void)state;
    struct sample_request early[] = {{.status = 429}, {.at_ms = 21, .status = 200}};
    struct sample_request late[] = {{.status = 429}, {.at_ms = 20000001, .status = 200}};
    struct sample_request own[] = {{.status = 429}, {.at_ms = 501, .status = 200}};
    says("waits/seconds", 0, 2, early, PROBE_WRONG,
         "asked to wait 20s, it came back after 20ms, a thousandth, as if seconds were "
         "milliseconds");
    says("waits/milliseconds", 0, 2, late, PROBE_WRONG,
         "asked to wait 20s, it waited 5h33m20s, a thousand times as long, as if milliseconds were "
         "seconds");
    says("waits/milliseconds", 0, 2, own, PROBE_NON_STRICT,
         "asked to wait 20s, it came back after 500ms");
}

static void two_retries_at_once_are_hammering_and_one_is_not(void **state)
{
    (void)state;
    struct sample_request hammers[] = {
        {.status = 429}, {.at_ms = 1, .status = 429}, {.at_ms = 2, .status = 429}};
    struct sample_request first[] = {{.status = 429},
                                     {.at_ms = 1, .status = 429},
                                     {.at_ms = 1002, .status = 429},
                                     {.at_ms = 3003, .status = 429}};
    says("waits/negative", 1, 3, hammers, PROBE_WRONG,
         "it hammers: 3 requests with delays of 0s, 0s");
    says("waits/negative", 1, 4, first, PROBE_RIGHT, "it kept to waits of its own: 0s, 1.0s, 2.0s");
    says("backs-off/waits", 1, 3, hammers, PROBE_WRONG, "3 requests without a wait between them");
    says("backs-off/waits", 1, 4, first, PROBE_NON_STRICT,
         "1 of 3 retries come at once: 0s, 1.0s, 2.0s");
}

static void what_hangs_floods_or_crashes_is_wrong_everywhere(void **state)
{
    (void)state;
    struct sample_run sample;
    make_run(&sample, 1, 1, refused);
    sample.end.timed_out = true;
    sample.end.ended_ns = 3600 * NS_PER_S;
    struct judgement judgement = judged("survives/stall", &sample.run, 1);
    assert_int_equal(judgement.outcome, PROBE_WRONG);
    assert_string_equal(judgement.seen, "it had not ended after 1h0m0s, with 1 request sent");
    assert_int_equal(judged("ends/exit-code", &sample.run, 1).outcome, PROBE_NOT_APPLICABLE);
    sample.end.timed_out = false;
    sample.end.exit_code = -1;
    sample.end.signal = 11;
    assert_int_equal(judged("recovers/one-429", &sample.run, 1).outcome, PROBE_WRONG);
    sample.run.flooded = true;
    judgement = judged("ends/bounded", &sample.run, 1);
    assert_string_equal(judgement.seen,
                        "it was ended after 200 requests, and would have gone on; delays ");
    free_run(&sample);
}

static void runs_that_disagree_are_questionable(void **state)
{
    (void)state;
    struct sample_run first;
    struct sample_run second;
    make_run(&first, 0, COUNT(recovered), recovered);
    make_run(&second, 1, 1, refused);
    struct judgement judgement =
        judged("recovers/one-429", (const struct probe_run[]){first.run, second.run}, 2);
    assert_int_equal(judgement.outcome, PROBE_QUESTIONABLE);
    assert_non_null(strstr(judgement.seen, "starts disagree: served after 1 retry"));
    free_run(&first);
    free_run(&second);
}

static void a_wait_that_chance_made_short_is_no_retry_at_once(void **state)
{
    (void)state;
    struct sample_request drawn[] = {
        {.status = 429}, {.at_ms = 301, .status = 429}, {.at_ms = 1002, .status = 429}};
    struct sample_request short_once[] = {
        {.status = 429}, {.at_ms = 1, .status = 429}, {.at_ms = 1002, .status = 429}};
    struct sample_run samples[5];
    struct probe_run runs[5];
    for (size_t i = 0; i < 5; i++) {
        make_run(&samples[i], 1, 3, i == 2 ? short_once : drawn);
        runs[i] = samples[i].run;
    }
    assert_int_equal(judged("backs-off/waits", runs, 5).outcome, PROBE_RIGHT);
    assert_int_equal(judged("backs-off/waits", runs, 3).outcome, PROBE_QUESTIONABLE);
    assert_int_equal(judged("backs-off/waits", runs + 2, 1).outcome, PROBE_NON_STRICT);
    for (size_t i = 0; i < 5; i++)
        free_run(&samples[i]);
}

static void jitter_needs_runs_that_differ(void **state)
{
    (void)state;
    struct sample_run same[5];
    struct probe_run runs[5];
    for (size_t i = 0; i < 5; i++) {
        make_run(&same[i], 1, COUNT(refused), refused);
        runs[i] = same[i].run;
    }
    assert_int_equal(judged("backs-off/jitter", runs, 5).outcome, PROBE_WRONG);
    assert_int_equal(judged("backs-off/jitter", runs, 4).outcome, PROBE_QUESTIONABLE);
    same[4].calls[0].attempts[1].delay_ns -= 20 * NS_PER_MS;
    assert_int_equal(judged("backs-off/jitter", runs, 5).outcome, PROBE_RIGHT);
    for (size_t i = 0; i < 5; i++)
        free_run(&same[i]);
}

static void a_growth_that_chance_may_have_made_is_not_believed(void **state)
{
    (void)state;
    struct sample_request fixed[] = {
        {.status = 429}, {.at_ms = 1001, .status = 429}, {.at_ms = 2002, .status = 429}};
    struct sample_request doubled[] = {
        {.status = 429}, {.at_ms = 1001, .status = 429}, {.at_ms = 3002, .status = 429}};
    /* Drawn evenly from 0 to a second, this is nothing out of the way. */
    struct sample_request drawn[] = {
        {.status = 429}, {.at_ms = 301, .status = 429}, {.at_ms = 1002, .status = 429}};
    says("backs-off/grows", 1, 3, fixed, PROBE_WRONG, "the delays are all alike: 1.0s, 1.0s");
    says("backs-off/grows", 1, 3, doubled, PROBE_QUESTIONABLE,
         "it is not clear from 1 of its runs whether the delays grow: 1.0s, 2.0s");
    struct sample_run samples[20];
    struct probe_run runs[20];
    for (size_t i = 0; i < 20; i++) {
        make_run(&samples[i], 1, 3, i % 2 == 0 ? drawn : fixed);
        runs[i] = samples[i].run;
    }
    assert_int_equal(judged("backs-off/grows", runs, 20).outcome, PROBE_WRONG);
    for (size_t i = 0; i < 20; i++)
        samples[i].calls[0].attempts[2].delay_ns *= 2;
    assert_int_equal(judged("backs-off/grows", runs, 20).outcome, PROBE_RIGHT);
    for (size_t i = 0; i < 20; i++)
        free_run(&samples[i]);
}

static void nested_retries_are_found_by_the_counter(void **state)
{
    (void)state;
    struct sample_request nested[] = {
        {.status = 429, .counter = 1},
        {.at_ms = 500, .status = 429, .counter = 2},
        {.at_ms = 2500, .status = 429, .counter = 1},
        {.at_ms = 3000, .status = 429, .counter = 2},
    };
    says("multiplies/one-layer", 1, 4, nested, PROBE_WRONG,
         "the SDK's 1 retries inside a loop of 2: 4 requests");
    says("multiplies/one-layer", 1, 2, nested, PROBE_RIGHT, "one layer: 2 requests");
}

static void every_probe_says_all_that_a_card_shows(void **state)
{
    (void)state;
    for (size_t i = 0; probe_table()[i] != NULL; i++) {
        const struct probe *probe = probe_table()[i];
        assert_ptr_equal(probe_find(probe->id), probe);
        assert_true(strlen(probe->requirement) > 20 && strlen(probe->requirement) < 160);
        assert_int_equal(probe->requirement[strlen(probe->requirement) - 1],
                         probe->requirement[strlen(probe->requirement) - 1] == ')' ? ')' : '.');
        assert_true(strlen(probe->source) > 0 && strlen(probe->sent) > 0);
        assert_true(strlen(probe->cure) > 0 && strlen(probe->server) > 1);
        assert_non_null(probe->judge);
        if (i > 0)
            assert_true(probe_table()[i - 1]->group <= probe->group);
    }
    assert_null(probe_find("waits/nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovers_when_it_was_served_and_says_so),
        cmocka_unit_test(early_is_wrong_and_late_is_not),
        cmocka_unit_test(a_number_that_is_read_in_another_unit_is_wrong),
        cmocka_unit_test(two_retries_at_once_are_hammering_and_one_is_not),
        cmocka_unit_test(what_hangs_floods_or_crashes_is_wrong_everywhere),
        cmocka_unit_test(runs_that_disagree_are_questionable),
        cmocka_unit_test(a_wait_that_chance_made_short_is_no_retry_at_once),
        cmocka_unit_test(jitter_needs_runs_that_differ),
        cmocka_unit_test(a_growth_that_chance_may_have_made_is_not_believed),
        cmocka_unit_test(nested_retries_are_found_by_the_counter),
        cmocka_unit_test(every_probe_says_all_that_a_card_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
