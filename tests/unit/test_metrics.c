#include "mockserver/metrics.h"

#include "base/duration.h"
#include "tests/journal_once.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct set_up {
    struct metrics *metrics;
    struct pools *pools;
    struct journal *journal;
};

static int start(void **state)
{
    static struct set_up set_up;
    set_up = (struct set_up){metrics_new(), pools_new(), journal_new(2, JOURNAL_DROP_OLDEST)};
    *state = &set_up;
    return 0;
}

static int finish(void **state)
{
    struct set_up *set_up = *state;
    metrics_free(set_up->metrics);
    pools_free(set_up->pools);
    journal_free(set_up->journal);
    return 0;
}

static struct journal_entry entry_of(const char *model, enum journal_decision decision, int status,
                                     int64_t duration_ns)
{
    struct journal_entry entry = {
        .decision = decision, .status = status, .arrived_ns = 5, .answered_ns = 5 + duration_ns};
    snprintf(entry.model, sizeof entry.model, "%s", model);
    return entry;
}

static char *text_of(const struct set_up *set_up, int64_t now_ns)
{
    const struct metrics_now now = {.pools = set_up->pools,
                                    .journal = set_up->journal,
                                    .in_flight = 3,
                                    .connections_open = 5,
                                    .connections_total = 8,
                                    .now_ns = now_ns};
    char *text = metrics_text(set_up->metrics, &now);
    assert_non_null(text);
    return text;
}

static void assert_line(const char *text, const char *line)
{
    char wanted[400];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(text, wanted) == NULL)
        fail_msg("\"%s\" is not a line of:\n%s", line, text);
}

static void requests_are_counted_by_model_status_code_and_decision(void **state)
{
    struct set_up *set_up = *state;
    struct journal_entry served = entry_of("gpt-4o", JOURNAL_SERVED, 200, NS_PER_MS);
    served.tokens = 31;
    metrics_count(set_up->metrics, &served);
    metrics_count(set_up->metrics, &served);
    struct journal_entry throttled = entry_of("gpt-4o", JOURNAL_THROTTLED, 429, 0);
    strcpy(throttled.code, "rate_limit_exceeded");
    throttled.limit = QUOTA_REQUESTS_PER_DAY;
    throttled.tokens = 1000; /* of no account: it was not served */
    metrics_count(set_up->metrics, &throttled);
    struct journal_entry rejected = entry_of("", JOURNAL_REJECTED, 401, 0);
    metrics_count(set_up->metrics, &rejected);
    char *text = text_of(set_up, 0);
    assert_line(text, "toomany_requests_total{model=\"gpt-4o\",status=\"200\",code=\"\","
                      "decision=\"served\"} 2");
    assert_line(text, "toomany_requests_total{model=\"gpt-4o\",status=\"429\","
                      "code=\"rate_limit_exceeded\",decision=\"throttled\"} 1");
    assert_line(text, "toomany_requests_total{model=\"\",status=\"401\",code=\"\","
                      "decision=\"rejected\"} 1");
    assert_line(text, "toomany_throttled_total{limit=\"requests_per_day\"} 1");
    assert_line(text, "toomany_throttled_total{limit=\"requests_per_minute\"} 0");
    assert_line(text, "toomany_tokens_total 62");
    assert_line(text, "toomany_in_flight 3");
    assert_line(text, "toomany_uncounted_total 0");
    free(text);
}

