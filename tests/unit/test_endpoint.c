#include "tests/unit/api_world.h"

#include <stdio.h>
#include <stdlib.h>

static void finds_rows_by_method_and_path(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        const char *row; /* NULL: none */
        const char *id;
        const char *allowed;
    } cases[] = {
        {"POST", "/v1/chat/completions", "/v1/chat/completions", "", NULL},
        {"GET", "/v1/chat/completions", NULL, "", "POST"},
        {"POST", "/v1/chat/completions/", NULL, "", NULL},
        {"POST", "/v1/chat", NULL, "", NULL},
        {"GET", "/", NULL, "", NULL},
        {"GET", "", NULL, "", NULL},
        {"GET", "/v1/models", "/v1/models", "", NULL},
        {"GET", "/v1/models/", "/v1/models/{id}", "", NULL},
        {"GET", "/v1/models/a/b", "/v1/models/{id}", "a/b", NULL},
        {"PUT", "/v1/models/a", NULL, "a", "GET"},
        {"GET", "/v1/fine_tuning/jobs/a/events", "/v1/fine_tuning/jobs/{id}/events", "a", NULL},
        {"GET", "/v1/fine_tuning/jobs/a", "/v1/fine_tuning/jobs/{id}", "a", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[ENDPOINT_ID_SIZE];
        const char *allowed = NULL;
        const struct endpoint *row = endpoint_find(cases[i].method, cases[i].path, id, &allowed);
        if ((row != NULL) != (cases[i].row != NULL))
            fail_msg("%s %s: %s", cases[i].method, cases[i].path, row != NULL ? row->path : "none");
        if (row != NULL) {
            assert_string_equal(row->path, cases[i].row);
            assert_string_equal(id, cases[i].id);
        } else if (cases[i].allowed != NULL) {
            assert_string_equal(allowed, cases[i].allowed);
        } else {
            assert_null(allowed);
        }
    }
}

static void a_long_id_is_cut(void **state)
{
    (void)state;
    char path[400] = "/v1/models/";
    char id[ENDPOINT_ID_SIZE];
    const char *allowed = NULL;
    memset(path + strlen(path), 'm', 300);
    assert_non_null(endpoint_find("GET", path, id, &allowed));
    assert_int_equal(strlen(id), ENDPOINT_ID_SIZE - 1);
}

