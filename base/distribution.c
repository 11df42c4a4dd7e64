#include "base/distribution.h"

#include "base/duration.h"
#include "base/portable_math.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Amounts are cut here: a draw beyond is an answer that nobody waits for. */
#define AMOUNT_MAX DURATION_NS_MAX

void distribution_free(struct distribution *distribution)
{
    free(distribution->samples);
    *distribution = (struct distribution){0};
}

struct distribution distribution_constant(int64_t amount)
{
    return (struct distribution){
        .kind = DISTRIBUTION_CONSTANT, .low = amount, .high = amount, .mean = (double)amount};
}

struct distribution distribution_uniform(int64_t low, int64_t high)
{
    return (struct distribution){.kind = DISTRIBUTION_UNIFORM,
                                 .low = low,
                                 .high = high,
                                 .mean = ((double)low + (double)high) / 2};
}

struct distribution distribution_exponential(double mean)
{
    return (struct distribution){
        .kind = DISTRIBUTION_EXPONENTIAL, .high = AMOUNT_MAX, .mean = mean};
}

struct distribution distribution_log_normal(double mean, double sigma)
{
    return (struct distribution){.kind = DISTRIBUTION_LOG_NORMAL,
                                 .high = AMOUNT_MAX,
                                 .mean = mean,
                                 .sigma = sigma,
                                 .mu = portable_log(mean) - sigma * sigma / 2};
}

static int compare_amounts(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return (*x > *y) - (*x < *y);
}

struct distribution distribution_measured(int64_t *samples, size_t count)
{
    assert(count > 0);
    qsort(samples, count, sizeof *samples, compare_amounts);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)samples[i];
    return (struct distribution){.kind = DISTRIBUTION_MEASURED,
                                 .low = samples[0],
                                 .high = samples[count - 1],
                                 .mean = sum / (double)count,
                                 .samples = samples,
                                 .sample_count = count};
}

double random_exponential(struct random *random)
{
    /* 1 - u lies in (0, 1] */
    return -portable_log(1.0 - random_unit(random));
}

/* The polar method of Marsaglia; its second number is not kept, so that a draw depends on nothing
 * but the stream. */
double random_normal(struct random *random)
{
    double x;
    double square;
    do {
        x = 2.0 * random_unit(random) - 1.0;
        double y = 2.0 * random_unit(random) - 1.0;
        square = x * x + y * y;
    } while (square >= 1.0 || square < 1e-300);
    return x * sqrt(-2.0 * portable_log(square) / square);
}

static int64_t cut(const struct distribution *distribution, double amount)
{
    if (amount >= (double)distribution->high)
        return distribution->high;
    int64_t whole = (int64_t)(amount + 0.5);
    return whole > distribution->low ? whole : distribution->low;
}

int64_t distribution_draw(const struct distribution *distribution, struct random *random)
{
    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
        break;
    case DISTRIBUTION_UNIFORM:
        return distribution->low +
               (int64_t)random_below(random,
                                     (uint64_t)(distribution->high - distribution->low) + 1);
    case DISTRIBUTION_EXPONENTIAL:
        return cut(distribution, distribution->mean * random_exponential(random));
    case DISTRIBUTION_LOG_NORMAL:
        return cut(distribution,
                   portable_exp(distribution->mu + distribution->sigma * random_normal(random)));
    case DISTRIBUTION_MEASURED:
        return distribution->samples[random_below(random, distribution->sample_count)];
    }
    return distribution->low;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct amount_reader {
    const struct json_reader *reader;
    bool is_time;
    int64_t low;
    int64_t high;
};

/* Reads a member, which must be there. */
static bool read_amount(const struct amount_reader *amounts, const cJSON *object,
                        const char *pointer, const char *name, int64_t *amount)
{
    char place[JSON_POINTER_SIZE];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    json_pointer_member(place, pointer, name);
    if (!amounts->is_time) {
        if (item == NULL)
            return json_wrong(amounts->reader, place, NULL, "a whole number");
        return json_read_whole(amounts->reader, object, pointer, name, amounts->low, amounts->high,
                               amount);
    }
    int64_t ns = -1;
    if (!json_read_duration(amounts->reader, object, pointer, name, &ns))
        return false;
    if (ns >= amounts->low && ns <= amounts->high) {
        *amount = ns;
        return true;
    }
    char low[DURATION_TEXT_SIZE];
    char high[DURATION_TEXT_SIZE];
    return json_wrong(amounts->reader, place, item, "a duration from %s to %s",
                      duration_text(amounts->low, low), duration_text(amounts->high, high));
}

