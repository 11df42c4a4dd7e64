#include "base/large_pages.h"

#include <features.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_HEAP 1 /* a sanitizer's */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_HEAP 1
#endif
#endif

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1; the C library's headers are older */
#endif

#ifndef HAS_OWN_HEAP
static size_t rest_of_page(const void *at)
{
    return LARGE_PAGE - (uintptr_t)at % LARGE_PAGE;
}
#endif

#if defined(__GLIBC__) && !defined(HAS_OWN_HEAP)

#include <malloc.h>

/* Advice is for memory that is there. So the heap grows once, and keeps what it has. */
void *large_pages_for_heap(size_t bytes)
{
    enum { MMAP_MAX_DEFAULT = 65536, KEPT_BYTES = 512 * 1024 * 1024 };
    mallopt(M_MMAP_THRESHOLD, LARGE_PAGE); /* what is smaller is of the heap */
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_MAX, 0);
    char *grown = malloc(bytes);
    mallopt(M_MMAP_MAX, MMAP_MAX_DEFAULT);
    if (grown == NULL)
        return NULL;
    size_t before = rest_of_page(grown);
    if (bytes < before + LARGE_PAGE) {
        free(grown);
        return NULL;
    }
    madvise(grown + before, bytes - before, MADV_HUGEPAGE);
    return realloc(grown, before); /* stays where it is */
}

#else

void *large_pages_for_heap(size_t bytes)
{
    (void)bytes;
    return NULL;
}

#endif

#ifdef HAS_OWN_HEAP /* it also watches what is used beyond the end */

void *large_pages_map(size_t bytes)
{
    void *memory = aligned_alloc(LARGE_PAGE, bytes);
    return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

void large_pages_unmap(void *memory, size_t bytes)
{
    (void)bytes;
    free(memory);
}

#else

void *large_pages_map(size_t bytes)
{
    char *mapped =
        mmap(NULL, bytes + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    size_t before = rest_of_page(mapped) % LARGE_PAGE;
    if (before > 0)
        munmap(mapped, before);
    munmap(mapped + before + bytes, LARGE_PAGE - before);
    madvise(mapped + before, bytes, MADV_NOHUGEPAGE); /* where all is on large pages otherwise */
    return mapped + before;
}

void large_pages_unmap(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}

#endif

void large_pages_use(void *memory, size_t bytes)
{
    madvise(memory, bytes, MADV_HUGEPAGE);
    madvise(memory, bytes, MADV_COLLAPSE);
}
