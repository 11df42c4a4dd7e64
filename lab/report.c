#include "lab/report.h"

#include "base/duration.h"
#include "base/report_file.h"
#include "lab/report_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct lab_report_kind kinds[] = {
    {"table", false, false, lab_report_table}, {"csv", false, false, lab_report_csv},
    {"json", false, false, lab_report_json},   {"svg", true, false, lab_report_svg},
    {"png", true, true, lab_report_png},       {"html", true, false, lab_report_html},
};

const struct lab_report_kind *lab_report_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const char *lab_report_kind_names(void)
{
    return "table, csv, json, svg, png, html";
}

/* Made in memory first, so that nothing is written when it cannot be made. */
struct made {
    char *bytes;
    size_t length;
};

static bool write_made(void *owner, FILE *stream)
{
    const struct made *made = owner;
    return fwrite(made->bytes, 1, made->length, stream) == made->length;
}

bool lab_report_to_path(const struct lab_report_kind *kind, const struct lab_report *report,
                        const char *path, struct error *error)
{
    bool is_file = path != NULL && strcmp(path, "-") != 0;
    struct report_style style = report_style_for(is_file ? NULL : stdout);
    struct made made = {0};
    FILE *stream = open_memstream(&made.bytes, &made.length);
    if (stream == NULL)
        return error_set_run(error, kind->name, "out of memory");
    bool done = kind->write(report, &style, stream, error);
    bool has_failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || has_failed)
        done = done && error_set_run(error, kind->name, "out of memory");
    done = done && report_file_write(path, write_made, &made, error);
    free(made.bytes);
    return done;
}

const char *lab_report_how(const struct lab_report *report, char text[LAB_REPORT_LINE_SIZE])
{
    const struct experiment *experiment = report->sweep->experiment;
    char duration[DURATION_TEXT_SIZE];
    duration_text(experiment->duration_ns, duration);
    int length = snprintf(text, LAB_REPORT_LINE_SIZE, "%s, ",
                          report->is_simulated ? "Simulated" : "Run for real");
    if (experiment->repetitions == 1)
        length +=
            snprintf(text + length, LAB_REPORT_LINE_SIZE - (size_t)length, "once for %s", duration);
    else
        length += snprintf(text + length, LAB_REPORT_LINE_SIZE - (size_t)length,
                           "%d repetitions of %s", experiment->repetitions, duration);
    snprintf(text + length, LAB_REPORT_LINE_SIZE - (size_t)length, ", seed %llu%s",
             (unsigned long long)experiment->seed,
             report->sweep->is_complete ? "" : "; stopped before the end");
    return text;
}

const char *lab_report_bound(const struct lab_report *report, char text[LAB_REPORT_LINE_SIZE])
{
    const struct experiment_bound *bound = &report->sweep->bound;
    enum measure goodput = lab_goodput_measure(report->sweep);
    char rate[LAB_WORDS_SIZE];
    char limit[LAB_WORDS_SIZE];
    if (isinf(bound->requests_per_s))
        snprintf(text, LAB_REPORT_LINE_SIZE, "The quota sets no limit.");
    else
        snprintf(text, LAB_REPORT_LINE_SIZE, "The quota allows at most %s %s, by its %s.",
                 lab_words_rate(lab_goodput_bound(report->sweep), rate),
                 measure_describe(goodput)->unit, lab_words_limit(bound->limit, limit));
    return text;
}

const struct run_result *lab_report_first_run(const struct cell_result *cell)
{
    for (int i = 0; i < cell->run_count; i++) {
        if (cell->runs[i].is_done)
            return &cell->runs[i];
    }
    return NULL;
}
