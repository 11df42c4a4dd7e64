#include "mockserver/tls.h"

#include "base/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tls_is_supported(void)
{
    return MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_YES;
}

void tls_free(struct tls *tls)
{
    if (tls->key != NULL)
        gnutls_memset(tls->key, 0, strlen(tls->key));
    free(tls->certificate);
    free(tls->key);
    free(tls->authority);
    *tls = (struct tls){0};
}

static gnutls_datum_t datum_of(char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned int)strlen(text)};
}

/* libmicrohttpd would only say that it did not start. */
static bool check(const struct tls *tls, const char *place, struct error *error)
{
    gnutls_certificate_credentials_t credentials;
    if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
        return error_set_run(error, place, "out of memory");
    const gnutls_datum_t certificate = datum_of(tls->certificate);
    const gnutls_datum_t key = datum_of(tls->key);
    int result =
        gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (result >= 0)
        return true;
    return error_set(error, place,
                     "%s; wanted a certificate and its key, in PEM, the key without a password",
                     gnutls_strerror(result));
}

bool tls_load(struct tls *tls, const char *certificate_file, const char *key_file,
              struct error *error)
{
    size_t length = 0;
    *tls = (struct tls){0};
    tls->certificate = json_file_bytes(certificate_file, TLS_PEM_BYTES_MAX, &length, error);
    if (tls->certificate == NULL)
        return false;
    tls->key = json_file_bytes(key_file, TLS_PEM_BYTES_MAX, &length, error);
    char place[512];
    snprintf(place, sizeof place, "%.250s, %.250s", certificate_file, key_file);
    if (tls->key != NULL && check(tls, place, error))
        return true;
    tls_free(tls);
    return false;
}

/* --- making one ------------------------------------------------------------------------------- */

struct made {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
};

static int set_lifetime(gnutls_x509_crt_t certificate, int64_t wall_s)
{
    const time_t day_s = 86400;
    /* The clocks of clients may be behind. */
    int result = gnutls_x509_crt_set_activation_time(certificate, (time_t)(wall_s - day_s));
    if (result < 0)
        return result;
    return gnutls_x509_crt_set_expiration_time(certificate,
                                               (time_t)(wall_s + (TLS_DAYS - 1) * day_s));
}

static int set_serial(gnutls_x509_crt_t certificate)
{
    unsigned char serial[16];
    int result = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    if (result < 0)
        return result;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 1); /* positive, not 0 */
    return gnutls_x509_crt_set_serial(certificate, serial, sizeof serial);
}

/* A key and an unsigned certificate of this name. */
static int begin(struct made *made, const char *name, int64_t wall_s)
{
    int result = gnutls_x509_crt_init(&made->certificate);
    if (result < 0)
        return result;
    result = gnutls_x509_privkey_init(&made->key);
    if (result < 0)
        return result;
    unsigned char key_id[64];
    size_t key_id_size = sizeof key_id;
    result = gnutls_x509_privkey_generate(made->key, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (result >= 0)
        result = gnutls_x509_crt_set_version(made->certificate, 3);
    if (result >= 0)
        result = set_serial(made->certificate);
    if (result >= 0)
        result = set_lifetime(made->certificate, wall_s);
    if (result >= 0)
        result = gnutls_x509_crt_set_dn_by_oid(made->certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
                                               name, (unsigned int)strlen(name));
    if (result >= 0)
        result = gnutls_x509_crt_set_key(made->certificate, made->key);
    if (result >= 0)
        result = gnutls_x509_crt_get_key_id(made->certificate, GNUTLS_KEYID_USE_SHA1, key_id,
                                            &key_id_size);
    if (result >= 0)
        result = gnutls_x509_crt_set_subject_key_id(made->certificate, key_id, key_id_size);
    return result;
}

static int add_names(gnutls_x509_crt_t certificate, const char *host)
{
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    static const char localhost[] = "localhost";
    int result = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, localhost,
                                                      sizeof localhost - 1, GNUTLS_FSAN_SET);
    for (size_t i = 0; i < 3 && result >= 0; i++) {
        const char *address = i < 2 ? addresses[i] : host;
        unsigned char bytes[sizeof(struct in6_addr)];
        bool is_v6 = inet_pton(AF_INET6, address, bytes) == 1;
        if (is_v6 || inet_pton(AF_INET, address, bytes) == 1)
            result = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, bytes,
                                                          is_v6 ? 16 : 4, GNUTLS_FSAN_APPEND);
    }
    return result;
}

