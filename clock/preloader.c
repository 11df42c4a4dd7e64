#include "clock/preloader.h"

#include "base/duration.h"
#include "clock/machine_timer.h"
#include "clock/preloader_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* As the tracer's: with the machine's up-time, rounding inside programs would differ. */
#define MONOTONIC_START_NS (1000 * NS_PER_S)

#define LIBRARY_NAME "libtoomany-clock.so"

enum { PATH_BYTES = 4096 };

/* ---- the library's place ---- */

/* Beside the program that we are, above it, as in a build tree, or where it was installed. */
static bool find_library(char path[PATH_BYTES])
{
    static const char *const folders[] = {"", "../", TOOMANY_CLOCK_LIBRARY_FOLDER "/"};
    char self[PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return false;
    self[length] = '\0';
    *(strrchr(self, '/') + 1) = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char tried[PATH_BYTES * 2];
        snprintf(tried, sizeof tried, "%s%s" LIBRARY_NAME, self, folders[i]);
        char *real = realpath(tried, NULL);
        bool is_found = real != NULL && strlen(real) < PATH_BYTES;
        if (is_found)
            strcpy(path, real);
        free(real);
        if (is_found)
            return true;
    }
    return false;
}

const char *preloader_unavailable(void)
{
#if defined(__x86_64__) && defined(__GLIBC__)
    char path[PATH_BYTES];
    if (carrier_in_way() != NULL)
        return carrier_in_way();
    if (!find_library(path))
        return LIBRARY_NAME " is not beside the program nor where it was installed to";
    if (strpbrk(path, " :") != NULL)
        return "the path of " LIBRARY_NAME " has a space or colon, which LD_PRELOAD cannot name";
    return NULL;
#else
    return "virtual time for programs needs Linux on x86-64 with glibc";
#endif
}

/* ---- time ---- */

static void log_line(const struct preloader *preloader, int64_t from_ns, int64_t to_ns,
                     const char *who, const char *what)
{
    if (preloader->options.log == NULL)
        return;
    fprintf(preloader->options.log, "%" PRId64 ".%09" PRId64 " %" PRId64 ".%09" PRId64 " %s %s\n",
            from_ns / NS_PER_S, from_ns % NS_PER_S, to_ns / NS_PER_S, to_ns % NS_PER_S, who, what);
    fflush(preloader->options.log);
}

static const char *guest_name(const struct guest *guest, char name[32])
{
    int fd = proc_open(guest->process->pid, "comm", O_RDONLY);
    ssize_t length = fd >= 0 ? read(fd, name, 31) : -1;
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return strcpy(name, "a process");
    name[length] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return name;
}

static const char *wait_name(const struct guest *guest)
{
    static const char *const names[PAGE_CALL_COUNT] = {
#define CALL_NAME(name) #name,
        PAGE_CALLS(CALL_NAME)
#undef CALL_NAME
    };
    uint32_t call = guest->slot != NULL ? atomic_load(&guest->slot->call) : 0;
    return names[call < PAGE_CALL_COUNT ? call : 0];
}

void preloader_let_go(struct preloader *preloader, const char *reason)
{
    struct clock_page *page = preloader->page;
    if (preloader->is_let_go)
        return;
    int64_t now_ns = loop_now(preloader->loop);
    preloader->is_let_go = true;
    preloader->summary.let_go = reason;
    preloader->summary.let_go_ns = now_ns;
    log_line(preloader, now_ns, now_ns, "everybody", reason);
    atomic_store(&page->origin_ns, machine_now() - now_ns);
    atomic_store(&page->is_let_go, 1);
    /* Waits that have begun are ours to end; those that begin now are the machine's. */
    guests_know_family(preloader);
    guests_assign_slots(preloader);
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next)
        looks_take_deadline(guest);
    timers_take_deadlines(preloader);
    loop_let_time_run(preloader->loop);
}

