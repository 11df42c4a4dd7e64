#include "harness/process.h"

#include "base/duration.h"
#include "base/must_have.h"
#include "harness/excerpt.h"
#include "harness/launch.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_AFTER_NS NS_PER_S         /* from SIGTERM to SIGKILL */
#define GRACE_NS (200 * NS_PER_MS)     /* for what the client left behind to end by itself */
#define GRACE_REAL_NS (2 * NS_PER_S)   /* the longest that this may really take */
#define GRACE_TICK_NS (10 * NS_PER_MS) /* how often it is looked for meanwhile */
#define DYING_NS (2 * NS_PER_S)        /* the longest wait for killed survivors to be gone */

enum {
    FAMILY_MAX = 256,         /* survivors seen in one look; what is more is found by the next */
    READ_BYTES = 64 * 1024,   /* a pipe's usual capacity */
    STAT_BYTES = 1024,        /* /proc/PID/stat is a line of some 300 bytes */
    ENVIRON_CHUNK = 16 * 1024 /* /proc/PID/environ is read in pieces of this size */
};

/* <linux/wait.h> has it since 5.4, glibc since 2.36, as a member of an enum. */
#define WAIT_BY_PID_FD ((idtype_t)3)

static void *must_have_output(void *memory)
{
    return must_have(memory, "a client's output");
}

static int pid_fd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- one output stream ---- */

struct process_stream {
    struct process *process;
    struct watch watch; /* fd -1: closed */
    struct excerpt excerpt;
};

static void stream_close(struct process_stream *stream)
{
    if (stream->watch.fd >= 0)
        loop_unwatch(stream->process->loop, &stream->watch);
    close_if_open(&stream->watch.fd);
}

static void kill_group(struct process *process)
{
    process->phase = PROCESS_KILLED;
    machine_timer_stop(&process->timer);
    kill(-process->pid, SIGKILL);
}

/* The client wrote more than it may. Nothing more is read, so that a report of the run shows the
 * same each time. */
static void end_for_output(struct process *process)
{
    process->run.output_exceeded = true;
    if (process->phase != PROCESS_EXITED)
        kill_group(process); /* before the pipes close, or it might die of SIGPIPE instead */
    for (size_t i = 0; i < 2; i++)
        stream_close(process->streams[i]);
}

/* Reads once. False when there is nothing more to read now, or ever. */
static bool stream_read(struct process_stream *stream)
{
    struct process *process = stream->process;
    if (stream->watch.fd < 0)
        return false;
    char bytes[READ_BYTES];
    ssize_t got = read(stream->watch.fd, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (got <= 0) {
        stream_close(stream);
        return false;
    }
    size_t count = (size_t)got;
    uint64_t room = process->output_bytes_max - process->run.output_bytes;
    bool is_too_much = count > room;
    if (is_too_much)
        count = (size_t)room;
    excerpt_add(&stream->excerpt, bytes, count);
    process->run.output_bytes += count;
    if (is_too_much)
        end_for_output(process);
    return !is_too_much;
}

static void stream_ready(void *owner, uint32_t events)
{
    (void)events;
    stream_read(owner);
}

/* ---- the clients of this program ---- */

/* The children of a program are one set, whichever thread forked them. Who reaps an orphan that
 * fell to us has to know that it is nobody's client: the one thing that runs share. */
static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static struct process *clients;

/* Forks and enlists in one step, so that no client is taken for an orphan in between. With all
 * signals blocked, so that no handler of ours runs in the child. */
static pid_t client_fork(struct process *process)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&clients_lock);
    process->pid = fork();
    if (process->pid == 0)
        return 0;
    int error_number = errno;
    if (process->pid > 0) {
        process->next = clients;
        clients = process;
    }
    pthread_mutex_unlock(&clients_lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error_number;
    return process->pid;
}

/* Waits for the client, which is dead or dying. */
static void client_reap(struct process *process)
{
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&clients_lock);
    struct process **link = &clients;
    while (*link != process)
        link = &(*link)->next;
    *link = process->next;
    pthread_mutex_unlock(&clients_lock);
}

/* Reaps a dead child of ours that no one else waits for: neither a client nor, having our session,
 * started by another part of this program. */
