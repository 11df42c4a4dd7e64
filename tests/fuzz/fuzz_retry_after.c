/* The headers that say how long to wait: one line retry-after-ms, the rest retry-after; a line
 * that is only "-" stands for no such header. */
#include "base/duration.h"
#include "client/retry_after.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *header(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t wall_times_s[] = {0, 1767225600, INT64_C(253402300799)};
    char *text = strndup((const char *)data, size);
    assert(text != NULL);
    char *rest = strchr(text, '\n');
    if (rest != NULL)
        *rest++ = '\0';
    for (size_t i = 0; i < sizeof wall_times_s / sizeof wall_times_s[0]; i++) {
        int64_t wait_ns = -7;
        bool asked = retry_after_read(header(text), rest != NULL ? header(rest) : NULL,
                                      wall_times_s[i], &wait_ns);
        assert(asked ? wait_ns >= 0 && wait_ns <= DURATION_NS_MAX : wait_ns == -7);
    }
    free(text);
    return 0;
}
