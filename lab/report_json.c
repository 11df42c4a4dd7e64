/* JSON: all that the sweep found, for programs. What cannot be said is null; nothing in it depends
 * on the machine or on how long it took, so that the same file and seed give the same bytes.
 *
 * Each cell has a time line of its first repetition: requests that arrived, of these throttled, and
 * answers of 200, in parts of `bin_s`. `all_attempts` has those of the drain, too: as many as the
 * run's journal. */
#include "lab/report.h"

#include "base/escape.h"
#include "lab/report_words.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Ten digits: more than anything here is exact to, and the same whatever prints them. */
static void add_number(cJSON *object, const char *name, double value)
{
    char text[32];
    if (isnan(value) || isinf(value)) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    snprintf(text, sizeof text, "%.10g", value);
    cJSON_AddRawToObject(object, name, text);
}

static void add_whole(cJSON *object, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
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

static void add_bound(cJSON *root, const struct sweep *sweep)
{
    const struct experiment_bound *bound = &sweep->bound;
    cJSON *object = cJSON_AddObjectToObject(root, "bound");
    add_number(object, "requests_per_s", bound->requests_per_s);
    add_number(object, "tokens_per_s", bound->tokens_per_s);
    add_text(object, "limit",
             bound->limit < QUOTA_DIMENSION_COUNT ? quota_dimension_name(bound->limit) : NULL);
}

static void add_quotas(cJSON *root, const struct experiment *experiment)
{
    cJSON *quotas = cJSON_AddObjectToObject(root, "quotas");
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (experiment->limits.limit[i] != QUOTA_UNLIMITED)
            add_whole(quotas, quota_dimension_name((enum quota_dimension)i),
                      (uint64_t)experiment->limits.limit[i]);
    }
}

static void add_strategies(cJSON *root, const struct experiment *experiment)
{
    cJSON *strategies = cJSON_AddArrayToObject(root, "strategies");
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        const struct strategy *strategy = &experiment->strategies[i];
        cJSON *item = add_item(strategies);
        add_text(item, "label", strategy->label);
        add_text(item, "strategy", strategy->name);
        add_text(item, "description", strategy->description);
        add_text(item, "source", strategy->source);
    }
}

static void add_measures(cJSON *item, const struct cell_result *cell)
{
    cJSON *measures = cJSON_AddObjectToObject(item, "measures");
    for (int i = 0; i < MEASURE_COUNT; i++) {
        const struct estimate *estimate = &cell->measures[i];
        cJSON *object = cJSON_AddObjectToObject(measures, measure_describe((enum measure)i)->name);
        add_number(object, "mean", cell->repetitions > 0 ? estimate->mean : NAN);
        add_number(object, "low", estimate->has_interval ? estimate->low : NAN);
        add_number(object, "high", estimate->has_interval ? estimate->high : NAN);
    }
}

static uint64_t arrived(const struct measure_bin *bin)
{
    return bin->attempts;
}

static uint64_t throttled(const struct measure_bin *bin)
{
    return bin->throttled;
}

static uint64_t served(const struct measure_bin *bin)
{
    return bin->served;
}

static void add_line(cJSON *line, const char *name, const struct run_result *run,
                     uint64_t (*count)(const struct measure_bin *))
{
    cJSON *array = cJSON_AddArrayToObject(line, name);
    for (int i = 0; i < MEASURES_BINS; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber((double)count(&run->bins[i])));
}

static void add_time_line(cJSON *item, const struct sweep *sweep, const struct cell_result *cell)
{
    const struct run_result *run = lab_report_first_run(cell);
    if (run == NULL) {
        cJSON_AddNullToObject(item, "time_line");
        return;
    }
    cJSON *line = cJSON_AddObjectToObject(item, "time_line");
    add_number(line, "bin_s", (double)sweep->experiment->duration_ns * 1e-9 / MEASURES_BINS);
    add_line(line, "attempts", run, arrived);
    add_line(line, "throttled", run, throttled);
    add_line(line, "served", run, served);
    add_number(line, "all_attempts", (double)run->attempts);
}

static void add_cells(cJSON *root, const struct sweep *sweep)
{
    cJSON *cells = cJSON_AddArrayToObject(root, "cells");
    for (size_t i = 0; i < sweep->cell_count; i++) {
        const struct cell_result *cell = &sweep->cells[i];
        cJSON *item = add_item(cells);
        add_text(item, "strategy", sweep->experiment->strategies[cell->strategy].label);
        add_number(item, sweep->experiment->is_open ? "calls_per_s" : "workers",
                   sweep->experiment->loads[cell->load]);
        add_whole(item, "repetitions", (uint64_t)cell->repetitions);
        cJSON_AddBoolToObject(item, "complete", cell->is_complete);
        cJSON_AddBoolToObject(item, "cut_short", cell->is_cut_short);
        cJSON_AddBoolToObject(item, "late", measures_are_late(cell));
        add_measures(item, cell);
        add_time_line(item, sweep, cell);
    }
}

bool lab_report_json(const struct lab_report *report, const struct report_style *style,
                     FILE *stream, struct error *error)
{
    const struct experiment *experiment = report->sweep->experiment;
    cJSON *root = cJSON_CreateObject();
    (void)style;
    add_text(root, "name", experiment->name);
    add_text(root, "file", experiment->file);
    cJSON_AddBoolToObject(root, "simulated", report->is_simulated);
    cJSON_AddBoolToObject(root, "complete", report->sweep->is_complete);
    add_whole(root, "seed", experiment->seed);
    add_whole(root, "repetitions", (uint64_t)experiment->repetitions);
    add_number(root, "duration_s", (double)experiment->duration_ns * 1e-9);
    add_text(root, "interval",
             experiment->repetitions > 1 ? "95 %, independent replications"
                                         : "95 %, batch means of rates and shares");
    add_quotas(root, experiment);
    add_bound(root, report->sweep);
    add_strategies(root, experiment);
    add_cells(root, report->sweep);
    if (report->advice != NULL)
        add_text(root, "advice", report->advice);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text == NULL)
        return error_set_run(error, "json", "out of memory");
    fprintf(stream, "%s\n", text);
    free(text);
    return true;
}
