#include "mockserver/listener.h"

#include "base/duration.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What a socket address looks like for bind. */
static bool parse_address(const char *host, uint16_t port, struct sockaddr_storage *address,
                          struct error *error)
{
    *address = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return true;
    }
    return error_set(error, "--host", "\"%s\" is not an IPv4 or IPv6 address, such as 127.0.0.1",
                     host);
}

static const char *remedy_for(int problem)
{
    switch (problem) {
    case EADDRINUSE:
        return "; choose another --port, or 0 for a free one";
    case EACCES:
        return "; ports below 1024 need root";
    case EADDRNOTAVAIL:
        return "; --host must be an address of this machine";
    default:
        return error_remedy(problem);
    }
}

enum { BACKLOG = 4096 };

/* A socket of this address that does not listen yet; -1 with errno set. */
static int bind_to(const struct sockaddr_storage *address)
{
    int on = 1;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                    bind(fd, (const struct sockaddr *)address, sizeof *address) != 0)) {
        int problem = errno;
        close(fd);
        errno = problem;
        return -1;
    }
    return fd;
}

static int listen_on(const char *host, uint16_t port, struct error *error)
{
    struct sockaddr_storage address;
    if (!parse_address(host, port, &address, error))
        return -1;
    int fd = bind_to(&address);
    if (fd >= 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int problem = errno;
    char place[128];
    snprintf(place, sizeof place, "%s port %u", host, port);
    error_set_run(error, place, "%s%s", strerror(problem), remedy_for(problem));
    if (fd >= 0)
        close(fd);
    return -1;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {0}};
    socklen_t length = sizeof bound;
    getsockname(fd, &bound.any, &length);
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

static void pause_accepting(struct listener *listener)
{
    loop_unwatch(listener->loop, &listener->watch);
    machine_timer_start(&listener->pause, LISTENER_PAUSE_MS * NS_PER_MS);
}

static void accept_again(void *owner)
{
    struct listener *listener = owner;
    if (listener->is_refusing)
        return;
    if (!loop_watch(listener->loop, &listener->watch, EPOLLIN, NULL))
        machine_timer_start(&listener->pause, LISTENER_PAUSE_MS * NS_PER_MS);
}

/* False when none is left, or there is no room for more. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (!listener->has_room(listener->owner)) {
        pause_accepting(listener);
        return false;
    }
    int fd = accept4(listener->watch.fd, (struct sockaddr *)&address, &length,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        listener->take(listener->owner, fd, (const struct sockaddr *)&address, length);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        listener->accept_error = errno;
        pause_accepting(listener);
    }
    return fd >= 0;
}

/* All that wait, before the first of them is answered: so that it shows that they came together.
 * The descriptor stays ready while there are more. */
static void connection_ready(void *owner, uint32_t events)
{
    enum { TURN_MAX = 256 };
    struct listener *listener = owner;
    (void)events;
    for (int i = 0; i < TURN_MAX && accept_one(listener); i++)
        continue;
    listener->taken(listener->owner);
}

bool listener_open(struct listener *listener, struct loop *loop, const char *host, uint16_t port,
                   struct error *error)
{
    int fd = listen_on(host, port, error);
    if (fd < 0)
        return false;
    socklen_t length = sizeof listener->address;
    getsockname(fd, (struct sockaddr *)&listener->address, &length);
    listener->loop = loop;
    listener->port = port_of(fd);
    listener->watch =
        (struct watch){.fd = fd, .ready = connection_ready, .owner = listener, .when_quiet = true};
    if (!machine_timer_init(&listener->pause, loop, accept_again, listener, error)) {
        close(fd);
        return false;
    }
    if (!loop_watch(loop, &listener->watch, EPOLLIN, error)) {
        machine_timer_free(&listener->pause);
        close(fd);
        return false;
    }
    listener->is_open = true;
    return true;
}

/* The kernel refuses what comes to a socket that is bound and does not listen. */
void listener_refuse(struct listener *listener)
{
    if (!listener->is_open || listener->is_refusing)
        return;
    listener->is_refusing = true;
    loop_unwatch(listener->loop, &listener->watch);
    close(listener->watch.fd);
    listener->watch.fd = bind_to(&listener->address);
}

void listener_accept(struct listener *listener)
{
    if (!listener->is_open || !listener->is_refusing)
        return;
    if (listener->watch.fd < 0)
        listener->watch.fd = bind_to(&listener->address);
    listener->is_refusing = false;
    if (listener->watch.fd < 0 || listen(listener->watch.fd, BACKLOG) != 0)
        return; /* somebody took the port in the meantime: it stays refused */
    accept_again(listener);
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open)
        return;
    machine_timer_free(&listener->pause);
    if (!listener->is_refusing)
        loop_unwatch(listener->loop, &listener->watch);
    if (listener->watch.fd >= 0)
        close(listener->watch.fd);
    listener->is_open = false;
    listener->is_refusing = false;
}
