/* script_json: a script out of a configuration or a scenario (docs/scenarios.md). */
#ifndef TOOMANY_MOCKSERVER_SCRIPT_JSON_H
#define TOOMANY_MOCKSERVER_SCRIPT_JSON_H

#include "base/json.h"
#include "mockserver/script.h"

/* `list` stands at `pointer`. False with the reader's error filled; script_free() frees what has
 * been read even then. */
bool script_read(struct script *script, const struct json_reader *reader, const cJSON *list,
                 const char *pointer);

/* An answer alone, `item` at `pointer`, as the script's only step: an error or a body, which no
 * model has to make. As above. */
bool script_read_refusal(struct script *script, const struct json_reader *reader, const cJSON *item,
                         const char *pointer);

#endif
