#include "harness/launch.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const variables[] = {"A=1", "B=2", NULL};

static const char *put(const char *name, const char *text, mode_t mode)
{
    const char *path = in_folder(name);
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

/* --- what is made ready before the fork ------------------------------------------------------- */

/* Bug: the tag, by which what is left behind is found, is lost or after one of the same name; the
 * caller's lists are changed. */
static void the_tag_is_the_first_variable(void **state)
{
    (void)state;
    const char *const command[] = {"prog", "a", "", NULL};
    struct launch launch;
    launch_init(&launch, &(struct launch_options){
                             .command = command, .environment = variables, .tag = "T=0"});
    assert_string_equal(launch.environment[0], "T=0");
    assert_string_equal(launch.environment[1], "A=1");
    assert_string_equal(launch.environment[2], "B=2");
    assert_null(launch.environment[3]);
    assert_string_equal(launch.arguments[0], "prog");
    assert_string_equal(launch.arguments[2], "");
    assert_null(launch.arguments[3]);
    assert_int_equal(launch.parent, getpid());
    launch_free(&launch);
    launch_init(&launch, &(struct launch_options){.command = command, .environment = variables});
    assert_string_equal(launch.environment[0], "A=1");
    assert_null(launch.environment[2]);
    launch_free(&launch);
}

/* Bug: another program runs than the one that a shell would start: PATH's empty parts are the
 * current directory (POSIX), a name with a '/' is not looked up. */
static void candidates_are_those_of_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *program;
        const char *path;
        const char *candidates[5];
    } cases[] = {
        {"prog", "/a:/b/c", {"/a/prog", "/b/c/prog"}},
        {"prog", "/a/:b", {"/a//prog", "b/prog"}},
        {"prog", "", {"./prog"}},
        {"prog", ":/a", {"./prog", "/a/prog"}},
        {"prog", "/a:", {"/a/prog", "./prog"}},
        {"prog", "/a::/b", {"/a/prog", "./prog", "/b/prog"}},
        {"prog", NULL, {"/usr/local/bin/prog", "/usr/bin/prog", "/bin/prog"}},
        {"./prog", "/a:/b", {"./prog"}},
        {"sub/prog", "/a:/b", {"sub/prog"}},
        {"/prog", NULL, {"/prog"}},
        {"", "/a:/b", {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const command[] = {cases[i].program, NULL};
        struct launch launch;
        launch_init(&launch, &(struct launch_options){.command = command,
                                                      .environment = variables,
                                                      .path = cases[i].path});
        size_t count = 0;
        for (; cases[i].candidates[count] != NULL; count++) {
            assert_non_null(launch.candidates[count]);
            assert_string_equal(launch.candidates[count], cases[i].candidates[count]);
        }
        assert_null(launch.candidates[count]);
        launch_free(&launch);
    }
}

/* --- why it does not start -------------------------------------------------------------------- */

/* Forks and reads what the child says of why it did not become the client. */
static struct launch_failure failure_of(struct launch *launch)
{
    int ends[2];
    struct launch_failure failure = {.error_number = -1};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    launch->failure_fd = ends[1];
    launch->output_fds[0] = launch->output_fds[1] = null;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        launch_become_client(launch);
    close(ends[1]);
    ssize_t got = read(ends[0], &failure, sizeof failure);
    assert_true(got == 0 || got == (ssize_t)sizeof failure);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(got == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127));
    close(ends[0]);
    close(null);
    return failure;
}

static void explained(const char *program, const char *path, const char *directory,
                      const char *place, const char *says)
{
    const char *const command[] = {program, NULL};
    struct launch launch;
    struct error error = {0};
    launch_init(&launch, &(struct launch_options){.command = command,
                                                  .environment = variables,
                                                  .path = path,
                                                  .directory = directory});
    struct launch_failure failure = failure_of(&launch);
    if (failure.error_number < 0)
        fail_msg("%s starts", program);
    launch_explain(&launch, failure, &error);
    if (strcmp(error.place, place) != 0 || strstr(error.message, says) == NULL)
        fail_msg("%s: found \"%s: %s\", wanted \"%s: %s\"", program, error.place, error.message,
                 place, says);
    assert_true(error.could_not_run);
    launch_free(&launch);
}

/* Bug: whoever sees the message mends the wrong thing: the file is there, but its interpreter is
 * not; or it is a directory, or not executable. */
