#include "harness/expectation.h"

#include "base/duration.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct expectation_kind *const kinds[] = {
    &expect_requests,
    &expect_calls,
    &expect_attempts_per_call,
    &expect_loop_attempts_per_call,
    &expect_delays,
    &expect_loop_delays,
    &expect_backoff,
    &expect_retry_after,
    &expect_max_in_flight,
    &expect_throttled,
    &expect_throttled_share,
    &expect_not_retried,
    &expect_quota_used,
    &expect_each_delay,
    &expect_duration,
    &expect_wait_after_last,
    &expect_outcome,
    &expect_final_status,
    &expect_final_code,
    &expect_exit_code,
    &expect_stdout_contains,
    &expect_stdout_matches,
    &expect_stderr_contains,
    &expect_stderr_matches,
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

/* Keys of `expect` that are settings of the judge and not demands of their own. */
static const char *const settings[] = {"delay_tolerance", "script_played", "leaves_processes"};

enum { SETTING_COUNT = sizeof settings / sizeof settings[0] };

/* A delay may be late by a tenth, and early by no more than that: design.md. */
static const struct tolerance TOLERANCE_DEFAULT = {.early = {.share = 0.1}, .late = {.share = 0.1}};

__attribute__((format(printf, 2, 0))) static void set_text(char **target, const char *format,
                                                           va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    free(*target);
    *target = text;
}

void verdict_expected(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_text(&verdict->expected, format, arguments);
    va_end(arguments);
}

void verdict_seen(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_text(&verdict->seen, format, arguments);
    va_end(arguments);
}

bool range_has_end(const cJSON *value)
{
    return cJSON_GetObjectItemCaseSensitive(value, "min") != NULL ||
           cJSON_GetObjectItemCaseSensitive(value, "max") != NULL;
}

bool range_read(struct range *range, const struct json_reader *reader, const cJSON *value,
                const char *pointer, double high_max)
{
    *range = (struct range){.low = 0, .high = high_max};
    if (cJSON_IsNumber(value)) {
        double number = value->valuedouble;
        if (!(number >= 0 && number <= high_max) || number != floor(number))
            return json_wrong(reader, pointer, value, "a whole number from 0 to %.0f", high_max);
        *range = (struct range){.low = number, .high = number, .is_exact = true};
        return true;
    }
    if (!cJSON_IsObject(value))
        return json_wrong(reader, pointer, value, "a whole number or {\"min\": N, \"max\": N}");
    if (!json_known_members(reader, value, pointer, (const char *const[]){"min", "max", NULL}) ||
        !json_read_number(reader, value, pointer, "min", 0, high_max, &range->low) ||
        !json_read_number(reader, value, pointer, "max", 0, high_max, &range->high))
        return false;
    if (!range_has_end(value))
        return json_wrong(reader, pointer, value, "\"min\", \"max\" or both");
    if (range->high < range->low)
        return json_wrong(reader, pointer, value, "\"max\" not below \"min\"");
    return true;
}

bool range_holds(const struct range *range, double value)
{
    return value >= range->low && value <= range->high;
}

const char *range_text(const struct range *range, char text[64])
{
    enum { NO_END = 1000000000 };
    if (range->is_exact || range->low == range->high)
        snprintf(text, 64, "%.10g", range->low);
    else if (range->high >= NO_END)
        snprintf(text, 64, "at least %.10g", range->low);
    else if (range->low == 0)
        snprintf(text, 64, "at most %.10g", range->high);
    else
        snprintf(text, 64, "%.10g to %.10g", range->low, range->high);
    return text;
}

static bool read_side(struct tolerance_side *side, const struct json_reader *reader,
                      const cJSON *value, const char *pointer)
{
    *side = (struct tolerance_side){0};
    if (cJSON_IsString(value)) {
        if (duration_parse(value->valuestring, &side->ns))
            return true;
        /* strtod takes more than digits: signs, spaces, "inf", "0x10". */
        size_t digits = strspn(value->valuestring, "0123456789.");
        char *end = NULL;
        double percent = strtod(value->valuestring, &end);
        if (digits > 0 && end == value->valuestring + digits && strcmp(end, "%") == 0 &&
            percent <= 1000) {
            side->share = percent / 100;
            return true;
        }
    }
    return json_wrong(reader, pointer, value, "a share such as \"10%%\" or a duration");
}

bool tolerance_read(struct tolerance *tolerance, const struct json_reader *reader,
                    const cJSON *value, const char *pointer)
{
    if (!cJSON_IsObject(value)) {
        if (!read_side(&tolerance->early, reader, value, pointer))
            return false;
        tolerance->late = tolerance->early;
        return true;
    }
    if (!json_known_members(reader, value, pointer, (const char *const[]){"early", "late", NULL}))
        return false;
    const cJSON *early = cJSON_GetObjectItemCaseSensitive(value, "early");
    const cJSON *late = cJSON_GetObjectItemCaseSensitive(value, "late");
    char place[JSON_POINTER_SIZE];
    if (early != NULL &&
        !read_side(&tolerance->early, reader, early, json_pointer_member(place, pointer, "early")))
        return false;
    return late == NULL ||
           read_side(&tolerance->late, reader, late, json_pointer_member(place, pointer, "late"));
}

