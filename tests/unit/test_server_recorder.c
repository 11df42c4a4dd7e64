#include "mockserver/recorder.h"

#include "base/duration.h"
#include "harness/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY "sk-client-0123456789-tail"

static const char *const keys[] = {KEY, NULL};

static struct recorder *recorder;
static struct scenario scenario;
static char *text;

static int start(void **state)
{
    (void)state;
    recorder = recorder_new();
    return recorder == NULL;
}

static int stop(void **state)
{
    (void)state;
    recorder_free(recorder);
    scenario_free(&scenario);
    free(text);
    scenario = (struct scenario){0};
    text = NULL;
    return 0;
}

/* A request that was answered with `status`, 20 ms after it was decided. */
static struct journal_entry answered(uint64_t sequence, int status)
{
    struct journal_entry entry = {.sequence = sequence,
                                  .path = "/v1/chat/completions",
                                  .model = "m",
                                  .status = status,
                                  .decided_ns = NS_PER_S,
                                  .first_byte_ns = NS_PER_S + 20 * NS_PER_MS};
    return entry;
}

/* What has come so far, as a scenario file that is loaded. */
static const struct script *loaded(void)
{
    struct error error;
    size_t length = 0;
    char told[1400];
    scenario_free(&scenario);
    free(text);
    FILE *stream = open_memstream(&text, &length);
    assert_true(recorder_write(recorder, stream));
    fclose(stream);
    scenario = (struct scenario){0};
    if (!scenario_parse(&scenario, text, length, "record.json", &error))
        fail_msg("%s in %s", error_text(&error, told, sizeof told), text);
    assert_int_equal(scenario.server.script.step_count, recorder_count(recorder));
    return &scenario.server.script;
}

/* One whole answer from elsewhere. */
static void record(const struct journal_entry *entry, const char *type, const char *body)
{
    struct recording *recording = recorder_begin(recorder);
    recording_header(recording, "content-type", type);
    if (body[0] != '\0')
        recording_data(recorder, recording, body, strlen(body), entry->first_byte_ns);
    recorder_end(recorder, recording, entry, keys);
}

static void record_own(const struct journal_entry *entry, const struct answer *answer)
{
    struct recording *recording = recorder_begin(recorder);
    recording_answer(recorder, recording, answer);
    recorder_end(recorder, recording, entry, keys);
}

static const char *header_of(const struct script_step *step, const char *name)
{
    for (size_t i = 0; i < step->header_count; i++) {
        if (strcasecmp(step->headers[i].name, name) == 0)
            return step->headers[i].value;
    }
    return NULL;
}

/* Bug: the replay waits for another time, plays for other requests, or loses what SDKs read of a
 * refusal. */
static void a_refusal_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char body[] = "{\"error\": {\"message\": \"a \\\"b\\\" \342\202\254\", "
                               "\"code\": \"rate_limit_exceeded\"}}\n";
    struct journal_entry entry = answered(1, 429);
    snprintf(entry.code, sizeof entry.code, "rate_limit_exceeded");
    struct recording *recording = recorder_begin(recorder);
    recording_header(recording, "Content-Type", "application/json");
    recording_header(recording, "Retry-After", "7");
    recording_header(recording, "retry-after-ms", "6500");
    recording_header(recording, "x-should-retry", "true");
    recording_header(recording, "X-RateLimit-Remaining-Tokens", "0");
    recording_header(recording, "x-ratelimit-remaining-tokens", "5"); /* the first one counts */
    recording_header(recording, "date", "Thu, 01 Jan 2026 00:00:00 GMT");
    recording_header(recording, "set-cookie", "secret");
    recording_data(recorder, recording, body, 20, NS_PER_S);
    recording_data(recorder, recording, body + 20, sizeof body - 1 - 20, NS_PER_S);
    recorder_end(recorder, recording, &entry, keys);
    const struct script_step *step = &loaded()->steps[0];
    assert_string_equal(step->path, "/v1/chat/completions");
    assert_string_equal(step->model, "m");
    assert_int_equal(step->latency_ns, 20 * NS_PER_MS);
    assert_int_equal(step->status, 429);
    assert_string_equal(step->code, "rate_limit_exceeded");
    assert_string_equal(step->body, body);
    assert_int_equal(step->piece_count, 0);
    assert_int_equal(step->header_count, 5);
    assert_string_equal(header_of(step, "retry-after"), "7");
    assert_string_equal(header_of(step, "retry-after-ms"), "6500");
    assert_string_equal(header_of(step, "x-should-retry"), "true");
    assert_string_equal(header_of(step, "x-ratelimit-remaining-tokens"), "0");
    assert_int_equal(scenario.expectations.count, 1);
}

