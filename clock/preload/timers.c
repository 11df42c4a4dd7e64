/* Timers: each is a row of the page, and the harness lets it expire. */
#include "clock/preload/library.h"

#include "base/duration.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* A timer descriptor keeps the number of its row as its interval, from this on, so that whoever has
 * it finds the row, after dup, fork and exec too. */
#define KEPT_FROM_S INT64_C(5000000000)

/* timer_t of ours, which those of libc do not look like. */
#define TIMER_FROM UINT64_C(0x0074696d65720000)

static struct page_timer *claim_timer(enum page_timer_kind kind)
{
    for (size_t i = 0; i < PAGE_TIMERS_MAX; i++) {
        struct page_timer *timer = &page->timers[i];
        uint32_t found = PAGE_TIMER_FREE;
        if (!atomic_compare_exchange_strong(&timer->kind, &found, PAGE_TIMER_CLAIMED))
            continue;
        atomic_store(&timer->pid, (int32_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0));
        atomic_store(&timer->due_ns, PAGE_NEVER);
        atomic_store(&timer->interval_ns, 0);
        atomic_store(&timer->expiries, 0);
        atomic_store(&timer->is_shared, 0);
        timer->clock = CLOCK_REALTIME;
        timer->signal = timer->tid = 0;
        timer->value = 0;
        atomic_fetch_add(&timer->generation, 1);
        atomic_store(&timer->kind, kind);
        return timer;
    }
    plead(PAGE_PLEA_FULL);
    return NULL;
}

static void set_timer(struct page_timer *timer, int64_t due_ns, int64_t interval_ns)
{
    atomic_store(&timer->due_ns, due_ns);
    atomic_store(&timer->interval_ns, interval_ns);
    atomic_store(&timer->expiries, 0);
    atomic_fetch_add(&timer->generation, 1);
    atomic_fetch_add(&page->timer_changes, 1);
}

static void free_timer(struct page_timer *timer)
{
    set_timer(timer, PAGE_NEVER, 0);
    atomic_store(&timer->kind, PAGE_TIMER_FREE);
}

/* What is left of it; 0 when it is not set. */
static int64_t left_ns(const struct page_timer *timer)
{
    int64_t due_ns = atomic_load(&timer->due_ns);
    if (due_ns == PAGE_NEVER)
        return 0;
    return due_ns > now_ns() ? due_ns - now_ns() : 1;
}

static struct itimerspec timer_state(const struct page_timer *timer)
{
    return (struct itimerspec){.it_value = ns_timespec(left_ns(timer)),
                               .it_interval = ns_timespec(atomic_load(&timer->interval_ns))};
}

static int keep_row(int fd, size_t row, int flags, int64_t value_ns);

/* One that is due already: nobody has to wait for it. */
static void expire_at_once(struct page_timer *timer, int64_t due_ns, int64_t interval_ns, int fd)
{
    int64_t late_ns = now_ns() - due_ns;
    int64_t more = interval_ns > 0 ? late_ns / interval_ns : 0;
    set_timer(timer, interval_ns > 0 ? due_ns + (more + 1) * interval_ns : PAGE_NEVER, interval_ns);
    if (fd >= 0) {
        atomic_store(&timer->expiries, (uint32_t)more + 1);
        keep_row(fd, (size_t)(timer - page->timers), TFD_TIMER_ABSTIME, 1);
        return;
    }
    atomic_store(&timer->expiries, (uint32_t)more);
    siginfo_t info = {.si_signo = timer->signal, .si_code = SI_TIMER};
    memcpy(&info.si_value, &timer->value, sizeof info.si_value);
    long pid = RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
    if (timer->signal != 0 && timer->tid != 0)
        RAW(SYS_rt_tgsigqueueinfo, pid, timer->tid, timer->signal, &info, 0, 0);
    else if (timer->signal != 0)
        RAW(SYS_rt_sigqueueinfo, pid, timer->signal, &info, 0, 0, 0);
}

/* Sets it as `wanted` says; false where that is not valid. `fd` is that of a timer descriptor. */
static bool set_as_wanted(struct page_timer *timer, int flags, const struct itimerspec *wanted,
                          int fd)
{
    int64_t value_ns = timespec_ns(&wanted->it_value);
    int64_t interval_ns = timespec_ns(&wanted->it_interval);
    int64_t origin = 0;
    if (value_ns < 0 || interval_ns < 0)
        return false;
    int64_t due_ns = after_ns(value_ns);
    if ((flags & TIMER_ABSTIME) != 0 && clock_origin(timer->clock, &origin))
        due_ns = value_ns - origin;
    if (value_ns != 0 && due_ns <= now_ns())
        expire_at_once(timer, due_ns, interval_ns, fd);
    else
        set_timer(timer, value_ns == 0 ? PAGE_NEVER : due_ns, interval_ns);
    return true;
}

