#include "mockserver/fault.h"

#include "tests/unit/api_world.h"

#define BODY "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}"
#define STREAM                                                                                     \
    "{\"model\": \"m\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": "       \
    "\"Hi\"}]}"
#define CHAT "/v1/chat/completions"

/* One answer with this fault in force. */
static void play(struct api_world *world, const char *fault, const char *path, const char *body)
{
    char config[400];
    snprintf(config, sizeof config,
             "{\"quotas\": {\"*\": {\"requests_total\": 0}}, \"script\": [{\"answer\": %s, "
             "\"times\": \"forever\"}]}",
             fault);
    world_start(world, config);
    world_post(world, path, body);
    assert_int_equal(world->entry.decision, JOURNAL_FAULT); /* the quotas have not been asked */
    assert_int_equal(world->entry.status, world->outcome.answer.status);
}

static const char *head_end(const struct answer *answer)
{
    const char *end = memmem(answer->body, answer->body_length, "\r\n\r\n", 4);
    return end != NULL ? end + 4 : NULL;
}

static void resets_at_its_place(void **state)
{
    (void)state;
    static const char *const places[] = {"before_headers", "in_headers", "after_headers",
                                         "in_body"};
    for (size_t i = 0; i < 4; i++) {
        struct api_world world;
        char fault[100];
        snprintf(fault, sizeof fault, "{\"fault\": \"reset\", \"at\": \"%s\"}", places[i]);
        play(&world, fault, CHAT, BODY);
        const struct answer *answer = &world.outcome.answer;
        assert_true(answer->is_raw && world.entry.broken);
        assert_int_equal(answer->end, ANSWER_RESETS);
        assert_string_equal(world.entry.fault, "reset");
        assert_int_equal(answer->status, i == 0 ? 0 : 200);
        assert_int_equal(answer->body_length == 0, i == 0);
        const char *end = i > 0 ? head_end(answer) : NULL;
        assert_int_equal(end != NULL, i >= 2);
        if (i >= 2)
            assert_int_equal(end == answer->body + answer->body_length, i == 2);
        world_end(&world);
    }
}

static void stalls_for_a_time_or_for_ever(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"stall\", \"at\": \"in_body\", \"for\": \"3s\"}", CHAT, BODY);
    const struct answer *answer = &world.outcome.answer;
    assert_int_equal(answer->pieces[answer->piece_count - 1].due_ns, 3 * NS_PER_S);
    assert_int_equal(answer->pieces[0].due_ns, 0);
    assert_int_equal(answer->end, ANSWER_CLOSES);
    assert_false(world.entry.broken);
    world_end(&world);
    play(&world, "{\"fault\": \"stall\"}", CHAT, BODY);
    assert_int_equal(world.outcome.answer.end, ANSWER_HANGS);
    assert_int_equal(world.outcome.answer.body_length, 0);
    assert_true(world.entry.broken);
    world_end(&world);
}

static void refuses_for_a_time(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"refuse\", \"for\": \"5s\"}", CHAT, BODY);
    assert_int_equal(world.outcome.refuse_ns, 5 * NS_PER_S);
    assert_int_equal(world.outcome.answer.end, ANSWER_RESETS);
    world_end(&world);
}

/* Events in good order, of which one has no JSON that can be read, and the end. */
static void assert_streams_broken_json(const struct answer *answer)
{
    static const char done[] = "\n\ndata: [DONE]\n\n";
    size_t before = answer->body_length - (sizeof done - 1);
    assert_memory_equal(answer->body + before, done, sizeof done - 1);
    const char *last = answer->body + before;
    while (last > answer->body && memcmp(last, "data: ", 6) != 0)
        last--;
    cJSON *json = cJSON_ParseWithLength(last + 6, (size_t)(answer->body + before - last - 6));
    assert_null(json);
}

