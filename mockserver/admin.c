#include "mockserver/admin.h"

#include "base/duration.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_json(struct answer *answer, int status, cJSON *root)
{
    answer_init(answer, status);
    answer_header(answer, "content-type", "application/json");
    char *printed = cJSON_Print(root);
    char *text = NULL;
    /* With a line end, for those who ask by curl on a terminal. */
    if (printed == NULL || asprintf(&text, "%s\n", printed) < 0)
        text = NULL;
    answer_body(answer, text);
    free(printed);
    cJSON_Delete(root);
}

static void answer_failure(struct answer *answer, int status, const char *message)
{
    cJSON *root = cJSON_CreateObject();
    char text[1400];
    snprintf(text, sizeof text, "%s", message);
    json_make_utf8(text); /* it may have been cut in the middle of a character */
    cJSON_AddStringToObject(root, "error", text);
    answer_json(answer, status, root);
}

static void answer_health(struct admin *admin, struct answer *answer)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "status", "ok");
    cJSON_AddStringToObject(root, "version", TOOMANY_VERSION);
    cJSON_AddNumberToObject(root, "requests", (double)journal_total(admin->journal));
    cJSON_AddNumberToObject(root, "in_flight", admin->in_flight);
    answer_json(answer, 200, root);
}

static bool read_sequence(const char *text, uint64_t *sequence)
{
    char *end = NULL;
    errno = 0;
    *sequence = strtoull(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0;
}

static void answer_journal(struct admin *admin, const char *after, struct answer *answer)
{
    uint64_t after_sequence = 0;
    if (after != NULL && !read_sequence(after, &after_sequence)) {
        answer_failure(answer, 400, "\"after\" is a sequence number, such as ?after=17");
        return;
    }
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    answer_init(answer, 200);
    answer_header(answer, "content-type", "application/jsonl");
    if (stream == NULL)
        return;
    for (size_t i = 0; i < journal_count(admin->journal); i++) {
        const struct journal_entry *entry = journal_at(admin->journal, i);
        if (entry->sequence > after_sequence)
            journal_write_entry(entry, stream);
    }
    fclose(stream);
    answer_header(answer, "x-toomany-journal-lost", "%" PRIu64, journal_lost(admin->journal));
    answer_body(answer, text);
}

struct listing {
    cJSON *array;
    int64_t now_ns;
};

static void list_limits(void *owner, const char *model, const struct quota_limits *limits)
{
    cJSON *object = cJSON_AddObjectToObject(owner, model);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (limits->limit[i] != QUOTA_UNLIMITED)
            cJSON_AddNumberToObject(object, quota_dimension_name((enum quota_dimension)i),
                                    (double)limits->limit[i]);
    }
    if (limits->batch_queue_tokens != QUOTA_UNLIMITED)
        cJSON_AddNumberToObject(object, "batch_queue_tokens", (double)limits->batch_queue_tokens);
}

static void list_pool(void *owner, const struct pool *pool)
{
    struct listing *listing = owner;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (pool->quota.limits->limit[i] == QUOTA_UNLIMITED)
            continue;
        enum quota_dimension dimension = (enum quota_dimension)i;
        int64_t used = quota_used(&pool->quota, dimension, listing->now_ns);
        char reset[DURATION_TEXT_SIZE];
        duration_go(quota_reset(&pool->quota, dimension, listing->now_ns), reset);
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "model", pool->model);
        cJSON_AddStringToObject(object, "key_tail", pool->key_tail);
        cJSON_AddStringToObject(object, "dimension", quota_dimension_name(dimension));
        cJSON_AddNumberToObject(object, "limit", (double)pool->quota.limits->limit[i]);
        cJSON_AddNumberToObject(object, "used", (double)used);
        cJSON_AddNumberToObject(object, "remaining",
                                (double)quota_remaining(&pool->quota, dimension, listing->now_ns));
        cJSON_AddNumberToObject(object, "peak", (double)quota_peak(&pool->quota, dimension));
        cJSON_AddNumberToObject(object, "throttled", (double)pool_throttled(pool, dimension));
        cJSON_AddStringToObject(object, "reset", reset);
        cJSON_AddItemToArray(listing->array, object);
    }
}

static void answer_quotas(struct admin *admin, struct answer *answer)
{
    cJSON *root = cJSON_CreateObject();
    pools_each_limits(admin->api->pools, list_limits, cJSON_AddObjectToObject(root, "limits"));
    struct listing listing = {cJSON_AddArrayToObject(root, "pools"), admin->now_ns};
    pools_each(admin->api->pools, list_pool, &listing);
    answer_json(answer, 200, root);
}

static void answer_tier(struct admin *admin, struct answer *answer)
{
    cJSON *root = cJSON_CreateObject();
    if (admin->api->tier != NULL)
        cJSON_AddStringToObject(root, "tier", admin->api->tier->name);
    else
        cJSON_AddNullToObject(root, "tier");
    answer_json(answer, 200, root);
}

