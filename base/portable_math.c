#include "base/portable_math.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static const double ln2_high =
    0x1.62e42feep-1; /* its low 32 bits are 0, so k * ln2_high is exact */
static const double ln2_low = 0x1.a39ef35793c76p-33;

enum { EXPONENT_SHIFT = 52, EXPONENT_BIAS = 1023 };

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double portable_log(double x)
{
    assert(x >= DBL_MIN && x <= DBL_MAX);
    /* x = 2^k (1 + f), with 1 + f between sqrt(2)/2 and sqrt(2) */
    uint64_t bits = bits_of(x);
    int k = (int)(bits >> EXPONENT_SHIFT) - EXPONENT_BIAS;
    uint64_t mantissa = bits & ((UINT64_C(1) << EXPONENT_SHIFT) - 1);
    static const uint64_t sqrt2_mantissa = UINT64_C(0x6a09e667f3bcd);
    /* Without a branch: which way it goes is as good as random. */
    int is_above = mantissa >= sqrt2_mantissa;
    uint64_t exponent = EXPONENT_BIAS - (uint64_t)is_above;
    k += is_above;
    double f = double_of(mantissa | exponent << EXPONENT_SHIFT) - 1.0;
    /* log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), s = f / (2 + f), R a polynomial in s^2 */
    double s = f / (2.0 + f);
    double z = s * s;
    double w = z * z;
    double odd = w * (3.999999999940941908e-01 +
                      w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double even = z * (6.666666666666735130e-01 +
                       w * (2.857142874366239149e-01 +
                            w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    double r = odd + even;
    double half_square = 0.5 * f * f;
    double power = (double)k;
    return power * ln2_high - ((half_square - (s * (half_square + r) + power * ln2_low)) - f);
}

double portable_exp(double x)
{
    if (x < -700.0)
        return 0;
    if (x > 700.0)
        return INFINITY;
    /* x = k ln 2 + r, |r| at most (ln 2) / 2 */
    double scaled = x * 1.44269504088896338700e+00;
    int k = (int)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    double power = (double)k;
    double high = x - power * ln2_high;
    double low = power * ln2_low;
    double r = high - low;
    double t = r * r;
    double c =
        r - t * (1.66666666666666019037e-01 +
                 t * (-2.77777777770155933842e-03 +
                      t * (6.61375632143793436117e-05 +
                           t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    double y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    return y * double_of((uint64_t)(k + EXPONENT_BIAS) << EXPONENT_SHIFT);
}
