#include "grade/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One row a probe, in the order of groups. */
#define PROBES(ROW)                                                                                \
    ROW(recovers_one_429)                                                                          \
    ROW(recovers_two_429s)                                                                         \
    ROW(recovers_tokens)                                                                           \
    ROW(recovers_concurrency)                                                                      \
    ROW(recovers_slow_down)                                                                        \
    ROW(recovers_plain_text)                                                                       \
    ROW(recovers_string_error)                                                                     \
    ROW(recovers_500)                                                                              \
    ROW(recovers_503)                                                                              \
    ROW(recovers_408)                                                                              \
    ROW(recovers_409)                                                                              \
    ROW(waits_seconds)                                                                             \
    ROW(waits_milliseconds)                                                                        \
    ROW(waits_date)                                                                                \
    ROW(waits_date_rfc850)                                                                         \
    ROW(waits_date_asctime)                                                                        \
    ROW(waits_disagreeing)                                                                         \
    ROW(waits_changing)                                                                            \
    ROW(waits_decimal)                                                                             \
    ROW(waits_ninety_seconds)                                                                      \
    ROW(waits_ten_minutes)                                                                         \
    ROW(waits_a_day)                                                                               \
    ROW(waits_thirty_days)                                                                         \
    ROW(waits_zero)                                                                                \
    ROW(waits_negative)                                                                            \
    ROW(waits_past_date)                                                                           \
    ROW(waits_garbage)                                                                             \
    ROW(waits_huge)                                                                                \
    ROW(waits_repeated)                                                                            \
    ROW(backs_off_waits)                                                                           \
    ROW(backs_off_grows)                                                                           \
    ROW(backs_off_jitter)                                                                          \
    ROW(ends_bounded)                                                                              \
    ROW(ends_exit_code)                                                                            \
    ROW(ends_names_error)                                                                          \
    ROW(ends_message)                                                                              \
    ROW(ends_request_id)                                                                           \
    ROW(ends_time)                                                                                 \
    ROW(ends_no_last_wait)                                                                         \
    ROW(ends_should_retry_false)                                                                   \
    ROW(ends_insufficient_quota)                                                                   \
    ROW(ends_credit_balance)                                                                       \
    ROW(ends_400)                                                                                  \
    ROW(ends_401)                                                                                  \
    ROW(ends_403)                                                                                  \
    ROW(ends_404)                                                                                  \
    ROW(multiplies_one_layer)                                                                      \
    ROW(multiplies_requests)                                                                       \
    ROW(shares_all_served)                                                                         \
    ROW(shares_in_flight)                                                                          \
    ROW(shares_herd)                                                                               \
    ROW(shares_herd_told)                                                                          \
    ROW(survives_reset)                                                                            \
    ROW(survives_reset_in_body)                                                                    \
    ROW(survives_stall)                                                                            \
    ROW(survives_truncated)                                                                        \
    ROW(survives_broken_json)                                                                      \
    ROW(survives_html)                                                                             \
    ROW(survives_error_in_200)                                                                     \
    ROW(survives_overload_in_400)                                                                  \
    ROW(survives_stream_error)                                                                     \
    ROW(survives_stream_cut)                                                                       \
    ROW(survives_stream_endless)                                                                   \
    ROW(repeats_safely_same_body)                                                                  \
    ROW(repeats_safely_idempotency_key)                                                            \
    ROW(repeats_safely_retry_count)

#define DECLARE(name) extern const struct probe probe_##name;
#define POINT_TO(name) &probe_##name,

PROBES(DECLARE)

static const struct probe *const table[] = {PROBES(POINT_TO) NULL};

const struct probe *const *probe_table(void)
{
    return table;
}

const struct probe *probe_find(const char *id)
{
    for (size_t i = 0; table[i] != NULL; i++) {
        if (strcmp(table[i]->id, id) == 0)
            return table[i];
    }
    return NULL;
}

void probe_judge(const struct probe *probe, const struct probe_evidence *evidence,
                 struct judgement *judgement)
{
    *judgement = (struct judgement){.outcome = PROBE_QUESTIONABLE};
    if (probe->compares_runs) {
        probe->judge(probe, evidence, judgement);
        return;
    }
    for (size_t i = 0; i < evidence->run_count; i++) {
        struct probe_evidence one = *evidence;
        struct judgement other = {.outcome = PROBE_QUESTIONABLE};
        one.runs = &evidence->runs[i];
        one.run_count = 1;
        probe->judge(probe, &one, i == 0 ? judgement : &other);
        if (i == 0 || other.outcome == judgement->outcome)
            continue;
        char first[PROBE_SEEN_SIZE];
        snprintf(first, sizeof first, "%s", judgement->seen);
        judgement_set(judgement, PROBE_QUESTIONABLE, "starts disagree: %.150s; but also: %.150s",
                      first, other.seen);
        return;
    }
}

const char *probe_group_name(enum probe_group group)
{
    static const char *const names[GROUP_COUNT] = {"recovers", "waits",         "backs off",
                                                   "ends",     "multiplies",    "shares",
                                                   "survives", "repeats safely"};
    return names[group];
}

const char *probe_severity_name(enum probe_severity severity)
{
    static const char *const names[SEVERITY_COUNT] = {"minor", "major", "critical"};
    return names[severity];
}

const char *probe_outcome_name(enum probe_outcome outcome)
{
    static const char *const names[PROBE_OUTCOME_COUNT] = {
        "right",        "wrong",          "non-strict", "informational",
        "questionable", "not applicable", "left out"};
    return names[outcome];
}

void judgement_set(struct judgement *judgement, enum probe_outcome outcome, const char *format, ...)
{
    judgement->outcome = outcome;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(judgement->seen, sizeof judgement->seen, format, arguments);
    va_end(arguments);
}
