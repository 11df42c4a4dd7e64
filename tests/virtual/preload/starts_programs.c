/* Starts programs in each way that there is, with no environment at all: each is to sleep, and for
 * as long as it is told. */
#include "../programs/lines.h"

#include <spawn.h>

static char *const nothing[] = {NULL};
static char *const foreign[] = {"LD_PRELOAD=libm.so.6", "A=b", NULL};
static char *const sleeps[] = {"sleep", "0.05", NULL};

static void became(int way)
{
    switch (way) {
    case 0:
        execve("/bin/sleep", sleeps, nothing);
        break;
    case 1:
        execve("/bin/sleep", sleeps, foreign);
        break;
    case 2:
        environ = NULL;
        execv("/bin/sleep", sleeps);
        break;
    case 3:
        execvpe("sleep", sleeps, nothing);
        break;
    case 4:
        execle("/bin/sleep", "sleep", "0.05", NULL, nothing);
        break;
    case 5:
        clearenv();
        execl("/bin/sleep", "sleep", "0.05", NULL);
        break;
    case 6:
        execlp("sleep", "sleep", "0.05", NULL);
        break;
    }
}

int main(void)
{
    enum { WAYS = 7 };
    for (int way = 0; way < WAYS; way++) {
        char name[32];
        int status = -1;
        snprintf(name, sizeof name, "way %d", way);
        int64_t start = now_ns();
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            became(way);
            _exit(127);
        }
        waitpid(pid, &status, 0);
        say(name, WEXITSTATUS(status));
        say_took(name, start, 50 * MS);
    }
    pid_t pid;
    int status = -1;
    int64_t start = now_ns();
    say("posix_spawn", posix_spawn(&pid, "/bin/sleep", NULL, NULL, sleeps, nothing));
    waitpid(pid, &status, 0);
    say("posix_spawn", WEXITSTATUS(status));
    say_took("posix_spawn", start, 50 * MS);
    start = now_ns();
    say("system", system("sleep 0.05"));
    say_took("system", start, 50 * MS);
    say("no such program", execve("/nowhere", sleeps, nothing));
    start = now_ns();
    struct timespec wait = timespec_of(20 * MS);
    say("sleeps on", nanosleep(&wait, NULL));
    say_took("sleeps on", start, 20 * MS);
    return 0;
}
