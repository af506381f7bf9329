/* kurtosis.h - fourth moment of the entries of ΔW = B·A, from a sample of its rows or from all of them.
 *
 * Pearson's kurtosis m4/m2² of all m·n entries x needs μ = Σx/(m·n), exactly (1ᵀB)(A1)/(m·n); Σx², exactly ‖ΔW‖_F²; and
 *
 *     T = Σ_i y_i,   y_i = Σ_j (x_ij − μ)⁴
 *
 * over the rows i. μ is known once both factors have been read. The sample still sums powers of x, Σ_j x^p for p = 1 … 4,
 * and centres them afterwards. (Taking only Σx³ and Σx⁴ from the sample and the rest from the exact sums looks better
 * and is far worse: with a mean, T is then a small difference of large terms, of which one is noisy.)
 *
 * The rows. Each has an expected size z_i ≈ y_i (rowmodel.h). Of k rows, those that k draws in proportion to z would be
 * expected to hit at least once each, at most k/2 (or all, if no more than k rows have z > 0), are taken for certain; the
 * rest are drawn with replacement with probability z_i/Z, Z = Σ z over those that are not certain:
 *
 *     T ≈ Σ_certain y_i + Z·(mean of y_i/z_i over the draws)
 *
 * which is unbiased (Hansen & Hurwitz 1943; a take-all stratum, Cochran, Sampling Techniques, 1977, 5.5, 9A). No row is
 * mixed in at another rate: y_i = 0 wherever z_i = 0. The draw depends on the seed and on the factors alone, never on
 * the thread. A row drawn twice is computed once.
 *
 * The standard error. The scatter of the ratios y/z over the draws, or over all different rows that were read where that
 * is larger: k draws that happened to hit alike rows are not taken at their word when the certain rows say otherwise.
 * To it are added the rounding of T and of the variance (amplified by the mean and by cancelling factors), and what the
 * small sample cannot show: the k_d drawn rows have not seen a share of about 1/k_d of Z, and it is supposed that this
 * share has ratios as far from the mean as the farthest row read (rule-of-three reasoning, Hanley & Lippman-Hand 1983);
 * and a quarter of the model's cross part C that no draw is likely to have met, C/4·exp(−k_d·C/2Z).
 * K < 1 is impossible (Pearson): an estimate below is raised to 1, and the error to at least that step.
 *
 * Scale: sampled rows of B are stored times 2^−exponent, which brings ‖ΔW‖_F near 1; fourth powers then stay in range
 * for every dtype.
 *
 * Where the variance is below 1e-6 of the mean square, powers about zero cannot resolve a fourth moment: the sample then
 * answers NaN, and only all rows, centred before the power is taken, give the number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_KURTOSIS_H
#define SPECTRAL_KURTOSIS_H

#include "spectral/cpu/rowmodel.h"

enum { KURTOSIS_DEFAULT_ROWS = 32, KURTOSIS_CHUNK = 32 };

typedef struct kurtosis_sample {
    size_t n_draws, n_rows;    /* n_rows: different ones */
    size_t n_certain;          /* of them, the first */
    size_t *draws;             /* [n_draws] row numbers; the first n_rows are the different ones afterwards */
    size_t *times;             /* [n_rows] how often drawn; 0 for a certain one */
    double *size;              /* [n_rows] z */
    double drawn_size, cross;  /* Z, C */
    double *b;                 /* padded(n_rows) × padded(rank): the rows of B, times 2^−exponent */
    double *sums;              /* padded(n_rows) × 4: Σ_j x^p, p = 1 … 4 */
    double *x;                 /* KURTOSIS_CHUNK × block: entries of ΔW */
    double *turned;            /* a length-major block of A, transposed; NULL when A is rank-major */
    double conditioning;       /* of the row model */
    int exponent;
} kurtosis_sample;

/* kurtosis_sample_create - storage for n_draws rows; false without memory. */
bool kurtosis_sample_create(kurtosis_sample *sample, size_t n_draws, const panel *a, const panel_block *block,
                            scratch *s);

/* kurtosis_sample_draw - choose the rows and fetch those of B.
 * In:  the model with its sizes, which are turned into running sums. Leaves n_rows = 0 when all are 0, or
 *      one is not finite. */
void kurtosis_sample_draw(kurtosis_sample *sample, const kernel_table *kernels, const panel *b,
                          const panel_block *block, row_model *model, uint64_t seed);

/* kurtosis_sample_run - pass over A and sum the powers of the rows of ΔW. O(n·rank·n_rows). */
void kurtosis_sample_run(kurtosis_sample *sample, const kernel_table *kernels, const panel *a,
                         const panel_block *block);

typedef struct {
    double kurtosis, standard_error;
} kurtosis_estimate;

/* kurtosis_of_sample - the estimate; once, for it takes the sums for workspace. NaN when no row could be drawn.
 * In: ΔW is m × n; mean of all entries and mean_square, both in units of 2^(exponent of a + exponent of b) */
kurtosis_estimate kurtosis_of_sample(kurtosis_sample *sample, size_t m, size_t n, double mean,
                                     double mean_square);

/* Sums over entries x of powers of d = x − mean, x in units of 2^exponent times the panels' own. */
typedef struct {
    double mean, n, d1, d2, d3, d4;
    double noise; /* of the mean, by rounding: a variance below its square is none */
    int exponent;
} centred_sums;

/* kurtosis_every_entry - over every entry of ΔW. In: as kurtosis_of_all_rows. false without memory.
 * kurtosis_every_entry_alone - over the entries of one panel. */
bool kurtosis_every_entry(const kernel_table *kernels, const panel *a, const panel *b, const panel_block *block,
                          const double *length_squares, double mean, scratch *s, centred_sums *out);
void kurtosis_every_entry_alone(const kernel_table *kernels, const panel *a, const panel_block *block, double mean,
                                centred_sums *out);

/* kurtosis_of_sums - standard error 0; NaN without variance. */
kurtosis_estimate kurtosis_of_sums(const centred_sums *sums);

/* kurtosis_of_all_rows - from every entry of ΔW, centred; standard error 0. O(m·n·rank).
 * In: length_squares[m]; mean as above. false without memory. */
bool kurtosis_of_all_rows(const kernel_table *kernels, const panel *a, const panel *b, const panel_block *block,
                          const double *length_squares, double mean, scratch *s, kurtosis_estimate *out);

#endif
