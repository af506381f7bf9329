/* scalars.c - single numbers that describe the shape of a spectrum.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/spectral.h"

#include <math.h>

spectral_scalars spectral_scalars_of(const double *sigma, size_t n)
{
    if (n == 0 || !(sigma[0] > 0))
        return (spectral_scalars){NAN, NAN, NAN, NAN, NAN};
    int exponent; /* of σ₁: division by σ₁ itself would overflow where σ₁ is subnormal */
    double first = frexp(sigma[0], &exponent);
    double sum = 0, squares = 0; /* of t = σ/σ₁ */
    for (size_t i = 0; i < n; i++) {
        double t = ldexp(sigma[i], -exponent) / first;
        sum += t;
        squares += t * t;
    }
    double entropy = 0;
    for (size_t i = 0; i < n; i++) {
        double p = ldexp(sigma[i], -exponent) / first / sum;
        if (p > 0)
            entropy -= p * log(p);
    }
    return (spectral_scalars){
        .stable_rank = squares,
        .effective_rank = exp(entropy),
        .entropy = entropy,
        .concentration = 1 / sum,
        .energy_top1 = 1 / squares,
    };
}
