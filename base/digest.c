#include "base/digest.h"

#include <string.h>

uint64_t digest_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 product_type;
    product_type product = (product_type)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t digest_bytes(const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) {
        digest ^= byte[i];
        digest *= UINT64_C(0x100000001b3);
    }
    return digest;
}

uint64_t digest_quick(const void *bytes, size_t length)
{
    static const uint64_t odd[] = {UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db)};
    const char *at = bytes;
    uint64_t digest = odd[0] ^ length;
    uint64_t words[2];
    for (; length >= sizeof words; length -= sizeof words) {
        memcpy(words, at, sizeof words);
        digest = digest_mix(words[0] ^ odd[1], words[1] ^ digest);
        at += sizeof words;
    }
    if (length > 0) {
        words[0] = words[1] = 0;
        memcpy(words, at, length);
        digest = digest_mix(words[0] ^ odd[1], words[1] ^ digest);
    }
    return digest_mix(digest, odd[1]);
}
