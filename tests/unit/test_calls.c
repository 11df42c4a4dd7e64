#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "tests/unit/sample_journal.h"

#include <time.h>

/* What calls_find makes of a journal, and the journal itself. */
struct found {
    struct journal *journal;
    struct call *calls;
    size_t count;
};

static struct found find_in(struct journal *journal, size_t run_count, const uint64_t *run_lasts,
                            bool by_connection)
{
    struct found found = {.journal = journal};
    struct calls_input input = {
        .journal = journal,
        .run_lasts = run_lasts,
        .run_count = run_count,
        .by_connection = by_connection,
    };
    assert_true(calls_find(&input, &found.calls, &found.count));
    return found;
}

static struct found find(size_t count, const struct sample_request requests[])
{
    return find_in(sample_journal(count, requests), 0, NULL, false);
}

static struct found find_by_connection(size_t count, const struct sample_request requests[])
{
    return find_in(sample_journal(count, requests), 0, NULL, true);
}

#define FIND(...)                                                                                  \
    find(sizeof((struct sample_request[]){__VA_ARGS__}) / sizeof(struct sample_request),           \
         (struct sample_request[]){__VA_ARGS__})

#define FIND_BY_CONNECTION(...)                                                                    \
    find_by_connection(sizeof((struct sample_request[]){__VA_ARGS__}) /                            \
                           sizeof(struct sample_request),                                          \
                       (struct sample_request[]){__VA_ARGS__})

static void forget(struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->calls[i].attempts);
    free(found->calls);
    journal_free(found->journal);
}

/* The calls as text, by sequence numbers: "1 3 | 2 4?"; '?' marks an ambiguous call. */
static char *as_text(const struct found *found)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    for (size_t i = 0; i < found->count; i++) {
        fputs(i > 0 ? " | " : "", stream);
        for (size_t j = 0; j < found->calls[i].attempt_count; j++)
            fprintf(stream, "%s%d", j > 0 ? " " : "", (int)found->calls[i].attempts[j].sequence);
        fputs(found->calls[i].grouping == GROUPED_AMBIGUOUS ? "?" : "", stream);
    }
    fclose(stream);
    return text;
}

static void assert_found(struct found found, const char *expected)
{
    char *text = as_text(&found);
    assert_string_equal(text, expected);
    free(text);
    forget(&found);
}

static void an_empty_journal_holds_no_call(void **state)
{
    (void)state;
    assert_found(find(0, NULL), "");
}

static void only_posts_are_attempts(void **state)
{
    (void)state;
    assert_found(FIND({.method = "GET", .status = 200}, {.at_ms = 5, .status = 200},
                      {.at_ms = 9, .method = "DELETE", .status = 405}),
                 "2");
}

static void equal_bodies_in_a_row_are_one_call_until_one_is_served(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .status = 429}, {.at_ms = 1000, .status = 500},
                      {.at_ms = 3000, .status = 200}, {.at_ms = 3100, .status = 429},
                      {.at_ms = 4100, .status = 200}),
                 "1 2 3 | 4 5");
}

static void an_error_with_status_200_is_continued(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .status = 200, .code = "rate_limit_exceeded"},
                      {.at_ms = 1000, .status = 200}, {.at_ms = 2000, .status = 200}),
                 "1 2 | 3");
}

static void each_attempt_may_come_on_a_new_connection(void **state)
{
    (void)state;
    struct found found = FIND({.at_ms = 0, .status = 429, .connection = 1},
                              {.at_ms = 1000, .status = 429, .connection = 2},
                              {.at_ms = 3000, .status = 200, .connection = 3});
    assert_int_equal(found.calls[0].grouping, GROUPED_BY_BODY);
    assert_found(found, "1 2 3");
}

static void what_differs_in_body_model_or_key_is_another_call(void **state)
{
    (void)state;
    assert_found(
        FIND({.at_ms = 0, .status = 429, .body = 1}, {.at_ms = 10, .status = 429, .body = 2},
             {.at_ms = 1000, .status = 200, .body = 1}, {.at_ms = 1010, .status = 200, .body = 2},
             {.at_ms = 2000, .status = 429, .model = "a"},
             {.at_ms = 3000, .status = 200, .model = "b"}),
        "1 3 | 2 4 | 5 | 6");
}

