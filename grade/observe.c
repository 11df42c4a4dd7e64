#include "grade/observe.h"

#include "base/duration.h"
#include "grade/evidence.h"
#include "grade/judges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBSERVATIONS_MAX = 256 };

struct observations {
    struct rule_observation *items;
    int64_t **delays_ns; /* of each; owned */
    size_t count;
};

/* One with room for `count` delays; the observations own them. NULL where there is no room. */
static struct rule_observation *add(struct observations *observations,
                                    const struct grade_start *start, size_t count)
{
    const struct result *result = &start->result;
    int64_t *delays_ns = calloc(count + 1, sizeof *delays_ns);
    if (delays_ns == NULL || observations->count == OBSERVATIONS_MAX) {
        free(delays_ns);
        return NULL;
    }
    bool is_exact = result->time == CLOCK_VIRTUAL && !result->is_inexact;
    observations->delays_ns[observations->count] = delays_ns;
    struct rule_observation *observation = &observations->items[observations->count++];
    *observation = (struct rule_observation){
        .delays_ns = delays_ns,
        .retry_after_ns = -1,
        .tolerance_ns = is_exact ? 2 * NS_PER_MS : 30 * NS_PER_MS,
    };
    return observation;
}

/* What is before a retry: `layer` says which of them count, where a loop is around an SDK's own. */
enum layer { LAYER_ANY, LAYER_SDK, LAYER_LOOP };

/* Delays `first` to `last`, without it, of a call, those of this layer. */
static struct rule_observation *observe(struct observations *observations,
                                        const struct grade_start *start, const struct call *call,
                                        size_t first, size_t last, enum layer layer)
{
    struct rule_observation *observation =
        add(observations, start, last > first ? last - first : 0);
    if (observation == NULL)
        return NULL;
    int64_t *delays_ns = observations->delays_ns[observations->count - 1];
    for (size_t i = first; i < last; i++) {
        const struct attempt *retry = &call->attempts[i + 1];
        if (layer == LAYER_ANY || retry->starts_loop == (layer == LAYER_LOOP))
            delays_ns[observation->delay_count++] = retry->delay_ns;
    }
    return observation;
}

static bool ended_by_itself(const struct grade_start *start)
{
    return !start->flooded && !start->result.runs[0].timed_out;
}

/* How many retries came after answers with 429 alone, or with any error. */
static size_t count_delays(const struct call *call, bool only_429)
{
    size_t count = 0;
    while (count + 1 < call->attempt_count &&
           (only_429 ? call->attempts[count].status == 429 : call->attempts[count].status >= 400) &&
           call->attempts[count].retry_after_ns < 0)
        count++;
    return count;
}

/* An SDK begins anew with each attempt of the loop around it, and gives up before the next. */
static void observe_sdk(struct observations *observations, const struct grade_start *start,
                        const struct call *call, size_t count, bool gave_up)
{
    size_t first = 0;
    for (size_t last = 0; last <= count; last++) {
        bool is_end = last == count;
        if (!is_end && !call->attempts[last + 1].starts_loop)
            continue;
        struct rule_observation *seen = observe(observations, start, call, first, last, LAYER_SDK);
        if (seen != NULL)
            seen->gave_up = !is_end || gave_up;
        first = last + 1;
    }
}

/* What came after refusals that asked for nothing, in every start there is. Only from the server
 * that refuses for ever it is seen how often it retries. */
static void observe_own(struct observations *observations, const struct grade *grade,
                        const struct grade_setup *refused, bool only_429, enum layer layer)
{
    for (size_t i = 0; i < grade->setup_count; i++) {
        const struct grade_setup *setup = &grade->setups[i];
        /* Programs started at once may be taken for one that tries again without a wait. */
        bool is_one = setup->asks_nothing && setup->programs <= 1;
        for (size_t j = 0; is_one && j < setup->start_count; j++) {
            const struct grade_start *start = &setup->starts[j];
            for (size_t k = 0; k < start->result.call_count; k++) {
                const struct call *call = &start->result.calls[k];
                size_t count = count_delays(call, only_429);
                bool gave_up = setup == refused && ended_by_itself(start) &&
                               call->attempts[call->attempt_count - 1].status != 200;
                if (call->grouping == GROUPED_AMBIGUOUS || (count == 0 && setup != refused))
                    continue;
                if (layer == LAYER_SDK) {
                    observe_sdk(observations, start, call, count, gave_up);
                    continue;
                }
                struct rule_observation *seen = observe(observations, start, call, 0, count, layer);
                if (seen != NULL)
                    seen->gave_up = gave_up;
            }
        }
    }
}

