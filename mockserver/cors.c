#include "mockserver/cors.h"

#include <string.h>

bool cors_is_preflight(const struct api_request *request)
{
    return request->origin != NULL && strcmp(request->method, "OPTIONS") == 0 &&
           api_request_header(request, "Access-Control-Request-Method") != NULL;
}

/* "*" stands for every header but Authorization. Those of the answer itself are added to it as to
 * any other. */
void cors_answer_preflight(struct answer *answer)
{
    answer_init(answer, 204);
    answer_header(answer, "access-control-allow-methods", "GET, POST, DELETE, OPTIONS");
    answer_header(answer, "access-control-allow-headers", "Authorization, *");
    answer_header(answer, "access-control-max-age", "600");
}

void cors_add_headers(struct answer *answer)
{
    answer_header(answer, "access-control-allow-origin", "*");
    answer_header(answer, "access-control-expose-headers", "X-Request-ID");
}
