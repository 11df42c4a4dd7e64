/* Nothing comes for a time, and then the rest; without a time, nothing comes any more. */
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_stall(const struct fault *fault, struct fault_play *play)
{
    size_t offset = fault_offset(fault, play);
    if (!play->answer->is_raw)
        return;
    if (fault->for_ns >= 0)
        wire_hold(play->answer, offset, fault->for_ns);
    else
        wire_cut(play->answer, offset, ANSWER_HANGS);
}

static bool is_for_ever(const struct fault *fault)
{
    return fault->for_ns < 0;
}

extern const struct fault_kind fault_stall;
const struct fault_kind fault_stall = {
    .name = "stall",
    .keys = (const char *const[]){"at", "for", NULL},
    .play = play_stall,
    .breaks = is_for_ever,
};
