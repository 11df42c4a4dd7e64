#include "base/json.h"

#include "base/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *json_file_bytes(const char *path, size_t bytes_max, size_t *length, struct error *error)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        error_set(error, path, "%s", strerror(errno));
        return NULL;
    }
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
        error_set(error, path, "this is a directory, wanted a file");
        fclose(file);
        return NULL;
    }
    char *bytes = NULL;
    size_t used = 0;
    size_t capacity = 0;
    for (;;) {
        if (used + 1 >= capacity) {
            capacity = capacity == 0 ? 16384 : capacity * 2;
            char *larger = realloc(bytes, capacity);
            if (larger == NULL) {
                error_set_run(error, path, "out of memory at %zu bytes", used);
                break;
            }
            bytes = larger;
        }
        size_t count = fread(bytes + used, 1, capacity - used - 1, file);
        used += count;
        if (used > bytes_max) {
            error_set(error, path, "larger than %zu bytes, which no such file needs", bytes_max);
            break;
        }
        if (count > 0)
            continue;
        if (ferror(file)) {
            error_set(error, path, "cannot be read: %s", strerror(errno));
            break;
        }
        fclose(file);
        bytes[used] = '\0';
        *length = used;
        return bytes;
    }
    free(bytes);
    fclose(file);
    return NULL;
}

static bool fail_at_byte(const char *text, size_t offset, const char *file, struct error *error,
                         const char *message)
{
    size_t line = 1;
    size_t column = 1;
    bool has_mark = offset >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    for (size_t i = has_mark ? 3 : 0; i < offset; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            column++; /* characters, as editors count them */
        }
    }
    char place[512];
    snprintf(place, sizeof place, "%s:%zu:%zu", file, line, column);
    return error_set(error, place, "%s", message);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that an object with a hundred thousand members is still read in an instant. */
static const char *find_duplicate(const cJSON *object)
{
    size_t count = (size_t)cJSON_GetArraySize(object);
    if (count < 2)
        return NULL;
    const char **names = malloc(count * sizeof *names);
    if (names == NULL)
        return NULL;
    size_t i = 0;
    const cJSON *member;
    cJSON_ArrayForEach (member, object)
        names[i++] = member->string;
    qsort(names, count, sizeof *names, compare_names);
    const char *duplicate = NULL;
    for (i = 1; i < count && duplicate == NULL; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            duplicate = names[i];
    }
    free(names);
    return duplicate;
}

/* The first name that stands twice in one object, and its place; or NULL. */
static const char *find_repeated(const cJSON *item, const char *pointer,
                                 char place[JSON_POINTER_SIZE])
{
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item))
        return NULL;
    const char *repeated = cJSON_IsObject(item) ? find_duplicate(item) : NULL;
    if (repeated != NULL) {
        json_pointer_member(place, pointer, repeated);
        return repeated;
    }
    char inner[JSON_POINTER_SIZE];
    size_t index = 0;
    const cJSON *member;
    cJSON_ArrayForEach (member, item) {
        if (cJSON_IsObject(item))
            json_pointer_member(inner, pointer, member->string);
        else
            json_pointer_item(inner, pointer, index++);
        repeated = find_repeated(member, inner, place);
        if (repeated != NULL)
            return repeated;
    }
    return NULL;
}

