#include "mockserver/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=X"

/* A copy without a NUL behind it, so that a sanitizer sees one byte too far. */
static char *copy_of(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

struct seen {
    int count;
    bool is_broken;
    char names[4][MULTIPART_NAME_SIZE];
    char filenames[4][MULTIPART_FILENAME_SIZE];
    char data[4][64];
};

static struct seen read_all(const char *type, const char *text)
{
    struct seen seen = {.count = 0};
    struct multipart reader;
    struct multipart_part part;
    char *body = copy_of(text);
    if (!multipart_start(&reader, type, body, strlen(text))) {
        free(body);
        seen.count = -1;
        return seen;
    }
    while (multipart_next(&reader, &part)) {
        assert_true(seen.count < 4 && part.length < sizeof seen.data[0]);
        strcpy(seen.names[seen.count], part.name);
        strcpy(seen.filenames[seen.count], part.filename);
        memcpy(seen.data[seen.count], part.data, part.length);
        seen.count++;
    }
    assert_false(multipart_next(&reader, &part));
    seen.is_broken = reader.is_broken;
    free(body);
    return seen;
}

static void reads_fields_and_files(void **state)
{
    (void)state;
    struct seen seen = read_all(
        TYPE, "preamble\r\n--X\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
              "--X  \r\nContent-Type: text/plain\r\n"
              "content-disposition: form-data; filename=\"a;\\\"b.jsonl\"; name=file\r\n\r\n"
              "{}\r\n--Y\r\n\r\n--X\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n"
              "\r\n--X--\r\nepilogue");
    assert_false(seen.is_broken);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.names[0], "purpose");
    assert_string_equal(seen.filenames[0], "");
    assert_string_equal(seen.data[0], "batch");
    assert_string_equal(seen.names[1], "file");
    assert_string_equal(seen.filenames[1], "a;\"b.jsonl");
    assert_string_equal(seen.data[1], "{}\r\n--Y\r\n");
    assert_string_equal(seen.names[2], "empty");
    assert_string_equal(seen.data[2], "");
}

static void a_name_is_not_taken_out_of_another_parameter(void **state)
{
    (void)state;
    struct seen seen = read_all(
        TYPE, "--X\r\nContent-Disposition: form-data; filename=\"x; name=\\\"no\\\"\"; name=\"yes\""
              "\r\n\r\n1\r\n--X--");
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.names[0], "yes");
}

static void takes_a_quoted_boundary_and_other_parameters(void **state)
{
    (void)state;
    static const char body[] =
        "--a b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--a b--";
    assert_int_equal(read_all("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"", body).count,
                     1);
}

static void refuses_what_has_no_boundary(void **state)
{
    (void)state;
    assert_int_equal(read_all(NULL, "--X--").count, -1);
    assert_int_equal(read_all("application/json; boundary=X", "--X--").count, -1);
    assert_int_equal(read_all("multipart/form-data", "--X--").count, -1);
    assert_int_equal(read_all("multipart/form-data; boundary=", "--X--").count, -1);
    assert_int_equal(read_all("multipart/form-data; boundary=\"X", "--X--").count, -1);
    assert_int_equal(read_all(TYPE, "no such thing").count, -1);
    assert_int_equal(read_all(TYPE, "").count, -1);
    char type[200] = "multipart/form-data; boundary=";
    memset(type + strlen(type), 'X', MULTIPART_BOUNDARY_MAX + 1);
    assert_int_equal(read_all(type, "--X--").count, -1);
}

static void says_when_it_is_broken(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "--X",
        "--X\r\n",
        "--Xtra\r\n\r\n",
        "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n",
        "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1",
        "--X\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--X--",
        "--X\r\nContent-Disposition: form-data\r\n\r\n1\r\n--X--",
        "--X\r\n\r\n1\r\n--X--",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct seen seen = read_all(TYPE, broken[i]);
        if (i == 0) {
            assert_int_equal(seen.count, 0); /* ends where a part could begin */
            continue;
        }
        if (!seen.is_broken || seen.count != 0)
            fail_msg("taken: %s", broken[i]);
    }
    /* A name that does not fit. */
    char name[MULTIPART_NAME_SIZE + 1];
    char body[200];
    memset(name, 'a', sizeof name);
    name[MULTIPART_NAME_SIZE] = '\0';
    snprintf(body, sizeof body,
             "--X\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n1\r\n--X--", name);
    assert_true(read_all(TYPE, body).is_broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields_and_files),
        cmocka_unit_test(a_name_is_not_taken_out_of_another_parameter),
        cmocka_unit_test(takes_a_quoted_boundary_and_other_parameters),
        cmocka_unit_test(refuses_what_has_no_boundary),
        cmocka_unit_test(says_when_it_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
