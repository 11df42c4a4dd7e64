#include "mockserver/batch_work.h"

#include "base/duration.h"
#include "base/json.h"
#include "base/random.h"
#include "mockserver/endpoint.h"
#include "mockserver/openai_error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line of the input file. */
struct request_line {
    char *custom_id; /* owned */
    int64_t number;  /* of the line, from 1 */
};

struct work {
    struct batch *batch;
    struct api *api;
    const struct endpoint *endpoint;
    struct random random;
    struct request_line *requests; /* owned */
    size_t capacity;
    FILE *output;
    FILE *errors;
    size_t output_length; /* of what the streams have written, after a flush */
    size_t error_length;
};

__attribute__((format(printf, 5, 6))) static bool
fail(struct work *work, const char *code, const char *param, int64_t line, const char *format, ...)
{
    struct batch_error *error = &work->batch->error;
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->param, sizeof error->param, "%s", param);
    error->line = line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return false;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* A line that is no object: no JSON, or none that is read here. */
static bool refuse_text(struct work *work, const cJSON *root, const char *text, size_t length,
                        int64_t number)
{
    char unread[JSON_UNREAD_SIZE];
    if (root == NULL && json_is_unread(text, length, unread))
        return fail(work, "invalid_json_line", "", number,
                    "This mock server does not read JSON with %s.", unread);
    return fail(work, "invalid_json_line", "", number, "This line is not parseable as valid JSON.");
}

/* The codes are those that stdapi-ai/stdapi.ai#240 lists; the message of invalid_json_line is its,
 * the words of the others are ours. */
static bool check_line(struct work *work, const cJSON *root, int64_t number)
{
    static const char *const needed[] = {"custom_id", "method", "url"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (text_of(root, needed[i]) == NULL)
            return fail(work, "missing_required_parameter", needed[i], number,
                        "Missing required parameter: '%s'.", needed[i]);
    }
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(root, "body");
    if (!cJSON_IsObject(body))
        return fail(work, "missing_required_parameter", "body", number,
                    "Missing required parameter: 'body'.");
    if (strcmp(text_of(root, "method"), "POST") != 0 ||
        strcmp(text_of(root, "url"), work->batch->endpoint) != 0)
        return fail(work, "url_mismatch", "url", number,
                    "The URL of this request is not the endpoint of the batch, %s.",
                    work->batch->endpoint);
    const char *model = text_of(body, "model");
    if (work->batch->model[0] == '\0' && model != NULL)
        snprintf(work->batch->model, sizeof work->batch->model, "%s", model);
    if (model != NULL && strncmp(work->batch->model, model, sizeof work->batch->model - 1) != 0)
        return fail(work, "model_mismatch", "body.model", number,
                    "All requests of a batch are to ask the same model; this one asks %.95s, the "
                    "first one %.95s.",
                    model, work->batch->model);
    return true;
}

static void write_answer(struct work *work, const char *custom_id, const struct answer *answer)
{
    char id[ENDPOINT_OBJECT_ID_SIZE];
    char request_id[ENDPOINT_OBJECT_ID_SIZE];
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "id",
                            endpoint_object_id(id, "batch_req_", random_bits(&work->random), 0));
    cJSON_AddStringToObject(line, "custom_id", custom_id);
    cJSON *response = cJSON_AddObjectToObject(line, "response");
    cJSON_AddNumberToObject(response, "status_code", answer->status);
    cJSON_AddStringToObject(response, "request_id",
                            endpoint_object_id(request_id, "", random_bits(&work->random), 0));
    cJSON *body = cJSON_ParseWithLength(answer->body != NULL ? answer->body : "{}",
                                        answer->body != NULL ? answer->body_length : 2);
    cJSON_AddItemToObject(response, "body", body != NULL ? body : cJSON_CreateObject());
    cJSON_AddNullToObject(line, "error");
    char *text = cJSON_PrintUnformatted(line);
    FILE *stream = answer->status < 400 ? work->output : work->errors;
    fprintf(stream, "%s\n", text != NULL ? text : "{}");
    free(text);
    cJSON_Delete(line);
}

/* Asks the endpoint. Its tokens go into the batch and into `done`. */
static void answer_request(struct work *work, const cJSON *root, struct batch_line *done)
{
    char *body = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(root, "body"));
    struct api_request request = {
        .method = "POST",
        .path = work->batch->endpoint,
        .body = body != NULL ? body : "",
        .body_length = body != NULL ? strlen(body) : 0,
    };
    struct answer answer;
    struct endpoint_call call = {
        .api = work->api,
        .request = &request,
        .tokens_max = -1,
        .answer = &answer,
        .bits = random_bits(&work->random),
        .created_s = (work->batch->created_wall_ns + work->batch->duration_ns) / NS_PER_S,
    };
    answer_init(&answer, 200);
    if (work->endpoint->read(&call)) {
        call.is_streamed = false;
        call.content = api_content_of(work->api, call.model);
        work->batch->tokens += call.tokens;
        if (api_serves_model(work->api, call.model)) {
            answer_free(&answer);
            answer_init(&answer, 200);
            work->endpoint->make(&call);
            done->input_tokens = endpoint_prompt_tokens(&call);
            done->output_tokens = call.spoken_tokens;
        } else {
            openai_error_answer_kind(&answer, openai_error_find("model_not_found"),
                                     &(struct openai_names){.model = call.model}, -1);
        }
    }
    write_answer(work, text_of(root, "custom_id"), &answer);
    endpoint_call_free(&call);
    answer_free(&answer);
    free(body);
}

