#include "mockserver/tls.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S INT64_C(1767225600) /* 2026-01-01 00:00:00 */
#define DAY_S INT64_C(86400)

/* Its path, good until the next but three. */
static const char *write_file(const char *name, const char *text, size_t length)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, length, stream), length);
    fclose(stream);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

static struct tls made(const char *host)
{
    struct tls tls;
    struct error error;
    if (!tls_make(&tls, host, NOW_S, &error))
        fail_msg("%s", error.message);
    return tls;
}

/* --- what is made ----------------------------------------------------------------------------- */

/* The certificates of a PEM text; how many of at most `count`. */
static unsigned int read_certificates(const char *text, gnutls_x509_crt_t *list, unsigned int count)
{
    union {
        const char *text;
        unsigned char *data;
    } bytes = {.text = text};
    gnutls_datum_t datum = {bytes.data, (unsigned int)strlen(text)};
    assert_true(gnutls_x509_crt_list_import(list, &count, &datum, GNUTLS_X509_FMT_PEM, 0) >= 0);
    return count;
}

/* Whether who trusts `authority` takes `certificate` for a server `host`. */
static bool is_trusted(const char *certificate, const char *authority, const char *host)
{
    gnutls_x509_crt_t chain[4];
    gnutls_x509_crt_t trusted[1];
    gnutls_x509_trust_list_t list;
    unsigned int problems = 0;
    unsigned int count = read_certificates(certificate, chain, 4);
    assert_int_equal(read_certificates(authority, trusted, 1), 1);
    assert_int_equal(gnutls_x509_trust_list_init(&list, 0), 0);
    assert_int_equal(gnutls_x509_trust_list_add_cas(list, trusted, 1, 0), 1);
    char purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
    char *name = strdup(host);
    gnutls_typed_vdata_st wanted[] = {
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name, .size = 0},
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose, .size = 0}};
    assert_int_equal(gnutls_x509_trust_list_verify_crt2(list, chain, count, wanted, 2,
                                                        GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
                                                        &problems, NULL),
                     0);
    gnutls_x509_trust_list_deinit(list, 1);
    for (unsigned int i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    free(name);
    return problems == 0;
}

/* Bug: clients that check names (all do) refuse it under an address that it is served at, or take
 * it for somebody else's. */
static void a_made_one_is_good_for_its_names_only(void **state)
{
    (void)state;
    static const char *const hosts[] = {"10.1.2.3", "fd00::7", "0.0.0.0", "::1", "127.0.0.1"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct tls tls = made(hosts[i]);
        const char *const good[] = {"localhost", "127.0.0.1", "::1", hosts[i]};
        for (size_t j = 0; j < 4; j++) {
            if (!is_trusted(tls.certificate, tls.authority, good[j]))
                fail_msg("%s is no name of what was made for %s", good[j], hosts[i]);
        }
        assert_false(is_trusted(tls.certificate, tls.authority, "10.1.2.4"));
        assert_false(is_trusted(tls.certificate, tls.authority, "example.com"));
        assert_false(is_trusted(tls.certificate, tls.authority, "x.localhost"));
        tls_free(&tls);
    }
}

/* Bug: it has the key or the authority of another run, so that who trusts one server trusts all. */
static void each_one_is_trusted_by_itself(void **state)
{
    (void)state;
    struct tls one = made("127.0.0.1");
    struct tls other = made("127.0.0.1");
    assert_string_not_equal(one.key, other.key);
    assert_true(is_trusted(one.certificate, one.authority, "localhost"));
    assert_false(is_trusted(one.certificate, other.authority, "localhost"));
    tls_free(&one);
    tls_free(&other);
}

/* Bug: rustls takes no authority for a server; a server that is its own authority could sign for
 * anybody; a serial number twice is refused by NSS. */
static void the_server_is_no_authority(void **state)
{
    (void)state;
    struct tls tls = made("127.0.0.1");
    gnutls_x509_crt_t chain[3];
    unsigned char serials[2][32];
    size_t sizes[2] = {sizeof serials[0], sizeof serials[1]};
    unsigned int is_critical;
    assert_int_equal(read_certificates(tls.certificate, chain, 3), 2);
    assert_int_equal(gnutls_x509_crt_get_ca_status(chain[0], &is_critical), 0);
    assert_int_equal(gnutls_x509_crt_get_ca_status(chain[1], &is_critical), 1);
    assert_int_equal(gnutls_x509_crt_get_version(chain[0]), 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gnutls_x509_crt_get_serial(chain[i], serials[i], &sizes[i]), 0);
        assert_true(sizes[i] <= 20 && serials[i][0] < 0x80); /* RFC 5280, 4.1.2.2 */
        gnutls_x509_crt_deinit(chain[i]);
    }
    assert_true(sizes[0] != sizes[1] || memcmp(serials[0], serials[1], sizes[0]) != 0);
    tls_free(&tls);
}

