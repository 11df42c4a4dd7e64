#include "mockserver/script.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

/* Steps own their strings in a config; these do not. */
static const struct openai_names names = {.model = "m"};
static char text_m[] = "m";
static char text_path[] = "/v1/chat/completions";
static char text_tail[] = "AAAA";

enum { STEPS_MAX = 8 };

struct play {
    struct script_step steps[STEPS_MAX];
    struct script_state states[STEPS_MAX];
    struct script script;
    struct script_request request;
    struct random random;
};

static void start(struct play *play, size_t step_count)
{
    *play = (struct play){
        .request = {.model = "m",
                    .path = "/v1/chat/completions",
                    .route = "/v1/chat/completions",
                    .asks_model = true,
                    .key_tail = "AAAA",
                    .number = 1},
    };
    for (size_t i = 0; i < STEPS_MAX; i++) {
        play->steps[i] =
            (struct script_step){.share = 1, .times = 1, .latency_ns = -1, .retry_after_ns = -1};
        play->states[i] = (struct script_state){.first_played_ns = -1};
    }
    play->script = (struct script){.steps = play->steps, .step_count = step_count};
    random_seed(&play->random, 1, 1);
}

static int next(struct play *play, int64_t now_ns)
{
    int index = script_next(&play->script, play->states, &play->request, now_ns, &play->random);
    play->request.number++;
    return index;
}

static void steps_are_played_in_order_as_often_as_they_say(void **state)
{
    (void)state;
    struct play play;
    start(&play, 3);
    play.steps[0].times = 2;
    static const int expected[] = {0, 0, 1, 2, -1, -1};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(next(&play, 0), expected[i]);
}

static void an_empty_script_leaves_all_to_the_quotas(void **state)
{
    (void)state;
    struct play play;
    start(&play, 0);
    assert_int_equal(next(&play, 0), -1);
}

static void for_ever_has_no_end(void **state)
{
    (void)state;
    struct play play;
    start(&play, 2);
    play.steps[0].times = SCRIPT_FOREVER;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(next(&play, i * NS_PER_HOUR), 0);
}

static void a_period_starts_with_the_first_play_and_ends_to_the_nanosecond(void **state)
{
    (void)state;
    struct play play;
    start(&play, 2);
    play.steps[0].times = SCRIPT_FOREVER;
    play.steps[0].lasts_ns = 10 * NS_PER_S;
    play.steps[1].times = SCRIPT_FOREVER;
    assert_int_equal(next(&play, 5 * NS_PER_S), 0);
    assert_int_equal(next(&play, 15 * NS_PER_S - 1), 0);
    assert_int_equal(next(&play, 15 * NS_PER_S), 1);
    assert_int_equal(next(&play, 16 * NS_PER_S), 1);
}

static void a_period_with_times_ends_with_whatever_comes_first(void **state)
{
    (void)state;
    struct play play;
    start(&play, 1);
    play.steps[0].times = 2;
    play.steps[0].lasts_ns = 10;
    assert_int_equal(next(&play, 0), 0);
    assert_int_equal(next(&play, 9), 0);
    assert_int_equal(next(&play, 9), -1);
    start(&play, 1);
    play.steps[0].times = 2;
    play.steps[0].lasts_ns = 10;
    assert_int_equal(next(&play, 0), 0);
    assert_int_equal(next(&play, 10), -1);
}

static void a_step_matches_by_model_path_key_and_number(void **state)
{
    (void)state;
    struct play play;
    start(&play, 4);
    play.steps[0].model = text_m;
    play.steps[1].path = text_path;
    play.steps[2].key_tail = text_tail;
    play.steps[3].request = 5;
    for (int i = 0; i < 4; i++)
        play.steps[i].times = SCRIPT_FOREVER;
    play.request.model = "n";
    play.request.path = play.request.route = "/v1/other";
    play.request.key_tail = "BBBB";
    assert_int_equal(next(&play, 0), -1);
    play.request.key_tail = "AAAA";
    assert_int_equal(next(&play, 0), 2);
    play.request.path = play.request.route = "/v1/chat/completions";
    assert_int_equal(next(&play, 0), 1);
    play.request.model = "m";
    assert_int_equal(next(&play, 0), 0);
    play.request.model = "M"; /* names are taken as they are */
    play.request.path = play.request.route = "/v1/chat/completions/";
    play.request.key_tail = "aaaa";
    assert_int_equal(next(&play, 0), 3); /* the fifth */
    assert_int_equal(next(&play, 0), -1);
}

static void a_step_that_does_not_match_is_not_used_up(void **state)
{
    (void)state;
    struct play play;
    start(&play, 1);
    play.steps[0].model = text_m;
    play.request.model = "n";
    for (int i = 0; i < 10; i++)
        assert_int_equal(next(&play, 0), -1);
    play.request.model = "m";
    assert_int_equal(next(&play, 0), 0);
    assert_int_equal(next(&play, 0), -1);
}

