#include "mockserver/api.h"

#include "base/duration.h"
#include "base/json_text.h"
#include "mockserver/completion.h"
#include "mockserver/decision.h"
#include "tests/decide.h"

#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define WALL_START_NS (INT64_C(1767225600) * NS_PER_S) /* 2026-01-01 00:00:00 */
#define KEY "sk-test-0123456789-WXYZ"
#define CHAT "/v1/chat/completions"
#define BODY "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}"

struct set_up {
    struct config config;
    struct api api;
    struct journal_entry entry; /* of the last request */
    struct api_outcome outcome;
};

static void start_seeded(struct set_up *set_up, const char *text, uint64_t seed)
{
    struct error error;
    struct json_reader reader = {.file = "f", .error = &error};
    *set_up = (struct set_up){0};
    config_init(&set_up->config);
    cJSON *root = json_parse(text, strlen(text), "f", &error);
    if (root == NULL || !config_read(&set_up->config, &reader, root, ""))
        fail_msg("%s: %s", error.place, error.message);
    cJSON_Delete(root);
    assert_true(api_init(&set_up->api, &set_up->config, seed, 0));
}

static void start(struct set_up *set_up, const char *text)
{
    start_seeded(set_up, text, 1);
}

static void finish(struct set_up *set_up)
{
    answer_free(&set_up->outcome.answer);
    api_free(&set_up->api);
    config_free(&set_up->config);
}

/* Decides a request; what was decided is in entry and outcome. Returns the status. */
static int ask(struct set_up *set_up, const char *authorization, const char *method,
               const char *path, const char *body, int64_t now_ns)
{
    struct api_request request = {.method = method,
                                  .path = path,
                                  .authorization = authorization,
                                  .body = body,
                                  .body_length = strlen(body)};
    answer_free(&set_up->outcome.answer);
    set_up->entry = (struct journal_entry){.script_step = -1, .retry_after_ns = -1};
    decide(&set_up->api, &request, now_ns, WALL_START_NS + now_ns, &set_up->entry,
           &set_up->outcome);
    assert_int_equal(set_up->entry.status, set_up->outcome.answer.status);
    assert_int_equal(set_up->entry.decided_ns, now_ns);
    assert_true(json_is_utf8(set_up->outcome.answer.body, set_up->outcome.answer.body_length));
    return set_up->entry.status;
}

static int chat(struct set_up *set_up, int64_t now_ns)
{
    return ask(set_up, "Bearer " KEY, "POST", CHAT, BODY, now_ns);
}

/* A whole request whose answer ends at once. */
static int chat_and_finish(struct set_up *set_up, int64_t now_ns)
{
    int status = chat(set_up, now_ns);
    api_finish(&set_up->outcome);
    return status;
}

static const char *header(const struct set_up *set_up, const char *name)
{
    const struct answer *answer = &set_up->outcome.answer;
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer_name(answer, i), name) == 0)
            return answer_value(answer, i);
    }
    return NULL;
}

static void assert_message(const struct set_up *set_up, const char *message)
{
    cJSON *root = cJSON_ParseWithOpts(set_up->outcome.answer.body, NULL, 1);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const char *said = cJSON_GetObjectItemCaseSensitive(error, "message")->valuestring;
    if (strncmp(said, message, strlen(message)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", said, message);
    cJSON_Delete(root);
}

static void serves_a_completion(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"models\": {\"m\": {\"latency\": \"1500ms\"}}}");
    assert_int_equal(chat(&set_up, 700 * NS_PER_MS), 200);
    assert_int_equal(set_up.entry.decision, JOURNAL_SERVED);
    assert_string_equal(set_up.entry.model, "m");
    assert_string_equal(set_up.entry.key_tail, "WXYZ");
    assert_int_equal(set_up.entry.tokens, 3);
    assert_string_equal(set_up.entry.code, "");
    assert_int_equal(set_up.entry.retry_after_ns, -1);
    assert_int_equal(set_up.entry.script_step, -1);
    assert_int_equal(set_up.outcome.latency_ns, 1500 * NS_PER_MS);
    cJSON *root = cJSON_ParseWithOpts(set_up.outcome.answer.body, NULL, 1);
    /* Made when the model has done its work, at 2.2 s. */
    assert_true(cJSON_GetObjectItem(root, "created")->valuedouble == 1767225602);
    const cJSON *choice = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "choices"), 0);
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetObjectItem(choice, "message"), "content")->valuestring,
        COMPLETION_CONTENT);
    cJSON_Delete(root);
    assert_string_equal(header(&set_up, "date"), "Thu, 01 Jan 2026 00:00:02 GMT");
    assert_string_equal(header(&set_up, "content-type"), "application/json");
    assert_string_equal(header(&set_up, "openai-version"), "2020-10-01");
    assert_string_equal(header(&set_up, "openai-organization"), "org-toomany");
    assert_string_equal(header(&set_up, "openai-processing-ms"), "1500");
    assert_string_equal(header(&set_up, "x-request-id"), set_up.entry.request_id);
    assert_int_equal(strlen(set_up.entry.request_id), 36);
    assert_int_equal(strncmp(set_up.entry.request_id, "req_", 4), 0);
    finish(&set_up);
}

