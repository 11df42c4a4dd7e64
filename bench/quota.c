/* What an admission decision costs: finding the pool of (key, model) and asking it in three
 * dimensions, with 10,000 pools and with 10 million, at random among them.
 *
 *     build/bench_quota [SEED [POOLS...]]
 *
 * Prints nanoseconds of CPU time a decision, the smallest and the median of nine rounds, the memory
 * that a pool takes, and what the machine takes for the same reads alone, the smallest of nine
 * rounds: one of 8 bytes at random from as many places as there are pools, as far apart; and
 * two, of a table as large as that of the pools and then of the place that it names. The ratio to
 * two says on any machine how much is the code's own. Needs 3 GB, or 300 bytes for each of POOLS.
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
#include <unistd.h>

enum { ROUNDS = 9, DECISIONS = 1000000, MODELS = 20, KEY_SIZE = 56 };

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

/* As the pools are: in huge pages. */
static void *allocate(size_t size)
{
    size_t huge = (size_t)2 * 1024 * 1024;
    void *memory = aligned_alloc(huge, (size + huge - 1) / huge * huge);
    if (memory == NULL)
        fail("out of memory");
    madvise(memory, size, MADV_HUGEPAGE);
    memset(memory, 0, size);
    return memory;
}

/* How large the table of so many pools is: at most half full. */
static size_t slot_count(size_t pools)
{
    size_t slots = 64;
    while (slots < 2 * pools)
        slots *= 2;
    return slots;
}

/* What is only read. The places hold 0, so `sum` stays 0; but each read has to wait for the one
 * before. */
struct reads {
    uint64_t *slots; /* numbers of places, at random */
    char *places;
};

static uint64_t read_one(const struct reads *reads, uint64_t number, uint64_t sum)
{
    uint64_t word;
    memcpy(&word, reads->places + (number ^ sum) * sizeof(struct pool), sizeof word);
    return word;
}

static uint64_t read_two(const struct reads *reads, uint64_t number, uint64_t sum)
{
    return read_one(reads, reads->slots[number ^ sum], sum);
}

/* At random among the first `count`. */
static double time_reads(const struct reads *reads, size_t count,
                         uint64_t (*read)(const struct reads *, uint64_t number, uint64_t sum),
                         struct random *random)
{
    uint64_t *numbers = allocate(DECISIONS * sizeof *numbers);
    double smallest = 1e9;
    uint64_t sum = 0;
    for (size_t i = 0; i < DECISIONS; i++)
        numbers[i] = random_below(random, count);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = cpu_ns();
        for (size_t i = 0; i < DECISIONS; i++)
            sum += read(reads, numbers[i], sum);
        double each = (double)(cpu_ns() - start_ns) / DECISIONS;
        smallest = each < smallest ? each : smallest;
    }
    if (sum != 0)
        fail("memory is not as it was left");
    free(numbers);
    return smallest;
}

struct bare {
    double one_ns;
    double two_ns;
};

static struct bare measure_reads(size_t pools, struct random *random)
{
    size_t slots = slot_count(pools);
    struct reads reads = {.slots = allocate(slots * sizeof *reads.slots),
                          .places = allocate(pools * sizeof(struct pool))};
    for (size_t i = 0; i < slots; i++)
        reads.slots[i] = random_below(random, pools);
    struct bare bare = {.one_ns = time_reads(&reads, pools, read_one, random),
                        .two_ns = time_reads(&reads, slots, read_two, random)};
    free(reads.places);
    free(reads.slots);
    return bare;
}

static double resident_bytes(void)
{
    char line[256];
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        fail("/proc/self/statm");
    fclose(file);
    /* "TOTAL RESIDENT ...", in pages */
    char *resident = line;
    (void)strtoll(line, &resident, 10);
    return (double)strtoll(resident, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static void measure(size_t count, struct random *random)
{
    struct bare bare = measure_reads(count, random);
    double before_bytes = resident_bytes();
    struct pools *pools = pools_new();
    struct request *requests = calloc(DECISIONS, sizeof *requests);
    static char models[MODELS][POOLS_MODEL_SIZE];
    struct quota_limits limits;
    quota_limits_init(&limits);
    limits.refused_count = true;
    limits.limit[QUOTA_REQUESTS_PER_MINUTE] = 500;
    limits.limit[QUOTA_REQUESTS_PER_DAY] = 10000;
    limits.limit[QUOTA_TOKENS_PER_MINUTE] = 30000;
    if (pools == NULL || requests == NULL)
        fail("out of memory");
    pools_set_initial(pools, &limits);
    if (!pools_set_limits(pools, POOLS_SET_UP, "*", &limits, 0))
        fail("out of memory");
    pools_allow(pools, count + MODELS);
    for (int i = 0; i < MODELS; i++)
        snprintf(models[i], sizeof models[i], "gpt-4o-mini-variant-%d", i);
    for (size_t i = 0; i < count; i++) {
        char key[KEY_SIZE];
        write_key(key, i / MODELS);
        if (pools_get(pools, key, models[i % MODELS], 0) == NULL)
            fail("out of memory");
    }
    double pool_bytes = (resident_bytes() - before_bytes) / (double)count;
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
    printf("%10zu pools: %6.1f ns smallest, %6.1f ns median; one read %5.1f ns, two %5.1f ns, "
           "ratio to two %4.2f; %.0f bytes a pool; %.0f %% admitted\n",
           count, each[0], each[ROUNDS / 2], bare.one_ns, bare.two_ns, each[0] / bare.two_ns,
           pool_bytes, 100.0 * (double)admitted / ROUNDS / DECISIONS);
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