static void orphan_reap(pid_t pid, pid_t session)
{
    if (session == getsid(0))
        return;
    pthread_mutex_lock(&clients_lock);
    const struct process *client = clients;
    while (client != NULL && client->pid != pid)
        client = client->next;
    if (client == NULL)
        waitpid(pid, NULL, WNOHANG);
    pthread_mutex_unlock(&clients_lock);
}

/* ---- what a client leaves behind ---- */

/* A process as /proc/PID/stat shows it. */
struct relative {
    pid_t pid;
    char name[32];
    char state;
    pid_t parent;
    pid_t group;
    pid_t session;
    unsigned long long started_ticks;
};

struct family {
    struct relative members[FAMILY_MAX];
    size_t count;
    bool is_undecided; /* somebody may belong to it: in the middle of an exec */
};

static int proc_open(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool relative_read(pid_t pid, struct relative *relative)
{
    int fd = proc_open(pid, "stat");
    if (fd < 0)
        return false;
    char line[STAT_BYTES];
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    if (length <= 0)
        return false;
    line[length] = '\0';

    /* pid (name) state ...: the name may itself hold brackets and spaces. */
    char *name = strchr(line, '(');
    char *name_end = strrchr(line, ')');
    if (name == NULL || name_end == NULL)
        return false;
    *name_end = '\0';
    *relative = (struct relative){.pid = pid};
    snprintf(relative->name, sizeof relative->name, "%s", name + 1);
    for (char *c = relative->name; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    }
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit
    return sscanf(name_end + 1,
                  " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &relative->state, &relative->parent, &relative->group, &relative->session,
                  &relative->started_ticks) == 5;
}

enum tag_found { TAG_ABSENT, TAG_PRESENT, TAG_NO_ENVIRONMENT };

static enum tag_found tag_look(pid_t pid, const char *tag)
{
    int fd = proc_open(pid, "environ");
    if (fd < 0)
        return TAG_ABSENT;
    size_t tag_length = strlen(tag);
    char chunk[ENVIRON_CHUNK];
    size_t kept = 0; /* the end of the piece before: the tag may lie across two */
    bool is_empty = true;
    bool is_found = false;
    while (!is_found) {
        ssize_t got = read(fd, chunk + kept, sizeof chunk - kept);
        if (got <= 0)
            break;
        is_empty = false;
        size_t length = kept + (size_t)got;
        is_found = memmem(chunk, length, tag, tag_length) != NULL;
        kept = length < tag_length ? length : tag_length;
        memmove(chunk, chunk + length - kept, kept);
    }
    close(fd);
    return is_found ? TAG_PRESENT : is_empty ? TAG_NO_ENVIRONMENT : TAG_ABSENT;
}

static bool is_dead(const struct relative *relative)
{
    return relative->state == 'Z' || relative->state == 'X';
}

/* Whether it was started by the client, directly or not; *is_undecided when it cannot be said yet.
 */
static bool is_of_family(const struct process *process, const struct relative *relative,
                         bool *is_undecided)
{
    if (relative->pid == process->pid)
        return false;
    if (relative->session == process->pid || relative->group == process->pid)
        return true;
    if (relative->session == 0 || relative->session == getsid(0) ||
        relative->started_ticks < process->started_ticks)
        return false;
    enum tag_found tag = tag_look(relative->pid, process->tag);
    if (tag == TAG_NO_ENVIRONMENT && relative->parent == getpid())
        *is_undecided = true;
    return tag == TAG_PRESENT;
}

static void family_look(const struct process *process, struct family *family)
{
    family->count = 0;
    family->is_undecided = false;
    DIR *directory = opendir("/proc");
    if (directory == NULL)
        return;
    for (struct dirent *entry;
         family->count < FAMILY_MAX && (entry = readdir(directory)) != NULL;) {
        char *end = NULL;
        long pid = strtol(entry->d_name, &end, 10);
        struct relative *relative = &family->members[family->count];
        if (pid <= 0 || *end != '\0' || !relative_read((pid_t)pid, relative))
            continue;
        if (is_dead(relative) && relative->parent == getpid())
            orphan_reap(relative->pid, relative->session);
        if (!is_dead(relative) && is_of_family(process, relative, &family->is_undecided))
            family->count++;
    }
    closedir(directory);
}

static int name_order(const void *left, const void *right)
{
    return strcmp(((const struct relative *)left)->name, ((const struct relative *)right)->name);
}

/* "sh, sleep (2)": no process ids, so that reports of two runs are the same. */
static char *family_names(struct family *family)
{
    qsort(family->members, family->count, sizeof family->members[0], name_order);
    char *text = NULL;
    size_t size = 0;
    FILE *out = must_have_output(open_memstream(&text, &size));
    for (size_t i = 0, same; i < family->count; i += same) {
        const char *name = family->members[i].name;
        for (same = 1; i + same < family->count; same++) {
            if (strcmp(family->members[i + same].name, name) != 0)
                break;
        }
        fprintf(out, "%s%s", i > 0 ? ", " : "", name);
        if (same > 1)
            fprintf(out, " (%zu)", same);
    }
    fclose(out);
    return must_have_output(text);
}

/* Kills by descriptor: between the look and the signal the number may have passed to another. */
static int relative_kill(const struct process *process, const struct relative *relative)
{
    int fd = pid_fd_open(relative->pid);
    struct relative now;
    bool is_undecided = false;
    if (fd < 0 || !relative_read(relative->pid, &now) ||
        now.started_ticks != relative->started_ticks ||
        !is_of_family(process, &now, &is_undecided)) {
        close_if_open(&fd);
        return -1;
    }
    if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) != 0)
        close_if_open(&fd);
    return fd;
}

