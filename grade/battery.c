#include "grade/grade.h"

#include "base/duration.h"
#include "base/json.h"
#include "clock/machine_timer.h"
#include "grade/command.h"
#include "grade/evidence.h"
#include "grade/joint.h"
#include "grade/observe.h"
#include "harness/report_words.h"
#include "harness/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program is ended when it has not ended by itself after so long. Three hours of virtual time are
 * beyond what calls take; days would take long for programs that wake up every second. */
#define PATIENCE_VIRTUAL_NS (3 * NS_PER_HOUR)
#define PATIENCE_REAL_NS (2 * NS_PER_MINUTE)
#define PATIENCE_FULL_NS (30 * NS_PER_MINUTE)
#define PATIENCE_HEALTHY_NS (NS_PER_MINUTE)

enum {
    JOBS_REAL = 8,  /* they mostly wait */
    RUNS_FIRST = 2, /* then it is known how often it retries */
    RUNS_FEW = 5,
    MORE_RUNS = 5,
    OUTPUT_BYTES_MAX = 8 * 1024 * 1024,
};

struct battery {
    const struct grade_options *options;
    struct grade *grade;
    struct suite_item *items;
    struct start_place {
        struct grade_setup *setup;
        struct grade_start *start;
    } * places;
    size_t item_count;
    struct grade_setup *refused; /* for ever; NULL where no probe asks for it */
    size_t done;
    size_t due;
};

static bool is_stopping(const struct battery *battery)
{
    return battery->options->stopping != NULL && atomic_load(battery->options->stopping);
}

static bool out_of_memory(struct error *error)
{
    return error_set_run(error, "", "out of memory");
}

/* ---- starts ---- */

static void keep_journal(void *owner, const struct journal *journal, bool overflowed)
{
    struct grade_start *start = owner;
    size_t count = journal_count(journal);
    start->flooded = overflowed;
    start->entries = calloc(count + 1, sizeof *start->entries);
    for (size_t i = 0; start->entries != NULL && i < count; i++) {
        const struct journal_entry *entry = journal_at(journal, i);
        if (strcmp(entry->method, "POST") == 0)
            start->entries[start->entry_count++] = *entry;
    }
}

static void start_free(struct grade_start *start)
{
    result_free(&start->result);
    free(start->entries);
}

static bool setup_init(struct grade_setup *setup, const struct grade_options *options,
                       const char *name, const char *server, size_t programs, int64_t patience_ns,
                       struct error *error)
{
    *setup = (struct grade_setup){.server = server, .programs = programs};
    struct scenario *scenario = &setup->scenario;
    scenario->name = strdup(name);
    scenario->file = strdup(name);
    scenario->why = strdup("");
    scenario->client.timeout_ns = patience_ns;
    scenario->client.runs = 1;
    scenario->client.output_bytes_max = OUTPUT_BYTES_MAX;
    scenario->client.environment = calloc(1, sizeof(char *));
    scenario->client.command = command_for(options, programs);
    config_init(&scenario->server);
    if (scenario->client.command == NULL || scenario->client.environment == NULL)
        return out_of_memory(error);
    cJSON *root = json_parse(server, strlen(server), name, error);
    struct json_reader reader = {.file = name, .error = error};
    bool is_read = root != NULL && config_read(&scenario->server, &reader, root, "");
    cJSON_Delete(root);
    return is_read;
}

static void setup_free(struct grade_setup *setup)
{
    for (size_t i = 0; i < setup->start_count; i++)
        start_free(&setup->starts[i]);
    free(setup->starts);
    free(setup->joint_server);
    free(setup->joint_sent);
    scenario_free(&setup->scenario);
}

static void on_ended(void *owner, struct result *result)
{
    struct battery *battery = owner;
    (void)result;
    battery->done++;
    if (battery->options->progress != NULL)
        battery->options->progress(battery->options->owner, battery->done, battery->due);
}

static int jobs_of(const struct battery *battery)
{
    if (battery->options->jobs > 0)
        return battery->options->jobs;
    if (battery->options->trigger != NULL)
        return 1; /* services listen on the same port each time */
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (battery->grade->time == CLOCK_REAL)
        return JOBS_REAL;
    return processors > 0 ? (int)processors : 1;
}

