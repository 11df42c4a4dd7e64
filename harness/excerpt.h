/* excerpt: of a stream of any length, the first and the last bytes, with a line between that says
 * how many are left out.
 */
#ifndef TOOMANY_HARNESS_EXCERPT_H
#define TOOMANY_HARNESS_EXCERPT_H

#include <stddef.h>
#include <stdint.h>

enum { EXCERPT_KEEP_BYTES = 32 * 1024 }; /* of the beginning, and of the end */

struct excerpt {
    uint64_t bytes;                /* added in all; 0 to begin with */
    char head[EXCERPT_KEEP_BYTES]; /* the first bytes */
    char tail[EXCERPT_KEEP_BYTES]; /* a ring of the last: byte n is at n % EXCERPT_KEEP_BYTES */
};

void excerpt_add(struct excerpt *excerpt, const char *bytes, size_t count);

/* What was kept, NUL-terminated, with its length; the caller frees it. Aborts when memory is out.
 */
char *excerpt_text(const struct excerpt *excerpt, size_t *length);

#endif
