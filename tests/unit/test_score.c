#include "grade/grade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* A grade in which these probes are wrong and all others right. */
static struct grade scored(const char *const *wrong, size_t count)
{
    static struct finding findings[GRADE_PROBES_MAX];
    struct grade grade = {.findings = findings};
    for (; probe_table()[grade.finding_count] != NULL; grade.finding_count++) {
        struct finding *finding = &findings[grade.finding_count];
        *finding = (struct finding){.probe = probe_table()[grade.finding_count]};
        finding->judgement.outcome = PROBE_RIGHT;
        for (size_t i = 0; i < count; i++) {
            if (probe_find(wrong[i]) == finding->probe)
                finding->judgement.outcome = PROBE_WRONG;
        }
    }
    grade_score(&grade);
    return grade;
}

#define SCORED(...)                                                                                \
    scored((const char *const[]){__VA_ARGS__},                                                     \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void nothing_wrong_is_an_a(void **state)
{
    (void)state;
    struct grade grade = scored(NULL, 0);
    for (int i = 0; i < GROUP_COUNT; i++)
        assert_int_equal(grade.groups[i].letter, 'A');
    assert_int_equal(grade.letter, 'A');
    assert_int_equal(grade_worst_severity(&grade), SEVERITY_COUNT);
}

static void points_make_the_letter_of_a_group(void **state)
{
    (void)state;
    struct grade grade = SCORED("ends/message", "ends/no-last-wait");
    assert_int_equal(grade.groups[GROUP_ENDS].letter, 'B');
    assert_int_equal(grade.letter, 'A');
    grade = SCORED("ends/400");
    assert_int_equal(grade.groups[GROUP_ENDS].letter, 'C');
    grade = SCORED("ends/400", "ends/401");
    assert_int_equal(grade.groups[GROUP_ENDS].letter, 'D');
    grade = SCORED("ends/400", "ends/401", "ends/404");
    assert_int_equal(grade.groups[GROUP_ENDS].letter, 'F');
    assert_int_equal(grade.groups[GROUP_ENDS].points, 9);
}

static void the_whole_is_at_most_one_better_than_its_worst_group(void **state)
{
    (void)state;
    struct grade grade = SCORED("ends/400", "ends/401", "ends/404");
    assert_int_equal(grade.letter, 'D');
    grade = SCORED("ends/400", "ends/401");
    assert_int_equal(grade.letter, 'C');
}

static void what_is_critical_makes_the_whole_an_f(void **state)
{
    (void)state;
    struct grade grade = SCORED("ends/message", "ends/exit-code");
    const struct finding *worst[2];
    assert_int_equal(grade.letter, 'F');
    assert_int_equal(grade_worst(&grade, worst, 2), 2);
    assert_string_equal(worst[0]->probe->id, "ends/exit-code");
    assert_string_equal(worst[1]->probe->id, "ends/message");
    assert_int_equal(grade_worst_severity(&grade), SEVERITY_CRITICAL);
}

static void a_group_where_nothing_applies_has_no_grade(void **state)
{
    (void)state;
    struct grade grade = scored(NULL, 0);
    for (size_t i = 0; i < grade.finding_count; i++)
        grade.findings[i].judgement.outcome =
            i % 2 == 0 ? PROBE_NOT_APPLICABLE : PROBE_QUESTIONABLE;
    grade_score(&grade);
    assert_int_equal(grade.groups[GROUP_WAITS].letter, '-');
    assert_int_equal(grade.letter, '-');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wrong_is_an_a),
        cmocka_unit_test(points_make_the_letter_of_a_group),
        cmocka_unit_test(the_whole_is_at_most_one_better_than_its_worst_group),
        cmocka_unit_test(what_is_critical_makes_the_whole_an_f),
        cmocka_unit_test(a_group_where_nothing_applies_has_no_grade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