static void each_failure_names_its_remedy(void **state)
{
    (void)state;
    const char *plain = put("plain", "#!/bin/sh\n", 0644);
    explained(plain, NULL, NULL, plain, "not executable; do `chmod +x ");
    const char *lost = put("lost", "#!/no/such/interpreter\n", 0755);
    explained(lost, NULL, NULL, lost, "the interpreter that its first line (#!) names");
    const char *text = put("text", "no first line\n", 0755);
    explained(text, NULL, NULL, text, "neither a program for this machine nor a script");
    explained(folder, NULL, NULL, folder, "is a directory, wanted a program");
    explained("/no/such/prog", NULL, NULL, "/no/such/prog", "no such file; give its path");
    explained("no-such-prog", "/bin", NULL, "no-such-prog", "command not found; install it");
    explained("", "/bin", NULL, "", "command not found");
    put("file", "x", 0644);
    const char *below = in_folder("file/below");
    explained(below, NULL, NULL, below, "no such file");
}

/* Bug: a relative path is looked at from here, not from where the client is started. */
static void relative_paths_are_seen_from_the_directory(void **state)
{
    (void)state;
    put("here", "#!/bin/sh\n", 0644);
    explained("./here", NULL, folder, "./here", "not executable");
    explained("./gone", NULL, folder, "./gone", ", seen from /tmp/toomany-unit-");
    explained("./gone", NULL, NULL, "./gone", "no such file; give its path");
    explained("here", ".", folder, "./here", "not executable"); /* found in PATH */
    explained("true", NULL, "/no/such/folder", "/no/such/folder", "no such directory; a client");
    explained("true", NULL, "/dev/null", "/dev/null", strerror(ENOTDIR));
}

/* Bug: the search ends at the first file that may not be run, or what was wrong with it is
 * forgotten when none is found after it (execvp remembers EACCES). */
static void one_that_may_not_be_run_is_remembered(void **state)
{
    (void)state;
    char path[240];
    const char *const command[] = {"prog", NULL};
    struct launch launch;
    assert_int_equal(mkdir(in_folder("first"), 0755), 0);
    assert_int_equal(mkdir(in_folder("second"), 0755), 0);
    put("first/prog", "#!/bin/sh\n", 0644);
    put("file", "x", 0644);
    snprintf(path, sizeof path, "/no/such:%s/first:%s/file:%s/second", folder, folder, folder);
    explained("prog", path, NULL, in_folder("first/prog"), "not executable");
    put("second/prog", "#!/bin/sh\n", 0755);
    launch_init(&launch, &(struct launch_options){
                             .command = command, .environment = variables, .path = path});
    assert_int_equal(failure_of(&launch).error_number, -1); /* the second one runs */
    launch_free(&launch);
    put("second/prog", "no first line\n", 0755);
    explained("prog", path, NULL, in_folder("second/prog"), "neither a program");
}

/* What only a bad moment brings. */
static void other_failures_are_told_by_their_step(void **state)
{
    (void)state;
    static const struct {
        struct launch_failure failure;
        const char *place;
        const char *says;
    } cases[] = {
        {{LAUNCH_STREAMS, EMFILE, 0}, "/dev/null", "ulimit -n"},
        {{LAUNCH_CARRIER, EPERM, 0}, "/bin/true", "use --time real"},
        {{LAUNCH_EXEC, E2BIG, 0}, "/bin/true", "the arguments and the environment are too long"},
        {{LAUNCH_EXEC, ENOMEM, 0}, "/bin/true", "cannot be started: "},
        {{LAUNCH_EXEC, ETXTBSY, 0}, "/bin/true", "cannot be started: "},
    };
    const char *const command[] = {"/bin/true", NULL};
    struct launch launch;
    launch_init(&launch, &(struct launch_options){.command = command, .environment = variables});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};
        launch_explain(&launch, cases[i].failure, &error);
        assert_string_equal(error.place, cases[i].place);
        if (strstr(error.message, cases[i].says) == NULL)
            fail_msg("found \"%s\", wanted \"%s\"", error.message, cases[i].says);
    }
    launch_free(&launch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tag_is_the_first_variable),
        cmocka_unit_test(candidates_are_those_of_the_path),
        cmocka_unit_test(each_failure_names_its_remedy),
        cmocka_unit_test(relative_paths_are_seen_from_the_directory),
        cmocka_unit_test(one_that_may_not_be_run_is_remembered),
        cmocka_unit_test(other_failures_are_told_by_their_step),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
