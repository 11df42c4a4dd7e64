#include "harness/excerpt.h"
#include "harness/process.h"

#include "base/duration.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "COLOUR=red", NULL};

static const struct process_options defaults = {
    .environment = environment,
    .timeout_ns = 20 * NS_PER_S,
    .output_bytes_max = 64 * 1024 * 1024,
};

/* Runs to the end; false with the error when it cannot be started. */
static bool run_with(struct process_options options, const char *const *command,
                     struct client_run *run, struct error *error)
{
    options.command = command;
    struct loop loop;
    if (!loop_init(&loop, CLOCK_REAL, error))
        return false;
    struct process process;
    bool is_started = process_start(&process, &loop, &options, error);
    if (is_started) {
        while (!process.ended)
            loop_turn(&loop, -1);
        process_free(&process);
        *run = process.run;
    }
    loop_free(&loop);
    return is_started;
}

static struct client_run run_started(struct process_options options, const char *const *command)
{
    struct client_run run;
    struct error error;
    if (!run_with(options, command, &run, &error)) {
        char text[1400];
        fail_msg("%s", error_text(&error, text, sizeof text));
    }
    return run;
}

static struct client_run run_command(const char *const *command)
{
    return run_started(defaults, command);
}

static void run_free(struct client_run *run)
{
    free(run->output);
    free(run->errors);
    free(run->survivors);
}

static struct error run_refused(struct process_options options, const char *const *command)
{
    struct client_run run;
    struct error error = {.message = ""};
    assert_false(run_with(options, command, &run, &error));
    assert_true(error.could_not_run);
    return error;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static bool has_no_child(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

static void reports_exit_codes(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("exit 0"));
    assert_int_equal(run.exit_code, 0);
    assert_int_equal(run.signal, 0);
    assert_null(run.survivors);
    assert_false(run.timed_out);
    run_free(&run);

    run = run_command(SH("exit 42"));
    assert_int_equal(run.exit_code, 42);
    run_free(&run);
}

static void reports_the_signal_of_a_client_that_died_of_one(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("kill -USR1 $$; sleep 9"));
    assert_int_equal(run.exit_code, -1);
    assert_int_equal(run.signal, SIGUSR1);
    run_free(&run);
}

static void keeps_both_streams_apart(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("echo out; echo err >&2; printf 'a\\0b'"));
    assert_int_equal(run.output_length, 7);
    assert_memory_equal(run.output, "out\na\0b", 8);
    assert_string_equal(run.errors, "err\n");
    assert_int_equal(run.output_bytes, 11);
    run_free(&run);
}

static void measures_on_the_clock_of_the_run(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("sleep 0.1"));
    assert_true(run.started_ns >= 0);
    assert_in_range(run.ended_ns - run.started_ns, 100 * NS_PER_MS, 10 * NS_PER_S);
    run_free(&run);
}

static void names_a_command_that_is_not_found(void **state)
{
    (void)state;
    struct error error = run_refused(defaults, (const char *const[]){"no-such-program", NULL});
    assert_string_equal(error.place, "no-such-program");
    assert_non_null(strstr(error.message, "command not found; install it"));

    error = run_refused(defaults, (const char *const[]){"./no-such-program", NULL});
    assert_non_null(strstr(error.message, "no such file"));

    error = run_refused(defaults, (const char *const[]){"", NULL});
    assert_non_null(strstr(error.message, "command not found"));
}

