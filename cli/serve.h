/* serve: what the files of `toomany serve` share; private to them.
 *
 *     serve.c          the run: server, signals, messages
 *     serve_options.c  the command line
 *     serve_setup.c    the files of the command line, read at the start and again on SIGHUP
 *     serve_record.c   what is recorded, and its file
 *     serve_journal.c  the journal's file, and its successor when it is full
 */
#ifndef TOOMANY_CLI_SERVE_H
#define TOOMANY_CLI_SERVE_H

#include "base/log.h"
#include "harness/scenario.h"
#include "mockserver/server.h"
#include "mockserver/tls.h"

enum {
    SERVE_JOURNAL_ENTRIES = 20000, /* of the last requests; 11 MB. --journal writes them all */
    SERVE_HEAP_BYTES = 256 * 1024 * 1024, /* on large pages: 20,000 connections, and the journal */
};

/* What the command line says. Texts are its own, but for keys and tokens: those are copied, and
 * blotted out where other users of the machine could read them. */
struct serve_options {
    const char *host; /* NULL: 127.0.0.1 */
    uint16_t port;
    uint64_t seed;
    unsigned int threads;
    const char *config_file;
    const char *scenario_file;
    const struct tier *tier; /* or NULL */
    char *api_keys[CONFIG_KEYS_MAX];
    size_t api_key_count;
    const char *tls_certificate_file;
    const char *tls_key_file;
    const char *tls_authority_file; /* where that of a made certificate is written */
    char *admin_token;              /* or NULL */
    const char *journal_file;
    int64_t journal_bytes_max;    /* 0: as large as it gets */
    size_t journal_entries;       /* 0: SERVE_JOURNAL_ENTRIES */
    const char *upstream_url;     /* or NULL */
    const char *upstream_key_env; /* the variable that holds its key, or NULL: the clients' */
    int64_t upstream_timeout_ns;  /* 0: the default */
    const char *record_file;      /* or NULL */
    struct server_bounds bounds;
    enum log_level log_level;
    bool log_is_json;
};

/* Fills *options. CLI_DONE, CLI_USAGE with the reason printed, or -1 when the help was. */
int serve_options_read(struct serve_options *options, int argc, char **argv);
void serve_options_free(struct serve_options *options);

/* What the server is set up to do. */
struct serve_setup {
    struct config config;
    struct scenario scenario;
    bool has_scenario;
};

/* Reads the file that the options name, if they do; what the command line says goes before it.
 * False with the error filled; nothing has to be freed then. */
bool serve_setup_load(struct serve_setup *setup, const struct serve_options *options,
                      struct error *error);
const struct config *serve_setup_config(const struct serve_setup *setup);
void serve_setup_free(struct serve_setup *setup);

struct serve_journal {
    const char *file; /* NULL: none */
    FILE *stream;
    int64_t bytes_max;
    bool is_stdout;
};

bool serve_journal_open(struct serve_journal *journal, const struct serve_options *options,
                        struct error *error);
/* Sets the full file aside as FILE.1, in place of the one there, and begins anew. NULL where that
 * cannot be done. */
FILE *serve_journal_next(void *owner);
/* False where what was still to be written could not be. */
bool serve_journal_close(struct serve_journal *journal);

/* What is recorded is written at the end, and while it runs a while after something has come. */
struct serve_recording {
    const char *file; /* NULL: nothing is recorded */
    struct recorder *recorder;
};

/* Makes the recorder; the keys that the options hold, and `upstream_key` (or NULL), are hidden. */
bool serve_recording_open(struct serve_recording *recording, const struct serve_options *options,
                          const char *upstream_key, struct error *error);
bool serve_recording_write(struct serve_recording *recording, struct error *error);
void serve_recording_free(struct serve_recording *recording);

#endif
