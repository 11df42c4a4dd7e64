/* Lists of scenarios that are known to fail. */
#include "harness/known_failing.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct error error = {0};
    struct known_failing_list list;
    assert(text != NULL && known_failing_parse(&list, text, &error));
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        assert(name[0] != '\0' && name[0] != '#' && strchr(name, '\n') == NULL);
        assert(strchr(" \t\r", name[0]) == NULL && strchr(" \t\r", name[strlen(name) - 1]) == NULL);
        assert(known_failing_has(&list, name));
    }
    known_failing_free(&list);
    free(text);
    return 0;
}
