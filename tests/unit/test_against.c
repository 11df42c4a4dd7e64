#include "grade/against.h"

#include "base/duration.h"
#include "grade/card.h"
#include "tests/unit/sample_grade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static const struct report_style style = {.unicode = true, .width = 100};

static char path[] = "/tmp/toomany-against-XXXXXX";

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

/* Its report, as `toomany grade --format json` writes it. */
static void keep(struct grade *grade)
{
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    grade_score(grade);
    assert_true(card_json(grade, &style, stream));
    assert_int_equal(fclose(stream), 0);
}

static char page[20000]; /* the last one that was written */

/* What differs between the file and this grade, without the two lines above it. */
static char *differences(struct grade *grade)
{
    struct error error;
    memset(page, 0, sizeof page);
    struct against *against = against_load(path, &error);
    if (against == NULL)
        fail_msg("%s: %s", error.place, error.message);
    grade_score(grade);
    FILE *stream = fmemopen(page, sizeof page - 1, "w");
    assert_true(against_write(against, grade, &style, stream));
    fclose(stream);
    against_free(against);
    char *line = strstr(page, "  Against ");
    assert_non_null(line);
    assert_non_null(strchr(line, '\n'));
    return strchr(line, '\n') + 1;
}

/* Bug: a report that the tool has just written differs from the grade that it is of. */
static void a_grade_does_not_differ_from_itself(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    sample_finding(&grade, "ends/400", PROBE_WRONG, "it came back 3 times");
    sample_finding(&grade, "waits/seconds", PROBE_NOT_APPLICABLE, "");
    grade.has_rule = true;
    grade.rule = (struct rule){.family = RULE_IMMEDIATE, .header = RULE_HEADER_IGNORED};
    grade.has_loop_rule = true;
    grade.loop_rule = (struct rule){.family = RULE_FIXED};
    keep(&grade);
    assert_string_equal(differences(&grade), "  no difference\n");
}

/* Bug: better and worse are told the wrong way round, or the letters that follow are not told. */
static void tells_from_the_earlier_to_this_one(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    sample_finding(&grade, "ends/message", PROBE_WRONG, "it says nothing");
    keep(&grade);
    sample_finding(&grade, "ends/message", PROBE_RIGHT, "it says why");
    assert_string_equal(differences(&grade), "  ends                            B -> A\n"
                                             "  ends/message                    wrong -> right: "
                                             "it says why\n");
    keep(&grade);
    sample_finding(&grade, "ends/message", PROBE_WRONG, "it says nothing");
    assert_string_equal(differences(&grade), "  ends                            A -> B\n"
                                             "  ends/message                    right -> wrong: "
                                             "it says nothing\n");
}

/* Bug: the overall letter and a verdict without words are missing. */
static void tells_the_overall_letter_first(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    keep(&grade);
    sample_finding(&grade, "ends/exit-code", PROBE_WRONG, "");
    assert_string_equal(differences(&grade), "  overall                         A -> F\n"
                                             "  ends                            A -> F\n"
                                             "  ends/exit-code                  right -> wrong\n");
}

/* Bug: the seed's or the machine's words in `seen` are a difference, though the verdict is the
 * same. */
static void other_words_for_the_same_verdict_are_none(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    sample_finding(&grade, "ends/400", PROBE_WRONG, "it came back 3 times");
    keep(&grade);
    sample_finding(&grade, "ends/400", PROBE_WRONG, "it came back 4 times");
    assert_string_equal(differences(&grade), "  no difference\n");
}

static void tells_another_rule(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    grade.has_rule = true;
    grade.rule = (struct rule){.family = RULE_IMMEDIATE};
    keep(&grade);
    grade.rule = (struct rule){.family = RULE_NONE};
    assert_string_equal(differences(&grade),
                        "  its rule                        retries at once, without any wait -> "
                        "no retry\n");
    grade.has_rule = false; /* nothing was seen this time: that is no other rule */
    assert_string_equal(differences(&grade), "  no difference\n");
    keep(&grade);
    grade.has_rule = true;
    assert_string_equal(differences(&grade), "  no difference\n");
}

/* Bug: the report of another version, with probes, groups and verdicts that this one does not have
 * and without some of its own, crashes it or fills the page with what is none of the program's. */
