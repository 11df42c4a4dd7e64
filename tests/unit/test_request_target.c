#include "mockserver/request_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void scheme_and_authority_are_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *path;
    } cases[] = {
        {"/v1/models", "/v1/models"},
        {"/v1/models?limit=1", "/v1/models?limit=1"},
        {"http://127.0.0.1:8429/v1/models", "/v1/models"},
        {"http://127.0.0.1:8429/v1/models?limit=1", "/v1/models?limit=1"},
        {"HTTPS://[::1]:8429/v1/models/a/b", "/v1/models/a/b"},
        {"http://host", "/"},
        {"http://host?limit=1/2", "/"},
        {"http://", "/"},
        {"http://host//v1", "//v1"},
        /* no such target */
        {"/http://host/v1", "/http://host/v1"},
        {"http:/v1", "http:/v1"},
        {"ftp://host/v1", "ftp://host/v1"},
        {"host:443", "host:443"},
        {"*", "*"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(request_target_path(cases[i].target), cases[i].path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scheme_and_authority_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
