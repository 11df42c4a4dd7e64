#include "client/gate.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void lets_exactly_as_many_in_as_it_says(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 2};
    assert_true(gate_enter(&gate));
    assert_true(gate_enter(&gate));
    assert_false(gate_enter(&gate));
    assert_false(gate_enter(&gate));
    assert_int_equal(gate.in_flight, 2);
}

static void lets_one_in_for_one_that_leaves(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 1};
    assert_true(gate_enter(&gate));
    assert_false(gate_enter(&gate)); /* was refused, so has nothing to leave */
    gate_leave(&gate);
    assert_int_equal(gate.in_flight, 0);
    assert_true(gate_enter(&gate));
    assert_false(gate_enter(&gate));
}

static void has_no_limit_at_zero(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 0};
    for (int i = 0; i < 100000; i++)
        assert_true(gate_enter(&gate));
    assert_int_equal(gate.in_flight, 100000);
    for (int i = 0; i < 100000; i++)
        gate_leave(&gate);
    assert_int_equal(gate.in_flight, 0);
}

static void never_passes_its_limit_in_a_long_run(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 7};
    uint32_t bits = 1;
    int inside = 0;
    for (int i = 0; i < 100000; i++) {
        bits = bits * 1664525u + 1013904223u;
        if (bits >> 31) {
            bool entered = gate_enter(&gate);
            assert_int_equal(entered, inside < 7); /* neither too many nor too few */
            inside += entered ? 1 : 0;
        } else if (inside > 0) {
            gate_leave(&gate);
            inside--;
        }
        assert_int_equal(gate.in_flight, inside);
    }
}

static struct gate gate_with(struct gate_settings settings)
{
    struct gate gate;
    gate_init(&gate, &settings, 0);
    return gate;
}

static struct gate_ticket assert_goes(struct gate *gate, int64_t now_ns, int64_t tokens)
{
    struct gate_answer answer = gate_ask(gate, now_ns, tokens);
    assert_int_equal(answer.verdict, GATE_GO);
    assert_int_equal(answer.ticket.sent_ns, now_ns);
    return answer.ticket;
}

static void assert_waits_until(struct gate *gate, int64_t now_ns, int64_t tokens, int64_t until_ns)
{
    struct gate_answer answer = gate_ask(gate, now_ns, tokens);
    assert_int_equal(answer.verdict, GATE_WAIT);
    assert_int_equal(answer.until_ns, until_ns);
}

static void assert_full(struct gate *gate, int64_t now_ns)
{
    assert_int_equal(gate_ask(gate, now_ns, 1).verdict, GATE_FULL);
}

static void tell(struct gate *gate, int status, struct gate_ticket ticket, int64_t now_ns)
{
    gate_told(gate, &(struct gate_news){.status = status, .ticket = ticket}, now_ns);
}

static void an_open_gate_holds_nobody_back(void **state)
{
    (void)state;
    assert_true(gate_is_open(&(struct gate_settings){.kind = GATE_PLAIN}));
    assert_false(gate_is_open(&(struct gate_settings){.in_flight_max = 1}));
    assert_false(gate_is_open(&(struct gate_settings){.pause_ns = 1}));
    assert_false(gate_is_open(&(struct gate_settings){.kind = GATE_PACED}));
}

static void a_paced_gate_lets_a_minutes_worth_go_and_then_each_in_its_time(void **state)
{
    (void)state;
    struct gate gate =
        gate_with((struct gate_settings){.kind = GATE_PACED, .requests_per_minute = 60});
    for (int i = 0; i < 60; i++)
        assert_goes(&gate, 0, 1000000);
    assert_waits_until(&gate, 0, 1, NS_PER_S);
    assert_waits_until(&gate, NS_PER_S - 1, 1, NS_PER_S);
    assert_goes(&gate, NS_PER_S, 1);
    assert_waits_until(&gate, NS_PER_S, 1, 2 * NS_PER_S);
    assert_int_equal(gate.in_flight, 61);
}

static void a_paced_gate_counts_tokens_as_well(void **state)
{
    (void)state;
    struct gate gate = gate_with((struct gate_settings){
        .kind = GATE_PACED, .requests_per_minute = 60, .tokens_per_minute = 6000});
    assert_goes(&gate, 0, 5000);
    assert_waits_until(&gate, 0, 2000, 10 * NS_PER_S); /* 1000 tokens at 100 a second */
    assert_goes(&gate, 0, 1000);
    /* What is larger than the whole bucket goes when the bucket is full. */
    assert_waits_until(&gate, 0, 9000, NS_PER_MINUTE);
    assert_goes(&gate, NS_PER_MINUTE, 9000);
}

static void spacing_and_pause_hold_everybody(void **state)
{
    (void)state;
    struct gate gate =
        gate_with((struct gate_settings){.spacing_ns = NS_PER_MS, .pause_ns = 15 * NS_PER_S});
    struct gate_ticket ticket = assert_goes(&gate, 0, 1);
    assert_waits_until(&gate, 0, 1, NS_PER_MS);
    assert_goes(&gate, NS_PER_MS, 1);
    tell(&gate, 200, ticket, 5 * NS_PER_MS);
    assert_goes(&gate, 5 * NS_PER_MS, 1);
    tell(&gate, 429, ticket, NS_PER_S);
    assert_waits_until(&gate, NS_PER_S, 1, 16 * NS_PER_S);
    tell(&gate, 429, ticket, 2 * NS_PER_S);
    assert_waits_until(&gate, 16 * NS_PER_S, 1, 17 * NS_PER_S);
    assert_goes(&gate, 17 * NS_PER_S, 1);
}