static void jumps(void *owner, int64_t from_ns, const struct deadline *deadline)
{
    struct preloader *preloader = owner;
    int64_t to_ns = deadline->at_ns > from_ns ? deadline->at_ns : from_ns;
    if (preloader->options.log != NULL) {
        char name[32] = "server";
        const struct guest *guest = deadline->fire == looks_end_wait ? deadline->owner : NULL;
        log_line(preloader, from_ns, to_ns, guest != NULL ? guest_name(guest, name) : name,
                 guest != NULL ? wait_name(guest) : "deadline");
    }
    if (to_ns == from_ns)
        return;
    preloader->summary.jumps++;
    clock_jump(&preloader->loop->clock, to_ns);
    atomic_store(&preloader->page->now_ns, to_ns);
}

/* ---- start and end ---- */

static bool make_page(struct preloader *preloader, struct error *error)
{
    static const char *const folders[] = {"/dev/shm", "/tmp"};
    int fd = -1;
    for (size_t i = 0; fd < 0 && i < sizeof folders / sizeof folders[0]; i++) {
        free(preloader->page_path);
        if (asprintf(&preloader->page_path, "%s/toomany-clock-%d-XXXXXX", folders[i],
                     (int)getpid()) < 0)
            preloader->page_path = NULL;
        fd = preloader->page_path != NULL ? mkostemp(preloader->page_path, O_CLOEXEC) : -1;
    }
    if (fd < 0 || ftruncate(fd, sizeof *preloader->page) != 0) {
        const char *remedy = error_remedy(errno);
        error_set_run(error, "/dev/shm", "%s%s", strerror(errno),
                      remedy[0] != '\0' ? remedy : "; make it or /tmp writable");
        if (fd >= 0)
            close(fd);
        return false;
    }
    void *memory = mmap(NULL, sizeof *preloader->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED ||
        asprintf(&preloader->page_entry, PAGE_VARIABLE "=%s", preloader->page_path) < 0)
        return error_set_run(error, "", "out of memory");
    preloader->page = memory;
    preloader->page->magic = PAGE_MAGIC;
    preloader->page->monotonic_start_ns = MONOTONIC_START_NS;
    preloader->page->realtime_start_ns = preloader->loop->clock.wall_start_ns;
    atomic_store(&preloader->page->now_ns, loop_now(preloader->loop));
    uint16_t port = preloader->options.server_port;
    if (port != 0)
        atomic_store(&preloader->page->ports[port / 64], UINT64_C(1) << (port % 64));
    return true;
}

/* A machine may lack the file; but without a descriptor for it too little would be proved. */
static bool open_proc(const char *path, int *fd, struct error *error)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && (errno == EMFILE || errno == ENFILE))
        return error_set_run(error, path, "%s%s", strerror(errno), error_remedy(errno));
    return true;
}

struct preloader *preloader_new(struct loop *loop, const struct carrier_options *options,
                                struct error *error)
{
    struct preloader *preloader = calloc(1, sizeof *preloader);
    if (preloader == NULL) {
        error_set_run(error, "", "out of memory");
        return NULL;
    }
    preloader->loop = loop;
    preloader->options = *options;
    preloader->socket.fd = -1;
    preloader->softnet_fd = -1;
    preloader->birth_fd = -1;
    preloader->guests = (struct loop_guests){.owner = preloader,
                                             .all_wait = looks_all_wait,
                                             .still_wait = looks_still_wait,
                                             .jumps = jumps};
    if (!make_page(preloader, error) || !timers_start(preloader, error) ||
        !open_proc("/proc/net/softnet_stat", &preloader->softnet_fd, error) ||
        !open_proc("/proc/loadavg", &preloader->birth_fd, error)) {
        preloader_free(preloader);
        return NULL;
    }
    preloader->last_birth = guests_last_birth(preloader);
    preloader->last_event_ns = machine_now();
    loop_set_guests(loop, &preloader->guests);
    return preloader;
}