/* Bug: a client whose clock is behind refuses it; or one that allows 398 days at most (Apple's). */
static void it_lasts_as_long_as_clients_accept(void **state)
{
    (void)state;
    struct tls tls = made("127.0.0.1");
    gnutls_x509_crt_t chain[2];
    assert_int_equal(read_certificates(tls.certificate, chain, 2), 2);
    for (int i = 0; i < 2; i++) {
        int64_t from_s = gnutls_x509_crt_get_activation_time(chain[i]);
        int64_t until_s = gnutls_x509_crt_get_expiration_time(chain[i]);
        assert_int_equal(from_s, NOW_S - DAY_S);
        assert_int_equal(until_s - from_s, TLS_DAYS * DAY_S);
        gnutls_x509_crt_deinit(chain[i]);
    }
    tls_free(&tls);
}

/* --- what is loaded --------------------------------------------------------------------------- */

static void refused(const char *certificate, const char *key, const char *place, const char *says)
{
    struct tls tls = {0};
    struct error error = {0};
    if (tls_load(&tls, certificate, key, &error))
        fail_msg("takes %s and %s", certificate, key);
    assert_null(tls.certificate); /* nothing to be freed */
    assert_null(tls.key);
    if (strstr(error.place, place) == NULL || strstr(error.message, says) == NULL)
        fail_msg("found \"%s: %s\", wanted \"%s: %s\"", error.place, error.message, place, says);
}

/* Bug: what was made is not what can be loaded: the pair does not fit, or the chain is lost. */
static void loads_what_fits(void **state)
{
    (void)state;
    struct tls tls = made("127.0.0.1");
    struct tls loaded;
    struct error error;
    const char *certificate = write_text("good.pem", tls.certificate);
    const char *key = write_text("good.key", tls.key);
    assert_true(tls_load(&loaded, certificate, key, &error));
    assert_string_equal(loaded.certificate, tls.certificate);
    assert_string_equal(loaded.key, tls.key);
    assert_null(loaded.authority);
    tls_free(&loaded);
    assert_null(loaded.key);
    tls_free(&loaded); /* once more is allowed */
    /* Both in one file, as some programs want it. */
    char *both = NULL;
    assert_true(asprintf(&both, "%s%s", tls.key, tls.certificate) > 0);
    certificate = write_text("both.pem", both);
    assert_true(tls_load(&loaded, certificate, certificate, &error));
    tls_free(&loaded);
    tls_free(&tls);
    free(both);
}

/* Bug: a pair that does not fit is found out by the first client, by a handshake that fails. */
static void refuses_the_key_of_another(void **state)
{
    (void)state;
    struct tls one = made("127.0.0.1");
    struct tls other = made("127.0.0.1");
    const char *certificate = write_text("one.pem", one.certificate);
    const char *key = write_text("other.key", other.key);
    refused(certificate, key, "other.key", "wanted a certificate and its key");
    /* The chain in the wrong order: the key is the server's, the first certificate is not. */
    char *turned = NULL;
    assert_true(asprintf(&turned, "%s%s", one.authority, one.certificate) > 0);
    certificate = write_text("turned.pem", turned);
    key = write_text("one.key", one.key);
    refused(certificate, key, "turned.pem", "wanted a certificate and its key");
    free(turned);
    tls_free(&one);
    tls_free(&other);
}

