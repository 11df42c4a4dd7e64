/* Expectations on time: delays one by one or by rule, Retry-After, duration, the wait at the end.
 */
#include "harness/expectation.h"

#include "base/duration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The delays of a call that an expectation speaks of: all, or those of the client's own loop. */
struct delays {
    int64_t ns[EXPECTATION_ITEMS_MAX]; /* the first ones */
    size_t count;                      /* of ns */
    size_t total;
};

static void collect(const struct call *call, bool loop_only, struct delays *delays)
{
    delays->count = delays->total = 0;
    for (size_t i = 1; i < call->attempt_count; i++) {
        if (loop_only && !call->attempts[i].starts_loop)
            continue;
        if (delays->total++ < EXPECTATION_ITEMS_MAX)
            delays->ns[delays->count++] = call->attempts[i].delay_ns;
    }
}

/* "1.003s, 2.004s"; long lists end in "...". The caller frees it. */
static char *delays_text(const int64_t *delays_ns, size_t count)
{
    enum { SHOWN_MAX = 12 };
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return NULL;
    if (count == 0)
        fputs("no delay", stream);
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) {
        char one[DURATION_TEXT_SIZE];
        fprintf(stream, "%s%s", i > 0 ? ", " : "", duration_text(delays_ns[i], one));
    }
    if (count > SHOWN_MAX)
        fputs(", ...", stream);
    fclose(stream);
    return text;
}

static void side_text(const struct tolerance_side *side, char text[48])
{
    char duration[DURATION_TEXT_SIZE];
    if (side->ns > 0)
        snprintf(text, 48, "%s", duration_text(side->ns, duration));
    else
        snprintf(text, 48, "%g%%", side->share * 100);
}

static const char *tolerance_text(const struct tolerance *tolerance, char text[128])
{
    char early[48];
    char late[48];
    side_text(&tolerance->early, early);
    side_text(&tolerance->late, late);
    if (strcmp(early, late) == 0)
        snprintf(text, 128, "+-%s", early);
    else
        snprintf(text, 128, "-%s +%s", early, late);
    return text;
}

static const char TOO_EARLY[] =
    "An attempt came earlier than asked: the wait is too short, in the wrong unit, or cut off.";
static const char TOO_LATE[] =
    "An attempt came later than asked: the wait grows too fast, or two waits add up (an SDK's own "
    "and the loop's).";
static const char WRONG_NUMBER[] =
    "The number of waits differs: the client tries more or less often than asked.";
static const char NO_CALL[] = "The client never reached the server: does it use OPENAI_BASE_URL?";

