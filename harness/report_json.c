/* The JSON report: all that is known of each scenario, for programs.
 *
 * Times are ns since the client was started. Nothing in it depends on the machine where the run's
 * clock is virtual, so that the same scenario and seed give the same bytes: `wall_ms` is null then.
 * What there was none of is null. */
#include "harness/report.h"

#include "base/escape.h"
#include "harness/report_words.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* cJSON keeps numbers as doubles, which are exact up to 2^53 only: ns and seeds go beyond it. */
static void add_whole(cJSON *object, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    cJSON_AddRawToObject(object, name, text);
}

static void add_whole_or_null(cJSON *object, const char *name, bool is_known, int64_t value)
{
    if (is_known)
        add_whole(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_text(cJSON *object, const char *name, const char *text, size_t length)
{
    char *valid = text != NULL ? escape_utf8(text, length) : NULL;
    if (valid != NULL)
        cJSON_AddStringToObject(object, name, valid);
    else
        cJSON_AddNullToObject(object, name);
    free(valid);
}

static void add_string(cJSON *object, const char *name, const char *text)
{
    add_text(object, name, text, text != NULL ? strlen(text) : 0);
}

static void add_string_or_null(cJSON *object, const char *name, const char *text)
{
    add_string(object, name, text != NULL && text[0] != '\0' ? text : NULL);
}

/* An object at the end of `array`; NULL when memory is out, which the adders take. */
static cJSON *add_item(cJSON *array)
{
    cJSON *item = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        return NULL;
    }
    return item;
}

/* `run` may be NULL: none was started. */
static void add_end(cJSON *object, const struct client_run *run)
{
    bool exited = run != NULL && run->signal == 0 && run->exit_code >= 0;
    add_whole_or_null(object, "exit_code", exited, run != NULL ? run->exit_code : 0);
    add_whole_or_null(object, "signal", run != NULL && run->signal != 0,
                      run != NULL ? run->signal : 0);
    cJSON_AddBoolToObject(object, "timed_out", run != NULL && run->timed_out);
}

static void add_runs(cJSON *object, const struct result *result, int64_t origin_ns)
{
    cJSON *runs = cJSON_AddArrayToObject(object, "runs");
    for (size_t i = 0; i < result->run_count; i++) {
        const struct client_run *run = &result->runs[i];
        cJSON *item = add_item(runs);
        add_end(item, run);
        cJSON_AddBoolToObject(item, "output_exceeded", run->output_exceeded);
        add_whole(item, "started_ns", run->started_ns - origin_ns);
        add_whole(item, "ended_ns", run->ended_ns - origin_ns);
        add_whole(item, "output_bytes", (int64_t)run->output_bytes);
        add_text(item, "stdout", run->output, run->output_length);
        add_text(item, "stderr", run->errors, run->errors_length);
        add_string(item, "survivors", run->survivors);
    }
}

static void add_attempt(cJSON *attempts, const struct attempt *attempt, int64_t origin_ns)
{
    cJSON *item = add_item(attempts);
    add_whole(item, "sequence", (int64_t)attempt->sequence);
    add_whole(item, "connection", (int64_t)attempt->connection);
    add_whole(item, "arrived_ns", attempt->arrived_ns - origin_ns);
    add_whole_or_null(item, "answered_ns", attempt->answered_ns >= 0,
                      attempt->answered_ns - origin_ns);
    add_whole_or_null(item, "delay_ns", attempt->delay_ns >= 0, attempt->delay_ns);
    add_whole_or_null(item, "status", attempt->status != 0, attempt->status);
    add_string_or_null(item, "code", attempt->code);
    add_whole_or_null(item, "retry_after_ns", attempt->retry_after_ns >= 0,
                      attempt->retry_after_ns);
    add_whole_or_null(item, "retry_count", attempt->retry_count >= 0, attempt->retry_count);
    cJSON_AddBoolToObject(item, "throttled", attempt->throttled);
    cJSON_AddBoolToObject(item, "by_quota", attempt->by_quota);
    cJSON_AddBoolToObject(item, "starts_loop", attempt->starts_loop);
    cJSON_AddBoolToObject(item, "abandoned", attempt->abandoned);
}

static void add_calls(cJSON *object, const struct result *result, int64_t origin_ns)
{
    cJSON *calls = cJSON_AddArrayToObject(object, "calls");
    for (size_t i = 0; i < result->call_count; i++) {
        const struct call *call = &result->calls[i];
        cJSON *item = add_item(calls);
        add_string_or_null(item, "model", call->model);
        add_whole(item, "run", call->run);
        add_whole(item, "loop_attempts", (int64_t)call->loop_attempts);
        cJSON_AddStringToObject(item, "grouped_by", call_grouping_name(call->grouping));
        cJSON_AddBoolToObject(item, "ambiguous", call->grouping == GROUPED_AMBIGUOUS);
        cJSON *attempts = cJSON_AddArrayToObject(item, "attempts");
        for (size_t j = 0; j < call->attempt_count; j++)
            add_attempt(attempts, &call->attempts[j], origin_ns);
    }
}

static void add_verdicts(cJSON *object, const struct result *result)
{
    cJSON *verdicts = cJSON_AddArrayToObject(object, "verdicts");
    for (size_t i = 0; i < result->verdict_count; i++) {
        const struct verdict *verdict = &result->verdicts[i];
        cJSON *item = add_item(verdicts);
        add_string(item, "expectation", verdict->expectation);
        cJSON_AddBoolToObject(item, "held", verdict->state == VERDICT_HELD);
        cJSON_AddBoolToObject(item, "undetermined", verdict->state == VERDICT_UNDETERMINED);
        add_string(item, "expected", verdict->expected);
        add_string(item, "seen", verdict->seen);
        add_string_or_null(item, "hint", verdict->hint);
    }
}

static void add_usage(cJSON *object, const struct result *result)
{
    cJSON *usages = cJSON_AddArrayToObject(object, "usage");
    for (size_t i = 0; i < result->usage_count; i++) {
        const struct usage *usage = &result->usages[i];
        cJSON *item = add_item(usages);
        add_string(item, "model", usage->model);
        add_string(item, "key_tail", usage->key_tail);
        add_string(item, "dimension", usage->dimension);
        add_whole(item, "limit", usage->limit);
        add_whole(item, "peak", usage->peak);
        add_whole(item, "throttled", usage->throttled);
    }
}

static void add_scenario(cJSON *scenarios, const struct result *result)
{
    int64_t origin_ns = report_origin_ns(result);
    char text[sizeof result->error.place + sizeof result->error.message + 4];
    char seed[32];
    cJSON *item = add_item(scenarios);
    add_string(item, "name", result->name);
    add_string(item, "file", result->file);
    add_string_or_null(item, "why", result->why);
    cJSON_AddBoolToObject(item, "passed", result->passed);
    cJSON_AddStringToObject(item, "state", report_state_name(report_state_of(result)));
    cJSON_AddBoolToObject(item, "known_failing", result->known_failing != NOT_LISTED);
    cJSON_AddBoolToObject(item, "interrupted", result->interrupted);
    add_string(item, "error",
               result->could_not_run ? error_text(&result->error, text, sizeof text) : NULL);
    add_string(item, "command", result->command);
    cJSON_AddStringToObject(item, "time", clock_kind_name(result->time));
    cJSON_AddBoolToObject(item, "exact", result->time == CLOCK_VIRTUAL && !result->is_inexact);
    add_string(item, "time_note", result->time_note);
    snprintf(seed, sizeof seed, "%" PRIu64, result->seed);
    cJSON_AddRawToObject(item, "seed", seed);
    add_whole_or_null(item, "repetition", result->repetition > 0, result->repetition);
    bool has_wall = result->wall_ms >= 0 && result->time == CLOCK_REAL;
    add_whole_or_null(item, "wall_ms", has_wall, result->wall_ms);
    add_whole(item, "duration_ns", result->duration_ns);
    add_whole(item, "requests", (int64_t)result->requests);
    add_whole(item, "throttled", (int64_t)result->throttled);
    add_whole(item, "in_flight_most", result->in_flight_most);
    add_end(cJSON_AddObjectToObject(item, "client"), report_last_run(result));
    add_verdicts(item, result);
    cJSON *notes = cJSON_AddArrayToObject(item, "notes");
    for (size_t i = 0; i < result->note_count; i++) {
        char *valid = escape_utf8(result->notes[i], strlen(result->notes[i]));
        cJSON_AddItemToArray(notes, cJSON_CreateString(valid != NULL ? valid : ""));
        free(valid);
    }
    add_usage(item, result);
    add_calls(item, result, origin_ns);
    add_runs(item, result, origin_ns);
}

static void add_counts(cJSON *object, const struct results *results)
{
    struct report_counts counts = report_count(results);
    static const char *const names[REPORT_STATE_COUNT] = {
        [REPORT_PASSED] = "passed",
        [REPORT_FAILED] = "failed",
        [REPORT_KNOWN_FAILING] = "known_failing",
        [REPORT_UNLISTED_DUE] = "passed_though_known_failing",
        [REPORT_STOPPED] = "stopped",
        [REPORT_COULD_NOT_RUN] = "could_not_run",
    };
    cJSON *item = cJSON_AddObjectToObject(object, "counts");
    add_whole(item, "scenarios", (int64_t)results->count);
    for (int state = 0; state < REPORT_STATE_COUNT; state++)
        add_whole(item, names[state], (int64_t)counts.of[state]);
}

bool report_json(const struct results *results, const struct report_style *style, FILE *stream)
{
    (void)style;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "toomany", TOOMANY_VERSION);
    cJSON_AddBoolToObject(root, "passed", report_all_well(results));
    cJSON_AddBoolToObject(root, "interrupted", results->interrupted);
    add_counts(root, results);
    cJSON *scenarios = cJSON_AddArrayToObject(root, "scenarios");
    for (size_t i = 0; i < results->count; i++)
        add_scenario(scenarios, &results->items[i]);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text == NULL)
        return false;
    fputs(text, stream);
    fputc('\n', stream);
    cJSON_free(text);
    return fflush(stream) == 0 && !ferror(stream);
}
