#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "clock/preloader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program, carried to its end. */
struct ride {
    struct loop loop;
    struct preloader *preloader;
    struct watch exit_watch;
    pid_t pid;
    int pid_fd;
    int status;
    bool has_ended;
    char *log; /* what was logged */
    size_t log_size;
    FILE *log_stream;
};

#define SKIP_WHERE_IT_CANNOT_BE_HAD()                                                              \
    do {                                                                                           \
        if (preloader_unavailable() != NULL)                                                       \
            skip();                                                                                \
    } while (0)

static void exit_ready(void *owner, uint32_t events)
{
    struct ride *ride = owner;
    (void)events;
    if (waitpid(ride->pid, &ride->status, WNOHANG) != ride->pid)
        return;
    ride->has_ended = true;
    loop_unwatch(&ride->loop, &ride->exit_watch);
}

static void start(struct ride *ride, const char *const *command)
{
    char *const *words; /* execvp() promises to change none, but its type does not say so */
    memcpy(&words, &command, sizeof words);
    struct error error = {0};
    *ride = (struct ride){.pid_fd = -1};
    ride->log_stream = open_memstream(&ride->log, &ride->log_size);
    assert_true(loop_init(&ride->loop, CLOCK_VIRTUAL, &error));
    assert_true(loop_expect_guests(&ride->loop, &error));
    struct carrier_options options = {.log = ride->log_stream};
    ride->preloader = preloader_new(&ride->loop, &options, &error);
    assert_non_null(ride->preloader);
    char **environment = preloader_environment(ride->preloader, (const char *const *)environ);
    assert_non_null(environment);
    ride->pid = fork();
    if (ride->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        environ = environment;
        execvp(words[0], words);
        _exit(127);
    }
    free(environment);
    preloader_attach(ride->preloader, ride->pid);
    ride->pid_fd = (int)syscall(SYS_pidfd_open, ride->pid, 0);
    ride->exit_watch = (struct watch){.fd = ride->pid_fd, .ready = exit_ready, .owner = ride};
    assert_true(loop_watch(&ride->loop, &ride->exit_watch, EPOLLIN, &error));
}

/* `sleep` calls one or the other, as it was built. */
static void call_both_nanosleep(char *text)
{
    static const char other[] = "clock_nanosleep";
    static const size_t more = sizeof "clock_" - 1;
    for (char *at; (at = strstr(text, other)) != NULL;)
        memmove(at, at + more, strlen(at + more) + 1);
}

static void carry(struct ride *ride)
{
    while (!ride->has_ended)
        loop_turn(&ride->loop, -1);
    fflush(ride->log_stream);
    call_both_nanosleep(ride->log);
}

static void end(struct ride *ride)
{
    preloader_free(ride->preloader);
    close(ride->pid_fd);
    loop_free(&ride->loop);
    fclose(ride->log_stream);
    free(ride->log);
}

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

/* The end of one wait, and nothing else. */
static void an_hour_is_an_hour(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    start(&ride, SH("sleep 3600; exit 7"));
    carry(&ride);
    assert_true(WIFEXITED(ride.status));
    assert_int_equal(WEXITSTATUS(ride.status), 7);
    assert_int_equal(loop_now(&ride.loop), NS_PER_HOUR);
    struct carrier_summary summary = preloader_summary(ride.preloader);
    assert_int_equal(summary.jumps, 1);
    assert_int_equal(summary.crept_ns, 0);
    assert_null(summary.let_go);
    assert_string_equal(ride.log, "0.000000000 3600.000000000 sleep nanosleep\n");
    end(&ride);
}

static void those_who_wait_side_by_side_are_due_in_order(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    start(&ride, SH("sleep 3 & sleep 1 & sleep 2; wait"));
    carry(&ride);
    assert_string_equal(ride.log, "0.000000000 1.000000000 sleep nanosleep\n"
                                  "1.000000000 2.000000000 sleep nanosleep\n"
                                  "2.000000000 3.000000000 sleep nanosleep\n");
    assert_int_equal(loop_now(&ride.loop), 3 * NS_PER_S);
    end(&ride);
}

/* Which the shell would otherwise wait for. */
static void a_killed_wait_is_no_deadline(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    start(&ride, SH("sleep 100 & sleep 1; kill -9 $!; wait $!; [ $? -eq 137 ] && sleep 1"));
    carry(&ride);
    assert_int_equal(WEXITSTATUS(ride.status), 0);
    assert_int_equal(loop_now(&ride.loop), 2 * NS_PER_S);
    end(&ride);
}

/* Its parent is gone before it waits, and nobody takes note of its end. */
static void an_orphan_is_carried(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    start(&ride, SH("sh -c 'sleep 5 & exit 0'; sleep 10; exit 3"));
    carry(&ride);
    assert_int_equal(WEXITSTATUS(ride.status), 3);
    assert_null(preloader_summary(ride.preloader).let_go);
    assert_int_equal(preloader_summary(ride.preloader).jumps, 2);
    assert_int_equal(loop_now(&ride.loop), 10 * NS_PER_S);
    end(&ride);
}

static char *described(const struct ride *ride)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    preloader_describe(ride->preloader, stream);
    fclose(stream);
    call_both_nanosleep(text);
    return text;
}

static void note_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    *(bool *)owner = true;
}