static int64_t side_ns(const struct tolerance_side *side, int64_t ns)
{
    return side->ns + llround(side->share * (double)ns);
}

int64_t tolerance_low(const struct tolerance *tolerance, int64_t low_ns)
{
    int64_t bound_ns = low_ns - side_ns(&tolerance->early, low_ns);
    return bound_ns > 0 ? bound_ns : 0;
}

int64_t tolerance_high(const struct tolerance *tolerance, int64_t high_ns)
{
    return high_ns + side_ns(&tolerance->late, high_ns);
}

static bool read_settings(struct expectations *expectations, const struct json_reader *reader,
                          const cJSON *object, const char *pointer)
{
    char place[JSON_POINTER_SIZE];
    const cJSON *tolerance = cJSON_GetObjectItemCaseSensitive(object, "delay_tolerance");
    expectations->tolerance = TOLERANCE_DEFAULT;
    if (tolerance != NULL &&
        !tolerance_read(&expectations->tolerance, reader, tolerance,
                        json_pointer_member(place, pointer, "delay_tolerance")))
        return false;
    int played = 0;
    if (!json_read_word(reader, object, pointer, "script_played",
                        (const char *const[]){"all", "partly", NULL}, &played) ||
        !json_read_bool(reader, object, pointer, "leaves_processes",
                        &expectations->leaves_processes))
        return false;
    expectations->script_partly = played == 1;
    return true;
}

static bool read_one(struct expectations *expectations, const struct expectation_kind *kind,
                     const struct json_reader *reader, const cJSON *object, const char *pointer)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, kind->name);
    if (value == NULL)
        return true;
    struct expectation *expectation = &expectations->items[expectations->count++];
    expectation->kind = kind;
    expectation->tolerance = expectations->tolerance;
    char place[JSON_POINTER_SIZE];
    if (!kind->read(expectation, reader, value, json_pointer_member(place, pointer, kind->name)))
        return false;
    bool counts_throttled = kind == &expect_throttled || kind == &expect_throttled_share;
    bool counts_requests = kind == &expect_requests || kind == &expect_calls;
    if (counts_throttled && expectation->range.high == 0)
        expectations->no_throttling = true;
    if (counts_requests && expectation->range.high == 0)
        expectations->no_request = true;
    return true;
}

bool expectations_read(struct expectations *expectations, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    const char *known[KIND_COUNT + SETTING_COUNT + 1] = {0};
    for (size_t i = 0; i < KIND_COUNT; i++)
        known[i] = kinds[i]->name;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        known[KIND_COUNT + i] = settings[i];
    *expectations = (struct expectations){0};
    if (!json_known_members(reader, object, pointer, known) ||
        !read_settings(expectations, reader, object, pointer))
        return false;
    expectations->items = calloc(KIND_COUNT, sizeof *expectations->items);
    if (expectations->items == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!read_one(expectations, kinds[i], reader, object, pointer))
            return false;
    }
    if (expectations->count == 0)
        return json_wrong(reader, pointer, object,
                          "at least one expectation, such as \"attempts_per_call\": 3");
    return true;
}

void expectations_free(struct expectations *expectations)
{
    for (size_t i = 0; i < expectations->count; i++) {
        struct expectation *expectation = &expectations->items[i];
        for (size_t j = 0; j < expectation->pattern_count; j++)
            regfree(&expectation->patterns[j]);
        for (size_t j = 0; expectation->texts != NULL && j < expectation->count; j++)
            free(expectation->texts[j]);
        free(expectation->patterns);
        free(expectation->texts);
        free(expectation->durations_ns);
    }
    free(expectations->items);
    *expectations = (struct expectations){0};
}

static bool has_ambiguous_call(const struct evidence *evidence)
{
    for (size_t i = 0; i < evidence->call_count; i++) {
        if (evidence->calls[i].grouping == GROUPED_AMBIGUOUS)
            return true;
    }
    return false;
}

void expectation_judge(const struct expectation *expectation, const struct evidence *evidence,
                       struct verdict *verdict)
{
    *verdict = (struct verdict){.state = VERDICT_FAILED, .hint = ""};
    snprintf(verdict->expectation, sizeof verdict->expectation, "%s", expectation->kind->name);
    expectation->kind->judge(expectation, evidence, verdict);
    if (expectation->kind->needs_calls && has_ambiguous_call(evidence)) {
        verdict->state = VERDICT_UNDETERMINED;
        verdict->hint = "Calls with equal bodies ran at the same time and nothing tells their "
                        "attempts apart. Let the client send a marker (\"call_marker\" of the "
                        "scenario's client), or give each call a prompt of its own. If each call "
                        "keeps to a connection of its own, say \"call_marker\": "
                        "{\"connection\": true}.";
    }
    if (verdict->state == VERDICT_HELD)
        verdict->hint = "";
}