/* Adds `count` starts of a set-up to those that are run next. Their places stay where they are:
 * there is room for GRADE_RUNS_MAX from the first. */
static bool plan_starts(struct battery *battery, struct grade_setup *setup, size_t count)
{
    if (setup->starts == NULL)
        setup->starts = calloc(GRADE_RUNS_MAX, sizeof *setup->starts);
    struct suite_item *items =
        realloc(battery->items, (battery->item_count + count) * sizeof *items);
    battery->items = items != NULL ? items : battery->items;
    struct start_place *places =
        realloc(battery->places, (battery->item_count + count) * sizeof *places);
    battery->places = places != NULL ? places : battery->places;
    if (setup->starts == NULL || items == NULL || places == NULL)
        return false;
    for (size_t i = 0; i < count && setup->start_count < GRADE_RUNS_MAX; i++) {
        struct grade_start *start = &setup->starts[setup->start_count];
        result_init(&start->result);
        items[battery->item_count] = (struct suite_item){
            .scenario = &setup->scenario,
            .seed = battery->options->seed + setup->start_count,
            .journal_capacity = PROBE_REQUESTS_MAX,
            .journal_seen = keep_journal,
            .owner = start,
        };
        places[battery->item_count++] = (struct start_place){setup, start};
        setup->start_count++;
    }
    return true;
}

/* What was planned and not run is given back: a stopped grade judges what it has. */
static void drop_starts(struct battery *battery, size_t ran)
{
    for (size_t i = battery->item_count; i > ran; i--)
        battery->places[i - 1].setup->start_count--;
}

static bool run_planned(struct battery *battery, struct error *error)
{
    struct suite_options options = {
        .items = battery->items,
        .count = battery->item_count,
        .jobs = jobs_of(battery),
        .time = battery->options->time,
        .carrier = battery->options->carrier,
        .stopping = battery->options->stopping,
        .stop_fd = battery->options->stop_fd,
        .ended = on_ended,
        .owner = battery,
    };
    struct results results = {0};
    battery->due += battery->item_count;
    bool ran = suite_run(&options, &results, error);
    size_t whole = 0; /* not stopped in the middle */
    for (size_t i = 0; ran && i < results.count; i++) {
        struct result *result = &results.items[i];
        battery->places[i].start->result = *result;
        if (result->could_not_run && error->message[0] == '\0')
            *error = result->error;
        whole += whole == i && !result->interrupted && !result->could_not_run;
    }
    battery->grade->start_count += ran ? results.count : 0;
    for (size_t i = whole; ran && i < results.count; i++) {
        start_free(battery->places[i].start);
        *battery->places[i].start = (struct grade_start){0};
    }
    drop_starts(battery, ran ? whole : 0);
    battery->item_count = 0;
    battery->grade->interrupted |= results.interrupted;
    free(results.items);
    return ran && (error->message[0] == '\0' || is_stopping(battery));
}

/* ---- the healthy server ---- */

static const char *last_line(const struct client_run *end, char *text, size_t size)
{
    const char *output = end->errors_length > 0 ? end->errors : end->output;
    size_t length = end->errors_length > 0 ? end->errors_length : end->output_length;
    while (length > 0 && (output[length - 1] == '\n' || output[length - 1] == ' '))
        length--;
    size_t start = length;
    while (start > 0 && output[start - 1] != '\n')
        start--;
    if (length == start)
        snprintf(text, size, "It printed nothing");
    else
        snprintf(text, size, "Its last line was: %.*s", (int)(length - start), output + start);
    return text;
}

