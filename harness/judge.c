#include "harness/judge.h"

#include "base/duration.h"
#include "harness/calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct verdict *add_verdict(struct result *result, const char *name, bool holds)
{
    struct verdict *verdicts =
        realloc(result->verdicts, (result->verdict_count + 1) * sizeof *verdicts);
    if (verdicts == NULL)
        return NULL;
    result->verdicts = verdicts;
    struct verdict *verdict = &verdicts[result->verdict_count++];
    *verdict = (struct verdict){.state = holds ? VERDICT_HELD : VERDICT_FAILED, .hint = ""};
    snprintf(verdict->expectation, sizeof verdict->expectation, "%s", name);
    return verdict;
}

/* Adds a demand that holds for every run; it is only shown in full when it failed. */
static bool demand(struct result *result, const char *name, bool holds, const char *expected,
                   const char *hint, const char *seen)
{
    struct verdict *verdict = add_verdict(result, name, holds);
    if (verdict == NULL)
        return false;
    verdict_expected(verdict, "%s", expected);
    verdict_seen(verdict, "%s", seen);
    verdict->hint = holds ? "" : hint;
    return true;
}

static bool judge_runs(const struct judge_input *input, struct result *result)
{
    const struct scenario_client *client = &input->scenario->client;
    const struct client_run *late = NULL;
    const struct client_run *killed = NULL;
    const struct client_run *loud = NULL;
    const struct client_run *survived = NULL;
    for (size_t i = 0; i < result->run_count; i++) {
        const struct client_run *run = &result->runs[i];
        late = run->timed_out ? run : late;
        loud = run->output_exceeded ? run : loud;
        /* A client that was ended with its run has not crashed. */
        bool by_us = run->timed_out || run->output_exceeded || input->journal_overflowed ||
                     result->interrupted;
        killed = run->signal != 0 && !by_us ? run : killed;
        survived = run->survivors != NULL && !by_us ? run : survived;
    }
    char expected[128];
    char seen[1024];
    char duration[DURATION_TEXT_SIZE];
    duration_text(client->timeout_ns, duration);
    snprintf(expected, sizeof expected, "ends by itself within %s", duration);
    const char *waits = late != NULL && late->waits != NULL ? late->waits : "";
    snprintf(seen, sizeof seen, "still running, was killed%s%.900s", waits[0] != '\0' ? ": " : "",
             waits);
    if (!demand(
            result, "finished", late == NULL, expected,
            "The client hangs: a wait without a bound, a deadlock, or a lost answer. If it only "
            "is slow, raise \"timeout\".",
            late == NULL ? "it did" : seen))
        return false;
    snprintf(seen, sizeof seen, "killed by signal %d (%s)", killed != NULL ? killed->signal : 0,
             killed != NULL ? strsignal(killed->signal) : "");
    if (!demand(result, "not_killed", killed == NULL, "does not die of a signal",
                "The program crashed; its last lines on stderr may say where.",
                killed == NULL ? "it did not" : seen))
        return false;
    snprintf(expected, sizeof expected, "writes at most %" PRId64 " bytes",
             client->output_bytes_max);
    snprintf(seen, sizeof seen, "%" PRIu64 " bytes when it was ended",
             loud != NULL ? loud->output_bytes : 0);
    if (!demand(result, "output_bounded", loud == NULL, expected,
                "The client writes without end, for example a line for every poll of a loop. If it "
                "is meant to, raise \"output_limit\".",
                loud == NULL ? "it did" : seen))
        return false;
    if (input->scenario->expectations.leaves_processes)
        return true;
    snprintf(seen, sizeof seen, "%.200s", survived != NULL ? survived->survivors : "none was left");
    return demand(result, "no_processes_left", survived == NULL, "leaves no process behind",
                  "A process that the client started outlived it (and was killed now): wait for "
                  "children before the end.",
                  seen);
}

