/* live: one repetition of one cell for real: our client over sockets against a server.
 *
 * Without a base_url the mock server runs in the same process, on the same loop, with the
 * experiment's quotas and times; its journal is the run's. With one, requests go to that server,
 * whose quotas should be those of the experiment: it must be a loopback address, or the host that
 * `allowed_host` names, so that no experiment spends somebody's quota by accident.
 *
 * It makes the same calls at the same times as the simulation of the same cell and seed, and its
 * server draws the same service times (the streams of lab/simulation.h). What differs is that
 * requests and answers travel, that the machine has other things to do, and therefore who gets
 * which of the drawn numbers once two things happen in another order.
 *
 * All workers share one thread. With `speed` the run's clock goes that many times as fast as the
 * machine's (clock/clock.h), so that quotas a minute become quotas of a few seconds; the time that
 * the machine itself takes for a request then counts as many times more. With a virtual clock the
 * bytes still go through sockets, but no wait takes time and the machine's load cannot be seen.
 */
#ifndef TOOMANY_LAB_LIVE_H
#define TOOMANY_LAB_LIVE_H

#include "clock/clock.h"
#include "lab/simulation.h"

enum {
    LIVE_CALLS_MAX = 8000,       /* open at once: each takes two descriptors */
    LIVE_TOKENS_MIN = 3,         /* what an empty message costs */
    LIVE_TOKENS_MAX = 1000000,   /* 4 MB of text */
    LIVE_JOURNAL_ENTRIES = 8192, /* above LIVE_CALLS_MAX: whoever is open has an entry */
};

struct live_settings {
    const char *base_url;     /* with the /v1; NULL: a server of its own */
    const char *allowed_host; /* that base_url may name beside loopback addresses; or NULL */
    const char *api_key;      /* NULL: a dummy; a server of its own takes any */
    enum clock_kind clock;    /* virtual: only with a server of its own */
    int64_t speed;            /* of a real clock; 0: 1 */
};

/* False, with the error filled (place "base_url", ...), when no run can be made with them. */
bool live_check(const struct live_settings *settings, struct error *error);

/* A sweep_runner. order->live NULL: the defaults. The journal is the server's, and cannot be had of
 * one that is not ours. */
bool live_run(const struct run_order *order, struct run_result *result, struct error *error);

#endif
