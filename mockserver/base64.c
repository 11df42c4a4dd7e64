#include "mockserver/base64.h"

#include <stdint.h>
#include <stdlib.h>

char *base64_encode(const void *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes;
    char *text = malloc((length + 2) / 3 * 4 + 1);
    char *to = text;
    for (size_t i = 0; text != NULL && i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)from[i] << 16;
        group |= left > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)from[i + 2] : 0;
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = (char)(left > 1 ? digits[group >> 6 & 63] : '=');
        *to++ = (char)(left > 2 ? digits[group & 63] : '=');
    }
    if (text != NULL)
        *to = '\0';
    return text;
}
