#include "harness/report_words.h"

#include "base/duration.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum report_state report_state_of(const struct result *result)
{
    if (result->could_not_run)
        return REPORT_COULD_NOT_RUN;
    if (result->interrupted)
        return REPORT_STOPPED;
    if (result->known_failing == LISTED_BUT_PASSED)
        return REPORT_UNLISTED_DUE;
    if (result->known_failing == LISTED_AND_FAILED)
        return REPORT_KNOWN_FAILING;
    return result->passed ? REPORT_PASSED : REPORT_FAILED;
}

const char *report_state_name(enum report_state state)
{
    static const char *const names[REPORT_STATE_COUNT] = {
        [REPORT_PASSED] = "passed",
        [REPORT_FAILED] = "failed",
        [REPORT_KNOWN_FAILING] = "known failing",
        [REPORT_UNLISTED_DUE] = "passed though known failing",
        [REPORT_STOPPED] = "stopped",
        [REPORT_COULD_NOT_RUN] = "could not run",
    };
    return names[state];
}

struct report_counts report_count(const struct results *results)
{
    struct report_counts counts = {{0}};
    for (size_t i = 0; i < results->count; i++)
        counts.of[report_state_of(&results->items[i])]++;
    return counts;
}

bool report_all_well(const struct results *results)
{
    struct report_counts counts = report_count(results);
    return !results->interrupted &&
           counts.of[REPORT_PASSED] + counts.of[REPORT_KNOWN_FAILING] == results->count;
}

const char *report_expectation_words(const char *name, char text[REPORT_WORDS_SIZE])
{
    snprintf(text, REPORT_WORDS_SIZE, "%s", name);
    for (char *character = text; *character != '\0'; character++) {
        if (*character == '_')
            *character = ' ';
    }
    return text;
}

/* sigabbrev_np() is newer than the C libraries that we build on. */
static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},
        {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
        {SIGKILL, "SIGKILL"}, {SIGSEGV, "SIGSEGV"}, {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"},
        {SIGTERM, "SIGTERM"}, {SIGSYS, "SIGSYS"},   {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"},
        {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].number == number)
            return names[i].name;
    }
    return NULL;
}

const char *report_client_end(const struct client_run *run, char text[REPORT_WORDS_SIZE])
{
    char duration[DURATION_TEXT_SIZE];
    const char *name = signal_name(run->signal);
    if (run->timed_out)
        snprintf(text, REPORT_WORDS_SIZE, "timed out after %s",
                 duration_text(run->ended_ns - run->started_ns, duration));
    else if (run->output_exceeded)
        snprintf(text, REPORT_WORDS_SIZE, "wrote too much (%" PRIu64 " bytes) and was stopped",
                 run->output_bytes);
    else if (run->signal != 0 && name != NULL)
        snprintf(text, REPORT_WORDS_SIZE, "killed by signal %d (%s)", run->signal, name);
    else if (run->signal != 0)
        snprintf(text, REPORT_WORDS_SIZE, "killed by signal %d", run->signal);
    else
        snprintf(text, REPORT_WORDS_SIZE, "exit code %d", run->exit_code);
    return text;
}

const char *report_client_end_short(const struct client_run *run, char text[REPORT_WORDS_SIZE])
{
    const char *name = signal_name(run->signal);
    if (run->timed_out)
        snprintf(text, REPORT_WORDS_SIZE, "timed out");
    else if (run->output_exceeded)
        snprintf(text, REPORT_WORDS_SIZE, "wrote too much");
    else if (run->signal != 0 && name != NULL)
        snprintf(text, REPORT_WORDS_SIZE, "%s", name);
    else if (run->signal != 0)
        snprintf(text, REPORT_WORDS_SIZE, "signal %d", run->signal);
    else
        snprintf(text, REPORT_WORDS_SIZE, "exit %d", run->exit_code);
    return text;
}

int report_usage_percent(const struct usage *usage)
{
    if (usage->limit <= 0)
        return 100;
    double percent = 100.0 * (double)usage->peak / (double)usage->limit;
    return percent > 999 ? 999 : (int)percent;
}