static void delays_are_from_the_end_of_an_answer_to_the_next_arrival(void **state)
{
    (void)state;
    struct found found =
        FIND({.at_ms = 10, .takes_ms = 200, .status = 429, .retry_after_ms = 700},
             {.at_ms = 1210, .takes_ms = 50, .status = 0}, {.at_ms = 3260, .status = 200});
    const struct attempt *attempts = found.calls[0].attempts;
    assert_int_equal(attempts[0].delay_ns, -1);
    assert_int_equal(attempts[1].delay_ns, NS_PER_S);
    assert_int_equal(attempts[2].delay_ns, 2 * NS_PER_S);
    assert_int_equal(attempts[0].retry_after_ns, 700 * NS_PER_MS);
    assert_int_equal(attempts[0].status, 429);
    assert_int_equal(attempts[1].status, 0);
    assert_true(attempts[0].throttled && attempts[0].by_quota);
    assert_string_equal(attempts[0].code, "rate_limit_exceeded");
    assert_string_equal(found.calls[0].model, "gpt-4o-mini");
    assert_found(found, "1 2 3");
}

static void a_scripted_429_is_throttled_but_not_by_a_quota(void **state)
{
    (void)state;
    struct found found = FIND({.status = 429, .by_script = true});
    assert_true(found.calls[0].attempts[0].throttled);
    assert_false(found.calls[0].attempts[0].by_quota);
    forget(&found);
}

static void a_retry_in_the_moment_of_the_answer_waited_for_nothing(void **state)
{
    (void)state;
    struct found found =
        FIND({.at_ms = 0, .takes_ms = 5, .status = 429}, {.at_ms = 5, .status = 200});
    assert_int_equal(found.calls[0].attempts[1].delay_ns, 0);
    assert_found(found, "1 2");
}

/* Keys and markers */

static void equal_idempotency_keys_are_one_call_whatever_the_body(void **state)
{
    (void)state;
    struct found found =
        FIND({.at_ms = 0, .status = 429, .key = "k1", .body = 1},
             {.at_ms = 0.1, .status = 429, .key = "k2", .body = 1},
             {.at_ms = 900, .status = 200, .key = "k2", .body = 2, .connection = 7},
             {.at_ms = 1000, .status = 200, .key = "k1", .body = 3});
    assert_int_equal(found.calls[0].grouping, GROUPED_BY_IDEMPOTENCY);
    assert_found(found, "1 4 | 2 3");
}

static void a_marker_is_stronger_than_a_key_and_a_counter(void **state)
{
    (void)state;
    struct found found =
        FIND({.at_ms = 0, .status = 429, .marker = "m1", .key = "k", .counter = 1},
             {.at_ms = 1, .status = 429, .marker = "m2", .key = "k", .counter = 1},
             {.at_ms = 2, .status = 200, .marker = "m1", .key = "k", .counter = 2},
             {.at_ms = 3, .status = 200, .marker = "m2", .key = "k", .counter = 2});
    assert_int_equal(found.calls[1].grouping, GROUPED_BY_MARKER);
    assert_found(found, "1 3 | 2 4");
}

static void a_marker_and_an_equal_key_are_not_confused(void **state)
{
    (void)state;
    assert_found(
        FIND({.at_ms = 0, .status = 429, .marker = "x"}, {.at_ms = 5, .status = 200, .key = "x"}),
        "1 | 2");
}

static void a_marked_call_goes_on_after_it_was_served(void **state)
{
    (void)state;
    assert_found(
        FIND({.at_ms = 0, .status = 200, .key = "k"}, {.at_ms = 5, .status = 200, .key = "k"}),
        "1 2");
}

static void an_unmarked_request_does_not_continue_a_marked_call(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .status = 429, .marker = "m"}, {.at_ms = 1000, .status = 200}),
                 "1 | 2");
}

static void markers_tell_equal_calls_at_once_apart(void **state)
{
    (void)state;
    assert_found(
        FIND({.at_ms = 0, .takes_ms = 50, .status = 429, .marker = "a", .connection = 1},
             {.at_ms = 1, .takes_ms = 50, .status = 429, .marker = "b", .connection = 2},
             {.at_ms = 1001, .takes_ms = 50, .status = 200, .marker = "b", .connection = 1},
             {.at_ms = 1002, .takes_ms = 50, .status = 200, .marker = "a", .connection = 2}),
        "1 4 | 2 3");
}

