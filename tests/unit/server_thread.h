/* server_thread: a server on a real clock, in a thread of its own, for what is tested from outside.
 * Its journal is read when it has been stopped. */
#ifndef TOOMANY_TESTS_SERVER_THREAD_H
#define TOOMANY_TESTS_SERVER_THREAD_H

#include "mockserver/server.h"
#include "tests/unit/loopback.h"

#include <pthread.h>
#include <sys/eventfd.h>

struct server_thread {
    struct loop loop;
    struct config config;
    struct server *server;
    struct watch stop;
    pthread_t thread;
};

static inline void server_thread_stops(void *owner, uint32_t events)
{
    struct server_thread *thread = owner;
    (void)events;
    loop_stop(&thread->loop);
}

static inline void *server_thread_runs(void *owner)
{
    struct server_thread *thread = owner;
    loop_run(&thread->loop);
    return NULL;
}

static inline void server_thread_start(struct server_thread *thread, const char *config)
{
    struct error error;
    struct server_options options = {.config = &thread->config, .seed = 1};
    config_from_text(&thread->config, config);
    if (!loop_init(&thread->loop, CLOCK_REAL, &error) ||
        (thread->server = server_new(&thread->loop, &options, &error)) == NULL)
        abort();
    thread->stop = (struct watch){
        .fd = eventfd(0, EFD_CLOEXEC), .ready = server_thread_stops, .owner = thread};
    if (!loop_watch(&thread->loop, &thread->stop, EPOLLIN, &error) ||
        pthread_create(&thread->thread, NULL, server_thread_runs, thread) != 0)
        abort();
}

/* The server is still there afterwards, and answers no more. What its clients have closed, it has
 * noticed. */
static inline void server_thread_stop(struct server_thread *thread)
{
    uint64_t one = 1;
    if (write(thread->stop.fd, &one, sizeof one) != (ssize_t)sizeof one)
        abort();
    pthread_join(thread->thread, NULL);
    loop_unwatch(&thread->loop, &thread->stop);
    close(thread->stop.fd);
    while (server_in_flight(thread->server) > 0)
        loop_turn(&thread->loop, -1);
}

static inline void server_thread_free(struct server_thread *thread)
{
    server_free(thread->server);
    loop_free(&thread->loop);
    config_free(&thread->config);
}

#endif
