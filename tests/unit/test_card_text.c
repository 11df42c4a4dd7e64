#include "grade/card.h"

#include "base/duration.h"
#include "tests/unit/sample_grade.h"
#include "tests/unit/sample_results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct report_style plain = {.unicode = true, .width = 80};

/* The card of this grade; good until the next. */
static const char *drawn(struct grade *grade, struct report_style style)
{
    static char text[200000];
    memset(text, 0, sizeof text);
    FILE *stream = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(stream);
    grade_score(grade);
    assert_true(card_text(grade, &style, stream));
    fclose(stream);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" is in\n%s", part, text);
}

/* Bug: a group, its letter or its counts are another's; lines end in spaces. */
static void the_head_and_the_groups(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    sample_finding(&grade, "ends/message", PROBE_WRONG, "it says nothing");
    sample_finding(&grade, "waits/zero", PROBE_NON_STRICT, "");
    const char *text = drawn(&grade, plain);
    assert_int_equal(strncmp(text, "  A   python3 client.py\n", 24), 0);
    assert_has(text, "\n      virtual time, ");
    assert_has(text, " 60 starts of the program in 8.4 s\n\n  A   recovers          ");
    assert_has(text, " right, 1 non-strict\n");
    assert_has(text, "\n  B   ends              ");
    assert_has(text, " right, 1 wrong\n");
    assert_has(text, card_key + strlen(card_key) - 20);
    assert_lacks(text, " \n");
    assert_lacks(text, "its rule");
    assert_lacks(text, "It was stopped");
    assert_lacks(text, "--full");
}

/* Bug: a group of which nothing was asked stands there as if it were good. */
static void a_group_that_was_not_asked_is_left_out(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    grade.finding_count = 1; /* of the first group */
    const char *text = drawn(&grade, plain);
    assert_has(text, "virtual time, 1 probe, 60 starts");
    assert_has(text, "\n  A   recovers          1 right\n");
    assert_lacks(text, "waits");
    grade.findings[0].judgement.outcome = PROBE_NOT_APPLICABLE;
    text = drawn(&grade, plain);
    assert_int_equal(strncmp(text, "  -   python3 client.py\n", 24), 0);
    assert_has(text, "\n  -   recovers          1 not applicable\n");
}

/* Bug: one start is "1 starts". */
static void counts_agree_with_their_words(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    grade.start_count = 1;
    assert_has(drawn(&grade, plain), " probes, 1 start of the program in 8.4 s\n");
}

/* Bug: a grade that was cut short, left probes out or ran in real time looks like a whole one. */
static void what_is_not_whole_says_so(void **state)
{
    (void)state;
    static char note[] = "In real time, because the kernel forbids tracing.";
    struct grade grade = sample_grade();
    grade.time = CLOCK_REAL;
    grade.time_note = note;
    grade.interrupted = true;
    grade.is_full = false;
    judgement_set(&grade.findings[0].judgement, PROBE_LEFT_OUT, "it takes minutes");
    judgement_set(&grade.findings[2].judgement, PROBE_LEFT_OUT, "it takes minutes");
    const char *text = drawn(&grade, plain);
    char left_out[160];
    snprintf(left_out, sizeof left_out,
             "\n  Probes that take minutes in real time are left out; --full runs them too:\n"
             "  %s, %s\n",
             grade.findings[0].probe->id, grade.findings[2].probe->id);
    assert_has(text, "      real time, ");
    assert_has(text, "\n      In real time, because the kernel forbids tracing.\n");
    assert_has(text, "\n      It was stopped before its end: what was not judged is left out.\n");
    assert_has(text, left_out);
    grade.time = CLOCK_VIRTUAL; /* the note is then how it was carried */
    assert_lacks(drawn(&grade, plain), "kernel forbids");
}

static void the_rule_stands_under_the_groups(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    grade.has_rule = true;
    grade.rule = (struct rule){.family = RULE_NONE};
    assert_has(drawn(&grade, plain), "\n\n      its rule          no retry\n");
    grade.has_loop_rule = true;
    grade.loop_rule = (struct rule){.family = RULE_IMMEDIATE};
    assert_has(drawn(&grade, plain),
               "      its rule          no retry; and in a loop around that: retries at once,\n"
               "                        without any wait\n");
}

/* Bug: the worst are not in front, not whole, or more than three of them are. */
static void the_worst_three_are_shown_whole(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    sample_finding(&grade, "recovers/500", PROBE_WRONG, "seen first");
    sample_finding(&grade, "waits/seconds", PROBE_WRONG, "seen second");
    sample_finding(&grade, "ends/exit-code", PROBE_WRONG, "seen third");
    const char *text = drawn(&grade, plain);
    assert_has(text, "\n  1   ends/exit-code, critical\n");
    const struct probe *probe = probe_find("ends/exit-code");
    char first_word[40];
    snprintf(first_word, sizeof first_word, "\n      %.20s", probe->requirement);
    assert_has(text, first_word);
    assert_has(text, "\n      sent      ");
    assert_has(text, "\n      seen      seen third\n");
    assert_has(text, "\n      cure      ");
    assert_has(text, "\n      source    ");
    assert_has(text, "\n  2   ");
    assert_has(text, "\n  3   ");
    assert_lacks(text, "also wrong");
    sample_finding(&grade, "ends/message", PROBE_WRONG, "seen fourth");
    text = drawn(&grade, plain);
    assert_lacks(text, "\n  4   ");
    assert_has(text, "\n\n      also wrong\n      ends/message                ");
    assert_has(text, " seen fourth\n");
    struct report_style verbose = plain;
    verbose.verbose = true; /* all are told below */
    assert_lacks(drawn(&grade, verbose), "also wrong");
}