/* key 401, path 404 and method 405, body 400, model 404, script, quota 429, model 200: each request
 * has the faults from its row on, and gets the first. */
static void decides_in_order(void **state)
{
    (void)state;
    static const char config[] =
        "{\"api_keys\": [\"" KEY "\"], \"only_listed_models\": true, \"models\": {\"m\": {}},"
        " \"script\": [{\"answer\": {\"error\": \"server_error\"}}],"
        " \"quotas\": {\"*\": {\"requests_per_minute\": 1}}}";
    static const struct {
        const char *authorization;
        const char *method;
        const char *path;
        const char *body;
        int status;
        enum journal_decision decision;
    } cases[] = {
        {NULL, "PUT", "/v1/none", "{", 401, JOURNAL_REJECTED},
        {"Bearer sk-wrong", "PUT", "/v1/none", "{", 401, JOURNAL_REJECTED},
        {"Bearer " KEY, "PUT", "/v1/none", "{", 404, JOURNAL_REJECTED},
        {"Bearer " KEY, "PUT", CHAT, "{", 405, JOURNAL_REJECTED},
        {"Bearer " KEY, "POST", CHAT, "{", 400, JOURNAL_REJECTED},
        {"Bearer " KEY, "POST", CHAT,
         "{\"model\": \"none\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}", 404,
         JOURNAL_REJECTED},
        {"Bearer " KEY, "POST", CHAT, BODY, 500, JOURNAL_SCRIPTED},
        {"Bearer " KEY, "POST", CHAT, BODY, 200, JOURNAL_SERVED},
        {"Bearer " KEY, "POST", CHAT, BODY, 429, JOURNAL_THROTTLED},
    };
    struct set_up set_up;
    start(&set_up, config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status =
            ask(&set_up, cases[i].authorization, cases[i].method, cases[i].path, cases[i].body, 0);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(set_up.entry.decision, cases[i].decision);
        assert_int_equal(set_up.entry.script_step, cases[i].status == 500 ? 0 : -1);
    }
    finish(&set_up);
}

static void a_rejected_request_uses_no_step_and_no_quota(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"only_listed_models\": true, \"models\": {\"m\": {}},"
                   " \"script\": [{\"answer\": {\"error\": \"slow_down\"}}],"
                   " \"quotas\": {\"*\": {\"requests_per_minute\": 1, \"requests_total\": 1,"
                   " \"concurrent_requests\": 1}}}");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&set_up, NULL, "POST", CHAT, BODY, 0), 401);
        assert_int_equal(ask(&set_up, "Bearer k", "POST", "/v1/x", BODY, 0), 404);
        assert_int_equal(ask(&set_up, "Bearer k", "GET", CHAT, BODY, 0), 405);
        assert_int_equal(ask(&set_up, "Bearer " KEY, "POST", CHAT, "{}", 0), 400);
        assert_int_equal(
            ask(&set_up, "Bearer " KEY, "POST", CHAT,
                "{\"model\": \"n\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}", 0),
            404);
        assert_null(set_up.outcome.pool);
    }
    assert_int_equal(set_up.api.script_states[0].played, 0);
    assert_int_equal(chat(&set_up, 0), 429); /* the step: scripted, and also without quota */
    assert_string_equal(set_up.entry.code, "slow_down");
    assert_null(set_up.outcome.pool);
    assert_int_equal(chat(&set_up, 0), 200);
    assert_non_null(set_up.outcome.pool);
    assert_int_equal(set_up.api.request_count, 27);
    finish(&set_up);
}

static void a_missing_key_and_a_wrong_one_get_openais_words(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"api_keys\": [\"" KEY "\"]}");
    static const char *const missing[] = {NULL,        "",           "Bearer", "Bearer ",
                                          "Bearer   ", "Basic c2s=", KEY};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        assert_int_equal(ask(&set_up, missing[i], "POST", CHAT, BODY, 0), 401);
        assert_message(&set_up, "You didn't provide an API key.");
        assert_string_equal(set_up.entry.code, "");
        assert_string_equal(set_up.entry.key_tail, "");
    }
    assert_int_equal(ask(&set_up, "Bearer not-a-real-key-but-organized", "POST", CHAT, BODY, 0),
                     401);
    assert_message(&set_up,
                   "Incorrect API key provided: not-a-re**************************ized. You "
                   "can find your API key at https://platform.openai.com/account/api-keys.");
    assert_string_equal(set_up.entry.code, "invalid_api_key");
    assert_int_equal(ask(&set_up, "Bearer short", "POST", CHAT, BODY, 0), 401);
    assert_message(&set_up, "Incorrect API key provided: *****. ");
    assert_string_equal(set_up.entry.key_tail, "");
    assert_int_equal(ask(&set_up, "Bearer \xff\xfe\xfd-not-utf8-\xc3", "POST", CHAT, BODY, 0), 401);
    assert_int_equal(ask(&set_up, "bearer  " KEY, "POST", CHAT, BODY, 0), 200);
    assert_int_equal(ask(&set_up, "Bearer " KEY "x", "POST", CHAT, BODY, 0), 401);
    assert_null(header(&set_up, "openai-organization")); /* as in the recorded session */
    finish(&set_up);
}

