/* No connection is taken for a period (1s): the one that meets it is reset, those that are idle are
 * closed, and new ones are refused. */
#include "base/duration.h"
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_refuse(const struct fault *fault, struct fault_play *play)
{
    play->refuse_ns = fault->for_ns >= 0 ? fault->for_ns : NS_PER_S;
    if (wire_make(play->answer, WIRE_LENGTH, 0))
        wire_cut(play->answer, 0, ANSWER_RESETS);
}

extern const struct fault_kind fault_refuse;
const struct fault_kind fault_refuse = {
    .name = "refuse",
    .keys = (const char *const[]){"for", NULL},
    .play = play_refuse,
};
