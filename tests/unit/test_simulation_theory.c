/* The simulation against what can be computed: each closed form has to lie in the simulation's own
 * confidence interval. All seeds are fixed, so a result is the same each time. One interval in
 * twenty misses what it is for by chance: a change of the simulation that only draws in another
 * order may need longer runs here, a wrong rule misses in these too. */
#include "lab_experiments.h"

#include <math.h>
#include <stdlib.h>

static struct experiment experiment;
static struct sweep sweep;

static const struct cell_result *simulate(const char *text)
{
    experiment = parse_experiment(text);
    sweep = sweep_with_jobs(&experiment, 0);
    assert_true(sweep.is_complete);
    return &sweep.cells[0];
}

static int forget(void **state)
{
    (void)state;
    sweep_free(&sweep);
    experiment_free(&experiment);
    return 0;
}

static void assert_meets(const struct cell_result *cell, enum measure measure, double expected)
{
    const struct estimate *estimate = &cell->measures[measure];
    assert_true(estimate->has_interval);
    if (expected < estimate->low || expected > estimate->high)
        fail_msg("%s: expected %.6g, simulated %.6g, from %.6g to %.6g",
                 measure_describe(measure)->name, expected, estimate->mean, estimate->low,
                 estimate->high);
    /* An interval that is wide holds anything. */
    assert_true(estimate->high - estimate->low < 0.1 * expected);
}

/* Erlang's first formula: the chance that all of `places` are taken, for `load` erlangs. */
static double erlang_b(int places, double load)
{
    double blocked = 1;
    for (int i = 1; i <= places; i++)
        blocked = load * blocked / (i + load * blocked);
    return blocked;
}

/* Erlang's second formula: the chance to have to wait. */
static double erlang_c(int places, double load)
{
    double b = erlang_b(places, load);
    double use = load / places;
    return b / (1 - use * (1 - b));
}

static void calls_wait_at_a_semaphore_as_erlang_c_says(void **state)
{
    (void)state;
    const struct cell_result *cell =
        simulate("{\"name\": \"M/M/8\", \"quotas\": {}, \"duration\": \"3h\","
                 " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
                 " \"strategies\": [{\"strategy\": \"semaphore\", \"in_flight_max\": 8}],"
                 " \"load\": {\"rates\": [8.5]}, \"repetitions\": 40, \"seed\": 3}");
    double load = 8.5 * 0.8;
    assert_meets(cell, MEASURE_WAITED, erlang_c(8, load) / (8 / 0.8 - 8.5));
    assert_meets(cell, MEASURE_GOODPUT_REQUESTS, 8.5);
}

static void times_in_a_queue_of_one_are_exponential(void **state)
{
    (void)state;
    const struct cell_result *cell =
        simulate("{\"name\": \"M/M/1\", \"quotas\": {}, \"duration\": \"2h\","
                 " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"100ms\"},"
                 " \"strategies\": [{\"strategy\": \"semaphore\", \"in_flight_max\": 1}],"
                 " \"load\": {\"rates\": [6]}, \"repetitions\": 40, \"seed\": 1}");
    /* The histogram reads up to 1/256 high; the mean of that is half of it. */
    double reads = 1 + 0.5 / 256;
    assert_meets(cell, MEASURE_COMPLETION_P50, log(2) / (10 - 6) * reads);
    assert_meets(cell, MEASURE_COMPLETION_P90, log(10) / (10 - 6) * reads);
    assert_meets(cell, MEASURE_COMPLETION_P99, log(100) / (10 - 6) * reads);
}

static void calls_wait_for_log_normal_service_as_pollaczek_and_khinchine_say(void **state)
{
    (void)state;
    const struct cell_result *cell = simulate(
        "{\"name\": \"M/G/1\", \"quotas\": {}, \"duration\": \"8h\","
        " \"service_time\": {\"kind\": \"log-normal\", \"mean\": \"100ms\", \"sigma\": 0.8},"
        " \"strategies\": [{\"strategy\": \"semaphore\", \"in_flight_max\": 1}],"
        " \"load\": {\"rates\": [6]}, \"repetitions\": 40, \"seed\": 1}");
    double second_moment = 0.1 * 0.1 * exp(0.8 * 0.8);
    assert_meets(cell, MEASURE_WAITED, 6 * second_moment / (2 * (1 - 0.6)));
}

static void calls_are_blocked_by_a_limit_of_concurrency_as_erlang_b_says(void **state)
{
    (void)state;
    /* The formula holds for any distribution of service times. */
    const struct cell_result *cell = simulate(
        "{\"name\": \"M/G/5/5\", \"quotas\": {\"concurrent_requests\": 5}, \"duration\": \"1h\","
        " \"service_time\": {\"kind\": \"log-normal\", \"mean\": \"500ms\", \"sigma\": 1},"
        " \"strategies\": [\"none\"],"
        " \"load\": {\"rates\": [8]}, \"repetitions\": 40, \"seed\": 1}");
    double blocked = erlang_b(5, 8 * 0.5);
    assert_meets(cell, MEASURE_CALLS_LOST, blocked);
    assert_meets(cell, MEASURE_THROTTLED_SHARE, blocked);
    assert_meets(cell, MEASURE_GOODPUT_REQUESTS, 8 * (1 - blocked));
}