static void without_a_list_any_key_is_good(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{}");
    assert_int_equal(ask(&set_up, "Bearer anything", "POST", CHAT, BODY, 0), 200);
    finish(&set_up);
    start(&set_up, "{\"api_keys\": []}");
    assert_int_equal(ask(&set_up, "Bearer anything", "POST", CHAT, BODY, 0), 401);
    finish(&set_up);
}

static void finds_the_key_in_the_header(void **state)
{
    (void)state;
    static const struct {
        const char *authorization;
        const char *key;
    } cases[] = {
        {"Bearer sk-1", "sk-1"},
        {"bearer   sk-1", "sk-1"},
        {"Token sk-1", ""},
        {"Bearersk-1", ""},
        {NULL, ""},
        {"Basic OnNrLTE=", "sk-1"}, /* ":sk-1" */
        {"basic OnNrLTE=", "sk-1"},
        {"Basic bWU6c2stMQ==", ""}, /* "me:sk-1" */
        {"Basic Og==", ""},         /* ":" */
        {"Basic OnNrLTE", ""},      /* cut */
        {"Basic OgBz", ""},         /* ":\0s" */
        {"Basic !", ""},
        {"Basic ", ""},
        {"Basic", ""},
    };
    char basic[API_BASIC_KEY_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(api_key_of(cases[i].authorization, basic), cases[i].key);
    assert_string_equal(api_key_of("Basic OnNrLTE=", NULL), "");
    /* As long as there is room, and one longer. */
    for (size_t length = API_BASIC_KEY_SIZE - 2; length <= API_BASIC_KEY_SIZE + 1; length++) {
        char plain[API_BASIC_KEY_SIZE + 8] = ":";
        char authorization[2 * API_BASIC_KEY_SIZE] = "Basic ";
        memset(plain + 1, 'k', length);
        const gnutls_datum_t data = {(unsigned char *)plain, (unsigned int)length + 1};
        gnutls_datum_t base64 = {0};
        assert_int_equal(gnutls_base64_encode2(&data, &base64), 0);
        snprintf(authorization + 6, sizeof authorization - 6, "%.*s", (int)base64.size,
                 (char *)base64.data);
        gnutls_free(base64.data);
        assert_string_equal(api_key_of(authorization, basic),
                            length < API_BASIC_KEY_SIZE ? plain + 1 : "");
    }
}

static void a_wrong_method_is_told_the_right_one(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{}");
    assert_int_equal(ask(&set_up, "Bearer k", "GET", CHAT, "", 0), 405);
    assert_string_equal(header(&set_up, "allow"), "POST");
    assert_message(&set_up, "Not allowed to GET on /v1/chat/completions.");
    assert_string_equal(set_up.entry.code, "method_not_supported");
    assert_int_equal(ask(&set_up, "Bearer k", "POST", "/v1/models", "", 0), 405);
    assert_string_equal(header(&set_up, "allow"), "GET");
    assert_int_equal(ask(&set_up, "Bearer k", "DELETE", "/v1/models/m", "", 0), 405);
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/\xff\"", "", 0), 404);
    assert_message(&set_up, "Invalid URL (GET /v1/?\")");
    char path[4000] = "/v1/";
    memset(path + 4, 'x', sizeof path - 5);
    assert_int_equal(ask(&set_up, "Bearer k", "GET", path, "", 0), 404);
    finish(&set_up);
}

static void lists_models(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{}");
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models", "", 0), 200);
    assert_non_null(strstr(set_up.outcome.answer.body, "\"gpt-4o-mini\""));
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models/whatever", "", 0), 200);
    assert_non_null(strstr(set_up.outcome.answer.body, "\"whatever\""));
    assert_int_equal(set_up.entry.decision, JOURNAL_SERVED);
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models/", "", 0), 404);
    finish(&set_up);
    start(&set_up, "{\"models\": {\"b\": {}, \"a\": {}},"
                   " \"quotas\": {\"*\": {}, \"a\": {}, \"c\": {}}}");
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models", "", 0), 200);
    cJSON *root = cJSON_ParseWithOpts(set_up.outcome.answer.body, NULL, 1);
    const cJSON *data = cJSON_GetObjectItem(root, "data");
    static const char *const ids[] = {"b", "a", "c"};
    assert_int_equal(cJSON_GetArraySize(data), 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(data, i), "id")->valuestring,
                            ids[i]);
    cJSON_Delete(root);
    finish(&set_up);
    start(&set_up, "{\"models\": {\"a\": {}}, \"quotas\": {\"c\": {}},"
                   " \"only_listed_models\": true}");
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models", "", 0), 200);
    assert_null(strstr(set_up.outcome.answer.body, "\"c\""));
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models/c", "", 0), 404);
    assert_string_equal(set_up.entry.code, "model_not_found");
    assert_int_equal(ask(&set_up, "Bearer k", "GET", "/v1/models/a", "", 0), 200);
    char path[200] = "/v1/models/";
    memset(path + 11, 'x', 96);
    finish(&set_up);
    start(&set_up, "{}");
    assert_int_equal(ask(&set_up, "Bearer k", "GET", path, "", 0), 404);
    finish(&set_up);
}

