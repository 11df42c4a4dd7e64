#include "mockserver/store.h"

#include "base/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store {
    struct stored_file *files[STORE_FILES_MAX];
    size_t file_count;
    struct batch *batches[STORE_BATCHES_MAX];
    size_t batch_count;
    size_t bytes; /* of files, and of what will be some */
};

struct store *store_new(void)
{
    return calloc(1, sizeof(struct store));
}

static void file_free(struct stored_file *file)
{
    free(file->content);
    free(file);
}

void batch_free(struct batch *batch)
{
    cJSON_Delete(batch->metadata);
    free(batch->lines);
    free(batch->output);
    free(batch->errors);
    *batch = (struct batch){.cancelled_ns = -1};
}

void store_clear(struct store *store)
{
    for (size_t i = 0; i < store->file_count; i++)
        file_free(store->files[i]);
    for (size_t i = 0; i < store->batch_count; i++) {
        batch_free(store->batches[i]);
        free(store->batches[i]);
    }
    *store = (struct store){.file_count = 0};
}

void store_free(struct store *store)
{
    if (store != NULL)
        store_clear(store);
    free(store);
}

/* ---- files ----------------------------------------------------------------------------------- */

static struct stored_file *keep_file(struct store *store, const struct stored_file *file)
{
    struct stored_file *kept = store->file_count < STORE_FILES_MAX ? malloc(sizeof *kept) : NULL;
    if (kept == NULL) {
        free(file->content);
        return NULL;
    }
    *kept = *file;
    store->files[store->file_count++] = kept;
    return kept;
}

struct stored_file *store_add_file(struct store *store, const struct stored_file *file)
{
    if (file->length > STORE_BYTES_MAX - store->bytes) {
        free(file->content);
        return NULL;
    }
    struct stored_file *kept = keep_file(store, file);
    if (kept != NULL)
        store->bytes += file->length;
    return kept;
}

struct stored_file *store_find_file(struct store *store, const char *id)
{
    for (size_t i = 0; i < store->file_count; i++) {
        if (strcmp(store->files[i]->id, id) == 0)
            return store->files[i];
    }
    return NULL;
}

bool store_delete_file(struct store *store, const char *id)
{
    for (size_t i = 0; i < store->file_count; i++) {
        struct stored_file *file = store->files[i];
        if (strcmp(file->id, id) != 0)
            continue;
        store->bytes -= file->length;
        store->file_count--;
        memmove(store->files + i, store->files + i + 1,
                (store->file_count - i) * sizeof(struct stored_file *));
        file_free(file);
        return true;
    }
    return false;
}

const struct stored_file *store_file_at(const struct store *store, size_t index)
{
    return index < store->file_count ? store->files[index] : NULL;
}

/* ---- batches --------------------------------------------------------------------------------- */

static size_t output_length(const struct batch *batch, size_t count)
{
    return count > 0 ? batch->lines[count - 1].output_end : 0;
}

static size_t error_length(const struct batch *batch, size_t count)
{
    return count > 0 ? batch->lines[count - 1].error_end : 0;
}

static size_t all_bytes(const struct batch *batch)
{
    return output_length(batch, batch->line_count) + error_length(batch, batch->line_count);
}

struct batch *store_add_batch(struct store *store, const struct batch *batch)
{
    struct batch *kept = NULL;
    if (store->batch_count < STORE_BATCHES_MAX &&
        all_bytes(batch) <= STORE_BYTES_MAX - store->bytes)
        kept = malloc(sizeof *kept);
    if (kept == NULL) {
        struct batch copy = *batch;
        batch_free(&copy);
        return NULL;
    }
    *kept = *batch;
    store->bytes += all_bytes(batch);
    store->batches[store->batch_count++] = kept;
    return kept;
}

struct batch *store_find_batch(struct store *store, const char *id)
{
    for (size_t i = 0; i < store->batch_count; i++) {
        if (strcmp(store->batches[i]->id, id) == 0)
            return store->batches[i];
    }
    return NULL;
}

const struct batch *store_batch_at(const struct store *store, size_t index)
{
    return index < store->batch_count ? store->batches[index] : NULL;
}

static bool has_failed(const struct batch *batch)
{
    return batch->error.code[0] != '\0';
}

static int64_t tenth(const struct batch *batch)
{
    return batch->duration_ns / 10;
}

/* The moment at which it comes into `status`, were it not cancelled. */
static int64_t begin_of(const struct batch *batch, enum batch_status status)
{
    switch (status) {
    case BATCH_VALIDATING:
        return batch->created_ns;
    case BATCH_FAILED:
    case BATCH_IN_PROGRESS:
        return batch->created_ns + tenth(batch);
    case BATCH_FINALIZING:
        return batch->created_ns + batch->duration_ns - tenth(batch);
    case BATCH_COMPLETED:
        return batch->created_ns + batch->duration_ns;
    case BATCH_CANCELLING:
        return batch->cancelled_ns;
    default:
        return batch->cancelled_ns + tenth(batch);
    }
}