/* The SDK's counter */

static void the_counter_starts_again_with_each_try_of_the_loop(void **state)
{
    (void)state;
    struct found found = FIND(
        {.at_ms = 0, .status = 429, .counter = 1}, {.at_ms = 500, .status = 429, .counter = 2},
        {.at_ms = 1500, .status = 429, .counter = 3}, {.at_ms = 2500, .status = 429, .counter = 1},
        {.at_ms = 3000, .status = 200, .counter = 2});
    assert_int_equal(found.calls[0].loop_attempts, 2);
    assert_int_equal(found.calls[0].attempt_count, 5);
    assert_int_equal(found.calls[0].grouping, GROUPED_BY_COUNTER);
    assert_true(found.calls[0].attempts[3].starts_loop);
    assert_false(found.calls[0].attempts[4].starts_loop);
    assert_found(found, "1 2 3 4 5");
}

static void a_retry_by_counter_finds_its_call_among_others_at_once(void **state)
{
    (void)state;
    /* Two at once; only the first is refused. */
    assert_found(FIND({.at_ms = 0, .takes_ms = 10, .status = 429, .counter = 1, .connection = 1},
                      {.at_ms = 1, .takes_ms = 10, .status = 200, .counter = 1, .connection = 2},
                      {.at_ms = 500, .status = 200, .counter = 2, .connection = 2}),
                 "1 3 | 2");
}

static void a_call_that_its_sdk_goes_on_with_is_not_taken_for_a_failed_try_of_a_loop(void **state)
{
    (void)state;
    /* The second call begins while the first waits, without any overlap on the wire. */
    assert_found(FIND({.at_ms = 0, .status = 429, .counter = 1},
                      {.at_ms = 100, .status = 200, .counter = 1},
                      {.at_ms = 500, .status = 200, .counter = 2}),
                 "1 3 | 2");
}

static void two_calls_with_the_same_counter_are_not_told_apart(void **state)
{
    (void)state;
    /* No overlap on the wire, one connection: only the counters show that there are two. */
    assert_found(FIND({.at_ms = 0, .status = 429, .counter = 1},
                      {.at_ms = 2, .status = 429, .counter = 1},
                      {.at_ms = 500, .status = 200, .counter = 2},
                      {.at_ms = 502, .status = 200, .counter = 2}),
                 "1 3? | 2 4?");
}

static void a_new_call_at_once_is_no_retry_of_one_that_was_given_up(void **state)
{
    (void)state;
    /* The first gives up after its two tries; whether the fourth is its loop's next try or a new
     * call cannot be seen. */
    assert_found(FIND({.at_ms = 0, .takes_ms = 10, .status = 429, .counter = 1, .connection = 1},
                      {.at_ms = 5, .takes_ms = 9000, .status = 200, .counter = 1, .connection = 2},
                      {.at_ms = 500, .status = 429, .counter = 2, .connection = 1},
                      {.at_ms = 700, .status = 200, .counter = 1, .connection = 1}),
                 "1 3 4? | 2?");
}

static void a_retry_whose_first_attempt_was_never_seen_is_a_call_of_its_own(void **state)
{
    (void)state;
    struct found found = FIND({.at_ms = 0, .status = 200, .counter = 4});
    assert_int_equal(found.calls[0].loop_attempts, 1);
    assert_found(found, "1");
}

/* Equal bodies at the same time, and nothing that tells them apart */

static void retries_of_equal_calls_at_once_are_ambiguous(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                      {.at_ms = 1, .takes_ms = 20, .status = 429, .connection = 2},
                      {.at_ms = 1020, .status = 200, .connection = 3},
                      {.at_ms = 1021, .status = 200, .connection = 4}),
                 "1 3? | 2 4?");
}

/* A pool gives the retry of one call the connection of another. */
static void a_connection_is_no_evidence_of_itself(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                      {.at_ms = 1, .takes_ms = 20, .status = 429, .connection = 2},
                      {.at_ms = 900, .status = 200, .connection = 1},
                      {.at_ms = 1020, .status = 200, .connection = 2}),
                 "1 3? | 2 4?");
}

