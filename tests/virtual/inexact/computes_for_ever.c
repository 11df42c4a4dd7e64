/* A child that computes for ever, which its parent ends after a while: it must come to that. */
#include "../programs/lines.h"

int main(void)
{
    struct timespec wait = timespec_of(100 * MS);
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            continue;
    }
    say("nanosleep", nanosleep(&wait, NULL));
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    say("killed by", WTERMSIG(status));
    return 0;
}
