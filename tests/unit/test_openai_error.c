#include "mockserver/openai_error.h"
#include "mockserver/refusal.h"

#include "base/duration.h"
#include "base/json_text.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

static const char *header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer_name(answer, i), name) == 0)
            return answer_value(answer, i);
    }
    return NULL;
}

static const struct openai_names names = {.model = "m"};
static const struct openai_names gpt_4o = {.model = "gpt-4o"};

#define MODEL "ft:gpt-4o-mini:acme::7p4lURel"
#define VISIT "Visit https://platform.openai.com/account/rate-limits to learn more."

/* Envelope, order and four spaces as captured (ChatGPTNextWeb/NextChat#793); the words of each kind
 * as pasted into the issues that stand beside the table in the source. */
static void each_kind_has_its_body_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int status;
        const char *code;
        const char *body;
    } cases[] = {
        {"rate_limit_exceeded", 429, "rate_limit_exceeded",
         "{\n    \"error\": {\n        \"message\": \"Rate limit reached for " MODEL
         " in organization org-toomany on requests per min (RPM): Limit 3, Used 3, Requested 1. "
         "Please try again in 20s. " VISIT "\",\n        \"type\": \"requests\",\n"
         "        \"param\": null,\n        \"code\": \"rate_limit_exceeded\"\n    }\n}\n"},
        {"tokens_exceeded", 429, "rate_limit_exceeded",
         "{\n    \"error\": {\n        \"message\": \"Rate limit reached for " MODEL
         " in organization org-toomany on tokens per min (TPM): Limit 30000, Used 29000, Requested "
         "2000. Please try again in 2s. " VISIT "\",\n        \"type\": \"tokens\",\n"
         "        \"param\": null,\n        \"code\": \"rate_limit_exceeded\"\n    }\n}\n"},
        {"insufficient_quota", 429, "insufficient_quota",
         "{\n    \"error\": {\n        \"message\": \"You exceeded your current quota, please "
         "check "
         "your plan and billing details. For more information on this error, read the docs: "
         "https://platform.openai.com/docs/guides/error-codes/api-errors.\",\n"
         "        \"type\": \"insufficient_quota\",\n        \"param\": null,\n"
         "        \"code\": \"insufficient_quota\"\n    }\n}\n"},
        {"credit_balance_exhausted", 429, "credit_balance_exhausted",
         "{\n    \"error\": {\n        \"message\": \"You have no credits remaining. Add credits "
         "to "
         "continue using the API at https://platform.openai.com/settings/organization/billing/."
         "\",\n        \"type\": \"insufficient_quota\",\n        \"param\": null,\n"
         "        \"code\": \"credit_balance_exhausted\"\n    }\n}\n"},
        {"slow_down", 429, "slow_down",
         "{\n    \"error\": {\n        \"message\": \"Slow down. Please reduce your request rate "
         "to "
         "its original level, maintain a consistent rate for at least 15 minutes, and then "
         "gradually increase it.\",\n        \"type\": \"rate_limit_error\",\n"
         "        \"param\": null,\n        \"code\": \"slow_down\"\n    }\n}\n"},
        {"server_error", 500, "",
         "{\n    \"error\": {\n        \"message\": \"The server had an error while processing "
         "your "
         "request. Sorry about that!\",\n        \"type\": \"server_error\",\n"
         "        \"param\": null,\n        \"code\": null\n    }\n}\n"},
        {"server_is_overloaded", 503, "server_is_overloaded",
         "{\n    \"error\": {\n        \"message\": \"Our servers are currently overloaded. Please "
         "try again later.\",\n        \"type\": \"service_unavailable_error\",\n"
         "        \"param\": null,\n        \"code\": \"server_is_overloaded\"\n    }\n}\n"},
        {"invalid_api_key", 401, "invalid_api_key",
         "{\n    \"error\": {\n        \"message\": \"Incorrect API key provided. You can find "
         "your "
         "API key at https://platform.openai.com/account/api-keys.\",\n"
         "        \"type\": \"invalid_request_error\",\n        \"param\": null,\n"
         "        \"code\": \"invalid_api_key\"\n    }\n}\n"},
        {"model_not_found", 404, "model_not_found",
         "{\n    \"error\": {\n        \"message\": \"The model `" MODEL
         "` does not exist or you do not have access to it.\",\n"
         "        \"type\": \"invalid_request_error\",\n        \"param\": null,\n"
         "        \"code\": \"model_not_found\"\n    }\n}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct openai_error_kind *kind = openai_error_find(cases[i].name);
        struct answer answer;
        assert_non_null(kind);
        openai_error_answer_kind(&answer, kind, &(struct openai_names){.model = MODEL}, -1);
        assert_int_equal(answer.status, cases[i].status);
        assert_string_equal(answer.code, cases[i].code);
        assert_string_equal(answer.body, cases[i].body);
        assert_int_equal(answer.body_length, strlen(cases[i].body));
        assert_int_equal(answer.retry_after_ns, -1);
        answer_free(&answer);
    }
}

