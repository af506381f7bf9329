/* size_selection.h - the parts of the regression of size_regression.h, and the choice of its three numbers by cross-validation.
 *
 * Micro-datasets are left out whole: one at a time up to 15 of them, else in 15 folds; in 5 folds of more than 400 members. Weights of
 * features are made anew for every fold, so what a fold is predicted as owes nothing to its labels.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SIZE_SELECTION_H
#define CLASSIFIER_SIZE_SELECTION_H

#include "classifiers/size/size_regression.h"

typedef struct {
    double power, gamma, lambda;
} size_choice;

/* size_weights - √weight of every feature, from members i with used[i] (NULL: all). Errs: CLASSIFIER_E_MEMORY; weights untouched then */
classifier_status size_weights(const size_members *members, const int *used, double power, double *weights);

/* size_squares - In: rows (n × width), weighted.  Out: squares[b·n² + i·n + j]: d² of rows i and j in block b */
void size_squares(const size_members *members, const double *rows, double *squares);

/* size_kernel - from squares[b·stride] of the blocks. */
double size_kernel(const size_members *members, const double *squares, size_t stride, double gamma);

/* size_targets - Out: prior[n_targets], the fraction of members (which[n] of them; NULL: the first n) up to each size; targets (n × n_targets), the
 * indicators less that */
void size_targets(const size_t *size_index, const size_t *which, size_t n, size_t n_targets, double *prior, double *targets);

/* size_folds - in how many folds n members of n_groups micro-datasets are left out: micro-dataset g is in fold g mod that. */
size_t size_folds(size_t n, size_t n_groups);

/* size_select - the choice. Errs: CLASSIFIER_E_MEMORY, CLASSIFIER_E_DATA: a fit has no solution */
classifier_status size_select(const size_members *members, const size_t *group, size_t n_groups, size_choice *choice);

#endif
