/* Hands work to and fro between threads and processes, by every means that a program has, each
 * wait with a time-out of a second that must never come: any elapse of time is a bug, because
 * somebody was always at work. Prints how many handoffs there were and how much time elapsed.
 *
 *     soundness HANDOFFS
 */
#include "programs/lines.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { TIMEOUT_MS = 1000 };

static long rounds;
static _Atomic long *timeouts; /* shared with the children */
static _Atomic long *handoffs;

static void bad(const char *what)
{
    if (atomic_fetch_add(timeouts, 1) < 10)
        fprintf(stderr, "a wait timed out: %s\n", what);
}

/* Some work of various lengths, so that who is late differs. */
static void work(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    for (volatile unsigned i = (*seed >> 16) % 3000; i > 0; i--)
        continue;
}

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, TIMEOUT_MS) == 1;
}

static void pass(int from, int to, const char *what, size_t size, unsigned *seed)
{
    char bytes[8] = {0};
    if (!readable(from))
        bad(what);
    if (read(from, bytes, size) != (ssize_t)size)
        bad("read");
    work(seed);
    if (write(to, bytes, size) != (ssize_t)size)
        bad("write");
}

/* --- two ends of a pair of descriptors, thread against thread or process against process --- */

struct ends {
    int from;
    int to;
    size_t size;
    const char *what;
    bool starts;
};

static void *play(void *owner)
{
    const struct ends *ends = owner;
    unsigned seed = (unsigned)(ends->from * 77 + ends->to);
    uint64_t one = 1;
    if (ends->starts && write(ends->to, &one, ends->size) < 0)
        bad("first write");
    for (long i = 0; i < rounds; i++)
        pass(ends->from, ends->to, ends->what, ends->size, &seed);
    if (ends->starts)
        atomic_fetch_add(handoffs, 2 * rounds);
    return NULL;
}

/* --- futexes and condition variables --- */

static _Atomic uint32_t turn;

