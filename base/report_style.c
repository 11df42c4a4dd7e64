#include "base/report_style.h"

#include "base/text_line.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80 };

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
