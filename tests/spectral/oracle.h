/* oracle.h - dense references for the tests of spectral/: ΔW formed entry by entry, its SVD by LAPACK, its moments.
 *
 * Factors are built as stored bytes and read back by scalar formulas of their own, so that nothing here shares a
 * conversion, a layout or a path with what is tested.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_SPECTRAL_ORACLE_H
#define TESTS_SPECTRAL_ORACLE_H

#include "spectral/spectral.h"

#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAYBE_UNUSED __attribute__((unused))

/* ---- random numbers ---- */

static inline uint64_t rng_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline double rng_uniform(uint64_t *state) { return ((double)(rng_next(state) >> 11) + 0.5) * 0x1p-53; }

static inline double rng_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(rng_uniform(state)));
    return radius * cos(6.283185307179586 * rng_uniform(state));
}

/* ---- scalar conversions, from the definitions of the formats ---- */

static inline double decode_small(uint16_t bits, int exponent_bits, int fraction_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1), fraction = bits & ((1 << fraction_bits) - 1);
    double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

static inline uint16_t encode_small(double x, int exponent_bits, int fraction_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1, e = x == 0 ? -bias : ilogb(x);
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (e < 1 - bias)
        return (uint16_t)(sign | (unsigned)lrint(ldexp(fabs(x), bias - 1 + fraction_bits)));
    long magnitude = lrint(ldexp(fabs(x), fraction_bits - e)) + ((long)(e + bias - 1) << fraction_bits);
    return (uint16_t)(sign | (unsigned)magnitude);
}

static inline double oracle_get(const void *data, spectral_dtype dtype, size_t i)
{
    switch (dtype) {
    case SPECTRAL_F64: return ((const double *)data)[i];
    case SPECTRAL_F32: return (double)((const float *)data)[i];
    case SPECTRAL_F16: return decode_small(((const uint16_t *)data)[i], 5, 10);
    case SPECTRAL_BF16: return decode_small(((const uint16_t *)data)[i], 8, 7);
    }
    return NAN;
}

static inline void oracle_set(void *data, spectral_dtype dtype, size_t i, double x)
{
    switch (dtype) {
    case SPECTRAL_F64: ((double *)data)[i] = x; break;
    case SPECTRAL_F32: ((float *)data)[i] = (float)x; break;
    case SPECTRAL_F16: ((uint16_t *)data)[i] = encode_small(x, 5, 10); break;
    case SPECTRAL_BF16: ((uint16_t *)data)[i] = encode_small(x, 8, 7); break;
    }
}

/* ---- stored factors ---- */

typedef enum { ROW_MAJOR, COLUMN_MAJOR, PADDED_ROWS, BOTH_STRIDED, N_LAYOUTS } oracle_layout;

/* A zeroed matrix in its own storage. Owner: the caller frees view.data. */
static inline spectral_view matrix_create(size_t rows, size_t cols, spectral_dtype dtype, oracle_layout layout)
{
    spectral_view v = {.dtype = dtype, .rows = rows, .cols = cols};
    const size_t row_strides[N_LAYOUTS] = {cols, 1, cols + 5, 2 * cols + 3}, col_strides[N_LAYOUTS] = {1, rows, 1, 2};
    v.row_stride = row_strides[layout];
    v.col_stride = col_strides[layout];
    v.data = calloc(1, spectral_view_bytes(&v));
    assert_non_null(v.data);
    return v;
}

static inline size_t matrix_index(const spectral_view *v, size_t i, size_t j)
{
    return i * v->row_stride + j * v->col_stride;
}

static inline double matrix_get(const spectral_view *v, size_t i, size_t j)
{
    return oracle_get(v->data, v->dtype, matrix_index(v, i, j));
}

static inline void matrix_set(const spectral_view *v, size_t i, size_t j, double x)
{
    union {
        const void *read;
        void *write;
    } data = {v->data};
    oracle_set(data.write, v->dtype, matrix_index(v, i, j), x);
}

static inline void matrix_free(const spectral_view *v)
{
    union {
        const void *read;
        void *write;
    } data = {v->data};
    free(data.write);
}

static inline void matrix_fill_normal(const spectral_view *v, double scale, uint64_t *state)
{
    for (size_t i = 0; i < v->rows; i++)
        for (size_t j = 0; j < v->cols; j++)
            matrix_set(v, i, j, scale * rng_normal(state));
}

