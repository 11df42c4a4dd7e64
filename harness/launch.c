#include "harness/launch.h"

#include "base/must_have.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

static void *keep(void *memory)
{
    return must_have(memory, "a client's command");
}

/* ---- in the child: nothing here may call what is not async-signal-safe ---- */

_Noreturn static void launch_fail(const struct launch *launch, struct launch_failure failure)
{
    ssize_t written = write(launch->failure_fd, &failure, sizeof failure);
    (void)written; /* without it the parent sees a client that exits with 127 */
    _exit(127);
}

static void child_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* fails, rightly, for SIGKILL and SIGSTOP */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool child_set_streams(const struct launch *launch)
{
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd < 0 || (null_fd != STDIN_FILENO && dup2(null_fd, STDIN_FILENO) < 0))
        return false;
    if (null_fd != STDIN_FILENO)
        close(null_fd);
    if (dup2(launch->output_fds[0], STDOUT_FILENO) < 0 ||
        dup2(launch->output_fds[1], STDERR_FILENO) < 0)
        return false;
#ifdef SYS_close_range
    /* Ours are all close-on-exec; this is for those that our parent or a library opened. It is
     * no loss where the kernel (before 5.11) does not know the flag (4, CLOSE_RANGE_CLOEXEC). */
    syscall(SYS_close_range, 3U, ~0U, 4U);
#endif
    return true;
}

/* Tries the candidates as execvp does: one that is not there is passed over, one that may not be
 * run is remembered, everything else ends the search. */
static struct launch_failure child_exec(const struct launch *launch)
{
    struct launch_failure failure = {.step = LAUNCH_EXEC, .error_number = ENOENT};
    for (size_t i = 0; launch->candidates[i] != NULL; i++) {
        execve(launch->candidates[i], launch->arguments, launch->environment);
        if (errno == ENOENT || errno == ENOTDIR)
            continue;
        failure.error_number = errno;
        failure.candidate = i;
        if (errno != EACCES)
            break;
    }
    return failure;
}

_Noreturn void launch_become_client(const struct launch *launch)
{
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launch->parent)
        _exit(127); /* it ended before it could have sent us the signal */
    if (!child_set_streams(launch))
        launch_fail(launch, (struct launch_failure){LAUNCH_STREAMS, errno, 0});
    if (launch->directory != NULL && chdir(launch->directory) != 0)
        launch_fail(launch, (struct launch_failure){LAUNCH_DIRECTORY, errno, 0});
    child_reset_signals();
    if (launch->carrier != NULL && !carrier_enter(launch->carrier))
        launch_fail(launch, (struct launch_failure){LAUNCH_CARRIER, errno, 0});
    launch_fail(launch, child_exec(launch));
}

/* ---- in the parent ---- */

/* The list with `first` (NULL: nothing) before it. The strings stay the caller's; execve wants
 * them without const and does not write to them, hence the copy by memory. */
static char **copy_list(const char *const *list, const char *first)
{
    size_t count = 0;
    while (list[count] != NULL)
        count++;
    size_t before = first != NULL ? 1 : 0;
    char **copy = keep(calloc(before + count + 1, sizeof *copy));
    memcpy(copy, &first, before * sizeof *copy);
    memcpy(copy + before, list, count * sizeof *copy);
    return copy;
}

static char **list_candidates(const char *program, const char *path)
{
    bool is_path = strchr(program, '/') != NULL;
    if (path == NULL)
        path = PATH_DEFAULT;
    size_t count = 1;
    for (const char *c = path; *c != '\0'; c++)
        count += *c == ':';
    char **candidates = keep(calloc(count + 1, sizeof *candidates));
    if (is_path) {
        candidates[0] = keep(strdup(program));
        return candidates;
    }
    for (size_t i = 0; i < count && program[0] != '\0'; i++) {
        int length = (int)strcspn(path, ":");
        char *candidate = NULL;
        const char *between = length > 0 ? "/" : "./";
        if (asprintf(&candidate, "%.*s%s%s", length, path, between, program) < 0)
            candidate = NULL;
        candidates[i] = keep(candidate);
        path += length + 1;
    }
    return candidates;
}

void launch_init(struct launch *launch, const struct launch_options *options)
{
    *launch = (struct launch){
        .arguments = copy_list(options->command, NULL),
        .environment = copy_list(options->environment, options->tag),
        .candidates = list_candidates(options->command[0], options->path),
        .directory = options->directory,
        .parent = getpid(),
        .carrier = options->carrier,
        .output_fds = {-1, -1},
    };
}

void launch_free(struct launch *launch)
{
    for (size_t i = 0; launch->candidates[i] != NULL; i++)
        free(launch->candidates[i]);
    free(launch->candidates);
    free(launch->arguments);
    free(launch->environment);
}

/* Says why the program at `path`, which was found or named with a '/', does not start. */
static void explain_program(const char *path, const char *directory, int error_number,
                            struct error *error)
{
    char seen[4096];
    bool is_relative = path[0] != '/' && directory != NULL;
    snprintf(seen, sizeof seen, "%s%s%s", is_relative ? directory : "", is_relative ? "/" : "",
             path);
    struct stat status;
    bool is_there = stat(seen, &status) == 0;
    if (!is_there && (error_number == ENOENT || error_number == ENOTDIR))
        error_set_run(error, path,
                      "no such file%s%s; give its path as seen from there, or a "
                      "command that is in PATH",
                      is_relative ? ", seen from " : "", is_relative ? directory : "");
    else if (is_there && S_ISDIR(status.st_mode))
        error_set_run(error, path, "is a directory, wanted a program");
    else if (is_there && error_number == ENOENT)
        error_set_run(error, path,
                      "the interpreter that its first line (#!) names, or its loader, "
                      "is not there; install that or correct the line");
    else if (is_there && error_number == EACCES)
        error_set_run(error, path,
                      "not executable; do `chmod +x %s`, or name its interpreter "
                      "first (\"python3\", \"%s\")",
                      path, path);
    else if (error_number == ENOEXEC)
        error_set_run(error, path,
                      "neither a program for this machine nor a script with a first "
                      "line #!; name its interpreter first (\"sh\", \"%s\")",
                      path);
    else
        error_set_run(error, path, "cannot be started: %s", strerror(error_number));
}

void launch_explain(const struct launch *launch, struct launch_failure failure, struct error *error)
{
    const char *program = launch->arguments[0];
    bool is_lost = failure.error_number == ENOENT || failure.error_number == ENOTDIR;
    if (failure.step == LAUNCH_CARRIER)
        error_set_run(error, program, "cannot be carried into virtual time: %s; use --time real",
                      strerror(failure.error_number));
    else if (failure.step == LAUNCH_STREAMS)
        error_set_run(error, "/dev/null", "%s%s", strerror(failure.error_number),
                      error_remedy(failure.error_number));
    else if (failure.step == LAUNCH_DIRECTORY)
        error_set_run(error, launch->directory, "%s",
                      failure.error_number == ENOENT ? "no such directory; a client is to be "
                                                       "started there"
                                                     : strerror(failure.error_number));
    else if (failure.error_number == E2BIG)
        error_set_run(error, program, "the arguments and the environment are too long together");
    else if (is_lost && strchr(program, '/') == NULL)
        error_set_run(error, program,
                      "command not found; install it, or name it with its path if "
                      "it is not in PATH");
    else
        explain_program(launch->candidates[failure.candidate], launch->directory,
                        failure.error_number, error);
}
