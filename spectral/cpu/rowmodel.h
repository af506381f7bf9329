/* rowmodel.h - how large Σ_j (x_ij − μ)⁴ of each row of ΔW = B·A is expected to be, at a fraction of its cost.
 *
 * A sample of rows is drawn in proportion to this; what the model gets wrong becomes the scatter of the sample. For row
 * i, in the units of kurtosis.h, over the n entries x_ij = b_i·a_j:
 *
 *     heavy columns     up to 7 columns a_j with the largest Σ_k G_B,kk·a_kj²: their entries are computed
 *     the others, n'    δ = mean − μ from b_i·(A·1), v = mean square about μ from ‖ΔW_i‖² = b_iᵀ·G_A·b_i, and
 *
 *     Σ_j (x_ij − μ)⁴ ≈ n'·max(v², 3(1 + c)u² + 6δ²u + δ⁴ + 4δ·Σ_k b_ik³·κ3(a_k) + Σ_k b_ik⁴·(κ4(a_k) − 3c·m2(a_k)²))
 *
 * with u = v − δ², and m2, κ3, κ4 the cumulants of the entries of direction k of A: exact for rank 1 and for n ≤ 7, and
 * what independent directions give otherwise (cumulants of independent sums add) with c = 0. c is the scale that the
 * directions share in the columns, from the second moment of Σ_k G_B,kk·a_kj² over j: c > 0 where large entries of A
 * stand in the same columns. v² is a lower bound of the truth (Cauchy & Schwarz).
 *
 * cross is the part that rests on these assumptions, n'·3(1 + c)·(u² − Σ_k b_ik⁴·m2²), summed over the rows: 0 when each
 * row of B has one entry.
 *
 * ‖ΔW_i‖² costs m·r², as much as a Gram matrix; from G_A ≈ L·Lᵀ + D it costs m·r·s, L the first s steps of a Cholesky
 * decomposition with diagonal pivoting, D the diagonal that is left: s = r, and exact, up to rank 16, s = 8 above.
 *
 * Source: Harbrecht, Peters & Schneider, On the low-rank approximation by the pivoted Cholesky decomposition, 2012;
 * McCullagh, Tensor Methods in Statistics, 1987 (cumulants).
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_ROWMODEL_H
#define SPECTRAL_ROWMODEL_H

#include "spectral/cpu/gram.h"

enum { ROW_MODEL_HEAVY = 7, ROW_MODEL_EXACT_RANK = 16, ROW_MODEL_STEPS = 8 };

typedef struct row_model {
    double *powers;    /* padded(rank) × 4: Σ_j a_kj^p, p = 1 … 4 */
    double *columns;   /* [padded(n)] Σ_k G_B,kk·a_kj² */
    double *weights;   /* 4 × padded(rank), for kernel weighted_powers */
    double *probes;    /* vectors that meet each b_i: L, Σ_j a_j, the heavy columns; in the order of B's blocks */
    double *met;       /* what comes of it, a block of B at a time */
    double *sums;      /* 4 × a block: Σ_k D_k·b², Σ_k κ3·b³, Σ_k (κ4 − 3c·m2²)·b⁴, Σ_k m2²·b⁴ */
    double *turned;    /* a length-major block of A, transposed; NULL when A is rank-major */
    double *size;      /* [m] the expected Σ_j (x_ij − μ)⁴ */
    double *running;   /* [m] for their running sums */
    double cross, shared; /* shared: c */
    size_t n_probes, n_steps, n_heavy, n_entries; /* n_entries: n */
    double mean;       /* μ in units of the sizes */
    double conditioning; /* √(‖G_A‖·‖G_B‖) / ‖ΔW‖_F, at least 1: what rounding of the factors' products is scaled by */
    int exponent;      /* entries of ΔW are taken times 2^−exponent, which brings ‖ΔW‖_F near 1 */
} row_model;

/* row_model_create - storage, and the weights of A's columns from the pass over B; false without memory. */
bool row_model_create(row_model *model, const panel *a, const panel *b, const gram_pass *pass_b,
                      const panel_block *block, scratch *s);

/* row_model_block - what is to be known of the block of A now converted. */
void row_model_block(row_model *model, const kernel_table *kernels, const panel *a, const panel_block *block,
                     size_t first, size_t count);

/* row_model_sizes - size[m], once A has been passed over; all 0 when ΔW is. Reads B again: O(m·r·min(r, 16)). */
void row_model_sizes(row_model *model, const kernel_table *kernels, const panel *a, const gram_pass *pass_a,
                     const panel *b, const gram_pass *pass_b, const panel_block *block);

#endif
