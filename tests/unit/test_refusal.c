#include "mockserver/refusal.h"

#include "base/duration.h"
#include "base/random.h"
#include "mockserver/ratelimit_headers.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct refusal_request chat = {.names = {.model = "gpt-4o"},
                                            .path = "/v1/chat/completions"};
static const struct refusal_request embeddings = {.names = {.model = "text-embedding-3-small"},
                                                  .path = "/v1/embeddings",
                                                  .api_version = "2024-12-01-preview"};

static const char *header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcmp(answer_name(answer, i), name) == 0)
            return answer_value(answer, i);
    }
    return NULL;
}

/* openai-node#1108 */
static void azure_says_whole_seconds_in_its_own_words(void **state)
{
    (void)state;
    struct limit_rules rules = {.dialect = DIALECT_AZURE, .headers = LIMIT_HEADERS_AZURE};
    struct quota_answer refusal = {.stopped_by = QUOTA_TOKENS_PER_MINUTE,
                                   .limit = 1000,
                                   .used = 900,
                                   .requested = 650,
                                   .wait_ns = 32 * NS_PER_S + 1};
    struct answer answer;
    refusal_answer(&answer, &rules, &refusal, &chat);
    assert_int_equal(answer.status, 429);
    assert_string_equal(
        answer.body,
        "{\"error\":{\"code\":\"429\",\"message\": \"Requests to the ChatCompletions_Create "
        "Operation under Azure OpenAI API version 2024-02-15-preview have exceeded token rate "
        "limit "
        "of your current OpenAI S0 pricing tier. Please retry after 33 seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate "
        "limit.\"}}");
    assert_null(header(&answer, "retry-after"));
    answer_free(&answer);
    /* vanderschaarlab/climb#1: what no wait cures is a day. */
    refusal.wait_ns = -1;
    refusal.stopped_by = QUOTA_REQUESTS_PER_MINUTE;
    refusal_answer(&answer, &rules, &refusal, &embeddings);
    assert_non_null(strstr(answer.body, "Embeddings_Create"));
    assert_non_null(strstr(answer.body, "exceeded call rate limit"));
    assert_non_null(strstr(answer.body, "retry after 86400 seconds"));
    answer_free(&answer);
}

static void minimal_servers_say_nothing_or_one_line(void **state)
{
    (void)state;
    static const struct {
        enum limit_dialect dialect;
        const char *body;
    } cases[] = {{DIALECT_EMPTY, ""}, {DIALECT_PLAIN_TEXT, "Too Many Requests"}};
    struct quota_answer refusal = {.stopped_by = QUOTA_REQUESTS_PER_MINUTE, .wait_ns = NS_PER_S};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct limit_rules rules = {.dialect = cases[i].dialect, .headers = LIMIT_HEADERS_NONE};
        struct answer answer;
        refusal_answer(&answer, &rules, &refusal, &chat);
        assert_int_equal(answer.status, 429);
        assert_string_equal(answer.body, cases[i].body);
        assert_null(header(&answer, "retry-after"));
        answer_free(&answer);
    }
}

static void assert_message(const struct limit_rules *rules, const struct quota_answer *refusal,
                           const char *message)
{
    struct answer answer;
    refusal_answer(&answer, rules, refusal, &chat);
    if (strstr(answer.body, message) == NULL)
        fail_msg("\"%s\" is not in %s", message, answer.body);
    answer_free(&answer);
}

static void projects_and_images_have_their_words(void **state)
{
    (void)state;
    struct limit_rules rules;
    limit_rules_init(&rules);
    struct quota_answer images = {.stopped_by = QUOTA_IMAGES_PER_MINUTE,
                                  .limit = 5,
                                  .used = 4,
                                  .requested = 2,
                                  .wait_ns = 12 * NS_PER_S};
    assert_message(&rules, &images,
                   "Rate limit exceeded for images per minute in organization org-toomany. Limit: "
                   "5/1min. Current: 6/1min. Please visit");
    rules.scope = LIMIT_PER_PROJECT;
    struct quota_answer tokens = {.stopped_by = QUOTA_TOKENS_PER_MINUTE,
                                  .limit = 25000,
                                  .used = 23255,
                                  .requested = 5872,
                                  .wait_ns = 9904800000};
    assert_message(&rules, &tokens,
                   "Rate limit reached for project proj_toomany organization org-toomany on tokens "
                   "per min (TPM): Limit 25000, Used 23255, Requested 5872. Please try again in "
                   "9.904s.");
}

/* ---- what headers promise, for each dimension by each rule ------------------------------------
 */

enum { HISTORY_MAX = 400, REFUSALS = 20 };

struct asked {
    int64_t at_ns;
    struct quota_cost cost;
};

