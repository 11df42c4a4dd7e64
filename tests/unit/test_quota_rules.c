/* Each enforcement against a slow, obvious model, over a million random steps: quota.h holds
 * levels, ends and totals; the model holds lists and moments, and looks for a wait instead of
 * computing it. The seed is printed, and is drawn anew for each run; TOOMANY_TEST_SEED sets it. */
#include "base/duration.h"
#include "base/random.h"
#include "mockserver/quota.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

__extension__ typedef __int128 wide;

enum { STEPS = 1000000, STEPS_A_POOL = 400, TAKEN_MAX = 4000 };

struct taken {
    int64_t at_ns;
    int64_t amount;
};

struct model_dimension {
    /* continuous: the moment at which nothing would be used any more, times the limit (the generic
     * cell rate algorithm); a plain count without a window */
    wide empty;
    /* the others: what was taken and has not come back */
    struct taken taken[TAKEN_MAX];
    size_t count;
};

struct model {
    struct quota_limits limits;
    struct model_dimension dimensions[QUOTA_DIMENSION_COUNT];
};

static int64_t window_of(int i)
{
    return quota_dimension_window_ns((enum quota_dimension)i);
}

static enum quota_enforcement rule_of(const struct model *model, int i)
{
    if (window_of(i) == 0 ||
        (model->limits.enforcement == QUOTA_PER_SECOND && window_of(i) == NS_PER_DAY))
        return QUOTA_CONTINUOUS;
    return model->limits.enforcement;
}

static int64_t cost_of(int i, const struct quota_cost *cost)
{
    if (quota_dimension_counts_tokens((enum quota_dimension)i))
        return cost->tokens;
    return i == QUOTA_IMAGES_PER_MINUTE ? cost->images : cost->requests;
}

static wide wide_max(wide a, wide b)
{
    return a > b ? a : b;
}

static int64_t sum(const struct model_dimension *dimension)
{
    int64_t total = 0;
    for (size_t i = 0; i < dimension->count; i++)
        total += dimension->taken[i].amount;
    return total;
}

/* Per second: 60 a minute and more in seconds, less in longer pieces with one each. */
static int64_t piece_ns(const struct model *model, int i)
{
    int64_t limit = model->limits.limit[i];
    if (rule_of(model, i) == QUOTA_FIXED_WINDOW || limit == 0)
        return window_of(i);
    return limit >= 60 ? NS_PER_S : (60 * NS_PER_S + limit - 1) / limit;
}

static int64_t piece_share(const struct model *model, int i)
{
    int64_t limit = model->limits.limit[i];
    if (rule_of(model, i) == QUOTA_FIXED_WINDOW)
        return limit;
    return limit >= 60 ? limit / 60 : limit > 0 ? 1 : 0;
}

/* When a list that is not empty has come back, at least in part. */
static int64_t next_return(const struct model *model, int i)
{
    const struct model_dimension *dimension = &model->dimensions[i];
    int64_t first_ns = dimension->taken[0].at_ns;
    if (rule_of(model, i) == QUOTA_SLIDING_WINDOW) {
        int64_t step_ns = window_of(i) / 60000;
        int64_t rest_ns = first_ns % step_ns;
        return first_ns + (rest_ns > 0 ? step_ns - rest_ns : 0) + window_of(i);
    }
    int64_t pieces = 1;
    int64_t share = piece_share(model, i);
    if (rule_of(model, i) == QUOTA_PER_SECOND && share > 0) {
        while (pieces * share < sum(dimension) && pieces < 120)
            pieces++;
    }
    return first_ns + pieces * piece_ns(model, i);
}

static void drop_returned(struct model *model, int i, int64_t now_ns)
{
    struct model_dimension *dimension = &model->dimensions[i];
    while (dimension->count > 0 && next_return(model, i) <= now_ns) {
        size_t dropped = rule_of(model, i) == QUOTA_SLIDING_WINDOW ? 1 : dimension->count;
        dimension->count -= dropped;
        memmove(dimension->taken, dimension->taken + dropped,
                dimension->count * sizeof dimension->taken[0]);
    }
}

