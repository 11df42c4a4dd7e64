#include "base/large_pages.h"
#include "mockserver/server_parts.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct arrival {
    int fd;
    socklen_t length;
    struct sockaddr_storage address;
};

/* What other threads have for one. */
struct arrivals {
    struct loop own_loop; /* not of the first, which is on the caller's */
    pthread_t thread;     /* not of the first, either */
    bool is_running;
    int event_fd; /* wakes it */
    struct watch watch;
    pthread_mutex_t lock;
    struct arrival *items;
    size_t capacity;
    atomic_int count;
    bool is_to_end;
};

/* --- the lock --------------------------------------------------------------------------------- */

static void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static bool try_to_lock(struct shared *shared)
{
    enum { TRIES = 100, PAUSES = 4 };
    for (int i = 0; i < TRIES; i++) {
        if (pthread_spin_trylock(&shared->lock) == 0)
            return true;
        for (int j = 0; j < PAUSES; j++)
            pause_processor();
    }
    return false;
}

/* It is mostly held for less than a microsecond, and to sleep and be woken takes longer; so it is
 * tried for a while. That is in vain where who holds it has lost its processor, or makes a batch:
 * then this thread sleeps, each time for longer. */
void threads_lock(struct shared *shared)
{
    enum { SLEEP_MIN_NS = 50000, SLEEP_MAX_NS = 1000000 };
    for (long sleep_ns = SLEEP_MIN_NS; !try_to_lock(shared);) {
        nanosleep(&(struct timespec){.tv_nsec = sleep_ns}, NULL);
        sleep_ns = 2 * sleep_ns < SLEEP_MAX_NS ? 2 * sleep_ns : SLEEP_MAX_NS;
    }
}

/* --- taking turns ----------------------------------------------------------------------------- */

static void begin_rest(void *owner)
{
    struct server *server = owner;
    pthread_mutex_unlock(&server->turn);
}

/* Who wants all turns would seldom get this one where events never end, so it is let past. */
static void end_rest(void *owner)
{
    struct server *server = owner;
    struct shared *shared = server->shared;
    if (atomic_load(&shared->turns_wanted) > 0) {
        pthread_mutex_lock(&shared->world);
        pthread_mutex_unlock(&shared->world);
    }
    pthread_mutex_lock(&server->turn);
}

static void wake(const struct server *server)
{
    eventfd_write(server->arrivals->event_fd, 1);
}

void threads_stop_others(struct server *server)
{
    struct shared *shared = server->shared;
    int self = gettid();
    if (shared->thread_count <= 1)
        return;
    if (atomic_load(&shared->stopper) == self) {
        shared->stop_depth++;
        return;
    }
    pthread_mutex_unlock(&server->turn);
    atomic_fetch_add(&shared->turns_wanted, 1);
    pthread_mutex_lock(&shared->world);
    for (unsigned int i = 0; i < shared->thread_count; i++)
        pthread_mutex_lock(&shared->servers[i]->turn);
    atomic_store(&shared->stopper, self);
    shared->stop_depth = 1;
}

void threads_let_go(struct server *server)
{
    struct shared *shared = server->shared;
    if (shared->thread_count <= 1 || --shared->stop_depth > 0)
        return;
    atomic_store(&shared->stopper, 0);
    for (unsigned int i = 0; i < shared->thread_count; i++) {
        if (shared->servers[i] != server)
            pthread_mutex_unlock(&shared->servers[i]->turn);
    }
    atomic_fetch_sub(&shared->turns_wanted, 1);
    pthread_mutex_unlock(&shared->world);
    wake(shared->servers[0]); /* its deadlines may have changed */
}

/* --- connections that are handed over --------------------------------------------------------- */

static int connections_of(const struct server *server)
{
    int count = atomic_load(&server->connections_open);
    return server->arrivals != NULL ? count + atomic_load(&server->arrivals->count) : count;
}

int threads_connections(const struct shared *shared)
{
    int count = 0;
    for (unsigned int i = 0; i < shared->thread_count; i++)
        count += connections_of(shared->servers[i]);
    return count;
}

/* Of those that have as few the next in turn: where each request has a connection of its own, too,
 * all have something to do. */
struct server *threads_next(struct shared *shared)
{
    unsigned int next = 0;
    int fewest = INT_MAX;
    for (unsigned int i = 1; i <= shared->thread_count; i++) {
        unsigned int which = (shared->taker + i) % shared->thread_count;
        int count = connections_of(shared->servers[which]);
        if (count < fewest) {
            fewest = count;
            next = which;
        }
    }
    shared->taker = next;
    return shared->servers[next];
}

static bool make_room(struct arrivals *arrivals)
{
    size_t count = (size_t)atomic_load(&arrivals->count);
    if (count < arrivals->capacity)
        return true;
    size_t capacity = arrivals->capacity == 0 ? 64 : 2 * arrivals->capacity;
    struct arrival *larger = realloc(arrivals->items, capacity * sizeof *larger);
    if (larger == NULL)
        return false;
    arrivals->items = larger;
    arrivals->capacity = capacity;
    return true;
}

void threads_hand_over(struct server *server, int fd, const struct sockaddr *address,
                       socklen_t length)
{
    struct arrivals *arrivals = server->arrivals;
    pthread_mutex_lock(&arrivals->lock);
    bool has_room = make_room(arrivals);
    if (has_room) {
        struct arrival *arrival = &arrivals->items[atomic_load(&arrivals->count)];
        arrival->fd = fd;
        arrival->length = length;
        memcpy(&arrival->address, address, length);
        atomic_fetch_add(&arrivals->count, 1);
    }
    pthread_mutex_unlock(&arrivals->lock);
    if (has_room)
        wake(server);
    else
        close(fd);
}

