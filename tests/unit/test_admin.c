#include "mockserver/admin.h"

#include "base/duration.h"
#include "base/json_text.h"
#include "tests/decide.h"
#include "tests/journal_once.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define SECRET_KEY "sk-very-secret-key-WXYZ"

struct set_up {
    struct config config;
    struct api api;
    struct admin admin;
    struct answer answer; /* the last one */
};

static int start(void **state)
{
    static struct set_up set_up;
    static const char text[] = "{\"quotas\": {\"m\": {\"requests_per_minute\": 2}}, \"script\":"
                               " [{\"answer\": {\"error\": \"slow_down\"}}]}";
    struct error error;
    struct json_reader reader = {.file = "f", .error = &error};
    set_up = (struct set_up){0};
    config_init(&set_up.config);
    cJSON *root = json_parse(text, sizeof text - 1, "f", &error);
    assert_true(config_read(&set_up.config, &reader, root, ""));
    cJSON_Delete(root);
    assert_true(api_init(&set_up.api, &set_up.config, 1, 0));
    set_up.admin = (struct admin){
        .api = &set_up.api,
        .journal = journal_new(100, JOURNAL_DROP_OLDEST),
        .metrics = metrics_new(),
        .in_flight = 4,
    };
    *state = &set_up;
    return 0;
}

static int finish(void **state)
{
    struct set_up *set_up = *state;
    answer_free(&set_up->answer);
    journal_free(set_up->admin.journal);
    metrics_free(set_up->admin.metrics);
    api_free(&set_up->api);
    config_free(&set_up->config);
    return 0;
}

static const char *header(const struct set_up *set_up, const char *name)
{
    for (size_t i = 0; i < set_up->answer.header_count; i++) {
        if (strcasecmp(answer_name(&set_up->answer, i), name) == 0)
            return answer_value(&set_up->answer, i);
    }
    return NULL;
}

static int ask_after(struct set_up *set_up, const char *method, const char *name, const char *after,
                     const char *body)
{
    char path[100];
    snprintf(path, sizeof path, ADMIN_PREFIX "%s", name);
    answer_free(&set_up->answer);
    admin_answer(&set_up->admin, method, path, after, body, strlen(body), &set_up->answer);
    assert_true(json_is_utf8(set_up->answer.body, set_up->answer.body_length));
    return set_up->answer.status;
}

static int ask(struct set_up *set_up, const char *method, const char *name, const char *body)
{
    return ask_after(set_up, method, name, NULL, body);
}

static cJSON *body_of(const struct set_up *set_up)
{
    cJSON *root = cJSON_ParseWithOpts(set_up->answer.body, NULL, 1);
    assert_non_null(root);
    assert_string_equal(header(set_up, "content-type"), "application/json");
    return root;
}

static void assert_failure(const struct set_up *set_up, int status, const char *message)
{
    assert_int_equal(set_up->answer.status, status);
    cJSON *root = body_of(set_up);
    const char *said = cJSON_GetObjectItem(root, "error")->valuestring;
    if (strstr(said, message) == NULL)
        fail_msg("\"%s\" is not in: %s", message, said);
    cJSON_Delete(root);
}

/* A chat request through api, journal and metrics, as the server makes it. */
static int chat(struct set_up *set_up, const char *model)
{
    char body[200];
    snprintf(body, sizeof body,
             "{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}", model);
    struct api_request request = {.method = "POST",
                                  .path = "/v1/chat/completions",
                                  .authorization = "Bearer " SECRET_KEY,
                                  .body = body,
                                  .body_length = strlen(body)};
    struct api_outcome outcome;
    struct journal_entry *entry = journal_begin(set_up->admin.journal);
    decide(&set_up->api, &request, set_up->admin.now_ns, 0, entry, &outcome);
    api_finish(&outcome);
    entry->arrived_ns = entry->answered_ns = set_up->admin.now_ns;
    metrics_count(set_up->admin.metrics, entry);
    journal_finish(set_up->admin.journal, entry);
    int status = outcome.answer.status;
    answer_free(&outcome.answer);
    return status;
}

static void health_says_what_runs(void **state)
{
    struct set_up *set_up = *state;
    chat(set_up, "m");
    assert_int_equal(ask(set_up, "GET", "health", ""), 200);
    cJSON *root = body_of(set_up);
    assert_string_equal(cJSON_GetObjectItem(root, "status")->valuestring, "ok");
    assert_string_equal(cJSON_GetObjectItem(root, "version")->valuestring, TOOMANY_VERSION);
    assert_int_equal(cJSON_GetObjectItem(root, "requests")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(root, "in_flight")->valueint, 4);
    cJSON_Delete(root);
}

