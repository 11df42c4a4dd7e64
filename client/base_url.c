/* Where the API is. */
#include "client/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static bool is_loopback_host(const char *host)
{
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

/* Takes `url` apart, so that what is not an address is refused before anything is sent. */
static bool check_base_url(CURLU *url, const char *text, char *host_name, bool *is_loopback,
                           struct error *error)
{
    char *scheme = NULL;
    char *host = NULL;
    char *query = NULL;
    char *fragment = NULL;
    bool is_url = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0' &&
                  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    bool has_rest = is_url && (curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK ||
                               curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK);
    is_url = is_url && strlen(host) < CLIENT_HOST_SIZE;
    if (is_url) {
        *is_loopback = is_loopback_host(host);
        memcpy(host_name, host, strlen(host) + 1);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(query);
    curl_free(fragment);
    if (!is_url || has_rest)
        return error_set(error, "base_url",
                         "found \"%s\", wanted an http or https address such as %s", text,
                         CLIENT_BASE_URL_DEFAULT);
    return true;
}

bool client_host_of(const char *base_url, char host[CLIENT_HOST_SIZE], bool *is_loopback,
                    struct error *error)
{
    if (strstr(base_url, "://") == NULL)
        return error_set(error, "base_url",
                         "found \"%s\", wanted an address that begins with http:// or https://",
                         base_url);
    CURLU *url = curl_url();
    if (url == NULL)
        return error_set_run(error, "", "out of memory");
    bool is_right = check_base_url(url, base_url, host, is_loopback, error);
    curl_url_cleanup(url);
    return is_right;
}