/* Bug: what was recorded is a scenario that is refused. */
static void what_no_step_can_say_is_left_out(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 204);
    record(&entry, "text/plain", "");
    entry = answered(2, 404);
    snprintf(entry.path, sizeof entry.path, "*");
    record(&entry, "text/plain", "no such path");
    assert_int_equal(loaded()->step_count, 1);
    assert_int_equal(loaded()->steps[0].status, 204);
}

/* Bug: an event is torn, in the middle of a character even; bytes are lost between two; or the
 * times of the pieces are those of the clock. */
static void a_stream_comes_back_event_by_event(void **state)
{
    (void)state;
    static const char *const came[] = {"data: a\n", "\ndata: \342", "\202\254\n\ndata: b\n\n",
                                       "data: [DONE]\n\n"};
    struct journal_entry entry = answered(1, 200);
    struct recording *recording = recorder_begin(recorder);
    recording_header(recording, "content-type", "text/event-stream; charset=utf-8");
    for (int64_t i = 0; i < 4; i++)
        recording_data(recorder, recording, came[i], strlen(came[i]),
                       entry.first_byte_ns + i * 10 * NS_PER_MS);
    recorder_end(recorder, recording, &entry, keys);
    const struct script_step *step = &loaded()->steps[0];
    assert_string_equal(step->body, "data: a\n\ndata: \342\202\254\n\ndata: b\n\ndata: [DONE]\n\n");
    assert_int_equal(step->piece_count, 3);
    assert_int_equal(step->pieces[0].end, strlen("data: a\n\n"));
    assert_int_equal(step->pieces[0].due_ns, 10 * NS_PER_MS);
    assert_int_equal(step->pieces[1].due_ns, 20 * NS_PER_MS);
    assert_int_equal(step->pieces[2].due_ns, 30 * NS_PER_MS);
    assert_int_equal(step->pieces[2].end, strlen(step->body));
}

/* Bug: a stream without a blank line, or without anything, is a file that is not loaded. */
static void streams_without_events_are_loaded(void **state)
{
    (void)state;
    const struct journal_entry entries[] = {answered(1, 200), answered(2, 200), answered(3, 200)};
    record(&entries[0], "text/event-stream", "");
    record(&entries[1], "text/event-stream", "\n");
    record(&entries[2], "text/event-stream", "data: no end");
    const struct script *script = loaded();
    assert_string_equal(script->steps[0].body, "");
    assert_string_equal(script->steps[1].body, "\n");
    assert_string_equal(script->steps[2].body, "data: no end");
}

/* Bug: our own stream's times, which count from its beginning, have it taken off once more. */
static void own_streams_keep_their_times(void **state)
{
    (void)state;
    const struct journal_entry entry = answered(1, 200);
    struct answer answer;
    struct answer_piece *pieces = calloc(2, sizeof *pieces);
    pieces[0] = (struct answer_piece){.end = 9, .due_ns = 0};
    pieces[1] = (struct answer_piece){.end = 18, .due_ns = 5 * NS_PER_S};
    answer_init(&answer, 200);
    answer_header(&answer, "content-type", "text/event-stream");
    answer_body(&answer, strdup("data: 1\n\ndata: 2\n\n"));
    answer_pieces(&answer, pieces, 2);
    record_own(&entry, &answer);
    answer_free(&answer);
    const struct script_step *step = &loaded()->steps[0];
    assert_int_equal(step->piece_count, 2);
    assert_int_equal(step->pieces[0].due_ns, 0);
    assert_int_equal(step->pieces[1].due_ns, 5 * NS_PER_S);
}