/* Makes an executable (or not) file; the caller removes it. */
static void write_script(char path[64], const char *text, mode_t mode)
{
    snprintf(path, 64, "%s", "/tmp/test_process_XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

static void says_why_a_file_cannot_be_run(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mode_t mode;
        const char *message;
    } cases[] = {
        {"#!/bin/sh\nexit 0\n", 0644, "not executable; do `chmod +x"},
        {"#!/no/such/interpreter\n", 0755, "interpreter"},
        {"exit 0\n", 0755, "neither a program for this machine nor a script"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64];
        write_script(path, cases[i].text, cases[i].mode);
        struct error error = run_refused(defaults, (const char *const[]){path, NULL});
        unlink(path);
        assert_string_equal(error.place, path);
        assert_non_null(strstr(error.message, cases[i].message));
    }
    struct error error = run_refused(defaults, (const char *const[]){"/tmp", NULL});
    assert_non_null(strstr(error.message, "is a directory"));
}

static void starts_in_the_directory(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.directory = "/usr";
    struct client_run run = run_started(options, (const char *const[]){"pwd", "-P", NULL});
    assert_string_equal(run.output, "/usr\n");
    run_free(&run);

    /* A relative command is seen from there, and so is it in the message. */
    run = run_started(options, (const char *const[]){"bin/env", "true", NULL});
    assert_int_equal(run.exit_code, 0);
    run_free(&run);
    struct error error = run_refused(options, (const char *const[]){"nowhere/env", NULL});
    assert_non_null(strstr(error.message, "seen from /usr"));
}

static void refuses_a_bad_directory(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.directory = "/no/such/directory";
    struct error error = run_refused(options, SH("exit 0"));
    assert_string_equal(error.place, "/no/such/directory");
    assert_non_null(strstr(error.message, "no such directory"));

    options.directory = "/dev/null";
    error = run_refused(options, SH("exit 0"));
    assert_string_equal(error.message, "Not a directory");
}

static void gives_the_environment_and_nothing_else(void **state)
{
    (void)state;
    setenv("TOOMANY_TEST_LEAK", "1", 1);
    struct client_run run = run_command((const char *const[]){"/usr/bin/env", NULL});
    assert_non_null(strstr(run.output, "COLOUR=red\n"));
    assert_null(strstr(run.output, "TOOMANY_TEST_LEAK"));
    assert_non_null(strstr(run.output, "TOOMANY_RUN_"));
    run_free(&run);
}

static void looks_the_command_up_in_the_path_of_the_environment(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.environment = (const char *const[]){"PATH=/no/such::/usr/bin:/bin", NULL};
    struct client_run run = run_started(options, (const char *const[]){"true", NULL});
    assert_int_equal(run.exit_code, 0);
    run_free(&run);

    options.environment = (const char *const[]){"PATH=/no/such", NULL};
    struct error error = run_refused(options, (const char *const[]){"true", NULL});
    assert_non_null(strstr(error.message, "command not found"));

    options.environment = (const char *const[]){NULL};
    run = run_started(options, (const char *const[]){"true", NULL});
    assert_int_equal(run.exit_code, 0);
    run_free(&run);
}

static void gives_dev_null_as_stdin(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("readlink /proc/self/fd/0; cat; echo end"));
    assert_string_equal(run.output, "/dev/null\nend\n");
    run_free(&run);
}

static void gives_no_other_descriptor(void **state)
{
    (void)state;
    int leak = open("/dev/zero", O_RDONLY); /* not close-on-exec */
    struct client_run run = run_command((const char *const[]){"ls", "/proc/self/fd", NULL});
    close(leak);
    assert_string_equal(run.output, "0\n1\n2\n3\n"); /* 3: the directory that it lists */
    run_free(&run);
}

