#include "grade/rule.h"

#include "client/strategy.h"
#include "drawn_client.h"
#include "grade/known_client.h"
#include "grade/rule_bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS = RULE_RUNS_WANTED, DELAYS = RULE_DELAYS_WANTED };

/* What a client did in several calls. */
struct seen {
    int64_t delays_ns[RULE_RUNS_MAX][RULE_DELAYS_MAX];
    struct rule_observation runs[RULE_RUNS_MAX];
    size_t count;
};

static void add_run(struct seen *seen, const int64_t delays_ns[], size_t count,
                    int64_t retry_after_ns)
{
    size_t run = seen->count++;
    assert_true(run < RULE_RUNS_MAX && count <= RULE_DELAYS_MAX);
    memcpy(seen->delays_ns[run], delays_ns, count * sizeof delays_ns[0]);
    seen->runs[run] =
        (struct rule_observation){seen->delays_ns[run], count, retry_after_ns, NS_PER_MS, true};
}

/* --- drawn at random -------------------------------------------------------------------------- */

static const enum rule_family family_of[DRAWN_KINDS] = {RULE_FIXED, RULE_LINEAR, RULE_EXPONENTIAL,
                                                        RULE_DECORRELATED, RULE_COMPOUNDING};

static struct rule infer_drawn(const struct drawn_client *client, struct random *random)
{
    static struct seen seen;
    seen.count = 0;
    const char *asked = getenv("RULE_RUNS");
    int runs = asked != NULL ? atoi(asked) : RUNS;
    for (int i = 0; i < runs; i++) {
        int64_t delays_ns[DELAYS];
        drawn_run(client, random, DELAYS, delays_ns);
        add_run(&seen, delays_ns, DELAYS, -1);
    }
    struct rule rule;
    rule_infer(&rule, seen.runs, seen.count);
    return rule;
}

/* Of 5 %, or of `scale` where the number is small beside what it is added to. */
static bool is_near(double found, double right, double scale)
{
    double most = fabs(right) > scale ? fabs(right) : scale;
    return fabs(found - right) <= 0.05 * most;
}

static double known_or(const struct rule_number *number, double otherwise)
{
    return number->known ? number->value : otherwise;
}

/* The name of a number that is wrong; NULL when all are right. Ranges are compared, whichever way
 * they are said. */
static const char *wrong_number(const struct drawn_client *client, const struct rule *rule)
{
    double base_s = rule->base_ns.value / 1e9;
    double low_s = base_s * known_or(&rule->share_low, 1);
    double high_s = base_s * known_or(&rule->share_high, 1) + known_or(&rule->jitter_ns, 0) / 1e9;
    double right_high_s = client->base_s * client->share_high + client->added_s;
    double right_low_s = client->base_s * client->share_low;
    double growth = rule->factor.value;
    double scale = 0;
    if (client->kind == DRAWN_LINEAR) {
        /* Of the delay that is drawn from: base and step are known as shares of its high end. */
        double unit = known_or(&rule->share_high, 1) / client->share_high;
        growth = rule->step_ns.value / 1e9 * unit;
    }
    if (client->kind == DRAWN_DECORRELATED) {
        low_s = high_s = base_s;
        right_low_s = right_high_s = client->base_s;
    } else if (client->kind == DRAWN_COMPOUNDING) {
        low_s = high_s = base_s * rule->factor.value; /* the least that the first can be */
        right_low_s = right_high_s = client->base_s * client->growth;
        if (!is_near(rule->share_high.value * rule->factor.value,
                     client->share_high * client->growth, 0))
            return "share";
    }
    if (client->kind != DRAWN_FIXED && !is_near(growth, client->growth, scale))
        return "growth";
    if (!is_near(low_s, right_low_s, right_high_s))
        return "low end";
    if (!is_near(high_s, right_high_s, 0))
        return "high end";
    if (client->cap_s < HUGE_VAL && client->kind != DRAWN_FIXED &&
        client->kind != DRAWN_DECORRELATED && client->kind != DRAWN_COMPOUNDING) {
        double unit = known_or(&rule->share_high, 1) / client->share_high;
        if (!rule->cap_ns.known || !is_near(rule->cap_ns.value / 1e9 * unit, client->cap_s, 0))
            return "cap";
    }
    return NULL;
}

