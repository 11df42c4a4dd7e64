/* api_world: an api without sockets, that answers what a test asks. */
#ifndef TOOMANY_TESTS_API_WORLD_H
#define TOOMANY_TESTS_API_WORLD_H

#include "base/duration.h"
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "tests/decide.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORLD_START_NS (INT64_C(1767225600) * NS_PER_S) /* 2026-01-01 00:00:00 */

struct api_world {
    struct config config;
    struct api api;
    struct journal_entry entry; /* of the last request */
    struct api_outcome outcome;
    cJSON *root; /* its answer, where that is JSON */
    /* Of the requests to come. */
    int64_t now_ns;
    const char *key; /* NULL: the world's own */
    const char *content_type;
    const char *organization;
    const char *project;
    const char *api_key;
    const char *query[8]; /* names and values in turns */
};

static inline const char *world_find(const void *owner, enum api_value kind, const char *name)
{
    const struct api_world *world = owner;
    if (kind == API_HEADER) {
        return strcmp(name, "content-type") == 0 ? world->content_type
               : strcmp(name, "api-key") == 0    ? world->api_key
                                                 : NULL;
    }
    for (size_t i = 0; i + 1 < sizeof world->query / sizeof world->query[0]; i += 2) {
        if (world->query[i] != NULL && strcmp(world->query[i], name) == 0)
            return world->query[i + 1];
    }
    return NULL;
}

static inline void world_start(struct api_world *world, const char *config)
{
    struct error error;
    struct json_reader reader = {.file = "config", .error = &error};
    *world = (struct api_world){0};
    config_init(&world->config);
    cJSON *root = json_parse(config, strlen(config), "config", &error);
    if (root == NULL || !config_read(&world->config, &reader, root, ""))
        fail_msg("%s: %s", error.place, error.message);
    cJSON_Delete(root);
    assert_true(api_init(&world->api, &world->config, 1, 0));
}

static inline void world_end(struct api_world *world)
{
    cJSON_Delete(world->root);
    answer_free(&world->outcome.answer);
    api_free(&world->api);
    config_free(&world->config);
}

/* Returns the status. */
static inline int world_ask(struct api_world *world, const char *method, const char *path,
                            const char *body)
{
    char authorization[128];
    snprintf(authorization, sizeof authorization, "Bearer %s",
             world->key != NULL ? world->key : "sk-world-0123456789");
    struct api_request request = {
        .method = method,
        .path = path,
        .authorization = world->key != NULL && world->key[0] == '\0' ? NULL : authorization,
        .organization = world->organization,
        .project = world->project,
        .body = body,
        .body_length = strlen(body),
        .find = world_find,
        .owner = world,
    };
    cJSON_Delete(world->root);
    answer_free(&world->outcome.answer);
    world->entry = (struct journal_entry){.script_step = -1, .retry_after_ns = -1};
    decide(&world->api, &request, world->now_ns, WORLD_START_NS + world->now_ns, &world->entry,
           &world->outcome);
    api_finish(&world->outcome);
    const struct answer *answer = &world->outcome.answer;
    world->root =
        answer->body != NULL ? cJSON_ParseWithLength(answer->body, answer->body_length) : NULL;
    return answer->status;
}

static inline int world_post(struct api_world *world, const char *path, const char *body)
{
    return world_ask(world, "POST", path, body);
}

/* The value at a path of names and positions with dots between: "choices.0.message.content". */
static inline const cJSON *json_at(const cJSON *root, const char *path)
{
    char name[64];
    const char *from = path;
    while (root != NULL && *from != '\0') {
        size_t length = strcspn(from, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, from);
        root = cJSON_IsArray(root) ? cJSON_GetArrayItem(root, atoi(name))
                                   : cJSON_GetObjectItemCaseSensitive(root, name);
        from += length + (from[length] == '.');
    }
    if (root == NULL)
        fail_msg("nothing at \"%s\"", path);
    return root;
}

static inline void assert_text_at(const cJSON *root, const char *path, const char *text)
{
    const cJSON *item = json_at(root, path);
    assert_true(cJSON_IsString(item));
    assert_string_equal(item->valuestring, text);
}

static inline void assert_number_at(const cJSON *root, const char *path, double number)
{
    const cJSON *item = json_at(root, path);
    assert_true(cJSON_IsNumber(item));
    if (item->valuedouble != number)
        fail_msg("%s: %g, not %g", path, item->valuedouble, number);
}

/* The JSON of event number `index` of a streamed answer; the caller deletes it. */
static inline cJSON *event_at(const struct answer *answer, size_t index)
{
    assert_true(index < answer->piece_count);
    size_t offset = index > 0 ? answer->pieces[index - 1].end : 0;
    const char *data = strstr(answer->body + offset, "data: ");
    assert_non_null(data);
    cJSON *root = cJSON_ParseWithOpts(data + strlen("data: "), NULL, 0);
    assert_non_null(root);
    return root;
}

/* A request that gets a 400, with these words. */
struct world_refusal {
    const char *path;
    const char *body;
    const char *message;
    const char *code;  /* NULL: null */
    const char *param; /* likewise */
};

static inline void world_assert_refused(const struct world_refusal *cases, size_t count)
{
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < count; i++) {
        if (world_post(&world, cases[i].path, cases[i].body) != 400)
            fail_msg("%s was taken", cases[i].body);
        assert_text_at(world.root, "error.message", cases[i].message);
        assert_text_at(world.root, "error.type", "invalid_request_error");
        if (cases[i].code != NULL)
            assert_text_at(world.root, "error.code", cases[i].code);
        else
            assert_true(cJSON_IsNull(json_at(world.root, "error.code")));
        if (cases[i].param != NULL)
            assert_text_at(world.root, "error.param", cases[i].param);
        else
            assert_true(cJSON_IsNull(json_at(world.root, "error.param")));
    }
    world_end(&world);
}

#endif
