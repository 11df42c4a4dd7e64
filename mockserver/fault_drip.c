/* The body comes a few bytes at a time (10 a second). */
#include "mockserver/fault.h"
#include "mockserver/wire.h"

static void play_drip(const struct fault *fault, struct fault_play *play)
{
    double bytes_per_second = fault->bytes_per_second > 0 ? fault->bytes_per_second : 10;
    if (wire_make(play->answer, WIRE_LENGTH, 0))
        wire_slow_down(play->answer, bytes_per_second);
}

extern const struct fault_kind fault_drip;
const struct fault_kind fault_drip = {
    .name = "drip",
    .keys = (const char *const[]){"bytes_per_second", NULL},
    .play = play_drip,
    .breaks = fault_spares,
};