/* Bug: what cannot be replayed is in the file, and refused when it is loaded, or is missing without
 * a word. */
static void what_cannot_be_replayed_is_counted(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 200);
    recorder_end(recorder, NULL, &entry, keys); /* there was no room */
    record(&entry, "audio/mpeg", "\377\373\220");
    struct recording *recording = recorder_begin(recorder);
    recording_data(recorder, recording, "a\0b", 3, 0);
    recorder_end(recorder, recording, &entry, keys);
    entry.fault = "truncate";
    record(&entry, "text/plain", "x");
    entry.fault = NULL;
    entry.abandoned = true;
    record(&entry, "text/event-stream", "data: 1\n\n");
    entry.abandoned = false;
    static const int statuses[] = {0, 101, 600, 999};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        entry.status = statuses[i];
        record(&entry, "text/plain", "x");
    }
    struct answer raw;
    answer_init(&raw, 200);
    answer_body(&raw, strdup("HTTP/1.1 200 OK\r\n\r\n"));
    raw.is_raw = true;
    entry.status = 200;
    record_own(&entry, &raw);
    answer_free(&raw);
    assert_int_equal(loaded()->step_count, 0);
    assert_int_equal(recorder_left_out(recorder), 10);
    assert_non_null(strstr(text, "\"$left_out\": 10,"));
}

/* Bug: SDKs close when they have read [DONE], and their streams would all be left out. */
static void a_stream_that_was_read_to_done_is_whole(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 200);
    entry.abandoned = true;
    record(&entry, "text/event-stream", "data: 1\n\ndata: [DONE]\n\n");
    assert_int_equal(loaded()->step_count, 1);
}

/* Bug: a header's bytes, or its odd name, make a file that is refused as a whole. */
static void bytes_that_are_no_text_do_not_spoil_the_file(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 400);
    struct recording *recording = recorder_begin(recorder);
    recording_header(recording, "content-type", "text/\377");
    recording_header(recording, "x-request-id", "a\001b");
    recording_header(recording, "x-ratelimit-(", "1");
    recording_header(recording, "retry-after", "");
    recording_data(recorder, recording, "x", 1, 0);
    recorder_end(recorder, recording, &entry, keys);
    const struct script_step *step = &loaded()->steps[0];
    assert_int_equal(step->header_count, 1);
    assert_string_equal(header_of(step, "retry-after"), "");
}

/* Bug: more headers than a step may have make a file that is refused. */
static void headers_are_no_more_than_a_step_may_have(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 200);
    struct recording *recording = recorder_begin(recorder);
    char name[ANSWER_HEADER_NAME_SIZE + 20];
    char value[ANSWER_HEADER_VALUE_SIZE + 20];
    memset(value, 'v', sizeof value);
    value[ANSWER_HEADER_VALUE_SIZE] = '\0';
    recording_header(recording, "x-request-id", value);
    snprintf(name, sizeof name, "x-ratelimit-%.*s", ANSWER_HEADER_NAME_SIZE, value);
    recording_header(recording, name, "1");
    for (int i = 0; i < 2 * SCRIPT_HEADERS_MAX; i++) {
        snprintf(name, sizeof name, "x-ratelimit-%d", i);
        recording_header(recording, name, "1");
    }
    recorder_end(recorder, recording, &entry, keys);
    assert_int_equal(loaded()->steps[0].header_count, SCRIPT_HEADERS_MAX);
    assert_null(header_of(&scenario.server.script.steps[0], "x-request-id"));
}

/* Bug: a path or a model that is longer than the journal keeps never matches at the replay, so that
 * all of an Azure deployment's answers are passed over. */