static void half_an_answer(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"truncate\"}", CHAT, BODY);
    const struct answer *answer = &world.outcome.answer;
    const char *length = strstr(answer->body, "Content-Length: ");
    long whole = strtol(length + strlen("Content-Length: "), NULL, 10);
    assert_int_equal(answer->body + answer->body_length - head_end(answer), whole / 2);
    assert_int_equal(answer->end, ANSWER_CLOSES);
    world_end(&world);
    play(&world, "{\"fault\": \"invalid_json\"}", CHAT, STREAM);
    assert_int_equal(world.outcome.answer.status, 200);
    assert_streams_broken_json(&world.outcome.answer);
    world_end(&world);
    play(&world, "{\"fault\": \"invalid_json\"}", "/v1/audio/speech",
         "{\"model\": \"tts-1\", \"input\": \"Hi\", \"voice\": \"alloy\"}");
    assert_int_equal(world.outcome.answer.body[0], '{');
    assert_null(strchr(world.outcome.answer.body, '}'));
    world_end(&world);
    play(&world, "{\"fault\": \"invalid_json\"}", CHAT, BODY);
    assert_false(world.outcome.answer.is_raw);
    assert_null(world.outcome.answer.pieces);
    assert_null(world.root);
    assert_true(world.entry.broken);
    world_end(&world);
}

static void wrong_lengths(void **state)
{
    (void)state;
    struct api_world world;
    for (int by = -20; by <= 20; by += 40) {
        char fault[100];
        snprintf(fault, sizeof fault, "{\"fault\": \"wrong_length\", \"by\": %d}", by);
        play(&world, fault, CHAT, BODY);
        const struct answer *answer = &world.outcome.answer;
        const char *length = strstr(answer->body, "Content-Length: ");
        long said = strtol(length + strlen("Content-Length: "), NULL, 10);
        assert_int_equal(said, answer->body + answer->body_length - head_end(answer) + by);
        assert_int_equal(answer->end, by > 0 ? ANSWER_HANGS : ANSWER_CLOSES);
        world_end(&world);
    }
}

static void endless_chunks(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"endless_chunks\"}", CHAT, BODY);
    const struct answer *answer = &world.outcome.answer;
    assert_int_equal(answer->end, ANSWER_HANGS);
    assert_null(memmem(answer->body, answer->body_length, "\r\n0\r\n\r\n", 7));
    world_end(&world);
    play(&world, "{\"fault\": \"endless_chunks\", \"for\": \"2s\"}", CHAT, BODY);
    assert_int_equal(answer->end, ANSWER_CLOSES);
    assert_int_equal(answer->pieces[answer->piece_count - 1].due_ns, 2 * NS_PER_S);
    world_end(&world);
}

static void drips(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"drip\", \"bytes_per_second\": 100}", CHAT, BODY);
    const struct answer *answer = &world.outcome.answer;
    int64_t length = answer->body + answer->body_length - head_end(answer);
    assert_int_equal(answer->pieces[answer->piece_count - 1].due_ns, length * NS_PER_S / 100);
    assert_false(world.entry.broken);
    world_end(&world);
}

static void pages_of_a_proxy(void **state)
{
    (void)state;
    static const int statuses[] = {502, 503, 504};
    for (size_t i = 0; i < 3; i++) {
        struct api_world world;
        char fault[100];
        snprintf(fault, sizeof fault, "{\"fault\": \"proxy_page\", \"status\": %d}", statuses[i]);
        play(&world, fault, CHAT, BODY);
        const struct answer *answer = &world.outcome.answer;
        assert_int_equal(answer->status, statuses[i]);
        assert_string_equal(answer_find_header(answer, "content-type"), "text/html");
        assert_null(answer_find_header(answer, "x-request-id"));
        assert_memory_equal(answer->body, "<html>", 6);
        assert_false(world.entry.broken);
        world_end(&world);
    }
}

