/* loopback: what the tests of server and client share: a config from text, and raw sockets on the
 * test's own loop, for saying on the wire what no well-behaved program says. */
#ifndef TOOMANY_TESTS_LOOPBACK_H
#define TOOMANY_TESTS_LOOPBACK_H

#include "clock/loop.h"
#include "mockserver/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void config_from_text(struct config *config, const char *text)
{
    struct error error = {0};
    struct json_reader reader = {.file = "test", .error = &error};
    config_init(config);
    cJSON *root = json_parse(text, strlen(text), "test", &error);
    if (root == NULL || !config_read(config, &reader, root, "")) {
        fprintf(stderr, "%s: %s\n", error.place, error.message);
        abort();
    }
    cJSON_Delete(root);
}

/* One end of a connection. What has come is in `bytes`, with a closing NUL. */
struct raw {
    struct loop *loop;
    struct watch watch;
    char *bytes;
    size_t length;
    bool is_closed; /* the other end has closed, or reset it */
    bool is_reset;
};

static inline void raw_ready(void *owner, uint32_t events)
{
    struct raw *raw = owner;
    (void)events;
    char part[65536];
    ssize_t got = recv(raw->watch.fd, part, sizeof part, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        raw->is_closed = true;
        raw->is_reset = got < 0;
        loop_unwatch(raw->loop, &raw->watch);
        return;
    }
    raw->bytes = realloc(raw->bytes, raw->length + (size_t)got + 1);
    memcpy(raw->bytes + raw->length, part, (size_t)got);
    raw->length += (size_t)got;
    raw->bytes[raw->length] = '\0';
}

static inline void raw_adopt(struct raw *raw, struct loop *loop, int fd)
{
    *raw = (struct raw){.loop = loop, .bytes = calloc(1, 1)};
    raw->watch = (struct watch){.fd = fd, .ready = raw_ready, .owner = raw};
    if (fd < 0 || !loop_watch(loop, &raw->watch, EPOLLIN, NULL))
        abort();
}

/* A socket that listens on this machine, at a port that the kernel chooses. */
static inline int raw_listen(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 20) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        abort();
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void raw_connect(struct raw *raw, struct loop *loop, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    raw_adopt(raw, loop, fd);
}

/* Hands all of it to the kernel, turning the loop while the other end is slow to read. False when
 * the other end takes no more. */
static inline bool raw_send_bytes(struct raw *raw, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(raw->watch.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0) {
            loop_turn(raw->loop, 1000000);
            continue;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static inline bool raw_send(struct raw *raw, const char *text)
{
    return raw_send_bytes(raw, text, strlen(text));
}

static inline void raw_close(struct raw *raw)
{
    if (!raw->is_closed)
        loop_unwatch(raw->loop, &raw->watch);
    close(raw->watch.fd);
    free(raw->bytes);
    *raw = (struct raw){0};
}

/* Closes so that the other end gets a reset. */
static inline void raw_reset(struct raw *raw)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(raw->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    raw_close(raw);
}

/* The bytes after the headers of what has come so far; NULL while the headers are not complete. */
static inline const char *raw_body(const struct raw *raw)
{
    const char *end = strstr(raw->bytes, "\r\n\r\n");
    return end != NULL ? end + 4 : NULL;
}

/* Whether a message with a Content-Length has come whole. */
static inline bool raw_has_message(const struct raw *raw)
{
    const char *body = raw_body(raw);
    if (body == NULL)
        return false;
    const char *field = strcasestr(raw->bytes, "\r\ncontent-length:");
    size_t wanted = field != NULL && field < body ? strtoul(field + 17, NULL, 10) : 0;
    return raw->length - (size_t)(body - raw->bytes) >= wanted;
}

/* Forgets the first message, which has come whole. */
static inline void raw_drop_message(struct raw *raw)
{
    const char *body = raw_body(raw);
    const char *field = strcasestr(raw->bytes, "\r\ncontent-length:");
    size_t wanted = field != NULL && field < body ? strtoul(field + 17, NULL, 10) : 0;
    size_t whole = (size_t)(body - raw->bytes) + wanted;
    raw->length -= whole;
    memmove(raw->bytes, raw->bytes + whole, raw->length + 1);
}

#endif
