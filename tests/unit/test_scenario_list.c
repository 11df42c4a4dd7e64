#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness/scenario_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/toomany-list-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *scenario)
{
    FILE *file = fopen(path_of(name), "w");
    fprintf(file,
            "{\"name\": \"%s\", \"server\": {}, \"client\": {\"command\": [\"x\"]}, \"expect\": "
            "{\"calls\": 1}}",
            scenario);
    fclose(file);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a.json",  "b.json", "b2.json", "b10.json", "note.txt", ".json", "scenario.schema.json",
        "bad.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    rmdir(path_of("deeper"));
    return rmdir(folder);
}

static void a_file_is_added(void **state)
{
    (void)state;
    struct scenario_list list = {0};
    struct error error = {0};
    put("a.json", "first");
    assert_true(scenario_list_add(&list, path_of("a.json"), &error));
    assert_true(scenario_list_add(&list, path_of("a.json"), &error));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[1].name, "first");
    assert_string_equal(list.items[1].file, path_of("a.json"));
    scenario_list_free(&list);
    assert_null(list.items);
}

static void of_a_folder_all_scenarios_are_added_by_name(void **state)
{
    (void)state;
    struct scenario_list list = {0};
    struct error error = {0};
    put("b.json", "second");
    put("a.json", "first");
    put("note.txt", "no scenario");
    put("scenario.schema.json", "no scenario either");
    assert_int_equal(mkdir(path_of("deeper"), 0700), 0);
    assert_true(scenario_list_add(&list, folder, &error));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "first");
    assert_string_equal(list.items[1].name, "second");
    assert_string_equal(list.items[1].file, path_of("b.json"));
    scenario_list_free(&list);
}

static void a_folder_without_scenarios_is_an_error(void **state)
{
    (void)state;
    struct scenario_list list = {0};
    struct error error = {0};
    assert_false(scenario_list_add(&list, folder, &error));
    assert_string_equal(error.place, folder);
    assert_string_equal(error.message, "no *.json in this folder");
    scenario_list_free(&list);
}

static void one_bad_file_of_a_folder_is_an_error(void **state)
{
    (void)state;
    struct scenario_list list = {0};
    struct error error = {0};
    put("a.json", "first");
    put("b.json", "");
    put("bad.json", "third");
    assert_false(scenario_list_add(&list, folder, &error));
    assert_non_null(strstr(error.place, "/b.json: /name"));
    assert_int_equal(list.count, 1);
    scenario_list_free(&list);
}

static void what_is_missing_is_an_error(void **state)
{
    (void)state;
    struct scenario_list list = {0};
    struct error error = {0};
    assert_false(scenario_list_add(&list, path_of("none.json"), &error));
    assert_string_equal(error.place, path_of("none.json"));
    assert_string_equal(error.message, "No such file or directory");
    assert_int_equal(list.count, 0);
    scenario_list_free(&list);
}

static void the_list_is_bounded(void **state)
{
    (void)state;
    struct scenario_list list = {.count = SCENARIO_LIST_MAX};
    struct error error = {0};
    put("a.json", "first");
    assert_false(scenario_list_add(&list, path_of("a.json"), &error));
    assert_string_equal(error.message, "more than 10000 scenarios");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_added, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(of_a_folder_all_scenarios_are_added_by_name, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_without_scenarios_is_an_error, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(one_bad_file_of_a_folder_is_an_error, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_missing_is_an_error, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_list_is_bounded, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
