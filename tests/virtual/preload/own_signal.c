/* A program that uses the signal for itself that the preloaded library uses, and looks at its mask.
 */
#include "../programs/lines.h"

enum { NUMBER = 61 };

static void *sleep_blocked(void *unused)
{
    sigset_t all;
    (void)unused;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    int64_t start = now_ns();
    struct timespec wait = timespec_of(30 * MS);
    say("all blocked", nanosleep(&wait, NULL));
    say_took("all blocked", start, 30 * MS);
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    say("still blocked", sigismember(&now, NUMBER));
    return NULL;
}

int main(void)
{
    struct sigaction before;
    sigaction(NUMBER, NULL, &before);
    say("default at first", before.sa_handler == SIG_DFL);
    handle(NUMBER, count_signal, 0);
    sigaction(NUMBER, NULL, &before);
    say("set", before.sa_handler == count_signal);
    struct timespec wait = timespec_of(20 * MS);
    int64_t start = now_ns();
    say("nanosleep", nanosleep(&wait, NULL));
    say_took("nanosleep", start, 20 * MS);
    say("not called", signals_seen);
    raise(NUMBER);
    say("called", signals_seen);
    pid_t pid = send_later(NUMBER, 10 * MS);
    wait = timespec_of(S);
    start = now_ns();
    say("interrupted", nanosleep(&wait, &wait));
    say_took("interrupted", start, 10 * MS);
    say_left("interrupted", ns_of(wait), 990 * MS);
    say("called again", signals_seen);
    reap(pid);
    pthread_t thread;
    pthread_create(&thread, NULL, sleep_blocked, NULL);
    pthread_join(thread, NULL);
    return 0;
}
