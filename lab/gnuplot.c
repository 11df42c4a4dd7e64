#include "lab/gnuplot.h"

#include "base/escape.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPLAINT_SIZE = 400, COPY_SIZE = 16384 };

/* Files in memory for what goes in and comes out: no pipe can fill up while nobody reads. */
struct session {
    int input;
    int output;
    int complaints;
};

static bool session_open(struct session *session, struct error *error)
{
    session->input = memfd_create("gnuplot-script", MFD_CLOEXEC);
    session->output = memfd_create("gnuplot-output", MFD_CLOEXEC);
    session->complaints = memfd_create("gnuplot-complaints", MFD_CLOEXEC);
    if (session->input >= 0 && session->output >= 0 && session->complaints >= 0)
        return true;
    return error_set_run(error, "gnuplot", "%s", strerror(errno));
}

static void session_close(const struct session *session)
{
    const int all[] = {session->input, session->output, session->complaints};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] >= 0)
            close(all[i]);
    }
}

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno != EINTR)
            return false;
        text += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

/* We ignore SIGPIPE, which programs that we start should not. */
static int spawn(const struct session *session, char *const arguments[], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, session->input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, session->output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, session->complaints, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int number = posix_spawnp(pid, arguments[0], &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return number;
}

/* The first lines of what it said, as one. */
static bool complain(int fd, int status, struct error *error)
{
    char said[COMPLAINT_SIZE];
    ssize_t length = pread(fd, said, sizeof said - 1, 0);
    while (length > 0 && strchr(" \n", said[length - 1]) != NULL)
        length--;
    char *shown = escape_terminal(said, length > 0 ? (size_t)length : 0, true);
    error_set_run(error, "gnuplot", "it ended with %s %d: %s",
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                  shown != NULL && shown[0] != '\0' ? shown : "no message");
    free(shown);
    return false;
}

static bool run(const struct session *session, char *const arguments[], struct error *error)
{
    pid_t pid = -1;
    int status = 0;
    int number = spawn(session, arguments, &pid);
    if (number == ENOENT)
        return error_set_run(error, "gnuplot",
                             "not found, and it draws the plots of svg, png and html; install it "
                             "(Debian, Ubuntu: gnuplot-nox; Fedora, Arch: gnuplot), or ask for "
                             "table, csv or json");
    if (number != 0)
        return error_set_run(error, "gnuplot", "could not be started: %s", strerror(number));
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_set_run(error, "gnuplot", "%s", strerror(errno));
    }
    return status == 0 || complain(session->complaints, status, error);
}

static bool copy(int fd, FILE *stream, struct error *error)
{
    char bytes[COPY_SIZE];
    ssize_t length;
    for (off_t at = 0; (length = pread(fd, bytes, sizeof bytes, at)) > 0; at += length)
        fwrite(bytes, 1, (size_t)length, stream);
    if (length == 0 && !ferror(stream))
        return true;
    return error_set_run(error, "gnuplot", "its drawing could not be copied: %s", strerror(errno));
}

bool gnuplot_run(const char *script, size_t length, FILE *stream, struct error *error)
{
    static char name[] = "gnuplot";
    static char settings[] = "--default-settings";
    static char input[] = "-";
    char *const arguments[] = {name, settings, input, NULL};
    struct session session;
    bool done = session_open(&session, error);
    if (done && !write_all(session.input, script, length))
        done = error_set_run(error, "gnuplot", "%s", strerror(errno));
    done = done && run(&session, arguments, error) && copy(session.output, stream, error);
    session_close(&session);
    return done;
}

bool gnuplot_is_there(struct error *error)
{
    static char name[] = "gnuplot";
    static char version[] = "--version";
    char *const arguments[] = {name, version, NULL};
    struct session session;
    bool is_there = session_open(&session, error) && run(&session, arguments, error);
    session_close(&session);
    return is_there;
}

void gnuplot_put_text(FILE *script, const char *text, bool is_tic)
{
    char *line = escape_terminal(text, strlen(text), true);
    bool was_escaped = false;
    fputc('"', script);
    for (const char *at = line; at != NULL && *at != '\0'; at++) {
        /* A digit behind a character in octal would be taken for one more of its digits. */
        bool is_special = strchr("\"\\`", *at) != NULL;
        was_escaped = is_special || (was_escaped && isdigit((unsigned char)*at));
        if (was_escaped)
            fprintf(script, "\\%03o", (unsigned)(unsigned char)*at);
        else
            fputc(*at, script);
        if (*at == '%' && is_tic)
            fputc('%', script);
    }
    fputc('"', script);
    free(line);
}
