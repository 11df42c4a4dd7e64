/* judge: expectations and evidence in, verdicts out.
 *
 * Beside what the scenario expects, some demands hold for every run, so that a client that never
 * met the fault, hung or died does not pass by accident:
 *   finished           it ended by itself within its time-out
 *   not_killed         it did not die of a signal
 *   output_bounded     it did not write more than output_limit
 *   no_processes_left  it left no process behind
 *   script_played      every step of the script was played as often as it asks
 *   met_the_limit      where something was set up to answer 429, one was sent
 *   reached_the_server at least one request was sent (where the demand above is not made)
 *   journal_complete   no request was refused because the journal was full
 *
 * Reads the journal and nothing else of the server. Pure but for memory.
 */
#ifndef TOOMANY_HARNESS_JUDGE_H
#define TOOMANY_HARNESS_JUDGE_H

#include "harness/result.h"
#include "harness/scenario.h"
#include "mockserver/api.h"
#include "mockserver/journal.h"

struct judge_input {
    const struct scenario *scenario;
    const struct journal *journal;
    const struct api *api; /* script states and pools as they are at the end */
    bool journal_overflowed;
    const uint64_t *run_lasts; /* sequence number of each run's last request; one a run */
};

/* Fills calls, verdicts, usage, notes and the counts of `result`, whose runs are filled already.
 * Sets result->passed. False when memory is out. */
bool judge(const struct judge_input *input, struct result *result);

#endif