static void a_bucket_of_one_admits_as_a_renewal_process(void **state)
{
    (void)state;
    /* After an admission nothing is admitted for a minute; then the next that comes. */
    const struct cell_result *cell =
        simulate("{\"name\": \"one a minute\", \"quotas\": {\"requests_per_minute\": 1},"
                 " \"service_time\": \"1ms\", \"duration\": \"100h\","
                 " \"strategies\": [\"none\"], \"load\": {\"rates\": [0.05]},"
                 " \"repetitions\": 40, \"seed\": 1}");
    assert_meets(cell, MEASURE_GOODPUT_REQUESTS, 0.05 / (1 + 0.05 * 60));
    assert_meets(cell, MEASURE_THROTTLED_SHARE, 1 - 1 / (1 + 0.05 * 60));
}

static void an_open_loop_under_the_limit_loses_nothing(void **state)
{
    (void)state;
    const struct cell_result *cell =
        simulate("{\"name\": \"under\", \"quotas\": {\"requests_per_minute\": 600},"
                 " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
                 " \"strategies\": [\"none\"], \"load\": {\"rates\": [7]}, \"duration\": \"2h\","
                 " \"repetitions\": 20, \"seed\": 1}");
    for (int i = 0; i < cell->run_count; i++) {
        assert_int_equal(cell->runs[i].throttled, 0);
        assert_int_equal(cell->runs[i].calls_lost, 0);
        assert_int_equal(cell->runs[i].calls_open, 0);
        assert_int_equal(cell->runs[i].calls_served, cell->runs[i].calls_begun);
    }
    assert_meets(cell, MEASURE_GOODPUT_REQUESTS, 7);
}

static void workers_without_a_limit_follow_the_response_time_law(void **state)
{
    (void)state;
    const struct cell_result *cell =
        simulate("{\"name\": \"closed\", \"quotas\": {}, \"duration\": \"2h\","
                 " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
                 " \"strategies\": [\"none\"],"
                 " \"load\": {\"workers\": [20],"
                 "            \"think_time\": {\"kind\": \"uniform\", \"low\": \"1s\","
                 "                             \"high\": \"3s\"}},"
                 " \"repetitions\": 20, \"seed\": 1}");
    assert_meets(cell, MEASURE_GOODPUT_REQUESTS, 20 / (2 + 0.8));
}

static void a_paced_program_takes_every_single_request_that_the_bucket_gives(void **state)
{
    (void)state;
    const struct cell_result *cell =
        simulate("{\"name\": \"departures\", \"quotas\": {\"requests_per_minute\": 600},"
                 " \"service_time\": \"300ms\", \"strategies\": [\"paced\"],"
                 " \"load\": {\"workers\": [700]}, \"duration\": \"10s\", \"repetitions\": 1}");
    /* 600 at once; then one each 100 ms, the last that is before 10 s at 9.9 s. */
    assert_int_equal(lround(cell->measures[MEASURE_ATTEMPTS].mean * 10), 699);
    assert_int_equal(cell->runs[0].throttled, 0);
    const struct measure_bin *bins = cell->runs[0].bins;
    assert_int_equal(bins[0].attempts, 600);
    uint64_t sum = 600;
    for (int i = 1; i < MEASURES_BINS; i++) {
        /* Bin i ends at (i + 1) / 60 s. */
        sum += bins[i].attempts;
        assert_int_equal(sum, 600 + ((i + 1) * 10 - 1) / 60);
    }
}

static void goodput_never_passes_the_bound_and_reaches_it_under_a_flood(void **state)
{
    (void)state;
    /* Tokens bind: 60000 at once and 1000 a second, for requests of 100. */
    const struct cell_result *cell =
        simulate("{\"name\": \"flood\", \"request_tokens\": 100, \"duration\": \"5m\","
                 " \"quotas\": {\"requests_per_minute\": 6000, \"tokens_per_minute\": 60000},"
                 " \"service_time\": \"50ms\", \"refusal_time\": \"5ms\","
                 " \"strategies\": [\"none\"], \"load\": {\"workers\": [50]},"
                 " \"repetitions\": 3, \"seed\": 1}");
    assert_int_equal(sweep.bound.limit, QUOTA_TOKENS_PER_MINUTE);
    assert_true(fabs(sweep.bound.requests_per_s - (10 + 600 / 300.0)) < 1e-9);
    assert_true(cell->measures[MEASURE_QUOTA_SHARE].mean <= 1);
    assert_true(cell->measures[MEASURE_QUOTA_SHARE].mean > 0.999);
}

int main(void)
{
#define THEORY(test) cmocka_unit_test_teardown(test, forget)
    const struct CMUnitTest tests[] = {
        THEORY(calls_wait_at_a_semaphore_as_erlang_c_says),
        THEORY(times_in_a_queue_of_one_are_exponential),
        THEORY(calls_wait_for_log_normal_service_as_pollaczek_and_khinchine_say),
        THEORY(calls_are_blocked_by_a_limit_of_concurrency_as_erlang_b_says),
        THEORY(a_bucket_of_one_admits_as_a_renewal_process),
        THEORY(an_open_loop_under_the_limit_loses_nothing),
        THEORY(workers_without_a_limit_follow_the_response_time_law),
        THEORY(a_paced_program_takes_every_single_request_that_the_bucket_gives),
        THEORY(goodput_never_passes_the_bound_and_reaches_it_under_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
