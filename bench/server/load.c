/* Load for bench/server/run: chat completions over keep-alive connections, the next request of a
 * connection as soon as its answer is there.
 *
 *     bench_server_load --port N [--connections N] [--pools N] [--status N]
 *                       [--requests N | --seconds S] [--batches-of PID | --pipeline N]
 *
 * Each request carries the key of one of `pools` accounts: with --requests in an order that comes
 * to every one, else at random. Prints a line of JSON: how many answers came, in which time, their
 * latencies, and how many had another status than --status (default 200), the first of which it
 * shows on stderr.
 *
 * --batches-of stops the process PID while the connections are made, and while one request is
 * written on every one, and lets it go on until all are answered. What the process does then does
 * not depend on how fast who is, so that its system calls can be counted. It is stopped when it
 * sleeps, and the requests are written when it has stopped: a process that strace holds at the
 * entry of epoll_wait would yet take those that are there first, and ask again for the others.
 *
 * --pipeline writes so many requests of a connection at once, and the next ones when all of them
 * are answered: the load then needs less of a processor that the server could use.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_SIZE = 640,
    ANSWER_SIZE = 65536,
    PIPELINE_MAX = 16,
    EVENTS = 512,
    LATENCY_STEPS = 200000, /* of a microsecond */
    STRIDE = 7919,          /* a prime: from one account to the next */
};
#define PATIENCE_NS INT64_C(10000000000)

struct options {
    int port;
    int connections;
    size_t pools;
    int status;
    uint64_t requests; /* 0: for so many seconds */
    double seconds;
    int batches_of; /* 0: none */
    int pipeline;   /* requests that are written at once */
};

struct connection {
    int fd;
    int64_t sent_ns;
    int awaited; /* answers */
    size_t length;
    char answer[ANSWER_SIZE];
};

struct load {
    struct options options;
    struct connection *connections;
    int epoll_fd;
    uint64_t sent;
    uint64_t random; /* its state */
    uint64_t answered;
    uint64_t other_status;
    int64_t start_ns;
    bool is_over;
    uint32_t latencies[LATENCY_STEPS];
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_server_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static const char body[] =
    "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful "
    "assistant.\"},{\"role\":\"user\",\"content\":\"Say hello and count to ten.\"}],\"max_tokens\":"
    "64,\"temperature\":0.7}";

static size_t write_request(char text[REQUEST_SIZE], size_t account)
{
    int length = snprintf(text, REQUEST_SIZE,
                          "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                          "Accept: application/json\r\nContent-Type: application/json\r\n"
                          "User-Agent: OpenAI/Python 1.50.0\r\n"
                          "Authorization: Bearer sk-mock-%08zu\r\nContent-Length: %zu\r\n\r\n%s",
                          account, sizeof body - 1, body);
    return (size_t)length;
}

/* The next of the accounts, or any of them: Marsaglia's xorshift. */
static uint64_t next_account(struct load *load)
{
    if (load->options.requests > 0)
        return load->sent * STRIDE % load->options.pools;
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random % load->options.pools;
}

static void put_account(char *digits, uint64_t account)
{
    for (int i = 7; i >= 0; i--) {
        digits[i] = (char)('0' + account % 10);
        account /= 10;
    }
}

static void send_requests(struct load *load, struct connection *connection)
{
    static char texts[PIPELINE_MAX * REQUEST_SIZE];
    static size_t length;
    static size_t digits;
    assert(connection != NULL);
    if (length == 0) {
        length = write_request(texts, 0);
        digits = (size_t)(strstr(texts, "sk-mock-") - texts) + strlen("sk-mock-");
        for (int i = 1; i < load->options.pipeline; i++)
            memcpy(texts + (size_t)i * length, texts, length);
    }
    size_t whole = length * (size_t)load->options.pipeline;
    for (size_t at = 0; at < whole; at += length) {
        put_account(texts + at + digits, next_account(load));
        load->sent++;
    }
    connection->awaited = load->options.pipeline;
    connection->length = 0;
    connection->sent_ns = now_ns();
    if (send(connection->fd, texts, whole, MSG_NOSIGNAL) != (ssize_t)whole)
        fail("send");
}

/* How long the first answer in `text` is, by its length or by its last chunk; 0: it is not whole.
 * One in chunks must be the last. */
static size_t length_of_answer(const char *text, size_t length)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - text) + 4;
    const char *field = strcasestr(text, "\r\ncontent-length:");
    if (field == NULL || field > end)
        return strcmp(text + length - 5, "0\r\n\r\n") == 0 ? length : 0;
    size_t whole = head + strtoul(field + 17, NULL, 10);
    return length >= whole ? whole : 0;
}