static void resets_signals(void **state)
{
    (void)state;
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    struct client_run run =
        run_command((const char *const[]){"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL});
    signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(run.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    run_free(&run);
}

static void leads_a_session_of_its_own(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("set -- $(cut -d' ' -f5,6 /proc/$$/stat)\n"
                                           "[ $1 = $$ ] && [ $2 = $$ ] && echo leads"));
    assert_string_equal(run.output, "leads\n");
    run_free(&run);
}

static void ends_a_client_at_its_time_out(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.timeout_ns = 200 * NS_PER_MS;
    int64_t before_ns = machine_now();
    struct client_run run = run_started(options, SH("sleep 60; echo late"));
    assert_true(run.timed_out);
    assert_int_equal(run.signal, SIGTERM);
    assert_string_equal(run.output, "");
    assert_true(machine_now() - before_ns < NS_PER_S);
    run_free(&run);
}

static void kills_a_client_that_ignores_sigterm(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.timeout_ns = 200 * NS_PER_MS;
    int64_t before_ns = machine_now();
    struct client_run run =
        run_started(options, SH("trap '' TERM; echo ready; while :; do sleep 1; done"));
    int64_t took_ns = machine_now() - before_ns;
    assert_true(run.timed_out);
    assert_int_equal(run.signal, SIGKILL);
    assert_string_equal(run.output, "ready\n");
    assert_in_range(took_ns, 1200 * NS_PER_MS, 5 * NS_PER_S);
    run_free(&run);
}

static void lets_a_client_clean_up_at_its_time_out(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.timeout_ns = 300 * NS_PER_MS;
    struct client_run run =
        run_started(options, SH("trap 'echo bye; exit 7' TERM; while :; do sleep 0.02; done"));
    assert_true(run.timed_out);
    assert_int_equal(run.exit_code, 7);
    assert_string_equal(run.output, "bye\n");
    run_free(&run);
}

static void keeps_the_first_and_the_last_of_much_output(void **state)
{
    (void)state;
    struct client_run run =
        run_command(SH("echo first; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last"));
    assert_int_equal(run.output_bytes, 1000012);
    const char *line = "\n[... 934476 bytes left out ...]\n";
    assert_int_equal(run.output_length, 2 * EXCERPT_KEEP_BYTES + strlen(line));
    assert_int_equal(strlen(run.output), run.output_length);
    assert_memory_equal(run.output, "first\nx", 7);
    assert_ptr_equal(strstr(run.output, "\n["), run.output + EXCERPT_KEEP_BYTES);
    assert_memory_equal(run.output + EXCERPT_KEEP_BYTES, line, strlen(line));
    assert_string_equal(run.output + run.output_length - 7, "x\nlast\n");
    run_free(&run);
}

/* Every size around the bounds comes out whole. */
static void leaves_nothing_out_that_fits(void **state)
{
    (void)state;
    static const size_t sizes[] = {EXCERPT_KEEP_BYTES - 1, EXCERPT_KEEP_BYTES,
                                   EXCERPT_KEEP_BYTES + 1, 2 * EXCERPT_KEEP_BYTES - 1,
                                   2 * EXCERPT_KEEP_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char script[64];
        snprintf(script, sizeof script, "seq 1 20000 | head -c %zu", sizes[i]);
        struct client_run run = run_command(SH(script));
        assert_int_equal(run.output_length, sizes[i]);
        const char *at = run.output;
        for (unsigned long number = 1; (size_t)(at - run.output) + 8 < sizes[i]; number++) {
            char *end = NULL;
            assert_int_equal(strtoul(at, &end, 10), number);
            at = end + 1;
        }
        run_free(&run);
    }
}

static void ends_a_client_that_writes_too_much(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.output_bytes_max = 4 * 1024 * 1024;
    struct client_run run = run_started(options, (const char *const[]){"yes", NULL});
    assert_true(run.output_exceeded);
    assert_false(run.timed_out);
    assert_int_equal(run.signal, SIGKILL);
    assert_int_equal(run.output_bytes, options.output_bytes_max);
    assert_int_equal(run.output[0], 'y');
    run_free(&run);

    /* Just as much as allowed is not too much. */
    options.output_bytes_max = 1000;
    run = run_started(options, SH("head -c 600 /dev/zero; head -c 400 /dev/zero >&2"));
    assert_false(run.output_exceeded);
    assert_int_equal(run.exit_code, 0);
    run_free(&run);
    run = run_started(options, SH("head -c 600 /dev/zero; head -c 401 /dev/zero >&2"));
    assert_true(run.output_exceeded);
    run_free(&run);
}

/* A client can write and be gone before the first byte was read. */
static void counts_output_that_is_read_after_the_exit(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.output_bytes_max = 10;
    struct client_run run = run_started(options, (const char *const[]){"seq", "9999", NULL});
    assert_true(run.output_exceeded);
    assert_int_equal(run.output_bytes, 10);
    run_free(&run);
}

static void goes_on_when_stdout_is_closed(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("exec >&- 2>&-; sleep 0.1; exit 3"));
    assert_int_equal(run.exit_code, 3);
    assert_string_equal(run.output, "");
    run_free(&run);
}

static void lists_and_kills_a_background_child(void **state)
{
    (void)state;
    int64_t before_ns = machine_now();
    struct client_run run = run_command(SH("sleep 300 & sleep 301 & exit 0"));
    int64_t took_ns = machine_now() - before_ns;
    assert_int_equal(run.exit_code, 0);
    assert_string_equal(run.survivors, "sleep (2)");
    assert_in_range(took_ns, 200 * NS_PER_MS, 3 * NS_PER_S);
    assert_true(run.ended_ns - run.started_ns < 200 * NS_PER_MS);
    assert_true(has_no_child());
    run_free(&run);
}

static void lists_and_kills_a_daemon(void **state)
{
    (void)state;
    /* Double fork, a session of its own, no stdio: only the environment tells where it is from. */
    struct client_run run = run_command(
        SH("(setsid sh -c 'trap \"\" TERM HUP; sleep 300; :' </dev/null >/dev/null 2>&1 &)\n"
           "exit 5"));
    assert_int_equal(run.exit_code, 5);
    assert_string_equal(run.survivors, "sh, sleep");
    assert_true(has_no_child());
    run_free(&run);
}

/* What ends by itself shortly after, as the rest of a pipeline does, is no survivor. */
static void forgives_a_child_that_ends_at_once(void **state)
{
    (void)state;
    struct client_run run = run_command(SH("(sleep 0.05; echo late) & exit 0"));
    assert_null(run.survivors);
    assert_string_equal(run.output, "late\n");
    assert_true(has_no_child());
    run_free(&run);
}

static void kills_survivors_that_keep_writing_and_forking(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.output_bytes_max = 1024 * 1024;
    /* It writes once the client has ended, or too much output would end the client. */
    struct client_run run = run_started(
        options, SH("client=$$; (while :; do sleep 0.001; done) &"
                    "(setsid sh -c \"until grep -q '^State:.Z' /proc/$client/status; do :; done; "
                    "exec yes\" &); exit 0"));
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.survivors, "sh"));
    assert_true(has_no_child());
    run_free(&run);
}

