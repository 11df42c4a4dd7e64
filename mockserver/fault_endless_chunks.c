/* A chunked body whose last chunk never comes. After `for` the connection is closed; without it, it
 * stays open as long as the client likes. */
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_endless_chunks(const struct fault *fault, struct fault_play *play)
{
    struct answer *answer = play->answer;
    if (!wire_make(answer, WIRE_ENDLESS_CHUNKS, 0))
        return;
    if (fault->for_ns < 0) {
        answer->end = ANSWER_HANGS;
        return;
    }
    /* The connection ends with the last piece: hold up its last byte. */
    wire_hold(answer, answer->body_length - 1, fault->for_ns);
}

extern const struct fault_kind fault_endless_chunks;
const struct fault_kind fault_endless_chunks = {
    .name = "endless_chunks",
    .keys = (const char *const[]){"for", NULL},
    .play = play_endless_chunks,
};
