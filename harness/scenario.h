/* scenario: a file with a server set-up, a client and what is expected of it.
 *
 *     {
 *       "name": "recovers on the third attempt",
 *       "why": "...",
 *       "server": {"script": [{"answer": {"error": "rate_limit_exceeded"}, "times": 2}]},
 *       "client": {"command": ["python3", "fixed.py"], "timeout": "30s"},
 *       "expect": {"attempts_per_call": 3, "delays": ["1s", "2s"], "outcome": "succeeds"}
 *     }
 *
 * scenarios/README.md explains the language; scenarios/scenario.schema.json is its schema.
 */
#ifndef TOOMANY_HARNESS_SCENARIO_H
#define TOOMANY_HARNESS_SCENARIO_H

#include "base/error.h"
#include "client/retry.h"
#include "harness/expectation.h"
#include "mockserver/config.h"

/* The model that a client finds in OPENAI_FINE_TUNED_MODEL when the scenario says none. */
#define SCENARIO_MODEL "ft:gpt-4o-mini:acme::7p4lURel"

enum {
    SCENARIO_RUNS_MAX = 100,
    SCENARIO_ARGUMENTS_MAX = 200,
    SCENARIO_CALLS_MAX = 10000, /* of the built-in client */
};

/* Our own client, in the harness's process and on a virtual clock. */
struct scenario_builtin {
    int64_t calls;
    int64_t in_flight_max; /* 0: no gate */
    bool equal_messages;   /* all calls say the same */
    struct retry_policy policy;
};

struct scenario_client {
    char **command;  /* NULL-terminated; NULL: the built-in client */
    char *directory; /* as it stands in the file, relative to the file's folder; NULL: as it is */
    char **environment; /* "NAME=value", NULL-terminated; never NULL */
    int64_t timeout_ns;
    int64_t runs;
    int64_t output_bytes_max;
    char *marker_header;       /* or NULL */
    char *marker_body;         /* or NULL */
    bool marker_is_connection; /* each call keeps to a connection of its own */
    bool is_builtin;
    struct scenario_builtin builtin;
};

struct scenario {
    char *file;
    char *name;
    char *why; /* may be "" */
    struct config server;
    struct scenario_client client;
    struct expectations expectations;
};

/* Reads the file at `path`. False with the error filled (place: file and line, or JSON pointer);
 * nothing has to be freed then. */
bool scenario_load(struct scenario *scenario, const char *path, struct error *error);

/* The same from text, for fuzzing and tests. `file` is for messages. */
bool scenario_parse(struct scenario *scenario, const char *text, size_t length, const char *file,
                    struct error *error);

void scenario_free(struct scenario *scenario);

#endif
