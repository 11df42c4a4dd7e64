/* Sockets: time-outs that they have by themselves, and traffic that leaves the run.
 *
 * SO_RCVTIMEO and SO_SNDTIMEO make any receive or send on a socket a timed wait. Tracing all of
 * these would be slow. Instead the kernel is never told of the time-out; it is remembered by the
 * socket's inode, and when everybody sleeps, whoever sleeps in a call on such a socket gets a
 * deadline, counted from now: time has stood still since the call began. */
#include "clock/traced_call.h"

#include "base/duration.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#endif

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

enum call_verdict setsockopt_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    char inode[64];
    int64_t ns;
    struct socket_timeouts **sockets = tracer_socket_timeouts(tracer);
    if (tracer_is_let_go(tracer) || regs->r8 < sizeof(struct timeval) ||
        !call_read_timeval(tracee, regs->r10, &ns) || !read_inode(tracee, regs->rdi, inode))
        return CALL_PASSES;
    struct socket_timeouts *socket = find(*sockets, inode);
    if (socket == NULL) {
        socket = calloc(1, sizeof *socket);
        if (socket == NULL)
            return CALL_PASSES;
        memcpy(socket->inode, inode, sizeof inode);
        HASH_ADD_STR(*sockets, inode, socket);
    }
    *(is_receive_option(regs->rdx) ? &socket->receive_ns : &socket->send_ns) = ns;
    regs->rax = 0;
    return CALL_ANSWERED;
}

enum call_verdict getsockopt_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    char inode[64];
    uint32_t length = 0;
    const struct socket_timeouts *socket = NULL;
    if (read_inode(tracee, regs->rdi, inode))
        socket = find(*tracer_socket_timeouts(tracer), inode);
    if (socket == NULL || !tracee_read(tracee, regs->r8, &length, sizeof length) ||
        length < sizeof(struct timeval))
        return CALL_PASSES;
    length = sizeof(struct timeval);
    int64_t ns = is_receive_option(regs->rdx) ? socket->receive_ns : socket->send_ns;
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
    struct socket_timeouts *sockets = *tracer_socket_timeouts(tracee->process->tracer);
    char inode[64];
    if ((!receives && !sends) || sockets == NULL || !read_inode(tracee, fd, inode))
        return false;
    const struct socket_timeouts *socket = find(sockets, inode);
    if (socket == NULL)
        return false;
    *timeout_ns = receives ? socket->receive_ns : socket->send_ns;
    return *timeout_ns > 0;
}

static void give_back(int fd, int option, int64_t ns)
{
    struct timeval time = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US};
    setsockopt(fd, SOL_SOCKET, option, &time, sizeof time);
}

void socket_timeouts_restore(const struct tracee *tracee)
{
    struct socket_timeouts *sockets = *tracer_socket_timeouts(tracee->process->tracer);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)tracee->tid);
    DIR *directory = sockets != NULL ? opendir(path) : NULL;
    if (directory == NULL)
        return;
    int pid_fd = (int)syscall(SYS_pidfd_open, tracee->process->pid, 0);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char inode[64];
        int number = atoi(entry->d_name);
        if (!read_inode(tracee, (uint64_t)number, inode) || find(sockets, inode) == NULL)
            continue;
        int fd = (int)syscall(SYS_pidfd_getfd, pid_fd, number, 0);
        give_back(fd, SO_RCVTIMEO, find(sockets, inode)->receive_ns);
        give_back(fd, SO_SNDTIMEO, find(sockets, inode)->send_ns);
        close(fd);
    }
    close(pid_fd);
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

/* --- traffic ------------------------------------------------------------------------------------
 */

union address {
    struct sockaddr base;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static bool read_address(const struct tracee *tracee, uint64_t pointer, uint64_t length,
                         union address *address)
{
    memset(address, 0, sizeof *address);
    if (length > sizeof *address)
        length = sizeof *address;
    return length >= sizeof(sa_family_t) && tracee_read(tracee, pointer, address, (size_t)length);
}

static bool is_loopback(const union address *address)
{
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    uint32_t v4 = ntohl(address->v4.sin_addr.s_addr);
    if (address->base.sa_family == AF_INET6) {
        if (IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_UNSPECIFIED(v6))
            return true;
        if (!IN6_IS_ADDR_V4MAPPED(v6))
            return false;
        memcpy(&v4, v6->s6_addr + 12, sizeof v4);
        v4 = ntohl(v4);
    }
    return v4 >> 24 == 127 || v4 == 0;
}

static void look_at_address(struct tracer *tracer, const union address *address)
{
    sa_family_t family = address->base.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return;
    uint16_t port = ntohs(family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
    if (port == 0)
        return; /* no traffic: a way to ask which source address would be taken */
    if (!is_loopback(address))
        tracer_let_go(tracer, "it talks to another machine, whose answers take real time");
    else if (!tracer_knows_port(tracer, port))
        tracer_let_go(tracer, "it talks to a program of this machine that is not part of the run");
}

enum call_verdict connect_begins(struct tracer *tracer, struct tracee *tracee,
                                 struct user_regs_struct *regs)
{
    union address address;
    if (read_address(tracee, regs->rsi, regs->rdx, &address))
        look_at_address(tracer, &address);
    return CALL_PASSES;
}

enum call_verdict sendto_begins(struct tracer *tracer, struct tracee *tracee,
                                struct user_regs_struct *regs)
{
    union address address;
    if (read_address(tracee, regs->r8, regs->r9, &address))
        look_at_address(tracer, &address);
    return CALL_PASSES;
}

/* A client's own server: others of the run may talk to it. */
enum call_verdict listen_begins(struct tracer *tracer, struct tracee *tracee,
                                struct user_regs_struct *regs)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, tracee->process->pid, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pid_fd, (int)regs->rdi, 0);
    union address address;
    socklen_t length = sizeof address;
    if (fd >= 0 && getsockname(fd, &address.base, &length) == 0) {
        if (address.base.sa_family == AF_INET)
            tracer_add_port(tracer, ntohs(address.v4.sin_port));
        else if (address.base.sa_family == AF_INET6)
            tracer_add_port(tracer, ntohs(address.v6.sin6_port));
    }
    if (fd >= 0)
        close(fd);
    close(pid_fd);
    return CALL_PASSES;
}
