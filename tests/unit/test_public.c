/* The installed API, as a program uses it: real clock, a server in another thread. */
#include "client/include/toomany/client.h"

#include "tests/unit/server_thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define KEY "sk-unit-test-secret"

static struct toomany_client *new_client(const struct toomany_client_options *options)
{
    char error[256] = "";
    struct toomany_client *client = toomany_client_new(options, error, sizeof error);
    if (client == NULL)
        fail_msg("%s", error);
    return client;
}

static struct toomany_client_options options_for(const struct server_thread *thread)
{
    return (struct toomany_client_options){
        .api_key = KEY, .base_url = server_base_url(thread->server), .base_ms = 1};
}

static void asks_and_is_answered(void **state)
{
    (void)state;
    struct server_thread thread;
    server_thread_start(&thread, "{\"models\": {\"m\": {\"content\": \"Good day.\"}}}");
    struct toomany_client_options options = options_for(&thread);
    struct toomany_client *client = new_client(&options);
    struct toomany_reply reply;
    assert_true(toomany_chat(client, "m", "Hello", &reply));
    assert_true(reply.succeeded);
    assert_string_equal(reply.content, "Good day.");
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.attempts, 1);
    assert_null(reply.error_message);
    assert_memory_equal(reply.request_id, "req_", 4);
    assert_non_null(reply.body);
    toomany_reply_free(&reply);
    assert_null(reply.content);
    toomany_reply_free(&reply); /* twice is harmless */
    toomany_client_free(client);
    toomany_client_free(NULL);
    server_thread_stop(&thread);
    server_thread_free(&thread);
}

struct told {
    struct toomany_wait waits[8];
    char codes[8][64];
    int count;
};

static void on_wait(void *owner, const struct toomany_wait *wait)
{
    struct told *told = owner;
    assert_true(told->count < 8);
    snprintf(told->codes[told->count], sizeof told->codes[0], "%s",
             wait->error_code != NULL ? wait->error_code : "-");
    told->waits[told->count++] = *wait;
}

static char *printed_error(const struct toomany_reply *reply)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    toomany_reply_print_error(reply, stream);
    fclose(stream);
    return text;
}

static void tells_waits_and_the_last_error(void **state)
{
    (void)state;
    struct server_thread thread;
    struct told told = {0};
    server_thread_start(&thread,
                        "{\"script\": [{\"answer\": {\"status\": 429, \"body\": "
                        "\"{\\\"error\\\": {\\\"message\\\": \\\"Rate limit reached for "
                        "fine-tuned model\\\", \\\"type\\\": \\\"requests\\\", \\\"code\\\": "
                        "\\\"rate_limit_exceeded\\\"}}\\n\"}, \"times\": \"forever\"}]}");
    struct toomany_client_options options = options_for(&thread);
    options.policy = TOOMANY_POLICY_FIXED;
    options.max_attempts = 3;
    options.base_ms = 2;
    options.on_wait = on_wait;
    options.on_wait_owner = &told;
    struct toomany_client *client = new_client(&options);
    struct toomany_reply reply;
    assert_false(toomany_chat(client, "m", "Hello", &reply));
    assert_int_equal(reply.status, 429);
    assert_int_equal(reply.attempts, 3);
    assert_null(reply.content);
    assert_string_equal(reply.error_type, "requests");
    assert_string_equal(reply.error_code, "rate_limit_exceeded");
    assert_string_equal(reply.error_message, "Rate limit reached for fine-tuned model");
    assert_int_equal(told.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(told.waits[i].attempt, i + 1);
        assert_int_equal(told.waits[i].status, 429);
        assert_int_equal(told.waits[i].wait_ms, 2);
        assert_string_equal(told.codes[i], "rate_limit_exceeded");
    }
    char *text = printed_error(&reply);
    assert_string_equal(
        text, "RateLimitError: Error code: 429 - {\"error\":{\"message\":\"Rate limit reached for "
              "fine-tuned model\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}\n");
    free(text);
    toomany_reply_free(&reply);
    toomany_client_free(client);
    server_thread_stop(&thread);
    server_thread_free(&thread);
}

