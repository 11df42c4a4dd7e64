#include "lab/large_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { CACHE_LINE = 64, LARGE_PAGE = 2 * 1024 * 1024 };

void *large_memory_new(size_t bytes)
{
    size_t unit = bytes < LARGE_PAGE ? CACHE_LINE : LARGE_PAGE;
    if (bytes > SIZE_MAX - unit)
        return NULL;
    /* Whole large pages only: the last, partly used one would cost up to 2 MiB. */
    size_t large_bytes = bytes / LARGE_PAGE * LARGE_PAGE;
    void *memory = aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
    if (memory != NULL && large_bytes > 0)
        (void)madvise(memory, large_bytes, MADV_HUGEPAGE); /* a wish; ordinary pages do as well */
    return memory;
}
