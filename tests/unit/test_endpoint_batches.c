#include "tests/unit/api_world.h"

#define LINE(id, text)                                                                             \
    "{\"custom_id\": \"" id "\", \"method\": \"POST\", \"url\": \"/v1/embeddings\", "              \
    "\"body\": {\"model\": \"m\", \"input\": \"" text "\"}}\n"

static const char forty[] = "0123456789012345678901234567890123456789"; /* ten tokens */

/* Uploads the lines and makes a batch of them; its id. */
static const char *make_batch(struct api_world *world, const char *lines, char id[64])
{
    char form[4096];
    char body[256];
    snprintf(form, sizeof form,
             "--X\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--X\r\n"
             "Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n%s\r\n"
             "--X--",
             lines);
    world->content_type = "multipart/form-data; boundary=X";
    assert_int_equal(world_post(world, "/v1/files", form), 200);
    snprintf(body, sizeof body,
             "{\"input_file_id\": \"%s\", \"endpoint\": \"/v1/embeddings\","
             " \"completion_window\": \"24h\", \"metadata\": {\"a\": \"b\"}}",
             json_at(world->root, "id")->valuestring);
    assert_int_equal(world_post(world, "/v1/batches", body), 200);
    assert_text_at(world->root, "status", "validating");
    snprintf(id, 64, "%s", json_at(world->root, "id")->valuestring);
    return id;
}

static void get_batch(struct api_world *world, const char *id, int64_t second)
{
    char path[128];
    world->now_ns = second * NS_PER_S;
    snprintf(path, sizeof path, "/v1/batches/%s", id);
    assert_int_equal(world_ask(world, "GET", path, ""), 200);
}

static void get_content(struct api_world *world, const char *file_id)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/files/%s/content", file_id);
    assert_int_equal(world_ask(world, "GET", path, ""), 200);
}

static void a_batch_ends_with_the_answers(void **state)
{
    (void)state;
    struct api_world world;
    char id[64];
    world_start(&world, "{\"batch_duration\": \"10s\", \"quotas\": {\"*\": "
                        "{\"requests_per_minute\": 0}}}");
    make_batch(
        &world,
        LINE("r1", "a")
            LINE("r2", "b") "{\"custom_id\": \"r3\", \"method\": "
                            "\"POST\", \"url\": \"/v1/embeddings\", \"body\": {\"model\": \"m\"}}",
        id);
    assert_text_at(world.root, "metadata.a", "b");
    get_batch(&world, id, 5);
    assert_text_at(world.root, "status", "in_progress");
    assert_number_at(world.root, "request_counts.total", 3);
    assert_number_at(world.root, "request_counts.completed", 1);
    assert_true(cJSON_IsNull(json_at(world.root, "output_file_id")));
    get_batch(&world, id, 10);
    assert_text_at(world.root, "status", "completed");
    assert_text_at(world.root, "model", "m");
    assert_number_at(world.root, "request_counts.completed", 2);
    assert_number_at(world.root, "request_counts.failed", 1);
    assert_number_at(world.root, "completed_at", 1767225610);
    char output[64];
    char errors[64];
    snprintf(output, sizeof output, "%s", json_at(world.root, "output_file_id")->valuestring);
    snprintf(errors, sizeof errors, "%s", json_at(world.root, "error_file_id")->valuestring);
    get_content(&world, output); /* world.root is its first line */
    assert_text_at(world.root, "custom_id", "r1");
    assert_number_at(world.root, "response.status_code", 200);
    assert_text_at(world.root, "response.body.data.0.object", "embedding");
    assert_non_null(strstr(world.outcome.answer.body, "\n{"));
    get_content(&world, errors);
    assert_text_at(world.root, "custom_id", "r3");
    assert_number_at(world.root, "response.status_code", 400);
    assert_text_at(world.root, "response.body.error.code", "missing_required_parameter");
    world_end(&world);
}