static bool fits(const struct model *model, int i, int64_t now_ns, int64_t cost)
{
    int64_t limit = model->limits.limit[i];
    const struct model_dimension *dimension = &model->dimensions[i];
    if (limit < 0 || (i == QUOTA_IMAGES_PER_MINUTE && cost == 0))
        return true;
    if (window_of(i) == 0)
        return dimension->empty + cost <= limit;
    if (rule_of(model, i) == QUOTA_CONTINUOUS) {
        wide start = (wide)now_ns * limit;
        return wide_max(dimension->empty, start) + (wide)cost * window_of(i) <=
               start + (wide)window_of(i) * limit;
    }
    static struct model later;
    later.limits = model->limits;
    later.dimensions[i].count = dimension->count;
    memcpy(later.dimensions[i].taken, dimension->taken,
           dimension->count * sizeof dimension->taken[0]);
    drop_returned(&later, i, now_ns);
    int64_t used = sum(&later.dimensions[i]);
    if (rule_of(model, i) == QUOTA_SLIDING_WINDOW)
        return used + cost <= limit;
    return used == 0 ? cost <= limit : used + cost <= piece_share(model, i);
}

/* The first moment at which it fits, by trying: halves between one at which it does not and one at
 * which it does. */
static int64_t search_wait(const struct model *model, int i, int64_t now_ns, int64_t cost)
{
    if (window_of(i) == 0 || cost > model->limits.limit[i] || model->limits.limit[i] == 0)
        return -1;
    int64_t refused_ns = 0;
    int64_t fits_ns = 1;
    while (!fits(model, i, now_ns + fits_ns, cost))
        fits_ns *= 2;
    while (fits_ns - refused_ns > 1) {
        int64_t middle_ns = refused_ns + (fits_ns - refused_ns) / 2;
        if (fits(model, i, now_ns + middle_ns, cost))
            fits_ns = middle_ns;
        else
            refused_ns = middle_ns;
    }
    return fits_ns;
}

/* Which refusal is told, by the order in the header: the plan, what waiting never cures, the
 * longest wait, a full house. Returns -1 when it is admitted. */
static int stopped_by(const struct model *model, int64_t now_ns, const struct quota_cost *cost,
                      int64_t *wait_ns)
{
    int stopped = -1;
    int64_t gravity_most = -1;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (fits(model, i, now_ns, cost_of(i, cost)))
            continue;
        int64_t wait = search_wait(model, i, now_ns, cost_of(i, cost));
        int64_t gravity = i == QUOTA_REQUESTS_TOTAL        ? INT64_MAX
                          : i == QUOTA_CONCURRENT_REQUESTS ? 0
                          : wait < 0                       ? INT64_MAX - 1
                                                           : wait;
        if (gravity > gravity_most) {
            gravity_most = gravity;
            stopped = i;
            *wait_ns = wait;
        }
    }
    return stopped;
}

static void take(struct model *model, int i, int64_t now_ns, int64_t cost)
{
    struct model_dimension *dimension = &model->dimensions[i];
    if (window_of(i) == 0) {
        dimension->empty += cost;
    } else if (model->limits.limit[i] >= 0 && rule_of(model, i) == QUOTA_CONTINUOUS) {
        dimension->empty = wide_max(dimension->empty, (wide)now_ns * model->limits.limit[i]) +
                           (wide)cost * window_of(i);
    } else if (model->limits.limit[i] >= 0 && cost > 0) {
        assert_true(dimension->count < TAKEN_MAX);
        dimension->taken[dimension->count++] = (struct taken){now_ns, cost};
    }
}

static void take_refused(struct model *model, int64_t now_ns)
{
    for (int i = QUOTA_REQUESTS_PER_MINUTE; i <= QUOTA_REQUESTS_PER_DAY; i++) {
        int64_t limit = model->limits.limit[i];
        if (fits(model, i, now_ns, 1))
            take(model, i, now_ns, 1);
        else if (rule_of(model, i) == QUOTA_CONTINUOUS)
            model->dimensions[i].empty = wide_max(
                model->dimensions[i].empty, (wide)now_ns * limit + (wide)window_of(i) * limit);
    }
}

