/* evidence: what judges ask of a run. Pure; nothing here allocates. */
#ifndef TOOMANY_GRADE_EVIDENCE_H
#define TOOMANY_GRADE_EVIDENCE_H

#include "grade/probe.h"

enum { EVIDENCE_WORDS_SIZE = 200 };

/* Whether the program said that it succeeded: exit code 0. */
bool run_reports_success(const struct probe_run *run);
/* Whether an answer can be taken as good: 2xx, whole, with what belongs in it. */
bool entry_is_good(const struct journal_entry *entry);
/* The entry of an attempt; never NULL for calls of this run. */
const struct journal_entry *run_entry(const struct probe_run *run, const struct attempt *attempt);
/* Whether each call ended with a good answer, and there was a call. */
bool run_is_served(const struct probe_run *run);
/* The call with the most attempts: the one to look at; NULL where there is none. */
const struct call *run_main_call(const struct probe_run *run);
/* Attempts after the first, of all calls. */
size_t run_retries(const struct probe_run *run);
/* Whether calls could not be told apart. */
bool run_is_ambiguous(const struct probe_run *run);

/* From when the answer can have been known to the client's end; -1 where there was no answer. */
int64_t run_tail_ns(const struct probe_run *run);

/* "exit code 1", "timed out after 6h0m0s" */
const char *run_end_words(const struct probe_run *run, char text[EVIDENCE_WORDS_SIZE]);
/* "0.44 s, 0.97 s, 2 s": the delays of a call */
const char *call_delays_words(const struct call *call, char text[EVIDENCE_WORDS_SIZE]);
/* "3 requests", "1 request" */
const char *count_words(size_t count, const char *noun, char text[64]);

/* Decides what every judge of one run asks first: no request at all, ended by us, hung, killed,
 * calls that cannot be told apart. True when it has decided. */
bool judge_first(const struct probe_run *run, struct judgement *judgement);

/* How much earlier than meant a delay may be seen: timers and the journal round. */
int64_t evidence_early_ns(const struct probe_evidence *evidence);
/* Below this a retry came at once. */
int64_t evidence_instant_ns(const struct probe_evidence *evidence);

#endif
