/* A program that serves itself at more than a few ports, by TCP and unix sockets, from a child. */
#include "lines.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static void serve_and_call(const struct sockaddr *address, socklen_t length, int index)
{
    struct sockaddr_storage bound = {0};
    socklen_t bound_length = sizeof bound;
    char byte = 0;
    int listening = socket(address->sa_family, SOCK_STREAM, 0);
    if (bind(listening, address, length) != 0 || listen(listening, 5) != 0)
        say("listen", -1);
    getsockname(listening, (struct sockaddr *)&bound, &bound_length);
    fflush(stdout);
    if (fork() == 0) {
        int served = accept(listening, NULL, NULL);
        usleep(20000);
        _exit(write(served, "x", 1) == 1 ? 0 : 1);
    }
    close(listening);
    int64_t start = now_ns();
    int client = socket(address->sa_family, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&bound, bound_length) != 0)
        say("connect", -1);
    if (read(client, &byte, 1) != 1)
        say("read", -1);
    if (index % 25 == 0)
        say_took("answer", start, 20 * MS);
    close(client);
    reap(-1);
}

int main(void)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    for (int i = 0; i < 100; i++)
        serve_and_call((struct sockaddr *)&v4, sizeof v4, i);
    serve_and_call((struct sockaddr *)&v6, sizeof v6, 0);
    int length = snprintf(local.sun_path, sizeof local.sun_path, "/tmp/many_ports.%d", getpid());
    serve_and_call((struct sockaddr *)&local,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length + 1), 0);
    unlink(local.sun_path);
    local.sun_path[0] = '\0'; /* an abstract one */
    serve_and_call((struct sockaddr *)&local,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length), 0);
    return 0;
}
