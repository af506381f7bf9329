/* kernels_body.h - the inner loops, written once; included by one source for each instruction set.
 *
 * The including source defines KERNEL_WIDTH (doubles a vector), KERNEL_TARGET (a function attribute), KERNEL_TABLE,
 * KERNEL_NAME, KERNEL_FMA, KERNEL_MIN, KERNEL_MAX, KERNEL_TOTAL (sum of the lanes), the two widening conversions (GCC's
 * own splits a vector in halves), and the register tiles: a Gram tile is 4 × KERNEL_DOT_COLS vectors of partial dot
 * products, a product tile KERNEL_TILE_ROWS × 2 vectors of results. A tile and its operands fit the register file; that
 * and nothing else decides the numbers.
 *
 * No include guard: each source includes it once, under other definitions.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline)) KERNEL_TARGET
#define UNROLL _Pragma("GCC unroll 8")

typedef double vd __attribute__((vector_size(8 * KERNEL_WIDTH)));
typedef int64_t vi __attribute__((vector_size(8 * KERNEL_WIDTH)));
typedef float vf __attribute__((vector_size(4 * KERNEL_WIDTH)));
typedef uint32_t vw __attribute__((vector_size(4 * KERNEL_WIDTH)));
typedef uint16_t vh __attribute__((vector_size(2 * KERNEL_WIDTH)));

INLINE vd load(const double *p)
{
    vd v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(double *p, vd v) { memcpy(p, &v, sizeof v); }
INLINE vd spread(double x) { return x - (vd){0}; }
INLINE vd choose(vi mask, vd yes, vd no) { return (vd)((mask & (vi)yes) | (~mask & (vi)no)); }

INLINE double total(vd v) { return KERNEL_TOTAL(v); }

/* ---- stored dtypes to float64 ---- */

INLINE vd widen_f64(const void *p, double scale) { return load(p) * scale; }

INLINE vd widen_f32(const void *p, double scale)
{
    vf f;
    memcpy(&f, p, sizeof f);
    (void)scale;
    return KERNEL_F32_TO_F64(f);
}

INLINE vd widen_bf16(const void *p, double scale)
{
    vh h;
    memcpy(&h, p, sizeof h);
    (void)scale;
    return KERNEL_F32_TO_F64((vf)(KERNEL_U16_TO_U32(h) << 16));
}

/* Exponent and fraction move to their place in a float; ·2^112 corrects the bias and normalises subnormals exactly.
 * Inf and NaN come out of that as 2^16·(1 + f), and get the float's exponent of ones. */
INLINE vd widen_f16(const void *p, double scale)
{
    vh h;
    memcpy(&h, p, sizeof h);
    (void)scale;
    vw w = KERNEL_U16_TO_U32(h);
    vw magnitude = (w & 0x7fff) << 13;
    vw special = (vw)(magnitude >= 0x0f800000u) & 0x7f800000u;
    vf f = (vf)magnitude * 0x1p112f;
    return KERNEL_F32_TO_F64((vf)((vw)f | special | ((w & 0x8000) << 16)));
}

typedef struct {
    vd abs, min, max, d1, d2, d3, d4;
    vi outside; /* minus the count */
} lanes;

/* x: the entries, with the origin in lanes that are not there, which adds nothing to the powers; the absolute sum takes
 * x times present (1 or 0). */
INLINE void lanes_add(lanes *s, vd x, vd origin, vd support, vi present)
{
    vd magnitude = (vd)((vi)x & INT64_MAX & present);
    vd d = x - origin, square = d * d;
    s->abs += magnitude;
    s->outside += (vi)(magnitude > support);
    s->min = KERNEL_MIN(s->min, x);
    s->max = KERNEL_MAX(s->max, x);
    s->d1 += d;
    s->d2 += square;
    s->d3 = KERNEL_FMA(square, d, s->d3);
    s->d4 = KERNEL_FMA(square, square, s->d4);
}

