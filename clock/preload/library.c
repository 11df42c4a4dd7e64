#include "clock/preload/library.h"

#include "base/duration.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct next_functions next_functions;
struct clock_page *page;
bool library_has_started;

/* What the present thread knows of itself. Not emulated, so that a signal handler may use it. */
struct self {
    struct page_slot *slot;
    pid_t tid;      /* whose slot it is: after a vfork, the child runs on the same memory */
    void *frame;    /* of the wait that it is in */
    bool is_far;    /* which libc goes on with after signals */
    uint32_t watch; /* the page's, when reads were last counted */
    uint32_t clock_reads;
    int64_t reads_from_cpu_ns; /* its processor time at the first of them */
};
static __thread struct self self __attribute__((tls_model("initial-exec")));

static pthread_key_t exit_key;
static bool has_exit_key;

/* The time that libc's functions get in place of one that we keep. So far that it does not come. */
static const struct timespec far_time = {.tv_sec = 9000000000, .tv_nsec = 0};
static const struct timespec long_ago = {.tv_sec = 0, .tv_nsec = 1};

enum {
    CREEP_AFTER_READS = 5000, /* in a row by one thread: it does nothing but look */
    SIGNAL_SET_BYTES = 8,     /* the kernel's sigset_t */
};
#define CREEP_WITHIN_NS (5 * NS_PER_MS) /* of its processor time; else it does something */
#define CREEP_NS (100 * NS_PER_US)      /* how far time creeps at each further read */

