#include "base/json.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/toomany-test-json-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* A file of `length` bytes in the test's directory; unlinked by the caller. */
static const char *write_file(const char *bytes, size_t length)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/file.json", directory);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return path;
}

static cJSON *parse(const char *text)
{
    struct error error;
    cJSON *root = json_parse(text, strlen(text), "f", &error);
    if (root == NULL)
        fail_msg("%s: %s: %s", text, error.place, error.message);
    return root;
}

static void assert_parse_fails(const char *text, const char *place, const char *message)
{
    struct error error = {.message = ""};
    char said[1400];
    cJSON *root = json_parse(text, strlen(text), "f", &error);
    if (root != NULL)
        fail_msg("%s was parsed", text);
    assert_string_equal(error.place, place);
    if (strstr(error.message, message) == NULL)
        fail_msg("\"%s\" is not in: %s", message, error_text(&error, said, sizeof said));
}

static void parses_values(void **state)
{
    (void)state;
    cJSON *root = parse("\xef\xbb\xbf{\"a\": [1, -2.5e3, true, null, \"\\u00e9\\ud83d\\ude00\"]}");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "a");
    assert_int_equal(cJSON_GetArraySize(list), 5);
    assert_true(cJSON_GetArrayItem(list, 1)->valuedouble == -2500);
    assert_string_equal(cJSON_GetArrayItem(list, 4)->valuestring, "\xc3\xa9\xf0\x9f\x98\x80");
    cJSON_Delete(root);
}

/* Lines end at LF, so that CR LF counts once; columns are characters, as editors show them. */
static void a_syntax_error_has_its_line_and_column(void **state)
{
    (void)state;
    assert_parse_fails("x", "f:1:1", "wanted a value");
    assert_parse_fails("{\n  \"a\": 1,\n  \"b\" 2\n}", "f:3:7", "found \"2\", wanted a colon");
    assert_parse_fails("{\r\n  \"a\": x\r\n}", "f:2:8", "found \"x\"");
    assert_parse_fails("{\"\xc3\xa9\xf0\x9f\x98\x80\": x}", "f:1:8", "found \"x\"");
    assert_parse_fails("\xef\xbb\xbf{x", "f:1:2", "found \"x\"");
    assert_parse_fails("[1,\n2,\n", "f:3:1", "ends too early");
    assert_parse_fails("{} {}", "f:1:4", "text after the end");
    assert_parse_fails("\n\n\n  \"\xff\"", "f:4:4", "invalid UTF-8");
}

static void a_key_that_stands_twice_is_named(void **state)
{
    (void)state;
    assert_parse_fails("{\"a\": 1, \"a\": 2}", "f: /a", "this key stands twice");
    assert_parse_fails("{\"k\": [1, {\"x/y~\": 1, \"z\": 2, \"x/y~\": 3}]}", "f: /k/1/x~1y~0",
                       "this key stands twice");
    assert_parse_fails("{\"\\u0061\": 1, \"a\": 2}", "f: /a", "this key stands twice");
    cJSON_Delete(parse("{\"a\": {\"a\": 1}, \"A\": [{\"a\": 1}, {\"a\": 1}]}"));
}