static void *play_futex(void *owner)
{
    uint32_t mine = *(uint32_t *)owner;
    unsigned seed = mine;
    for (long i = 0; i < rounds; i++) {
        while (atomic_load(&turn) != mine) {
            struct timespec wait = timespec_of(S);
            if (syscall(SYS_futex, &turn, FUTEX_WAIT, !mine, &wait, NULL, 0) != 0 &&
                errno == ETIMEDOUT)
                bad("futex");
        }
        work(&seed);
        atomic_store(&turn, !mine);
        syscall(SYS_futex, &turn, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    atomic_fetch_add(handoffs, rounds);
    return NULL;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int condition_turn;

static void *play_condition(void *owner)
{
    int mine = *(int *)owner;
    unsigned seed = (unsigned)mine;
    for (long i = 0; i < rounds; i++) {
        pthread_mutex_lock(&mutex);
        while (condition_turn != mine) {
            struct timespec until = timespec_of(clock_ns(CLOCK_REALTIME) + S);
            if (pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT)
                bad("condition");
        }
        work(&seed);
        condition_turn = !mine;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    atomic_fetch_add(handoffs, rounds);
    return NULL;
}

/* --- semaphores between processes --- */

static sem_t *shared;

static void play_semaphore(int mine)
{
    unsigned seed = (unsigned)mine;
    for (long i = 0; i < rounds; i++) {
        struct timespec until = timespec_of(clock_ns(CLOCK_REALTIME) + S);
        while (sem_timedwait(&shared[mine], &until) != 0) {
            if (errno == ETIMEDOUT)
                bad("semaphore");
        }
        work(&seed);
        sem_post(&shared[!mine]);
    }
    atomic_fetch_add(handoffs, rounds);
}

/* --- the disk, children that are started and end, signals --- */

static void *play_disk(void *unused)
{
    char name[] = "/tmp/soundness.XXXXXX";
    int fd = mkstemp(name);
    (void)unused;
    unlink(name);
    for (long i = 0; i < rounds / 20 + 1; i++) {
        if (pwrite(fd, &i, sizeof i, (i % 100) * 4096) < 0 || fsync(fd) != 0)
            bad("fsync");
        atomic_fetch_add(handoffs, 1);
    }
    close(fd);
    return NULL;
}

static void *play_children(void *unused)
{
    (void)unused;
    for (volatile long i = 0; i < rounds / 50 + 1; i++) {
        int ends[2];
        char byte;
        if (pipe2(ends, O_CLOEXEC) != 0)
            return NULL;
        pid_t pid = i % 2 == 0 ? fork() : vfork();
        if (pid == 0) {
            if (i % 2 == 0)
                _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
            execl("/bin/true", "true", (char *)NULL);
            _exit(127);
        }
        close(ends[1]);
        if (!readable(ends[0]))
            bad("child");
        while (read(ends[0], &byte, 1) > 0)
            continue;
        close(ends[0]);
        waitpid(pid, NULL, 0);
        atomic_fetch_add(handoffs, 2);
    }
    return NULL;
}

static void *play_stops(void *unused)
{
    (void)unused;
    int ends[2];
    int back[2];
    unsigned seed = 1;
    if (pipe(ends) != 0 || pipe(back) != 0)
        return NULL;
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(ends[1]);
        while (read(ends[0], &byte, 1) == 1) {
            raise(SIGSTOP);
            if (write(back[1], "x", 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(ends[0]);
    for (long i = 0; i < rounds / 20 + 1; i++) {
        char byte;
        int status;
        if (write(ends[1], "x", 1) != 1)
            bad("write");
        waitpid(pid, &status, WUNTRACED);
        work(&seed);
        kill(pid, SIGCONT);
        if (!readable(back[0]) || read(back[0], &byte, 1) != 1)
            bad("SIGCONT");
        atomic_fetch_add(handoffs, 2);
    }
    close(ends[1]);
    waitpid(pid, NULL, 0);
    return NULL;
}

/* --- loopback TCP, by epoll, small writes without TCP_NODELAY on one side --- */

static struct sockaddr_in served_at;

static void *serve(void *owner)
{
    int listening = *(int *)owner;
    int fd = accept(listening, NULL, NULL);
    int epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    unsigned seed = 99;
    char bytes[2];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    for (long i = 0; i < rounds; i++) {
        for (int part = 0; part < 2; part++) {
            if (epoll_wait(epoll_fd, &event, 1, TIMEOUT_MS) != 1)
                bad("tcp, server");
            if (read(fd, &bytes[part], 1) != 1)
                bad("tcp, read");
        }
        work(&seed);
        if (write(fd, bytes, 2) != 2)
            bad("tcp, write");
    }
    close(epoll_fd);
    close(fd);
    return NULL;
}

static void call(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char bytes[2];
    unsigned seed = 98;
    struct timeval timeout = {.tv_sec = 1};
    if (connect(fd, (struct sockaddr *)&served_at, sizeof served_at) != 0)
        bad("connect");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    for (long i = 0; i < rounds; i++) {
        work(&seed);
        if (write(fd, "a", 1) != 1 || write(fd, "b", 1) != 1)
            bad("tcp, write");
        if (recv(fd, bytes, 2, MSG_WAITALL) != 2)
            bad("tcp, client");
    }
    atomic_fetch_add(handoffs, 2 * rounds);
    close(fd);
}

/* Two small writes, of which the kernel holds the second back until the first is acknowledged, and
 * puts that off by 40 ms of its own, real, time. */
static void *play_held_back(void *unused)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    (void)unused;
    if (bind(listening, (struct sockaddr *)&address, length) != 0 || listen(listening, 1) != 0 ||
        getsockname(listening, (struct sockaddr *)&address, &length) != 0 ||
        connect(client, (struct sockaddr *)&address, length) != 0) {
        bad("connect");
        return NULL;
    }
    int served = accept(listening, NULL, NULL);
    for (long i = 0; i < rounds / 50 + 1; i++) {
        char bytes[2];
        if (write(client, "a", 1) != 1 || write(client, "b", 1) != 1)
            bad("tcp, write");
        for (int part = 0; part < 2; part++) {
            if (!readable(served) || read(served, bytes, 1) != 1)
                bad("tcp, held back");
        }
        if (write(served, bytes, 1) != 1 || !readable(client) || read(client, bytes, 1) != 1)
            bad("tcp, back");
        atomic_fetch_add(handoffs, 3);
    }
    close(client);
    close(served);
    close(listening);
    return NULL;
}

static void in_child(void (*function)(int), int argument, pid_t *pid)
{
    *pid = fork();
    if (*pid != 0)
        return;
    function(argument);
    _exit(0);
}

static void call_in_child(int unused)
{
    (void)unused;
    call();
}

static void play_pipe_in_child(int fds)
{
    play(&(struct ends){.from = fds >> 16, .to = fds & 0xffff, .size = 1, .what = "pipe, child"});
}

int main(int count, char **arguments)
{
    long wanted = count > 1 ? atol(arguments[1]) : 10000;
    rounds = wanted / 11 + 1; /* of which each hands over some eleven times */
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    timeouts = page;
    handoffs = timeouts + 1;
    shared = (sem_t *)(handoffs + 1);
    sem_init(&shared[0], 1, 1);
    sem_init(&shared[1], 1, 0);

    int to_child[2];
    int to_parent[2];
    int there[2];
    int back[2];
    socklen_t length = sizeof served_at;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    served_at =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (pipe(to_child) != 0 || pipe(to_parent) != 0 || pipe(there) != 0 || pipe(back) != 0 ||
        bind(listening, (struct sockaddr *)&served_at, length) != 0 || listen(listening, 5) != 0)
        return 2;
    getsockname(listening, (struct sockaddr *)&served_at, &length);

    int64_t start = now_ns();
    pid_t children[4];
    in_child(play_semaphore, 0, &children[0]);
    in_child(play_semaphore, 1, &children[1]);
    in_child(call_in_child, 0, &children[2]);
    in_child(play_pipe_in_child, to_child[0] << 16 | to_parent[1], &children[3]);

    int event_there = eventfd(0, 0);
    int event_back = eventfd(0, 0);
    struct ends ends[] = {
        {to_parent[0], to_child[1], 1, "pipe, parent", true},
        {there[0], back[1], 1, "pipe", false},
        {back[0], there[1], 1, "pipe", true},
        {event_there, event_back, 8, "eventfd", false},
        {event_back, event_there, 8, "eventfd", true},
    };
    enum { END_COUNT = sizeof ends / sizeof ends[0] };
    static const int sides[] = {0, 1};
    pthread_t threads[END_COUNT + 9];
    size_t started = 0;
    for (size_t i = 0; i < END_COUNT; i++)
        pthread_create(&threads[started++], NULL, play, &ends[i]);
    for (size_t i = 0; i < 2; i++) {
        pthread_create(&threads[started++], NULL, play_futex, (void *)&sides[i]);
        pthread_create(&threads[started++], NULL, play_condition, (void *)&sides[i]);
    }
    pthread_create(&threads[started++], NULL, serve, &listening);
    pthread_create(&threads[started++], NULL, play_disk, NULL);
    pthread_create(&threads[started++], NULL, play_children, NULL);
    pthread_create(&threads[started++], NULL, play_stops, NULL);
    pthread_create(&threads[started++], NULL, play_held_back, NULL);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 4; i++)
        waitpid(children[i], NULL, 0);

    bool enough = atomic_load(handoffs) >= wanted;
    printf("handoffs: %s\n", enough ? "enough" : "too few");
    printf("time-outs: %ld\n", atomic_load(timeouts));
    if (getenv("EXACT") != NULL)
        printf("elapsed: %" PRId64 " ns\n", now_ns() - start);
    fprintf(stderr, "%ld handoffs\n", atomic_load(handoffs));
    return atomic_load(timeouts) == 0 && enough ? 0 : 1;
}
