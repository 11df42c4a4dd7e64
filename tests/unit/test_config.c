#include "mockserver/config.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool read_text(struct config *config, const char *text, struct error *error)
{
    struct json_reader reader = {.file = "f", .error = error};
    cJSON *root = json_parse(text, strlen(text), "f", error);
    if (root == NULL)
        fail_msg("%s: %s: %s", text, error->place, error->message);
    config_init(config);
    bool is_read = config_read(config, &reader, root, "/server");
    cJSON_Delete(root);
    return is_read;
}

static struct config config_of(const char *text)
{
    struct config config;
    struct error error;
    if (!read_text(&config, text, &error))
        fail_msg("%s: %s", error.place, error.message);
    return config;
}

static void an_empty_one_limits_nothing(void **state)
{
    (void)state;
    struct config config = config_of("{}");
    assert_int_equal(config.quotas.count, 0);
    assert_int_equal(config.script.step_count, 0);
    assert_int_equal(config.change_count, 0);
    assert_int_equal(config.latency.kind, DISTRIBUTION_CONSTANT);
    assert_int_equal(config.latency.low, 0);
    assert_int_equal(config.refusal_latency.low, 0);
    assert_null(config.api_keys);
    assert_false(config.only_listed_models);
    assert_false(config_can_throttle(&config));
    config_free(&config);
}

static void reads_quotas(void **state)
{
    (void)state;
    struct config config = config_of(
        "{\"$schema\": \"x\", \"quotas\": {\"ft:gpt-4o-mini:acme::7p4lURel\": {"
        "\"requests_per_minute\": 60, \"requests_per_day\": 1000, \"tokens_per_minute\": 30000,"
        " \"tokens_per_day\": 1000000000000, \"images_per_minute\": 5, \"concurrent_requests\": 2, "
        "\"requests_total\": 0},"
        " \"*\": {\"requests_per_minute\": 3, \"tokens_per_minute\": null}}}");
    assert_int_equal(config.quotas.count, 2);
    assert_string_equal(config.quotas.items[0].model, "ft:gpt-4o-mini:acme::7p4lURel");
    static const int64_t first[QUOTA_DIMENSION_COUNT] = {60, 1000, 30000, QUOTA_LIMIT_MAX, 5, 2, 0};
    static const int64_t second[QUOTA_DIMENSION_COUNT] = {3,  -2, -1, -2,
                                                          -2, -2, -2}; /* -2: not said */
    assert_memory_equal(config.quotas.items[0].limits.limit, first, sizeof first);
    assert_memory_equal(config.quotas.items[1].limits.limit, second, sizeof second);
    assert_true(config_can_throttle(&config));
    config_free(&config);
}

static void reads_distributions_of_latency(void **state)
{
    (void)state;
    struct config config = config_of(
        "{\"latency\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
        " \"refusal_latency\": \"10ms\","
        " \"models\": {\"a\": {\"latency\": {\"kind\": \"log-normal\", \"mean\": \"2s\", "
        "\"sigma\": 0.25}},"
        " \"b\": {\"latency\": {\"kind\": \"measured\", \"samples\": [\"2s\", \"1s\"]}}}}");
    assert_int_equal(config.latency.kind, DISTRIBUTION_EXPONENTIAL);
    assert_true(config.latency.mean == 8e8);
    assert_int_equal(config.latency.high, CONFIG_LATENCY_NS_MAX);
    assert_int_equal(config.refusal_latency.low, 10 * NS_PER_MS);
    assert_int_equal(config.models[0].latency.kind, DISTRIBUTION_LOG_NORMAL);
    assert_true(config.models[0].latency.sigma == 0.25);
    assert_int_equal(config.models[1].latency.kind, DISTRIBUTION_MEASURED);
    assert_int_equal(config.models[1].latency.samples[0], NS_PER_S);
    config_free(&config);
}

static void reads_models_latencies_and_keys(void **state)
{
    (void)state;
    struct config config = config_of(
        "{\"latency\": {\"low\": \"100ms\", \"high\": \"2s\"}, \"only_listed_models\": true,"
        " \"models\": {\"a\": {\"latency\": \"250ms\", \"content\": \"Hello\"}, \"b\": {},"
        " \"c\": {\"latency\": {\"high\": \"24h\"}}},"
        " \"api_keys\": [\"sk-one\", \"sk-two\"]}");
    assert_int_equal(config.latency.kind, DISTRIBUTION_UNIFORM);
    assert_int_equal(config.latency.low, 100 * NS_PER_MS);
    assert_int_equal(config.latency.high, 2 * NS_PER_S);
    assert_true(config.only_listed_models);
    assert_int_equal(config.model_count, 3);
    assert_string_equal(config.models[0].id, "a");
    assert_string_equal(config.models[0].content, "Hello");
    assert_true(config.models[0].has_latency);
    assert_int_equal(config.models[0].latency.kind, DISTRIBUTION_CONSTANT);
    assert_int_equal(config.models[0].latency.low, 250 * NS_PER_MS);
    assert_false(config.models[1].has_latency);
    assert_null(config.models[1].content);
    assert_int_equal(config.models[2].latency.low, 0);
    assert_int_equal(config.models[2].latency.high, NS_PER_DAY);
    assert_int_equal(config.api_key_count, 2);
    assert_string_equal(config.api_keys[1], "sk-two");
    config_free(&config);
    config = config_of("{\"api_keys\": []}"); /* no key is good */
    assert_non_null(config.api_keys);
    assert_int_equal(config.api_key_count, 0);
    config_free(&config);
}

