/* obfuscation: the padding of an event of a stream, so that its length does not tell the word that
 * is in it.
 *
 * Recorded streams (vercel/ai, its fixtures of chat and responses) show random letters and digits
 * that bring the length of each chunk of a chat, and that of the text of each delta of a response,
 * to the same rest modulo 16; here, to a multiple of it:
 *
 *     "delta":"city","obfuscation":"DkY5viLS9kfI"     4 + 12
 *
 * Pure: drawn from the bits of the answer's id, and so from the seed.
 */
#ifndef TOOMANY_MOCKSERVER_OBFUSCATION_H
#define TOOMANY_MOCKSERVER_OBFUSCATION_H

#include "base/random.h"

#include <stddef.h>

enum { OBFUSCATION_STEP = 16 };

/* The source of an answer's padding. */
void obfuscation_begin(struct random *random, uint64_t id_bits);

/* What brings `length` bytes to a multiple of OBFUSCATION_STEP; "" where they are one. */
void obfuscation_make(struct random *random, size_t length, char padding[OBFUSCATION_STEP]);

#endif