static void bad_waits(void **state)
{
    (void)state;
    static const struct {
        const char *form;
        const char *value;
    } cases[] = {
        {"garbage", "soon"}, {"negative", "-5"},
        {"zero", "0"},       {"past_date", "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"repeated", "1"},   {"huge", "99999999999999999999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_world world;
        char fault[100];
        snprintf(fault, sizeof fault, "{\"fault\": \"bad_retry_after\", \"form\": \"%s\"}",
                 cases[i].form);
        play(&world, fault, CHAT, STREAM);
        const struct answer *answer = &world.outcome.answer;
        assert_int_equal(answer->status, 429);
        assert_string_equal(world.entry.code, "rate_limit_exceeded");
        assert_text_at(world.root, "error.code", "rate_limit_exceeded");
        assert_string_equal(answer_find_header(answer, "retry-after"), cases[i].value);
        assert_int_equal(world.entry.retry_after_ns, -1);
        int count = 0;
        for (size_t j = 0; j < answer->header_count; j++)
            count += strcmp(answer_name(answer, j), "retry-after") == 0;
        assert_int_equal(count, strcmp(cases[i].form, "repeated") == 0 ? 2 : 1);
        world_end(&world);
    }
}

static void errors_in_a_stream(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"stream_error\"}", CHAT, STREAM);
    const struct answer *answer = &world.outcome.answer;
    cJSON *last = event_at(answer, answer->piece_count - 1);
    assert_text_at(last, "error.type", "server_error");
    cJSON_Delete(last);
    assert_null(strstr(answer->body, "[DONE]"));
    assert_true(world.entry.broken);
    world_end(&world);
    play(&world, "{\"fault\": \"stream_error\"}", "/v1/responses",
         "{\"model\": \"m\", \"input\": \"Hi\", \"stream\": true}");
    for (size_t i = 0; i < answer->piece_count; i++) {
        cJSON *event = event_at(answer, i);
        assert_number_at(event, "sequence_number", (double)i);
        cJSON_Delete(event);
    }
    cJSON *event = event_at(answer, answer->piece_count - 2);
    assert_text_at(event, "type", "error");
    cJSON_Delete(event);
    event = event_at(answer, answer->piece_count - 1);
    assert_text_at(event, "type", "response.failed");
    assert_text_at(event, "response.status", "failed");
    assert_text_at(event, "response.error.code", "server_error");
    cJSON_Delete(event);
    world_end(&world);
}

static void streams_without_an_end(void **state)
{
    (void)state;
    struct api_world world;
    play(&world, "{\"fault\": \"stream_cut\"}", CHAT, STREAM);
    const struct answer *answer = &world.outcome.answer;
    assert_int_equal(answer->pieces[answer->piece_count - 1].end, answer->body_length);
    assert_null(memmem(answer->body, answer->body_length, "[DONE]", 6));
    cJSON *last = event_at(answer, answer->piece_count - 1);
    assert_text_at(last, "choices.0.finish_reason", "stop");
    cJSON_Delete(last);
    world_end(&world);
}

/* Its step waits for a request that it can meet. */
static void faults_of_streams_leave_other_answers_alone(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"script\": [{\"answer\": {\"fault\": \"stream_cut\"}}]}");
    assert_int_equal(world_post(&world, CHAT, BODY), 200);
    assert_int_equal(world.entry.decision, JOURNAL_SERVED);
    assert_int_equal(world_post(&world, CHAT, STREAM), 200);
    assert_int_equal(world.entry.decision, JOURNAL_FAULT);
    world_end(&world);
}

static void every_row_is_found_by_its_name(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct fault_kind *const *kind = fault_kinds(); *kind != NULL; kind++, count++)
        assert_ptr_equal(fault_find((*kind)->name), *kind);
    assert_true(count >= 12);
    assert_null(fault_find("none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resets_at_its_place),
        cmocka_unit_test(stalls_for_a_time_or_for_ever),
        cmocka_unit_test(refuses_for_a_time),
        cmocka_unit_test(half_an_answer),
        cmocka_unit_test(wrong_lengths),
        cmocka_unit_test(endless_chunks),
        cmocka_unit_test(drips),
        cmocka_unit_test(pages_of_a_proxy),
        cmocka_unit_test(bad_waits),
        cmocka_unit_test(errors_in_a_stream),
        cmocka_unit_test(streams_without_an_end),
        cmocka_unit_test(faults_of_streams_leave_other_answers_alone),
        cmocka_unit_test(every_row_is_found_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