static int sign_authority(struct made *authority)
{
    int result = gnutls_x509_crt_set_basic_constraints(authority->certificate, 1, 0);
    if (result >= 0)
        result = gnutls_x509_crt_set_key_usage(authority->certificate, GNUTLS_KEY_KEY_CERT_SIGN);
    if (result >= 0)
        result = gnutls_x509_crt_sign2(authority->certificate, authority->certificate,
                                       authority->key, GNUTLS_DIG_SHA256, 0);
    return result;
}

static int sign_server(struct made *server, struct made *authority, const char *host)
{
    unsigned char key_id[64];
    size_t key_id_size = sizeof key_id;
    int result = gnutls_x509_crt_set_basic_constraints(server->certificate, 0, -1);
    if (result >= 0)
        result = gnutls_x509_crt_set_key_usage(server->certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (result >= 0)
        result =
            gnutls_x509_crt_set_key_purpose_oid(server->certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (result >= 0)
        result =
            gnutls_x509_crt_get_subject_key_id(authority->certificate, key_id, &key_id_size, NULL);
    if (result >= 0)
        result = gnutls_x509_crt_set_authority_key_id(server->certificate, key_id, key_id_size);
    if (result >= 0)
        result = add_names(server->certificate, host);
    if (result >= 0)
        result = gnutls_x509_crt_sign2(server->certificate, authority->certificate, authority->key,
                                       GNUTLS_DIG_SHA256, 0);
    return result;
}

static char *certificate_text(gnutls_x509_crt_t certificate)
{
    gnutls_datum_t text = {0};
    if (gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text) < 0)
        return NULL;
    char *copy = strndup((const char *)text.data, text.size);
    gnutls_free(text.data);
    return copy;
}

static char *key_text(gnutls_x509_privkey_t key)
{
    gnutls_datum_t text = {0};
    if (gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text) < 0)
        return NULL;
    char *copy = strndup((const char *)text.data, text.size);
    gnutls_memset(text.data, 0, text.size);
    gnutls_free(text.data);
    return copy;
}

static void end(struct made *made)
{
    if (made->certificate != NULL)
        gnutls_x509_crt_deinit(made->certificate);
    if (made->key != NULL)
        gnutls_x509_privkey_deinit(made->key);
}

bool tls_make(struct tls *tls, const char *host, int64_t wall_s, struct error *error)
{
    struct made authority = {0};
    struct made server = {0};
    *tls = (struct tls){0};
    int result = begin(&authority, "toomany, for one run", wall_s);
    if (result >= 0)
        result = sign_authority(&authority);
    if (result >= 0)
        result = begin(&server, "toomany serve", wall_s);
    if (result >= 0)
        result = sign_server(&server, &authority, host);
    if (result >= 0) {
        char *own = certificate_text(server.certificate);
        tls->authority = certificate_text(authority.certificate);
        tls->key = key_text(server.key);
        if (own == NULL || tls->authority == NULL || tls->key == NULL ||
            asprintf(&tls->certificate, "%s%s", own, tls->authority) < 0) {
            tls->certificate = NULL;
            result = GNUTLS_E_MEMORY_ERROR;
        }
        free(own);
    }
    end(&server);
    end(&authority);
    if (result >= 0)
        return true;
    tls_free(tls);
    return error_set_run(error, "--tls-self-signed", "%s", gnutls_strerror(result));
}

/* --- past libmicrohttpd ----------------------------------------------------------------------- */

ssize_t tls_send(void *session, const void *data, size_t size)
{
    ssize_t sent = gnutls_record_send(session, data, size);
    if (sent >= 0)
        return sent;
    errno = sent == GNUTLS_E_AGAIN ? EAGAIN : sent == GNUTLS_E_INTERRUPTED ? EINTR : EPIPE;
    return -1;
}

void tls_end(void *session)
{
    gnutls_bye(session, GNUTLS_SHUT_WR);
}