/* A module of Gaussian factors. Owner: the caller calls module_free. */
static inline spectral_module module_random(size_t m, size_t n, size_t r, spectral_dtype dtype, oracle_layout layout,
                                            uint64_t seed)
{
    spectral_module module = {.a = matrix_create(r, n, dtype, layout), .b = matrix_create(m, r, dtype, layout),
                              .scale = 1};
    matrix_fill_normal(&module.a, 0.5, &seed);
    matrix_fill_normal(&module.b, 0.25, &seed);
    return module;
}

static inline void module_free(spectral_module *module)
{
    matrix_free(&module->a);
    matrix_free(&module->b);
}

static inline size_t least(size_t x, size_t y) { return x < y ? x : y; }

static inline spectral_result result_create(const spectral_module *module)
{
    size_t r = module->a.rows;
    spectral_result result = {.sigma = calloc(r + 1, sizeof(double)), .sigma_a = calloc(r + 1, sizeof(double)),
                              .sigma_b = calloc(r + 1, sizeof(double))};
    assert_true(result.sigma && result.sigma_a && result.sigma_b);
    return result;
}

static inline void result_free(spectral_result *result)
{
    free(result->sigma);
    free(result->sigma_a);
    free(result->sigma_b);
}

/* ---- dense references ---- */

/* Column-major float64 copy. Owner: the caller. */
static inline double *dense_of(const spectral_view *v)
{
    double *x = malloc(v->rows * v->cols * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < v->rows; i++)
        for (size_t j = 0; j < v->cols; j++)
            x[j * v->rows + i] = matrix_get(v, i, j);
    return x;
}

/* s·B·A, column-major m × n; inner products in long double. Owner: the caller. */
static inline double *dense_update(const spectral_module *module)
{
    size_t m = module->b.rows, n = module->a.cols, r = module->a.rows;
    double *a = dense_of(&module->a), *b = dense_of(&module->b), *w = malloc(m * n * sizeof *w);
    assert_non_null(w);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < m; i++) {
            long double sum = 0;
            for (size_t k = 0; k < r; k++)
                sum += (long double)b[k * m + i] * (long double)a[j * r + k];
            w[j * m + i] = (double)(sum * (long double)module->scale);
        }
    free(a);
    free(b);
    return w;
}

/* Singular values, descending, of a column-major matrix, which is kept. Scaled by its largest entry first. */
static inline void dense_values(const double *x, size_t m, size_t n, double *sigma)
{
    double *copy = malloc(m * n * sizeof *copy), peak = 0, *super = malloc((m + n) * sizeof *super), none[1];
    assert_true(copy && super);
    for (size_t i = 0; i < m * n; i++)
        peak = fabs(x[i]) > peak ? fabs(x[i]) : peak;
    for (size_t i = 0; i < m * n; i++)
        copy[i] = peak > 0 ? x[i] / peak : 0;
    assert_int_equal(0, LAPACKE_dgesvd(LAPACK_COL_MAJOR, 'N', 'N', (lapack_int)m, (lapack_int)n, copy, (lapack_int)m,
                                       sigma, none, 1, none, 1, super));
    for (size_t i = 0; i < least(m, n); i++)
        sigma[i] *= peak;
    free(copy);
    free(super);
}

static inline double dense_norm(const double *x, size_t n)
{
    double peak = 0;
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        peak = fabs(x[i]) > peak ? fabs(x[i]) : peak;
    for (size_t i = 0; i < n && peak > 0; i++)
        sum += (long double)(x[i] / peak) * (long double)(x[i] / peak);
    return peak * (double)sqrtl(sum);
}

/* Pearson's kurtosis, two passes in long double; NaN without variance. */
static inline double dense_kurtosis(const double *x, size_t n)
{
    long double mean = 0, m2 = 0, m4 = 0;
    for (size_t i = 0; i < n; i++)
        mean += (long double)x[i];
    mean /= (long double)n;
    for (size_t i = 0; i < n; i++) {
        long double d = (long double)x[i] - mean;
        m2 += d * d;
        m4 += d * d * d * d;
    }
    return m2 > 0 ? (double)(m4 * (long double)n / (m2 * m2)) : NAN;
}

/* Runs one module alone, in a new engine. Owner: the caller calls result_free. */
MAYBE_UNUSED static spectral_result run_one(const spectral_module *module, const spectral_options *options)
{
    spectral_engine *engine;
    spectral_result result = result_create(module);
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_batch(engine, 0, module, 1, options, NULL, NULL, &result);
    spectral_engine_destroy(engine);
    return result;
}

#endif
