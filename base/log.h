/* log: events of a program that runs long, one line each: for people, or as JSON for collectors.
 *
 *     struct log log = {.stream = stderr, .speaker = "toomany serve", .level = LOG_INFO};
 *     const struct log_field fields[] = {log_text("file", path), log_number("models", 3), {0}};
 *     log_event(&log, wall_ns, LOG_INFO, "config_loaded", fields, "%s: loaded", path);
 *
 * prints `toomany serve: quotas.json: loaded`, or with .is_json
 *
 *     {"time":"2026-11-24T23:29:53.120Z","level":"info","event":"config_loaded",
 *      "message":"quotas.json: loaded","file":"quotas.json","models":3}
 *
 * on one line. The fields are in the JSON form only. Whoever calls it leaves out what is secret.
 */
#ifndef TOOMANY_BASE_LOG_H
#define TOOMANY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };

/* "error" ... "debug", with a NULL at the end. */
extern const char *const log_level_names[LOG_LEVEL_COUNT + 1];

struct log {
    FILE *stream;         /* not owned; NULL: nothing is written */
    const char *speaker;  /* who stands before each line of text */
    enum log_level level; /* less important ones are left out */
    bool is_json;
};

/* The last one of a list has no name. */
struct log_field {
    const char *name;
    const char *text; /* NULL: it is the number */
    int64_t number;
};

static inline struct log_field log_text(const char *name, const char *text)
{
    return (struct log_field){name, text != NULL ? text : "", 0};
}

static inline struct log_field log_number(const char *name, int64_t number)
{
    return (struct log_field){name, NULL, number};
}

/* `log` may be NULL, and so may `fields`. wall_ns is the Unix time. */
void log_event(const struct log *log, int64_t wall_ns, enum log_level level, const char *event,
               const struct log_field *fields, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Whether a line of this level would be written. */
bool log_writes(const struct log *log, enum log_level level);

#endif
