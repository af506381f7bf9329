/* nearest.h - the two published ways to ask a bank: nearest neighbours on spectra.
 *
 *     dsire           for every module the nearest member by the ordered σ of A, of B and of ΔW, each by itself (L2); the majority of
 *                     these votes. Of sizes with equally many, first comes the one whose members are the nearer, by the sum of their nearest
 *                     distances over all matrices; the paper leaves that open
 *     frobenius-nn    the nearest member by the vector of all ‖ΔW‖_F
 *
 * Members of different sizes at the same distance: the smaller size is the nearer. So no answer depends on the order of members.
 * Source: Salama et al. 2024, arXiv 2406.19395
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_NEAREST_H
#define CLASSIFIER_NEAREST_H

#include "classifiers/size/size_features.h"
#include "classifiers/status.h"

#include <stdint.h>

/* Members as rows of spectra that single precision holds, each of one of n_sizes sizes. */
typedef struct {
    const size_layout *layout;
    const double *spectra;    /* n × layout->n_spectra */
    const size_t *size_index; /* n; ascending with the size */
    size_t n, n_sizes;
} nearest_bank;

/* One matrix of all members: its σ, and their coordinates along the two directions in which members differ most, sorted by the first. No distance
 * is smaller than what the coordinates differ by, so most members need not be looked at. */
enum { NEAREST_KEYS = 2 };
typedef struct {
    size_t begin, n_sigma;  /* where it stands in a row of spectra; how many */
    double *direction;      /* NEAREST_KEYS × n_sigma: orthonormal, or 0 */
    double slack;           /* what coordinates in single precision can be off by */
    float *key;             /* n × NEAREST_KEYS */
    float *sigma;           /* n × n_sigma */
    uint32_t *size_index;   /* n */
} nearest_matrix;

typedef struct {
    size_t n, n_sizes, n_matrices;
    nearest_matrix *matrices; /* those with any σ */
    double *directions;       /* of all, as the next three */
    float *keys, *sigma;
    uint32_t *size_index;
} nearest_index; /* starts as {0} */

typedef struct {
    size_t size_index, count;
    double distance; /* of the size's nearest members, summed over all matrices: where it shares the first place; 0 elsewhere */
} nearest_vote;

/* nearest_index_create - what votes are found in. Errs: CLASSIFIER_E_MEMORY; {0} then.  Owner: the caller, nearest_index_release
 * Cost: O(n_spectra · n), some thirty times */
classifier_status nearest_index_create(const nearest_bank *bank, nearest_index *index);
void nearest_index_release(nearest_index *index);

/* nearest_votes - In: a row of finite spectra; likely: the row of a member that is near, and its size index (NULL: none), which spares looking at
 *   others.  Out: votes[n_sizes], most votes first; equally many, and not for the first place: the smaller size.
 * Cost: O(n_spectra · n) at worst, and where the first place is shared; mostly a twentieth of that */
void nearest_votes(const nearest_index *index, const double *row, const double *likely, size_t its_size, nearest_vote *votes);

/* nearest_by_norm - size index of the nearest member by Frobenius norms. */
size_t nearest_by_norm(const nearest_bank *bank, const double *row);

/* nearest_square - Σ (x − y)² over n. */
double nearest_square(const double *x, const double *y, size_t n);

#endif