void threads_drop_arrivals(struct server *server)
{
    struct arrivals *arrivals = server->arrivals;
    if (arrivals == NULL)
        return;
    pthread_mutex_lock(&arrivals->lock);
    for (int i = atomic_exchange(&arrivals->count, 0); i > 0; i--)
        close(arrivals->items[i - 1].fd);
    pthread_mutex_unlock(&arrivals->lock);
}

/* Once more where it was woken to look at its deadlines; that does no harm. */
static void take_arrivals(void *owner, uint32_t events)
{
    struct server *server = owner;
    struct arrivals *arrivals = server->arrivals;
    eventfd_t value;
    (void)events;
    eventfd_read(arrivals->event_fd, &value);
    pthread_mutex_lock(&arrivals->lock);
    int count = atomic_load(&arrivals->count);
    for (int i = 0; i < count; i++) {
        const struct arrival *arrival = &arrivals->items[i];
        MHD_add_connection(server->daemon, arrival->fd, (const struct sockaddr *)&arrival->address,
                           arrival->length);
    }
    atomic_store(&arrivals->count, 0);
    bool is_to_end = arrivals->is_to_end;
    pthread_mutex_unlock(&arrivals->lock);
    if (count > 0)
        server_run(server);
    if (is_to_end)
        loop_stop(server->loop);
}

/* --- their lives ------------------------------------------------------------------------------ */

static void *serve(void *owner)
{
    struct server *server = owner;
    void *before_pages = large_pages_for_heap(LARGE_PAGES_THREAD_MAX);
    pthread_mutex_lock(&server->turn);
    loop_run(server->loop);
    pthread_mutex_unlock(&server->turn);
    free(before_pages);
    return NULL;
}

/* Signals are the caller's. */
static bool start(struct server *server)
{
    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    server->arrivals->is_running =
        pthread_create(&server->arrivals->thread, NULL, serve, server) == 0;
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return server->arrivals->is_running;
}

static bool watch_arrivals(struct server *server, struct arrivals *arrivals, struct error *error)
{
    arrivals->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&arrivals->lock, NULL);
    server->arrivals = arrivals;
    server->rest = (struct loop_rest){.owner = server, .begin = begin_rest, .end = end_rest};
    server->loop->rest = &server->rest;
    arrivals->watch =
        (struct watch){.fd = arrivals->event_fd, .ready = take_arrivals, .owner = server};
    if (arrivals->event_fd < 0)
        return error_set_run(error, "eventfd", "%s", strerror(errno));
    return loop_watch(server->loop, &arrivals->watch, EPOLLIN, error);
}

static bool add(struct server *first, const struct server_options *options, struct error *error)
{
    struct shared *shared = first->shared;
    struct arrivals *arrivals = calloc(1, sizeof *arrivals);
    if (arrivals == NULL)
        return error_set_run(error, "", "out of memory");
    if (!loop_init(&arrivals->own_loop, CLOCK_REAL, error)) {
        free(arrivals);
        return false;
    }
    arrivals->own_loop.clock = first->loop->clock; /* the same time for all */
    struct server *server = server_new_part(first, &arrivals->own_loop, options, error);
    if (server == NULL) {
        loop_free(&arrivals->own_loop);
        free(arrivals);
        return false;
    }
    shared->servers[shared->thread_count++] = server;
    return watch_arrivals(server, arrivals, error);
}

bool threads_start(struct server *first, const struct server_options *options, struct error *error)
{
    struct shared *shared = first->shared;
    if (options->threads <= 1)
        return true;
    struct arrivals *arrivals = calloc(1, sizeof *arrivals);
    if (arrivals == NULL)
        return error_set_run(error, "", "out of memory");
    pthread_mutex_lock(&first->turn);
    if (!watch_arrivals(first, arrivals, error))
        return false;
    for (unsigned int i = 1; i < options->threads; i++) {
        if (!add(first, options, error))
            return false;
    }
    for (unsigned int i = 1; i < shared->thread_count; i++) {
        if (!start(shared->servers[i]))
            return error_set_run(error, "--threads", "no more threads could be started");
    }
    return true;
}

/* What they still want of the first they get: it rests until they have ended. */
void threads_end(struct shared *shared)
{
    if (shared->thread_count <= 1)
        return;
    struct server *first = shared->servers[0];
    begin_rest(first);
    for (unsigned int i = 1; i < shared->thread_count; i++) {
        struct arrivals *arrivals = shared->servers[i]->arrivals;
        if (arrivals == NULL || !arrivals->is_running)
            continue;
        pthread_mutex_lock(&arrivals->lock);
        arrivals->is_to_end = true;
        pthread_mutex_unlock(&arrivals->lock);
        wake(shared->servers[i]);
        pthread_join(arrivals->thread, NULL);
        arrivals->is_running = false;
    }
    end_rest(first);
}

static void free_arrivals(struct arrivals *arrivals, struct loop *loop)
{
    if (arrivals == NULL)
        return;
    loop->rest = NULL;
    if (arrivals->event_fd >= 0) {
        loop_unwatch(loop, &arrivals->watch);
        close(arrivals->event_fd);
    }
    pthread_mutex_destroy(&arrivals->lock);
    free(arrivals->items);
}

void threads_free(struct shared *shared)
{
    for (unsigned int i = shared->thread_count; i > 0; i--) {
        struct server *server = shared->servers[i - 1];
        struct arrivals *arrivals = server->arrivals;
        threads_drop_arrivals(server);
        if (i == 1 && arrivals != NULL)
            pthread_mutex_unlock(&server->turn);
        free_arrivals(arrivals, server->loop);
        server_free_part(server);
        if (i > 1) {
            loop_free(&arrivals->own_loop);
            free(server);
        }
        free(arrivals);
    }
}