struct score {
    int wrong_families; /* and sure of it */
    int questionable;   /* says so: the right family or not */
    int unknown;
    int wrong_numbers;
};

static void draw_clients(uint64_t seed, int count, struct score *score)
{
    struct random random;
    random_seed(&random, seed, 0);
    for (int i = 0; i < count; i++) {
        struct drawn_client client = drawn_client_next(&random);
        struct rule rule = infer_drawn(&client, &random);
        bool right = rule.family == family_of[client.kind];
        const char *wrong = right ? wrong_number(&client, &rule) : NULL;
        score->unknown += rule.family == RULE_UNKNOWN;
        score->questionable += rule.family != RULE_UNKNOWN && rule.certainty != RULE_SURE;
        score->wrong_families +=
            !right && rule.family != RULE_UNKNOWN && rule.certainty == RULE_SURE;
        score->wrong_numbers += wrong != NULL;
        if (right && wrong == NULL && rule.certainty == RULE_SURE)
            continue;
        char text[200];
        char sentence[RULE_SENTENCE_SIZE];
        printf("seed %llu, client %d: %s\n    found: %s%s%s\n", (unsigned long long)seed, i,
               drawn_text(&client, text), rule_sentence(&rule, sentence),
               wrong != NULL ? "; wrong: " : "", wrong != NULL ? wrong : "");
    }
}

static void twenty_drawn_clients_are_named_with_their_numbers(void **state)
{
    (void)state;
    /* More by hand: RULE_SEEDS=1000 RULE_RUNS=20 tests/test_rule */
    const char *asked = getenv("RULE_SEEDS");
    int seeds = asked != NULL ? atoi(asked) : 1;
    struct score score = {0};
    for (int seed = 1; seed <= seeds; seed++)
        draw_clients((uint64_t)seed, 20, &score);
    printf("seeds 1 to %d, 20 clients each: %d wrong families, %d questionable, %d unknown, "
           "%d wrong numbers\n",
           seeds, score.wrong_families, score.questionable, score.unknown, score.wrong_numbers);
    if (asked != NULL)
        return;
    assert_int_equal(score.wrong_families, 0);
    assert_int_equal(score.questionable, 0);
    assert_int_equal(score.unknown, 0);
    assert_int_equal(score.wrong_numbers, 0);
}

/* --- clients that are known ------------------------------------------------------------------- */

/* `runs` calls under a policy of client/, refused until it gives up, each asked to wait. */
static void add_policy_runs(struct seen *seen, const struct retry_policy *policy, int runs,
                            int64_t retry_after_ns)
{
    for (int i = 0; i < runs; i++) {
        struct random random;
        random_seed(&random, (uint64_t)i, (uint64_t)retry_after_ns);
        struct retry_state state = {0};
        struct retry_outcome refused = {.status = 429,
                                        .has_retry_after = retry_after_ns >= 0,
                                        .retry_after_ns = retry_after_ns};
        int64_t delays_ns[RULE_DELAYS_MAX];
        size_t count = 0;
        int64_t now_ns = 0;
        for (;;) {
            struct retry_decision decision =
                retry_decide(policy, &state, &refused, &random, now_ns);
            if (!decision.retry)
                break;
            delays_ns[count++] = decision.wait_ns;
            now_ns += decision.wait_ns;
        }
        add_run(seen, delays_ns, count, retry_after_ns);
    }
}

static struct rule infer_policy(const struct retry_policy *policy, int runs)
{
    static struct seen seen;
    seen.count = 0;
    add_policy_runs(&seen, policy, runs, -1);
    static const int64_t asked_s[] = {1, 20, 90, 600};
    for (size_t i = 0; i < sizeof asked_s / sizeof asked_s[0]; i++)
        add_policy_runs(&seen, policy, 1, asked_s[i] * NS_PER_S);
    struct rule rule;
    rule_infer(&rule, seen.runs, seen.count);
    return rule;
}

static void assert_known(const struct rule *rule, const char *name)
{
    assert_non_null(rule->known);
    assert_string_equal(rule->known->name, name);
}

