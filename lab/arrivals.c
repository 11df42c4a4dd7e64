#include "lab/arrivals.h"

#include "base/distribution.h"
#include "base/duration.h"
#include "lab/journal_lines.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void arrivals_settings_free(struct arrivals_settings *settings)
{
    free(settings->records);
    settings->records = NULL;
    settings->record_count = 0;
}

/* --- reading traces --------------------------------------------------------------------------- */

/* A record, and of which call it is, before those that are retries are taken out. */
struct seen {
    struct arrivals_record record;
    uint64_t call_digest;
    size_t order; /* in the file */
};

struct trace {
    struct seen *seen;
    size_t count;
    size_t capacity;
};

static bool add(struct trace *trace, int64_t at_ns, int64_t tokens, uint64_t call_digest)
{
    if (trace->count == trace->capacity) {
        size_t capacity = trace->capacity == 0 ? 1024 : trace->capacity * 2;
        struct seen *larger = trace->count < ARRIVALS_TRACE_MAX
                                  ? realloc(trace->seen, capacity * sizeof *larger)
                                  : NULL;
        if (larger == NULL)
            return false;
        trace->seen = larger;
        trace->capacity = capacity;
    }
    trace->seen[trace->count] = (struct seen){.record = {.at_ns = at_ns, .tokens = tokens},
                                              .call_digest = call_digest,
                                              .order = trace->count};
    trace->count++;
    return true;
}

static bool take_line(void *owner, const struct journal_line *line)
{
    if (line->retry_count > 0)
        return true;
    return add(owner, line->arrived_ns, line->tokens, line->call_digest);
}

static int by_call(const void *a, const void *b)
{
    const struct seen *x = a;
    const struct seen *y = b;
    if (x->call_digest != y->call_digest)
        return x->call_digest < y->call_digest ? -1 : 1;
    if (x->record.at_ns != y->record.at_ns)
        return x->record.at_ns < y->record.at_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_time(const void *a, const void *b)
{
    const struct seen *x = a;
    const struct seen *y = b;
    if (x->record.at_ns != y->record.at_ns)
        return x->record.at_ns < y->record.at_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Of each call the first attempt; what does not say its call counts by itself. */
static void keep_first_attempts(struct trace *trace)
{
    size_t kept = 0;
    qsort(trace->seen, trace->count, sizeof *trace->seen, by_call);
    for (size_t i = 0; i < trace->count; i++) {
        uint64_t digest = trace->seen[i].call_digest;
        if (kept == 0 || digest == 0 || digest != trace->seen[kept - 1].call_digest)
            trace->seen[kept++] = trace->seen[i];
    }
    trace->count = kept;
}

static bool settle(struct arrivals_settings *settings, struct trace *trace, const char *path,
                   struct error *error)
{
    if (trace->count == 0)
        return error_set(error, path, "there is no call in it");
    keep_first_attempts(trace);
    qsort(trace->seen, trace->count, sizeof *trace->seen, by_time);
    struct arrivals_record *records = calloc(trace->count, sizeof *records);
    if (records == NULL)
        return error_set_run(error, path, "out of memory");
    int64_t first_ns = trace->seen[0].record.at_ns;
    for (size_t i = 0; i < trace->count; i++) {
        records[i] = trace->seen[i].record;
        records[i].at_ns -= first_ns;
    }
    arrivals_settings_free(settings);
    settings->kind = ARRIVALS_TRACE;
    settings->records = records;
    settings->record_count = trace->count;
    /* After the last call a gap of mean length, and the trace begins again. */
    int64_t last_ns = records[trace->count - 1].at_ns;
    settings->span_ns = last_ns > 0 ? last_ns + last_ns / (int64_t)(trace->count - 1) : NS_PER_S;
    return true;
}

static bool read_seconds(const char *text, int64_t *ns)
{
    char *end;
    if (duration_parse(text, ns))
        return true;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0) || seconds > 1e10)
        return false;
    *ns = (int64_t)(seconds * 1e9 + 0.5);
    return true;
}

static bool read_tokens(const char *text, int64_t *tokens)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > UINT32_MAX - 1)
        return false;
    *tokens = value;
    return true;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n\"");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n\"", text[length - 1]) != NULL)
        length--;
    text[length] = '\0';
    return text;
}

/* Columns of a CSV file, from 0; -1: not there. */
struct columns {
    int at;
    int tokens;
};

static bool read_header(char *line, struct columns *columns)
{
    *columns = (struct columns){.at = -1, .tokens = -1};
    int column = 0;
    char *rest = line;
    char *cell;
    while ((cell = strsep(&rest, ",")) != NULL) {
        const char *name = trim(cell);
        if (strcmp(name, "at") == 0)
            columns->at = column;
        if (strcmp(name, "tokens") == 0)
            columns->tokens = column;
        column++;
    }
    return columns->at >= 0;
}

static bool read_row(char *line, const struct columns *columns, int64_t *at_ns, int64_t *tokens)
{
    bool has_at = false;
    int column = 0;
    char *rest = line;
    char *cell;
    *tokens = -1;
    while ((cell = strsep(&rest, ",")) != NULL) {
        const char *text = trim(cell);
        if (column == columns->at) {
            if (!read_seconds(text, at_ns))
                return false;
            has_at = true;
        }
        if (column == columns->tokens && text[0] != '\0' && !read_tokens(text, tokens))
            return false;
        column++;
    }
    return has_at;
}

