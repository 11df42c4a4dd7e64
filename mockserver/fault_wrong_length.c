/* A Content-Length that is off by some bytes (-10): too small, the client reads a body that is cut;
 * too large, it waits for what never comes. */
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_wrong_length(const struct fault *fault, struct fault_play *play)
{
    int64_t by = fault->by != 0 ? fault->by : -10;
    play->answer->stream = ANSWER_NOT_STREAMED; /* chunks have no length */
    if (wire_make(play->answer, WIRE_LENGTH, by) && by > 0)
        play->answer->end = ANSWER_HANGS;
}

extern const struct fault_kind fault_wrong_length;
const struct fault_kind fault_wrong_length = {
    .name = "wrong_length",
    .keys = (const char *const[]){"by", NULL},
    .play = play_wrong_length,
};
