#include "tests/unit/api_world.h"

#define FORM(purpose, filename, content)                                                           \
    "--X\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" purpose                      \
    "\r\n--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" filename               \
    "\"\r\n\r\n" content "\r\n--X--\r\n"

static int upload(struct api_world *world, const char *form)
{
    world->content_type = "multipart/form-data; boundary=X";
    return world_post(world, "/v1/files", form);
}

static void a_file_is_what_was_uploaded(void **state)
{
    (void)state;
    struct api_world world;
    char path[128];
    char content_path[160];
    world_start(&world, "{}");
    assert_int_equal(upload(&world, FORM("batch", "in.jsonl", "a\r\nb")), 200);
    assert_text_at(world.root, "object", "file");
    assert_text_at(world.root, "filename", "in.jsonl");
    assert_text_at(world.root, "purpose", "batch");
    assert_text_at(world.root, "status", "processed");
    assert_number_at(world.root, "bytes", 4);
    assert_number_at(world.root, "created_at", 1767225600);
    assert_number_at(world.root, "expires_at", 1767225600 + 30 * 86400);
    snprintf(path, sizeof path, "/v1/files/%s", json_at(world.root, "id")->valuestring);
    snprintf(content_path, sizeof content_path, "%s/content", path);
    assert_int_equal(world_ask(&world, "GET", content_path, ""), 200);
    assert_int_equal(world.outcome.answer.body_length, 4);
    assert_memory_equal(world.outcome.answer.body, "a\r\nb", 4);
    assert_int_equal(world_ask(&world, "GET", path, ""), 200);
    assert_text_at(world.root, "filename", "in.jsonl");
    assert_int_equal(world_ask(&world, "DELETE", path, ""), 200);
    assert_true(cJSON_IsTrue(json_at(world.root, "deleted")));
    assert_int_equal(world_ask(&world, "GET", path, ""), 404);
    assert_text_at(world.root, "error.param", "id");
    assert_non_null(
        strstr(json_at(world.root, "error.message")->valuestring, "No such File object: file-"));
    assert_int_equal(world_ask(&world, "DELETE", path, ""), 404);
    assert_int_equal(world_ask(&world, "GET", content_path, ""), 404);
    world_end(&world);
}

static void lists_by_purpose_and_page(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(upload(&world, FORM("batch", "1.jsonl", "1")), 200);
    assert_int_equal(upload(&world, FORM("user_data", "2.txt", "2")), 200);
    assert_int_equal(upload(&world, FORM("batch", "3.jsonl", "3")), 200);
    assert_int_equal(world_ask(&world, "GET", "/v1/files", ""), 200);
    assert_text_at(world.root, "data.0.filename", "3.jsonl"); /* the newest first */
    assert_text_at(world.root, "data.2.filename", "1.jsonl");
    assert_true(cJSON_IsFalse(json_at(world.root, "has_more")));
    world.query[0] = "limit";
    world.query[1] = "1";
    world.query[2] = "purpose";
    world.query[3] = "batch";
    assert_int_equal(world_ask(&world, "GET", "/v1/files", ""), 200);
    assert_text_at(world.root, "data.0.filename", "3.jsonl");
    assert_true(cJSON_IsTrue(json_at(world.root, "has_more")));
    char last[64];
    snprintf(last, sizeof last, "%s", json_at(world.root, "last_id")->valuestring);
    world.query[4] = "after";
    world.query[5] = last;
    assert_int_equal(world_ask(&world, "GET", "/v1/files", ""), 200);
    assert_text_at(world.root, "data.0.filename", "1.jsonl");
    assert_true(cJSON_IsFalse(json_at(world.root, "has_more")));
    world.query[4] = "order";
    world.query[5] = "asc";
    assert_int_equal(world_ask(&world, "GET", "/v1/files", ""), 200);
    assert_text_at(world.root, "data.0.filename", "1.jsonl");
    world.query[1] = "0";
    assert_int_equal(world_ask(&world, "GET", "/v1/files", ""), 400);
    world_end(&world);
}

#define PURPOSES "['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'] - 'purpose'"

static void a_purpose_is_one_of_those_there_are(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(upload(&world, FORM("answers", "in.jsonl", "1")), 400);
    assert_text_at(world.root, "error.message", "'answers' is not one of " PURPOSES);
    assert_text_at(world.root, "error.type", "invalid_request_error");
    assert_int_equal(upload(&world, FORM("assistants-of-whom-none-has-ever-heard", "a", "1")), 400);
    assert_text_at(world.root, "error.message",
                   "'assistants-of-whom-none-has-eve' is not one of " PURPOSES);
    assert_int_equal(upload(&world, FORM("assistants", "a", "1")), 200);
    assert_int_equal(upload(&world, FORM("batch", "a.jsonl", "1")), 200);
    assert_int_equal(upload(&world, FORM("fine-tune", "a", "1")), 200);
    assert_int_equal(upload(&world, FORM("vision", "a", "1")), 200);
    assert_int_equal(upload(&world, FORM("user_data", "a", "1")), 200);
    assert_int_equal(upload(&world, FORM("evals", "a", "1")), 200);
    world_end(&world);
}