static void change_tier(struct admin *admin, const char *body, size_t length, struct answer *answer)
{
    struct error error;
    char text[1400];
    const char *name = NULL;
    struct json_reader reader = {.file = "body", .error = &error};
    cJSON *root = json_parse(body, length, "body", &error);
    bool is_read = root != NULL &&
                   json_known_members(&reader, root, "", (const char *const[]){"tier", NULL}) &&
                   json_read_string(&reader, root, "", "tier", &name);
    const struct tier *tier = name != NULL ? tier_find(name) : NULL;
    if (is_read && tier == NULL)
        is_read = json_wrong(&reader, "/tier", cJSON_GetObjectItemCaseSensitive(root, "tier"),
                             "one of " TIER_NAMES);
    if (!is_read)
        answer_failure(answer, 400, error_text(&error, text, sizeof text));
    else if (!api_change_tier(admin->api, tier, admin->now_ns))
        answer_failure(answer, 500, "out of memory; the tier may be changed in part");
    else
        answer_tier(admin, answer);
    cJSON_Delete(root);
}

static struct quota_limits current_limits(void *owner, const char *model)
{
    return pools_said_limits(owner, model);
}

static void change_quotas(struct admin *admin, const char *body, size_t length,
                          struct answer *answer)
{
    struct error error;
    char text[1400];
    struct config_quotas quotas = {0};
    struct json_reader reader = {.file = "body", .error = &error};
    cJSON *root = json_parse(body, length, "body", &error);
    bool is_read = root != NULL && config_quotas_read(&quotas, &reader, root, "", current_limits,
                                                      admin->api->pools);
    if (!is_read)
        answer_failure(answer, 400, error_text(&error, text, sizeof text));
    else if (!api_change_quotas(admin->api, &quotas, admin->now_ns))
        answer_failure(answer, 500, "out of memory; the quotas may be changed in part");
    else
        answer_quotas(admin, answer);
    config_quotas_free(&quotas);
    cJSON_Delete(root);
}

static void answer_reset(struct admin *admin, struct answer *answer)
{
    journal_clear(admin->journal);
    metrics_reset(admin->metrics);
    if (api_reset(admin->api, admin->now_ns))
        answer_health(admin, answer);
    else
        answer_failure(answer, 500, "out of memory");
}

/* What is refused here is said on the server's own log as well: by whoever reads the file. */
static void answer_reload(struct admin *admin, struct answer *answer)
{
    struct error error;
    char text[1400];
    if (admin->reload == NULL)
        answer_failure(answer, 409, "there is no file to read again: start with --config FILE");
    else if (admin->reload(admin->reload_owner, &error))
        answer_health(admin, answer);
    else
        answer_failure(answer, error.could_not_run ? 500 : 400,
                       error_text(&error, text, sizeof text));
}

static void answer_metrics(struct admin *admin, struct answer *answer)
{
    const struct metrics_now now = {
        .pools = admin->api->pools,
        .journal = admin->journal,
        .in_flight = admin->in_flight,
        .connections_open = admin->connections_open,
        .connections_total = admin->connections_total,
        .now_ns = admin->now_ns,
    };
    answer_init(answer, 200);
    answer_header(answer, "content-type", "text/plain; version=0.0.4; charset=utf-8");
    answer_body(answer, metrics_text(admin->metrics, &now));
}

void admin_answer(struct admin *admin, const char *method, const char *path, const char *after,
                  const char *body, size_t body_length, struct answer *answer)
{
    static const struct {
        const char *name;
        const char *methods[4];
        const char *allow;
    } known[] = {
        {"health", {"GET"}, "GET, HEAD"},
        {"journal", {"GET"}, "GET, HEAD"},
        {"quotas", {"GET", "PATCH"}, "GET, HEAD, PATCH"},
        {"reset", {"POST"}, "POST"},
        {"reload", {"POST"}, "POST"},
        {"metrics", {"GET"}, "GET, HEAD"},
        {"tier", {"GET", "PUT", "POST"}, "GET, HEAD, PUT, POST"},
    };
    if (strcmp(method, "HEAD") == 0)
        method = "GET"; /* RFC 9110, 9.3.2; whoever sends the answer leaves its body out */
    const char *name = path + strlen(ADMIN_PREFIX);
    const char *allow = NULL;
    bool is_allowed = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        allow = known[i].allow;
        for (const char *const *allowed = known[i].methods; *allowed != NULL; allowed++)
            is_allowed |= strcmp(*allowed, method) == 0;
    }
    if (allow == NULL) {
        answer_failure(
            answer, 404,
            "unknown; there are health, journal, quotas, tier, reset, reload and metrics");
    } else if (!is_allowed) {
        answer_failure(answer, 405, "wrong method; see the Allow header");
        answer_header(answer, "allow", "%s", allow);
    } else if (strcmp(name, "health") == 0) {
        answer_health(admin, answer);
    } else if (strcmp(name, "journal") == 0) {
        answer_journal(admin, after, answer);
    } else if (strcmp(name, "reset") == 0) {
        answer_reset(admin, answer);
    } else if (strcmp(name, "reload") == 0) {
        answer_reload(admin, answer);
    } else if (strcmp(name, "metrics") == 0) {
        answer_metrics(admin, answer);
    } else if (strcmp(name, "tier") == 0 && strcmp(method, "GET") == 0) {
        answer_tier(admin, answer);
    } else if (strcmp(name, "tier") == 0) {
        change_tier(admin, body, body_length, answer);
    } else if (strcmp(method, "PATCH") == 0) {
        change_quotas(admin, body, body_length, answer);
    } else {
        answer_quotas(admin, answer);
    }
}

void admin_refuse(struct answer *answer, int status, const char *message)
{
    answer_failure(answer, status, message);
}
