#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "harness/report.h"
#include "harness/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct scenario parse(const char *server, const char *client, const char *expect)
{
    struct scenario scenario;
    struct error error = {0};
    char *text = NULL;
    char told[1400];
    assert_true(asprintf(&text,
                         "{\"name\": \"n\", \"server\": {%s}, \"client\": {%s}, \"expect\": {%s}}",
                         server, client, expect) > 0);
    if (!scenario_parse(&scenario, text, strlen(text), "s.json", &error))
        fail_msg("%s", error_text(&error, told, sizeof told));
    free(text);
    return scenario;
}

static void free_results(struct results *results)
{
    for (size_t i = 0; i < results->count; i++)
        result_free(&results->items[i]);
    free(results->items);
}

/* Who was told of, in which order. */
struct told {
    int repetitions[300];
    int count;
    atomic_int telling; /* how many are being told at once */
    atomic_bool *stop_after_first;
    int stop_fd;
};

static void note_ended(void *owner, struct result *result)
{
    struct told *told = owner;
    assert_int_equal(atomic_fetch_add(&told->telling, 1), 0);
    told->repetitions[told->count++] = result->repetition;
    if (told->stop_after_first != NULL) {
        uint64_t one = 1;
        atomic_store(told->stop_after_first, true);
        assert_int_equal(write(told->stop_fd, &one, sizeof one), sizeof one);
    }
    atomic_fetch_sub(&told->telling, 1);
}

/* Retries with jitter, calls at once, a quota that refuses some: what could differ, would. */
static struct scenario lively(void)
{
    return parse("\"quotas\": {\"*\": {\"requests_per_minute\": 6, \"concurrent_requests\": 2}}, "
                 "\"latency\": {\"low\": \"20ms\", \"high\": \"300ms\"}, \"script\": [{\"answer\": "
                 "{\"error\": \"server_error\"}, \"when\": {\"share\": 0.3}, \"times\": 4}]",
                 "\"builtin\": {\"calls\": 8, \"in_flight_max\": 3, \"policy\": {\"kind\": "
                 "\"exponential\", \"base\": \"500ms\", \"max_attempts\": 6, \"jitter\": "
                 "\"full\"}}",
                 "\"throttled\": {\"min\": 1}, \"script_played\": \"partly\"");
}

static char *json_of(const struct results *results)
{
    char *text = NULL;
    size_t length = 0;
    struct report_style style = {.width = 80};
    FILE *stream = open_memstream(&text, &length);
    assert_true(report_json(results, &style, stream));
    fclose(stream);
    return text;
}

static char *run_json(const struct scenario *scenario, size_t count, int jobs)
{
    struct suite_item items[128];
    for (size_t i = 0; i < count; i++)
        items[i] =
            (struct suite_item){.scenario = scenario, .seed = 1 + i % 4, .repetition = (int)i + 1};
    struct suite_options options = {.items = items, .count = count, .jobs = jobs};
    struct results results;
    struct error error = {0};
    assert_true(suite_run(&options, &results, &error));
    assert_int_equal(results.count, count);
    assert_false(results.interrupted);
    char *text = json_of(&results);
    free_results(&results);
    return text;
}

static void the_same_seed_gives_the_same_report_to_the_byte(void **state)
{
    (void)state;
    enum { TIMES = 100 };
    struct scenario scenario = lively();
    char *first = run_json(&scenario, 1, 1);
    assert_non_null(strstr(first, "429"));
    for (int i = 1; i < TIMES; i++) {
        char *again = run_json(&scenario, 1, 1);
        assert_string_equal(again, first);
        free(again);
    }
    free(first);
    scenario_free(&scenario);
}

static void side_by_side_they_give_the_same_as_one_by_one(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct scenario scenario = lively();
    char *one_by_one = run_json(&scenario, COUNT, 1);
    char *side_by_side = run_json(&scenario, COUNT, 4);
    assert_string_equal(side_by_side, one_by_one);
    free(one_by_one);
    free(side_by_side);
    scenario_free(&scenario);
}

static void another_seed_gives_another_report(void **state)
{
    (void)state;
    struct scenario scenario = lively();
    struct suite_item items[2] = {{.scenario = &scenario, .seed = 1},
                                  {.scenario = &scenario, .seed = 2}};
    struct suite_options options = {.items = items, .count = 2, .jobs = 1};
    struct results results;
    struct error error = {0};
    assert_true(suite_run(&options, &results, &error));
    assert_true(results.items[0].duration_ns != results.items[1].duration_ns);
    free_results(&results);
    scenario_free(&scenario);
}