static void kills_the_daemon_of_a_client_that_timed_out(void **state)
{
    (void)state;
    struct process_options options = defaults;
    options.timeout_ns = 300 * NS_PER_MS;
    struct client_run run = run_started(options, SH("setsid sleep 300 & sleep 300"));
    assert_true(run.timed_out);
    assert_string_equal(run.survivors, "sleep");
    assert_true(has_no_child());
    run_free(&run);
}

static void stops_when_told(void **state)
{
    (void)state;
    struct error error;
    struct loop loop;
    assert_true(loop_init(&loop, CLOCK_REAL, &error));
    struct process_options options = defaults;
    options.command = SH("trap '' TERM; echo ready; sleep 300");
    for (int stops = 1; stops <= 2; stops++) {
        struct process process;
        assert_true(process_start(&process, &loop, &options, &error));
        while (process.run.output_bytes == 0)
            loop_turn(&loop, -1);
        int64_t before_ns = machine_now();
        for (int i = 0; i < stops; i++)
            process_stop(&process);
        while (!process.ended)
            loop_turn(&loop, -1);
        process_stop(&process); /* too late to matter */
        assert_false(process.run.timed_out);
        assert_int_equal(process.run.signal, SIGKILL);
        /* SIGKILL after a second, at once when told twice. */
        int64_t took_ns = machine_now() - before_ns;
        assert_true(stops == 1 ? took_ns >= NS_PER_S : took_ns < NS_PER_S);
        process_free(&process);
        run_free(&process.run);
    }
    loop_free(&loop);
}

static void frees_a_client_that_still_runs(void **state)
{
    (void)state;
    struct error error;
    struct loop loop;
    assert_true(loop_init(&loop, CLOCK_REAL, &error));
    struct process_options options = defaults;
    options.command = SH("echo ready; setsid sleep 300 & sleep 300");
    struct process process;
    assert_true(process_start(&process, &loop, &options, &error));
    while (process.run.output_bytes == 0)
        loop_turn(&loop, -1);
    poll(NULL, 0, 50);
    process_free(&process);
    assert_int_equal(process.run.signal, SIGKILL);
    assert_string_equal(process.run.output, "ready\n");
    assert_non_null(strstr(process.run.survivors, "sleep"));
    run_free(&process.run);
    loop_free(&loop);
    assert_true(has_no_child());
}

