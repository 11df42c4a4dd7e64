#include "mockserver/peer.h"

#include "tests/unit/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A connection over loopback: ours is the end that asks. */
struct pair {
    int ours;
    int theirs;
};

static bool make_pair(struct pair *pair, int family, bool is_mapped)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (is_mapped)
        v6.sin6_addr = in6addr_any;
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        bind(listener, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
             family == AF_INET ? sizeof v4 : sizeof v6) != 0)
        return false;
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &length), 0);
    if (is_mapped)
        v4.sin_port = ((struct sockaddr_in6 *)&bound)->sin6_port;
    bool by_v4 = family == AF_INET || is_mapped;
    pair->theirs = socket(by_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (is_mapped)
        assert_int_equal(connect(pair->theirs, (struct sockaddr *)&v4, sizeof v4), 0);
    else
        assert_int_equal(connect(pair->theirs, (struct sockaddr *)&bound, length), 0);
    pair->ours = accept(listener, NULL, NULL);
    close(listener);
    return pair->ours >= 0;
}

static void see_all_states(int family, bool is_mapped)
{
    struct pair pair;
    if (!make_pair(&pair, family, is_mapped))
        skip(); /* a machine without IPv6 */
    if (peer_state_of(pair.ours) == PEER_UNKNOWN)
        skip(); /* a kernel without sock_diag */
    assert_int_equal(peer_state_of(pair.ours), PEER_READS);
    assert_int_equal(peer_state_of(pair.theirs), PEER_READS);
    assert_int_equal(shutdown(pair.theirs, SHUT_WR), 0);
    assert_int_equal(peer_state_of(pair.ours), PEER_READS);
    close(pair.theirs);
    assert_int_equal(peer_state_of(pair.ours), PEER_CLOSED);
    close(pair.ours);
    /* Closed without having half-closed before; both sides are then still connected. */
    assert_true(make_pair(&pair, family, is_mapped));
    close(pair.theirs);
    assert_int_equal(peer_state_of(pair.ours), PEER_CLOSED);
    close(pair.ours);
}

static void over_ipv4(void **state)
{
    (void)state;
    see_all_states(AF_INET, false);
}

static void over_ipv6(void **state)
{
    (void)state;
    see_all_states(AF_INET6, false);
}

/* An IPv4 client of a server on "::". */
static void over_ipv4_to_ipv6(void **state)
{
    (void)state;
    see_all_states(AF_INET6, true);
}

static void does_not_know(void **state)
{
    (void)state;
    struct pair pair;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(peer_state_of(-1), PEER_UNKNOWN);
    assert_int_equal(peer_state_of(fd), PEER_UNKNOWN); /* not connected */
    close(fd);
    assert_true(make_pair(&pair, AF_INET, false));
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(pair.theirs, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(pair.theirs);
    assert_int_equal(peer_state_of(pair.ours), PEER_UNKNOWN); /* reset: nothing is left of it */
    close(pair.ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_ipv4),
        cmocka_unit_test(over_ipv6),
        cmocka_unit_test(over_ipv4_to_ipv6),
        cmocka_unit_test(does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