/* Also of kinds that are added later. */
static void every_kind_is_an_envelope_of_four_members(void **state)
{
    (void)state;
    int count = 0;
    for (const struct openai_error_kind *kind = openai_error_kinds(); kind->name != NULL; kind++) {
        struct answer answer;
        openai_error_answer_kind(&answer, kind, &names, NS_PER_S);
        assert_in_range(answer.status, 400, 599);
        count++;
        assert_ptr_equal(openai_error_find(kind->name), kind);
        if (kind->body != NULL) { /* or what a server before OpenAI's own sends */
            assert_string_equal(answer.body, kind->body);
            assert_int_equal(answer.header_count, kind->content_type != NULL);
            answer_free(&answer);
            continue;
        }
        cJSON *root = cJSON_ParseWithOpts(answer.body, NULL, 1);
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
        static const char *const members[] = {"message", "type", "param", "code"};
        assert_int_equal(cJSON_GetArraySize(root), 1);
        assert_int_equal(cJSON_GetArraySize(error), 4);
        for (int i = 0; i < 4; i++)
            assert_string_equal(cJSON_GetArrayItem(error, i)->string, members[i]);
        assert_null(strchr(cJSON_GetArrayItem(error, 0)->valuestring, '{'));
        cJSON_Delete(root);
        answer_free(&answer);
    }
    assert_int_equal(count, 30);
    assert_null(openai_error_find("no_such_error"));
    assert_null(openai_error_find(""));
}

static void a_wait_that_is_given_stands_in_the_message(void **state)
{
    (void)state;
    char *message =
        openai_error_message(openai_error_find("rate_limit_exceeded"), &names, 432 * NS_PER_S);
    assert_non_null(strstr(message, "Please try again in 7m12s."));
    free(message);
    message = openai_error_message(openai_error_find("rate_limit_exceeded"), &names, 0);
    assert_non_null(strstr(message, "Please try again in 0s."));
    free(message);
}

/* A model called "{wait}" is only a name. */
static void what_is_filled_in_is_not_filled_in_again(void **state)
{
    (void)state;
    char *message =
        openai_error_message(openai_error_find("model_not_found"),
                             &(struct openai_names){.model = "{wait}{model}"}, NS_PER_S);
    assert_string_equal(message, "The model `{wait}{model}` does not exist or you do not have "
                                 "access to it.");
    free(message);
}

static void a_message_is_escaped_and_always_utf8(void **state)
{
    (void)state;
    struct openai_error error = {.status = 404,
                                 .message = "Invalid URL (GET /\"\\\n\x01\xff\xc3)",
                                 .type = "t",
                                 .param = "p"};
    struct answer answer;
    openai_error_answer(&answer, &error);
    assert_true(json_is_utf8(answer.body, answer.body_length));
    assert_non_null(strstr(answer.body, "\"Invalid URL (GET /\\\"\\\\\\n\\u0001?\?)\""));
    assert_non_null(strstr(answer.body, "\"param\": \"p\""));
    assert_non_null(strstr(answer.body, "\"code\": null\n"));
    answer_free(&answer);
}