/* Kills them all and waits until they are gone. False when nobody could be killed. */
static bool family_kill(const struct process *process, const struct family *family)
{
    struct pollfd killed[FAMILY_MAX];
    size_t count = 0;
    for (size_t i = 0; i < family->count; i++) {
        int fd = relative_kill(process, &family->members[i]);
        if (fd >= 0)
            killed[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    int64_t until_ns = machine_now() + DYING_NS;
    for (size_t i = 0; i < count; i++) {
        int64_t wait_ms = (until_ns - machine_now()) / NS_PER_MS;
        poll(&killed[i], 1, wait_ms > 0 ? (int)wait_ms : 0);
    }
    /* Only now: a child falls to us when its parent, which may come later here, has ended. */
    for (size_t i = 0; i < count; i++) {
        siginfo_t info;
        waitid(WAIT_BY_PID_FD, (id_t)killed[i].fd, &info, WEXITED | WNOHANG);
        close(killed[i].fd);
    }
    return count > 0;
}

/* ---- the end of a run ---- */

/* Kills who is left, empties the pipes, and completes `run`. Killing takes several looks when
 * somebody forks meanwhile. */
static void end_run(struct process *process, struct family *family)
{
    if (family->count > 0)
        process->run.survivors = family_names(family);
    int64_t until_ns = machine_now() + DYING_NS;
    while (family->count > 0) {
        if (!family_kill(process, family))
            poll(NULL, 0, (int)(GRACE_TICK_NS / NS_PER_MS)); /* gone meanwhile, or another user's */
        if (machine_now() > until_ns)
            break;
        family_look(process, family);
    }
    for (size_t i = 0; i < 2; i++) {
        while (stream_read(process->streams[i]))
            continue;
        stream_close(process->streams[i]);
    }
    client_reap(process);
    close_if_open(&process->pid_fd);
    machine_timer_stop(&process->timer);
    loop_cancel(process->loop, &process->timeout);
    struct client_run *run = &process->run;
    run->output = excerpt_text(&process->streams[0]->excerpt, &run->output_length);
    run->errors = excerpt_text(&process->streams[1]->excerpt, &run->errors_length);
    process->ended = true;
}

static void look_for_survivors(struct process *process)
{
    struct family family;
    family_look(process, &family);
    bool is_alone = family.count == 0 && !family.is_undecided;
    if (is_alone || process->grace_is_over || machine_now() >= process->grace_ends_ns)
        end_run(process, &family);
    else
        machine_timer_start(&process->timer, GRACE_TICK_NS);
}

/* Notes how it ended, and leaves it a zombie: as long as it is one, its number, which is also that
 * of its session and group, cannot pass to others. False while it lives. */
static bool note_exit(struct process *process, int wait_flags)
{
    siginfo_t info = {0};
    int failed;
    do {
        failed = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT | wait_flags);
    } while (failed != 0 && errno == EINTR);
    if (failed == 0 && info.si_pid == 0)
        return false;
    bool is_exit = failed == 0 && info.si_code == CLD_EXITED;
    process->run.exit_code = is_exit ? info.si_status : -1;
    process->run.signal = failed == 0 && !is_exit ? info.si_status : 0;
    process->run.ended_ns = loop_now(process->loop);
    process->phase = PROCESS_EXITED;
    loop_cancel(process->loop, &process->timeout);
    loop_unwatch(process->loop, &process->exit_watch);
    return true;
}

static void exit_ready(void *owner, uint32_t events)
{
    struct process *process = owner;
    (void)events;
    if (!note_exit(process, WNOHANG))
        return;
    process->grace_ends_ns = machine_now() + GRACE_REAL_NS;
    loop_after(process->loop, &process->timeout, GRACE_NS);
    process->timeout.is_at_once = false;
    look_for_survivors(process);
}

void process_stop(struct process *process)
{
    if (process->phase == PROCESS_ASKED_TO_END)
        kill_group(process);
    if (process->phase != PROCESS_RUNS)
        return;
    process->phase = PROCESS_ASKED_TO_END;
    kill(-process->pid, SIGTERM);
    machine_timer_start(&process->timer, KILL_AFTER_NS);
}

static void end_for_time(struct process *process)
{
    process->run.timed_out = true;
    if (process->carrier != NULL) {
        size_t size = 0;
        FILE *stream = must_have_output(open_memstream(&process->run.waits, &size));
        carrier_describe(process->carrier, stream);
        fclose(stream);
    }
    process_stop(process);
}

static void timeout_fired(void *owner, int64_t now_ns)
{
    struct process *process = owner;
    (void)now_ns;
    if (process->phase == PROCESS_RUNS)
        end_for_time(process);
    else if (process->phase == PROCESS_EXITED) {
        process->grace_is_over = true;
        look_for_survivors(process);
    }
}

static void watch_for_stall(struct process *process)
{
    process->rests_seen = process->loop->rests;
    machine_timer_start(&process->timer, PROCESS_STALL_SECONDS * NS_PER_S);
}

static void timer_fired(void *owner)
{
    struct process *process = owner;
    if (process->phase == PROCESS_EXITED)
        look_for_survivors(process);
    else if (process->phase != PROCESS_RUNS)
        process_stop(process);
    else if (process->loop->rests > process->rests_seen)
        watch_for_stall(process);
    else
        end_for_time(process);
}

void process_free(struct process *process)
{
    if (!process->ended) {
        if (process->phase != PROCESS_EXITED) {
            kill_group(process);
            note_exit(process, 0);
        }
        struct family family;
        family_look(process, &family);
        end_run(process, &family);
    }
    machine_timer_free(&process->timer);
    loop_cancel(process->loop, &process->timeout);
    for (size_t i = 0; i < 2; i++)
        free(process->streams[i]);
}

/* ---- the start ---- */

static const char *environment_get(const char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
            return environment[i] + length + 1;
    }
    return NULL;
}