static void what_the_journal_has_cut_still_matches(void **state)
{
    (void)state;
    static const char path[] =
        "/openai/deployments/a-deployment-with-a-name-of-some-length-ee\303\251/chat/completions";
    char model[200];
    struct journal_entry entry = answered(1, 200);
    memset(model, 'm', sizeof model);
    model[sizeof model - 1] = '\0';
    memcpy(entry.path, path, sizeof entry.path - 1);
    json_make_utf8(entry.path); /* as the journal does */
    assert_string_equal(entry.path + 60, "ee?");
    memset(entry.model, 'm', sizeof entry.model - 1); /* the rest was cut */
    record(&entry, "application/json", "{}");
    struct script_state states[1] = {{.first_played_ns = -1}};
    struct random random;
    random_seed(&random, 1, 1);
    struct script_request request = {.model = model,
                                     .path = path,
                                     .route = "/v1/chat/completions",
                                     .asks_model = true,
                                     .key_tail = "",
                                     .number = 1};
    assert_int_equal(script_next(loaded(), states, &request, 0, &random), 0);
    request.path = request.route = "/openai/deployments/another/chat/completions";
    states[0] = (struct script_state){.first_played_ns = -1};
    assert_int_equal(script_next(&scenario.server.script, states, &request, 0, &random), -1);
}

/* Bug: a key that an answer repeats is given away with the file: where there are several, at the
 * border of two pieces of the body, in a header, or where one key is the beginning of another. */
static void keys_are_not_in_the_file(void **state)
{
    (void)state;
    static const char *const sent[] = {KEY, "azure-key-0123456789", NULL};
    static const char body[] = "1 " KEY " 2 azure-key-0123456789 3 sk-ours-0123456789 4 "
                               "sk-ours-0123456789-longer 5 any-word";
    struct journal_entry entry = answered(1, 200);
    recorder_hide(recorder, "sk-ours-0123456789");
    recorder_hide(recorder, "sk-ours-0123456789-longer");
    recorder_hide(recorder, "any");
    recorder_hide(recorder, "");
    struct recording *recording = recorder_begin(recorder);
    recording_header(recording, "x-request-id", "of-" KEY);
    recording_data(recorder, recording, body, 10, 0);
    recording_data(recorder, recording, body + 10, sizeof body - 1 - 10, 0);
    recorder_end(recorder, recording, &entry, sent);
    const struct script_step *step = &loaded()->steps[0];
    assert_string_equal(step->body, "1 *********************tail 2 ****************6789 3 "
                                    "**************6789 4 *********************nger 5 any-word");
    assert_string_equal(header_of(step, "x-request-id"), "of-*********************tail");
    snprintf(entry.model, sizeof entry.model, "m-%s", KEY);
    snprintf(entry.path, sizeof entry.path, "/v1/%s/x", KEY);
    snprintf(entry.code, sizeof entry.code, "%s", KEY);
    entry.status = 401;
    recording = recorder_begin(recorder);
    recording_header(recording, "x-ratelimit-" KEY, "1");
    recorder_end(recorder, recording, &entry, sent);
    step = &loaded()->steps[1];
    assert_string_equal(step->model, "m-*********************tail");
    assert_string_equal(step->path, "/v1/*********************tail/x");
    assert_string_equal(step->code, "*********************tail");
    assert_string_equal(header_of(step, "x-ratelimit-*********************tail"), "1");
}

/* Bug: steps stand in the order in which answers ended, and the replay gives the slow request's
 * answer to another one. */
static void steps_are_in_order_of_arrival(void **state)
{
    (void)state;
    static const uint64_t ended[] = {2, 4, 1, 3};
    for (size_t i = 0; i < 4; i++) {
        char body[2] = {(char)('0' + ended[i]), '\0'};
        struct journal_entry entry = answered(ended[i], 200);
        record(&entry, "text/plain", body);
    }
    const struct script *script = loaded();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(script->steps[i].body[0], '1' + i);
}

