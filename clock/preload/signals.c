/* Signals. PAGE_SIGNAL is ours; a program that uses the same number finds it as if it were not. */
#include "clock/preload/library.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

/* What the program has set for PAGE_SIGNAL. */
static struct sigaction programs_own;

/* Somebody else has sent it. */
static void hand_on(int number, siginfo_t *info, void *context)
{
    if ((programs_own.sa_flags & SA_SIGINFO) != 0)
        programs_own.sa_sigaction(number, info, context);
    else if (programs_own.sa_handler != SIG_DFL && programs_own.sa_handler != SIG_IGN)
        programs_own.sa_handler(number);
}

static void handle(int number, siginfo_t *info, void *context)
{
    int error = errno;
    if (info->si_code == SI_QUEUE && (uint64_t)(uintptr_t)info->si_value.sival_ptr == PAGE_MAGIC)
        wait_ends_by_signal(context);
    else
        hand_on(number, info, context);
    errno = error;
}

void signals_start(void)
{
    struct sigaction action = {.sa_sigaction = handle,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    libc()->sigaction(PAGE_SIGNAL, &action, NULL);
}

const sigset_t *mask_without_ours(const sigset_t *mask, sigset_t *copy)
{
    if (mask == NULL)
        return NULL;
    *copy = *mask;
    sigdelset(copy, PAGE_SIGNAL);
    return copy;
}

EXPORTED int sigaction(int number, const struct sigaction *restrict action,
                       struct sigaction *restrict before)
{
    libc();
    if (number != PAGE_SIGNAL || page == NULL)
        return libc()->sigaction(number, action, before);
    struct sigaction old = programs_own;
    if (action != NULL)
        programs_own = *action;
    if (before != NULL)
        *before = old;
    return 0;
}

EXPORTED preload_handler signal(int number, preload_handler handler)
{
    libc();
    if (number != PAGE_SIGNAL || page == NULL)
        return libc()->signal(number, handler);
    preload_handler before = programs_own.sa_handler;
    programs_own = (struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART};
    return before;
}

EXPORTED int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                          const struct timespec *restrict timeout)
{
    WAIT(wait);
    sigset_t copy;
    int64_t ns = timeout != NULL ? timespec_ns(timeout) : 0;
    if (!is_carried())
        return libc()->sigtimedwait(set, info, timeout);
    set = mask_without_ours(set, &copy);
    if (ns <= 0 || !wait_begins(&wait, PAGE_CALL_sigtimedwait, after_ns(ns)))
        return libc()->sigtimedwait(set, info, timeout);
    return (int)wait_result(&wait, libc()->sigtimedwait(set, info, NULL), EAGAIN);
}

EXPORTED int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
    sigset_t copy;
    return libc()->sigwaitinfo(mask_without_ours(set, &copy), info);
}

EXPORTED int sigwait(const sigset_t *restrict set, int *restrict number)
{
    sigset_t copy;
    return libc()->sigwait(mask_without_ours(set, &copy), number);
}

EXPORTED int signalfd(int fd, const sigset_t *set, int flags)
{
    sigset_t copy;
    return libc()->signalfd(fd, mask_without_ours(set, &copy), flags);
}
