#include "mockserver/store.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stored_file *add_file(struct store *store, const char *id, const char *content)
{
    struct stored_file file = {.content = strdup(content), .length = strlen(content)};
    snprintf(file.id, sizeof file.id, "%s", id);
    return store_add_file(store, &file);
}

/* Ten requests, whose output is one character each; the third one fails. Made at 5 s, 100 s long.
 */
static struct batch *add_batch(struct store *store, const char *id)
{
    struct batch batch = {
        .created_ns = 5 * NS_PER_S,
        .created_wall_ns = 1000 * NS_PER_S,
        .duration_ns = 100 * NS_PER_S,
        .cancelled_ns = -1,
        .tokens = 70,
        .owner = 1,
        .lines = calloc(10, sizeof *batch.lines),
        .line_count = 10,
        .output = strdup("012456789"),
        .errors = strdup("3"),
    };
    for (size_t i = 0; i < 10; i++) {
        batch.lines[i].output_end = i < 3 ? i + 1 : i;
        batch.lines[i].error_end = i >= 3;
    }
    snprintf(batch.id, sizeof batch.id, "%s", id);
    snprintf(batch.queue, sizeof batch.queue, "m");
    snprintf(batch.output_file_id, sizeof batch.output_file_id, "%s-out", id);
    snprintf(batch.error_file_id, sizeof batch.error_file_id, "%s-err", id);
    return store_add_batch(store, &batch);
}

static void files_are_found_listed_and_deleted(void **state)
{
    (void)state;
    struct store *store = store_new();
    assert_non_null(add_file(store, "a", "one"));
    assert_non_null(add_file(store, "b", "two"));
    assert_non_null(add_file(store, "c", "three"));
    assert_string_equal(store_find_file(store, "b")->content, "two");
    assert_true(store_delete_file(store, "b"));
    assert_false(store_delete_file(store, "b"));
    assert_null(store_find_file(store, "b"));
    assert_string_equal(store_file_at(store, 0)->id, "a");
    assert_string_equal(store_file_at(store, 1)->id, "c");
    assert_null(store_file_at(store, 2));
    store_free(store);
}

static void there_is_an_end_to_what_is_kept(void **state)
{
    (void)state;
    struct store *store = store_new();
    struct stored_file large = {.content = calloc(1, 1), .length = STORE_BYTES_MAX - 1};
    assert_non_null(store_add_file(store, &large));
    assert_null(add_file(store, "a", "two"));
    assert_non_null(add_file(store, "b", "1"));
    assert_null(add_batch(store, "batch"));
    store_clear(store);
    for (int i = 0; i < STORE_FILES_MAX; i++)
        assert_non_null(add_file(store, "x", ""));
    assert_null(add_file(store, "y", ""));
    store_clear(store);
    for (int i = 0; i < STORE_BATCHES_MAX; i++)
        assert_non_null(add_batch(store, "x"));
    assert_null(add_batch(store, "y"));
    store_free(store);
}

