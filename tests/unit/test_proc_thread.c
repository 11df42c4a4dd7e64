#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock/proc_thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A thread that sleeps in a read of a pipe, or computes until it is told not to. */
struct sleeper {
    pthread_t thread;
    atomic_int tid;
    atomic_bool computes;
    int fds[2];
};

static void *sleep_in_reads(void *owner)
{
    struct sleeper *sleeper = owner;
    char byte = 0;
    /* A name that looks like the end of one. */
    prctl(PR_SET_NAME, "a) R 1 (b");
    atomic_store(&sleeper->tid, (int)syscall(SYS_gettid));
    while (read(sleeper->fds[0], &byte, 1) == 1) {
        while (atomic_load(&sleeper->computes))
            continue;
    }
    return NULL;
}

static void let_go(struct sleeper *sleeper)
{
    assert_int_equal(write(sleeper->fds[1], "x", 1), 1);
}

static void start(struct sleeper *sleeper)
{
    *sleeper = (struct sleeper){.computes = false};
    assert_int_equal(pipe2(sleeper->fds, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_in_reads, sleeper), 0);
    while (atomic_load(&sleeper->tid) == 0)
        sched_yield();
}

static void end(struct sleeper *sleeper)
{
    atomic_store(&sleeper->computes, false);
    close(sleeper->fds[1]);
    pthread_join(sleeper->thread, NULL);
    close(sleeper->fds[0]);
}

/* Looks until it is asleep in its read; returns its runs as they were noted before that look. */
static uint64_t find_asleep(const struct proc_thread *files)
{
    int64_t number = -1;
    uint64_t argument;
    uint64_t runs;
    do {
        sched_yield();
        assert_true(proc_thread_runs(files, &runs));
    } while (!proc_thread_blocked(files, &number, &argument) || number != SYS_read);
    return runs;
}

static void one_that_sleeps_has_not_run(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct proc_thread files;
    start(&sleeper);
    proc_thread_open(&files, sleeper.tid);
    uint64_t runs = find_asleep(&files);
    char letter = '?';
    int64_t number;
    uint64_t argument;
    for (int i = 0; i < 100; i++) {
        assert_true(proc_thread_state(&files, &letter));
        assert_int_equal(letter, 'S');
        assert_true(proc_thread_has_not_run(&files, find_asleep(&files)));
    }
    assert_true(proc_thread_blocked(&files, &number, &argument));
    assert_int_equal(number, SYS_read);
    assert_int_equal(argument, sleeper.fds[0]);
    assert_true(runs < PROC_THREAD_RUNS_NEVER);
    proc_thread_close(&files);
    end(&sleeper);
}

/* However short: a byte is read, and it sleeps again. */
static void one_that_ran_shortly_shows_it(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct proc_thread files;
    start(&sleeper);
    proc_thread_open(&files, sleeper.tid);
    for (int i = 0; i < 300; i++) {
        uint64_t runs = find_asleep(&files);
        int unread = 1;
        let_go(&sleeper);
        while (unread != 0)
            assert_int_equal(ioctl(sleeper.fds[0], FIONREAD, &unread), 0);
        uint64_t now = find_asleep(&files);
        assert_false(proc_thread_has_not_run(&files, runs));
        assert_true(now > runs);
    }
    proc_thread_close(&files);
    end(&sleeper);
}

static void one_that_computes_is_not_blocked(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct proc_thread files;
    start(&sleeper);
    proc_thread_open(&files, sleeper.tid);
    uint64_t runs = find_asleep(&files);
    int64_t cpu_ns = proc_thread_cpu_ns(sleeper.tid);
    atomic_store(&sleeper.computes, true);
    let_go(&sleeper);
    char letter = 'S';
    while (letter != 'R')
        assert_true(proc_thread_state(&files, &letter));
    int64_t number;
    uint64_t argument;
    assert_false(proc_thread_blocked(&files, &number, &argument));
    while (proc_thread_cpu_ns(sleeper.tid) == cpu_ns)
        sched_yield();
    assert_false(proc_thread_has_not_run(&files, runs));
    proc_thread_close(&files);
    end(&sleeper);
}