static void assert_refusal(const struct quota_answer *refusal, const char *message,
                           const char *type, const char *retry_after, const char *retry_after_ms)
{
    struct answer answer;
    struct limit_rules rules;
    char expected[1000];
    limit_rules_init(&rules);
    refusal_answer(&answer, &rules, refusal,
                   &(struct refusal_request){.names = gpt_4o, .path = "/v1/chat/completions"});
    snprintf(expected, sizeof expected,
             "{\n    \"error\": {\n        \"message\": \"%s\",\n        \"type\": \"%s\",\n"
             "        \"param\": null,\n        \"code\": \"rate_limit_exceeded\"\n    }\n}\n",
             message, type);
    assert_int_equal(answer.status, 429);
    assert_string_equal(answer.body, expected);
    assert_string_equal(answer.code, "rate_limit_exceeded");
    assert_int_equal(answer.retry_after_ns, refusal->wait_ns);
    if (retry_after == NULL) {
        assert_null(header(&answer, "retry-after"));
        assert_null(header(&answer, "retry-after-ms"));
    } else {
        assert_string_equal(header(&answer, "retry-after"), retry_after);
        assert_string_equal(header(&answer, "retry-after-ms"), retry_after_ms);
    }
    answer_free(&answer);
}

static void a_refusal_tells_limit_used_requested_and_wait(void **state)
{
    (void)state;
    struct quota_answer refusal = {.stopped_by = QUOTA_TOKENS_PER_MINUTE,
                                   .limit = 30000,
                                   .used = 14567,
                                   .requested = 24754,
                                   .wait_ns = INT64_C(18642000000)};
    assert_refusal(
        &refusal,
        "Rate limit reached for gpt-4o in organization org-toomany on tokens per min "
        "(TPM): Limit 30000, Used 14567, Requested 24754. Please try again in 18.642s. " VISIT,
        "tokens", "19", "18642");
    refusal = (struct quota_answer){.stopped_by = QUOTA_REQUESTS_PER_DAY,
                                    .limit = 200,
                                    .used = 200,
                                    .requested = 1,
                                    .wait_ns = 432 * NS_PER_S};
    assert_refusal(&refusal,
                   "Rate limit reached for gpt-4o in organization org-toomany on requests per day "
                   "(RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s. " VISIT,
                   "requests", "432", "432000");
}

static void where_time_does_not_help_nothing_says_try_again(void **state)
{
    (void)state;
    struct quota_answer refusal = {.stopped_by = QUOTA_TOKENS_PER_MINUTE,
                                   .too_large = true,
                                   .limit = 30000,
                                   .requested = 36278,
                                   .wait_ns = -1};
    assert_refusal(
        &refusal,
        "Request too large for gpt-4o in organization org-toomany on tokens per min "
        "(TPM): Limit 30000, Requested 36278. The input or output tokens must be reduced "
        "in order to run successfully. " VISIT,
        "tokens", NULL, NULL);
    refusal = (struct quota_answer){.stopped_by = QUOTA_CONCURRENT_REQUESTS,
                                    .limit = 2,
                                    .used = 2,
                                    .requested = 1,
                                    .wait_ns = -1};
    assert_refusal(&refusal,
                   "Rate limit reached for gpt-4o in organization org-toomany on concurrent "
                   "requests: Limit 2, Used 2, Requested 1. " VISIT,
                   "requests", NULL, NULL);
}

static void a_plan_that_is_used_up_is_insufficient_quota(void **state)
{
    (void)state;
    struct quota_answer refusal = {
        .stopped_by = QUOTA_REQUESTS_TOTAL, .limit = 5, .used = 5, .requested = 1, .wait_ns = -1};
    struct answer answer;
    struct answer kind;
    openai_error_answer_refusal(&answer, &refusal, &gpt_4o, false);
    openai_error_answer_kind(&kind, openai_error_find("insufficient_quota"), &gpt_4o, -1);
    assert_int_equal(answer.status, 429);
    assert_string_equal(answer.body, kind.body);
    assert_string_equal(answer.code, "insufficient_quota");
    assert_int_equal(answer.header_count, 0);
    answer_free(&answer);
    answer_free(&kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_body_to_the_byte),
        cmocka_unit_test(every_kind_is_an_envelope_of_four_members),
        cmocka_unit_test(a_wait_that_is_given_stands_in_the_message),
        cmocka_unit_test(what_is_filled_in_is_not_filled_in_again),
        cmocka_unit_test(a_message_is_escaped_and_always_utf8),
        cmocka_unit_test(a_refusal_tells_limit_used_requested_and_wait),
        cmocka_unit_test(where_time_does_not_help_nothing_says_try_again),
        cmocka_unit_test(a_plan_that_is_used_up_is_insufficient_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