long raw_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static pid_t own_pid(void)
{
    return (pid_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static pid_t own_tid(void)
{
    return (pid_t)RAW(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

void plead(enum page_plea plea)
{
    uint32_t none = PAGE_PLEA_NONE;
    if (page != NULL)
        atomic_compare_exchange_strong(&page->plea, &none, plea);
}

/* ---- processes and threads ---- */

void register_process(void)
{
    int32_t pid = own_pid();
    if (page == NULL)
        return;
    for (size_t i = 0; i < PAGE_PROCESSES_MAX; i++) {
        _Atomic int32_t *entry = &page->processes[((size_t)pid + i) % PAGE_PROCESSES_MAX];
        int32_t found = 0;
        if (atomic_load(entry) == pid || atomic_compare_exchange_strong(entry, &found, pid))
            return;
    }
    plead(PAGE_PLEA_FULL);
}

void unregister_process(void)
{
    int32_t pid = own_pid();
    for (size_t i = 0; page != NULL && i < PAGE_PROCESSES_MAX; i++) {
        int32_t found = pid;
        if (atomic_load(&page->processes[i]) == pid &&
            atomic_compare_exchange_strong(&page->processes[i], &found, 0))
            return;
    }
}

static void leave_slot(struct page_slot *slot, pid_t tid)
{
    int32_t found = tid;
    atomic_store(&slot->state, PAGE_RUNS);
    atomic_compare_exchange_strong(&slot->tid, &found, 0);
    atomic_fetch_add(&page->slot_changes, 1);
}

static void thread_exits(void *argument)
{
    (void)argument;
    if (page != NULL && self.slot != NULL)
        leave_slot(self.slot, self.tid);
    self.slot = NULL;
}

/* The page is as it was when this program's predecessor, or a process of the same number, ended. */
static void leave_old_slots(void)
{
    int32_t pid = own_pid();
    for (size_t i = 0; i < PAGE_SLOTS_MAX; i++) {
        struct page_slot *slot = &page->slots[i];
        int32_t tid = atomic_load(&slot->tid);
        if (tid != 0 && atomic_load(&slot->pid) == pid)
            leave_slot(slot, tid);
    }
}

static struct page_slot *claim_slot(pid_t tid)
{
    for (size_t i = 0; i < PAGE_SLOTS_MAX; i++) {
        struct page_slot *slot = &page->slots[((size_t)tid + i) % PAGE_SLOTS_MAX];
        int32_t found = 0;
        if (atomic_load(&slot->tid) != 0 ||
            !atomic_compare_exchange_strong(&slot->tid, &found, tid))
            continue;
        atomic_store(&slot->pid, own_pid());
        atomic_store(&slot->state, PAGE_RUNS);
        atomic_fetch_add(&slot->generation, 1);
        atomic_fetch_add(&page->slot_changes, 1);
        return slot;
    }
    plead(PAGE_PLEA_FULL);
    return NULL;
}

static struct page_slot *own_slot(void)
{
    pid_t tid = own_tid();
    if (self.slot != NULL && self.tid == tid)
        return self.slot;
    bool is_new_process = self.slot != NULL;
    self = (struct self){.slot = claim_slot(tid), .tid = tid};
    if (is_new_process)
        register_process(); /* made by a call of which we did not hear */
    if (has_exit_key)
        pthread_setspecific(exit_key, &self);
    return self.slot;
}

static void forked(void)
{
    self = (struct self){.slot = NULL};
    share_timers();
    register_process();
}

/* ---- start ---- */

static struct clock_page *open_page(void)
{
    const char *path = getenv(PAGE_VARIABLE);
    if (path == NULL)
        return NULL;
    int fd = (int)RAW(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return NULL;
    struct clock_page *found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    RAW(SYS_close, fd, 0, 0, 0, 0, 0);
    if (found == MAP_FAILED)
        return NULL;
    if (found->magic == PAGE_MAGIC)
        return found;
    munmap(found, sizeof *found);
    return NULL;
}

static void find_functions(void)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {
#define NAME_AND_OFFSET(result, name, parameters) {#name, offsetof(struct next_functions, name)},
        PRELOAD_FUNCTIONS(NAME_AND_OFFSET)
#undef NAME_AND_OFFSET
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *found = dlsym(RTLD_NEXT, rows[i].name);
        memcpy((char *)&next_functions + rows[i].offset, &found, sizeof found);
    }
}

__attribute__((constructor(101))) void library_start(void)
{
    static bool has_begun;
    if (has_begun)
        return; /* by ourselves, from something that libc calls to find its functions */
    has_begun = true;
    find_functions();
    library_has_started = true;
    struct clock_page *found = open_page();
    if (found == NULL)
        return;
    page = found;
    has_exit_key = pthread_key_create(&exit_key, thread_exits) == 0;
    pthread_atfork(NULL, NULL, forked);
    signals_start();
    leave_old_slots();
    free_old_timers();
    register_process();
}

/* ---- time ---- */

bool is_carried(void)
{
    if (!library_has_started)
        library_start();
    return page != NULL && atomic_load_explicit(&page->is_let_go, memory_order_relaxed) == 0;
}

static int64_t own_cpu_ns(void)
{
    struct timespec time = {0};
    libc()->clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return timespec_ns(&time);
}

/* Somebody may be waiting by looking: does little else, read after read. Moves the clock itself, so
 * that the wait is not overshot. */
static void note_clock_read(uint32_t watch)
{
    if (self.watch != watch || self.clock_reads == 0) {
        self.watch = watch;
        self.clock_reads = 0;
        self.reads_from_cpu_ns = own_cpu_ns();
    }
    if (++self.clock_reads < CREEP_AFTER_READS)
        return;
    bool is_busy = self.clock_reads == CREEP_AFTER_READS &&
                   own_cpu_ns() - self.reads_from_cpu_ns > CREEP_WITHIN_NS;
    if (is_busy && atomic_load(&page->is_stuck) == 0)
        self.clock_reads = 0;
    else
        atomic_fetch_add(&page->now_ns, CREEP_NS);
}

int64_t now_ns(void)
{
    if (!is_carried()) {
        struct timespec machine = {0};
        libc()->clock_gettime(CLOCK_MONOTONIC, &machine);
        return timespec_ns(&machine) - atomic_load(&page->origin_ns);
    }
    uint32_t watch = atomic_load_explicit(&page->watch, memory_order_relaxed);
    if (watch != 0)
        note_clock_read(watch);
    return atomic_load(&page->now_ns);
}

bool clock_origin(clockid_t id, int64_t *origin_ns)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *origin_ns = page->realtime_start_ns;
        return true;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *origin_ns = page->monotonic_start_ns;
        return true;
    default:
        return false;
    }
}

int64_t timespec_ns(const struct timespec *time)
{
    if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= NS_PER_S)
        return -1;
    if (time->tv_sec >= PAGE_NEVER / 2 / NS_PER_S)
        return PAGE_NEVER / 2;
    return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

int64_t timeval_ns(const struct timeval *time)
{
    if (time->tv_usec < 0 || time->tv_usec >= 1000000)
        return -1;
    struct timespec same = {.tv_sec = time->tv_sec, .tv_nsec = time->tv_usec * 1000};
    return timespec_ns(&same);
}

struct timespec ns_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

struct timeval ns_timeval(int64_t ns)
{
    return (struct timeval){.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US};
}

int64_t after_ns(int64_t delay_ns)
{
    return atomic_load(&page->now_ns) + delay_ns;
}

struct timespec machine_time(clockid_t id, const struct timespec *time)
{
    struct timespec machine = {0};
    int64_t origin = 0;
    int64_t ns = timespec_ns(time);
    if (ns < 0 || !clock_origin(id, &origin))
        return *time;
    libc()->clock_gettime(id, &machine);
    int64_t shifted = ns + timespec_ns(&machine) - (origin + now_ns());
    return ns_timespec(shifted > 0 ? shifted : 0);
}

/* ---- waits ---- */

static void let_signal_in(struct wait *wait)
{
    uint64_t ours = UINT64_C(1) << (PAGE_SIGNAL - 1);
    uint64_t before = 0;
    RAW(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, &before, SIGNAL_SET_BYTES, 0, 0);
    wait->was_blocked = (before & ours) != 0;
}

static void keep_signal_out(void)
{
    uint64_t ours = UINT64_C(1) << (PAGE_SIGNAL - 1);
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, &ours, 0, SIGNAL_SET_BYTES, 0, 0);
}

static void publish(struct page_slot *slot, enum page_state state, uint32_t call, int64_t due_ns)
{
    atomic_store(&slot->due_ns, due_ns);
    atomic_store(&slot->call, call);
    atomic_fetch_add(&slot->generation, 1);
    atomic_store(&slot->state, state);
}

bool wait_begins(struct wait *wait, enum page_call call, int64_t due_ns)
{
    if (!is_carried())
        return false;
    struct page_slot *slot = own_slot();
    if (slot == NULL)
        return false;
    *wait = (struct wait){.is_on = true, .error_before = errno, .slot = slot};
    /* Stacks grow down: a wait further down that did not end was left by longjmp. */
    if (atomic_load(&slot->state) == PAGE_WAITS && (uintptr_t)self.frame > (uintptr_t)wait) {
        wait->outer_frame = self.frame;
        wait->outer_is_far = self.is_far;
        wait->outer_call = atomic_load(&slot->call);
        wait->outer_due_ns = atomic_load(&slot->due_ns);
    }
    self.frame = wait;
    self.is_far = false;
    self.clock_reads = 0;
    let_signal_in(wait);
    publish(slot, PAGE_WAITS, call, due_ns);
    if (is_carried())
        return true;
    wait_ends(wait); /* the harness may not have seen it when it let time go */
    return false;
}

void wait_ends(struct wait *wait)
{
    if (!wait->is_on)
        return;
    wait->is_on = false;
    bool is_nested = wait->outer_frame != NULL;
    self.frame = wait->outer_frame;
    self.is_far = wait->outer_is_far;
    publish(wait->slot, is_nested ? PAGE_WAITS : PAGE_RUNS, wait->outer_call, wait->outer_due_ns);
    if (wait->was_blocked)
        keep_signal_out();
}

bool wait_is_over(const struct wait *wait)
{
    return wait->is_on && atomic_load(&wait->slot->over) == atomic_load(&wait->slot->generation);
}

long wait_result(const struct wait *wait, long result, int timeout_error)
{
    if (result != -1 || errno != EINTR || !wait_is_over(wait))
        return result;
    errno = timeout_error != 0 ? timeout_error : wait->error_before;
    return timeout_error != 0 ? -1 : 0;
}

const struct timespec *wait_far(struct wait *wait, enum page_call call, int64_t due_ns)
{
    if (!wait_begins(wait, call, due_ns))
        return NULL;
    self.is_far = true;
    return &far_time;
}

const struct timespec *wait_until(struct wait *wait, enum page_call call, clockid_t id,
                                  const struct timespec *time, struct timespec *machine)
{
    int64_t origin;
    libc();
    if (page == NULL || time == NULL || timespec_ns(time) < 0 || !clock_origin(id, &origin))
        return time;
    int64_t due_ns = timespec_ns(time) - origin;
    if (is_carried() && due_ns <= atomic_load(&page->now_ns))
        return &long_ago;
    const struct timespec *far = wait_far(wait, call, due_ns);
    if (far != NULL)
        return far;
    *machine = machine_time(id, time);
    return machine;
}

/* ---- the signal that ends waits ---- */

static bool is_call_instruction(const uint8_t *code)
{
    return code[0] == 0x0f && code[1] == 0x05;
}

/* Old versions of libc hand the kernel what is left until a time, from the stack. */
static bool is_far_time(const greg_t *registers)
{
    greg_t pointer = registers[REG_R10];
    enum { STACK_NEAR = 16 * 1024 };
    const struct timespec *time;
    memcpy(&time, &pointer, sizeof(void *));
    if (time == &far_time)
        return true;
    bool is_near = pointer > registers[REG_RSP] && pointer < registers[REG_RSP] + STACK_NEAR;
    return is_near && pointer % 8 == 0 && time->tv_sec > far_time.tv_sec / 2;
}

/* The kernel has either ended the interrupted call with EINTR, or set the registers back, so that
 * the instruction at RIP repeats it. */
void wait_ends_by_signal(ucontext_t *context)
{
    greg_t *registers = context->uc_mcontext.gregs;
    greg_t pointer = registers[REG_RIP];
    const uint8_t *code;
    memcpy(&code, &pointer, sizeof code);
    struct page_slot *slot = self.slot;
    if (slot == NULL || atomic_load(&slot->state) != PAGE_WAITS ||
        atomic_load(&slot->over) != atomic_load(&slot->generation))
        return;
    uintptr_t frame = (uintptr_t)self.frame;
    if ((uintptr_t)registers[REG_RSP] > frame) {
        /* It left the wait by longjmp. */
        self.frame = NULL;
        publish(slot, PAGE_RUNS, PAGE_CALL_nothing, PAGE_NEVER);
        return;
    }
    bool repeats = is_call_instruction(code);
    /* The kernel says otherwise of a waiter that was moved to a PI futex. */
    bool is_moved = self.is_far && registers[REG_RAX] == -EAGAIN &&
                    (registers[REG_RSI] & FUTEX_CMD_MASK) == FUTEX_WAIT_REQUEUE_PI;
    bool has_ended = (registers[REG_RAX] == -EINTR || is_moved) && is_call_instruction(code - 2);
    if (!repeats && !has_ended)
        return;
    if (self.is_far && !is_far_time(registers))
        return; /* in something else that belongs to it, such as taking its lock again */
    if (repeats)
        registers[REG_RIP] += 2;
    registers[REG_RAX] = self.is_far ? -ETIMEDOUT : -EINTR;
}