enum { THREADS = 4, RUNS_PER_THREAD = 40 };

/* Different ends side by side, none of which may disturb another. */
static void *run_many(void *argument)
{
    size_t *wrong = argument;
    for (int i = 0; i < RUNS_PER_THREAD; i++) {
        char script[200];
        int code = i % 50;
        snprintf(script, sizeof script, "%s echo out %d; exit %d",
                 i % 8 == 0
                     ? "(setsid sleep 300 >/dev/null 2>&1 & until read -r name </proc/$!/comm "
                       "&& [ $name = sleep ]; do :; done);"
                     : "",
                 i, code);
        char expected[32];
        snprintf(expected, sizeof expected, "out %d\n", i);
        struct client_run run;
        struct error error;
        if (!run_with(defaults, SH(script), &run, &error)) {
            ++*wrong;
            continue;
        }
        bool is_right = run.exit_code == code && strcmp(run.output, expected) == 0 &&
                        (i % 8 == 0 ? run.survivors != NULL && strcmp(run.survivors, "sleep") == 0
                                    : run.survivors == NULL);
        if (!is_right) {
            print_error("run %d: exit %d signal %d output '%s' survivors '%s'\n", i, run.exit_code,
                        run.signal, run.output, run.survivors != NULL ? run.survivors : "");
            ++*wrong;
        }
        run_free(&run);
    }
    return NULL;
}

