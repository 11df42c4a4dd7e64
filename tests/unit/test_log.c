#include "base/log.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WALL_NS                                                                                    \
    (INT64_C(1767225600) * NS_PER_S + 7 * NS_PER_MS + 999) /* 2026-01-01 00:00:00.007              \
                                                            */

/* What one event at `level` writes; to be freed. */
static char *written(bool is_json, enum log_level least, enum log_level level,
                     const struct log_field *fields, const char *text)
{
    char *bytes = NULL;
    size_t length = 0;
    struct log log = {.stream = open_memstream(&bytes, &length),
                      .speaker = "toomany serve",
                      .level = least,
                      .is_json = is_json};
    log_event(&log, WALL_NS, level, "happened", fields, "%s", text);
    fclose(log.stream);
    return bytes;
}

static void text_is_a_line_with_its_speaker(void **state)
{
    (void)state;
    const struct log_field fields[] = {log_number("n", 1), {0}};
    char *line = written(false, LOG_INFO, LOG_INFO, fields, "stopped");
    assert_string_equal(line, "toomany serve: stopped\n");
    free(line);
}

static void json_has_time_level_event_and_fields(void **state)
{
    (void)state;
    const struct log_field fields[] = {log_text("file", "a\"\n\xff"), log_number("n", -3), {0}};
    char *line = written(true, LOG_INFO, LOG_WARNING, fields, "two\nlines");
    assert_string_equal(line, "{\"time\":\"2026-01-01T00:00:00.007Z\",\"level\":\"warning\","
                              "\"event\":\"happened\",\"message\":\"two\\nlines\","
                              "\"file\":\"a\\\"\\n?\",\"n\":-3}\n");
    free(line);
}

static void less_important_ones_are_left_out(void **state)
{
    (void)state;
    for (int least = 0; least < LOG_LEVEL_COUNT; least++) {
        for (int level = 0; level < LOG_LEVEL_COUNT; level++) {
            char *line = written(false, (enum log_level)least, (enum log_level)level, NULL, "x");
            assert_int_equal(strlen(line) > 0, level <= least);
            free(line);
        }
    }
    log_event(NULL, 0, LOG_ERROR, "nobody listens", NULL, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_a_line_with_its_speaker),
        cmocka_unit_test(json_has_time_level_event_and_fields),
        cmocka_unit_test(less_important_ones_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
