#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void names_place_and_remedy(void **state)
{
    (void)state;
    struct error error;
    char text[200];
    assert_false(error_set(&error, "r3.json: /times", "found %d, wanted %s", 0, "1 and more"));
    assert_string_equal(error_text(&error, text, sizeof text),
                        "r3.json: /times: found 0, wanted 1 and more");
    assert_false(error.could_not_run);
}

static void tells_the_machines_faults_from_the_users(void **state)
{
    (void)state;
    struct error error;
    assert_false(error_set_run(&error, "epoll", "%s", "out of descriptors"));
    assert_true(error.could_not_run);
    assert_false(error_set(&error, "epoll", "%s", "now the user's"));
    assert_false(error.could_not_run);
}

static void a_place_may_be_missing(void **state)
{
    (void)state;
    struct error error;
    char text[200];
    error_set(&error, NULL, "out of memory");
    assert_string_equal(error_text(&error, text, sizeof text), "out of memory");
    error_set(&error, "", "out of memory");
    assert_string_equal(error_text(&error, text, sizeof text), "out of memory");
}

static void an_outer_place_goes_before_the_inner_one(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, "/expect", "wrong");
    error_prefix_place(&error, "a.json");
    assert_string_equal(error.place, "a.json: /expect");
    error_prefix_place(&error, "");
    error_prefix_place(&error, NULL);
    assert_string_equal(error.place, "a.json: /expect");
    error_set(&error, "", "wrong");
    error_prefix_place(&error, "a.json");
    assert_string_equal(error.place, "a.json");
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_false(error_set(NULL, "place", "%d", 1));
    assert_false(error_set_run(NULL, "place", "%d", 1));
    error_prefix_place(NULL, "outer");
}

static void long_texts_are_cut_and_closed(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct error error;
    error_set(&error, text, "%s", text);
    assert_int_equal(strlen(error.place), sizeof error.place - 1);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    error_prefix_place(&error, text);
    assert_int_equal(strlen(error.place), sizeof error.place - 1);
    char small[8];
    assert_string_equal(error_text(&error, small, sizeof small), "xxxxxxx");
}

static void what_the_machine_lacks_has_a_remedy(void **state)
{
    (void)state;
    assert_string_equal(error_remedy(EMFILE), "; raise `ulimit -n`");
    assert_non_null(strstr(error_remedy(ENFILE), "fs.file-max"));
    assert_non_null(strstr(error_remedy(ENOMEM), "memory"));
    assert_string_equal(error_remedy(EACCES), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_place_and_remedy),
        cmocka_unit_test(tells_the_machines_faults_from_the_users),
        cmocka_unit_test(a_place_may_be_missing),
        cmocka_unit_test(an_outer_place_goes_before_the_inner_one),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(long_texts_are_cut_and_closed),
        cmocka_unit_test(what_the_machine_lacks_has_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
