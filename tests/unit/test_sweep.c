#include "lab_experiments.h"

#include <stdlib.h>

#define EXPERIMENT                                                                                 \
    "{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 600}, \"service_time\": \"100ms\","   \
    " \"strategies\": [\"none\", \"paced\"], \"load\": {\"workers\": [1, 2, 4]},"                  \
    " \"duration\": \"10s\", \"repetitions\": 3}"

static atomic_int runs_made;

/* Tells what it was ordered to run as its result. */
static bool echo(const struct run_order *order, struct run_result *result, struct error *error)
{
    (void)error;
    atomic_fetch_add(&runs_made, 1);
    *result = (struct run_result){.is_done = true, .is_complete = true, .events = 1};
    result->measures[MEASURE_OFFERED] = order->load;
    result->measures[MEASURE_WAITED] = (double)order->strategy->gate.requests_per_minute;
    result->measures[MEASURE_HERD] = (double)(order->seed >> 12);
    result->calls_begun = order->journal != NULL;
    return true;
}

static bool fail_at_four(const struct run_order *order, struct run_result *result,
                         struct error *error)
{
    if (order->load == 4 && order->strategy->policy.kind == RETRY_NONE)
        return error_set_run(error, "four", "cannot be run");
    return echo(order, result, error);
}

static void every_cell_is_run_with_its_own_strategy_load_and_seeds(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(EXPERIMENT);
    struct error error;
    struct sweep sweep;
    const struct sweep_options options = {.jobs = 3, .runner = echo};
    runs_made = 0;
    assert_true(sweep_run(&sweep, &experiment, &options, &error));
    assert_int_equal(runs_made, 18);
    assert_int_equal(sweep.events, 18);
    assert_int_equal(sweep.cell_count, 6);
    assert_true(sweep.is_complete);
    for (size_t strategy = 0; strategy < 2; strategy++) {
        for (size_t load = 0; load < 3; load++) {
            const struct cell_result *cell = sweep_cell(&sweep, strategy, load);
            assert_int_equal(cell->strategy, strategy);
            assert_int_equal(cell->load, load);
            assert_int_equal(cell->repetitions, 3);
            assert_true(cell->measures[MEASURE_OFFERED].mean == experiment.loads[load]);
            /* A paced strategy was told the quota. */
            assert_true(cell->measures[MEASURE_WAITED].mean == (strategy == 1 ? 600 : 0));
            for (int i = 0; i < 3; i++)
                assert_true(cell->runs[i].measures[MEASURE_HERD] ==
                            (double)(experiment_seed(&experiment, i) >> 12));
        }
    }
    assert_null(sweep_cell(&sweep, 2, 0));
    assert_null(sweep_cell(&sweep, 0, 3));
    sweep_free(&sweep);
    experiment_free(&experiment);
}

static void only_one_run_gets_the_journal(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(EXPERIMENT);
    struct error error;
    struct sweep sweep;
    const struct sweep_options options = {
        .runner = echo, .journal = stderr, .journal_strategy = 1, .journal_load = 2};
    assert_true(sweep_run(&sweep, &experiment, &options, &error));
    for (size_t i = 0; i < 18; i++)
        assert_int_equal(sweep.runs[i].calls_begun, i == 15);
    sweep_free(&sweep);
    experiment_free(&experiment);
}

static void a_run_that_fails_ends_the_sweep_with_its_reason(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(EXPERIMENT);
    struct error error;
    struct sweep sweep;
    const struct sweep_options options = {.jobs = 1, .runner = fail_at_four};
    runs_made = 0;
    assert_false(sweep_run(&sweep, &experiment, &options, &error));
    assert_string_equal(error.place, "four");
    assert_int_equal(runs_made, 6);
    experiment_free(&experiment);
}

static atomic_bool stop;

static bool stop_at_second(const struct run_order *order, struct run_result *result,
                           struct error *error)
{
    if (runs_made == 1)
        stop = true;
    return echo(order, result, error);
}

static void a_sweep_that_is_stopped_keeps_what_was_run(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(EXPERIMENT);
    struct error error;
    struct sweep sweep;
    const struct sweep_options options = {.jobs = 1, .runner = stop_at_second, .stop = &stop};
    runs_made = 0;
    stop = false;
    assert_true(sweep_run(&sweep, &experiment, &options, &error));
    assert_false(sweep.is_complete);
    assert_int_equal(sweep.cells[0].repetitions, 2);
    assert_false(sweep.cells[0].is_complete);
    assert_int_equal(sweep.cells[1].repetitions, 0);
    sweep_free(&sweep);
    experiment_free(&experiment);
}

static struct sweep_progress last_progress;

static void note_progress(void *owner, const struct sweep_progress *progress)
{
    (void)owner;
    assert_true(progress->share >= last_progress.share);
    last_progress = *progress;
}

static void progress_goes_up_to_the_end(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(EXPERIMENT);
    struct error error;
    struct sweep sweep;
    const struct sweep_options options = {.jobs = 2, .on_progress = note_progress};
    last_progress = (struct sweep_progress){0};
    assert_true(sweep_run(&sweep, &experiment, &options, &error));
    assert_int_equal(last_progress.runs_done, 18);
    assert_int_equal(last_progress.runs_total, 18);
    assert_true(last_progress.share == 1);
    sweep_free(&sweep);
    experiment_free(&experiment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_is_run_with_its_own_strategy_load_and_seeds),
        cmocka_unit_test(only_one_run_gets_the_journal),
        cmocka_unit_test(a_run_that_fails_ends_the_sweep_with_its_reason),
        cmocka_unit_test(a_sweep_that_is_stopped_keeps_what_was_run),
        cmocka_unit_test(progress_goes_up_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
