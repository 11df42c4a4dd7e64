/* A stream that ends in good order, but without its last event: no [DONE], no response.completed.
 */
#include "mockserver/fault.h"

static void play_stream_cut(const struct fault *fault, struct fault_play *play)
{
    struct answer *answer = play->answer;
    (void)fault;
    if (answer->piece_count < 2)
        return;
    answer->piece_count--;
    answer->body_length = answer->pieces[answer->piece_count - 1].end;
}

extern const struct fault_kind fault_stream_cut;
const struct fault_kind fault_stream_cut = {
    .name = "stream_cut",
    .needs_stream = true,
    .keys = (const char *const[]){NULL},
    .play = play_stream_cut,
};