/* A request that is read has an answer, and the same request the same one but for its ids. */
static void every_row_that_asks_a_model_refuses_a_bad_body(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{", "[]", "{\"model\": 3}", "{\"model\": \"m\"}"};
    struct api_world world;
    world_start(&world, "{}");
    for (const struct endpoint *row = endpoint_table(); row->method != NULL; row++) {
        for (size_t i = 0; row->read != NULL && i < sizeof bodies / sizeof *bodies; i++) {
            bool may_be_empty = strcmp(row->path, "/v1/completions") == 0;
            if (may_be_empty && i == 4)
                continue; /* a prompt is not demanded */
            assert_int_equal(world_post(&world, row->path, bodies[i]), 400);
            assert_int_equal(world.entry.decision, JOURNAL_REJECTED);
            assert_text_at(world.root, "error.type", "invalid_request_error");
        }
    }
    world_end(&world);
}

static void lists_say_their_ends(void **state)
{
    (void)state;
    cJSON *empty = endpoint_list(cJSON_CreateArray());
    assert_true(cJSON_IsNull(json_at(empty, "first_id")));
    assert_true(cJSON_IsNull(json_at(empty, "last_id")));
    cJSON_Delete(empty);
    cJSON *two = endpoint_list(cJSON_Parse("[{\"id\": \"a\"}, {\"id\": \"b\"}]"));
    assert_text_at(two, "first_id", "a");
    assert_text_at(two, "last_id", "b");
    cJSON_Delete(two);
}

#define SCHEMA                                                                                     \
    "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}, \"degrees\": "      \
    "{\"type\": \"integer\", \"minimum\": 3}}, \"required\": [\"city\", \"degrees\"]}"
#define ASKED "\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]"
#define INPUT "\"model\": \"m\", \"input\": \"Hello\""

#define INTEGER(name, found)                                                                       \
    "Invalid type for '" name "': expected an integer, but got " found " instead.",                \
        "invalid_type", name

static void only_whole_numbers_are_integers(void **state)
{
    (void)state;
    static const struct world_refusal cases[] = {
        {"/v1/chat/completions", "{" ASKED ", \"n\": 1.5}", INTEGER("n", "a decimal number")},
        {"/v1/chat/completions", "{" ASKED ", \"max_tokens\": 1.5}",
         INTEGER("max_tokens", "a decimal number")},
        {"/v1/completions", "{\"model\": \"m\", \"max_tokens\": 0.25}",
         INTEGER("max_tokens", "a decimal number")},
        {"/v1/embeddings", "{" INPUT ", \"dimensions\": 1.5}",
         INTEGER("dimensions", "a decimal number")},
        {"/v1/responses", "{" INPUT ", \"max_output_tokens\": 16.5}",
         INTEGER("max_output_tokens", "a decimal number")},
        {"/v1/images/generations", "{\"prompt\": \"a\", \"n\": 1.5}",
         INTEGER("n", "a decimal number")},
        {"/v1/chat/completions", "{" ASKED ", \"n\": \"2\"}", INTEGER("n", "a string")},
        {"/v1/chat/completions", "{" ASKED ", \"n\": true}", INTEGER("n", "a boolean")},
        {"/v1/chat/completions", "{" ASKED ", \"n\": []}", INTEGER("n", "an array")},
        {"/v1/chat/completions", "{" ASKED ", \"n\": {}}", INTEGER("n", "an object")},
    };
    world_assert_refused(cases, sizeof cases / sizeof cases[0]);
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(
        world_post(&world, "/v1/chat/completions", "{" ASKED ", \"n\": 2.0, \"max_tokens\": 1e1}"),
        200);
    assert_int_equal(cJSON_GetArraySize(json_at(world.root, "choices")), 2);
    world_end(&world);
}

#define BOOLEAN(found)                                                                             \
    "Invalid type for 'stream': expected a boolean, but got " found " instead.", "invalid_type",   \
        "stream"

static void a_stream_is_wanted_or_not(void **state)
{
    (void)state;
    static const struct world_refusal cases[] = {
        {"/v1/chat/completions", "{" ASKED ", \"stream\": \"true\"}", BOOLEAN("a string")},
        {"/v1/chat/completions", "{" ASKED ", \"stream\": 1}", BOOLEAN("an integer")},
        {"/v1/completions", "{\"model\": \"m\", \"stream\": 1.5}", BOOLEAN("a decimal number")},
        {"/v1/responses", "{" INPUT ", \"stream\": {}}", BOOLEAN("an object")},
        {"/v1/images/generations", "{\"prompt\": \"a\", \"stream\": []}", BOOLEAN("an array")},
    };
    world_assert_refused(cases, sizeof cases / sizeof cases[0]);
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, "/v1/chat/completions", "{" ASKED ", \"stream\": null}"),
                     200);
    assert_int_equal(world.outcome.answer.stream, ANSWER_NOT_STREAMED);
    assert_int_equal(world_post(&world, "/v1/chat/completions", "{" ASKED ", \"stream\": true}"),
                     200);
    assert_int_not_equal(world.outcome.answer.stream, ANSWER_NOT_STREAMED);
    world_end(&world);
}

/* Tools and formats, streamed or not, on the two endpoints that have them. */
static const struct {
    const char *path;
    const char *body; /* without its braces */
} formatted[] = {
    {"/v1/chat/completions",
     ASKED ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": "
           "\"s\", \"schema\": " SCHEMA "}}"},
    {"/v1/chat/completions",
     ASKED ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"weather\", "
           "\"parameters\": " SCHEMA "}}]"},
    {"/v1/responses", INPUT
     ", \"text\": {\"format\": {\"type\": \"json_schema\", \"name\": \"s\", \"schema\": " SCHEMA
     "}}"},
    {"/v1/responses", INPUT
     ", \"tools\": [{\"type\": \"function\", \"name\": \"weather\", \"parameters\": " SCHEMA "}]"},
};

