#include "mockserver/script_json.h"

#include "mockserver/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A string or null: null stands for JSON's null in the answer. */
static bool read_nullable(const struct json_reader *reader, const cJSON *object,
                          const char *pointer, const char *name, char **copy, bool *is_given)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    *is_given = item != NULL;
    if (item == NULL || cJSON_IsNull(item))
        return true;
    return json_read_copy(reader, object, pointer, name, copy);
}

static bool read_headers(struct script_step *step, const struct json_reader *reader,
                         const cJSON *object, const char *pointer)
{
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        char place[JSON_POINTER_SIZE];
        json_pointer_member(place, pointer, member->string);
        if (!cJSON_IsString(member) || !answer_is_header(member->string, member->valuestring))
            return json_wrong(reader, place, member, "an HTTP header's name and value (string)");
        /* libmicrohttpd frames the answer itself and would drop them without a word. */
        if (strcasecmp(member->string, "content-length") == 0 ||
            strcasecmp(member->string, "transfer-encoding") == 0)
            return json_wrong(reader, place, member, "no such header: the server sets it");
        if (step->header_count == SCRIPT_HEADERS_MAX)
            return json_wrong(reader, pointer, object, "at most %d headers", SCRIPT_HEADERS_MAX);
        struct script_header *header = &step->headers[step->header_count++];
        snprintf(header->name, sizeof header->name, "%s", member->string);
        snprintf(header->value, sizeof header->value, "%s", member->valuestring);
    }
    return true;
}

/* A body is sent as it stands: a string to the byte, an object or array as compact JSON. */
static bool read_body(struct script_step *step, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(object, "body");
    if (body == NULL)
        return true;
    if (cJSON_IsString(body)) {
        step->body = strdup(body->valuestring);
        return true;
    }
    if (!cJSON_IsObject(body) && !cJSON_IsArray(body)) {
        char place[JSON_POINTER_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, "body"), body,
                          "a string, an object or an array");
    }
    step->body = cJSON_PrintUnformatted(body);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(body, "error");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
    if (cJSON_IsString(code) && step->code == NULL)
        step->code = strdup(code->valuestring);
    return true;
}

/* Puts the pieces together to a body. */
static bool read_piece(struct script_step *step, const struct json_reader *reader,
                       const cJSON *item, const char *pointer, size_t *length)
{
    const char *text = NULL;
    int64_t at_ns = 0;
    if (!json_known_members(reader, item, pointer, (const char *const[]){"at", "body", NULL}) ||
        !json_read_duration(reader, item, pointer, "at", &at_ns) ||
        !json_read_string(reader, item, pointer, "body", &text))
        return false;
    if (text == NULL || text[0] == '\0')
        return json_wrong(reader, pointer, item, "a \"body\" that is a text, not empty");
    if (step->piece_count > 0 && at_ns < step->pieces[step->piece_count - 1].due_ns)
        return json_wrong(reader, pointer, item, "an \"at\" not before that of the piece before");
    size_t more = strlen(text);
    char *longer = realloc(step->body, *length + more + 1);
    if (longer == NULL)
        return error_set_run(reader->error, pointer, "out of memory");
    memcpy(longer + *length, text, more + 1);
    step->body = longer;
    *length += more;
    step->pieces[step->piece_count++] = (struct answer_piece){.end = *length, .due_ns = at_ns};
    return true;
}

static bool read_pieces(struct script_step *step, const struct json_reader *reader,
                        const cJSON *object, const char *pointer)
{
    const cJSON *list = NULL;
    char place[JSON_POINTER_SIZE];
    size_t length = 0;
    json_pointer_member(place, pointer, "pieces");
    if (!json_read_array(reader, object, pointer, "pieces", &list))
        return false;
    if (list == NULL)
        return true;
    if (step->body != NULL)
        return json_wrong(reader, place, list, "either \"body\" or \"pieces\"");
    if (cJSON_GetArraySize(list) == 0)
        return json_wrong(reader, place, list, "at least one piece");
    step->pieces = json_items(reader, list, place, SCRIPT_PIECES_MAX, sizeof *step->pieces);
    if (step->pieces == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char each[JSON_POINTER_SIZE];
        json_pointer_item(each, place, step->piece_count);
        if (!read_piece(step, reader, item, each, &length))
            return false;
    }
    return true;
}

