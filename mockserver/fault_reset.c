/* The connection is reset, before, in or after the headers or in the middle of the body. */
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_reset(const struct fault *fault, struct fault_play *play)
{
    size_t offset = fault_offset(fault, play);
    if (play->answer->is_raw)
        wire_cut(play->answer, offset, ANSWER_RESETS);
}

extern const struct fault_kind fault_reset;
const struct fault_kind fault_reset = {
    .name = "reset",
    .keys = (const char *const[]){"at", NULL},
    .play = play_reset,
};
