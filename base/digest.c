#include "base/digest.h"

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
