#include "mockserver/openai_error.h"

#include "base/duration.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISIT_LIMITS "Visit https://platform.openai.com/account/rate-limits to learn more."
#define VISIT_GUIDE                                                                                \
    "Please visit https://platform.openai.com/docs/guides/rate-limits to learn how to increase "   \
    "your rate limit."
#define CONTACT_2023 "Contact support@openai.com if you continue to have issues."

/* Room to begin with; texts grow. */
enum { MESSAGE_SIZE = 400, ENVELOPE_SIZE = 200 };

static const struct openai_error_kind kinds[] = {
    /* OpenBMB/ChatDev#26, openai/codex#797: the template since 2023-11. */
    {"rate_limit_exceeded", 429, "requests", "rate_limit_exceeded", NULL,
     "Rate limit reached for {model} in organization {organization} on requests per min (RPM): "
     "Limit 3, Used 3, Requested 1. Please try again in {wait}. " VISIT_LIMITS,
     20 * NS_PER_S, NULL, NULL},
    /* semanser/codel#72 */
    {"tokens_exceeded", 429, "tokens", "rate_limit_exceeded", NULL,
     "Rate limit reached for {model} in organization {organization} on tokens per min (TPM): "
     "Limit 30000, Used 29000, Requested 2000. Please try again in {wait}. " VISIT_LIMITS,
     2 * NS_PER_S, NULL, NULL},
    /* openai/codex#797 */
    {"requests_per_day_exceeded", 429, "requests", "rate_limit_exceeded", NULL,
     "Rate limit reached for {model} in organization {organization} on requests per day (RPD): "
     "Limit 200, Used 200, Requested 1. Please try again in {wait}. " VISIT_LIMITS,
     432 * NS_PER_S, NULL, NULL},
    /* No body of OpenAI is known for tokens per day: the template, with the numbers of a service
     * that speaks the same. */
    {"tokens_per_day_exceeded", 429, "tokens", "rate_limit_exceeded", NULL,
     "Rate limit reached for {model} in organization {organization} on tokens per day (TPD): "
     "Limit 200000, Used 197494, Requested 4035. Please try again in {wait}. " VISIT_LIMITS,
     660528 * NS_PER_MS, NULL, NULL},
    /* chatboxai/chatbox#1361; the whole body, with its type, as the Python SDK printed it for
     * others (error.type is 'requests'). */
    {"images_exceeded", 429, "requests", "rate_limit_exceeded", NULL,
     "Rate limit exceeded for images per minute in organization {organization}. Limit: 0/1min. "
     "Current: 1/1min. " VISIT_GUIDE,
     -1, NULL, NULL},
    /* community.openai.com t/1371786 */
    {"project_tokens_exceeded", 429, "tokens", "rate_limit_exceeded", NULL,
     "Rate limit reached for project {project} organization {organization} on tokens per min "
     "(TPM): Limit 25000, Used 23255, Requested 5872. Please try again in {wait}. " VISIT_LIMITS,
     9904800 * NS_PER_US, NULL, NULL},
    /* Aider-AI/aider#1880 */
    {"request_too_large", 429, "tokens", "rate_limit_exceeded", NULL,
     "Request too large for {model} in organization {organization} on tokens per min (TPM): Limit "
     "30000, Requested 36278. The input or output tokens must be reduced in order to run "
     "successfully. " VISIT_LIMITS,
     -1, NULL, NULL},
    /* No genuine body is known: the template of the others. */
    {"concurrency_exceeded", 429, "requests", "rate_limit_exceeded", NULL,
     "Rate limit reached for {model} in organization {organization} on concurrent requests: Limit "
     "2, Used 2, Requested 1. " VISIT_LIMITS,
     -1, NULL, NULL},
    /* vercel/ai fixture openai-error.1.json */
    {"insufficient_quota", 429, "insufficient_quota", "insufficient_quota", NULL,
     "You exceeded your current quota, please check your plan and billing details. For more "
     "information on this error, read the docs: "
     "https://platform.openai.com/docs/guides/error-codes/api-errors.",
     -1, NULL, NULL},
    /* promptfoo/promptfoo#10855 */
    {"credit_balance_exhausted", 429, "insufficient_quota", "credit_balance_exhausted", NULL,
     "You have no credits remaining. Add credits to continue using the API at "
     "https://platform.openai.com/settings/organization/billing/.",
     -1, NULL, NULL},
    /* The codes are those of OpenAI's help page 5955604; no message is known but the one above, and
     * the words here are ours. */
    {"organization_spend_limit_exceeded", 429, "insufficient_quota",
     "organization_spend_limit_exceeded", NULL,
     "Your organization has reached its spend limit. Raise the limit to continue using the"
     " API at https://platform.openai.com/settings/organization/limits.",
     -1, NULL, NULL},
    {"project_spend_limit_exceeded", 429, "insufficient_quota", "project_spend_limit_exceeded",
     NULL, "Your project has reached its spend limit. Raise the limit to continue using the API.",
     -1, NULL, NULL},
    {"organization_usage_limit_exceeded", 429, "insufficient_quota",
     "organization_usage_limit_exceeded", NULL,
     "Your organization has reached its usage limit. Request a higher limit at "
     "https://platform.openai.com/settings/organization/limits.",
     -1, NULL, NULL},
    /* Older ones. */
    {"billing_hard_limit_reached", 429, "insufficient_quota", "billing_hard_limit_reached", NULL,
     "Billing hard limit has been reached", -1, NULL, NULL},
    {"billing_not_active", 429, "insufficient_quota", "billing_not_active", NULL,
     "Your account is not active, please check your billing details on our website.", -1, NULL,
     NULL},
    /* Documented in 2026 as 429, type rate_limit_error; no verbatim body is known. */
    {"slow_down", 429, "rate_limit_error", "slow_down", NULL,
     "Slow down. Please reduce your request rate to its original level, maintain a consistent "
     "rate for at least 15 minutes, and then gradually increase it.",
     -1, NULL, NULL},
    /* "503 - Slow Down" of OpenAI's error guide. */
    {"slow_down_503", 503, "service_unavailable_error", "slow_down", NULL,
     "Slow down. Please reduce your request rate to its original level, maintain a consistent "
     "rate for at least 15 minutes, and then gradually increase it.",
     -1, NULL, NULL},
    /* waylaidwanderer/node-chatgpt-api#506, 2023-11: an error that is a string. */
    {"slow_down_2023", 429, NULL, NULL, NULL, "slow down", -1, "{\"error\": \"slow down\"}", NULL},
    /* "500 - The server had an error while processing your request": OpenAI's error guide. */
    {"server_error", 500, "server_error", NULL, NULL,
     "The server had an error while processing your request. Sorry about that!", -1, NULL, NULL},
    {"server_is_overloaded", 503, "service_unavailable_error", "server_is_overloaded", NULL,
     "Our servers are currently overloaded. Please try again later.", -1, NULL, NULL},
    /* openai-dotnet's recorded session ChatTests/AuthFailure */
    {"invalid_api_key", 401, "invalid_request_error", "invalid_api_key", NULL,
     "Incorrect API key provided. You can find your API key at "
     "https://platform.openai.com/account/api-keys.",
     -1, NULL, NULL},
    {"model_not_found", 404, "invalid_request_error", "model_not_found", NULL,
     "The model `{model}` does not exist or you do not have access to it.", -1, NULL, NULL},
    {"invalid_request_error", 400, "invalid_request_error", NULL, NULL,
     "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
     "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was "
     "not valid JSON. If you have trouble figuring out how to fix this, please contact us through "
     "our help center at help.openai.com.)",
     -1, NULL, NULL},
    /* ikechan8370/chatgpt-plugin#125, 2023 */
    {"overloaded_2023", 503, "server_error", NULL, NULL,
     "That model is currently overloaded with other requests. You can retry your request, or "
     "contact us through our help center at help.openai.com if the error persists. (Please include "
     "the request ID 00000000000000000000000000000000 in your message.)",
     -1, NULL, NULL},
    /* smol-ai/developer#10, 2023 */
    {"overloaded_429_2023", 429, "server_error", NULL, NULL,
     "The server is currently overloaded with other requests. Sorry about that! You can retry your "
     "request, or contact us through our help center at help.openai.com if the error persists.",
     -1, NULL, NULL},
    /* lobehub/lobehub#2795: from the edge, not from OpenAI's servers. */
    {"cloudflare_1015", 429, NULL, NULL, NULL, "error code: 1015", -1, "error code: 1015",
     "text/plain; charset=UTF-8"},
    /* ChatGPTNextWeb/NextChat#793, 2023-04: no code. */
    {"requests_2023_04", 429, "requests", NULL, NULL,
     "Rate limit reached for {model} in organization {organization} on requests per min. Limit: 3 "
     "/ "
     "min. Please try again in {wait}. " CONTACT_2023,
     20 * NS_PER_S, NULL, NULL},
    /* The same a little later, binary-husky/gpt_academic#1105. */
    {"requests_2023", 429, "requests", "rate_limit_exceeded", NULL,
     "Rate limit reached for {model} in organization {organization} on requests per min. Limit: 3 "
     "/ "
     "min. Please try again in {wait}. " CONTACT_2023,
     20 * NS_PER_S, NULL, NULL},
    /* mmz-001/knowledge_gpt#3, 2023 */
    {"requests_decimal_2023", 429, "requests", NULL, NULL,
     "Rate limit reached for {model} in organization {organization} on requests per min. Limit: "
     "60.000000 / min. Current: 80.000000 / min. " CONTACT_2023,
     -1, NULL, NULL},
    /* OpenBMB/ChatDev#171, 2023 */
    {"tokens_2023", 429, "tokens", NULL, NULL,
     "Rate limit reached for {model} in organization {organization} on tokens per min. Limit: "
     "40000 "
     "/ min. Please try again in {wait}. " CONTACT_2023,
     NS_PER_MS, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, -1, NULL, NULL},
};