void preloader_free(struct preloader *preloader)
{
    if (preloader == NULL)
        return;
    if (preloader->loop->guests == &preloader->guests)
        loop_set_guests(preloader->loop, NULL);
    if (preloader->client != 0)
        guests_know_family(preloader); /* who was born shortly before the client's end, too */
    while (preloader->first != NULL) {
        if (preloader->first->process->pid != preloader->client)
            kill(preloader->first->process->pid, SIGKILL);
        guest_remove(preloader->first);
    }
    timers_free(preloader);
    if (preloader->page != NULL)
        munmap(preloader->page, sizeof *preloader->page);
    if (preloader->page_path != NULL)
        unlink(preloader->page_path);
    free(preloader->page_path);
    free(preloader->page_entry);
    free(preloader->preload_entry);
    if (preloader->softnet_fd >= 0)
        close(preloader->softnet_fd);
    if (preloader->birth_fd >= 0)
        close(preloader->birth_fd);
    free(preloader);
}

char **preloader_environment(struct preloader *preloader, const char *const *environment)
{
    static const char name[] = "LD_PRELOAD=";
    char library[PATH_BYTES];
    size_t count = 0;
    const char *before = NULL;
    for (; environment[count] != NULL; count++) {
        if (strncmp(environment[count], name, sizeof name - 1) == 0)
            before = environment[count] + sizeof name - 1;
    }
    free(preloader->preload_entry);
    preloader->preload_entry = NULL;
    char **list = calloc(count + 3, sizeof *list);
    if (list == NULL || !find_library(library) ||
        asprintf(&preloader->preload_entry, "%s%s%s%s", name, library,
                 before != NULL && before[0] != '\0' ? ":" : "",
                 before != NULL ? before : "") < 0) {
        free(list);
        return NULL;
    }
    size_t kept = 0;
    list[kept++] = preloader->preload_entry;
    list[kept++] = preloader->page_entry;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environment[i], name, sizeof name - 1) != 0 &&
            strncmp(environment[i], PAGE_VARIABLE "=", sizeof PAGE_VARIABLE) != 0)
            memcpy(&list[kept++], &environment[i], sizeof *list);
    }
    return list;
}

void preloader_attach(struct preloader *preloader, pid_t pid)
{
    preloader->client = pid;
    preloader->births_are_hidden = guests_last_birth(preloader) == preloader->last_birth;
    preloader->last_event_ns = machine_now();
    guest_add(preloader, pid, pid);
}

struct carrier_summary preloader_summary(const struct preloader *preloader)
{
    return preloader->summary;
}

static void describe_thread(const struct guest *guest, FILE *stream)
{
    char name[32];
    char left[DURATION_TEXT_SIZE];
    char state = '?';
    guest_name(guest, name);
    bool is_there = proc_thread_state(&guest->files, &state);
    int64_t due_ns = guest->slot != NULL ? atomic_load(&guest->slot->due_ns) : PAGE_NEVER;
    if (guest->slot != NULL && atomic_load(&guest->slot->state) == PAGE_WAITS)
        fprintf(stream, "%s waits in %s for another %s", name, wait_name(guest),
                duration_text(due_ns - loop_now(guest->preloader->loop), left));
    else if (!is_there)
        fprintf(stream, "%s has ended", name);
    else if (state == 'S')
        fprintf(stream, "%s waits without a time-out", name);
    else if (state == 'R')
        fprintf(stream, "%s computes", name);
    else
        fprintf(stream, "%s is in state %c", name, state);
}

void preloader_describe(const struct preloader *preloader, FILE *stream)
{
    enum { THREADS_MAX = 16 };
    int count = 0;
    for (const struct guest *guest = preloader->first; guest != NULL; guest = guest->next) {
        if (count++ >= THREADS_MAX)
            continue;
        fputs(count > 1 ? "; " : "", stream);
        describe_thread(guest, stream);
    }
    if (count > THREADS_MAX)
        fprintf(stream, "; and %d threads more", count - THREADS_MAX);
}
