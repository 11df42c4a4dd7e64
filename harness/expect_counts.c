/* Expectations on how many: requests, calls, attempts, requests in flight, 429s, quota used. */
#include "harness/expectation.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { COUNT_MAX = 1000000000 };

static bool read_count(struct expectation *expectation, const struct json_reader *reader,
                       const cJSON *value, const char *pointer)
{
    return range_read(&expectation->range, reader, value, pointer, COUNT_MAX);
}

static void judge_count(const struct expectation *expectation, uint64_t seen,
                        struct verdict *verdict, const char *too_few, const char *too_many)
{
    char text[64];
    verdict_expected(verdict, "%s", range_text(&expectation->range, text));
    verdict_seen(verdict, "%" PRIu64, seen);
    bool holds = range_holds(&expectation->range, (double)seen);
    verdict->state = holds ? VERDICT_HELD : VERDICT_FAILED;
    verdict->hint = (double)seen < expectation->range.low ? too_few : too_many;
}

static void judge_requests(const struct expectation *expectation, const struct evidence *evidence,
                           struct verdict *verdict)
{
    judge_count(expectation, evidence->requests, verdict,
                "The client gave up earlier than asked, or never reached the server: does it use "
                "OPENAI_BASE_URL?",
                "Retries multiply: an SDK retries by itself inside the client's own loop "
                "(max_retries=0 turns that off).");
}

static void judge_calls(const struct expectation *expectation, const struct evidence *evidence,
                        struct verdict *verdict)
{
    judge_count(expectation, evidence->call_count, verdict,
                "The client made fewer calls than asked: did an error end it early?",
                "More calls than asked: retries whose body differs from the first attempt's count "
                "as calls of their own, and so does repeating a call that was answered.");
}

/* Judges a number that every call has; tells them as "3, 3, 4", or once if all are equal. */
static void judge_per_call(const struct expectation *expectation, const struct evidence *evidence,
                           struct verdict *verdict, size_t (*number)(const struct call *call),
                           const char *too_few, const char *too_many)
{
    char text[64];
    verdict_expected(verdict, "%s", range_text(&expectation->range, text));
    if (evidence->call_count == 0) {
        verdict_seen(verdict, "no call at all");
        verdict->hint = "The client never reached the server: does it use OPENAI_BASE_URL?";
        return;
    }
    char seen[200] = "";
    size_t used = 0;
    bool holds = true;
    bool all_equal = true;
    for (size_t i = 0; i < evidence->call_count; i++) {
        size_t count = number(&evidence->calls[i]);
        all_equal = all_equal && count == number(&evidence->calls[0]);
        if (!range_holds(&expectation->range, (double)count)) {
            holds = false;
            verdict->hint = (double)count < expectation->range.low ? too_few : too_many;
        }
        if (used + 24 < sizeof seen)
            used += (size_t)snprintf(seen + used, sizeof seen - used, "%s%zu", i > 0 ? ", " : "",
                                     count);
    }
    if (all_equal)
        verdict_seen(verdict, "%zu", number(&evidence->calls[0]));
    else
        verdict_seen(verdict, "%s%s", seen, used + 24 < sizeof seen ? "" : ", ...");
    verdict->state = holds ? VERDICT_HELD : VERDICT_FAILED;
}

static size_t attempts_of(const struct call *call)
{
    return call->attempt_count;
}

static size_t loop_attempts_of(const struct call *call)
{
    return call->loop_attempts;
}

static void judge_attempts(const struct expectation *expectation, const struct evidence *evidence,
                           struct verdict *verdict)
{
    judge_per_call(expectation, evidence, verdict, attempts_of,
                   "The client gives up too early: it does not retry this answer, or counts its "
                   "attempts from 1 where it should from 0.",
                   "The client tries too often: one attempt more than asked is usually "
                   "`<=` for `<`; several times as many is an SDK that retries by itself inside "
                   "the loop (max_retries=0 turns that off).");
}

