#include "mockserver/peer.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
};

/* Aligned as netlink's messages are. */
union reply {
    struct nlmsghdr header;
    char bytes[8192];
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static void put_address(const union address *address, __be16 *port, __be32 words[4])
{
    if (address->any.sa_family == AF_INET6) {
        *port = address->v6.sin6_port;
        memcpy(words, &address->v6.sin6_addr, sizeof address->v6.sin6_addr);
    } else {
        *port = address->v4.sin_port;
        words[0] = address->v4.sin_addr.s_addr;
    }
}

/* Asks for the socket whose ends are those of `fd`, the other way round. */
static bool make_question(int fd, struct question *question)
{
    union address own = {.v6 = {0}};
    union address other = {.v6 = {0}};
    socklen_t own_length = sizeof own;
    socklen_t other_length = sizeof other;
    if (getsockname(fd, &own.any, &own_length) != 0 ||
        getpeername(fd, &other.any, &other_length) != 0)
        return false;
    *question = (struct question){
        .header =
            {
                .nlmsg_len = sizeof *question,
                .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                .nlmsg_flags = NLM_F_REQUEST,
            },
        .request =
            {
                .sdiag_family = (__u8)own.any.sa_family,
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = ~0U,
                .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
            },
    };
    struct inet_diag_sockid *id = &question->request.id;
    put_address(&other, &id->idiag_sport, id->idiag_src);
    put_address(&own, &id->idiag_dport, id->idiag_dst);
    return true;
}

static bool ask(const struct question *question, union reply *reply, size_t *length)
{
    int netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return false;
    ssize_t received = -1;
    if (send(netlink, question, sizeof *question, 0) == (ssize_t)sizeof *question)
        received = recv(netlink, reply, sizeof *reply, MSG_DONTWAIT); /* it is there at once */
    close(netlink);
    *length = received > 0 ? (size_t)received : 0;
    return received > 0;
}

static enum peer_state read_reply(const union reply *reply, size_t length)
{
    const struct nlmsghdr *header = &reply->header;
    size_t head_length = NLMSG_LENGTH(sizeof(struct inet_diag_msg));
    if (length < head_length || header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        header->nlmsg_len > length || header->nlmsg_len < head_length)
        return PEER_UNKNOWN;
    size_t at = NLMSG_ALIGN(head_length);
    while (at + sizeof(struct rtattr) <= header->nlmsg_len) {
        struct rtattr attribute;
        memcpy(&attribute, reply->bytes + at, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > header->nlmsg_len)
            return PEER_UNKNOWN;
        if (attribute.rta_type == INET_DIAG_SHUTDOWN && attribute.rta_len > sizeof attribute) {
            unsigned char shut = (unsigned char)reply->bytes[at + RTA_LENGTH(0)];
            return (shut & (1U << SHUT_RD)) != 0 ? PEER_CLOSED : PEER_READS;
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    /* Only what is left of a socket after both sides were closed has no such attribute. */
    return PEER_CLOSED;
}

enum peer_state peer_state_of(int fd)
{
    struct question question;
    union reply reply;
    size_t length;
    if (!make_question(fd, &question) || !ask(&question, &reply, &length))
        return PEER_UNKNOWN;
    return read_reply(&reply, length);
}
