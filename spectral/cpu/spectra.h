/* spectra.h - the three spectra of a module and ‖ΔW‖_F, from Gram matrices (fast) or from QR factors (precise).
 *
 * The scale s of the module is not in here: it is applied at publication. σ in units of 2^exponent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_SPECTRA_H
#define SPECTRAL_SPECTRA_H

#include "spectral/cpu/gram.h"

/* What is known of a module once its factors have been read. */
typedef struct {
    const kernel_table *kernels;
    scratch *s;
    panel a, b;
    panel_block block;
    gram_pass pass_a, pass_b;
    double *log2_a, *log2_b; /* [rank] log2 of the norm of each direction, within a factor √length; −Inf: exactly zero */
    bool composed; /* not as stored: high relative accuracy of small σ is not to be had, nor worth its price */
    bool alone;    /* a is ΔW/s, its shorter side the rank; b is the identity, and none of its fields are set */
    int shift_a, shift_b; /* the factors are the panels times 2^shift: applied at publication, as s is */
    size_t m, n;   /* of ΔW */
} factors;

typedef struct {
    double *sigma, *sigma_a, *sigma_b; /* [rank], descending, zeros behind min(rank, m, n) and so on */
    int exponent, exponent_a, exponent_b;
    double frobenius; /* ‖B·A‖_F in units of 2^exponent */
    bool trusted;     /* every wanted σ is good to SPECTRA_TOLERANCE·σ₁ */
} spectra;

/* Relative to σ₁. The Gram path is left where its first-order error bound exceeds it. */
#define SPECTRA_TOLERANCE 1e-8

/* To rank SPECTRA_STACKED the QR path stacks rows on triangles, and forms a core at once; above, it folds rows in, and forms a
 * core by panels of SPECTRA_CORE_PANEL rows. */
enum { SPECTRA_STACKED = 256, SPECTRA_CORE_PANEL = 128 };

/* spectra_create - storage for rank values each; false without memory. */
bool spectra_create(spectra *out, size_t rank, scratch *s);

/* spectra_take_alone - with sigma of ΔW/s found, sigma_a is the same and sigma_b all 1. */
void spectra_take_alone(const factors *f, spectra *out);

/* spectra_from_gram - from the two Gram matrices, which are destroyed. zero_update: B·A is exactly 0, only σ(A) and σ(B) are asked for.
 * Errs: SPECTRAL_E_CONVERGENCE, SPECTRAL_E_MEMORY. OK with trusted false: take the QR path. */
spectral_status spectra_from_gram(const factors *f, bool zero_update, spectra *out);

/* A right-hand factorisation of the update: B·A = 2^exponent · Q_B·C·Q_Aᵀ. All r × r, column-major, rank directions in
 * the order perm; direction k of R_A and R_B is divided by 2^exponent_a[k], 2^exponent_b[k]. */
typedef struct {
    size_t *perm;
    int *exponent_a, *exponent_b;
    double *r_a, *r_b, *core;
    int exponent;
} qr_core;

/* qr_core_create - in the place of the Gram matrices, which are destroyed, and one more r × r. Errs: SPECTRAL_E_MEMORY, SPECTRAL_E_CONVERGENCE. */
spectral_status qr_core_create(const factors *f, qr_core *out);

/* spectra_cancelled - whether a ‖B·A‖_F of frobenius·2^exponent, from the QR path, is no more than the rounding of the
 * products that cancel in it. */
bool spectra_cancelled(const factors *f, double frobenius, int exponent);

/* spectra_from_qr - from R_B and R_A with B = Q_B·R_B, Aᵀ = Q_A·R_A. Always trusted. The Gram matrices are destroyed. Errs: as
 * above. */
spectral_status spectra_from_qr(const factors *f, spectra *out);

#endif
