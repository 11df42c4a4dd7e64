/* /v1/batches, as far as the limit of the batch queue matters: the tokens of all batches of an
 * owner that have not ended, by model ("batch_queue_tokens").
 *
 * A batch is made in any case; what is wrong with it, it tells when it is validated, as OpenAI does
 * it. Batches take nothing of the other quotas. */
#include "base/digest.h"
#include "base/duration.h"
#include "mockserver/api.h"
#include "mockserver/batch_work.h"
#include "mockserver/endpoint.h"
#include "mockserver/openai_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_text(cJSON *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        cJSON_AddStringToObject(object, name, text);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_time(cJSON *object, const char *name, int64_t time_s)
{
    if (time_s >= 0)
        cJSON_AddNumberToObject(object, name, (double)time_s);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_errors(cJSON *root, const struct batch_error *error)
{
    cJSON *errors = cJSON_AddObjectToObject(root, "errors");
    cJSON_AddStringToObject(errors, "object", "list");
    cJSON *one = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(errors, "data"), one);
    cJSON_AddStringToObject(one, "code", error->code);
    cJSON_AddStringToObject(one, "message", error->message);
    add_text(one, "param", error->param);
    if (error->line > 0)
        cJSON_AddNumberToObject(one, "line", (double)error->line);
    else
        cJSON_AddNullToObject(one, "line");
}

static void add_counts(cJSON *root, const struct batch *batch, int64_t now_ns)
{
    size_t done = batch_done_at(batch, now_ns);
    size_t failed = 0;
    int64_t input_tokens = 0;
    int64_t output_tokens = 0;
    for (size_t i = 0; i < done; i++) {
        const struct batch_line *line = &batch->lines[i];
        failed += line->error_end > (i > 0 ? batch->lines[i - 1].error_end : 0);
        input_tokens += line->input_tokens;
        output_tokens += line->output_tokens;
    }
    bool is_validated = batch_since_s(batch, BATCH_IN_PROGRESS, now_ns) >= 0;
    cJSON *counts = cJSON_AddObjectToObject(root, "request_counts");
    cJSON_AddNumberToObject(counts, "total", is_validated ? (double)batch->line_count : 0);
    cJSON_AddNumberToObject(counts, "completed", (double)(done - failed));
    cJSON_AddNumberToObject(counts, "failed", (double)failed);
    cJSON *usage = cJSON_AddObjectToObject(root, "usage");
    cJSON_AddNumberToObject(usage, "input_tokens", (double)input_tokens);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(usage, "input_tokens_details"), "cached_tokens",
                            0);
    cJSON_AddNumberToObject(usage, "output_tokens", (double)output_tokens);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(usage, "output_tokens_details"),
                            "reasoning_tokens", 0);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)(input_tokens + output_tokens));
}

