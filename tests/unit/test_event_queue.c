#include "lab/event_queue.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* The slow model: a list in the order of coming; the first of the least times is next. */
struct model {
    struct event *events;
    size_t count;
};

static void model_put(struct model *model, struct event event)
{
    model->events[model->count++] = event;
}

static struct event model_take(struct model *model)
{
    size_t first = 0;
    for (size_t i = 1; i < model->count; i++) {
        if (model->events[i].at_ns < model->events[first].at_ns)
            first = i;
    }
    struct event event = model->events[first];
    model->count--;
    for (size_t i = first; i < model->count; i++)
        model->events[i] = model->events[i + 1];
    return event;
}

static void assert_takes(struct event_queue *queue, struct event expected)
{
    struct event event;
    assert_true(event_queue_take(queue, &event));
    assert_int_equal(event.at_ns, expected.at_ns);
    assert_int_equal(event.who, expected.who);
    assert_int_equal(event.what, expected.what);
}

static void gives_nothing_when_empty(void **state)
{
    (void)state;
    struct event_queue *queue = event_queue_new();
    struct event event;
    assert_false(event_queue_take(queue, &event));
    assert_true(event_queue_put(queue, (struct event){.at_ns = 0, .who = 7, .what = 1}));
    assert_int_equal(event_queue_count(queue), 1);
    assert_takes(queue, (struct event){.at_ns = 0, .who = 7, .what = 1});
    assert_false(event_queue_take(queue, &event));
    event_queue_free(queue);
}

static void keeps_the_order_of_coming_in_one_nanosecond(void **state)
{
    (void)state;
    struct event_queue *queue = event_queue_new();
    enum { COUNT = 100000 };
    for (uint32_t i = 0; i < COUNT; i++)
        assert_true(event_queue_put(queue, (struct event){.at_ns = 1234567, .who = i}));
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_takes(queue, (struct event){.at_ns = 1234567, .who = i});
        /* What comes for this very moment is after all that came before. */
        if (i % 1000 == 0)
            assert_true(event_queue_put(queue, (struct event){.at_ns = 1234567, .who = COUNT + i}));
    }
    for (uint32_t i = 0; i < COUNT; i += 1000)
        assert_takes(queue, (struct event){.at_ns = 1234567, .who = COUNT + i});
    event_queue_free(queue);
}

/* So many of so few times that neither the next byte nor a few steps put them in order. */
static void keeps_the_order_of_coming_when_many_share_few_times(void **state)
{
    (void)state;
    struct event_queue *queue = event_queue_new();
    enum { COUNT = 300, TIMES = 3 };
    for (uint32_t i = 0; i < COUNT; i++) {
        int64_t at_ns = (INT64_C(1) << 20) + i * 7 % TIMES;
        assert_true(event_queue_put(queue, (struct event){.at_ns = at_ns, .who = i}));
    }
    for (int64_t time = 0; time < TIMES; time++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            if (i * 7 % TIMES == time)
                assert_takes(queue, (struct event){.at_ns = (INT64_C(1) << 20) + time, .who = i});
        }
    }
    event_queue_free(queue);
}

static void takes_the_farthest_times(void **state)
{
    (void)state;
    struct event_queue *queue = event_queue_new();
    assert_true(event_queue_put(queue, (struct event){.at_ns = INT64_MAX - 1, .who = 1}));
    assert_true(event_queue_put(queue, (struct event){.at_ns = 5, .who = 2}));
    assert_takes(queue, (struct event){.at_ns = 5, .who = 2});
    assert_takes(queue, (struct event){.at_ns = INT64_MAX - 1, .who = 1});
    event_queue_free(queue);
}

/* Delays that make ties, long gaps, and much of the same at once. */
static int64_t draw_delay(struct random *random, unsigned mode)
{
    switch (random_below(random, 4) + mode % 2) {
    case 0:
        return 0;
    case 1:
        return (int64_t)random_below(random, 4);
    case 2:
        return (int64_t)(random_below(random, 300) << random_below(random, 30));
    case 3:
        return INT64_C(1000000) * (int64_t)random_below(random, 5);
    default:
        return (int64_t)random_below(random, UINT64_C(1) << random_below(random, 50));
    }
}

static void behaves_as_the_slow_model_does(void **state)
{
    (void)state;
    struct model model = {.events = calloc(3000, sizeof(struct event))};
    for (unsigned round = 0; round < 200; round++) {
        struct event_queue *queue = event_queue_new();
        struct random random;
        random_seed(&random, 20260000 + round, 0);
        size_t most = 1 + random_below(&random, round % 4 == 0 ? 2000 : 300);
        int64_t now_ns = 0;
        uint32_t next = 0;
        for (unsigned step = 0; step < 3000; step++) {
            bool puts = model.count == 0 || (model.count < most && random_below(&random, 100) < 52);
            if (puts) {
                struct event event = {
                    .at_ns = now_ns + draw_delay(&random, round), .who = next++, .what = step};
                model_put(&model, event);
                assert_true(event_queue_put(queue, event));
            } else {
                struct event event = model_take(&model);
                assert_takes(queue, event);
                now_ns = event.at_ns;
            }
            assert_int_equal(event_queue_count(queue), model.count);
        }
        while (model.count > 0)
            assert_takes(queue, model_take(&model));
        event_queue_free(queue);
    }
    free(model.events);
}

/* The queue looks now and then how dense the events are, and changes its buckets by it; herds in
 * one bucket make it change them at once. */
static void keeps_its_order_while_the_density_changes(void **state)
{
    (void)state;
    enum { WAITING_MOST = 1000, HERD = 900, STEPS = 60000 };
    struct model model = {.events = calloc(WAITING_MOST + HERD, sizeof(struct event))};
    for (unsigned spacing = 2; spacing < 34; spacing += 5) {
        size_t waiting = spacing == 7 ? WAITING_MOST : 200;
        struct event_queue *queue = event_queue_new();
        struct random random;
        random_seed(&random, 20270000 + spacing, 0);
        int64_t now_ns = 0;
        uint32_t next = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            /* Another density in each quarter, and ties. */
            unsigned shift = (spacing + step / (STEPS / 4) * 3) % 40;
            bool is_herd = step % (STEPS / 4) == STEPS / 5;
            size_t most = is_herd ? waiting + HERD : waiting;
            while (model.count < most) {
                int64_t delay_ns = (int64_t)random_below(&random, UINT64_C(1) << shift);
                if (is_herd)
                    delay_ns = (INT64_C(1) << shift) + delay_ns % 3;
                struct event event = {.at_ns = now_ns + delay_ns, .who = next++, .what = step};
                model_put(&model, event);
                assert_true(event_queue_put(queue, event));
            }
            const struct event event = model_take(&model);
            assert_takes(queue, event);
            now_ns = event.at_ns;
        }
        while (model.count > 0)
            assert_takes(queue, model_take(&model));
        event_queue_free(queue);
    }
    free(model.events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_nothing_when_empty),
        cmocka_unit_test(keeps_the_order_of_coming_in_one_nanosecond),
        cmocka_unit_test(keeps_the_order_of_coming_when_many_share_few_times),
        cmocka_unit_test(takes_the_farthest_times),
        cmocka_unit_test(behaves_as_the_slow_model_does),
        cmocka_unit_test(keeps_its_order_while_the_density_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
