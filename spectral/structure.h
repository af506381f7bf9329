/* structure.h - which shapes fit each other, and in which form a structure is computed with.
 *
 * The one place that decides: spectral_module_shape tells the sizes to the caller from it, a backend follows it. No
 * operand is read for it.
 *
 *     STORED    ΔW = s·B·A with the factors as they lie: no extra, or one that says nothing
 *     MATRIX    a full matrix as it lies, no B
 *     FACTORS   a float64 A (rank × n) and B (m × rank) are composed: core folded into A, groups of B spread over a
 *               block diagonal, products of columns and rows for HADAMARD; only the folding is stored
 *     FULL      the m × n matrix itself is formed: where the composed rank is more than min(m, n), for HADAMARD also where
 *               it is as much, so that the matrix is no larger than one of the factors; and HADAMARD without a B
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_STRUCTURE_H
#define SPECTRAL_STRUCTURE_H

#include "spectral/spectral.h"

/* W = B·C·A. Rows of core and b are 0 where there is none; depth and groups are at least 1. */
typedef struct {
    spectral_view a, b, core;
    size_t depth, groups;
    bool diagonal;
} structure_operand;

/* structure_first, structure_second - the operands W and W2 of a module; the second only where there is an extra. */
structure_operand structure_first(const spectral_module *module);
structure_operand structure_second(const spectral_module *module);

/* structure_operand_shape - W is m × n, A with the core folded in has `rank` rows; 0 without B. Errs: SPECTRAL_E_SHAPE,
 * SPECTRAL_E_LIMIT */
spectral_status structure_operand_shape(const structure_operand *w, size_t *m, size_t *n, size_t *rank);

typedef enum { STRUCTURE_STORED, STRUCTURE_MATRIX, STRUCTURE_FACTORS, STRUCTURE_FULL } structure_form;

typedef struct {
    structure_form form;
    size_t m, n, rank; /* rank: rows of A as computed with; min(m, n) for MATRIX and FULL */
} structure_plan;

/* structure_plan_product - of one operand. loaded: its parts are wanted in float64, so that nothing is STORED; it is so with
 *     the operands of KRONECKER.
 * structure_plan_module - of a PRODUCT or HADAMARD module.
 * Errs: SPECTRAL_E_SHAPE for parts that do not fit, SPECTRAL_E_LIMIT beyond the limits of spectral.h; *plan is untouched then. */
spectral_status structure_plan_product(const structure_operand *w, bool loaded, structure_plan *plan);
spectral_status structure_plan_module(const spectral_module *module, structure_plan *plan);

#endif
