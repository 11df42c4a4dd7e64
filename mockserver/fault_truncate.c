/* Half of the body, then the connection is closed in good order. */
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_truncate(const struct fault *fault, struct fault_play *play)
{
    (void)fault;
    if (!wire_make(play->answer, WIRE_LENGTH, 0))
        return;
    size_t head = wire_head_length(play->answer);
    wire_cut(play->answer, head + (play->answer->body_length - head) / 2, ANSWER_CLOSES);
}

extern const struct fault_kind fault_truncate;
const struct fault_kind fault_truncate = {
    .name = "truncate",
    .keys = (const char *const[]){NULL},
    .play = play_truncate,
};
