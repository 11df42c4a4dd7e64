/* A handler that jumps out of a wait: the same wait in the same place afterwards is a new one. */
#include "lines.h"

#include <poll.h>
#include <setjmp.h>

static sigjmp_buf out;

static void jump(int number)
{
    siglongjmp(out, number);
}

int main(void)
{
    volatile int round = 0;
    volatile int64_t start = now_ns();
    handle(SIGUSR1, jump, 0);
    if (sigsetjmp(out, 1) != 0)
        say_took("jumped out", start, round * 20 * MS);
    if (round < 3) {
        round++;
        send_later(SIGUSR1, 20 * MS);
    } else {
        start = now_ns();
    }
    struct timespec wait = timespec_of(200 * MS);
    say("nanosleep", nanosleep(&wait, NULL));
    say_took("nanosleep", start, 200 * MS);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    return 0;
}
