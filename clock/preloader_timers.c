/* Timers of clients: timerfd, setitimer, alarm, timer_create. A row of the page each (page.h). */
#include "base/duration.h"
#include "clock/preloader_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

static size_t row_of(const struct guest_timer *timer)
{
    return (size_t)(timer - timer->preloader->timers);
}

/* ---- descriptors ---- */

static bool take_descriptor(struct preloader *preloader)
{
    uint32_t row = UINT32_MAX;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {{0}};
    struct iovec part = {.iov_base = &row, .iov_len = sizeof row};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(preloader->socket.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return false;
    int fd = -1;
    if (message.msg_controllen >= CMSG_LEN(sizeof fd) && control.header.cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    if (got != (ssize_t)sizeof row || row >= PAGE_TIMERS_MAX) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    if (preloader->timers[row].fd >= 0)
        close(preloader->timers[row].fd);
    preloader->timers[row].fd = fd;
    return true;
}

static void socket_ready(void *owner, uint32_t events)
{
    (void)events;
    take_descriptor(owner);
}

/* Makes it readable now. */
static void expire_descriptor(struct guest_timer *timer)
{
    struct itimerspec kept;
    while (take_descriptor(timer->preloader))
        continue;
    if (timer->fd < 0 || timerfd_gettime(timer->fd, &kept) != 0)
        return;
    struct itimerspec past = {.it_value = {.tv_nsec = 1}, .it_interval = kept.it_interval};
    struct pollfd expired = {.fd = timer->fd, .events = POLLIN};
    timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &past, NULL);
    poll(&expired, 1, 1000);
}

/* ---- all kinds ---- */

/* Whether the signal of its last expiry has not been taken yet. */
static bool is_pending(const struct page_timer *row)
{
    static const char *const labels[] = {"\nSigPnd:", "\nShdPnd:"};
    char text[4096];
    int fd = proc_open(row->tid != 0 ? row->tid : atomic_load(&row->pid), "status", O_RDONLY);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    uint64_t pending = 0;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        const char *at = strstr(text, labels[i]);
        if (at != NULL)
            pending |= strtoull(at + strlen(labels[i]), NULL, 16);
    }
    return row->signal > 0 && (pending >> (row->signal - 1) & 1) != 0;
}

static void send_signal(struct page_timer *row)
{
    if (is_pending(row)) {
        atomic_fetch_add(&row->expiries, 1);
        return;
    }
    atomic_store(&row->expiries, 0);
    siginfo_t info = {.si_signo = row->signal, .si_code = SI_TIMER};
    memcpy(&info.si_value, &row->value, sizeof info.si_value);
    pid_t pid = atomic_load(&row->pid);
    if (row->signal == 0)
        return;
    if (row->tid != 0)
        syscall(SYS_rt_tgsigqueueinfo, pid, row->tid, row->signal, &info);
    else
        syscall(SYS_rt_sigqueueinfo, pid, row->signal, &info);
}

static void set_next(struct guest_timer *timer, struct page_timer *row, int64_t now_ns)
{
    int64_t interval_ns = atomic_load(&row->interval_ns);
    if (interval_ns == 0) {
        atomic_store(&row->due_ns, PAGE_NEVER);
        return;
    }
    atomic_store(&row->due_ns, now_ns + interval_ns);
    loop_at(timer->preloader->loop, &timer->due, now_ns + interval_ns);
    timer->due.is_at_once = false;
}

static void expire(void *owner, int64_t now_ns)
{
    struct guest_timer *timer = owner;
    struct page_timer *row = &timer->preloader->page->timers[row_of(timer)];
    if (atomic_load(&row->generation) != timer->generation)
        return; /* set anew, after time was let go */
    int64_t due_ns = atomic_load(&row->due_ns);
    /* All of this before anybody is woken, who may set it anew at once. */
    timer->preloader->suspect = NULL;
    set_next(timer, row, due_ns < now_ns ? due_ns : now_ns);
    switch (atomic_load(&row->kind)) {
    case PAGE_TIMER_FD:
        atomic_fetch_add(&row->expiries, 1);
        expire_descriptor(timer);
        break;
    case PAGE_TIMER_ALARM:
        kill(atomic_load(&row->pid), SIGALRM);
        break;
    case PAGE_TIMER_SIGNAL:
        send_signal(row);
        break;
    default:
        break;
    }
}

