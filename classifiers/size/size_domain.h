/* size_domain.h - is an adapter near enough to a bank's members that they can speak for it?
 *
 * Two distances to the nearest member, each a root mean square of standardised differences: over the features that answers are made of,
 * and over the σ of A. Adapters trained from another seed start from another draw of A, so their σ(A) are off all at once, unless
 * training moves A by more. Each distance is taken in units of the largest that a member has to the members of other micro-datasets, and
 * the larger of the two counts. Far within the limit, what is farther from all members than half of them are is answered with a wider
 * interval: shifts of the recipe that spectra cannot be told apart by show there first. The limit is twice that: a bank of 15
 * micro-datasets must answer for the 35 it has not seen.
 *
 * Members of the smallest size lie farthest apart, so an adapter of that size has a wide interval by right. An interval that holds every
 * size is no answer, though, for one that is isolated: twice as far from its nearest member as members thereabouts are from theirs.
 *
 * Distances of members to each other are exact. To a stranger they are exact for the few members that size_space.h finds nearest, among
 * them any that it is a copy of; the nearest of those counts.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SIZE_DOMAIN_H
#define CLASSIFIER_SIZE_DOMAIN_H

#include "classifiers/size/size_space.h"

typedef enum { SIZE_DOMAIN_SPECTRA, SIZE_DOMAIN_START, SIZE_DOMAIN_COUNT } size_domain_kind;
extern const double SIZE_DOMAIN_LIMIT;    /* the largest distance that is answered for */
extern const double SIZE_DOMAIN_ISOLATED; /* the largest isolation for which an interval of all sizes is answered with */
enum { SIZE_DOMAIN_LOCAL = 5 };           /* members «thereabouts» */

typedef struct {
    size_t n, begin[SIZE_DOMAIN_COUNT + 1]; /* where the kinds begin in a row; last: the width */
    float *rows;                            /* n × width, standardised */
    size_space space[SIZE_DOMAIN_COUNT];
    double *own;                            /* n: each member's distance to its nearest other, by SIZE_DOMAIN_SPECTRA */
    double unit[SIZE_DOMAIN_COUNT];         /* > 0 */
    double typical;                         /* > 0; median of the distances whose largest is unit[SIZE_DOMAIN_SPECTRA] */
} size_domain; /* starts as {0} */

/* What is near: by SIZE_DOMAIN_SPECTRA the nearest members, nearest first, the first of equals first. */
typedef struct {
    double nearest[SIZE_DOMAIN_COUNT]; /* distances, not in units */
    size_t near[SIZE_DOMAIN_LOCAL], n_near;
} size_vicinity;

/* size_domain_create - with the rows (n × width, standardised; START from `start` on) and all else zero.
 * Errs: CLASSIFIER_E_MEMORY; {0} then.  Owner: the caller, size_domain_release */
classifier_status size_domain_create(size_domain *d, const double *rows, size_t n, size_t start, size_t width);
void size_domain_release(size_domain *d);

/* size_domain_fit - all of it, from the same rows. In: group[n]: micro-datasets, at least two.
 * Out:  distances[n]: of every member to the nearest of other micro-datasets, by SIZE_DOMAIN_SPECTRA
 * Errs: CLASSIFIER_E_MEMORY, CLASSIFIER_E_DATA (low_rank.h).  Cost: O(n²·width) */
classifier_status size_domain_fit(size_domain *d, const double *rows, const size_t *group, double *distances);

/* size_domain_settle - the spaces, from the same rows, where their directions are there. Errs: CLASSIFIER_E_MEMORY */
classifier_status size_domain_settle(size_domain *d, const double *rows);

/* size_domain_look - In: a standardised row.  scratch: size_space_padded(n) numbers */
size_vicinity size_domain_look(const size_domain *d, const float *row, float *scratch);

/* size_domain_doubt - how much wider an interval must be for want of near members: the cube of distance / typical, which is at least 0.8. */
double size_domain_doubt(const size_domain *d, double distance);

/* size_domain_isolation - the distance of the nearest member, over the mean distance that the members thereabouts have to their own nearest. */
double size_domain_isolation(const size_domain *d, const size_vicinity *v);

/* size_domain_distance - in units. *which: the kind that counts */
double size_domain_distance(const size_domain *d, const size_vicinity *v, int *which);

#endif