/* A pipe whose ends are close-on-exec from birth and none of 0, 1, 2 (which we ourselves may have
 * been started without), so that the child can put them in place without losing one. */
static bool pipe_open(int ends[2], struct error *error)
{
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ends[0] = ends[1] = -1;
        return error_set_run(error, "pipe", "%s%s", strerror(errno), error_remedy(errno));
    }
    for (size_t i = 0; i < 2; i++) {
        if (ends[i] > STDERR_FILENO)
            continue;
        int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        close(ends[i]);
        ends[i] = moved;
    }
    if (ends[0] >= 0 && ends[1] >= 0)
        return true;
    close_if_open(&ends[0]);
    close_if_open(&ends[1]);
    return error_set_run(error, "pipe", "%s%s", strerror(EMFILE), error_remedy(EMFILE));
}

/* Opens a pipe whose end for reading the loop watches; *write_fd is the other. */
static bool stream_open(struct process_stream *stream, int *write_fd, struct error *error)
{
    int ends[2];
    if (!pipe_open(ends, error))
        return false;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    stream->watch = (struct watch){.fd = ends[0], .ready = stream_ready, .owner = stream};
    *write_fd = ends[1];
    return loop_watch(stream->process->loop, &stream->watch, EPOLLIN, error);
}

/* Starts the child and waits until it has become the client, or has said why it did not. */
static bool launch_run(struct process *process, struct launch *launch, struct error *error)
{
    int failure_ends[2];
    if (!pipe_open(failure_ends, error))
        return false;
    launch->failure_fd = failure_ends[1];
    if (client_fork(process) == 0)
        launch_become_client(launch);
    int error_number = errno;
    close(failure_ends[1]);
    if (process->pid > 0 && launch->carrier != NULL)
        carrier_attach(launch->carrier, process->pid,
                       error); /* where it fails, the child says so */
    struct launch_failure failure;
    ssize_t got = 0;
    while (process->pid > 0 && (got = read(failure_ends[0], &failure, sizeof failure)) < 0 &&
           errno == EINTR)
        continue;
    close(failure_ends[0]);
    if (process->pid < 0)
        return error_set_run(error, "fork", "%s: too many processes? raise `ulimit -u`",
                             strerror(error_number));
    if (got != (ssize_t)sizeof failure)
        return true;
    client_reap(process);
    launch_explain(launch, failure, error);
    return false;
}

