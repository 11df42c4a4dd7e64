/* Sockets: time-outs of their own, and whom the program talks to. */
#include "clock/preload/library.h"

#include "base/duration.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif

/* A time-out of n microseconds is kept in the kernel as one of this many seconds and n more. */
#define KEPT_FROM_S (INT64_C(1) << 52)
#define KEPT_US_MAX (INT64_C(1) << 50)

static bool is_timeout_option(int level, int option)
{
    return level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO ||
                                   option == SO_RCVTIMEO_NEW || option == SO_SNDTIMEO_NEW);
}

bool socket_timeout(int fd, int option, int64_t *timeout_ns)
{
    struct timeval kept = {0};
    socklen_t length = sizeof kept;
    int error = errno;
    int failed = libc()->getsockopt(fd, SOL_SOCKET, option, &kept, &length);
    errno = error;
    if (failed != 0 || kept.tv_sec < KEPT_FROM_S)
        return false;
    *timeout_ns = (kept.tv_sec - KEPT_FROM_S) * NS_PER_US;
    return true;
}

EXPORTED int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    struct timeval time;
    if (!is_carried() || !is_timeout_option(level, option) || value == NULL || length < sizeof time)
        return libc()->setsockopt(fd, level, option, value, length);
    int result = libc()->setsockopt(fd, level, option, value, length); /* it says what is wrong */
    if (result != 0)
        return result;
    memcpy(&time, value, sizeof time);
    int64_t us = timeval_ns(&time) / NS_PER_US;
    if (us <= 0 || us > KEPT_US_MAX)
        return result;
    atomic_store(&page->has_timeouts, 1);
    struct timeval kept = {.tv_sec = KEPT_FROM_S + us};
    return libc()->setsockopt(fd, level, option, &kept, sizeof kept);
}

EXPORTED int getsockopt(int fd, int level, int option, void *restrict value,
                        socklen_t *restrict length)
{
    int64_t ns;
    libc();
    if (page == NULL || !is_timeout_option(level, option) || value == NULL || length == NULL ||
        *length < sizeof(struct timeval) || !socket_timeout(fd, option, &ns))
        return libc()->getsockopt(fd, level, option, value, length);
    struct timeval time = ns_timeval(ns);
    memcpy(value, &time, sizeof time);
    *length = sizeof time;
    return 0;
}

/* Begins a wait where the socket has a time-out. */
static void wait_for(struct wait *wait, int fd, int option)
{
    int64_t ns;
    libc();
    if (page == NULL || atomic_load_explicit(&page->has_timeouts, memory_order_relaxed) == 0 ||
        !socket_timeout(fd, option, &ns))
        return;
    bool receives = option == SO_RCVTIMEO;
    if (wait_begins(wait, receives ? PAGE_CALL_socket_receive : PAGE_CALL_socket_send,
                    after_ns(ns)))
        return;
    struct timeval time = ns_timeval(ns); /* time has been let go: the kernel's from now on */
    libc()->setsockopt(fd, SOL_SOCKET, option, &time, sizeof time);
}

EXPORTED int accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict length)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    return (int)wait_result(&wait, libc()->accept(fd, address.__sockaddr__, length), EAGAIN);
}

EXPORTED int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    return (int)wait_result(&wait, libc()->accept4(fd, address.__sockaddr__, length, flags),
                            EAGAIN);
}

EXPORTED ssize_t read(int fd, void *bytes, size_t size)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    ssize_t result = wait_result(&wait, libc()->read(fd, bytes, size), EAGAIN);
    if (result == sizeof(uint64_t) && page != NULL && atomic_load(&page->has_timer_fds) != 0)
        timer_fd_was_read(fd, bytes);
    return result;
}

EXPORTED ssize_t readv(int fd, const struct iovec *parts, int count)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    return wait_result(&wait, libc()->readv(fd, parts, count), EAGAIN);
}

EXPORTED ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    return wait_result(&wait, libc()->recv(fd, bytes, size, flags), EAGAIN);
}

EXPORTED ssize_t recvfrom(int fd, void *restrict bytes, size_t size, int flags,
                          __SOCKADDR_ARG address, socklen_t *restrict length)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    struct sockaddr *from = address.__sockaddr__;
    return wait_result(&wait, libc()->recvfrom(fd, bytes, size, flags, from, length), EAGAIN);
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_RCVTIMEO);
    return wait_result(&wait, libc()->recvmsg(fd, message, flags), EAGAIN);
}

/* What programs are made of that were compiled with checks (_FORTIFY_SOURCE). */
ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
EXPORTED ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    if (room < size)
        abort();
    return read(fd, bytes, size);
}

ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags);
EXPORTED ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    if (room < size)
        abort();
    return recv(fd, bytes, size, flags);
}

ssize_t __recvfrom_chk(int fd, void *restrict bytes, size_t size, size_t room, int flags,
                       struct sockaddr *restrict address, socklen_t *restrict length);
EXPORTED ssize_t __recvfrom_chk(int fd, void *restrict bytes, size_t size, size_t room, int flags,
                                struct sockaddr *restrict address, socklen_t *restrict length)
{
    if (room < size)
        abort();
    return recvfrom(fd, bytes, size, flags, address, length);
}

/* TCP holds a small write back until the one before is acknowledged, which the receiver puts off by
 * a timer of the kernel: bytes that nobody sees are on the way. They are let out, as the program
 * itself may ask for. Returns `sent`. */