static void a_refusal_tells_wait_and_limits(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up,
          "{\"quotas\": {\"m\": {\"requests_per_minute\": 3, \"tokens_per_minute\": 60}}}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chat_and_finish(&set_up, 0), 200);
        assert_int_equal(atoi(header(&set_up, "x-ratelimit-remaining-requests")), 2 - i);
        assert_int_equal(atoi(header(&set_up, "x-ratelimit-remaining-tokens")), 57 - 3 * i);
    }
    assert_int_equal(chat_and_finish(&set_up, 0), 429);
    assert_message(&set_up, "Rate limit reached for m in organization org-toomany on requests per "
                            "min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.");
    assert_string_equal(header(&set_up, "retry-after"), "20");
    assert_string_equal(header(&set_up, "retry-after-ms"), "20000");
    assert_string_equal(header(&set_up, "x-ratelimit-limit-requests"), "3");
    assert_string_equal(header(&set_up, "x-ratelimit-remaining-requests"), "0");
    assert_string_equal(header(&set_up, "x-ratelimit-reset-requests"), "1m0s");
    assert_int_equal(set_up.entry.decision, JOURNAL_THROTTLED);
    assert_int_equal(set_up.entry.limit, QUOTA_REQUESTS_PER_MINUTE);
    assert_int_equal(set_up.entry.retry_after_ns, 20 * NS_PER_S);
    assert_string_equal(set_up.entry.code, "rate_limit_exceeded");
    struct pool *pool = pools_get(set_up.api.pools, KEY, "m", 0);
    assert_int_equal(pool_throttled(pool, QUOTA_REQUESTS_PER_MINUTE), 1);
    assert_int_equal(chat_and_finish(&set_up, 20 * NS_PER_S), 200);
    finish(&set_up);
}

/* OpenAI: "unsuccessful requests contribute to your per-minute limit". */
static void who_comes_too_early_waits_anew_unless_the_rules_say_otherwise(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"quotas\": {\"m\": {\"requests_per_minute\": 1}}}");
    assert_int_equal(chat_and_finish(&set_up, 0), 200);
    assert_int_equal(chat_and_finish(&set_up, 60 * NS_PER_S - 1), 429);
    assert_int_equal(set_up.entry.retry_after_ns, 60 * NS_PER_S);
    assert_int_equal(chat_and_finish(&set_up, 120 * NS_PER_S - 1), 200);
    finish(&set_up);
    start(&set_up, "{\"rules\": {\"refused_requests_count\": false},"
                   " \"quotas\": {\"m\": {\"requests_per_minute\": 1}}}");
    assert_int_equal(chat_and_finish(&set_up, 0), 200);
    assert_int_equal(chat_and_finish(&set_up, 60 * NS_PER_S - 1), 429);
    assert_int_equal(set_up.entry.retry_after_ns, 1);
    assert_int_equal(chat_and_finish(&set_up, 60 * NS_PER_S), 200);
    finish(&set_up);
}

static void a_place_is_given_back_once_when_the_answer_has_ended(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"quotas\": {\"*\": {\"concurrent_requests\": 1}}}");
    assert_int_equal(chat(&set_up, 0), 200);
    struct api_outcome first = set_up.outcome;
    set_up.outcome.answer = (struct answer){0};
    assert_int_equal(chat(&set_up, 0), 429);
    assert_int_equal(set_up.entry.limit, QUOTA_CONCURRENT_REQUESTS);
    api_finish(&set_up.outcome); /* holds no place */
    assert_int_equal(chat(&set_up, 0), 429);
    api_finish(&first);
    api_finish(&first);
    assert_int_equal(chat(&set_up, 0), 200);
    answer_free(&first.answer);
    finish(&set_up);
}

static void only_openai_says_what_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *dialect;
        bool says;
    } cases[] = {{"openai", true}, {"empty", false}, {"plain_text", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct set_up set_up;
        char config[200];
        snprintf(
            config, sizeof config,
            "{\"rules\": {\"dialect\": \"%s\"}, \"quotas\": {\"*\": {\"requests_per_minute\": 1}}}",
            cases[i].dialect);
        start(&set_up, config);
        for (int status = 200; status <= 429; status += 229) {
            assert_int_equal(chat_and_finish(&set_up, 0), status);
            const struct answer *answer = &set_up.outcome.answer;
            for (size_t j = 0; j < answer->header_count; j++) {
                if (strncmp(answer_name(answer, j), "openai-", 7) == 0 && !cases[i].says)
                    fail_msg("%s: %s", cases[i].dialect, answer_name(answer, j));
            }
            assert_true(cases[i].says == (answer_find_header(answer, "openai-version") != NULL));
            assert_non_null(answer_find_header(answer, "x-request-id"));
        }
        finish(&set_up);
    }
}

