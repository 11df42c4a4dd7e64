/* sample_evidence: expectations judged on results written by hand.
 *
 *     struct verdict verdict = judged("\"attempts_per_call\": 3", &result);
 */
#ifndef TOOMANY_TESTS_SAMPLE_EVIDENCE_H
#define TOOMANY_TESTS_SAMPLE_EVIDENCE_H

#include "harness/expectation.h"
#include "tests/unit/sample_results.h"

static inline int64_t sample_last_answer(const struct result *result)
{
    int64_t last_ns = -1;
    for (size_t i = 0; i < result->call_count; i++) {
        const struct call *call = &result->calls[i];
        for (size_t j = 0; j < call->attempt_count; j++) {
            int64_t answered_ns = call->attempts[j].answered_ns;
            last_ns = answered_ns > last_ns ? answered_ns : last_ns;
        }
    }
    return last_ns;
}

/* Judges the first expectation of `members`, which stand in an `expect` object. The verdict's texts
 * are the caller's. */
static inline struct verdict judged(const char *members, const struct result *result)
{
    struct error error = {0};
    struct json_reader reader = {.file = "s.json", .error = &error};
    struct expectations expectations = {0};
    char *text = NULL;
    char told[1400];
    assert_true(asprintf(&text, "{%s}", members) > 0);
    cJSON *object = json_parse(text, strlen(text), "s.json", &error);
    if (object == NULL || !expectations_read(&expectations, &reader, object, "/expect"))
        fail_msg("%s: %s", text, error_text(&error, told, sizeof told));
    assert_int_equal(expectations.count, 1);
    struct evidence evidence = {
        .runs = result->runs,
        .run_count = result->run_count,
        .calls = result->calls,
        .call_count = result->call_count,
        .usages = result->usages,
        .usage_count = result->usage_count,
        .requests = result->requests,
        .throttled = result->throttled,
        .in_flight_most = result->in_flight_most,
        .duration_ns = result->duration_ns,
        .last_answered_ns = sample_last_answer(result),
    };
    struct verdict verdict;
    expectation_judge(&expectations.items[0], &evidence, &verdict);
    expectations_free(&expectations);
    cJSON_Delete(object);
    free(text);
    return verdict;
}

/* Checks state, expected and seen, and that the hint begins so (NULL: not looked at). */
static inline void sample_assert(const char *members, const struct result *result,
                                 enum verdict_state state, const char *expected, const char *seen,
                                 const char *hint)
{
    struct verdict verdict = judged(members, result);
    assert_string_equal(verdict.expected, expected);
    assert_string_equal(verdict.seen, seen);
    if (verdict.state != state)
        fail_msg("%s: state %d, wanted %d", members, verdict.state, state);
    if (state == VERDICT_HELD)
        assert_string_equal(verdict.hint, "");
    else if (hint != NULL && strncmp(verdict.hint, hint, strlen(hint)) != 0)
        fail_msg("%s: hint \"%s\"", members, verdict.hint);
    free(verdict.expected);
    free(verdict.seen);
}

static inline void assert_held(const char *members, const struct result *result,
                               const char *expected, const char *seen)
{
    sample_assert(members, result, VERDICT_HELD, expected, seen, "");
}

static inline void assert_failed(const char *members, const struct result *result,
                                 const char *expected, const char *seen, const char *hint)
{
    sample_assert(members, result, VERDICT_FAILED, expected, seen, hint);
}

/* A result with one call whose delays are these, each answer taking no time. */
static inline struct result sample_delays(size_t count, const int64_t delays_ns[])
{
    struct result result = sample_result("delays", "s.json");
    struct call *call = sample_call(&result);
    int64_t at_ns = 0;
    sample_attempt(&result, call, 429, 0, 0);
    for (size_t i = 0; i < count; i++) {
        struct attempt *attempt = sample_attempt(&result, call, i + 1 < count ? 429 : 200, 0, 0);
        at_ns += delays_ns[i];
        attempt->arrived_ns = attempt->answered_ns = at_ns;
        attempt->delay_ns = delays_ns[i];
    }
    return result;
}

#endif
