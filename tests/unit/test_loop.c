#include "clock/loop.h"

#include "base/duration.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* Deadlines and descriptors write their letter here as they come. */
static char story[256];
static size_t story_length;

static void tell(char letter)
{
    assert_true(story_length < sizeof story - 1);
    story[story_length++] = letter;
    story[story_length] = '\0';
}

static int forget_story(void **state)
{
    (void)state;
    story_length = 0;
    story[0] = '\0';
    return 0;
}

struct actor {
    struct loop *loop;
    struct deadline deadline;
    struct watch watch;
    char letter;
    int64_t fired_ns;
    struct actor *to_unwatch;
    struct actor *to_watch;
    int again;
};

static void actor_fires(void *owner, int64_t now_ns)
{
    struct actor *actor = owner;
    assert_int_equal(actor->deadline.position, 0); /* may set itself again */
    actor->fired_ns = now_ns;
    tell(actor->letter);
    if (actor->again > 0) {
        actor->again--;
        loop_after(actor->loop, &actor->deadline, 0);
    }
}

static void actor_is_ready(void *owner, uint32_t events)
{
    struct actor *actor = owner;
    (void)events;
    tell(actor->letter);
    if (actor->to_unwatch != NULL)
        loop_unwatch(actor->loop, &actor->to_unwatch->watch);
    if (actor->to_watch != NULL)
        assert_true(loop_watch(actor->loop, &actor->to_watch->watch, EPOLLIN, NULL));
    actor->to_watch = NULL;
}

static void cast(struct actor *actor, struct loop *loop, char letter, int fd)
{
    *actor = (struct actor){
        .loop = loop,
        .deadline = {.fire = actor_fires, .owner = actor},
        .watch = {.fd = fd, .ready = actor_is_ready, .owner = actor},
        .letter = letter,
        .fired_ns = -1,
    };
}

static struct loop loop_of(enum clock_kind kind)
{
    struct loop loop;
    struct error error;
    assert_true(loop_init(&loop, kind, &error));
    return loop;
}

static void virtual_time_jumps_to_the_earliest_deadline(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct actor a;
    struct actor b;
    cast(&a, &loop, 'a', -1);
    cast(&b, &loop, 'b', -1);
    loop_after(&loop, &b.deadline, 10 * NS_PER_MINUTE);
    loop_after(&loop, &a.deadline, NS_PER_S);
    assert_true(loop_turn(&loop, -1));
    assert_string_equal(story, "a");
    assert_int_equal(loop_now(&loop), NS_PER_S);
    assert_int_equal(a.fired_ns, NS_PER_S);
    assert_true(loop_turn(&loop, -1));
    assert_int_equal(b.fired_ns, 10 * NS_PER_MINUTE);
    assert_false(loop_turn(&loop, 0)); /* nothing is left that could happen */
    assert_int_equal(loop_now(&loop), 10 * NS_PER_MINUTE);
    loop_free(&loop);
}

static void equal_deadlines_fire_in_the_order_in_which_they_were_set(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct actor actors[6];
    for (int i = 0; i < 6; i++)
        cast(&actors[i], &loop, (char)('a' + i), -1);
    static const int order[] = {3, 1, 5, 0, 4, 2};
    for (int i = 0; i < 6; i++)
        loop_at(&loop, &actors[order[i]].deadline, 100);
    while (loop_turn(&loop, 0))
        ;
    assert_string_equal(story, "dbfaec");
    loop_free(&loop);
}

static void a_cancelled_deadline_does_not_fire(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct actor a;
    cast(&a, &loop, 'a', -1);
    loop_after(&loop, &a.deadline, 5);
    loop_cancel(&loop, &a.deadline);
    loop_cancel(&loop, &a.deadline);
    assert_false(loop_turn(&loop, 0));
    assert_string_equal(story, "");
    assert_int_equal(loop_now(&loop), 0);
    loop_free(&loop);
}

/* Holds minus parks is work that the loop cannot see; only at none may the clock move. */
static void virtual_time_stands_while_somebody_holds_it(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct actor a;
    cast(&a, &loop, 'a', -1);
    loop_after(&loop, &a.deadline, NS_PER_S);
    loop_hold(&loop);
    assert_false(loop_turn(&loop, 0));
    loop_hold(&loop);
    loop_park(&loop);
    assert_false(loop_turn(&loop, 0)); /* two hold, one is parked */
    assert_int_equal(loop_now(&loop), 0);
    assert_string_equal(story, "");
    loop_park(&loop);
    assert_true(loop_turn(&loop, 0));
    assert_string_equal(story, "a");
    loop_after(&loop, &a.deadline, NS_PER_S);
    loop_unpark(&loop);
    assert_false(loop_turn(&loop, 0));
    loop_release(&loop);
    assert_true(loop_turn(&loop, 0));
    assert_int_equal(loop_now(&loop), 2 * NS_PER_S);
    loop_unpark(&loop);
    loop_release(&loop);
    loop_free(&loop);
}