static void only_the_endpoints_and_methods_there_are_answer(void **state)
{
    struct set_up *set_up = *state;
    static const struct {
        const char *name;
        const char *allowed[3];
        const char *allow;
    } endpoints[] = {
        {"health", {"GET", "HEAD"}, "GET, HEAD"},
        {"journal", {"GET", "HEAD"}, "GET, HEAD"},
        {"quotas", {"GET", "HEAD", "PATCH"}, "GET, HEAD, PATCH"},
        {"reset", {"POST"}, "POST"},
        {"metrics", {"GET", "HEAD"}, "GET, HEAD"},
    };
    static const char *const methods[] = {"GET",  "POST", "PATCH",     "PUT", "DELETE",
                                          "HEAD", "GE",   "ET",        "T",   ", ",
                                          "",     "get",  "GET, PATCH"};
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        for (size_t j = 0; j < sizeof methods / sizeof methods[0]; j++) {
            bool is_allowed = false;
            for (size_t k = 0; k < 3 && endpoints[i].allowed[k] != NULL; k++)
                is_allowed |= strcmp(methods[j], endpoints[i].allowed[k]) == 0;
            int status = ask(set_up, methods[j], endpoints[i].name, "{}");
            if ((status == 200) != is_allowed)
                fail_msg("%s %s: %d", methods[j], endpoints[i].name, status);
            if (is_allowed)
                continue;
            assert_failure(set_up, 405, "wrong method");
            assert_string_equal(header(set_up, "allow"), endpoints[i].allow);
        }
    }
    static const char *const unknown[] = {"", "helth", "quotas/", "quotas/m", "../v1"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        ask(set_up, "GET", unknown[i], "");
        assert_failure(set_up, 404,
                       "there are health, journal, quotas, tier, reset, reload and metrics");
    }
}

static int line_count(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static void the_journal_is_lines_of_json_after_a_sequence_number(void **state)
{
    struct set_up *set_up = *state;
    assert_int_equal(ask(set_up, "GET", "journal", ""), 200);
    assert_string_equal(set_up->answer.body, "");
    for (int i = 0; i < 5; i++)
        chat(set_up, "m");
    assert_int_equal(ask(set_up, "GET", "journal", ""), 200);
    assert_string_equal(header(set_up, "content-type"), "application/jsonl");
    assert_string_equal(header(set_up, "x-toomany-journal-lost"), "0");
    assert_int_equal(line_count(set_up->answer.body), 5);
    assert_int_equal(ask_after(set_up, "GET", "journal", "3", ""), 200);
    assert_int_equal(line_count(set_up->answer.body), 2);
    assert_int_equal(strncmp(set_up->answer.body, "{\"sequence\":4,", 14), 0);
    assert_int_equal(ask_after(set_up, "GET", "journal", "0", ""), 200);
    assert_int_equal(line_count(set_up->answer.body), 5);
    assert_int_equal(ask_after(set_up, "GET", "journal", "18446744073709551615", ""), 200);
    assert_int_equal(line_count(set_up->answer.body), 0);
    static const char *const bad[] = {
        "", "x", "-1", "+1", " 1", "1 ", "1.5", "0x1", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ask_after(set_up, "GET", "journal", bad[i], "");
        assert_failure(set_up, 400, "\"after\" is a sequence number, such as ?after=17");
    }
}

static void quotas_show_limits_and_what_is_used(void **state)
{
    struct set_up *set_up = *state;
    assert_int_equal(chat(set_up, "m"), 429); /* the script's */
    assert_int_equal(chat(set_up, "m"), 200);
    assert_int_equal(chat(set_up, "m"), 200);
    assert_int_equal(chat(set_up, "m"), 429);
    assert_int_equal(chat(set_up, "free"), 200);
    set_up->admin.now_ns = 15 * NS_PER_S;
    assert_int_equal(ask(set_up, "GET", "quotas", ""), 200);
    cJSON *root = body_of(set_up);
    const cJSON *limits = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "limits"), "m");
    assert_int_equal(cJSON_GetArraySize(limits), 1);
    assert_int_equal(cJSON_GetObjectItem(limits, "requests_per_minute")->valueint, 2);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "pools")), 1);
    const cJSON *pool = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "pools"), 0);
    assert_string_equal(cJSON_GetObjectItem(pool, "model")->valuestring, "m");
    assert_string_equal(cJSON_GetObjectItem(pool, "key_tail")->valuestring, "WXYZ");
    assert_string_equal(cJSON_GetObjectItem(pool, "dimension")->valuestring, "requests_per_minute");
    assert_int_equal(cJSON_GetObjectItem(pool, "limit")->valueint, 2);
    assert_int_equal(cJSON_GetObjectItem(pool, "used")->valueint, 2); /* 1.5, rounded up */
    assert_int_equal(cJSON_GetObjectItem(pool, "remaining")->valueint, 0);
    assert_int_equal(cJSON_GetObjectItem(pool, "peak")->valueint, 2);
    assert_int_equal(cJSON_GetObjectItem(pool, "throttled")->valueint, 1);
    assert_string_equal(cJSON_GetObjectItem(pool, "reset")->valuestring, "45s");
    cJSON_Delete(root);
}

