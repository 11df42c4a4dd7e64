#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    if (judge_first(run, judgement))
        return;
    const struct call *call = run_main_call(run);
    enum { PATIENCE = 12 }; /* requests without a wait that are a burst rather than a storm */
    size_t instant = 0;
    for (size_t i = 1; i < call->attempt_count; i++)
        instant += call->attempts[i].delay_ns < evidence_instant_ns(evidence);
    if (run_reports_success(run))
        judgement_set(judgement, PROBE_WRONG,
                      "it was never served, and yet ended with exit code 0");
    else if (call->attempt_count < 2)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry (%s)",
                      run_end_words(run, text));
    else if (instant >= PATIENCE)
        judgement_set(judgement, PROBE_WRONG, "%zu of %zu retries came at once", instant,
                      call->attempt_count - 1);
    else if (instant > 0)
        judgement_set(judgement, PROBE_RIGHT,
                      "%zu of %zu retries came at once, as asked, and then it gave up", instant,
                      call->attempt_count - 1);
    else
        judgement_set(judgement, PROBE_RIGHT, "it kept to waits of its own: %s",
                      call_delays_words(call, text));
}

extern const struct probe probe_waits_zero;
const struct probe probe_waits_zero = {
    .id = "waits/zero",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "Asked to wait zero seconds again and again, it does not hammer without end.",
    .source = "OpenBMB/ChatDev#171",
    .sent = "429 with Retry-After: 0, again and again",
    .cure = "Take what is no positive number of seconds and no date in the future as if there were "
            "no header.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"bad_retry_after\", \"form\": \"zero\"}, "
              "\"times\": \"forever\"}]}",
    .hammers_if_repeated = true,
    .judge = judge,
};
