#include "harness/report.h"

#include "harness/text_line.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct report_kind kinds[] = {
    {"text", report_text}, {"json", report_json}, {"junit", report_junit},
    {"tap", report_tap},   {"html", report_html}, {"github", report_github},
};

enum {
    KIND_COUNT = sizeof kinds / sizeof kinds[0],
    COLUMNS_DEFAULT = 80,
    TEMPORARY_TRIES_MAX = 100,
};

const struct report_kind *report_find(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const char *report_kind_names(void)
{
    return "text, json, junit, tap, html, github";
}

/* COLUMNS wins over the terminal, so that a log can be had in the width one wants. */
static int columns_of(int fd)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long width = columns != NULL ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width <= 0)
        return COLUMNS_DEFAULT;
    if (width < TEXT_LINE_COLUMNS_MIN)
        return TEXT_LINE_COLUMNS_MIN;
    return width > TEXT_LINE_COLUMNS_MAX ? TEXT_LINE_COLUMNS_MAX : (int)width;
}

struct report_style report_style_for(FILE *stream)
{
    const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org: present and not empty */
    const char *terminal = getenv("TERM");
    int fd = stream != NULL ? fileno(stream) : -1;
    bool is_dumb = terminal != NULL && strcmp(terminal, "dumb") == 0;
    return (struct report_style){
        .colour = fd >= 0 && isatty(fd) && !is_dumb && (no_colour == NULL || no_colour[0] == '\0'),
        .unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .width = columns_of(fd),
    };
}

static bool fail(struct error *error, const char *path, int number)
{
    return error_set_run(error, path, "the report could not be written: %s", strerror(number));
}

/* Writes, and closes the stream if it is not stdout. Every byte is on its way to the disk when this
 * returns true: what a full disk refuses may come to light only at the sync or the close. */
static bool write_and_close(const struct report_kind *kind, const struct results *results,
                            FILE *stream, bool sync, const char *path, struct error *error)
{
    struct report_style style = report_style_for(stream);
    errno = 0;
    bool done = kind->write(results, &style, stream) && fflush(stream) == 0 && !ferror(stream);
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

static bool replace_file(const struct report_kind *kind, const struct results *results,
                         const char *path, const struct stat *replaced, struct error *error)
{
    char *temporary = NULL;
    FILE *stream = open_temporary(path, replaced, &temporary);
    if (stream == NULL)
        return fail(error, path, errno);
    bool done = write_and_close(kind, results, stream, true, path, error);
    if (done && rename(temporary, path) != 0)
        done = fail(error, path, errno);
    if (!done)
        unlink(temporary);
    free(temporary);
    return done;
}

bool report_to_path(const struct report_kind *kind, const struct results *results, const char *path,
                    struct error *error)
{
    if (path == NULL || strcmp(path, "-") == 0)
        return write_and_close(kind, results, stdout, false, "stdout", error);
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode))
        return fail(error, path, EISDIR);
    if (exists && !S_ISREG(status.st_mode)) { /* a device or a pipe cannot be replaced */
        FILE *stream = fopen(path, "we");
        return stream != NULL ? write_and_close(kind, results, stream, false, path, error)
                              : fail(error, path, errno);
    }
    /* A link stays a link: what it leads to is replaced. */
    char *target = exists ? realpath(path, NULL) : NULL;
    bool done =
        replace_file(kind, results, target != NULL ? target : path, exists ? &status : NULL, error);
    free(target);
    return done;
}
