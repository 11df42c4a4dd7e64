#include "grade/joint.h"

#include "base/duration.h"
#include "grade/evidence.h"
#include "grade/judges.h"
#include "harness/report_words.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the first is judged by the delay after it alone, the second may be one that ends the call:
 * then the first asks for no wait that is worth mentioning (joint.h). */
static const struct joint table[] = {
    {.first = "recovers/one-429", .second = "recovers/two-429s", .is_in_second = true},
    {.first = "recovers/409", .second = "recovers/408"},
    {.first = "recovers/concurrency", .second = "ends/400"},
    {.first = "recovers/string-error", .second = "ends/401"},
    {.first = "recovers/500", .second = "ends/403"},
    {.first = "recovers/tokens", .second = "ends/404"},
    {.first = "recovers/slow-down", .second = "ends/should-retry-false"},
    {.first = "recovers/plain-text", .second = "ends/insufficient-quota"},
    {.first = "waits/negative", .second = "ends/credit-balance"},
    {.first = "waits/zero", .second = "survives/broken-json"},
    {.first = "survives/reset", .second = "survives/error-in-200"},
    {.first = "waits/past-date", .second = "survives/overload-in-400"},
    {.first = "waits/garbage", .second = "waits/a-day"},
    {.first = "survives/truncated", .second = "waits/thirty-days"},
    {.first = "survives/reset-in-body", .second = "waits/ten-minutes"},
    {.first = "survives/html", .second = "waits/huge"},
    {.first = "waits/seconds", .second = "waits/milliseconds"},
    {.first = "waits/date", .second = "waits/repeated"},
    {.first = "waits/disagreeing", .second = "waits/date-rfc850"},
    {.first = "waits/decimal", .second = "waits/date-asctime"},
    {.first = "waits/ninety-seconds", .second = "recovers/503"},
    {.first = "shares/herd", .second = "shares/herd-told"},
    {0},
};

const struct joint *joint_table(void)
{
    return table;
}

/* Moves the steps of a probe's script behind those of `script`; each comes once to each program. */
static void add_steps(cJSON *script, const struct probe *probe)
{
    cJSON *server = cJSON_Parse(probe->server);
    cJSON *steps = cJSON_GetObjectItemCaseSensitive(server, "script");
    cJSON *step;
    while ((step = cJSON_DetachItemFromArray(steps, 0)) != NULL) {
        int times = probe->programs > 0 ? (int)probe->programs : 1;
        cJSON_ReplaceItemInObjectCaseSensitive(step, "times", cJSON_CreateNumber(times));
        cJSON_AddItemToArray(script, step);
    }
    cJSON_Delete(server);
}

char *joint_server(const struct probe *first, const struct probe *second)
{
    cJSON *server = cJSON_CreateObject();
    cJSON *script = cJSON_AddArrayToObject(server, "script");
    add_steps(script, first);
    add_steps(script, second);
    char *text = cJSON_PrintUnformatted(server);
    cJSON_Delete(server);
    return text;
}

/* How long a probe's words are without what comes after its refusal. */
static size_t refusal_length(const char *sent)
{
    static const char *const ends[] = {", then 200", ", again and again", " alone, then 200"};
    size_t length = strlen(sent);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *end = strstr(sent, ends[i]);
        if (end != NULL && (size_t)(end - sent) < length)
            length = (size_t)(end - sent);
    }
    return length;
}

char *joint_sent(const struct probe *first, const struct probe *second)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return NULL;
    fprintf(stream, "%.*s, then %.*s, then 200", (int)refusal_length(first->sent), first->sent,
            (int)refusal_length(second->sent), second->sent);
    fclose(stream);
    return text;
}

/* Whether the call met the probe's refusal, and the run ended by itself. */
static bool met(const struct probe_run *run, size_t refusal)
{
    return !run->flooded && !run->end->timed_out && run->end->signal == 0 && run->call_count == 1 &&
           !run_is_ambiguous(run) && run->calls[0].attempt_count > refusal;
}

static bool all_met(const struct probe_evidence *evidence)
{
    for (size_t i = 0; i < evidence->run_count; i++) {
        if (!met(&evidence->runs[i], evidence->refusal))
            return false;
    }
    return true;
}

static bool all_came_back(const struct probe_evidence *evidence)
{
    for (size_t i = 0; i < evidence->run_count; i++) {
        if (run_main_call(&evidence->runs[i])->attempt_count < evidence->refusal + 2)
            return false;
    }
    return true;
}

/* Who waits before this retry does not hammer; a single one at once may be a storm where the
 * refusal is repeated. */
static bool judge_single_retry(const struct probe_evidence *evidence, struct judgement *judgement)
{
    char words[REPORT_WORDS_SIZE];
    for (size_t i = evidence->run_count; i-- > 0;) {
        const struct call *call = run_main_call(&evidence->runs[i]);
        int64_t delay_ns = call->attempts[evidence->refusal + 1].delay_ns;
        if (delay_ns < evidence_instant_ns(evidence) || delay_ns > NS_PER_DAY)
            return false;
        judgement_set(judgement, PROBE_RIGHT, "it kept to a wait of its own: %s",
                      report_short_duration(delay_ns, words));
    }
    return true;
}

/* Who comes back after a refusal is served by a server that is well again, as the healthy one has
 * shown. */
static void judge_return(const struct probe_evidence *evidence, struct judgement *judgement)
{
    char words[REPORT_WORDS_SIZE];
    const struct call *call = run_main_call(&evidence->runs[0]);
    judgement_set(judgement, PROBE_RIGHT, "it came back after %s",
                  report_short_duration(call->attempts[evidence->refusal + 1].delay_ns, words));
}

bool joint_judge(const struct probe *probe, const struct probe_evidence *evidence,
                 struct judgement *judgement)
{
    if (probe->judge == judge_herd) {
        probe_judge(probe, evidence, judgement);
        return judgement->outcome != PROBE_NOT_APPLICABLE &&
               judgement->outcome != PROBE_QUESTIONABLE;
    }
    if (!all_met(evidence))
        return false;
    bool came_back = all_came_back(evidence);
    if (came_back && probe->hammers_if_repeated)
        return judge_single_retry(evidence, judgement);
    if (came_back && probe->judge == judge_recovers && evidence->refusal == 0) {
        judge_return(evidence, judgement);
        return true;
    }
    /* It makes two retries, and hardly any time has passed: where it gave up here, it was for this
     * refusal. */
    probe_judge(probe, evidence, judgement);
    return judgement->outcome == PROBE_RIGHT || (came_back && probe->judge == judge_waits);
}
