#include "client/gate.h"

#include <assert.h>

bool gate_enter(struct gate *gate)
{
    assert(gate->in_flight_max >= 0);
    if (gate->in_flight_max > 0 && gate->in_flight >= gate->in_flight_max)
        return false;
    gate->in_flight++;
    return true;
}

void gate_leave(struct gate *gate)
{
    assert(gate->in_flight > 0);
    gate->in_flight--;
}