static void all_conditions_must_hold(void **state)
{
    (void)state;
    struct play play;
    start(&play, 1);
    play.steps[0].model = text_m;
    play.steps[0].request = 2;
    assert_int_equal(next(&play, 0), -1);
    assert_int_equal(next(&play, 0), 0);
}

/* The count is binomial: within six deviations of its mean, and the same for the same seed. */
static void a_share_takes_its_part_of_the_requests(void **state)
{
    (void)state;
    int counts[2];
    for (int run = 0; run < 2; run++) {
        struct play play;
        start(&play, 1);
        play.steps[0].share = 0.3;
        play.steps[0].times = SCRIPT_FOREVER;
        counts[run] = 0;
        for (int i = 0; i < 100000; i++)
            counts[run] += next(&play, 0) == 0;
    }
    assert_in_range(counts[0], 30000 - 870, 30000 + 870);
    assert_int_equal(counts[0], counts[1]);
    struct play play;
    start(&play, 2);
    play.steps[0].share = 0;
    play.steps[0].times = play.steps[1].times = SCRIPT_FOREVER;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(next(&play, 0), 1);
}

static void a_step_is_played_when_it_was_as_often_as_it_asks(void **state)
{
    (void)state;
    static const struct {
        int64_t times;
        int64_t lasts_ns;
        int64_t played;
        bool is_played;
    } cases[] = {
        {1, 0, 0, false},
        {1, 0, 1, true},
        {3, 0, 2, false},
        {3, 0, 3, true},
        {SCRIPT_FOREVER, 0, 0, false},
        {SCRIPT_FOREVER, 0, 1, true},
        {SCRIPT_FOREVER, 10, 0, false},
        {SCRIPT_FOREVER, 10, 1, true},
        {5, 10, 0, false},
        {5, 10, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script_step step = {.times = cases[i].times, .lasts_ns = cases[i].lasts_ns};
        struct script_state played = {.played = cases[i].played};
        assert_int_equal(script_step_is_played(&step, &played), cases[i].is_played);
    }
}

static const char *header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer_name(answer, i), name) == 0)
            return answer_value(answer, i);
    }
    return NULL;
}

static struct script_step plain_step(void)
{
    return (struct script_step){.share = 1, .times = 1, .latency_ns = -1, .retry_after_ns = -1};
}

static void a_body_goes_out_verbatim(void **state)
{
    (void)state;
    char body[] = "error code: 1015";
    char code[] = "cloudflare";
    struct script_step step = plain_step();
    struct answer answer;
    step.body = body;
    script_answer(&step, &names, 0, &answer);
    assert_int_equal(answer.status, 429);
    assert_string_equal(answer.body, "error code: 1015");
    assert_string_equal(answer.code, "");
    assert_int_equal(answer.retry_after_ns, -1);
    assert_int_equal(answer.header_count, 0);
    answer_free(&answer);
    step.status = 502;
    step.code = code;
    script_answer(&step, &names, 0, &answer);
    assert_int_equal(answer.status, 502);
    assert_string_equal(answer.code, "cloudflare");
    answer_free(&answer);
}

static void an_error_takes_from_its_kind_what_is_not_said(void **state)
{
    (void)state;
    char kind[] = "server_error";
    char message[] = "Rate limit reached for fine-tuned model";
    char type[] = "requests";
    char param[] = "p";
    char code[] = "c";
    struct script_step step = plain_step();
    struct answer answer;
    step.message = message;
    step.type = type;
    step.has_type = true;
    script_answer(&step, &names, 0, &answer);
    assert_int_equal(answer.status, 429);
    assert_string_equal(answer.body,
                        "{\n    \"error\": {\n"
                        "        \"message\": \"Rate limit reached for fine-tuned model\",\n"
                        "        \"type\": \"requests\",\n        \"param\": null,\n"
                        "        \"code\": \"rate_limit_exceeded\"\n    }\n}\n");
    answer_free(&answer);
    step = plain_step();
    step.error_kind = kind;
    script_answer(&step, &names, 0, &answer);
    assert_int_equal(answer.status, 500);
    assert_non_null(strstr(answer.body, "The server had an error"));
    answer_free(&answer);
    step.status = 418;
    step.has_type = step.has_code = step.has_param = true; /* the first as null */
    step.code = code;
    step.param = param;
    script_answer(&step, &names, 0, &answer);
    assert_int_equal(answer.status, 418);
    assert_string_equal(answer.code, "c");
    assert_non_null(strstr(answer.body, "\"type\": null,\n        \"param\": \"p\",\n"
                                        "        \"code\": \"c\"\n"));
    answer_free(&answer);
}

