/* json: reading JSON that people write, with errors that name the place.
 *
 * cJSON parses; this adds what it leaves out: the line and column of a syntax error, refusal of
 * invalid UTF-8, of duplicate keys, of trailing text and of what is too large or nested too deep,
 * and typed access to members that reports the JSON pointer, what was found and what would be
 * right.
 *
 *     struct json_reader reader = {.file = "r3.json", .error = &error};
 *     static const char *const known[] = {"command", "timeout", NULL};
 *     if (!json_known_members(&reader, object, "/client", known) ||
 *         !json_read_duration(&reader, object, "/client", "timeout", &timeout_ns))
 *         return false;
 *
 * Every json_read_* leaves its target alone when the member is absent, and returns false, with
 * the error filled, only when it is there and wrong.
 */
#ifndef TOOMANY_BASE_JSON_H
#define TOOMANY_BASE_JSON_H

#include "base/error.h"
#include "base/json_text.h"

#include <cjson/cJSON.h>
#include <stdint.h>

enum {
    JSON_FILE_BYTES_MAX =
        16 * 1024 * 1024, /* a scenario is a few KiB; a journal is not read here */
};

struct json_reader {
    const char *file;    /* for messages */
    struct error *error; /* filled by the first failure */
};

/* Reads a whole file; *length without the closing NUL that is added. The caller frees the
 * result with free(). NULL with the error filled when it is missing, unreadable, a directory or
 * larger than `bytes_max`. */
char *json_file_bytes(const char *path, size_t bytes_max, size_t *length, struct error *error);

/* Parses `length` bytes of `text`. The caller frees the result with cJSON_Delete(). NULL with
 * place "file:line:column" (from 1, in characters) on a syntax error, "file: /pointer" on a
 * duplicate key. */
cJSON *json_parse(const char *text, size_t length, const char *file, struct error *error);

enum { JSON_UNREAD_SIZE = 128 };

/* Whether a text that json_parse has refused is JSON all the same, as RFC 8259 has it: `what` is
 * then what of it is not read here, such as "a repeated member: 'model'". */
bool json_is_unread(const char *text, size_t length, char what[JSON_UNREAD_SIZE]);

/* A file's bytes, parsed. */
cJSON *json_load(const char *path, struct error *error);

/* False when `object` is not an object or has a member that is not in `known` (NULL-terminated);
 * the message offers the nearest known one. Members that start with '$' are always allowed. */
bool json_known_members(const struct json_reader *reader, const cJSON *object, const char *pointer,
                        const char *const known[]);

bool json_read_string(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, const char **value);
/* A string of the caller's own, to be freed with free(). */
bool json_read_copy(const struct json_reader *reader, const cJSON *object, const char *pointer,
                    const char *name, char **copy);
bool json_read_bool(const struct json_reader *reader, const cJSON *object, const char *pointer,
                    const char *name, bool *value);
/* A whole number in [low, high]. */
bool json_read_whole(const struct json_reader *reader, const cJSON *object, const char *pointer,
                     const char *name, int64_t low, int64_t high, int64_t *value);
bool json_read_number(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, double low, double high, double *value);
/* A duration string, base/duration.h. */
bool json_read_duration(const struct json_reader *reader, const cJSON *object, const char *pointer,
                        const char *name, int64_t *ns);
/* One of `words` (NULL-terminated); *index is its position. */
bool json_read_word(const struct json_reader *reader, const cJSON *object, const char *pointer,
                    const char *name, const char *const words[], int *index);
/* An object or array; *value stays as it is when absent. */
bool json_read_object(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, const cJSON **value);
bool json_read_array(const struct json_reader *reader, const cJSON *object, const char *pointer,
                     const char *name, const cJSON **value);

/* Room for the members of `list`, `size` bytes each, zeroed, and one more; freed with free(). NULL
 * with the error filled when there are more than `count_max`. */
void *json_items(const struct json_reader *reader, const cJSON *list, const char *pointer,
                 size_t count_max, size_t size);

/* Fills the error for the value at `pointer`: "found <item>, wanted <wanted>". Returns false. */
bool json_wrong(const struct json_reader *reader, const char *pointer, const cJSON *item,
                const char *wanted, ...) __attribute__((format(printf, 4, 5)));

enum { JSON_POINTER_SIZE = 256 };

/* Writes pointer + "/" + name (escaped as RFC 6901 asks) to `text` and returns it. */
const char *json_pointer_member(char text[JSON_POINTER_SIZE], const char *pointer,
                                const char *name);
const char *json_pointer_item(char text[JSON_POINTER_SIZE], const char *pointer, size_t index);

#endif
