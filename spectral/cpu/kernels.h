/* kernels.h - the few inner loops that take the time, compiled once for each instruction set.
 *
 * The loops are written once, in kernels_body.inc, over GCC vector types; kernels_portable.c, kernels_avx2.c and
 * kernels_avx512.c include that body at widths 2, 4 and 8. Why not BLAS: an OpenBLAS that is older than the processor
 * falls back to SSE3 kernels (4 to 5 times slower here), and its dsyrk on panels of 8 to 64 rows stays far from peak
 * even when it knows the processor. The r × r work, which is not hot, stays with BLAS and LAPACK.
 *
 * Invariants of all matrices handed to these loops: row-major float64; leading dimensions and the inner extents marked
 * "padded" are multiples of KERNEL_PAD, and the padding holds zeros, so that no loop over doubles has a tail.
 * The sum order depends on the width, so that two instruction sets may differ in the last bits; one gives the same bits
 * always.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_KERNELS_H
#define SPECTRAL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#define KERNEL_PAD 8 /* the widest vector, in doubles */

static inline size_t kernel_padded(size_t n) { return (n + (KERNEL_PAD - 1)) & ~(size_t)(KERNEL_PAD - 1); }

/* Running sums over entries x. The powers are of d = x − origin: a shift near the mean keeps the central moments of
 * nearly constant data. sum_abs is also the finiteness test: it is NaN or Inf when any entry is. */
typedef struct {
    double origin, support; /* in; support INFINITY: nothing lies outside */
    double sum_abs, min, max;
    double d1, d2, d3, d4;
    double n_outside; /* entries with |x| > support; exact below 2^53 */
} kernel_moments;

/* Converts n_runs runs of run_length stored elements, src_stride elements apart, to float64, into rows of dst ld apart.
 * moments may be NULL. src needs no alignment. scale, a factor, is for float64 alone: the others do not look at it. */
typedef void kernel_convert(const void *src, size_t n_runs, size_t run_length, size_t src_stride, double scale,
                            double *dst, size_t ld, kernel_moments *moments);

typedef struct {
    const char *name;
    kernel_convert *convert[4]; /* by spectral_dtype */

    /* G += P·Pᵀ. P (rows padded × cols padded, ld), G (rows × rows, ldg): only tiles that meet the upper triangle. */
    void (*gram_of_rows)(const double *p, size_t rows, size_t cols, size_t ld, double *g, size_t ldg);

    /* G += Pᵀ·P. P (rows × cols padded, ld), G (cols × cols, ldg): only tiles that meet the upper triangle. */
    void (*gram_of_columns)(const double *p, size_t rows, size_t cols, size_t ld, double *g, size_t ldg);

    /* C = L·R. L (rows padded × inner, ldl), R (inner × cols padded, ldr), C (rows × cols, ldc). */
    void (*product)(const double *l, size_t rows, size_t inner, size_t ldl, const double *r, size_t cols, size_t ldr,
                    double *c, size_t ldc);

    /* row_out[i] += Σ_j x and col_out[j] += Σ_i x², or with square_rows the other way round. P (rows × cols padded,
     * ld); the output that takes squares may be NULL. */
    void (*margins)(const double *p, size_t rows, size_t cols, size_t ld, bool square_rows, double *row_out,
                    double *col_out);

    /* sums[4·i + p − 1] += Σ_j x_ij^p for p = 1 … 4. X (rows × cols padded, ld). */
    void (*powers)(const double *x, size_t rows, size_t cols, size_t ld, double *sums);

    /* With W (4 × ldw), OUT (4 × ldo) and powers p = 2, 3, 4, 4 for q = 0 … 3: out[q][j] += Σ_i w[q][i]·x_ij^p, or
     * across: out[q][i] += Σ_j w[q][j]·x_ij^p. X (rows × cols padded, ld); across, the weights are zero-padded. */
    void (*weighted_powers)(const double *x, size_t rows, size_t cols, size_t ld, bool across, const double *w,
                            size_t ldw, double *out, size_t ldo);
} kernel_table;

extern const kernel_table kernels_portable;
#if defined(__x86_64__)
extern const kernel_table kernels_avx2;
extern const kernel_table kernels_avx512;
#endif

/* kernels_best - the fastest table this processor runs.
 * kernels_supported - the i-th supported one, plainest first, NULL behind the last; for tests that compare them. */
const kernel_table *kernels_best(void);
const kernel_table *kernels_supported(size_t i);

#endif
