/* admin_guard: who may use the admin endpoints.
 *
 * On a loopback address whoever reaches it may, but no web page: a browser says where a page is
 * from (Origin, Sec-Fetch-Site), and a name that a foreign page has made to point here (DNS
 * rebinding) stands in Host. On another address, or where one is set, a token is wanted:
 * Authorization: Bearer. There Host may be any name that somebody has given to the machine, and is
 * not looked at: what keeps foreign pages out is the token, which no browser adds by itself.
 *
 *     Host: 127.0.0.1:8429                             allowed
 *     Host: evil.example                               403
 *     Host: localhost, Origin: https://evil.example    403
 */
#ifndef TOOMANY_MOCKSERVER_ADMIN_GUARD_H
#define TOOMANY_MOCKSERVER_ADMIN_GUARD_H

#include <stdbool.h>

struct admin_guard {
    char *token;      /* or NULL; owned by the server */
    bool is_loopback; /* what the server listens on */
};

/* Headers of the request, NULL where it has none. */
struct admin_visitor {
    const char *authorization;
    const char *host;
    const char *origin;
    const char *fetch_site;
};

/* 0 when it may; else the status, 401 or 403, and *message says why. */
int admin_guard_status(const struct admin_guard *guard, const struct admin_visitor *visitor,
                       const char **message);

/* Whether an IPv4 or IPv6 address is one of this machine alone. */
bool admin_guard_is_loopback(const char *address);

#endif
