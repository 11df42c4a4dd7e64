/* JSON from outside: what is accepted is one whole valid text, what is not has an error. */
#include "base/json.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    cJSON *root = json_parse((const char *)data, size, "fuzz.json", &error);
    if (root == NULL) {
        assert(error.message[0] != '\0' && strncmp(error.place, "fuzz.json", 9) == 0);
        assert(json_is_utf8(error.message, strlen(error.message)));
        return 0;
    }
    assert(error.message[0] == '\0');
    /* A text that was read is written as a text that is read, and stays what it is. */
    char *once = cJSON_PrintUnformatted(root);
    assert(once != NULL);
    cJSON *again = json_parse(once, strlen(once), "again.json", &error);
    assert(again != NULL);
    char *twice = cJSON_PrintUnformatted(again);
    assert(twice != NULL && strcmp(once, twice) == 0);

    struct json_reader reader = {.file = "fuzz.json", .error = &error};
    static const char *const known[] = {"name", "value", NULL};
    (void)json_known_members(&reader, root, "", known);
    const cJSON *item;
    char pointer[JSON_POINTER_SIZE];
    cJSON_ArrayForEach (item, root) {
        if (item->string != NULL)
            json_pointer_member(pointer, "/here", item->string);
        json_wrong(&reader, "/here", item, "a %s", "number");
    }
    cJSON_free(once);
    cJSON_free(twice);
    cJSON_Delete(again);
    cJSON_Delete(root);
    return 0;
}
