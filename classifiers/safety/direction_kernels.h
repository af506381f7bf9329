/* direction_kernels.h - the inner loops of asking a safety bank, compiled once for each instruction set.
 *
 * A module of a small adapter is a few vectors of a hundred entries: BLAS spends more on being called than on them, and one that is older than
 * the processor stays at SSE3. The loops are written once, in direction_kernels_body.inc, over GCC vector types; direction_kernels_portable.c,
 * …_avx2.c and …_avx512.c include that body at widths of 2, 4 and 8 doubles. Panels keep near what is used again: large modules gain, too.
 *
 * r vectors of n entries are one of two things, as factors are stored: X(c, i), vector c, entry i, at x[c·vector_step + i·entry_step], one of the
 * steps being 1. "Padded" is the next multiple of DIRECTION_PAD, of a rank that of DIRECTION_PAD_RANK, the padding filled with zeros: most loops have no tail.
 *
 * Sums over entries run in the order of the entries, in float32 (project) or float64 (all others). Two instruction sets differ by what fused
 * multiplication rounds once, and in the order of what is summed in float64; one gives the same bits always.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_DIRECTION_KERNELS_H
#define CLASSIFIER_DIRECTION_KERNELS_H

#include <stddef.h>

enum { DIRECTION_PAD = 16, DIRECTION_PAD_RANK = 8 }; /* the widest vector, in floats and in doubles */
enum { DIRECTION_PANEL = 64, DIRECTION_LONG_PANEL = 256 }; /* entries of a vector that are taken at a time */

static inline size_t direction_padded(size_t n)
{
    return (n + (DIRECTION_PAD - 1)) & ~(size_t)(DIRECTION_PAD - 1);
}

static inline size_t direction_padded_rank(size_t r)
{
    return (r + (DIRECTION_PAD_RANK - 1)) & ~(size_t)(DIRECTION_PAD_RANK - 1);
}

/* direction_panel - doubles of workspace that the Gram matrix of r vectors of n entries takes. */
static inline size_t direction_panel(size_t r, size_t n)
{
    size_t length = direction_padded(n);
    return direction_padded_rank(r) * (length < DIRECTION_LONG_PANEL ? length : DIRECTION_LONG_PANEL);
}

typedef struct {
    const char *name;

    /* Is each of n entries 0, or of magnitude 2^-80 to 2^40? Products of such with each other and with unit vectors neither leave float32 nor lose
     * digits in it. */
    int (*moderate)(const float *x, size_t n);

    /* out (r × width) ← X·V. V (n × width), width padded. */
    void (*project)(const float *x, size_t r, size_t n, size_t vector_step, size_t entry_step, const float *v, size_t width, float *out);

    /* g (padded r × padded r) ← X·Xᵀ, padding included. of_rows: entry_step is 1; of_columns: vector_step is 1, entry_step r. */
    void (*gram_of_rows)(const float *x, size_t r, size_t n, double *panel, double *g);
    void (*gram_of_columns)(const float *x, size_t r, size_t n, double *panel, double *g);

    /* *trace ← tr (G·H), *square ← tr (G·H)² of symmetric G and H (padded r × padded r). */
    void (*traces)(const double *g, const double *h, size_t r, double *trace, double *square);

    /* sum[k] ← Σ_c scale_c·p_ck·q_ck for k < width, padded. P (r × p_step), Q (r × q_step). */
    void (*pair)(const double *scale, size_t r, const float *p, size_t p_step, const float *q, size_t q_step, size_t width, double *sum);

    /* sum[k] ← Σ_cd g_cd·p_ck·p_dk for k < width, padded. G and P (padded r × step) with their padding. */
    void (*quadratic)(const double *g, size_t r, const float *p, size_t step, size_t width, double *sum);
} direction_kernels;

extern const direction_kernels direction_kernels_portable;
#if defined(__x86_64__)
extern const direction_kernels direction_kernels_avx2;
extern const direction_kernels direction_kernels_avx512;
#endif

/* direction_kernels_best - the fastest table this processor runs.
 * direction_kernels_supported - the i-th supported one, plainest first, NULL behind the last; for tests that compare them. */
const direction_kernels *direction_kernels_best(void);
const direction_kernels *direction_kernels_supported(size_t i);

#endif
