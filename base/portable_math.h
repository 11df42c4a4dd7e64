/* portable_math: logarithm and exponential that are the same to the bit everywhere.
 *
 * A mathematical library may round its last digit as it likes, and does so from version to
 * version. These use only + - * /, which IEEE 754 rounds in one way; the build forbids the
 * compiler to contract them (-ffp-contract=off). The methods and constants are those of fdlibm
 * (Sun Microsystems, 1993); the error is below one unit in the last place.
 */
#ifndef TOOMANY_BASE_PORTABLE_MATH_H
#define TOOMANY_BASE_PORTABLE_MATH_H

/* Natural logarithm of a finite x of 2.3e-308 (DBL_MIN) and more. */
double portable_log(double x);

/* e to the x; 0 below -700, infinity above 700. */
double portable_exp(double x);

#endif
