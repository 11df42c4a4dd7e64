/* upstream: another OpenAI-compatible server, asked over the network for what this one has
 * admitted.
 *
 *     struct upstream_options options = {.base_url = "https://api.openai.com/v1", .api_key = key};
 *     struct upstream *upstream = upstream_new(&loop, &options, &error);
 *     server_options.backend = upstream_backend(upstream);
 *     ... the server is freed first ...
 *     upstream_free(upstream);
 *
 * On the server's own loop, by libcurl: many at once, answers as they come, none followed
 * elsewhere. A request for /v1/NAME goes to BASE_URL/NAME. All headers go with it but those of the
 * connection; where there is an api_key it takes the place of the client's. Who has no answer's
 * beginning after first_byte_ns has timed out; an answer under way may pause for as long.
 */
#ifndef TOOMANY_UPSTREAM_UPSTREAM_H
#define TOOMANY_UPSTREAM_UPSTREAM_H

#include "clock/loop.h"
#include "mockserver/backend.h"

#define UPSTREAM_CONNECT_SECONDS 10
#define UPSTREAM_SILENCE_SECONDS 600 /* as long as the official SDKs wait */

struct upstream_options {
    const char *base_url; /* with the /v1; copied */
    const char *api_key;  /* NULL: that of each client; copied */
    int64_t silence_ns;   /* 0: UPSTREAM_SILENCE_SECONDS */
    bool wants_plain;     /* answers are not to be compressed */
};

struct upstream; /* opaque */

/* NULL with the error filled (place "--upstream"). */
struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options,
                              struct error *error);
/* No transfer may be left. NULL is allowed. */
void upstream_free(struct upstream *upstream);

const struct backend *upstream_backend(const struct upstream *upstream);

#endif
