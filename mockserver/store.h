/* store: the files and batches that clients have made, kept in memory as long as the server runs.
 *
 * A batch is worked on while time passes, and nobody has to look: what it is at a moment follows
 * from when it was made (status), and what comes out of it is made with it, and becomes a file
 * when its time has come (store_bring_to).
 *
 *     made          validating, for a tenth of its duration
 *     then          failed; or in_progress, one request after the other, for eight tenths
 *     then          finalizing, for the last tenth; then completed
 *     cancelled     cancelling, for a tenth of its duration; then cancelled, with what was done
 */
#ifndef TOOMANY_MOCKSERVER_STORE_H
#define TOOMANY_MOCKSERVER_STORE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_FILES_MAX = 1000,
    STORE_BATCHES_MAX = 1000,
    STORE_BYTES_MAX = 64 * 1024 * 1024, /* eight bodies as large as the server reads them */
    STORE_ID_SIZE = 64,
    STORE_FILENAME_SIZE = 256,
    STORE_PURPOSE_SIZE = 32,
    STORE_ENDPOINT_SIZE = 64,
    STORE_ERROR_CODE_SIZE = 40,
};

struct stored_file {
    char id[STORE_ID_SIZE];
    char filename[STORE_FILENAME_SIZE];
    char purpose[STORE_PURPOSE_SIZE];
    char *content; /* owned */
    size_t length;
    int64_t created_s; /* Unix time */
};

enum batch_status {
    BATCH_VALIDATING,
    BATCH_FAILED,
    BATCH_IN_PROGRESS,
    BATCH_FINALIZING,
    BATCH_COMPLETED,
    BATCH_CANCELLING,
    BATCH_CANCELLED,
};

/* What one request of a batch has left behind. */
struct batch_line {
    size_t output_end; /* of the output file up to and with it */
    size_t error_end;  /* likewise of the error file */
    int64_t input_tokens;
    int64_t output_tokens;
};

/* Why it is not worked on. */
struct batch_error {
    char code[STORE_ERROR_CODE_SIZE]; /* "": nothing is wrong */
    char message[320];
    char param[32]; /* "": null */
    int64_t line;   /* from 1; 0: null */
};

struct batch {
    char id[STORE_ID_SIZE];
    char endpoint[STORE_ENDPOINT_SIZE];
    char input_file_id[STORE_ID_SIZE];
    char output_file_id[STORE_ID_SIZE];
    char error_file_id[STORE_ID_SIZE];
    char window[16];
    char model[96];
    char queue[96];  /* the name of the limit whose tokens it takes */
    cJSON *metadata; /* owned; NULL: null */
    uint64_t owner;  /* a hash: whose queue it is in */
    int64_t tokens;  /* that it takes of it, until it ends */
    int64_t created_ns;
    int64_t created_wall_ns; /* the same as Unix time */
    int64_t duration_ns;
    int64_t cancelled_ns; /* -1: it is not */
    struct batch_error error;
    struct batch_line *lines; /* owned */
    size_t line_count;
    char *output; /* owned, until it is a file */
    char *errors; /* likewise */
    bool is_published;
};

struct store; /* opaque */

/* NULL when memory is out. */
struct store *store_new(void);
void store_free(struct store *store);
void store_clear(struct store *store);

/* Takes over `content`, which is allocated with malloc. NULL, and content freed, when there is no
 * room for it. */
struct stored_file *store_add_file(struct store *store, const struct stored_file *file);
struct stored_file *store_find_file(struct store *store, const char *id);
/* False when there is none. */
bool store_delete_file(struct store *store, const char *id);
/* In the order in which they were made; NULL behind the last. */
const struct stored_file *store_file_at(const struct store *store, size_t index);

/* Takes over what `batch` owns; NULL, and that freed, when there is no room. */
struct batch *store_add_batch(struct store *store, const struct batch *batch);
struct batch *store_find_batch(struct store *store, const char *id);
const struct batch *store_batch_at(const struct store *store, size_t index);
void batch_free(struct batch *batch);

enum batch_status batch_status_at(const struct batch *batch, int64_t now_ns);
/* Requests that have been worked on by then. */
size_t batch_done_at(const struct batch *batch, int64_t now_ns);
/* When it came into `status`, as Unix time in s; -1: it has not by now. */
int64_t batch_since_s(const struct batch *batch, enum batch_status status, int64_t now_ns);

/* Tokens that `owner` has in this queue at now_ns. */
int64_t store_queued_tokens(const struct store *store, uint64_t owner, const char *queue,
                            int64_t now_ns);

/* Makes the files of the batches that have ended by now. */
void store_bring_to(struct store *store, int64_t now_ns);

#endif
