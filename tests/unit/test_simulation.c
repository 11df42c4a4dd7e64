#include "lab_experiments.h"

#include "base/digest.h"
#include "base/duration.h"
#include "lab/journal_lines.h"

#include <math.h>
#include <stdlib.h>

static struct experiment experiment;
static struct sweep sweep;
static char *journal;
static size_t journal_bytes;

/* One repetition of the first cell, with its journal. */
static const struct run_result *simulate(const char *text)
{
    struct error error;
    char message[2048];
    FILE *stream = open_memstream(&journal, &journal_bytes);
    const struct sweep_options options = {.jobs = 1, .journal = stream};
    experiment = parse_experiment(text);
    if (!sweep_run(&sweep, &experiment, &options, &error))
        fail_msg("%s", error_text(&error, message, sizeof message));
    fclose(stream);
    return &sweep.runs[0];
}

static int forget(void **state)
{
    (void)state;
    sweep_free(&sweep);
    experiment_free(&experiment);
    free(journal);
    journal = NULL;
    return 0;
}

/* What the journal's entry number `index` says of `name`; -1: null, or no such entry. */
static int64_t entry_number(size_t index, const char *name)
{
    const char *line = journal;
    for (size_t i = 0; i < index && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    assert_non_null(line);
    if (*line == '\0')
        return -1;
    cJSON *entry = cJSON_ParseWithLength(line, (size_t)(strchr(line, '\n') - line));
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, name);
    int64_t value = cJSON_IsNumber(item) ? (int64_t)item->valuedouble : -1;
    cJSON_Delete(entry);
    return value;
}

static void assert_arrives(size_t index, int64_t arrived_ns, int64_t status, int64_t retry_count)
{
    assert_int_equal(entry_number(index, "arrived_ns"), arrived_ns);
    assert_int_equal(entry_number(index, "status"), status);
    assert_int_equal(entry_number(index, "retry_count"), retry_count);
}

static void one_worker_goes_through_its_delays_to_the_nanosecond(void **state)
{
    (void)state;
    const struct run_result *run =
        simulate("{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 1},"
                 " \"service_time\": \"500ms\", \"refusal_time\": \"10ms\","
                 " \"strategies\": [{\"strategy\": \"exponential\", \"max_attempts\": 5,"
                 "                   \"base\": \"1s\"}],"
                 " \"load\": {\"workers\": [1]}, \"duration\": \"61s\", \"repetitions\": 1}");
    assert_arrives(0, 0, 200, 0);
    assert_int_equal(entry_number(0, "answered_ns"), 500 * NS_PER_MS);
    /* Delays 1, 2, 4, 8 s, each from the end of the answer. */
    static const int64_t refused_ms[] = {500, 1510, 3520, 7530, 15540};
    for (size_t i = 0; i < 5; i++) {
        assert_arrives(1 + i, refused_ms[i] * NS_PER_MS, 429, (int64_t)i);
        /* In whole milliseconds, as the server says it. */
        assert_int_equal(entry_number(1 + i, "retry_after_ns"),
                         NS_PER_MINUTE - refused_ms[i] * NS_PER_MS);
    }
    /* Lost after five attempts; the next call begins at once. */
    assert_arrives(6, 15550 * NS_PER_MS, 429, 0);
    assert_int_equal(run->calls_served, 2);
    assert_true(run->calls_lost >= 1);
    assert_int_equal(run->calls_open, 0);
    assert_int_equal(run->calls_begun, run->calls_served + run->calls_lost);
}

static void retry_after_is_waited_for_and_served(void **state)
{
    (void)state;
    const struct run_result *run =
        simulate("{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 60},"
                 " \"service_time\": \"1us\", \"refusal_time\": \"1ms\","
                 " \"strategies\": [\"retry-after\"], \"load\": {\"workers\": [1]},"
                 " \"duration\": \"2500ms\", \"repetitions\": 1}");
    /* 60 at once, 1 us apart. The next is refused at 60 us and asked to wait until 1 s; rounded up
     * to a millisecond, and 1 ms for the refusal itself. */
    assert_arrives(60, 60 * NS_PER_US, 429, 0);
    assert_int_equal(entry_number(60, "retry_after_ns"), NS_PER_S);
    assert_arrives(61, 1001060 * NS_PER_US, 200, 1);
    assert_int_equal(run->calls_lost, 0);
}

static void a_plan_that_is_used_up_is_not_retried(void **state)
{
    (void)state;
    const struct run_result *run =
        simulate("{\"name\": \"x\", \"quotas\": {\"requests_total\": 3}, \"service_time\": \"1ms\","
                 " \"strategies\": [\"full-jitter\"], \"load\": {\"rates\": [10],"
                 " \"arrivals\": {\"kind\": \"bursts\", \"every\": \"1s\"}},"
                 " \"duration\": \"1s\", \"repetitions\": 1}");
    assert_int_equal(run->calls_begun, 10);
    assert_int_equal(run->calls_served, 3);
    assert_int_equal(run->calls_lost, 7);
    assert_int_equal(run->attempts, 10);
    assert_non_null(strstr(journal, "\"code\":\"insufficient_quota\""));
}

