#include "harness/excerpt.h"

#include "base/must_have.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void excerpt_add(struct excerpt *excerpt, const char *bytes, size_t count)
{
    while (count > 0) {
        char *part = excerpt->bytes < EXCERPT_KEEP_BYTES ? excerpt->head : excerpt->tail;
        size_t offset = (size_t)(excerpt->bytes % EXCERPT_KEEP_BYTES);
        size_t taken = count < EXCERPT_KEEP_BYTES - offset ? count : EXCERPT_KEEP_BYTES - offset;
        memcpy(part + offset, bytes, taken);
        excerpt->bytes += taken;
        bytes += taken;
        count -= taken;
    }
}

char *excerpt_text(const struct excerpt *excerpt, size_t *length)
{
    uint64_t head = excerpt->bytes < EXCERPT_KEEP_BYTES ? excerpt->bytes : EXCERPT_KEEP_BYTES;
    uint64_t after_head = excerpt->bytes - head;
    uint64_t tail = after_head < EXCERPT_KEEP_BYTES ? after_head : EXCERPT_KEEP_BYTES;
    char left_out[64] = "";
    if (after_head > tail)
        snprintf(left_out, sizeof left_out, "\n[... %" PRIu64 " bytes left out ...]\n",
                 after_head - tail);

    char *text =
        must_have(malloc((size_t)(head + tail) + strlen(left_out) + 1), "a client's output");
    memcpy(text, excerpt->head, (size_t)head);
    *length = (size_t)head;
    memcpy(text + *length, left_out, strlen(left_out));
    *length += strlen(left_out);
    size_t oldest = (size_t)((excerpt->bytes - tail) % EXCERPT_KEEP_BYTES);
    size_t to_end = tail < EXCERPT_KEEP_BYTES - oldest ? (size_t)tail : EXCERPT_KEEP_BYTES - oldest;
    memcpy(text + *length, excerpt->tail + oldest, to_end);
    memcpy(text + *length + to_end, excerpt->tail, (size_t)tail - to_end);
    *length += (size_t)tail;
    text[*length] = '\0';
    return text;
}