static void a_batch_gets_on_with_time(void **state)
{
    (void)state;
    static const struct {
        int64_t second;
        enum batch_status status;
        size_t done;
    } moments[] = {
        {5, BATCH_VALIDATING, 0},   {14, BATCH_VALIDATING, 0},   {15, BATCH_IN_PROGRESS, 0},
        {22, BATCH_IN_PROGRESS, 0}, {23, BATCH_IN_PROGRESS, 1},  {94, BATCH_IN_PROGRESS, 9},
        {95, BATCH_FINALIZING, 10}, {104, BATCH_FINALIZING, 10}, {105, BATCH_COMPLETED, 10},
        {999, BATCH_COMPLETED, 10},
    };
    struct store *store = store_new();
    const struct batch *batch = add_batch(store, "b");
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        int64_t now_ns = moments[i].second * NS_PER_S;
        assert_int_equal(batch_status_at(batch, now_ns), moments[i].status);
        assert_int_equal(batch_done_at(batch, now_ns), moments[i].done);
        bool has_ended = moments[i].status == BATCH_COMPLETED;
        assert_int_equal(store_queued_tokens(store, 1, "m", now_ns), has_ended ? 0 : 70);
        store_bring_to(store, now_ns);
        assert_int_equal(store_find_file(store, "b-out") != NULL, has_ended);
    }
    int64_t end_ns = 105 * NS_PER_S;
    assert_int_equal(batch_since_s(batch, BATCH_VALIDATING, end_ns), 1000);
    assert_int_equal(batch_since_s(batch, BATCH_IN_PROGRESS, end_ns), 1010);
    assert_int_equal(batch_since_s(batch, BATCH_FINALIZING, end_ns), 1090);
    assert_int_equal(batch_since_s(batch, BATCH_COMPLETED, end_ns), 1100);
    assert_int_equal(batch_since_s(batch, BATCH_COMPLETED, end_ns - 1), -1);
    assert_int_equal(batch_since_s(batch, BATCH_FAILED, end_ns), -1);
    assert_int_equal(batch_since_s(batch, BATCH_CANCELLED, end_ns), -1);
    assert_string_equal(store_find_file(store, "b-out")->content, "012456789");
    assert_string_equal(store_find_file(store, "b-err")->content, "3");
    assert_int_equal(store_find_file(store, "b-out")->created_s, 1100);
    assert_int_equal(store_queued_tokens(store, 2, "m", 6 * NS_PER_S), 0);
    assert_int_equal(store_queued_tokens(store, 1, "n", 6 * NS_PER_S), 0);
    store_free(store);
}

static void a_cancelled_batch_leaves_what_was_done(void **state)
{
    (void)state;
    struct store *store = store_new();
    struct batch *batch = add_batch(store, "b");
    batch->cancelled_ns = 40 * NS_PER_S; /* three are done */
    assert_int_equal(batch_status_at(batch, 39 * NS_PER_S), BATCH_IN_PROGRESS);
    assert_int_equal(batch_status_at(batch, 40 * NS_PER_S), BATCH_CANCELLING);
    assert_int_equal(batch_status_at(batch, 49 * NS_PER_S), BATCH_CANCELLING);
    assert_int_equal(store_queued_tokens(store, 1, "m", 49 * NS_PER_S), 70);
    assert_int_equal(batch_status_at(batch, 50 * NS_PER_S), BATCH_CANCELLED);
    assert_int_equal(store_queued_tokens(store, 1, "m", 50 * NS_PER_S), 0);
    assert_int_equal(batch_since_s(batch, BATCH_CANCELLING, 50 * NS_PER_S), 1035);
    assert_int_equal(batch_since_s(batch, BATCH_CANCELLED, 50 * NS_PER_S), 1045);
    assert_int_equal(batch_since_s(batch, BATCH_COMPLETED, 500 * NS_PER_S), -1);
    store_bring_to(store, 500 * NS_PER_S);
    assert_int_equal(store_find_file(store, "b-out")->length, 3);
    assert_null(store_find_file(store, "b-err"));
    assert_string_equal(batch->error_file_id, "");
    store_free(store);
}

static void one_that_is_wrong_fails_when_it_is_validated(void **state)
{
    (void)state;
    struct store *store = store_new();
    struct batch *batch = add_batch(store, "b");
    strcpy(batch->error.code, "empty_file");
    assert_int_equal(batch_status_at(batch, 14 * NS_PER_S), BATCH_VALIDATING);
    assert_int_equal(batch_status_at(batch, 15 * NS_PER_S), BATCH_FAILED);
    assert_int_equal(batch_since_s(batch, BATCH_FAILED, 15 * NS_PER_S), 1010);
    assert_int_equal(batch_since_s(batch, BATCH_IN_PROGRESS, 500 * NS_PER_S), -1);
    assert_int_equal(batch_done_at(batch, 500 * NS_PER_S), 0);
    assert_int_equal(store_queued_tokens(store, 1, "m", 6 * NS_PER_S), 0);
    store_bring_to(store, 500 * NS_PER_S);
    assert_null(store_file_at(store, 0));
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_found_listed_and_deleted),
        cmocka_unit_test(there_is_an_end_to_what_is_kept),
        cmocka_unit_test(a_batch_gets_on_with_time),
        cmocka_unit_test(a_cancelled_batch_leaves_what_was_done),
        cmocka_unit_test(one_that_is_wrong_fails_when_it_is_validated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