static void one_failed_call_may_be_retried_or_left_for_a_new_one(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                      {.at_ms = 1, .takes_ms = 20, .status = 200, .connection = 2},
                      {.at_ms = 1020, .status = 200, .connection = 2}),
                 "1 3? | 2?");
}

static void equal_calls_at_once_that_are_served_at_once_are_certain(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = 20, .status = 200, .connection = 1},
                      {.at_ms = 1, .takes_ms = 20, .status = 200, .connection = 2},
                      {.at_ms = 30, .takes_ms = 20, .status = 200, .connection = 1}),
                 "1 | 2 | 3");
}

static void a_connection_that_comes_back_shows_calls_that_take_turns(void **state)
{
    (void)state;
    /* 1 2 1: no overlap, and yet two calls. */
    assert_found(FIND({.at_ms = 0, .status = 429, .connection = 1},
                      {.at_ms = 10, .status = 429, .connection = 2},
                      {.at_ms = 1000, .status = 200, .connection = 1}),
                 "1 2 3?");
    /* 1 2 3 and 1 1 2 are one call on new connections. */
    assert_found(FIND({.at_ms = 0, .status = 429, .connection = 1},
                      {.at_ms = 10, .status = 429, .connection = 1},
                      {.at_ms = 1000, .status = 200, .connection = 2}),
                 "1 2 3");
}

static void a_guess_marks_what_could_have_been_meant_instead(void **state)
{
    (void)state;
    /* If 3 is a new call, then 4 continues 1: so 4 is not certain either. */
    assert_found(FIND({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                      {.at_ms = 1, .takes_ms = 20, .status = 200, .connection = 2},
                      {.at_ms = 500, .status = 200, .connection = 2},
                      {.at_ms = 1020, .status = 200, .connection = 1}),
                 "1 3? | 2? | 4?");
}

static void other_bodies_are_not_marked(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                      {.at_ms = 1, .takes_ms = 20, .status = 429, .connection = 2},
                      {.at_ms = 2, .takes_ms = 20, .status = 429, .connection = 3, .body = 9},
                      {.at_ms = 1020, .status = 200, .connection = 3},
                      {.at_ms = 1021, .status = 200, .connection = 3, .body = 9}),
                 "1 4? | 2? | 3 5");
}

static void a_request_that_never_ended_is_not_continued(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = -1, .status = 0, .connection = 1},
                      {.at_ms = 1000, .status = 200, .connection = 2}),
                 "1 | 2");
    struct found found = FIND({.at_ms = 0, .takes_ms = -1, .status = 0});
    assert_int_equal(found.calls[0].attempts[0].answered_ns, -1);
    assert_int_equal(found.calls[0].attempts[0].status, 0);
    forget(&found);
}

/* The client's own time-out: it goes away and tries again. */

static void a_request_that_the_client_gave_up_is_continued(void **state)
{
    (void)state;
    assert_found(FIND({.at_ms = 0, .takes_ms = 2000, .status = 200, .abandoned = true},
                      {.at_ms = 2500, .status = 200, .connection = 2}),
                 "1 2");
}

static void it_is_continued_also_before_the_server_has_seen_it_go(void **state)
{
    (void)state;
    struct found found =
        FIND({.at_ms = 0, .takes_ms = 2500.01, .status = 0, .abandoned = true, .counter = 1},
             {.at_ms = 2500, .status = 200, .connection = 2, .counter = 2});
    assert_int_equal(found.calls[0].attempts[1].delay_ns, 0);
    assert_true(found.calls[0].attempts[0].abandoned);
    assert_found(found, "1 2");
}

/* A connection of its own for each call, where the scenario says so */

