/* joint: two probes that one start of the program answers.
 *
 *     recovers/500, ends/400    500, then 400, then 200
 *
 * A program that makes two retries meets both refusals in one call, and what it does after each is
 * evidence of its own: it comes back after the 500, and it gives up at the 400. That saves a start
 * where the program does what the probes demand, or waits as it likes, and says nothing where it
 * does not: then the probe gets a start of its own, as if there were no joint. So a joint makes a
 * grade cheaper, and never a program look worse.
 *
 * To add one: a row in joint.c. First comes the refusal that is more likely to be retried, and what
 * asks for so short a wait that a second backoff would be long enough. Where it is right to give up
 * at the second, the first must not ask for a long wait: some programs give up when a call has
 * lasted a minute, whatever they meet then.
 */
#ifndef TOOMANY_GRADE_JOINT_H
#define TOOMANY_GRADE_JOINT_H

#include "grade/probe.h"

enum { JOINT_ATTEMPTS_MIN = 3 }; /* a program that makes fewer never meets the second refusal */

struct joint {
    const char *first; /* the probe that the first refusal belongs to */
    const char *second;
    bool is_in_second; /* the second's own set-up begins with the first's refusal */
};

/* The table; the last has first == NULL. */
const struct joint *joint_table(void);

/* The set-up: refuses as both do, one after the other. The caller frees it; NULL when memory is
 * out. */
char *joint_server(const struct probe *first, const struct probe *second);
/* It in words. The caller frees them; NULL when memory is out. */
char *joint_sent(const struct probe *first, const struct probe *second);

/* Judges a probe from starts against a joint set-up, where evidence->refusal is its refusal. False
 * where they do not show what its own set-up would. */
bool joint_judge(const struct probe *probe, const struct probe_evidence *evidence,
                 struct judgement *judgement);

#endif