/* Bug: an answer that never began has a latency below 0, and the file is refused. */
static void times_are_never_below_zero(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 502);
    entry.first_byte_ns = -1;
    record(&entry, "text/event-stream", "data: 1\n\n");
    assert_int_equal(loaded()->steps[0].latency_ns, 0);
}

/* Bug: the memory, or the file, grows without end; or what is freed is not given back. */
static void the_bodies_are_bounded(void **state)
{
    (void)state;
    enum { MIB = 1024 * 1024 };
    char *part = malloc(MIB);
    struct journal_entry entry = answered(1, 200);
    memset(part, 'x', MIB);
    for (int i = 0; i < 20; i++) { /* freed: none of it counts */
        struct recording *recording = recorder_begin(recorder);
        recording_data(recorder, recording, part, MIB, 0);
        recording_free(recorder, recording);
    }
    struct recording *recording = recorder_begin(recorder);
    for (int i = 0; i < 9; i++)
        recording_data(recorder, recording, part, MIB, 0);
    recorder_end(recorder, recording, &entry, keys);
    assert_int_equal(recorder_left_out(recorder), 1);
    for (int i = 0; i < 8; i++) {
        recording = recorder_begin(recorder);
        recording_data(recorder, recording, part, MIB, 0);
        recorder_end(recorder, recording, &entry, keys);
    }
    assert_int_equal(recorder_count(recorder), 8);
    assert_null(recorder_begin(recorder));
    assert_int_equal(loaded()->step_count, 8);
    free(part);
}

static void there_are_no_more_steps_than_a_script_may_have(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 200);
    struct recording *early = recorder_begin(recorder); /* while there was room */
    for (uint64_t i = 1; i <= SCRIPT_STEPS_MAX; i++) {
        entry.sequence = i + 1;
        record(&entry, "text/plain", "x");
    }
    recorder_end(recorder, early, &entry, keys);
    assert_int_equal(loaded()->step_count, SCRIPT_STEPS_MAX);
    assert_int_equal(recorder_left_out(recorder), 1);
}

/* Bug: a full disk passes for a written file, or a written one is written again and again. */
static void news_last_until_they_are_written(void **state)
{
    (void)state;
    struct journal_entry entry = answered(1, 200);
    assert_false(recorder_has_news(recorder));
    record(&entry, "text/plain", "x");
    assert_true(recorder_has_news(recorder));
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    setvbuf(full, NULL, _IONBF, 0);
    assert_false(recorder_write(recorder, full));
    fclose(full);
    assert_true(recorder_has_news(recorder));
    loaded();
    assert_false(recorder_has_news(recorder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refusal_comes_back_as_it_was, start, stop),
        cmocka_unit_test_setup_teardown(what_no_step_can_say_is_left_out, start, stop),
        cmocka_unit_test_setup_teardown(a_stream_comes_back_event_by_event, start, stop),
        cmocka_unit_test_setup_teardown(streams_without_events_are_loaded, start, stop),
        cmocka_unit_test_setup_teardown(own_streams_keep_their_times, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_replayed_is_counted, start, stop),
        cmocka_unit_test_setup_teardown(a_stream_that_was_read_to_done_is_whole, start, stop),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_text_do_not_spoil_the_file, start, stop),
        cmocka_unit_test_setup_teardown(headers_are_no_more_than_a_step_may_have, start, stop),
        cmocka_unit_test_setup_teardown(what_the_journal_has_cut_still_matches, start, stop),
        cmocka_unit_test_setup_teardown(keys_are_not_in_the_file, start, stop),
        cmocka_unit_test_setup_teardown(steps_are_in_order_of_arrival, start, stop),
        cmocka_unit_test_setup_teardown(times_are_never_below_zero, start, stop),
        cmocka_unit_test_setup_teardown(the_bodies_are_bounded, start, stop),
        cmocka_unit_test_setup_teardown(there_are_no_more_steps_than_a_script_may_have, start,
                                        stop),
        cmocka_unit_test_setup_teardown(news_last_until_they_are_written, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
