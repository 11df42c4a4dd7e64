/* pattern_cost: how large a POSIX extended regular expression becomes when it is compiled.
 *
 * The C library copies what is repeated: "a+" is two, "(a{9}){9}" is a hundred. A pattern of some
 * sixty bytes can so take all memory; who compiles one from a file asks here first. One repetition
 * directly on another ("a+*"), which POSIX leaves undefined, is always too much: with a dozen of
 * them glibc takes minutes.
 *
 *     "ab+"        -> 3
 *     "(ab){2}"    -> 6
 */
#ifndef TOOMANY_BASE_PATTERN_COST_H
#define TOOMANY_BASE_PATTERN_COST_H

#include <stdint.h>

enum { PATTERN_COST_MAX = 1000, PATTERN_DEPTH_MAX = 100 };

/* Atoms after copying; more than PATTERN_COST_MAX when it is too much, also where groups are nested
 * deeper than PATTERN_DEPTH_MAX. The pattern need not be a right one. */
int64_t pattern_cost(const char *pattern);

#endif
