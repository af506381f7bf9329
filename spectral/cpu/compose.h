/* compose.h - the parts of a structure in float64, made into one pair of factors, or into one full matrix.
 *
 * Of the factors only C·A is formed. Block-diagonal B and the products of a Hadamard product are woven as blocks of them are
 * wanted (panel_weave): they would be groups or the other rank times as large as what they are made of.
 *
 * Parts are read one after the other, B first, into float64 in the worker's scratch. A float64 part is divided by the power
 * of two of its largest entry, so that no product of parts over- or underflows; the powers are added up in the shifts. The
 * products of two entries narrower than float64 are exact; sums are rounded by float64.
 *
 *     core       A' = C·A, for depth k row p of A' is Aᵀ·C_p as an n × k matrix, C_p = C[p][j·k + κ]
 *     groups     B' block diagonal: rows of group i have B's columns at i·r
 *     HADAMARD   B'[:, i·r2 + j] = B1[:, i] ∘ B2[:, j],  A'[i·r2 + j, :] = A1[i, :] ∘ A2[j, :]
 *     FULL       W = B·A', or W1 ∘ W2. An operand whose products cancel to below their own rounding is taken as 0, by the
 *                bound of spectra_cancelled with √rank more for the longer sums
 *
 * Statistics are of the stored entries, before any of this.
 * Source: Khatri & Rao, 1968; Slyusar 1999 (products of rows); Tucker 1966.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_COMPOSE_H
#define SPECTRAL_COMPOSE_H

#include "spectral/cpu/panel.h"
#include "spectral/cpu/worker.h"
#include "spectral/structure.h"

/* What a module's passes go over: the factors are a and b times 2^shift_a and 2^shift_b. */
typedef struct {
    spectral_view a, b; /* data NULL: stored, the source has it */
    panel_weave weave_a, weave_b; /* left NULL: not woven; else of a or b only the sizes hold */
    int shift_a, shift_b;
    bool alone;   /* a is ΔW/s, m × n; there is no b */
    bool counted; /* the statistics below are set */
    spectral_factor stats_a, stats_b;
} composition;

/* compose_module - for a plan that is not of a Kronecker product. STORED and MATRIX plans take nothing but the views.
 * compose_operand - W, or W2 (second), of a Kronecker product: all in float64, statistics of its parts together in stats_a.
 * Out:  c; counts of entries that are not finite, set also when that is the failure: b's and b2's in *n_b, the others in
 *       *n_a; all of them in *n_a for compose_operand
 * Errs: SPECTRAL_E_NONFINITE, SPECTRAL_E_MEMORY, SPECTRAL_E_READ */
spectral_status compose_module(module_worker *worker, const module_input *input, const structure_plan *plan,
                               composition *c, uint64_t *n_a, uint64_t *n_b);
spectral_status compose_operand(module_worker *worker, const module_input *input, bool second,
                                const structure_plan *plan, composition *c, uint64_t *n_a);

#endif
