/* Expectations on how it ended: outcome, last status and code, exit code, what was not retried.
 *
 * Where a command is started several times (`runs`), a list gives one value a run. */
#include "harness/expectation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The attempt of run `run` that came last, or NULL. Which call it belongs to does not matter. */
static const struct attempt *last_attempt(const struct evidence *evidence, size_t run)
{
    const struct attempt *last = NULL;
    for (size_t i = 0; i < evidence->call_count; i++) {
        const struct call *call = &evidence->calls[i];
        if ((size_t)call->run != run || call->attempt_count == 0)
            continue;
        const struct attempt *attempt = &call->attempts[call->attempt_count - 1];
        if (last == NULL || attempt->arrived_ns >= last->arrived_ns)
            last = attempt;
    }
    return last;
}

/* Reads one value, or a list with one a run, as texts; `read_one` turns each into its text. */
static bool read_per_run(struct expectation *expectation, const struct json_reader *reader,
                         const cJSON *value, const char *pointer,
                         char *(*text_of)(const cJSON *value), const char *wanted)
{
    size_t count = cJSON_IsArray(value) ? (size_t)cJSON_GetArraySize(value) : 1;
    if (count == 0 || count > EXPECTATION_ITEMS_MAX)
        return json_wrong(reader, pointer, value, "%s, or a list of 1 to %d such", wanted,
                          EXPECTATION_ITEMS_MAX);
    expectation->texts = calloc(count, sizeof *expectation->texts);
    if (expectation->texts == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const cJSON *item = cJSON_IsArray(value) ? cJSON_GetArrayItem(value, (int)i) : value;
        char place[JSON_POINTER_SIZE];
        snprintf(place, sizeof place, "%s", pointer);
        if (cJSON_IsArray(value))
            json_pointer_item(place, pointer, i);
        char *text = text_of(item);
        if (text == NULL)
            return json_wrong(reader, place, item, "%s", wanted);
        expectation->texts[expectation->count++] = text;
    }
    return true;
}

/* One value stands for every run. */
static const char *wanted_in(const struct expectation *expectation, size_t run)
{
    if (expectation->count == 1)
        return expectation->texts[0];
    return run < expectation->count ? expectation->texts[run] : "(nothing is said of this run)";
}

/* A list in words: "raises, raises, succeeds", or once if all are equal. */
struct words {
    char *text;
    size_t length;
    FILE *stream;
    size_t count;
    bool all_equal;
    char first[128];
};

static bool words_start(struct words *words)
{
    *words = (struct words){.all_equal = true};
    words->stream = open_memstream(&words->text, &words->length);
    return words->stream != NULL;
}

static void words_add(struct words *words, const char *text)
{
    if (words->count == 0)
        snprintf(words->first, sizeof words->first, "%s", text);
    words->all_equal = words->all_equal && strcmp(words->first, text) == 0;
    fprintf(words->stream, "%s%s", words->count++ > 0 ? ", " : "", text);
}

/* The caller frees it; NULL when memory is out. */
static char *words_end(struct words *words)
{
    fclose(words->stream);
    if (words->count > 1 && words->all_equal) {
        free(words->text);
        return strdup(words->first);
    }
    return words->text;
}

static void tell_expected(const struct expectation *expectation, struct verdict *verdict,
                          const char *before)
{
    struct words words;
    if (!words_start(&words))
        return;
    for (size_t i = 0; i < expectation->count; i++)
        words_add(&words, expectation->texts[i]);
    char *text = words_end(&words);
    verdict_expected(verdict, "%s%s", before, text != NULL ? text : "");
    free(text);
}

static void compare_runs(const struct expectation *expectation, const struct evidence *evidence,
                         struct verdict *verdict,
                         bool (*compare)(const char *wanted, const struct evidence *evidence,
                                         size_t run, char seen[128]))
{
    bool holds = evidence->run_count > 0;
    bool is_list = expectation->count > 1;
    struct words words;
    tell_expected(expectation, verdict, "");
    if (!words_start(&words))
        return;
    for (size_t run = 0; run < evidence->run_count; run++) {
        char one[128] = "";
        holds &= compare(wanted_in(expectation, run), evidence, run, one);
        words_add(&words, one);
    }
    char *seen = words_end(&words);
    holds &= !is_list || evidence->run_count == expectation->count;
    verdict_seen(verdict, "%s", evidence->run_count > 0 ? seen : "the client was not started");
    free(seen);
    verdict->state = holds ? VERDICT_HELD : VERDICT_FAILED;
}