static void answers_are_those_of_the_seed(void **state)
{
    (void)state;
    char *first = NULL;
    for (int i = 0; i < 2; i++) {
        struct api_world world;
        char id[64];
        world_start(&world, "{}");
        make_batch(&world, LINE("r1", "a") LINE("r2", "b"), id);
        /* However often somebody looks meanwhile. */
        for (int second = 1; i == 1 && second < 10; second++)
            get_batch(&world, id, second);
        get_batch(&world, id, 60);
        char output[64];
        snprintf(output, sizeof output, "%s", json_at(world.root, "output_file_id")->valuestring);
        get_content(&world, output);
        if (i == 0)
            first = strdup(world.outcome.answer.body);
        else
            assert_memory_equal(first, world.outcome.answer.body, strlen(first));
        world_end(&world);
    }
    free(first);
}

/* idx 58042478614 and 56674514975 of the facts: the words of a full queue. */
static void a_full_queue_fails_the_batch(void **state)
{
    (void)state;
    struct api_world world;
    char id[64];
    char other[64];
    char lines[2000];
    world_start(&world, "{\"rules\": {\"per\": \"organization\"}, \"quotas\": {\"m\": "
                        "{\"batch_queue_tokens\": 2000}, \"*\": {\"batch_queue_tokens\": 0}}}");
    /* 199 tokens each, ten of them fit. */
    char text[800];
    memset(text, 'a', sizeof text);
    text[799] = '\0';
    snprintf(lines, sizeof lines,
             "{\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \"/v1/embeddings\", \"body\": "
             "{\"model\": \"m\", \"input\": \"%s\"}}",
             text);
    for (int i = 0; i < 10; i++)
        make_batch(&world, lines, id);
    make_batch(&world, lines, other);
    get_batch(&world, other, 1);
    assert_text_at(world.root, "status", "failed");
    assert_text_at(world.root, "errors.data.0.code", "token_limit_exceeded");
    assert_text_at(world.root, "errors.data.0.message",
                   "Enqueued token limit reached for m in organization org-toomany. Limit: 2,000 "
                   "enqueued tokens.");
    assert_number_at(world.root, "failed_at", 1767225601);
    get_batch(&world, id, 1);
    assert_text_at(world.root, "status", "in_progress");
    /* Exactly what there is room for, and then not one token more. */
    snprintf(lines, sizeof lines, LINE("1", "%s"), forty);
    make_batch(&world, lines, id);
    make_batch(&world, LINE("1", "abcd"), other);
    get_batch(&world, id, 2);
    assert_text_at(world.root, "status", "in_progress");
    get_batch(&world, other, 2);
    assert_text_at(world.root, "status", "failed");
    /* Others have queues of their own. */
    world.organization = "org-theirs";
    make_batch(&world, lines, id);
    get_batch(&world, id, 4);
    assert_text_at(world.root, "status", "in_progress");
    world.organization = NULL;
    /* What has ended gives its place back, and not before: the first ten after 10 s. */
    world.now_ns = 10 * NS_PER_S - 1;
    make_batch(&world, LINE("1", "abcd"), other);
    get_batch(&world, other, 30);
    assert_text_at(world.root, "status", "failed");
    make_batch(&world, LINE("1", "abcd"), id);
    get_batch(&world, id, 40);
    assert_text_at(world.root, "status", "completed");
    world_end(&world);
}

static void what_is_wrong_with_the_file_is_told_when_it_is_validated(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        const char *code;
        double line;
    } cases[] = {
        {"\n\n", "empty_file", 0},
        {LINE("1", "a") "{\"custom_id\": ", "invalid_json_line", 2},
        {"[1]\n", "invalid_json_line", 1},
        {LINE("1", "a") LINE("2", "a") LINE("1", "b"), "duplicate_custom_id", 3},
        {"{\"method\": \"POST\", \"url\": \"/v1/embeddings\", \"body\": {}}",
         "missing_required_parameter", 1},
        {"{\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \"/v1/embeddings\"}",
         "missing_required_parameter", 1},
        {"{\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \"/v1/responses\", \"body\": {}}",
         "url_mismatch", 1},
        {LINE("1", "a") "{\"custom_id\": \"2\", \"method\": \"POST\", \"url\": \"/v1/embeddings\", "
                        "\"body\": {\"model\": \"n\", \"input\": \"a\"}}",
         "model_mismatch", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct api_world world;
        char id[64];
        world_start(&world, "{}");
        make_batch(&world, cases[i].lines, id);
        get_batch(&world, id, 60);
        assert_text_at(world.root, "status", "failed");
        assert_text_at(world.root, "errors.data.0.code", cases[i].code);
        if (cases[i].line > 0)
            assert_number_at(world.root, "errors.data.0.line", cases[i].line);
        world_end(&world);
    }
}

