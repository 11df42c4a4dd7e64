#include "lab/live.h"

#include "base/duration.h"
#include "client/client.h"
#include "lab/journal_lines.h"
#include "tests/unit/lab_experiments.h"
#include "tests/unit/server_thread.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* A minute in which the quota is used up after half of it: the second half throttles. */
#define OPEN_LOOP                                                                                  \
    "{\"name\": \"t\", \"quotas\": {\"requests_per_minute\": 60, \"tokens_per_minute\": 9000},"    \
    " \"service_time\": {\"kind\": \"log-normal\", \"mean\": \"800ms\", \"sigma\": 0.5},"          \
    " \"refusal_time\": {\"kind\": \"exponential\", \"mean\": \"20ms\"},"                          \
    " \"request_tokens\": {\"kind\": \"uniform\", \"low\": 3, \"high\": 240},"                     \
    " \"strategies\": \"all\", \"load\": {\"rates\": [3]}, \"duration\": \"1m\","                  \
    " \"drain\": \"30s\", \"repetitions\": 1, \"seed\": 11}"

static const struct live_settings on_virtual_clock = {.clock = CLOCK_VIRTUAL};

static struct run_order order_of(struct experiment *experiment, size_t strategy)
{
    experiment_tell_quota(experiment, &experiment->strategies[strategy]);
    return (struct run_order){
        .experiment = experiment,
        .strategy = &experiment->strategies[strategy],
        .load = experiment->loads[0],
        .seed = experiment_seed(experiment, 0),
        .live = &on_virtual_clock,
    };
}

static void must_run(sweep_runner *runner, const struct run_order *order, struct run_result *result)
{
    struct error error;
    char text[2048];
    if (!runner(order, result, &error))
        fail_msg("%s: %s", order->strategy->name, error_text(&error, text, sizeof text));
    assert_true(result->is_done);
}

/* The same to the last bit: on a virtual clock a request takes no time to travel. */
static void assert_same(const char *name, const struct run_result *real,
                        const struct run_result *simulated)
{
    for (int i = 0; i < MEASURE_COUNT; i++) {
        double a = real->measures[i];
        double b = simulated->measures[i];
        if (!(a == b || (isnan(a) && isnan(b))))
            fail_msg("%s: %s is %.17g for real, %.17g simulated", name,
                     measure_describe((enum measure)i)->name, a, b);
    }
    assert_int_equal(real->calls_begun, simulated->calls_begun);
    assert_int_equal(real->calls_served, simulated->calls_served);
    assert_int_equal(real->calls_lost, simulated->calls_lost);
    assert_int_equal(real->calls_open, simulated->calls_open);
    assert_int_equal(real->attempts, simulated->attempts);
    assert_int_equal(real->throttled, simulated->throttled);
    assert_int_equal(real->herd_at_ns, simulated->herd_at_ns);
    assert_int_equal(real->measured_ns, simulated->measured_ns);
    assert_memory_equal(real->bins, simulated->bins, sizeof real->bins);
}

static void every_strategy_does_over_sockets_what_it_does_simulated(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(OPEN_LOOP);
    uint64_t throttled = 0;
    for (size_t i = 0; i < experiment.strategy_count; i++) {
        struct run_result real;
        struct run_result simulated;
        const struct run_order order = order_of(&experiment, i);
        must_run(live_run, &order, &real);
        must_run(simulation_run, &order, &simulated);
        assert_true(real.is_complete);
        assert_same(order.strategy->name, &real, &simulated);
        throttled += real.throttled;
    }
    assert_true(experiment.strategy_count >= 17);
    assert_true(throttled > 1000);
    experiment_free(&experiment);
}

/* Each of them has something to wait for at the gate or after it. None lets two attempts go in the
 * same nanosecond: which of these the server reads first is not ours to say. */