static void a_semaphore_never_lets_more_in_and_serves_in_order(void **state)
{
    (void)state;
    const struct run_result *run =
        simulate("{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1s\","
                 " \"strategies\": [{\"strategy\": \"semaphore\", \"in_flight_max\": 3}],"
                 " \"load\": {\"workers\": [10]}, \"duration\": \"10s\", \"drain\": \"1m\","
                 " \"repetitions\": 1}");
    for (size_t i = 0; i < run->attempts; i++) {
        assert_true(entry_number(i, "in_flight") <= 3);
        assert_int_equal(entry_number(i, "arrived_ns"), (int64_t)(i / 3) * NS_PER_S);
        assert_int_equal(entry_number(i, "connection"), (int64_t)(i % 10) + 1);
    }
    /* 27 had ended before 10 s, and let another begin; all that had begun were served. */
    assert_int_equal(run->calls_served, 27 + 10);
}

static void the_cookbook_pauses_for_everybody_after_a_refusal(void **state)
{
    (void)state;
    /* The client believes in twice the quota. */
    (void)simulate("{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 60},"
                   " \"service_time\": \"1s\", \"refusal_time\": \"10ms\","
                   " \"strategies\": [{\"strategy\": \"cookbook\", \"quota_share\": 2}],"
                   " \"load\": {\"workers\": [100]}, \"duration\": \"30s\", \"repetitions\": 1}");
    /* A millisecond apart; the 61st is refused, and that is known 10 ms later. */
    for (int64_t i = 0; i < 60; i++)
        assert_int_equal(entry_number(0, "arrived_ns"), 60 * NS_PER_MS); /* answered first */
    int64_t first_after_ns = -1;
    size_t index = 0;
    int64_t latest_ns = 0;
    for (int64_t at_ns; (at_ns = entry_number(index, "arrived_ns")) >= 0; index++) {
        latest_ns = at_ns > latest_ns ? at_ns : latest_ns;
        assert_false(at_ns > 80 * NS_PER_MS && at_ns < 15 * NS_PER_S);
        bool is_first = at_ns >= 15 * NS_PER_S && (first_after_ns < 0 || at_ns < first_after_ns);
        first_after_ns = is_first ? at_ns : first_after_ns;
    }
    /* Refusals of those that were under way prolong the pause: the last was sent at 70 ms. */
    assert_in_range(first_after_ns, 15 * NS_PER_S + 70 * NS_PER_MS, 15 * NS_PER_S + 90 * NS_PER_MS);
}

static void a_gate_of_headers_is_hardly_ever_refused(void **state)
{
    (void)state;
    const struct run_result *run = simulate(
        "{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 600,"
        "                               \"tokens_per_minute\": 30000}, \"request_tokens\": 100,"
        " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
        " \"strategies\": [\"headers\"], \"load\": {\"workers\": [40]}, \"duration\": \"10m\","
        " \"repetitions\": 1}");
    assert_true(run->measures[MEASURE_QUOTA_SHARE] > 0.98);
    assert_true(run->measures[MEASURE_THROTTLED_SHARE] < 0.01);
    assert_int_equal(run->calls_lost, 0);
}

static void an_adaptive_gate_finds_the_concurrency_of_the_quota(void **state)
{
    (void)state;
    const struct run_result *run = simulate(
        "{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 600}, \"service_time\": \"1s\","
        " \"strategies\": [\"adaptive\"], \"load\": {\"workers\": [100]}, \"duration\": \"30m\","
        " \"repetitions\": 1}");
    assert_true(run->measures[MEASURE_QUOTA_SHARE] > 0.9);
    assert_true(run->measures[MEASURE_THROTTLED_SHARE] < 0.1);
}

/* With strategies that use every rule and distribution there is. */
#define MIXED                                                                                      \
    "{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 600, \"tokens_per_minute\": 60000,"   \
    "                               \"concurrent_requests\": 12},"                                 \
    " \"service_time\": {\"kind\": \"log-normal\", \"mean\": \"800ms\", \"sigma\": 0.7},"          \
    " \"refusal_time\": {\"kind\": \"exponential\", \"mean\": \"20ms\"},"                          \
    " \"request_tokens\": {\"kind\": \"uniform\", \"low\": 20, \"high\": 300},"                    \
    " \"strategies\": \"all\", \"duration\": \"2m\", \"repetitions\": 2, \"seed\": 11,"            \
    " \"load\": {\"rates\": [4, 20], \"arrivals\": {\"kind\": \"diurnal\", \"day\": \"2m\","       \
    "            \"weights\": [1,1,1,1,1,1,2,3,4,5,6,6,5,5,5,5,5,4,4,3,3,2,1,1]}}}"

