/* Exactness: under thousands of requests from 64 connections, exactly those are served that the
 * refill rule allows, at every instant, in every run.
 *
 * The journal says when the server decided each request and when each answer ended, on its own
 * clock. From these times a second rule, written down here in another form than the server's,
 * says of every single request whether it had to be admitted: the virtual scheduling form of the
 * token bucket (GCRA), where the server keeps a level. Equality is demanded for each request, so
 * there is no tolerance, and it does not matter how fast the machine is.
 */
#include "base/duration.h"
#include "client/client.h"
#include "tests/unit/server_thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { CONNECTIONS = 64 };

__extension__ typedef __int128 wide;

/* A limit and, times the limit, the moment at which all that was admitted will have come back. */
struct bucket {
    int64_t limit; /* 0: none */
    wide full_at;
};

struct rule {
    struct bucket requests;
    struct bucket tokens;
    int64_t concurrent; /* 0: no limit */
    int64_t in_flight;
    bool refused_do_not_count;
    /* Another enforcement than the continuous one, of so many requests a minute. */
    enum quota_enforcement enforcement;
    int64_t limit;
    int64_t *admitted_ns; /* every admission, in order */
    size_t admitted;
};

static wide full_after(const struct bucket *bucket, int64_t now_ns, int64_t cost)
{
    wide now = (wide)now_ns * bucket->limit;
    return (bucket->full_at > now ? bucket->full_at : now) + (wide)cost * NS_PER_MINUTE;
}

static bool has_room(const struct bucket *bucket, int64_t now_ns, int64_t cost)
{
    wide window = (wide)NS_PER_MINUTE * bucket->limit;
    return bucket->limit == 0 ||
           full_after(bucket, now_ns, cost) - (wide)now_ns * bucket->limit <= window;
}

/* The admissions that still count at now_ns, by looking at all of them. */
static int64_t still_counted(const struct rule *rule, int64_t now_ns)
{
    int64_t counted = 0;
    if (rule->enforcement == QUOTA_SLIDING_WINDOW) {
        for (size_t i = 0; i < rule->admitted; i++) {
            int64_t ms_up = (rule->admitted_ns[i] + NS_PER_MS - 1) / NS_PER_MS;
            counted += ms_up * NS_PER_MS + NS_PER_MINUTE > now_ns;
        }
        return counted;
    }
    int64_t length_ns = rule->enforcement == QUOTA_PER_SECOND ? NS_PER_S : NS_PER_MINUTE;
    int64_t end_ns = -1; /* of the window in which the admission fell */
    for (size_t i = 0; i < rule->admitted; i++) {
        if (rule->admitted_ns[i] >= end_ns) {
            end_ns = rule->admitted_ns[i] + length_ns;
            counted = 0;
        }
        counted++;
    }
    return now_ns < end_ns ? counted : 0;
}

static bool must_admit_in_window(struct rule *rule, int64_t now_ns)
{
    int64_t limit = rule->enforcement == QUOTA_PER_SECOND ? rule->limit / 60 : rule->limit;
    if (still_counted(rule, now_ns) >= limit)
        return false;
    rule->admitted_ns[rule->admitted++] = now_ns;
    rule->in_flight++;
    return true;
}

/* A refused request uses up one, or what there is left of one. */
static void count_refused(struct bucket *requests, int64_t now_ns)
{
    wide full = (wide)now_ns * requests->limit + (wide)NS_PER_MINUTE * requests->limit;
    wide after = full_after(requests, now_ns, 1);
    if (requests->limit > 0 && requests->full_at < full)
        requests->full_at = after < full ? after : full;
}

static bool must_admit(struct rule *rule, int64_t now_ns, int64_t tokens)
{
    if (rule->enforcement != QUOTA_CONTINUOUS)
        return must_admit_in_window(rule, now_ns);
    if (!has_room(&rule->requests, now_ns, 1) || !has_room(&rule->tokens, now_ns, tokens) ||
        (rule->concurrent > 0 && rule->in_flight >= rule->concurrent)) {
        if (!rule->refused_do_not_count)
            count_refused(&rule->requests, now_ns);
        return false;
    }
    rule->requests.full_at = full_after(&rule->requests, now_ns, 1);
    rule->tokens.full_at = full_after(&rule->tokens, now_ns, tokens);
    rule->in_flight++;
    return true;
}