static void give_back(struct model *model, int i, int64_t now_ns, int64_t taken_ns, int64_t amount)
{
    struct model_dimension *dimension = &model->dimensions[i];
    if (rule_of(model, i) == QUOTA_CONTINUOUS) {
        wide now = (wide)now_ns * model->limits.limit[i];
        dimension->empty = wide_max(dimension->empty - (wide)amount * window_of(i), now);
        return;
    }
    if (dimension->count == 0 ||
        (rule_of(model, i) == QUOTA_SLIDING_WINDOW ? taken_ns + window_of(i) <= now_ns
                                                   : taken_ns < dimension->taken[0].at_ns))
        return;
    for (; amount > 0 && dimension->count > 0; amount--) {
        struct taken *last = &dimension->taken[dimension->count - 1];
        if (--last->amount == 0)
            dimension->count--;
    }
}

static void change(struct model *model, const struct quota_limits *limits, int64_t now_ns)
{
    struct model before = {.limits = model->limits};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        struct model_dimension *dimension = &model->dimensions[i];
        if (window_of(i) == 0)
            continue;
        wide used =
            wide_max(dimension->empty - (wide)now_ns * wide_max(model->limits.limit[i], 0), 0);
        model->limits = *limits;
        bool is_kept = before.limits.limit[i] >= 0 && limits->limit[i] >= 0 &&
                       rule_of(model, i) == rule_of(&before, i);
        if (!is_kept) {
            dimension->count = 0;
            used = 0;
        }
        dimension->empty = used + (wide)now_ns * wide_max(limits->limit[i], 0);
        model->limits = before.limits;
    }
    model->limits = *limits;
}

static void draw_limits(struct random *random, enum quota_enforcement enforcement,
                        struct quota_limits *limits)
{
    static const int64_t requests[] = {-1, -1, 1, 3, 7, 60, 90, 500};
    static const int64_t tokens[] = {-1, -1, 0, 45, 999, 30000, 150000};
    static const int64_t house[] = {-1, -1, 0, 1, 2, 5, 50};
    limits->limit[QUOTA_REQUESTS_PER_MINUTE] = requests[random_below(random, 8)];
    limits->limit[QUOTA_REQUESTS_PER_DAY] = requests[random_below(random, 8)];
    limits->limit[QUOTA_TOKENS_PER_MINUTE] = tokens[random_below(random, 7)];
    limits->limit[QUOTA_TOKENS_PER_DAY] = tokens[random_below(random, 7)];
    limits->limit[QUOTA_IMAGES_PER_MINUTE] = requests[random_below(random, 8)];
    limits->limit[QUOTA_CONCURRENT_REQUESTS] = house[random_below(random, 7)];
    limits->limit[QUOTA_REQUESTS_TOTAL] =
        random_below(random, 4) == 0 ? (int64_t)random_below(random, 300) : -1;
    limits->enforcement = enforcement;
    limits->refused_count = random_below(random, 2) == 0;
}

static int64_t draw_pause(struct random *random, int64_t wait_ns)
{
    switch (random_below(random, 7)) {
    case 0:
        return 0;
    case 1:
        return (int64_t)random_below(random, 100);
    case 2:
        return (int64_t)random_below(random, 3 * (uint64_t)NS_PER_S);
    case 3:
    case 4:
        return wait_ns > 0 ? wait_ns : 0;
    case 5:
        return wait_ns > 0 ? wait_ns - 1 : 1;
    default:
        return (int64_t)random_below(random, 20 * (uint64_t)NS_PER_S);
    }
}

static int64_t model_used(const struct model *model, int i, int64_t now_ns, bool up)
{
    const struct model_dimension *dimension = &model->dimensions[i];
    if (window_of(i) == 0)
        return (int64_t)dimension->empty;
    if (rule_of(model, i) != QUOTA_CONTINUOUS)
        return sum(dimension);
    wide level = wide_max(dimension->empty - (wide)now_ns * model->limits.limit[i], 0);
    wide window_ns = window_of(i);
    return (int64_t)(up ? (level + window_ns - 1) / window_ns
                        : (level + window_ns / 2) / window_ns);
}

/* What headers say: after `reset` nothing is used any more, and a nanosecond before something is.
 */