static void runs_many_from_several_threads_and_leaks_nothing(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    pthread_t threads[THREADS];
    size_t wrong[THREADS] = {0};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &wrong[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
    assert_int_equal(count_descriptors(), before);
    assert_true(has_no_child());
}

static void leaks_nothing_when_it_cannot_start(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    for (int i = 0; i < 20; i++)
        run_refused(defaults, (const char *const[]){"no-such-program", NULL});
    assert_int_equal(count_descriptors(), before);
    assert_true(has_no_child());
}

/* Whatever is the first thing that cannot be had, the start fails whole, or does not fail. */
static void fails_whole_when_descriptors_run_out(void **state)
{
    (void)state;
    struct error error;
    struct loop loop;
    assert_true(loop_init(&loop, CLOCK_REAL, &error));
    struct process_options options = defaults;
    options.command = SH("exit 0");
    size_t before = count_descriptors();
    struct rlimit usual;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    size_t refusals = 0;
    bool is_started = false;
    for (rlim_t limit = 3; limit < 40 && !is_started; limit++) {
        struct rlimit tight = {.rlim_cur = limit, .rlim_max = usual.rlim_max};
        struct process process;
        error.message[0] = '\0';
        setrlimit(RLIMIT_NOFILE, &tight);
        is_started = process_start(&process, &loop, &options, &error);
        setrlimit(RLIMIT_NOFILE, &usual);
        if (is_started) {
            while (!process.ended)
                loop_turn(&loop, -1);
            assert_int_equal(process.run.exit_code, 0);
            process_free(&process);
            run_free(&process.run);
        } else {
            refusals++;
            assert_true(error.could_not_run);
            assert_non_null(strstr(error.message, "Too many open files"));
        }
        assert_int_equal(count_descriptors(), before);
        assert_true(has_no_child());
    }
    loop_free(&loop);
    assert_true(is_started);
    assert_true(refusals > 4);
}

static void says_that_arguments_are_too_long(void **state)
{
    (void)state;
    enum { LENGTH = 4 * 1024 * 1024 };
    char *argument = malloc(LENGTH + 1);
    memset(argument, 'x', LENGTH);
    argument[LENGTH] = '\0';
    struct error error = run_refused(defaults, (const char *const[]){"true", argument, NULL});
    assert_non_null(strstr(error.message, "too long together"));
    free(argument);
}

/* Names come from strangers: they must not be able to draw on a terminal. */
static void cleans_the_names_of_survivors(void **state)
{
    (void)state;
    struct client_run run =
        run_command(SH("(printf 'a) (\\033[1m' > /proc/self/comm; while :; do :; done) & exit 0"));
    assert_non_null(run.survivors);
    assert_null(strchr(run.survivors, '\033'));
    run_free(&run);
}

/* A program may be started with its standard descriptors closed. */
static void works_without_standard_descriptors_of_its_own(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        struct client_run run;
        struct error error;
        bool is_right = run_with(defaults, SH("echo out; echo err >&2; cat"), &run, &error) &&
                        run.exit_code == 0 && strcmp(run.output, "out\n") == 0 &&
                        strcmp(run.errors, "err\n") == 0;
        _exit(is_right ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A harness that is killed leaves no client behind. */
static void dies_with_its_harness(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t harness = fork();
    if (harness == 0) {
        struct error error;
        struct loop loop;
        struct process process;
        struct process_options options = defaults;
        options.command = (const char *const[]){"sleep", "300", NULL};
        if (loop_init(&loop, CLOCK_REAL, &error) &&
            process_start(&process, &loop, &options, &error) &&
            write(ends[1], &process.pid, sizeof process.pid) > 0)
            pause();
        _exit(1);
    }
    pid_t client = 0;
    assert_int_equal(read(ends[0], &client, sizeof client), sizeof client);
    assert_int_equal(kill(client, 0), 0);
    kill(harness, SIGKILL);
    assert_int_equal(waitpid(harness, NULL, 0), harness);
    int status = 0;
    assert_int_equal(waitpid(client, &status, 0), client); /* an orphan, adopted */
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    close(ends[1]);
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN); /* as a careless parent may hand down */
    process_adopt_orphans();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_exit_codes),
        cmocka_unit_test(reports_the_signal_of_a_client_that_died_of_one),
        cmocka_unit_test(keeps_both_streams_apart),
        cmocka_unit_test(measures_on_the_clock_of_the_run),
        cmocka_unit_test(names_a_command_that_is_not_found),
        cmocka_unit_test(says_why_a_file_cannot_be_run),
        cmocka_unit_test(starts_in_the_directory),
        cmocka_unit_test(refuses_a_bad_directory),
        cmocka_unit_test(gives_the_environment_and_nothing_else),
        cmocka_unit_test(looks_the_command_up_in_the_path_of_the_environment),
        cmocka_unit_test(gives_dev_null_as_stdin),
        cmocka_unit_test(gives_no_other_descriptor),
        cmocka_unit_test(resets_signals),
        cmocka_unit_test(leads_a_session_of_its_own),
        cmocka_unit_test(ends_a_client_at_its_time_out),
        cmocka_unit_test(kills_a_client_that_ignores_sigterm),
        cmocka_unit_test(lets_a_client_clean_up_at_its_time_out),
        cmocka_unit_test(keeps_the_first_and_the_last_of_much_output),
        cmocka_unit_test(leaves_nothing_out_that_fits),
        cmocka_unit_test(ends_a_client_that_writes_too_much),
        cmocka_unit_test(counts_output_that_is_read_after_the_exit),
        cmocka_unit_test(goes_on_when_stdout_is_closed),
        cmocka_unit_test(lists_and_kills_a_background_child),
        cmocka_unit_test(lists_and_kills_a_daemon),
        cmocka_unit_test(forgives_a_child_that_ends_at_once),
        cmocka_unit_test(kills_survivors_that_keep_writing_and_forking),
        cmocka_unit_test(kills_the_daemon_of_a_client_that_timed_out),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(frees_a_client_that_still_runs),
        cmocka_unit_test(runs_many_from_several_threads_and_leaks_nothing),
        cmocka_unit_test(leaks_nothing_when_it_cannot_start),
        cmocka_unit_test(fails_whole_when_descriptors_run_out),
        cmocka_unit_test(says_that_arguments_are_too_long),
        cmocka_unit_test(cleans_the_names_of_survivors),
        cmocka_unit_test(works_without_standard_descriptors_of_its_own),
        cmocka_unit_test(dies_with_its_harness),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
