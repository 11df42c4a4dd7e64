/* The card for programs: all that is known. grade/report.schema.json says what it holds. */
#include "grade/card.h"

#include "base/escape.h"
#include "grade/known_client.h"
#include "harness/report_words.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void add_whole(cJSON *object, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    cJSON_AddRawToObject(object, name, text);
}

static void add_text(cJSON *object, const char *name, const char *text)
{
    char *valid = text != NULL ? escape_utf8(text, strlen(text)) : NULL;
    if (valid != NULL)
        cJSON_AddStringToObject(object, name, valid);
    else
        cJSON_AddNullToObject(object, name);
    free(valid);
}

static cJSON *add_item(cJSON *array)
{
    cJSON *item = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        return NULL;
    }
    return item;
}

static void add_letter(cJSON *object, char letter)
{
    char text[2] = {letter, '\0'};
    add_text(object, "grade", letter == '-' ? NULL : text);
}

static void add_groups(cJSON *root, const struct grade *grade)
{
    cJSON *groups = cJSON_AddArrayToObject(root, "groups");
    for (int i = 0; i < GROUP_COUNT; i++) {
        const struct group_score *group = &grade->groups[i];
        cJSON *item = add_item(groups);
        add_text(item, "group", probe_group_name((enum probe_group)i));
        add_letter(item, group->letter);
        add_whole(item, "points", group->points);
        cJSON *counts = cJSON_AddObjectToObject(item, "counts");
        for (int j = 0; j < PROBE_OUTCOME_COUNT; j++)
            add_whole(counts, probe_outcome_name((enum probe_outcome)j), (int64_t)group->counts[j]);
    }
}

