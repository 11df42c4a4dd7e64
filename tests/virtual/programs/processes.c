/* fork, vfork, posix_spawn, exec by a thread, threads that end, daemons, process groups. */
#include "lines.h"

#include <spawn.h>
#include <sys/prctl.h>

static const char *self;

static void sleep_ns(int64_t ns)
{
    struct timespec wait = timespec_of(ns);
    nanosleep(&wait, NULL);
}

/* What the program does when it is started with an argument. */
static int sleep_and_exit(const char *argument)
{
    sleep_ns(atoll(argument) * MS);
    return 3;
}

static void say_status(const char *name, pid_t pid, int64_t start, int64_t expected_ns)
{
    int status = 0;
    waitpid(pid, &status, 0);
    printf("%s: status %x\n", name, (unsigned)status);
    say_took(name, start, expected_ns);
}

static void children(void)
{
    int64_t start = now_ns();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ns(40 * MS);
        _exit(7);
    }
    say_status("fork", pid, start, 40 * MS);

    start = now_ns();
    pid = vfork();
    if (pid == 0) {
        execl(self, self, "40", (char *)NULL);
        _exit(127);
    }
    say_took("vfork returns", start, 0);
    say_status("vfork", pid, start, 40 * MS);

    /* The parent of a vfork waits until the child has ended, whatever that takes. */
    start = now_ns();
    pid = vfork();
    if (pid == 0) {
        struct timespec wait = timespec_of(40 * MS);
        nanosleep(&wait, NULL);
        _exit(5);
    }
    say_took("vfork, slow child", start, 40 * MS);
    say_status("vfork, slow child", pid, start, 40 * MS);

    start = now_ns();
    char *arguments[] = {(char *)self, (char *)"30", NULL};
    say("posix_spawn", posix_spawn(&pid, self, NULL, NULL, arguments, environ));
    say_status("posix_spawn", pid, start, 30 * MS);
    say("posix_spawn of nothing", posix_spawn(&pid, "/nowhere", NULL, NULL, arguments, environ));

    start = now_ns();
    int status = system("sleep 0.05 | sleep 0.1; sleep 0.02");
    say("system", status);
    say_took("system", start, 120 * MS);
    FILE *pipe = popen("sleep 0.03; echo done", "r");
    char line[32] = "";
    start = now_ns();
    if (fgets(line, sizeof line, pipe) != NULL)
        printf("popen: %s", line);
    say_took("popen", start, 30 * MS);
    say("pclose", pclose(pipe));
}

/* Sleepers side by side: each at its own time, in order. */
static void side_by_side(void)
{
    int pipe_ends[2];
    char order[5] = "";
    int64_t start = now_ns();
    fflush(stdout);
    if (pipe(pipe_ends) != 0)
        return;
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            sleep_ns((4 - i) * 100 * MS);
            _exit(write(pipe_ends[1], &"abcd"[i], 1) == 1 ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        if (read(pipe_ends[0], order + i, 1) != 1)
            say("read", -1);
        say_took("one of four", start, (i + 1) * 100 * MS);
    }
    printf("order: %s\n", order);
    for (int i = 0; i < 4; i++)
        wait(NULL);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void *exec_in_thread(void *unused)
{
    (void)unused;
    sleep_ns(20 * MS);
    execl(self, self, "30", (char *)NULL);
    return NULL;
}

static void *sleep_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        sleep(1000);
    return NULL;
}

static void *sleep_a_little(void *unused)
{
    (void)unused;
    sleep_ns(20 * MS);
    return NULL;
}

static void *exit_process(void *unused)
{
    (void)unused;
    sleep_ns(50 * MS);
    _exit(9);
}

static void threads(void)
{
    int64_t start = now_ns();
    fflush(stdout);
    pid_t pid = fork();
    pthread_t thread;
    if (pid == 0) {
        pthread_create(&thread, NULL, sleep_for_ever, NULL);
        pthread_create(&thread, NULL, exec_in_thread, NULL);
        sleep_for_ever(NULL);
    }
    say_status("exec by a thread", pid, start, 50 * MS);

    start = now_ns();
    pid = fork();
    if (pid == 0) {
        pthread_create(&thread, NULL, exit_process, NULL);
        pthread_exit(NULL); /* the first thread ends, the process does not */
    }
    say_status("first thread ended", pid, start, 50 * MS);

    start = now_ns();
    pthread_t many[50];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 50; i++)
            pthread_create(&many[i], NULL, sleep_a_little, NULL);
        for (int i = 0; i < 50; i++)
            pthread_join(many[i], NULL);
    }
    say_took("200 threads", start, 80 * MS);
}

static void ends(void)
{
    int64_t start = now_ns();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, sleep_for_ever, NULL);
        sleep_for_ever(NULL);
    }
    sleep_ns(20 * MS);
    kill(pid, SIGKILL);
    say_status("killed", pid, start, 20 * MS);

    start = now_ns();
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (fork() == 0)
            sleep_for_ever(NULL);
        sleep_for_ever(NULL);
    }
    sleep_ns(20 * MS);
    say("kill a group", kill(-pid, SIGTERM));
    say_status("group killed", pid, start, 20 * MS);

    /* A parent learns that its child stopped, goes on, and ends. */
    int status;
    start = now_ns();
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        sleep_ns(20 * MS);
        _exit(4);
    }
    waitpid(pid, &status, WUNTRACED);
    say("stopped by", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
    sleep_ns(100 * MS);
    kill(pid, SIGCONT);
    waitpid(pid, &status, WCONTINUED);
    say("goes on", WIFCONTINUED(status));
    say_status("goes on and ends", pid, start, 120 * MS);
}

static void daemons(void)
{
    int pipe_ends[2];
    char byte = 0;
    int64_t start = now_ns();
    fflush(stdout);
    if (pipe(pipe_ends) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() != 0)
            _exit(0);
        setsid();
        sleep_ns(100 * MS);
        _exit(write(pipe_ends[1], "x", 1) == 1 ? 0 : 1);
    }
    say_status("its parent ends", pid, start, 0);
    say("from the daemon", read(pipe_ends[0], &byte, 1));
    say_took("from the daemon", start, 100 * MS);

    /* A child that sleeps while its parent dies under it, PR_SET_PDEATHSIG. */
    start = now_ns();
    pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            close(pipe_ends[0]);
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            sleep_ns(10 * S);
            _exit(0);
        }
        close(pipe_ends[1]);
        sleep_ns(50 * MS);
        _exit(0);
    }
    close(pipe_ends[1]);
    say_status("parent of an orphan", pid, start, 50 * MS);
    say("the orphan is gone", read(pipe_ends[0], &byte, 1));
    say_took("the orphan is gone", start, 50 * MS);
}

int main(int count, char **arguments)
{
    self = "/proc/self/exe";
    if (count > 1)
        return sleep_and_exit(arguments[1]);
    children();
    side_by_side();
    threads();
    ends();
    daemons();
    return 0;
}
