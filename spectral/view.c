/* view.c - sizes of dtypes and views, and the words for a status.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/spectral.h"

#include <math.h>
#include <string.h>

const char *spectral_status_text(spectral_status status)
{
    switch (status) {
    case SPECTRAL_OK: return "ok";
    case SPECTRAL_E_SHAPE: return "factor shapes do not form a low-rank update";
    case SPECTRAL_E_LIMIT: return "beyond the limits on rank or cost";
    case SPECTRAL_E_DTYPE: return "unknown dtype";
    case SPECTRAL_E_NONFINITE: return "not a finite number";
    case SPECTRAL_E_CONVERGENCE: return "no convergence";
    case SPECTRAL_E_MEMORY: return "out of memory";
    case SPECTRAL_E_READ: return "factor could not be read";
    }
    return "unknown status";
}

size_t spectral_dtype_bytes(spectral_dtype dtype)
{
    switch (dtype) {
    case SPECTRAL_F64: return 8;
    case SPECTRAL_F32: return 4;
    case SPECTRAL_F16:
    case SPECTRAL_BF16: return 2;
    }
    return 0;
}

/* IEEE 754 binary16 by its definition: (−1)^s · 2^(e−15) · 1.f, subnormal where e = 0. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double x = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
               : exponent == 0 ? ldexp(fraction, -24)
                               : ldexp(1024 + fraction, exponent - 25);
    return h >> 15 ? -x : x;
}

double spectral_scalar(const void *p, spectral_dtype dtype)
{
    double d;
    float f;
    uint16_t h;
    uint32_t bits;
    switch (dtype) {
    case SPECTRAL_F64:
        memcpy(&d, p, sizeof d);
        return d;
    case SPECTRAL_F32:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case SPECTRAL_F16:
        memcpy(&h, p, sizeof h);
        return half_value(h);
    case SPECTRAL_BF16:
        memcpy(&h, p, sizeof h);
        bits = (uint32_t)h << 16;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    }
    return NAN;
}

size_t spectral_view_bytes(const spectral_view *view)
{
    if (view->rows == 0 || view->cols == 0)
        return 0;
    size_t down, across, elements, bytes;
    if (__builtin_mul_overflow(view->rows - 1, view->row_stride, &down) ||
        __builtin_mul_overflow(view->cols - 1, view->col_stride, &across) ||
        __builtin_add_overflow(down, across, &elements) || __builtin_add_overflow(elements, (size_t)1, &elements) ||
        __builtin_mul_overflow(elements, spectral_dtype_bytes(view->dtype), &bytes))
        return 0;
    return bytes;
}