static bool watch_exit(struct process *process, struct error *error)
{
    struct relative self;
    if (relative_read(process->pid, &self))
        process->started_ticks = self.started_ticks;
    process->pid_fd = pid_fd_open(process->pid);
    process->exit_watch =
        (struct watch){.fd = process->pid_fd, .ready = exit_ready, .owner = process};
    if (process->pid_fd < 0)
        error_set_run(error, "pidfd_open", "%s: this needs Linux 5.4 or later", strerror(errno));
    else if (loop_watch(process->loop, &process->exit_watch, EPOLLIN, error))
        return true;
    kill(-process->pid, SIGKILL);
    client_reap(process);
    close_if_open(&process->pid_fd);
    return false;
}

/* Opens the pipes, and starts the client on them. */
static bool open_and_launch(struct process *process, struct launch *launch, struct error *error)
{
    bool is_started = stream_open(process->streams[0], &launch->output_fds[0], error) &&
                      stream_open(process->streams[1], &launch->output_fds[1], error) &&
                      launch_run(process, launch, error) && watch_exit(process, error);
    close_if_open(&launch->output_fds[0]);
    close_if_open(&launch->output_fds[1]);
    return is_started;
}

static struct process_stream *stream_new(struct process *process)
{
    struct process_stream *stream = must_have_output(malloc(sizeof *stream));
    stream->process = process;
    stream->watch.fd = -1;
    stream->excerpt.bytes = 0;
    return stream;
}

bool process_start(struct process *process, struct loop *loop,
                   const struct process_options *options, struct error *error)
{
    assert(options->command[0] != NULL);
    assert(options->timeout_ns > 0);
    assert(options->output_bytes_max > 0);
    *process = (struct process){
        .loop = loop,
        .pid_fd = -1,
        .output_bytes_max = options->output_bytes_max,
        .carrier = options->carrier,
        .timeout = {.fire = timeout_fired, .owner = process},
        .run = {.exit_code = -1, .started_ns = loop_now(loop), .ended_ns = -1},
    };
    snprintf(process->tag, sizeof process->tag, "TOOMANY_RUN_%016" PRIx64 "=1", machine_entropy());
    if (!machine_timer_init(&process->timer, loop, timer_fired, process, error))
        return false;
    for (size_t i = 0; i < 2; i++)
        process->streams[i] = stream_new(process);

    char **carried = options->carrier != NULL
                         ? must_have(carrier_environment(options->carrier, options->environment),
                                     "a client's environment")
                         : NULL;
    const struct launch_options launch_options = {
        .command = options->command,
        .environment = carried != NULL ? (const char *const *)carried : options->environment,
        .tag = process->tag,
        .path = environment_get(options->environment, "PATH"),
        .directory = options->directory,
        .carrier = options->carrier,
    };
    struct launch launch;
    launch_init(&launch, &launch_options);
    bool is_started = open_and_launch(process, &launch, error);
    launch_free(&launch);
    free(carried);
    if (is_started) {
        loop_after(loop, &process->timeout, options->timeout_ns);
        if (options->carrier != NULL)
            watch_for_stall(process);
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        stream_close(process->streams[i]);
        free(process->streams[i]);
    }
    machine_timer_free(&process->timer);
    return false;
}

void process_adopt_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}
