#include "base/duration.h"
#include "grade/evidence.h"
#include "grade/judges.h"

enum { GIVE_UP_S = 60, SLEEPS_S = 24 * 3600 };

/* What a delay says of the unit in which the number was read. A short one may be the program's own
 * by chance: the verdict is not to depend on it. */
static const char *short_unit_words(int64_t delay_ns, int64_t asked_ns, int64_t early_ns)
{
    int64_t read_ns = asked_ns / 1000;
    bool is_read = delay_ns >= read_ns && delay_ns <= read_ns + read_ns / 20 + early_ns;
    return is_read ? ", a thousandth, as if seconds were milliseconds" : "";
}

static bool is_thousandfold(int64_t delay_ns, int64_t asked_ns)
{
    return asked_ns > 0 && delay_ns / asked_ns >= 1000 && delay_ns / asked_ns <= 1050;
}

void judge_waits(const struct probe *probe, const struct probe_evidence *evidence,
                 struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char end[EVIDENCE_WORDS_SIZE];
    char asked[DURATION_TEXT_SIZE];
    char delay[DURATION_TEXT_SIZE];
    const struct call *call = run_main_call(run);
    duration_text(probe->asked_ns, asked);
    if (probe->asked_ns >= SLEEPS_S * NS_PER_S && run->end->timed_out && call != NULL &&
        call->attempt_count == 1) {
        duration_text(run->end->ended_ns - run->end->started_ns, delay);
        judgement_set(judgement, PROBE_NON_STRICT,
                      "asked to wait %s, it slept, and was ended after %s; who waits for it cannot "
                      "tell that from a hang",
                      asked, delay);
        return;
    }
    if (judge_first(run, judgement) || call == NULL)
        return;
    if (call->attempt_count < evidence->refusal + 2) {
        run_end_words(run, end);
        if (run_reports_success(run))
            judgement_set(judgement, PROBE_WRONG, "it was refused, and yet ended with exit code 0");
        else if (probe->asked_ns > GIVE_UP_S * NS_PER_S)
            judgement_set(judgement, PROBE_RIGHT, "it gave up rather than wait %s (%s)", asked,
                          end);
        else
            judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry (%s)", end);
        return;
    }
    int64_t delay_ns = call->attempts[evidence->refusal + 1].delay_ns;
    duration_text(delay_ns, delay);
    int64_t late_ns = probe->asked_ns + probe->asked_ns / 2 + GIVE_UP_S * NS_PER_S;
    if (delay_ns < probe->asked_ns - probe->slack_ns - evidence_early_ns(evidence))
        judgement_set(judgement, probe->is_lenient ? PROBE_NON_STRICT : PROBE_WRONG,
                      "asked to wait %s, it came back after %s%s", asked, delay,
                      short_unit_words(delay_ns, probe->asked_ns, evidence_early_ns(evidence)));
    else if (is_thousandfold(delay_ns, probe->asked_ns))
        judgement_set(
            judgement, PROBE_WRONG,
            "asked to wait %s, it waited %s, a thousand times as long, as if milliseconds "
            "were seconds",
            asked, delay);
    else if (probe->asked_ns >= SLEEPS_S * NS_PER_S)
        judgement_set(judgement, PROBE_NON_STRICT,
                      "it slept for all of %s; who waits for it cannot tell that from a hang",
                      asked);
    else if (delay_ns > late_ns)
        judgement_set(judgement, PROBE_NON_STRICT, "asked to wait %s, it waited %s", asked, delay);
    else
        judgement_set(judgement, PROBE_RIGHT, "asked to wait %s, it waited %s", asked, delay);
}