/* No genuine body of it is known. */
static void too_many_in_flight_are_refused_as_the_set_up_says(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up,
          "{\"quotas\": {\"*\": {\"concurrent_requests\": 1, \"requests_per_minute\": 9}},"
          " \"refusal_latency\": \"10ms\", \"concurrency_refusal\": {\"message\": \"busy\","
          " \"code\": \"too_many\", \"retry_after\": \"1500ms\", \"headers\": {\"x-a\": \"1\"}}}");
    assert_int_equal(chat(&set_up, 0), 200);
    assert_non_null(answer_find_header(&set_up.outcome.answer, "x-ratelimit-limit-requests"));
    struct api_outcome first = set_up.outcome;
    set_up.outcome.answer = (struct answer){0};
    assert_int_equal(chat(&set_up, 0), 429);
    const struct answer *answer = &set_up.outcome.answer;
    assert_int_equal(set_up.entry.decision, JOURNAL_THROTTLED);
    assert_int_equal(set_up.entry.limit, QUOTA_CONCURRENT_REQUESTS);
    assert_string_equal(set_up.entry.code, "too_many");
    assert_int_equal(set_up.outcome.latency_ns, 10 * NS_PER_MS);
    assert_non_null(strstr(answer->body, "\"message\": \"busy\""));
    assert_string_equal(answer_find_header(answer, "retry-after"), "2");
    assert_string_equal(answer_find_header(answer, "x-a"), "1");
    assert_null(answer_find_header(answer, "x-ratelimit-limit-requests"));
    api_finish(&first);
    answer_free(&first.answer);
    /* The other limits say what they always say. */
    while (chat_and_finish(&set_up, 0) == 200)
        ;
    assert_int_equal(set_up.entry.limit, QUOTA_REQUESTS_PER_MINUTE);
    assert_non_null(strstr(set_up.outcome.answer.body, "on requests per min (RPM)"));
    finish(&set_up);
}

static void steps_may_say_what_the_model_says_and_how_long_it_takes(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"latency\": \"1s\", \"models\": {\"m\": {\"content\": \"of the model\"}},"
                   " \"quotas\": {\"*\": {\"requests_total\": 3}}, \"script\": ["
                   " {\"answer\": {\"content\": \"of the step\"}, \"latency\": \"3s\"},"
                   " {\"answer\": \"ok\", \"latency\": \"0s\"},"
                   " {\"answer\": {\"body\": \"x\", \"status\": 503}, \"latency\": \"4s\"},"
                   " {\"answer\": {\"error\": \"server_error\"}}]}");
    assert_int_equal(chat(&set_up, 0), 200);
    assert_non_null(strstr(set_up.outcome.answer.body, "\"of the step\""));
    assert_int_equal(set_up.outcome.latency_ns, 3 * NS_PER_S);
    assert_int_equal(set_up.entry.decision, JOURNAL_SERVED);
    assert_int_equal(set_up.entry.script_step, 0);
    assert_int_equal(chat(&set_up, 0), 200);
    assert_non_null(strstr(set_up.outcome.answer.body, "\"of the model\""));
    assert_int_equal(set_up.outcome.latency_ns, 0);
    assert_int_equal(chat(&set_up, 0), 503);
    assert_string_equal(set_up.outcome.answer.body, "x");
    assert_int_equal(set_up.outcome.latency_ns, 4 * NS_PER_S);
    assert_string_equal(header(&set_up, "date"), "Thu, 01 Jan 2026 00:00:04 GMT");
    assert_int_equal(chat(&set_up, 0), 500);
    assert_int_equal(set_up.outcome.latency_ns, 0); /* an error takes no time unless it says so */
    assert_int_equal(chat(&set_up, 0), 200);
    assert_int_equal(set_up.outcome.latency_ns, NS_PER_S);
    assert_int_equal(chat(&set_up, 0), 429); /* "ok" asks the quota: three were served */
    assert_string_equal(set_up.entry.code, "insufficient_quota");
    finish(&set_up);
}

