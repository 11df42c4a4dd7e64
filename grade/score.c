#include "grade/grade.h"

static const int points[SEVERITY_COUNT] = {
    [SEVERITY_MINOR] = 1, [SEVERITY_MAJOR] = 3, [SEVERITY_CRITICAL] = 9};

static char letter_of(int sum)
{
    static const struct {
        int most;
        char letter;
    } grades[] = {{0, 'A'}, {2, 'B'}, {5, 'C'}, {8, 'D'}};
    for (size_t i = 0; i < sizeof grades / sizeof grades[0]; i++) {
        if (sum <= grades[i].most)
            return grades[i].letter;
    }
    return 'F';
}

/* Best is 0. */
static int rank_of(char letter)
{
    return letter == 'F' ? 4 : letter - 'A';
}

static char overall(const struct grade *grade)
{
    int graded = 0;
    int sum = 0;
    int worst = 0;
    if (grade_worst_severity(grade) == SEVERITY_CRITICAL)
        return 'F';
    for (int i = 0; i < GROUP_COUNT; i++) {
        char letter = grade->groups[i].letter;
        if (letter == '-')
            continue;
        graded++;
        sum += rank_of(letter);
        worst = rank_of(letter) > worst ? rank_of(letter) : worst;
    }
    if (graded == 0)
        return '-';
    int mean = (2 * sum + graded) / (2 * graded);
    int rank = mean < worst - 1 ? worst - 1 : mean;
    return "ABCDF"[rank];
}

void grade_score(struct grade *grade)
{
    for (int i = 0; i < GROUP_COUNT; i++)
        grade->groups[i] = (struct group_score){.letter = '-'};
    for (size_t i = 0; i < grade->finding_count; i++) {
        const struct finding *finding = &grade->findings[i];
        struct group_score *group = &grade->groups[finding->probe->group];
        group->counts[finding->judgement.outcome]++;
        if (finding->judgement.outcome == PROBE_WRONG)
            group->points += points[finding->probe->severity];
    }
    for (int i = 0; i < GROUP_COUNT; i++) {
        struct group_score *group = &grade->groups[i];
        size_t judged = group->counts[PROBE_RIGHT] + group->counts[PROBE_WRONG] +
                        group->counts[PROBE_NON_STRICT];
        if (judged > 0)
            group->letter = letter_of(group->points);
    }
    grade->letter = overall(grade);
}

size_t grade_worst(const struct grade *grade, const struct finding **worst, size_t count_max)
{
    size_t count = 0;
    for (int severity = SEVERITY_COUNT - 1; severity >= 0; severity--) {
        for (size_t i = 0; i < grade->finding_count; i++) {
            const struct finding *finding = &grade->findings[i];
            if (finding->judgement.outcome != PROBE_WRONG ||
                finding->probe->severity != (enum probe_severity)severity)
                continue;
            if (count < count_max)
                worst[count] = finding;
            count++;
        }
    }
    return count;
}

const char *grade_sent(const struct finding *finding)
{
    bool is_joint = finding->setup != NULL && finding->setup->joint_sent != NULL;
    return is_joint ? finding->setup->joint_sent : finding->probe->sent;
}

enum probe_severity grade_worst_severity(const struct grade *grade)
{
    const struct finding *worst = NULL;
    return grade_worst(grade, &worst, 1) > 0 ? worst->probe->severity : SEVERITY_COUNT;
}
