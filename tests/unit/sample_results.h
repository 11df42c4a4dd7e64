/* sample_results: results built by hand, for the tests of the reports.
 *
 * Each sample_* returns a result as check would make it; sample_free() releases a list of them.
 */
#ifndef TOOMANY_TESTS_SAMPLE_RESULTS_H
#define TOOMANY_TESTS_SAMPLE_RESULTS_H

#include "base/duration.h"
#include "harness/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline struct result sample_result(const char *name, const char *file)
{
    struct result result;
    result_init(&result);
    result.name = strdup(name);
    result.file = strdup(file);
    result.why = strdup("");
    result.command = strdup("python3 examples/python/fixed.py");
    result.time = CLOCK_REAL;
    result.seed = 1;
    result.wall_ms = 3120;
    result.passed = true;
    return result;
}

static inline struct call *sample_call(struct result *result)
{
    result->calls = realloc(result->calls, (result->call_count + 1) * sizeof *result->calls);
    struct call *call = &result->calls[result->call_count++];
    memset(call, 0, sizeof *call);
    call->grouping = GROUPED_BY_BODY;
    snprintf(call->model, sizeof call->model, "ft:gpt-4o-mini:acme::7p4lURel");
    return call;
}

/* Times in ms; `answered_ms` below 0: no answer was sent. */
static inline struct attempt *sample_attempt(struct result *result, struct call *call, int status,
                                             double arrived_ms, double answered_ms)
{
    /* Doubled when full: one more each time is slow for the hot loops of some tests. */
    size_t count = call->attempt_count;
    if ((count & (count - 1)) == 0)
        call->attempts = realloc(call->attempts, 2 * (count + 1) * sizeof *call->attempts);
    struct attempt *attempt = &call->attempts[call->attempt_count];
    int64_t before_ns =
        call->attempt_count > 0 ? call->attempts[call->attempt_count - 1].answered_ns : -1;
    memset(attempt, 0, sizeof *attempt);
    attempt->sequence = ++result->requests;
    attempt->connection = 1;
    attempt->arrived_ns = (int64_t)(arrived_ms * NS_PER_MS);
    attempt->answered_ns = answered_ms < 0 ? -1 : (int64_t)(answered_ms * NS_PER_MS);
    attempt->delay_ns = before_ns < 0 ? -1 : attempt->arrived_ns - before_ns;
    attempt->status = status;
    attempt->retry_after_ns = -1;
    attempt->retry_count = -1;
    attempt->throttled = status == 429;
    attempt->starts_loop = true;
    attempt->abandoned = answered_ms < 0;
    if (status == 429)
        snprintf(attempt->code, sizeof attempt->code, "rate_limit_exceeded");
    result->throttled += status == 429;
    call->attempt_count++;
    call->loop_attempts++;
    return attempt;
}

static inline void sample_verdict(struct result *result, const char *expectation,
                                  enum verdict_state state, const char *expected, const char *seen,
                                  const char *hint)
{
    result->verdicts =
        realloc(result->verdicts, (result->verdict_count + 1) * sizeof *result->verdicts);
    struct verdict *verdict = &result->verdicts[result->verdict_count++];
    memset(verdict, 0, sizeof *verdict);
    snprintf(verdict->expectation, sizeof verdict->expectation, "%s", expectation);
    verdict->state = state;
    verdict->expected = strdup(expected);
    verdict->seen = strdup(seen);
    verdict->hint = hint;
    if (state != VERDICT_HELD)
        result->passed = false;
}

/* From `started_ms` to `ended_ms`; `errors` goes to stderr. */
static inline struct client_run *sample_run(struct result *result, int exit_code, double started_ms,
                                            double ended_ms, const char *output, const char *errors)
{
    result->runs = realloc(result->runs, (result->run_count + 1) * sizeof *result->runs);
    struct client_run *run = &result->runs[result->run_count++];
    memset(run, 0, sizeof *run);
    run->exit_code = exit_code;
    run->started_ns = (int64_t)(started_ms * NS_PER_MS);
    run->ended_ns = (int64_t)(ended_ms * NS_PER_MS);
    run->output = strdup(output);
    run->output_length = strlen(output);
    run->errors = strdup(errors);
    run->errors_length = strlen(errors);
    run->output_bytes = run->output_length + run->errors_length;
    result->duration_ns = run->ended_ns - result->runs[0].started_ns;
    return run;
}

static inline void sample_usage(struct result *result, const char *dimension, int64_t limit,
                                int64_t peak, int64_t throttled)
{
    result->usages = realloc(result->usages, (result->usage_count + 1) * sizeof *result->usages);
    struct usage *usage = &result->usages[result->usage_count++];
    memset(usage, 0, sizeof *usage);
    snprintf(usage->model, sizeof usage->model, "ft:gpt-4o-mini:acme::7p4lURel");
    snprintf(usage->key_tail, sizeof usage->key_tail, "9xyz");
    usage->dimension = dimension;
    usage->limit = limit;
    usage->peak = peak;
    usage->throttled = throttled;
}