static void judge_loop_attempts(const struct expectation *expectation,
                                const struct evidence *evidence, struct verdict *verdict)
{
    judge_per_call(expectation, evidence, verdict, loop_attempts_of,
                   "The client's own loop gives up too early.",
                   "The client's own loop tries too often: usually `<=` for `<`.");
}

static void judge_max_in_flight(const struct expectation *expectation,
                                const struct evidence *evidence, struct verdict *verdict)
{
    judge_count(expectation, (uint64_t)evidence->in_flight_most, verdict,
                "The client never had that many requests under way at once.",
                "The client has more requests under way than allowed: the queue or semaphore must "
                "hold its place until the whole answer has been read, not only until the request "
                "is sent.");
}

static void judge_throttled(const struct expectation *expectation, const struct evidence *evidence,
                            struct verdict *verdict)
{
    judge_count(expectation, evidence->throttled, verdict,
                "Fewer 429s than expected: the client never met the limit.",
                "More 429s than expected: the client does not keep below the limit.");
}

/* Shares are kept in percent. */
static bool read_share(struct expectation *expectation, const struct json_reader *reader,
                       const cJSON *value, const char *pointer)
{
    return range_read(&expectation->range, reader, value, pointer, 100);
}

static void judge_percent(const struct expectation *expectation, double percent,
                          struct verdict *verdict, const char *too_low, const char *too_high)
{
    char text[64];
    verdict_expected(verdict, "%s %%", range_text(&expectation->range, text));
    verdict_seen(verdict, "%.*f %%", percent != floor(percent) ? 1 : 0, percent);
    verdict->state = range_holds(&expectation->range, percent) ? VERDICT_HELD : VERDICT_FAILED;
    verdict->hint = percent < expectation->range.low ? too_low : too_high;
}

static void judge_throttled_share(const struct expectation *expectation,
                                  const struct evidence *evidence, struct verdict *verdict)
{
    double percent = evidence->requests == 0
                         ? 0
                         : 100 * (double)evidence->throttled / (double)evidence->requests;
    judge_percent(expectation, percent, verdict,
                  "Fewer requests were refused than expected: the client never met the limit.",
                  "Too many requests were refused: pace them, or wait longer after a 429.");
}

static void judge_quota_used(const struct expectation *expectation, const struct evidence *evidence,
                             struct verdict *verdict)
{
    double percent = 0;
    if (evidence->usage_count == 0) {
        char text[64];
        verdict_expected(verdict, "%s %%", range_text(&expectation->range, text));
        verdict_seen(verdict, "no quota was used");
        verdict->hint = "The client asked for no model that has a quota: does it use "
                        "OPENAI_BASE_URL and OPENAI_FINE_TUNED_MODEL?";
        return;
    }
    for (size_t i = 0; i < evidence->usage_count; i++) {
        const struct usage *usage = &evidence->usages[i];
        double share = usage->limit > 0 ? 100 * (double)usage->peak / (double)usage->limit : 100;
        percent = share > percent ? share : percent;
    }
    judge_percent(expectation, percent, verdict, "The client used less of its quota than expected.",
                  "The client uses more of its quota than this leaves in reserve: ask for a higher "
                  "limit in time, or send less.");
}

const struct expectation_kind expect_requests = {"requests", false, read_count, judge_requests};
const struct expectation_kind expect_calls = {"calls", true, read_count, judge_calls};
const struct expectation_kind expect_attempts_per_call = {"attempts_per_call", true, read_count,
                                                          judge_attempts};
const struct expectation_kind expect_loop_attempts_per_call = {"loop_attempts_per_call", true,
                                                               read_count, judge_loop_attempts};
const struct expectation_kind expect_max_in_flight = {"max_in_flight", false, read_count,
                                                      judge_max_in_flight};
const struct expectation_kind expect_throttled = {"throttled", false, read_count, judge_throttled};
const struct expectation_kind expect_throttled_share = {"throttled_share", false, read_share,
                                                        judge_throttled_share};
const struct expectation_kind expect_quota_used = {"quota_used", false, read_count,
                                                   judge_quota_used};
