#include "mockserver/metrics.h"

#include "base/duration.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* From a refusal (well under a millisecond) to a slow model. */
static const int64_t bucket_ns[] = {
    NS_PER_MS,       5 * NS_PER_MS,   10 * NS_PER_MS,  25 * NS_PER_MS, 50 * NS_PER_MS,
    100 * NS_PER_MS, 250 * NS_PER_MS, 500 * NS_PER_MS, NS_PER_S,       5 * NS_PER_S / 2,
    5 * NS_PER_S,    10 * NS_PER_S,   30 * NS_PER_S,   60 * NS_PER_S,
};

enum {
    BUCKET_COUNT = sizeof bucket_ns / sizeof bucket_ns[0],
    SERIES_MAX =
        10000, /* of a thread: a client that sends random models must not fill the memory */
};

struct series_id {
    char model[96];
    char code[48];
    int status;
    int decision;
};

struct series {
    struct series_id id;
    uint64_t count;
    UT_hash_handle hh;
};

/* Each observation is in one bucket; the text adds them up. */
struct histogram {
    uint64_t buckets[BUCKET_COUNT + 1]; /* the last one has no end */
    int64_t sum_ns;
};

struct metrics {
    struct series *series;
    struct series *last; /* that was counted: most requests are like the one before */
    uint64_t throttled[QUOTA_DIMENSION_COUNT];
    struct histogram durations;
    struct histogram first_bytes;
    uint64_t retries;
    uint64_t abandoned;
    uint64_t tokens;
    uint64_t uncounted;   /* requests whose series had no room */
    struct metrics *next; /* part of the same whole, or NULL */
};

struct metrics *metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

struct metrics *metrics_new_part(struct metrics *whole)
{
    struct metrics *part = metrics_new();
    if (part == NULL)
        return NULL;
    part->next = whole->next;
    whole->next = part;
    return part;
}

static void forget(struct metrics *metrics)
{
    struct series *series;
    struct series *next;
    HASH_ITER (hh, metrics->series, series, next) {
        HASH_DEL(metrics->series, series);
        free(series);
    }
    *metrics = (struct metrics){.next = metrics->next};
}

void metrics_reset(struct metrics *metrics)
{
    for (; metrics != NULL; metrics = metrics->next)
        forget(metrics);
}

void metrics_free(struct metrics *metrics)
{
    while (metrics != NULL) {
        struct metrics *next = metrics->next;
        forget(metrics);
        free(metrics);
        metrics = next;
    }
}

static bool is_of(const struct series *series, const struct journal_entry *entry)
{
    const struct series_id *id = &series->id;
    return id->status == entry->status && id->decision == (int)entry->decision &&
           strcmp(id->model, entry->model) == 0 && strcmp(id->code, entry->code) == 0;
}

/* Those that have no room beside `most` others are counted together. */
static void add_series(struct metrics *metrics, const struct series_id *id, uint64_t count,
                       unsigned int most)
{
    struct series *series = NULL;
    HASH_FIND(hh, metrics->series, id, sizeof *id, series);
    if (series == NULL && HASH_COUNT(metrics->series) < most) {
        series = calloc(1, sizeof *series);
        if (series != NULL) {
            series->id = *id;
            HASH_ADD(hh, metrics->series, id, sizeof series->id, series);
        }
    }
    metrics->last = series;
    if (series != NULL)
        series->count += count;
    else
        metrics->uncounted += count;
}

static void count_series(struct metrics *metrics, const struct journal_entry *entry)
{
    if (metrics->last != NULL && is_of(metrics->last, entry)) {
        metrics->last->count++;
        return;
    }
    struct series_id id;
    memset(&id, 0, sizeof id); /* hashed whole */
    snprintf(id.model, sizeof id.model, "%s", entry->model);
    snprintf(id.code, sizeof id.code, "%s", entry->code);
    id.status = entry->status;
    id.decision = (int)entry->decision;
    add_series(metrics, &id, 1, SERIES_MAX);
}