const struct openai_error_kind *openai_error_kinds(void)
{
    return kinds;
}

const struct openai_error_kind *openai_error_find(const char *name)
{
    for (const struct openai_error_kind *kind = kinds; kind->name != NULL; kind++) {
        if (strcmp(kind->name, name) == 0)
            return kind;
    }
    return NULL;
}

/* OpenAI prints with four spaces, and clients log the body as it is. What it says may repeat a path
 * or a key as the client sent it. */
static void add_member(struct text *text, const char *name, const char *value, const char *end)
{
    text_add(text, "        \"");
    text_add(text, name);
    text_add(text, "\": ");
    if (value != NULL)
        text_add_json(text, value);
    else
        text_add(text, "null");
    text_add(text, end);
}

/* Up to the message, and from its end on. */
static void begin_envelope(struct text *text, size_t message_length)
{
    text_begin(text, message_length + ENVELOPE_SIZE);
    text_add(text, "{\n    \"error\": {\n        \"message\": \"");
}

static void end_envelope(struct text *text, const struct openai_error *error, struct answer *answer)
{
    size_t length = 0;
    answer_init(answer, error->status);
    text_copy(answer->code, sizeof answer->code, error->code != NULL ? error->code : "");
    text_add(text, "\",\n");
    add_member(text, "type", error->type, ",\n");
    add_member(text, "param", error->param, ",\n");
    add_member(text, "code", error->code, "\n");
    text_add(text, "    }\n}\n");
    char *body = text_end(text, &length);
    answer_body_bytes(answer, body, length);
}

