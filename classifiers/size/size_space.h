/* size_space.h - a cloud of rows, kept so that a new row's distances to all of them are cheap.
 *
 * Rows are projected to their leading SIZE_SPACE_RANK directions; of what lies off those, only the squared length is kept:
 *
 *     |x − y|² ≈ |P·x − P·y|² + rest(x) + rest(y)
 *
 * exact where what is left of x and of y is perpendicular, as it nearly is for rows of many small differences. Squares so made are those of points
 * that each have a direction of their own besides, so a kernel that is positive definite stays so. The error is that of the inner product
 * of the two rests: a copy of a row is not at distance 0 but at 2·rest. size_space_least is a bound from below, and 0 for a copy.
 *
 * Everything is in single precision, and every sum in one order: all processors give the same numbers.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SIZE_SPACE_H
#define CLASSIFIER_SIZE_SPACE_H

#include "classifiers/status.h"

#include <stddef.h>

enum { SIZE_SPACE_RANK = 32, SIZE_SPACE_LANES = 8 };

typedef struct {
    size_t n, width;
    float *directions; /* width × SIZE_SPACE_RANK: unit vectors as columns; 0 beyond the rank of the rows */
    float *places;     /* of the rows: SIZE_SPACE_LANES of them side by side, direction after direction */
    float *rest;       /* n */
} size_space; /* starts as {0} */

typedef struct {
    float at[SIZE_SPACE_RANK], rest;
} size_place;

/* size_space_padded - n rounded up to whole lanes: room that squares need. */
size_t size_space_padded(size_t n);

/* size_space_create - room for n rows of `width` numbers; all zero. Errs: CLASSIFIER_E_MEMORY; {0} then.  Owner: the caller, size_space_release */
classifier_status size_space_create(size_space *s, size_t n, size_t width);
void size_space_release(size_space *s);

/* size_space_fit - the leading directions of rows, and their places.
 * In:   n rows of `width` numbers, `stride` apart, each number times its weight (NULL: all 1)
 * Errs: CLASSIFIER_E_MEMORY, CLASSIFIER_E_DATA (low_rank.h).  Cost: O(n·width·SIZE_SPACE_RANK), some fourteen times */
classifier_status size_space_fit(size_space *s, const double *rows, size_t stride, const double *weight);

/* size_space_settle - the places of rows, as above, for directions that are there. Errs: CLASSIFIER_E_MEMORY */
classifier_status size_space_settle(size_space *s, const double *rows, size_t stride, const double *weight);

/* size_space_place - where a row of `width` numbers, with their weights, lies.  size_space_member - where row i does. */
void size_space_place(const size_space *s, const float *row, size_place *p);
void size_space_member(const size_space *s, size_t i, size_place *p);

/* size_space_squares - Out: squares[size_space_padded(n)], the approximate squared distances of p to every row; behind n: of no meaning.
 * size_space_least - no more than the true ones: |P·x − P·y|² + (√rest(x) − √rest(y))²
 * Cost: n·SIZE_SPACE_RANK multiplications */
void size_space_squares(const size_space *s, const size_place *p, float *squares);
void size_space_least(const size_space *s, const size_place *p, float *squares);

#endif