static void a_connection_of_its_own_tells_calls_apart(void **state)
{
    (void)state;
    struct found found =
        FIND_BY_CONNECTION({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                           {.at_ms = 1, .takes_ms = 20, .status = 429, .connection = 2},
                           {.at_ms = 900, .status = 200, .connection = 2},
                           {.at_ms = 1020, .status = 200, .connection = 1},
                           {.at_ms = 1100, .status = 200, .connection = 1});
    assert_int_equal(found.calls[0].grouping, GROUPED_BY_CONNECTION);
    assert_int_equal(found.calls[2].grouping, GROUPED_BY_BODY);
    assert_found(found, "1 4 | 2 3 | 5");
}

static void a_connection_of_its_own_helps_where_counters_are_equal(void **state)
{
    (void)state;
    assert_found(FIND_BY_CONNECTION(
                     {.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1, .counter = 1},
                     {.at_ms = 1, .takes_ms = 20, .status = 429, .connection = 2, .counter = 1},
                     {.at_ms = 900, .status = 200, .connection = 2, .counter = 2},
                     {.at_ms = 1020, .status = 200, .connection = 1, .counter = 2}),
                 "1 4 | 2 3");
}

static void a_retry_on_a_new_connection_is_ambiguous_also_then(void **state)
{
    (void)state;
    assert_found(FIND_BY_CONNECTION({.at_ms = 0, .takes_ms = 20, .status = 429, .connection = 1},
                                    {.at_ms = 1, .takes_ms = 20, .status = 429, .connection = 2},
                                    {.at_ms = 900, .status = 200, .connection = 3}),
                 "1 3? | 2?");
}

static void one_call_after_another_needs_no_connection(void **state)
{
    (void)state;
    struct found found = FIND_BY_CONNECTION({.at_ms = 0, .status = 429, .connection = 1},
                                            {.at_ms = 900, .status = 429, .connection = 1},
                                            {.at_ms = 1900, .status = 200, .connection = 2});
    assert_int_equal(found.calls[0].grouping, GROUPED_BY_BODY);
    assert_found(found, "1 2 3");
}

/* Several runs */

/* In virtual time an answer takes no time, so that times alone tell nothing. */
static void what_came_together_is_no_retry_of_each_other(void **state)
{
    (void)state;
    assert_found(FIND({.takes_ms = 1e-9, .status = 429, .connection = 1, .pass = 1},
                      {.takes_ms = 1e-9, .status = 429, .connection = 2, .pass = 1},
                      {.at_ms = 2000, .status = 200, .connection = 3, .pass = 2},
                      {.at_ms = 2000, .status = 200, .connection = 4, .pass = 3}),
                 "1 3? | 2 4?");
    assert_found(FIND({.takes_ms = 1e-9, .status = 429, .connection = 1, .pass = 1},
                      {.takes_ms = 1e-9, .status = 429, .connection = 2, .pass = 2}),
                 "1 2");
    assert_found(FIND({.takes_ms = 1e-9, .status = 429, .connection = 1, .pass = 1},
                      {.takes_ms = 1e-9, .status = 429, .connection = 1, .pass = 1}),
                 "1 2");
}

static void a_call_does_not_cross_runs(void **state)
{
    (void)state;
    const struct sample_request requests[] = {
        {.at_ms = 0, .status = 429},    {.at_ms = 1000, .status = 429},
        {.at_ms = 2000, .status = 429}, {.at_ms = 3000, .status = 429, .key = "k"},
        {.at_ms = 4000, .status = 200}, {.at_ms = 5000, .status = 200, .key = "k"}};
    /* The second run made no request. */
    struct found found =
        find_in(sample_journal(6, requests), 3, (const uint64_t[]){2, 2, 4}, false);
    assert_int_equal(found.calls[0].run, 0);
    assert_int_equal(found.calls[1].run, 2);
    /* What comes after the last run's end is counted to it. */
    assert_found(found, "1 2 | 3 5 | 4 6");
}

/* Many */

static double seconds_of(size_t count, struct sample_request (*request)(size_t index),
                         size_t *calls)
{
    struct journal *journal = journal_new(count, JOURNAL_REFUSE);
    for (size_t i = 0; i < count; i++)
        sample_request(journal, request(i));
    clock_t start = clock();
    struct found found = find_in(journal, 0, NULL, false);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    *calls = found.count;
    forget(&found);
    return seconds;
}

static struct sample_request served(size_t index)
{
    return (struct sample_request){
        .at_ms = (double)index, .takes_ms = 40, .status = 200, .connection = 1 + index % 64};
}

/* Half of them fail and are never continued. */
static struct sample_request given_up(size_t index)
{
    bool is_first = index % 2 == 0;
    return (struct sample_request){.at_ms = (double)index,
                                   .takes_ms = 1.5,
                                   .status = is_first ? 429 : 200,
                                   .counter = is_first ? 1 : 3,
                                   .connection = 1 + index % 2};
}

static struct sample_request hot_loop(size_t index)
{
    return (struct sample_request){.at_ms = (double)index, .status = 429};
}

static struct sample_request at_once_refused(size_t index)
{
    bool is_retry = index >= 50000;
    return (struct sample_request){.at_ms = (double)index / 10 + (is_retry ? 1e6 : 0),
                                   .takes_ms = 40,
                                   .status = is_retry ? 200 : 429,
                                   .counter = is_retry ? 2 : 1,
                                   .connection = 1 + index};
}

/* A search over all calls for each request would take 5,000,000,000 steps: minutes. Processor time,
 * not the clock on the wall. */
static void a_hundred_thousand_equal_bodies_are_no_work(void **state)
{
    (void)state;
    enum { COUNT = 100000, SECONDS_MAX = 10 };
    size_t calls = 0;
    assert_true(seconds_of(COUNT, served, &calls) < SECONDS_MAX);
    assert_int_equal(calls, COUNT);
    assert_true(seconds_of(COUNT, hot_loop, &calls) < SECONDS_MAX);
    assert_int_equal(calls, 1);
    assert_true(seconds_of(COUNT, given_up, &calls) < SECONDS_MAX);
    assert_true(seconds_of(COUNT, at_once_refused, &calls) < SECONDS_MAX);
    assert_int_equal(calls, COUNT / 2);
}

/* Random clients whose truth is known.
 *
 * Workers make calls, each with up to 4 attempts (of its SDK, of its own loop, or both), and put
 * each request on a connection as their kind of client does. Bodies are equal often. Every call
 * whose grouping is not marked ambiguous must be a call that was made. */

enum { WORKERS_MAX = 4, CALLS_EACH_MAX = 4, ATTEMPTS_MAX = 6, REQUESTS_MAX = 200 };

enum connections { OWN, POOL, NEW_EACH_TIME };

struct world {
    struct random random;
    int workers;
    bool has_counter;
    bool has_marker;
    bool has_key;
    bool loops;    /* a loop of the client's own around what its SDK does */
    bool gives_up; /* some calls end with an error */
    int bodies;
    int sdk_retries;
    enum connections connections;
    struct sample_request requests[REQUESTS_MAX];
    int truth[REQUESTS_MAX];         /* which call each request belongs to */
    double free_at_ms[REQUESTS_MAX]; /* of each connection */
    int connection_count;
    int count;
};

struct worker {
    double next_ms; /* when it sends its next request */
    int calls_left;
    int call; /* -1: none under way */
    uint64_t body;
    int tries_left; /* of the call, until it is served or given up */
    bool is_given_up;
    int counter;
};

static int below(struct world *world, int bound)
{
    return (int)random_below(&world->random, (uint64_t)bound);
}

/* Connections of pools are taken by whichever call needs one. */
static uint64_t choose_connection(struct world *world, int worker, double at_ms, double until_ms)
{
    if (world->connections == OWN)
        return (uint64_t)worker + 1;
    if (world->connections == POOL) {
        int first = below(world, world->connection_count + 1);
        for (int i = 0; i < world->connection_count; i++) {
            int index = (first + i) % world->connection_count;
            if (world->free_at_ms[index] <= at_ms) {
                world->free_at_ms[index] = until_ms;
                return (uint64_t)index + 1;
            }
        }
    }
    world->free_at_ms[world->connection_count] = until_ms;
    return (uint64_t)++world->connection_count;
}

static void begin_call(struct world *world, struct worker *worker, int number)
{
    worker->call = number;
    worker->calls_left--;
    worker->body = (uint64_t)below(world, world->bodies);
    int most = world->loops ? ATTEMPTS_MAX : world->has_counter ? world->sdk_retries + 1 : 3;
    worker->tries_left = 1 + below(world, most);
    worker->is_given_up = world->gives_up && below(world, 4) == 0;
    if (worker->is_given_up && world->has_counter)
        worker->tries_left = (world->sdk_retries + 1) * (world->loops ? 2 : 1);
    worker->counter = 0;
}

static void send(struct world *world, struct worker *worker, int index, int *calls)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                        "i", "j", "k", "l", "m", "n", "o", "p"};
    if (worker->call < 0)
        begin_call(world, worker, (*calls)++);
    worker->tries_left--;
    bool is_served = worker->tries_left == 0 && !worker->is_given_up;
    double takes_ms = 1 + below(world, 30);
    int number = world->count++;
    world->truth[number] = worker->call;
    world->requests[number] = (struct sample_request){
        .at_ms = worker->next_ms,
        .takes_ms = takes_ms,
        .status = is_served ? 200 : 429,
        .body = worker->body,
        .counter = world->has_counter ? worker->counter + 1 : 0,
        .marker = world->has_marker ? names[worker->call] : NULL,
        .key = world->has_key ? names[worker->call] : NULL,
        .connection = choose_connection(world, index, worker->next_ms, worker->next_ms + takes_ms),
    };
    worker->counter = worker->counter == world->sdk_retries ? 0 : worker->counter + 1;
    worker->next_ms += takes_ms + 1 + below(world, 60);
    if (worker->tries_left == 0)
        worker->call = -1;
}