static void observe(struct histogram *histogram, int64_t ns)
{
    int i = 0;
    while (i < BUCKET_COUNT && ns > bucket_ns[i])
        i++;
    histogram->buckets[i]++;
    histogram->sum_ns += ns;
}

void metrics_count(struct metrics *metrics, const struct journal_entry *entry)
{
    count_series(metrics, entry);
    if (entry->decision == JOURNAL_THROTTLED)
        metrics->throttled[entry->limit]++;
    if (entry->decision == JOURNAL_SERVED)
        metrics->tokens += (uint64_t)entry->tokens;
    metrics->retries += entry->retry_count > 0;
    metrics->abandoned += entry->abandoned;
    observe(&metrics->durations, entry->answered_ns - entry->arrived_ns);
    if (entry->first_byte_ns >= entry->arrived_ns)
        observe(&metrics->first_bytes, entry->first_byte_ns - entry->arrived_ns);
}

static void add_histogram(struct histogram *sum, const struct histogram *histogram)
{
    for (int i = 0; i <= BUCKET_COUNT; i++)
        sum->buckets[i] += histogram->buckets[i];
    sum->sum_ns += histogram->sum_ns;
}

static void add_up(struct metrics *sum, const struct metrics *part)
{
    for (const struct series *series = part->series; series != NULL; series = series->hh.next)
        add_series(sum, &series->id, series->count, UINT_MAX);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        sum->throttled[i] += part->throttled[i];
    add_histogram(&sum->durations, &part->durations);
    add_histogram(&sum->first_bytes, &part->first_bytes);
    sum->retries += part->retries;
    sum->abandoned += part->abandoned;
    sum->tokens += part->tokens;
    sum->uncounted += part->uncounted;
}

/* Prometheus' escapes in a label's value: backslash, quote, line feed. */
static void write_label(FILE *stream, const char *name, const char *value, const char *before)
{
    fprintf(stream, "%s%s=\"", before, name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            fputs("\\n", stream);
        else if (*value == '"' || *value == '\\')
            fprintf(stream, "\\%c", *value);
        else
            fputc(*value, stream);
    }
    fputc('"', stream);
}