static char *outcome_text(const cJSON *value)
{
    bool known = cJSON_IsString(value) && (strcmp(value->valuestring, "raises") == 0 ||
                                           strcmp(value->valuestring, "succeeds") == 0);
    return known ? strdup(value->valuestring) : NULL;
}

static bool read_outcome(struct expectation *expectation, const struct json_reader *reader,
                         const cJSON *value, const char *pointer)
{
    return read_per_run(expectation, reader, value, pointer, outcome_text,
                        "\"raises\" or \"succeeds\"");
}

/* raises: the last answer was an error and the program ended with failure. succeeds: the last
 * answer was good and the program ended well. Anything else is neither. */
static bool compare_outcome(const char *wanted, const struct evidence *evidence, size_t run,
                            char seen[128])
{
    const struct attempt *last = last_attempt(evidence, run);
    const struct client_run *client = &evidence->runs[run];
    bool good_answer = last != NULL && last->status >= 200 && last->status < 300;
    bool good_exit = client->exit_code == 0 && client->signal == 0;
    if (last == NULL)
        snprintf(seen, 128, "no request at all, exit code %d", client->exit_code);
    else if (good_answer && good_exit)
        snprintf(seen, 128, "succeeds");
    else if (!good_answer && client->exit_code > 0)
        snprintf(seen, 128, "raises");
    else if (client->signal != 0)
        snprintf(seen, 128, "last status %d, killed by signal %d", last->status, client->signal);
    else
        snprintf(seen, 128, "last status %d, exit code %d", last->status, client->exit_code);
    return strcmp(seen, wanted) == 0;
}

static void judge_outcome(const struct expectation *expectation, const struct evidence *evidence,
                          struct verdict *verdict)
{
    compare_runs(expectation, evidence, verdict, compare_outcome);
    bool wants_raise = strstr(verdict->expected, "raises") != NULL;
    verdict->hint =
        wants_raise ? "The last error must reach the caller: re-raise it after the last attempt, "
                      "and let the program end with a failure that its own caller can see."
                    : "The client did not come through: it must go on until it is served, and end "
                      "with exit code 0 then.";
}

static char *status_text(const cJSON *value)
{
    char text[16];
    if (!cJSON_IsNumber(value) || value->valuedouble < 100 || value->valuedouble > 599 ||
        value->valuedouble != value->valueint)
        return NULL;
    snprintf(text, sizeof text, "%d", value->valueint);
    return strdup(text);
}

static bool read_final_status(struct expectation *expectation, const struct json_reader *reader,
                              const cJSON *value, const char *pointer)
{
    return read_per_run(expectation, reader, value, pointer, status_text, "an HTTP status");
}

static bool compare_final_status(const char *wanted, const struct evidence *evidence, size_t run,
                                 char seen[128])
{
    const struct attempt *last = last_attempt(evidence, run);
    if (last == NULL)
        snprintf(seen, 128, "no request");
    else
        snprintf(seen, 128, "%d", last->status);
    return strcmp(seen, wanted) == 0;
}

static void judge_final_status(const struct expectation *expectation,
                               const struct evidence *evidence, struct verdict *verdict)
{
    compare_runs(expectation, evidence, verdict, compare_final_status);
    verdict->hint = "The last answer that the client got is another one: it gave up too early, or "
                    "went on when it should have stopped.";
}

static char *code_text(const cJSON *value)
{
    if (cJSON_IsNull(value))
        return strdup("none");
    return cJSON_IsString(value) ? strdup(value->valuestring) : NULL;
}

static bool read_final_code(struct expectation *expectation, const struct json_reader *reader,
                            const cJSON *value, const char *pointer)
{
    return read_per_run(expectation, reader, value, pointer, code_text,
                        "an error code such as \"rate_limit_exceeded\", or null");
}

static bool compare_final_code(const char *wanted, const struct evidence *evidence, size_t run,
                               char seen[128])
{
    const struct attempt *last = last_attempt(evidence, run);
    snprintf(seen, 128, "%s",
             last == NULL            ? "no request"
             : last->code[0] != '\0' ? last->code
                                     : "none");
    return strcmp(seen, wanted) == 0;
}

static void judge_final_code(const struct expectation *expectation, const struct evidence *evidence,
                             struct verdict *verdict)
{
    compare_runs(expectation, evidence, verdict, compare_final_code);
    verdict->hint = "The last answer that the client got is another one.";
}