static void note_answer(struct load *load, const struct connection *connection, const char *text)
{
    long status = strtol(text + strlen("HTTP/1.1 "), NULL, 10);
    if (status != load->options.status && load->other_status++ == 0)
        fprintf(stderr, "bench_server_load: wanted status %d, got:\n%s\n", load->options.status,
                text);
    int64_t latency_us = (now_ns() - connection->sent_ns) / 1000;
    load->latencies[latency_us < LATENCY_STEPS ? latency_us : LATENCY_STEPS - 1]++;
    load->answered++;
}

static bool may_send(struct load *load)
{
    if (load->options.requests > 0)
        return load->sent < load->options.requests;
    /* A look at the clock now and then is enough. */
    if (load->options.pipeline > 1 || load->answered % 64 == 0)
        load->is_over = now_ns() - load->start_ns > (int64_t)(load->options.seconds * 1e9);
    return !load->is_over;
}

static void receive(struct load *load, struct connection *connection)
{
    size_t room = ANSWER_SIZE - 1 - connection->length;
    ssize_t got = recv(connection->fd, connection->answer + connection->length, room, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        connection->answer[connection->length] = '\0';
        fprintf(stderr, "bench_server_load: the server closed after:\n%s\n", connection->answer);
        exit(1);
    }
    connection->length += (size_t)got;
    connection->answer[connection->length] = '\0';
    size_t at = 0;
    size_t whole;
    while (connection->awaited > 0 &&
           (whole = length_of_answer(connection->answer + at, connection->length - at)) > 0) {
        note_answer(load, connection, connection->answer + at);
        connection->awaited--;
        at += whole;
    }
    connection->length -= at;
    memmove(connection->answer, connection->answer + at, connection->length + 1);
    if (connection->awaited == 0 && load->options.batches_of == 0 && may_send(load))
        send_requests(load, connection);
}

static void open_connections(struct load *load)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)load->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc((size_t)load->options.connections, sizeof *load->connections);
    if (load->connections == NULL || load->epoll_fd < 0)
        fail("start");
    for (int i = 0; i < load->options.connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->fd < 0 ||
            connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
            fail("connect");
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0)
            fail("epoll_ctl");
    }
}

/* The generator has a processor for itself and does not sleep: to wake it would be work for the
 * server, and the more of it, the longer the generator had to wait. What is only counted has time.
 */
static int wait_for_answers(const struct load *load, struct epoll_event *events)
{
    const int64_t end_ns = now_ns() + PATIENCE_NS;
    int wait_ms = load->options.batches_of > 0 ? 100 : 0;
    do {
        int count = epoll_wait(load->epoll_fd, events, EVENTS, wait_ms);
        if (count > 0)
            return count;
    } while (now_ns() < end_ns);
    fputs("bench_server_load: no answer for 10 s\n", stderr);
    exit(1);
}

static void receive_until(struct load *load, const uint64_t *wanted)
{
    struct epoll_event events[EVENTS];
    while (load->answered < *wanted) {
        int count = wait_for_answers(load, events);
        for (int i = 0; i < count; i++)
            receive(load, events[i].data.ptr);
    }
}