static void scripted_headers_go_out_verbatim(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"script\": [{\"answer\": {\"body\": \"error code: 1015\", \"headers\": {"
                   "\"Content-Type\": \"text/plain; charset=UTF-8\", \"Retry-After\": \"54749\","
                   " \"Date\": \"Sun, 06 Nov 1994 08:49:37 GMT\", \"X-Request-ID\": \"req_mine\","
                   " \"openai-organization\": \"org-mine\", \"openai-version\": \"1\","
                   " \"openai-processing-ms\": \"7\"}}}]}");
    assert_int_equal(chat(&set_up, 0), 429);
    assert_string_equal(header(&set_up, "content-type"), "text/plain; charset=UTF-8");
    assert_string_equal(header(&set_up, "date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(header(&set_up, "x-request-id"), "req_mine");
    assert_string_equal(header(&set_up, "openai-organization"), "org-mine");
    assert_string_equal(header(&set_up, "openai-version"), "1");
    assert_string_equal(header(&set_up, "openai-processing-ms"), "7");
    assert_string_equal(set_up.entry.request_id, "req_mine");
    assert_int_equal(set_up.entry.retry_after_ns, 54749 * NS_PER_S);
    assert_int_equal(set_up.outcome.answer.header_count, 7);
    finish(&set_up);
}

static void latencies_are_drawn_evenly_from_their_range(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"latency\": {\"low\": \"10ns\", \"high\": \"13ns\"},"
                   " \"models\": {\"other\": {\"latency\": \"5s\"}}}");
    int counts[4] = {0};
    for (int i = 0; i < 4000; i++) {
        chat(&set_up, i);
        assert_in_range(set_up.outcome.latency_ns, 10, 13);
        counts[set_up.outcome.latency_ns - 10]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], 1000 - 165, 1000 + 165); /* six deviations */
    finish(&set_up);
}

static void changes_come_after_their_count_of_requests(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"quotas\": {\"*\": {\"requests_total\": 0}}, \"changes\": ["
                   "{\"after_requests\": 3, \"quotas\": {\"*\": {\"requests_total\": 2}}},"
                   "{\"after_requests\": 6, \"quotas\": {\"*\": {\"requests_total\": 0}}}]}");
    static const int expected[] = {429, 429, 429, 200, 200, 429, 429, 429};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(chat_and_finish(&set_up, 0), expected[i]);
    finish(&set_up);
}

static void changes_come_at_their_time(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"quotas\": {\"*\": {\"requests_total\": 0}}, \"changes\": ["
                   "{\"at\": \"10s\", \"quotas\": {\"*\": {\"requests_total\": 1}}},"
                   "{\"at\": \"5s\", \"quotas\": {\"other\": {\"requests_total\": 1}}},"
                   "{\"after_requests\": 100, \"quotas\": {\"*\": {}}}]}");
    assert_int_equal(api_make_timed_changes(&set_up.api, 0), 5 * NS_PER_S);
    assert_int_equal(api_make_timed_changes(&set_up.api, 5 * NS_PER_S - 1), 5 * NS_PER_S);
    assert_int_equal(chat_and_finish(&set_up, 5 * NS_PER_S - 1), 429);
    assert_int_equal(api_make_timed_changes(&set_up.api, 5 * NS_PER_S), 10 * NS_PER_S);
    assert_int_equal(chat_and_finish(&set_up, 5 * NS_PER_S), 429);
    assert_int_equal(api_make_timed_changes(&set_up.api, 10 * NS_PER_S), -1);
    assert_int_equal(chat_and_finish(&set_up, 10 * NS_PER_S), 200);
    assert_int_equal(chat_and_finish(&set_up, 10 * NS_PER_S), 429);
    assert_int_equal(api_make_timed_changes(&set_up.api, 20 * NS_PER_S), -1);
    finish(&set_up);
}

static void a_body_that_is_too_large_counts_as_a_request(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"quotas\": {\"*\": {\"requests_total\": 0}}, \"changes\": ["
                   "{\"after_requests\": 1, \"quotas\": {\"*\": {}}}]}");
    const struct decision_refusal refusal = {
        413, "Request body too large: at most 1000 bytes are read.", "request_too_large"};
    struct decision decision;
    decision_refuse(&decision, &set_up.api, &refusal, &set_up.entry, &set_up.outcome);
    decision_choose(&decision, 7, WALL_START_NS + 7);
    decision_answer(&decision);
    decision_free(&decision);
    assert_int_equal(set_up.outcome.answer.status, 413);
    assert_message(&set_up, "Request body too large: at most 1000 bytes are read.");
    assert_int_equal(set_up.entry.status, 413);
    assert_int_equal(set_up.entry.decided_ns, 7);
    assert_int_equal(set_up.entry.decision, JOURNAL_REJECTED);
    assert_string_equal(set_up.entry.code, "request_too_large");
    assert_non_null(header(&set_up, "x-request-id"));
    assert_int_equal(chat(&set_up, 7), 200);
    finish(&set_up);
}

#define LIVELY                                                                                     \
    "{\"latency\": {\"low\": \"1ms\", \"high\": \"1s\"}, \"quotas\": {\"m\":"                      \
    " {\"requests_per_minute\": 30}}, \"script\": [{\"when\": {\"share\": 0.3}, \"answer\":"       \
    " {\"error\": \"slow_down\"}, \"times\": \"forever\"}], \"changes\": [{\"at\": \"20s\","       \
    " \"quotas\": {\"m\": {\"requests_per_minute\": 90}}}, {\"after_requests\": 150, \"quotas\":"  \
    " {\"m\": {\"requests_per_minute\": 10}}}]}"

