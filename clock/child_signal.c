#include "clock/child_signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

enum { CHILD_SIGNALS_MAX = 256 };

/* Handlers reach nothing but globals. Slots hold an eventfd plus one, 0 where free. */
static atomic_int child_fds[CHILD_SIGNALS_MAX];
static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static void on_child(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    uint64_t one = 1;
    for (size_t i = 0; i < CHILD_SIGNALS_MAX; i++) {
        int fd = atomic_load(&child_fds[i]) - 1;
        if (fd >= 0 && write(fd, &one, sizeof one) < 0)
            continue; /* it is readable already */
    }
    errno = saved;
}

static void set_handler(void)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
}

bool child_signal_register(int fd)
{
    pthread_once(&handler_once, set_handler);
    for (size_t i = 0; i < CHILD_SIGNALS_MAX; i++) {
        int free_slot = 0;
        if (atomic_compare_exchange_strong(&child_fds[i], &free_slot, fd + 1))
            return true;
    }
    return false;
}

void child_signal_unregister(int fd)
{
    for (size_t i = 0; i < CHILD_SIGNALS_MAX; i++) {
        int slot = fd + 1;
        if (atomic_compare_exchange_strong(&child_fds[i], &slot, 0))
            return;
    }
}