static void five_calls_of_two_retries_name_the_python_sdk(void **state)
{
    (void)state;
    struct rule rule = infer_policy(&strategy_find("openai-python")->policy, 5);
    assert_known(&rule, "openai-python");
    assert_string_equal(rule.known_also[0]->name, "openai-go");
    assert_null(rule.known_also[1]);
    assert_int_equal(rule.family, RULE_EXPONENTIAL);
    assert_int_equal(rule.certainty, RULE_SURE);
    assert_int_equal(rule.header, RULE_HEADER_GIVES_UP);
    assert_true(rule.header_most_ns.low == 90e9 && rule.header_most_ns.high == 600e9);
    assert_true(rule.attempts_max.value == 3);
    assert_true(rule.base_ns.value == 0.5e9 && rule.factor.value == 2);
    assert_true(rule.share_low.value == 0.75 && rule.share_high.value == 1);
    char text[RULE_SENTENCE_SIZE];
    /* The same words for every run: the client's numbers, and not estimates. */
    assert_string_equal(
        rule_sentence(&rule, text),
        "matches openai-python's defaults: 0.5 s, doubled, at most 8 s, minus up "
        "to 25 % (as does openai-go); honours Retry-After up to 1m30s, and gives up "
        "at 10m0s");
}

static void retry_after_tells_the_sdks_apart(void **state)
{
    (void)state;
    struct rule rule = infer_policy(&strategy_find("openai-node")->policy, 5);
    assert_known(&rule, "openai-node");
    assert_string_equal(rule.known_also[0]->name, "openai-python before 2.52");
    struct retry_policy policy = strategy_find("openai-node")->policy;
    policy.retry_after_cap_ns = 8 * NS_PER_S;
    policy.above_cap = RETRY_ABOVE_CAP_CLAMP;
    rule = infer_policy(&policy, 5);
    assert_known(&rule, "openai-java");
    assert_string_equal(rule.known_also[0]->name, "openai-ruby");
    assert_string_equal(rule.known_also[1]->name, "openai-go before 3.67");
    assert_int_equal(rule.header, RULE_HEADER_CLAMPED);
    assert_true(rule.header_most_ns.value == 8e9);
}

/* As where one start answers two probes, so that only one retry of each was asked to wait. */
static void waits_cut_to_the_same_show_it_one_by_one(void **state)
{
    (void)state;
    static struct seen seen;
    seen.count = 0;
    add_policy_runs(&seen, &strategy_find("openai-python")->policy, 5, -1);
    static const int64_t cut_ns[] = {8 * NS_PER_S, 8 * NS_PER_S, 9 * NS_PER_S};
    add_run(&seen, &cut_ns[0], 1, 20 * NS_PER_S);
    struct rule rule;
    rule_infer(&rule, seen.runs, seen.count);
    assert_int_equal(rule.header, RULE_HEADER_OTHER); /* one may be chance */
    add_run(&seen, &cut_ns[1], 1, 90 * NS_PER_S);
    rule_infer(&rule, seen.runs, seen.count);
    assert_int_equal(rule.header, RULE_HEADER_CLAMPED);
    assert_true(rule.header_most_ns.value == 8e9);
    assert_known(&rule, "openai-java");
    add_run(&seen, &cut_ns[2], 1, 90 * NS_PER_S);
    rule_infer(&rule, seen.runs, seen.count);
    assert_int_equal(rule.header, RULE_HEADER_OTHER);
}

static void our_client_is_known(void **state)
{
    (void)state;
    struct retry_policy policy = retry_policy_default();
    policy.jitter = RETRY_JITTER_FULL; /* as client/public.c has it */
    struct rule rule = infer_policy(&policy, 20);
    assert_known(&rule, "toomany's C client");
}

static void other_attempts_are_the_rule_and_not_the_defaults(void **state)
{
    (void)state;
    struct retry_policy policy = strategy_find("openai-python")->policy;
    policy.attempts_max = 8;
    struct rule rule = infer_policy(&policy, 10);
    assert_known(&rule, "openai-python");
    char text[RULE_SENTENCE_SIZE];
    assert_non_null(strstr(rule_sentence(&rule, text), "matches openai-python's rule"));
}

