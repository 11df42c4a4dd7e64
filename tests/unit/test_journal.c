#include "mockserver/journal.h"

#include "base/json_text.h"
#include "tests/journal_once.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct journal_entry *begin(struct journal *journal)
{
    struct journal_entry *entry = journal_begin(journal);
    assert_non_null(entry);
    return entry;
}

static void finish(struct journal *journal, struct journal_entry *entry)
{
    entry->answered_ns = 1;
    journal_finish(journal, entry);
}

static void assert_sequences(const struct journal *journal, const uint64_t *sequences, size_t count)
{
    assert_int_equal(journal_count(journal), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(journal_at(journal, i)->sequence, sequences[i]);
}

static void decisions_have_names(void **state)
{
    (void)state;
    assert_string_equal(journal_decision_name(JOURNAL_SERVED), "served");
    assert_string_equal(journal_decision_name(JOURNAL_THROTTLED), "throttled");
    assert_string_equal(journal_decision_name(JOURNAL_SCRIPTED), "scripted");
    assert_string_equal(journal_decision_name(JOURNAL_REJECTED), "rejected");
}

static void a_new_entry_has_not_happened_yet(void **state)
{
    (void)state;
    struct journal *journal = journal_new(4, JOURNAL_DROP_OLDEST);
    struct journal_entry *entry = begin(journal);
    assert_int_equal(entry->sequence, 1);
    assert_int_equal(entry->arrived_ns, -1);
    assert_int_equal(entry->decided_ns, -1);
    assert_int_equal(entry->first_byte_ns, -1);
    assert_int_equal(entry->answered_ns, -1);
    assert_int_equal(entry->retry_after_ns, -1);
    assert_int_equal(entry->retry_count, -1);
    assert_int_equal(entry->script_step, -1);
    /* A client that goes away in the middle of its body was not served. */
    assert_int_equal(entry->decision, JOURNAL_REJECTED);
    assert_int_equal(entry->status, 0);
    journal_free(journal);
}

static void entries_stay_in_order_of_arrival_whoever_ends_first(void **state)
{
    (void)state;
    struct journal *journal = journal_new(4, JOURNAL_DROP_OLDEST);
    struct journal_entry *first = begin(journal);
    struct journal_entry *second = begin(journal);
    finish(journal, second);
    finish(journal, first);
    assert_sequences(journal, (const uint64_t[]){1, 2}, 2);
    assert_int_equal(journal_total(journal), 2);
    assert_int_equal(journal_lost(journal), 0);
    journal_free(journal);
}

/* Bug: an entry that is used again shows something of the request before. */
static void one_that_is_used_again_is_as_new(void **state)
{
    (void)state;
    enum {
        BEGIN = offsetof(struct journal_entry, connection),
        TEXTS = offsetof(struct journal_entry, method),
    };
    struct journal *journal = journal_new(1, JOURNAL_DROP_OLDEST);
    struct journal_entry *entry = journal_begin(journal);
    const struct journal_entry fresh = *entry;
    entry->streamed = entry->broken = entry->abandoned = true;
    memset((char *)entry + BEGIN, 'x', sizeof *entry - BEGIN);
    journal_finish(journal, entry);
    assert_ptr_equal(journal_begin(journal), entry);
    assert_int_equal(entry->sequence, 2);
    assert_memory_equal((char *)entry + BEGIN, (const char *)&fresh + BEGIN, TEXTS - BEGIN);
    assert_false(entry->streamed || entry->broken || entry->abandoned);
    const char *const texts[] = {
        entry->method, entry->key_tail, entry->request_id,      entry->path,
        entry->model,  entry->code,     entry->idempotency_key, entry->call_marker};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(texts[i], "");
    journal_free(journal);
}

static void a_full_one_drops_the_oldest_that_has_ended_and_counts_it(void **state)
{
    (void)state;
    struct journal *journal = journal_new(3, JOURNAL_DROP_OLDEST);
    struct journal_entry *pending = begin(journal); /* under way: must not go */
    finish(journal, begin(journal));
    finish(journal, begin(journal));
    finish(journal, begin(journal));
    assert_sequences(journal, (const uint64_t[]){1, 3, 4}, 3);
    assert_int_equal(journal_lost(journal), 1);
    for (int i = 0; i < 100; i++)
        finish(journal, begin(journal));
    assert_sequences(journal, (const uint64_t[]){1, 103, 104}, 3);
    assert_int_equal(journal_total(journal), 104);
    assert_int_equal(journal_lost(journal), 101);
    assert_ptr_equal(journal_at(journal, 0), pending); /* its pointer is still good */
    assert_int_equal(pending->sequence, 1);
    finish(journal, pending);
    finish(journal, begin(journal));
    assert_sequences(journal, (const uint64_t[]){103, 104, 105}, 3);
    journal_free(journal);
}

static void where_none_has_ended_one_more_is_written_but_not_kept(void **state)
{
    (void)state;
    struct journal *journal = journal_new(2, JOURNAL_DROP_OLDEST);
    struct journal_entry *first = begin(journal);
    begin(journal);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    journal_stream_to(journal, stream);
    struct journal_entry *third = begin(journal);
    assert_int_equal(journal_lost(journal), 1);
    assert_sequences(journal, (const uint64_t[]){1, 2}, 2);
    finish(journal, third);
    fflush(stream);
    assert_non_null(strstr(text, "\"sequence\":3"));
    finish(journal, first);
    assert_int_equal(begin(journal)->sequence, 4); /* the third was lost, and its number is seen */
    assert_int_equal(journal_lost(journal), 2);
    journal_free(journal);
    fclose(stream);
    free(text);
}

static void one_that_refuses_keeps_what_it_has(void **state)
{
    (void)state;
    struct journal *journal = journal_new(2, JOURNAL_REFUSE);
    finish(journal, begin(journal));
    finish(journal, begin(journal));
    assert_null(journal_begin(journal));
    assert_null(journal_begin(journal));
    assert_sequences(journal, (const uint64_t[]){1, 2}, 2);
    assert_int_equal(journal_total(journal), 4);
    assert_int_equal(journal_lost(journal), 2);
    journal_clear(journal);
    assert_int_equal(begin(journal)->sequence, 5);
    journal_free(journal);
}

static void clearing_leaves_what_is_under_way(void **state)
{
    (void)state;
    struct journal *journal = journal_new(5, JOURNAL_DROP_OLDEST);
    finish(journal, begin(journal));
    finish(journal, begin(journal)); /* both move the ring's start below */
    journal_clear(journal);
    assert_int_equal(journal_count(journal), 0);
    struct journal_entry *pending[2];
    finish(journal, begin(journal));
    pending[0] = begin(journal);
    finish(journal, begin(journal));
    pending[1] = begin(journal);
    finish(journal, begin(journal));
    journal_clear(journal);
    assert_sequences(journal, (const uint64_t[]){4, 6}, 2);
    assert_ptr_equal(journal_at(journal, 0), pending[0]);
    assert_ptr_equal(journal_at(journal, 1), pending[1]);
    journal_free(journal);
    journal_free(NULL);
}

/* The bytes of a stream, for tests that read what was written. */
struct written {
    char *text;
    size_t length;
    FILE *stream;
};

static void start_writing(struct written *written)
{
    written->stream = open_memstream(&written->text, &written->length);
    assert_non_null(written->stream);
}

static void an_entry_is_a_line_of_json_to_the_byte(void **state)
{
    (void)state;
    struct journal *journal = journal_new(4, JOURNAL_DROP_OLDEST);
    struct written written;
    start_writing(&written);
    journal_stream_to(journal, written.stream);
    struct journal_entry *entry = begin(journal);
    entry->connection = 3;
    strcpy(entry->method, "POST");
    strcpy(entry->path, "/v1/chat/completions");
    strcpy(entry->model, "gpt-4o");
    strcpy(entry->key_tail, "AAAA");
    entry->body_digest = UINT64_C(0x00ab);
    entry->tokens = 31;
    entry->arrived_ns = 10;
    entry->decided_ns = 20;
    entry->first_byte_ns = 30;
    entry->answered_ns = 40;
    entry->decision = JOURNAL_THROTTLED;
    entry->limit = QUOTA_TOKENS_PER_MINUTE;
    entry->status = 429;
    strcpy(entry->code, "rate_limit_exceeded");
    strcpy(entry->request_id, "req_1");
    entry->retry_after_ns = 5;
    entry->in_flight = 2;
    entry->retry_count = 1;
    strcpy(entry->idempotency_key, "ik");
    strcpy(entry->call_marker, "c1");
    entry->script_step = 0;
    entry->abandoned = true;
    journal_finish(journal, entry);
    finish(journal, begin(journal));
    fclose(written.stream);
    assert_string_equal(
        written.text,
        "{\"sequence\":1,\"connection\":3,\"method\":\"POST\",\"path\":\"/v1/chat/completions\","
        "\"model\":\"gpt-4o\",\"key_tail\":\"AAAA\",\"body_digest\":\"00000000000000ab\","
        "\"tokens\":31,\"arrived_ns\":10,\"decided_ns\":20,\"first_byte_ns\":30,"
        "\"answered_ns\":40,\"decision\":\"throttled\",\"limit\":\"tokens_per_minute\","
        "\"status\":429,\"code\":\"rate_limit_exceeded\",\"request_id\":\"req_1\","
        "\"retry_after_ns\":5,\"in_flight\":2,\"retry_count\":1,\"idempotency_key\":\"ik\","
        "\"call_marker\":\"c1\",\"script_step\":0,\"abandoned\":true}\n"
        "{\"sequence\":2,\"connection\":0,\"method\":\"\",\"path\":\"\",\"model\":\"\","
        "\"key_tail\":\"\",\"body_digest\":\"0000000000000000\",\"tokens\":0,"
        "\"arrived_ns\":null,\"decided_ns\":null,\"first_byte_ns\":null,\"answered_ns\":1,"
        "\"decision\":\"rejected\",\"status\":0,\"code\":\"\",\"request_id\":\"\","
        "\"retry_after_ns\":null,\"in_flight\":0,\"retry_count\":null,\"script_step\":null,"
        "\"abandoned\":false}\n");
    free(written.text);
    journal_free(journal);
}

/* What clients send may be anything: each line must still be one line, and JSON. */
static void hostile_bytes_leave_a_line_of_json(void **state)
{
    (void)state;
    struct journal_entry entry = {.answered_ns = 1};
    struct written written;
    start_writing(&written);
    strcpy(entry.path, "/v1/\xff\xc3/\"\\\n\r\x01\x7f");
    strcpy(entry.idempotency_key, "caf\xe9");
    strcpy(entry.model, "\xf0\x9f\x98\x80");
    assert_true(journal_write_entry(&entry, written.stream));
    fclose(written.stream);
    assert_true(json_is_utf8(written.text, written.length));
    assert_ptr_equal(strchr(written.text, '\n'), written.text + written.length - 1);
    cJSON *root = cJSON_ParseWithLength(written.text, written.length);
    assert_string_equal(cJSON_GetObjectItem(root, "path")->valuestring, "/v1/?\?/\"\\\n\r\x01\x7f");
    assert_string_equal(cJSON_GetObjectItem(root, "idempotency_key")->valuestring, "caf?");
    assert_string_equal(cJSON_GetObjectItem(root, "model")->valuestring, "\xf0\x9f\x98\x80");
    cJSON_Delete(root);
    free(written.text);
}

static void a_full_disk_is_told_and_loses_no_entry(void **state)
{
    (void)state;
    struct journal *journal = journal_new(10, JOURNAL_DROP_OLDEST);
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    setvbuf(full, NULL, _IOLBF, 0);
    journal_stream_to(journal, full);
    assert_false(journal_stream_failed(journal));
    finish(journal, begin(journal));
    assert_true(journal_stream_failed(journal));
    finish(journal, begin(journal));
    assert_true(journal_stream_failed(journal));
    assert_sequences(journal, (const uint64_t[]){1, 2}, 2);
    journal_free(journal);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_have_names),
        cmocka_unit_test(a_new_entry_has_not_happened_yet),
        cmocka_unit_test(entries_stay_in_order_of_arrival_whoever_ends_first),
        cmocka_unit_test(one_that_is_used_again_is_as_new),
        cmocka_unit_test(a_full_one_drops_the_oldest_that_has_ended_and_counts_it),
        cmocka_unit_test(where_none_has_ended_one_more_is_written_but_not_kept),
        cmocka_unit_test(one_that_refuses_keeps_what_it_has),
        cmocka_unit_test(clearing_leaves_what_is_under_way),
        cmocka_unit_test(an_entry_is_a_line_of_json_to_the_byte),
        cmocka_unit_test(hostile_bytes_leave_a_line_of_json),
        cmocka_unit_test(a_full_disk_is_told_and_loses_no_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