static void reads_every_key_of_a_step(void **state)
{
    (void)state;
    struct config config = config_of(
        "{\"script\": [{\"when\": {\"method\": \"POST\", \"model\": \"m\", \"path\": "
        "\"/v1/chat/completions\","
        " \"key\": \"AAAA\", \"share\": 0.25, \"request\": 7},"
        " \"times\": 3, \"lasts\": \"10s\", \"latency\": \"1s\","
        " \"answer\": {\"status\": 500, \"error\": \"server_error\", \"message\": \"no\","
        " \"type\": null, \"code\": \"c\", \"param\": \"p\", \"retry_after\": \"1.5s\","
        " \"retry_after_form\": \"date\", \"headers\": {\"x-a\": \"1\", \"X-B\": \"\"}}}]}");
    const struct script_step *step = &config.script.steps[0];
    assert_int_equal(config.script.step_count, 1);
    assert_string_equal(step->method, "POST");
    assert_string_equal(step->model, "m");
    assert_string_equal(step->path, "/v1/chat/completions");
    assert_string_equal(step->key_tail, "AAAA");
    assert_true(step->share == 0.25);
    assert_int_equal(step->request, 7);
    assert_int_equal(step->times, 3);
    assert_int_equal(step->lasts_ns, 10 * NS_PER_S);
    assert_int_equal(step->latency_ns, NS_PER_S);
    assert_int_equal(step->status, 500);
    assert_string_equal(step->error_kind, "server_error");
    assert_string_equal(step->message, "no");
    assert_true(step->has_type && step->has_code && step->has_param);
    assert_null(step->type);
    assert_string_equal(step->code, "c");
    assert_string_equal(step->param, "p");
    assert_int_equal(step->retry_after_ns, 1500 * NS_PER_MS);
    assert_int_equal(step->retry_after_form, RETRY_AFTER_DATE);
    assert_int_equal(step->header_count, 2);
    assert_string_equal(step->headers[1].name, "X-B");
    assert_string_equal(step->headers[1].value, "");
    assert_false(step->serves);
    config_free(&config);
}

static void what_a_step_does_not_say_has_its_default(void **state)
{
    (void)state;
    struct config config =
        config_of("{\"script\": [{\"answer\": \"ok\"}, {\"answer\": {\"$why\": 1, "
                  "\"content\": \"hi\"}},"
                  " {\"answer\": {\"error\": \"slow_down\"}, \"lasts\": \"1s\"},"
                  " {\"answer\": {\"code\": \"c\"}, \"times\": \"forever\"}]}");
    const struct script_step *steps = config.script.steps;
    assert_true(steps[0].serves && steps[0].content == NULL);
    assert_int_equal(steps[0].times, 1);
    assert_int_equal(steps[0].latency_ns, -1);
    assert_int_equal(steps[0].retry_after_ns, -1);
    assert_true(steps[0].share == 1);
    assert_true(steps[1].serves);
    assert_string_equal(steps[1].content, "hi");
    assert_int_equal(steps[2].times, SCRIPT_FOREVER); /* for as long as it lasts */
    assert_int_equal(steps[3].times, SCRIPT_FOREVER);
    assert_string_equal(steps[3].code, "c");
    config_free(&config);
}

