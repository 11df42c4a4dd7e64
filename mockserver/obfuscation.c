#include "mockserver/obfuscation.h"

void obfuscation_begin(struct random *random, uint64_t id_bits)
{
    random_seed(random, id_bits, 0);
}

void obfuscation_make(struct random *random, size_t length, char padding[OBFUSCATION_STEP])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t count = (OBFUSCATION_STEP - length % OBFUSCATION_STEP) % OBFUSCATION_STEP;
    for (size_t i = 0; i < count; i++)
        padding[i] = letters[random_below(random, sizeof letters - 1)];
    padding[count] = '\0';
}