static void settings_of_gates_and_loops_do_the_same(void **state)
{
    (void)state;
    static const char *const strategies[] = {
        "{\"strategy\": \"semaphore\", \"in_flight_max\": 2}",
        "{\"strategy\": \"semaphore\", \"in_flight_max\": 2, \"total\": \"3s\"}",
        "{\"strategy\": \"paced\", \"requests_per_minute\": 90}",
        "{\"strategy\": \"paced\", \"quota_share\": 1.3, \"in_flight_max\": 3}",
        "{\"strategy\": \"cookbook\", \"quota_share\": 1.5, \"pause\": \"2s\"}",
        "{\"strategy\": \"fixed\", \"pause\": \"300ms\"}",
        "{\"strategy\": \"headers\", \"in_flight_max\": 2}",
        "{\"strategy\": \"full-jitter\", \"outer_attempts\": 2, \"total\": \"9s\"}",
    };
    for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++) {
        char text[2048];
        const char *all = strstr(OPEN_LOOP, "\"all\"");
        snprintf(text, sizeof text, "%.*s[%s]%s", (int)(all - OPEN_LOOP), OPEN_LOOP, strategies[i],
                 all + 5);
        struct experiment experiment = parse_experiment(text);
        struct run_result real;
        struct run_result simulated;
        const struct run_order order = order_of(&experiment, 0);
        must_run(live_run, &order, &real);
        must_run(simulation_run, &order, &simulated);
        assert_true(real.measures[MEASURE_WAITED] > 0.1);
        assert_same(strategies[i], &real, &simulated);
        experiment_free(&experiment);
    }
}

static void workers_with_a_ramp_and_time_to_think_do_the_same(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(
        "{\"name\": \"t\", \"quotas\": {\"requests_per_minute\": 60, \"concurrent_requests\": 5},"
        " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"900ms\"},"
        " \"strategies\": [\"retry-after-jitter\", \"none\"],"
        " \"load\": {\"workers\": [9], \"ramp\": \"4s\","
        "            \"think_time\": {\"kind\": \"exponential\", \"mean\": \"1s\"}},"
        " \"duration\": \"1m\", \"repetitions\": 1, \"seed\": 3}");
    for (size_t i = 0; i < 2; i++) {
        struct run_result real;
        struct run_result simulated;
        const struct run_order order = order_of(&experiment, i);
        must_run(live_run, &order, &real);
        must_run(simulation_run, &order, &simulated);
        assert_same(order.strategy->name, &real, &simulated);
        assert_true(real.throttled > 0);
        assert_true(real.measures[MEASURE_FAIRNESS] > 0.5);
    }
    experiment_free(&experiment);
}

/* When the drain is over, whoever still waits stays open. */
static void a_drain_that_is_too_short_leaves_calls_open(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(
        "{\"name\": \"t\", \"quotas\": {\"requests_per_minute\": 600},"
        " \"service_time\": \"10s\", \"strategies\": [{\"strategy\": \"semaphore\"}],"
        " \"load\": {\"rates\": [5]}, \"duration\": \"20s\", \"drain\": \"5s\","
        " \"repetitions\": 1}");
    struct run_result real;
    struct run_result simulated;
    const struct run_order order = order_of(&experiment, 0);
    must_run(live_run, &order, &real);
    must_run(simulation_run, &order, &simulated);
    assert_true(real.calls_open > 0);
    assert_true(real.is_complete);
    assert_same("semaphore", &real, &simulated);
    experiment_free(&experiment);
}

/* --- the journal ------------------------------------------------------------------------------ */

struct lines {
    struct journal_line items[2000];
    size_t count;
};

static bool take_line(void *owner, const struct journal_line *line)
{
    struct lines *lines = owner;
    assert_true(lines->count < 2000);
    lines->items[lines->count++] = *line;
    return true;
}

static void write_journal(sweep_runner *runner, struct run_order order, struct lines *lines)
{
    struct run_result result;
    struct error error;
    char path[] = "/tmp/toomany-test-live-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    order.journal = fdopen(fd, "w");
    must_run(runner, &order, &result);
    assert_int_equal(fclose(order.journal), 0);
    lines->count = 0;
    assert_true(journal_lines_read(path, take_line, lines, &error));
    unlink(path);
    assert_int_equal(lines->count, result.attempts);
}

static void both_write_the_same_journal(void **state)
{
    (void)state;
    static struct lines real;
    static struct lines simulated;
    struct experiment experiment = parse_experiment(OPEN_LOOP);
    const struct run_order order = order_of(&experiment, 4);
    write_journal(live_run, order, &real);
    write_journal(simulation_run, order, &simulated);
    assert_true(real.count > 200);
    assert_int_equal(real.count, simulated.count);
    for (size_t i = 0; i < real.count; i++) {
        const struct journal_line *a = &real.items[i];
        const struct journal_line *b = &simulated.items[i];
        assert_int_equal(a->arrived_ns, b->arrived_ns);
        assert_int_equal(a->answered_ns, b->answered_ns);
        assert_int_equal(a->status, b->status);
        assert_int_equal(a->tokens, b->tokens);
        assert_int_equal(a->call_digest, b->call_digest);
    }
    experiment_free(&experiment);
}

