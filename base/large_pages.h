/* large_pages: memory on pages of 2 MiB, where the system has them (transparent huge pages).
 *
 * A server with many connections asks for memory that it has not touched for long, and the guest of
 * a virtual machine walks through two tables for each page that its processor does not remember: of
 * a request that was up to a fifth of the time (bench/README.md). The C library does the same for
 * its heap where GLIBC_TUNABLES asks for it (glibc.malloc.hugetlb=1), which a program cannot do for
 * itself.
 */
#ifndef TOOMANY_BASE_LARGE_PAGES_H
#define TOOMANY_BASE_LARGE_PAGES_H

#include <stddef.h>

enum {
    LARGE_PAGE = 2 * 1024 * 1024,
    LARGE_PAGES_THREAD_MAX = 48 * 1024 * 1024, /* the C library's heap of a thread has 64 MiB */
};

/* For the next `bytes` that the heap of the calling thread grows by; the first thread's is the
 * program's, and has no such limit. They take no memory before they are used, and then keep it: the
 * heap gives back what is free beyond 512 MiB. Nothing happens where the C library or the system
 * cannot do that.
 *
 * A large page begins at a multiple of its size, so that what the heap has before the first one is
 * on small ones. It is returned, for nothing else to come to stand there, and is to be freed in the
 * end; or NULL. */
void *large_pages_for_heap(size_t bytes);

/* Zeroed memory that is none of the heap, of a multiple of LARGE_PAGE, which begins at one; its
 * pages are small, and each is there when it is used. NULL when memory is out. large_pages_unmap()
 * takes the same `bytes`. */
void *large_pages_map(size_t bytes);
void large_pages_unmap(void *memory, size_t bytes);

/* Puts that on large pages: what it holds by now as well, where the system can (Linux 6.1). */
void large_pages_use(void *memory, size_t bytes);

#endif
