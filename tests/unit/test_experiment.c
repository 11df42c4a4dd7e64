#include "lab_experiments.h"

#include "base/duration.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_WITH(more)                                                                            \
    "{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 600}, \"service_time\": \"1s\","      \
    " \"strategies\": [\"none\"], \"load\": {\"workers\": [1, 4]}" more "}"

static void reads_what_it_says_and_fills_in_the_rest(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(FILE_WITH(""));
    assert_string_equal(experiment.name, "x");
    assert_string_equal(experiment.model, "gpt-4o-mini");
    assert_int_equal(experiment.limits.limit[QUOTA_REQUESTS_PER_MINUTE], 600);
    assert_int_equal(experiment.limits.limit[QUOTA_TOKENS_PER_MINUTE], QUOTA_UNLIMITED);
    assert_true(experiment.service_time.mean == 1e9);
    assert_false(experiment.is_open);
    assert_int_equal(experiment.load_count, 2);
    assert_true(experiment.loads[1] == 4);
    assert_int_equal(experiment.duration_ns, 10 * NS_PER_MINUTE);
    assert_int_equal(experiment.drain_ns, NS_PER_MINUTE);
    assert_int_equal(experiment.repetitions, 5);
    experiment_free(&experiment);
    experiment = parse_experiment(FILE_WITH(
        ", \"why\": \"y\", \"model\": \"m\", \"request_tokens\": {\"kind\": \"exponential\","
        " \"mean\": 50}, \"refusal_time\": \"3ms\", \"duration\": \"5s\", \"drain\": \"0s\","
        " \"herd_window\": \"1ms\", \"repetitions\": 7, \"seed\": 9, \"$schema\": \"s\""));
    assert_string_equal(experiment.why, "y");
    assert_true(experiment.request_tokens.mean == 50);
    assert_int_equal(experiment.refusal_time.low, 3 * NS_PER_MS);
    assert_int_equal(experiment.drain_ns, 0);
    assert_int_equal(experiment.seed, 9);
    experiment_free(&experiment);
}

static void all_strategies_can_be_had_with_one_word(void **state)
{
    (void)state;
    struct experiment experiment =
        parse_experiment("{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1s\","
                         " \"strategies\": \"all\", \"load\": {\"rates\": [0.5, 2]}}");
    assert_true(experiment.is_open);
    assert_int_equal(experiment.strategy_count, 17);
    assert_string_equal(experiment.strategies[16].label, "headers");
    experiment_free(&experiment);
}

static void a_trace_has_a_rate_of_its_own_and_lies_beside_the_file(void **state)
{
    (void)state;
    char directory[] = "/tmp/toomany-experiment-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/trace.csv", directory);
    FILE *stream = fopen(path, "we");
    fputs("at\n0\n1\n2\n3\n", stream);
    fclose(stream);
    char file[64];
    snprintf(file, sizeof file, "%s/x.json", directory);
    static const char text[] =
        "{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1s\", \"strategies\": [\"none\"],"
        " \"load\": {\"arrivals\": {\"kind\": \"trace\", \"file\": \"trace.csv\"}}}";
    struct experiment experiment;
    struct error error;
    assert_true(experiment_parse(&experiment, text, strlen(text), file, &error));
    assert_int_equal(experiment.load_count, 1);
    assert_true(experiment.loads[0] == 1);
    experiment_free(&experiment);
    snprintf(path, sizeof path, "%s/trace.csv", directory);
    unlink(path);
    assert_false(experiment_parse(&experiment, text, strlen(text), file, &error));
    assert_string_equal(error.place, path);
    experiment_free(&experiment);
    rmdir(directory);
}

