/* A preloader that cannot be had. */
#include "clock/preloader.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Whichever of its descriptors is the first that cannot be had, it says so, and touches no other.
 */
static void without_descriptors_it_says_so_and_closes_only_its_own(void **state)
{
    (void)state;
    enum { OWN_MAX = 16 };
    struct loop loop;
    struct error error = {0};
    struct rlimit before;
    bool was_made = false;
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    assert_true(loop_expect_guests(&loop, &error));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next_fd = dup(STDERR_FILENO);
    close(next_fd);
    for (int spare = 0; spare <= OWN_MAX && !was_made; spare++) {
        struct rlimit few = {.rlim_cur = (rlim_t)(next_fd + spare), .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        error = (struct error){0};
        struct carrier_options options = {0};
        struct preloader *preloader = preloader_new(&loop, &options, &error);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        was_made = preloader != NULL;
        if (!was_made)
            assert_non_null(strstr(error.message, "ulimit -n"));
        preloader_free(preloader);
        assert_true(is_open(STDIN_FILENO));
        assert_true(is_open(loop.epoll_fd));
        assert_true(is_open(loop.quiet_epoll_fd));
        assert_false(is_open(next_fd));
    }
    assert_true(was_made);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_descriptors_it_says_so_and_closes_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