static void a_line_that_is_json_but_not_read_is_told_so(void **state)
{
    (void)state;
    struct api_world world;
    char id[64];
    world_start(&world, "{}");
    make_batch(&world, "{\"custom_id\": \"1\", \"custom_id\": \"2\"}", id);
    get_batch(&world, id, 60);
    assert_text_at(world.root, "errors.data.0.code", "invalid_json_line");
    assert_text_at(world.root, "errors.data.0.message",
                   "This mock server does not read JSON with a repeated member: 'custom_id'.");
    world_end(&world);
}

static void can_be_cancelled_and_listed(void **state)
{
    (void)state;
    struct api_world world;
    char first[64];
    char second[64];
    char path[128];
    world_start(&world, "{}");
    make_batch(&world, LINE("1", "a"), first);
    make_batch(&world, LINE("1", "a"), second);
    snprintf(path, sizeof path, "/v1/batches/%s/cancel", first);
    assert_int_equal(world_post(&world, path, ""), 200);
    assert_text_at(world.root, "status", "cancelling");
    get_batch(&world, first, 1);
    assert_text_at(world.root, "status", "cancelled");
    assert_int_equal(world_post(&world, path, ""), 409);
    assert_int_equal(world_ask(&world, "GET", "/v1/batches", ""), 200);
    assert_text_at(world.root, "data.0.id", second);
    assert_text_at(world.root, "data.1.status", "cancelled");
    world.query[0] = "after";
    world.query[1] = second;
    assert_int_equal(world_ask(&world, "GET", "/v1/batches", ""), 200);
    assert_text_at(world.root, "data.0.id", first);
    assert_int_equal(world_ask(&world, "GET", "/v1/batches/none", ""), 404);
    assert_int_equal(world_post(&world, "/v1/batches/none/cancel", ""), 404);
    assert_true(api_reset(&world.api, world.now_ns));
    world.query[0] = NULL;
    assert_int_equal(world_ask(&world, "GET", "/v1/batches", ""), 200);
    assert_int_equal(cJSON_GetArraySize(json_at(world.root, "data")), 0);
    world_end(&world);
}

static void a_wrong_request_is_refused_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *param;
    } cases[] = {
        {"{}", "input_file_id"},
        {"{\"input_file_id\": \"file-1\"}", "endpoint"},
        {"{\"input_file_id\": \"file-1\", \"endpoint\": \"/v1/embeddings\"}", "completion_window"},
        {"{\"input_file_id\": \"file-1\", \"endpoint\": \"/v1/audio/speech\", "
         "\"completion_window\": \"24h\"}",
         "endpoint"},
        {"{\"input_file_id\": \"file-1\", \"endpoint\": \"/v1/models\", "
         "\"completion_window\": \"24h\"}",
         "endpoint"},
        {"{\"input_file_id\": \"file-1\", \"endpoint\": \"/v1/embeddings\", "
         "\"completion_window\": \"1h\"}",
         "completion_window"},
        {"{\"input_file_id\": \"file-1\", \"endpoint\": \"/v1/embeddings\", "
         "\"completion_window\": \"24h\"}",
         "input_file_id"},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(world_post(&world, "/v1/batches", cases[i].body), 400);
        assert_text_at(world.root, "error.param", cases[i].param);
    }
    assert_int_equal(world_post(&world, "/v1/batches", "x"), 400);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_ends_with_the_answers),
        cmocka_unit_test(answers_are_those_of_the_seed),
        cmocka_unit_test(a_full_queue_fails_the_batch),
        cmocka_unit_test(what_is_wrong_with_the_file_is_told_when_it_is_validated),
        cmocka_unit_test(a_line_that_is_json_but_not_read_is_told_so),
        cmocka_unit_test(can_be_cancelled_and_listed),
        cmocka_unit_test(a_wrong_request_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