/* A pool, and all that it was asked: another one with the same history is as full. */
struct history {
    struct quota_limits limits;
    struct quota_pool pool;
    struct asked asked[HISTORY_MAX];
    size_t count;
};

static struct quota_answer ask(struct history *history, int64_t at_ns,
                               const struct quota_cost *cost)
{
    assert_true(history->count < HISTORY_MAX);
    history->asked[history->count++] = (struct asked){at_ns, *cost};
    return quota_admit_cost(&history->pool, at_ns, cost);
}

/* Whether a pool with this history, which this does not touch, would admit it. */
static bool would_admit(const struct history *history, int64_t at_ns, const struct quota_cost *cost)
{
    struct quota_pool twin;
    quota_init(&twin, &history->limits, 0);
    for (size_t i = 0; i < history->count; i++)
        quota_admit_cost(&twin, history->asked[i].at_ns, &history->asked[i].cost);
    bool is_admitted = quota_admit_cost(&twin, at_ns, cost).admitted;
    quota_free(&twin);
    return is_admitted;
}

static int64_t whole_header(const struct answer *answer, const char *name)
{
    return strtoll(header(answer, name), NULL, 10);
}

static struct quota_cost draw_cost(struct random *random, enum quota_dimension dimension,
                                   int64_t limit)
{
    int64_t most = limit < 60 ? limit : limit / 3;
    struct quota_cost cost = {.requests = 1, .tokens = 5, .images = 1};
    if (quota_dimension_counts_tokens(dimension))
        cost.tokens = 1 + (int64_t)random_below(random, (uint64_t)most);
    if (dimension == QUOTA_IMAGES_PER_MINUTE)
        cost.images = 1 + (int64_t)random_below(random, (uint64_t)most);
    return cost;
}

/* Who waits as retry-after-ms says is served, who comes a millisecond earlier is not; and who goes
 * by retry-after, in whole seconds, comes no earlier than that. */
static void check_promise(struct history *history, int64_t *now_ns, const struct quota_cost *cost,
                          const struct quota_answer *outcome)
{
    struct limit_rules rules;
    struct answer answer;
    limit_rules_init(&rules);
    refusal_answer(&answer, &rules, outcome, &chat);
    int64_t wait_ms = whole_header(&answer, "retry-after-ms");
    int64_t wait_s = whole_header(&answer, "retry-after");
    answer_free(&answer);
    assert_true(wait_s * 1000 >= wait_ms && (wait_s - 1) * 1000 < wait_ms);
    if (wait_ms > 1)
        assert_false(would_admit(history, *now_ns + (wait_ms - 1) * NS_PER_MS, cost));
    assert_true(would_admit(history, *now_ns + wait_s * NS_PER_S, cost));
    *now_ns += wait_ms * NS_PER_MS;
    assert_true(ask(history, *now_ns, cost).admitted);
}

static void promises_hold(struct random *random, enum quota_dimension dimension,
                          enum quota_enforcement enforcement, bool refused_count, int64_t limit)
{
    static struct history history;
    history = (struct history){.count = 0};
    quota_limits_init(&history.limits);
    history.limits.enforcement = enforcement;
    history.limits.refused_count = refused_count;
    history.limits.limit[dimension] = limit;
    quota_init(&history.pool, &history.limits, 0);
    int64_t now_ns = (int64_t)random_below(random, (uint64_t)NS_PER_MINUTE);
    for (int refused = 0; refused < REFUSALS && history.count + 2 < HISTORY_MAX;) {
        struct quota_cost cost = draw_cost(random, dimension, limit);
        struct quota_answer outcome = ask(&history, now_ns, &cost);
        if (!outcome.admitted) {
            assert_int_equal(outcome.stopped_by, dimension);
            check_promise(&history, &now_ns, &cost, &outcome);
            refused++;
        }
        now_ns += (int64_t)random_below(random, 3000);
    }
    quota_free(&history.pool);
}

static void a_client_that_waits_as_told_is_served_and_no_earlier(void **state)
{
    (void)state;
    static const enum quota_dimension dimensions[] = {
        QUOTA_REQUESTS_PER_MINUTE, QUOTA_REQUESTS_PER_DAY, QUOTA_TOKENS_PER_MINUTE,
        QUOTA_TOKENS_PER_DAY, QUOTA_IMAGES_PER_MINUTE};
    static const int64_t limits[] = {1, 3, 7, 59, 60, 61, 149, 300};
    const char *given = getenv("TOOMANY_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec;
    struct random random;
    print_message("TOOMANY_TEST_SEED=%" PRIu64 "\n", seed);
    random_seed(&random, seed, 1);
    for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++) {
        for (int rule = 0; rule < 2 * QUOTA_ENFORCEMENT_COUNT; rule++) {
            for (size_t j = 0; j < sizeof limits / sizeof limits[0]; j++)
                promises_hold(&random, dimensions[i], (enum quota_enforcement)(rule / 2),
                              rule % 2 == 0, limits[j]);
        }
    }
}

