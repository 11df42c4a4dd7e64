/* distribution: random amounts (times in ns, sizes in tokens) that are the same on every machine.
 *
 *     "800ms"                                        always the same
 *     {"kind": "uniform", "low": "1s", "high": "2s"}
 *     {"kind": "exponential", "mean": "800ms"}
 *     {"kind": "log-normal", "mean": "800ms", "sigma": 0.5}
 *     {"kind": "measured", "samples": ["1s", "2s"]}  each as likely as the others
 *
 * (of sizes: numbers in place of durations.) Draws use only operations that IEEE 754 rounds in one
 * way (+ - * / and square root) and no mathematical library, whose last digits differ: the same
 * seed gives the same amounts whatever the compiler.
 */
#ifndef TOOMANY_BASE_DISTRIBUTION_H
#define TOOMANY_BASE_DISTRIBUTION_H

#include "base/json.h"
#include "base/random.h"

#include <stddef.h>
#include <stdint.h>

enum distribution_kind {
    DISTRIBUTION_CONSTANT,
    DISTRIBUTION_UNIFORM,
    DISTRIBUTION_EXPONENTIAL,
    DISTRIBUTION_LOG_NORMAL,
    DISTRIBUTION_MEASURED,
};

enum { DISTRIBUTION_SAMPLES_MAX = 10000000 };

struct distribution {
    enum distribution_kind kind;
    int64_t low;      /* uniform; drawn amounts are never below it (0, or 1 for sizes) */
    int64_t high;     /* uniform; others: amounts are cut to it */
    double mean;      /* of all kinds */
    double sigma;     /* log-normal: standard deviation of the logarithm */
    double mu;        /* log-normal: mean of the logarithm, from the two above */
    int64_t *samples; /* measured: owned, ascending */
    size_t sample_count;
};

/* Frees what it owns. */
void distribution_free(struct distribution *distribution);

struct distribution distribution_constant(int64_t amount);
struct distribution distribution_uniform(int64_t low, int64_t high);
struct distribution distribution_exponential(double mean);
struct distribution distribution_log_normal(double mean, double sigma);
/* Takes `samples` (from malloc) over and sorts it; count > 0. */
struct distribution distribution_measured(int64_t *samples, size_t count);

/* A draw. */
int64_t distribution_draw(const struct distribution *distribution, struct random *random);

/* Standard exponential (mean 1) and standard normal. */
double random_exponential(struct random *random);
double random_normal(struct random *random);

/* Reads member `name`: a duration when `is_time`, else a whole number, or an object as above. Left
 * alone when absent. `low` and `high` bound what may stand in the file. "measured" with a
 * "journal" is the caller's: it is refused here. */
bool distribution_read(const struct json_reader *reader, const cJSON *object, const char *pointer,
                       const char *name, bool is_time, int64_t low, int64_t high,
                       struct distribution *distribution);

#endif