void openai_error_answer(struct answer *answer, const struct openai_error *error)
{
    struct text text;
    begin_envelope(&text, strlen(error->message));
    text_add_escaped(&text, error->message);
    end_envelope(&text, error, answer);
}

static const char *or_own(const char *name, const char *own)
{
    return name != NULL ? name : own;
}

char *openai_error_message(const struct openai_error_kind *kind, const struct openai_names *names,
                           int64_t wait_ns)
{
    char wait[DURATION_TEXT_SIZE];
    duration_go(wait_ns < 0 ? kind->wait_ns : wait_ns, wait);
    const struct {
        const char *mark;
        const char *value;
    } places[] = {{"{model}", or_own(names->model, "")},
                  {"{organization}", or_own(names->organization, OPENAI_ORGANIZATION)},
                  {"{project}", or_own(names->project, OPENAI_PROJECT)},
                  {"{wait}", wait}};

    char *message = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&message, &length);
    if (stream == NULL)
        return NULL;
    for (const char *text = kind->message; *text != '\0';) {
        bool is_place = false;
        for (size_t i = 0; i < sizeof places / sizeof places[0] && !is_place; i++) {
            size_t mark_length = strlen(places[i].mark);
            is_place = strncmp(text, places[i].mark, mark_length) == 0;
            if (is_place) {
                fputs(places[i].value, stream);
                text += mark_length;
            }
        }
        if (!is_place)
            fputc(*text++, stream);
    }
    if (fclose(stream) == 0)
        return message;
    free(message);
    return NULL;
}

