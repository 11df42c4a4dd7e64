/* probe: one question that a grade puts to a program, with what is sent and how the answer is
 * judged.
 *
 *     id           waits/seconds
 *     requirement  It waits at least as long as Retry-After asks.
 *     sent         429 with Retry-After: 20, then 200
 *     seen         it came back after 0.44 s
 *     verdict      wrong
 *     cure         Read Retry-After and sleep that long before the next attempt.
 *
 * A probe is one file, probe_NAME.c, and one row of the table in probe.c. Its set-up is the
 * "server" object of a scenario; probes with the same set-up are judged by the same starts of the
 * program. Its judge is pure: it reads journals and how the program ended, and gives a verdict.
 *
 * To add one: write probe_NAME.c with a `const struct probe probe_NAME`, add ROW(NAME), and in
 * tests/e2e/test_grade.py a synthetic client that it catches; docs/grade.md is made from --list.
 */
#ifndef TOOMANY_GRADE_PROBE_H
#define TOOMANY_GRADE_PROBE_H

#include "harness/result.h"
#include "mockserver/journal.h"

enum probe_group {
    GROUP_RECOVERS,
    GROUP_WAITS,
    GROUP_BACKS_OFF,
    GROUP_ENDS,
    GROUP_MULTIPLIES,
    GROUP_SHARES,
    GROUP_SURVIVES,
    GROUP_REPEATS_SAFELY,
    GROUP_COUNT
};

/* How bad it is to be wrong here. */
enum probe_severity {
    SEVERITY_MINOR,    /* costs something now and then */
    SEVERITY_MAJOR,    /* fails or hammers where it need not */
    SEVERITY_CRITICAL, /* useless under rate limits, or hides failures */
    SEVERITY_COUNT
};

enum probe_outcome {
    PROBE_RIGHT,
    PROBE_WRONG,
    PROBE_NON_STRICT,     /* good clients disagree: said, and not held against it */
    PROBE_INFORMATIONAL,  /* a fact, neither good nor bad */
    PROBE_QUESTIONABLE,   /* starts of the program disagree, or what was seen does not tell */
    PROBE_NOT_APPLICABLE, /* the program never comes to where it could be wrong */
    PROBE_LEFT_OUT,       /* takes long in real time; --full runs it. Or the grade was stopped */
    PROBE_OUTCOME_COUNT
};

/* One start of the program (of `programs` of them at once) against the probe's server. */
struct probe_run {
    const struct journal_entry *entries; /* POST requests, in order of arrival */
    size_t entry_count;
    const struct call *calls; /* as harness/calls.h found them */
    size_t call_count;
    const struct client_run *end; /* how it ended, what it printed */
    bool flooded;                 /* ended by us: it had sent more than PROBE_REQUESTS_MAX */
};

/* More requests than a call may ever need: then it is ended and counts as one without a bound. */
enum { PROBE_REQUESTS_MAX = 200 };

struct probe_evidence {
    const struct probe_run *runs;
    size_t run_count;
    const struct probe_run *healthy; /* the program against a server that serves at once */
    size_t programs;                 /* processes that were started at once */
    bool is_virtual;                 /* delays are exact; else the machine's noise is in them */
    bool may_run_more;               /* the judge can ask for more runs */
    size_t refusal; /* the probe's among those that a call meets, from 0 (joint.h) */
};

/* A silence that a client should end by itself. The official SDKs do after ten minutes; who wakes
 * up every second, as curl does, costs real time for each. */
#define PROBE_PATIENCE_SILENT_NS INT64_C(3600000000000)

enum { PROBE_SEEN_SIZE = 400 };

struct judgement {
    enum probe_outcome outcome;
    bool wants_more_runs; /* could not be decided from so few; only where evidence allows it */
    char seen[PROBE_SEEN_SIZE];
};

/* In `server`: a 429 that asks for no wait, neither by a header nor by words in its message, which
 * some clients read. */
#define REFUSAL_WITHOUT_WAIT                                                                       \
    "{\"error\": \"rate_limit_exceeded\", \"message\": \"Rate limit reached for gpt-4o-mini on "   \
    "requests per min (RPM): Limit 3, Used 3, Requested 1.\"}"

struct probe {
    const char *id; /* GROUP/NAME */
    enum probe_group group;
    enum probe_severity severity;
    const char *requirement; /* one sentence */
    const char *source;      /* where it comes from */
    const char *sent;        /* the set-up in words */
    const char *cure;        /* what usually mends it */

    const char *server;  /* the set-up: a scenario's "server" object */
    size_t programs;     /* started at once; 0: 1. A program that makes several calls at once by
                            itself is started once */
    bool compares_runs;  /* judged from several runs together; else each run by itself */
    bool needs_stream;   /* only for programs that ask for a stream */
    bool is_long;        /* waits for minutes: left out in real time, without --full */
    int64_t asked_ns;    /* what Retry-After asks, for the judges that read it */
    int64_t slack_ns;    /* and how much of it its form rounds away */
    int64_t patience_ns; /* in virtual time the program is ended after so long; 0: as usual */
    bool is_lenient;     /* what a strict judge calls wrong is non-strict here */
    bool asks_nothing;   /* its refusals have no Retry-After: what comes after them is the program's
                            own rule */
    bool hammers_if_repeated; /* wrong is who retries at once, again and again */
    size_t failures;          /* refusals before it is served, for those that read it */

    void (*judge)(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement);
};

/* The table, NULL-terminated, in the order of groups. */
const struct probe *const *probe_table(void);
/* NULL when there is none of that id. */
const struct probe *probe_find(const char *id);

/* Judges: each run by itself where the probe says so; runs that disagree are questionable. */
void probe_judge(const struct probe *probe, const struct probe_evidence *evidence,
                 struct judgement *judgement);

/* "recovers", "backs off" */
const char *probe_group_name(enum probe_group group);
const char *probe_severity_name(enum probe_severity severity);
/* "right", "non-strict", "not applicable" */
const char *probe_outcome_name(enum probe_outcome outcome);

/* Fills a judgement (printf form). */
void judgement_set(struct judgement *judgement, enum probe_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