/* All deltas of a stream in one string, as they stand in JSON. */
static char *joined_deltas(const struct answer *answer)
{
    static const char *const names[] = {"choices.0.delta.content", "delta",
                                        "choices.0.delta.tool_calls.0.function.arguments"};
    char *text = calloc(1, answer->body_length + 1);
    for (size_t i = 0; i < answer->piece_count; i++) {
        size_t begin = i > 0 ? answer->pieces[i - 1].end : 0;
        if (strncmp(answer->body + begin, "data: [DONE]", 12) == 0)
            continue;
        cJSON *event = event_at(answer, i);
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++) {
            char path[64];
            const cJSON *item = event;
            snprintf(path, sizeof path, "%s", names[j]);
            for (char *name = strtok(path, "."); name != NULL; name = strtok(NULL, "."))
                item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(name))
                                           : cJSON_GetObjectItemCaseSensitive(item, name);
            if (cJSON_IsString(item))
                strcat(text, item->valuestring);
        }
        cJSON_Delete(event);
    }
    return text;
}

static void tools_and_formats_get_the_least_valid_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formatted / sizeof formatted[0]; i++) {
        struct api_world world;
        char body[1000];
        world_start(&world, "{}");
        snprintf(body, sizeof body, "{%s}", formatted[i].body);
        assert_int_equal(world_post(&world, formatted[i].path, body), 200);
        assert_non_null(
            strstr(world.outcome.answer.body, "{\\\"city\\\":\\\"test\\\",\\\"degrees\\\":3}"));
        snprintf(body, sizeof body, "{%s, \"stream\": true}", formatted[i].body);
        assert_int_equal(world_post(&world, formatted[i].path, body), 200);
        char *text = joined_deltas(&world.outcome.answer);
        assert_string_equal(text, "{\"city\":\"test\",\"degrees\":3}");
        free(text);
        world_end(&world);
    }
}

/* To the byte, streamed or not; and with other ids for another seed. */
static void the_same_seed_and_request_give_the_same_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof formatted / sizeof formatted[0]; i++) {
        char body[1000];
        char *answers[3];
        snprintf(body, sizeof body, "{%s%s}", formatted[i / 2].body,
                 i % 2 == 0 ? "" : ", \"stream\": true");
        for (int j = 0; j < 3; j++) {
            struct api_world world;
            world_start(&world, "{}");
            world.api.seed = j == 2 ? 2 : 1;
            assert_true(api_reset(&world.api, 0));
            assert_int_equal(world_post(&world, formatted[i / 2].path, body), 200);
            answers[j] = strdup(world.outcome.answer.body);
            world_end(&world);
        }
        assert_string_equal(answers[0], answers[1]);
        assert_string_not_equal(answers[0], answers[2]);
        for (int j = 0; j < 3; j++)
            free(answers[j]);
    }
}

/* What a scenario says goes before a format; a tool that is demanded is still called. */
static void a_scenario_may_say_the_content(void **state)
{
    (void)state;
    struct api_world world;
    char body[1000];
    world_start(&world, "{\"models\": {\"m\": {\"content\": \"of the model\"}}, \"script\": "
                        "[{\"answer\": {\"content\": \"of the step\"}, \"times\": 2}]}");
    for (size_t i = 0; i < sizeof formatted / sizeof formatted[0]; i++) {
        snprintf(body, sizeof body, "{%s}", formatted[i].body);
        assert_int_equal(world_post(&world, formatted[i].path, body), 200);
        assert_non_null(
            strstr(world.outcome.answer.body, i < 2 ? "\"of the step\"" : "\"of the model\""));
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_rows_by_method_and_path),
        cmocka_unit_test(a_long_id_is_cut),
        cmocka_unit_test(every_row_that_asks_a_model_refuses_a_bad_body),
        cmocka_unit_test(lists_say_their_ends),
        cmocka_unit_test(only_whole_numbers_are_integers),
        cmocka_unit_test(a_stream_is_wanted_or_not),
        cmocka_unit_test(tools_and_formats_get_the_least_valid_answer),
        cmocka_unit_test(the_same_seed_and_request_give_the_same_answer),
        cmocka_unit_test(a_scenario_may_say_the_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
