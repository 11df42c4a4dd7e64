#include "mockserver/quota_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

enum { LOG_CAPACITY_START = 8, LOG_STEPS = 60000 };

/* A ring of what was taken when; totals run from the pool's start, so that what is used between
 * two entries is a difference. */
struct quota_log {
    int64_t expired; /* total of what has come back */
    size_t first;
    size_t count;
    size_t capacity; /* a power of two */
    struct quota_taken {
        int64_t at_ns;
        int64_t total; /* up to and with this entry */
    } entries[];
};

static struct quota_taken *log_entry(struct quota_log *log, size_t index)
{
    return &log->entries[(log->first + index) & (log->capacity - 1)];
}

static const struct quota_taken *log_entry_const(const struct quota_log *log, size_t index)
{
    return &log->entries[(log->first + index) & (log->capacity - 1)];
}

/* The index of the first entry that has not come back at now_ns. */
static size_t log_first_alive(const struct quota_log *log, int64_t window_ns, int64_t now_ns)
{
    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log_entry_const(log, middle)->at_ns <= now_ns - window_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t log_total(const struct quota_log *log)
{
    return log->count > 0 ? log_entry_const(log, log->count - 1)->total : log->expired;
}

int64_t quota_log_used(const struct quota_log *log, int64_t window_ns, int64_t now_ns)
{
    if (log == NULL)
        return 0;
    size_t alive = log_first_alive(log, window_ns, now_ns);
    int64_t expired = alive > 0 ? log_entry_const(log, alive - 1)->total : log->expired;
    return log_total(log) - expired;
}

void quota_log_expire(struct quota_log *log, int64_t window_ns, int64_t now_ns)
{
    while (log != NULL && log->count > 0 && log_entry(log, 0)->at_ns <= now_ns - window_ns) {
        log->expired = log_entry(log, 0)->total;
        log->first = (log->first + 1) & (log->capacity - 1);
        log->count--;
    }
}

static struct quota_log *log_grow(struct quota_log *log)
{
    size_t capacity = log != NULL ? 2 * log->capacity : LOG_CAPACITY_START;
    struct quota_log *grown = malloc(sizeof *grown + capacity * sizeof grown->entries[0]);
    if (grown == NULL)
        return NULL;
    *grown = (struct quota_log){.capacity = capacity};
    if (log != NULL) {
        grown->expired = log->expired;
        grown->count = log->count;
        for (size_t i = 0; i < log->count; i++)
            grown->entries[i] = *log_entry(log, i);
        free(log);
    }
    return grown;
}

void quota_log_take(struct quota_log **log, int64_t window_ns, int64_t now_ns, int64_t cost)
{
    int64_t step_ns = window_ns / LOG_STEPS;
    int64_t at_ns = (now_ns + step_ns - 1) / step_ns * step_ns;
    bool is_full = *log == NULL || (*log)->count == (*log)->capacity;
    struct quota_taken *last =
        *log != NULL && (*log)->count > 0 ? log_entry(*log, (*log)->count - 1) : NULL;
    if (last != NULL && last->at_ns == at_ns) {
        last->total += cost;
        return;
    }
    struct quota_log *grown = is_full ? log_grow(*log) : *log;
    if (grown == NULL) {
        /* Out of memory: better late than too much. */
        if (last != NULL) {
            last->at_ns = at_ns;
            last->total += cost;
        }
        return;
    }
    *log = grown;
    int64_t total = log_total(grown) + cost;
    grown->count++;
    *log_entry(grown, grown->count - 1) = (struct quota_taken){at_ns, total};
}

void quota_log_give_back(struct quota_log *log, int64_t amount)
{
    while (log != NULL && log->count > 0 && amount > 0) {
        struct quota_taken *last = log_entry(log, log->count - 1);
        int64_t before = log->count > 1 ? log_entry(log, log->count - 2)->total : log->expired;
        if (last->total - before > amount) {
            last->total -= amount;
            return;
        }
        amount -= last->total - before;
        log->count--;
    }
}

int64_t quota_log_wait(const struct quota_log *log, int64_t window_ns, int64_t now_ns,
                       int64_t needed)
{
    size_t low = 0;
    size_t high = log->count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log_entry_const(log, middle)->total - log->expired >= needed)
            high = middle;
        else
            low = middle + 1;
    }
    return log_entry_const(log, low)->at_ns + window_ns - now_ns;
}

int64_t quota_log_kept(const struct quota_log *log)
{
    return log != NULL ? log_total(log) - log->expired : 0;
}

int64_t quota_log_last_ns(const struct quota_log *log)
{
    return log_entry_const(log, log->count - 1)->at_ns;
}
