/* GET /v1/fine_tuning/jobs, to read only: one job that has succeeded for each fine-tuned model of
 * the set-up, and none else. */
#include "base/digest.h"
#include "mockserver/api.h"
#include "mockserver/endpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 2024-07-16 as for the models, and an hour later. */
static const double JOB_CREATED_S = 1721172741;
static const double JOB_FINISHED_S = 1721176341;

/* ft:BASE:ORGANISATION:... */
static void add_job(cJSON *data, const char *model, const char *organization)
{
    if (strncmp(model, "ft:", 3) != 0)
        return;
    char id[64];
    char base[96];
    snprintf(id, sizeof id, "ftjob-%016" PRIx64, digest_bytes(model, strlen(model)));
    snprintf(base, sizeof base, "%.*s", (int)strcspn(model + 3, ":"), model + 3);
    const cJSON *one;
    cJSON_ArrayForEach (one, data) {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(one, "id")->valuestring, id) == 0)
            return;
    }
    cJSON *job = cJSON_CreateObject();
    cJSON_AddItemToArray(data, job);
    cJSON_AddStringToObject(job, "object", "fine_tuning.job");
    cJSON_AddStringToObject(job, "id", id);
    cJSON_AddStringToObject(job, "model", base);
    cJSON_AddNumberToObject(job, "created_at", JOB_CREATED_S);
    cJSON_AddNumberToObject(job, "finished_at", JOB_FINISHED_S);
    cJSON_AddStringToObject(job, "fine_tuned_model", model);
    cJSON_AddStringToObject(job, "organization_id", organization);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(job, "result_files"),
                         cJSON_CreateString("file-results"));
    cJSON_AddStringToObject(job, "status", "succeeded");
    cJSON_AddNullToObject(job, "validation_file");
    cJSON_AddStringToObject(job, "training_file", "file-training");
    cJSON *numbers = cJSON_AddObjectToObject(job, "hyperparameters");
    cJSON_AddNumberToObject(numbers, "n_epochs", 3);
    cJSON_AddNumberToObject(numbers, "batch_size", 1);
    cJSON_AddNumberToObject(numbers, "learning_rate_multiplier", 1.8);
    cJSON_AddNumberToObject(job, "trained_tokens", 5768);
    cJSON_AddNullToObject(job, "error");
    cJSON_AddNumberToObject(job, "seed", 0);
    cJSON_AddNullToObject(job, "estimated_finish");
    cJSON_AddArrayToObject(job, "integrations");
    cJSON_AddNullToObject(job, "user_provided_suffix");
}

static cJSON *all_jobs(const struct endpoint_call *call)
{
    const struct config *config = call->api->config;
    const char *organization = call->names.organization;
    cJSON *data = cJSON_CreateArray();
    for (size_t i = 0; i < config->model_count; i++)
        add_job(data, config->models[i].id, organization);
    for (size_t i = 0; i < config->quotas.count; i++)
        add_job(data, config->quotas.items[i].model, organization);
    return data;
}

void endpoint_fine_tuning_list(struct endpoint_call *call)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "list");
    cJSON_AddItemToObject(root, "data", all_jobs(call));
    cJSON_AddFalseToObject(root, "has_more");
    endpoint_answer_json(call, root);
}

/* The job of the call's id, out of `jobs`; when there is none, the answer says so. */
static cJSON *take_job(struct endpoint_call *call, cJSON *jobs)
{
    cJSON *job;
    cJSON_ArrayForEach (job, jobs) {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(job, "id")->valuestring, call->id) == 0)
            return cJSON_DetachItemViaPointer(jobs, job);
    }
    char message[ENDPOINT_ID_SIZE + 64];
    snprintf(message, sizeof message, "Could not find fine tune: %s", call->id);
    endpoint_refuse(call->answer, 404, message, "fine_tune_not_found", "fine_tune_id");
    return NULL;
}

void endpoint_fine_tuning_get(struct endpoint_call *call)
{
    cJSON *jobs = all_jobs(call);
    cJSON *job = take_job(call, jobs);
    if (job != NULL)
        endpoint_answer_json(call, job);
    cJSON_Delete(jobs);
}

/* Also the checkpoints: of neither is anything kept. */
void endpoint_fine_tuning_events(struct endpoint_call *call)
{
    cJSON *jobs = all_jobs(call);
    cJSON *job = take_job(call, jobs);
    if (job != NULL)
        endpoint_answer_json(call, endpoint_list(cJSON_CreateArray()));
    cJSON_Delete(job);
    cJSON_Delete(jobs);
}