static bool check_healthy(const struct grade_start *start, const char *command, bool is_triggered,
                          struct error *error)
{
    const struct client_run *end = report_last_run(&start->result);
    char ended[REPORT_WORDS_SIZE];
    char line[300];
    if (end == NULL)
        return error_set_run(error, command, "it was not started");
    report_client_end(end, ended);
    last_line(end, line, sizeof line);
    if (end->timed_out && !is_triggered)
        return error_set_run(error, command,
                             "it does not end by itself, not even against a healthy server. Grade "
                             "a program that makes one call and ends, or a service with --trigger. "
                             "%s",
                             line);
    if (start->entry_count == 0)
        return error_set_run(error, command,
                             "it sent no request to the server (%s). It must send its calls to "
                             "OPENAI_BASE_URL, with OPENAI_API_KEY. %s",
                             ended, line);
    for (size_t i = 0; i < start->entry_count; i++) {
        const struct journal_entry *entry = &start->entries[i];
        if (!entry_is_good(entry))
            return error_set_run(error, command,
                                 "its request was bad: %s %s was answered with %d. Let it make "
                                 "calls that succeed against a healthy server (try `toomany "
                                 "serve`). %s",
                                 entry->method, entry->path, entry->status, line);
    }
    if (start->flooded)
        return error_set_run(error, command,
                             "it makes more than %d calls at each start; let it make one",
                             PROBE_REQUESTS_MAX);
    if (end->exit_code != 0 || end->signal != 0)
        return error_set_run(error, command,
                             "it fails against a healthy server (%s), so that a failure tells "
                             "nothing. It must end with exit code 0 when it was served. %s",
                             ended, line);
    return true;
}

static bool run_healthy(struct battery *battery, struct error *error)
{
    struct grade *grade = battery->grade;
    struct grade_setup healthy;
    bool is_good = setup_init(&healthy, battery->options, "a healthy server", "{}", 1,
                              PATIENCE_HEALTHY_NS, error) &&
                   plan_starts(battery, &healthy, 1) && run_planned(battery, error);
    if (is_good && healthy.start_count == 1) {
        grade->healthy = healthy.starts[0];
        healthy.start_count = 0;
        grade->time = grade->healthy.result.time;
        if (grade->healthy.result.time_note != NULL)
            grade->time_note = strdup(grade->healthy.result.time_note);
        is_good = check_healthy(&grade->healthy, grade->command, battery->options->trigger != NULL,
                                error);
        for (size_t i = 0; i < grade->healthy.entry_count; i++)
            grade->streams |= grade->healthy.entries[i].streamed;
    } else if (is_good) {
        is_good = error_set_run(error, grade->command, "stopped before anything was judged");
    }
    setup_free(&healthy);
    return is_good;
}

/* ---- the probes ---- */

static bool is_asked_for(const struct probe *probe, const char *const *only)
{
    if (only == NULL || only[0] == NULL)
        return true;
    for (; *only != NULL; only++) {
        size_t group = strcspn(probe->id, "/");
        if (strcmp(*only, probe->id) == 0 ||
            (strlen(*only) == group && strncmp(*only, probe->id, group) == 0))
            return true;
    }
    return false;
}

static size_t programs_of(const struct probe *probe, const struct grade *grade)
{
    bool is_concurrent_itself = grade->healthy.result.in_flight_most > 1;
    return probe->programs > 0 && !is_concurrent_itself ? probe->programs : 1;
}

static struct grade_setup *find_setup(struct grade *grade, const char *server, size_t programs)
{
    for (size_t i = 0; i < grade->setup_count; i++) {
        struct grade_setup *setup = &grade->setups[i];
        if (setup->programs == programs && strcmp(setup->server, server) == 0)
            return setup;
    }
    return NULL;
}

static int64_t patience_ns(const struct battery *battery, const struct probe *probe)
{
    if (battery->grade->time == CLOCK_VIRTUAL)
        return probe->patience_ns > 0 ? probe->patience_ns : PATIENCE_VIRTUAL_NS;
    return battery->options->full ? PATIENCE_FULL_NS : PATIENCE_REAL_NS;
}