static bool read_error_kind(struct script_step *step, const struct json_reader *reader,
                            const cJSON *object, const char *pointer)
{
    if (!json_read_copy(reader, object, pointer, "error", &step->error_kind))
        return false;
    if (step->error_kind == NULL || openai_error_find(step->error_kind) != NULL)
        return true;
    /* Not all: there are some thirty. */
    char names[300] = "";
    for (const struct openai_error_kind *kind = openai_error_kinds(); kind->name != NULL; kind++) {
        size_t used = strlen(names);
        if (used + strlen(kind->name) + 2 < sizeof names)
            snprintf(names + used, sizeof names - used, "%s, ", kind->name);
    }
    char place[JSON_POINTER_SIZE];
    return json_wrong(reader, json_pointer_member(place, pointer, "error"),
                      cJSON_GetObjectItemCaseSensitive(object, "error"),
                      "one of %s... (docs/server.md has the list)", names);
}

static bool has_header(const struct script_step *step, const char *name)
{
    for (size_t i = 0; i < step->header_count; i++) {
        if (strcasecmp(step->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Whether one wait is said, and in one way. */
static bool check_wait(const struct script_step *step, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    bool has_form = cJSON_GetObjectItemCaseSensitive(object, "retry_after_form") != NULL;
    if (has_form && step->retry_after_ns < 0)
        return json_wrong(reader, pointer, object, "\"retry_after\" beside \"retry_after_form\"");
    if (step->retry_after_ns >= 0 &&
        (has_header(step, "retry-after") || has_header(step, "retry-after-ms")))
        return json_wrong(reader, pointer, object,
                          "either \"retry_after\" or the header that says it verbatim");
    return true;
}

/* 204 and 304 end with their headers (RFC 9110, 15.3.5 and 15.4.5). */
static bool check_body(const struct script_step *step, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    bool has_room = step->status != 204 && step->status != 304;
    if (has_room || (step->body != NULL && step->body[0] == '\0'))
        return true;
    return json_wrong(reader, pointer, object, "\"body\": \"\" beside status %d, which has no body",
                      step->status);
}

/* Notes of the writer ("$comment") aside. */
static bool has_member_beside(const cJSON *object, const char *name)
{
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        if (member->string[0] != '$' && strcmp(member->string, name) != 0)
            return true;
    }
    return false;
}

static bool check_answer(const struct script_step *step, const struct json_reader *reader,
                         const cJSON *object, const char *pointer)
{
    bool is_error =
        step->error_kind != NULL || step->message != NULL || step->has_type || step->has_param;
    if (step->body != NULL && is_error)
        return json_wrong(reader, pointer, object,
                          "either \"body\", which is sent as it stands, or the parts of an error");
    is_error |= step->has_code; /* beside a body it tells the journal what stands in it */
    if (step->content != NULL && has_member_beside(object, "content"))
        return json_wrong(reader, pointer, object,
                          "\"content\" alone: it is what the model answers with status 200");
    if (step->status != 0 && step->error_kind == NULL && step->body == NULL &&
        step->message == NULL)
        return json_wrong(reader, pointer, object,
                          "\"error\", \"message\" or \"body\" beside \"status\"");
    if (step->content == NULL && step->body == NULL && !is_error)
        return json_wrong(reader, pointer, object,
                          "\"error\", \"body\" or \"content\" (or the word \"ok\" instead)");
    return check_body(step, reader, object, pointer) && check_wait(step, reader, object, pointer);
}

static bool read_answer(struct script_step *step, const struct json_reader *reader,
                        const cJSON *item, const char *pointer)
{
    if (cJSON_IsString(item) && strcmp(item->valuestring, "ok") == 0) {
        step->serves = true;
        return true;
    }
    if (!cJSON_IsObject(item))
        return json_wrong(reader, pointer, item, "\"ok\" or an object with what is answered");
    if (cJSON_HasObjectItem(item, "fault"))
        return fault_read(&step->fault, reader, item, pointer);
    static const char *const known[] = {"status",  "error",   "message",     "type",
                                        "code",    "param",   "body",        "pieces",
                                        "content", "headers", "retry_after", "retry_after_form",
                                        NULL};
    static const char *const forms[] = {"seconds",     "milliseconds", "date",
                                        "date_rfc850", "date_asctime", NULL};
    int64_t status = 0;
    int form = 0;
    const cJSON *headers = NULL;
    bool is_read =
        json_known_members(reader, item, pointer, known) &&
        json_read_whole(reader, item, pointer, "status", 200, SCRIPT_STATUS_MAX, &status) &&
        read_error_kind(step, reader, item, pointer) &&
        json_read_copy(reader, item, pointer, "message", &step->message) &&
        read_nullable(reader, item, pointer, "type", &step->type, &step->has_type) &&
        read_nullable(reader, item, pointer, "code", &step->code, &step->has_code) &&
        read_nullable(reader, item, pointer, "param", &step->param, &step->has_param) &&
        read_body(step, reader, item, pointer) && read_pieces(step, reader, item, pointer) &&
        json_read_copy(reader, item, pointer, "content", &step->content) &&
        json_read_duration(reader, item, pointer, "retry_after", &step->retry_after_ns) &&
        json_read_word(reader, item, pointer, "retry_after_form", forms, &form) &&
        json_read_object(reader, item, pointer, "headers", &headers);
    if (!is_read)
        return false;
    step->status = (int)status;
    step->retry_after_form = (enum retry_after_form)form;
    step->serves = step->content != NULL;
    char place[JSON_POINTER_SIZE];
    if (headers != NULL &&
        !read_headers(step, reader, headers, json_pointer_member(place, pointer, "headers")))
        return false;
    return check_answer(step, reader, item, pointer);
}

/* Refuses a condition that no request meets. */
static bool refuse_condition(const struct json_reader *reader, const char *pointer,
                             const char *name, const char *value, const char *wanted)
{
    char place[JSON_POINTER_SIZE];
    cJSON *found = cJSON_CreateString(value);
    json_wrong(reader, json_pointer_member(place, pointer, name), found, "%s", wanted);
    cJSON_Delete(found);
    return false;
}

static bool check_path(const struct script_step *step, const struct json_reader *reader,
                       const char *pointer)
{
    return step->path == NULL || step->path[0] == '/' ||
           refuse_condition(reader, pointer, "path", step->path,
                            "a path that begins with \"/\", such as \"/v1/chat/completions\"");
}

static bool check_key(const struct script_step *step, const struct json_reader *reader,
                      const char *pointer)
{
    enum { TAIL_LENGTH = 4 }; /* what the journal shows of a key, and metrics */
    bool is_tail = step->key_tail == NULL || strlen(step->key_tail) == TAIL_LENGTH;
    for (const char *byte = step->key_tail; is_tail && byte != NULL && *byte != '\0'; byte++)
        is_tail = isgraph((unsigned char)*byte) != 0;
    return is_tail || refuse_condition(reader, pointer, "key", step->key_tail,
                                       "the last four characters of the key, such as \"wxyz\"");
}

static bool read_when(struct script_step *step, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    static const char *const known[] = {"method",  "model", "path",  "key",   "share",
                                        "request", "every", "after", "until", NULL};
    int method = -1;
    if (!json_known_members(reader, object, pointer, known) ||
        !json_read_word(reader, object, pointer, "method", script_methods, &method) ||
        !json_read_copy(reader, object, pointer, "model", &step->model) ||
        !json_read_copy(reader, object, pointer, "path", &step->path) ||
        !json_read_copy(reader, object, pointer, "key", &step->key_tail) ||
        !json_read_number(reader, object, pointer, "share", 0, 1, &step->share) ||
        !json_read_whole(reader, object, pointer, "request", 1, 1000000000, &step->request) ||
        !json_read_whole(reader, object, pointer, "every", 1, 1000000000, &step->every) ||
        !json_read_duration(reader, object, pointer, "after", &step->after_ns) ||
        !json_read_duration(reader, object, pointer, "until", &step->until_ns))
        return false;
    step->method = method >= 0 ? script_methods[method] : NULL;
    if (!check_path(step, reader, pointer) || !check_key(step, reader, pointer))
        return false;
    if (cJSON_HasObjectItem(object, "until") && step->until_ns <= step->after_ns)
        return json_wrong(reader, pointer, object, "\"until\" later than \"after\"");
    return true;
}

static bool read_times(struct script_step *step, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    const cJSON *times = cJSON_GetObjectItemCaseSensitive(object, "times");
    if (times == NULL) {
        step->times = step->lasts_ns > 0 ? SCRIPT_FOREVER : 1;
        return true;
    }
    if (cJSON_IsString(times) && strcmp(times->valuestring, "forever") == 0) {
        step->times = SCRIPT_FOREVER;
        return true;
    }
    if (cJSON_IsString(times)) {
        char place[JSON_POINTER_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, "times"), times,
                          "a whole number from 1 or \"forever\"");
    }
    return json_read_whole(reader, object, pointer, "times", 1, 1000000000, &step->times);
}

static struct script_step empty_step(void)
{
    return (struct script_step){.share = 1, .latency_ns = -1, .retry_after_ns = -1};
}

static bool read_step(struct script_step *step, const struct json_reader *reader, const cJSON *item,
                      const char *pointer)
{
    *step = empty_step();
    const cJSON *when = NULL;
    char place[JSON_POINTER_SIZE];
    if (!json_known_members(
            reader, item, pointer,
            (const char *const[]){"when", "answer", "times", "lasts", "latency", NULL}) ||
        !json_read_object(reader, item, pointer, "when", &when) ||
        !json_read_duration(reader, item, pointer, "lasts", &step->lasts_ns) ||
        !json_read_duration(reader, item, pointer, "latency", &step->latency_ns) ||
        !read_times(step, reader, item, pointer))
        return false;
    if (step->lasts_ns == 0 && cJSON_HasObjectItem(item, "lasts"))
        return json_wrong(reader, json_pointer_member(place, pointer, "lasts"),
                          cJSON_GetObjectItemCaseSensitive(item, "lasts"), "more than 0");
    if (step->latency_ns > CONFIG_LATENCY_NS_MAX)
        return json_wrong(reader, json_pointer_member(place, pointer, "latency"),
                          cJSON_GetObjectItemCaseSensitive(item, "latency"), "at most 24h");
    if (when != NULL && !read_when(step, reader, when, json_pointer_member(place, pointer, "when")))
        return false;
    json_pointer_member(place, pointer, "answer");
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(item, "answer");
    if (answer == NULL)
        return json_wrong(reader, place, NULL, "\"ok\" or an object with what is answered");
    return read_answer(step, reader, answer, place);
}

bool script_read(struct script *script, const struct json_reader *reader, const cJSON *list,
                 const char *pointer)
{
    script->steps = json_items(reader, list, pointer, SCRIPT_STEPS_MAX, sizeof *script->steps);
    if (script->steps == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        json_pointer_item(place, pointer, script->step_count);
        if (!read_step(&script->steps[script->step_count++], reader, item, place))
            return false;
    }
    return true;
}

bool script_read_refusal(struct script *script, const struct json_reader *reader, const cJSON *item,
                         const char *pointer)
{
    static const char wanted[] = "an object with \"error\", \"message\" or \"body\"";
    if (!cJSON_IsObject(item) || cJSON_HasObjectItem(item, "fault") ||
        cJSON_HasObjectItem(item, "content"))
        return json_wrong(reader, pointer, item, wanted);
    script->steps = calloc(1, sizeof *script->steps);
    if (script->steps == NULL)
        return error_set_run(reader->error, pointer, "out of memory");
    script->steps[script->step_count++] = empty_step();
    return read_answer(&script->steps[0], reader, item, pointer);
}