/* Attempts of one call share a digest, other calls have others. */
static void the_journal_tells_calls_apart(void **state)
{
    (void)state;
    static struct lines lines;
    struct experiment experiment = parse_experiment(OPEN_LOOP);
    struct run_result result;
    struct run_order order = order_of(&experiment, 4);
    write_journal(live_run, order, &lines);
    must_run(live_run, &order, &result);
    size_t calls = 0;
    for (size_t i = 0; i < lines.count; i++) {
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first = is_first && lines.items[j].call_digest != lines.items[i].call_digest;
        assert_int_not_equal(lines.items[i].call_digest, 0);
        calls += is_first;
    }
    assert_int_equal(calls, result.calls_begun);
    experiment_free(&experiment);
}

/* --- what ends it early ----------------------------------------------------------------------- */

static void stops_when_it_is_told_to(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(OPEN_LOOP);
    struct run_result result;
    atomic_bool stop = true;
    atomic_uint_least32_t progress = 7;
    struct run_order order = order_of(&experiment, 0);
    order.stop = &stop;
    order.progress = &progress;
    must_run(live_run, &order, &result);
    assert_false(result.is_complete);
    assert_int_equal(result.calls_begun, 0);
    assert_int_equal(progress, 0);
    stop = false;
    must_run(live_run, &order, &result);
    assert_true(result.is_complete);
    assert_true(progress > 900000);
    experiment_free(&experiment);
}