static bool read_rows(struct trace *trace, FILE *stream, const char *path, struct error *error)
{
    char *line = NULL;
    size_t size = 0;
    unsigned long number = 0;
    bool is_right = true;
    struct columns columns = {.at = -1};
    while (is_right && getline(&line, &size, stream) >= 0) {
        char place[512];
        int64_t at_ns = 0;
        int64_t tokens = -1;
        snprintf(place, sizeof place, "%s:%lu", path, ++number);
        if (number == 1) {
            if (!read_header(line, &columns))
                is_right = error_set(error, place, "wanted a header line with a column \"at\"");
            continue;
        }
        if (strspn(line, " \t\r\n") == strlen(line))
            continue;
        if (!read_row(line, &columns, &at_ns, &tokens))
            is_right = error_set(error, place,
                                 "wanted seconds or a duration in column \"at\", and in \"tokens\" "
                                 "a whole number");
        else if (!add(trace, at_ns, tokens, 0))
            is_right = error_set_run(error, place, "out of memory, or more than %d calls",
                                     ARRIVALS_TRACE_MAX);
    }
    if (is_right && ferror(stream))
        is_right = error_set_run(error, path, "%s", strerror(errno));
    free(line);
    return is_right;
}

bool arrivals_read_trace(struct arrivals_settings *settings, const char *path, struct error *error)
{
    struct trace trace = {0};
    size_t length = strlen(path);
    bool is_journal = length > 6 && strcmp(path + length - 6, ".jsonl") == 0;
    bool is_read = false;
    if (is_journal) {
        is_read = journal_lines_read(path, take_line, &trace, error);
    } else {
        FILE *stream = fopen(path, "re");
        if (stream == NULL)
            return error_set(error, path, "%s", strerror(errno));
        is_read = read_rows(&trace, stream, path, error);
        fclose(stream);
    }
    is_read = is_read && settle(settings, &trace, path, error);
    free(trace.seen);
    return is_read;
}

double arrivals_trace_rate(const struct arrivals_settings *settings)
{
    return (double)settings->record_count * 1e9 / (double)settings->span_ns;
}

/* --- making arrivals -------------------------------------------------------------------------- */

void arrivals_init(struct arrivals *arrivals, const struct arrivals_settings *settings, double rate)
{
    assert(rate > 0);
    *arrivals = (struct arrivals){.settings = settings, .rate = rate};
    if (settings->kind == ARRIVALS_BURSTS)
        arrivals->burst_at_ns = -settings->every_ns;
}

/* Times beyond any run are all the same to it. */
static int64_t whole_ns(double ns)
{
    return ns < 9e18 ? (int64_t)ns : INT64_MAX;
}

static struct arrival next_poisson(struct arrivals *arrivals, double rate, struct random *random)
{
    arrivals->next_ns += random_exponential(random) * 1e9 / rate;
    return (struct arrival){.at_ns = whole_ns(arrivals->next_ns), .tokens = -1};
}

static struct arrival next_of_burst(struct arrivals *arrivals)
{
    const struct arrivals_settings *settings = arrivals->settings;
    while (arrivals->burst_left == 0) {
        double share = arrivals->rate * (double)settings->every_ns * 1e-9 + arrivals->burst_debt;
        arrivals->burst_left = (int64_t)share;
        arrivals->burst_debt = share - (double)arrivals->burst_left;
        if (arrivals->burst_at_ns > INT64_MAX - settings->every_ns)
            return (struct arrival){.at_ns = INT64_MAX, .tokens = -1};
        arrivals->burst_at_ns += settings->every_ns;
    }
    arrivals->burst_left--;
    return (struct arrival){.at_ns = arrivals->burst_at_ns, .tokens = -1};
}

/* The weight in force at a time, linear between the middles of the hours. */
static double weight_at(const struct arrivals_settings *settings, double at_ns)
{
    double days = at_ns / (double)settings->day_ns;
    double hour = (days - floor(days)) * ARRIVALS_HOURS - 0.5;
    if (hour < 0)
        hour += ARRIVALS_HOURS;
    int before = (int)hour;
    double share = hour - before;
    return settings->weights[before % ARRIVALS_HOURS] * (1 - share) +
           settings->weights[(before + 1) % ARRIVALS_HOURS] * share;
}

/* Thinning (Lewis and Shedler, 1979): arrivals at the highest rate, of which each stays with the
 * chance that the rate at its time gives. */
static struct arrival next_diurnal(struct arrivals *arrivals, struct random *random)
{
    double most = 0;
    for (int i = 0; i < ARRIVALS_HOURS; i++) {
        if (arrivals->settings->weights[i] > most)
            most = arrivals->settings->weights[i];
    }
    struct arrival arrival;
    do
        arrival = next_poisson(arrivals, arrivals->rate * most, random);
    while (random_unit(random) * most >= weight_at(arrivals->settings, arrivals->next_ns) &&
           arrival.at_ns < INT64_MAX);
    return arrival;
}

static struct arrival next_of_trace(struct arrivals *arrivals)
{
    const struct arrivals_settings *settings = arrivals->settings;
    if (arrivals->record == settings->record_count) {
        arrivals->record = 0;
        arrivals->next_ns += (double)settings->span_ns;
    }
    const struct arrivals_record *record = &settings->records[arrivals->record++];
    double factor = arrivals_trace_rate(settings) / arrivals->rate;
    return (struct arrival){.at_ns = whole_ns((arrivals->next_ns + (double)record->at_ns) * factor),
                            .tokens = record->tokens};
}

struct arrival arrivals_next(struct arrivals *arrivals, struct random *random)
{
    switch (arrivals->settings->kind) {
    case ARRIVALS_POISSON:
        break;
    case ARRIVALS_BURSTS:
        return next_of_burst(arrivals);
    case ARRIVALS_DIURNAL:
        return next_diurnal(arrivals, random);
    case ARRIVALS_TRACE:
        return next_of_trace(arrivals);
    }
    return next_poisson(arrivals, arrivals->rate, random);
}