static void times_and_sizes_come_from_a_journal(void **state)
{
    (void)state;
    char path[] = "/tmp/toomany-journal-XXXXXX";
    int fd = mkstemp(path);
    FILE *stream = fdopen(fd, "w");
    fputs("{\"arrived_ns\":1000,\"answered_ns\":4000,\"status\":200,\"tokens\":7}\n"
          "{\"arrived_ns\":1000,\"answered_ns\":9000,\"status\":429,\"tokens\":8}\n"
          "{\"arrived_ns\":2000,\"answered_ns\":3000,\"status\":200,\"tokens\":9}\n",
          stream);
    fclose(stream);
    char text[512];
    snprintf(text, sizeof text,
             "{\"name\": \"x\", \"quotas\": {}, \"strategies\": [\"none\"],"
             " \"load\": {\"workers\": [1]},"
             " \"service_time\": {\"kind\": \"measured\", \"journal\": \"%s\"},"
             " \"request_tokens\": {\"kind\": \"measured\", \"journal\": \"%s\"}}",
             path, path);
    struct experiment experiment = parse_experiment(text);
    assert_int_equal(experiment.service_time.sample_count, 2);
    assert_int_equal(experiment.service_time.samples[0], 1000);
    assert_int_equal(experiment.service_time.samples[1], 3000);
    assert_true(experiment.request_tokens.mean == 8);
    experiment_free(&experiment);
    unlink(path);
}

static void the_bound_is_that_of_the_limit_that_binds(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(FILE_WITH(", \"duration\": \"5m\""));
    struct experiment_bound bound = experiment_bound(&experiment, experiment.duration_ns);
    assert_int_equal(bound.limit, QUOTA_REQUESTS_PER_MINUTE);
    assert_true(fabs(bound.requests_per_s - (10 + 2)) < 1e-9);
    assert_true(fabs(bound.tokens_per_s - 1200) < 1e-9);
    experiment.limits.limit[QUOTA_CONCURRENT_REQUESTS] = 3;
    bound = experiment_bound(&experiment, experiment.duration_ns);
    assert_int_equal(bound.limit, QUOTA_CONCURRENT_REQUESTS);
    assert_true(fabs(bound.requests_per_s - 3) < 1e-9);
    experiment.limits.limit[QUOTA_TOKENS_PER_DAY] = 8640;
    bound = experiment_bound(&experiment, experiment.duration_ns);
    assert_int_equal(bound.limit, QUOTA_TOKENS_PER_DAY);
    assert_true(fabs(bound.requests_per_s - (0.001 + 8640 / 100.0 / 300)) < 1e-9);
    quota_limits_init(&experiment.limits);
    bound = experiment_bound(&experiment, experiment.duration_ns);
    assert_int_equal(bound.limit, QUOTA_DIMENSION_COUNT);
    assert_true(isinf(bound.requests_per_s));
    experiment_free(&experiment);
}