cJSON *json_parse(const char *text, size_t length, const char *file, struct error *error)
{
    struct json_text_fault fault;
    if (!json_text_check(text, length, &fault)) {
        fail_at_byte(text, fault.offset, file, error, fault.message);
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLength(text, length);
    if (root == NULL) {
        error_set_run(error, file, "out of memory");
        return NULL;
    }
    char place[JSON_POINTER_SIZE];
    if (find_repeated(root, "", place) == NULL)
        return root;
    error_set(error, place, "this key stands twice; keep one of them");
    error_prefix_place(error, file);
    cJSON_Delete(root);
    return NULL;
}

bool json_is_unread(const char *text, size_t length, char what[JSON_UNREAD_SIZE])
{
    struct json_text_fault fault;
    char place[JSON_POINTER_SIZE];
    if (!json_text_check(text, length, &fault)) {
        snprintf(what, JSON_UNREAD_SIZE, "%s", fault.unread != NULL ? fault.unread : "");
        return fault.unread != NULL;
    }
    cJSON *root = cJSON_ParseWithLength(text, length);
    const char *repeated = find_repeated(root, "", place);
    if (repeated != NULL) {
        snprintf(what, JSON_UNREAD_SIZE, "a repeated member: '%.80s'", repeated);
        json_make_utf8(what); /* it may have been cut in the middle of a character */
    }
    cJSON_Delete(root);
    return repeated != NULL;
}

cJSON *json_load(const char *path, struct error *error)
{
    size_t length = 0;
    char *text = json_file_bytes(path, JSON_FILE_BYTES_MAX, &length, error);
    if (text == NULL)
        return NULL;
    cJSON *root = json_parse(text, length, path, error);
    free(text);
    return root;
}

const char *json_pointer_member(char text[JSON_POINTER_SIZE], const char *pointer, const char *name)
{
    char joined[JSON_POINTER_SIZE];
    size_t used = (size_t)snprintf(joined, sizeof joined, "%s/", pointer);
    for (; *name != '\0' && used + 3 < sizeof joined; name++) {
        if (*name == '~' || *name == '/') {
            joined[used++] = '~';
            joined[used++] = *name == '~' ? '0' : '1';
        } else {
            joined[used++] = *name;
        }
    }
    if (used >= sizeof joined)
        used = sizeof joined - 1;
    joined[used] = '\0';
    memcpy(text, joined, used + 1);
    return text;
}

const char *json_pointer_item(char text[JSON_POINTER_SIZE], const char *pointer, size_t index)
{
    char name[24];
    snprintf(name, sizeof name, "%zu", index);
    return json_pointer_member(text, pointer, name);
}

static void describe_string(const char *value, char *text, size_t size)
{
    int shown = 60;
    if (strlen(value) <= (size_t)shown) {
        snprintf(text, size, "\"%s\"", value);
        return;
    }
    while (((unsigned char)value[shown] & 0xc0) == 0x80)
        shown--; /* not in the middle of a character */
    snprintf(text, size, "\"%.*s\"...", shown, value);
}

static void describe(const cJSON *item, char *text, size_t size)
{
    if (cJSON_IsString(item))
        describe_string(item->valuestring, text, size);
    else if (cJSON_IsNumber(item))
        snprintf(text, size, "%.15g", item->valuedouble);
    else if (cJSON_IsBool(item))
        snprintf(text, size, "%s", cJSON_IsTrue(item) ? "true" : "false");
    else if (cJSON_IsNull(item))
        snprintf(text, size, "null");
    else
        snprintf(text, size, "%s", cJSON_IsObject(item) ? "an object" : "an array");
}

bool json_wrong(const struct json_reader *reader, const char *pointer, const cJSON *item,
                const char *wanted, ...)
{
    char found[128] = "nothing";
    if (item != NULL)
        describe(item, found, sizeof found);
    char wish[512];
    va_list arguments;
    va_start(arguments, wanted);
    vsnprintf(wish, sizeof wish, wanted, arguments);
    va_end(arguments);
    error_set(reader->error, pointer[0] != '\0' ? pointer : "/", "found %s, wanted %s", found,
              wish);
    error_prefix_place(reader->error, reader->file);
    return false;
}

static size_t edit_distance(const char *a, const char *b)
{
    enum { LENGTH_MAX = 40 };
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > LENGTH_MAX || b_length > LENGTH_MAX)
        return LENGTH_MAX;
    size_t row[LENGTH_MAX + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_length];
}

static bool fail_unknown(const struct json_reader *reader, const char *pointer, const char *name,
                         const char *const known[])
{
    const char *nearest = NULL;
    size_t nearest_distance = strlen(name) / 2 + 1;
    char list[400] = "";
    for (size_t i = 0; known[i] != NULL; i++) {
        size_t distance = edit_distance(name, known[i]);
        if (distance < nearest_distance) {
            nearest = known[i];
            nearest_distance = distance;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", known[i]);
    }
    char place[JSON_POINTER_SIZE];
    json_pointer_member(place, pointer, name);
    if (nearest != NULL)
        error_set(reader->error, place, "unknown key; did you mean \"%s\"?", nearest);
    else
        error_set(reader->error, place, "unknown key; known here: %s", list);
    error_prefix_place(reader->error, reader->file);
    return false;
}

bool json_known_members(const struct json_reader *reader, const cJSON *object, const char *pointer,
                        const char *const known[])
{
    if (!cJSON_IsObject(object))
        return json_wrong(reader, pointer, object, "an object");
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        bool is_known = member->string[0] == '$';
        for (size_t i = 0; known[i] != NULL && !is_known; i++)
            is_known = strcmp(known[i], member->string) == 0;
        if (!is_known)
            return fail_unknown(reader, pointer, member->string, known);
    }
    return true;
}

