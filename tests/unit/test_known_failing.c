#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness/known_failing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct known_failing_list parse(const char *text)
{
    struct known_failing_list list;
    struct error error = {0};
    assert_true(known_failing_parse(&list, text, &error));
    return list;
}

static void each_line_is_a_name(void **state)
{
    (void)state;
    struct known_failing_list list =
        parse("# issue 12\nwaits as long as asked\n\n  \t \n  R7: a, b "
              "# not a comment \r\n#last\nlast");
    assert_int_equal(list.count, 3);
    assert_string_equal(list.names[0], "waits as long as asked");
    assert_string_equal(list.names[1], "R7: a, b # not a comment");
    assert_string_equal(list.names[2], "last");
    assert_true(known_failing_has(&list, "last"));
    assert_false(known_failing_has(&list, "las"));
    assert_false(known_failing_has(&list, "#last"));
    assert_false(known_failing_has(&list, ""));
    known_failing_free(&list);
    assert_int_equal(list.count, 0);
}

static void an_empty_list_has_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", " ", "#", "# a\n#b", "\r\n\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct known_failing_list list = parse(texts[i]);
        assert_int_equal(list.count, 0);
        assert_false(known_failing_has(&list, ""));
        known_failing_free(&list);
    }
}

static void a_name_that_no_scenario_has_is_found(void **state)
{
    (void)state;
    char first[] = "first";
    char second[] = "second";
    struct scenario items[] = {{.name = first}, {.name = second}};
    struct scenario_list scenarios = {.items = items, .count = 2};
    struct known_failing_list list = parse("second\nfirst\n");
    assert_null(known_failing_unknown(&list, &scenarios));
    known_failing_free(&list);
    list = parse("second\nthird\nfourth\n");
    assert_string_equal(known_failing_unknown(&list, &scenarios), "third");
    known_failing_free(&list);
}

static void a_file_is_read_or_its_error_told(void **state)
{
    (void)state;
    char path[] = "/tmp/toomany-known-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "one\ntwo\n", 8), 8);
    struct known_failing_list list;
    struct error error = {0};
    assert_true(known_failing_load(&list, path, &error));
    assert_int_equal(list.count, 2);
    known_failing_free(&list);
    assert_int_equal(ftruncate(fd, KNOWN_FAILING_BYTES_MAX + 1), 0);
    assert_false(known_failing_load(&list, path, &error));
    assert_string_equal(error.message, "larger than 1048576 bytes, which no such file needs");
    close(fd);
    unlink(path);
    assert_false(known_failing_load(&list, path, &error));
    assert_string_equal(error.place, path);
    assert_string_equal(error.message, "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_a_name),
        cmocka_unit_test(an_empty_list_has_nothing),
        cmocka_unit_test(a_name_that_no_scenario_has_is_found),
        cmocka_unit_test(a_file_is_read_or_its_error_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
