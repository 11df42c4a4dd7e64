#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    if (run->flooded || run->end->timed_out || run->end->signal != 0 || run->entry_count == 0) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it never gave up by itself");
        return;
    }

    if (run_reports_success(run))
        judgement_set(judgement, PROBE_WRONG, "every attempt was refused, and yet exit code 0");
    else
        judgement_set(judgement, PROBE_RIGHT, "exit code %d", run->end->exit_code);
}

extern const struct probe probe_ends_exit_code;
const struct probe probe_ends_exit_code = {
    .id = "ends/exit-code",
    .group = GROUP_ENDS,
    .severity = SEVERITY_CRITICAL,
    .requirement = "When the last attempt has failed, the program fails: its exit code is not 0.",
    .source = "POSIX: exit status 0 is success",
    .sent = "429 without Retry-After, again and again",
    .cure = "Raise the last error again instead of swallowing it, and let the program end by it.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
