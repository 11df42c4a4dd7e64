/* Expectations on what the client wrote: parts and POSIX extended regular expressions. */
#include "harness/expectation.h"

#include "base/pattern_cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A string, or a list of strings that must all be there. */
static bool read_texts(struct expectation *expectation, const struct json_reader *reader,
                       const cJSON *value, const char *pointer)
{
    size_t count = cJSON_IsArray(value) ? (size_t)cJSON_GetArraySize(value) : 1;
    if (count == 0 || count > EXPECTATION_ITEMS_MAX)
        return json_wrong(reader, pointer, value, "a string or a list of strings");
    expectation->texts = calloc(count, sizeof *expectation->texts);
    if (expectation->texts == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const cJSON *item = cJSON_IsArray(value) ? cJSON_GetArrayItem(value, (int)i) : value;
        char place[JSON_POINTER_SIZE];
        snprintf(place, sizeof place, "%s", pointer);
        if (cJSON_IsArray(value))
            json_pointer_item(place, pointer, i);
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
            return json_wrong(reader, place, item, "a string that is not empty, or a list of such");
        expectation->texts[expectation->count++] = strdup(item->valuestring);
    }
    return true;
}

static bool read_patterns(struct expectation *expectation, const struct json_reader *reader,
                          const cJSON *value, const char *pointer)
{
    if (!read_texts(expectation, reader, value, pointer))
        return false;
    expectation->patterns = calloc(expectation->count, sizeof *expectation->patterns);
    if (expectation->patterns == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    for (size_t i = 0; i < expectation->count; i++) {
        regex_t *pattern = &expectation->patterns[i];
        if (pattern_cost(expectation->texts[i]) > PATTERN_COST_MAX)
            return json_wrong(reader, pointer, value,
                              "a regular expression that repeats less: at most %d characters, each "
                              "counted as often as it is to be there",
                              PATTERN_COST_MAX);
        int failure =
            regcomp(pattern, expectation->texts[i], REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
        if (failure != 0) {
            char reason[128];
            regerror(failure, pattern, reason, sizeof reason);
            return json_wrong(reader, pointer, value, "a POSIX extended regular expression (%s)",
                              reason);
        }
        expectation->pattern_count++;
    }
    return true;
}

/* What a client wrote may hold NULs, so its length counts. */
struct written {
    const char *text;
    size_t length;
};

typedef struct written stream_of(const struct client_run *run);

static struct written stdout_of(const struct client_run *run)
{
    return run->output != NULL ? (struct written){run->output, run->output_length}
                               : (struct written){"", 0};
}

static struct written stderr_of(const struct client_run *run)
{
    return run->errors != NULL ? (struct written){run->errors, run->errors_length}
                               : (struct written){"", 0};
}

static bool matches(const regex_t *pattern, struct written written)
{
    regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)written.length};
    return regexec(pattern, written.text, 1, &whole, REG_STARTEND) == 0;
}

static bool is_in_a_run(const struct expectation *expectation, size_t index,
                        const struct evidence *evidence, stream_of *stream)
{
    for (size_t run = 0; run < evidence->run_count; run++) {
        struct written written = stream(&evidence->runs[run]);
        const char *part = expectation->texts[index];
        bool found = expectation->patterns != NULL
                         ? matches(&expectation->patterns[index], written)
                         : memmem(written.text, written.length, part, strlen(part)) != NULL;
        if (found)
            return true;
    }
    return false;
}

/* The last line that says something, cut: usually the error itself. */
static void last_line(const struct evidence *evidence, stream_of *stream, char line[160])
{
    snprintf(line, 160, "nothing");
    if (evidence->run_count == 0)
        return;
    struct written written = stream(&evidence->runs[evidence->run_count - 1]);
    const char *text = written.text;
    size_t end = written.length;
    while (end > 0 && strchr(" \r\n\t", text[end - 1]) != NULL) /* NUL too */
        end--;
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    if (end > start)
        snprintf(line, 160, "%.*s%s", (int)(end - start > 150 ? 150 : end - start), text + start,
                 end - start > 150 ? "..." : "");
}

static void judge_stream(const struct expectation *expectation, const struct evidence *evidence,
                         struct verdict *verdict, stream_of *stream)
{
    verdict->state = VERDICT_HELD;
    const char *manner = expectation->patterns != NULL ? "matches" : "contains";
    size_t missing = 0;
    for (size_t i = 0; i < expectation->count && verdict->state == VERDICT_HELD; i++) {
        if (!is_in_a_run(expectation, i, evidence, stream)) {
            verdict->state = VERDICT_FAILED;
            missing = i;
        }
    }
    verdict_expected(verdict, "%s \"%s\"%s", manner, expectation->texts[missing],
                     verdict->state == VERDICT_HELD && expectation->count > 1 ? " and others" : "");
    char line[160];
    last_line(evidence, stream, line);
    if (verdict->state == VERDICT_HELD)
        verdict_seen(verdict, "it does");
    else
        verdict_seen(verdict, "last line: %s", line);
    verdict->hint = "The client's output does not say what it should: is the error swallowed, "
                    "replaced by another, or printed to the other stream?";
}

static void judge_stdout(const struct expectation *expectation, const struct evidence *evidence,
                         struct verdict *verdict)
{
    judge_stream(expectation, evidence, verdict, stdout_of);
}

static void judge_stderr(const struct expectation *expectation, const struct evidence *evidence,
                         struct verdict *verdict)
{
    judge_stream(expectation, evidence, verdict, stderr_of);
}

const struct expectation_kind expect_stdout_contains = {"stdout_contains", false, read_texts,
                                                        judge_stdout};
const struct expectation_kind expect_stdout_matches = {"stdout_matches", false, read_patterns,
                                                       judge_stdout};
const struct expectation_kind expect_stderr_contains = {"stderr_contains", false, read_texts,
                                                        judge_stderr};
const struct expectation_kind expect_stderr_matches = {"stderr_matches", false, read_patterns,
                                                       judge_stderr};
