#include "lab/report_words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int rate_digits(double value)
{
    double size = fabs(value);
    return size < 1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
}

static int seconds_digits(double value)
{
    double size = fabs(value);
    return size < 10 ? 2 : size < 100 ? 1 : 0;
}

static const char *put(double value, int digits, const char *unit, char text[LAB_WORDS_SIZE])
{
    if (isnan(value))
        snprintf(text, LAB_WORDS_SIZE, "-");
    else if (isinf(value))
        snprintf(text, LAB_WORDS_SIZE, "no limit");
    else
        snprintf(text, LAB_WORDS_SIZE, "%.*f%s", digits, value, unit);
    return text;
}

const char *lab_words_rate(double value, char text[LAB_WORDS_SIZE])
{
    return put(value, rate_digits(value), "", text);
}

/* 99.96 % is not yet all. */
const char *lab_words_share(double value, char text[LAB_WORDS_SIZE])
{
    double percent = value * 100;
    if (percent < 100 && percent > 99.9)
        percent = 99.9;
    return put(percent, 1, " %", text);
}

const char *lab_words_seconds(double value, char text[LAB_WORDS_SIZE])
{
    return put(value, seconds_digits(value), " s", text);
}

static int measure_digits(enum measure measure, double value)
{
    const struct measure_description *description = measure_describe(measure);
    if (description->is_share)
        return 1;
    if (strcmp(description->unit, "s") == 0)
        return seconds_digits(value);
    if (measure == MEASURE_HERD || measure == MEASURE_CALLS_OPEN)
        return fabs(value) < 100 ? 1 : 0;
    if (measure == MEASURE_FAIRNESS || measure == MEASURE_ATTEMPTS_PER_SUCCESS)
        return fabs(value) < 100 ? 2 : 0;
    return rate_digits(value);
}

const char *lab_words_measure(enum measure measure, double value, char text[LAB_WORDS_SIZE])
{
    if (!measure_describe(measure)->is_share)
        return put(value, measure_digits(measure, value), "", text);
    lab_words_share(value, text);
    char *unit = strstr(text, " %");
    if (unit != NULL)
        *unit = '\0';
    return text;
}

const char *lab_words_interval(enum measure measure, const struct estimate *estimate,
                               char text[LAB_WORDS_SIZE])
{
    double half = (estimate->high - estimate->low) / 2;
    text[0] = '\0';
    if (!estimate->has_interval || isnan(half))
        return text;
    if (measure_describe(measure)->is_share)
        half *= 100;
    snprintf(text, LAB_WORDS_SIZE, "±%.*f", measure_digits(measure, estimate->mean), half);
    return text;
}

const char *lab_words_load_number(const struct experiment *experiment, double load,
                                  char text[LAB_WORDS_SIZE])
{
    snprintf(text, LAB_WORDS_SIZE, experiment->is_open ? "%.6g" : "%.0f", load);
    return text;
}

const char *lab_words_load(const struct experiment *experiment, double load,
                           char text[LAB_WORDS_SIZE])
{
    lab_words_load_number(experiment, load, text);
    size_t length = strlen(text);
    const char *word = experiment->is_open ? "calls/s" : load > 1 ? "workers" : "worker";
    snprintf(text + length, LAB_WORDS_SIZE - length, " %s", word);
    return text;
}

const char *lab_words_limit(enum quota_dimension limit, char text[LAB_WORDS_SIZE])
{
    snprintf(text, LAB_WORDS_SIZE, "%s",
             limit < QUOTA_DIMENSION_COUNT ? quota_dimension_name(limit) : "no limit");
    for (char *at = strchr(text, '_'); at != NULL; at = strchr(at, '_'))
        *at = ' ';
    return text;
}

static bool tokens_bind(const struct sweep *sweep)
{
    enum quota_dimension limit = sweep->bound.limit;
    return limit < QUOTA_DIMENSION_COUNT && quota_dimension_counts_tokens(limit);
}

enum measure lab_goodput_measure(const struct sweep *sweep)
{
    return tokens_bind(sweep) ? MEASURE_GOODPUT_TOKENS : MEASURE_GOODPUT_REQUESTS;
}

double lab_goodput_bound(const struct sweep *sweep)
{
    return tokens_bind(sweep) ? sweep->bound.tokens_per_s : sweep->bound.requests_per_s;
}
