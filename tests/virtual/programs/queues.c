/* System V semaphores and POSIX message queues. */
#include "lines.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/sem.h>

static void interrupted_by(int flags)
{
    handle(SIGUSR1, count_signal, flags);
    signals_seen = 0;
}

static void semaphores(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf take = {.sem_op = -1};
    struct sembuf give = {.sem_op = 1};
    struct timespec wait = timespec_of(20 * MS);
    int64_t start = now_ns();
    say("semtimedop", semtimedop(id, &take, 1, &wait));
    say_took("semtimedop", start, 20 * MS);
    wait = timespec_of(0);
    say("semtimedop, 0", semtimedop(id, &take, 1, &wait));
    wait.tv_nsec = S;
    say("semtimedop, wrong", semtimedop(id, &take, 1, &wait));
    wait = timespec_of(500 * MS);
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        interrupted_by(flags);
        pid_t pid = send_later(SIGUSR1, 20 * MS);
        start = now_ns();
        say("semtimedop, handler", semtimedop(id, &take, 1, &wait));
        say_took("semtimedop, handler", start, 20 * MS);
        reap(pid);
    }
    pid_t pid = send_later(SIGCHLD, 5 * MS); /* ignored: it ends no wait */
    fflush(stdout);
    if (fork() == 0) {
        usleep(20000);
        semop(id, &give, 1);
        _exit(0);
    }
    start = now_ns();
    say("semtimedop, given", semtimedop(id, &take, 1, &wait));
    say_took("semtimedop, given", start, 20 * MS);
    reap(pid);
    reap(-1);
    pid = send_later(SIGCHLD, 5 * MS);
    fflush(stdout);
    if (fork() == 0) {
        usleep(20000);
        semop(id, &give, 1);
        _exit(0);
    }
    say("semop, given", semop(id, &take, 1));
    reap(pid);
    reap(-1);
    semctl(id, 0, IPC_RMID);
    say("semtimedop, removed", semtimedop(id, &take, 1, &wait));
}

static void message_queues(void)
{
    char name[64];
    char bytes[64];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = sizeof bytes};
    snprintf(name, sizeof name, "/lines.%d", getpid());
    mqd_t queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes);
    if (queue < 0) {
        say("mq_open", queue);
        return;
    }
    mq_unlink(name);
    int64_t start = now_ns();
    struct timespec until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say("mq_timedreceive", mq_timedreceive(queue, bytes, sizeof bytes, NULL, &until));
    say_took("mq_timedreceive", start, 20 * MS);
    say("mq_timedreceive, past", mq_timedreceive(queue, bytes, sizeof bytes, NULL, &until));
    say("mq_send", mq_send(queue, "x", 1, 0));
    start = now_ns();
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say("mq_timedsend", mq_timedsend(queue, "x", 1, 0, &until));
    say_took("mq_timedsend", start, 20 * MS);
    say("mq_timedreceive, there", mq_timedreceive(queue, bytes, sizeof bytes, NULL, &until));
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        interrupted_by(flags);
        pid_t pid = send_later(SIGUSR1, 20 * MS);
        start = now_ns();
        until = timespec_of(clock_ns(CLOCK_REALTIME) + 50 * MS);
        say("mq_timedreceive, handler", mq_timedreceive(queue, bytes, sizeof bytes, NULL, &until));
        say_took("mq_timedreceive, handler", start, flags == 0 ? 20 * MS : 50 * MS);
        say("handlers run", signals_seen);
        reap(pid);
    }
    fflush(stdout);
    if (fork() == 0) {
        usleep(20000);
        _exit(mq_send(queue, "x", 1, 0));
    }
    start = now_ns();
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 500 * MS);
    say("mq_timedreceive, sent", mq_timedreceive(queue, bytes, sizeof bytes, NULL, &until));
    say_took("mq_timedreceive, sent", start, 20 * MS);
    reap(-1);
}

int main(void)
{
    semaphores();
    message_queues();
    return 0;
}
