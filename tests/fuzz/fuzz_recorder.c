/* What a server behind answers, above all its event streams, on the way into a recorded scenario.
 *
 * The input is lines, then the body: the path, the model, the error's code, headers up to an empty
 * line. Byte 0x1e in the body stands between two pieces of it; the first digit of the path, if
 * there is one, chooses the status.
 */
#include "base/duration.h"
#include "base/json_text.h"
#include "base/text.h"
#include "harness/scenario.h"
#include "mockserver/recorder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "sk-client-0123456789"

static const char *const keys[] = {KEY, NULL};

enum { LINE_SIZE = 512 };

/* Takes a line off the input, as a string. */
static void take_line(const char **at, const char *end, char line[LINE_SIZE])
{
    const char *line_end = memchr(*at, '\n', (size_t)(end - *at));
    if (line_end == NULL)
        line_end = end;
    size_t length = (size_t)(line_end - *at);
    size_t kept = length < LINE_SIZE ? length : LINE_SIZE - 1;
    memcpy(line, *at, kept);
    line[kept] = '\0';
    *at = line_end < end ? line_end + 1 : end;
}

static void record_headers(struct recording *recording, const char **at, const char *end)
{
    char line[LINE_SIZE];
    for (take_line(at, end, line); line[0] != '\0'; take_line(at, end, line)) {
        char *colon = strstr(line, ": ");
        if (colon == NULL)
            continue;
        *colon = '\0';
        recording_header(recording, line, colon + 2);
    }
}

/* Returns the body without what stands between its pieces. */
static char *record_body(struct recorder *recorder, struct recording *recording, const char *at,
                         const char *end, size_t *length)
{
    char *body = malloc((size_t)(end - at) + 1);
    assert(body != NULL);
    *length = 0;
    for (int64_t now_ns = NS_PER_S; at < end; now_ns += NS_PER_MS) {
        const char *stop = memchr(at, 0x1e, (size_t)(end - at));
        size_t piece = (size_t)((stop != NULL ? stop : end) - at);
        recording_data(recorder, recording, at, piece, now_ns);
        memcpy(body + *length, at, piece);
        *length += piece;
        at += piece + (stop != NULL);
    }
    body[*length] = '\0';
    return body;
}

static void check_step(const struct script_step *step, const char *body, size_t length)
{
    assert(strlen(step->body) == length);
    assert(strstr(body, KEY) != NULL || strcmp(step->body, body) == 0);
    size_t begin = 0;
    for (size_t i = 0; i < step->piece_count; i++) {
        size_t end = step->pieces[i].end;
        assert(end > begin && end <= length);
        assert(i == 0 || step->pieces[i].due_ns >= step->pieces[i - 1].due_ns);
        assert(json_is_utf8(step->body + begin, end - begin)); /* no character is torn */
        begin = end;
    }
    assert(step->piece_count == 0 || begin == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    char path[LINE_SIZE];
    char model[LINE_SIZE];
    char code[LINE_SIZE];
    take_line(&at, end, path);
    take_line(&at, end, model);
    take_line(&at, end, code);
    struct journal_entry entry = {.sequence = 1, .decided_ns = NS_PER_S, .first_byte_ns = NS_PER_S};
    const char *digit = strpbrk(path, "0123456789");
    entry.status = digit != NULL ? 100 * (*digit - '0') + 29 : 200;
    text_copy_utf8(entry.path, sizeof entry.path, path);
    text_copy_utf8(entry.model, sizeof entry.model, model);
    text_copy_utf8(entry.code, sizeof entry.code, code);

    struct recorder *recorder = recorder_new();
    assert(recorder != NULL);
    struct recording *recording = recorder_begin(recorder);
    assert(recording != NULL);
    record_headers(recording, &at, end);
    size_t length = 0;
    char *body = record_body(recorder, recording, at, end, &length);
    recorder_end(recorder, recording, &entry, keys);
    assert(recorder_count(recorder) + recorder_left_out(recorder) == 1);

    char *text = NULL;
    size_t text_length = 0;
    FILE *stream = open_memstream(&text, &text_length);
    assert(stream != NULL && recorder_write(recorder, stream));
    fclose(stream);
    assert(strstr(text, KEY) == NULL);
    struct scenario scenario = {0};
    struct error error;
    assert(scenario_parse(&scenario, text, text_length, "record.json", &error));
    assert(scenario.server.script.step_count == recorder_count(recorder));
    if (recorder_count(recorder) == 1)
        check_step(&scenario.server.script.steps[0], body, length);
    scenario_free(&scenario);
    free(text);
    free(body);
    recorder_free(recorder);
    return 0;
}
