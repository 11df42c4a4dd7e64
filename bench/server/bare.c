/* What bench/server/run holds the server against: the same decision and the same headers with
 * nothing around them.
 *
 *     bench_server_bare PORT REQUESTS_PER_MINUTE
 *
 * One epoll loop. A request is looked through for its end, its key and its model; the pools and
 * quotas are the server's own, and so are the numbers in the twelve headers. There is no journal,
 * no check of the body, no script, no time-out; an answer that does not fit into the socket ends
 * it.
 */
#include "base/duration.h"
#include "base/text.h"
#include "mockserver/completion.h"
#include "mockserver/http_date.h"
#include "mockserver/pools.h"
#include "mockserver/ratelimit_headers.h"
#include "mockserver/token_estimate.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, REQUEST_SIZE = 4096, KEY_SIZE = 128 };

struct connection {
    int fd;
    size_t length;
    char request[REQUEST_SIZE];
};

struct bare {
    int epoll_fd;
    int listen_fd;
    struct pools *pools;
    uint64_t count;
    int64_t date_s;
    char date[HTTP_DATE_SIZE];
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The text after `mark` up to `end`; "" where there is none. */
static void find_text(const char *request, const char *mark, char end, char *text, size_t size)
{
    const char *start = strstr(request, mark);
    size_t length = 0;
    if (start != NULL) {
        start += strlen(mark);
        while (start[length] != end && start[length] != '\0' && length < size - 1)
            length++;
        memcpy(text, start, length);
    }
    text[length] = '\0';
}

static void add_told(struct text *text, const char *unit, const struct ratelimit_told *told)
{
    char reset[DURATION_TEXT_SIZE];
    text_add(text, "x-ratelimit-limit-");
    text_add(text, unit);
    text_add(text, ": ");
    text_add_whole(text, told->limit);
    text_add(text, "\r\nx-ratelimit-remaining-");
    text_add(text, unit);
    text_add(text, ": ");
    text_add_whole(text, told->remaining);
    text_add(text, "\r\nx-ratelimit-reset-");
    text_add(text, unit);
    text_add(text, ": ");
    text_add(text, duration_go(told->reset_ns, reset));
    text_add(text, "\r\n");
}

static void add_common(struct text *text, struct bare *bare)
{
    int64_t wall_s = clock_ns(CLOCK_REALTIME_COARSE) / NS_PER_S;
    if (wall_s != bare->date_s)
        http_date(wall_s, bare->date);
    bare->date_s = wall_s;
    text_add(text, "date: ");
    text_add(text, bare->date);
    text_add(text, "\r\ncontent-type: application/json\r\nx-request-id: req_");
    text_add_hex(text, ++bare->count * UINT64_C(0x9e3779b97f4a7c15));
    text_add_hex(text, bare->count * UINT64_C(0xe7037ed1a0b428db));
    text_add(text, "\r\nopenai-version: 2020-10-01\r\nopenai-organization: org-toomany\r\n"
                   "openai-processing-ms: 0\r\n");
}

static char *body_of(const struct quota_answer *answer, const char *model, struct bare *bare,
                     size_t *length)
{
    const struct reply reply = {.text = COMPLETION_CONTENT,
                                .tokens = token_estimate_reply(COMPLETION_CONTENT)};
    if (answer->admitted) {
        const struct completion completion = {.model = model,
                                              .reply = &reply,
                                              .choice_count = 1,
                                              .prompt_tokens = 31,
                                              .id_bits = bare->count,
                                              .created_s = bare->date_s};
        return completion_chat(&completion, length);
    }
    struct text text;
    char wait[DURATION_TEXT_SIZE];
    text_begin(&text, 512);
    text_add(&text, "{\n    \"error\": {\n        \"message\": \"Rate limit reached for ");
    text_add(&text, model);
    text_add(&text, " in organization org-toomany on requests per min (RPM): Limit ");
    text_add_whole(&text, answer->limit);
    text_add(&text, ", Used ");
    text_add_whole(&text, answer->used);
    text_add(&text, ", Requested 1. Please try again in ");
    text_add(&text, duration_go(answer->wait_ns, wait));
    text_add(&text, ". Visit https://platform.openai.com/account/rate-limits to learn more.\",\n"
                    "        \"type\": \"requests\",\n        \"param\": null,\n"
                    "        \"code\": \"rate_limit_exceeded\"\n    }\n}\n");
    return text_end(&text, length);
}

static void answer_request(struct bare *bare, const struct connection *connection)
{
    char key[KEY_SIZE];
    char model[POOLS_MODEL_SIZE];
    struct text text;
    size_t length = 0;
    size_t body_length = 0;
    find_text(connection->request, "\r\nAuthorization: Bearer ", '\r', key, sizeof key);
    find_text(connection->request, "\"model\":\"", '"', model, sizeof model);
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    struct pool *pool = pools_get(bare->pools, key, model, now_ns);
    if (pool == NULL)
        fail("pools");
    struct quota_answer answer = quota_admit(&pool->quota, now_ns, 31);
    if (answer.admitted)
        quota_finish(&pool->quota);
    struct ratelimit_told requests = ratelimit_told(&pool->quota, RATELIMIT_REQUESTS, now_ns);
    struct ratelimit_told tokens = ratelimit_told(&pool->quota, RATELIMIT_TOKENS, now_ns);
    text_begin(&text, 2048);
    text_add(&text, answer.admitted ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 429 Too Many Requests\r\n");
    if (!answer.admitted) {
        text_add(&text, "retry-after: ");
        text_add_whole(&text, (answer.wait_ns + NS_PER_S - 1) / NS_PER_S);
        text_add(&text, "\r\nretry-after-ms: ");
        text_add_whole(&text, (answer.wait_ns + NS_PER_MS - 1) / NS_PER_MS);
        text_add(&text, "\r\n");
    }
    add_told(&text, "requests", &requests);
    add_told(&text, "tokens", &tokens);
    add_common(&text, bare);
    char *body = body_of(&answer, model, bare, &body_length);
    text_add(&text, "Content-Length: ");
    text_add_whole(&text, (int64_t)body_length);
    text_add(&text, "\r\n\r\n");
    text_add_bytes(&text, body, body_length);
    char *bytes = text_end(&text, &length);
    if (send(connection->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail("send");
    free(body);
    free(bytes);
}

static bool is_whole(const struct connection *connection)
{
    const char *end = strstr(connection->request, "\r\n\r\n");
    const char *field = strstr(connection->request, "\r\nContent-Length: ");
    if (end == NULL || field == NULL)
        return false;
    size_t head = (size_t)(end - connection->request) + 4;
    return connection->length >= head + strtoul(field + strlen("\r\nContent-Length: "), NULL, 10);
}

static void receive(struct bare *bare, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->request + connection->length,
                       REQUEST_SIZE - 1 - connection->length, 0);
    if (got <= 0) {
        close(connection->fd);
        free(connection);
        return;
    }
    connection->length += (size_t)got;
    connection->request[connection->length] = '\0';
    if (!is_whole(connection))
        return;
    answer_request(bare, connection);
    connection->length = 0;
}

static void watch(const struct bare *bare, int fd, void *owner)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    if (epoll_ctl(bare->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static void accept_all(const struct bare *bare)
{
    int fd;
    int on = 1;
    while ((fd = accept4(bare->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL)
            fail("calloc");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->fd = fd;
        watch(bare, fd, connection);
    }
}

static void listen_on(struct bare *bare, uint16_t port)
{
    int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bare->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(bare->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(bare->listen_fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(bare->listen_fd, 4096) != 0)
        fail("listen");
    bare->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(bare, bare->listen_fd, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: bench_server_bare PORT REQUESTS_PER_MINUTE\n", stderr);
        return 2;
    }
    struct bare bare = {.pools = pools_new()};
    struct quota_limits limits;
    quota_limits_init(&limits);
    limits.refused_count = true;
    limits.limit[QUOTA_REQUESTS_PER_MINUTE] = strtol(argv[2], NULL, 10);
    limits.limit[QUOTA_REQUESTS_PER_DAY] = 1000000;
    limits.limit[QUOTA_TOKENS_PER_MINUTE] = 10000000;
    if (bare.pools == NULL)
        fail("pools");
    pools_set_initial(bare.pools, &limits);
    if (!pools_set_limits(bare.pools, POOLS_SET_UP, "*", &limits, 0))
        fail("limits");
    listen_on(&bare, (uint16_t)strtoul(argv[1], NULL, 10));
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(bare.epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(&bare);
            else
                receive(&bare, events[i].data.ptr);
        }
    }
}
