/* Requests, from the request line to the body, against a server with quotas and a script.
 *
 * The input is any number of requests, each ended by a byte 0x1e:
 *     byte 1: the method, and how much time has passed since the request before
 *     then three parts with line ends between: path, Authorization ("-": none), body;
 *     behind a "?" in the path what every header and argument of the query says
 */
#include "base/duration.h"
#include "base/json.h"
#include "mockserver/api.h"
#include "tests/decide.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS_MAX = 64 };

static const char azure_set_up[] =
    "{\"rules\": {\"dialect\": \"azure\", \"per\": \"project\"}, \"batch_duration\": \"2s\","
    " \"accounts\": [{\"key\": \"sk-right\", \"organization\": \"org-a\"}],"
    " \"quotas\": {\"*\": {\"requests_per_minute\": 3, \"batch_queue_tokens\": 50}}}";

static const char set_up[] =
    "{\"quotas\": {\"a\": {\"requests_per_minute\": 3, \"tokens_per_minute\": 100,"
    "                      \"concurrent_requests\": 2, \"requests_total\": 20},"
    "              \"*\": {\"tokens_per_day\": 1000, \"requests_per_day\": 10}},"
    " \"api_keys\": [\"sk-right\", \"sk-other\"],"
    " \"script\": [{\"when\": {\"model\": \"b\"}, \"times\": 2,"
    "               \"answer\": {\"error\": \"rate_limit_exceeded\"}},"
    "              {\"when\": {\"share\": 0.5}, \"answer\": {\"error\": \"server_error\"}}],"
    " \"changes\": [{\"after_requests\": 5, \"quotas\": {\"a\": {\"requests_per_minute\": 9}}}]}";

/* Copies `length` bytes with a NUL behind them and not one more. */
static char *copied(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    assert(copy != NULL);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static void check_answer(const struct api_outcome *outcome, const struct journal_entry *entry)
{
    const struct answer *answer = &outcome->answer;
    assert(answer->status >= 200 && answer->status <= 599 && entry->status == answer->status);
    assert(outcome->latency_ns >= 0 && answer->body != NULL);
    if (strcmp(answer_find_header(answer, "content-type"), "application/json") == 0) {
        struct error error = {0};
        cJSON *root = json_parse(answer->body, answer->body_length, "answer", &error);
        assert(root != NULL);
        const cJSON *problem = cJSON_GetObjectItemCaseSensitive(root, "error");
        /* A good response has an error of null. */
        assert((answer->status >= 400) == cJSON_IsObject(problem));
        cJSON_Delete(root);
    }
    for (size_t i = 0; i < answer->header_count; i++) {
        /* Nothing that came in may break out of a header. */
        assert(strpbrk(answer_value(answer, i), "\r\n") == NULL);
    }
    assert(strlen(entry->key_tail) <= 4);
}

/* What the input's path says after "?": the value of every header and argument. */
static const char *find_value(const void *owner, enum api_value kind, const char *name)
{
    (void)kind;
    (void)name;
    return owner;
}

static void ask(struct api *api, const char *text, size_t length, int64_t now_ns,
                struct api_outcome *outcome)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "BREW"};
    struct journal_entry entry = {.sequence = 1};
    const char *parts[3] = {"", "", ""};
    size_t lengths[3] = {0};
    const char *at = text + 1;
    const char *end = text + length;
    for (int i = 0; i < 3 && at <= end; i++) {
        const char *line_end = i < 2 ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        parts[i] = at;
        lengths[i] = (size_t)((line_end != NULL ? line_end : end) - at);
        at += lengths[i] + 1;
    }
    char *path = copied(parts[0], lengths[0]);
    char *authorization = copied(parts[1], lengths[1]);
    char *body = copied(parts[2], lengths[2]);
    struct api_request request = {
        .method = methods[(uint8_t)text[0] & 3],
        .path = path,
        .authorization = strcmp(authorization, "-") == 0 ? NULL : authorization,
        .body = body,
        .body_length = lengths[2],
        .find = find_value,
    };
    char *query = strchr(path, '?');
    if (query != NULL)
        *query = '\0';
    request.owner = query != NULL ? query + 1 : NULL;
    decide(api, &request, now_ns, INT64_C(1767225600000000000) + now_ns, &entry, outcome);
    check_answer(outcome, &entry);
    free(path);
    free(authorization);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    struct json_reader reader = {.file = "set-up", .error = &error};
    struct config config;
    struct api api;
    config_init(&config);
    /* An input that begins with 'A' meets Azure. */
    const char *text = size > 0 && data[0] == 'A' ? azure_set_up : set_up;
    cJSON *root = json_parse(text, strlen(text), "set-up", &error);
    assert(root != NULL && config_read(&config, &reader, root, ""));
    assert(api_init(&api, &config, 1, 0));

    struct api_outcome outcomes[REQUESTS_MAX] = {0};
    size_t count = 0;
    int64_t now_ns = 0;
    const char *at = (const char *)data;
    const char *end = at + size;
    while (at < end && count < REQUESTS_MAX) {
        const char *stop = memchr(at, 0x1e, (size_t)(end - at));
        size_t length = (size_t)((stop != NULL ? stop : end) - at);
        if (length > 0) {
            now_ns += ((uint8_t)at[0] >> 2) * NS_PER_S;
            ask(&api, at, length, now_ns, &outcomes[count++]);
            /* Some answers end at once, the others when all have been asked. */
            if ((at[0] & 4) != 0)
                api_finish(&outcomes[count - 1]);
        }
        at += length + 1;
    }
    for (size_t i = 0; i < count; i++) {
        api_finish(&outcomes[i]);
        answer_free(&outcomes[i].answer);
    }
    api_free(&api);
    config_free(&config);
    cJSON_Delete(root);
    return 0;
}