/* Everything that two hundred requests are answered, to the byte. */
static char *transcript(struct set_up *set_up, int64_t start_ns)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    for (int i = 0; i < 200; i++) {
        int64_t now_ns = i * 217 * NS_PER_MS;
        api_make_timed_changes(&set_up->api, start_ns + now_ns);
        struct api_request request = {.method = "POST",
                                      .path = CHAT,
                                      .authorization = "Bearer " KEY,
                                      .body = BODY,
                                      .body_length = strlen(BODY)};
        answer_free(&set_up->outcome.answer);
        set_up->entry = (struct journal_entry){.script_step = -1};
        decide(&set_up->api, &request, start_ns + now_ns, WALL_START_NS + now_ns, &set_up->entry,
               &set_up->outcome);
        api_finish(&set_up->outcome);
        const struct answer *answer = &set_up->outcome.answer;
        fprintf(stream, "%d %" PRId64 " %s\n", answer->status, set_up->outcome.latency_ns,
                answer->body);
        for (size_t j = 0; j < answer->header_count; j++)
            fprintf(stream, "%s: %s\n", answer_name(answer, j), answer_value(answer, j));
        set_up->entry.decided_ns = now_ns;
        journal_write_entry(&set_up->entry, stream);
    }
    fclose(stream);
    return text;
}

static void the_same_seed_gives_the_same_bytes_and_another_does_not(void **state)
{
    (void)state;
    char *texts[3];
    for (int i = 0; i < 3; i++) {
        struct set_up set_up;
        start_seeded(&set_up, LIVELY, i == 2 ? 8 : 7);
        texts[i] = transcript(&set_up, 0);
        finish(&set_up);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_string_not_equal(texts[0], texts[2]);
    /* All kinds of answers are in it. */
    assert_non_null(strstr(texts[0], "\"decision\":\"served\""));
    assert_non_null(strstr(texts[0], "\"decision\":\"throttled\""));
    assert_non_null(strstr(texts[0], "\"decision\":\"scripted\""));
    for (int i = 0; i < 3; i++)
        free(texts[i]);
}

/* Script, quotas (also those set for models that the config does not name), timed and counted
 * changes, random numbers: a reset leaves nothing of what was before. */
static void a_reset_goes_back_to_the_start(void **state)
{
    (void)state;
    struct set_up set_up;
    start_seeded(&set_up, LIVELY, 7);
    char *before = transcript(&set_up, 0);
    struct config_quota item = {.model = NULL};
    struct config_quotas set = {.items = &item, .count = 1};
    char other[] = "other";
    item.model = other;
    quota_limits_init(&item.limits);
    item.limits.limit[QUOTA_REQUESTS_TOTAL] = 0;
    assert_true(api_change_quotas(&set_up.api, &set, NS_PER_HOUR));
    static const char other_body[] =
        "{\"model\": \"other\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}";
    assert_int_equal(ask(&set_up, "Bearer " KEY, "POST", CHAT, other_body, NS_PER_HOUR), 429);
    assert_true(api_reset(&set_up.api, NS_PER_HOUR));
    assert_int_equal(api_make_timed_changes(&set_up.api, NS_PER_HOUR), NS_PER_HOUR + 20 * NS_PER_S);
    char *after = transcript(&set_up, NS_PER_HOUR);
    assert_string_equal(after, before);
    assert_true(api_reset(&set_up.api, 2 * NS_PER_HOUR));
    int status = 429;
    for (int i = 0; i < 20 && status == 429; i++) /* past the script's share */
        status = ask(&set_up, "Bearer " KEY, "POST", CHAT, other_body, 2 * NS_PER_HOUR);
    assert_int_equal(status, 200);
    free(before);
    free(after);
    finish(&set_up);
}

static void a_reset_keeps_what_is_in_flight(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up, "{\"quotas\": {\"*\": {\"concurrent_requests\": 1}}}");
    assert_int_equal(chat(&set_up, 0), 200);
    struct api_outcome pending = set_up.outcome;
    set_up.outcome.answer = (struct answer){0};
    assert_true(api_reset(&set_up.api, 0));
    assert_int_equal(chat(&set_up, 0), 429);
    api_finish(&pending);
    assert_int_equal(chat(&set_up, 0), 200);
    answer_free(&pending.answer);
    finish(&set_up);
}

/* Many clients, each waiting as long as its 429 said or coming back at random: by the time t never
 * more than N + floor(N * t / 60 s), and exactly that while somebody always asks. */