/* Of what no time cures nothing is promised: a place becomes free when another request ends. */
static void of_what_time_does_not_cure_nothing_is_promised(void **state)
{
    (void)state;
    static const enum quota_dimension dimensions[] = {QUOTA_CONCURRENT_REQUESTS,
                                                      QUOTA_REQUESTS_TOTAL};
    for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++) {
        struct quota_limits limits;
        struct quota_pool pool;
        struct limit_rules rules;
        struct answer answer;
        limit_rules_init(&rules);
        quota_limits_init(&limits);
        limits.refused_count = true;
        limits.limit[dimensions[i]] = 1;
        quota_init(&pool, &limits, 0);
        assert_true(quota_admit(&pool, 0, 5).admitted);
        struct quota_answer outcome = quota_admit(&pool, 0, 5);
        refusal_answer(&answer, &rules, &outcome, &chat);
        assert_null(header(&answer, "retry-after"));
        assert_null(header(&answer, "retry-after-ms"));
        answer_free(&answer);
        assert_false(quota_admit(&pool, 10 * NS_PER_DAY, 5).admitted);
        quota_finish(&pool);
        assert_int_equal(quota_admit(&pool, 10 * NS_PER_DAY, 5).admitted,
                         dimensions[i] == QUOTA_CONCURRENT_REQUESTS);
        quota_free(&pool);
    }
}

static void azures_headers_are_seconds_and_minus_one(void **state)
{
    (void)state;
    struct limit_rules rules = {.headers = LIMIT_HEADERS_AZURE};
    struct quota_limits limits;
    struct quota_pool pool;
    struct answer answer;
    quota_limits_init(&limits);
    limits.limit[QUOTA_REQUESTS_PER_MINUTE] = 7;
    quota_init(&pool, &limits, 0);
    struct quota_answer outcome = quota_admit(&pool, 0, 5);
    struct ratelimit_told_all told;
    ratelimit_tell_all(&pool, 0, &told);
    answer_init(&answer, 200);
    ratelimit_headers_add(&answer, &rules, &told, &outcome);
    assert_string_equal(header(&answer, "x-ratelimit-reset-requests"), "9"); /* 8.57 s */
    assert_string_equal(header(&answer, "x-ratelimit-remaining-requests"), "6");
    assert_string_equal(header(&answer, "x-ratelimit-limit-tokens"), "-1");
    assert_string_equal(header(&answer, "x-ratelimit-remaining-tokens"), "-1");
    assert_string_equal(header(&answer, "x-ratelimit-reset-tokens"), "-1");
    assert_null(header(&answer, "x-rate-limit-reset-tokens"));
    for (int i = 0; i < 7; i++)
        outcome = quota_admit(&pool, 0, 5);
    answer_init(&answer, 429);
    ratelimit_headers_add(&answer, &rules, &told, &outcome);
    assert_string_equal(header(&answer, "x-rate-limit-reset-tokens"), "9");
    assert_string_equal(header(&answer, "policy-id"), "DeploymentRatelimit-Call");
    rules.headers = LIMIT_HEADERS_NONE;
    answer_init(&answer, 429);
    ratelimit_headers_add(&answer, &rules, &told, &outcome);
    assert_int_equal(answer.header_count, 0);
}

static void max_tokens_is_counted_by_the_rule(void **state)
{
    (void)state;
    struct limit_rules rules = {.max_tokens = TOKENS_IGNORE_MAX};
    assert_int_equal(limit_rules_tokens(&rules, 7, 512), 7);
    rules.max_tokens = TOKENS_MAXIMUM;
    assert_int_equal(limit_rules_tokens(&rules, 7, 512), 512);
    assert_int_equal(limit_rules_tokens(&rules, 700, 512), 700);
    rules.max_tokens = TOKENS_SUM; /* the capture of 2025-01: 519 */
    assert_int_equal(limit_rules_tokens(&rules, 7, 512), 519);
    assert_int_equal(limit_rules_tokens(&rules, 7, -1), 7);
    assert_int_equal(limit_rules_tokens(&rules, 7, INT64_MAX), 7 + QUOTA_LIMIT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(azure_says_whole_seconds_in_its_own_words),
        cmocka_unit_test(minimal_servers_say_nothing_or_one_line),
        cmocka_unit_test(projects_and_images_have_their_words),
        cmocka_unit_test(a_client_that_waits_as_told_is_served_and_no_earlier),
        cmocka_unit_test(of_what_time_does_not_cure_nothing_is_promised),
        cmocka_unit_test(azures_headers_are_seconds_and_minus_one),
        cmocka_unit_test(max_tokens_is_counted_by_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