void timers_take_deadlines(struct preloader *preloader)
{
    struct clock_page *page = preloader->page;
    uint32_t changes = atomic_load(&page->timer_changes);
    if (changes == preloader->timer_changes)
        return;
    preloader->timer_changes = changes;
    for (size_t i = 0; i < PAGE_TIMERS_MAX; i++) {
        const struct page_timer *row = &page->timers[i];
        struct guest_timer *timer = &preloader->timers[i];
        uint32_t generation = atomic_load(&row->generation);
        if (generation == timer->generation)
            continue;
        timer->generation = generation;
        int64_t due_ns = atomic_load(&row->due_ns);
        if (due_ns == PAGE_NEVER)
            loop_cancel(preloader->loop, &timer->due);
        if (due_ns == PAGE_NEVER && timer->fd >= 0 && atomic_load(&row->kind) == PAGE_TIMER_FREE) {
            close(timer->fd);
            timer->fd = -1;
        }
        if (due_ns == PAGE_NEVER)
            continue;
        int64_t now_ns = loop_now(preloader->loop);
        loop_at(preloader->loop, &timer->due, due_ns > now_ns ? due_ns : now_ns);
        timer->due.is_at_once = false;
    }
}

void timers_of_process_end(struct preloader *preloader, pid_t pid)
{
    for (size_t i = 0; i < PAGE_TIMERS_MAX; i++) {
        struct page_timer *row = &preloader->page->timers[i];
        uint32_t kind = atomic_load(&row->kind);
        if ((kind != PAGE_TIMER_ALARM && kind != PAGE_TIMER_SIGNAL) ||
            atomic_load(&row->pid) != pid)
            continue;
        loop_cancel(preloader->loop, &preloader->timers[i].due);
        atomic_store(&row->kind, PAGE_TIMER_FREE);
    }
}

/* The kernel chooses the name. One of our own might still be taken by a predecessor's socket: a
 * child that is being started beside us has all our descriptors until it executes its program. */
static bool bind_socket(struct preloader *preloader)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address.sun_family;
    char *name = preloader->page->socket_name;
    size_t name_size = sizeof preloader->page->socket_name;
    if (bind(preloader->socket.fd, (struct sockaddr *)&address, length) != 0)
        return false;
    length = sizeof address;
    if (getsockname(preloader->socket.fd, (struct sockaddr *)&address, &length) != 0)
        return false;
    size_t name_length = length - offsetof(struct sockaddr_un, sun_path) - 1;
    if (name_length >= name_size) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(name, address.sun_path + 1, name_length); /* the page was zero */
    return true;
}

bool timers_start(struct preloader *preloader, struct error *error)
{
    preloader->timers = calloc(PAGE_TIMERS_MAX, sizeof *preloader->timers);
    for (size_t i = 0; preloader->timers != NULL && i < PAGE_TIMERS_MAX; i++) {
        preloader->timers[i] = (struct guest_timer){.preloader = preloader, .fd = -1};
        preloader->timers[i].due =
            (struct deadline){.fire = expire, .owner = &preloader->timers[i]};
    }
    preloader->socket.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    preloader->socket.ready = socket_ready;
    preloader->socket.owner = preloader;
    if (preloader->timers == NULL || preloader->socket.fd < 0 || !bind_socket(preloader))
        return error_set_run(error, "socket", "%s%s", strerror(errno), error_remedy(errno));
    return loop_watch(preloader->loop, &preloader->socket, EPOLLIN, error);
}

void timers_free(struct preloader *preloader)
{
    for (size_t i = 0; preloader->timers != NULL && i < PAGE_TIMERS_MAX; i++) {
        loop_cancel(preloader->loop, &preloader->timers[i].due);
        if (preloader->timers[i].fd >= 0)
            close(preloader->timers[i].fd);
    }
    free(preloader->timers);
    if (preloader->socket.fd >= 0) {
        loop_unwatch(preloader->loop, &preloader->socket);
        close(preloader->socket.fd);
    }
}
