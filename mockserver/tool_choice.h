/* tool_choice: which tool a model calls, of those that a request offers it.
 *
 *     "tool_choice": "none"                                      no tool
 *     "auto", or nothing is said                                 the first, where the model may
 *     "required"                                                 the first
 *     {"type": "function", "function": {"name": "f"}}            that one
 *     {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [...]}}
 *                                                                the first that is among them
 *
 * Tools are functions and custom tools; those that OpenAI runs itself are not called. In responses
 * what stands here under "function", "custom" or "allowed_tools" stands in the object itself. The
 * older "functions" and "function_call" of chats are the same in other words.
 *
 * A model that may call does so where no words are set for it and no tool has answered since the
 * user last spoke; so an agent's loop comes to its end.
 */
#ifndef TOOMANY_MOCKSERVER_TOOL_CHOICE_H
#define TOOMANY_MOCKSERVER_TOOL_CHOICE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

struct endpoint_call;

enum { TOOLS_MAX = 128 }; /* OpenAI's; each allowed one is looked for among them */

enum tool_kind { TOOL_FUNCTION, TOOL_CUSTOM, TOOL_LEGACY_FUNCTION };

struct tool {
    enum tool_kind kind;
    const char *name;
    const cJSON *parameters; /* the schema of a function's arguments, or NULL */
};

/* The tool that is called by the answer to this body of a POST /v1/chat/completions or
 * /v1/responses; `has_content`: words are set. False: none is. */
bool tool_choice_find(const cJSON *root, bool has_content, struct tool *tool);

/* Refuses a choice that cannot be obeyed: of what is not offered, or of what nobody knows. */
bool tool_choice_read(struct endpoint_call *call);

#endif
