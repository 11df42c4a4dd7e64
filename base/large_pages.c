#include "base/large_pages.h"

#include <features.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_HEAP 1 /* a sanitizer's */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_HEAP 1
#endif
#endif

#if defined(__GLIBC__) && !defined(HAS_OWN_HEAP)

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Advice is for memory that is there. So the heap grows once, and keeps what it has. */
void large_pages_for_heap(size_t bytes)
{
    enum { MMAP_MAX_DEFAULT = 65536, KEPT_BYTES = 512 * 1024 * 1024 };
    mallopt(M_MMAP_THRESHOLD, LARGE_PAGE); /* what is smaller is of the heap */
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_MAX, 0);
    char *grown = malloc(bytes);
    mallopt(M_MMAP_MAX, MMAP_MAX_DEFAULT);
    if (grown == NULL)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t padding = page - (uintptr_t)grown % page;
    if (padding < bytes)
        madvise(grown + padding, bytes - padding, MADV_HUGEPAGE);
    free(grown);
}

#else

void large_pages_for_heap(size_t bytes)
{
    (void)bytes;
}

#endif
