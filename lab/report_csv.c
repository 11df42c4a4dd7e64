/* CSV (RFC 4180): a row a cell, in the order of the experiment; each measure with the ends of its
 * 95 % confidence interval, which are empty where there is none. */
#include "lab/report.h"

#include <math.h>
#include <string.h>

static void put_quoted(FILE *stream, const char *text)
{
    bool is_plain = strpbrk(text, ",\"\r\n") == NULL;
    if (is_plain) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"')
            fputc('"', stream);
        fputc(*at, stream);
    }
    fputc('"', stream);
}

static void put_number(FILE *stream, bool is_known, double value)
{
    if (is_known && !isnan(value) && !isinf(value))
        fprintf(stream, ",%.10g", value);
    else
        fputc(',', stream);
}

bool lab_report_csv(const struct lab_report *report, const struct report_style *style, FILE *stream,
                    struct error *error)
{
    const struct sweep *sweep = report->sweep;
    (void)style;
    (void)error;
    fprintf(stream, "strategy,%s,repetitions,complete",
            sweep->experiment->is_open ? "calls_per_s" : "workers");
    for (int measure = 0; measure < MEASURE_COUNT; measure++) {
        const char *name = measure_describe((enum measure)measure)->name;
        fprintf(stream, ",%s,%s_low,%s_high", name, name, name);
    }
    fputs("\r\n", stream);
    for (size_t i = 0; i < sweep->cell_count; i++) {
        const struct cell_result *cell = &sweep->cells[i];
        put_quoted(stream, sweep->experiment->strategies[cell->strategy].label);
        fprintf(stream, ",%.10g,%d,%s", sweep->experiment->loads[cell->load], cell->repetitions,
                cell->is_complete ? "true" : "false");
        for (int measure = 0; measure < MEASURE_COUNT; measure++) {
            const struct estimate *estimate = &cell->measures[measure];
            bool is_run = cell->repetitions > 0;
            put_number(stream, is_run, estimate->mean);
            put_number(stream, is_run && estimate->has_interval, estimate->low);
            put_number(stream, is_run && estimate->has_interval, estimate->high);
        }
        fputs("\r\n", stream);
    }
    return true;
}