/* Bug: a file of another kind crashes, is taken, or is refused without saying which it is. */
static void refuses_what_is_no_pem(void **state)
{
    (void)state;
    struct tls tls = made("127.0.0.1");
    char half[200];
    const char *certificate = write_text("good.pem", tls.certificate);
    const char *key = write_text("good.key", tls.key);
    snprintf(half, sizeof half, "%.150s", tls.key);
    refused(key, certificate, "good.key", "wanted a certificate and its key"); /* mixed up */
    refused(certificate, certificate, "good.pem", "wanted a certificate and its key");
    refused(write_text("empty", ""), key, "empty", "wanted a certificate and its key");
    refused(certificate, write_text("empty", ""), "empty", "wanted a certificate and its key");
    refused(certificate, write_text("half.key", half), "half.key",
            "wanted a certificate and its key");
    refused(write_file("nul.pem", "\0\1\2\0", 4), key, "nul.pem",
            "wanted a certificate and its key");
    static const char locked[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                 "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(certificate, write_text("locked.key", locked), "locked.key", "without a password");
    tls_free(&tls);
}

/* Bug: a file that cannot be read is taken for an empty one, or the other one's name is told. */
static void says_which_file_cannot_be_read(void **state)
{
    (void)state;
    struct tls tls = made("127.0.0.1");
    char place[128];
    const char *certificate = write_text("good.pem", tls.certificate);
    const char *key = write_text("good.key", tls.key);
    snprintf(place, sizeof place, "%s/gone.pem", folder);
    refused(place, key, "gone.pem", "No such file");
    refused(certificate, place, "gone.pem", "No such file");
    refused(folder, key, folder, "");
    refused(certificate, folder, folder, "");
    if (geteuid() != 0) { /* root may read all */
        assert_int_equal(chmod(key, 0), 0);
        refused(certificate, key, "good.key", "Permission denied");
    }
    char *large = calloc(TLS_PEM_BYTES_MAX + 1, 1);
    memset(large, '\n', TLS_PEM_BYTES_MAX + 1);
    const char *file = write_file("large.pem", large, TLS_PEM_BYTES_MAX + 1);
    refused(file, key, "large.pem", "");
    free(large);
    tls_free(&tls);
}

/* --- past libmicrohttpd ----------------------------------------------------------------------- */

/* Both ends of a connection on sockets that do not block. */
struct ends {
    struct tls tls;
    int fds[2];
    gnutls_session_t server;
    gnutls_session_t client;
    gnutls_certificate_credentials_t credentials[2];
};

static void connect_ends(struct ends *ends)
{
    ends->tls = made("127.0.0.1");
    gnutls_datum_t certificate = {(unsigned char *)ends->tls.certificate,
                                  (unsigned int)strlen(ends->tls.certificate)};
    gnutls_datum_t key = {(unsigned char *)ends->tls.key, (unsigned int)strlen(ends->tls.key)};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gnutls_certificate_allocate_credentials(&ends->credentials[i]), 0);
    assert_true(gnutls_certificate_set_x509_key_mem(ends->credentials[0], &certificate, &key,
                                                    GNUTLS_X509_FMT_PEM) >= 0);
    gnutls_init(&ends->server, GNUTLS_SERVER | GNUTLS_NONBLOCK);
    gnutls_init(&ends->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    gnutls_session_t both[] = {ends->server, ends->client};
    for (int i = 0; i < 2; i++) {
        gnutls_set_default_priority(both[i]);
        gnutls_credentials_set(both[i], GNUTLS_CRD_CERTIFICATE, ends->credentials[i]);
        gnutls_transport_set_int(both[i], ends->fds[i]);
    }
    int results[2] = {GNUTLS_E_AGAIN, GNUTLS_E_AGAIN};
    while (results[0] != 0 || results[1] != 0) {
        for (int i = 0; i < 2; i++) {
            if (results[i] != 0)
                results[i] = gnutls_handshake(both[i]);
            assert_true(results[i] == 0 || results[i] == GNUTLS_E_AGAIN);
        }
    }
}

static void free_ends(struct ends *ends)
{
    gnutls_deinit(ends->server);
    gnutls_deinit(ends->client);
    for (int i = 0; i < 2; i++) {
        gnutls_certificate_free_credentials(ends->credentials[i]);
        close(ends->fds[i]);
    }
    tls_free(&ends->tls);
}

/* Bug: a client that is slow to read is cut, because EAGAIN is taken for an end; what it got is
 * not what was sent; or the end is a cut, which clients take for an attack. */
static void sending_waits_for_the_other_end(void **state)
{
    (void)state;
    static char bytes[4096];
    struct ends ends;
    size_t sent = 0;
    connect_ends(&ends);
    memset(bytes, 's', sizeof bytes);
    ssize_t last;
    while ((last = tls_send(ends.server, bytes, sizeof bytes)) > 0)
        sent += (size_t)last;
    assert_int_equal(last, -1);
    assert_int_equal(errno, EAGAIN);
    size_t received = 0;
    bool has_said_more = false;
    for (;;) {
        ssize_t got = gnutls_record_recv(ends.client, bytes, sizeof bytes);
        if (got > 0)
            received += (size_t)got;
        else if (got == 0)
            break;
        else if (!has_said_more) { /* the same bytes once more: none is lost, none sent twice */
            last = tls_send(ends.server, bytes, sizeof bytes);
            assert_int_equal(last, sizeof bytes);
            sent += (size_t)last;
            tls_end(ends.server);
            has_said_more = true;
        } else {
            assert_int_equal(got, GNUTLS_E_AGAIN);
        }
    }
    assert_int_equal(received, sent);
    free_ends(&ends);
}

/* Bug: for a client that has gone it is tried for ever. */
static void sending_to_who_has_gone_is_an_end(void **state)
{
    (void)state;
    struct ends ends;
    signal(SIGPIPE, SIG_IGN);
    connect_ends(&ends);
    shutdown(ends.fds[1], SHUT_RDWR);
    assert_int_equal(tls_send(ends.server, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    free_ends(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_made_one_is_good_for_its_names_only),
        cmocka_unit_test(each_one_is_trusted_by_itself),
        cmocka_unit_test(the_server_is_no_authority),
        cmocka_unit_test(it_lasts_as_long_as_clients_accept),
        cmocka_unit_test(loads_what_fits),
        cmocka_unit_test(refuses_the_key_of_another),
        cmocka_unit_test(refuses_what_is_no_pem),
        cmocka_unit_test(says_which_file_cannot_be_read),
        cmocka_unit_test(sending_waits_for_the_other_end),
        cmocka_unit_test(sending_to_who_has_gone_is_an_end),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
