#include "base/digest.h"

#include <string.h>

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

struct words {
    uint64_t first, second;
};

static struct words words_at(const char *at)
{
    struct words words;
    memcpy(&words, at, sizeof words);
    return words;
}

/* Of fewer than sixteen bytes: every one is in it, some twice. */
static struct words words_of_few(const char *at, size_t length)
{
    struct words words = {0, 0};
    if (length >= 8) {
        memcpy(&words.first, at, 8);
        memcpy(&words.second, at + length - 8, 8);
    } else if (length >= 4) {
        uint32_t halves[2];
        memcpy(&halves[0], at, 4);
        memcpy(&halves[1], at + length - 4, 4);
        words = (struct words){halves[0], halves[1]};
    } else if (length > 0) {
        words.first = (unsigned char)at[0];
        words.second = (uint64_t)(unsigned char)at[length / 2] << 8 | (unsigned char)at[length - 1];
    }
    return words;
}

/* No step waits for the one before: each has a key of its own, and their sum is mixed. */
uint64_t digest_quick(const void *bytes, size_t length)
{
    static const uint64_t odd[] = {UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db)};
    const char *at = bytes;
    uint64_t key = odd[0];
    uint64_t sum = length;
    size_t left = length;
    for (; left > sizeof(struct words); left -= sizeof(struct words)) {
        struct words words = words_at(at);
        sum += digest_mix(words.first ^ key, words.second ^ odd[1]);
        key += odd[1];
        at += sizeof words;
    }
    struct words last =
        length >= sizeof last ? words_at(at + left - sizeof last) : words_of_few(at, left);
    sum += digest_mix(last.first ^ key, last.second ^ odd[1]);
    return digest_mix(sum, odd[1]);
}