static cJSON *batch_object(const struct batch *batch, int64_t now_ns)
{
    static const char *const names[] = {
        [BATCH_VALIDATING] = "validating",   [BATCH_FAILED] = "failed",
        [BATCH_IN_PROGRESS] = "in_progress", [BATCH_FINALIZING] = "finalizing",
        [BATCH_COMPLETED] = "completed",     [BATCH_CANCELLING] = "cancelling",
        [BATCH_CANCELLED] = "cancelled"};
    enum batch_status status = batch_status_at(batch, now_ns);
    int64_t created_s = batch_since_s(batch, BATCH_VALIDATING, now_ns);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", batch->id);
    cJSON_AddStringToObject(root, "object", "batch");
    cJSON_AddStringToObject(root, "endpoint", batch->endpoint);
    add_text(root, "model", batch->model);
    if (status == BATCH_FAILED)
        add_errors(root, &batch->error);
    else
        cJSON_AddNullToObject(root, "errors");
    cJSON_AddStringToObject(root, "input_file_id", batch->input_file_id);
    cJSON_AddStringToObject(root, "completion_window", batch->window);
    cJSON_AddStringToObject(root, "status", names[status]);
    add_text(root, "output_file_id", batch->is_published ? batch->output_file_id : "");
    add_text(root, "error_file_id", batch->is_published ? batch->error_file_id : "");
    cJSON_AddNumberToObject(root, "created_at", (double)created_s);
    add_time(root, "in_progress_at", batch_since_s(batch, BATCH_IN_PROGRESS, now_ns));
    add_time(root, "expires_at", created_s + NS_PER_DAY / NS_PER_S);
    add_time(root, "finalizing_at", batch_since_s(batch, BATCH_FINALIZING, now_ns));
    add_time(root, "completed_at", batch_since_s(batch, BATCH_COMPLETED, now_ns));
    add_time(root, "failed_at", batch_since_s(batch, BATCH_FAILED, now_ns));
    cJSON_AddNullToObject(root, "expired_at");
    add_time(root, "cancelling_at", batch_since_s(batch, BATCH_CANCELLING, now_ns));
    add_time(root, "cancelled_at", batch_since_s(batch, BATCH_CANCELLED, now_ns));
    add_counts(root, batch, now_ns);
    cJSON_AddItemToObject(root, "metadata",
                          batch->metadata != NULL ? cJSON_Duplicate(batch->metadata, true)
                                                  : cJSON_CreateNull());
    return root;
}

/* Whether a batch can ask this: an endpoint that asks a model and answers in JSON. */
static bool is_for_batches(const char *path)
{
    static const char *const others[] = {"/v1/images/generations", "/v1/audio/speech"};
    char id[ENDPOINT_ID_SIZE];
    const char *allowed;
    const struct endpoint *endpoint = endpoint_find("POST", path, id, &allowed);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(path, others[i]) == 0)
            return false;
    }
    return endpoint != NULL && endpoint->read != NULL;
}

static const char *text_member(const struct endpoint_call *call, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->root, name);
    return cJSON_IsString(item) && strlen(item->valuestring) < STORE_ID_SIZE ? item->valuestring
                                                                             : NULL;
}

/* Reads the body. False when it is wrong, which the answer then says. */
static bool read_batch(struct endpoint_call *call, struct batch *batch)
{
    static const char *const needed[] = {"input_file_id", "endpoint", "completion_window"};
    if (!endpoint_read_body(call, ""))
        return false;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (text_member(call, needed[i]) == NULL)
            return endpoint_refuse_missing(call, needed[i]);
    }
    const char *endpoint = text_member(call, "endpoint");
    const char *window = text_member(call, "completion_window");
    if (!is_for_batches(endpoint))
        return endpoint_refuse(call->answer, 400,
                               "Invalid value for 'endpoint': no batch can ask it.",
                               "invalid_value", "endpoint");
    if (strcmp(window, "24h") != 0)
        return endpoint_refuse(
            call->answer, 400,
            "Invalid value for 'completion_window'. Supported values are: '24h'.", "invalid_value",
            "completion_window");
    snprintf(batch->endpoint, sizeof batch->endpoint, "%s", endpoint);
    snprintf(batch->window, sizeof batch->window, "%s", window);
    snprintf(batch->input_file_id, sizeof batch->input_file_id, "%s",
             text_member(call, "input_file_id"));
    return true;
}

/* 900000 as "900,000". */
static const char *with_commas(int64_t number, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, number);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

/* It fails where the queue has no room for it. */
static void enqueue(struct endpoint_call *call, struct batch *batch)
{
    const struct api *api = call->api;
    struct quota_limits limits = pools_limits(api->pools, batch->model);
    snprintf(batch->queue, sizeof batch->queue, "%s", pools_shared_name(api->pools, batch->model));
    batch->owner = digest_bytes(call->owner, strlen(call->owner));
    if (batch->error.code[0] != '\0' || limits.batch_queue_tokens == QUOTA_UNLIMITED)
        return;
    int64_t queued = store_queued_tokens(api->store, batch->owner, batch->queue, call->now_ns);
    if (queued + batch->tokens <= limits.batch_queue_tokens)
        return;
    /* As OpenAI's batches say it (many logs, of 2024 to 2026). */
    char limit[32];
    snprintf(batch->error.code, sizeof batch->error.code, "token_limit_exceeded");
    snprintf(batch->error.message, sizeof batch->error.message,
             "Enqueued token limit reached for %.95s in organization %.64s. Limit: %s enqueued "
             "tokens.",
             batch->model, call->names.organization, with_commas(limits.batch_queue_tokens, limit));
}

