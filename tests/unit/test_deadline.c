#include "clock/deadline.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void ignore(void *owner, int64_t now_ns)
{
    (void)owner;
    (void)now_ns;
}

static void the_earliest_is_first(void **state)
{
    (void)state;
    struct deadlines deadlines;
    deadlines_init(&deadlines);
    assert_null(deadlines_first(&deadlines));
    struct deadline late = {.fire = ignore};
    struct deadline early = {.fire = ignore};
    assert_true(deadlines_set(&deadlines, &late, 20));
    assert_true(deadlines_set(&deadlines, &early, 10));
    assert_ptr_equal(deadlines_first(&deadlines), &early);
    deadlines_cancel(&deadlines, &early);
    assert_ptr_equal(deadlines_first(&deadlines), &late);
    deadlines_cancel(&deadlines, &early); /* not in: nothing happens */
    deadlines_cancel(&deadlines, &late);
    assert_null(deadlines_first(&deadlines));
    deadlines_free(&deadlines);
}

static void a_set_one_moves(void **state)
{
    (void)state;
    struct deadlines deadlines;
    deadlines_init(&deadlines);
    struct deadline a = {.fire = ignore};
    struct deadline b = {.fire = ignore};
    deadlines_set(&deadlines, &a, 10);
    deadlines_set(&deadlines, &b, 20);
    deadlines_set(&deadlines, &a, 30);
    assert_int_equal(deadlines.count, 2);
    assert_ptr_equal(deadlines_first(&deadlines), &b);
    deadlines_free(&deadlines);
}

static void equal_ones_come_in_the_order_in_which_they_were_set(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static struct deadline items[COUNT];
    struct deadlines deadlines;
    deadlines_init(&deadlines);
    for (int i = 0; i < COUNT; i++) {
        items[i] = (struct deadline){.fire = ignore};
        deadlines_set(&deadlines, &items[i], 7);
    }
    deadlines_set(&deadlines, &items[0], 7); /* set again: now the last */
    for (int i = 1; i <= COUNT; i++) {
        struct deadline *first = deadlines_first(&deadlines);
        assert_ptr_equal(first, &items[i % COUNT]);
        deadlines_cancel(&deadlines, first);
    }
    assert_null(deadlines_first(&deadlines));
    deadlines_free(&deadlines);
}

/* The slow, obvious model: a table of times and orders, searched from end to end. */
enum { MODEL_COUNT = 300 };

struct model {
    bool is_set[MODEL_COUNT];
    int64_t at_ns[MODEL_COUNT];
    uint64_t order[MODEL_COUNT];
    uint64_t order_next;
};

static int model_first(const struct model *model)
{
    int first = -1;
    for (int i = 0; i < MODEL_COUNT; i++) {
        if (!model->is_set[i])
            continue;
        if (first < 0 || model->at_ns[i] < model->at_ns[first] ||
            (model->at_ns[i] == model->at_ns[first] && model->order[i] < model->order[first]))
            first = i;
    }
    return first;
}

static void agrees_with_the_model_over_random_operations(void **state)
{
    (void)state;
    static struct deadline items[MODEL_COUNT];
    static struct model model;
    struct deadlines deadlines;
    deadlines_init(&deadlines);
    for (int i = 0; i < MODEL_COUNT; i++)
        items[i] = (struct deadline){.fire = ignore};
    struct random random;
    random_seed(&random, 2026, 1);
    for (int step = 0; step < 200000; step++) {
        int i = (int)random_below(&random, MODEL_COUNT);
        uint64_t kind = random_below(&random, 10);
        /* Phases of growth and of shrinking, few different times so that many are equal. */
        bool grows = step / 2000 % 2 == 0;
        if (kind < (grows ? 7 : 2)) {
            int64_t at_ns = (int64_t)random_below(&random, 50) - 10;
            assert_true(deadlines_set(&deadlines, &items[i], at_ns));
            model.is_set[i] = true;
            model.at_ns[i] = at_ns;
            model.order[i] = model.order_next++;
        } else if (kind < 9) {
            deadlines_cancel(&deadlines, &items[i]);
            model.is_set[i] = false;
        } else {
            int first = model_first(&model);
            if (first >= 0) {
                deadlines_cancel(&deadlines, &items[first]);
                model.is_set[first] = false;
            }
        }
        int first = model_first(&model);
        assert_ptr_equal(deadlines_first(&deadlines), first < 0 ? NULL : &items[first]);
        assert_int_equal(items[i].position != 0, model.is_set[i]);
    }
    deadlines_free(&deadlines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_is_first),
        cmocka_unit_test(a_set_one_moves),
        cmocka_unit_test(equal_ones_come_in_the_order_in_which_they_were_set),
        cmocka_unit_test(agrees_with_the_model_over_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