static bool wrong_member(const struct json_reader *reader, const char *pointer, const char *name,
                         const cJSON *item, const char *wanted)
{
    char place[JSON_POINTER_SIZE];
    return json_wrong(reader, json_pointer_member(place, pointer, name), item, "%s", wanted);
}

bool json_read_string(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, const char **value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    if (!cJSON_IsString(item))
        return wrong_member(reader, pointer, name, item, "a string");
    *value = item->valuestring;
    return true;
}

bool json_read_copy(const struct json_reader *reader, const cJSON *object, const char *pointer,
                    const char *name, char **copy)
{
    const char *value = NULL;
    if (!json_read_string(reader, object, pointer, name, &value))
        return false;
    if (value == NULL)
        return true;
    *copy = strdup(value);
    return *copy != NULL || error_set_run(reader->error, reader->file, "out of memory");
}

bool json_read_bool(const struct json_reader *reader, const cJSON *object, const char *pointer,
                    const char *name, bool *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    if (!cJSON_IsBool(item))
        return wrong_member(reader, pointer, name, item, "true or false");
    *value = cJSON_IsTrue(item);
    return true;
}

bool json_read_number(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, double low, double high, double *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    char wanted[96];
    snprintf(wanted, sizeof wanted, "a number from %.15g to %.15g", low, high);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high))
        return wrong_member(reader, pointer, name, item, wanted);
    *value = item->valuedouble;
    return true;
}

bool json_read_whole(const struct json_reader *reader, const cJSON *object, const char *pointer,
                     const char *name, int64_t low, int64_t high, int64_t *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    char wanted[96];
    snprintf(wanted, sizeof wanted, "a whole number from %" PRId64 " to %" PRId64, low, high);
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        !(item->valuedouble >= (double)low && item->valuedouble <= (double)high))
        return wrong_member(reader, pointer, name, item, wanted);
    *value = (int64_t)item->valuedouble;
    return true;
}

bool json_read_duration(const struct json_reader *reader, const cJSON *object, const char *pointer,
                        const char *name, int64_t *ns)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    if (!cJSON_IsString(item) || !duration_parse(item->valuestring, ns))
        return wrong_member(reader, pointer, name, item,
                            "a duration with its unit, such as \"250ms\", \"2s\" or \"6m0s\"");
    return true;
}

bool json_read_word(const struct json_reader *reader, const cJSON *object, const char *pointer,
                    const char *name, const char *const words[], int *index)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    char wanted[400] = "one of";
    for (int i = 0; words[i] != NULL; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, words[i]) == 0) {
            *index = i;
            return true;
        }
        size_t used = strlen(wanted);
        snprintf(wanted + used, sizeof wanted - used, "%s \"%s\"", i == 0 ? "" : ",", words[i]);
    }
    return wrong_member(reader, pointer, name, item, wanted);
}

bool json_read_object(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, const cJSON **value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    if (!cJSON_IsObject(item))
        return wrong_member(reader, pointer, name, item, "an object");
    *value = item;
    return true;
}

bool json_read_array(const struct json_reader *reader, const cJSON *object, const char *pointer,
                     const char *name, const cJSON **value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    if (!cJSON_IsArray(item))
        return wrong_member(reader, pointer, name, item, "an array");
    *value = item;
    return true;
}

void *json_items(const struct json_reader *reader, const cJSON *list, const char *pointer,
                 size_t count_max, size_t size)
{
    size_t count = (size_t)cJSON_GetArraySize(list);
    if (count > count_max) {
        json_wrong(reader, pointer, list, "at most %zu members, not %zu", count_max, count);
        return NULL;
    }
    void *items = calloc(count + 1, size);
    if (items == NULL)
        error_set_run(reader->error, reader->file, "out of memory");
    return items;
}
