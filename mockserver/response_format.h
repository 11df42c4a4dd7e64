/* response_format: whether the format that a request asks for is one.
 *
 * Chat completions say it in `response_format`, where the name and the schema stand in an object of
 * their own; responses say it in `text.format`, where they stand beside the type.
 *
 *     {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}}}
 *     {"type": "json_schema", "name": "city", "schema": {"type": "object"}}
 *
 * Pure.
 */
#ifndef TOOMANY_MOCKSERVER_RESPONSE_FORMAT_H
#define TOOMANY_MOCKSERVER_RESPONSE_FORMAT_H

#include "mockserver/endpoint.h"

/* False when the call's body asks for none that there is; the answer then holds the error. */
bool response_format_check_chat(struct endpoint_call *call);
bool response_format_check_response(struct endpoint_call *call);

#endif
