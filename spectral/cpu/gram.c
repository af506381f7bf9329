/* gram.c - see gram.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/gram.h"

#include "spectral/cpu/rowmodel.h"

#include <math.h>
#include <string.h>

bool gram_pass_create(gram_pass *pass, const panel *p, bool with_squares, scratch *s)
{
    const size_t rows = kernel_padded(p->rank);
    *pass = (gram_pass){.gram = scratch_take_zeroed(s, rows * rows, sizeof(double)),
                        .rank_sums = scratch_take_zeroed(s, rows, sizeof(double))};
    if (with_squares)
        pass->length_squares = scratch_take_zeroed(s, kernel_padded(p->length), sizeof(double));
    return pass->gram != NULL && pass->rank_sums != NULL && (!with_squares || pass->length_squares != NULL);
}

static void mirror(double *gram, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < i; j++)
            gram[i * rows + j] = gram[j * rows + i];
}

void gram_pass_run(gram_pass *pass, const kernel_table *kernels, const panel *p, const panel_block *block,
                   double support, row_model *model)
{
    const size_t rows = kernel_padded(p->rank);
    panel_convert(kernels, p, 0, 1, block, NULL);
    double origin = isfinite(block->x[0]) ? block->x[0] : 0; /* some entry: near the mean where that matters */
    pass->moments = (kernel_moments){.origin = origin, .min = origin, .max = origin,
                                     .support = support > 0 ? ldexp(support, -p->exponent) : INFINITY};
    for (size_t first = 0; first < p->length; first += block->length) {
        size_t count = p->length - first < block->length ? p->length - first : block->length;
        panel_convert(kernels, p, first, count, block, &pass->moments);
        double *squares = pass->length_squares ? pass->length_squares + first : NULL;
        if (p->rank_major) {
            size_t cols = kernel_padded(count), ld = block->ld_rank_major;
            kernels->gram_of_rows(block->x, rows, cols, ld, pass->gram, rows);
            kernels->margins(block->x, p->rank, cols, ld, false, pass->rank_sums, squares);
        } else {
            size_t ld = block->ld_length_major;
            kernels->gram_of_columns(block->x, count, rows, ld, pass->gram, rows);
            kernels->margins(block->x, count, rows, ld, true, squares, pass->rank_sums);
        }
        if (model)
            row_model_block(model, kernels, p, block, first, count);
    }
    mirror(pass->gram, rows);
    pass->finite = isfinite(pass->moments.sum_abs);
}

/* Central moments from those about the origin: with δ = E d,
 *     m2 = E d² − δ²,   m4 = E d⁴ − 4δ·E d³ + 6δ²·E d² − 3δ⁴ */
static double pearson_kurtosis(const kernel_moments *m, double n)
{
    if (!(m->max > m->min))
        return NAN;
    double mean = m->d1 / n, e2 = m->d2 / n, e3 = m->d3 / n, e4 = m->d4 / n;
    double m2 = e2 - mean * mean;
    double m4 = e4 - 4 * mean * e3 + 6 * mean * mean * e2 - 3 * mean * mean * mean * mean;
    return m2 > 0 ? m4 / m2 / m2 : NAN;
}

static double largest_offdiagonal(const double *gram, size_t rank)
{
    const size_t ld = kernel_padded(rank);
    double largest = 0;
    for (size_t k = 0; k < rank; k++)
        for (size_t l = 0; l < k; l++) {
            double diagonal = sqrt(gram[k * ld + k]) * sqrt(gram[l * ld + l]);
            if (diagonal > 0 && fabs(gram[k * ld + l]) > largest * diagonal)
                largest = fabs(gram[k * ld + l]) / diagonal;
        }
    return largest;
}

spectral_factor gram_factor(const gram_pass *pass, const panel *p, bool with_support)
{
    const size_t ld = kernel_padded(p->rank);
    const double n = (double)p->rank * (double)p->length;
    const kernel_moments *m = &pass->moments;
    double trace = 0;
    for (size_t k = 0; k < p->rank; k++)
        trace += pass->gram[k * ld + k];
    return (spectral_factor){
        .max_abs = ldexp(fmax(-m->min, m->max), p->exponent),
        .mean_abs = ldexp(m->sum_abs / n, p->exponent),
        .sum_squares = ldexp(trace, 2 * p->exponent),
        .kurtosis = pearson_kurtosis(m, n),
        .outside_support = with_support ? m->n_outside / n : 0,
        .gram_offdiagonal = largest_offdiagonal(pass->gram, p->rank),
    };
}

double gram_trace_product(const double *g, const double *h, size_t rank)
{
    const size_t ld = kernel_padded(rank);
    double sum = 0;
    for (size_t k = 0; k < rank; k++)
        for (size_t l = 0; l < rank; l++)
            sum += g[k * ld + l] * h[k * ld + l];
    return sum;
}

double gram_norm(const double *gram, size_t rank) { return sqrt(gram_trace_product(gram, gram, rank)); }

double gram_gap(const double *g, int e, const double *h, int f, size_t rank)
{
    const size_t ld = kernel_padded(rank);
    const int common = e > f ? e : f;
    const double gs = ldexp(1, 2 * (e - common)), hs = ldexp(1, 2 * (f - common));
    double difference = 0, largest = fmax(gram_norm(g, rank) * gs, gram_norm(h, rank) * hs);
    for (size_t k = 0; k < rank; k++)
        for (size_t l = 0; l < rank; l++) {
            double d = g[k * ld + l] * gs - h[k * ld + l] * hs;
            difference += d * d;
        }
    return largest > 0 ? sqrt(difference) / largest : 0;
}

void gram_pack(double *gram, size_t rank)
{
    for (size_t k = 1; k < rank; k++)
        memmove(gram + k * rank, gram + k * kernel_padded(rank), rank * sizeof *gram);
}