static void one_that_is_gone_answers_nothing(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct proc_thread files;
    start(&sleeper);
    pid_t tid = sleeper.tid;
    proc_thread_open(&files, tid);
    uint64_t runs = find_asleep(&files);
    end(&sleeper);
    while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
        sched_yield(); /* the kernel takes it away a little later */
    char letter;
    int64_t number;
    uint64_t argument;
    assert_false(proc_thread_state(&files, &letter));
    assert_false(proc_thread_blocked(&files, &number, &argument));
    assert_false(proc_thread_has_not_run(&files, runs));
    assert_false(proc_thread_runs(&files, &runs));
    proc_thread_close(&files);
    assert_false(proc_thread_state(&files, &letter));
    assert_int_equal(proc_thread_number(tid, "\nTgid:", 10), 0);
    assert_int_equal(proc_thread_group(tid), tid);
    assert_int_equal(proc_thread_cpu_ns(tid), 0);
}

/* 200 threads take 600 descriptors, and most systems give a program 1,024. */
static void looks_need_no_descriptor_of_their_own(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct proc_thread files;
    struct rlimit before;
    start(&sleeper);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    proc_thread_open(&files, sleeper.tid);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(files.state_fd, -1);
    assert_int_equal(files.runs_fd, -1);
    assert_int_equal(files.call_fd, -1);
    uint64_t runs = find_asleep(&files);
    char letter = '?';
    assert_true(proc_thread_state(&files, &letter));
    assert_int_equal(letter, 'S');
    assert_true(proc_thread_has_not_run(&files, runs));
    proc_thread_close(&files);
    end(&sleeper);
}

static void a_thread_belongs_to_its_process(void **state)
{
    (void)state;
    struct sleeper sleeper;
    start(&sleeper);
    assert_int_equal(proc_thread_group(sleeper.tid), getpid());
    assert_int_equal(proc_thread_group(getpid()), getpid());
    assert_true(proc_thread_number(sleeper.tid, "\nThreads:", 10) >= 2);
    assert_int_equal(proc_thread_number(sleeper.tid, "\nNoSuchLine:", 10), 0);
    end(&sleeper);
}

static void a_zombie_is_one(void **state)
{
    (void)state;
    struct proc_thread files;
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    proc_thread_open(&files, pid);
    char letter = '?';
    assert_true(proc_thread_state(&files, &letter));
    assert_int_equal(letter, 'Z');
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(proc_thread_state(&files, &letter));
    proc_thread_close(&files);
}

static bool waits(const char *softnet)
{
    int fd = memfd_create("softnet_stat", MFD_CLOEXEC);
    assert_int_equal(write(fd, softnet, strlen(softnet)), strlen(softnet));
    bool answer = proc_packets_wait(fd);
    close(fd);
    return answer;
}

/* The twelfth number of a processor's line (Linux 5.10 and later) is its backlog. */
static void packets_wait_in_the_backlog_of_any_processor(void **state)
{
    (void)state;
    static const char idle[] = "0a 0 1 0 0 0 0 0 0 0 0 00000000 00000000\n";
    static const char busy[] = "0a 0 1 0 0 0 0 0 0 0 0 00000003 00000001\n";
    char both[2 * sizeof idle];
    assert_false(waits(idle));
    assert_true(waits(busy));
    strcat(strcpy(both, idle), busy);
    assert_true(waits(both));
    strcat(strcpy(both, idle), idle);
    assert_false(waits(both));
    assert_false(waits("ff ff ff\n")); /* of an older kernel, which does not tell */
    assert_false(waits("0 0 0 0 0 0 0 0 0 0 0\n1 0 0 0 0 0 0 0 0 0 0\n"));
    assert_false(proc_packets_wait(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_sleeps_has_not_run),
        cmocka_unit_test(one_that_ran_shortly_shows_it),
        cmocka_unit_test(one_that_computes_is_not_blocked),
        cmocka_unit_test(one_that_is_gone_answers_nothing),
        cmocka_unit_test(looks_need_no_descriptor_of_their_own),
        cmocka_unit_test(a_thread_belongs_to_its_process),
        cmocka_unit_test(a_zombie_is_one),
        cmocka_unit_test(packets_wait_in_the_backlog_of_any_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