static bool read_delays(struct expectation *expectation, const struct json_reader *reader,
                        const cJSON *value, const char *pointer)
{
    if (!cJSON_IsArray(value))
        return json_wrong(reader, pointer, value, "a list of durations, such as [\"1s\", \"2s\"]");
    size_t count = (size_t)cJSON_GetArraySize(value);
    if (count > EXPECTATION_ITEMS_MAX)
        return json_wrong(reader, pointer, value, "at most %d items", EXPECTATION_ITEMS_MAX);
    expectation->durations_ns = calloc(count + 1, sizeof *expectation->durations_ns);
    if (expectation->durations_ns == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    const cJSON *item;
    cJSON_ArrayForEach (item, value) {
        char place[JSON_POINTER_SIZE];
        json_pointer_item(place, pointer, expectation->count);
        if (!cJSON_IsString(item) ||
            !duration_parse(item->valuestring, &expectation->durations_ns[expectation->count]))
            return json_wrong(reader, place, item, "a duration such as \"1s\"");
        expectation->count++;
    }
    return true;
}

static void judge_delay_list(const struct expectation *expectation, const struct evidence *evidence,
                             struct verdict *verdict, bool loop_only)
{
    char tolerance[128];
    char *expected = delays_text(expectation->durations_ns, expectation->count);
    verdict_expected(verdict, "%s (%s)", expected,
                     tolerance_text(&expectation->tolerance, tolerance));
    free(expected);
    verdict->hint = NO_CALL;
    if (evidence->call_count == 0)
        verdict_seen(verdict, "no call at all");
    verdict->state = evidence->call_count > 0 ? VERDICT_HELD : VERDICT_FAILED;
    for (size_t i = 0; i < evidence->call_count && verdict->state == VERDICT_HELD; i++) {
        struct delays delays;
        collect(&evidence->calls[i], loop_only, &delays);
        char *seen = delays_text(delays.ns, delays.count);
        if (evidence->call_count > 1)
            verdict_seen(verdict, "call %zu: %s", i + 1, seen);
        else
            verdict_seen(verdict, "%s", seen);
        free(seen);
        if (delays.total != expectation->count) {
            verdict->state = VERDICT_FAILED;
            verdict->hint = WRONG_NUMBER;
        }
        for (size_t j = 0; j < delays.count && verdict->state == VERDICT_HELD; j++) {
            int64_t wanted_ns = expectation->durations_ns[j];
            bool early = delays.ns[j] < tolerance_low(&expectation->tolerance, wanted_ns);
            bool late = delays.ns[j] > tolerance_high(&expectation->tolerance, wanted_ns);
            if (early || late)
                verdict->state = VERDICT_FAILED;
            verdict->hint = early ? TOO_EARLY : TOO_LATE;
        }
    }
}

static void judge_delays(const struct expectation *expectation, const struct evidence *evidence,
                         struct verdict *verdict)
{
    judge_delay_list(expectation, evidence, verdict, false);
}

static void judge_loop_delays(const struct expectation *expectation,
                              const struct evidence *evidence, struct verdict *verdict)
{
    judge_delay_list(expectation, evidence, verdict, true);
}

static bool read_backoff(struct expectation *expectation, const struct json_reader *reader,
                         const cJSON *value, const char *pointer)
{
    static const char *const members[] = {"kind", "base", "factor", "cap", "jitter", NULL};
    static const char *const kinds[] = {"fixed", "exponential", NULL};
    static const char *const jitters[] = {"none", "full", "equal", "decorrelated", "quarter", NULL};
    struct backoff *backoff = &expectation->backoff;
    *backoff = (struct backoff){.base_ns = -1, .cap_ns = DURATION_NS_MAX, .factor = 2};
    int kind = -1;
    int jitter = 0;
    if (!json_known_members(reader, value, pointer, members) ||
        !json_read_word(reader, value, pointer, "kind", kinds, &kind) ||
        !json_read_word(reader, value, pointer, "jitter", jitters, &jitter) ||
        !json_read_duration(reader, value, pointer, "base", &backoff->base_ns) ||
        !json_read_duration(reader, value, pointer, "cap", &backoff->cap_ns) ||
        !json_read_number(reader, value, pointer, "factor", 1, 1000, &backoff->factor))
        return false;
    if (kind < 0 || backoff->base_ns < 0)
        return json_wrong(reader, pointer, value, "\"kind\" and \"base\"");
    backoff->kind = (enum backoff_kind)kind;
    backoff->jitter = (enum backoff_jitter)jitter;
    return true;
}

static int64_t capped(const struct backoff *backoff, double ns)
{
    return ns > (double)backoff->cap_ns ? backoff->cap_ns : (int64_t)llround(ns);
}

/* What the rule gives for delay number `index` (from 0) without jitter. */
static int64_t full_delay(const struct backoff *backoff, size_t index)
{
    double factor = backoff->kind == BACKOFF_EXPONENTIAL ? backoff->factor : 1;
    return capped(backoff, (double)backoff->base_ns * pow(factor, (double)index));
}

/* Between what the rule allows for it. */
static void backoff_bounds(const struct backoff *backoff, size_t index, int64_t previous_ns,
                           int64_t *low_ns, int64_t *high_ns)
{
    int64_t full_ns = full_delay(backoff, index);
    *high_ns = full_ns;
    switch (backoff->jitter) {
    case BACKOFF_JITTER_NONE:
        *low_ns = full_ns;
        break;
    case BACKOFF_JITTER_FULL:
        *low_ns = 0;
        break;
    case BACKOFF_JITTER_EQUAL:
        *low_ns = full_ns / 2;
        break;
    case BACKOFF_JITTER_QUARTER:
        *low_ns = full_ns / 4 * 3;
        break;
    case BACKOFF_JITTER_DECORRELATED:
        *low_ns = capped(backoff, (double)backoff->base_ns);
        *high_ns = capped(backoff, 3 * (double)(index == 0 ? backoff->base_ns : previous_ns));
        break;
    }
}

static void tell_backoff(const struct expectation *expectation, struct verdict *verdict)
{
    static const char *const jitters[] = {"no jitter", "full jitter", "equal jitter",
                                          "decorrelated jitter", "jitter of a quarter"};
    const struct backoff *backoff = &expectation->backoff;
    char base[DURATION_TEXT_SIZE];
    char cap[DURATION_TEXT_SIZE + 16] = "";
    char duration[DURATION_TEXT_SIZE];
    char tolerance[128];
    duration_text(backoff->base_ns, base);
    if (backoff->cap_ns < DURATION_NS_MAX)
        snprintf(cap, sizeof cap, ", at most %s", duration_text(backoff->cap_ns, duration));
    tolerance_text(&expectation->tolerance, tolerance);
    if (backoff->kind == BACKOFF_FIXED)
        verdict_expected(verdict, "always %s, %s (%s)", base, jitters[backoff->jitter], tolerance);
    else
        verdict_expected(verdict, "%s, times %g each%s, %s (%s)", base, backoff->factor, cap,
                         jitters[backoff->jitter], tolerance);
}

static bool follows_backoff(const struct expectation *expectation, const struct delays *delays,
                            struct verdict *verdict)
{
    for (size_t i = 0; i < delays->count; i++) {
        int64_t low_ns = 0;
        int64_t high_ns = 0;
        backoff_bounds(&expectation->backoff, i, i > 0 ? delays->ns[i - 1] : 0, &low_ns, &high_ns);
        verdict->hint = delays->ns[i] < low_ns ? TOO_EARLY : TOO_LATE;
        if (delays->ns[i] < tolerance_low(&expectation->tolerance, low_ns) ||
            delays->ns[i] > tolerance_high(&expectation->tolerance, high_ns))
            return false;
    }
    return true;
}

/* Three and more delays that are all what the rule gives without jitter: by chance they are within
 * a twentieth of what the jitter spans once in 8000 times. */
static bool lacks_jitter(const struct expectation *expectation, const struct delays *delays)
{
    enum { DELAYS_MIN = 3, PARTS = 20 };
    const struct backoff *backoff = &expectation->backoff;
    if (backoff->jitter == BACKOFF_JITTER_NONE || delays->count < DELAYS_MIN)
        return false;
    for (size_t i = 0; i < delays->count; i++) {
        int64_t low_ns = 0;
        int64_t high_ns = 0;
        backoff_bounds(backoff, i, i > 0 ? delays->ns[i - 1] : 0, &low_ns, &high_ns);
        if (llabs(delays->ns[i] - full_delay(backoff, i)) > (high_ns - low_ns) / PARTS)
            return false;
    }
    return true;
}

static void judge_backoff(const struct expectation *expectation, const struct evidence *evidence,
                          struct verdict *verdict)
{
    tell_backoff(expectation, verdict);
    size_t delay_count = 0;
    verdict->state = VERDICT_HELD;
    for (size_t i = 0; i < evidence->call_count && verdict->state == VERDICT_HELD; i++) {
        struct delays delays;
        collect(&evidence->calls[i], false, &delays);
        if (delays.count == 0)
            continue;
        delay_count += delays.count;
        char *seen = delays_text(delays.ns, delays.count);
        verdict_seen(verdict, "%s", seen);
        free(seen);
        if (!follows_backoff(expectation, &delays, verdict)) {
            verdict->state = VERDICT_FAILED;
        } else if (lacks_jitter(expectation, &delays)) {
            verdict->state = VERDICT_FAILED;
            verdict->hint = "The delays follow the rule without any jitter: clients that are "
                            "throttled together come back together.";
        }
    }
    if (delay_count == 0) {
        verdict->state = VERDICT_FAILED;
        verdict_seen(verdict, "no delay");
        verdict->hint = "The client made no retry, so nothing shows its backoff.";
    }
}

/* "honoured", or how much later than asked is still right. */
static bool read_retry_after(struct expectation *expectation, const struct json_reader *reader,
                             const cJSON *value, const char *pointer)
{
    expectation->high_ns = NS_PER_S;
    if (cJSON_IsString(value) && strcmp(value->valuestring, "honoured") == 0)
        return true;
    if (!cJSON_IsObject(value))
        return json_wrong(reader, pointer, value, "\"honoured\" or {\"late\": \"500ms\"}");
    const char *const members[] = {"late", NULL};
    return json_known_members(reader, value, pointer, members) &&
           json_read_duration(reader, value, pointer, "late", &expectation->high_ns);
}

static bool was_killed(const struct evidence *evidence)
{
    return evidence->run_count > 0 && evidence->runs[evidence->run_count - 1].timed_out;
}

/* The last answer that asked for a wait, after which nothing came; NULL: none. */
static const struct attempt *last_asked(const struct evidence *evidence)
{
    const struct attempt *asked = NULL;
    for (size_t i = 0; i < evidence->call_count; i++) {
        const struct call *call = &evidence->calls[i];
        const struct attempt *last = &call->attempts[call->attempt_count - 1];
        if (last->retry_after_ns >= 0 && last->answered_ns >= 0)
            asked = last;
    }
    return asked;
}

static void tell_no_retry(const struct evidence *evidence, struct verdict *verdict)
{
    const struct attempt *asked = was_killed(evidence) ? last_asked(evidence) : NULL;
    verdict->state = VERDICT_FAILED;
    if (asked == NULL) {
        verdict_seen(verdict, "no retry after an answer with Retry-After");
        verdict->hint = "The client never met the header, or gave up at once.";
        return;
    }
    char wait[DURATION_TEXT_SIZE];
    char waited[DURATION_TEXT_SIZE];
    int64_t ended_ns = evidence->runs[evidence->run_count - 1].ended_ns;
    verdict_seen(verdict, "asked for %s, no retry in the %s until it was killed",
                 duration_text(asked->retry_after_ns, wait),
                 duration_text(ended_ns - asked->answered_ns, waited));
    verdict->hint = "The client waits far longer than it was asked to, such as milliseconds read "
                    "as seconds, or hangs.";
}

static void judge_retry_after(const struct expectation *expectation,
                              const struct evidence *evidence, struct verdict *verdict)
{
    char late[DURATION_TEXT_SIZE];
    verdict_expected(verdict, "each retry no earlier than Retry-After asks, at most %s later",
                     duration_text(expectation->high_ns, late));
    size_t asked_count = 0;
    verdict->state = VERDICT_HELD;
    for (size_t i = 0; i < evidence->call_count; i++) {
        const struct call *call = &evidence->calls[i];
        for (size_t j = 1; j < call->attempt_count && verdict->state == VERDICT_HELD; j++) {
            int64_t asked_ns = call->attempts[j - 1].retry_after_ns;
            int64_t delay_ns = call->attempts[j].delay_ns;
            if (asked_ns < 0)
                continue;
            asked_count++;
            char asked[DURATION_TEXT_SIZE];
            char delay[DURATION_TEXT_SIZE];
            verdict_seen(verdict, "asked for %s, came after %s", duration_text(asked_ns, asked),
                         duration_text(delay_ns, delay));
            bool early = delay_ns < asked_ns;
            if (early || delay_ns > asked_ns + expectation->high_ns)
                verdict->state = VERDICT_FAILED;
            verdict->hint = early ? "The client ignores Retry-After, or reads seconds as "
                                    "milliseconds: it is refused again, and makes things worse."
                                  : "The client waits much longer than it was asked to.";
        }
    }
    if (asked_count == 0)
        tell_no_retry(evidence, verdict);
}

/* {"min": "1s", "max": "5s"} */
static bool read_duration_range(struct expectation *expectation, const struct json_reader *reader,
                                const cJSON *value, const char *pointer)
{
    expectation->low_ns = 0;
    expectation->high_ns = DURATION_NS_MAX;
    if (!json_known_members(reader, value, pointer, (const char *const[]){"min", "max", NULL}) ||
        !json_read_duration(reader, value, pointer, "min", &expectation->low_ns) ||
        !json_read_duration(reader, value, pointer, "max", &expectation->high_ns))
        return false;
    if (!range_has_end(value))
        return json_wrong(reader, pointer, value, "\"min\", \"max\" or both");
    if (expectation->high_ns < expectation->low_ns)
        return json_wrong(reader, pointer, value, "\"max\" not below \"min\"");
    return true;
}

static void judge_between(const struct expectation *expectation, int64_t seen_ns,
                          struct verdict *verdict)
{
    char low[DURATION_TEXT_SIZE];
    char high[DURATION_TEXT_SIZE];
    char seen[DURATION_TEXT_SIZE];
    duration_text(expectation->low_ns, low);
    duration_text(expectation->high_ns, high);
    if (expectation->high_ns == DURATION_NS_MAX)
        verdict_expected(verdict, "at least %s", low);
    else if (expectation->low_ns == 0)
        verdict_expected(verdict, "at most %s", high);
    else
        verdict_expected(verdict, "%s to %s", low, high);
    verdict_seen(verdict, "%s", duration_text(seen_ns, seen));
    bool holds = seen_ns >= expectation->low_ns && seen_ns <= expectation->high_ns;
    verdict->state = holds ? VERDICT_HELD : VERDICT_FAILED;
}

/* The first delay that is out of bounds, or -1; *count gets how many delays there are. */
static int64_t delay_out_of_bounds(const struct expectation *expectation,
                                   const struct evidence *evidence, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < evidence->call_count; i++) {
        const struct call *call = &evidence->calls[i];
        for (size_t j = 1; j < call->attempt_count; j++) {
            int64_t delay_ns = call->attempts[j].delay_ns;
            *count += 1;
            if (delay_ns < expectation->low_ns || delay_ns > expectation->high_ns)
                return delay_ns;
        }
    }
    return -1;
}