static void write_head(FILE *stream, const char *name, const char *type, const char *help)
{
    fprintf(stream, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_requests(const struct metrics *metrics, FILE *stream)
{
    write_head(stream, "toomany_requests_total", "counter", "Requests answered.");
    for (const struct series *series = metrics->series; series != NULL; series = series->hh.next) {
        fputs("toomany_requests_total{", stream);
        write_label(stream, "model", series->id.model, "");
        fprintf(stream, ",status=\"%d\"", series->id.status);
        write_label(stream, "code", series->id.code, ",");
        write_label(stream, "decision",
                    journal_decision_name((enum journal_decision)series->id.decision), ",");
        fprintf(stream, "} %" PRIu64 "\n", series->count);
    }
    write_head(stream, "toomany_throttled_total", "counter",
               "Requests refused with 429 by a limit, by the limit.");
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        fprintf(stream, "toomany_throttled_total{limit=\"%s\"} %" PRIu64 "\n",
                quota_dimension_name((enum quota_dimension)i), metrics->throttled[i]);
    write_head(stream, "toomany_tokens_total", "counter", "Estimated tokens of requests served.");
    fprintf(stream, "toomany_tokens_total %" PRIu64 "\n", metrics->tokens);
}

static void write_histogram(const struct histogram *histogram, FILE *stream, const char *name,
                            const char *help)
{
    uint64_t count = 0;
    write_head(stream, name, "histogram", help);
    for (int i = 0; i < BUCKET_COUNT; i++) {
        count += histogram->buckets[i];
        fprintf(stream, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                (double)bucket_ns[i] / (double)NS_PER_S, count);
    }
    count += histogram->buckets[BUCKET_COUNT];
    fprintf(stream, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    fprintf(stream, "%s_sum %" PRId64 ".%09" PRId64 "\n", name, histogram->sum_ns / NS_PER_S,
            histogram->sum_ns % NS_PER_S);
    fprintf(stream, "%s_count %" PRIu64 "\n", name, count);
}

static void write_number(FILE *stream, const char *name, const char *type, uint64_t value,
                         const char *help)
{
    write_head(stream, name, type, help);
    fprintf(stream, "%s %" PRIu64 "\n", name, value);
}

struct gauge {
    FILE *stream;
    const char *name;
    int64_t (*value)(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns);
    int64_t now_ns;
};

static void write_pool(void *owner, const struct pool *pool)
{
    const struct gauge *gauge = owner;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (pool->quota.limits->limit[i] == QUOTA_UNLIMITED)
            continue;
        enum quota_dimension dimension = (enum quota_dimension)i;
        fprintf(gauge->stream, "%s{", gauge->name);
        write_label(gauge->stream, "model", pool->model, "");
        write_label(gauge->stream, "key_tail", pool->key_tail, ",");
        fprintf(gauge->stream, ",dimension=\"%s\"} %" PRId64 "\n", quota_dimension_name(dimension),
                gauge->value(&pool->quota, dimension, gauge->now_ns));
    }
}

static int64_t limit_of(const struct quota_pool *pool, enum quota_dimension dimension,
                        int64_t now_ns)
{
    (void)now_ns;
    return pool->limits->limit[dimension];
}

static int64_t peak_of(const struct quota_pool *pool, enum quota_dimension dimension,
                       int64_t now_ns)
{
    (void)now_ns;
    return quota_peak(pool, dimension);
}

static void write_pools(const struct pools *pools, FILE *stream, int64_t now_ns)
{
    static const struct {
        const char *name;
        const char *help;
        int64_t (*value)(const struct quota_pool *, enum quota_dimension, int64_t);
    } gauges[] = {
        {"toomany_quota_limit", "The limit of a quota pool.", limit_of},
        {"toomany_quota_used", "What is used of a quota pool now.", quota_used},
        {"toomany_quota_peak", "The most that was used of a quota pool.", peak_of},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        write_head(stream, gauges[i].name, "gauge", gauges[i].help);
        struct gauge gauge = {stream, gauges[i].name, gauges[i].value, now_ns};
        pools_each(pools, write_pool, &gauge);
    }
}

static void write_all(const struct metrics *metrics, const struct metrics_now *now, FILE *stream)
{
    write_head(stream, "toomany_build_info", "gauge", "Always 1; the version is the label.");
    fprintf(stream, "toomany_build_info{version=\"%s\"} 1\n", TOOMANY_VERSION);
    write_requests(metrics, stream);
    write_number(stream, "toomany_retries_total", "counter", metrics->retries,
                 "Requests whose client says that they are a retry.");
    write_number(stream, "toomany_abandoned_total", "counter", metrics->abandoned,
                 "Requests whose client went away before it had the whole answer.");
    write_histogram(&metrics->durations, stream, "toomany_request_duration_seconds",
                    "From the arrival of a request to the end of its answer.");
    write_histogram(&metrics->first_bytes, stream, "toomany_first_byte_seconds",
                    "From the arrival of a request to the beginning of its answer.");
    write_number(stream, "toomany_in_flight", "gauge", (uint64_t)now->in_flight,
                 "Requests that are being answered now.");
    write_number(stream, "toomany_connections_open", "gauge", (uint64_t)now->connections_open,
                 "Connections that are open now.");
    write_number(stream, "toomany_connections_total", "counter", now->connections_total,
                 "Connections that were accepted.");
    write_pools(now->pools, stream, now->now_ns);
    write_number(stream, "toomany_journal_lost_total", "counter", journal_lost(now->journal),
                 "Journal entries dropped because the journal was full.");
    write_number(stream, "toomany_uncounted_total", "counter", metrics->uncounted,
                 "Requests left out of toomany_requests_total for too many different labels.");
}

char *metrics_text(const struct metrics *metrics, const struct metrics_now *now)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return NULL;
    struct metrics sum = {0};
    for (const struct metrics *part = metrics; part != NULL; part = part->next)
        add_up(&sum, part);
    write_all(&sum, now, stream);
    forget(&sum);
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}