/* A deadline that is due already is no jump: it fires while somebody holds the clock. */
static void what_is_due_now_fires_although_the_clock_is_held(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct actor a;
    cast(&a, &loop, 'a', -1);
    loop_hold(&loop);
    loop_after(&loop, &a.deadline, 0);
    assert_true(loop_turn(&loop, 0));
    assert_string_equal(story, "a");
    assert_int_equal(a.fired_ns, 0);
    loop_release(&loop);
    loop_free(&loop);
}

struct pipe {
    int read_fd;
    int write_fd;
};

static struct pipe pipe_with_a_byte(void)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    return (struct pipe){fds[0], fds[1]};
}

static void pipe_close(struct pipe pipe)
{
    close(pipe.read_fd);
    close(pipe.write_fd);
}

static void a_ready_descriptor_comes_before_a_jump(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct pipe pipe = pipe_with_a_byte();
    struct actor a;
    struct actor b;
    cast(&a, &loop, 'a', -1);
    cast(&b, &loop, 'b', pipe.read_fd);
    loop_after(&loop, &a.deadline, 1);
    assert_true(loop_watch(&loop, &b.watch, EPOLLIN, NULL));
    assert_true(loop_turn(&loop, -1));
    assert_string_equal(story, "b");
    assert_int_equal(loop_now(&loop), 0);
    char byte;
    assert_int_equal(read(pipe.read_fd, &byte, 1), 1);
    assert_true(loop_turn(&loop, -1));
    assert_string_equal(story, "ba");
    assert_int_equal(loop_now(&loop), 1);
    loop_unwatch(&loop, &b.watch);
    pipe_close(pipe);
    loop_free(&loop);
}

/* Both are ready in the same turn; whichever comes first takes the other away. */
static void what_is_unwatched_during_a_turn_is_not_called(void **state)
{
    (void)state;
    for (int kind = CLOCK_REAL; kind <= CLOCK_VIRTUAL; kind++) {
        forget_story(NULL);
        struct loop loop = loop_of((enum clock_kind)kind);
        struct pipe pipes[2] = {pipe_with_a_byte(), pipe_with_a_byte()};
        struct actor actors[2];
        for (int i = 0; i < 2; i++) {
            cast(&actors[i], &loop, (char)('a' + i), pipes[i].read_fd);
            actors[i].to_unwatch = &actors[1 - i];
            assert_true(loop_watch(&loop, &actors[i].watch, EPOLLIN, NULL));
        }
        for (int i = 0; i < 5; i++)
            assert_true(loop_turn(&loop, 0));
        assert_true(strcmp(story, "aaaaa") == 0 || strcmp(story, "bbbbb") == 0);
        pipe_close(pipes[0]);
        pipe_close(pipes[1]);
        loop_free(&loop);
    }
}

static void what_is_watched_during_a_turn_is_called(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct pipe pipes[2] = {pipe_with_a_byte(), pipe_with_a_byte()};
    struct actor a;
    struct actor b;
    cast(&a, &loop, 'a', pipes[0].read_fd);
    cast(&b, &loop, 'b', pipes[1].read_fd);
    a.to_watch = &b;
    assert_true(loop_watch(&loop, &a.watch, EPOLLIN, NULL));
    assert_true(loop_turn(&loop, 0));
    assert_string_equal(story, "a");
    for (int i = 0; i < 6; i++)
        assert_true(loop_turn(&loop, 0));
    assert_non_null(strchr(story, 'b')); /* and neither starves the other */
    assert_non_null(strchr(story + 1, 'a'));
    pipe_close(pipes[0]);
    pipe_close(pipes[1]);
    loop_free(&loop);
}

static void watching_again_takes_the_new_events(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct pipe pipe = pipe_with_a_byte();
    struct actor a;
    cast(&a, &loop, 'a', pipe.read_fd);
    assert_true(loop_watch(&loop, &a.watch, EPOLLIN, NULL));
    assert_true(loop_watch(&loop, &a.watch, EPOLLPRI, NULL));
    assert_false(loop_turn(&loop, 0));
    assert_true(loop_watch(&loop, &a.watch, EPOLLIN, NULL));
    assert_true(loop_turn(&loop, 0));
    assert_string_equal(story, "a");
    pipe_close(pipe);
    loop_free(&loop);
}

static void a_descriptor_that_cannot_be_watched_is_an_error_with_its_reason(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_REAL);
    struct actor a;
    struct error error;
    cast(&a, &loop, 'a', 987654);
    assert_false(loop_watch(&loop, &a.watch, EPOLLIN, &error));
    assert_string_equal(error.place, "epoll");
    assert_string_equal(error.message, "descriptor 987654: Bad file descriptor");
    assert_true(error.could_not_run);
    loop_free(&loop);
}