static void thousands_of_requests_are_served_exactly_as_the_rule_allows(void **state)
{
    (void)state;
    static const int64_t limits[] = {7, 60, 600, 3500};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char config[200];
        struct set_up set_up;
        snprintf(config, sizeof config,
                 "{\"rules\": {\"refused_requests_count\": false},"
                 " \"quotas\": {\"m\": {\"requests_per_minute\": %d}}}",
                 (int)limits[i]);
        start(&set_up, config);
        enum { CLIENTS = 64, REQUESTS = 10000 };
        int64_t next_ns[CLIENTS] = {0};
        struct random random;
        random_seed(&random, 5, i);
        /* On the average ten times as many come as are refilled. */
        uint64_t pause_ns_max = (uint64_t)(2 * CLIENTS * NS_PER_MINUTE / (10 * limits[i]));
        int64_t served = 0;
        int64_t throttled = 0;
        for (int request = 0; request < REQUESTS; request++) {
            int client = 0;
            for (int j = 1; j < CLIENTS; j++)
                client = next_ns[j] < next_ns[client] ? j : client;
            int64_t now_ns = next_ns[client];
            __extension__ __int128 refilled = (__int128)limits[i] * now_ns / NS_PER_MINUTE;
            int64_t allowed = limits[i] + (int64_t)refilled;
            int status = chat_and_finish(&set_up, now_ns);
            served += status == 200;
            throttled += status == 429;
            assert_true(served <= allowed);
            /* Refused means that all that was allowed is served; nothing is lost in between, for
             * the pool is never full again after the first moment. */
            if (status == 429)
                assert_int_equal(served, allowed);
            int64_t wait_ns = set_up.entry.retry_after_ns;
            if (status == 429 && client % 2 == 0)
                next_ns[client] = now_ns + wait_ns;
            else
                next_ns[client] = now_ns + (int64_t)random_below(&random, pause_ns_max);
        }
        assert_true(served > limits[i]);
        assert_true(throttled > 100);
        finish(&set_up);
    }
}

/* A distribution is drawn from its own stream, so that shares of the script do not shift it. */
static void draws_latencies_from_their_own_stream(void **state)
{
    (void)state;
    struct set_up set_up;
    struct random random;
    start_seeded(&set_up,
                 "{\"latency\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
                 " \"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": \"forever\","
                 " \"when\": {\"share\": 0.5}}]}",
                 9);
    random_seed(&random, 9, API_STREAM_LATENCY);
    int served = 0;
    for (int i = 0; i < 40; i++) {
        if (chat_and_finish(&set_up, 0) != 200)
            continue;
        served++;
        assert_int_equal(set_up.outcome.latency_ns,
                         distribution_draw(&set_up.config.latency, &random));
    }
    assert_in_range(served, 5, 35);
    finish(&set_up);
}

static void refusals_take_their_own_time(void **state)
{
    (void)state;
    struct set_up set_up;
    struct random random;
    start_seeded(&set_up,
                 "{\"latency\": \"1s\", \"quotas\": {\"*\": {\"requests_per_minute\": 1}},"
                 " \"refusal_latency\": {\"kind\": \"exponential\", \"mean\": \"10ms\"}}",
                 9);
    random_seed(&random, 9, API_STREAM_REFUSAL);
    assert_int_equal(chat_and_finish(&set_up, 0), 200);
    assert_int_equal(set_up.outcome.latency_ns, NS_PER_S);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chat(&set_up, 0), 429);
        assert_int_equal(set_up.outcome.latency_ns,
                         distribution_draw(&set_up.config.refusal_latency, &random));
    }
    finish(&set_up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_a_completion),
        cmocka_unit_test(decides_in_order),
        cmocka_unit_test(a_rejected_request_uses_no_step_and_no_quota),
        cmocka_unit_test(a_missing_key_and_a_wrong_one_get_openais_words),
        cmocka_unit_test(without_a_list_any_key_is_good),
        cmocka_unit_test(finds_the_key_in_the_header),
        cmocka_unit_test(a_wrong_method_is_told_the_right_one),
        cmocka_unit_test(lists_models),
        cmocka_unit_test(a_refusal_tells_wait_and_limits),
        cmocka_unit_test(who_comes_too_early_waits_anew_unless_the_rules_say_otherwise),
        cmocka_unit_test(a_place_is_given_back_once_when_the_answer_has_ended),
        cmocka_unit_test(only_openai_says_what_it_is),
        cmocka_unit_test(too_many_in_flight_are_refused_as_the_set_up_says),
        cmocka_unit_test(steps_may_say_what_the_model_says_and_how_long_it_takes),
        cmocka_unit_test(scripted_headers_go_out_verbatim),
        cmocka_unit_test(latencies_are_drawn_evenly_from_their_range),
        cmocka_unit_test(changes_come_after_their_count_of_requests),
        cmocka_unit_test(changes_come_at_their_time),
        cmocka_unit_test(a_body_that_is_too_large_counts_as_a_request),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_and_another_does_not),
        cmocka_unit_test(a_reset_goes_back_to_the_start),
        cmocka_unit_test(a_reset_keeps_what_is_in_flight),
        cmocka_unit_test(thousands_of_requests_are_served_exactly_as_the_rule_allows),
        cmocka_unit_test(draws_latencies_from_their_own_stream),
        cmocka_unit_test(refusals_take_their_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
