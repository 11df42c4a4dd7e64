/* cors: lets programs in a browser read the answers, as OpenAI does (openai-facts: the SDK's
 * dangerouslyAllowBrowser, and "Access-Control-Expose-Headers: X-Request-ID" in captures).
 *
 * A browser asks first ("preflight"), without a key, whether a page of another origin may send a
 * request, and lets the page read an answer only where a header allows it. Of the answer's headers
 * it sees those that are exposed: of OpenAI's only x-request-id, no Retry-After and no limits.
 * Rule: the Fetch standard, https://fetch.spec.whatwg.org/#http-cors-protocol.
 *
 * Not in front of another server: a page that the user visits could spend what the real key pays
 * for. Nor under /_toomany/.
 */
#ifndef TOOMANY_MOCKSERVER_CORS_H
#define TOOMANY_MOCKSERVER_CORS_H

#include "mockserver/answer.h"
#include "mockserver/api.h"

#include <stdbool.h>

/* Whether it only asks if a request may be sent. */
bool cors_is_preflight(const struct api_request *request);

/* Allows every request of this API. */
void cors_answer_preflight(struct answer *answer);

/* What the answer to a request with an Origin needs to be read. */
void cors_add_headers(struct answer *answer);

#endif
