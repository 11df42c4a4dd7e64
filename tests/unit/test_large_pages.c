#include "base/large_pages.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { MEBIBYTE = 1024 * 1024 };

/* Whether the kernel was told to use large pages there: "hg" in the flags of its mapping. */
static bool is_advised(uintptr_t address)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool is_there = false;
    bool is_advised = false;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t begin;
        uintptr_t end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            is_there = begin <= address && address < end;
        if (is_there && strncmp(line, "VmFlags:", 8) == 0)
            is_advised = strstr(line, " hg") != NULL;
    }
    if (maps != NULL)
        fclose(maps);
    return is_advised;
}

static long resident_pages(void)
{
    long size = 0;
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident;
}

/* Some kernels have no large pages, or do not show the advice; a sanitizer's heap knows none. */
static bool can_be_advised(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#else
    enum { SIZE = 4 * MEBIBYTE };
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    bool is_shown = madvise(memory, SIZE, MADV_HUGEPAGE) == 0 && is_advised((uintptr_t)memory);
    munmap(memory, SIZE);
    return is_shown;
#endif
}

/* Whether all of the large page around it was advised: only then it is one. */
static bool is_on_large_page(uintptr_t address)
{
    uintptr_t begin = address - address % LARGE_PAGE;
    return is_advised(begin) && is_advised(begin + LARGE_PAGE - 1);
}

/* Bug: the advice is for memory that goes back to the system at once, or is of another place than
 * what is allocated next, the first of which is on the small pages before; or all is touched. */
static void what_is_allocated_next_is_on_large_pages(void **state)
{
    (void)state;
    if (!can_be_advised())
        skip();
    enum { BLOCKS = 64, BLOCK = 64 * 1024, BYTES = 64 * MEBIBYTE };
    char *blocks[BLOCKS];
    long before = resident_pages();
    void *before_pages = large_pages_for_heap(BYTES);
    assert_non_null(before_pages);
    assert_in_range(resident_pages() - before, 0, 4L * MEBIBYTE / sysconf(_SC_PAGESIZE));
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BLOCK);
    }
    assert_true(is_on_large_page((uintptr_t)blocks[0]));
    assert_true(is_on_large_page((uintptr_t)blocks[BLOCKS - 1]));
    const uintptr_t place = (uintptr_t)blocks[BLOCKS - 1];
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    assert_true(is_advised(place)); /* it was not given back */
    free(before_pages);
}

static void *allocate_in_thread(void *owner)
{
    enum { BLOCK = 64 * 1024 };
    bool *is_good = owner;
    void *before_pages = large_pages_for_heap(LARGE_PAGES_THREAD_MAX);
    char *block = malloc(BLOCK);
    *is_good = block != NULL && is_on_large_page((uintptr_t)block);
    free(block);
    free(before_pages);
    return NULL;
}

static void so_it_is_in_a_thread(void **state)
{
    (void)state;
    if (!can_be_advised())
        skip();
    bool is_good = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, allocate_in_thread, &is_good), 0);
    pthread_join(thread, NULL);
    assert_true(is_good);
}

/* Bug: where there is no such memory, it fails, or takes what is left. */
static void where_there_is_none_all_is_as_before(void **state)
{
    (void)state;
    if (!can_be_advised())
        skip();
    assert_null(large_pages_for_heap(SIZE_MAX / 4));
    assert_null(large_pages_for_heap(1));
    char *block = malloc(100);
    assert_non_null(block);
    free(block);
    assert_null(large_pages_map(SIZE_MAX / 4 - SIZE_MAX / 4 % LARGE_PAGE));
}

/* Bug: it is no multiple of a page's size, or not zeroed; small use takes a whole page; what it
 * holds is lost when it is put on large ones; or some of it is left when it is freed. */
static void memory_of_its_own_is_small_until_it_is_put_on_large_pages(void **state)
{
    (void)state;
    enum { PAGES = 3, BYTES = PAGES * LARGE_PAGE };
    const long before = resident_pages();
    char *memory = large_pages_map(BYTES);
    assert_non_null(memory);
    memory[0] = 1;
    assert_int_equal(memory[BYTES - 1], 0);
    if (can_be_advised()) {
        assert_int_equal((uintptr_t)memory % LARGE_PAGE, 0);
        assert_in_range(resident_pages() - before, 0, 64);
        assert_false(is_advised((uintptr_t)memory));
    }
    large_pages_use(memory, BYTES);
    assert_int_equal(memory[0], 1);
    assert_int_equal(memory[LARGE_PAGE], 0);
    if (can_be_advised())
        assert_true(is_on_large_page((uintptr_t)memory + BYTES - 1));
    large_pages_unmap(memory, BYTES);
    if (can_be_advised())
        assert_in_range(resident_pages() - before + 64, 0, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_allocated_next_is_on_large_pages),
        cmocka_unit_test(so_it_is_in_a_thread),
        cmocka_unit_test(where_there_is_none_all_is_as_before),
        cmocka_unit_test(memory_of_its_own_is_small_until_it_is_put_on_large_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
