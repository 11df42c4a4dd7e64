/* tls: the certificate that the server shows, and what goes past libmicrohttpd through TLS.
 *
 * A certificate is given as PEM files, or made at the start: a certificate authority of its own
 * signs one for localhost, the loopback addresses and the address that is served; then its key is
 * thrown away, so that who trusts it trusts this one server. (A certificate that signs itself is
 * refused by some clients: rustls takes no authority for a server.)
 */
#ifndef TOOMANY_MOCKSERVER_TLS_H
#define TOOMANY_MOCKSERVER_TLS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    TLS_PEM_BYTES_MAX = 1024 * 1024, /* a chain has a few KiB */
    TLS_DAYS = 397,                  /* the longest that clients accept everywhere */
};

struct tls {
    char *certificate; /* PEM, with those that signed it; NULL: no TLS */
    char *key;         /* PEM */
    char *authority;   /* PEM of what clients are to trust, where it was made here */
};

/* Reads both files and checks that they fit. False with the error filled. */
bool tls_load(struct tls *tls, const char *certificate_file, const char *key_file,
              struct error *error);

/* Makes a certificate for `host` (an IPv4 or IPv6 address) as well, valid from wall_s (Unix time).
 */
bool tls_make(struct tls *tls, const char *host, int64_t wall_s, struct error *error);

/* One that is zeroed is allowed. */
void tls_free(struct tls *tls);

/* Whether libmicrohttpd can do it. */
bool tls_is_supported(void);

/* As send() that does not block; `session` is GnuTLS's. */
ssize_t tls_send(void *session, const void *data, size_t size);

/* Says that no more will come. */
void tls_end(void *session);

#endif
