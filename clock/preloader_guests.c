/* Which threads and processes there are. The kernel numbers new ones in order, and tells the last
 * number: where that has not changed, none was born. It takes the number first, and shows the
 * thread a little later; so those that were not found are looked for again, until all known ones
 * were seen asleep, and nobody can be giving birth. */
#include "clock/preloader_state.h"

#include "base/must_have.h"
#include "clock/machine_timer.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STATUS_BYTES = 4096,
    BIRTHS_MAX = 2000, /* since the last look, that are looked at one by one */
};

static struct guest_process *find_process(const struct preloader *preloader, pid_t pid)
{
    struct guest_process *process = NULL;
    HASH_FIND_INT(preloader->processes, &pid, process);
    return process;
}

bool guests_have_process(const struct preloader *preloader, pid_t pid)
{
    return find_process(preloader, pid) != NULL;
}

struct guest *guest_add(struct preloader *preloader, pid_t tid, pid_t pid)
{
    struct guest *guest = NULL;
    HASH_FIND_INT(preloader->by_tid, &tid, guest);
    if (guest != NULL)
        guest_remove(guest); /* its number has passed to another */
    struct guest_process *process = find_process(preloader, pid);
    if (process == NULL) {
        process = must_have(calloc(1, sizeof *process), "a client's processes");
        process->pid = pid;
        HASH_ADD_INT(preloader->processes, pid, process);
    }
    process->thread_count++;
    guest = must_have(calloc(1, sizeof *guest), "a client's threads");
    *guest = (struct guest){.preloader = preloader, .tid = tid, .process = process};
    guest->blocked_runs = PROC_THREAD_RUNS_NEVER;
    guest->due = (struct deadline){.fire = looks_end_wait, .owner = guest};
    proc_thread_open(&guest->files, tid);
    HASH_ADD_INT(preloader->by_tid, tid, guest);
    guest->previous = preloader->last;
    *(preloader->last != NULL ? &preloader->last->next : &preloader->first) = guest;
    preloader->last = guest;
    preloader->slot_changes = atomic_load(&preloader->page->slot_changes) - 1; /* assign again */
    return guest;
}

static void forget_slot(const struct guest *guest)
{
    int32_t tid = guest->tid;
    if (guest->slot == NULL)
        return;
    atomic_store(&guest->slot->state, PAGE_RUNS);
    atomic_compare_exchange_strong(&guest->slot->tid, &tid, 0);
}

static void forget_process(struct preloader *preloader, struct guest_process *process)
{
    if (--process->thread_count > 0)
        return;
    for (size_t i = 0; i < PAGE_PROCESSES_MAX; i++) {
        int32_t pid = process->pid;
        atomic_compare_exchange_strong(&preloader->page->processes[i], &pid, 0);
    }
    timers_of_process_end(preloader, process->pid);
    HASH_DEL(preloader->processes, process);
    free(process);
}

void guest_remove(struct guest *guest)
{
    struct preloader *preloader = guest->preloader;
    loop_cancel(preloader->loop, &guest->due);
    forget_slot(guest);
    HASH_DEL(preloader->by_tid, guest);
    *(guest->previous != NULL ? &guest->previous->next : &preloader->first) = guest->next;
    *(guest->next != NULL ? &guest->next->previous : &preloader->last) = guest->previous;
    if (preloader->suspect == guest)
        preloader->suspect = NULL;
    proc_thread_close(&guest->files);
    forget_process(preloader, guest->process);
    free(guest);
}

void guests_assign_slots(struct preloader *preloader)
{
    struct clock_page *page = preloader->page;
    uint32_t changes = atomic_load(&page->slot_changes);
    if (changes == preloader->slot_changes)
        return;
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next)
        guest->slot = NULL;
    for (size_t i = 0; i < PAGE_SLOTS_MAX; i++) {
        pid_t tid = atomic_load(&page->slots[i].tid);
        struct guest *guest = NULL;
        if (tid != 0)
            HASH_FIND_INT(preloader->by_tid, &tid, guest);
        if (guest != NULL)
            guest->slot = &page->slots[i];
    }
    preloader->slot_changes = changes;
}

/* ---- births ---- */

long guests_last_birth(const struct preloader *preloader)
{
    char text[128];
    ssize_t length = pread(preloader->birth_fd, text, sizeof text - 1, 0);
    if (length <= 0)
        return -1;
    text[length] = '\0';
    const char *last = strrchr(text, ' '); /* "0.20 0.18 0.12 1/80 11206" */
    return last != NULL ? strtol(last, NULL, 10) : -1;
}

struct person {
    pid_t process;
    pid_t parent;
    char state;
};

static long number_after(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    return at != NULL ? strtol(at + strlen(label), NULL, 10) : -1;
}

static bool read_person(pid_t tid, struct person *person)
{
    char text[STATUS_BYTES];
    int fd = proc_open(tid, "status", O_RDONLY);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    const char *state = strstr(text, "\nState:\t");
    *person = (struct person){.process = (pid_t)number_after(text, "\nTgid:"),
                              .parent = (pid_t)number_after(text, "\nPPid:"),
                              .state = '?'};
    if (state != NULL)
        person->state = state[8];
    return true;
}

enum kinship { KIN_NOT, KIN_OF_OURS, KIN_UNSURE };

/* Of one that has become our own child, because its parent has ended: its environment has the
 * page's path. In the middle of an exec, it has none. */
