/* functions: the table of the functions that the library stands in for. A row has the result, the
 * name and the parameters as libc declares them; the function itself is in the file named above. */
#ifndef TOOMANY_CLOCK_PRELOAD_FUNCTIONS_H
#define TOOMANY_CLOCK_PRELOAD_FUNCTIONS_H

#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timeb.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* For the handlers of signal(). */
typedef void (*preload_handler)(int);

#define PRELOAD_FUNCTIONS(ROW)                                                                     \
    /* clocks.c */                                                                                 \
    ROW(int, clock_gettime, (clockid_t, struct timespec *))                                        \
    ROW(int, gettimeofday, (struct timeval *, void *))                                             \
    ROW(time_t, time, (time_t *))                                                                  \
    ROW(clock_t, times, (struct tms *))                                                            \
    /* sleeps.c */                                                                                 \
    ROW(int, nanosleep, (const struct timespec *, struct timespec *))                              \
    ROW(int, clock_nanosleep, (clockid_t, int, const struct timespec *, struct timespec *))        \
    ROW(int, thrd_sleep, (const struct timespec *, struct timespec *))                             \
    /* polls.c */                                                                                  \
    ROW(int, poll, (struct pollfd *, nfds_t, int))                                                 \
    ROW(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))          \
    ROW(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))                        \
    ROW(int, pselect,                                                                              \
        (int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *))            \
    ROW(int, epoll_wait, (int, struct epoll_event *, int, int))                                    \
    ROW(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *))                 \
    ROW(int, epoll_pwait2,                                                                         \
        (int, struct epoll_event *, int, const struct timespec *, const sigset_t *))               \
    /* locks.c */                                                                                  \
    ROW(int, pthread_cond_timedwait,                                                               \
        (pthread_cond_t *, pthread_mutex_t *, const struct timespec *))                            \
    ROW(int, pthread_cond_clockwait,                                                               \
        (pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *))                 \
    ROW(int, pthread_mutex_timedlock, (pthread_mutex_t *, const struct timespec *))                \
    ROW(int, pthread_mutex_clocklock, (pthread_mutex_t *, clockid_t, const struct timespec *))     \
    ROW(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t *, const struct timespec *))            \
    ROW(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t *, const struct timespec *))            \
    ROW(int, pthread_rwlock_clockrdlock, (pthread_rwlock_t *, clockid_t, const struct timespec *)) \
    ROW(int, pthread_rwlock_clockwrlock, (pthread_rwlock_t *, clockid_t, const struct timespec *)) \
    ROW(int, pthread_timedjoin_np, (pthread_t, void **, const struct timespec *))                  \
    ROW(int, pthread_clockjoin_np, (pthread_t, void **, clockid_t, const struct timespec *))       \
    ROW(int, cnd_timedwait, (cnd_t *, mtx_t *, const struct timespec *))                           \
    ROW(int, mtx_timedlock, (mtx_t *, const struct timespec *))                                    \
    ROW(int, sem_timedwait, (sem_t *, const struct timespec *))                                    \
    ROW(int, sem_clockwait, (sem_t *, clockid_t, const struct timespec *))                         \
    ROW(int, semtimedop, (int, struct sembuf *, size_t, const struct timespec *))                  \
    ROW(int, mq_timedsend, (mqd_t, const char *, size_t, unsigned, const struct timespec *))       \
    ROW(ssize_t, mq_timedreceive, (mqd_t, char *, size_t, unsigned *, const struct timespec *))    \
    /* signals.c */                                                                                \
    ROW(int, sigaction, (int, const struct sigaction *, struct sigaction *))                       \
    ROW(preload_handler, signal, (int, preload_handler))                                           \
    ROW(int, sigtimedwait, (const sigset_t *, siginfo_t *, const struct timespec *))               \
    ROW(int, sigwaitinfo, (const sigset_t *, siginfo_t *))                                         \
    ROW(int, sigwait, (const sigset_t *, int *))                                                   \
    ROW(int, signalfd, (int, const sigset_t *, int))                                               \
    /* timers.c */                                                                                 \
    ROW(int, setitimer, (__itimer_which_t, const struct itimerval *, struct itimerval *))          \
    ROW(int, getitimer, (__itimer_which_t, struct itimerval *))                                    \
    ROW(unsigned, alarm, (unsigned))                                                               \
    ROW(int, timer_create, (clockid_t, struct sigevent *, timer_t *))                              \
    ROW(int, timer_settime, (timer_t, int, const struct itimerspec *, struct itimerspec *))        \
    ROW(int, timer_gettime, (timer_t, struct itimerspec *))                                        \
    ROW(int, timer_getoverrun, (timer_t))                                                          \
    ROW(int, timer_delete, (timer_t))                                                              \
    ROW(int, timerfd_settime, (int, int, const struct itimerspec *, struct itimerspec *))          \
    ROW(int, timerfd_gettime, (int, struct itimerspec *))                                          \
    ROW(int, close, (int))                                                                         \
    ROW(int, dup, (int))                                                                           \
    ROW(int, dup2, (int, int))                                                                     \
    ROW(int, dup3, (int, int, int))                                                                \
    /* sockets.c */                                                                                \
    ROW(int, setsockopt, (int, int, int, const void *, socklen_t))                                 \
    ROW(int, getsockopt, (int, int, int, void *, socklen_t *))                                     \
    ROW(int, connect, (int, const struct sockaddr *, socklen_t))                                   \
    ROW(int, bind, (int, const struct sockaddr *, socklen_t))                                      \
    ROW(int, listen, (int, int))                                                                   \
    ROW(int, accept, (int, struct sockaddr *, socklen_t *))                                        \
    ROW(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                  \
    ROW(ssize_t, read, (int, void *, size_t))                                                      \
    ROW(ssize_t, readv, (int, const struct iovec *, int))                                          \
    ROW(ssize_t, recv, (int, void *, size_t, int))                                                 \
    ROW(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))             \
    ROW(ssize_t, recvmsg, (int, struct msghdr *, int))                                             \
    ROW(ssize_t, write, (int, const void *, size_t))                                               \
    ROW(ssize_t, writev, (int, const struct iovec *, int))                                         \
    ROW(ssize_t, send, (int, const void *, size_t, int))                                           \
    ROW(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))     \
    ROW(ssize_t, sendmsg, (int, const struct msghdr *, int))                                       \
    /* programs.c */                                                                               \
    ROW(int, execve, (const char *, char *const[], char *const[]))                                 \
    ROW(int, execvpe, (const char *, char *const[], char *const[]))                                \
    ROW(int, fexecve, (int, char *const[], char *const[]))                                         \
    ROW(int, posix_spawn,                                                                          \
        (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,     \
         char *const[], char *const[]))                                                            \
    ROW(int, posix_spawnp,                                                                         \
        (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,     \
         char *const[], char *const[]))                                                            \
    /* calls.c */                                                                                  \
    ROW(long, syscall, (long, ...))

#endif