static void the_books_balance_whatever_the_strategy(void **state)
{
    (void)state;
    experiment = parse_experiment(MIXED);
    sweep = sweep_with_jobs(&experiment, 2);
    for (size_t i = 0; i < sweep.cell_count * 2; i++) {
        const struct run_result *run = &sweep.runs[i];
        uint64_t served = 0;
        uint64_t attempts = 0;
        assert_true(run->is_done && run->is_complete);
        assert_int_equal(run->calls_begun, run->calls_served + run->calls_lost + run->calls_open);
        for (int j = 0; j < MEASURES_BINS; j++) {
            served += run->bins[j].served;
            attempts += run->bins[j].attempts;
            assert_true(run->bins[j].throttled <= run->bins[j].attempts);
        }
        assert_true(served <= run->calls_served);
        assert_true(attempts <= run->attempts);
        assert_true(run->measures[MEASURE_QUOTA_SHARE] <= 1);
        assert_true(run->measures[MEASURE_WASTED] <= run->measures[MEASURE_WAITED] * 1.01 + 0.01);
    }
}

static void everybody_meets_the_same_arrivals(void **state)
{
    (void)state;
    experiment = parse_experiment(MIXED);
    sweep = sweep_with_jobs(&experiment, 2);
    for (size_t strategy = 1; strategy < experiment.strategy_count; strategy++)
        assert_int_equal(sweep_cell(&sweep, strategy, 1)->runs[0].calls_begun,
                         sweep_cell(&sweep, 0, 1)->runs[0].calls_begun);
}

static uint64_t digest_of_results(int jobs)
{
    experiment = parse_experiment(MIXED);
    sweep = sweep_with_jobs(&experiment, jobs);
    uint64_t mix = 0;
    for (size_t i = 0; i < sweep.cell_count; i++) {
        for (int j = 0; j < MEASURE_COUNT; j++) {
            const struct estimate *estimate = &sweep.cells[i].measures[j];
            double values[3] = {estimate->mean, estimate->low, estimate->high};
            for (int k = 0; k < 3; k++)
                values[k] = isnan(values[k]) ? 0 : values[k]; /* the bits of a NAN are not said */
            mix = mix * 31 + digest_bytes(values, sizeof values);
        }
    }
    sweep_free(&sweep);
    experiment_free(&experiment);
    return mix;
}

/* To the bit, with every compiler, machine and number of threads: written down once. It changes
 * when the rules, the strategies or the measures do. */
static void results_are_the_same_everywhere(void **state)
{
    (void)state;
    uint64_t alone = digest_of_results(1);
    assert_int_equal(alone, digest_of_results(2));
    assert_int_equal(alone, digest_of_results(7));
    assert_int_equal(alone, UINT64_C(0x85d22d06053791ce));
}

static void a_run_that_is_stopped_reports_what_there_is(void **state)
{
    (void)state;
    atomic_bool stop = true;
    struct strategy strategy;
    struct run_result result;
    struct error error;
    experiment = parse_experiment(
        "{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1ms\", \"strategies\": [\"none\"],"
        " \"load\": {\"workers\": [100]}, \"duration\": \"365d\"}");
    strategy = experiment.strategies[0];
    const struct run_order order = {
        .experiment = &experiment, .strategy = &strategy, .load = 100, .seed = 1, .stop = &stop};
    assert_true(simulation_run(&order, &result, &error));
    assert_true(result.is_done);
    assert_false(result.is_complete);
    assert_true(result.measured_ns > 0 && result.measured_ns < NS_PER_MINUTE);
    assert_true(fabs(result.measures[MEASURE_GOODPUT_REQUESTS] - 100000) < 1000);
}

int main(void)
{
#define SIMULATION(test) cmocka_unit_test_teardown(test, forget)
    const struct CMUnitTest tests[] = {
        SIMULATION(one_worker_goes_through_its_delays_to_the_nanosecond),
        SIMULATION(retry_after_is_waited_for_and_served),
        SIMULATION(a_plan_that_is_used_up_is_not_retried),
        SIMULATION(a_semaphore_never_lets_more_in_and_serves_in_order),
        SIMULATION(the_cookbook_pauses_for_everybody_after_a_refusal),
        SIMULATION(a_gate_of_headers_is_hardly_ever_refused),
        SIMULATION(an_adaptive_gate_finds_the_concurrency_of_the_quota),
        SIMULATION(the_books_balance_whatever_the_strategy),
        SIMULATION(everybody_meets_the_same_arrivals),
        SIMULATION(results_are_the_same_everywhere),
        SIMULATION(a_run_that_is_stopped_reports_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