INLINE void lanes_fold(const lanes *s, kernel_moments *m)
{
    m->sum_abs += total(s->abs);
    m->d1 += total(s->d1);
    m->d2 += total(s->d2);
    m->d3 += total(s->d3);
    m->d4 += total(s->d4);
    for (size_t i = 0; i < KERNEL_WIDTH; i++) {
        m->min = s->min[i] < m->min ? s->min[i] : m->min;
        m->max = s->max[i] > m->max ? s->max[i] : m->max;
        m->n_outside -= (double)s->outside[i];
    }
}

typedef vd widen(const void *p, double scale);

INLINE void convert(widen *widen_lanes, size_t element, const void *src, size_t n_runs, size_t run_length,
                    size_t src_stride, double scale, double *dst, size_t ld, kernel_moments *moments)
{
    const size_t whole = run_length - run_length % KERNEL_WIDTH, tail = run_length - whole;
    const vi everywhere = ~(vi){0};
    vi present = {0};
    for (size_t i = 0; i < tail; i++)
        present[i] = -1;
    vd origin = spread(moments ? moments->origin : 0), support = spread(moments ? moments->support : 0);
    lanes sums = {.min = origin, .max = origin};
    for (size_t run = 0; run < n_runs; run++) {
        const unsigned char *in = (const unsigned char *)src + run * src_stride * element;
        double *out = dst + run * ld;
        for (size_t i = 0; i < whole; i += KERNEL_WIDTH) {
            vd x = widen_lanes(in + i * element, scale);
            store(out + i, x);
            if (moments)
                lanes_add(&sums, x, origin, support, everywhere);
        }
        if (tail > 0) {
            unsigned char last[8 * KERNEL_WIDTH] = {0};
            memcpy(last, in + whole * element, tail * element);
            vd x = widen_lanes(last, scale);
            memcpy(out + whole, &x, tail * sizeof(double));
            if (moments)
                lanes_add(&sums, choose(present, x, origin), origin, support, present);
        }
    }
    if (moments)
        lanes_fold(&sums, moments);
}

