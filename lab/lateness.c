#include "lab/lateness.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOKS = 1000 };

static void due(void *owner, int64_t now_ns)
{
    struct lateness *lateness = owner;
    (void)now_ns;
    eventfd_write(lateness->heard.fd, 1);
}

/* Those that have become due meanwhile are late, too, for as long as they have been due. */
static void count_due(struct lateness *lateness)
{
    int64_t now_ns = loop_now(lateness->loop);
    for (; lateness->due_ns <= now_ns && lateness->due_ns < lateness->end_ns;
         lateness->due_ns += lateness->step_ns) {
        lateness->late_ns += (double)(now_ns - lateness->due_ns);
        lateness->looks++;
    }
}

static void heard(void *owner, uint32_t events)
{
    struct lateness *lateness = owner;
    eventfd_t count;
    (void)events;
    eventfd_read(lateness->heard.fd, &count);
    count_due(lateness);
    if (lateness->due_ns < lateness->end_ns)
        loop_at(lateness->loop, &lateness->look, lateness->due_ns);
}

bool lateness_start(struct lateness *lateness, struct loop *loop, int64_t start_ns,
                    int64_t duration_ns, struct error *error)
{
    int64_t step_ns = duration_ns < LOOKS ? 1 : duration_ns / LOOKS;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return error_set_run(error, "eventfd", "%s: too many open files? raise `ulimit -n`",
                             strerror(errno));
    *lateness = (struct lateness){.loop = loop,
                                  .look = {.fire = due, .owner = lateness},
                                  .heard = {.fd = fd, .ready = heard, .owner = lateness},
                                  .due_ns = start_ns + step_ns,
                                  .step_ns = step_ns,
                                  .end_ns = start_ns + duration_ns};
    if (!loop_watch(loop, &lateness->heard, EPOLLIN, error)) {
        close(fd);
        lateness->loop = NULL;
        return false;
    }
    loop_at(loop, &lateness->look, lateness->due_ns);
    return true;
}

void lateness_stop(struct lateness *lateness)
{
    if (lateness->loop == NULL)
        return;
    count_due(lateness);
    loop_cancel(lateness->loop, &lateness->look);
    loop_unwatch(lateness->loop, &lateness->heard);
    close(lateness->heard.fd);
    lateness->loop = NULL;
}

double lateness_mean_s(const struct lateness *lateness)
{
    return lateness->looks > 0 ? lateness->late_ns * 1e-9 / (double)lateness->looks : NAN;
}
