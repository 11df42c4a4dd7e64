/* random: seeded random numbers, the same on every machine and compiler.
 *
 * xoshiro256** seeded by splitmix64 (Blackman and Vigna, https://prng.di.unimi.it/, public
 * domain algorithm). No library that ships with Debian gives a small reproducible stream per
 * object without a global state.
 */
#ifndef TOOMANY_BASE_RANDOM_H
#define TOOMANY_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

/* Starts the stream number `stream` of `seed`; different streams do not correlate. */
void random_seed(struct random *random, uint64_t seed, uint64_t stream);

/* The next 64 random bits. */
static inline uint64_t random_bits(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t product = s[1] * 5;
    uint64_t result = (product << 7 | product >> 57) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

/* Uniform in [0, 1), 53 bits. */
static inline double random_unit(struct random *random)
{
    return (double)(random_bits(random) >> 11) * 0x1.0p-53;
}

/* Uniform whole number in [0, bound); bound > 0. Without modulo bias. */
uint64_t random_below(struct random *random, uint64_t bound);

#endif