static void a_wrong_upload_is_told_what_is_wrong(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(upload(&world, FORM("batch", "in.txt", "1")), 400);
    assert_text_at(world.root, "error.message",
                   "Invalid file format for Batch API. Must be .jsonl");
    assert_int_equal(upload(&world, FORM("", "in.jsonl", "1")), 400);
    assert_text_at(world.root, "error.param", "purpose");
    assert_int_equal(upload(&world,
                            "--X\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n"
                            "batch\r\n--X--"),
                     400);
    assert_text_at(world.root, "error.param", "file");
    assert_int_equal(upload(&world, "--X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"),
                     400);
    world.content_type = "application/json";
    assert_int_equal(world_post(&world, "/v1/files", "{}"), 400);
    world_end(&world);
}

static void only_steps_that_name_its_path_play(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world,
                "{\"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": \"forever\","
                "               \"when\": {\"path\": \"/v1/files*\", \"every\": 2}},"
                "              {\"answer\": {\"fault\": \"truncate\"},"
                "               \"when\": {\"path\": \"/v1/models\"}},"
                "              {\"answer\": {\"error\": \"slow_down\"}, \"times\": 1}]}");
    assert_int_equal(upload(&world, FORM("batch", "1.jsonl", "1")), 200);
    assert_int_equal(world_ask(&world, "GET", "/v1/files", ""), 500);
    assert_int_equal(world.entry.script_step, 0);
    assert_int_equal(world.entry.decision, JOURNAL_SCRIPTED);
    assert_int_equal(world_ask(&world, "GET", "/v1/models", ""), 200);
    assert_true(world.outcome.answer.is_raw);
    assert_string_equal(world.entry.fault, "truncate");
    assert_int_equal(world_ask(&world, "GET", "/v1/models", ""), 200);
    assert_int_equal(world.entry.script_step, -1);
    /* And the step that names none waits for one that asks a model. */
    assert_int_equal(world_post(&world, "/v1/embeddings", "{\"model\": \"m\", \"input\": \"a\"}"),
                     429);
    world_end(&world);
}

/* A script, its faults too, plays on every endpoint that asks a model. */
static void steps_play_on_every_endpoint_that_asks_a_model(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *body;
    } requests[] = {
        {"/v1/chat/completions", "\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]"},
        {"/v1/responses", "\"input\": \"a\""},
        {"/v1/completions", "\"prompt\": \"a\""},
        {"/v1/embeddings", "\"input\": \"a\""},
        {"/v1/images/generations", "\"prompt\": \"a\""},
        {"/v1/moderations", "\"input\": \"a\""},
        {"/v1/audio/speech", "\"input\": \"a\", \"voice\": \"alloy\""},
    };
    for (const struct endpoint *row = endpoint_table(); row->method != NULL; row++) {
        if (row->read == NULL)
            continue;
        bool is_known = false;
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
            is_known |= strcmp(requests[i].path, row->path) == 0;
        assert_true(is_known);
    }
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct api_world world;
        char body[200];
        world_start(&world, "{\"script\": [{\"answer\": {\"error\": \"insufficient_quota\"}},"
                            "{\"answer\": {\"fault\": \"reset\", \"at\": \"in_body\"}},"
                            "{\"answer\": {\"fault\": \"proxy_page\", \"status\": 503}}]}");
        snprintf(body, sizeof body, "{\"model\": \"m\", %s}", requests[i].body);
        assert_int_equal(world_post(&world, requests[i].path, body), 429);
        assert_text_at(world.root, "error.code", "insufficient_quota");
        assert_int_equal(world_post(&world, requests[i].path, body), 200);
        assert_true(world.outcome.answer.is_raw && world.outcome.answer.end == ANSWER_RESETS);
        assert_int_equal(world_post(&world, requests[i].path, body), 503);
        assert_int_equal(world_post(&world, requests[i].path, body), 200);
        assert_int_equal(world.entry.decision, JOURNAL_SERVED);
        world_end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_what_was_uploaded),
        cmocka_unit_test(lists_by_purpose_and_page),
        cmocka_unit_test(a_purpose_is_one_of_those_there_are),
        cmocka_unit_test(a_wrong_upload_is_told_what_is_wrong),
        cmocka_unit_test(only_steps_that_name_its_path_play),
        cmocka_unit_test(steps_play_on_every_endpoint_that_asks_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
