#include "base/report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_TRIES_MAX = 100 };

static bool fail(struct error *error, const char *path, int number)
{
    return error_set_run(error, path, "the report could not be written: %s%s", strerror(number),
                         number == ENOENT ? "; make its folder first" : "");
}

/* Writes, and closes the stream if it is not stdout. Every byte is on its way to the disk when this
 * returns true: what a full disk refuses may come to light only at the sync or the close. */
static bool write_and_close(report_file_writer *write, void *owner, FILE *stream, bool sync,
                            const char *path, struct error *error)
{
    errno = 0;
    bool done = write(owner, stream) && fflush(stream) == 0 && !ferror(stream);
    done = done && (!sync || fsync(fileno(stream)) == 0);
    int number = done ? 0 : errno;
    if (stream != stdout && fclose(stream) != 0 && done) {
        done = false;
        number = errno;
    }
    return done || fail(error, path, number != 0 ? number : EIO);
}

/* Opens a new file beside `path`, with the mode that a new file or the replaced one has. */
static FILE *open_temporary(const char *path, const struct stat *replaced, char **temporary)
{
    for (int i = 0; i < TEMPORARY_TRIES_MAX; i++) {
        if (asprintf(temporary, "%s.%ld-%d.tmp", path, (long)getpid(), i) < 0) {
            *temporary = NULL;
            return NULL;
        }
        int fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (stream != NULL) {
            if (replaced != NULL && fchmod(fd, replaced->st_mode & 0777) != 0)
                errno = 0; /* another owner's file: the report keeps the mode of a new one */
            return stream;
        }
        int number = errno;
        if (fd >= 0) {
            close(fd);
            unlink(*temporary);
        }
        free(*temporary);
        *temporary = NULL;
        errno = number;
        if (number != EEXIST)
            return NULL;
    }
    return NULL;
}

static bool replace_file(report_file_writer *write, void *owner, const char *path,
                         const struct stat *replaced, struct error *error)
{
    char *temporary = NULL;
    FILE *stream = open_temporary(path, replaced, &temporary);
    if (stream == NULL)
        return fail(error, path, errno);
    bool done = write_and_close(write, owner, stream, true, path, error);
    if (done && rename(temporary, path) != 0)
        done = fail(error, path, errno);
    if (!done)
        unlink(temporary);
    free(temporary);
    return done;
}

/* Where a link leads that leads nowhere yet; NULL where `path` is none, or memory is out. */
static char *link_target(const char *path)
{
    char target[PATH_MAX];
    char *whole = NULL;
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return NULL;
    target[length] = '\0';
    const char *slash = strrchr(path, '/');
    bool is_beside = target[0] != '/' && slash != NULL;
    if (asprintf(&whole, "%.*s%s", is_beside ? (int)(slash + 1 - path) : 0, path, target) < 0)
        return NULL;
    return whole;
}

static bool is_stdout(const char *path)
{
    return path == NULL || strcmp(path, "-") == 0;
}

bool report_file_check(const char *path, struct error *error)
{
    struct stat status;
    if (is_stdout(path))
        return true;
    bool exists = stat(path, &status) == 0;
    if (!exists && errno != ENOENT)
        return fail(error, path, errno);
    if (exists && S_ISDIR(status.st_mode))
        return fail(error, path, EISDIR);
    if (exists && !S_ISREG(status.st_mode))
        return true; /* a device or a pipe */
    char *target = exists ? realpath(path, NULL) : link_target(path);
    const char *written = target != NULL ? target : path;
    char *copy = strdup(written);
    errno = ENOMEM;
    bool may = copy != NULL && access(dirname(copy), W_OK | X_OK) == 0;
    if (!may)
        fail(error, written, errno);
    free(copy);
    free(target);
    return may;
}

bool report_file_write(const char *path, report_file_writer *write, void *owner,
                       struct error *error)
{
    if (is_stdout(path))
        return write_and_close(write, owner, stdout, false, "stdout", error);
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (!exists && errno == ELOOP)
        return fail(error, path, errno);
    if (exists && S_ISDIR(status.st_mode))
        return fail(error, path, EISDIR);
    if (exists && !S_ISREG(status.st_mode)) { /* a device or a pipe cannot be replaced */
        FILE *stream = fopen(path, "we");
        return stream != NULL ? write_and_close(write, owner, stream, false, path, error)
                              : fail(error, path, errno);
    }
    /* A link stays a link: what it leads to is replaced. */
    char *target = exists ? realpath(path, NULL) : link_target(path);
    bool done =
        replace_file(write, owner, target != NULL ? target : path, exists ? &status : NULL, error);
    free(target);
    return done;
}