static void a_patch_raises_a_quota_while_it_runs(void **state)
{
    struct set_up *set_up = *state;
    for (int i = 0; i < 3; i++)
        chat(set_up, "m");
    assert_int_equal(chat(set_up, "m"), 429);
    assert_int_equal(ask(set_up, "PATCH", "quotas", "{\"m\": {\"requests_per_minute\": 3}}"), 200);
    assert_non_null(strstr(set_up->answer.body, "\"pools\"")); /* answers what is now in force */
    assert_int_equal(chat(set_up, "m"), 200);
    assert_int_equal(chat(set_up, "m"), 429);
    /* Other dimensions keep what they had; null takes a limit away. */
    assert_int_equal(ask(set_up, "PATCH", "quotas", "{\"m\": {\"requests_total\": 100}}"), 200);
    assert_int_equal(chat(set_up, "m"), 429);
    assert_int_equal(ask(set_up, "PATCH", "quotas", "{\"m\": {\"requests_per_minute\": null}}"),
                     200);
    assert_int_equal(chat(set_up, "m"), 200);
    struct quota_limits limits = pools_limits(set_up->api.pools, "m");
    assert_int_equal(limits.limit[QUOTA_REQUESTS_TOTAL], 100);
    assert_int_equal(limits.limit[QUOTA_REQUESTS_PER_MINUTE], QUOTA_UNLIMITED);
    /* A model that was not named starts from the default. */
    assert_int_equal(ask(set_up, "PATCH", "quotas", "{\"*\": {\"tokens_per_minute\": 50}}"), 200);
    assert_int_equal(ask(set_up, "PATCH", "quotas", "{\"new\": {\"requests_total\": 1}}"), 200);
    limits = pools_limits(set_up->api.pools, "new");
    assert_int_equal(limits.limit[QUOTA_TOKENS_PER_MINUTE], 50);
    assert_int_equal(limits.limit[QUOTA_REQUESTS_TOTAL], 1);
}

static void raising_the_tier_is_one_request(void **state)
{
    struct set_up *set_up = *state;
    assert_int_equal(ask(set_up, "GET", "tier", ""), 200);
    assert_non_null(strstr(set_up->answer.body, "null"));
    assert_int_equal(ask(set_up, "PUT", "tier", "{\"tier\": \"free\"}"), 200);
    assert_non_null(strstr(set_up->answer.body, "\"free\""));
    assert_int_equal(chat(set_up, "gpt-4o"), 429); /* the script's step */
    for (int i = 0; i < 3; i++)
        assert_int_equal(chat(set_up, "gpt-4o"), 200);
    assert_int_equal(chat(set_up, "gpt-4o"), 429);
    assert_int_equal(ask(set_up, "POST", "tier", "{\"tier\": \"1\"}"), 200);
    assert_int_equal(chat(set_up, "gpt-4o"), 200);
    assert_int_equal(ask(set_up, "PUT", "tier", "{\"tier\": \"6\"}"), 400);
    assert_non_null(strstr(set_up->answer.body, "body: /tier: found \\\"6\\\", wanted one of"));
    assert_int_equal(ask(set_up, "PUT", "tier", "{\"tier\": 2}"), 400);
    assert_non_null(strstr(set_up->answer.body, "body: /tier: found 2, wanted a string"));
    assert_int_equal(ask(set_up, "PUT", "tier", "{}"), 400);
    assert_non_null(strstr(set_up->answer.body, "body: /tier: found nothing, wanted one of"));
    assert_int_equal(ask(set_up, "PUT", "tier", "{\"teir\": \"1\"}"), 400);
    assert_int_equal(ask(set_up, "GET", "tier", ""), 200);
    assert_non_null(strstr(set_up->answer.body, "\"1\""));
}