static void each_thread_is_told_of(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    bool is_due = false;
    struct deadline deadline = {.fire = note_due, .owner = &is_due};
    start(&ride, SH("sleep 90; exit 0"));
    loop_after(&ride.loop, &deadline, 30 * NS_PER_S);
    while (!is_due)
        loop_turn(&ride.loop, -1);
    char *text = described(&ride);
    assert_string_equal(text, "sh waits without a time-out; sleep waits in nanosleep for "
                              "another 1m0s");
    free(text);
    carry(&ride);
    end(&ride);
}

static void a_static_program_lets_the_clock_run(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    /* There may be no static program here, and no compiler: one that only ends is 130 bytes. */
    static const unsigned char program[] = {
        0x7f, 'E',  'L',  'F', 2,  1, 1,  0, 0,    0, 0,    0, 0, 0, 0, 0, /* a 64-bit program */
        2,    0,    62,   0,   1,  0, 0,  0, 0x78, 0, 0x40, 0, 0, 0, 0, 0, /* for x86-64, begins
                                                                              here */
        64,   0,    0,    0,   0,  0, 0,  0, 0,    0, 0,    0, 0, 0, 0, 0, /* */
        0,    0,    0,    0,   64, 0, 56, 0, 1,    0, 0,    0, 0, 0, 0, 0, /* of one segment */
        1,    0,    0,    0,   5,  0, 0,  0, 0,    0, 0,    0, 0, 0, 0, 0, /* to read and execute */
        0,    0,    0x40, 0,   0,  0, 0,  0, 0,    0, 0x40, 0, 0, 0, 0, 0, /* at 0x400000 */
        0x98, 0,    0,    0,   0,  0, 0,  0, 0x98, 0, 0,    0, 0, 0, 0, 0, /* of 152 bytes */
        0,    0x10, 0,    0,   0,  0, 0,  0,                               /* */
        0xbf, 0,    0,    0,   0,                                          /* mov edi, 0: stdin */
        0xb8, 34,   0,    0,   0,                                          /* mov eax, SYS_pause */
        0x0f, 0x05,                                                        /* syscall */
        0xeb, 0xf2, 0,    0,   0,  0, 0,  0, 0,    0, 0,    0, 0, 0, 0, 0, 0,
        0}; /* jmp to the begin */
    char path[] = "/tmp/toomany-static-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, program, sizeof program), sizeof program);
    fchmod(fd, 0700);
    close(fd);
    struct ride ride;
    start(&ride, (const char *const[]){path, NULL});
    while (preloader_summary(ride.preloader).let_go == NULL)
        loop_turn(&ride.loop, NS_PER_MS);
    assert_non_null(strstr(preloader_summary(ride.preloader).let_go, "static"));
    assert_int_equal(ride.loop.clock.kind, CLOCK_REAL);
    kill(ride.pid, SIGKILL);
    carry(&ride);
    assert_non_null(strstr(ride.log, " everybody it starts a static program"));
    end(&ride);
    unlink(path);
}

static const char *value_of(char **environment, const char *name)
{
    size_t length = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    }
    return NULL;
}

static void the_environment_keeps_what_is_preloaded_already(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    start(&ride, (const char *const[]){"true", NULL});
    static const char *const before[] = {"HOME=/home", "LD_PRELOAD=/lib/libmine.so",
                                         "EMPTY=", NULL};
    char **environment = preloader_environment(ride.preloader, before);
    assert_string_equal(value_of(environment, "HOME"), "/home");
    assert_string_equal(value_of(environment, "EMPTY"), "");
    const char *preloaded = value_of(environment, "LD_PRELOAD");
    assert_non_null(strstr(preloaded, "libtoomany-clock.so"));
    assert_non_null(strstr(preloaded, "/lib/libmine.so"));
    size_t count = 0;
    for (char **entry = environment; *entry != NULL; entry++)
        count += strncmp(*entry, "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0;
    assert_int_equal(count, 1);
    free(environment);

    static const char *const none[] = {NULL};
    environment = preloader_environment(ride.preloader, none);
    assert_non_null(strstr(value_of(environment, "LD_PRELOAD"), "libtoomany-clock.so"));
    assert_non_null(value_of(environment, "TOOMANY_CLOCK_PAGE"));
    assert_int_equal(access(value_of(environment, "TOOMANY_CLOCK_PAGE"), F_OK), 0);
    char *page = strdup(value_of(environment, "TOOMANY_CLOCK_PAGE"));
    free(environment);
    carry(&ride);
    end(&ride);
    assert_int_not_equal(access(page, F_OK), 0); /* nothing is left behind */
    free(page);
}

static void those_who_are_left_end_with_it(void **state)
{
    (void)state;
    SKIP_WHERE_IT_CANNOT_BE_HAD();
    struct ride ride;
    int fds[2];
    char byte;
    assert_int_equal(pipe(fds), 0);
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    start(&ride, SH("sleep 1000000000 & exit 0"));
    close(fds[1]);
    carry(&ride);
    end(&ride);
    /* The sleeper had the pipe's other end. */
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
}

int main(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* as a harness is: orphans become its children */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_is_an_hour),
        cmocka_unit_test(those_who_wait_side_by_side_are_due_in_order),
        cmocka_unit_test(a_killed_wait_is_no_deadline),
        cmocka_unit_test(an_orphan_is_carried),
        cmocka_unit_test(each_thread_is_told_of),
        cmocka_unit_test(a_static_program_lets_the_clock_run),
        cmocka_unit_test(the_environment_keeps_what_is_preloaded_already),
        cmocka_unit_test(those_who_are_left_end_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