static struct gate adaptive_gate(int start)
{
    return gate_with((struct gate_settings){
        .kind = GATE_ADAPTIVE, .in_flight_start = start, .increase = 1, .decrease = 0.5});
}

static void an_adaptive_gate_grows_by_one_for_each_round_of_answers(void **state)
{
    (void)state;
    struct gate gate = adaptive_gate(4);
    struct gate_ticket ticket = {0};
    for (int i = 0; i < 4; i++)
        ticket = assert_goes(&gate, 0, 1);
    assert_full(&gate, 0);
    for (int i = 0; i < 5; i++) { /* four at 1/4 and a bit less each, and one more */
        tell(&gate, 200, ticket, 1);
        assert_int_equal(gate.in_flight_max, i < 4 ? 4 : 5);
    }
    /* Nobody there who makes use of it. */
    for (int i = 0; i < 4; i++)
        gate_leave(&gate);
    for (int i = 0; i < 100; i++)
        tell(&gate, 200, ticket, 2);
    assert_int_equal(gate.in_flight_max, 5);
}

static void an_adaptive_gate_halves_once_for_what_was_sent_before(void **state)
{
    (void)state;
    struct gate gate = adaptive_gate(16);
    struct gate_ticket first = assert_goes(&gate, 10, 1);
    struct gate_ticket second = assert_goes(&gate, 11, 1);
    tell(&gate, 429, first, 20);
    assert_int_equal(gate.in_flight_max, 8);
    tell(&gate, 429, second, 21);
    assert_int_equal(gate.in_flight_max, 8);
    struct gate_ticket third = assert_goes(&gate, 22, 1);
    tell(&gate, 429, third, 30);
    assert_int_equal(gate.in_flight_max, 4);
    for (int64_t now_ns = 31; now_ns < 50; now_ns++)
        tell(&gate, 429, (struct gate_ticket){.sent_ns = now_ns}, now_ns);
    assert_int_equal(gate.in_flight_max, 1);
}

static struct gate_news heard(struct gate_ticket ticket, int64_t limit, int64_t remaining,
                              int64_t reset_ns)
{
    return (struct gate_news){
        .status = 200,
        .ticket = ticket,
        .requests = {
            .is_told = true, .limit = limit, .remaining = remaining, .reset_ns = reset_ns}};
}

static void a_gate_of_headers_sends_one_first_and_then_what_remains(void **state)
{
    (void)state;
    struct gate gate = gate_with((struct gate_settings){.kind = GATE_HEADERS});
    struct gate_ticket ticket = assert_goes(&gate, 0, 1);
    assert_full(&gate, 0);
    /* 60 a minute, of which 3 remain; 57 come back in 57 s, said as it is. */
    struct gate_news news = heard(ticket, 60, 3, 57 * NS_PER_S);
    gate_told(&gate, &news, NS_PER_S);
    for (int i = 0; i < 3; i++)
        assert_goes(&gate, NS_PER_S, 1);
    /* The fourth comes back a second after the headers were written, and that one is 57.001/57. */
    struct gate_answer answer = gate_ask(&gate, NS_PER_S, 1);
    assert_int_equal(answer.verdict, GATE_WAIT);
    assert_in_range(answer.until_ns, NS_PER_S + 1, NS_PER_S + 20 * NS_PER_US);
    assert_goes(&gate, answer.until_ns, 1);
}

static void a_gate_of_headers_counts_what_was_sent_after_them(void **state)
{
    (void)state;
    struct gate gate = gate_with((struct gate_settings){.kind = GATE_HEADERS});
    struct gate_ticket first = assert_goes(&gate, 0, 1);
    struct gate_news news = heard(first, 60, 59, NS_PER_S);
    gate_told(&gate, &news, 0);
    struct gate_ticket second = assert_goes(&gate, 1, 1);
    struct gate_ticket third = assert_goes(&gate, 2, 1);
    /* The answer to the third says 2 remain; that to the second comes later and is older. */
    news = heard(third, 60, 2, 58 * NS_PER_S);
    gate_told(&gate, &news, 3);
    news = heard(second, 60, 40, 20 * NS_PER_S);
    gate_told(&gate, &news, 4);
    assert_goes(&gate, 5, 1);
    assert_goes(&gate, 5, 1);
    assert_int_equal(gate_ask(&gate, 5, 1).verdict, GATE_WAIT);
}

static void a_gate_of_headers_that_never_come_stands_open(void **state)
{
    (void)state;
    struct gate gate = gate_with((struct gate_settings){.kind = GATE_HEADERS});
    struct gate_ticket ticket = assert_goes(&gate, 0, 1);
    tell(&gate, 200, ticket, 1);
    for (int i = 0; i < 1000; i++)
        assert_goes(&gate, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_exactly_as_many_in_as_it_says),
        cmocka_unit_test(lets_one_in_for_one_that_leaves),
        cmocka_unit_test(has_no_limit_at_zero),
        cmocka_unit_test(never_passes_its_limit_in_a_long_run),
        cmocka_unit_test(an_open_gate_holds_nobody_back),
        cmocka_unit_test(a_paced_gate_lets_a_minutes_worth_go_and_then_each_in_its_time),
        cmocka_unit_test(a_paced_gate_counts_tokens_as_well),
        cmocka_unit_test(spacing_and_pause_hold_everybody),
        cmocka_unit_test(an_adaptive_gate_grows_by_one_for_each_round_of_answers),
        cmocka_unit_test(an_adaptive_gate_halves_once_for_what_was_sent_before),
        cmocka_unit_test(a_gate_of_headers_sends_one_first_and_then_what_remains),
        cmocka_unit_test(a_gate_of_headers_counts_what_was_sent_after_them),
        cmocka_unit_test(a_gate_of_headers_that_never_come_stands_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
