/* listener: the server's listening socket, on the loop.
 *
 * Made here and not by libmicrohttpd, which does not say why it cannot listen, and which spins
 * where no descriptor is left for a connection. Here such a connection waits in the kernel's queue
 * until one is free: accepting pauses for LISTENER_PAUSE_MS and tries again.
 */
#ifndef TOOMANY_MOCKSERVER_LISTENER_H
#define TOOMANY_MOCKSERVER_LISTENER_H

#include "clock/loop.h"
#include "clock/machine_timer.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LISTENER_PAUSE_MS = 50 };

struct listener {
    struct loop *loop;
    struct watch watch;
    struct machine_timer pause;
    uint16_t port;
    /* Takes the connection over (fd does not block), or refuses it for now: it is then the next
     * one again after the pause. */
    bool (*has_room)(void *owner);
    void (*take)(void *owner, int fd, const struct sockaddr *address, socklen_t length);
    void (*taken)(void *owner); /* all that waited have been taken */
    void *owner;
    struct sockaddr_storage address; /* with the port that it has got */
    /* The errno of the last connection for which the machine had no resources; 0: none. */
    int accept_error;
    bool is_open;
    bool is_refusing;
};

/* Listens on `host` (an IPv4 or IPv6 address) and `port` (0: a free one). has_room, take, taken and
 * owner must be filled. False with the reason; listener_close is then not needed. */
bool listener_open(struct listener *listener, struct loop *loop, const char *host, uint16_t port,
                   struct error *error);

/* Refuses connections, those that wait for being accepted, too; the port stays taken. */
void listener_refuse(struct listener *listener);
/* Accepts them again. */
void listener_accept(struct listener *listener);

/* One that is zeroed or closed is allowed. */
void listener_close(struct listener *listener);

#endif