/* Delays as a function of the retry and a random number from 0 to 1. */
typedef double waiter(int retry, double unit, double before_s);

static double cookbook_tenacity(int retry, double unit, double before_s)
{
    (void)before_s;
    double most = pow(2, retry) < 60 ? pow(2, retry) : 60;
    return 1 + (most - 1) * unit;
}

static double backoff_expo(int retry, double unit, double before_s)
{
    (void)before_s;
    return pow(2, retry) * unit;
}

static double cookbook_loop(int retry, double unit, double before_s)
{
    return (retry == 0 ? 1 : before_s) * 2 * (1 + unit);
}

static double litellm(int retry, double unit, double before_s)
{
    (void)before_s;
    return fmin(0.5 * pow(2, retry), 8) + 0.75 * unit;
}

static double curl_retry(int retry, double unit, double before_s)
{
    (void)unit;
    (void)before_s;
    return fmin(pow(2, retry), 600);
}

static double openai_dotnet(int retry, double unit, double before_s)
{
    (void)unit;
    (void)before_s;
    return 0.8 * pow(2, retry);
}

static double noisy_constant(int retry, double unit, double before_s)
{
    (void)retry;
    (void)before_s;
    return 0.7 + 0.6 * unit;
}

static double fibonacci(int retry, double unit, double before_s)
{
    (void)unit;
    (void)before_s;
    static const double numbers[] = {1, 1, 2, 3, 5, 8, 13, 21, 34, 55};
    return numbers[retry];
}

static double squares(int retry, double unit, double before_s)
{
    (void)unit;
    (void)before_s;
    return (retry + 1) * (retry + 1);
}

static double any_of_five_decades(int retry, double unit, double before_s)
{
    (void)retry;
    (void)before_s;
    return pow(10, 5 * unit - 2);
}

static double first_at_once(int retry, double unit, double before_s)
{
    (void)unit;
    (void)before_s;
    return retry == 0 ? 0 : pow(2, retry);
}

static double bell_shaped(int retry, double unit, double before_s)
{
    (void)before_s;
    /* The quantile of a logistic distribution, near enough to a bell. */
    return pow(2, retry) * (1 + 0.05 * log((unit + 1e-9) / (1 - unit + 1e-9)));
}

static struct rule infer_waiter(waiter *wait, int runs, int delays)
{
    static struct seen seen;
    seen.count = 0;
    for (int i = 0; i < runs; i++) {
        struct random random;
        random_seed(&random, (uint64_t)i, 77);
        int64_t delays_ns[RULE_DELAYS_MAX];
        double before_s = 0;
        for (int retry = 0; retry < delays; retry++) {
            before_s = wait(retry, random_unit(&random), before_s);
            delays_ns[retry] = (int64_t)(before_s * 1e9);
        }
        add_run(&seen, delays_ns, (size_t)delays, -1);
    }
    struct rule rule;
    rule_infer(&rule, seen.runs, seen.count);
    return rule;
}

static void known_rules_are_matched_by_their_numbers(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(cookbook_tenacity, 20, 5);
    assert_known(&rule, "the cookbook's tenacity, wait_random_exponential(min=1, max=60)");
    rule = infer_waiter(backoff_expo, 20, 6);
    assert_known(&rule, "backoff.expo with full jitter");
    assert_int_equal(rule.jitter, RULE_JITTER_FULL);
    rule = infer_waiter(cookbook_loop, 20, 10);
    assert_known(&rule, "the cookbook's own loop");
    assert_int_equal(rule.family, RULE_COMPOUNDING);
    rule = infer_waiter(litellm, 20, 2);
    assert_known(&rule, "LiteLLM");
    rule = infer_waiter(curl_retry, 2, 5);
    assert_known(&rule, "curl --retry");
    rule = infer_waiter(openai_dotnet, 2, 3);
    assert_known(&rule, "openai-dotnet");
}

/* --- what must not be taken for a rule -------------------------------------------------------- */

static void a_noisy_constant_is_not_exponential(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(noisy_constant, 20, 5);
    assert_int_equal(rule.family, RULE_FIXED);
    assert_int_equal(rule.certainty, RULE_SURE);
    assert_null(rule.known);
}