/* One finding for each probe that was asked for, and the set-ups that they need. */
static bool choose(struct battery *battery, struct error *error)
{
    struct grade *grade = battery->grade;
    bool is_short = grade->time == CLOCK_REAL && !battery->options->full;
    grade->findings = calloc(GRADE_PROBES_MAX, sizeof *grade->findings);
    grade->setups = calloc(GRADE_PROBES_MAX, sizeof *grade->setups);
    if (grade->findings == NULL || grade->setups == NULL)
        return out_of_memory(error);
    grade->is_full = true;
    for (size_t i = 0; probe_table()[i] != NULL; i++) {
        const struct probe *probe = probe_table()[i];
        if (!is_asked_for(probe, battery->options->only)) {
            grade->is_partial = true;
            continue;
        }
        struct finding *finding = &grade->findings[grade->finding_count++];
        finding->probe = probe;
        if (probe->needs_stream && !grade->streams) {
            judgement_set(&finding->judgement, PROBE_NOT_APPLICABLE, "it asks for no stream");
            continue;
        }
        if (probe->is_long && is_short) {
            grade->is_full = false;
            judgement_set(&finding->judgement, PROBE_LEFT_OUT,
                          "it takes minutes in real time; --full runs it");
            continue;
        }
        size_t programs = programs_of(probe, grade);
        struct grade_setup *setup = find_setup(grade, probe->server, programs);
        if (setup == NULL) {
            setup = &grade->setups[grade->setup_count++];
            if (!setup_init(setup, battery->options, probe->id, probe->server, programs,
                            patience_ns(battery, probe), error))
                return false;
            setup->start_wanted = 1;
            setup->asks_nothing = probe->asks_nothing;
        }
        if (probe->compares_runs) {
            setup->start_wanted = (size_t)battery->options->runs;
            battery->refused = setup;
        }
        finding->setup = setup;
    }
    return true;
}

/* Whether each start against the server that refuses for ever showed two retries of one call: then
 * joints are worth their starts. */
static bool makes_two_retries(const struct battery *battery)
{
    const struct grade_setup *refused = battery->refused;
    if (refused == NULL || refused->start_count == 0 || battery->grade->healthy.entry_count != 1)
        return false;
    for (size_t i = 0; i < refused->start_count; i++) {
        const struct result *result = &refused->starts[i].result;
        if (result->call_count != 1 || result->calls[0].grouping == GROUPED_AMBIGUOUS ||
            result->calls[0].attempt_count < JOINT_ATTEMPTS_MIN)
            return false;
    }
    return true;
}

static struct finding *find_finding(struct grade *grade, const char *id)
{
    for (size_t i = 0; i < grade->finding_count; i++) {
        struct finding *finding = &grade->findings[i];
        if (finding->setup != NULL && strcmp(finding->probe->id, id) == 0)
            return finding;
    }
    return NULL;
}

/* Judges the finding from another set-up than its own, which is not started for the time being. */
static void judge_from(struct finding *finding, struct grade *grade, struct grade_setup *setup,
                       size_t refusal)
{
    finding->own = find_setup(grade, finding->setup->server, finding->setup->programs);
    finding->own->start_wanted = 0;
    finding->setup = setup;
    finding->refusal = refusal;
}

static bool join(struct battery *battery, struct finding *first, struct finding *second,
                 struct error *error)
{
    struct grade *grade = battery->grade;
    struct grade_setup *setup = &grade->setups[grade->setup_count++];
    char *server = joint_server(first->probe, second->probe);
    char *sent = joint_sent(first->probe, second->probe);
    bool is_made =
        server != NULL && sent != NULL
            ? setup_init(setup, battery->options, first->probe->id, server, first->setup->programs,
                         patience_ns(battery, first->probe), error)
            : out_of_memory(error);
    setup->joint_server = server;
    setup->joint_sent = sent;
    setup->start_wanted = 1;
    setup->asks_nothing = first->probe->asks_nothing; /* the second is seen to ask */
    judge_from(first, grade, setup, 0);
    judge_from(second, grade, setup, 1);
    return is_made;
}

static bool join_all(struct battery *battery, struct error *error)
{
    struct grade *grade = battery->grade;
    if (!makes_two_retries(battery))
        return true;
    for (const struct joint *joint = joint_table(); joint->first != NULL; joint++) {
        struct finding *first = find_finding(grade, joint->first);
        struct finding *second = find_finding(grade, joint->second);
        if (first == NULL || second == NULL || first->setup->programs != second->setup->programs)
            continue;
        if (joint->is_in_second)
            judge_from(first, grade,
                       find_setup(grade, second->setup->server, second->setup->programs), 0);
        else if (!join(battery, first, second, error))
            return false;
    }
    return true;
}