static void run(struct load *load)
{
    int first = load->options.connections;
    if (load->options.requests > 0 && (uint64_t)first > load->options.requests)
        first = (int)load->options.requests;
    for (int i = 0; i < first; i++)
        send_requests(load, &load->connections[i]);
    receive_until(load, &load->sent);
}

/* The state that proc(5) names, the letter after the name of the program. */
static char state_of(int pid)
{
    char path[32];
    char text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail(path);
    if (fgets(text, sizeof text, file) == NULL)
        fail(path);
    fclose(file);
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL || name_end[1] != ' ')
        return '?';
    return name_end[2];
}

static void wait_for_state(int pid, const char *states)
{
    const int64_t end_ns = now_ns() + PATIENCE_NS;
    while (strchr(states, state_of(pid)) == NULL) {
        if (now_ns() > end_ns) {
            fprintf(stderr, "bench_server_load: process %d is in state %c for 10 s, not in %s\n",
                    pid, state_of(pid), states);
            exit(1);
        }
        usleep(100);
    }
}

static void stop_process(int pid)
{
    wait_for_state(pid, "S");
    if (kill(pid, SIGSTOP) != 0)
        fail("kill");
    wait_for_state(pid, "Tt"); /* t: held by a tracer */
}

static void continue_process(int pid)
{
    if (kill(pid, SIGCONT) != 0)
        fail("kill");
}

static void run_batches(struct load *load)
{
    while (load->answered < load->options.requests) {
        stop_process(load->options.batches_of);
        for (int i = 0; i < load->options.connections; i++)
            send_requests(load, &load->connections[i]);
        continue_process(load->options.batches_of);
        receive_until(load, &load->sent);
    }
}

static double percentile_ms(const struct load *load, double share)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < LATENCY_STEPS; i++) {
        seen += load->latencies[i];
        if ((double)seen >= share * (double)load->answered)
            return (double)i / 1000;
    }
    return LATENCY_STEPS / 1000.0;
}

static void read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"pools", required_argument, NULL, 'k'},
                                          {"status", required_argument, NULL, 's'},
                                          {"requests", required_argument, NULL, 'n'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"batches-of", required_argument, NULL, 'b'},
                                          {"pipeline", required_argument, NULL, 'l'},
                                          {0}};
    *options = (struct options){
        .connections = 64, .pools = 10000, .status = 200, .seconds = 2, .pipeline = 1};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            options->port = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            options->connections = (int)strtol(optarg, NULL, 10);
            break;
        case 'k':
            options->pools = strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->status = (int)strtol(optarg, NULL, 10);
            break;
        case 'n':
            options->requests = strtoul(optarg, NULL, 10);
            break;
        case 't':
            options->seconds = strtod(optarg, NULL);
            break;
        case 'b':
            options->batches_of = (int)strtol(optarg, NULL, 10);
            break;
        case 'l':
            options->pipeline = (int)strtol(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    if (options->pipeline < 1 || options->pipeline > PIPELINE_MAX) {
        fprintf(stderr, "bench_server_load: --pipeline: from 1 to %d\n", PIPELINE_MAX);
        exit(2);
    }
    if (options->port == 0 || options->connections < 1 || options->pools == 0) {
        fputs("bench_server_load: --port is missing, or something is 0\n", stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct load load = {.random = 1};
    read_options(&load.options, argc, argv);
    const int batches_of = load.options.batches_of;
    if (batches_of != 0)
        stop_process(batches_of);
    open_connections(&load);
    if (batches_of != 0)
        continue_process(batches_of);
    load.start_ns = now_ns();
    if (batches_of != 0)
        run_batches(&load);
    else
        run(&load);
    double seconds = (double)(now_ns() - load.start_ns) / 1e9;
    printf("{\"requests\": %" PRIu64 ", \"other_status\": %" PRIu64
           ", \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           load.answered, load.other_status, seconds, percentile_ms(&load, 0.5),
           percentile_ms(&load, 0.99));
    return 0;
}
