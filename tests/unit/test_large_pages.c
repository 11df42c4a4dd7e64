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
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

enum { MEBIBYTE = 1024 * 1024 };

/* What /proc/self/smaps says of the mapping there after `name`; "" where it says nothing. */
static void mapping_tells(uintptr_t address, const char *name, char text[128])
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool is_there = false;
    text[0] = '\0';
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t begin;
        uintptr_t end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            is_there = begin <= address && address < end;
        if (is_there && strncmp(line, name, strlen(name)) == 0)
            snprintf(text, 128, "%.100s", line + strlen(name));
    }
    if (maps != NULL)
        fclose(maps);
}

/* Whether the kernel was told to use large pages there. */
static bool is_advised(uintptr_t address)
{
    char flags[128];
    mapping_tells(address, "VmFlags:", flags);
    return strstr(flags, " hg") != NULL;
}

static bool has_large_page(const void *memory)
{
    char kibibytes[128];
    mapping_tells((uintptr_t)memory, "AnonHugePages:", kibibytes);
    return strtol(kibibytes, NULL, 10) > 0;
}

struct pages {
    long mapped;
    long resident;
};

static struct pages pages_now(void)
{
    struct pages pages = {0};
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &pages.mapped, &pages.resident), 2);
    fclose(file);
    return pages;
}

/* What the kernel counts on each processor it may not have added up. */
enum { UNCOUNTED = 256 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

static void shift_mmap(size_t bytes)
{
    (void)bytes; /* a sanitizer has its own */
}

#else

static size_t mmap_shift;

static void shift_mmap(size_t bytes)
{
    mmap_shift = bytes;
}

/* In the place of the C library's: may map what begins at no multiple of a large page, as kernels
 * before Linux 6.7 do. NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    long mapped =
        syscall(SYS_mmap, address, length + mmap_shift, protection, flags, fd, (long)offset);
    if (mapped == -1)
        return MAP_FAILED;
    if (mmap_shift > 0) /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        munmap((void *)mapped, mmap_shift);
    return (void *)(mapped + (long)mmap_shift); /* NOLINT(performance-no-int-to-ptr) */
}

#endif

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
    const long before = pages_now().resident;
    void *before_pages = large_pages_for_heap(BYTES);
    assert_non_null(before_pages);
    assert_in_range(pages_now().resident - before + UNCOUNTED, 0,
                    UNCOUNTED + 4L * MEBIBYTE / sysconf(_SC_PAGESIZE));
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

/* Whether a large page is to be had, now. */
static bool can_collapse(void)
{
    char *memory = large_pages_map(LARGE_PAGE);
    memory[0] = 1;
    bool can = madvise(memory, LARGE_PAGE, MADV_HUGEPAGE) == 0 &&
               madvise(memory, LARGE_PAGE, 25 /* MADV_COLLAPSE */) == 0;
    large_pages_unmap(memory, LARGE_PAGE);
    return can;
}

/* Bug: it is no multiple of a page's size, or not zeroed; small use takes a whole page; what it
 * holds is lost when it is put on large ones, or is not on one then; or some of it is left when it
 * is freed. */
static void memory_of_its_own_is_small_until_it_is_put_on_large_pages(void **state)
{
    (void)state;
    enum { PAGES = 3, BYTES = PAGES * LARGE_PAGE };
    const bool is_told = can_be_advised();
    for (int i = 0; i < 2; i++) {
        const struct pages before = pages_now();
        shift_mmap(i == 0 ? 0 : (size_t)sysconf(_SC_PAGESIZE));
        char *memory = large_pages_map(BYTES);
        shift_mmap(0);
        assert_non_null(memory);
        memory[0] = 1;
        assert_int_equal(memory[BYTES - 1], 0);
        if (is_told) {
            assert_int_equal((uintptr_t)memory % LARGE_PAGE, 0);
            assert_int_equal(pages_now().mapped - before.mapped, BYTES / sysconf(_SC_PAGESIZE));
            assert_in_range(pages_now().resident - before.resident + UNCOUNTED, 0, 2 * UNCOUNTED);
            assert_false(has_large_page(memory));
        }
        large_pages_use(memory, BYTES);
        assert_int_equal(memory[0], 1);
        assert_int_equal(memory[LARGE_PAGE], 0);
        assert_true(!is_told || is_on_large_page((uintptr_t)memory + BYTES - 1));
        assert_true(!is_told || has_large_page(memory) || !can_collapse());
        large_pages_unmap(memory, BYTES);
        assert_true(!is_told || pages_now().mapped == before.mapped);
    }
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
