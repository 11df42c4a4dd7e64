#include "grade/evidence.h"

#include "base/duration.h"
#include "harness/report_words.h"

#include <stdio.h>
#include <string.h>

bool run_reports_success(const struct probe_run *run)
{
    return run->end->exit_code == 0 && run->end->signal == 0 && !run->end->timed_out;
}

bool entry_is_good(const struct journal_entry *entry)
{
    return entry->status >= 200 && entry->status < 300 && !entry->broken && entry->code[0] == '\0';
}

const struct journal_entry *run_entry(const struct probe_run *run, const struct attempt *attempt)
{
    for (size_t i = 0; i < run->entry_count; i++) {
        if (run->entries[i].sequence == attempt->sequence)
            return &run->entries[i];
    }
    return NULL;
}

bool run_is_served(const struct probe_run *run)
{
    for (size_t i = 0; i < run->call_count; i++) {
        const struct call *call = &run->calls[i];
        const struct journal_entry *last = run_entry(run, &call->attempts[call->attempt_count - 1]);
        if (last == NULL || !entry_is_good(last))
            return false;
    }
    return run->call_count > 0;
}

const struct call *run_main_call(const struct probe_run *run)
{
    const struct call *most = NULL;
    for (size_t i = 0; i < run->call_count; i++) {
        if (most == NULL || run->calls[i].attempt_count > most->attempt_count)
            most = &run->calls[i];
    }
    return most;
}

size_t run_retries(const struct probe_run *run)
{
    size_t retries = 0;
    for (size_t i = 0; i < run->call_count; i++)
        retries += run->calls[i].attempt_count - 1;
    return retries;
}

bool run_is_ambiguous(const struct probe_run *run)
{
    for (size_t i = 0; i < run->call_count; i++) {
        if (run->calls[i].grouping == GROUPED_AMBIGUOUS)
            return true;
    }
    return false;
}

int64_t run_tail_ns(const struct probe_run *run)
{
    int64_t last_ns = -1;
    for (size_t i = 0; i < run->entry_count; i++) {
        if (run->entries[i].answered_ns > last_ns)
            last_ns = run->entries[i].answered_ns;
    }
    return last_ns < 0 || run->end->ended_ns < last_ns ? -1 : run->end->ended_ns - last_ns;
}

const char *run_end_words(const struct probe_run *run, char text[EVIDENCE_WORDS_SIZE])
{
    char words[REPORT_WORDS_SIZE];
    snprintf(text, EVIDENCE_WORDS_SIZE, "%.*s", EVIDENCE_WORDS_SIZE - 1,
             report_client_end(run->end, words));
    return text;
}

const char *call_delays_words(const struct call *call, char text[EVIDENCE_WORDS_SIZE])
{
    enum { SHOWN_MAX = 8 };
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 1; i < call->attempt_count && length < EVIDENCE_WORDS_SIZE; i++) {
        char delay[REPORT_WORDS_SIZE];
        if (i > SHOWN_MAX) {
            snprintf(text + length, EVIDENCE_WORDS_SIZE - length, ", ...");
            break;
        }
        length +=
            (size_t)snprintf(text + length, EVIDENCE_WORDS_SIZE - length, "%s%s", i > 1 ? ", " : "",
                             report_short_duration(call->attempts[i].delay_ns, delay));
    }
    return text;
}

const char *count_words(size_t count, const char *noun, char text[64])
{
    bool is_y = count != 1 && strlen(noun) > 1 && strcmp(noun + strlen(noun) - 2, "ry") == 0;
    if (is_y)
        snprintf(text, 64, "%zu %.*sies", count, (int)strlen(noun) - 1, noun);
    else
        snprintf(text, 64, "%zu %s%s", count, noun, count == 1 ? "" : "s");
    return text;
}

bool judge_first(const struct probe_run *run, struct judgement *judgement)
{
    char text[EVIDENCE_WORDS_SIZE];
    const struct call *call = run_main_call(run);
    if (run->flooded) {
        judgement_set(judgement, PROBE_WRONG,
                      "it was ended after %d requests, and would have gone on; delays %s",
                      PROBE_REQUESTS_MAX, call != NULL ? call_delays_words(call, text) : "");
        return true;
    }
    if (run->end->timed_out) {
        char patience[DURATION_TEXT_SIZE];
        duration_text(run->end->ended_ns - run->end->started_ns, patience);
        judgement_set(judgement, PROBE_WRONG, "it had not ended after %s, with %zu request%s sent",
                      patience, run->entry_count, run->entry_count == 1 ? "" : "s");
        return true;
    }
    if (run->end->signal != 0) {
        judgement_set(judgement, PROBE_WRONG, "it crashed: %s", run_end_words(run, text));
        return true;
    }
    if (run->entry_count == 0 || run->call_count == 0) {
        judgement_set(judgement, PROBE_QUESTIONABLE,
                      "it sent no request this time, though it does to a healthy server (%s)",
                      run_end_words(run, text));
        return true;
    }
    if (run_is_ambiguous(run)) {
        judgement_set(judgement, PROBE_QUESTIONABLE,
                      "several calls with equal bodies ran at once, and nothing tells their "
                      "attempts apart; let the program make one call");
        return true;
    }
    return false;
}

int64_t evidence_early_ns(const struct probe_evidence *evidence)
{
    return evidence->is_virtual ? 2 * NS_PER_MS : 20 * NS_PER_MS;
}

int64_t evidence_instant_ns(const struct probe_evidence *evidence)
{
    return evidence->is_virtual ? NS_PER_MS / 10 : 20 * NS_PER_MS;
}