static void play(struct world *world)
{
    struct worker workers[WORKERS_MAX];
    int calls = 0;
    for (int i = 0; i < world->workers; i++)
        workers[i] = (struct worker){.next_ms = below(world, 20),
                                     .calls_left = 1 + below(world, CALLS_EACH_MAX),
                                     .call = -1};
    for (;;) {
        int next = -1;
        for (int i = 0; i < world->workers; i++) {
            bool has_more = workers[i].call >= 0 || workers[i].calls_left > 0;
            if (has_more && (next < 0 || workers[i].next_ms < workers[next].next_ms))
                next = i;
        }
        if (next < 0)
            return;
        send(world, &workers[next], next, &calls);
    }
}

static bool is_a_true_call(const struct world *world, const struct call *call)
{
    int truth = world->truth[call->attempts[0].sequence - 1];
    size_t size = 0;
    for (int i = 0; i < world->count; i++)
        size += world->truth[i] == truth;
    for (size_t i = 0; i < call->attempt_count; i++) {
        if (world->truth[call->attempts[i].sequence - 1] != truth)
            return false;
    }
    return size == call->attempt_count;
}

/* Calls with equal bodies that take turns and never meet look like one that is retried, unless an
 * SDK's counter shows otherwise: calls.h. */
static bool shows_its_calls(const struct world *world, uint64_t body)
{
    if (world->has_marker || world->has_key || (world->has_counter && !world->loops))
        return true;
    double until_ms = -1;
    for (int i = 0; i < world->count; i++) {
        const struct sample_request *request = &world->requests[i];
        if (request->body != body)
            continue;
        if (request->at_ms < until_ms)
            return true;
        double end_ms = request->at_ms + request->takes_ms;
        until_ms = end_ms > until_ms ? end_ms : until_ms;
    }
    return world->workers == 1;
}