static void a_body_is_kept_as_it_stands_and_its_code_found(void **state)
{
    (void)state;
    struct config config = config_of(
        "{\"script\": [{\"answer\": {\"body\": \"error code: 1015\"}},"
        " {\"answer\": {\"body\": {\"error\": {\"message\": \"Rate limit reached for fine-tuned "
        "model\", \"type\": \"requests\", \"code\": \"rate_limit_exceeded\"}}}},"
        " {\"answer\": {\"body\": [1, \"\\u00e9\"], \"status\": 418, \"code\": \"mine\"}},"
        " {\"answer\": {\"body\": {\"error\": \"slow down\"}}},"
        " {\"answer\": {\"body\": \"\"}}]}");
    const struct script_step *steps = config.script.steps;
    assert_string_equal(steps[0].body, "error code: 1015");
    assert_null(steps[0].code);
    assert_string_equal(steps[1].body,
                        "{\"error\":{\"message\":\"Rate limit reached for fine-tuned model\","
                        "\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}");
    assert_string_equal(steps[1].code, "rate_limit_exceeded");
    assert_string_equal(steps[2].body, "[1,\"\xc3\xa9\"]");
    assert_string_equal(steps[2].code, "mine");
    assert_string_equal(steps[3].body, "{\"error\":\"slow down\"}");
    assert_null(steps[3].code);
    assert_string_equal(steps[4].body, "");
    config_free(&config);
}

static void reads_changes(void **state)
{
    (void)state;
    struct config config =
        config_of("{\"changes\": [{\"after_requests\": 3, \"quotas\": {\"*\": {\"requests_total\":"
                  " 100}}}, {\"at\": \"0s\", \"quotas\": {\"m\": {}}}]}");
    assert_int_equal(config.change_count, 2);
    assert_int_equal(config.changes[0].after_requests, 3);
    assert_int_equal(config.changes[0].quotas.items[0].limits.limit[QUOTA_REQUESTS_TOTAL], 100);
    assert_int_equal(config.changes[1].after_requests, 0);
    assert_int_equal(config.changes[1].at_ns, 0);
    config_free(&config);
}

#define STEP(answer) "{\"script\": [{\"answer\": " answer "}]}"
#define ANSWER "/server/script/0/answer"
#define WANTED_DURATION "wanted a duration with its unit, such as \"250ms\", \"2s\" or \"6m0s\""
#define WANTED_HEADER "wanted an HTTP header's name and value (string)"
#define LONG_40 "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
#define LONG_96 LONG_40 LONG_40 "mmmmmmmmmmmmmmmm"

static void reads_rules_tier_and_shared_limits(void **state)
{
    (void)state;
    struct config config =
        config_of("{\"tier\": \"2\", \"rules\": {\"enforcement\": \"sliding_window\", "
                  "\"refused_requests_count\": false, \"max_tokens\": \"sum\", \"settle\": true, "
                  "\"per\": \"project\", \"dialect\": \"azure\"}, \"quotas\": {"
                  "\"family\": {\"shared_by\": [\"a\", \"b\"], \"enforcement\": \"per_second\"}, "
                  "\"ft:*\": {\"images_per_minute\": 2}}}");
    assert_string_equal(config.rules.tier->name, "2");
    assert_int_equal(config.rules.enforcement, QUOTA_SLIDING_WINDOW);
    assert_false(config.rules.refused_count);
    assert_int_equal(config.rules.max_tokens, TOKENS_SUM);
    assert_true(config.rules.settles);
    assert_int_equal(config.rules.scope, LIMIT_PER_PROJECT);
    assert_int_equal(config.rules.dialect, DIALECT_AZURE);
    assert_int_equal(config.rules.headers, LIMIT_HEADERS_AZURE); /* the dialect's own */
    assert_int_equal(config.quotas.items[0].shared_by_count, 2);
    assert_string_equal(config.quotas.items[0].shared_by[1], "b");
    assert_int_equal(config.quotas.items[0].limits.enforcement, QUOTA_PER_SECOND);
    assert_int_equal(config.quotas.items[1].limits.enforcement, QUOTA_ENFORCEMENT_COUNT);
    assert_int_equal(config.quotas.items[1].limits.limit[QUOTA_IMAGES_PER_MINUTE], 2);
    assert_true(config_can_throttle(&config));
    config_free(&config);
    config = config_of("{\"rules\": {\"dialect\": \"empty\"}}");
    assert_int_equal(config.rules.headers, LIMIT_HEADERS_NONE);
    assert_true(config.rules.refused_count);
    config_free(&config);
    config = config_of("{\"rules\": {\"dialect\": \"azure\", \"headers\": \"full\"}}");
    assert_int_equal(config.rules.headers, LIMIT_HEADERS_FULL);
    config_free(&config);
}