static bool read_uniform(const struct amount_reader *amounts, const cJSON *object,
                         const char *pointer, struct distribution *distribution)
{
    int64_t low = 0;
    int64_t high = 0;
    if (!read_amount(amounts, object, pointer, "low", &low))
        return false;
    struct amount_reader above = *amounts;
    above.low = low;
    if (!read_amount(&above, object, pointer, "high", &high))
        return false;
    *distribution = distribution_uniform(low, high);
    return true;
}

static bool read_samples(const struct amount_reader *amounts, const cJSON *object,
                         const char *pointer, struct distribution *distribution)
{
    char place[JSON_POINTER_SIZE];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "samples");
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    json_pointer_member(place, pointer, "samples");
    if (count == 0)
        return json_wrong(amounts->reader, place, list, "a list of amounts, not an empty one");
    int64_t *samples = malloc((size_t)count * sizeof *samples);
    if (samples == NULL)
        return error_set_run(amounts->reader->error, amounts->reader->file, "out of memory");
    size_t index = 0;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char item_place[JSON_POINTER_SIZE];
        int64_t amount = -1;
        bool is_read = false;
        if (amounts->is_time)
            is_read = cJSON_IsString(item) && duration_parse(item->valuestring, &amount);
        else if (cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) &&
                 fabs(item->valuedouble) <= (double)amounts->high) {
            amount = (int64_t)item->valuedouble;
            is_read = true;
        }
        if (!is_read || amount < amounts->low || amount > amounts->high) {
            free(samples);
            return json_wrong(amounts->reader, json_pointer_item(item_place, place, index), item,
                              amounts->is_time ? "a duration" : "a whole number");
        }
        samples[index++] = amount;
    }
    *distribution = distribution_measured(samples, index);
    return true;
}

static bool read_object(const struct amount_reader *amounts, const cJSON *object,
                        const char *pointer, struct distribution *distribution)
{
    static const char *const kinds[] = {"constant",   "uniform",  "exponential",
                                        "log-normal", "measured", NULL};
    static const char *const known[][4] = {
        {"kind", "value", NULL},         {"kind", "low", "high", NULL}, {"kind", "mean", NULL},
        {"kind", "mean", "sigma", NULL}, {"kind", "samples", NULL},
    };
    char place[JSON_POINTER_SIZE];
    int kind = -1;
    if (!json_read_word(amounts->reader, object, pointer, "kind", kinds, &kind))
        return false;
    if (kind < 0)
        return json_wrong(amounts->reader, json_pointer_member(place, pointer, "kind"), NULL,
                          "\"constant\", \"uniform\", \"exponential\", \"log-normal\" or "
                          "\"measured\"");
    if (!json_known_members(amounts->reader, object, pointer, known[kind]))
        return false;
    int64_t amount = 0;
    double sigma = 0.5;
    switch ((enum distribution_kind)kind) {
    case DISTRIBUTION_CONSTANT:
        if (!read_amount(amounts, object, pointer, "value", &amount))
            return false;
        *distribution = distribution_constant(amount);
        return true;
    case DISTRIBUTION_UNIFORM:
        return read_uniform(amounts, object, pointer, distribution);
    case DISTRIBUTION_MEASURED:
        return read_samples(amounts, object, pointer, distribution);
    case DISTRIBUTION_EXPONENTIAL:
    case DISTRIBUTION_LOG_NORMAL:
        break;
    }
    struct amount_reader above_zero = *amounts;
    above_zero.low = amounts->low > 0 ? amounts->low : 1;
    if (!read_amount(&above_zero, object, pointer, "mean", &amount) ||
        !json_read_number(amounts->reader, object, pointer, "sigma", 0, 5, &sigma))
        return false;
    *distribution = kind == DISTRIBUTION_EXPONENTIAL
                        ? distribution_exponential((double)amount)
                        : distribution_log_normal((double)amount, sigma);
    distribution->low = amounts->low;
    distribution->high = amounts->high;
    return true;
}

bool distribution_read(const struct json_reader *reader, const cJSON *object, const char *pointer,
                       const char *name, bool is_time, int64_t low, int64_t high,
                       struct distribution *distribution)
{
    const struct amount_reader amounts = {
        .reader = reader, .is_time = is_time, .low = low, .high = high};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    struct distribution read = {0};
    char place[JSON_POINTER_SIZE];
    if (cJSON_IsObject(item)) {
        if (!read_object(&amounts, item, json_pointer_member(place, pointer, name), &read))
            return false;
    } else {
        int64_t amount = 0;
        if (!read_amount(&amounts, object, pointer, name, &amount))
            return false;
        read = distribution_constant(amount);
    }
    distribution_free(distribution);
    *distribution = read;
    return true;
}