static void reports_of_other_versions_are_read(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    write_file("{\"schema\": \"another\", \"grade\": \"A\", \"command\": 7, \"rule\": null,"
               " \"groups\": [{\"group\": \"hums\", \"grade\": \"F\"}, {\"grade\": \"B\"}, 3,"
               "              {\"group\": \"waits\", \"grade\": \"B\"}, {\"group\": \"ends\"}],"
               " \"probes\": [{\"id\": \"hums/low\", \"verdict\": \"wrong\"},"
               "              {\"id\": \"ends/400\", \"verdict\": \"half right\"}]}");
    assert_string_equal(differences(&grade),
                        "  waits                           B -> A\n"
                        "  ends                            - -> A\n"
                        "  ends/400                        half right -> right\n");
    write_file("{\"probes\": []}");
    assert_string_equal(differences(&grade), "  overall                         - -> A\n");
    write_file("{\"probes\": [], \"grade\": \"A\", \"groups\": {\"a\": 1}, \"rule\": []}");
    assert_string_equal(differences(&grade), "  no difference\n");
}

static void refused(const char *text, const char *place, const char *says)
{
    struct error error = {0};
    char wanted[200];
    write_file(text);
    struct against *against = against_load(path, &error);
    if (against != NULL)
        fail_msg("takes %s", text);
    snprintf(wanted, sizeof wanted, "%s%s", path, place);
    if (strcmp(error.place, wanted) != 0 || strstr(error.message, says) == NULL)
        fail_msg("%s: found \"%s: %s\", wanted \"%s: %s\"", text, error.place, error.message,
                 wanted, says);
    assert_false(error.could_not_run); /* the file's fault: exit status 2 */
}

/* Bug: a scenario, a JUnit report or a cut file is read as a grade in which nothing was wrong. */
static void refuses_what_is_no_report(void **state)
{
    (void)state;
    refused("", ":1:1", "");
    refused("<testsuites/>", ":1:1", "");
    refused("{\"probes\": [", ":1:13", "");
    refused("[]", ": /", "a report of `toomany grade --format json`");
    refused("\"A\"", ": /", "a report of `toomany grade --format json`");
    refused("{\"name\": \"a scenario\"}", ": /probes", "a report of `toomany grade --format json`");
    refused("{\"probes\": {}}", ": /probes", "found an object, wanted an array");
    refused("{\"probes\": [7]}", ": /probes/0", "a probe with \"id\" and \"verdict\"");
    refused("{\"probes\": [{\"id\": \"a\", \"verdict\": \"right\"}, {\"id\": \"a\"}]}",
            ": /probes/1", "a probe with");
    refused("{\"probes\": [{\"id\": 1, \"verdict\": \"right\"}]}", ": /probes/0", "");
}

static void refuses_a_file_that_is_not_there(void **state)
{
    (void)state;
    struct error error = {0};
    assert_null(against_load("/nowhere/at-all.json", &error));
    assert_string_equal(error.place, "/nowhere/at-all.json");
    assert_null(against_load("/tmp", &error));
    assert_string_equal(error.place, "/tmp");
    against_free(NULL);
}

/* Bug: the file, which may come from anywhere, moves the cursor of the terminal. */
static void what_the_file_says_cannot_steer_the_terminal(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    write_file("{\"grade\": \"\\u001b[2J\", \"command\": \"\\u001b]0;x\\u0007\", \"probes\": ["
               "{\"id\": \"ends/400\", \"verdict\": \"\\u001b[1A\\r\\nright\"}]}");
    differences(&grade);
    for (const char *text = page; *text != '\0'; text++)
        assert_true(*text == '\n' || (unsigned char)*text >= ' ');
}

static void says_when_it_cannot_be_written(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    struct error error;
    keep(&grade);
    struct against *against = against_load(path, &error);
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    assert_false(against_write(against, &grade, &style, full));
    fclose(full);
    against_free(against);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grade_does_not_differ_from_itself),
        cmocka_unit_test(tells_from_the_earlier_to_this_one),
        cmocka_unit_test(tells_the_overall_letter_first),
        cmocka_unit_test(other_words_for_the_same_verdict_are_none),
        cmocka_unit_test(tells_another_rule),
        cmocka_unit_test(reports_of_other_versions_are_read),
        cmocka_unit_test(refuses_what_is_no_report),
        cmocka_unit_test(refuses_a_file_that_is_not_there),
        cmocka_unit_test(what_the_file_says_cannot_steer_the_terminal),
        cmocka_unit_test(says_when_it_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
