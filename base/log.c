#include "base/log.h"

#include "base/duration.h"
#include "base/json_text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

const char *const log_level_names[LOG_LEVEL_COUNT + 1] = {"error", "warning", "info", "debug",
                                                          NULL};

bool log_writes(const struct log *log, enum log_level level)
{
    return log != NULL && log->stream != NULL && level <= log->level;
}

static void add_time(cJSON *object, int64_t wall_ns)
{
    char seconds[32];
    char text[48];
    time_t wall_s = (time_t)(wall_ns / NS_PER_S);
    struct tm parts;
    gmtime_r(&wall_s, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03" PRId64 "Z", seconds, wall_ns % NS_PER_S / NS_PER_MS);
    cJSON_AddStringToObject(object, "time", text);
}

static void add_text(cJSON *object, const char *name, const char *text)
{
    cJSON *item = cJSON_AddStringToObject(object, name, text);
    if (item != NULL)
        json_make_utf8(item->valuestring);
}

void log_event(const struct log *log, int64_t wall_ns, enum log_level level, const char *event,
               const struct log_field *fields, const char *format, ...)
{
    if (!log_writes(log, level))
        return;
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if (!log->is_json) {
        fprintf(log->stream, "%s: %s\n", log->speaker, message);
        free(message);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    add_time(object, wall_ns);
    cJSON_AddStringToObject(object, "level", log_level_names[level]);
    cJSON_AddStringToObject(object, "event", event);
    add_text(object, "message", message);
    for (const struct log_field *field = fields; field != NULL && field->name != NULL; field++) {
        if (field->text != NULL)
            add_text(object, field->name, field->text);
        else
            cJSON_AddNumberToObject(object, field->name, (double)field->number);
    }
    char *line = cJSON_PrintUnformatted(object);
    if (line != NULL)
        fprintf(log->stream, "%s\n", line);
    fflush(log->stream);
    free(line);
    cJSON_Delete(object);
    free(message);
}
