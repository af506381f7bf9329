/* kurtosis.h - fourth moment of the entries of ΔW = B·A, from a sample of its rows or from all of them.
 *
 * Pearson's kurtosis m4/m2² of all m·n entries x needs μ = Σx/(m·n), exactly (1ᵀB)(A1)/(m·n); Σx², exactly ‖ΔW‖_F²; and
 *
 *     T = Σ_i y_i,   y_i = Σ_j (x_ij − μ)⁴
 *
 * over the rows i. μ is known only when A has been read, so that the sample keeps Σ_j x^p for p = 1 … 4 and centres them
 * afterwards. (Taking only Σx³ and Σx⁴ from the sample and the rest from the exact sums looks better and is far worse:
 * with a mean, T is then a small difference of large terms, of which one is noisy.)
 *
 * k rows are drawn with replacement, row i with probability p_i ∝ ‖b_i‖⁴ (95 %) or uniformly (5 %, so that no row is
 * impossible), and T is estimated by the mean of y_i/p_i (Hansen & Hurwitz 1943): unbiased, and of nearly equal terms
 * when rows differ in size only. A row drawn twice is computed once. The draw depends on the seed and on the row norms alone,
 * never on the thread.
 *
 * Scale: sampled rows of B are stored times 2^−exponent so that the largest has a norm near 1; fourth powers then stay
 * in range for every dtype.
 *
 * Where the variance is below 1e-6 of the mean square, powers about zero cannot resolve a fourth moment: the sample then
 * answers NaN, and only all rows, centred before the power is taken, give the number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_KURTOSIS_H
#define SPECTRAL_KURTOSIS_H

#include "spectral/cpu/panel.h"

enum { KURTOSIS_DEFAULT_ROWS = 32, KURTOSIS_CHUNK = 32 };

typedef struct kurtosis_sample {
    size_t n_draws, n_rows; /* n_rows: different ones */
    size_t *draws;          /* [n_draws] row numbers, ascending; the first n_rows are the different ones afterwards */
    size_t *times;          /* [n_rows] how often drawn */
    double *probability;    /* [n_rows] */
    double *b;              /* padded(n_rows) × padded(rank): the rows of B, times 2^−exponent */
    double *sums;           /* padded(n_rows) × 4: Σ_j x^p, p = 1 … 4 */
    double *x;              /* KURTOSIS_CHUNK × block: entries of ΔW */
    double *turned;         /* a length-major block of A, transposed; NULL when A is rank-major */
    int exponent;
} kurtosis_sample;

/* kurtosis_sample_create - storage for n_draws rows; false without memory. */
bool kurtosis_sample_create(kurtosis_sample *sample, size_t n_draws, const panel *a, const panel_block *block,
                            scratch *s);

/* kurtosis_sample_draw - choose the rows and fetch them.
 * In:  length_squares[m] ‖b_i‖², turned into their running probability. Leaves n_rows = 0 when all are 0. */
void kurtosis_sample_draw(kurtosis_sample *sample, const kernel_table *kernels, const panel *b,
                          const panel_block *block, double *length_squares, uint64_t seed);

/* kurtosis_sample_block - add the columns of ΔW that belong to the block of A now converted. */
void kurtosis_sample_block(kurtosis_sample *sample, const kernel_table *kernels, const panel *a,
                           const panel_block *block, size_t count);

typedef struct {
    double kurtosis, standard_error;
} kurtosis_estimate;

/* kurtosis_of_sample - the estimate.
 * In: ΔW is m × n; mean of all entries and mean_square, both in units of 2^(exponent of a + exponent of b) */
kurtosis_estimate kurtosis_of_sample(const kurtosis_sample *sample, size_t m, size_t n, double mean,
                                     double mean_square);

/* kurtosis_of_all_rows - from every entry of ΔW, centred; standard error 0. O(m·n·rank).
 * In: length_squares[m]; mean as above. false without memory. */
bool kurtosis_of_all_rows(const kernel_table *kernels, const panel *a, const panel *b, const panel_block *block,
                          const double *length_squares, double mean, scratch *s, kurtosis_estimate *out);

#endif
