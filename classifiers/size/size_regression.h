/* size_regression.h - how probable is each size, given the features of an adapter and of a bank's members?
 *
 * Kernel ridge regression of the indicators [N ≤ s] for every size s of the bank but the largest. The kernel is the weighted mean over
 * the blocks of features of (1 + 2γ·d²)^(−1/2), an inverse multiquadric: d² is a block's mean of squared differences of standardised
 * features, feature f with the weight (variance between sizes / variance within)^2p, the weights of a block summing to 1. From the
 * estimated distribution
 *
 *     value      its median: of all answers the one whose expected absolute error is the smallest
 *     centre     E log N.  spread: √Var log N, of the distribution made monotone
 *     interval   exp(centre ± t·doubt·(spread + floor)). t: the conformal quantile of |log N − centre| / (doubt·(spread + floor)) over
 *                members, each predicted by a fit without its micro-dataset (cross-conformal); floor: 0.3 of the mean |log N − centre|
 *                there; doubt: any factor that the caller has for a member and for what is asked about, made without their sizes
 *
 * p, γ and λ are those with the smallest squared error of the distribution, weighted by the gaps between sizes (the continuous ranked
 * probability score), of members left out alike. Ends of an interval are real numbers: rounded to sizes of the bank it would cover too
 * much; so the value, which is one of them, can lie outside.
 *
 * The choice is made with d² as it is. The fit of all members, every question, and the predictions that intervals are made of, which must err as
 * answers do, take that of size_space.h, a block each.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SIZE_REGRESSION_H
#define CLASSIFIER_SIZE_REGRESSION_H

#include "classifiers/size/size_features.h"
#include "classifiers/size/size_space.h"

extern const double SIZE_REGRESSION_LEVEL; /* of the intervals: 0.9 */
enum { SIZE_REGRESSION_LEAST = 9 };        /* members that a quantile at this level needs */

typedef struct {
    size_t n, n_sizes;
    double power, gamma, lambda; /* p, γ, λ */
    double *coefficients;        /* n × (n_sizes − 1) */
    double *prior;               /* n_sizes − 1: fraction of members ≤ each size */
    double floor, quantile;
    double *weights;             /* √ of each feature's; they follow from power and members */
    size_t n_blocks;
    size_space space[SIZE_BLOCKS]; /* of the members' weighted features, a block each */
} size_regression; /* starts as {0} */

/* The members: standardised features (n × width; to be asked, they are not needed), block b at block[b] … block[b + 1] − 1 of a row; and, of each
 * member, which of the ascending sizes. */
typedef struct {
    const size_t *block;
    const double *share; /* weight of each block in the kernel; their sum is 1 */
    size_t n_blocks, width;
    const double *features;
    const size_t *size_index;
    size_t n;
    const double *sizes;
    size_t n_sizes;
} size_members;

typedef struct {
    double centre, spread, low, high;
} size_prediction;

/* size_regression_create - for these members, with zeros but for power and the weights that follow from it.
 * size_regression_settle - the members' places in spaces whose directions are there.
 * Errs: CLASSIFIER_E_MEMORY */
classifier_status size_regression_create(size_regression *r, const size_members *members, double power);
classifier_status size_regression_settle(size_regression *r, const size_members *members);
void size_regression_release(size_regression *r);

/* size_regression_fit
 * In:   group[n] < n_groups, at least two: micro-datasets;  doubt[n] > 0
 * Out:  *r, to be released; {0} on failure
 * Errs: CLASSIFIER_E_MEMORY, CLASSIFIER_E_DATA
 * Cost: a few hundred times O(n²·width + n³) */
classifier_status size_regression_fit(const size_members *members, const size_t *group, size_t n_groups, const double *doubt,
                                      size_regression *r, classifier_fault *fault);

/* size_regression_ask - In: features, standardised; doubt: of this one.
 * Out: similarity[size_space_padded(n)]: the kernel's value for every member;  at_most[n_sizes − 1]: the distribution, not made monotone
 * scratch: size_space_padded(n) + width numbers.  Cost: O((members + width)·SIZE_SPACE_RANK) a block */
size_prediction size_regression_ask(const size_regression *r, const size_members *members, const double *features, double doubt,
                                    float *similarity, double *at_most, float *scratch);

/* size_regression_median - index of the median size of a distribution. */
size_t size_regression_median(const double *at_most, size_t n_sizes);

#endif