static void durations_are_a_cumulative_histogram(void **state)
{
    struct set_up *set_up = *state;
    static const int64_t durations_ns[] = {0,        NS_PER_MS,     NS_PER_MS + 1,
                                           NS_PER_S, 60 * NS_PER_S, 60 * NS_PER_S + 1};
    for (size_t i = 0; i < sizeof durations_ns / sizeof durations_ns[0]; i++) {
        struct journal_entry entry = entry_of("m", JOURNAL_SERVED, 200, durations_ns[i]);
        metrics_count(set_up->metrics, &entry);
    }
    char *text = text_of(set_up, 0);
    static const char *const lines[] = {
        "toomany_request_duration_seconds_bucket{le=\"0.001\"} 2",
        "toomany_request_duration_seconds_bucket{le=\"0.01\"} 3",
        "toomany_request_duration_seconds_bucket{le=\"0.1\"} 3",
        "toomany_request_duration_seconds_bucket{le=\"0.5\"} 3",
        "toomany_request_duration_seconds_bucket{le=\"1\"} 4",
        "toomany_request_duration_seconds_bucket{le=\"5\"} 4",
        "toomany_request_duration_seconds_bucket{le=\"10\"} 4",
        "toomany_request_duration_seconds_bucket{le=\"30\"} 4",
        "toomany_request_duration_seconds_bucket{le=\"60\"} 5",
        "toomany_request_duration_seconds_bucket{le=\"+Inf\"} 6",
        "toomany_request_duration_seconds_sum 121.002000002",
        "toomany_request_duration_seconds_count 6",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_line(text, lines[i]);
    free(text);
}

static void label_values_are_escaped(void **state)
{
    struct set_up *set_up = *state;
    struct journal_entry entry = entry_of("a\"b\\c\nd{e}=,\xc3\xa9", JOURNAL_SERVED, 200, 0);
    metrics_count(set_up->metrics, &entry);
    char *text = text_of(set_up, 0);
    assert_line(text, "toomany_requests_total{model=\"a\\\"b\\\\c\\nd{e}=,\xc3\xa9\","
                      "status=\"200\",code=\"\",decision=\"served\"} 1");
    free(text);
}

static void pools_show_limit_use_and_peak_but_never_a_key(void **state)
{
    struct set_up *set_up = *state;
    struct quota_limits limits = {.limit = {60, -1, -1, -1, -1, 2, -1}};
    pools_set_limits(set_up->pools, POOLS_SET_UP, "*", &limits, 0);
    struct pool *pool = pools_get(set_up->pools, "sk-very-secret-key-WXYZ", "gpt-4o", 0);
    quota_admit(&pool->quota, 0, 1);
    quota_admit(&pool->quota, 0, 1);
    quota_finish(&pool->quota);
    char *text = text_of(set_up, NS_PER_S);
    static const char *const lines[] = {
        "toomany_quota_limit{model=\"gpt-4o\",key_tail=\"WXYZ\",dimension=\"requests_per_minute\"} "
        "60",
        "toomany_quota_used{model=\"gpt-4o\",key_tail=\"WXYZ\",dimension=\"requests_per_minute\"} "
        "1",
        "toomany_quota_peak{model=\"gpt-4o\",key_tail=\"WXYZ\",dimension=\"requests_per_minute\"} "
        "2",
        "toomany_quota_limit{model=\"gpt-4o\",key_tail=\"WXYZ\",dimension=\"concurrent_requests\"} "
        "2",
        "toomany_quota_used{model=\"gpt-4o\",key_tail=\"WXYZ\",dimension=\"concurrent_requests\"} "
        "1",
        "toomany_quota_peak{model=\"gpt-4o\",key_tail=\"WXYZ\",dimension=\"concurrent_requests\"} "
        "2",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_line(text, lines[i]);
    assert_null(strstr(text, "requests_per_day\"} -1")); /* no gauge of what is not limited */
    assert_null(strstr(text, "secret"));
    free(text);
}

static void lost_journal_entries_are_seen(void **state)
{
    struct set_up *set_up = *state;
    for (int i = 0; i < 5; i++)
        journal_finish(set_up->journal, journal_begin(set_up->journal));
    char *text = text_of(set_up, 0);
    assert_line(text, "toomany_journal_lost_total 3");
    free(text);
}

/* A client that sends random models fills neither the memory nor, silently, the counts. */
static void series_are_bounded_and_the_rest_is_counted(void **state)
{
    struct set_up *set_up = *state;
    for (int i = 0; i < 10003; i++) {
        char model[20];
        snprintf(model, sizeof model, "m%d", i);
        struct journal_entry entry = entry_of(model, JOURNAL_SERVED, 200, 0);
        metrics_count(set_up->metrics, &entry);
    }
    struct journal_entry known = entry_of("m0", JOURNAL_SERVED, 200, 0);
    metrics_count(set_up->metrics, &known);
    char *text = text_of(set_up, 0);
    assert_line(text, "toomany_uncounted_total 3");
    assert_line(text, "toomany_requests_total{model=\"m0\",status=\"200\",code=\"\","
                      "decision=\"served\"} 2");
    assert_line(text, "toomany_request_duration_seconds_count 10004");
    free(text);
}

static void a_reset_forgets_all(void **state)
{
    struct set_up *set_up = *state;
    char *before = text_of(set_up, 0);
    struct journal_entry entry = entry_of("m", JOURNAL_THROTTLED, 429, NS_PER_S);
    metrics_count(set_up->metrics, &entry);
    metrics_reset(set_up->metrics);
    char *after = text_of(set_up, 0);
    assert_string_equal(after, before);
    free(before);
    free(after);
    metrics_free(NULL);
}

static void parts_are_told_as_one_and_forgotten_together(void **state)
{
    struct set_up *set_up = *state;
    char *before = text_of(set_up, 0);
    struct journal_entry served = entry_of("m", JOURNAL_SERVED, 200, NS_PER_S);
    served.tokens = 31;
    served.retry_count = 1;
    struct journal_entry throttled = entry_of("m", JOURNAL_THROTTLED, 429, 0);
    throttled.limit = QUOTA_REQUESTS_PER_DAY;
    throttled.abandoned = true;
    throttled.first_byte_ns = throttled.arrived_ns;
    for (int i = 0; i < 2; i++) {
        struct metrics *part = metrics_new_part(set_up->metrics);
        metrics_count(part, &served);
        metrics_count(part, &throttled);
    }
    metrics_count(set_up->metrics, &served);
    static const char *const lines[] = {
        "toomany_requests_total{model=\"m\",status=\"200\",code=\"\",decision=\"served\"} 3",
        "toomany_requests_total{model=\"m\",status=\"429\",code=\"\",decision=\"throttled\"} 2",
        "toomany_throttled_total{limit=\"requests_per_day\"} 2",
        "toomany_tokens_total 93",
        "toomany_retries_total 3",
        "toomany_abandoned_total 2",
        "toomany_request_duration_seconds_bucket{le=\"0.5\"} 2",
        "toomany_request_duration_seconds_sum 3.000000000",
        "toomany_request_duration_seconds_count 5",
        "toomany_first_byte_seconds_count 2",
    };
    for (int i = 0; i < 2; i++) { /* telling changes nothing */
        char *text = text_of(set_up, 0);
        for (size_t j = 0; j < sizeof lines / sizeof lines[0]; j++)
            assert_line(text, lines[j]);
        free(text);
    }
    metrics_reset(set_up->metrics);
    char *after = text_of(set_up, 0);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

/* Prometheus' text format 0.0.4: every line is HELP, TYPE or a sample; TYPE comes before the
 * samples of its name, once; the samples of a name stand together. */
static void the_text_keeps_to_the_format(void **state)
{
    struct set_up *set_up = *state;
    struct quota_limits limits = {.limit = {60, 5, 5, 5, 5, 2, 9}};
    pools_set_limits(set_up->pools, POOLS_SET_UP, "*", &limits, 0);
    pools_get(set_up->pools, "sk-very-secret-key-WXYZ", "mo\"del", 0);
    struct journal_entry entry = entry_of("mo\\del\n", JOURNAL_SCRIPTED, 503, NS_PER_S);
    metrics_count(set_up->metrics, &entry);
    char *text = text_of(set_up, 0);
    regex_t help;
    regex_t type;
    regex_t sample;
    assert_int_equal(regcomp(&help, "^# HELP ([a-z_]+) [A-Z].*[.]$", REG_EXTENDED), 0);
    assert_int_equal(regcomp(&type, "^# TYPE ([a-z_]+) (counter|gauge|histogram)$", REG_EXTENDED),
                     0);
#define LABEL "[a-z_]+=\"([^\"\\\\]|\\\\[\\\\n\"])*\""
    assert_int_equal(regcomp(&sample,
                             "^([a-z_]+)(\\{" LABEL "(," LABEL ")*\\})? -?[0-9]+([.][0-9]+)?$",
                             REG_EXTENDED),
                     0);
    char family[100] = "";
    char seen[4000] = " ";
    int samples = 0;
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        regmatch_t match[2];
        if (regexec(&help, line, 2, match, 0) == 0) {
            snprintf(family, sizeof family, " %.*s ", (int)(match[1].rm_eo - match[1].rm_so),
                     line + match[1].rm_so);
            assert_null(strstr(seen, family));
            strcat(seen, family);
        } else if (regexec(&type, line, 2, match, 0) == 0) {
            assert_int_equal(strncmp(line + match[1].rm_so, family + 1, strlen(family) - 1), 0);
        } else if (regexec(&sample, line, 2, match, 0) == 0) {
            size_t length = strlen(family) - 2;
            const char *rest = line + length;
            samples++;
            assert_int_equal(strncmp(line, family + 1, length), 0);
            assert_true(*rest == '{' || *rest == ' ' || strncmp(rest, "_bucket{le=", 11) == 0 ||
                        strncmp(rest, "_sum ", 5) == 0 || strncmp(rest, "_count ", 7) == 0);
        } else {
            fail_msg("not of the format: %s", line);
        }
    }
    assert_int_equal(samples,
                     /* build, requests, throttled, tokens, retries and abandoned, two histograms,
                      * in flight and connections, pools, lost and uncounted */
                     1 + 1 + QUOTA_DIMENSION_COUNT + 1 + 2 + 2 * 17 + 3 +
                         3 * QUOTA_DIMENSION_COUNT + 2);
    regfree(&help);
    regfree(&type);
    regfree(&sample);
    free(text);
}

int main(void)
{
#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        METRICS_TEST(requests_are_counted_by_model_status_code_and_decision),
        METRICS_TEST(durations_are_a_cumulative_histogram),
        METRICS_TEST(label_values_are_escaped),
        METRICS_TEST(pools_show_limit_use_and_peak_but_never_a_key),
        METRICS_TEST(lost_journal_entries_are_seen),
        METRICS_TEST(series_are_bounded_and_the_rest_is_counted),
        METRICS_TEST(a_reset_forgets_all),
        METRICS_TEST(parts_are_told_as_one_and_forgotten_together),
        METRICS_TEST(the_text_keeps_to_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
