#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "clock/vdso.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct vdso_time some_time = {
    .monotonic_ns = 1000 * NS_PER_S + 1,
    .realtime_ns = 1767225600 * NS_PER_S + 123456789,
};

static int64_t clock_ns(clockid_t id)
{
    struct timespec time = {0};
    if (clock_gettime(id, &time) != 0)
        return -1;
    return time.tv_sec * NS_PER_S + time.tv_nsec;
}

static int64_t of_day_us(void)
{
    struct timeval time;
    gettimeofday(&time, NULL);
    return time.tv_sec * INT64_C(1000000) + time.tv_usec;
}

/* Runs in a child, whose clocks it changes; 0 when all is right, else the number of the line. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int memory;
static uint64_t place;

static int shows_the_time(void)
{
    static const clockid_t monotonic[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
                                          CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    static const clockid_t real[] = {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI};
    for (size_t i = 0; i < sizeof monotonic / sizeof monotonic[0]; i++)
        CHECK(clock_ns(monotonic[i]) == some_time.monotonic_ns);
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        CHECK(clock_ns(real[i]) == some_time.realtime_ns);
    CHECK(of_day_us() == some_time.realtime_ns / NS_PER_US);
    time_t seconds = 0;
    CHECK(time(&seconds) == 1767225600 && seconds == 1767225600);
    CHECK(time(NULL) == 1767225600);
    return 0;
}

static int leaves_other_clocks_to_the_kernel(void)
{
    int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(cpu_ns > 0 && cpu_ns < 1000 * NS_PER_S);
    CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) > 0);
    CHECK(clock_ns(12345) == -1);
    CHECK(clock_ns(10) == -1); /* there is no such clock */
    struct timeval time;
    struct timezone zone = {.tz_minuteswest = 12345};
    CHECK(gettimeofday(&time, (void *)&zone) == 0 && zone.tz_minuteswest != 12345);
    return 0;
}

static int follows_a_new_time(void)
{
    struct vdso_time later = {.monotonic_ns = 86400 * NS_PER_S, .realtime_ns = 2 * NS_PER_S - 1};
    CHECK(vdso_set_time(memory, place, &later));
    CHECK(clock_ns(CLOCK_MONOTONIC) == 86400 * NS_PER_S);
    CHECK(clock_ns(CLOCK_REALTIME) == 2 * NS_PER_S - 1);
    CHECK(of_day_us() == 1999999);
    return 0;
}

static int64_t kernel_ns(clockid_t id)
{
    struct timespec time;
    syscall(SYS_clock_gettime, id, &time);
    return time.tv_sec * NS_PER_S + time.tv_nsec;
}

static int asks_the_kernel_where_it_is_traced(void)
{
    struct vdso_time traced = some_time;
    traced.traced = true;
    CHECK(vdso_set_time(memory, place, &traced));
    int64_t before_ns = kernel_ns(CLOCK_MONOTONIC);
    int64_t seen_ns = clock_ns(CLOCK_MONOTONIC);
    CHECK(before_ns <= seen_ns && seen_ns <= kernel_ns(CLOCK_MONOTONIC));
    CHECK(of_day_us() >= (kernel_ns(CLOCK_REALTIME) - NS_PER_MINUTE) / NS_PER_US);
    CHECK(time(NULL) >= kernel_ns(CLOCK_REALTIME) / NS_PER_S - 60);
    return 0;
}

static int has_a_zero_time_at_hand(void)
{
    static const char zeros[16];
    char bytes[sizeof zeros];
    CHECK(pread(memory, bytes, sizeof bytes, (off_t)(place + VDSO_ZERO_OFFSET)) == sizeof bytes);
    CHECK(memcmp(bytes, zeros, sizeof zeros) == 0);
    return 0;
}