static bool judge_script(const struct judge_input *input, struct result *result)
{
    const struct script *script = &input->scenario->server.script;
    if (script->step_count == 0)
        return true;
    size_t unplayed = SIZE_MAX;
    for (size_t i = 0; i < script->step_count && unplayed == SIZE_MAX; i++) {
        if (!script_step_is_played(&script->steps[i], &input->api->script_states[i]))
            unplayed = i;
    }
    char seen[128] = "all were";
    if (unplayed != SIZE_MAX) {
        const struct script_step *step = &script->steps[unplayed];
        int64_t times = step->times == SCRIPT_FOREVER ? 1 : step->times;
        snprintf(seen, sizeof seen, "step %zu was played %" PRId64 " of %" PRId64 " times",
                 unplayed + 1, input->api->script_states[unplayed].played, times);
    }
    bool holds = unplayed == SIZE_MAX || input->scenario->expectations.script_partly;
    return demand(result, "script_played", holds, "every step of the script is played",
                  "The client ended before it met all that the script holds ready for it, so the "
                  "rest is not tested. If that is meant, say \"script_played\": \"partly\".",
                  seen);
}

static bool judge_limit(const struct judge_input *input, struct result *result)
{
    bool expects_429 = config_can_throttle(&input->scenario->server) &&
                       !input->scenario->expectations.no_throttling &&
                       !input->scenario->expectations.script_partly;
    if (!expects_429)
        return result->requests > 0 || input->scenario->expectations.no_request ||
               demand(result, "reached_the_server", false, "at least one request is sent",
                      "The client never reached the server: does it use OPENAI_BASE_URL?", "none");
    char seen[64];
    snprintf(seen, sizeof seen, "%" PRIu64 " of %" PRIu64 " requests", result->throttled,
             result->requests);
    return demand(
        result, "met_the_limit", result->throttled > 0, "at least one 429 was sent",
        result->requests == 0
            ? "The client never reached the server: does it use OPENAI_BASE_URL?"
            : "The limit was never reached, so this run says nothing about how the client "
              "takes it. If that is meant, expect \"throttled\": 0.",
        seen);
}

static bool judge_journal(const struct judge_input *input, struct result *result)
{
    if (!input->journal_overflowed)
        return true;
    char seen[96];
    snprintf(seen, sizeof seen, "full after %" PRIu64 " requests", journal_total(input->journal));
    return demand(result, "journal_complete", false, "every request fits into the journal",
                  "The client sends requests in a hot loop, without waiting between them.", seen);
}

static bool judge_expectations(const struct judge_input *input, const struct evidence *evidence,
                               struct result *result)
{
    const struct expectations *expectations = &input->scenario->expectations;
    for (size_t i = 0; i < expectations->count; i++) {
        struct verdict *verdict = add_verdict(result, "", false);
        if (verdict == NULL)
            return false;
        expectation_judge(&expectations->items[i], evidence, verdict);
    }
    return true;
}

static void count_requests(const struct journal *journal, struct result *result)
{
    for (size_t i = 0; i < journal_count(journal); i++) {
        const struct journal_entry *entry = journal_at(journal, i);
        if (strcmp(entry->method, "POST") != 0)
            continue;
        result->requests++;
        result->throttled += entry->status == 429;
        if (entry->in_flight > result->in_flight_most)
            result->in_flight_most = entry->in_flight;
    }
}

static void add_usage(void *owner, const struct pool *pool)
{
    struct result *result = owner;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (pool->quota.limits->limit[i] == QUOTA_UNLIMITED)
            continue;
        struct usage *usages = realloc(result->usages, (result->usage_count + 1) * sizeof *usages);
        if (usages == NULL)
            return;
        result->usages = usages;
        struct usage *usage = &usages[result->usage_count++];
        *usage = (struct usage){
            .dimension = quota_dimension_name((enum quota_dimension)i),
            .limit = pool->quota.limits->limit[i],
            .peak = quota_peak(&pool->quota, (enum quota_dimension)i),
            .throttled = pool_throttled(pool, (enum quota_dimension)i),
        };
        snprintf(usage->model, sizeof usage->model, "%s", pool->model);
        snprintf(usage->key_tail, sizeof usage->key_tail, "%s", pool->key_tail);
    }
}

