/* gram.h - one pass over a factor: its Gram matrix, its entry statistics and its margins.
 *
 * The pass reads the stored bytes once. While a converted block is in cache it feeds the Gram matrix, the moments, the
 * sums along rank (for the mean of ΔW), the squares along length and, for A, the model from which rows of ΔW are drawn.
 * All numbers are in the panel's scaled units.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_GRAM_H
#define SPECTRAL_GRAM_H

#include "spectral/cpu/panel.h"

struct row_model;

typedef struct {
    double *gram;           /* padded × padded, symmetric, leading dimension padded(rank) */
    double *rank_sums;      /* padded(rank): Σ_l X(k, l) */
    double *length_squares; /* padded(length): Σ_k X(k, l)², or NULL */
    kernel_moments moments;
    bool finite;
} gram_pass;

/* gram_pass_create - the pass with its storage zeroed; false without memory. */
bool gram_pass_create(gram_pass *pass, const panel *p, bool with_squares, scratch *s);

/* gram_pass_run - read p once. support as in spectral_module, in stored units. model NULL: no rows will be drawn. */
void gram_pass_run(gram_pass *pass, const kernel_table *kernels, const panel *p, const panel_block *block,
                   double support, struct row_model *model);

/* gram_factor - the published statistics of a finite pass. */
spectral_factor gram_factor(const gram_pass *pass, const panel *p, bool with_support);

/* gram_norm - ‖G‖_F.   gram_trace_product - tr(G·H) = Σ G_kl·H_kl, which for G_A and G_B is ‖B·A‖_F². */
double gram_norm(const double *gram, size_t rank);
double gram_trace_product(const double *g, const double *h, size_t rank);

/* gram_gap - ‖G·4^e − H·4^f‖_F / max of the two norms; 0 when both are 0. */
double gram_gap(const double *g, int e, const double *h, int f, size_t rank);

/* gram_pack - in place to leading dimension rank, as LAPACK gets it; nothing above takes it afterwards. */
void gram_pack(double *gram, size_t rank);

#endif