/* ---- setitimer and alarm ---- */

static struct page_timer *find_alarm(void)
{
    int32_t pid = (int32_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
    for (size_t i = 0; i < PAGE_TIMERS_MAX; i++) {
        struct page_timer *timer = &page->timers[i];
        if (atomic_load(&timer->kind) == PAGE_TIMER_ALARM && atomic_load(&timer->pid) == pid)
            return timer;
    }
    return NULL;
}

static struct itimerval alarm_state(const struct page_timer *timer)
{
    if (timer == NULL)
        return (struct itimerval){0};
    struct itimerspec state = timer_state(timer);
    return (struct itimerval){
        .it_value = {state.it_value.tv_sec, state.it_value.tv_nsec / NS_PER_US},
        .it_interval = {state.it_interval.tv_sec, state.it_interval.tv_nsec / NS_PER_US}};
}

static int set_alarm(const struct itimerval *wanted, struct itimerval *before)
{
    struct page_timer *timer = find_alarm();
    struct itimerval old = alarm_state(timer);
    int64_t value_ns = wanted != NULL ? timeval_ns(&wanted->it_value) : 0;
    int64_t interval_ns = wanted != NULL ? timeval_ns(&wanted->it_interval) : 0;
    if (value_ns < 0 || interval_ns < 0) {
        errno = EINVAL;
        return -1;
    }
    if (timer == NULL && value_ns > 0)
        timer = claim_timer(PAGE_TIMER_ALARM);
    if (timer != NULL && value_ns > 0)
        set_timer(timer, after_ns(value_ns), interval_ns);
    else if (timer != NULL)
        free_timer(timer);
    if (before != NULL)
        *before = old;
    return 0;
}

EXPORTED int setitimer(__itimer_which_t which, const struct itimerval *restrict wanted,
                       struct itimerval *restrict before)
{
    if (which != ITIMER_REAL)
        return libc()->setitimer(which, wanted, before);
    if (is_carried())
        return set_alarm(wanted, before);
    struct page_timer *timer = page != NULL ? find_alarm() : NULL;
    if (timer == NULL)
        return libc()->setitimer(which, wanted, before);
    struct itimerval old = alarm_state(timer);
    free_timer(timer);
    int result = libc()->setitimer(which, wanted, NULL);
    if (before != NULL)
        *before = old;
    return result;
}

EXPORTED int getitimer(__itimer_which_t which, struct itimerval *state)
{
    libc();
    struct page_timer *timer = page != NULL && which == ITIMER_REAL ? find_alarm() : NULL;
    if (timer == NULL && !(which == ITIMER_REAL && is_carried()))
        return libc()->getitimer(which, state);
    *state = alarm_state(timer);
    return 0;
}

EXPORTED unsigned alarm(unsigned seconds)
{
    struct itimerval wanted = {.it_value = {.tv_sec = seconds}};
    struct itimerval before = {0};
    libc();
    if (page == NULL)
        return libc()->alarm(seconds);
    setitimer(ITIMER_REAL, &wanted, &before);
    bool is_set = before.it_value.tv_sec != 0 || before.it_value.tv_usec != 0;
    unsigned left = (unsigned)before.it_value.tv_sec + (before.it_value.tv_usec >= 500000);
    return is_set && left == 0 ? 1 : left;
}

EXPORTED useconds_t ualarm(useconds_t value, useconds_t interval)
{
    struct itimerval wanted = {.it_value = ns_timeval((int64_t)value * NS_PER_US),
                               .it_interval = ns_timeval((int64_t)interval * NS_PER_US)};
    struct itimerval before = {0};
    if (setitimer(ITIMER_REAL, &wanted, &before) != 0)
        return (useconds_t)-1;
    return (useconds_t)(before.it_value.tv_sec * 1000000 + before.it_value.tv_usec);
}

/* ---- timer_create ---- */

static struct page_timer *own_timer(timer_t id)
{
    uint64_t number;
    memcpy(&number, &id, sizeof number);
    libc();
    if (page == NULL || number < TIMER_FROM || number >= TIMER_FROM + PAGE_TIMERS_MAX)
        return NULL;
    struct page_timer *timer = &page->timers[number - TIMER_FROM];
    bool is_ours = atomic_load(&timer->kind) == PAGE_TIMER_SIGNAL &&
                   atomic_load(&timer->pid) == (int32_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
    return is_ours ? timer : NULL;
}

EXPORTED int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict id)
{
    int64_t origin;
    if (!is_carried() || !clock_origin(clock, &origin))
        return libc()->timer_create(clock, event, id);
    int notify = event != NULL ? event->sigev_notify : SIGEV_SIGNAL;
    if (notify == SIGEV_THREAD)
        return thread_timer_create(clock, event, id);
    if (notify != SIGEV_SIGNAL && notify != SIGEV_NONE && notify != SIGEV_THREAD_ID)
        return libc()->timer_create(clock, event, id);
    struct page_timer *timer = claim_timer(PAGE_TIMER_SIGNAL);
    if (timer == NULL)
        return libc()->timer_create(clock, event, id);
    uint64_t number = TIMER_FROM + (uint64_t)(timer - page->timers);
    timer->clock = clock;
    timer->signal = notify == SIGEV_NONE ? 0 : event != NULL ? event->sigev_signo : SIGALRM;
    timer->value = number;
    if (event != NULL)
        memcpy(&timer->value, &event->sigev_value, sizeof timer->value);
    if (notify == SIGEV_THREAD_ID)
        timer->tid = event->_sigev_un._tid;
    memcpy(id, &number, sizeof number);
    return 0;
}

EXPORTED int timer_settime(timer_t id, int flags, const struct itimerspec *restrict wanted,
                           struct itimerspec *restrict before)
{
    struct page_timer *timer = own_timer(id);
    if (thread_timer_has(id))
        return thread_timer_set(id, flags, wanted, before);
    if (timer == NULL)
        return libc()->timer_settime(id, flags, wanted, before);
    struct itimerspec old = timer_state(timer);
    if (!set_as_wanted(timer, flags, wanted, -1)) {
        errno = EINVAL;
        return -1;
    }
    if (before != NULL)
        *before = old;
    return 0;
}

EXPORTED int timer_gettime(timer_t id, struct itimerspec *state)
{
    const struct page_timer *timer = own_timer(id);
    if (thread_timer_has(id))
        return thread_timer_get(id, state);
    if (timer == NULL)
        return libc()->timer_gettime(id, state);
    *state = timer_state(timer);
    return 0;
}

EXPORTED int timer_getoverrun(timer_t id)
{
    const struct page_timer *timer = own_timer(id);
    if (thread_timer_has(id))
        return 0;
    return timer != NULL ? (int)atomic_load(&timer->expiries) : libc()->timer_getoverrun(id);
}

EXPORTED int timer_delete(timer_t id)
{
    struct page_timer *timer = own_timer(id);
    if (thread_timer_has(id))
        return thread_timer_delete(id);
    if (timer == NULL)
        return libc()->timer_delete(id);
    free_timer(timer);
    return 0;
}

/* Those of timer_create do not outlive an exec; the one of setitimer does. */
void free_old_timers(void)
{
    int32_t pid = (int32_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
    for (size_t i = 0; i < PAGE_TIMERS_MAX; i++) {
        struct page_timer *timer = &page->timers[i];
        if (atomic_load(&timer->kind) == PAGE_TIMER_SIGNAL && atomic_load(&timer->pid) == pid)
            free_timer(timer);
    }
}

/* ---- timer descriptors ---- */

/* Returns -errno. */
static int keep_row(int fd, size_t row, int flags, int64_t value_ns)
{
    struct itimerspec kept = {.it_value = {.tv_nsec = value_ns},
                              .it_interval = {.tv_sec = KEPT_FROM_S + (int64_t)row}};
    return (int)RAW(SYS_timerfd_settime, fd, flags, &kept, 0, 0, 0);
}

static struct page_timer *find_fd_timer(int fd)
{
    struct itimerspec kept = {0};
    libc();
    if (page == NULL || atomic_load(&page->has_timer_fds) == 0 ||
        RAW(SYS_timerfd_gettime, fd, &kept, 0, 0, 0, 0) != 0)
        return NULL;
    int64_t row = kept.it_interval.tv_sec - KEPT_FROM_S;
    if (row < 0 || row >= PAGE_TIMERS_MAX || atomic_load(&page->timers[row].kind) != PAGE_TIMER_FD)
        return NULL;
    return &page->timers[row];
}

/* Gives the harness the descriptor, so that it can let it expire. */
static bool hand_over(int fd, uint32_t row)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t name_length = strnlen(page->socket_name, sizeof page->socket_name);
    memcpy(address.sun_path + 1, page->socket_name, name_length);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {{0}};
    struct iovec part = {.iov_base = &row, .iov_len = sizeof row};
    struct msghdr message = {
        .msg_name = &address,
        .msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name_length),
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    int sender = (int)RAW(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);
    long sent;
    do {
        sent = RAW(SYS_sendmsg, sender, &message, MSG_NOSIGNAL, 0, 0, 0);
    } while (sent == -EINTR);
    RAW(SYS_close, sender, 0, 0, 0, 0, 0);
    return sent == (long)sizeof row;
}

EXPORTED int timerfd_create(__clockid_t clock, int flags)
{
    int64_t origin;
    long fd = RAW(SYS_timerfd_create, clock, flags, 0, 0, 0, 0);
    if (fd < 0) {
        errno = (int)-fd;
        return -1;
    }
    if (!is_carried() || !clock_origin(clock, &origin))
        return (int)fd;
    struct page_timer *timer = claim_timer(PAGE_TIMER_CLAIMED);
    if (timer == NULL)
        return (int)fd;
    size_t row = (size_t)(timer - page->timers);
    timer->clock = clock;
    timer->descriptor = (int32_t)fd;
    if (keep_row((int)fd, row, 0, 0) != 0 || !hand_over((int)fd, (uint32_t)row))
        plead(PAGE_PLEA_TIMER);
    atomic_store(&page->has_timer_fds, 1);
    atomic_store(&timer->kind, PAGE_TIMER_FD);
    return (int)fd;
}

EXPORTED int timerfd_settime(int fd, int flags, const struct itimerspec *wanted,
                             struct itimerspec *before)
{
    struct page_timer *timer = find_fd_timer(fd);
    if (timer == NULL)
        return libc()->timerfd_settime(fd, flags, wanted, before);
    struct itimerspec old = timer_state(timer);
    /* What has expired and was not read is void. The kernel says what is wrong with the flags. */
    int refusal = keep_row(fd, (size_t)(timer - page->timers), flags, 0);
    bool is_absolute = (flags & TFD_TIMER_ABSTIME) != 0;
    if (refusal != 0 || !set_as_wanted(timer, is_absolute ? TIMER_ABSTIME : 0, wanted, fd)) {
        errno = refusal != 0 ? -refusal : EINVAL;
        return -1;
    }
    if (before != NULL)
        *before = old;
    return 0;
}

EXPORTED int timerfd_gettime(int fd, struct itimerspec *state)
{
    const struct page_timer *timer = find_fd_timer(fd);
    if (timer == NULL)
        return libc()->timerfd_gettime(fd, state);
    *state = timer_state(timer);
    return 0;
}

void timer_fd_was_read(int fd, void *bytes)
{
    struct page_timer *timer = find_fd_timer(fd);
    if (timer == NULL)
        return;
    uint64_t count = atomic_exchange(&timer->expiries, 0);
    if (count > 0)
        memcpy(bytes, &count, sizeof count);
}

/* The harness has a duplicate, too, which would keep a closed descriptor in the epoll sets that it
 * is in. One that nobody else may have is set to rest, and the harness is told to let go of it. */
EXPORTED int close(int fd)
{
    int error = errno;
    struct page_timer *timer = find_fd_timer(fd);
    if (timer != NULL && atomic_load(&timer->is_shared) == 0) {
        keep_row(fd, (size_t)(timer - page->timers), 0, 0);
        free_timer(timer);
    }
    errno = error;
    return libc()->close(fd);
}

static int note_duplicate(int fd, int duplicate)
{
    int error = errno;
    struct page_timer *timer = duplicate >= 0 ? find_fd_timer(fd) : NULL;
    if (timer != NULL)
        atomic_store(&timer->is_shared, 1);
    errno = error;
    return duplicate;
}

EXPORTED int dup(int fd)
{
    return note_duplicate(fd, libc()->dup(fd));
}

EXPORTED int dup2(int fd, int to)
{
    return note_duplicate(fd, libc()->dup2(fd, to));
}

EXPORTED int dup3(int fd, int to, int flags)
{
    return note_duplicate(fd, libc()->dup3(fd, to, flags));
}

void share_timers(void)
{
    for (size_t i = 0; atomic_load(&page->has_timer_fds) != 0 && i < PAGE_TIMERS_MAX; i++)
        atomic_store(&page->timers[i].is_shared, 1);
}
