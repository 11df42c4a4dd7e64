/* judges: those that several probes share. Each reads what its comment names of the probe. */
#ifndef TOOMANY_GRADE_JUDGES_H
#define TOOMANY_GRADE_JUDGES_H

#include "grade/probe.h"

/* The signature of a judge. */
#define JUDGE(name)                                                                                \
    void name(const struct probe *probe, const struct probe_evidence *evidence,                    \
              struct judgement *judgement)

/* Refused `failures` times, then served: it must get the answer. is_lenient: it may give up. */
JUDGE(judge_recovers);

/* Refused once, asked to wait asked_ns: no earlier retry; far later is non-strict. A wait of more
 * than a minute may be given up, one of a day should. is_lenient: to be early is non-strict. */
JUDGE(judge_waits);

/* Refused for ever with a Retry-After that no client can obey: it must not hammer. */
JUDGE(judge_odd_header);

/* Refused for good, with an error that no waiting mends: one request is enough. is_lenient: retries
 * are non-strict. */
JUDGE(judge_not_retried);

/* A fault, then a healthy server: it must retry or fail, not hang, crash, or take it for good.
 * is_lenient: to take it for good is non-strict. */
JUDGE(judge_survives);

/* `programs` calls, each refused once at the same moment: they must not come back at one moment.
 * is_lenient: that is non-strict. */
JUDGE(judge_herd);

#endif
