#include "base/duration.h"
#include "grade/evidence.h"
#include "grade/judges.h"
#include "harness/report_words.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct call *call = run_main_call(&evidence->runs[0]);
    const struct client_run *end = evidence->runs[0].end;
    if (call != NULL && call->attempt_count == 1 && end->timed_out) {
        judgement_set(judgement, PROBE_NON_STRICT,
                      "it sleeps, and would for longer than anybody waits");
        return;
    }
    judge_odd_header(probe, evidence, judgement);
    if (judgement->outcome == PROBE_NOT_APPLICABLE)
        judgement_set(judgement, PROBE_RIGHT, "it gave up rather than wait");
    if (call != NULL && call->attempt_count > 1 && call->attempts[1].delay_ns > NS_PER_DAY) {
        char delay[REPORT_WORDS_SIZE];
        judgement_set(judgement, PROBE_NON_STRICT, "it slept for %s",
                      report_short_duration(call->attempts[1].delay_ns, delay));
    }
}

extern const struct probe probe_waits_huge;
const struct probe probe_waits_huge = {
    .id = "waits/huge",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A Retry-After beyond all numbers makes it neither hammer nor hang.",
    .source = "RFC 9110, 10.2.3",
    .sent = "429 with Retry-After: 99999999999999999999, again and again",
    .cure = "Take what is no positive number of seconds and no date in the future as if there were "
            "no header.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"bad_retry_after\", \"form\": \"huge\"}, "
              "\"times\": \"forever\"}]}",
    .is_long = true,
    .hammers_if_repeated = true,
    .judge = judge,
};