/* The page does not say it: SDKs retry by themselves inside the client's own loop. */
static void note_amplification(struct result *result)
{
    size_t attempts = 0;
    size_t loop_attempts = 0;
    for (size_t i = 0; i < result->call_count; i++) {
        attempts += result->calls[i].attempt_count;
        loop_attempts += result->calls[i].loop_attempts;
    }
    if (attempts == loop_attempts)
        return;
    static const char cure[] =
        "SDK retries by itself (x-stainless-retry-count); max_retries=0 turns that off";
    if (loop_attempts == result->call_count) /* the client has no loop of its own */
        result_note(result, "%zu call%s, %zu requests on the wire: the client's %s", loop_attempts,
                    loop_attempts == 1 ? "" : "s", attempts, cure);
    else
        result_note(result, "%zu attempts in the client's loop, %zu requests on the wire: its %s",
                    loop_attempts, attempts, cure);
}

static void note_ambiguity(struct result *result)
{
    size_t ambiguous = 0;
    size_t by_connection = 0;
    for (size_t i = 0; i < result->call_count; i++) {
        if (result->calls[i].grouping == GROUPED_AMBIGUOUS)
            ambiguous += result->calls[i].attempt_count;
        by_connection += result->calls[i].grouping == GROUPED_BY_CONNECTION;
    }
    if (ambiguous > 0)
        result_note(result,
                    "calls with equal bodies ran at the same time; to which of them %zu attempts "
                    "belong is not certain. Let the client send a marker (\"call_marker\")",
                    ambiguous);
    else if (by_connection > 0)
        result_note(result,
                    "%zu calls with equal bodies ran at the same time; their attempts were told "
                    "apart by their connections",
                    by_connection);
}

static int64_t last_answer(const struct result *result)
{
    int64_t last_ns = -1;
    for (size_t i = 0; i < result->call_count; i++) {
        const struct call *call = &result->calls[i];
        if ((size_t)call->run + 1 != result->run_count)
            continue;
        for (size_t j = 0; j < call->attempt_count; j++) {
            if (call->attempts[j].answered_ns > last_ns)
                last_ns = call->attempts[j].answered_ns;
        }
    }
    return last_ns;
}

/* Of a run that was stopped nobody knows what would have come: what has not held by then may still
 * have, and has no cause to hint at. */
static void leave_open(struct result *result)
{
    for (size_t i = 0; i < result->verdict_count; i++) {
        struct verdict *verdict = &result->verdicts[i];
        if (verdict->state == VERDICT_HELD)
            continue;
        verdict->state = VERDICT_UNDETERMINED;
        verdict->hint = "";
    }
}

bool judge(const struct judge_input *input, struct result *result)
{
    struct calls_input calls = {
        .journal = input->journal,
        .run_lasts = input->run_lasts,
        .run_count = result->run_count,
        .by_connection = input->scenario->client.marker_is_connection,
    };
    if (!calls_find(&calls, &result->calls, &result->call_count))
        return false;
    count_requests(input->journal, result);
    if (result->run_count > 0)
        result->duration_ns =
            result->runs[result->run_count - 1].ended_ns - result->runs[0].started_ns;
    pools_each(input->api->pools, add_usage, result);

    struct evidence evidence = {
        .runs = result->runs,
        .run_count = result->run_count,
        .calls = result->calls,
        .call_count = result->call_count,
        .usages = result->usages,
        .usage_count = result->usage_count,
        .requests = result->requests,
        .throttled = result->throttled,
        .in_flight_most = result->in_flight_most,
        .duration_ns = result->duration_ns,
        .last_answered_ns = last_answer(result),
    };
    if (!judge_expectations(input, &evidence, result) || !judge_runs(input, result) ||
        !judge_script(input, result) || !judge_limit(input, result) ||
        !judge_journal(input, result))
        return false;
    note_amplification(result);
    note_ambiguity(result);
    if (result->interrupted)
        leave_open(result);
    result->passed = !result->interrupted;
    for (size_t i = 0; i < result->verdict_count; i++)
        result->passed &= result->verdicts[i].state == VERDICT_HELD;
    return true;
}
