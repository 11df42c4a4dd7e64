/* chat_message: whether a message of a chat request is one.
 *
 * Its role is one of OpenAI's, and it says something: a text or an array of parts, which only what
 * a model or a function said may lack.
 *
 *     {"role": "human", "content": "Hello"}
 *
 * gets 400, "Invalid value: 'human'. Supported values are: ...", with the param messages[0].role.
 *
 * Pure.
 */
#ifndef TOOMANY_MOCKSERVER_CHAT_MESSAGE_H
#define TOOMANY_MOCKSERVER_CHAT_MESSAGE_H

#include "mockserver/endpoint.h"

/* Checks the object that stands at `index` of the messages. False when it is wrong; the call's
 * answer then holds the error. */
bool chat_message_check(struct endpoint_call *call, const cJSON *message, size_t index);

#endif
