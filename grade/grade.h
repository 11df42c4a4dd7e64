/* grade: runs a program through the probes and says how it behaves under rate limits.
 *
 *     struct grade_options options = {.command = command, .seed = 1, .runs = 5, .jobs = 2};
 *     struct grade grade;
 *     if (!grade_run(&options, &grade, &error))
 *         ...
 *     grade_free(&grade);
 *
 * First the program must succeed against a healthy server; what it sends there shows whether it
 * streams and how many calls it makes. Then it is refused for ever, which shows how often it
 * retries. Then each set-up of the probes is a server of its own, and a start of the program
 * against it, some side by side; a program that makes two retries meets two set-ups in one start
 * (joint.h). What comes out wrong is started again with another seed, and is questionable where it
 * does not repeat.
 *
 * A wrong probe costs points: 1 where minor, 3 where major, 9 where critical. A group without is A,
 * B up to 2 points, C up to 5, D up to 8, F from 9 on. The overall grade is F where something
 * critical is wrong, else the average of the groups, rounded, and at most one better than the worst
 * of them.
 */
#ifndef TOOMANY_GRADE_GRADE_H
#define TOOMANY_GRADE_GRADE_H

#include "grade/probe.h"
#include "grade/rule.h"
#include "harness/check.h"

enum {
    GRADE_RUNS_DEFAULT = 3, /* judges that cannot tell from these want more */
    GRADE_RUNS_MAX = 30,    /* of one set-up; judges that want more runs get up to so many */
    GRADE_ALSO_MAX = 8,     /* runs of other set-ups that show the same */
    GRADE_PROBES_MAX = 200,
};

struct grade_options {
    char *const *command; /* NULL-terminated */
    const char
        *trigger; /* the command is a service, and this shell command makes it call; or NULL */
    int64_t trigger_delay_ns; /* from the start of the service to the trigger */
    uint64_t seed;
    int runs; /* starts for probes that compare runs */
    int jobs; /* side by side; 0: one a processor, and 8 in real time */
    enum check_time time;
    enum carrier_choice carrier;
    bool full;               /* in real time: also probes that take minutes */
    const char *const *only; /* ids of probes or names of groups, NULL-terminated; NULL: all */
    const atomic_bool *stopping;
    int stop_fd;
    void (*progress)(void *owner, size_t done, size_t total); /* starts; or NULL */
    void *owner;
};

/* One start of the program. */
struct grade_start {
    struct result result;
    struct journal_entry *entries; /* POST requests */
    size_t entry_count;
    bool flooded;
};

/* A server, and the program's starts against it. */
struct grade_setup {
    const char *server; /* its JSON */
    char *joint_server; /* the same, where it was made of two probes; else NULL */
    char *joint_sent;   /* it in words */
    size_t programs;    /* started at once */
    bool is_left_out;   /* takes long in real time */
    bool asks_nothing;  /* its refusals have no Retry-After */
    struct scenario scenario;
    struct grade_start *starts;
    size_t start_count;
    size_t start_wanted;
};

struct finding {
    const struct probe *probe;
    struct judgement judgement;
    const struct grade_setup *setup; /* NULL where it was not run */
    struct grade_setup *own;         /* its own set-up, while it is judged from a joint one */
    size_t refusal;                  /* its own in that */
    const struct grade_start *start; /* its evidence: the first; NULL where it was not run */
};

struct group_score {
    char letter; /* 'A' to 'F'; '-' where nothing applied */
    size_t counts[PROBE_OUTCOME_COUNT];
    int points;
};

struct grade {
    char *command;
    char *trigger; /* or NULL */
    enum clock_kind time;
    char *time_note; /* how it was carried, or why not; or NULL */
    bool is_full;    /* nothing was left out for the time it takes */
    bool is_partial; /* only some probes were asked for */
    bool interrupted;
    bool streams;
    uint64_t seed;
    int runs;
    size_t start_count;
    int64_t wall_ms;
    struct grade_start healthy;
    struct grade_setup *setups;
    size_t setup_count;
    struct finding *findings; /* one a probe, in the order of the table */
    size_t finding_count;
    struct group_score groups[GROUP_COUNT];
    char letter; /* overall */
    bool has_rule;
    struct rule rule; /* that its delays follow */
    bool has_loop_rule;
    struct rule loop_rule; /* of the loop around the retries of an SDK, which `rule` is then of */
};

/* Fills *grade, which the caller frees also after failure. False with the error filled, and its
 * remedy, where the program does not succeed against a healthy server, or nothing can be run. When
 * it is stopped, what was not judged is left out. */
bool grade_run(const struct grade_options *options, struct grade *grade, struct error *error);
void grade_free(struct grade *grade);

/* Groups and the whole, from the findings. Pure. */
void grade_score(struct grade *grade);

/* The wrong findings, worst first: critical before major before minor, in the order of the table.
 * Fills at most `count_max` and returns how many there are in all. */
size_t grade_worst(const struct grade *grade, const struct finding **worst, size_t count_max);

/* What the program was sent for this finding, in words. */
const char *grade_sent(const struct finding *finding);

/* The worst severity that is wrong; SEVERITY_COUNT where nothing is. */
enum probe_severity grade_worst_severity(const struct grade *grade);

#endif
