/* A 429 whose Retry-After no client can obey: it should wait as if there were none. */
#include "mockserver/fault.h"
#include "mockserver/openai_error.h"

#include <stdio.h>

enum form { GARBAGE, NEGATIVE, ZERO, PAST_DATE, HUGE_WAIT, REPEATED };

static const char *const forms[] = {"garbage", "negative", "zero", "past_date",
                                    "huge",    "repeated", NULL};

static const char *const values[] = {
    [GARBAGE] = "soon",
    [NEGATIVE] = "-5",
    [ZERO] = "0",
    [PAST_DATE] = "Sat, 01 Jan 2000 00:00:00 GMT",
    [HUGE_WAIT] = "99999999999999999999",
    [REPEATED] = "1",
};

static void play_bad_retry_after(const struct fault *fault, struct fault_play *play)
{
    struct answer *answer = play->answer;
    struct answer refusal;
    openai_error_answer_kind(&refusal, openai_error_find("rate_limit_exceeded"), play->names, -1);
    answer->status = refusal.status;
    answer->stream = ANSWER_NOT_STREAMED;
    answer_pieces(answer, NULL, 0);
    answer_body_bytes(answer, refusal.body, refusal.body_length);
    snprintf(answer->code, sizeof answer->code, "%s", refusal.code);
    answer_header(answer, "content-type", "application/json");
    answer_header(answer, "retry-after", "%s", values[fault->form]);
    if (fault->form == REPEATED && answer->header_count < ANSWER_HEADERS_MAX)
        answer_header_add(answer, "retry-after", "20");
}

extern const struct fault_kind fault_bad_retry_after;
const struct fault_kind fault_bad_retry_after = {
    .name = "bad_retry_after",
    .keys = (const char *const[]){"form", NULL},
    .forms = forms,
    .status = 429,
    .play = play_bad_retry_after,
    .breaks = fault_spares, /* its status says that it is none */
};