/* Bug: an id that is long is overwritten by what was seen. */
static void each_id_is_told_whole(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    for (size_t i = 0; i < grade.finding_count; i++)
        sample_finding(&grade, grade.findings[i].probe->id, PROBE_WRONG, "SEEN");
    for (int verbose = 0; verbose < 2; verbose++) {
        struct report_style style = plain;
        style.verbose = verbose;
        const char *text = drawn(&grade, style);
        for (size_t i = 0; i < grade.finding_count; i++)
            assert_has(text, grade.findings[i].probe->id);
    }
}

/* Bug: --verbose leaves a probe out, or says another outcome of it. */
static void verbose_tells_every_probe(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    struct report_style style = plain;
    style.verbose = true;
    sample_finding(&grade, "waits/zero", PROBE_NOT_APPLICABLE, "it makes no retry");
    sample_finding(&grade, "ends/400", PROBE_LEFT_OUT, "");
    sample_finding(&grade, "ends/401", PROBE_QUESTIONABLE, "starts disagree");
    const char *text = drawn(&grade, style);
    assert_has(text, "\n  not applicable  waits/zero\n                    it makes no retry\n");
    assert_has(text, "\n  left out        ends/400\n");
    assert_has(text, "\n  questionable    ends/401\n                    starts disagree\n");
    for (size_t i = 0; i < grade.finding_count; i++)
        assert_has(text, grade.findings[i].probe->id);
}

/* Bug: what a program printed, and which stands in `seen`, moves the cursor; or it is escaped twice
 * and cannot be read. */
static void what_the_program_said_cannot_steer_the_terminal(void **state)
{
    (void)state;
    static char command[] = "sh -c 'printf \"\033[2J\"'";
    struct grade grade = sample_grade();
    struct report_style style = {.width = 80, .verbose = true};
    grade.command = command;
    sample_finding(&grade, "ends/400", PROBE_WRONG, "it printed \"\033[1A\" and C:\\x \303\251");
    const char *text = drawn(&grade, style);
    for (const char *character = text; *character != '\0'; character++)
        assert_true(*character == '\n' || (*character >= ' ' && *character <= '~'));
    const char *first = strstr(text, "it printed ");
    assert_non_null(first);
    const char *second = strstr(first + 1, "it printed ");
    assert_non_null(second); /* once as the worst, once among all */
    size_t length = strcspn(first, "\n");
    assert_int_equal(strncmp(first, second, length + 1), 0);
}

/* Bug: the evidence of a finding is not drawn, or that of one that was not run is. */
static void the_evidence_is_a_time_line(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    struct grade_start start = {.result = sample_fails()};
    sample_finding(&grade, "ends/400", PROBE_WRONG, "it came back");
    assert_lacks(drawn(&grade, plain), "\342\227\213");
    for (size_t i = 0; i < grade.finding_count; i++) {
        if (grade.findings[i].judgement.outcome == PROBE_WRONG)
            grade.findings[i].start = &start;
    }
    const char *text = drawn(&grade, plain);
    assert_has(text, "      seen      it came back\n      \342\227\213");
    assert_has(text, "429 ");
    result_free(&start.result);
}

/* Bug: colours where they were not asked for, or none where they were. */
static void letters_have_their_colours(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    struct report_style style = plain;
    assert_lacks(drawn(&grade, plain), "\033");
    style.colour = true;
    sample_finding(&grade, "ends/exit-code", PROBE_WRONG, "x");
    const char *text = drawn(&grade, style);
    assert_has(text, "\033[1;31mF");
    assert_has(text, "\033[32mA");
}

static void says_when_it_cannot_be_written(void **state)
{
    (void)state;
    struct grade grade = sample_grade();
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    assert_false(card_text(&grade, &plain, full));
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_and_the_groups),
        cmocka_unit_test(a_group_that_was_not_asked_is_left_out),
        cmocka_unit_test(counts_agree_with_their_words),
        cmocka_unit_test(what_is_not_whole_says_so),
        cmocka_unit_test(the_rule_stands_under_the_groups),
        cmocka_unit_test(the_worst_three_are_shown_whole),
        cmocka_unit_test(each_id_is_told_whole),
        cmocka_unit_test(verbose_tells_every_probe),
        cmocka_unit_test(what_the_program_said_cannot_steer_the_terminal),
        cmocka_unit_test(the_evidence_is_a_time_line),
        cmocka_unit_test(letters_have_their_colours),
        cmocka_unit_test(says_when_it_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
