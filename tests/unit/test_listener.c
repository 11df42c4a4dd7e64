#include "mockserver/listener.h"

#include "base/duration.h"
#include "tests/unit/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

/* Takes connections while it has room, and closes them. */
struct house {
    struct loop loop;
    struct listener listener;
    bool has_room;
    int asked;
    int taken;
    int turns; /* in which some were taken */
};

static bool has_room(void *owner)
{
    struct house *house = owner;
    house->asked++;
    return house->has_room;
}

static void take(void *owner, int fd, const struct sockaddr *address, socklen_t length)
{
    struct house *house = owner;
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(address->sa_family, AF_INET);
    assert_int_equal(length, sizeof(struct sockaddr_in));
    house->taken++;
    close(fd);
}

static void taken(void *owner)
{
    struct house *house = owner;
    house->turns++;
}

static void open_house(struct house *house, enum clock_kind kind)
{
    struct error error = {0};
    *house = (struct house){.has_room = true};
    assert_true(loop_init(&house->loop, kind, &error));
    house->listener =
        (struct listener){.has_room = has_room, .take = take, .taken = taken, .owner = house};
    assert_true(listener_open(&house->listener, &house->loop, "127.0.0.1", 0, &error));
    assert_true(house->listener.port > 0);
}

static void close_house(struct house *house)
{
    listener_close(&house->listener);
    listener_close(&house->listener); /* twice is harmless */
    loop_free(&house->loop);
}

static void takes_all_that_come(void **state)
{
    (void)state;
    struct house house;
    struct raw raws[5];
    open_house(&house, CLOCK_VIRTUAL);
    for (int i = 0; i < 5; i++)
        raw_connect(&raws[i], &house.loop, house.listener.port);
    while (house.taken < 5 || !raws[4].is_closed)
        loop_turn(&house.loop, -1);
    assert_int_equal(house.turns, 1);
    for (int i = 0; i < 5; i++)
        raw_close(&raws[i]);
    close_house(&house);
}

/* A connection for which there is no room waits; it is asked for again after a pause, and not in
 * each turn of the loop. */
static void waits_for_room(void **state)
{
    (void)state;
    static const enum clock_kind kinds[] = {CLOCK_VIRTUAL, CLOCK_REAL};
    for (size_t i = 0; i < 2; i++) {
        struct house house;
        struct raw raw;
        open_house(&house, kinds[i]);
        house.has_room = false;
        raw_connect(&raw, &house.loop, house.listener.port);
        while (house.asked < 3)
            assert_true(loop_turn(&house.loop, -1));
        assert_int_equal(house.taken, 0);
        house.has_room = true;
        while (house.taken == 0)
            loop_turn(&house.loop, -1);
        assert_int_equal(house.asked, 5); /* and once more, for the next */
        raw_close(&raw);
        close_house(&house);
    }
}

static void closes_while_it_pauses(void **state)
{
    (void)state;
    struct house house;
    struct raw raw;
    open_house(&house, CLOCK_VIRTUAL);
    house.has_room = false;
    raw_connect(&raw, &house.loop, house.listener.port);
    while (house.asked == 0)
        loop_turn(&house.loop, -1);
    listener_close(&house.listener);
    while (!raw.is_closed)
        loop_turn(&house.loop, -1);
    assert_int_equal(house.asked, 1);
    raw_close(&raw);
    close_house(&house);
}

/* Each of its two descriptors may be the one too many. */
static void says_when_descriptors_are_out(void **state)
{
    (void)state;
    for (rlim_t left = 0; left < 2; left++) {
        struct house house = {0};
        struct error error = {0};
        struct rlimit before;
        assert_true(loop_init(&house.loop, CLOCK_VIRTUAL, &error));
        getrlimit(RLIMIT_NOFILE, &before);
        int lowest = dup(0);
        close(lowest);
        struct rlimit low = {.rlim_cur = (rlim_t)lowest + left, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        bool is_open = listener_open(&house.listener, &house.loop, "127.0.0.1", 0, &error);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_false(is_open);
        assert_true(error.could_not_run);
        assert_non_null(strstr(error.message, "raise `ulimit -n`"));
        int again = dup(0);
        assert_int_equal(again, lowest); /* nothing stayed open */
        close(again);
        close_house(&house);
    }
}

static void says_what_is_in_the_way(void **state)
{
    (void)state;
    struct house house;
    struct error error = {0};
    struct listener other = {.has_room = has_room, .take = take, .taken = taken, .owner = &house};
    open_house(&house, CLOCK_VIRTUAL);
    assert_false(listener_open(&other, &house.loop, "127.0.0.1", house.listener.port, &error));
    assert_non_null(strstr(error.message, "choose another --port"));
    assert_false(listener_open(&other, &house.loop, "192.0.2.1", 0, &error));
    assert_non_null(strstr(error.message, "an address of this machine"));
    assert_false(listener_open(&other, &house.loop, "localhost", 0, &error));
    assert_string_equal(error.place, "--host");
    close_house(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_that_come),     cmocka_unit_test(waits_for_room),
        cmocka_unit_test(closes_while_it_pauses),  cmocka_unit_test(says_when_descriptors_are_out),
        cmocka_unit_test(says_what_is_in_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