static void refused_run(const char *text, const struct live_settings *settings,
                        const char *expected)
{
    struct experiment experiment = parse_experiment(text);
    struct run_result result;
    struct error error = {0};
    char message[2048];
    struct run_order order = order_of(&experiment, 0);
    order.live = settings;
    assert_false(live_run(&order, &result, &error));
    error_text(&error, message, sizeof message);
    if (strstr(message, expected) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", expected, message);
    experiment_free(&experiment);
}

#define SHORT(tokens, load)                                                                        \
    "{\"name\": \"t\", \"quotas\": {\"requests_per_minute\": 6000}, \"service_time\": \"1s\","     \
    " \"request_tokens\": " tokens ", \"strategies\": [\"none\"], \"load\": {" load "},"           \
    " \"duration\": \"3s\", \"repetitions\": 1}"

static void says_what_only_a_simulation_can_do(void **state)
{
    (void)state;
    refused_run(SHORT("2", "\"rates\": [5]"), &on_virtual_clock, "--simulate takes others");
    refused_run(SHORT("1000001", "\"rates\": [5]"), &on_virtual_clock, "--simulate takes others");
    refused_run(SHORT("3", "\"workers\": [8001]"), &on_virtual_clock, "--simulate takes more");
}

/* --- another server --------------------------------------------------------------------------- */

static void asks_another_server(void **state)
{
    (void)state;
    struct server_thread thread;
    server_thread_start(&thread, "{\"latency\": \"1ms\"}");
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", server_port(thread.server));
    const struct live_settings settings = {.base_url = url};
    struct experiment experiment = parse_experiment(
        "{\"name\": \"t\", \"quotas\": {\"requests_per_minute\": 6000}, \"service_time\": \"1ms\","
        " \"strategies\": [\"none\"], \"load\": {\"rates\": [200]}, \"duration\": \"100ms\","
        " \"repetitions\": 1}");
    struct run_result real;
    struct run_result simulated;
    struct run_order order = order_of(&experiment, 0);
    order.live = &settings;
    must_run(live_run, &order, &real);
    must_run(simulation_run, &order, &simulated);
    assert_true(real.calls_begun > 0);
    assert_int_equal(real.calls_begun, simulated.calls_begun);
    assert_int_equal(real.calls_served, real.calls_begun);
    experiment_free(&experiment);
    server_thread_stop(&thread);
    server_thread_free(&thread);
    /* Nobody listens there any more. */
    refused_run(SHORT("3", "\"rates\": [50]"), &settings,
                "a request got no answer: could not connect to the server");
}

static void refuses_to_load_what_is_not_ours(void **state)
{
    (void)state;
    static const struct {
        struct live_settings settings;
        const char *message;
    } wrong[] = {
        {{.base_url = "https://api.openai.com/v1"}, "base_url: api.openai.com is not this machine"},
        {{.base_url = "http://10.0.0.1/v1", .allowed_host = "10.0.0.2"},
         "base_url: 10.0.0.1 is not this machine"},
        {{.base_url = "127.0.0.1:80/v1"}, "wanted an address that begins with http://"},
        {{.base_url = "ftp://127.0.0.1/v1"}, "wanted an http or https address"},
        {{.base_url = "http://127.0.0.1/v1", .speed = 2},
         "another server keeps the machine's time"},
        {{.base_url = "http://127.0.0.1/v1", .clock = CLOCK_VIRTUAL}, "another server keeps"},
        {{.speed = 1001}, "speed: found 1001, wanted 1 to 1000"},
        {{.speed = -1}, "speed: found -1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error error = {0};
        char text[2048];
        assert_false(live_check(&wrong[i].settings, &error));
        error_text(&error, text, sizeof text);
        if (strstr(text, wrong[i].message) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", wrong[i].message, text);
    }
    static const struct live_settings right[] = {
        {.speed = 0},
        {.base_url = "http://127.0.0.1:8429/v1"},
        {.base_url = "http://127.9.9.9/v1"},
        {.base_url = "http://[::1]:8429/v1", .speed = 1},
        {.base_url = "http://localhost/v1"},
        {.base_url = "https://Mock.example.com:444/v1", .allowed_host = "mock.example.com"},
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(live_check(&right[i], NULL));
}

static void the_journal_of_another_server_is_its_own(void **state)
{
    (void)state;
    const struct live_settings settings = {.base_url = "http://127.0.0.1:1/v1"};
    struct experiment experiment = parse_experiment(OPEN_LOOP);
    struct run_result result;
    struct error error;
    struct run_order order = order_of(&experiment, 0);
    order.live = &settings;
    order.journal = stderr;
    assert_false(live_run(&order, &result, &error));
    assert_string_equal(error.place, "journal");
    experiment_free(&experiment);
}

/* --- the machine's time ----------------------------------------------------------------------- */

/* How long things take is the machine's affair; what is called and counted is not. */
static void a_fast_clock_makes_all_calls(void **state)
{
    (void)state;
    const struct live_settings settings = {.clock = CLOCK_REAL, .speed = 20};
    struct experiment experiment = parse_experiment(
        "{\"name\": \"t\", \"quotas\": {\"requests_per_minute\": 60}, \"service_time\": \"500ms\","
        " \"strategies\": [\"none\"], \"load\": {\"rates\": [10]}, \"duration\": \"20s\","
        " \"repetitions\": 1, \"seed\": 5}");
    struct run_result real;
    struct run_result simulated;
    struct run_order order = order_of(&experiment, 0);
    order.live = &settings;
    must_run(live_run, &order, &real);
    must_run(simulation_run, &order, &simulated);
    assert_true(real.is_complete);
    assert_int_equal(real.calls_begun, simulated.calls_begun);
    assert_int_equal(real.attempts, simulated.attempts);
    assert_int_equal(real.calls_open, 0);
    /* A full pool of 60, and what came back in 20 s and while the last answers were late. */
    assert_true(real.calls_served >= 60);
    assert_int_equal(real.calls_served + real.throttled, real.attempts);
    assert_true(real.measures[MEASURE_COMPLETION_P50] >= 0.5);
    experiment_free(&experiment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_strategy_does_over_sockets_what_it_does_simulated),
        cmocka_unit_test(settings_of_gates_and_loops_do_the_same),
        cmocka_unit_test(workers_with_a_ramp_and_time_to_think_do_the_same),
        cmocka_unit_test(a_drain_that_is_too_short_leaves_calls_open),
        cmocka_unit_test(both_write_the_same_journal),
        cmocka_unit_test(the_journal_tells_calls_apart),
        cmocka_unit_test(stops_when_it_is_told_to),
        cmocka_unit_test(says_what_only_a_simulation_can_do),
        cmocka_unit_test(asks_another_server),
        cmocka_unit_test(refuses_to_load_what_is_not_ours),
        cmocka_unit_test(the_journal_of_another_server_is_its_own),
        cmocka_unit_test(a_fast_clock_makes_all_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
