#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

static void a_new_result_is_empty_and_can_be_freed(void **state)
{
    (void)state;
    struct result result;
    memset(&result, 0xAA, sizeof result);
    result_init(&result);
    assert_int_equal(result.wall_ms, -1);
    assert_false(result.passed);
    assert_int_equal(result.run_count + result.call_count + result.verdict_count, 0);
    result_free(&result);
}

static void a_full_result_is_freed_whole(void **state)
{
    (void)state;
    struct result result = sample_hostile();
    result_free(&result);
    assert_null(result.calls);
    assert_null(result.name);
    result_free(&result); /* twice does no harm */
}

static void notes_are_kept_in_order(void **state)
{
    (void)state;
    struct result result;
    result_init(&result);
    for (int i = 0; i < 100; i++)
        result_note(&result, "note %d of %s", i, "many");
    assert_int_equal(result.note_count, 100);
    assert_string_equal(result.notes[0], "note 0 of many");
    assert_string_equal(result.notes[99], "note 99 of many");
    result_free(&result);
}

static void every_grouping_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(call_grouping_name(GROUPED_BY_MARKER), "marker");
    assert_string_equal(call_grouping_name(GROUPED_BY_IDEMPOTENCY), "idempotency key");
    assert_string_equal(call_grouping_name(GROUPED_BY_COUNTER), "retry counter");
    assert_string_equal(call_grouping_name(GROUPED_BY_BODY), "equal bodies");
    assert_string_equal(call_grouping_name(GROUPED_BY_CONNECTION), "connection");
    assert_string_equal(call_grouping_name(GROUPED_AMBIGUOUS), "ambiguous");
}

static void only_what_passed_as_it_should_counts_as_passed(void **state)
{
    (void)state;
    struct result items[] = {sample_recovers(), sample_fails(), sample_could_not_run(),
                             sample_recovers(), sample_recovers()};
    items[3].known_failing = LISTED_BUT_PASSED;
    items[4].interrupted = true;
    struct results results = sample_list(5, items);
    assert_int_equal(results_passed(&results), 1);
    sample_free(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_result_is_empty_and_can_be_freed),
        cmocka_unit_test(a_full_result_is_freed_whole),
        cmocka_unit_test(notes_are_kept_in_order),
        cmocka_unit_test(every_grouping_has_a_name),
        cmocka_unit_test(only_what_passed_as_it_should_counts_as_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
