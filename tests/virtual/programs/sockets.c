/* SO_RCVTIMEO and SO_SNDTIMEO, which make other calls timed waits. */
#include "lines.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

static int64_t start;

static void set_timeout(int fd, int option, int64_t ns)
{
    struct timeval time = {.tv_sec = ns / S, .tv_usec = ns % S / 1000};
    say("setsockopt", setsockopt(fd, SOL_SOCKET, option, &time, sizeof time));
}

static void say_timeout(const char *name, int fd, int option)
{
    struct timeval time = {77, 77};
    socklen_t length = sizeof time;
    getsockopt(fd, SOL_SOCKET, option, &time, &length);
    printf("%s: %ld.%06ld, %u bytes\n", name, (long)time.tv_sec, (long)time.tv_usec, length);
}

static void write_later(int fd, int64_t after_ns, size_t bytes)
{
    static char data[100000];
    struct timespec wait = timespec_of(after_ns);
    fflush(stdout);
    begin_sender();
    if (fork() != 0)
        return;
    nanosleep(&wait, NULL);
    _exit(write(fd, data, bytes) == (ssize_t)bytes ? 0 : 1);
}

static void receives(const char *kind, int fd, int peer)
{
    char bytes[64];
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    printf("--- %s\n", kind);
    say_timeout("at first", fd, SO_RCVTIMEO);
    set_timeout(fd, SO_RCVTIMEO, 200 * MS);
    say_timeout("set", fd, SO_RCVTIMEO);
    say_timeout("the other", fd, SO_SNDTIMEO);
    say_timeout("the peer's", peer, SO_RCVTIMEO);
    start = now_ns();
    say("recv", recv(fd, bytes, sizeof bytes, 0));
    say_took("recv", start, 200 * MS);
    start = now_ns();
    say("read", read(fd, bytes, sizeof bytes));
    say_took("read", start, 200 * MS);
    start = now_ns();
    say("readv", readv(fd, &vector, 1));
    say_took("readv", start, 200 * MS);
    start = now_ns();
    say("recvmsg", recvmsg(fd, &message, 0));
    say_took("recvmsg", start, 200 * MS);
    start = now_ns();
    int copy = dup(fd);
    say("recv of a duplicate", recv(copy, bytes, sizeof bytes, 0));
    say_took("recv of a duplicate", start, 200 * MS);
    close(copy);
    start = now_ns();
    say("recv, MSG_DONTWAIT", recv(fd, bytes, sizeof bytes, MSG_DONTWAIT));

    write_later(peer, 10 * MS, 1);
    start = now_ns();
    say("recv, event", recv(fd, bytes, sizeof bytes, 0));
    say_took("recv, event", start, 10 * MS);
    /* The time-out of a receive that has ended must not end another wait. */
    struct timespec wait = timespec_of(500 * MS);
    start = now_ns();
    say("sleep after it", nanosleep(&wait, NULL));
    say_took("sleep after it", start, 500 * MS);
    reap(-1);

    say("write", write(peer, "x", 1));
    start = now_ns();
    say("recv, MSG_WAITALL", recv(fd, bytes, 2, MSG_WAITALL));
    say_took("recv, MSG_WAITALL", start, 200 * MS);

    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        handle(SIGUSR1, count_signal, flags);
        signals_seen = 0;
        pid_t pid = send_later(SIGUSR1, 10 * MS);
        start = now_ns();
        say("recv, handler", recv(fd, bytes, sizeof bytes, 0));
        say_took("recv, handler", start, 10 * MS);
        say("handlers run", signals_seen);
        reap(pid);
    }
    signal(SIGUSR2, SIG_IGN);
    pid_t pid = send_later(SIGUSR2, 10 * MS);
    start = now_ns();
    say("recv, ignored signal", recv(fd, bytes, sizeof bytes, 0));
    say_took("recv, ignored signal", start, 200 * MS);
    reap(pid);
    pid = stop_later(10 * MS, 10 * MS);
    start = now_ns();
    say("recv, stopped", recv(fd, bytes, sizeof bytes, 0));
    say_took("recv, stopped", start, 20 * MS);
    reap(pid);

    set_timeout(fd, SO_RCVTIMEO, 0);
    write_later(peer, 300 * MS, 1);
    start = now_ns();
    say("recv without", recv(fd, bytes, sizeof bytes, 0));
    say_took("recv without", start, 300 * MS);
    reap(-1);
    struct timeval wrong = {.tv_usec = 1000000};
    say("wrong", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong));
    say("short", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wrong, 4));
    say("nowhere", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, (void *)8, sizeof wrong));
    wrong = (struct timeval){.tv_sec = -1};
    say("negative", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong));
    say("no socket", setsockopt(0, SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong));
}

static void sends(const char *kind, int fd)
{
    static char bytes[1 << 20];
    printf("--- %s\n", kind);
    set_timeout(fd, SO_SNDTIMEO, 200 * MS);
    ssize_t sent;
    int count = 0;
    while ((sent = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0 && count < 100)
        count++;
    say("send", sent);
    say("sent something", count > 0);
}

static int listener(struct sockaddr_in *address, int backlog)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)address, length) != 0 || listen(fd, backlog) != 0)
        say("listen", -1);
    getsockname(fd, (struct sockaddr *)address, &length);
    return fd;
}

int main(void)
{
    int pair[2];
    struct sockaddr_in address;
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    receives("unix", pair[0], pair[1]);
    sends("unix", pair[0]);

    int listening = listener(&address, 10);
    set_timeout(listening, SO_RCVTIMEO, 200 * MS);
    start = now_ns();
    say("accept", accept(listening, NULL, NULL));
    say_took("accept", start, 200 * MS);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    say("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    int served = accept(listening, NULL, NULL);
    say_timeout("inherited by accept", served, SO_RCVTIMEO);
    set_timeout(served, SO_RCVTIMEO, 0);
    receives("tcp", client, served);
    sends("tcp", client);
    close(client);
    close(served);
    close(listening);

    /* A full queue: the kernel leaves the connection attempt without an answer. */
    listening = listener(&address, 0);
    int queued[4];
    for (size_t i = 0; i < 4; i++) {
        queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(queued[i], (struct sockaddr *)&address, sizeof address);
    }
    client = socket(AF_INET, SOCK_STREAM, 0);
    set_timeout(client, SO_SNDTIMEO, 40 * MS);
    start = now_ns();
    errno = 0;
    say("connect", connect(client, (struct sockaddr *)&address, sizeof address));
    say_took("connect", start, 40 * MS);
    close(client);

    /* Nobody listens: refused at once, and no traffic that could take real time. */
    close(listening);
    client = socket(AF_INET, SOCK_STREAM, 0);
    errno = 0;
    say("connect, refused", connect(client, (struct sockaddr *)&address, sizeof address));

    /* Datagrams to oneself. */
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t length = sizeof address;
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    say("bind", bind(datagrams, (struct sockaddr *)&address, length));
    getsockname(datagrams, (struct sockaddr *)&address, &length);
    char byte = 'x';
    say("sendto", sendto(datagrams, &byte, 1, 0, (struct sockaddr *)&address, length));
    set_timeout(datagrams, SO_RCVTIMEO, 200 * MS);
    say("recv", recv(datagrams, &byte, 1, 0));
    start = now_ns();
    say("recv", recv(datagrams, &byte, 1, 0));
    say_took("recv", start, 200 * MS);
    return 0;
}
