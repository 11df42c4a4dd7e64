#include "tests/unit/client_world.h"

#include <sys/resource.h>

static void refused_options(struct client_options options, const char *place)
{
    struct loop loop;
    struct error error = {0};
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    assert_null(client_new(&loop, &options, &error));
    assert_string_equal(error.place, place);
    assert_true(strlen(error.message) > 0);
    assert_null(strstr(error.message, "secret"));
    assert_null(deadlines_first(&loop.deadlines));
    loop_free(&loop);
}

static void refuses_wrong_options(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "127.0.0.1:8429/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http:// /v1",
        "http://h/v1?key=1",
        "http://h/v1#there",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/v1",
    };
    char long_key[5000];
    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        refused_options((struct client_options){.api_key = "sk-secret", .base_url = urls[i]},
                        "base_url");
    refused_options((struct client_options){.api_key = NULL}, "api_key");
    refused_options((struct client_options){.api_key = ""}, "api_key");
    refused_options((struct client_options){.api_key = "sk-secret\r\nx: y"}, "api_key");
    refused_options((struct client_options){.api_key = "sk-secret\x7f"}, "api_key");
    refused_options((struct client_options){.api_key = long_key}, "api_key");
    refused_options((struct client_options){.api_key = "sk-secret", .user_agent = "a\nb"},
                    "user_agent");
    client_free(NULL);
}

static void says_when_descriptors_are_out(void **state)
{
    (void)state;
    struct loop loop;
    struct error error = {0};
    struct rlimit before;
    const struct client_options options = {.api_key = "k", .base_url = "http://127.0.0.1:1/v1"};
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    getrlimit(RLIMIT_NOFILE, &before);
    int lowest = dup(0);
    close(lowest);
    struct rlimit low = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    const struct client *client = client_new(&loop, &options, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(client);
    assert_true(error.could_not_run);
    assert_non_null(strstr(error.message, "raise `ulimit -n`"));
    loop_free(&loop);
}

static void refused_request(struct client *client, struct client_request request, const char *place)
{
    struct error error = {0};
    assert_false(client_call(client, &request, on_done, NULL, &error));
    assert_string_equal(error.place, place);
    assert_int_equal(client_calls_open(client), 0);
}

static void refuses_wrong_requests(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{}");
    start_client(&world);
    struct client *client = world.client;
    refused_request(client, (struct client_request){.message = "m"}, "model");
    refused_request(client, (struct client_request){.model = "", .message = "m"}, "model");
    refused_request(client, (struct client_request){.model = "m"}, "message");
    refused_request(client, (struct client_request){.model = "\xff", .message = "m"}, "model");
    refused_request(client, (struct client_request){.model = "m", .message = "\xc3"}, "message");
    refused_request(client,
                    (struct client_request){.model = "m", .message = "m", .marker_header_name = ""},
                    "marker_header");
    refused_request(
        client,
        (struct client_request){
            .model = "m", .message = "m", .marker_header_name = "x y", .marker_header_value = "v"},
        "marker_header");
    refused_request(client,
                    (struct client_request){.model = "m",
                                            .message = "m",
                                            .marker_header_name = "x",
                                            .marker_header_value = "v\r\nother: w"},
                    "marker_header");
    assert_int_equal(request_count(&world), 0);
    stop(&world);
}

static void base_url_may_end_with_slashes(void **state)
{
    (void)state;
    struct world world;
    char url[128];
    start(&world, "{}");
    snprintf(url, sizeof url, "%s//", world.options.base_url);
    world.options.base_url = url;
    world.options.user_agent = "my-program/1";
    start_client(&world);
    memset(url, 0, sizeof url); /* was copied */
    call(&world, "Hello");
    play(&world);
    assert_true(world.ended[0].succeeded);
    assert_string_equal(request_at(&world, 0)->path, "/v1/chat/completions");
    stop(&world);
}

/* A proxy that the environment names must not see what is meant for this machine. */
static void no_proxy_for_this_machine(void **state)
{
    (void)state;
    struct world world;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    start(&world, "{}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    unsetenv("http_proxy");
    assert_true(world.ended[0].succeeded);
    stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_wrong_options),
        cmocka_unit_test(says_when_descriptors_are_out),
        cmocka_unit_test(refuses_wrong_requests),
        cmocka_unit_test(base_url_may_end_with_slashes),
        cmocka_unit_test(no_proxy_for_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