/* R3: two 429s, waits of 1 s and 2 s, served. */
static inline struct result sample_recovers(void)
{
    struct result result = sample_result("recovers when the third attempt is served",
                                         "scenarios/r3-fixed-recovers.json");
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 412, 413);
    sample_attempt(&result, call, 429, 1416, 1417.2);
    sample_attempt(&result, call, 200, 3421.2, 3423);
    sample_run(&result, 0, 0, 3474, "Hello!\n", "");
    result.in_flight_most = 1;
    sample_verdict(&result, "attempts_per_call", VERDICT_HELD, "3", "3", "");
    sample_verdict(&result, "delays", VERDICT_HELD, "1s, 2s, each within 10 %", "1.003s, 2.004s",
                   "");
    sample_verdict(&result, "exit_code", VERDICT_HELD, "0", "0", "");
    sample_verdict(&result, "finished", VERDICT_HELD, "the client ends by itself", "it did", "");
    return result;
}

/* R4 gone wrong: waits after its last attempt too, and tries once too often. */
static inline struct result sample_fails(void)
{
    struct result result = sample_result("gives up after three attempts and re-raises",
                                         "scenarios/r4-fixed-gives-up.json");
    free(result.why);
    result.why = strdup("A client that swallows the last error hides an outage.");
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 398, 399);
    sample_attempt(&result, call, 429, 1402, 1403);
    sample_attempt(&result, call, 429, 3407, 3408);
    sample_attempt(&result, call, 429, 7411, 7412.5);
    sample_run(&result, 0, 0, 15430, "gave up\n",
               "Traceback (most recent call last):\n"
               "  File \"examples/python/wrong.py\", line 31, in <module>\n"
               "    main()\n"
               "openai.RateLimitError: Error code: 429 - {'error': {'message': 'Rate limit reached "
               "for fine-tuned model', 'type': 'requests', 'code': 'rate_limit_exceeded'}}\n");
    result.in_flight_most = 1;
    sample_verdict(&result, "attempts_per_call", VERDICT_FAILED, "3", "4",
                   "The client tries too often: one attempt more than asked is usually `<=` for "
                   "`<`; several times as many is an SDK that retries by itself inside the loop "
                   "(max_retries=0 turns that off).");
    sample_verdict(&result, "exit_code", VERDICT_FAILED, "1", "0",
                   "The exit code is what CI and shell scripts see: a program that failed must not "
                   "end with 0.");
    sample_verdict(&result, "calls", VERDICT_HELD, "1", "1", "");
    sample_verdict(&result, "stderr_matches", VERDICT_HELD, "RateLimitError", "a match", "");
    sample_verdict(&result, "finished", VERDICT_HELD, "the client ends by itself", "it did", "");
    return result;
}

/* R7: six calls at once against two in flight. */
static inline struct result sample_concurrent(void)
{
    struct result result =
        sample_result("too many at once: four of six are refused", "scenarios/r7-broken.json");
    for (int i = 0; i < 6; i++) {
        struct call *call = sample_call(&result);
        double at_ms = 300 + 4 * i;
        if (i >= 2)
            sample_attempt(&result, call, 429, at_ms, at_ms + 1);
        if (i >= 4)
            sample_attempt(&result, call, 429, at_ms + 1003, at_ms + 1004);
        double last_ms = i < 2 ? at_ms : i < 4 ? at_ms + 1003 : at_ms + 3008;
        sample_attempt(&result, call, 200, last_ms, last_ms + 500);
    }
    sample_run(&result, 0, 0, 3880, "done\n", "");
    result.in_flight_most = 3;
    result_note(&result, "6 calls with equal bodies ran at the same time; their attempts were told "
                         "apart by their connections");
    sample_usage(&result, "requests_per_minute", 60, 12, 0);
    sample_usage(&result, "concurrent_requests", 2, 2, 6);
    sample_verdict(&result, "calls", VERDICT_HELD, "6", "6", "");
    sample_verdict(&result, "throttled", VERDICT_HELD, "at least 1", "6", "");
    return result;
}

/* R4 with the SDK's own retries on: nine requests of three tries. */
static inline struct result sample_amplified(void)
{
    static const double at_ms[] = {400, 880, 1810, 2815, 3290, 4250, 6260, 6730, 7650};
    struct result result = sample_result("the SDK's own retries multiply the loop's",
                                         "scenarios/r4-sdk-default-amplifies.json");
    struct call *call = sample_call(&result);
    for (int i = 0; i < 9; i++) {
        struct attempt *attempt = sample_attempt(&result, call, 429, at_ms[i], at_ms[i] + 1);
        attempt->retry_count = i % 3;
        attempt->starts_loop = i % 3 == 0;
    }
    call->loop_attempts = 3;
    call->grouping = GROUPED_BY_COUNTER;
    sample_run(&result, 1, 0, 7720, "", "openai.RateLimitError: Error code: 429\n");
    result_note(&result, "3 attempts in the client's loop, 9 requests on the wire: its SDK retries "
                         "by itself (x-stainless-retry-count); max_retries=0 turns that off");
    sample_verdict(&result, "attempts_per_call", VERDICT_HELD, "9", "9", "");
    sample_verdict(&result, "loop_attempts_per_call", VERDICT_HELD, "3", "3", "");
    return result;
}

