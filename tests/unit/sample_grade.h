/* sample_grade: a grade made by hand, in which every probe came out right.
 *
 *     struct grade grade = sample_grade();
 *     sample_finding(&grade, "ends/400", PROBE_WRONG, "it came back 3 times");
 *     grade_score(&grade);
 *
 * The findings are static: one grade at a time.
 */
#ifndef TOOMANY_TESTS_SAMPLE_GRADE_H
#define TOOMANY_TESTS_SAMPLE_GRADE_H

#include "grade/grade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline struct grade sample_grade(void)
{
    static struct finding findings[GRADE_PROBES_MAX];
    static char command[] = "python3 client.py";
    struct grade grade = {.command = command,
                          .findings = findings,
                          .time = CLOCK_VIRTUAL,
                          .is_full = true,
                          .start_count = 60,
                          .wall_ms = 8400};
    for (; probe_table()[grade.finding_count] != NULL; grade.finding_count++) {
        struct finding *finding = &findings[grade.finding_count];
        *finding = (struct finding){.probe = probe_table()[grade.finding_count]};
        finding->judgement.outcome = PROBE_RIGHT;
    }
    grade_score(&grade);
    return grade;
}

static inline void sample_finding(struct grade *grade, const char *id, enum probe_outcome outcome,
                                  const char *seen)
{
    for (size_t i = 0; i < grade->finding_count; i++) {
        struct finding *finding = &grade->findings[i];
        if (strcmp(finding->probe->id, id) != 0)
            continue;
        finding->judgement.outcome = outcome;
        snprintf(finding->judgement.seen, sizeof finding->judgement.seen, "%s", seen);
        return;
    }
    abort();
}

#endif