static void a_wait_is_said_in_the_form_that_is_asked(void **state)
{
    (void)state;
    struct script_step step = plain_step();
    struct answer answer;
    step.retry_after_ns = 1500 * NS_PER_MS;
    script_answer(&step, &names, 0, &answer);
    assert_string_equal(header(&answer, "retry-after"), "2");
    assert_null(header(&answer, "retry-after-ms"));
    assert_int_equal(answer.retry_after_ns, 1500 * NS_PER_MS);
    assert_non_null(strstr(answer.body, "Please try again in 1.5s."));
    answer_free(&answer);

    step.retry_after_form = RETRY_AFTER_MILLISECONDS;
    step.retry_after_ns = 1500 * NS_PER_MS + 1;
    script_answer(&step, &names, 0, &answer);
    assert_string_equal(header(&answer, "retry-after-ms"), "1501");
    assert_null(header(&answer, "retry-after"));
    answer_free(&answer);

    /* 2026-01-01 00:00:00.5, and 2 s: at :02.5, so the date says :03 and asks for 2.5 s. */
    int64_t wall_ns = INT64_C(1767225600) * NS_PER_S + 500 * NS_PER_MS;
    step.retry_after_form = RETRY_AFTER_DATE;
    step.retry_after_ns = 2 * NS_PER_S;
    script_answer(&step, &names, wall_ns, &answer);
    assert_string_equal(header(&answer, "retry-after"), "Thu, 01 Jan 2026 00:00:03 GMT");
    assert_int_equal(answer.retry_after_ns, 2500 * NS_PER_MS);
    answer_free(&answer);
    step.retry_after_ns = 1500 * NS_PER_MS; /* exactly at a second */
    script_answer(&step, &names, wall_ns, &answer);
    assert_string_equal(header(&answer, "retry-after"), "Thu, 01 Jan 2026 00:00:02 GMT");
    assert_int_equal(answer.retry_after_ns, 1500 * NS_PER_MS);
    answer_free(&answer);
    step.retry_after_ns = 0;
    step.retry_after_form = RETRY_AFTER_SECONDS;
    script_answer(&step, &names, wall_ns, &answer);
    assert_string_equal(header(&answer, "retry-after"), "0");
    answer_free(&answer);
}

static void add_header(struct script_step *step, const char *name, const char *value)
{
    struct script_header *added = &step->headers[step->header_count++];
    snprintf(added->name, sizeof added->name, "%s", name);
    snprintf(added->value, sizeof added->value, "%s", value);
}

static void headers_are_sent_verbatim_and_a_wait_in_them_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *retry_after;
        const char *retry_after_ms;
        int64_t wait_ns;
    } cases[] = {
        {NULL, NULL, -1},
        {"54749", NULL, 54749 * NS_PER_S},
        {"1.5", NULL, 1500 * NS_PER_MS},
        {"0", NULL, 0},
        {NULL, "250", 250 * NS_PER_MS},
        {"1", "250", 250 * NS_PER_MS}, /* the finer one counts */
        {"soon", NULL, -1},
        {"", NULL, -1},
        {"-1", NULL, -1},
        {"5s", NULL, -1},
        {"nan", NULL, -1},
        {"inf", NULL, -1},
        {"1e300", NULL, -1},
        {"1", "soon", NS_PER_S},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script_step step = plain_step();
        struct answer answer;
        add_header(&step, "Server", "cloudflare");
        if (cases[i].retry_after != NULL)
            add_header(&step, "Retry-After", cases[i].retry_after);
        if (cases[i].retry_after_ms != NULL)
            add_header(&step, "retry-after-MS", cases[i].retry_after_ms);
        script_answer(&step, &names, 0, &answer);
        assert_string_equal(header(&answer, "server"), "cloudflare");
        if (cases[i].retry_after != NULL)
            assert_string_equal(header(&answer, "retry-after"), cases[i].retry_after);
        assert_int_equal(answer.retry_after_ns, cases[i].wait_ns);
        answer_free(&answer);
    }
}

static void nothing_is_left_after_free(void **state)
{
    (void)state;
    struct script script = {.steps = NULL};
    script_free(&script);
    script.steps = calloc(1, sizeof *script.steps);
    script.step_count = 1;
    script.steps[0].model = strdup("m");
    script.steps[0].body = strdup("b");
    script_free(&script);
    assert_null(script.steps);
    assert_int_equal(script.step_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_played_in_order_as_often_as_they_say),
        cmocka_unit_test(an_empty_script_leaves_all_to_the_quotas),
        cmocka_unit_test(for_ever_has_no_end),
        cmocka_unit_test(a_period_starts_with_the_first_play_and_ends_to_the_nanosecond),
        cmocka_unit_test(a_period_with_times_ends_with_whatever_comes_first),
        cmocka_unit_test(a_step_matches_by_model_path_key_and_number),
        cmocka_unit_test(a_step_that_does_not_match_is_not_used_up),
        cmocka_unit_test(all_conditions_must_hold),
        cmocka_unit_test(a_share_takes_its_part_of_the_requests),
        cmocka_unit_test(a_step_is_played_when_it_was_as_often_as_it_asks),
        cmocka_unit_test(a_body_goes_out_verbatim),
        cmocka_unit_test(an_error_takes_from_its_kind_what_is_not_said),
        cmocka_unit_test(a_wait_is_said_in_the_form_that_is_asked),
        cmocka_unit_test(headers_are_sent_verbatim_and_a_wait_in_them_is_understood),
        cmocka_unit_test(nothing_is_left_after_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
