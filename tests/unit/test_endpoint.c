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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_rows_by_method_and_path),
        cmocka_unit_test(a_long_id_is_cut),
        cmocka_unit_test(every_row_that_asks_a_model_refuses_a_bad_body),
        cmocka_unit_test(lists_say_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
