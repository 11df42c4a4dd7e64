/* Time-outs that sockets have by themselves. SO_RCVTIMEO and SO_SNDTIMEO make any receive or send
 * on a socket a timed wait. Tracing all of these would be slow. Instead the kernel gets a time-out
 * that is longer by some years, and when everybody sleeps, whoever sleeps in a call on such a
 * socket gets a deadline, counted from now: time has stood still since the call began.
 *
 * The kernel rounds time-outs to its ticks, which differ from machine to machine; what the program
 * set is remembered by the socket's inode. A socket that got its time-outs by accept() is not
 * remembered, and has them as the kernel knows them. */
#include "clock/traced_call.h"

#include "base/duration.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#endif

/* What the kernel's time-outs are longer by: some 30 years. */
#define LONGER_SECONDS INT64_C(1000000000)

struct socket_timeouts {
    char inode[64];     /* "socket:[12345]" */
    int64_t receive_ns; /* 0: none */
    int64_t send_ns;
    UT_hash_handle hh;
};

static bool read_inode(const struct tracee *tracee, uint64_t fd, char inode[64])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tracee->tid, (int)fd);
    ssize_t length = readlink(path, inode, 63);
    inode[length > 0 ? length : 0] = '\0';
    return strncmp(inode, "socket:", 7) == 0;
}

static struct socket_timeouts *find(struct socket_timeouts *sockets, const char *inode)
{
    struct socket_timeouts *socket = NULL;
    HASH_FIND_STR(sockets, inode, socket);
    return socket;
}

static bool is_receive_option(uint64_t option)
{
    return option == SO_RCVTIMEO || option == SO_RCVTIMEO_NEW;
}

/* The program's descriptor as one of ours; -1 when it has none of that number. */
static int take_descriptor(const struct tracee *tracee, uint64_t number)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, tracee->process->pid, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pid_fd, (int)number, 0);
    close(pid_fd);
    return fd;
}

static bool set_kernel_timeout(int fd, int option, int64_t ns, int64_t more_s)
{
    struct timeval time = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US};
    if (ns != 0)
        time.tv_sec += more_s;
    return setsockopt(fd, SOL_SOCKET, option, &time, sizeof time) == 0;
}

/* What the program believes that the time-out is, as far as the kernel knows; 0: it has none. */
static int64_t kernel_timeout(int fd, int option)
{
    struct timeval time = {0};
    socklen_t length = sizeof time;
    if (getsockopt(fd, SOL_SOCKET, option, &time, &length) != 0 || time.tv_sec < LONGER_SECONDS)
        return 0;
    return (time.tv_sec - LONGER_SECONDS) * NS_PER_S + time.tv_usec * NS_PER_US;
}

static struct socket_timeouts *have(struct socket_timeouts **sockets, const char inode[64])
{
    struct socket_timeouts *socket = find(*sockets, inode);
    if (socket != NULL)
        return socket;
    socket = calloc(1, sizeof *socket);
    if (socket == NULL)
        return NULL;
    memcpy(socket->inode, inode, sizeof socket->inode);
    HASH_ADD_STR(*sockets, inode, socket);
    return socket;
}

enum call_verdict setsockopt_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    char inode[64];
    int64_t ns;
    if (tracer_is_let_go(tracer) || (uint32_t)regs->r8 < sizeof(struct timeval) ||
        !call_read_timeval(tracee, regs->r10, &ns) || !read_inode(tracee, regs->rdi, inode))
        return CALL_PASSES;
    if (ns > LONGER_SECONDS * NS_PER_S)
        return CALL_PASSES; /* for ever, in effect */
    struct socket_timeouts *socket = have(tracer_socket_timeouts(tracer), inode);
    int fd = take_descriptor(tracee, regs->rdi);
    bool receives = is_receive_option(regs->rdx);
    bool is_set = socket != NULL &&
                  set_kernel_timeout(fd, receives ? SO_RCVTIMEO : SO_SNDTIMEO, ns, LONGER_SECONDS);
    if (fd >= 0)
        close(fd);
    if (!is_set)
        return CALL_PASSES;
    *(receives ? &socket->receive_ns : &socket->send_ns) = ns;
    regs->rax = 0;
    return CALL_ANSWERED;
}

/* The time-out of the socket at `number`; 0: it has none. */
static int64_t timeout_of(struct tracer *tracer, const struct tracee *tracee, uint64_t number,
                          bool receives)
{
    char inode[64];
    struct socket_timeouts *sockets = *tracer_socket_timeouts(tracer);
    if (sockets == NULL || !read_inode(tracee, number, inode))
        return 0; /* none has been set in this run */
    int fd = take_descriptor(tracee, number);
    int64_t kernel_ns = kernel_timeout(fd, receives ? SO_RCVTIMEO : SO_SNDTIMEO);
    if (fd >= 0)
        close(fd);
    const struct socket_timeouts *socket = find(sockets, inode);
    int64_t set_ns = socket == NULL ? 0 : receives ? socket->receive_ns : socket->send_ns;
    return kernel_ns != 0 && set_ns != 0 ? set_ns : kernel_ns;
}

enum call_verdict getsockopt_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    uint32_t length = 0;
    int64_t ns = timeout_of(tracer, tracee, regs->rdi, is_receive_option(regs->rdx));
    if (ns == 0 || !tracee_read(tracee, regs->r8, &length, sizeof length) ||
        length < sizeof(struct timeval))
        return CALL_PASSES;
    length = sizeof(struct timeval);
    if (!call_write_timeval(tracee, regs->r10, ns) ||
        !tracee_write(tracee, regs->r8, &length, sizeof length))
        return CALL_PASSES;
    regs->rax = 0;
    return CALL_ANSWERED;
}

bool socket_timeout(const struct tracee *tracee, int64_t number, uint64_t fd, int64_t *timeout_ns)
{
    bool receives = number == SYS_read || number == SYS_readv || number == SYS_recvfrom ||
                    number == SYS_recvmsg || number == SYS_recvmmsg || number == SYS_accept ||
                    number == SYS_accept4;
    bool sends = number == SYS_write || number == SYS_writev || number == SYS_sendto ||
                 number == SYS_sendmsg || number == SYS_sendmmsg || number == SYS_connect;
    if (!receives && !sends)
        return false;
    *timeout_ns = timeout_of(tracee->process->tracer, tracee, fd, receives);
    return *timeout_ns > 0;
}

void socket_timeouts_restore(const struct tracee *tracee)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)tracee->tid);
    bool are_there = *tracer_socket_timeouts(tracee->process->tracer) != NULL;
    DIR *directory = are_there ? opendir(path) : NULL;
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char inode[64];
        uint64_t number = strtoull(entry->d_name, NULL, 10);
        if (entry->d_name[0] == '.' || !read_inode(tracee, number, inode))
            continue;
        int fd = take_descriptor(tracee, number);
        set_kernel_timeout(fd, SO_RCVTIMEO, kernel_timeout(fd, SO_RCVTIMEO), 0);
        set_kernel_timeout(fd, SO_SNDTIMEO, kernel_timeout(fd, SO_SNDTIMEO), 0);
        if (fd >= 0)
            close(fd);
    }
    closedir(directory);
}

void socket_timeouts_free(struct socket_timeouts **sockets)
{
    struct socket_timeouts *socket;
    struct socket_timeouts *next;
    HASH_ITER (hh, *sockets, socket, next) {
        HASH_DEL(*sockets, socket);
        free(socket);
    }
}