static void check_headers(const struct quota_pool *pool, const struct model *model, int64_t now_ns)
{
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        enum quota_dimension dimension = (enum quota_dimension)i;
        if (model->limits.limit[i] < 0)
            continue;
        int64_t used = model_used(model, i, now_ns, true);
        assert_int_equal(quota_used(pool, dimension, now_ns), used);
        int64_t limit = model->limits.limit[i];
        if (rule_of(model, i) == QUOTA_PER_SECOND)
            limit = piece_share(model, i);
        assert_int_equal(quota_remaining(pool, dimension, now_ns), used < limit ? limit - used : 0);
        if (window_of(i) == 0 || limit == 0)
            continue;
        int64_t reset_ns = quota_reset(pool, dimension, now_ns);
        assert_int_equal(reset_ns > 0, used > 0);
        assert_int_equal(quota_used(pool, dimension, now_ns + reset_ns), 0);
        if (reset_ns > 0)
            assert_true(quota_used(pool, dimension, now_ns + reset_ns - 1) > 0);
    }
}

struct run {
    struct random random;
    struct quota_limits limits[2]; /* of the pool, in turns */
    int turn;
    struct quota_pool pool;
    struct model model;
    int64_t now_ns;
    int64_t wait_ns;
    int64_t in_flight;
    struct quota_cost cost;
    int64_t taken_ns; /* the last admission, that may be settled */
    int64_t charged;
    int64_t admitted;
    int64_t admitted_after_wait;
    int64_t stopped[QUOTA_DIMENSION_COUNT];
};

static void new_pool(struct run *run, enum quota_enforcement enforcement)
{
    quota_free(&run->pool);
    run->now_ns = (int64_t)random_below(&run->random, (uint64_t)NS_PER_DAY);
    draw_limits(&run->random, enforcement, &run->limits[run->turn]);
    quota_init(&run->pool, &run->limits[run->turn], run->now_ns);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        run->model.dimensions[i].count = 0;
        run->model.dimensions[i].empty = 0;
    }
    run->model.limits = run->limits[run->turn];
    run->in_flight = 0;
    run->wait_ns = 0;
    run->charged = 0;
    run->taken_ns = -1;
}

static void drop_all_returned(struct run *run)
{
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (rule_of(&run->model, i) != QUOTA_CONTINUOUS && run->model.limits.limit[i] >= 0)
            drop_returned(&run->model, i, run->now_ns);
    }
}

static void pass_time(struct run *run, enum quota_enforcement enforcement)
{
    run->now_ns += draw_pause(&run->random, run->wait_ns);
    drop_all_returned(run);
    if (random_below(&run->random, 100) == 0) {
        run->turn = 1 - run->turn;
        /* At times with another enforcement, and back with the next pool. */
        if (random_below(&run->random, 4) == 0)
            enforcement =
                (enum quota_enforcement)random_below(&run->random, QUOTA_ENFORCEMENT_COUNT);
        draw_limits(&run->random, enforcement, &run->limits[run->turn]);
        quota_change(&run->pool, &run->limits[run->turn], run->now_ns);
        change(&run->model, &run->limits[run->turn], run->now_ns);
        drop_all_returned(run); /* a second may be shorter now */
        run->wait_ns = 0;
    }
    if (run->in_flight > 0 && random_below(&run->random, 3) == 0) {
        quota_finish(&run->pool);
        run->model.dimensions[QUOTA_CONCURRENT_REQUESTS].empty--;
        run->in_flight--;
    }
    assert_int_equal(quota_in_flight(&run->pool), run->in_flight);
}

static void settle(struct run *run)
{
    int64_t actual = (int64_t)random_below(&run->random, 2 * (uint64_t)run->charged + 10);
    quota_settle(&run->pool, run->now_ns, run->taken_ns, run->charged, actual);
    for (int i = QUOTA_TOKENS_PER_MINUTE; i <= QUOTA_TOKENS_PER_DAY; i++) {
        if (run->model.limits.limit[i] < 0)
            continue;
        if (actual > run->charged)
            take(&run->model, i, run->now_ns, actual - run->charged);
        else
            give_back(&run->model, i, run->now_ns, run->taken_ns, run->charged - actual);
    }
    drop_all_returned(run); /* who has taken seconds in advance may owe fewer */
    run->taken_ns = -1;
    run->wait_ns = 0;
}

