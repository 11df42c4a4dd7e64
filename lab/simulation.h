/* simulation: one repetition of one cell in virtual time, without sockets.
 *
 * It asks the server's own quota (mockserver/quota.h) and the client's own strategy and gate
 * (client/strategy.h, client/gate.h), so that it differs from a real run only in the transport:
 * requests arrive when they are sent, and answers when they are due.
 *
 * Events happen in the order of their times, and those of the same nanosecond in the order in which
 * they were scheduled (lab/event_queue.h). All random numbers come from the seed; the same cell and
 * seed give the same result, whatever the machine, the compiler and the number of threads.
 */
#ifndef TOOMANY_LAB_SIMULATION_H
#define TOOMANY_LAB_SIMULATION_H

#include "lab/experiment.h"
#include "lab/measures.h"

#include <stdatomic.h>
#include <stdio.h>

/* Streams of a run's seed. The server of a real run draws from the same ones, so that both runs of
 * a cell meet the same calls, sizes and times (common random numbers). */
enum run_stream {
    RUN_STREAM_ARRIVALS,
    RUN_STREAM_TOKENS,
    RUN_STREAM_JITTER,
    RUN_STREAM_SERVICE,
    RUN_STREAM_REFUSAL,
    RUN_STREAM_THINKING,
    RUN_STREAM_COUNT,
};

struct live_settings;

/* What a run of a cell is given, real or simulated. */
struct run_order {
    const struct experiment *experiment;
    const struct strategy *strategy; /* knows the quota already */
    double load;                     /* workers, or calls per second */
    uint64_t seed;
    FILE *journal;                    /* every request as a line of JSON; NULL: none */
    const atomic_bool *stop;          /* NULL: never; when true, ends with what there is */
    const struct live_settings *live; /* of a real run (lab/live.h); NULL: its defaults */
    atomic_uint_least32_t *progress;  /* NULL, or told how far it is: 0 to 1000000 */
};

/* False with the error filled when it could not be run (memory is out, the journal's disk full);
 * else *result is done, and complete unless it was stopped. */
bool simulation_run(const struct run_order *order, struct run_result *result, struct error *error);

#endif