static void every_bad_value_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *pointer;
        const char *message;
    } cases[] = {
        {"[]", "/server", "found an array, wanted an object"},
        {"{\"quota\": {}}", "/server/quota", "unknown key; did you mean \"quotas\"?"},
        /* quotas */
        {"{\"quotas\": []}", "/server/quotas", "found an array, wanted an object"},
        {"{\"quotas\": {\"m\": 60}}", "/server/quotas/m", "found 60, wanted an object"},
        {"{\"quotas\": {\"a/b\": {\"rpm\": 60}}}", "/server/quotas/a~1b/rpm", "unknown key; known"},
        {"{\"quotas\": {\"m\": {\"requests_per_minut\": 60}}}",
         "/server/quotas/m/requests_per_minut", "did you mean \"requests_per_minute\"?"},
        {"{\"quotas\": {\"m\": {\"requests_per_minute\": -1}}}",
         "/server/quotas/m/requests_per_minute",
         "found -1, wanted a whole number from 0 to 1000000000000"},
        {"{\"quotas\": {\"m\": {\"tokens_per_day\": 1000000000001}}}",
         "/server/quotas/m/tokens_per_day", "found 1000000000001, wanted a whole number"},
        {"{\"quotas\": {\"m\": {\"requests_total\": 1.5}}}", "/server/quotas/m/requests_total",
         "found 1.5, wanted a whole number"},
        {"{\"quotas\": {\"m\": {\"concurrent_requests\": \"2\"}}}",
         "/server/quotas/m/concurrent_requests", "found \"2\", wanted a whole number"},
        {"{\"quotas\": {\"\": {}}}", "/server/quotas/", "wanted a model id of 1 to 95 bytes"},
        {"{\"quotas\": {\"" LONG_96 "\": {}}}", "/server/quotas/" LONG_96,
         "wanted a model id of 1 to 95 bytes"},
        {"{\"quotas\": {\"f\": {\"shared_by\": []}}}", "/server/quotas/f/shared_by",
         "found an array, wanted at least one model, or no \"shared_by\""},
        {"{\"quotas\": {\"f\": {\"shared_by\": [\"a\", \"b\"]}, \"g\": {\"shared_by\": [\"c\", "
         "\"b\"]}}}",
         "/server/quotas/g/shared_by/1",
         "found \"b\", wanted a model that shares only once; it stands in \"shared_by\" of \"f\""},
        {"{\"quotas\": {\"f\": {\"shared_by\": [\"a\", \"a\"]}}}", "/server/quotas/f/shared_by/1",
         "found \"a\", wanted a model that shares only once"},
        {"{\"quotas\": {\"a\": {\"requests_per_day\": 1}, \"f\": {\"shared_by\": [\"b\", \"a\"]}}}",
         "/server/quotas/f/shared_by/1",
         "found \"a\", wanted a model that has no limits of its own beside \"shared_by\"; take"},
        {"{\"quotas\": {\"a\": {\"shared_by\": [\"a\", \"b\"]}}}", "/server/quotas/a/shared_by/0",
         "found \"a\", wanted a model that has no limits of its own"},
        {"{\"changes\": [{\"at\": \"1s\", \"quotas\": {\"f\": {\"shared_by\": [\"a\"]}, \"a\": "
         "{}}}]}",
         "/server/changes/0/quotas/f/shared_by/0", "wanted a model that has no limits of its own"},
        /* models */
        {"{\"models\": []}", "/server/models", "found an array, wanted an object"},
        {"{\"models\": {\"m\": []}}", "/server/models/m", "found an array, wanted an object"},
        {"{\"models\": {\"*\": {}}}", "/server/models/*",
         "wanted a model id; \"latency\" beside \"models\" is for all models"},
        {"{\"models\": {\"\": {}}}", "/server/models/", "wanted a model id of 1 to 95 bytes"},
        {"{\"models\": {\"m\": {\"latancy\": \"1s\"}}}", "/server/models/m/latancy",
         "did you mean \"latency\"?"},
        {"{\"models\": {\"m\": {\"content\": 1}}}", "/server/models/m/content",
         "found 1, wanted a string"},
        {"{\"models\": {\"m\": {\"latency\": 1}}}", "/server/models/m/latency",
         "found 1, " WANTED_DURATION},
        {"{\"only_listed_models\": \"yes\"}", "/server/only_listed_models",
         "found \"yes\", wanted true or false"},
        /* latency */
        {"{\"latency\": \"200\"}", "/server/latency", "found \"200\", " WANTED_DURATION},
        {"{\"latency\": null}", "/server/latency", "found null, " WANTED_DURATION},
        {"{\"latency\": \"24h1ns\"}", "/server/latency", "wanted at most 24h"},
        {"{\"latency\": {\"low\": \"1s\"}}", "/server/latency",
         "wanted \"high\" not below \"low\""},
        {"{\"latency\": {\"low\": \"2s\", \"high\": \"1s\"}}", "/server/latency",
         "wanted \"high\" not below \"low\""},
        {"{\"latency\": {\"high\": \"25h\"}}", "/server/latency", "wanted at most 24h"},
        {"{\"latency\": {\"kind\": \"exponential\"}}", "/server/latency/mean",
         "wanted a duration from 1ns to 24h0m0s"},
        {"{\"latency\": {\"kind\": \"exponential\", \"mean\": \"25h\"}}", "/server/latency/mean",
         "wanted a duration from 1ns to 24h0m0s"},
        {"{\"latency\": {\"kind\": \"normal\"}}", "/server/latency/kind", "found \"normal\""},
        {"{\"refusal_latency\": {\"low\": \"2s\", \"high\": \"1s\"}}", "/server/refusal_latency",
         "wanted \"high\" not below \"low\""},
        {"{\"concurrency_refusal\": \"ok\"}", "/server/concurrency_refusal",
         "found \"ok\", wanted an object with \"error\", \"message\" or \"body\""},
        {"{\"concurrency_refusal\": {\"content\": \"Hi\"}}", "/server/concurrency_refusal",
         "wanted an object with \"error\", \"message\" or \"body\""},
        {"{\"concurrency_refusal\": {\"fault\": \"reset\"}}", "/server/concurrency_refusal",
         "wanted an object with \"error\", \"message\" or \"body\""},
        {"{\"concurrency_refusal\": {\"status\": 503}}", "/server/concurrency_refusal",
         "wanted \"error\", \"message\" or \"body\" beside \"status\""},
        {"{\"concurrency_refusal\": {\"mesage\": \"no\"}}", "/server/concurrency_refusal/mesage",
         "did you mean \"message\"?"},
        {"{\"latency\": {\"hihg\": \"1s\"}}", "/server/latency/hihg", "did you mean \"high\"?"},
        {"{\"latency\": {\"low\": 1}}", "/server/latency/low", "found 1, " WANTED_DURATION},
        /* api_keys */
        {"{\"api_keys\": \"sk\"}", "/server/api_keys", "found \"sk\", wanted an array"},
        {"{\"api_keys\": [\"a\", 1]}", "/server/api_keys/1", "found 1, wanted a key as a string"},
        {"{\"api_keys\": [\"\"]}", "/server/api_keys/0", "wanted a key as a string"},
        /* steps */
        {"{\"script\": {}}", "/server/script", "found an object, wanted an array"},
        {"{\"script\": [1]}", "/server/script/0", "found 1, wanted an object"},
        {"{\"script\": [{\"answer\": \"ok\"}, {}]}", "/server/script/1/answer",
         "found nothing, wanted \"ok\" or an object with what is answered"},
        {"{\"script\": [{\"anwser\": \"ok\"}]}", "/server/script/0/anwser",
         "did you mean \"answer\"?"},
        {"{\"script\": [{\"answer\": \"ok\", \"times\": 0}]}", "/server/script/0/times",
         "found 0, wanted a whole number from 1 to 1000000000"},
        {"{\"script\": [{\"answer\": \"ok\", \"times\": \"for ever\"}]}", "/server/script/0/times",
         "wanted a whole number from 1 or \"forever\""},
        {"{\"script\": [{\"answer\": \"ok\", \"times\": null}]}", "/server/script/0/times",
         "found null, wanted a whole number"},
        {"{\"script\": [{\"answer\": \"ok\", \"lasts\": 5}]}", "/server/script/0/lasts",
         "found 5, " WANTED_DURATION},
        {"{\"script\": [{\"answer\": \"ok\", \"lasts\": \"0s\"}]}", "/server/script/0/lasts",
         "wanted more than 0"},
        {"{\"script\": [{\"answer\": \"ok\", \"latency\": \"25h\"}]}", "/server/script/0/latency",
         "found \"25h\", wanted at most 24h"},
        {"{\"script\": [{\"answer\": \"ok\", \"latency\": {}}]}", "/server/script/0/latency",
         "found an object, " WANTED_DURATION},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": \"m\"}]}", "/server/script/0/when",
         "found \"m\", wanted an object"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"modle\": \"m\"}}]}",
         "/server/script/0/when/modle", "did you mean \"model\"?"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"model\": 1}}]}",
         "/server/script/0/when/model", "found 1, wanted a string"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"method\": \"get\"}}]}",
         "/server/script/0/when/method", "\"DELETE\", \"GET\""},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"share\": 1.1}}]}",
         "/server/script/0/when/share", "found 1.1, wanted a number from 0 to 1"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"request\": 0}}]}",
         "/server/script/0/when/request", "found 0, wanted a whole number from 1"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"key\": \"sk-abcd\"}}]}",
         "/server/script/0/when/key",
         "found \"sk-abcd\", wanted the last four characters of the key, such as \"wxyz\""},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"key\": \"bcd\"}}]}",
         "/server/script/0/when/key", "found \"bcd\", wanted the last four characters"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"key\": \"\\u00e9\\u00e9\"}}]}",
         "/server/script/0/when/key", "wanted the last four characters"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"path\": \"v1/models\"}}]}",
         "/server/script/0/when/path",
         "found \"v1/models\", wanted a path that begins with \"/\", such as \"/v1/chat/"},
        {"{\"script\": [{\"answer\": \"ok\", \"when\": {\"path\": \"\"}}]}",
         "/server/script/0/when/path", "found \"\", wanted a path that begins with \"/\""},
        /* answers */
        {STEP("{\"status\": 204, \"body\": \"x\"}"), ANSWER,
         "wanted \"body\": \"\" beside status 204, which has no body"},
        {STEP("{\"status\": 304, \"error\": \"server_error\"}"), ANSWER,
         "wanted \"body\": \"\" beside status 304, which has no body"},
        {STEP("{\"status\": 204, \"pieces\": [{\"body\": \"x\"}]}"), ANSWER,
         "wanted \"body\": \"\" beside status 204, which has no body"},
        {STEP("\"OK\""), ANSWER, "found \"OK\", wanted \"ok\" or an object"},
        {STEP("429"), ANSWER, "found 429, wanted \"ok\" or an object"},
        {STEP("{}"), ANSWER, "wanted \"error\", \"body\" or \"content\""},
        {STEP("{\"headers\": {\"a\": \"b\"}}"), ANSWER,
         "wanted \"error\", \"body\" or \"content\""},
        {STEP("{\"eror\": \"slow_down\"}"), ANSWER "/eror", "did you mean \"error\"?"},
        {STEP("{\"error\": \"rate_limit\"}"), ANSWER "/error",
         "found \"rate_limit\", wanted one of rate_limit_exceeded, tokens_exceeded, "},
        {STEP("{\"error\": 429}"), ANSWER "/error", "found 429, wanted a string"},
        {STEP("{\"status\": 429}"), ANSWER,
         "wanted \"error\", \"message\" or \"body\" beside \"status\""},
        {STEP("{\"status\": 199, \"body\": \"\"}"), ANSWER "/status",
         "found 199, wanted a whole number from 200 to 599"},
        {STEP("{\"status\": 600, \"body\": \"\"}"), ANSWER "/status", "found 600, wanted"},
        {STEP("{\"status\": \"429\", \"body\": \"\"}"), ANSWER "/status", "found \"429\", wanted"},
        {STEP("{\"message\": 1}"), ANSWER "/message", "found 1, wanted a string"},
        {STEP("{\"error\": \"slow_down\", \"type\": 1}"), ANSWER "/type", "wanted a string"},
        {STEP("{\"error\": \"slow_down\", \"code\": 1}"), ANSWER "/code", "wanted a string"},
        {STEP("{\"error\": \"slow_down\", \"param\": 1}"), ANSWER "/param", "wanted a string"},
        {STEP("{\"body\": 1}"), ANSWER "/body", "found 1, wanted a string, an object or an array"},
        {STEP("{\"body\": null}"), ANSWER "/body", "found null, wanted a string, an object"},
        {STEP("{\"body\": \"x\", \"error\": \"slow_down\"}"), ANSWER,
         "wanted either \"body\", which is sent as it stands, or the parts of an error"},
        {STEP("{\"body\": \"x\", \"message\": \"y\"}"), ANSWER, "wanted either \"body\""},
        {STEP("{\"body\": \"x\", \"type\": null}"), ANSWER, "wanted either \"body\""},
        {STEP("{\"content\": 1}"), ANSWER "/content", "found 1, wanted a string"},
        {STEP("{\"content\": \"x\", \"status\": 200}"), ANSWER, "wanted \"content\" alone"},
        {STEP("{\"content\": \"x\", \"body\": \"y\"}"), ANSWER, "wanted \"content\" alone"},
        {STEP("{\"content\": \"x\", \"code\": \"y\"}"), ANSWER, "wanted \"content\" alone"},
        {STEP("{\"content\": \"x\", \"retry_after\": \"1s\"}"), ANSWER, "wanted \"content\" alone"},
        {STEP("{\"content\": \"x\", \"headers\": {}}"), ANSWER, "wanted \"content\" alone"},
        {STEP("{\"body\": \"x\", \"retry_after\": 2}"), ANSWER "/retry_after",
         "found 2, " WANTED_DURATION},
        {STEP("{\"body\": \"x\", \"retry_after_form\": \"date\"}"), ANSWER,
         "wanted \"retry_after\" beside \"retry_after_form\""},
        {STEP("{\"body\": \"x\", \"retry_after\": \"1s\", \"retry_after_form\": \"ms\"}"),
         ANSWER "/retry_after_form",
         "found \"ms\", wanted one of \"seconds\", \"milliseconds\", \"date\""},
        {STEP("{\"body\": \"x\", \"retry_after\": \"1s\", \"headers\": {\"Retry-After\": \"1\"}}"),
         ANSWER, "wanted either \"retry_after\" or the header that says it verbatim"},
        {STEP("{\"body\": \"x\", \"headers\": []}"), ANSWER "/headers", "wanted an object"},
        {STEP("{\"body\": \"x\", \"headers\": {\"a\": 1}}"), ANSWER "/headers/a",
         "found 1, " WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"a b\": \"1\"}}"), ANSWER "/headers/a b",
         WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"a:\": \"1\"}}"),
         ANSWER "/headers/a:", WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"\": \"1\"}}"), ANSWER "/headers/", WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"a\": \"1\\r\\nx: y\"}}"), ANSWER "/headers/a",
         WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"a\": \"1\\u007f\"}}"), ANSWER "/headers/a",
         WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"" LONG_96 "\": \"1\"}}"),
         ANSWER "/headers/" LONG_96, WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"a\": \"" LONG_96 LONG_96 LONG_96 "\"}}"),
         ANSWER "/headers/a", WANTED_HEADER},
        {STEP("{\"body\": \"x\", \"headers\": {\"Content-Length\": \"5\"}}"),
         ANSWER "/headers/Content-Length", "wanted no such header: the server sets it"},
        {STEP("{\"body\": \"x\", \"headers\": {\"transfer-encoding\": \"chunked\"}}"),
         ANSWER "/headers/transfer-encoding", "wanted no such header: the server sets it"},
        {STEP("{\"body\": \"x\", \"headers\": {\"a1\": \"\", \"a2\": \"\", \"a3\": \"\", \"a4\": "
              "\"\", \"a5\": \"\", \"a6\": \"\", \"a7\": \"\", \"a8\": \"\", \"a9\": \"\", "
              "\"a10\": \"\", \"a11\": \"\", \"a12\": \"\", \"a13\": \"\"}}"),
         ANSWER "/headers", "wanted at most 12 headers"},
        /* changes */
        {"{\"changes\": {}}", "/server/changes", "found an object, wanted an array"},
        {"{\"changes\": [1]}", "/server/changes/0", "found 1, wanted an object"},
        {"{\"changes\": [{\"quotas\": {}}]}", "/server/changes/0",
         "wanted either \"after_requests\" or \"at\""},
        {"{\"changes\": [{\"at\": \"1s\", \"after_requests\": 1, \"quotas\": {}}]}",
         "/server/changes/0", "wanted either \"after_requests\" or \"at\""},
        {"{\"changes\": [{\"at\": \"1s\"}]}", "/server/changes/0/quotas",
         "found nothing, wanted the new limits by model"},
        {"{\"changes\": [{\"after_requests\": 0, \"quotas\": {}}]}",
         "/server/changes/0/after_requests", "found 0, wanted a whole number from 1"},
        {"{\"changes\": [{\"at\": 1, \"quotas\": {}}]}", "/server/changes/0/at",
         "found 1, " WANTED_DURATION},
        {"{\"changes\": [{\"at\": \"1s\", \"quotas\": {\"m\": {\"requests_total\": -1}}}]}",
         "/server/changes/0/quotas/m/requests_total", "found -1, wanted a whole number"},
        {"{\"changes\": [{\"att\": \"1s\"}]}", "/server/changes/0/att", "did you mean \"at\"?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        struct error error = {.message = ""};
        char place[600];
        if (read_text(&config, cases[i].text, &error))
            fail_msg("%s was read", cases[i].text);
        snprintf(place, sizeof place, "f: %s", cases[i].pointer);
        assert_string_equal(error.place, place);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("%s: \"%s\" is not in: %s", cases[i].text, cases[i].message, error.message);
        config_free(&config);
    }
}

