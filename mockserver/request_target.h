/* request_target: the path in the first line of a request.
 *
 * Most clients send it alone; a server also has to take it behind a scheme and an authority, as
 * proxies get it (RFC 9112, 3.2.2):
 *
 *     GET /v1/models?limit=1 HTTP/1.1                    -> /v1/models?limit=1
 *     GET http://127.0.0.1:8429/v1/models HTTP/1.1       -> /v1/models
 *
 * Pure.
 */
#ifndef TOOMANY_MOCKSERVER_REQUEST_TARGET_H
#define TOOMANY_MOCKSERVER_REQUEST_TARGET_H

/* Points into `target`; "/" where an authority is all there is. What is no path ("*") stays. */
const char *request_target_path(const char *target);

#endif