enum batch_status batch_status_at(const struct batch *batch, int64_t now_ns)
{
    if (batch->cancelled_ns >= 0 && now_ns >= batch->cancelled_ns)
        return now_ns > batch->cancelled_ns && now_ns >= begin_of(batch, BATCH_CANCELLED)
                   ? BATCH_CANCELLED
                   : BATCH_CANCELLING;
    if (now_ns <= batch->created_ns || now_ns < begin_of(batch, BATCH_IN_PROGRESS))
        return BATCH_VALIDATING;
    if (has_failed(batch))
        return BATCH_FAILED;
    if (now_ns < begin_of(batch, BATCH_FINALIZING))
        return BATCH_IN_PROGRESS;
    return now_ns < begin_of(batch, BATCH_COMPLETED) ? BATCH_FINALIZING : BATCH_COMPLETED;
}

size_t batch_done_at(const struct batch *batch, int64_t now_ns)
{
    if (batch->cancelled_ns >= 0 && now_ns > batch->cancelled_ns)
        now_ns = batch->cancelled_ns;
    int64_t begin_ns = begin_of(batch, BATCH_IN_PROGRESS);
    int64_t end_ns = begin_of(batch, BATCH_FINALIZING);
    if (has_failed(batch) || now_ns <= batch->created_ns || now_ns < begin_ns)
        return 0;
    if (now_ns >= end_ns)
        return batch->line_count;
    double share = (double)(now_ns - begin_ns) / (double)(end_ns - begin_ns);
    return (size_t)(share * (double)batch->line_count);
}

int64_t batch_since_s(const struct batch *batch, enum batch_status status, int64_t now_ns)
{
    enum batch_status now = batch_status_at(batch, now_ns);
    bool is_of_failure = status == BATCH_FAILED;
    bool is_of_cancel = status == BATCH_CANCELLING || status == BATCH_CANCELLED;
    int64_t begin_ns = begin_of(batch, status);
    if (is_of_cancel ? batch->cancelled_ns < 0
                     : status != BATCH_VALIDATING && is_of_failure != has_failed(batch))
        return -1;
    if (!is_of_cancel && batch->cancelled_ns >= 0 && begin_ns > batch->cancelled_ns)
        return -1;
    if (begin_ns > now_ns || (status != BATCH_VALIDATING && now == BATCH_VALIDATING) ||
        (status == BATCH_CANCELLED && now != BATCH_CANCELLED))
        return -1;
    return (batch->created_wall_ns + (begin_ns - batch->created_ns)) / NS_PER_S;
}

static bool has_ended(const struct batch *batch, int64_t now_ns)
{
    enum batch_status status = batch_status_at(batch, now_ns);
    return status == BATCH_COMPLETED || status == BATCH_CANCELLED || status == BATCH_FAILED;
}

int64_t store_queued_tokens(const struct store *store, uint64_t owner, const char *queue,
                            int64_t now_ns)
{
    int64_t tokens = 0;
    for (size_t i = 0; i < store->batch_count; i++) {
        const struct batch *batch = store->batches[i];
        if (batch->owner == owner && strcmp(batch->queue, queue) == 0 && !has_failed(batch) &&
            !has_ended(batch, now_ns))
            tokens += batch->tokens;
    }
    return tokens;
}

static void publish(struct store *store, struct batch *batch, const char *kind,
                    char id[STORE_ID_SIZE], char **content, size_t length, int64_t now_ns)
{
    struct stored_file file = {.content = *content, .length = length, .purpose = "batch_output"};
    *content = NULL;
    if (length == 0) {
        free(file.content);
        id[0] = '\0';
        return;
    }
    enum batch_status last = batch->cancelled_ns >= 0 ? BATCH_CANCELLED : BATCH_COMPLETED;
    file.created_s = batch_since_s(batch, last, now_ns);
    snprintf(file.id, sizeof file.id, "%s", id);
    snprintf(file.filename, sizeof file.filename, "%s_%s.jsonl", batch->id, kind);
    if (keep_file(store, &file) == NULL)
        id[0] = '\0';
    else
        store->bytes += length;
}

void store_bring_to(struct store *store, int64_t now_ns)
{
    for (size_t i = 0; i < store->batch_count; i++) {
        struct batch *batch = store->batches[i];
        if (batch->is_published || !has_ended(batch, now_ns))
            continue;
        batch->is_published = true;
        store->bytes -= all_bytes(batch);
        size_t done = batch_done_at(batch, now_ns);
        publish(store, batch, "output", batch->output_file_id, &batch->output,
                output_length(batch, done), now_ns);
        publish(store, batch, "error", batch->error_file_id, &batch->errors,
                error_length(batch, done), now_ns);
    }
}
