/* The page that a proxy in front of the API sends where it gets no answer: HTML with 502, 503 or
 * 504 (502), and none of OpenAI's headers. */
#include "mockserver/fault.h"
#include "mockserver/http_date.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>

static void play_proxy_page(const struct fault *fault, struct fault_play *play)
{
    int status = fault->status != 0 ? (int)fault->status : MHD_HTTP_BAD_GATEWAY;
    const char *phrase = MHD_get_reason_phrase_for((unsigned int)status);
    char *page = NULL;
    if (asprintf(&page,
                 "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1>"
                 "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
                 status, phrase, status, phrase) < 0)
        page = NULL;
    struct answer *answer = play->answer;
    char date[HTTP_DATE_SIZE];
    answer_free(answer);
    answer_init(answer, status);
    answer_header(answer, "server", "nginx");
    answer_header(answer, "date", "%s", http_date(play->wall_ns / INT64_C(1000000000), date));
    answer_header(answer, "content-type", "text/html");
    answer_body(answer, page);
}

extern const struct fault_kind fault_proxy_page;
const struct fault_kind fault_proxy_page = {
    .name = "proxy_page",
    .keys = (const char *const[]){"status", NULL},
    .play = play_proxy_page,
    .breaks = fault_spares, /* its status says that it is none */
};
