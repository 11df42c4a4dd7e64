#include "mockserver/recorder.h"

#include "base/duration.h"
#include "base/json_text.h"
#include "mockserver/script.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SECRETS_MAX = 200, PIECES_MAX = 100000 };

struct recording {
    char *body;
    size_t length;
    size_t capacity;
    struct answer_piece *pieces; /* due_ns is the time on the clock at first */
    size_t piece_count;
    size_t piece_capacity;
    struct script_header headers[SCRIPT_HEADERS_MAX];
    size_t header_count;
    bool is_own; /* the pieces' times count from the beginning of the answer */
    bool is_incomplete;
};

struct step {
    uint64_t sequence;
    char *json;
};

struct recorder {
    struct step *steps;
    size_t count;
    size_t capacity;
    size_t left_out;
    size_t bytes;
    char *secrets[SECRETS_MAX];
    size_t secret_count;
    bool has_news;
};

struct recorder *recorder_new(void)
{
    return calloc(1, sizeof(struct recorder));
}

void recorder_free(struct recorder *recorder)
{
    if (recorder == NULL)
        return;
    for (size_t i = 0; i < recorder->count; i++)
        free(recorder->steps[i].json);
    for (size_t i = 0; i < recorder->secret_count; i++) {
        explicit_bzero(recorder->secrets[i], strlen(recorder->secrets[i]));
        free(recorder->secrets[i]);
    }
    free(recorder->steps);
    free(recorder);
}

void recorder_hide(struct recorder *recorder, const char *key)
{
    if (recorder->secret_count == SECRETS_MAX || key[0] == '\0')
        return;
    recorder->secrets[recorder->secret_count] = strdup(key);
    recorder->secret_count += recorder->secrets[recorder->secret_count] != NULL;
}

size_t recorder_count(const struct recorder *recorder)
{
    return recorder->count;
}

size_t recorder_left_out(const struct recorder *recorder)
{
    return recorder->left_out;
}

bool recorder_has_news(const struct recorder *recorder)
{
    return recorder->has_news;
}

/* --- one answer ------------------------------------------------------------------------------- */

struct recording *recorder_begin(struct recorder *recorder)
{
    if (recorder->count >= SCRIPT_STEPS_MAX || recorder->bytes >= RECORDER_BYTES_MAX)
        return NULL;
    return calloc(1, sizeof(struct recording));
}

void recording_free(struct recorder *recorder, struct recording *recording)
{
    if (recording == NULL)
        return;
    recorder->bytes -= recording->length;
    free(recording->body);
    free(recording->pieces);
    free(recording);
}

static bool reserve(void **items, size_t *capacity, size_t needed, size_t item_size)
{
    if (needed <= *capacity)
        return true;
    size_t larger = *capacity == 0 ? 64 : *capacity;
    while (larger < needed)
        larger *= 2;
    void *moved = realloc(*items, larger * item_size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = larger;
    return true;
}

void recording_data(struct recorder *recorder, struct recording *recording, const char *data,
                    size_t length, int64_t now_ns)
{
    if (recording == NULL || recording->is_incomplete)
        return;
    void *body = recording->body;
    void *pieces = recording->pieces;
    recording->is_incomplete = recorder->bytes + length > RECORDER_BYTES_MAX ||
                               recording->piece_count >= PIECES_MAX ||
                               !reserve(&body, &recording->capacity, recording->length + length, 1);
    recording->body = body;
    if (recording->is_incomplete)
        return;
    recording->is_incomplete = !reserve(&pieces, &recording->piece_capacity,
                                        recording->piece_count + 1, sizeof *recording->pieces);
    recording->pieces = pieces;
    if (recording->is_incomplete || length == 0)
        return;
    memcpy(recording->body + recording->length, data, length);
    recording->length += length;
    recorder->bytes += length;
    recording->pieces[recording->piece_count++] =
        (struct answer_piece){.end = recording->length, .due_ns = now_ns};
}

static bool matters(const char *name)
{
    static const char *const names[] = {"content-type", "retry-after",    "retry-after-ms",
                                        "x-request-id", "x-should-retry", NULL};
    static const char limits[] = "x-ratelimit-";
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    return strncasecmp(name, limits, sizeof limits - 1) == 0;
}

void recording_header(struct recording *recording, const char *name, const char *value)
{
    if (recording == NULL || !matters(name) || recording->header_count == SCRIPT_HEADERS_MAX ||
        !answer_is_header(name, value) || !json_is_utf8(value, strlen(value)))
        return;
    for (size_t i = 0; i < recording->header_count; i++) {
        if (strcasecmp(recording->headers[i].name, name) == 0)
            return; /* the first one counts: what our limits say */
    }
    struct script_header *header = &recording->headers[recording->header_count++];
    snprintf(header->name, sizeof header->name, "%s", name);
    snprintf(header->value, sizeof header->value, "%s", value);
}

void recording_answer(struct recorder *recorder, struct recording *recording,
                      const struct answer *answer)
{
    if (recording == NULL)
        return;
    recording->is_own = true;
    for (size_t i = 0; i < answer->header_count; i++)
        recording_header(recording, answer_name(answer, i), answer_value(answer, i));
    recording->is_incomplete = answer->is_raw || answer->status == 0;
    size_t from = 0;
    for (size_t i = 0; i < answer->piece_count; i++) {
        recording_data(recorder, recording, answer->body + from, answer->pieces[i].end - from,
                       answer->pieces[i].due_ns);
        from = answer->pieces[i].end;
    }
    if (answer->body != NULL && answer->body_length > from)
        recording_data(recorder, recording, answer->body + from, answer->body_length - from, 0);
}

/* --- one step --------------------------------------------------------------------------------- */

/* Keys are as long as the text that hides them, so that nothing moves. What is found is looked for
 * in `original`: of a key that begins with another one all but four characters go, too. */
static void hide(char *text, const char *original, size_t length, const char *key)
{
    size_t key_length = strlen(key);
    if (key_length <= 8)
        return; /* a word such as "any": its last four characters would be half of it */
    for (size_t i = 0; i + key_length <= length; i++) {
        if (memcmp(original + i, key, key_length) == 0)
            memset(text + i, '*', key_length - 4);
    }
}

static void add_duration(cJSON *object, const char *name, int64_t ns)
{
    char text[40];
    if (ns < 0)
        ns = 0;
    snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64 "ms", ns / NS_PER_MS, ns % NS_PER_MS);
    cJSON_AddStringToObject(object, name, text);
}

