/* shared_quotas: whether models share limits in one way only.
 *
 *     {"family": {"shared_by": ["a", "b"]}, "others": {"shared_by": ["b"]}, "a": {...}}
 *
 * says two things of b and of a, and only one of them could hold.
 *
 * Pure.
 */
#ifndef TOOMANY_MOCKSERVER_SHARED_QUOTAS_H
#define TOOMANY_MOCKSERVER_SHARED_QUOTAS_H

#include "mockserver/config.h"

/* Checks the quotas that were read at `pointer`. False with the reader's error filled. */
bool shared_quotas_check(const struct config_quotas *quotas, const struct json_reader *reader,
                         const char *pointer);

#endif