static bool grow(struct work *work)
{
    size_t capacity = work->capacity > 0 ? 2 * work->capacity : 64;
    struct request_line *requests = realloc(work->requests, capacity * sizeof *requests);
    if (requests == NULL)
        return false;
    work->requests = requests;
    struct batch_line *lines = realloc(work->batch->lines, capacity * sizeof *lines);
    if (lines == NULL)
        return false;
    work->batch->lines = lines;
    work->capacity = capacity;
    return true;
}

/* Returns false when memory is out; what is wrong with the file stands in the batch's error. */
static bool do_line(struct work *work, const char *text, size_t length, int64_t number)
{
    struct batch *batch = work->batch;
    cJSON *root = json_parse(text, length, "line", NULL);
    if (batch->line_count == BATCH_REQUESTS_MAX) {
        cJSON_Delete(root);
        fail(work, "too_many_tasks", "", number, "A batch has at most %d requests.",
             BATCH_REQUESTS_MAX);
        return true;
    }
    bool is_good = cJSON_IsObject(root) ? check_line(work, root, number)
                                        : refuse_text(work, root, text, length, number);
    if (!is_good) {
        cJSON_Delete(root);
        return true;
    }
    if (batch->line_count == work->capacity && !grow(work)) {
        cJSON_Delete(root);
        return false;
    }
    struct batch_line *done = &batch->lines[batch->line_count];
    struct request_line *request = &work->requests[batch->line_count];
    *done = (struct batch_line){.output_end = 0};
    *request = (struct request_line){strdup(text_of(root, "custom_id")), number};
    batch->line_count++;
    answer_request(work, root, done);
    fflush(work->output);
    fflush(work->errors);
    done->output_end = work->output_length;
    done->error_end = work->error_length;
    cJSON_Delete(root);
    return request->custom_id != NULL;
}

static bool do_lines(struct work *work, const struct stored_file *input)
{
    int64_t number = 0;
    const char *end = input->content + input->length;
    for (const char *at = input->content; at < end && work->batch->error.code[0] == '\0';) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((line_end != NULL ? line_end : end) - at);
        number++;
        bool is_blank = strspn(at, " \t\r") >= length;
        if (!is_blank && !do_line(work, at, length, number))
            return false;
        at += length + 1;
    }
    if (work->batch->error.code[0] == '\0' && work->batch->line_count == 0)
        fail(work, "empty_file", "", 0, "The input file has no request in it.");
    return true;
}

static int compare_requests(const void *a, const void *b)
{
    const struct request_line *first = a;
    const struct request_line *second = b;
    int order = strcmp(first->custom_id, second->custom_id);
    return order != 0 ? order : (first->number > second->number) - (first->number < second->number);
}

static void check_unique(struct work *work)
{
    size_t count = work->batch->line_count;
    if (count == 0 || work->batch->error.code[0] != '\0')
        return;
    qsort(work->requests, count, sizeof work->requests[0], compare_requests);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(work->requests[i - 1].custom_id, work->requests[i].custom_id) == 0) {
            fail(work, "duplicate_custom_id", "custom_id", work->requests[i].number,
                 "The custom_id of this request is that of another one.");
            return;
        }
    }
}

bool batch_work(struct batch *batch, struct api *api, const struct stored_file *input,
                uint64_t bits)
{
    char id[ENDPOINT_ID_SIZE];
    const char *allowed;
    struct work work = {.batch = batch, .api = api};
    work.endpoint = endpoint_find("POST", batch->endpoint, id, &allowed);
    random_seed(&work.random, bits, 0);
    work.output = open_memstream(&batch->output, &work.output_length);
    work.errors = open_memstream(&batch->errors, &work.error_length);
    bool is_done = work.output != NULL && work.errors != NULL && do_lines(&work, input);
    if (is_done)
        check_unique(&work);
    is_done &= work.output == NULL || fclose(work.output) == 0;
    is_done &= work.errors == NULL || fclose(work.errors) == 0;
    for (size_t i = 0; i < batch->line_count; i++)
        free(work.requests[i].custom_id);
    free(work.requests);
    return is_done;
}