/* A decision, or the end of a served request. */
struct event {
    int64_t at_ns;
    uint64_t sequence;
    const struct journal_entry *entry;
    bool is_end;
};

static int compare_events(const void *left, const void *right)
{
    const struct event *a = left;
    const struct event *b = right;
    if (a->at_ns != b->at_ns)
        return a->at_ns < b->at_ns ? -1 : 1;
    if (a->is_end != b->is_end) /* on a virtual clock places are given back, then taken */
        return a->is_end ? -1 : 1;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static struct event *events_of(const struct journal *journal, size_t *count)
{
    size_t entries = journal_count(journal);
    struct event *events = calloc(2 * entries + 1, sizeof *events);
    *count = 0;
    for (size_t i = 0; i < entries; i++) {
        const struct journal_entry *entry = journal_at(journal, i);
        events[(*count)++] = (struct event){entry->decided_ns, entry->sequence, entry, false};
        if (entry->decision == JOURNAL_SERVED)
            events[(*count)++] = (struct event){entry->answered_ns, entry->sequence, entry, true};
    }
    qsort(events, *count, sizeof *events, compare_events);
    return events;
}

static const char *dimension_that_refused(const struct journal_entry *entry)
{
    return entry->decision == JOURNAL_THROTTLED ? quota_dimension_name(entry->limit) : "none";
}

/* Returns how many were served. */
static size_t assert_exact(const struct journal *journal, struct rule rule, size_t requests)
{
    size_t count;
    size_t served = 0;
    assert_int_equal(journal_count(journal), requests);
    assert_int_equal(journal_lost(journal), 0);
    struct event *events = events_of(journal, &count);
    for (size_t i = 0; i < count; i++) {
        const struct journal_entry *entry = events[i].entry;
        if (events[i].is_end) {
            rule.in_flight--;
            continue;
        }
        bool admitted = entry->decision == JOURNAL_SERVED;
        assert_true(admitted || entry->decision == JOURNAL_THROTTLED);
        assert_int_equal(entry->status, admitted ? 200 : 429);
        if (must_admit(&rule, entry->decided_ns, entry->tokens) != admitted)
            fail_msg("request %llu at %lld ns: %s, limit %s, after %zu served",
                     (unsigned long long)entry->sequence, (long long)entry->decided_ns,
                     admitted ? "served one too many" : "refused one too many",
                     dimension_that_refused(entry), served);
        served += admitted;
    }
    assert_int_equal(rule.in_flight, 0);
    free(events);
    return served;
}

/* --- over real sockets, in real time ---------------------------------------------------------- */

/* 64 connections in one thread, each with one request under way at any time. */
struct crowd {
    struct loop loop;
    struct raw raws[CONNECTIONS];
    size_t sent_total;
    size_t requests;
    bool asks_images; /* two at a time */
    size_t answered;
    size_t served;
};

/* Costs differ from request to request, so that tokens and requests run out at other times. */
static void send_request(struct crowd *crowd, int index)
{
    static const char pad[] = "How many limits does it take? How many limits does it take? "
                              "How many limits does it take? How many limits does it take? ";
    char body[512];
    char text[1024];
    int extra = (int)((crowd->sent_total * 37 + (size_t)index) % (sizeof pad - 1));
    int length =
        crowd->asks_images
            ? snprintf(body, sizeof body, "{\"model\":\"m\",\"prompt\":\"a\",\"n\":2}")
            : snprintf(
                  body, sizeof body,
                  "{\"model\":\"m\",\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":"
                  "\"%.*s\"}]}",
                  1 + extra % 13, extra, pad);
    snprintf(text, sizeof text,
             "POST /v1/%s HTTP/1.1\r\nHost: x\r\n"
             "Authorization: Bearer sk-exact-12345\r\nContent-Length: %d\r\n\r\n%s",
             crowd->asks_images ? "images/generations" : "chat/completions", length, body);
    assert_true(raw_send(&crowd->raws[index], text));
    crowd->sent_total++;
}

static void take_answer(struct crowd *crowd, int index)
{
    struct raw *raw = &crowd->raws[index];
    int status = 0;
    assert_int_equal(sscanf(raw->bytes, "HTTP/1.1 %d ", &status), 1);
    assert_true(status == 200 || status == 429);
    crowd->served += status == 200;
    crowd->answered++;
    raw_drop_message(raw);
    if (crowd->sent_total < crowd->requests)
        send_request(crowd, index);
}

static void press(struct crowd *crowd, uint16_t port, size_t requests, bool asks_images)
{
    struct error error;
    *crowd = (struct crowd){.requests = requests, .asks_images = asks_images};
    assert_true(loop_init(&crowd->loop, CLOCK_REAL, &error));
    for (int i = 0; i < CONNECTIONS; i++)
        raw_connect(&crowd->raws[i], &crowd->loop, port);
    for (int i = 0; i < CONNECTIONS; i++)
        send_request(crowd, i);
    while (crowd->answered < requests) {
        loop_turn(&crowd->loop, -1);
        for (int i = 0; i < CONNECTIONS; i++) {
            assert_false(crowd->raws[i].is_closed);
            if (crowd->raws[i].length > 0 && raw_has_message(&crowd->raws[i]))
                take_answer(crowd, i);
        }
    }
    for (int i = 0; i < CONNECTIONS; i++)
        raw_close(&crowd->raws[i]);
    loop_free(&crowd->loop);
}

static size_t press_and_check(const char *config, struct rule rule, size_t requests)
{
    static struct crowd crowd;
    struct server_thread thread;
    server_thread_start(&thread, config);
    press(&crowd, server_port(thread.server), requests, false);
    server_thread_stop(&thread);
    size_t served = assert_exact(server_journal(thread.server), rule, requests);
    assert_int_equal(served, crowd.served); /* what the clients got is what the journal says */
    server_thread_free(&thread);
    return served;
}

static void requests_per_minute(void **state)
{
    (void)state;
    size_t served = press_and_check("{\"quotas\": {\"*\": {\"requests_per_minute\": 3000}}}",
                                    (struct rule){.requests.limit = 3000}, 8000);
    assert_true(served >= 3000 && served < 8000);
}

static void tokens_per_minute(void **state)
{
    (void)state;
    size_t served = press_and_check("{\"quotas\": {\"*\": {\"tokens_per_minute\": 40009}}}",
                                    (struct rule){.tokens.limit = 40009}, 6000);
    assert_true(served > 0 && served < 6000);
}

static void requests_in_flight(void **state)
{
    (void)state;
    size_t served = press_and_check("{\"latency\": {\"low\": \"0s\", \"high\": \"2ms\"},"
                                    " \"quotas\": {\"*\": {\"concurrent_requests\": 7}}}",
                                    (struct rule){.concurrent = 7}, 6000);
    assert_true(served > 0 && served < 6000);
}

static void in_windows(enum quota_enforcement enforcement, int64_t limit, int64_t served_min)
{
    enum { REQUESTS = 4000 };
    char config[200];
    int64_t *admitted_ns = calloc(REQUESTS, sizeof *admitted_ns);
    snprintf(config, sizeof config,
             "{\"rules\": {\"enforcement\": \"%s\"},"
             " \"quotas\": {\"*\": {\"requests_per_minute\": %d}}}",
             quota_enforcement_names[enforcement], (int)limit);
    struct rule rule = {.enforcement = enforcement, .limit = limit, .admitted_ns = admitted_ns};
    /* The rule reads the list that it writes: it is the same one in each copy. */
    size_t served = press_and_check(config, rule, REQUESTS);
    assert_true((int64_t)served >= served_min && served < REQUESTS);
    free(admitted_ns);
}

static void fixed_window(void **state)
{
    (void)state;
    in_windows(QUOTA_FIXED_WINDOW, 1000, 1000);
}

static void sliding_window(void **state)
{
    (void)state;
    in_windows(QUOTA_SLIDING_WINDOW, 1000, 1000);
}

static void per_second(void **state)
{
    (void)state;
    in_windows(QUOTA_PER_SECOND, 3000, 50);
}

/* --- one limit at a time: each dimension by each rule -------------------------------------------
 */

struct taken {
    int64_t at_ns;
    int64_t cost;
};

/* What is used of one limit: a moment (continuous) or a list (the others). */
struct one_limit {
    enum quota_dimension dimension;
    enum quota_enforcement enforcement;
    int64_t limit;
    bool refused_count;
    wide full_at;
    struct taken *taken;
    size_t count;
};

static int64_t cost_of(const struct one_limit *one, const struct journal_entry *entry)
{
    if (quota_dimension_counts_tokens(one->dimension))
        return entry->tokens;
    return one->dimension == QUOTA_IMAGES_PER_MINUTE ? 2 : 1;
}

static bool admits_continuously(struct one_limit *one, int64_t now_ns, int64_t cost)
{
    wide window = quota_dimension_window_ns(one->dimension);
    wide now = (wide)now_ns * one->limit;
    wide start = one->full_at > now ? one->full_at : now;
    wide end = now + window * one->limit;
    bool is_of_requests =
        one->dimension == QUOTA_REQUESTS_PER_MINUTE || one->dimension == QUOTA_REQUESTS_PER_DAY;
    if (start + cost * window <= end) {
        one->full_at = start + cost * window;
        return true;
    }
    if (is_of_requests && one->refused_count)
        one->full_at = end; /* what was left of one request is used up */
    return false;
}

static bool admits_in_window(struct one_limit *one, int64_t now_ns, int64_t cost)
{
    int64_t window_ns = quota_dimension_window_ns(one->dimension);
    int64_t step_ns = window_ns / 60000;
    int64_t length_ns = one->enforcement == QUOTA_PER_SECOND ? NS_PER_S : window_ns;
    int64_t limit = one->enforcement == QUOTA_PER_SECOND ? one->limit / 60 : one->limit;
    int64_t used = 0;
    int64_t end_ns = -1; /* of the window that the last one fell in */
    for (size_t i = 0; i < one->count; i++) {
        int64_t at_ns = one->taken[i].at_ns;
        if (one->enforcement == QUOTA_SLIDING_WINDOW) {
            int64_t back_ns = (at_ns + step_ns - 1) / step_ns * step_ns + window_ns;
            used += back_ns > now_ns ? one->taken[i].cost : 0;
            continue;
        }
        if (at_ns >= end_ns) {
            end_ns = at_ns + length_ns;
            used = 0;
        }
        used += one->taken[i].cost;
    }
    if (one->enforcement != QUOTA_SLIDING_WINDOW && now_ns >= end_ns)
        used = 0;
    if (used + cost > limit)
        return false;
    one->taken[one->count++] = (struct taken){now_ns, cost};
    return true;
}

static void one_limit_is_exact(struct one_limit *one, size_t requests)
{
    static struct crowd crowd;
    struct server_thread thread;
    char config[300];
    snprintf(config, sizeof config,
             "{\"rules\": {\"enforcement\": \"%s\", \"refused_requests_count\": %s},"
             " \"quotas\": {\"*\": {\"%s\": %lld}}}",
             quota_enforcement_names[one->enforcement], one->refused_count ? "true" : "false",
             quota_dimension_name(one->dimension), (long long)one->limit);
    one->taken = calloc(requests, sizeof *one->taken);
    server_thread_start(&thread, config);
    press(&crowd, server_port(thread.server), requests, one->dimension == QUOTA_IMAGES_PER_MINUTE);
    server_thread_stop(&thread);
    const struct journal *journal = server_journal(thread.server);
    size_t count;
    size_t served = 0;
    struct event *events = events_of(journal, &count);
    bool is_daily = quota_dimension_window_ns(one->dimension) != NS_PER_MINUTE;
    bool is_continuous =
        one->enforcement == QUOTA_CONTINUOUS || (one->enforcement == QUOTA_PER_SECOND && is_daily);
    for (size_t i = 0; i < count; i++) {
        const struct journal_entry *entry = events[i].entry;
        if (events[i].is_end)
            continue;
        int64_t cost = cost_of(one, entry);
        bool admits = is_continuous ? admits_continuously(one, entry->decided_ns, cost)
                                    : admits_in_window(one, entry->decided_ns, cost);
        if (admits != (entry->decision == JOURNAL_SERVED))
            fail_msg("%s: request %llu at %lld ns: %s, after %zu served", config,
                     (unsigned long long)entry->sequence, (long long)entry->decided_ns,
                     admits ? "refused" : "served", served);
        served += admits;
    }
    assert_int_equal(served, crowd.served);
    assert_true(served > 0 && served < requests);
    free(events);
    free(one->taken);
    server_thread_free(&thread);
}

static void each_dimension_by_each_rule(void **state)
{
    (void)state;
    static const struct {
        enum quota_dimension dimension;
        int64_t limit;
    } limits[] = {
        {QUOTA_REQUESTS_PER_MINUTE, 601}, {QUOTA_REQUESTS_PER_DAY, 307},
        {QUOTA_TOKENS_PER_MINUTE, 9001},  {QUOTA_TOKENS_PER_DAY, 7001},
        {QUOTA_IMAGES_PER_MINUTE, 601},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (int rule = 0; rule < 2 * QUOTA_ENFORCEMENT_COUNT; rule++) {
            struct one_limit one = {
                .dimension = limits[i].dimension,
                .enforcement = (enum quota_enforcement)(rule / 2),
                .limit = limits[i].limit,
                .refused_count = rule % 2 == 0,
            };
            one_limit_is_exact(&one, 800);
        }
    }
}

/* All at once: a request that one limit refuses must not use up the others. */
static void all_dimensions_together(void **state)
{
    (void)state;
    size_t served = press_and_check(
        "{\"latency\": \"1ms\", \"quotas\": {\"*\": {\"requests_per_minute\": 1201,"
        " \"tokens_per_minute\": 40009, \"concurrent_requests\": 11}}}",
        (struct rule){.requests.limit = 1201, .tokens.limit = 40009, .concurrent = 11}, 8000);
    assert_true(served > 0 && served <= 1201 + 1201);
}

/* --- in virtual time -------------------------------------------------------------------------- */

static void count_success(void *owner, const struct client_outcome *outcome)
{
    *(size_t *)owner += outcome->succeeded;
}

/* The C client retries until every call is served, over minutes that take no time. */
static void in_virtual_time(void **state)
{
    (void)state;
    enum { CALLS = 2000 };
    struct loop loop;
    struct config config;
    struct error error;
    size_t succeeded = 0;
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    config_from_text(&config,
                     "{\"rules\": {\"refused_requests_count\": false}, "
                     "\"latency\": {\"low\": \"1ms\", \"high\": \"300ms\"}, \"quotas\": {\"*\": "
                     "{\"requests_per_minute\": 500, \"concurrent_requests\": 50}}}");
    struct server_options options = {.config = &config, .seed = 1};
    struct server *server = server_new(&loop, &options, &error);
    assert_non_null(server);
    struct client_options client_options = {
        .base_url = server_base_url(server),
        .api_key = "sk-exact-12345",
        .strategy.policy = retry_policy_default(),
        .strategy.gate = {.in_flight_max = CONNECTIONS, .holds_for_call = true}};
    client_options.strategy.policy.attempts_max = 1000;
    client_options.strategy.policy.jitter = RETRY_JITTER_FULL;
    struct client *client = client_new(&loop, &client_options, &error);
    struct client_request request = {.model = "m", .message = "Hello"};
    for (int i = 0; i < CALLS; i++)
        assert_true(client_call(client, &request, count_success, &succeeded, &error));
    while (client_calls_open(client) > 0)
        loop_turn(&loop, -1);
    assert_int_equal(succeeded, CALLS);
    /* 500 at once, and the rest at 500 a minute: not one of them earlier. */
    assert_true(loop_now(&loop) >= 3 * NS_PER_MINUTE);
    while (server_in_flight(server) > 0)
        loop_turn(&loop, -1);
    const struct journal *journal = server_journal(server);
    assert_int_equal(
        assert_exact(
            journal,
            (struct rule){.requests.limit = 500, .concurrent = 50, .refused_do_not_count = true},
            journal_count(journal)),
        CALLS);
    client_free(client);
    server_free(server);
    config_free(&config);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_per_minute), cmocka_unit_test(tokens_per_minute),
        cmocka_unit_test(requests_in_flight),  cmocka_unit_test(all_dimensions_together),
        cmocka_unit_test(fixed_window),        cmocka_unit_test(sliding_window),
        cmocka_unit_test(per_second),          cmocka_unit_test(each_dimension_by_each_rule),
        cmocka_unit_test(in_virtual_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