static void they_are_told_in_order_one_at_a_time(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    /* The first of them are the longest, so that later ones end before them. */
    struct scenario slow = lively();
    struct scenario quick =
        parse("", "\"builtin\": {\"policy\": {\"kind\": \"none\"}}", "\"calls\": 1");
    struct suite_item items[COUNT];
    for (int i = 0; i < COUNT; i++)
        items[i] = (struct suite_item){
            .scenario = i % 20 == 0 ? &slow : &quick, .seed = 1, .repetition = i + 1};
    struct told told = {0};
    struct suite_options options = {
        .items = items, .count = COUNT, .jobs = 4, .ended = note_ended, .owner = &told};
    struct results results;
    struct error error = {0};
    assert_true(suite_run(&options, &results, &error));
    assert_int_equal(told.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(told.repetitions[i], i + 1);
    assert_int_equal(results.count, COUNT);
    free_results(&results);
    scenario_free(&slow);
    scenario_free(&quick);
}

static void more_jobs_than_items_are_no_harm(void **state)
{
    (void)state;
    struct scenario quick =
        parse("", "\"builtin\": {\"policy\": {\"kind\": \"none\"}}", "\"calls\": 1");
    struct suite_item items[3] = {{.scenario = &quick, .repetition = 1},
                                  {.scenario = &quick, .repetition = 2},
                                  {.scenario = &quick, .repetition = 3}};
    struct told told = {0};
    for (int jobs = 1; jobs <= 1000; jobs = jobs * 10 + 1) {
        for (size_t count = 0; count <= 3; count++) {
            told = (struct told){0};
            struct suite_options options = {
                .items = items, .count = count, .jobs = jobs, .ended = note_ended, .owner = &told};
            struct results results;
            struct error error = {0};
            assert_true(suite_run(&options, &results, &error));
            assert_int_equal(results.count, count);
            assert_int_equal(told.count, count);
            assert_int_equal(results_passed(&results), count);
            free_results(&results);
        }
    }
    scenario_free(&quick);
}

static void what_is_stopped_reports_what_had_begun(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct scenario quick =
        parse("", "\"builtin\": {\"policy\": {\"kind\": \"none\"}}", "\"calls\": 1");
    struct suite_item items[COUNT];
    for (int jobs = 1; jobs <= 4; jobs += 3) {
        atomic_bool stopping = false;
        struct told told = {.stop_after_first = &stopping, .stop_fd = eventfd(0, EFD_CLOEXEC)};
        for (int i = 0; i < COUNT; i++)
            items[i] = (struct suite_item){.scenario = &quick, .seed = 1, .repetition = i + 1};
        struct suite_options options = {
            .items = items,
            .count = COUNT,
            .jobs = jobs,
            .stopping = &stopping,
            .stop_fd = told.stop_fd,
            .ended = note_ended,
            .owner = &told,
        };
        struct results results;
        struct error error = {0};
        assert_true(suite_run(&options, &results, &error));
        assert_true(results.interrupted);
        /* The job that has told of the first begins no other; those that had begun are told of. */
        assert_true(jobs == 1 ? results.count == 1 : results.count >= 1);
        assert_int_equal(told.count, results.count);
        assert_true(results.items[0].passed);
        for (int i = 0; i < told.count; i++)
            assert_int_equal(told.repetitions[i], i + 1);
        free_results(&results);
        close(told.stop_fd);
    }
    scenario_free(&quick);
}

static void a_stop_ends_a_client_in_mid_run(void **state)
{
    (void)state;
    /* The second would run for an hour: a process, in real time. */
    struct scenario quick =
        parse("", "\"builtin\": {\"policy\": {\"kind\": \"none\"}}", "\"calls\": 1");
    struct scenario hanging =
        parse("", "\"command\": [\"sleep\", \"3600\"], \"timeout\": \"2h\"", "\"requests\": 0");
    struct suite_item items[3] = {{.scenario = &quick, .repetition = 1},
                                  {.scenario = &hanging, .repetition = 2},
                                  {.scenario = &hanging, .repetition = 3}};
    atomic_bool stopping = false;
    struct told told = {.stop_after_first = &stopping, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    struct suite_options options = {
        .items = items,
        .count = 3,
        .jobs = 2,
        .stopping = &stopping,
        .stop_fd = told.stop_fd,
        .ended = note_ended,
        .owner = &told,
    };
    struct results results;
    struct error error = {0};
    assert_true(suite_run(&options, &results, &error));
    assert_true(results.interrupted);
    assert_true(results.count < 3);
    if (results.count == 2) {
        assert_true(results.items[1].interrupted);
        assert_false(results.items[1].passed);
        assert_true(results.items[1].wall_ms < 60000);
    }
    free_results(&results);
    close(told.stop_fd);
    scenario_free(&quick);
    scenario_free(&hanging);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_report_to_the_byte),
        cmocka_unit_test(side_by_side_they_give_the_same_as_one_by_one),
        cmocka_unit_test(another_seed_gives_another_report),
        cmocka_unit_test(they_are_told_in_order_one_at_a_time),
        cmocka_unit_test(more_jobs_than_items_are_no_harm),
        cmocka_unit_test(what_is_stopped_reports_what_had_begun),
        cmocka_unit_test(a_stop_ends_a_client_in_mid_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