/* The built-in client on a virtual clock, with numbers that no double holds. */
static inline struct result sample_virtual(void)
{
    struct result result = sample_result("recovers in virtual time", "scenarios/virtual.json");
    free(result.command);
    result.command = strdup("(built-in client)");
    result.time = CLOCK_VIRTUAL;
    result.wall_ms = -1;
    result.seed = UINT64_C(18446744073709551615);
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 0, 0);
    struct attempt *attempt = sample_attempt(&result, call, 200, 600000, 600000);
    attempt->arrived_ns = INT64_C(9007199254740993); /* 2^53 + 1 */
    attempt->answered_ns = INT64_C(9007199254740995);
    attempt->delay_ns = INT64_C(9007199254740993);
    sample_run(&result, 0, 0, 600000, "", "");
    result.runs[0].ended_ns = INT64_C(9007199254740995);
    result.duration_ns = INT64_C(9007199254740995);
    sample_verdict(&result, "outcome", VERDICT_HELD, "returns", "returned", "");
    return result;
}

static inline struct result sample_could_not_run(void)
{
    struct result result = sample_result("cannot be run", "scenarios/none.json");
    result.passed = false;
    result.could_not_run = true;
    free(result.command);
    result.command = strdup("no-such-program --fast");
    error_set_run(&result.error, "scenarios/none.json: /client/command",
                  "\"no-such-program\" was not found in PATH");
    return result;
}

/* Everything from outside tries to break out of its place. */
static inline struct result sample_hostile(void)
{
    struct result result = sample_result(
        "<script>alert(\"1\")</script> & ]]> '\xff\x1b[31m' # %0A::error\r\n::warning::x",
        "scenarios/a,b:c%\n.json");
    struct call *call = sample_call(&result);
    snprintf(call->model, sizeof call->model, "<b>\"m\"\xc3\x28</b>");
    struct attempt *attempt = sample_attempt(&result, call, 503, 5, 6);
    snprintf(attempt->code, sizeof attempt->code, "\"]]><x>\x01");
    sample_attempt(&result, call, 0, 20, -1);
    struct client_run *run = sample_run(&result, -1, 0, 60000, "out",
                                        "\x1b]0;title\x07<script>\r\n\xfe\xff ]]>\r\n...\n---\n");
    free(run->errors);
    run->errors = malloc(24);
    memcpy(run->errors, "a\0b \x1b[2J <i>]]>\xff\r\n \xe2\x80\xae", 22);
    run->errors[21] = '\0';
    run->errors_length = 21;
    run->signal = 11;
    run->survivors = strdup("<sh>\x1b[0m");
    sample_verdict(&result, "stderr_contains", VERDICT_FAILED, "\"a\\b\"\n<x>]]>",
                   "\x1b[31mred\xff", "Look & see.");
    sample_verdict(&result, "attempts_per_call", VERDICT_UNDETERMINED, "1", "2", "Not certain.");
    result_note(&result, "note with <b> and \x1b[1m and %%0A\nsecond line");
    return result;
}

static inline struct results sample_list(size_t count, const struct result items[])
{
    struct results results = {.items = calloc(count, sizeof *results.items), .count = count};
    memcpy(results.items, items, count * sizeof *results.items);
    return results;
}

static inline void sample_free(struct results *results)
{
    for (size_t i = 0; i < results->count; i++)
        result_free(&results->items[i]);
    free(results->items);
}

/* What `write` writes, as a string that the caller frees; NULL when it returned false. */
static inline char *sample_written(bool (*write)(const struct results *,
                                                 const struct report_style *, FILE *),
                                   const struct results *results, const struct report_style *style)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    bool written = write(results, style, stream);
    fclose(stream);
    if (written)
        return text;
    free(text);
    return NULL;
}

/* As sample_written() of a list of one, which is freed. */
static inline char *sample_report(bool (*write)(const struct results *, const struct report_style *,
                                                FILE *),
                                  struct result result, struct report_style style)
{
    struct results results = sample_list(1, &result);
    char *text = sample_written(write, &results, &style);
    sample_free(&results);
    return text;
}

/* Whether writing fails where the disk is full. */
static inline bool sample_fails_when_full(bool (*write)(const struct results *,
                                                        const struct report_style *, FILE *))
{
    struct result result = sample_fails();
    struct results results = sample_list(1, &result);
    struct report_style style = {.width = 80};
    FILE *stream = fopen("/dev/full", "w");
    bool written = write(&results, &style, stream);
    fclose(stream);
    sample_free(&results);
    return !written;
}

#endif
