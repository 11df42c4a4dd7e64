#include "lab/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/toomany-service-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text)
{
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

#define LINE(arrived, answered, status, tokens)                                                    \
    "{\"arrived_ns\":" #arrived ",\"answered_ns\":" #answered ",\"status\":" #status               \
    ",\"tokens\":" #tokens "}\n"

static void measured(bool is_time, const int64_t *amounts, size_t count)
{
    struct error error;
    struct distribution found;
    bool is_read = is_time ? service_times_of_journal(&found, path, &error)
                           : service_tokens_of_journal(&found, path, &error);
    if (!is_read)
        fail_msg("%s: %s", error.place, error.message);
    assert_int_equal(found.kind, DISTRIBUTION_MEASURED);
    assert_int_equal(found.sample_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(found.samples[i], amounts[i]);
    distribution_free(&found);
}

static void refused(const char *text, const char *after_path, const char *says)
{
    struct error error = {0};
    struct distribution found;
    char place[100];
    write_file(text);
    for (int is_time = 0; is_time < 2; is_time++) {
        bool is_read = is_time ? service_times_of_journal(&found, path, &error)
                               : service_tokens_of_journal(&found, path, &error);
        if (is_read)
            fail_msg("takes %s", text);
        snprintf(place, sizeof place, "%s%s", path, after_path);
        assert_string_equal(error.place, place);
        if (strstr(error.message, says) == NULL)
            fail_msg("%s: found \"%s\", wanted \"%s\"", text, error.message, says);
    }
}

/* Bug: the short times of refusals, or those of requests that were given up, make the model look
 * fast. */
static void takes_what_was_served(void **state)
{
    (void)state;
    write_file(LINE(1000, 400001000, 200, 9) LINE(0, 1, 429, 8)
                   LINE(5, 6, 500, 8) "\n \t\r\n" LINE(7, null, 200, 8) LINE(7, -1, 200, 8)
                       LINE(9, 5, 200, 8) LINE(1000, 300001000, 200, 7) LINE(5, 5, 0, 3));
    measured(true, (const int64_t[]){300000000, 400000000}, 2);
    measured(false, (const int64_t[]){7, 9}, 2);
}

/* Bug: a list of models, which costs nothing and takes no time, counts as a fast and small request,
 * so that the bound of the load is not a number. */
static void what_asks_no_model_is_passed_over(void **state)
{
    (void)state;
    write_file(LINE(0, 5000, 200, 0) LINE(0, 7000, 200, -1) LINE(0, 9000, 200, 1));
    measured(true, (const int64_t[]){9000}, 1);
    measured(false, (const int64_t[]){1}, 1);
}

/* Bug: times of 0 (all of them, in virtual time) or tokens beyond 32 bits come into an experiment
 * that refuses them in its own file. */
static void amounts_are_within_an_experiments(void **state)
{
    (void)state;
    write_file(LINE(3, 3, 200, 5000000000) LINE(0, 90000000000000, 200, 5));
    measured(true, (const int64_t[]){1000, INT64_C(86400000000000)}, 2);
    measured(false, (const int64_t[]){5, 1000000000}, 2);
}

/* Bug: more lines than the first block are lost or written beyond it. */
static void many_lines_are_all_taken(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static int64_t amounts[COUNT];
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    for (int i = COUNT; i > 0; i--) {
        fprintf(stream, "{\"arrived_ns\":0,\"answered_ns\":%d,\"status\":200,\"tokens\":%d}\n",
                i * 1000, i);
        amounts[i - 1] = i;
    }
    assert_int_equal(fclose(stream), 0);
    measured(false, amounts, COUNT);
}

/* Bug: a file that is no journal, or a cut one, is half read without a word. */
static void refuses_what_is_no_journal(void **state)
{
    (void)state;
    refused("", "", "no request to a model was served with 200");
    refused(LINE(0, 1, 429, 1), "", "no request to a model was served with 200");
    refused("{\"name\": \"a scenario\"}\n", ":1", "found no entry of a journal");
    refused(LINE(0, 1, 200, 1) "\n{\"arrived_ns\":0,\"answe", ":3", "found no entry of a journal");
    refused("[1]\n", ":1", "found no entry of a journal");
    refused(LINE(0.5, 1, 200, 1), ":1", "found no entry of a journal");
    refused(LINE(0, 1, "200", 1), ":1", "found no entry of a journal");
    refused(LINE(0, 1, 1000, 1), ":1", "found no entry of a journal");
    refused(LINE(0, 1e300, 200, 1), ":1", "found no entry of a journal");
    refused("{\"arrived_ns\":0,\"answered_ns\":1,\"status\":200}\n", ":1", "wanted a JSON object");
}

static void refuses_a_file_that_is_not_there(void **state)
{
    (void)state;
    struct error error = {0};
    struct distribution found;
    assert_false(service_times_of_journal(&found, "/nowhere/journal", &error));
    assert_string_equal(error.place, "/nowhere/journal");
    assert_false(error.could_not_run);
    assert_false(service_times_of_journal(&found, "/tmp", &error));
    assert_string_equal(error.place, "/tmp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_was_served),
        cmocka_unit_test(what_asks_no_model_is_passed_over),
        cmocka_unit_test(amounts_are_within_an_experiments),
        cmocka_unit_test(many_lines_are_all_taken),
        cmocka_unit_test(refuses_what_is_no_journal),
        cmocka_unit_test(refuses_a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
