/* curl's easy interface and nanosleep. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* libcurl gives its type. NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t discard(char *bytes, size_t size, size_t count, void *unused)
{
    (void)bytes;
    (void)unused;
    return size * count;
}

int main(void)
{
    char url[512];
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer sk-test");
    snprintf(url, sizeof url, "%s/chat/completions", getenv("OPENAI_BASE_URL"));
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    for (;;) {
        long status = 0;
        curl_off_t wait_s = 0;
        if (curl_easy_perform(curl) != CURLE_OK)
            return 2;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (status == 200)
            break;
        curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait_s);
        struct timespec wait = {.tv_sec = wait_s};
        nanosleep(&wait, NULL);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return 0;
}