static void repetitions_have_seeds_of_their_own(void **state)
{
    (void)state;
    struct experiment experiment = parse_experiment(FILE_WITH(", \"seed\": 5"));
    uint64_t first = experiment_seed(&experiment, 0);
    assert_int_not_equal(first, experiment_seed(&experiment, 1));
    assert_int_equal(first, experiment_seed(&experiment, 0));
    experiment.seed = 6;
    assert_int_not_equal(first, experiment_seed(&experiment, 0));
    experiment_free(&experiment);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
#define LOAD(load)                                                                                 \
    "{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1s\", \"strategies\": [\"none\"],"      \
    " \"load\": " load "}"
    static const struct {
        const char *text;
        const char *place;
        const char *message;
    } cases[] = {
        {"[]", "experiment.json: /", "object"},
        {"{\"name\": \"x\",}", "experiment.json:1:14", ""},
        {"{\"name\": \"\"}", "experiment.json: /name", "a name"},
        {"{\"name\": \"x\"}", "experiment.json: /quotas", "limits"},
        {FILE_WITH(", \"quota\": {}"), "experiment.json: /quota", "quotas"},
        {"{\"name\": \"x\", \"quotas\": {\"requests_per_hour\": 5}}",
         "experiment.json: /quotas/requests_per_hour", "requests_per_day"},
        {"{\"name\": \"x\", \"quotas\": {\"requests_per_minute\": 0}}",
         "experiment.json: /quotas/requests_per_minute", "1 to"},
        {"{\"name\": \"x\", \"quotas\": {}}", "experiment.json: /service_time", "800ms"},
        {FILE_WITH(", \"refusal_time\": \"0s\""), "experiment.json: /refusal_time", "1us"},
        {FILE_WITH(", \"duration\": \"0s\""), "experiment.json: /duration", "1ms"},
        {FILE_WITH(", \"repetitions\": 0"), "experiment.json: /repetitions", "1 to"},
        {"{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1s\", \"strategies\": []}",
         "experiment.json: /strategies", "1 to 100"},
        {"{\"name\": \"x\", \"quotas\": {}, \"service_time\": \"1s\","
         " \"strategies\": [\"none\", \"none\"]}",
         "experiment.json: /strategies/1", "label"},
        {LOAD("{}"), "experiment.json: /load", "either"},
        {LOAD("{\"workers\": [1], \"rates\": [1]}"), "experiment.json: /load", "either"},
        {LOAD("{\"workers\": []}"), "experiment.json: /load/workers", "1 to 1000"},
        {LOAD("{\"workers\": [1.5]}"), "experiment.json: /load/workers/0", "whole"},
        {LOAD("{\"workers\": [4, 4]}"), "experiment.json: /load/workers/1", "more than"},
        {LOAD("{\"rates\": [0]}"), "experiment.json: /load/rates/0", "calls per second"},
        {LOAD("{\"rates\": [1], \"ramp\": \"1s\"}"), "experiment.json: /load/ramp", ""},
        {LOAD("{\"rates\": [1], \"arrivals\": \"burst\"}"), "experiment.json: /load/arrivals",
         "\"bursts\""},
        {LOAD("{\"rates\": [1], \"arrivals\": {\"kind\": \"diurnal\", \"weights\": [1]}}"),
         "experiment.json: /load/arrivals/weights", "24 numbers"},
        {LOAD("{\"rates\": [1], \"arrivals\": {\"kind\": \"bursts\", \"day\": \"1h\"}}"),
         "experiment.json: /load/arrivals/day", "every"},
        {LOAD("{\"arrivals\": {\"kind\": \"trace\"}}"), "experiment.json: /load/arrivals/file",
         "path"},
        {LOAD("{\"arrivals\": \"poisson\"}"), "experiment.json: /load/rates", "1 to 1000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct experiment experiment;
        struct error error = {.message = ""};
        if (experiment_parse(&experiment, cases[i].text, strlen(cases[i].text), "experiment.json",
                             &error))
            fail_msg("%s was read", cases[i].text);
        if (strcmp(error.place, cases[i].place) != 0 ||
            strstr(error.message, cases[i].message) == NULL)
            fail_msg("%s\n%s: %s", cases[i].text, error.place, error.message);
        experiment_free(&experiment);
    }
}

static void the_schema_knows_every_strategy(void **state)
{
    (void)state;
    struct error error;
    cJSON *schema = json_load(TOOMANY_SOURCE_DIR "/experiments/experiment.schema.json", &error);
    assert_non_null(schema);
    const cJSON *definitions = cJSON_GetObjectItemCaseSensitive(schema, "$defs");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(definitions, "strategy_name"), "oneOf");
    const struct strategy *row = strategy_table();
    const cJSON *item;
    cJSON_ArrayForEach (item, names) {
        char description[256];
        snprintf(description, sizeof description, "%s.", row->description);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "const")),
                            row->name);
        assert_string_equal(
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "description")),
            description);
        row++;
    }
    assert_string_equal(row->name, "");
    cJSON_Delete(schema);
}

static void every_experiment_that_ships_is_read(void **state)
{
    (void)state;
    glob_t files;
    size_t count = 0;
    assert_int_equal(glob(TOOMANY_SOURCE_DIR "/experiments/*.json", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct experiment experiment;
        struct error error;
        if (strstr(files.gl_pathv[i], ".schema.json") != NULL)
            continue;
        if (!experiment_load(&experiment, files.gl_pathv[i], &error))
            fail_msg("%s: %s", error.place, error.message);
        experiment_free(&experiment);
        count++;
    }
    globfree(&files);
    assert_true(count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_says_and_fills_in_the_rest),
        cmocka_unit_test(all_strategies_can_be_had_with_one_word),
        cmocka_unit_test(a_trace_has_a_rate_of_its_own_and_lies_beside_the_file),
        cmocka_unit_test(times_and_sizes_come_from_a_journal),
        cmocka_unit_test(the_bound_is_that_of_the_limit_that_binds),
        cmocka_unit_test(repetitions_have_seeds_of_their_own),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_schema_knows_every_strategy),
        cmocka_unit_test(every_experiment_that_ships_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
