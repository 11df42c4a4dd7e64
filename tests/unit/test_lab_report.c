#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "lab/report_words.h"
#include "tests/unit/sample_sweep.h"

#include <unistd.h>

static const struct report_style plain = {.width = 80};

static char *written(lab_report_writer *write, const struct sample *sample)
{
    struct error error = {0};
    char *text = sample_write(write, &sample->report, &plain, &error);
    assert_non_null(text);
    return text;
}

/* One field of a row, quotes taken off; rows and fields from 0. */
static void field_of(const char *text, int row, int field, char *found, size_t size)
{
    bool is_quoted = false;
    size_t length = 0;
    for (const char *at = text; *at != '\0' && row >= 0; at++) {
        if (*at == '"' && is_quoted && at[1] == '"') {
            at++;
        } else if (*at == '"') {
            is_quoted = !is_quoted;
            continue;
        } else if (!is_quoted && *at == '\r' && at[1] == '\n') {
            at++;
            row--;
            continue;
        } else if (!is_quoted && *at == ',' && row == 0) {
            field--;
            continue;
        }
        if (row == 0 && field == 0 && length + 1 < size)
            found[length++] = *at;
    }
    found[length] = '\0';
}

static void csv_has_a_row_a_cell_and_its_labels_survive(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char *text = written(lab_report_csv, sample);
    char found[256];
    int rows = 0;
    for (const char *at = text; (at = strstr(at, "\r\n")) != NULL; at += 2)
        rows++;
    assert_int_equal(rows, 1 + SAMPLE_CELLS);
    field_of(text, 1, 0, found, sizeof found);
    assert_string_equal(found, GREEDY);
    field_of(text, 0, 1, found, sizeof found);
    assert_string_equal(found, "workers");
    field_of(text, 6, 1, found, sizeof found);
    assert_string_equal(found, "4");
    int goodput = 4 + 3 * MEASURE_GOODPUT_REQUESTS;
    field_of(text, 0, goodput, found, sizeof found);
    assert_string_equal(found, "goodput_requests_per_s");
    field_of(text, 6, goodput, found, sizeof found);
    assert_string_equal(found, "9.6");
    field_of(text, 6, goodput + 2, found, sizeof found);
    assert_string_equal(found, "9.65");
    free(text);
    free(sample);
}

static void csv_leaves_empty_what_is_not_known(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample_cell(sample, 1, 2)->measures[MEASURE_FAIRNESS].mean = NAN;
    sample_cell(sample, 1, 1)->repetitions = 0;
    char *text = written(lab_report_csv, sample);
    char found[256];
    field_of(text, 6, 4 + 3 * MEASURE_FAIRNESS, found, sizeof found);
    assert_string_equal(found, "");
    field_of(text, 5, 4, found, sizeof found);
    assert_string_equal(found, "");
    free(text);
    free(sample);
}

static cJSON *parsed(const char *text)
{
    struct error error = {0};
    cJSON *root = json_parse(text, strlen(text), "report", &error);
    assert_non_null(root);
    return root;
}

static const cJSON *at(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_non_null(item);
    return item;
}

static void json_has_all_cells_and_measures(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char *text = written(lab_report_json, sample);
    cJSON *root = parsed(text);
    assert_string_equal(at(root, "name")->valuestring, "ten a second");
    assert_true(cJSON_IsTrue(at(root, "simulated")));
    assert_int_equal(at(root, "seed")->valueint, 7);
    assert_int_equal(at(at(root, "quotas"), "requests_per_minute")->valueint, 600);
    assert_string_equal(at(at(root, "bound"), "limit")->valuestring, "requests_per_minute");
    assert_int_equal(cJSON_GetArraySize(at(root, "cells")), SAMPLE_CELLS);
    const cJSON *cell = cJSON_GetArrayItem(at(root, "cells"), 5);
    assert_string_equal(at(cell, "strategy")->valuestring, "modest");
    assert_int_equal(cJSON_GetArraySize(at(cell, "measures")), MEASURE_COUNT);
    const cJSON *goodput = at(at(cell, "measures"), "goodput_requests_per_s");
    assert_true(at(goodput, "mean")->valuedouble == 9.6);
    assert_true(at(goodput, "low")->valuedouble == 9.55);
    assert_true(cJSON_IsNull(at(at(at(cell, "measures"), "herd"), "low")));
    const cJSON *line = at(cell, "time_line");
    assert_int_equal(cJSON_GetArraySize(at(line, "throttled")), MEASURES_BINS);
    double attempts = 0;
    const cJSON *bin;
    cJSON_ArrayForEach (bin, at(line, "attempts"))
        attempts += bin->valuedouble;
    assert_true(attempts > 0);
    assert_true(at(line, "all_attempts")->valuedouble == attempts + 3); /* in the drain */
    assert_null(cJSON_GetObjectItem(root, "advice"));
    cJSON_Delete(root);
    free(text);
    free(sample);
}

