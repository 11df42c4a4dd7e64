#include "mockserver/script.h"

#include "base/duration.h"
#include "mockserver/http_date.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const script_methods[] = {"DELETE", "GET",  "HEAD", "OPTIONS",
                                      "PATCH",  "POST", "PUT",  NULL};

static bool is_used_up(const struct script_step *step, const struct script_state *state,
                       int64_t now_ns)
{
    if (step->times != SCRIPT_FOREVER && state->played >= step->times)
        return true;
    return step->lasts_ns > 0 && state->first_played_ns >= 0 &&
           now_ns - state->first_played_ns >= step->lasts_ns;
}

static bool is_path(const char *pattern, const char *path)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*')
        return strncmp(pattern, path, length - 1) == 0;
    return strcmp(pattern, path) == 0;
}

static bool is_match(const struct script_step *step, struct script_state *state,
                     const struct script_request *request, struct random *random)
{
    if (step->fault.kind != NULL && step->fault.kind->needs_stream && !request->is_streamed)
        return false;
    if (request->age_ns < step->after_ns ||
        (step->until_ns > 0 && request->age_ns >= step->until_ns))
        return false;
    if (step->method != NULL && strcmp(step->method, request->method) != 0)
        return false;
    if (step->model != NULL && strcmp(step->model, request->model) != 0)
        return false;
    if (step->path == NULL
            ? !request->asks_model
            : !is_path(step->path, request->path) && !is_path(step->path, request->route))
        return false;
    if (step->key_tail != NULL && strcmp(step->key_tail, request->key_tail) != 0)
        return false;
    if (step->request != 0 && step->request != request->number)
        return false;
    if (step->every > 1 && ++state->matched % step->every != 0)
        return false;
    return step->share >= 1 || random_unit(random) < step->share;
}

int script_next(const struct script *script, struct script_state *states,
                const struct script_request *request, int64_t now_ns, struct random *random)
{
    for (size_t i = 0; i < script->step_count; i++) {
        const struct script_step *step = &script->steps[i];
        if (is_used_up(step, &states[i], now_ns) || !is_match(step, &states[i], request, random))
            continue;
        states[i].played++;
        if (states[i].first_played_ns < 0)
            states[i].first_played_ns = now_ns;
        return (int)i;
    }
    return -1;
}

bool script_step_is_played(const struct script_step *step, const struct script_state *state)
{
    bool counts = step->times != SCRIPT_FOREVER && step->lasts_ns == 0;
    return state->played >= (counts ? step->times : 1);
}

static const struct openai_error_kind *error_kind(const struct script_step *step)
{
    return openai_error_find(step->error_kind != NULL ? step->error_kind : "rate_limit_exceeded");
}

int script_status(const struct script_step *step)
{
    return step->status != 0 ? step->status : error_kind(step)->status;
}

static void answer_error(const struct script_step *step, const struct openai_names *names,
                         struct answer *answer)
{
    const struct openai_error_kind *kind = error_kind(step);
    bool is_changed = step->message != NULL || step->has_type || step->has_code || step->has_param;
    if (kind->body != NULL && !is_changed) {
        openai_error_answer_body(answer, kind, script_status(step));
        return;
    }
    char *message = openai_error_message(kind, names, step->retry_after_ns);
    struct openai_error error = {
        .status = script_status(step),
        .message = step->message != NULL ? step->message
                   : message != NULL     ? message
                                         : "",
        .type = step->has_type ? step->type : kind->type,
        .code = step->has_code ? step->code : kind->code,
        .param = step->has_param ? step->param : kind->param,
    };
    openai_error_answer(answer, &error);
    free(message);
}

static enum http_date_form date_form(const struct script_step *step)
{
    if (step->retry_after_form == RETRY_AFTER_DATE_RFC850)
        return HTTP_DATE_RFC850;
    return step->retry_after_form == RETRY_AFTER_DATE_ASCTIME ? HTTP_DATE_ASCTIME : HTTP_DATE_IMF;
}

static void answer_wait(const struct script_step *step, int64_t wall_ns, struct answer *answer)
{
    int64_t wait_ns = step->retry_after_ns;
    if (step->retry_after_form == RETRY_AFTER_SECONDS) {
        answer_retry_after(answer, wait_ns, false);
        return;
    }
    answer->retry_after_ns = wait_ns;
    if (step->retry_after_form == RETRY_AFTER_MILLISECONDS) {
        answer_header(answer, "retry-after-ms", "%" PRId64, (wait_ns + NS_PER_MS - 1) / NS_PER_MS);
        return;
    }
    /* A date has whole seconds; rounded up, so that who waits for it is not early. What is asked
     * for is then the wait until that second. */
    int64_t date_s = (wall_ns + wait_ns + NS_PER_S - 1) / NS_PER_S;
    char date[HTTP_DATE_SIZE];
    answer->retry_after_ns = date_s * NS_PER_S - wall_ns;
    answer_header(answer, "retry-after", "%s", http_date_as(date_s, date_form(step), date));
}

/* What headers that a script wrote itself ask for, so that the journal knows it. */
static int64_t wait_in_headers(const struct script_step *step)
{
    static const int64_t seconds_max = DURATION_NS_MAX / NS_PER_S;
    int64_t wait_ns = -1;
    for (size_t i = 0; i < step->header_count; i++) {
        bool is_ms = strcasecmp(step->headers[i].name, "retry-after-ms") == 0;
        if (!is_ms && strcasecmp(step->headers[i].name, "retry-after") != 0)
            continue;
        char *end = NULL;
        double number = strtod(step->headers[i].value, &end);
        bool is_number = end != step->headers[i].value && *end == '\0' && number >= 0 &&
                         number <= (double)seconds_max;
        if (is_number && (is_ms || wait_ns < 0))
            wait_ns = (int64_t)(number * (double)(is_ms ? NS_PER_MS : NS_PER_S));
        if (is_number && is_ms)
            break;
    }
    return wait_ns;
}

/* Nobody knows of a stream how long it will be. */
static void add_pieces(const struct script_step *step, struct answer *answer)
{
    if (step->pieces == NULL || answer->body == NULL)
        return;
    struct answer_piece *pieces = calloc(step->piece_count, sizeof *pieces);
    if (pieces == NULL)
        return;
    memcpy(pieces, step->pieces, step->piece_count * sizeof *pieces);
    answer_pieces(answer, pieces, step->piece_count);
    answer->stream = ANSWER_STREAM_DATA;
}

void script_answer(const struct script_step *step, const struct openai_names *names,
                   int64_t wall_ns, struct answer *answer)
{
    if (step->body != NULL) {
        answer_init(answer, script_status(step));
        if (step->code != NULL)
            snprintf(answer->code, sizeof answer->code, "%s", step->code);
        answer_body(answer, strdup(step->body));
        add_pieces(step, answer);
    } else {
        answer_error(step, names, answer);
    }
    if (step->retry_after_ns >= 0)
        answer_wait(step, wall_ns, answer);
    else
        answer->retry_after_ns = wait_in_headers(step);
    for (size_t i = 0; i < step->header_count; i++)
        answer_header(answer, step->headers[i].name, "%s", step->headers[i].value);
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->step_count; i++) {
        struct script_step *step = &script->steps[i];
        free(step->model);
        free(step->path);
        free(step->key_tail);
        free(step->content);
        free(step->error_kind);
        free(step->message);
        free(step->type);
        free(step->code);
        free(step->param);
        free(step->body);
        free(step->pieces);
    }
    free(script->steps);
    *script = (struct script){0};
}