static void a_single_run_is_sure_only_where_more_than_enough_delays_agree(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(curl_retry, 1, 4);
    assert_int_equal(rule.family, RULE_EXPONENTIAL);
    assert_int_equal(rule.certainty, RULE_SURE);
    assert_int_equal(rule.jitter, RULE_JITTER_UNKNOWN);
    assert_true(rule.base_ns.value == 1e9 && rule.factor.value == 2);
    rule = infer_waiter(litellm, 1, 3);
    assert_int_equal(rule.certainty, RULE_QUESTIONABLE);
    assert_null(rule.known);
}

static void two_delays_do_not_tell_linear_from_exponential(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(squares, 3, 2);
    assert_int_equal(rule.certainty, RULE_QUESTIONABLE);
    assert_int_equal(rule.family, RULE_EXPONENTIAL);
    assert_int_equal(rule.other, RULE_LINEAR);
}

static void one_delay_tells_nothing(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(curl_retry, 1, 1);
    assert_int_equal(rule.family, RULE_UNKNOWN);
    char text[RULE_SENTENCE_SIZE];
    assert_non_null(strstr(rule_sentence(&rule, text), "too few to tell"));
}

static void what_is_in_no_family_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(infer_waiter(fibonacci, 3, 8).family, RULE_UNKNOWN);
    assert_int_equal(infer_waiter(fibonacci, 1, 8).certainty, RULE_QUESTIONABLE);
    assert_int_equal(infer_waiter(squares, 3, 5).family, RULE_UNKNOWN);
    struct rule rule = infer_waiter(any_of_five_decades, 20, 8);
    assert_false(rule.jitter_even);
    assert_int_equal(rule.certainty, RULE_QUESTIONABLE);
}

static void jitter_that_is_not_even_is_called_so(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(bell_shaped, 60, 8);
    assert_int_equal(rule.family, RULE_EXPONENTIAL);
    assert_false(rule.jitter_even);
}

static void a_seed_that_is_always_the_same_is_no_jitter(void **state)
{
    (void)state;
    static struct seen seen;
    seen.count = 0;
    struct random random;
    random_seed(&random, 5, 5);
    int64_t delays_ns[6];
    for (int i = 0; i < 6; i++)
        delays_ns[i] = (int64_t)(1e9 * backoff_expo(i, random_unit(&random), 0));
    for (int i = 0; i < 5; i++)
        add_run(&seen, delays_ns, 6, -1);
    struct rule rule;
    rule_infer(&rule, seen.runs, seen.count);
    assert_int_equal(rule.family, RULE_UNKNOWN);
    assert_int_equal(rule.jitter, RULE_JITTER_REPEATED);
    assert_null(rule.known);
}

static void a_first_retry_at_once_is_told_apart_from_the_rest(void **state)
{
    (void)state;
    struct rule rule = infer_waiter(first_at_once, 2, 5);
    assert_int_equal(rule.family, RULE_EXPONENTIAL);
    assert_true(rule.first_immediate);
    assert_true(rule.base_ns.value == 2e9 && rule.factor.value == 2);
}

/* --- without delays, and with Retry-After ----------------------------------------------------- */

static struct rule infer_runs(const int64_t delays_ns[], size_t count, int runs,
                              int64_t retry_after_ns, struct seen *seen)
{
    for (int i = 0; i < runs; i++)
        add_run(seen, delays_ns, count, retry_after_ns);
    struct rule rule;
    rule_infer(&rule, seen->runs, seen->count);
    return rule;
}

static void no_retry_and_retries_at_once_are_families(void **state)
{
    (void)state;
    static struct seen seen;
    seen.count = 0;
    assert_int_equal(infer_runs((int64_t[]){0}, 0, 2, -1, &seen).family, RULE_NONE);
    seen.runs[0].gave_up = seen.runs[1].gave_up = false;
    struct rule rule;
    rule_infer(&rule, seen.runs, seen.count);
    assert_int_equal(rule.family, RULE_UNKNOWN); /* served: nobody knows */
    seen.count = 0;
    assert_int_equal(infer_runs((int64_t[]){0, 40000, 0, 0}, 4, 1, -1, &seen).family,
                     RULE_IMMEDIATE);
}

