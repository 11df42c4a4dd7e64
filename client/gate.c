#include "client/gate.h"

#include "base/duration.h"

#include <assert.h>
#include <stddef.h>

/* One request or token weighs this in a level, so that per_minute come back each nanosecond. */
#define UNIT_WEIGHT ((gate_level)NS_PER_MINUTE)
#define MILLION INT64_C(1000000)

void gate_init(struct gate *gate, const struct gate_settings *settings, int64_t now_ns)
{
    *gate = (struct gate){
        .in_flight_max = settings->in_flight_max,
        .settings = *settings,
        .paused_until_ns = now_ns,
        .next_ns = now_ns,
        .requests = {.per_minute = settings->requests_per_minute, .updated_ns = now_ns},
        .tokens = {.per_minute = settings->tokens_per_minute, .updated_ns = now_ns},
        .shrunk_ns = -1,
    };
    assert(settings->in_flight_max >= 0);
    if (settings->kind == GATE_ADAPTIVE) {
        assert(settings->in_flight_start > 0 && settings->increase > 0 && settings->decrease > 0 &&
               settings->decrease < 1);
        gate->adapted_millionths = settings->in_flight_start * MILLION;
        gate->in_flight_max = settings->in_flight_start;
    }
}

bool gate_is_open(const struct gate_settings *settings)
{
    return settings->kind == GATE_PLAIN && settings->in_flight_max == 0 &&
           settings->spacing_ns == 0 && settings->pause_ns == 0;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* --- paced ------------------------------------------------------------------------------------ */

static void refill(struct gate_bucket *bucket, int64_t now_ns)
{
    assert(now_ns >= bucket->updated_ns);
    gate_level back = (gate_level)bucket->per_minute * (gate_level)(now_ns - bucket->updated_ns);
    bucket->level = back < bucket->level ? bucket->level - back : 0;
    bucket->updated_ns = now_ns;
}

/* When the bucket has room for `cost`. What is larger than the bucket goes when it is full: the
 * gate cannot make it smaller, and the server has to say so. */
static int64_t room_at(struct gate_bucket *bucket, int64_t cost, int64_t now_ns)
{
    if (bucket->per_minute == 0)
        return now_ns;
    refill(bucket, now_ns);
    if (cost > bucket->per_minute)
        cost = bucket->per_minute;
    gate_level wanted = bucket->level + (gate_level)cost * UNIT_WEIGHT;
    gate_level most = (gate_level)bucket->per_minute * UNIT_WEIGHT;
    if (wanted <= most)
        return now_ns;
    gate_level by = (gate_level)bucket->per_minute;
    return now_ns + (int64_t)((wanted - most + by - 1) / by);
}

static void take(struct gate_bucket *bucket, int64_t cost)
{
    if (bucket->per_minute > 0)
        bucket->level += (gate_level)cost * UNIT_WEIGHT;
}

/* --- headers ---------------------------------------------------------------------------------- */

/* When there is room for `cost`, where `sent` were let go until now. */
static int64_t known_room_at(const struct gate_known *known, int64_t sent, int64_t cost,
                             int64_t now_ns)
{
    if (!known->is_told)
        return now_ns;
    if (cost > known->limit)
        cost = known->limit;
    int64_t missing = cost + (sent - known->sent) - known->remaining;
    /* Where nobody said how fast it comes back, only trying can tell. */
    if (missing <= 0 || known->refill_ns == 0)
        return now_ns;
    gate_level by = (gate_level)known->refill_used;
    gate_level after_ns = ((gate_level)missing * (gate_level)known->refill_ns + by - 1) / by;
    return later(known->told_ns + (int64_t)after_ns, now_ns);
}

/* Answers may come in another order than the attempts went: what the last sent one says counts. */
static void learn(struct gate_known *known, const struct gate_remaining *told, int64_t sent_ns,
                  int64_t sent)
{
    if (!told->is_told || (known->is_told && sent_ns < known->told_ns))
        return;
    *known = (struct gate_known){
        .is_told = true,
        .limit = told->limit,
        .remaining = told->remaining,
        .told_ns = sent_ns,
        .sent = sent,
        .refill_used = known->refill_used,
        .refill_ns = known->refill_ns,
    };
    /* Resets are cut to milliseconds: the longest says the rate best, and one more is the side on
     * which nobody comes too early. */
    int64_t used = told->limit - told->remaining;
    int64_t refill_ns = told->reset_ns + NS_PER_MS;
    if (used > 0 && told->reset_ns > 0 && refill_ns >= known->refill_ns) {
        known->refill_used = used;
        known->refill_ns = refill_ns;
    }
}

/* --- adaptive --------------------------------------------------------------------------------- */

static void adapt_to(struct gate *gate, int64_t millionths)
{
    int64_t most = gate->settings.in_flight_max > 0 ? gate->settings.in_flight_max * MILLION
                                                    : INT32_MAX * MILLION / 2;
    if (millionths < MILLION)
        millionths = MILLION;
    gate->adapted_millionths = millionths < most ? millionths : most;
    gate->in_flight_max = (int)(gate->adapted_millionths / MILLION);
}

static void adapt(struct gate *gate, const struct gate_news *news, int64_t now_ns)
{
    double limit = (double)gate->adapted_millionths;
    if (news->status == 429) {
        if (news->ticket.sent_ns < gate->shrunk_ns)
            return;
        gate->shrunk_ns = now_ns;
        adapt_to(gate, (int64_t)(limit * gate->settings.decrease));
        return;
    }
    /* A limit that is not made use of must not grow without end. */
    bool is_in_use = gate->in_flight * 2 >= gate->in_flight_max;
    if (news->status >= 200 && news->status <= 299 && is_in_use)
        adapt_to(gate,
                 gate->adapted_millionths + (int64_t)(gate->settings.increase * 1e12 / limit));
}

/* --- all kinds -------------------------------------------------------------------------------- */

bool gate_enter(struct gate *gate)
{
    assert(gate->in_flight_max >= 0);
    if (gate->in_flight_max > 0 && gate->in_flight >= gate->in_flight_max)
        return false;
    gate->in_flight++;
    return true;
}

void gate_leave(struct gate *gate)
{
    assert(gate->in_flight > 0);
    gate->in_flight--;
}

static int64_t goes_at(struct gate *gate, int64_t now_ns, int64_t tokens)
{
    int64_t at_ns = later(now_ns, later(gate->paused_until_ns, gate->next_ns));
    switch (gate->settings.kind) {
    case GATE_PACED:
        at_ns = later(at_ns, room_at(&gate->requests, 1, now_ns));
        return later(at_ns, room_at(&gate->tokens, tokens, now_ns));
    case GATE_HEADERS:
        at_ns = later(at_ns, known_room_at(&gate->known_requests, gate->sent_requests, 1, now_ns));
        return later(at_ns, known_room_at(&gate->known_tokens, gate->sent_tokens, tokens, now_ns));
    case GATE_PLAIN:
    case GATE_ADAPTIVE:
        break;
    }
    return at_ns;
}

struct gate_answer gate_ask(struct gate *gate, int64_t now_ns, int64_t tokens)
{
    const struct gate_settings *settings = &gate->settings;
    bool is_alone = settings->kind == GATE_HEADERS && !gate->heard;
    bool is_full = gate->in_flight_max > 0 && gate->in_flight >= gate->in_flight_max;
    if (is_full || (is_alone && gate->in_flight > 0))
        return (struct gate_answer){.verdict = GATE_FULL};
    int64_t at_ns = goes_at(gate, now_ns, tokens);
    if (at_ns > now_ns)
        return (struct gate_answer){.verdict = GATE_WAIT, .until_ns = at_ns};
    gate->in_flight++;
    if (settings->spacing_ns > 0)
        gate->next_ns = now_ns + settings->spacing_ns;
    if (settings->kind == GATE_PACED) {
        take(&gate->requests, 1);
        take(&gate->tokens, tokens);
    }
    gate->sent_requests++;
    gate->sent_tokens += tokens;
    return (struct gate_answer){.verdict = GATE_GO,
                                .ticket = {.sent_ns = now_ns,
                                           .requests = gate->sent_requests,
                                           .tokens = gate->sent_tokens}};
}

void gate_told(struct gate *gate, const struct gate_news *news, int64_t now_ns)
{
    const struct gate_settings *settings = &gate->settings;
    if (news->status == 429 && settings->pause_ns > 0)
        gate->paused_until_ns = later(gate->paused_until_ns, now_ns + settings->pause_ns);
    if (settings->kind == GATE_ADAPTIVE)
        adapt(gate, news, now_ns);
    if (settings->kind == GATE_HEADERS) {
        gate->heard = true;
        learn(&gate->known_requests, &news->requests, news->ticket.sent_ns, news->ticket.requests);
        learn(&gate->known_tokens, &news->tokens, news->ticket.sent_ns, news->ticket.tokens);
    }
}
