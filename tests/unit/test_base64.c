#include "mockserver/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 4648, section 10. */
static void encodes_as_the_rfc(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff", "+/8="}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = base64_encode(cases[i][0], strlen(cases[i][0]));
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(encodes_as_the_rfc)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