static void add_number(cJSON *rule, const char *name, const struct rule_number *number)
{
    if (!number->known) {
        cJSON_AddNullToObject(rule, name);
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(rule, name);
    cJSON_AddNumberToObject(item, "value", number->value);
    cJSON_AddNumberToObject(item, "low", number->low);
    cJSON_AddNumberToObject(item, "high", number->high);
}

static void add_rule(cJSON *root, const char *name, const struct rule *rule)
{
    char sentence[RULE_SENTENCE_SIZE];
    if (rule == NULL) {
        cJSON_AddNullToObject(root, name);
        return;
    }
    cJSON *item = cJSON_AddObjectToObject(root, name);
    add_text(item, "sentence", rule_sentence(rule, sentence));
    add_text(item, "family", rule_family_word(rule->family));
    cJSON_AddBoolToObject(item, "sure", rule->certainty == RULE_SURE);
    add_text(item, "jitter", rule_jitter_word(rule->jitter));
    add_text(item, "retry_after", rule_header_word(rule->header));
    add_text(item, "known_client", rule->known != NULL ? rule->known->name : NULL);
    cJSON_AddBoolToObject(item, "first_immediate", rule->first_immediate);
    add_number(item, "base_ns", &rule->base_ns);
    add_number(item, "step_ns", &rule->step_ns);
    add_number(item, "factor", &rule->factor);
    add_number(item, "cap_ns", &rule->cap_ns);
    add_number(item, "floor_ns", &rule->floor_ns);
    add_number(item, "share_low", &rule->share_low);
    add_number(item, "share_high", &rule->share_high);
    add_number(item, "jitter_ns", &rule->jitter_ns);
    add_number(item, "attempts_max", &rule->attempts_max);
    add_number(item, "retry_after_most_ns", &rule->header_most_ns);
    add_whole(item, "runs", (int64_t)rule->run_count);
    add_whole(item, "delays", (int64_t)rule->delay_count);
}

static void add_attempts(cJSON *call_item, const struct call *call, int64_t origin_ns)
{
    cJSON *attempts = cJSON_AddArrayToObject(call_item, "attempts");
    for (size_t i = 0; i < call->attempt_count; i++) {
        const struct attempt *attempt = &call->attempts[i];
        cJSON *item = add_item(attempts);
        add_whole(item, "arrived_ns", attempt->arrived_ns - origin_ns);
        if (attempt->answered_ns >= 0)
            add_whole(item, "answered_ns", attempt->answered_ns - origin_ns);
        else
            cJSON_AddNullToObject(item, "answered_ns");
        if (attempt->status != 0)
            add_whole(item, "status", attempt->status);
        else
            cJSON_AddNullToObject(item, "status");
        add_text(item, "code", attempt->code[0] != '\0' ? attempt->code : NULL);
        if (attempt->retry_after_ns >= 0)
            add_whole(item, "retry_after_ns", attempt->retry_after_ns);
        else
            cJSON_AddNullToObject(item, "retry_after_ns");
    }
}

static void add_starts(cJSON *probe_item, const struct finding *finding)
{
    cJSON *starts = cJSON_AddArrayToObject(probe_item, "starts");
    if (finding->setup == NULL)
        return;
    for (size_t i = 0; i < finding->setup->start_count; i++) {
        const struct result *result = &finding->setup->starts[i].result;
        const struct client_run *end = report_last_run(result);
        int64_t origin_ns = report_origin_ns(result);
        cJSON *item = add_item(starts);
        add_whole(item, "seed", (int64_t)result->seed);
        if (end->signal == 0 && end->exit_code >= 0)
            add_whole(item, "exit_code", end->exit_code);
        else
            cJSON_AddNullToObject(item, "exit_code");
        cJSON_AddBoolToObject(item, "timed_out", end->timed_out);
        add_whole(item, "ended_ns", end->ended_ns - origin_ns);
        cJSON *calls = cJSON_AddArrayToObject(item, "calls");
        for (size_t j = 0; j < result->call_count; j++)
            add_attempts(add_item(calls), &result->calls[j], origin_ns);
    }
}

static void add_probes(cJSON *root, const struct grade *grade)
{
    cJSON *probes = cJSON_AddArrayToObject(root, "probes");
    for (size_t i = 0; i < grade->finding_count; i++) {
        const struct finding *finding = &grade->findings[i];
        const struct probe *probe = finding->probe;
        cJSON *item = add_item(probes);
        add_text(item, "id", probe->id);
        add_text(item, "group", probe_group_name(probe->group));
        add_text(item, "severity", probe_severity_name(probe->severity));
        add_text(item, "verdict", probe_outcome_name(finding->judgement.outcome));
        add_text(item, "requirement", probe->requirement);
        add_text(item, "source", probe->source);
        add_text(item, "sent", grade_sent(finding));
        add_text(item, "seen", finding->judgement.seen);
        add_text(item, "cure", probe->cure);
        add_starts(item, finding);
    }
}

bool card_json(const struct grade *grade, const struct report_style *style, FILE *stream)
{
    (void)style;
    char seed[32];
    cJSON *root = cJSON_CreateObject();
    add_text(root, "toomany", TOOMANY_VERSION);
    add_text(root, "command", grade->command);
    add_text(root, "trigger", grade->trigger);
    add_letter(root, grade->letter);
    add_text(root, "time", clock_kind_name(grade->time));
    add_text(root, "time_note", grade->time_note);
    snprintf(seed, sizeof seed, "%" PRIu64, grade->seed);
    cJSON_AddRawToObject(root, "seed", seed);
    add_whole(root, "runs", grade->runs);
    cJSON_AddBoolToObject(root, "full", grade->is_full);
    cJSON_AddBoolToObject(root, "interrupted", grade->interrupted);
    cJSON_AddBoolToObject(root, "streams", grade->streams);
    add_whole(root, "start_count", (int64_t)grade->start_count);
    add_whole(root, "wall_ms", grade->wall_ms);
    add_rule(root, "rule", grade->has_rule ? &grade->rule : NULL);
    add_rule(root, "loop_rule", grade->has_loop_rule ? &grade->loop_rule : NULL);
    add_groups(root, grade);
    add_probes(root, grade);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text == NULL)
        return false;
    fputs(text, stream);
    fputc('\n', stream);
    cJSON_free(text);
    return fflush(stream) == 0 && !ferror(stream);
}