static char *exit_text(const cJSON *value)
{
    char text[16];
    if (cJSON_IsString(value) && strcmp(value->valuestring, "nonzero") == 0)
        return strdup("nonzero");
    if (!cJSON_IsNumber(value) || value->valuedouble < 0 || value->valuedouble > 255 ||
        value->valuedouble != value->valueint)
        return NULL;
    snprintf(text, sizeof text, "%d", value->valueint);
    return strdup(text);
}

static bool read_exit_code(struct expectation *expectation, const struct json_reader *reader,
                           const cJSON *value, const char *pointer)
{
    return read_per_run(expectation, reader, value, pointer, exit_text,
                        "an exit code from 0 to 255, or \"nonzero\"");
}

static bool compare_exit_code(const char *wanted, const struct evidence *evidence, size_t run,
                              char seen[128])
{
    const struct client_run *client = &evidence->runs[run];
    if (client->signal != 0) {
        snprintf(seen, 128, "killed by signal %d", client->signal);
        return false;
    }
    snprintf(seen, 128, "%d", client->exit_code);
    if (strcmp(wanted, "nonzero") == 0)
        return client->exit_code != 0;
    return strcmp(seen, wanted) == 0;
}

static void judge_exit_code(const struct expectation *expectation, const struct evidence *evidence,
                            struct verdict *verdict)
{
    compare_runs(expectation, evidence, verdict, compare_exit_code);
    verdict->hint = "The exit code is what CI and shell scripts see: a program that failed must "
                    "not end with 0, nor one that succeeded with another.";
}

static char *code_or_status_text(const cJSON *value)
{
    char *text = status_text(value);
    return text != NULL || !cJSON_IsString(value) ? text : strdup(value->valuestring);
}

static bool read_not_retried(struct expectation *expectation, const struct json_reader *reader,
                             const cJSON *value, const char *pointer)
{
    return read_per_run(expectation, reader, value, pointer, code_or_status_text,
                        "an error code or an HTTP status");
}

static bool is_listed(const struct expectation *expectation, const struct attempt *attempt)
{
    char status[16];
    snprintf(status, sizeof status, "%d", attempt->status);
    for (size_t i = 0; i < expectation->count; i++) {
        if (strcmp(expectation->texts[i], attempt->code) == 0 ||
            strcmp(expectation->texts[i], status) == 0)
            return true;
    }
    return false;
}

static void judge_not_retried(const struct expectation *expectation,
                              const struct evidence *evidence, struct verdict *verdict)
{
    size_t met = 0;
    size_t retried = 0;
    const struct attempt *example = NULL;
    for (size_t i = 0; i < evidence->call_count; i++) {
        const struct call *call = &evidence->calls[i];
        for (size_t j = 0; j < call->attempt_count; j++) {
            if (!is_listed(expectation, &call->attempts[j]))
                continue;
            met++;
            if (j + 1 < call->attempt_count) {
                retried++;
                example = &call->attempts[j];
            }
        }
    }
    tell_expected(expectation, verdict, "no retry after ");
    if (met == 0) {
        verdict_seen(verdict, "no such answer was given");
        verdict->hint = "The client never met this error, so nothing shows how it takes it.";
    } else if (retried > 0) {
        verdict_seen(verdict, "%zu retr%s after %s", retried, retried == 1 ? "y" : "ies",
                     example->code[0] != '\0' ? example->code : "it");
        verdict->hint = "Waiting does not cure this error; retrying it only hides it. Look at the "
                        "error's code (not only the status 429) before deciding to retry; with the "
                        "official SDKs set max_retries=0, which otherwise retry every 429.";
    } else {
        verdict_seen(verdict, "%zu such answer%s, none retried", met, met == 1 ? "" : "s");
        verdict->state = VERDICT_HELD;
    }
}

const struct expectation_kind expect_outcome = {"outcome", false, read_outcome, judge_outcome};
const struct expectation_kind expect_final_status = {"final_status", false, read_final_status,
                                                     judge_final_status};
const struct expectation_kind expect_final_code = {"final_code", false, read_final_code,
                                                   judge_final_code};
const struct expectation_kind expect_exit_code = {"exit_code", false, read_exit_code,
                                                  judge_exit_code};
const struct expectation_kind expect_not_retried = {"not_retried", true, read_not_retried,
                                                    judge_not_retried};
