#include "mockserver/azure.h"

#include "tests/unit/api_world.h"

static const char chat_body[] =
    "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": "
    "\"Hello\"}]}";

#define DEPLOYED "/openai/deployments/mini/chat/completions"

static void paths_are_those_of_openai_by_other_names(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *route;
        const char *deployment;
        bool needs_version;
    } cases[] = {
        {DEPLOYED, "/v1/chat/completions", "mini", true},
        {"/openai/deployments/a.b-c/images/generations", "/v1/images/generations", "a.b-c", true},
        {"/openai/responses", "/v1/responses", "", true},
        {"/openai/batches/batch_1/cancel", "/v1/batches/batch_1/cancel", "", true},
        {"/openai/v1/chat/completions", "/v1/chat/completions", "", false},
    };
    struct azure_route route;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(azure_route(cases[i].path, &route));
        assert_string_equal(route.path, cases[i].route);
        assert_string_equal(route.deployment, cases[i].deployment);
        assert_int_equal(route.needs_version, cases[i].needs_version);
    }
    char path[400] = "/openai/";
    memset(path + strlen(path), 'a', 300);
    assert_false(azure_route(path, &route));
    assert_false(azure_route("/openai/deployments//chat/completions", &route));
    assert_false(azure_route("/openai/deployments/mini", &route));
    assert_false(azure_route("/v1/chat/completions", &route));
    assert_false(azure_route("/openai", &route));
}

static void start(struct api_world *world, const char *rules)
{
    char config[400];
    snprintf(config, sizeof config,
             "{\"rules\": {\"dialect\": \"azure\"%s}, \"api_keys\": [\"0123456789abcdef\"],"
             " \"models\": {\"mini\": {}, \"m\": {}}, \"only_listed_models\": true,"
             " \"quotas\": {\"*\": {\"requests_per_minute\": 1}}}",
             rules);
    world_start(world, config);
    world->api_key = "0123456789abcdef";
    world->query[0] = "api-version";
    world->query[1] = "2024-10-21";
}

static const char *header(const struct api_world *world, const char *name)
{
    return answer_find_header(&world->outcome.answer, name);
}

static void the_deployment_stands_for_the_model(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "");
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 200);
    assert_text_at(world.root, "model", "mini");
    assert_string_equal(world.entry.model, "mini");
    assert_non_null(header(&world, "apim-request-id"));
    assert_string_equal(header(&world, "x-ms-region"), "East US 2");
    assert_null(header(&world, "openai-organization"));
    assert_null(header(&world, "openai-version"));
    assert_string_equal(header(&world, "x-ratelimit-limit-tokens"), "-1");
    /* The same with a bearer token, without a version, for the model of the body. */
    world.api_key = NULL;
    world.key = "0123456789abcdef";
    world.query[0] = NULL;
    assert_int_equal(world_post(&world, "/openai/v1/chat/completions", chat_body), 200);
    assert_text_at(world.root, "model", "m");
    world_end(&world);
}

static void says_in_azures_words_what_is_wrong(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "");
    world.query[0] = NULL;
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 404);
    assert_string_equal(world.outcome.answer.body,
                        "{\"error\":{\"code\":\"404\",\"message\": \"Resource not found\"}}");
    world.query[0] = "api-version";
    world.query[1] = "";
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 404);
    world.query[1] = "2024-10-21";
    assert_int_equal(world_post(&world, "/openai/nothing", chat_body), 404);
    assert_text_at(world.root, "error.message", "Resource not found");
    assert_int_equal(world_post(&world, "/openai/deployments/none/chat/completions", chat_body),
                     404);
    assert_text_at(world.root, "error.code", "DeploymentNotFound");
    world.api_key = "fedcba9876543210";
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 401);
    assert_string_equal(
        world.outcome.answer.body,
        "{\"error\":{\"code\":\"401\",\"message\":\"Access denied due to invalid subscription key "
        "or wrong API endpoint. Make sure to provide a valid key for an active subscription and "
        "use a correct regional API endpoint for your resource.\"}}");
    /* Nothing of that has used up quota. */
    world.api_key = "0123456789abcdef";
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 200);
    world_end(&world);
}

static void a_refusal_names_operation_and_version(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "");
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 200);
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 429);
    assert_string_equal(
        world.outcome.answer.body,
        "{\"error\":{\"code\":\"429\",\"message\": \"Requests to the ChatCompletions_Create "
        "Operation under Azure OpenAI API version 2024-10-21 have exceeded call rate limit of your "
        "current OpenAI S0 pricing tier. Please retry after 60 seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate "
        "limit.\"}}");
    assert_null(header(&world, "retry-after"));
    assert_string_equal(header(&world, "x-rate-limit-reset-tokens"), "60");
    world_end(&world);
    start(&world, ", \"azure_code\": \"RateLimitReached\"");
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 200);
    world.now_ns = 59 * NS_PER_S;
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 429);
    assert_string_equal(
        world.outcome.answer.body,
        "{\"error\":{\"code\":\"RateLimitReached\",\"message\": \"Your requests to mini for mini "
        "in "
        "East US 2 have exceeded the call rate limit for your current AIServices S0 pricing tier. "
        "This request was for ChatCompletions_Create under Azure OpenAI API version 2024-10-21. "
        "Please retry after 60 seconds. To increase your default rate limit, visit: "
        "https://aka.ms/oai/quotaincrease.\"}}");
    world_end(&world);
}

static void elsewhere_its_paths_are_unknown(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, DEPLOYED, chat_body), 404);
    assert_text_at(world.root, "error.type", "invalid_request_error");
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_those_of_openai_by_other_names),
        cmocka_unit_test(the_deployment_stands_for_the_model),
        cmocka_unit_test(says_in_azures_words_what_is_wrong),
        cmocka_unit_test(a_refusal_names_operation_and_version),
        cmocka_unit_test(elsewhere_its_paths_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