static void tells_json_that_is_not_read_from_what_is_none(void **state)
{
    (void)state;
    char deep[200] = "";
    char deepest[200] = "";
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deepest, '[', JSON_DEPTH_MAX);
    memset(deepest + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    const struct {
        const char *text;
        const char *what; /* NULL: no JSON, or JSON that is read */
    } cases[] = {
        {"{\"model\": 1, \"model\": 2}", "a repeated member: 'model'"},
        {"{\"k\": [1, {\"x/y\": 1, \"x/y\": 3}]}", "a repeated member: 'x/y'"},
        {"[\"a\\u0000\"]", "\\u0000 in a string"},
        {"[\"\\ud83d\"]", "half of a surrogate pair in a string"},
        {"[0.0000000000000000000000000000000000000000000000000000000000001]",
         "a number of more than 60 characters"},
        {deep, "objects and arrays nested more than 64 deep"},
        {deepest, NULL},
        {"{\"a\": 1}", NULL},
        {"{\"a\": 1, \"a\"}", NULL},
        {"[\"\xff\"]", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char what[JSON_UNREAD_SIZE];
        bool is_unread = json_is_unread(cases[i].text, strlen(cases[i].text), what);
        if (is_unread != (cases[i].what != NULL))
            fail_msg("%s", cases[i].text);
        if (is_unread)
            assert_string_equal(what, cases[i].what);
    }
}

static void a_long_repeated_name_is_cut_between_characters(void **state)
{
    (void)state;
    char name[200] = "x";
    char text[500];
    char what[JSON_UNREAD_SIZE];
    for (int i = 0; i < 90; i++)
        strcat(name, "\xc3\xa9");
    snprintf(text, sizeof text, "{\"%s\": 1, \"%s\": 2}", name, name);
    assert_true(json_is_unread(text, strlen(text), what));
    assert_true(json_is_utf8(what, strlen(what)));
}

/* cJSON's own look-up would take seconds for them. */
static void a_hundred_thousand_keys_are_read(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    char *text = malloc(KEYS * 16);
    assert_non_null(text);
    size_t used = 0;
    for (int i = 0; i < KEYS; i++)
        used += (size_t)sprintf(text + used, "%s\"k%d\":%d", i == 0 ? "{" : ",", i, i);
    used += (size_t)sprintf(text + used, "}");
    struct error error;
    cJSON *root = json_parse(text, used, "f", &error);
    assert_non_null(root);
    assert_int_equal(cJSON_GetArraySize(root), KEYS);
    cJSON_Delete(root);
    free(text);
}

static void loads_a_file(void **state)
{
    (void)state;
    struct error error;
    const char *path = write_file("{\"a\": 1}\n", 9);
    cJSON *root = json_load(path, &error);
    assert_non_null(root);
    cJSON_Delete(root);
    path = write_file("{\"a\": 1", 7);
    assert_null(json_load(path, &error));
    char place[80];
    snprintf(place, sizeof place, "%s:1:8", path);
    assert_string_equal(error.place, place);
    path = write_file("", 0);
    assert_null(json_load(path, &error));
    assert_string_equal(error.message, "the JSON text ends too early");
    unlink(path);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    struct error error;
    assert_null(json_load("/nonexistent/r3.json", &error));
    assert_string_equal(error.place, "/nonexistent/r3.json");
    assert_string_equal(error.message, "No such file or directory");
    assert_null(json_load(directory, &error));
    assert_string_equal(error.place, directory);
    assert_string_equal(error.message, "this is a directory, wanted a file");
    assert_null(json_load("/proc/self/mem", &error)); /* opens, but reading it fails */
    assert_string_equal(error.place, "/proc/self/mem");
    assert_string_equal(error.message, "cannot be read: Input/output error");
}

static void reads_exactly_as_many_bytes_as_it_may(void **state)
{
    (void)state;
    char bytes[40000];
    memset(bytes, 'x', sizeof bytes);
    struct error error;
    size_t length = 0;
    const char *path = write_file(bytes, sizeof bytes);
    char *read = json_file_bytes(path, sizeof bytes, &length, &error);
    assert_non_null(read);
    assert_int_equal(length, sizeof bytes);
    assert_memory_equal(read, bytes, length);
    assert_int_equal(read[length], '\0');
    free(read);
    assert_null(json_file_bytes(path, sizeof bytes - 1, &length, &error));
    assert_string_equal(error.message, "larger than 39999 bytes, which no such file needs");
    unlink(path);
}

/* It is refused after 16 MiB; the file is sparse, so nothing of it is on the disk either. */
static void a_file_of_a_hundred_megabytes_is_refused(void **state)
{
    (void)state;
    const char *path = write_file("", 0);
    assert_int_equal(truncate(path, 100 * 1000 * 1000), 0);
    struct error error;
    assert_null(json_load(path, &error));
    assert_string_equal(error.message, "larger than 16777216 bytes, which no such file needs");
    unlink(path);
}

static void pointers_are_escaped_and_bounded(void **state)
{
    (void)state;
    char text[JSON_POINTER_SIZE];
    assert_string_equal(json_pointer_member(text, "", "a"), "/a");
    assert_string_equal(json_pointer_member(text, "/a", "m~n/o"), "/a/m~0n~1o");
    assert_string_equal(json_pointer_member(text, "/a", ""), "/a/");
    assert_string_equal(json_pointer_item(text, "/a", 12), "/a/12");
    strcpy(text, "/self");
    assert_string_equal(json_pointer_member(text, text, "b"), "/self/b"); /* in place */
    char name[600];
    memset(name, '/', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    json_pointer_member(text, "/a", name);
    assert_true(strlen(text) < JSON_POINTER_SIZE);
    assert_int_equal(strncmp(text, "/a/~1~1", 7), 0);
    char pointer[400];
    memset(pointer, 'p', sizeof pointer - 1);
    pointer[sizeof pointer - 1] = '\0';
    json_pointer_member(text, pointer, "x");
    assert_int_equal(strlen(text), JSON_POINTER_SIZE - 1);
}

struct reading {
    cJSON *root;
    struct error error;
    struct json_reader reader;
};

static void start(struct reading *reading, const char *text)
{
    *reading = (struct reading){.root = parse(text)};
    reading->reader = (struct json_reader){.file = "f", .error = &reading->error};
}

static void assert_wrong(struct reading *reading, bool is_read, const char *place,
                         const char *message)
{
    assert_false(is_read);
    assert_string_equal(reading->error.place, place);
    assert_string_equal(reading->error.message, message);
}

static void an_unknown_key_gets_the_nearest_known_one(void **state)
{
    (void)state;
    static const char *const known[] = {"command", "env", "timeout", NULL};
    static const struct {
        const char *text;
        const char *place;
        const char *message;
    } cases[] = {
        {"{\"timout\": 1}", "f: /client/timout", "unknown key; did you mean \"timeout\"?"},
        {"{\"Command\": 1}", "f: /client/Command", "unknown key; did you mean \"command\"?"},
        {"{\"envv\": 1}", "f: /client/envv", "unknown key; did you mean \"env\"?"},
        {"{\"env\": 1, \"zzzzzzzz\": 1}", "f: /client/zzzzzzzz",
         "unknown key; known here: command, env, timeout"},
        {"{\"\": 1}", "f: /client/", "unknown key; known here: command, env, timeout"},
        {"{\"comm/and\": 1}", "f: /client/comm~1and", "unknown key; did you mean \"command\"?"},
        {"{\"an_exceedingly_long_key_that_is_more_than_forty_bytes\": 1}",
         "f: /client/an_exceedingly_long_key_that_is_more_than_forty_bytes",
         "unknown key; known here: command, env, timeout"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reading reading;
        start(&reading, cases[i].text);
        assert_wrong(&reading, json_known_members(&reading.reader, reading.root, "/client", known),
                     cases[i].place, cases[i].message);
        cJSON_Delete(reading.root);
    }
    struct reading reading;
    start(&reading, "{\"env\": 1, \"$comment\": 2}");
    assert_true(json_known_members(&reading.reader, reading.root, "", known));
    assert_wrong(&reading, json_known_members(&reading.reader, reading.root->child, "", known),
                 "f: /", "found 1, wanted an object");
    assert_wrong(&reading, json_known_members(&reading.reader, NULL, "/client", known),
                 "f: /client", "found nothing, wanted an object");
    cJSON_Delete(reading.root);
}

static void reads_each_type(void **state)
{
    (void)state;
    static const char *const words[] = {"none", "full", NULL};
    struct reading reading;
    start(&reading, "{\"s\": \"text\", \"b\": true, \"n\": 0.5, \"w\": -3, \"d\": \"1m30s\","
                    " \"word\": \"full\", \"o\": {}, \"a\": []}");
    const struct json_reader *reader = &reading.reader;
    const char *text = NULL;
    bool flag = false;
    double number = 0;
    int64_t whole = 0;
    int64_t ns = 0;
    int index = -1;
    const cJSON *object = NULL;
    const cJSON *array = NULL;
    assert_true(json_read_string(reader, reading.root, "", "s", &text));
    assert_string_equal(text, "text");
    assert_true(json_read_bool(reader, reading.root, "", "b", &flag));
    assert_true(flag);
    assert_true(json_read_number(reader, reading.root, "", "n", 0, 1, &number));
    assert_true(number == 0.5);
    assert_true(json_read_whole(reader, reading.root, "", "w", -3, -3, &whole));
    assert_int_equal(whole, -3);
    assert_true(json_read_duration(reader, reading.root, "", "d", &ns));
    assert_int_equal(ns, 90 * NS_PER_S);
    assert_true(json_read_word(reader, reading.root, "", "word", words, &index));
    assert_int_equal(index, 1);
    assert_true(json_read_object(reader, reading.root, "", "o", &object));
    assert_non_null(object);
    assert_true(json_read_array(reader, reading.root, "", "a", &array));
    assert_non_null(array);
    cJSON_Delete(reading.root);
}

static void what_is_absent_leaves_the_target_alone(void **state)
{
    (void)state;
    static const char *const words[] = {"none", NULL};
    struct reading reading;
    start(&reading, "{\"S\": 1}"); /* keys are case-sensitive */
    const struct json_reader *reader = &reading.reader;
    const char *text = "before";
    bool flag = true;
    double number = 7;
    int64_t whole = 7;
    int index = 7;
    const cJSON *item = reading.root;
    assert_true(json_read_string(reader, reading.root, "", "s", &text));
    assert_true(json_read_bool(reader, reading.root, "", "s", &flag));
    assert_true(json_read_number(reader, reading.root, "", "s", 0, 1, &number));
    assert_true(json_read_whole(reader, reading.root, "", "s", 0, 1, &whole));
    assert_true(json_read_duration(reader, reading.root, "", "s", &whole));
    assert_true(json_read_word(reader, reading.root, "", "s", words, &index));
    assert_true(json_read_object(reader, reading.root, "", "s", &item));
    assert_true(json_read_array(reader, reading.root, "", "s", &item));
    assert_string_equal(text, "before");
    assert_true(flag && number == 7 && whole == 7 && index == 7 && item == reading.root);
    cJSON_Delete(reading.root);
}

enum reader_kind { STRING, BOOL, NUMBER, WHOLE, DURATION, WORD, OBJECT, ARRAY };

static bool read_as(const struct reading *reading, enum reader_kind kind)
{
    static const char *const words[] = {"none", "full", NULL};
    const struct json_reader *reader = &reading->reader;
    const cJSON *root = reading->root;
    const char *text = NULL;
    bool flag = false;
    double number = 0;
    int64_t whole = 0;
    int index = 0;
    const cJSON *item = NULL;
    switch (kind) {
    case STRING:
        return json_read_string(reader, root, "/p", "k", &text);
    case BOOL:
        return json_read_bool(reader, root, "/p", "k", &flag);
    case NUMBER:
        return json_read_number(reader, root, "/p", "k", 0, 1, &number);
    case WHOLE:
        return json_read_whole(reader, root, "/p", "k", 1, 1000, &whole);
    case DURATION:
        return json_read_duration(reader, root, "/p", "k", &whole);
    case WORD:
        return json_read_word(reader, root, "/p", "k", words, &index);
    case OBJECT:
        return json_read_object(reader, root, "/p", "k", &item);
    default:
        return json_read_array(reader, root, "/p", "k", &item);
    }
}

#define WANTED_DURATION "a duration with its unit, such as \"250ms\", \"2s\" or \"6m0s\""

static void what_is_wrong_is_told_with_what_was_found_and_what_is_wanted(void **state)
{
    (void)state;
    static const struct {
        enum reader_kind kind;
        const char *value;
        const char *message;
    } cases[] = {
        {STRING, "1", "found 1, wanted a string"},
        {STRING, "null", "found null, wanted a string"},
        {STRING, "[]", "found an array, wanted a string"},
        {BOOL, "\"true\"", "found \"true\", wanted true or false"},
        {BOOL, "0", "found 0, wanted true or false"},
        {NUMBER, "1.5", "found 1.5, wanted a number from 0 to 1"},
        {NUMBER, "-0.1", "found -0.1, wanted a number from 0 to 1"},
        {NUMBER, "1e999", "found inf, wanted a number from 0 to 1"},
        {NUMBER, "\"0.5\"", "found \"0.5\", wanted a number from 0 to 1"},
        {WHOLE, "1.5", "found 1.5, wanted a whole number from 1 to 1000"},
        {WHOLE, "0", "found 0, wanted a whole number from 1 to 1000"},
        {WHOLE, "-1", "found -1, wanted a whole number from 1 to 1000"},
        {WHOLE, "1001", "found 1001, wanted a whole number from 1 to 1000"},
        {WHOLE, "1e300", "found 1e+300, wanted a whole number from 1 to 1000"},
        {WHOLE, "-1e999", "found -inf, wanted a whole number from 1 to 1000"},
        {WHOLE, "\"3\"", "found \"3\", wanted a whole number from 1 to 1000"},
        {WHOLE, "true", "found true, wanted a whole number from 1 to 1000"},
        {WHOLE, "{}", "found an object, wanted a whole number from 1 to 1000"},
        {DURATION, "5", "found 5, wanted " WANTED_DURATION},
        {DURATION, "\"5\"", "found \"5\", wanted " WANTED_DURATION},
        {DURATION, "\"-1s\"", "found \"-1s\", wanted " WANTED_DURATION},
        {DURATION, "false", "found false, wanted " WANTED_DURATION},
        {WORD, "\"half\"", "found \"half\", wanted one of \"none\", \"full\""},
        {WORD, "1", "found 1, wanted one of \"none\", \"full\""},
        {OBJECT, "[]", "found an array, wanted an object"},
        {OBJECT, "null", "found null, wanted an object"},
        {ARRAY, "{}", "found an object, wanted an array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        struct reading reading;
        snprintf(text, sizeof text, "{\"k\": %s}", cases[i].value);
        start(&reading, text);
        assert_wrong(&reading, read_as(&reading, cases[i].kind), "f: /p/k", cases[i].message);
        cJSON_Delete(reading.root);
    }
}

static void a_long_string_is_shown_in_part_and_never_half_a_character(void **state)
{
    (void)state;
    char text[300];
    struct reading reading;
    for (int lead = 56; lead <= 61; lead++) {
        snprintf(text, sizeof text, "{\"k\": \"%.*s\xf0\x9f\x98\x80\xc3\xa9...........\"}", lead,
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        start(&reading, text);
        assert_false(read_as(&reading, BOOL));
        assert_true(json_is_utf8(reading.error.message, strlen(reading.error.message)));
        assert_non_null(strstr(reading.error.message, "\"..., wanted true or false"));
        cJSON_Delete(reading.root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_values),
        cmocka_unit_test(a_syntax_error_has_its_line_and_column),
        cmocka_unit_test(a_key_that_stands_twice_is_named),
        cmocka_unit_test(tells_json_that_is_not_read_from_what_is_none),
        cmocka_unit_test(a_long_repeated_name_is_cut_between_characters),
        cmocka_unit_test(a_hundred_thousand_keys_are_read),
        cmocka_unit_test(loads_a_file),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(reads_exactly_as_many_bytes_as_it_may),
        cmocka_unit_test(a_file_of_a_hundred_megabytes_is_refused),
        cmocka_unit_test(pointers_are_escaped_and_bounded),
        cmocka_unit_test(an_unknown_key_gets_the_nearest_known_one),
        cmocka_unit_test(reads_each_type),
        cmocka_unit_test(what_is_absent_leaves_the_target_alone),
        cmocka_unit_test(what_is_wrong_is_told_with_what_was_found_and_what_is_wanted),
        cmocka_unit_test(a_long_string_is_shown_in_part_and_never_half_a_character),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
