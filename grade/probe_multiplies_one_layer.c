#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    const struct call *call = run_main_call(run);
    if (call == NULL || run_is_ambiguous(run)) {
        judge_first(run, judgement);
        return;
    }
    size_t inner = call->loop_attempts > 0 ? call->attempt_count / call->loop_attempts : 0;
    if (call->attempt_count < 2)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry");
    else if (call_is_nested(call))
        judgement_set(judgement, PROBE_WRONG,
                      "the SDK's %zu retries inside a loop of %zu: %zu requests", inner - 1,
                      call->loop_attempts, call->attempt_count);
    else
        judgement_set(judgement, PROBE_RIGHT, "one layer: %zu requests", call->attempt_count);
}

extern const struct probe probe_multiplies_one_layer;
const struct probe probe_multiplies_one_layer = {
    .id = "multiplies/one-layer",
    .group = GROUP_MULTIPLIES,
    .severity = SEVERITY_MAJOR,
    .requirement = "One layer retries: no loop around the retries of an SDK.",
    .source = "BerriAI/litellm#7130, run-llama/llama_index#13878",
    .sent = "429 without Retry-After, again and again",
    .cure = "Turn the retries of the inner layer off (max_retries=0), or do without a loop of your "
            "own.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
