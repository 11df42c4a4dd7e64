/* What an admission decision costs: finding the pool of (key, model) and asking it in three
 * dimensions, with 10,000 pools and with 10 million, at random among them.
 *
 *     build/bench_quota [SEED [POOLS...]]
 *
 * Prints nanoseconds of CPU time a decision, the smallest and the median of nine rounds, and the
 * ratio to a bare look-up: one read of 8 bytes at random from as many places as there are pools,
 * 256 bytes apart. The ratio says on any machine how much is the code's own. Needs 5 GB, or 512
 * bytes for each of POOLS.
 */
#include "base/duration.h"
#include "base/random.h"
#include "mockserver/pools.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROUNDS = 9, DECISIONS = 1000000, MODELS = 20, KEY_SIZE = 56, STEP = 256 };

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* A project key's length; the digits are spread over it. */
static void write_key(char key[KEY_SIZE], size_t number)
{
    static const char digits[] = "0123456789abcdef";
    memset(key, 'x', KEY_SIZE - 1);
    memcpy(key, "sk-proj-", 8);
    for (size_t i = 0; i < 8; i++)
        key[KEY_SIZE - 10 + i] = digits[number >> (4 * i) & 15];
    key[KEY_SIZE - 1] = '\0';
}

struct request {
    char key[KEY_SIZE];
    unsigned int model;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_quota: %s\n", what);
    exit(1);
}

static double bare_look_up(size_t pools, struct random *random)
{
    /* As the pools are: in huge pages. */
    size_t size = pools * STEP;
    size_t huge = (size_t)2 * 1024 * 1024;
    char *memory = aligned_alloc(huge, (size + huge - 1) / huge * huge);
    size_t *places = calloc(DECISIONS, sizeof *places);
    if (memory == NULL || places == NULL)
        fail("out of memory");
    madvise(memory, size, MADV_HUGEPAGE);
    memset(memory, 1, size);
    for (size_t i = 0; i < DECISIONS; i++)
        places[i] = random_below(random, pools) * STEP;
    double smallest = 1e9;
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = cpu_ns();
        for (size_t i = 0; i < DECISIONS; i++) {
            uint64_t word;
            /* Each place depends on the word before, so that the reads do not overlap. */
            memcpy(&word, memory + (places[i] ^ (sum & 8)), sizeof word);
            sum += word;
        }
        double each = (double)(cpu_ns() - start_ns) / DECISIONS;
        smallest = each < smallest ? each : smallest;
    }
    if (sum == 0)
        puts("");
    free(places);
    free(memory);
    return smallest;
}

static void measure(size_t count, struct random *random)
{
    double bare_ns = bare_look_up(count, random);
    struct pools *pools = pools_new();
    struct request *requests = calloc(DECISIONS, sizeof *requests);
    static char models[MODELS][POOLS_MODEL_SIZE];
    struct quota_limits limits;
    quota_limits_init(&limits);
    limits.refused_count = true;
    limits.limit[QUOTA_REQUESTS_PER_MINUTE] = 500;
    limits.limit[QUOTA_REQUESTS_PER_DAY] = 10000;
    limits.limit[QUOTA_TOKENS_PER_MINUTE] = 30000;
    if (pools == NULL || requests == NULL || !pools_set_limits(pools, "*", &limits, 0))
        fail("out of memory");
    pools_set_initial(pools, &limits);
    pools_allow(pools, count + MODELS);
    for (int i = 0; i < MODELS; i++)
        snprintf(models[i], sizeof models[i], "gpt-4o-mini-variant-%d", i);
    for (size_t i = 0; i < count; i++) {
        char key[KEY_SIZE];
        write_key(key, i / MODELS);
        if (pools_get(pools, key, models[i % MODELS], 0) == NULL)
            fail("out of memory");
    }
    for (size_t i = 0; i < DECISIONS; i++) {
        size_t pool = random_below(random, count);
        write_key(requests[i].key, pool / MODELS);
        requests[i].model = (unsigned int)(pool % MODELS);
    }
    double each[ROUNDS];
    int64_t now_ns = 0;
    int64_t admitted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = cpu_ns();
        for (size_t i = 0; i < DECISIONS; i++) {
            now_ns += 1000;
            struct pool *pool =
                pools_get(pools, requests[i].key, models[requests[i].model], now_ns);
            if (quota_admit(&pool->quota, now_ns, 31).admitted) {
                quota_finish(&pool->quota);
                admitted++;
            }
        }
        each[round] = (double)(cpu_ns() - start_ns) / DECISIONS;
    }
    qsort(each, ROUNDS, sizeof each[0], compare);
    printf("%10zu pools: %6.1f ns smallest, %6.1f ns median; bare look-up %5.1f ns, ratio %4.1f; "
           "%.0f %% admitted\n",
           count, each[0], each[ROUNDS / 2], bare_ns, each[0] / bare_ns,
           100.0 * (double)admitted / ROUNDS / DECISIONS);
    free(requests);
    pools_free(pools);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    struct random random;
    random_seed(&random, seed, 0);
    printf("seed %" PRIu64 "\n", seed);
    static const size_t counts[] = {10000, 10000000};
    for (int i = 2; i < argc; i++)
        measure(strtoull(argv[i], NULL, 10), &random);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && argc < 3; i++)
        measure(counts[i], &random);
    return 0;
}