static ssize_t let_out(int fd, ssize_t sent)
{
    int holds_nothing = 1;
    int error = errno;
    socklen_t length = sizeof holds_nothing;
    if (sent > 0 && is_carried() &&
        libc()->getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &holds_nothing, &length) == 0 &&
        holds_nothing == 0) {
        const int on = 1;
        const int off = 0;
        libc()->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        libc()->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
    }
    errno = error;
    return sent;
}

EXPORTED ssize_t write(int fd, const void *bytes, size_t size)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_SNDTIMEO);
    return let_out(fd, wait_result(&wait, libc()->write(fd, bytes, size), EAGAIN));
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_SNDTIMEO);
    return let_out(fd, wait_result(&wait, libc()->writev(fd, parts, count), EAGAIN));
}

EXPORTED ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    WAIT(wait);
    wait_for(&wait, fd, SO_SNDTIMEO);
    ssize_t sent = wait_result(&wait, libc()->send(fd, bytes, size, flags), EAGAIN);
    return (flags & MSG_MORE) != 0 ? sent : let_out(fd, sent);
}

/* ---- traffic ---- */

static bool is_loopback(const struct sockaddr *address)
{
    uint32_t v4 = 0;
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr))
            return true;
        if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            return false;
        memcpy(&v4, v6.sin6_addr.s6_addr + 12, sizeof v4);
    } else {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        v4 = in.sin_addr.s_addr;
    }
    v4 = ntohl(v4);
    return v4 >> 24 == 127 || v4 == 0;
}

/* 0 for what is no address of the Internet. The port stands at the same place in both kinds. */
static uint16_t port_of(const struct sockaddr *address, socklen_t length)
{
    bool is_v4 = length >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET;
    bool is_v6 = length >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6;
    if (!is_v4 && !is_v6)
        return 0;
    uint16_t port = 0;
    memcpy(&port, (const char *)address + offsetof(struct sockaddr_in, sin_port), sizeof port);
    return ntohs(port);
}

static bool is_known_port(uint16_t port)
{
    return (atomic_load(&page->ports[port / 64]) >> (port % 64) & 1) != 0;
}

/* Port 0 is no traffic, but a way to ask which source address would be taken. */
static void look_at_address(const struct sockaddr *address, socklen_t length)
{
    if (!is_carried() || address == NULL)
        return;
    uint16_t port = port_of(address, length);
    if (port == 0)
        return;
    if (!is_loopback(address))
        plead(PAGE_PLEA_OTHER_MACHINE);
    else if (!is_known_port(port))
        plead(PAGE_PLEA_OTHER_PROGRAM);
}

/* Whose socket a connection of AF_UNIX leads to, the kernel says. */
static void look_at_peer(int fd, const struct sockaddr *address, int connected)
{
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    int error = errno;
    if (connected == 0 && is_carried() && address != NULL && address->sa_family == AF_UNIX &&
        libc()->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0 &&
        !page_has_process(page, peer.pid))
        plead(PAGE_PLEA_OTHER_PROGRAM);
    errno = error;
}

/* libc declares addresses as unions of pointers. */
EXPORTED int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    WAIT(wait);
    const struct sockaddr *to = address.__sockaddr__;
    look_at_address(to, length);
    wait_for(&wait, fd, SO_SNDTIMEO);
    int result = (int)wait_result(&wait, libc()->connect(fd, to, length), EINPROGRESS);
    look_at_peer(fd, to, result);
    return result;
}

EXPORTED ssize_t sendto(int fd, const void *bytes, size_t size, int flags,
                        __CONST_SOCKADDR_ARG address, socklen_t length)
{
    WAIT(wait);
    const struct sockaddr *to = address.__sockaddr__;
    look_at_address(to, length);
    wait_for(&wait, fd, SO_SNDTIMEO);
    ssize_t sent = wait_result(&wait, libc()->sendto(fd, bytes, size, flags, to, length), EAGAIN);
    return (flags & MSG_MORE) != 0 ? sent : let_out(fd, sent);
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    WAIT(wait);
    look_at_address(message->msg_name, message->msg_namelen);
    wait_for(&wait, fd, SO_SNDTIMEO);
    ssize_t sent = wait_result(&wait, libc()->sendmsg(fd, message, flags), EAGAIN);
    return (flags & MSG_MORE) != 0 ? sent : let_out(fd, sent);
}

/* A client's own server: others of the run may talk to it. */
static void add_own_port(int fd)
{
    union {
        struct sockaddr base;
        struct sockaddr_storage room;
    } address = {.room = {0}};
    socklen_t length = sizeof address;
    int error = errno;
    if (is_carried() && getsockname(fd, &address.base, &length) == 0) {
        uint16_t port = port_of(&address.base, length);
        if (port != 0)
            atomic_fetch_or(&page->ports[port / 64], UINT64_C(1) << (port % 64));
    }
    errno = error;
}

EXPORTED int listen(int fd, int backlog)
{
    int result = libc()->listen(fd, backlog);
    if (result == 0)
        add_own_port(fd);
    return result;
}

/* Datagrams come without a listen. */
EXPORTED int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    int type = 0;
    socklen_t type_length = sizeof type;
    int result = libc()->bind(fd, address.__sockaddr__, length);
    if (result == 0 && is_carried() &&
        libc()->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) == 0 && type == SOCK_DGRAM)
        add_own_port(fd);
    return result;
}