static void ask(struct run *run, int step)
{
    struct model *model = &run->model;
    int64_t model_wait_ns = 0;
    /* Who was refused comes again with the same cost, half of the time. */
    bool is_same = run->wait_ns > 0 && random_below(&run->random, 2) == 0;
    if (!is_same)
        run->cost = (struct quota_cost){
            .requests = 1,
            .tokens =
                (int64_t)random_below(&run->random, random_below(&run->random, 2) ? 50 : 40000),
            .images = (int64_t)random_below(&run->random, 4) / 2,
        };
    int stopped = stopped_by(model, run->now_ns, &run->cost, &model_wait_ns);
    if (stopped >= 0 && model->limits.refused_count) {
        take_refused(model, run->now_ns);
        stopped = stopped_by(model, run->now_ns, &run->cost, &model_wait_ns);
    }
    struct quota_answer answer = quota_admit_cost(&run->pool, run->now_ns, &run->cost);
    if (answer.admitted != (stopped < 0))
        fail_msg("step %d: admitted %d, the model says %d", step, answer.admitted, stopped);
    if (answer.admitted) {
        for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
            take(model, i, run->now_ns, cost_of(i, &run->cost));
        run->in_flight++;
        run->admitted++;
        run->admitted_after_wait += is_same;
        run->taken_ns = run->now_ns;
        run->charged = run->cost.tokens;
        run->wait_ns = 0;
        return;
    }
    run->stopped[stopped]++;
    run->wait_ns = answer.wait_ns;
    assert_int_equal(answer.stopped_by, stopped);
    assert_int_equal(answer.wait_ns, model_wait_ns);
    assert_int_equal(answer.limit, model->limits.limit[stopped]);
    assert_int_equal(answer.used, model_used(model, stopped, run->now_ns, false));
    assert_int_equal(answer.requested, cost_of(stopped, &run->cost));
    assert_int_equal(answer.too_large,
                     quota_dimension_counts_tokens((enum quota_dimension)stopped) &&
                         run->cost.tokens > model->limits.limit[stopped]);
}

static void agrees_with_the_model(enum quota_enforcement enforcement)
{
    static struct run run;
    const char *given = getenv("TOOMANY_TEST_SEED");
    const char *asked = getenv("TOOMANY_TEST_STEPS");
    int steps = asked != NULL ? atoi(asked) : STEPS;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec;
    print_message("%s: TOOMANY_TEST_SEED=%" PRIu64 "\n", quota_enforcement_names[enforcement],
                  seed);
    memset(&run, 0, sizeof run);
    random_seed(&run.random, seed, (uint64_t)enforcement);
    static struct quota_limits none;
    quota_limits_init(&none);
    quota_init(&run.pool, &none, 0);
    for (int step = 0; step < steps; step++) {
        if (step % STEPS_A_POOL == 0)
            new_pool(&run, enforcement);
        pass_time(&run, enforcement);
        if (run.taken_ns >= 0 && random_below(&run.random, 5) == 0)
            settle(&run);
        ask(&run, step);
        if (step % 16 == 0)
            check_headers(&run.pool, &run.model, run.now_ns);
    }
    quota_free(&run.pool);
    /* Every part of it was exercised. */
    assert_true(run.admitted > steps / 20);
    assert_true(run.admitted_after_wait > steps / 1000);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        assert_true(run.stopped[i] > steps / 2000);
}

static void continuous(void **state)
{
    (void)state;
    agrees_with_the_model(QUOTA_CONTINUOUS);
}

static void fixed_window(void **state)
{
    (void)state;
    agrees_with_the_model(QUOTA_FIXED_WINDOW);
}

static void sliding_window(void **state)
{
    (void)state;
    agrees_with_the_model(QUOTA_SLIDING_WINDOW);
}

static void per_second(void **state)
{
    (void)state;
    agrees_with_the_model(QUOTA_PER_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continuous),
        cmocka_unit_test(fixed_window),
        cmocka_unit_test(sliding_window),
        cmocka_unit_test(per_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