void endpoint_batches_create(struct endpoint_call *call)
{
    struct api *api = call->api;
    struct batch batch = {
        .created_ns = call->now_ns,
        .created_wall_ns = call->wall_ns,
        .duration_ns = api->config->batch_duration_ns,
        .cancelled_ns = -1,
    };
    if (!read_batch(call, &batch))
        return;
    const struct stored_file *input = store_find_file(api->store, batch.input_file_id);
    if (input == NULL || strcmp(input->purpose, "batch") != 0) {
        char message[ENDPOINT_ID_SIZE + 64];
        snprintf(message, sizeof message, "Invalid 'input_file_id': no file %s for batches.",
                 batch.input_file_id);
        endpoint_refuse(call->answer, 400, message, "invalid_value", "input_file_id");
        return;
    }
    endpoint_object_id(batch.id, "batch_", call->bits, 0);
    endpoint_object_id(batch.output_file_id, "file-", call->bits, 1);
    endpoint_object_id(batch.error_file_id, "file-", call->bits, 2);
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(call->root, "metadata");
    if (cJSON_IsObject(metadata))
        batch.metadata = cJSON_Duplicate(metadata, true);
    const struct batch *kept = NULL;
    if (batch_work(&batch, api, input, call->bits)) {
        enqueue(call, &batch);
        kept = store_add_batch(api->store, &batch);
    } else {
        batch_free(&batch);
    }
    if (kept == NULL)
        endpoint_refuse_full(call);
    else
        endpoint_answer_json(call, batch_object(kept, call->now_ns));
}

void endpoint_batches_list(struct endpoint_call *call)
{
    const struct store *store = call->api->store;
    struct endpoint_page page;
    if (!endpoint_read_page(call, &page))
        return;
    size_t count = 0;
    while (store_batch_at(store, count) != NULL)
        count++;
    cJSON *data = cJSON_CreateArray();
    for (size_t i = count; i > 0; i--) { /* the newest first */
        const struct batch *batch = store_batch_at(store, i - 1);
        if (endpoint_page_takes(&page, batch->id))
            cJSON_AddItemToArray(data, batch_object(batch, call->now_ns));
    }
    endpoint_answer_page(call, &page, data);
}

/* The batch of the call's id; NULL when there is none, which the answer then says. */
static struct batch *find_batch(struct endpoint_call *call)
{
    struct batch *batch = store_find_batch(call->api->store, call->id);
    if (batch != NULL)
        return batch;
    char message[ENDPOINT_ID_SIZE + 32];
    snprintf(message, sizeof message, "No batch found with id '%s'.", call->id);
    endpoint_refuse(call->answer, 404, message, NULL, NULL);
    return NULL;
}

void endpoint_batches_get(struct endpoint_call *call)
{
    const struct batch *batch = find_batch(call);
    if (batch != NULL)
        endpoint_answer_json(call, batch_object(batch, call->now_ns));
}

void endpoint_batches_cancel(struct endpoint_call *call)
{
    struct batch *batch = find_batch(call);
    if (batch == NULL)
        return;
    enum batch_status status = batch_status_at(batch, call->now_ns);
    bool is_over = status == BATCH_COMPLETED || status == BATCH_CANCELLED || status == BATCH_FAILED;
    if (is_over) {
        endpoint_refuse(call->answer, 409, "Cannot cancel a batch that has ended.", NULL, NULL);
        return;
    }
    if (batch->cancelled_ns < 0)
        batch->cancelled_ns = call->now_ns;
    endpoint_answer_json(call, batch_object(batch, call->now_ns));
}
