/* digest: a 64-bit fingerprint of bytes, the same on every machine (FNV-1a).
 *
 * For telling bodies and keys apart, not for security. Two different bodies of one run meet by
 * chance once in 2^32 runs of 65,000 requests.
 * Rule: http://www.isthe.com/chongo/tech/comp/fnv/ (public domain).
 */
#ifndef TOOMANY_BASE_DIGEST_H
#define TOOMANY_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t digest_bytes(const void *bytes, size_t length);

/* Sixteen bytes a step, for keys and bodies, of which every request has one. Not for what is kept:
 * machines of another byte order have another digest. */
uint64_t digest_quick(const void *bytes, size_t length);

/* Two words into one that depends on every bit of both. */
static inline uint64_t digest_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 product_type;
    product_type product = (product_type)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
