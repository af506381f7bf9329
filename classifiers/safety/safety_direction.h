/* safety_direction.h - all that a safety model has learnt, members forgotten: what is asked of an adapter is linear in ΔW and in
 * S = ΔW·ΔWᵀ, so sums over members collapse into one matrix each, of each module:
 *
 *     product   Σ_j weight_j·ΔW_j              the score is ⟨ΔW, product⟩
 *     left      Σ_j weight_j·S_j/‖S_j‖         … + ⟨S/‖S‖, left⟩
 *     base      mean_j S_j/‖S_j‖               the similarity is ⟨S/‖S‖, base⟩ − what a random ΔW of this spectrum would have
 *
 * with the factors of safety_set.h in the weights, so that modules are summed up. Each is kept as its leading eigenvectors, or singular
 * vectors, at most SAFETY_KEPT: a hundred kilobytes whatever the number of members, and one product of the adapter's factors with each. What
 * is dropped moves scores a little; so a bank's threshold is set on scores by truncated directions (safety.c).
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SAFETY_DIRECTION_H
#define CLASSIFIER_SAFETY_DIRECTION_H

#include "classifiers/profile.h"
#include "classifiers/safety/safety_set.h"

#define SAFETY_KEPT 8       /* of each by training */
#define SAFETY_MOST_KEPT 64 /* … in a bank that is read */

typedef enum { DIRECTION_PRODUCT, DIRECTION_LEFT, DIRECTION_BASE, DIRECTION_PARTS } direction_part;

typedef struct {
    size_t rows, columns, rank[DIRECTION_PARTS];
    double trace;  /* of base, over rows: what chance makes of ⟨S/‖S‖, base⟩, in units of tr S/‖S‖ */
    double *value; /* part by part: σ of product, λ of left, λ of base */
    float *left;   /* rows × direction_width: unit vectors as columns, part by part; a row is direction_left_step long, zeros behind */
    float *right;  /* columns × rank of product: its right unit vectors as columns; a row is direction_right_step long, zeros behind */
} direction_module;

typedef struct {
    size_t n_modules;
    direction_module *modules;
    double *values;
    void *storage;     /* of all vectors */
} safety_direction;    /* starts as {0} */

/* What an adapter is found to be. */
typedef struct {
    double score, similarity, norm;
} safety_reading;

/* safety_direction_allocate - shapes[n_modules] tell rows, columns and ranks. All zero.
 * safety_direction_of_set - collapse all members of set under weight[n], at most `keep` vectors of each.
 * Errs:  CLASSIFIER_E_MEMORY, CLASSIFIER_E_DATA (low_rank.h); *out untouched.   Owner: the caller, safety_direction_release
 * Cost:  O(directions·(rows + columns)·keep) a module */
classifier_status safety_direction_allocate(const direction_module *shapes, size_t n_modules, safety_direction *out);
classifier_status safety_direction_of_set(const safety_set *set, const double *weight, size_t keep, safety_direction *out);
void safety_direction_release(safety_direction *d);

/* direction_width - vectors of `rows` of a module, of all parts.
 * direction_left_step, direction_right_step - from one row of left, or of right, to the next. */
size_t direction_width(const direction_module *m);
size_t direction_left_step(const direction_module *m);
size_t direction_right_step(const direction_module *m);

/* safety_direction_read - In: p: of the same modules and shapes.
 * Errs: CLASSIFIER_E_DATA: factors missing or values not finite (module named); CLASSIFIER_E_MEMORY; *out untouched
 * Cost: O((rows + columns)·rank·(rank + keep)) a module */
classifier_status safety_direction_read(const safety_direction *d, const classifier_profile *p, safety_reading *out, classifier_fault *fault);

#endif