/* As many members as fit, then one more. */
static void assert_bound(const char *head, const char *member, const char *tail, int count_max)
{
    char *text = malloc(200000);
    assert_non_null(text);
    for (int count = count_max; count <= count_max + 1; count++) {
        size_t used = (size_t)sprintf(text, "%s", head);
        for (int i = 0; i < count; i++) {
            used += (size_t)sprintf(text + used, "%s", i > 0 ? "," : "");
            const char *number = strchr(member, '#');
            if (number == NULL)
                used += (size_t)sprintf(text + used, "%s", member);
            else
                used += (size_t)sprintf(text + used, "%.*s%d%s", (int)(number - member), member, i,
                                        number + 1);
        }
        sprintf(text + used, "%s", tail);
        struct config config;
        struct error error = {.message = ""};
        assert_int_equal(read_text(&config, text, &error), count == count_max);
        if (count > count_max)
            assert_non_null(strstr(error.message, "wanted at most"));
        config_free(&config);
    }
    free(text);
}

static void everything_is_bounded(void **state)
{
    (void)state;
    assert_bound("{\"quotas\": {", "\"m#\": {}", "}}", CONFIG_MODELS_MAX);
    assert_bound("{\"models\": {", "\"m#\": {}", "}}", CONFIG_MODELS_MAX);
    assert_bound("{\"api_keys\": [", "\"k\"", "]}", CONFIG_KEYS_MAX);
    assert_bound("{\"script\": [", "{\"answer\": \"ok\"}", "]}", SCRIPT_STEPS_MAX);
    assert_bound("{\"changes\": [", "{\"at\": \"1s\", \"quotas\": {}}", "]}", CONFIG_CHANGES_MAX);
}

