/* low_rank.h - the leading part of Σ_a weight_a·x_a·y_aᵀ, a sum of many outer products, without ever forming it.
 *
 * Block subspace iteration (Halko, Martinsson & Tropp 2011) from a fixed start: the same sum gives the same vectors. Where `keep` reaches the
 * smaller side, nothing is lost; elsewhere what is lost is near the least that any part of that rank loses.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_LOW_RANK_H
#define CLASSIFIER_LOW_RANK_H

#include "classifiers/status.h"

#include <stddef.h>

typedef struct {
    size_t n, rows, columns;
    const double *x, *y; /* n × rows and n × columns; the same pointer: the sum is symmetric */
    const double *weight;
} outer_sum;

/* low_rank_fit - In: 1 ≤ rank ≤ rows, columns.
 * Out:  value[rank], by descending magnitude: singular values, or eigenvalues of a symmetric sum; left[rank · rows], right[rank · columns]: unit
 *       vectors, 0 where the value is. right: NULL where symmetric
 * Errs: CLASSIFIER_E_MEMORY; CLASSIFIER_E_DATA: the eigenvalues do not converge, as of a sum that is not finite; outputs are not to be used then */
classifier_status low_rank_fit(const outer_sum *sum, size_t rank, double *value, double *left, double *right);

#endif