/* JSON has no NaN and no infinity. */
static void json_says_null_of_what_is_not_known(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->sweep.bound = (struct experiment_bound){INFINITY, INFINITY, QUOTA_DIMENSION_COUNT};
    sample_cell(sample, 0, 0)->repetitions = 0;
    sample->runs[0].is_done = false;
    sample->report.advice = "Do this.";
    char *text = written(lab_report_json, sample);
    cJSON *root = parsed(text);
    assert_true(cJSON_IsNull(at(at(root, "bound"), "requests_per_s")));
    assert_true(cJSON_IsNull(at(at(root, "bound"), "limit")));
    assert_true(cJSON_IsNull(at(cJSON_GetArrayItem(at(root, "cells"), 0), "time_line")));
    assert_string_equal(at(root, "advice")->valuestring, "Do this.");
    cJSON_Delete(root);
    free(text);
    free(sample);
}

static void kinds_are_found_by_the_names_that_are_listed(void **state)
{
    (void)state;
    char names[128];
    snprintf(names, sizeof names, "%s", lab_report_kind_names());
    int count = 0;
    for (char *name = strtok(names, ", "); name != NULL; name = strtok(NULL, ", ")) {
        assert_non_null(lab_report_find(name));
        assert_string_equal(lab_report_find(name)->name, name);
        count++;
    }
    assert_int_equal(count, 6);
    assert_null(lab_report_find("yaml"));
}

static bool fails(const struct lab_report *report, const struct report_style *style, FILE *stream,
                  struct error *error)
{
    (void)report;
    (void)style;
    fputs("half", stream);
    return error_set_run(error, "here", "no");
}

static void nothing_is_written_when_a_report_cannot_be_made(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char path[] = "/tmp/toomany-lab-report-XXXXXX";
    struct error error = {0};
    const struct lab_report_kind kind = {.name = "half", .write = fails};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "old", 3), 3);
    assert_false(lab_report_to_path(&kind, &sample->report, path, &error));
    assert_string_equal(error.message, "no");
    char content[8] = "";
    assert_int_equal(pread(fd, content, sizeof content, 0), 3);
    assert_string_equal(content, "old");
    close(fd);
    assert_true(lab_report_to_path(lab_report_find("csv"), &sample->report, path, &error));
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(content, sizeof content, file));
    assert_string_equal(content, "strateg");
    fclose(file);
    unlink(path);
    free(sample);
}

static void numbers_read_well(void **state)
{
    (void)state;
    char text[LAB_WORDS_SIZE];
    assert_string_equal(lab_words_rate(0.42134, text), "0.4213");
    assert_string_equal(lab_words_rate(8.25, text), "8.250");
    assert_string_equal(lab_words_rate(12345.6, text), "12346");
    assert_string_equal(lab_words_rate(NAN, text), "-");
    assert_string_equal(lab_words_rate(INFINITY, text), "no limit");
    assert_string_equal(lab_words_share(0.9996, text), "99.9 %");
    assert_string_equal(lab_words_share(1, text), "100.0 %");
    assert_string_equal(lab_words_seconds(12.34, text), "12.3 s");
    assert_string_equal(lab_words_measure(MEASURE_CALLS_LOST, 0.25, text), "25.0");
    assert_string_equal(lab_words_limit(QUOTA_TOKENS_PER_DAY, text), "tokens per day");
    const struct estimate none = {.mean = 1, .low = 1, .high = 1};
    assert_string_equal(lab_words_interval(MEASURE_WAITED, &none, text), "");
    struct experiment open = {.is_open = true};
    struct experiment closed = {0};
    assert_string_equal(lab_words_load(&open, 2.5, text), "2.5 calls/s");
    assert_string_equal(lab_words_load(&closed, 1, text), "1 worker");
    assert_string_equal(lab_words_load(&closed, 20000000, text), "20000000 workers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_has_a_row_a_cell_and_its_labels_survive),
        cmocka_unit_test(csv_leaves_empty_what_is_not_known),
        cmocka_unit_test(json_has_all_cells_and_measures),
        cmocka_unit_test(json_says_null_of_what_is_not_known),
        cmocka_unit_test(kinds_are_found_by_the_names_that_are_listed),
        cmocka_unit_test(nothing_is_written_when_a_report_cannot_be_made),
        cmocka_unit_test(numbers_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
