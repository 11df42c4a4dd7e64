/* lateness: how late this machine is with what a run on a real clock has to do.
 *
 * A thousand times in the duration, at a time that is known beforehand, a deadline is due that
 * makes a descriptor ready; when that one is handed out, everybody who was due before has had his
 * turn. What lies between the two is what a call waits for the machine, at least once.
 *
 *     lateness_start(&lateness, &loop, start_ns, duration_ns, &error);
 *     ... the loop turns ...
 *     lateness_stop(&lateness);
 *     double late_s = lateness_mean_s(&lateness);
 */
#ifndef TOOMANY_LAB_LATENESS_H
#define TOOMANY_LAB_LATENESS_H

#include "clock/loop.h"

struct lateness {
    struct loop *loop; /* NULL: not started */
    struct deadline look;
    struct watch heard;
    int64_t due_ns; /* the look that is expected, on the loop's clock */
    int64_t step_ns;
    int64_t end_ns;
    int64_t looks;
    double late_ns; /* of all looks */
};

/* False, with the error filled, when no descriptor can be had. */
bool lateness_start(struct lateness *lateness, struct loop *loop, int64_t start_ns,
                    int64_t duration_ns, struct error *error);

/* Also of one that was never started and is zero. */
void lateness_stop(struct lateness *lateness);

/* In seconds of the run's clock; NAN: nothing was measured. */
double lateness_mean_s(const struct lateness *lateness);

#endif