static void in_a_child(int (*check)(void))
{
#if defined(__x86_64__)
    pid_t pid = fork();
    if (pid == 0) {
        memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
        place = vdso_replace(memory, getauxval(AT_SYSINFO_EHDR), &some_time);
        int line = place != 0 ? check() : __LINE__;
        if (line != 0)
            fprintf(stderr, "%s:%d\n", __FILE__, line);
        _exit(line != 0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
#else
    (void)check;
    skip();
#endif
}

#define CHILD_TEST(name)                                                                           \
    static void it_##name(void **state)                                                            \
    {                                                                                              \
        (void)state;                                                                               \
        in_a_child(name);                                                                          \
    }
CHILD_TEST(shows_the_time)
CHILD_TEST(leaves_other_clocks_to_the_kernel)
CHILD_TEST(follows_a_new_time)
CHILD_TEST(asks_the_kernel_where_it_is_traced)
CHILD_TEST(has_a_zero_time_at_hand)

/* The vDSO of this process in a file, which a test may spoil. */
struct image {
    int fd;
    size_t length;
    char bytes[2 * 4096];
};

static void take_image(struct image *image)
{
    unsigned long base = getauxval(AT_SYSINFO_EHDR);
    int own = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ssize_t length = pread(own, image->bytes, sizeof image->bytes, (off_t)base);
    close(own);
    assert_true(length > 0);
    image->length = (size_t)length;
    image->fd = memfd_create("vdso", MFD_CLOEXEC);
}

/* Whether it is refused, and nothing was written. */
static bool is_left_alone(const struct image *image)
{
    char after[sizeof image->bytes];
    assert_int_equal(ftruncate(image->fd, 0), 0);
    assert_int_equal(pwrite(image->fd, image->bytes, image->length, 0), image->length);
    uint64_t at = vdso_replace(image->fd, 0, &some_time);
    assert_int_equal(pread(image->fd, after, image->length, 0), image->length);
    return at == 0 && memcmp(after, image->bytes, image->length) == 0;
}

static void put(struct image *image, const char *old, const char *text)
{
    char *at = memmem(image->bytes, image->length, old, strlen(old) + 1);
    assert_non_null(at);
    memcpy(at, text, strlen(old));
}

static Elf64_Ehdr *header_of(struct image *image)
{
    return (void *)image->bytes;
}

static Elf64_Shdr *symbols_of(struct image *image)
{
    Elf64_Shdr *section = (void *)(image->bytes + header_of(image)->e_shoff);
    while (section->sh_type != SHT_DYNSYM)
        section++;
    return section;
}

static void one_that_is_not_as_expected_is_left_alone(void **state)
{
    (void)state;
#if !defined(__x86_64__)
    skip();
#endif
    struct image whole;
    take_image(&whole);
    assert_false(is_left_alone(&whole)); /* as it is, it is replaced */

    struct image image = whole;
    image.bytes[0] = 'X';
    assert_true(is_left_alone(&image));

    image = whole;
    header_of(&image)->e_ident[EI_CLASS] = ELFCLASS32;
    assert_true(is_left_alone(&image));

    image = whole;
    header_of(&image)->e_machine = EM_AARCH64;
    assert_true(is_left_alone(&image));

    static const char *const names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday",
                                        "__vdso_time"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        image = whole;
        put(&image, names[i], "__vdso_something_else");
        assert_true(is_left_alone(&image));
    }

    image = whole;
    header_of(&image)->e_shoff = UINT64_MAX - 10;
    assert_true(is_left_alone(&image));

    image = whole;
    symbols_of(&image)->sh_offset = UINT64_MAX - 10;
    assert_true(is_left_alone(&image));

    image = whole;
    symbols_of(&image)->sh_link = header_of(&image)->e_shnum;
    assert_true(is_left_alone(&image));

    image = whole;
    image.length = sizeof(Elf64_Ehdr) - 1;
    assert_true(is_left_alone(&image));

    image.length = 0;
    assert_true(is_left_alone(&image));
    close(whole.fd);
}

static void one_with_too_little_room_is_left_alone(void **state)
{
    (void)state;
#if !defined(__x86_64__)
    skip();
#endif
    struct image image;
    take_image(&image);
    Elf64_Shdr *section = symbols_of(&image);
    Elf64_Sym *symbols = (void *)(image.bytes + section->sh_offset);
    for (size_t i = 0; i < section->sh_size / sizeof *symbols; i++)
        symbols[i].st_size = 64;
    assert_true(is_left_alone(&image));
    close(image.fd);
}

static void who_is_gone_cannot_be_told(void **state)
{
    (void)state;
    assert_false(vdso_set_time(-1, 4096, &some_time));
    assert_int_equal(vdso_replace(-1, 4096, &some_time), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_shows_the_time),
        cmocka_unit_test(it_leaves_other_clocks_to_the_kernel),
        cmocka_unit_test(it_follows_a_new_time),
        cmocka_unit_test(it_asks_the_kernel_where_it_is_traced),
        cmocka_unit_test(it_has_a_zero_time_at_hand),
        cmocka_unit_test(one_that_is_not_as_expected_is_left_alone),
        cmocka_unit_test(one_with_too_little_room_is_left_alone),
        cmocka_unit_test(who_is_gone_cannot_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