static void a_client_that_retries_only_when_asked_is_header_driven(void **state)
{
    (void)state;
    static struct seen seen;
    seen.count = 0;
    infer_runs((int64_t[]){0}, 0, 2, -1, &seen);
    struct rule rule =
        infer_runs((int64_t[]){20 * NS_PER_S, 20 * NS_PER_S}, 2, 1, 20 * NS_PER_S, &seen);
    assert_int_equal(rule.family, RULE_HEADER_DRIVEN);
    assert_int_equal(rule.certainty, RULE_SURE);
    assert_int_equal(rule.header, RULE_HEADER_HONOURED);
}

static void retry_after_may_be_ignored_or_a_floor(void **state)
{
    (void)state;
    static const int64_t delays_ns[] = {NS_PER_S, 2 * NS_PER_S, 4 * NS_PER_S};
    static struct seen seen;
    seen.count = 0;
    infer_runs(delays_ns, 3, 2, -1, &seen);
    struct rule rule = infer_runs(delays_ns, 3, 1, 30 * NS_PER_S, &seen);
    assert_int_equal(rule.header, RULE_HEADER_IGNORED);
    seen.count = 0;
    infer_runs(delays_ns, 3, 2, -1, &seen);
    rule = infer_runs((int64_t[]){3 * NS_PER_S, 3 * NS_PER_S, 4 * NS_PER_S}, 3, 1, 3 * NS_PER_S,
                      &seen);
    assert_int_equal(rule.header, RULE_HEADER_FLOOR);
    assert_int_equal(rule.family, RULE_EXPONENTIAL);
}

static void nothing_seen_is_nothing_said(void **state)
{
    (void)state;
    struct rule rule;
    char text[RULE_SENTENCE_SIZE];
    rule_infer(&rule, NULL, 0);
    assert_int_equal(rule.family, RULE_UNKNOWN);
    assert_string_equal(rule_sentence(&rule, text),
                        "no rule: the client was never refused without Retry-After");
}

static void every_known_client_has_a_source_and_follows_its_own_rule(void **state)
{
    (void)state;
    for (const struct known_client *client = known_client_table(); client->name != NULL; client++) {
        assert_non_null(client->rule);
        assert_true(strlen(client->source) > 10);
        struct rule rule = known_client_rule(client);
        double low = 0;
        double high = 0;
        assert_true(rule_bounds(&rule, 0, 0, &low, &high));
        assert_true(low >= 0 && low <= high);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_drawn_clients_are_named_with_their_numbers),
        cmocka_unit_test(five_calls_of_two_retries_name_the_python_sdk),
        cmocka_unit_test(retry_after_tells_the_sdks_apart),
        cmocka_unit_test(waits_cut_to_the_same_show_it_one_by_one),
        cmocka_unit_test(our_client_is_known),
        cmocka_unit_test(other_attempts_are_the_rule_and_not_the_defaults),
        cmocka_unit_test(known_rules_are_matched_by_their_numbers),
        cmocka_unit_test(a_noisy_constant_is_not_exponential),
        cmocka_unit_test(a_single_run_is_sure_only_where_more_than_enough_delays_agree),
        cmocka_unit_test(two_delays_do_not_tell_linear_from_exponential),
        cmocka_unit_test(one_delay_tells_nothing),
        cmocka_unit_test(what_is_in_no_family_is_unknown),
        cmocka_unit_test(jitter_that_is_not_even_is_called_so),
        cmocka_unit_test(a_seed_that_is_always_the_same_is_no_jitter),
        cmocka_unit_test(a_first_retry_at_once_is_told_apart_from_the_rest),
        cmocka_unit_test(no_retry_and_retries_at_once_are_families),
        cmocka_unit_test(a_client_that_retries_only_when_asked_is_header_driven),
        cmocka_unit_test(retry_after_may_be_ignored_or_a_floor),
        cmocka_unit_test(nothing_seen_is_nothing_said),
        cmocka_unit_test(every_known_client_has_a_source_and_follows_its_own_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
