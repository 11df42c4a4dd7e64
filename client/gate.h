/* gate: how many calls may be under way at a time.
 *
 *     struct gate gate = {.in_flight_max = 2};
 *     gate_enter(&gate);   true,  1 in flight
 *     gate_enter(&gate);   true,  2 in flight
 *     gate_enter(&gate);   false, 2 in flight: the caller queues
 *     gate_leave(&gate);          1 in flight: the caller lets the first of its queue try again
 *
 * Who waits, and in which order, is the caller's: a gate holds two numbers.
 */
#ifndef TOOMANY_CLIENT_GATE_H
#define TOOMANY_CLIENT_GATE_H

#include <stdbool.h>

struct gate {
    int in_flight_max; /* 0: no limit */
    int in_flight;
};

/* True, and counted, when one more may go. */
bool gate_enter(struct gate *gate);

/* For each gate_enter that was true, once. */
void gate_leave(struct gate *gate);

#endif
