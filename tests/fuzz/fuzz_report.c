/* All reports of a result whose every text and number comes from outside.
 *
 * The input: eight parts with bytes 0x1e between (name, file, output, errors, expected, seen,
 * model, error code), then numbers of eight bytes for times, statuses and states.
 */
#include "base/json.h"
#include "tests/unit/sample_results.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PART_COUNT = 8, ATTEMPTS_MAX = 40 };

struct input {
    const uint8_t *data;
    size_t size;
};

/* The next part, which ends before 0x1e; with a NUL behind it. */
static char *next_part(struct input *input, size_t *length)
{
    const uint8_t *stop = input->size > 0 ? memchr(input->data, 0x1e, input->size) : NULL;
    *length = stop != NULL ? (size_t)(stop - input->data) : input->size;
    char *part = malloc(*length + 1);
    assert(part != NULL);
    if (*length > 0)
        memcpy(part, input->data, *length);
    part[*length] = '\0';
    size_t taken = *length + (stop != NULL ? 1 : 0);
    input->data += taken;
    input->size -= taken;
    return part;
}

static uint64_t next_number(struct input *input)
{
    uint64_t number = 0;
    size_t length = input->size < sizeof number ? input->size : sizeof number;
    if (length > 0)
        memcpy(&number, input->data, length);
    input->data += length;
    input->size -= length;
    return number;
}

/* Times on a run's clock: from 0 to 146 years. */
static int64_t next_time(struct input *input)
{
    return (int64_t)(next_number(input) >> 2);
}

static void add_attempts(struct result *result, struct call *call, const char *code,
                         struct input *input)
{
    int64_t at_ns = 0;
    for (int i = 0; i < ATTEMPTS_MAX && input->size > 0; i++) {
        static const int statuses[] = {200, 429, 503, 0};
        int64_t wait_ns = next_time(input) / ATTEMPTS_MAX / 2;
        int64_t takes_ns = next_time(input) / ATTEMPTS_MAX / 2;
        struct attempt *attempt = sample_attempt(result, call, statuses[wait_ns & 3], 0, 0);
        attempt->arrived_ns = at_ns + wait_ns;
        attempt->answered_ns = (takes_ns & 7) == 7 ? -1 : attempt->arrived_ns + takes_ns;
        attempt->delay_ns = i == 0 ? -1 : wait_ns;
        attempt->retry_after_ns = (takes_ns & 3) == 0 ? takes_ns : -1;
        snprintf(attempt->code, sizeof attempt->code, "%s", code);
        at_ns = attempt->arrived_ns + takes_ns;
    }
    if (result->runs[0].ended_ns < at_ns)
        result->runs[0].ended_ns = at_ns;
    result->duration_ns = result->runs[0].ended_ns;
}

static struct result make_result(struct input *input)
{
    char *parts[PART_COUNT];
    size_t lengths[PART_COUNT];
    for (int i = 0; i < PART_COUNT; i++)
        parts[i] = next_part(input, &lengths[i]);
    struct result result = sample_result(parts[0], parts[1]);
    struct client_run *run = sample_run(&result, 0, 0, 0, "", "");
    free(run->output);
    free(run->errors);
    run->output = parts[2];
    run->output_length = lengths[2];
    run->errors = parts[3];
    run->errors_length = lengths[3];
    uint64_t bits = next_number(input);
    sample_verdict(&result, "stderr_matches", (enum verdict_state)(bits % 3), parts[4], parts[5],
                   bits % 3 == 0 ? "" : "A hint.");
    run->exit_code = (int)(bits >> 8 & 0xff) - 1;
    run->signal = run->exit_code < 0 ? 9 : 0;
    run->timed_out = (bits & 0x10000) != 0;
    run->survivors = (bits & 0x20000) != 0 ? strdup(parts[0]) : NULL;
    result.seed = bits;
    result.time = (bits & 0x40000) != 0 ? CLOCK_VIRTUAL : CLOCK_REAL;
    result.known_failing = (enum known_failing)(bits >> 20 & 3) % 3;
    result.could_not_run = (bits & 0x800000) != 0;
    if (result.could_not_run)
        error_set_run(&result.error, parts[1], "%s", parts[5]);
    result_note(&result, "%s", parts[4]);
    struct call *call = sample_call(&result);
    call->grouping = (enum call_grouping)(bits >> 24 & 7) % (GROUPED_AMBIGUOUS + 1);
    snprintf(call->model, sizeof call->model, "%s", parts[6]);
    add_attempts(&result, call, parts[7], input);
    sample_usage(&result, "requests_per_minute", next_time(input), next_time(input), 3);
    snprintf(result.usages[0].model, sizeof result.usages[0].model, "%s", parts[6]);
    for (int i = 0; i < PART_COUNT; i++) {
        if (i != 2 && i != 3)
            free(parts[i]);
    }
    return result;
}

/* What reaches a terminal, a log or a parser holds no control characters but line ends (and tabs
 * where they are no more than space), and in plain style nothing but ASCII. */
static void check_text(const char *kind, const char *text, size_t length,
                       const struct report_style *style)
{
    assert(json_is_utf8(text, length));
    bool plain = strcmp(kind, "text") == 0 && !style->unicode;
    bool tabs =
        strcmp(kind, "json") == 0 || strcmp(kind, "html") == 0 || strcmp(kind, "junit") == 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        assert(byte == '\n' || byte >= 0x20 || (byte == '\t' && tabs));
        assert(!plain || byte < 0x7f);
    }
    if (strcmp(kind, "json") == 0) {
        struct error error = {0};
        cJSON *root = json_parse(text, length, "report", &error);
        assert(root != NULL);
        cJSON_Delete(root);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const kinds[] = {"text", "json", "junit", "tap", "html", "github"};
    static const struct report_style styles[] = {
        {.width = 60, .verbose = true},
        {.width = 200, .unicode = true},
    };
    struct input input = {.data = data, .size = size};
    struct result result = make_result(&input);
    struct results results = sample_list(1, &result);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t j = 0; j < sizeof styles / sizeof styles[0]; j++) {
            char *text = NULL;
            size_t length = 0;
            FILE *stream = open_memstream(&text, &length);
            assert(stream != NULL && report_find(kinds[i])->write(&results, &styles[j], stream));
            fclose(stream);
            check_text(kinds[i], text, length, &styles[j]);
            free(text);
        }
    }
    sample_free(&results);
    return 0;
}