static void show_start(const struct grade_start *start, struct probe_run *run,
                       struct probe_evidence *evidence)
{
    *run = (struct probe_run){.entries = start->entries,
                              .entry_count = start->entry_count,
                              .calls = start->result.calls,
                              .call_count = start->result.call_count,
                              .end = report_last_run(&start->result),
                              .flooded = start->flooded};
    evidence->is_virtual &= start->result.time == CLOCK_VIRTUAL && !start->result.is_inexact;
}

/* Starts against other set-ups that went as those against the server that refuses for ever: as many
 * attempts, all refused with 429 and without Retry-After, but that the last was served. */
static size_t show_alike(const struct grade *grade, const struct grade_setup *setup,
                         struct probe_run *runs, struct probe_evidence *evidence)
{
    size_t count = 0;
    const struct call *call = run_main_call(&evidence->runs[0]);
    for (size_t i = 0; call != NULL && i < grade->setup_count; i++) {
        const struct grade_setup *other = &grade->setups[i];
        if (other == setup || !other->asks_nothing || other->programs > 1)
            continue;
        for (size_t j = 0; j < other->start_count && count < GRADE_ALSO_MAX; j++) {
            const struct result *result = &other->starts[j].result;
            bool is_alike = result->call_count == 1 &&
                            result->calls[0].attempt_count == call->attempt_count &&
                            result->calls[0].grouping != GROUPED_AMBIGUOUS;
            for (size_t k = 0; is_alike && k + 1 < call->attempt_count; k++)
                is_alike = result->calls[0].attempts[k].status == 429;
            if (is_alike)
                show_start(&other->starts[j], &runs[count++], evidence);
        }
    }
    return count;
}

static void judge_finding(const struct battery *battery, struct finding *finding)
{
    const struct grade *grade = battery->grade;
    const struct grade_setup *setup = finding->setup;
    struct probe_run runs[GRADE_RUNS_MAX + GRADE_ALSO_MAX];
    struct probe_run healthy = {.entries = grade->healthy.entries,
                                .entry_count = grade->healthy.entry_count,
                                .calls = grade->healthy.result.calls,
                                .call_count = grade->healthy.result.call_count,
                                .end = report_last_run(&grade->healthy.result)};
    if (setup->start_count == 0) {
        judgement_set(&finding->judgement, PROBE_LEFT_OUT, "the grade was stopped before it");
        finding->own = NULL;
        return;
    }
    struct probe_evidence evidence = {
        .runs = runs,
        .run_count = setup->start_count,
        .healthy = &healthy,
        .programs = setup->programs,
        .is_virtual = true,
        .may_run_more = setup->start_count < GRADE_RUNS_MAX && !is_stopping(battery),
        .refusal = finding->refusal,
    };
    bool has_timed_out = false;
    for (size_t i = 0; i < setup->start_count; i++) {
        show_start(&setup->starts[i], &runs[i], &evidence);
        has_timed_out |= runs[i].end->timed_out;
    }
    finding->start = &setup->starts[0];
    if (finding->own != NULL && joint_judge(finding->probe, &evidence, &finding->judgement))
        return;
    if (finding->own != NULL) {
        finding->setup = finding->own;
        finding->own->start_wanted =
            finding->own->start_wanted > 0 ? finding->own->start_wanted : 1;
        finding->own = NULL;
        finding->start = NULL;
        finding->refusal = 0;
        judgement_set(&finding->judgement, PROBE_LEFT_OUT, "the grade was stopped before it");
        return;
    }
    if (has_timed_out && grade->time == CLOCK_REAL && !battery->options->full) {
        judgement_set(&finding->judgement, PROBE_LEFT_OUT,
                      "it took more than two minutes of real time; --full waits longer");
        return;
    }
    if (finding->probe->compares_runs)
        evidence.run_count += show_alike(grade, setup, runs + setup->start_count, &evidence);
    probe_judge(finding->probe, &evidence, &finding->judgement);
}

