#include "mockserver/admin_guard.h"

#include "mockserver/api.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

bool admin_guard_is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* "localhost", "localhost:8429", "127.0.0.1", "[::1]:8429". */
static bool names_loopback(const char *host)
{
    char name[256];
    bool is_bracketed = host[0] == '[';
    size_t length = strcspn(host + is_bracketed, is_bracketed ? "]" : ":");
    if (length >= sizeof name)
        return false;
    memcpy(name, host + is_bracketed, length);
    name[length] = '\0';
    static const char suffix[] = ".localhost";
    return strcasecmp(name, "localhost") == 0 || admin_guard_is_loopback(name) ||
           (length > strlen(suffix) && strcasecmp(name + length - strlen(suffix), suffix) == 0);
}

/* A page of this server itself: there are none, but who asks by hand may say so. */
static bool is_own_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0;
}

/* Takes as long wherever the first difference is. */
static bool is_token(const char *token, const char *said)
{
    size_t length = strlen(token);
    unsigned char differs = strlen(said) != length;
    for (size_t i = 0; i < length && said[i] != '\0'; i++)
        differs |= (unsigned char)(token[i] ^ said[i]);
    return differs == 0;
}

int admin_guard_status(const struct admin_guard *guard, const struct admin_visitor *visitor,
                       const char **message)
{
    const char *site = visitor->fetch_site;
    if ((site != NULL && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0) ||
        (visitor->origin != NULL && !is_own_origin(visitor->origin, visitor->host))) {
        *message = "a web page of another origin may not use the admin endpoints";
        return 403;
    }
    if (guard->token == NULL && !guard->is_loopback) {
        *message = "the admin endpoints need a token on this address; none is set";
        return 403;
    }
    if (guard->is_loopback && visitor->host != NULL && !names_loopback(visitor->host)) {
        *message = "the Host header does not name this machine; say localhost, 127.0.0.1 or [::1]";
        return 403;
    }
    if (guard->token == NULL)
        return 0;
    *message = "wanted the admin token: \"Authorization: Bearer TOKEN\"";
    return is_token(guard->token, api_key_of(visitor->authorization, NULL)) ? 0 : 401;
}
