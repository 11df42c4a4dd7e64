#include "mockserver/account.h"

#include "tests/unit/api_world.h"

static const char body[] = "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": "
                           "\"Hello\"}]}";
#define CHAT "/v1/chat/completions"

static void start(struct api_world *world, const char *scope)
{
    char config[600];
    snprintf(config, sizeof config,
             "{\"rules\": {\"per\": \"%s\"}, \"quotas\": {\"*\": {\"requests_per_minute\": 2}},"
             " \"accounts\": [{\"key\": \"sk-acme-1\", \"organization\": \"org-acme\","
             "                 \"project\": \"proj_a\"},"
             "                {\"key\": \"sk-acme-2\", \"organization\": \"org-acme\","
             "                 \"project\": \"proj_b\"},"
             "                {\"key\": \"sk-other\", \"organization\": \"org-other\"}]}",
             scope);
    world_start(world, config);
}

static int ask(struct api_world *world, const char *key)
{
    world->key = key;
    return world_post(world, CHAT, body);
}

static const char *organization_header(const struct api_world *world)
{
    return answer_find_header(&world->outcome.answer, "openai-organization");
}

static void an_organizations_keys_share_a_pool(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "organization");
    assert_int_equal(ask(&world, "sk-acme-1"), 200);
    assert_string_equal(organization_header(&world), "org-acme");
    assert_int_equal(ask(&world, "sk-acme-2"), 200);
    assert_int_equal(ask(&world, "sk-acme-1"), 429);
    assert_string_equal(json_at(world.root, "error.message")->valuestring,
                        "Rate limit reached for m in organization org-acme on requests per min "
                        "(RPM): Limit 2, Used 2, Requested 1. Please try again in 30s. Visit "
                        "https://platform.openai.com/account/rate-limits to learn more.");
    assert_int_equal(ask(&world, "sk-other"), 200);
    /* Keys that are nobody's are the server's own organization's. */
    assert_int_equal(ask(&world, "sk-any-1"), 200);
    assert_int_equal(ask(&world, "sk-any-2"), 200);
    assert_int_equal(ask(&world, "sk-any-3"), 429);
    world.organization = "org-theirs";
    assert_int_equal(ask(&world, "sk-any-3"), 200);
    assert_string_equal(organization_header(&world), "org-theirs");
    world_end(&world);
}

static void projects_have_pools_of_their_own_and_are_named(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "project");
    assert_int_equal(ask(&world, "sk-acme-1"), 200);
    assert_int_equal(ask(&world, "sk-acme-1"), 200);
    assert_int_equal(ask(&world, "sk-acme-1"), 429);
    assert_non_null(strstr(json_at(world.root, "error.message")->valuestring,
                           "for project proj_a organization org-acme on requests per min"));
    assert_int_equal(ask(&world, "sk-acme-2"), 200);
    /* The same name in another organization is another project. */
    world.project = "proj_a";
    assert_int_equal(ask(&world, "sk-other"), 200);
    assert_int_equal(ask(&world, "sk-other"), 200);
    assert_int_equal(ask(&world, "sk-other"), 429);
    world_end(&world);
}

static void each_key_has_its_own_where_it_is_not_said(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "key");
    assert_int_equal(ask(&world, "sk-acme-1"), 200);
    assert_int_equal(ask(&world, "sk-acme-1"), 200);
    assert_int_equal(ask(&world, "sk-acme-1"), 429);
    assert_int_equal(ask(&world, "sk-acme-2"), 200);
    world_end(&world);
}

static void a_header_that_names_another_is_refused(void **state)
{
    (void)state;
    struct api_world world;
    start(&world, "organization");
    world.organization = "org-other";
    assert_int_equal(ask(&world, "sk-acme-1"), 401);
    assert_text_at(world.root, "error.message",
                   "OpenAI-Organization header should match organization for API key");
    assert_text_at(world.root, "error.code", "mismatched_organization");
    world.organization = "org-acme";
    world.project = "proj_b";
    assert_int_equal(ask(&world, "sk-acme-1"), 401);
    assert_text_at(world.root, "error.code", "mismatched_project");
    world.project = "proj_a";
    assert_int_equal(ask(&world, "sk-acme-1"), 200);
    /* What can be no name does not get into a header or a message. */
    world.organization = "org\r\nx: y";
    world.project = NULL;
    assert_int_equal(ask(&world, "sk-any"), 401);
    world_end(&world);
}

static void an_accounts_key_is_good_beside_the_listed_ones(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"api_keys\": [\"sk-listed\"], \"accounts\": [{\"key\": \"sk-acme\", "
                        "\"organization\": \"org-acme\"}]}");
    assert_int_equal(ask(&world, "sk-listed"), 200);
    assert_int_equal(ask(&world, "sk-acme"), 200);
    assert_int_equal(ask(&world, "sk-third"), 401);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_organizations_keys_share_a_pool),
        cmocka_unit_test(projects_have_pools_of_their_own_and_are_named),
        cmocka_unit_test(each_key_has_its_own_where_it_is_not_said),
        cmocka_unit_test(a_header_that_names_another_is_refused),
        cmocka_unit_test(an_accounts_key_is_good_beside_the_listed_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
