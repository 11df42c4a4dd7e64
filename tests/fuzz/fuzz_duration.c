/* Durations, as scenario files and options give them. */
#include "base/duration.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    assert(text != NULL);
    int64_t ns = -7;
    if (!duration_parse(text, &ns)) {
        assert(ns == -7);
        free(text);
        return 0;
    }
    free(text);
    assert(ns >= 0 && ns <= DURATION_NS_MAX);

    /* OpenAI's form is the duration cut to whole milliseconds, and reads back as that. */
    char written[DURATION_TEXT_SIZE];
    int64_t again = -1;
    assert(duration_parse(duration_go(ns, written), &again));
    assert(again == ns / NS_PER_MS * NS_PER_MS);
    assert(duration_go(-ns, written)[0] != '\0');
    assert(duration_parse(duration_text(ns, written), &again));
    return 0;
}