static void judge_each_delay(const struct expectation *expectation, const struct evidence *evidence,
                             struct verdict *verdict)
{
    size_t count = 0;
    int64_t wrong_ns = delay_out_of_bounds(expectation, evidence, &count);
    judge_between(expectation, wrong_ns >= 0 ? wrong_ns : expectation->low_ns, verdict);
    if (wrong_ns >= 0) {
        verdict->hint = wrong_ns < expectation->low_ns
                            ? "The client comes back too soon: it hammers a server that has just "
                              "refused it."
                            : "The client waits longer than it should.";
    } else if (count == 0) {
        verdict->state = VERDICT_FAILED;
        verdict_seen(verdict, "no delay");
        verdict->hint = "The client made no retry.";
    } else {
        verdict_seen(verdict, "%zu of %zu delays", count, count);
    }
}

static void judge_duration(const struct expectation *expectation, const struct evidence *evidence,
                           struct verdict *verdict)
{
    judge_between(expectation, evidence->duration_ns, verdict);
    verdict->hint = evidence->duration_ns > expectation->high_ns
                        ? "The whole took too long: too many attempts, or waits that are too long."
                        : "The whole was over too soon: a wait is missing.";
}

static void judge_wait_after_last(const struct expectation *expectation,
                                  const struct evidence *evidence, struct verdict *verdict)
{
    if (evidence->run_count == 0 || evidence->last_answered_ns < 0) {
        verdict_expected(verdict, "an answer, and the client's end soon after it");
        verdict_seen(verdict, "no answer at all");
        verdict->hint = NO_CALL;
        return;
    }
    int64_t wait_ns = evidence->runs[evidence->run_count - 1].ended_ns - evidence->last_answered_ns;
    judge_between(expectation, wait_ns, verdict);
    verdict->hint = wait_ns < expectation->low_ns
                        ? "The client ends sooner after its last answer than asked."
                    : was_killed(evidence)
                        ? "The client was still waiting, for a next attempt or for good, when its "
                          "time was over: raise \"timeout\", or see where it hangs."
                        : "The client waits after its last attempt and only then raises: check the "
                          "count before the wait, not after it.";
}

const struct expectation_kind expect_delays = {"delays", true, read_delays, judge_delays};
const struct expectation_kind expect_loop_delays = {"loop_delays", true, read_delays,
                                                    judge_loop_delays};
const struct expectation_kind expect_backoff = {"backoff", true, read_backoff, judge_backoff};
const struct expectation_kind expect_retry_after = {"retry_after", true, read_retry_after,
                                                    judge_retry_after};
const struct expectation_kind expect_each_delay = {"each_delay", true, read_duration_range,
                                                   judge_each_delay};
const struct expectation_kind expect_duration = {"duration", false, read_duration_range,
                                                 judge_duration};
const struct expectation_kind expect_wait_after_last = {"wait_after_last", false,
                                                        read_duration_range, judge_wait_after_last};
