#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static bool error_fill(struct error *error,
                                                             bool could_not_run, const char *place,
                                                             const char *format, va_list arguments)
{
    if (error == NULL)
        return false;
    snprintf(error->place, sizeof error->place, "%s", place != NULL ? place : "");
    vsnprintf(error->message, sizeof error->message, format, arguments);
    error->could_not_run = could_not_run;
    return false;
}

bool error_set(struct error *error, const char *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_fill(error, false, place, format, arguments);
    va_end(arguments);
    return false;
}

bool error_set_run(struct error *error, const char *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_fill(error, true, place, format, arguments);
    va_end(arguments);
    return false;
}

const char *error_remedy(int error_number)
{
    switch (error_number) {
    case EMFILE:
        return "; raise `ulimit -n`";
    case ENFILE:
        return "; the machine has no more open files: end other programs, or raise fs.file-max";
    case ENOMEM:
    case ENOBUFS:
        return "; the machine has no more memory: end other programs";
    default:
        return "";
    }
}

void error_prefix_place(struct error *error, const char *outer)
{
    if (error == NULL || outer == NULL || outer[0] == '\0')
        return;
    char inner[sizeof error->place];
    memcpy(inner, error->place, sizeof inner);
    snprintf(error->place, sizeof error->place, inner[0] != '\0' ? "%s: %s" : "%s%s", outer, inner);
}

const char *error_text(const struct error *error, char *text, size_t size)
{
    snprintf(text, size, error->place[0] != '\0' ? "%s: %s" : "%s%s", error->place, error->message);
    return text;
}