static void many_calls_in_order(void **state)
{
    (void)state;
    struct server_thread thread;
    server_thread_start(&thread, "{\"latency\": \"2ms\","
                                 " \"quotas\": {\"*\": {\"concurrent_requests\": 3}}}");
    struct toomany_client_options options = options_for(&thread);
    options.max_in_flight = 3;
    struct toomany_client *client = new_client(&options);
    const char *messages[20];
    struct toomany_reply replies[20];
    for (int i = 0; i < 20; i++)
        messages[i] = i == 7 ? NULL : "Hello";
    assert_false(toomany_chat_all(client, "m", messages, 20, replies));
    for (int i = 0; i < 20; i++)
        assert_true(replies[i].succeeded == (i != 7));
    assert_int_equal(replies[7].attempts, 0);
    assert_string_equal(replies[7].error_message, "message: there is none");
    char *text = printed_error(&replies[7]);
    assert_string_equal(text, "message: there is none\n");
    free(text);
    for (int i = 0; i < 20; i++)
        toomany_reply_free(&replies[i]);
    assert_true(toomany_chat_all(client, "m", NULL, 0, NULL));
    toomany_client_free(client);
    server_thread_stop(&thread);
    const struct journal *journal = server_journal(thread.server);
    assert_int_equal(journal_count(journal), 19);
    for (size_t i = 0; i < 19; i++)
        assert_int_equal(journal_at(journal, i)->status, 200);
    server_thread_free(&thread);
}

static void no_answer_at_all(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", ntohs(address.sin_port));
    struct toomany_client_options options = {
        .api_key = KEY, .base_url = url, .policy = TOOMANY_POLICY_NONE};
    struct toomany_client *client = new_client(&options);
    struct toomany_reply reply;
    assert_false(toomany_chat(client, "m", "Hello", &reply));
    assert_int_equal(reply.status, 0);
    assert_null(reply.body);
    assert_string_equal(reply.error_message, "could not connect to the server");
    char *text = printed_error(&reply);
    assert_string_equal(text, "APIConnectionError: could not connect to the server\n");
    free(text);
    toomany_reply_free(&reply);
    toomany_client_free(client);
    close(fd);
}

static void reads_the_environment(void **state)
{
    (void)state;
    struct server_thread thread;
    char error[128] = "";
    server_thread_start(&thread, "{\"api_keys\": [\"sk-from-the-environment\"]}");
    unsetenv("OPENAI_API_KEY");
    setenv("OPENAI_BASE_URL", server_base_url(thread.server), 1);
    assert_null(toomany_client_new(NULL, error, sizeof error));
    assert_non_null(strstr(error, "api_key"));
    setenv("OPENAI_API_KEY", "", 1); /* as good as none */
    assert_null(toomany_client_new(NULL, NULL, 0));
    setenv("OPENAI_API_KEY", "sk-from-the-environment", 1);
    struct toomany_client *client = new_client(NULL);
    unsetenv("OPENAI_API_KEY");
    unsetenv("OPENAI_BASE_URL");
    struct toomany_reply reply;
    assert_true(toomany_chat(client, "m", "Hello", &reply));
    toomany_reply_free(&reply);
    toomany_client_free(client);
    server_thread_stop(&thread);
    server_thread_free(&thread);
}

/* The error's text names the option, and never the key. */
static void refused(struct toomany_client_options options, const char *names)
{
    char error[256] = "";
    char cut[8] = "";
    options.api_key = options.api_key != NULL ? options.api_key : KEY;
    assert_null(toomany_client_new(&options, error, sizeof error));
    if (strncmp(error, names, strlen(names)) != 0)
        fail_msg("found \"%s\", wanted one about %s", error, names);
    assert_null(strstr(error, "secret"));
    assert_null(toomany_client_new(&options, cut, sizeof cut));
    assert_int_equal(strlen(cut), sizeof cut - 1);
}

static void refuses_wrong_options(void **state)
{
    (void)state;
    refused((struct toomany_client_options){.api_key = KEY "\n"}, "api_key");
    refused((struct toomany_client_options){.base_url = "localhost"}, "base_url");
    refused((struct toomany_client_options){.policy = (enum toomany_policy)9}, "policy");
    refused((struct toomany_client_options){.jitter = (enum toomany_jitter)9}, "jitter");
    refused((struct toomany_client_options){.policy = TOOMANY_POLICY_FIXED,
                                            .jitter = TOOMANY_JITTER_DECORRELATED},
            "jitter");
    refused((struct toomany_client_options){.max_attempts = -1}, "max_attempts");
    refused((struct toomany_client_options){.max_attempts = 1001}, "max_attempts");
    refused((struct toomany_client_options){.base_ms = -1}, "base_ms");
    refused((struct toomany_client_options){.base_ms = INT64_MAX}, "base_ms");
    refused((struct toomany_client_options){.cap_ms = -1}, "cap_ms");
    refused((struct toomany_client_options){.cap_ms = 10, .base_ms = 11}, "cap_ms");
    refused((struct toomany_client_options){.factor = 0.5}, "factor");
    refused((struct toomany_client_options){.factor = 101}, "factor");
    refused((struct toomany_client_options){.retry_after_cap_ms = -1}, "retry_after_cap_ms");
    refused((struct toomany_client_options){.total_ms = -1}, "total_ms");
    refused((struct toomany_client_options){.attempt_timeout_ms = -1}, "attempt_timeout_ms");
    refused((struct toomany_client_options){.max_in_flight = -1}, "max_in_flight");
}

