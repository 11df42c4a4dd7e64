/* large_memory: memory that is used in no order, on pages as large as the machine has.
 *
 * A simulation of a million callers touches them at random. On pages of 4 KiB the processor then
 * looks up a page table for nearly every event; on pages of 2 MiB it need not. Where the machine
 * has none to give, it is ordinary memory.
 */
#ifndef TOOMANY_LAB_LARGE_MEMORY_H
#define TOOMANY_LAB_LARGE_MEMORY_H

#include <stddef.h>

/* Not zeroed; at the start of a cache line. NULL when memory is out. To be freed with free(). */
void *large_memory_new(size_t bytes);

#endif
