/* sweep: all cells of an experiment, each repeated, over several threads.
 *
 *     struct sweep_options options = {.jobs = 2, .on_progress = draw_bar};
 *     struct sweep sweep;
 *     if (sweep_run(&sweep, &experiment, &options, &error))
 *         report(sweep.cells, sweep.cell_count);
 *     sweep_free(&sweep);
 *
 * The result is the same, to the bit, with any number of jobs. When *stop becomes true, what has
 * been run so far is the result: cells in which something is missing say so (is_complete).
 */
#ifndef TOOMANY_LAB_SWEEP_H
#define TOOMANY_LAB_SWEEP_H

#include "lab/experiment.h"
#include "lab/measures.h"
#include "lab/simulation.h"

struct sweep_progress {
    size_t runs_done;
    size_t runs_total;
    double share; /* of the whole, 0 to 1, runs under way counted by how far they are */
    const struct strategy *strategy; /* of a run under way; NULL: none */
    double load;
};

/* How one repetition of one cell is run: simulation_run, or the real run. */
typedef bool sweep_runner(const struct run_order *order, struct run_result *result,
                          struct error *error);

struct sweep_options {
    int jobs;                         /* threads; 0: one a processor */
    sweep_runner *runner;             /* NULL: simulation_run */
    const struct live_settings *live; /* of real runs (lab/live.h); NULL: their defaults */
    /* Called on the caller's thread, about ten times a second and at the end; or NULL. */
    void (*on_progress)(void *owner, const struct sweep_progress *progress);
    void *owner;
    const atomic_bool *stop; /* or NULL */
    /* Every request of the first repetition of this cell as JSON Lines; NULL: none. */
    FILE *journal;
    size_t journal_strategy;
    size_t journal_load;
};

struct sweep {
    const struct experiment *experiment;
    struct experiment_bound bound;
    struct strategy *strategies; /* the experiment's, that know the quota */
    struct cell_result *cells;   /* strategy by strategy, loads ascending in each */
    size_t cell_count;
    struct run_result *runs; /* cells point into it */
    bool is_complete;
    uint64_t events; /* of all runs */
};

/* False with the error filled when a run could not be carried out. */
bool sweep_run(struct sweep *sweep, const struct experiment *experiment,
               const struct sweep_options *options, struct error *error);

void sweep_free(struct sweep *sweep);

/* NULL when out of range is asked. */
const struct cell_result *sweep_cell(const struct sweep *sweep, size_t strategy, size_t load);

#endif
