#include "mockserver/api.h"

#include "base/duration.h"
#include "base/text.h"
#include "mockserver/http_date.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void api_outcome_init(struct api_outcome *outcome)
{
    memset(outcome, 0, offsetof(struct api_outcome, answer));
    answer_init(&outcome->answer, 0);
}

static const char *basic_key_of(const char *base64, char basic[API_BASIC_KEY_SIZE])
{
    gnutls_datum_t encoded = {.size = (unsigned int)strlen(base64)};
    gnutls_datum_t text = {0};
    basic[0] = '\0';
    encoded.data = (unsigned char *)strdup(base64);
    if (encoded.data == NULL)
        return basic;
    if (gnutls_base64_decode2(&encoded, &text) == 0 && text.size > 1 && text.data[0] == ':' &&
        text.size <= API_BASIC_KEY_SIZE && memchr(text.data, '\0', text.size) == NULL) {
        memcpy(basic, text.data + 1, text.size - 1);
        basic[text.size - 1] = '\0';
    }
    gnutls_free(text.data);
    free(encoded.data);
    return basic;
}

/* The text after `scheme`, or NULL. */
static const char *credentials_of(const char *authorization, const char *scheme)
{
    size_t length = strlen(scheme);
    if (strncasecmp(authorization, scheme, length) != 0 || authorization[length] != ' ')
        return NULL;
    authorization += length;
    return authorization + strspn(authorization, " ");
}

const char *api_key_of(const char *authorization, char basic[API_BASIC_KEY_SIZE])
{
    if (authorization == NULL)
        return "";
    const char *key = credentials_of(authorization, "Bearer");
    const char *base64 =
        key == NULL && basic != NULL ? credentials_of(authorization, "Basic") : NULL;
    if (base64 != NULL)
        return basic_key_of(base64, basic);
    return key != NULL ? key : "";
}

const char *api_request_header(const struct api_request *request, const char *name)
{
    return request->find != NULL ? request->find(request->owner, API_HEADER, name) : NULL;
}

const char *api_request_argument(const struct api_request *request, const char *name)
{
    return request->find != NULL ? request->find(request->owner, API_ARGUMENT, name) : NULL;
}

const struct config_model *api_find_model(const struct api *api, const char *id)
{
    const struct config *config = api->config;
    for (size_t i = 0; i < config->model_count; i++) {
        if (strcmp(config->models[i].id, id) == 0)
            return &config->models[i];
    }
    return NULL;
}

const char *api_content_of(const struct api *api, const char *model)
{
    const struct config_model *found = api_find_model(api, model);
    return found != NULL ? found->content : NULL;
}

bool api_serves_model(const struct api *api, const char *id)
{
    return !api->config->only_listed_models || api_find_model(api, id) != NULL;
}

struct api_request_id api_draw_request_id(struct api *api)
{
    struct api_request_id id;
    id.first = random_bits(&api->id_random);
    id.second = random_bits(&api->id_random);
    return id;
}

/* What a script said verbatim stays as it is. */
__attribute__((always_inline)) static inline void add_header(struct answer *answer,
                                                             const char *name, const char *value)
{
    if (answer_find_header(answer, name) == NULL)
        answer_header_add(answer, name, value);
}

void api_add_headers(const struct api *api, struct answer *answer, int64_t wall_ns,
                     const struct api_request_id *id, struct journal_entry *entry)
{
    char request_id[sizeof "req_" + TEXT_HEX_SIZE + TEXT_HEX_SIZE] = "req_";
    char date[HTTP_DATE_SIZE];
    size_t length = strlen(request_id);
    length += text_hex(request_id + length, id->first);
    text_hex(request_id + length, id->second);
    add_header(answer, "date", http_date(wall_ns / NS_PER_S, date));
    add_header(answer, "content-type", "application/json");
    add_header(answer, "x-request-id", request_id);
    if (api->config->rules.dialect == DIALECT_AZURE)
        add_header(answer, "apim-request-id", request_id + strlen("req_"));
    text_copy(entry->request_id, sizeof entry->request_id,
              answer_find_header(answer, "x-request-id"));
}

void api_add_model_headers(const struct api *api, struct answer *answer, const char *organization,
                           int64_t processing_ns)
{
    if (api->config->rules.dialect != DIALECT_OPENAI)
        return;
    add_header(answer, "openai-version", "2020-10-01");
    if (organization == NULL)
        return;
    char processing_ms[TEXT_WHOLE_SIZE];
    text_whole(processing_ms, processing_ns / NS_PER_MS);
    add_header(answer, "openai-organization", organization);
    add_header(answer, "openai-processing-ms", processing_ms);
}

void api_settle(const struct api *api, struct api_outcome *outcome, int64_t now_ns)
{
    if (!api->config->rules.settles || outcome->pool == NULL || outcome->used_tokens < 0)
        return;
    struct quota_pool *pool = &outcome->pool->quota;
    /* An answer may have ended before the last request was decided. */
    if (now_ns < pool->updated_ns)
        now_ns = pool->updated_ns;
    quota_settle(pool, now_ns, outcome->admitted_ns, outcome->charged_tokens, outcome->used_tokens);
    outcome->used_tokens = -1;
}

void api_finish(struct api_outcome *outcome)
{
    if (outcome->pool != NULL)
        quota_finish(&outcome->pool->quota);
    outcome->pool = NULL;
}