static char *text_of(const char *bytes, size_t length)
{
    char *text = malloc(length + 1);
    if (text == NULL)
        return NULL;
    if (length > 0)
        memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}

static bool is_stream(const struct recording *recording)
{
    for (size_t i = 0; i < recording->header_count; i++) {
        if (strcasecmp(recording->headers[i].name, "content-type") == 0)
            return strncasecmp(recording->headers[i].value, "text/event-stream", 17) == 0;
    }
    return false;
}

/* Pieces end where an event does: what came of the next one goes with it. */
static void add_pieces(cJSON *answer, const struct recording *recording, int64_t began_ns)
{
    cJSON *list = cJSON_AddArrayToObject(answer, "pieces");
    size_t from = 0;
    for (size_t i = 0; i < recording->piece_count; i++) {
        size_t end = recording->pieces[i].end;
        bool is_last = i + 1 == recording->piece_count;
        while (!is_last && end > from + 1 &&
               !(recording->body[end - 1] == '\n' && recording->body[end - 2] == '\n'))
            end--;
        if (!is_last && end <= from + 1)
            continue;
        cJSON *piece = cJSON_CreateObject();
        char *text = text_of(recording->body + from, end - from);
        add_duration(piece, "at", recording->pieces[i].due_ns - (recording->is_own ? 0 : began_ns));
        cJSON_AddStringToObject(piece, "body", text != NULL ? text : "");
        cJSON_AddItemToArray(list, piece);
        free(text);
        from = end;
    }
}

/* The journal cuts what is long (deployments of Azure's stand in the path): then all that begin so
 * match, and any model. A character may have been cut as well. */
static void add_path(cJSON *when, const struct journal_entry *entry)
{
    char path[sizeof entry->path + 1];
    snprintf(path, sizeof path, "%s", entry->path);
    if (strlen(path) + 1 == sizeof entry->path) {
        path[strcspn(path, "?")] = '\0';
        strcat(path, "*");
    }
    cJSON_AddStringToObject(when, "path", path);
}

/* Any, where it is one that no step can ask for. */
static void add_method(cJSON *when, const struct journal_entry *entry)
{
    for (const char *const *method = script_methods; *method != NULL; method++) {
        if (strcmp(*method, entry->method) == 0)
            cJSON_AddStringToObject(when, "method", *method);
    }
}

static char *step_json(const struct recording *recording, const struct journal_entry *entry)
{
    cJSON *step = cJSON_CreateObject();
    cJSON *when = cJSON_AddObjectToObject(step, "when");
    add_method(when, entry);
    add_path(when, entry);
    if (entry->model[0] != '\0' && strlen(entry->model) + 1 < sizeof entry->model)
        cJSON_AddStringToObject(when, "model", entry->model);
    add_duration(step, "latency", entry->first_byte_ns - entry->decided_ns);
    cJSON *answer = cJSON_AddObjectToObject(step, "answer");
    cJSON_AddNumberToObject(answer, "status", entry->status);
    if (entry->code[0] != '\0')
        cJSON_AddStringToObject(answer, "code", entry->code);
    cJSON *headers = cJSON_AddObjectToObject(answer, "headers");
    for (size_t i = 0; i < recording->header_count; i++)
        cJSON_AddStringToObject(headers, recording->headers[i].name, recording->headers[i].value);
    if (is_stream(recording) && recording->piece_count > 0) {
        add_pieces(answer, recording, entry->first_byte_ns);
    } else {
        char *text = text_of(recording->body, recording->length);
        cJSON_AddStringToObject(answer, "body", text != NULL ? text : "");
        free(text);
    }
    char *json = cJSON_PrintUnformatted(step);
    cJSON_Delete(step);
    return json;
}