static enum kinship look_at_environment(const struct preloader *preloader, pid_t pid)
{
    enum { CHUNK = 16 * 1024 };
    char chunk[CHUNK];
    size_t kept = 0;
    bool is_empty = true;
    bool is_found = false;
    size_t wanted = strlen(preloader->page_entry);
    int fd = proc_open(pid, "environ", O_RDONLY);
    if (fd < 0)
        return KIN_NOT;
    for (ssize_t got; !is_found && (got = read(fd, chunk + kept, sizeof chunk - kept)) > 0;) {
        size_t length = kept + (size_t)got;
        is_empty = false;
        is_found = memmem(chunk, length, preloader->page_entry, wanted) != NULL;
        kept = length < wanted ? length : wanted;
        memmove(chunk, chunk + length - kept, kept);
    }
    close(fd);
    return is_found ? KIN_OF_OURS : is_empty ? KIN_UNSURE : KIN_NOT;
}

static enum kinship kinship_of(const struct preloader *preloader, const struct person *person)
{
    if (find_process(preloader, person->process) != NULL ||
        find_process(preloader, person->parent) != NULL)
        return KIN_OF_OURS;
    if (person->parent != getpid() || person->state == 'Z' || person->state == 'X')
        return KIN_NOT;
    if (getsid(person->process) == preloader->client)
        return KIN_OF_OURS;
    enum kinship kinship = look_at_environment(preloader, person->process);
    bool may_exec = person->state == 'R' || person->state == 'D';
    return kinship == KIN_UNSURE && !may_exec ? KIN_NOT : kinship;
}

/* Whether a thread that we know has this number still. */
static bool is_known(const struct preloader *preloader, pid_t tid)
{
    struct guest *guest = NULL;
    char state;
    HASH_FIND_INT(preloader->by_tid, &tid, guest);
    return guest != NULL && proc_thread_state(&guest->files, &state);
}

static enum kinship consider(struct preloader *preloader, pid_t tid)
{
    struct person person;
    if (is_known(preloader, tid))
        return KIN_OF_OURS;
    if (!read_person(tid, &person))
        return KIN_NOT;
    enum kinship kinship = kinship_of(preloader, &person);
    if (kinship == KIN_OF_OURS)
        guest_add(preloader, tid, person.process);
    return kinship;
}

static bool consider_threads(struct preloader *preloader, pid_t pid)
{
    char path[64];
    bool is_sure = true;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        struct guest *guest = NULL;
        HASH_FIND_INT(preloader->by_tid, &tid, guest);
        if (tid > 0 && guest == NULL)
            is_sure = consider(preloader, tid) != KIN_UNSURE && is_sure;
    }
    if (directory != NULL)
        closedir(directory);
    return is_sure;
}

/* One look at every process of the machine. A child may stand before its parent in the list, so it
 * is repeated until it finds nobody. */
static bool consider_everybody(struct preloader *preloader)
{
    bool is_sure = true;
    unsigned before;
    do {
        before = HASH_COUNT(preloader->by_tid);
        DIR *directory = opendir("/proc");
        for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
            struct person person;
            if (pid <= 0 || !read_person(pid, &person))
                continue;
            enum kinship kinship = kinship_of(preloader, &person);
            is_sure = is_sure && kinship != KIN_UNSURE;
            if (kinship == KIN_OF_OURS)
                is_sure = consider_threads(preloader, pid) && is_sure;
        }
        if (directory != NULL)
            closedir(directory);
    } while (HASH_COUNT(preloader->by_tid) != before);
    return is_sure;
}

bool guests_know_family(struct preloader *preloader)
{
    long last = guests_last_birth(preloader);
    bool is_sure = true;
    preloader->newest_birth = last;
    if (!preloader->births_are_hidden && last == preloader->last_birth)
        return true;
    unsigned before = HASH_COUNT(preloader->by_tid);
    long count = last - preloader->last_birth;
    if (preloader->births_are_hidden || count < 0 || count > BIRTHS_MAX) {
        is_sure = consider_everybody(preloader);
    } else {
        for (long tid = preloader->last_birth + 1; tid <= last; tid++)
            is_sure = consider(preloader, (pid_t)tid) != KIN_UNSURE && is_sure;
    }
    return is_sure && HASH_COUNT(preloader->by_tid) == before;
}

/* ---- whether a process carries the library ---- */

static bool has_mapped_library(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    char line[4096];
    bool is_found = false;
    while (maps != NULL && !is_found && fgets(line, sizeof line, maps) != NULL)
        is_found = strstr(line, "/libtoomany-clock.so") != NULL;
    if (maps != NULL)
        fclose(maps);
    return is_found;
}

/* Whether the program asks for a dynamic loader. */
static bool has_loader(int fd)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return true; /* not for us to say */
    for (size_t i = 0; i < header.e_phnum; i++) {
        off_t offset = (off_t)(header.e_phoff + i * sizeof segment);
        if (pread(fd, &segment, sizeof segment, offset) != (ssize_t)sizeof segment)
            return true;
        if (segment.p_type == PT_INTERP)
            return true;
    }
    return false;
}

const char *guests_not_carried(const struct preloader *preloader, struct guest_process *process)
{
    char path[64];
    struct stat status;
    if (process->is_mapped || page_has_process(preloader->page, process->pid))
        return NULL;
    process->is_mapped = has_mapped_library(process->pid);
    if (process->is_mapped)
        return NULL;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)process->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ESRCH))
        return NULL; /* it has ended */
    const char *reason = "it starts a program that did not load the preloaded library";
    if (fd >= 0 && !has_loader(fd))
        reason = "it starts a static program, which loads no library";
    else if (fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0)
        reason = "it starts a setuid program, into which nothing may be preloaded";
    if (fd >= 0)
        close(fd);
    return reason;
}
