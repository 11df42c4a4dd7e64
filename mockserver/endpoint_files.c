/* /v1/files: uploaded as multipart/form-data, listed, read and deleted. A file for
 * batches has to be named .jsonl, as OpenAI demands. */
#include "base/duration.h"
#include "base/json_text.h"
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "mockserver/multipart.h"
#include "mockserver/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t FILE_LIFE_S =
    30 * NS_PER_DAY / NS_PER_S; /* as captured for those of batches */

static cJSON *file_object(const struct stored_file *file)
{
    bool expires = strcmp(file->purpose, "batch") == 0;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", file->id);
    cJSON_AddStringToObject(root, "object", "file");
    cJSON_AddNumberToObject(root, "bytes", (double)file->length);
    cJSON_AddNumberToObject(root, "created_at", (double)file->created_s);
    cJSON_AddStringToObject(root, "filename", file->filename);
    cJSON_AddStringToObject(root, "purpose", file->purpose);
    cJSON_AddStringToObject(root, "status", "processed");
    if (expires)
        cJSON_AddNumberToObject(root, "expires_at", (double)(file->created_s + FILE_LIFE_S));
    else
        cJSON_AddNullToObject(root, "expires_at");
    cJSON_AddNullToObject(root, "status_details");
    return root;
}

/* What came in the form. */
struct form {
    char purpose[STORE_PURPOSE_SIZE];
    char filename[STORE_FILENAME_SIZE];
    const char *content;
    size_t length;
};

static bool read_form(struct endpoint_call *call, struct form *form)
{
    const struct api_request *request = call->request;
    struct multipart reader;
    struct multipart_part part;
    *form = (struct form){.content = NULL};
    if (!multipart_start(&reader, api_request_header(request, "content-type"), request->body,
                         request->body_length))
        return endpoint_refuse(call->answer, 400,
                               "Could not parse multipart form: a body of multipart/form-data with "
                               "its boundary is expected.",
                               NULL, NULL);
    while (multipart_next(&reader, &part)) {
        if (strcmp(part.name, "file") == 0) {
            form->content = part.data;
            form->length = part.length;
            snprintf(form->filename, sizeof form->filename, "%s",
                     part.filename[0] != '\0' ? part.filename : "file");
            json_make_utf8(form->filename);
        } else if (strcmp(part.name, "purpose") == 0) {
            size_t length = part.length < STORE_PURPOSE_SIZE ? part.length : STORE_PURPOSE_SIZE - 1;
            snprintf(form->purpose, sizeof form->purpose, "%.*s", (int)length, part.data);
            json_make_utf8(form->purpose);
        }
    }
    if (reader.is_broken)
        return endpoint_refuse(call->answer, 400,
                               "Could not parse multipart form: it ends before its last boundary, "
                               "or a part has no name.",
                               NULL, NULL);
    return true;
}

/* The words: orhanerday/open-ai#100, with today's purposes. */
static bool check_purpose(struct endpoint_call *call, const char *purpose)
{
    static const char *const purposes[] = {"assistants", "batch",     "fine-tune",
                                           "vision",     "user_data", "evals"};
    for (size_t i = 0; i < sizeof purposes / sizeof purposes[0]; i++) {
        if (strcmp(purpose, purposes[i]) == 0)
            return true;
    }
    char message[STORE_PURPOSE_SIZE + 128];
    snprintf(message, sizeof message,
             "'%s' is not one of ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', "
             "'evals'] - 'purpose'",
             purpose);
    return endpoint_refuse(call->answer, 400, message, NULL, NULL);
}

static bool check_form(struct endpoint_call *call, const struct form *form)
{
    if (form->content == NULL)
        return endpoint_refuse_missing(call, "file");
    if (form->purpose[0] == '\0')
        return endpoint_refuse_missing(call, "purpose");
    if (!check_purpose(call, form->purpose))
        return false;
    const char *ending = strrchr(form->filename, '.');
    /* BerriAI/litellm#37527 */
    if (strcmp(form->purpose, "batch") == 0 && (ending == NULL || strcmp(ending, ".jsonl") != 0))
        return endpoint_refuse(call->answer, 400,
                               "Invalid file format for Batch API. Must be .jsonl", NULL, NULL);
    return true;
}

void endpoint_files_create(struct endpoint_call *call)
{
    struct form form;
    if (!read_form(call, &form) || !check_form(call, &form))
        return;
    struct stored_file file = {
        .content = malloc(form.length + 1), .length = form.length, .created_s = call->created_s};
    endpoint_object_id(file.id, "file-", call->bits, 0);
    snprintf(file.filename, sizeof file.filename, "%s", form.filename);
    snprintf(file.purpose, sizeof file.purpose, "%s", form.purpose);
    const struct stored_file *kept = NULL;
    if (file.content != NULL) {
        memcpy(file.content, form.content, form.length);
        file.content[form.length] = '\0';
        kept = store_add_file(call->api->store, &file);
    }
    if (kept == NULL)
        endpoint_refuse_full(call);
    else
        endpoint_answer_json(call, file_object(kept));
}

void endpoint_files_list(struct endpoint_call *call)
{
    const struct store *store = call->api->store;
    const char *purpose = endpoint_argument(call, "purpose");
    struct endpoint_page page;
    if (!endpoint_read_page(call, &page))
        return;
    cJSON *data = cJSON_CreateArray();
    size_t count = 0;
    while (store_file_at(store, count) != NULL)
        count++;
    for (size_t i = 0; i < count; i++) {
        /* OpenAI's default order: the newest first. */
        const struct stored_file *file =
            store_file_at(store, page.is_ascending ? i : count - 1 - i);
        if ((purpose == NULL || strcmp(purpose, file->purpose) == 0) &&
            endpoint_page_takes(&page, file->id))
            cJSON_AddItemToArray(data, file_object(file));
    }
    endpoint_answer_page(call, &page, data);
}

/* The file of the call's id; NULL when there is none, which the answer then says. */
static const struct stored_file *find_file(struct endpoint_call *call)
{
    const struct stored_file *file = store_find_file(call->api->store, call->id);
    if (file != NULL)
        return file;
    char message[ENDPOINT_ID_SIZE + 32];
    snprintf(message, sizeof message, "No such File object: %s", call->id);
    endpoint_refuse(call->answer, 404, message, NULL, "id");
    return NULL;
}

void endpoint_files_get(struct endpoint_call *call)
{
    const struct stored_file *file = find_file(call);
    if (file != NULL)
        endpoint_answer_json(call, file_object(file));
}

void endpoint_files_content(struct endpoint_call *call)
{
    const struct stored_file *file = find_file(call);
    if (file == NULL)
        return;
    char *copy = malloc(file->length + 1);
    if (copy != NULL)
        memcpy(copy, file->content, file->length);
    answer_header(call->answer, "content-type", "application/octet-stream");
    answer_body_bytes(call->answer, copy, file->length);
}

void endpoint_files_delete(struct endpoint_call *call)
{
    if (find_file(call) == NULL)
        return;
    store_delete_file(call->api->store, call->id);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", call->id);
    cJSON_AddStringToObject(root, "object", "file");
    cJSON_AddTrueToObject(root, "deleted");
    endpoint_answer_json(call, root);
}