/* How many starts of its set-up the finding wants: one more where something is wrong after a single
 * one, more where a judge could not tell. */
static size_t wanted_by(const struct finding *finding)
{
    size_t count = finding->setup->start_count;
    if (finding->judgement.wants_more_runs) {
        size_t wanted = count < RUNS_FEW ? RUNS_FEW : count + MORE_RUNS;
        return wanted < GRADE_RUNS_MAX ? wanted : GRADE_RUNS_MAX;
    }
    return finding->judgement.outcome == PROBE_WRONG && count == 1 ? 2 : 0;
}

/* Judges all, and plans what has to be seen again. */
static bool judge_all(struct battery *battery, struct error *error)
{
    struct grade *grade = battery->grade;
    for (size_t i = 0; i < grade->finding_count; i++) {
        struct finding *finding = &grade->findings[i];
        if (finding->setup == NULL)
            continue;
        judge_finding(battery, finding);
        struct grade_setup *setup =
            find_setup(grade, finding->setup->server, finding->setup->programs);
        size_t wanted = wanted_by(finding);
        if (wanted > setup->start_wanted)
            setup->start_wanted = wanted;
    }
    for (size_t i = 0; i < grade->setup_count && !is_stopping(battery); i++) {
        struct grade_setup *setup = &grade->setups[i];
        if (setup->start_count < setup->start_wanted &&
            !plan_starts(battery, setup, setup->start_wanted - setup->start_count))
            return out_of_memory(error);
    }
    return true;
}

/* Refuses it for ever, to see how often it retries, and plans the rest by that. */
static bool run_refused(struct battery *battery, struct error *error)
{
    struct grade_setup *refused = battery->refused;
    if (refused == NULL)
        return true;
    size_t count = refused->start_wanted < RUNS_FIRST ? refused->start_wanted : RUNS_FIRST;
    return plan_starts(battery, refused, count) && run_planned(battery, error) &&
           join_all(battery, error);
}

/* Set-ups with several programs first: they take longest. */
static bool plan_first(struct battery *battery, struct error *error)
{
    struct grade *grade = battery->grade;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < grade->setup_count; i++) {
            struct grade_setup *setup = &grade->setups[i];
            if ((setup->programs > 1) == (pass == 0) && setup->start_count < setup->start_wanted &&
                !plan_starts(battery, setup, setup->start_wanted - setup->start_count))
                return out_of_memory(error);
        }
    }
    return true;
}

static bool run_battery(struct battery *battery, struct error *error)
{
    if (!run_healthy(battery, error) || !choose(battery, error) || !run_refused(battery, error) ||
        !plan_first(battery, error))
        return false;
    do {
        if (!run_planned(battery, error) || !judge_all(battery, error))
            return false;
    } while (battery->item_count > 0);
    return true;
}

bool grade_run(const struct grade_options *options, struct grade *grade, struct error *error)
{
    struct battery battery = {.options = options, .grade = grade};
    int64_t started_ns = machine_now();
    *grade = (struct grade){
        .command = command_words(options->command),
        .trigger = options->trigger != NULL ? strdup(options->trigger) : NULL,
        .seed = options->seed,
        .runs = options->runs,
        .letter = '-',
    };
    result_init(&grade->healthy.result);
    error->message[0] = '\0';
    bool ran = grade->command != NULL ? run_battery(&battery, error) : out_of_memory(error);
    grade->wall_ms = (machine_now() - started_ns) / NS_PER_MS;
    free(battery.items);
    free(battery.places);
    if (ran) {
        grade_score(grade);
        grade_observe(grade);
    }
    return ran;
}

void grade_free(struct grade *grade)
{
    free(grade->command);
    free(grade->trigger);
    free(grade->time_note);
    start_free(&grade->healthy);
    for (size_t i = 0; i < grade->setup_count; i++)
        setup_free(&grade->setups[i]);
    free(grade->setups);
    free(grade->findings);
    *grade = (struct grade){0};
}