/* What came after refusals that asked for a wait in seconds. */
static void observe_asked(struct observations *observations, const struct grade *grade)
{
    for (size_t i = 0; i < grade->finding_count; i++) {
        const struct finding *finding = &grade->findings[i];
        const struct probe *probe = finding->probe;
        /* What it makes of days is a matter of its timers. */
        bool is_seconds = probe->judge == judge_waits && !probe->is_lenient &&
                          probe->slack_ns == 0 && probe->asked_ns < NS_PER_DAY &&
                          strcmp(probe->id, "waits/disagreeing") != 0;
        for (size_t j = 0; is_seconds && finding->setup != NULL && j < finding->setup->start_count;
             j++) {
            const struct grade_start *start = &finding->setup->starts[j];
            struct probe_run run = {.calls = start->result.calls,
                                    .call_count = start->result.call_count};
            const struct call *call = run_main_call(&run);
            size_t first = finding->refusal;
            if (call == NULL || run_is_ambiguous(&run) || call->attempt_count <= first)
                continue;
            bool came_back = call->attempt_count > first + 1;
            /* What it waits by itself is known by its place, which is not that of a first wait. */
            if (first > 0 && came_back && call->attempts[first + 1].delay_ns < probe->asked_ns)
                continue;
            struct rule_observation *seen =
                observe(observations, start, call, first, came_back ? first + 1 : first, LAYER_ANY);
            if (seen == NULL)
                continue;
            seen->retry_after_ns = probe->asked_ns;
            seen->gave_up =
                !came_back && ended_by_itself(start) && call->attempts[first].status != 200;
        }
    }
}

static void infer(struct rule *rule, const struct grade *grade, const struct grade_setup *refused,
                  bool only_429, enum layer layer)
{
    struct observations observations = {
        .items = calloc(OBSERVATIONS_MAX, sizeof *observations.items),
        .delays_ns = calloc(OBSERVATIONS_MAX, sizeof(int64_t *)),
    };
    if (observations.items != NULL && observations.delays_ns != NULL) {
        if (layer !=
            LAYER_LOOP) /* first: they are few, and there is not room for all of the others */
            observe_asked(&observations, grade);
        observe_own(&observations, grade, refused, only_429, layer);
    }
    rule_infer(rule, observations.items, observations.count);
    for (size_t i = 0; i < observations.count; i++)
        free(observations.delays_ns[i]);
    free(observations.delays_ns);
    free(observations.items);
}

/* Whether a rule that was found from more says the same of delays of the same lengths, or says
 * something where the other could not. */
static bool is_surer(const struct rule *more, const struct rule *rule)
{
    static const double apart = 1.25;
    if (more->certainty != RULE_SURE || more->family == RULE_UNKNOWN)
        return false;
    if (rule->certainty != RULE_SURE || rule->family == RULE_UNKNOWN)
        return true;
    return more->family == rule->family && more->shortest_ns * apart >= rule->shortest_ns &&
           more->longest_ns <= rule->longest_ns * apart;
}

/* A program may wait by another rule after a server's error than after 429; where it does not, the
 * delays after both make the rule surer. */
static void infer_layer(struct rule *rule, const struct grade *grade,
                        const struct grade_setup *refused, enum layer layer)
{
    struct rule more;
    infer(rule, grade, refused, true, layer);
    infer(&more, grade, refused, false, layer);
    if (is_surer(&more, rule))
        *rule = more;
}

static bool has_loop(const struct grade_setup *refused)
{
    const struct call *call = &refused->starts[0].result.calls[0];
    return call->grouping != GROUPED_AMBIGUOUS && call_is_nested(call);
}

void grade_observe(struct grade *grade)
{
    const struct grade_setup *refused = NULL;
    for (size_t i = 0; i < grade->finding_count; i++) {
        if (strcmp(grade->findings[i].probe->id, "backs-off/waits") == 0)
            refused = grade->findings[i].setup;
    }
    if (refused == NULL || refused->start_count == 0 || refused->starts[0].result.call_count == 0)
        return;
    grade->has_rule = true;
    grade->has_loop_rule = has_loop(refused);
    infer_layer(&grade->rule, grade, refused, grade->has_loop_rule ? LAYER_SDK : LAYER_ANY);
    if (grade->has_loop_rule)
        infer_layer(&grade->loop_rule, grade, refused, LAYER_LOOP);
}

const char *grade_rule_sentence(const struct grade *grade, char text[GRADE_RULE_SENTENCE_SIZE])
{
    char loop[RULE_SENTENCE_SIZE];
    rule_sentence(&grade->rule, text);
    if (grade->has_loop_rule) {
        size_t length = strlen(text);
        snprintf(text + length, GRADE_RULE_SENTENCE_SIZE - length,
                 "; and in a loop around that: %s", rule_sentence(&grade->loop_rule, loop));
    }
    return text;
}
