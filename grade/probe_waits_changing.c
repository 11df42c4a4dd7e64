#include "grade/evidence.h"
#include "harness/report_words.h"

static const int64_t asked_ns[] = {INT64_C(2000000000), INT64_C(30000000000)};

enum { ASKED_COUNT = sizeof asked_ns / sizeof asked_ns[0] };

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    if (judge_first(run, judgement))
        return;
    const struct call *call = run_main_call(run);
    call_delays_words(call, text);
    if (call->attempt_count > 1 &&
        call->attempts[1].delay_ns < asked_ns[0] - evidence_early_ns(evidence)) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE,
                      "it follows none of them (%s); waits/seconds tells", text);
        return;
    }
    for (size_t i = 0; i < ASKED_COUNT && i + 1 < call->attempt_count; i++) {
        if (call->attempts[i + 1].delay_ns >= asked_ns[i] - evidence_early_ns(evidence))
            continue;
        judgement_set(judgement, PROBE_WRONG, "asked to wait 2 s and then 30 s, it waited %s",
                      text);
        return;
    }
    if (call->attempt_count <= ASKED_COUNT)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it made %zu requests and gave up",
                      call->attempt_count);
    else
        judgement_set(judgement, PROBE_RIGHT, "asked to wait 2 s and then 30 s, it waited %s",
                      text);
}

extern const struct probe probe_waits_changing;
const struct probe probe_waits_changing = {
    .id = "waits/changing",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "Each wait follows the Retry-After of the last answer, not that of the first.",
    .source = "BerriAI/litellm#20722",
    .sent = "429 with Retry-After: 2, 429 with Retry-After: 30, then 200",
    .cure = "Read the header anew for each answer.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"2s\"}, \"times\": 1}, {\"answer\": {\"error\": \"rate_limit_exceeded\", "
              "\"retry_after\": \"30s\"}, \"times\": 1}]}",
    .judge = judge,
};