static void without_descriptors_there_is_no_loop(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct loop loop;
    struct error error = {.message = ""};
    bool is_made = loop_init(&loop, CLOCK_REAL, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(is_made);
    assert_string_equal(error.message,
                        "Too many open files: too many open files? raise `ulimit -n`");
    assert_true(error.could_not_run);
}

/* In real time a deadline is never early, and what is due now needs no waiting. */
static void real_time_waits_for_a_deadline(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_REAL);
    struct actor a;
    cast(&a, &loop, 'a', -1);
    loop_after(&loop, &a.deadline, 200 * NS_PER_US);
    while (a.fired_ns < 0)
        assert_true(loop_turn(&loop, -1));
    assert_true(a.fired_ns >= a.deadline.at_ns);
    assert_true(loop_now(&loop) >= a.fired_ns);
    loop_after(&loop, &a.deadline, 0);
    assert_true(loop_turn(&loop, -1));
    assert_string_equal(story, "aa");
    assert_false(loop_turn(&loop, 0));
    loop_free(&loop);
}

/* An hour of this clock is 3.6 seconds; a minute 60 ms. It is waited for, and never come early. */
static void a_fast_clock_waits_less(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_REAL);
    struct clock machine;
    struct actor a;
    clock_init(&machine, CLOCK_REAL);
    clock_hasten(&loop.clock, 1000);
    cast(&a, &loop, 'a', -1);
    int64_t due_ns = loop_now(&loop) + NS_PER_MINUTE;
    loop_at(&loop, &a.deadline, due_ns);
    int turns = 0;
    while (a.fired_ns < 0) {
        assert_true(loop_turn(&loop, -1));
        turns++;
    }
    assert_true(a.fired_ns >= due_ns);
    assert_true(clock_now(&machine) >= 50 * NS_PER_MS);
    /* It slept for it; a wait that is rounded down would turn round and round. */
    assert_true(turns <= 3);
    loop_free(&loop);
}

/* A turn that may wait a shorter time than the deadline is away comes back without it. */
static void a_turn_waits_no_longer_than_it_may(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_REAL);
    struct actor a;
    cast(&a, &loop, 'a', -1);
    loop_after(&loop, &a.deadline, NS_PER_HOUR);
    assert_true(loop_turn(&loop, 0));
    assert_true(loop_turn(&loop, 1));
    assert_string_equal(story, "");
    assert_true(loop_now(&loop) < NS_PER_HOUR);
    loop_free(&loop);
}

/* A deadline that always sets itself again must not keep a descriptor from being heard. */
static void busy_deadlines_do_not_starve_descriptors_in_real_time(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_REAL);
    struct pipe pipe = pipe_with_a_byte();
    struct actor a;
    struct actor b;
    cast(&a, &loop, 'a', -1);
    cast(&b, &loop, 'b', pipe.read_fd);
    a.again = 10;
    assert_true(loop_watch(&loop, &b.watch, EPOLLIN, NULL));
    loop_after(&loop, &a.deadline, 0);
    for (int i = 0; i < 4; i++)
        assert_true(loop_turn(&loop, 0));
    assert_string_equal(story, "abababab");
    loop_cancel(&loop, &a.deadline);
    pipe_close(pipe);
    loop_free(&loop);
}

static void stop(void *owner, int64_t now_ns)
{
    (void)now_ns;
    loop_stop(owner);
}

static void runs_until_it_is_stopped(void **state)
{
    (void)state;
    struct loop loop = loop_of(CLOCK_VIRTUAL);
    struct actor a;
    cast(&a, &loop, 'a', -1);
    a.again = 3;
    struct deadline last = {.fire = stop, .owner = &loop};
    loop_after(&loop, &a.deadline, 1);
    loop_after(&loop, &last, 2);
    loop_run(&loop);
    assert_string_equal(story, "aaaa");
    assert_int_equal(loop_now(&loop), 2);
    loop_free(&loop);
}

int main(void)
{
#define STORY_TEST(name) cmocka_unit_test_setup(name, forget_story)
    const struct CMUnitTest tests[] = {
        STORY_TEST(virtual_time_jumps_to_the_earliest_deadline),
        STORY_TEST(equal_deadlines_fire_in_the_order_in_which_they_were_set),
        STORY_TEST(a_cancelled_deadline_does_not_fire),
        STORY_TEST(virtual_time_stands_while_somebody_holds_it),
        STORY_TEST(what_is_due_now_fires_although_the_clock_is_held),
        STORY_TEST(a_ready_descriptor_comes_before_a_jump),
        STORY_TEST(what_is_unwatched_during_a_turn_is_not_called),
        STORY_TEST(what_is_watched_during_a_turn_is_called),
        STORY_TEST(watching_again_takes_the_new_events),
        STORY_TEST(a_descriptor_that_cannot_be_watched_is_an_error_with_its_reason),
        STORY_TEST(without_descriptors_there_is_no_loop),
        STORY_TEST(real_time_waits_for_a_deadline),
        STORY_TEST(a_fast_clock_waits_less),
        STORY_TEST(a_turn_waits_no_longer_than_it_may),
        STORY_TEST(busy_deadlines_do_not_starve_descriptors_in_real_time),
        STORY_TEST(runs_until_it_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
