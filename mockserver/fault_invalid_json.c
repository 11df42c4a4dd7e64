/* Status 200, a right Content-Length, and half of a JSON text. */
#include "mockserver/fault.h"

static void play_invalid_json(const struct fault *fault, struct fault_play *play)
{
    struct answer *answer = play->answer;
    (void)fault;
    answer_pieces(answer, NULL, 0);
    answer->stream = ANSWER_NOT_STREAMED;
    answer->body_length /= 2;
    answer_header(answer, "content-type", "application/json");
}

extern const struct fault_kind fault_invalid_json;
const struct fault_kind fault_invalid_json = {
    .name = "invalid_json",
    .keys = (const char *const[]){NULL},
    .play = play_invalid_json,
};
