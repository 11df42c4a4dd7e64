#include "grade/observe.h"

#include "base/duration.h"
#include "grade/evidence.h"

#include <stdlib.h>
#include <string.h>

struct observations {
    struct rule_observation *items;
    int64_t **delays_ns; /* of each; owned */
    size_t count;
};

/* The delays of a start's call, which the observation then owns. */
static void observe(struct observations *observations, const struct grade_start *start,
                    int64_t retry_after_ns)
{
    const struct result *result = &start->result;
    struct probe_run run = {.calls = result->calls, .call_count = result->call_count};
    const struct call *call = run_main_call(&run);
    if (call == NULL || run_is_ambiguous(&run) || call->attempt_count == 0)
        return;
    int64_t *delays_ns = calloc(call->attempt_count, sizeof *delays_ns);
    if (delays_ns == NULL)
        return;
    for (size_t i = 1; i < call->attempt_count; i++)
        delays_ns[i - 1] = call->attempts[i].delay_ns;
    bool is_exact = result->time == CLOCK_VIRTUAL && !result->is_inexact;
    int last_status = call->attempts[call->attempt_count - 1].status;
    observations->delays_ns[observations->count] = delays_ns;
    observations->items[observations->count++] = (struct rule_observation){
        .delays_ns = delays_ns,
        .delay_count = call->attempt_count - 1,
        .retry_after_ns = retry_after_ns,
        .tolerance_ns = is_exact ? 2 * NS_PER_MS : 30 * NS_PER_MS,
        .gave_up = last_status != 200 && !start->flooded && !result->runs[0].timed_out,
    };
}

/* What a probe's refusals ask for: -1 where nothing is asked, -2 where they are no evidence. */
static int64_t asked_by(const struct probe *probe)
{
    enum { NO_EVIDENCE = -2 };
    if (strcmp(probe->id, "backs-off/waits") == 0)
        return -1;
    bool is_seconds = probe->group == GROUP_WAITS && probe->asked_ns > 0 && !probe->is_lenient &&
                      probe->slack_ns == 0 && strcmp(probe->id, "waits/disagreeing") != 0;
    return is_seconds ? probe->asked_ns : NO_EVIDENCE;
}

void grade_observe(struct grade *grade)
{
    size_t room = 0;
    for (size_t i = 0; i < grade->setup_count; i++)
        room += grade->setups[i].start_count;
    struct observations observations = {.items = calloc(room + 1, sizeof *observations.items),
                                        .delays_ns = calloc(room + 1, sizeof(int64_t *))};
    bool sees_own_rule = false;
    bool has_room = observations.items != NULL && observations.delays_ns != NULL;
    for (size_t i = 0; has_room && i < grade->finding_count; i++) {
        const struct finding *finding = &grade->findings[i];
        int64_t asked_ns = asked_by(finding->probe);
        if (finding->setup == NULL || finding->setup->programs > 1 || asked_ns < -1)
            continue;
        for (size_t j = 0; j < finding->setup->start_count; j++)
            observe(&observations, &finding->setup->starts[j], asked_ns);
        sees_own_rule |= asked_ns == -1 && observations.count > 0;
    }
    if (sees_own_rule) {
        rule_infer(&grade->rule, observations.items, observations.count);
        grade->has_rule = true;
    }
    for (size_t i = 0; i < observations.count; i++)
        free(observations.delays_ns[i]);
    free(observations.delays_ns);
    free(observations.items);
}