static struct quota_limits base_limits(void *owner, const char *model)
{
    assert_ptr_equal(owner, base_limits);
    struct quota_limits limits = {.limit = {1, 2, 3, 4, 0, 5, strcmp(model, "m") == 0 ? 6 : 7}};
    return limits;
}

static void quotas_read_over_a_base_keep_what_is_not_named(void **state)
{
    (void)state;
    struct error error;
    struct json_reader reader = {.file = "f", .error = &error};
    struct config_quotas quotas = {0};
    static const char text[] = "{\"m\": {\"requests_per_day\": 20, \"tokens_per_minute\": null}}";
    cJSON *root = json_parse(text, sizeof text - 1, "f", &error);
    void *owner = (void *)(intptr_t)base_limits;
    assert_true(config_quotas_read(&quotas, &reader, root, "", base_limits, owner));
    static const int64_t expected[QUOTA_DIMENSION_COUNT] = {1, 20, -1, 4, 0, 5, 6};
    assert_memory_equal(quotas.items[0].limits.limit, expected, sizeof expected);
    config_quotas_free(&quotas);
    assert_int_equal(quotas.count, 0);
    assert_false(config_quotas_read(&quotas, &reader, root->child->child, "", NULL, NULL));
    assert_string_equal(error.message, "found 20, wanted an object of limits by model");
    cJSON_Delete(root);
}