static bool is_text(const struct recording *recording)
{
    char *copy = text_of(recording->body, recording->length);
    if (copy == NULL || strlen(copy) != recording->length) {
        free(copy);
        return false;
    }
    json_make_utf8(copy);
    bool is_same = recording->length == 0 || memcmp(copy, recording->body, recording->length) == 0;
    free(copy);
    return is_same;
}

static void clean_text(const struct recorder *recorder, char *text, const char *original,
                       size_t length, const char *const keys[])
{
    for (size_t i = 0; i < recorder->secret_count; i++)
        hide(text, original, length, recorder->secrets[i]);
    for (size_t i = 0; keys[i] != NULL; i++)
        hide(text, original, length, keys[i]);
}

/* False when memory is out. */
static bool clean(const struct recorder *recorder, struct recording *recording,
                  const char *const keys[])
{
    char *original = text_of(recording->body, recording->length);
    if (original == NULL)
        return false;
    clean_text(recorder, recording->body, original, recording->length, keys);
    free(original);
    for (size_t i = 0; i < recording->header_count; i++) {
        const struct script_header header = recording->headers[i];
        clean_text(recorder, recording->headers[i].value, header.value, strlen(header.value), keys);
    }
    return true;
}

/* What else of it may hold a key: names of headers, the path, the model, the error's code. */
static bool clean_json(const struct recorder *recorder, char *json, const char *const keys[])
{
    char *original = strdup(json);
    if (original == NULL)
        return false;
    clean_text(recorder, json, original, strlen(original), keys);
    free(original);
    return true;
}

/* Clients close when they have read [DONE]: they do not wait for the end of the stream. */
static bool has_said_done(const struct recording *recording)
{
    static const char done[] = "data: [DONE]\n\n";
    size_t length = sizeof done - 1;
    return recording->length >= length &&
           memcmp(recording->body + recording->length - length, done, length) == 0;
}

static bool keep(struct recorder *recorder, struct recording *recording,
                 const struct journal_entry *entry, const char *const keys[])
{
    void *steps = recorder->steps;
    if (recording == NULL || recording->is_incomplete || entry->fault != NULL ||
        (entry->abandoned && !has_said_done(recording)) || entry->status < 200 ||
        entry->status > SCRIPT_STATUS_MAX || entry->path[0] != '/' || !is_text(recording) ||
        recorder->count >= SCRIPT_STEPS_MAX ||
        !reserve(&steps, &recorder->capacity, recorder->count + 1, sizeof *recorder->steps))
        return false;
    recorder->steps = steps;
    if (!clean(recorder, recording, keys))
        return false;
    char *json = step_json(recording, entry);
    if (json == NULL || !clean_json(recorder, json, keys)) {
        free(json);
        return false;
    }
    size_t at = recorder->count++;
    /* Answers end in another order than that in which requests came. */
    for (; at > 0 && recorder->steps[at - 1].sequence > entry->sequence; at--)
        recorder->steps[at] = recorder->steps[at - 1];
    recorder->steps[at] = (struct step){entry->sequence, json};
    recorder->bytes += recording->length; /* recording_free takes it off again */
    return true;
}

void recorder_end(struct recorder *recorder, struct recording *recording,
                  const struct journal_entry *entry, const char *const keys[])
{
    recorder->has_news = true;
    if (!keep(recorder, recording, entry, keys))
        recorder->left_out++;
    recording_free(recorder, recording);
}

bool recorder_write(struct recorder *recorder, FILE *stream)
{
    fprintf(stream,
            "{\n  \"name\": \"as recorded\",\n  \"$left_out\": %zu,\n  \"server\": {\"script\": [",
            recorder->left_out);
    for (size_t i = 0; i < recorder->count; i++)
        fprintf(stream, "%s\n    %s", i > 0 ? "," : "", recorder->steps[i].json);
    fprintf(stream,
            "\n  ]},\n  \"client\": {\"command\": [\"false\"]},\n"
            "  \"$client\": \"give yours: toomany check FILE -- COMMAND\",\n"
            "  \"expect\": {\"requests\": %zu}\n}\n",
            recorder->count);
    recorder->has_news = ferror(stream) != 0;
    return ferror(stream) == 0;
}