#define CONVERTER(dtype, element)                                                                                      \
    KERNEL_TARGET static void convert_##dtype(const void *src, size_t n_runs, size_t run_length, size_t src_stride,    \
                                              double scale, double *dst, size_t ld, kernel_moments *moments)           \
    {                                                                                                                  \
        if (moments)                                                                                                   \
            convert(widen_##dtype, element, src, n_runs, run_length, src_stride, scale, dst, ld, moments);             \
        else                                                                                                           \
            convert(widen_##dtype, element, src, n_runs, run_length, src_stride, scale, dst, ld, NULL);                \
    }
CONVERTER(f64, 8)
CONVERTER(f32, 4)
CONVERTER(f16, 2)
CONVERTER(bf16, 2)

/* ---- Gram matrices and products ---- */

KERNEL_TARGET static void gram_of_rows(const double *p, size_t rows, size_t cols, size_t ld, double *g, size_t ldg)
{
    for (size_t i = 0; i < rows; i += 4)
        for (size_t j = i; j < rows; j += KERNEL_DOT_COLS) {
            vd sum[4][KERNEL_DOT_COLS] = {{{0}}};
            const double *pi = p + i * ld, *pj = p + j * ld;
            for (size_t k = 0; k < cols; k += KERNEL_WIDTH) {
                vd x[4];
                UNROLL for (size_t a = 0; a < 4; a++)
                    x[a] = load(pi + a * ld + k);
                UNROLL for (size_t b = 0; b < KERNEL_DOT_COLS; b++)
                {
                    vd y = load(pj + b * ld + k);
                    UNROLL for (size_t a = 0; a < 4; a++)
                        sum[a][b] = KERNEL_FMA(x[a], y, sum[a][b]);
                }
            }
            for (size_t a = 0; a < 4; a++)
                for (size_t b = 0; b < KERNEL_DOT_COLS; b++)
                    g[(i + a) * ldg + j + b] += total(sum[a][b]);
        }
}

/* One tile of L·R, KERNEL_TILE_ROWS × n_vectors; L(i, k) = l[i·row_step + k·inner_step]. */
INLINE void product_tile(const double *l, size_t row_step, size_t inner_step, size_t inner, const double *r, size_t ldr,
                         const size_t n_vectors, double *c, size_t ldc, const bool accumulate)
{
    vd sum[KERNEL_TILE_ROWS][2] = {{{0}}};
    for (size_t k = 0; k < inner; k++) {
        vd y[2];
        UNROLL for (size_t b = 0; b < n_vectors; b++)
            y[b] = load(r + k * ldr + b * KERNEL_WIDTH);
        UNROLL for (size_t a = 0; a < KERNEL_TILE_ROWS; a++)
        {
            vd x = spread(l[a * row_step + k * inner_step]);
            UNROLL for (size_t b = 0; b < n_vectors; b++)
                sum[a][b] = KERNEL_FMA(x, y[b], sum[a][b]);
        }
    }
    UNROLL for (size_t a = 0; a < KERNEL_TILE_ROWS; a++)
        UNROLL for (size_t b = 0; b < n_vectors; b++)
        {
            double *out = c + a * ldc + b * KERNEL_WIDTH;
            store(out, accumulate ? load(out) + sum[a][b] : sum[a][b]);
        }
}

KERNEL_TARGET static void gram_of_columns(const double *p, size_t rows, size_t cols, size_t ld, double *g, size_t ldg)
{
    for (size_t j = 0; j < cols; j += 2 * KERNEL_WIDTH) {
        bool pair = j + 2 * KERNEL_WIDTH <= cols;
        size_t end = pair ? j + 2 * KERNEL_WIDTH : j + KERNEL_WIDTH;
        for (size_t i = 0; i < end; i += KERNEL_TILE_ROWS)
            if (pair)
                product_tile(p + i, 1, ld, rows, p + j, ld, 2, g + i * ldg + j, ldg, true);
            else
                product_tile(p + i, 1, ld, rows, p + j, ld, 1, g + i * ldg + j, ldg, true);
    }
}

KERNEL_TARGET static void product(const double *l, size_t rows, size_t inner, size_t ldl, const double *r, size_t cols,
                                  size_t ldr, double *c, size_t ldc)
{
    for (size_t j = 0; j < cols; j += 2 * KERNEL_WIDTH) {
        bool pair = j + 2 * KERNEL_WIDTH <= cols;
        for (size_t i = 0; i < rows; i += KERNEL_TILE_ROWS)
            if (pair)
                product_tile(l + i * ldl, ldl, 1, inner, r + j, ldr, 2, c + i * ldc + j, ldc, false);
            else
                product_tile(l + i * ldl, ldl, 1, inner, r + j, ldr, 1, c + i * ldc + j, ldc, false);
    }
}

/* ---- sums along rows and columns ---- */

KERNEL_TARGET static void margins(const double *p, size_t rows, size_t cols, size_t ld, bool square_rows,
                                  double *row_out, double *col_out)
{
    for (size_t i = 0; i < rows; i++) {
        const double *row = p + i * ld;
        vd sum = {0};
        for (size_t j = 0; j < cols; j += KERNEL_WIDTH) {
            vd x = load(row + j), square = x * x;
            sum += square_rows ? square : x;
            if (col_out)
                store(col_out + j, load(col_out + j) + (square_rows ? x : square));
        }
        if (row_out)
            row_out[i] += total(sum);
    }
}

KERNEL_TARGET static void powers(const double *x, size_t rows, size_t cols, size_t ld, double *sums)
{
    for (size_t i = 0; i < rows; i++) {
        vd first = {0}, second = {0}, third = {0}, fourth = {0};
        for (size_t j = 0; j < cols; j += KERNEL_WIDTH) {
            vd v = load(x + i * ld + j), square = v * v;
            first += v;
            second += square;
            third = KERNEL_FMA(square, v, third);
            fourth = KERNEL_FMA(square, square, fourth);
        }
        sums[4 * i] += total(first);
        sums[4 * i + 1] += total(second);
        sums[4 * i + 2] += total(third);
        sums[4 * i + 3] += total(fourth);
    }
}

const kernel_table KERNEL_TABLE = {
    .name = KERNEL_NAME,
    .convert = {convert_f64, convert_f32, convert_f16, convert_bf16},
    .gram_of_rows = gram_of_rows,
    .gram_of_columns = gram_of_columns,
    .product = product,
    .margins = margins,
    .powers = powers,
};
