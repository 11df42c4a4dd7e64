/* Journals, put together to calls: each request belongs to exactly one call, in order of time.
 *
 * The input: six bytes a request: what it carries, its body, connection, retry counter, how long
 * after the one before it came, how long its answer took.
 */
#include "base/duration.h"
#include "harness/calls.h"
#include "tests/journal_once.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUEST_BYTES = 6, REQUESTS_MAX = 200 };

static void add_request(struct journal *journal, const uint8_t *bytes, int64_t *now_ns)
{
    static const int statuses[] = {200, 429, 500, 0};
    struct journal_entry *entry = journal_begin(journal);
    assert(entry != NULL);
    *now_ns += bytes[4] * NS_PER_MS;
    snprintf(entry->method, sizeof entry->method, "%s", (bytes[0] & 0x0f) == 0x0f ? "GET" : "POST");
    snprintf(entry->path, sizeof entry->path, "/v1/chat/completions");
    snprintf(entry->model, sizeof entry->model, "m%d", bytes[1] >> 7);
    entry->body_digest = bytes[1] & 3;
    entry->connection = 1 + (bytes[2] & 7);
    entry->arrived_ns = *now_ns;
    entry->decided_ns = *now_ns;
    entry->answered_ns = bytes[5] == 0xff ? -1 : *now_ns + bytes[5] * NS_PER_MS;
    entry->first_byte_ns = entry->answered_ns;
    entry->status = statuses[bytes[0] >> 6];
    entry->decision = entry->status == 429 ? JOURNAL_THROTTLED : JOURNAL_SERVED;
    entry->retry_count = bytes[3] == 0 ? -1 : (bytes[3] & 7) - 1;
    if ((bytes[0] & 0x10) != 0)
        snprintf(entry->idempotency_key, sizeof entry->idempotency_key, "k%d", bytes[2] >> 5);
    if ((bytes[0] & 0x20) != 0)
        snprintf(entry->call_marker, sizeof entry->call_marker, "m%d", bytes[3] >> 5);
    journal_finish(journal, entry);
}

static void check_calls(const struct call *calls, size_t call_count, const bool *is_post,
                        size_t request_count)
{
    bool seen[REQUESTS_MAX + 1] = {false};
    size_t attempt_count = 0;
    for (size_t i = 0; i < call_count; i++) {
        const struct call *call = &calls[i];
        assert(call->attempt_count > 0);
        assert(call->loop_attempts <= call->attempt_count);
        assert(i == 0 || calls[i - 1].attempts[0].sequence < call->attempts[0].sequence);
        for (size_t j = 0; j < call->attempt_count; j++) {
            uint64_t sequence = call->attempts[j].sequence;
            assert(sequence >= 1 && sequence <= request_count);
            assert(is_post[sequence] && !seen[sequence]);
            assert(j == 0 || call->attempts[j - 1].sequence < sequence);
            seen[sequence] = true;
            attempt_count++;
        }
    }
    for (size_t i = 1; i <= request_count; i++)
        attempt_count -= is_post[i];
    assert(attempt_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool is_post[REQUESTS_MAX + 1] = {false};
    struct journal *journal = journal_new(REQUESTS_MAX, JOURNAL_REFUSE);
    assert(journal != NULL);
    size_t count = size / REQUEST_BYTES < REQUESTS_MAX ? size / REQUEST_BYTES : REQUESTS_MAX;
    int64_t now_ns = 0;
    for (size_t i = 0; i < count; i++) {
        add_request(journal, data + i * REQUEST_BYTES, &now_ns);
        is_post[i + 1] = (data[i * REQUEST_BYTES] & 0x0f) != 0x0f;
    }
    uint64_t run_lasts[2] = {count / 2, count};
    for (size_t runs = 1; runs <= 2; runs++) {
        struct call *calls = NULL;
        size_t call_count = 0;
        struct calls_input input = {
            .journal = journal,
            .run_lasts = runs == 1 ? &run_lasts[1] : run_lasts,
            .run_count = runs,
            .by_connection = (size & 1) != 0,
        };
        assert(calls_find(&input, &calls, &call_count));
        check_calls(calls, call_count, is_post, count);
        for (size_t i = 0; i < call_count; i++)
            free(calls[i].attempts);
        free(calls);
    }
    journal_free(journal);
    return 0;
}