static void a_bad_patch_changes_nothing(void **state)
{
    struct set_up *set_up = *state;
    static const struct {
        const char *body;
        const char *message;
    } cases[] = {
        {"", "body:1:1: the JSON text ends too early"},
        {"{\"m\": {", "body:1:8: the JSON text ends too early"},
        {"[]", "body: /: found an array, wanted an object of limits by model"},
        {"{\"m\": 5}", "body: /m: found 5, wanted an object"},
        {"{\"m\": {\"requests_per_minute\": 9}, \"n\": {\"rpm\": 1}}", "body: /n/rpm: unknown key"},
        {"{\"m\": {\"requests_per_minute\": -5}}",
         "body: /m/requests_per_minute: found -5, wanted a whole number from 0"},
        {"{\"m\": {\"requests_per_minute\": 9}, \"m\": {}}", "body: /m: this key stands twice"},
        {"\xff", "body:1:1: invalid UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(set_up, "PATCH", "quotas", cases[i].body);
        assert_failure(set_up, 400, cases[i].message);
        assert_int_equal(pools_limits(set_up->api.pools, "m").limit[QUOTA_REQUESTS_PER_MINUTE], 2);
    }
    /* A place is cut to a size; what is left is still UTF-8 (ask() looks). */
    char body[3000];
    size_t used = (size_t)sprintf(body, "{\"");
    for (int i = 0; i < 400; i++)
        used += (size_t)sprintf(body + used, "%s", "\xf0\x9f\x98\x80");
    sprintf(body + used, "\": 1}");
    ask(set_up, "PATCH", "quotas", body);
    assert_failure(set_up, 400, "wanted a model id");
}

static void a_reset_forgets_journal_metrics_script_and_quotas(void **state)
{
    struct set_up *set_up = *state;
    ask(set_up, "GET", "metrics", "");
    char *fresh = strdup(set_up->answer.body);
    for (int i = 0; i < 4; i++)
        chat(set_up, "m");
    ask(set_up, "PATCH", "quotas", "{\"m\": {\"requests_per_minute\": 9}, \"n\": {}}");
    assert_int_equal(ask(set_up, "POST", "reset", ""), 200);
    assert_non_null(strstr(set_up->answer.body, "\"status\""));
    ask(set_up, "GET", "journal", "");
    assert_string_equal(set_up->answer.body, "");
    ask(set_up, "GET", "quotas", "");
    cJSON *root = body_of(set_up);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "limits")), 1);
    cJSON_Delete(root);
    ask(set_up, "GET", "metrics", "");
    /* But for the pool that there is now. */
    assert_int_equal(strncmp(set_up->answer.body, fresh,
                             (size_t)(strstr(fresh, "# HELP toomany_quota_limit") - fresh)),
                     0);
    free(fresh);
    assert_int_equal(chat(set_up, "m"), 429); /* the script from its start, then two */
    assert_int_equal(chat(set_up, "m"), 200);
    assert_int_equal(chat(set_up, "m"), 200);
    assert_int_equal(chat(set_up, "m"), 429);
}

static void no_endpoint_shows_a_key(void **state)
{
    struct set_up *set_up = *state;
    for (int i = 0; i < 4; i++)
        chat(set_up, "m");
    static const char *const names[] = {"health", "journal", "quotas", "metrics"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(ask(set_up, "GET", names[i], ""), 200);
        assert_null(strstr(set_up->answer.body, "secret"));
        assert_null(strstr(set_up->answer.body, "y-WXYZ")); /* no more than four of it */
        if (i > 0)
            assert_non_null(strstr(set_up->answer.body, "WXYZ"));
    }
}

static void metrics_are_prometheus_text(void **state)
{
    struct set_up *set_up = *state;
    chat(set_up, "m");
    assert_int_equal(ask(set_up, "GET", "metrics", ""), 200);
    assert_string_equal(header(set_up, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(set_up->answer.body,
                           "\ntoomany_requests_total{model=\"m\",status=\"429\",code=\"slow_down\","
                           "decision=\"scripted\"} 1\n"));
    assert_non_null(strstr(set_up->answer.body, "\ntoomany_in_flight 4\n"));
}

int main(void)
{
#define ADMIN_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        ADMIN_TEST(health_says_what_runs),
        ADMIN_TEST(only_the_endpoints_and_methods_there_are_answer),
        ADMIN_TEST(the_journal_is_lines_of_json_after_a_sequence_number),
        ADMIN_TEST(quotas_show_limits_and_what_is_used),
        ADMIN_TEST(a_patch_raises_a_quota_while_it_runs),
        ADMIN_TEST(raising_the_tier_is_one_request),
        ADMIN_TEST(a_bad_patch_changes_nothing),
        ADMIN_TEST(a_reset_forgets_journal_metrics_script_and_quotas),
        ADMIN_TEST(no_endpoint_shows_a_key),
        ADMIN_TEST(metrics_are_prometheus_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