#define BUSY_503 "{\"concurrency_refusal\": {\"body\": \"busy\", \"status\": 503}, "

static void knows_whether_something_can_throttle(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool can_throttle;
    } cases[] = {
        {STEP("\"ok\""), false},
        {STEP("{\"content\": \"x\"}"), false},
        {STEP("{\"error\": \"rate_limit_exceeded\"}"), true},
        {STEP("{\"error\": \"server_error\"}"), false},
        {STEP("{\"error\": \"server_error\", \"status\": 429}"), true},
        {STEP("{\"error\": \"rate_limit_exceeded\", \"status\": 503}"), false},
        {STEP("{\"message\": \"no\"}"), true},
        {STEP("{\"body\": \"x\"}"), true},
        {STEP("{\"body\": \"x\", \"status\": 500}"), false},
        {"{\"quotas\": {\"*\": {}}}", false},
        {"{\"quotas\": {\"*\": {\"requests_total\": null}}}", false},
        {"{\"quotas\": {\"*\": {\"requests_total\": 5}}}", true},
        {"{\"quotas\": {\"*\": {\"concurrent_requests\": 2}}}", true},
        {BUSY_503 "\"quotas\": {\"*\": {\"concurrent_requests\": 2}}}", false},
        {BUSY_503 "\"quotas\": {\"*\": {\"requests_total\": 5}}}", true},
        {"{\"changes\": [{\"at\": \"1s\", \"quotas\": {\"*\": {\"requests_total\": 5}}}]}", true},
        {"{\"changes\": [{\"at\": \"1s\", \"quotas\": {\"*\": {}}}]}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config = config_of(cases[i].text);
        if (config_can_throttle(&config) != cases[i].can_throttle)
            fail_msg("%s", cases[i].text);
        config_free(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_limits_nothing),
        cmocka_unit_test(reads_quotas),
        cmocka_unit_test(reads_models_latencies_and_keys),
        cmocka_unit_test(reads_distributions_of_latency),
        cmocka_unit_test(reads_every_key_of_a_step),
        cmocka_unit_test(what_a_step_does_not_say_has_its_default),
        cmocka_unit_test(a_body_is_kept_as_it_stands_and_its_code_found),
        cmocka_unit_test(reads_changes),
        cmocka_unit_test(reads_rules_tier_and_shared_limits),
        cmocka_unit_test(every_bad_value_is_told_with_its_place),
        cmocka_unit_test(everything_is_bounded),
        cmocka_unit_test(quotas_read_over_a_base_keep_what_is_not_named),
        cmocka_unit_test(knows_whether_something_can_throttle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
