#include "mockserver/admin_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int status_for(const struct admin_guard *guard, struct admin_visitor visitor)
{
    const char *message = NULL;
    int status = admin_guard_status(guard, &visitor, &message);
    assert_true(status == 0 || message != NULL);
    return status;
}

static void loopback_is_known(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const others[] = {
        "0.0.0.0", "128.0.0.1", "10.0.0.1", "::", "fe80::1", "::ffff:10.0.0.1", "evil", ""};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        assert_true(admin_guard_is_loopback(own[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(admin_guard_is_loopback(others[i]));
}

/* DNS rebinding: the page's own name points here. */
static void host_must_name_this_machine(void **state)
{
    (void)state;
    static const char *const good[] = {
        "localhost", "LOCALHOST:8429", "127.0.0.1:1",    "[::1]:8429",
        "[::1]",     "a.localhost:80", "127.9.9.9:8429", NULL};
    static const char *const bad[] = {"evil.example",
                                      "evil.example:8429",
                                      "127.0.0.1.evil.example",
                                      "localhost.evil.example",
                                      "evillocalhost",
                                      ".localhost.",
                                      "10.0.0.1:8429",
                                      "[::2]:8429",
                                      "",
                                      NULL};
    const struct admin_guard guards[] = {{.is_loopback = true},
                                         {.is_loopback = true, .token = (char[]){"secret"}}};
    for (size_t guard = 0; guard < 2; guard++) {
        struct admin_visitor visitor = {.authorization = "Bearer secret"};
        /* HTTP/1.0 without one: no browser sends that. */
        assert_int_equal(status_for(&guards[guard], visitor), 0);
        for (size_t i = 0; good[i] != NULL; i++) {
            visitor.host = good[i];
            assert_int_equal(status_for(&guards[guard], visitor), 0);
        }
        for (size_t i = 0; bad[i] != NULL; i++) {
            visitor.host = bad[i];
            assert_int_equal(status_for(&guards[guard], visitor), 403);
        }
    }
}

static void pages_of_other_origins_are_refused(void **state)
{
    (void)state;
    const struct admin_guard guards[] = {{.is_loopback = true}, {.token = (char[]){"secret"}}};
    static const struct {
        const char *origin;
        const char *site;
        int status;
    } cases[] = {
        {"https://evil.example", NULL, 403},
        {"null", NULL, 403},
        {"http://localhost:8429", NULL, 0},
        {"http://localhost:9000", NULL, 403},
        {NULL, "cross-site", 403},
        {NULL, "same-site", 403},
        {NULL, "same-origin", 0},
        {NULL, "none", 0},
        {"http://localhost:8429", "cross-site", 403},
    };
    for (size_t guard = 0; guard < 2; guard++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const struct admin_visitor visitor = {.authorization = "Bearer secret",
                                                  .host = "localhost:8429",
                                                  .origin = cases[i].origin,
                                                  .fetch_site = cases[i].site};
            assert_int_equal(status_for(&guards[guard], visitor), cases[i].status);
        }
    }
}

static void token_is_wanted_where_one_is_set(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,          "", "secret", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret",
        "Basic secret"};
    for (int is_loopback = 0; is_loopback < 2; is_loopback++) {
        const struct admin_guard guard = {(char[]){"secret"}, is_loopback};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
            assert_int_equal(status_for(&guard, (struct admin_visitor){.authorization = bad[i],
                                                                       .host = "localhost"}),
                             401);
        /* Where others reach it, the machine may have any name. */
        assert_int_equal(status_for(&guard, (struct admin_visitor){.authorization = "Bearer secret",
                                                                   .host = "any.example"}),
                         is_loopback ? 403 : 0);
    }
}

static void another_address_without_a_token_admits_nobody(void **state)
{
    (void)state;
    const struct admin_guard guard = {0};
    assert_int_equal(
        status_for(&guard, (struct admin_visitor){.authorization = "Bearer ", .host = "localhost"}),
        403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(host_must_name_this_machine),
        cmocka_unit_test(pages_of_other_origins_are_refused),
        cmocka_unit_test(token_is_wanted_where_one_is_set),
        cmocka_unit_test(another_address_without_a_token_admits_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