static struct world make_world(uint64_t seed)
{
    struct world world = {0};
    random_seed(&world.random, seed, 0);
    world.workers = 1 + below(&world, WORKERS_MAX);
    world.has_marker = below(&world, 8) == 0;
    world.has_key = below(&world, 8) == 0;
    world.has_counter = below(&world, 2) == 0;
    world.sdk_retries = world.has_counter ? 1 + below(&world, 3) : 0;
    world.loops = below(&world, 2) == 0;
    world.connections = (enum connections)below(&world, 3);
    world.bodies = 1 + below(&world, 3);
    /* A call that is given up and one with the same body after it are one call: calls.h. */
    world.gives_up = world.has_marker || world.has_key;
    play(&world);
    return world;
}

static void every_call_that_is_not_marked_ambiguous_is_true(void **state)
{
    (void)state;
    enum { WORLDS = 20000 };
    int certain = 0;
    int ambiguous = 0;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        struct world world = make_world(seed);
        bool is_named = world.has_marker || world.has_key;
        struct found found = find_in(sample_journal((size_t)world.count, world.requests), 0, NULL,
                                     world.connections == OWN && below(&world, 2) == 0);
        for (size_t i = 0; i < found.count; i++) {
            if (found.calls[i].grouping == GROUPED_AMBIGUOUS) {
                ambiguous++;
                assert_false(is_named);
                assert_true(world.workers > 1);
                continue;
            }
            uint64_t body = world.requests[found.calls[i].attempts[0].sequence - 1].body;
            if (!shows_its_calls(&world, body))
                continue;
            certain++;
            if (!is_a_true_call(&world, &found.calls[i])) {
                char *text = as_text(&found);
                print_error("seed %d: %s\n", (int)seed, text);
                for (int j = 0; j < world.count; j++)
                    print_error("%d: call %d at %g to %g connection %d counter %d status %d body "
                                "%d\n",
                                j + 1, world.truth[j], world.requests[j].at_ms,
                                world.requests[j].at_ms + world.requests[j].takes_ms,
                                (int)world.requests[j].connection, world.requests[j].counter - 1,
                                world.requests[j].status, (int)world.requests[j].body);
                free(text);
                fail();
            }
        }
        forget(&found);
    }
    /* It is not by calling everything ambiguous that it holds. */
    assert_true(certain > WORLDS);
    assert_true(ambiguous > WORLDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_journal_holds_no_call),
        cmocka_unit_test(only_posts_are_attempts),
        cmocka_unit_test(equal_bodies_in_a_row_are_one_call_until_one_is_served),
        cmocka_unit_test(an_error_with_status_200_is_continued),
        cmocka_unit_test(each_attempt_may_come_on_a_new_connection),
        cmocka_unit_test(what_differs_in_body_model_or_key_is_another_call),
        cmocka_unit_test(delays_are_from_the_end_of_an_answer_to_the_next_arrival),
        cmocka_unit_test(a_scripted_429_is_throttled_but_not_by_a_quota),
        cmocka_unit_test(a_retry_in_the_moment_of_the_answer_waited_for_nothing),
        cmocka_unit_test(equal_idempotency_keys_are_one_call_whatever_the_body),
        cmocka_unit_test(a_marker_is_stronger_than_a_key_and_a_counter),
        cmocka_unit_test(a_marker_and_an_equal_key_are_not_confused),
        cmocka_unit_test(a_marked_call_goes_on_after_it_was_served),
        cmocka_unit_test(an_unmarked_request_does_not_continue_a_marked_call),
        cmocka_unit_test(markers_tell_equal_calls_at_once_apart),
        cmocka_unit_test(the_counter_starts_again_with_each_try_of_the_loop),
        cmocka_unit_test(a_retry_by_counter_finds_its_call_among_others_at_once),
        cmocka_unit_test(a_call_that_its_sdk_goes_on_with_is_not_taken_for_a_failed_try_of_a_loop),
        cmocka_unit_test(two_calls_with_the_same_counter_are_not_told_apart),
        cmocka_unit_test(a_new_call_at_once_is_no_retry_of_one_that_was_given_up),
        cmocka_unit_test(a_retry_whose_first_attempt_was_never_seen_is_a_call_of_its_own),
        cmocka_unit_test(retries_of_equal_calls_at_once_are_ambiguous),
        cmocka_unit_test(a_connection_is_no_evidence_of_itself),
        cmocka_unit_test(one_failed_call_may_be_retried_or_left_for_a_new_one),
        cmocka_unit_test(equal_calls_at_once_that_are_served_at_once_are_certain),
        cmocka_unit_test(a_connection_that_comes_back_shows_calls_that_take_turns),
        cmocka_unit_test(a_guess_marks_what_could_have_been_meant_instead),
        cmocka_unit_test(other_bodies_are_not_marked),
        cmocka_unit_test(a_request_that_never_ended_is_not_continued),
        cmocka_unit_test(a_request_that_the_client_gave_up_is_continued),
        cmocka_unit_test(it_is_continued_also_before_the_server_has_seen_it_go),
        cmocka_unit_test(a_connection_of_its_own_tells_calls_apart),
        cmocka_unit_test(a_connection_of_its_own_helps_where_counters_are_equal),
        cmocka_unit_test(a_retry_on_a_new_connection_is_ambiguous_also_then),
        cmocka_unit_test(one_call_after_another_needs_no_connection),
        cmocka_unit_test(what_came_together_is_no_retry_of_each_other),
        cmocka_unit_test(a_call_does_not_cross_runs),
        cmocka_unit_test(a_hundred_thousand_equal_bodies_are_no_work),
        cmocka_unit_test(every_call_that_is_not_marked_ambiguous_is_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