const char *report_usage_words(const struct usage *usage, char text[REPORT_WORDS_SIZE])
{
    int length = snprintf(text, REPORT_WORDS_SIZE, "%" PRId64 " of %" PRId64 " used (%d %%)",
                          usage->peak, usage->limit, report_usage_percent(usage));
    if (usage->throttled > 0)
        snprintf(text + length, REPORT_WORDS_SIZE - (size_t)length,
                 ", %" PRId64 " refused: ask for an increase in time", usage->throttled);
    return text;
}

const struct client_run *report_last_run(const struct result *result)
{
    return result->run_count > 0 ? &result->runs[result->run_count - 1] : NULL;
}

int64_t report_origin_ns(const struct result *result)
{
    return result->run_count > 0 ? result->runs[0].started_ns : 0;
}

char *report_full_name(const struct result *result)
{
    char *name = NULL;
    int length = result->repetition == 0 ? asprintf(&name, "%s", result->name)
                                         : asprintf(&name, "%s (repetition %d, seed %" PRIu64 ")",
                                                    result->name, result->repetition, result->seed);
    return length < 0 ? NULL : name;
}

static size_t run_length(const struct call *call, size_t from, size_t to)
{
    size_t length = 1;
    while (from + length < to &&
           call->attempts[from + length].status == call->attempts[from].status)
        length++;
    return length;
}

const char *report_statuses(const struct call *call, size_t from, size_t to, char *text,
                            size_t size)
{
    enum { ELLIPSIS_SIZE = 5, COUNTED_FROM = 3 };
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = from; i < to;) {
        size_t equal = run_length(call, i, to);
        size_t shown = equal >= COUNTED_FROM ? equal : 1;
        char status[16];
        char one[48];
        snprintf(status, sizeof status, "%d", call->attempts[i].status);
        int length = snprintf(one, sizeof one, "%s%s", used > 0 ? " " : "",
                              call->attempts[i].status == 0 ? "none" : status);
        if (shown > 1)
            length += snprintf(one + length, sizeof one - (size_t)length, " x%zu", shown);
        if (used + (size_t)length + (i + shown < to ? ELLIPSIS_SIZE : 1) > size) {
            snprintf(text + used, size - used, "%s...", used > 0 ? " " : "");
            return text;
        }
        memcpy(text + used, one, (size_t)length + 1);
        used += (size_t)length;
        i += shown;
    }
    return text;
}

const char *report_short_duration(int64_t ns, char text[REPORT_WORDS_SIZE])
{
    double seconds = (double)ns / (double)NS_PER_S;
    if (ns < 10 * NS_PER_MS)
        return duration_text(ns / NS_PER_MS * NS_PER_MS, text);
    if (seconds < 0.9995)
        snprintf(text, REPORT_WORDS_SIZE, "%.2fs", seconds);
    else if (seconds < 9.995)
        snprintf(text, REPORT_WORDS_SIZE, "%.1fs", seconds);
    else if (seconds < 99.5)
        snprintf(text, REPORT_WORDS_SIZE, "%.0fs", seconds);
    else if (seconds < 5970)
        snprintf(text, REPORT_WORDS_SIZE, "%.0fm", seconds / 60);
    else
        snprintf(text, REPORT_WORDS_SIZE, "%.0fh", seconds / 3600);
    return text;
}

size_t report_tail(const char *text, size_t length, size_t count_max, size_t *skipped)
{
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    size_t start = length;
    for (size_t lines = 0; start > 0; start--) {
        if (text[start - 1] == '\n' && ++lines == count_max)
            break;
    }
    *skipped = 0;
    for (size_t i = 0; i < start; i++)
        *skipped += text[i] == '\n';
    return start;
}

const char *report_time_name(const struct result *result)
{
    if (result->time == CLOCK_VIRTUAL)
        return result->is_inexact ? "virtual time, not exact" : "virtual time";
    return "real time";
}