static void takes_all_right_options(void **state)
{
    (void)state;
    static const enum toomany_jitter jitters[] = {TOOMANY_JITTER_DEFAULT, TOOMANY_JITTER_NONE,
                                                  TOOMANY_JITTER_FULL, TOOMANY_JITTER_EQUAL,
                                                  TOOMANY_JITTER_DECORRELATED};
    struct server_thread thread;
#define REFUSE                                                                                     \
    "{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": \"10h\"}}, {\"answer\": "  \
    "\"ok\"}"
    server_thread_start(&thread,
                        "{\"script\": [" REFUSE "," REFUSE "," REFUSE "," REFUSE "," REFUSE "]}");
    for (size_t i = 0; i < sizeof jitters / sizeof jitters[0]; i++) {
        struct toomany_client_options options = options_for(&thread);
        options.policy = TOOMANY_POLICY_EXPONENTIAL;
        options.jitter = jitters[i];
        options.base_ms = 1;
        options.factor = 1.5;
        options.cap_ms = 3;
        options.ignore_retry_after = true;
        options.retry_after_cap_ms = 10;
        options.attempt_timeout_ms = 60000;
        options.seed = 1;
        struct toomany_client *client = new_client(&options);
        struct toomany_reply reply;
        assert_true(toomany_chat(client, "m", "Hello", &reply));
        assert_int_equal(reply.attempts, 2);
        toomany_reply_free(&reply);
        toomany_client_free(client);
    }
    server_thread_stop(&thread);
    server_thread_free(&thread);
}

static void base_above_the_default_cap(void **state)
{
    (void)state;
    struct toomany_client_options options = {
        .api_key = KEY, .base_url = "http://127.0.0.1:1/v1", .base_ms = 90000};
    toomany_client_free(new_client(&options));
}

enum { THREADS = 8, CALLS_PER_THREAD = 25 };

struct caller {
    const struct server_thread *server;
    pthread_t thread;
    int succeeded;
};

static void *call_often(void *owner)
{
    struct caller *caller = owner;
    struct toomany_client_options options = options_for(caller->server);
    options.seed = 5; /* the same in all threads: their calls are still told apart */
    char error[256];
    struct toomany_client *client = toomany_client_new(&options, error, sizeof error);
    for (int i = 0; i < CALLS_PER_THREAD && client != NULL; i++) {
        struct toomany_reply reply;
        caller->succeeded += toomany_chat(client, "m", "Hello", &reply);
        toomany_reply_free(&reply);
    }
    toomany_client_free(client);
    return NULL;
}

static void a_client_for_each_thread(void **state)
{
    (void)state;
    struct server_thread thread;
    struct caller callers[THREADS];
    server_thread_start(&thread, "{}");
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.server = &thread};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].succeeded, CALLS_PER_THREAD);
    }
    server_thread_stop(&thread);
    const struct journal *journal = server_journal(thread.server);
    size_t count = journal_count(journal);
    assert_int_equal(count, THREADS * CALLS_PER_THREAD);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(journal_at(journal, i)->idempotency_key,
                                    journal_at(journal, j)->idempotency_key);
    }
    server_thread_free(&thread);
}

static void raise_pipe_signal(void *owner, const struct toomany_wait *wait)
{
    (void)owner;
    (void)wait;
    raise(SIGPIPE); /* as a write to a closed connection would, in this thread */
}

static void keeps_the_pipe_signal_away(void **state)
{
    (void)state;
    struct server_thread thread;
    sigset_t before;
    sigset_t after;
    server_thread_start(&thread, "{\"script\": [{\"answer\": {\"error\": \"server_error\"}}]}");
    struct toomany_client_options options = options_for(&thread);
    options.on_wait = raise_pipe_signal;
    struct toomany_client *client = new_client(&options);
    struct toomany_reply reply;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_true(toomany_chat(client, "m", "Hello", &reply));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGPIPE), 0);
    assert_int_equal(sigismember(&before, SIGPIPE), 0);
    toomany_reply_free(&reply);
    toomany_client_free(client);
    server_thread_stop(&thread);
    server_thread_free(&thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_and_is_answered),
        cmocka_unit_test(tells_waits_and_the_last_error),
        cmocka_unit_test(many_calls_in_order),
        cmocka_unit_test(no_answer_at_all),
        cmocka_unit_test(reads_the_environment),
        cmocka_unit_test(refuses_wrong_options),
        cmocka_unit_test(takes_all_right_options),
        cmocka_unit_test(base_above_the_default_cap),
        cmocka_unit_test(a_client_for_each_thread),
        cmocka_unit_test(keeps_the_pipe_signal_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
