#include "lab/service.h"

#include "lab/journal_lines.h"

#include <stdlib.h>

struct samples {
    int64_t *amounts;
    size_t count;
    size_t capacity;
    bool is_time;
};

static int64_t within(int64_t amount, int64_t low, int64_t high)
{
    return amount < low ? low : amount > high ? high : amount;
}

static bool take(void *owner, const struct journal_line *line)
{
    struct samples *samples = owner;
    if (line->status != 200 || line->answered_ns < line->arrived_ns || line->tokens < 1)
        return true;
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity == 0 ? 1024 : samples->capacity * 2;
        int64_t *larger = samples->count < DISTRIBUTION_SAMPLES_MAX
                              ? realloc(samples->amounts, capacity * sizeof *larger)
                              : NULL;
        if (larger == NULL)
            return false;
        samples->amounts = larger;
        samples->capacity = capacity;
    }
    samples->amounts[samples->count++] =
        samples->is_time
            ? within(line->answered_ns - line->arrived_ns, SERVICE_NS_MIN, SERVICE_NS_MAX)
            : within(line->tokens, 1, SERVICE_TOKENS_MAX);
    return true;
}

static bool measure(struct distribution *distribution, const char *path, bool is_time,
                    struct error *error)
{
    struct samples samples = {.is_time = is_time};
    bool is_read = journal_lines_read(path, take, &samples, error);
    if (is_read && samples.count == 0)
        is_read = error_set(error, path, "no request to a model was served with 200 in it");
    if (!is_read) {
        free(samples.amounts);
        return false;
    }
    *distribution = distribution_measured(samples.amounts, samples.count);
    return true;
}

bool service_times_of_journal(struct distribution *times, const char *path, struct error *error)
{
    return measure(times, path, true, error);
}

bool service_tokens_of_journal(struct distribution *tokens, const char *path, struct error *error)
{
    return measure(tokens, path, false, error);
}