void openai_error_answer_body(struct answer *answer, const struct openai_error_kind *kind,
                              int status)
{
    answer_init(answer, status);
    if (kind->content_type != NULL)
        answer_header(answer, "content-type", "%s", kind->content_type);
    answer_body(answer, strdup(kind->body));
}

void openai_error_answer_kind(struct answer *answer, const struct openai_error_kind *kind,
                              const struct openai_names *names, int64_t wait_ns)
{
    if (kind->body != NULL) {
        openai_error_answer_body(answer, kind, kind->status);
        return;
    }
    char *message = openai_error_message(kind, names, wait_ns);
    struct openai_error error = {
        .status = kind->status,
        .message = message != NULL ? message : "",
        .type = kind->type,
        .code = kind->code,
        .param = kind->param,
    };
    openai_error_answer(answer, &error);
    free(message);
}

static const char *refusal_type(const struct quota_answer *refusal)
{
    return quota_dimension_counts_tokens(refusal->stopped_by) ? "tokens" : "requests";
}

/* What they say goes into a JSON string; only names can have in them what must be escaped. */
static void say_whose(struct text *text, const struct quota_answer *refusal,
                      const struct openai_names *names, bool is_of_project)
{
    if (is_of_project) {
        text_add(text, "project ");
        text_add_escaped(text, or_own(names->project, OPENAI_PROJECT));
        text_add(text, " organization ");
    } else {
        text_add_escaped(text, or_own(names->model, ""));
        text_add(text, " in organization ");
    }
    text_add_escaped(text, or_own(names->organization, OPENAI_ORGANIZATION));
    text_add(text, " on ");
    text_add(text, quota_dimension_label(refusal->stopped_by));
    text_add(text, ": Limit ");
    text_add_whole(text, refusal->limit);
}

/* chatboxai/chatbox#1361: with what was asked for in it. */
static void say_images(struct text *text, const struct quota_answer *refusal,
                       const struct openai_names *names)
{
    text_add(text, "Rate limit exceeded for images per minute in organization ");
    text_add_escaped(text, or_own(names->organization, OPENAI_ORGANIZATION));
    text_add(text, ". Limit: ");
    text_add_whole(text, refusal->limit);
    text_add(text, "/1min. Current: ");
    text_add_whole(text, refusal->used + refusal->requested);
    text_add(text, "/1min. " VISIT_GUIDE);
}

/* Aider-AI/aider#1880: neither "Used" nor "try again". */
static void say_too_large(struct text *text, const struct quota_answer *refusal,
                          const struct openai_names *names, bool is_of_project)
{
    text_add(text, "Request too large for ");
    say_whose(text, refusal, names, is_of_project);
    text_add(text, ", Requested ");
    text_add_whole(text, refusal->requested);
    text_add(
        text,
        ". The input or output tokens must be reduced in order to run successfully. " VISIT_LIMITS);
}

static void say_limit(struct text *text, const struct quota_answer *refusal,
                      const struct openai_names *names, bool is_of_project)
{
    text_add(text, "Rate limit reached for ");
    say_whose(text, refusal, names, is_of_project);
    text_add(text, ", Used ");
    text_add_whole(text, refusal->used);
    text_add(text, ", Requested ");
    text_add_whole(text, refusal->requested);
    text_add(text, ".");
    if (refusal->wait_ns >= 0) {
        char wait[DURATION_TEXT_SIZE];
        text_add(text, " Please try again in ");
        text_add(text, duration_go(refusal->wait_ns, wait));
        text_add(text, ".");
    }
    text_add(text, " " VISIT_LIMITS);
}

void openai_error_answer_refusal(struct answer *answer, const struct quota_answer *refusal,
                                 const struct openai_names *names, bool is_of_project)
{
    if (refusal->stopped_by == QUOTA_REQUESTS_TOTAL) {
        openai_error_answer_kind(answer, openai_error_find("insufficient_quota"), names, -1);
        return;
    }
    struct text text;
    begin_envelope(&text, MESSAGE_SIZE);
    if (refusal->stopped_by == QUOTA_IMAGES_PER_MINUTE)
        say_images(&text, refusal, names);
    else if (refusal->too_large)
        say_too_large(&text, refusal, names, is_of_project);
    else
        say_limit(&text, refusal, names, is_of_project);
    const struct openai_error error = {
        .status = 429,
        .type = refusal_type(refusal),
        .code = "rate_limit_exceeded",
    };
    end_envelope(&text, &error, answer);
}
