/* size_space.c - see size_space.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_space.h"

#include "classifiers/low_rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t size_space_padded(size_t n)
{
    return (n + SIZE_SPACE_LANES - 1) / SIZE_SPACE_LANES * SIZE_SPACE_LANES;
}

classifier_status size_space_create(size_space *s, size_t n, size_t width)
{
    size_space made = {.n = n, .width = width};
    made.directions = calloc(width * SIZE_SPACE_RANK + 1, sizeof *made.directions);
    made.places = calloc(size_space_padded(n) * SIZE_SPACE_RANK + 1, sizeof *made.places);
    made.rest = calloc(size_space_padded(n) + 1, sizeof *made.rest);
    if (!made.directions || !made.places || !made.rest) {
        size_space_release(&made);
        *s = made;
        return CLASSIFIER_E_MEMORY;
    }
    *s = made;
    return CLASSIFIER_OK;
}

void size_space_release(size_space *s)
{
    free(s->directions);
    free(s->places);
    free(s->rest);
    *s = (size_space){0};
}

void size_space_place(const size_space *s, const float *row, size_place *p)
{
    float at[SIZE_SPACE_RANK] = {0}, squares[SIZE_SPACE_LANES] = {0};
    size_t whole = s->width / SIZE_SPACE_LANES * SIZE_SPACE_LANES;
    for (size_t j = 0; j < s->width; j++)
        for (size_t k = 0; k < SIZE_SPACE_RANK; k++)
            at[k] += row[j] * s->directions[j * SIZE_SPACE_RANK + k];
    for (size_t j = 0; j < whole; j += SIZE_SPACE_LANES)
        for (size_t k = 0; k < SIZE_SPACE_LANES; k++)
            squares[k] += row[j + k] * row[j + k];
    for (size_t j = whole; j < s->width; j++)
        squares[0] += row[j] * row[j];
    double rest = 0;
    for (size_t k = 0; k < SIZE_SPACE_LANES; k++)
        rest += (double)squares[k];
    for (size_t k = 0; k < SIZE_SPACE_RANK; k++)
        rest -= (double)at[k] * (double)at[k];
    memcpy(p->at, at, sizeof at);
    p->rest = rest > 0 ? (float)rest : 0;
}

/* Where direction 0 of row i stands in places. */
static size_t lane_of(size_t i)
{
    return i / SIZE_SPACE_LANES * SIZE_SPACE_LANES * SIZE_SPACE_RANK + i % SIZE_SPACE_LANES;
}

void size_space_member(const size_space *s, size_t i, size_place *p)
{
    for (size_t k = 0; k < SIZE_SPACE_RANK; k++)
        p->at[k] = s->places[lane_of(i) + k * SIZE_SPACE_LANES];
    p->rest = s->rest[i];
}

classifier_status size_space_settle(size_space *s, const double *rows, size_t stride, const double *weight)
{
    float *row = malloc((s->width + 1) * sizeof *row);
    if (!row)
        return CLASSIFIER_E_MEMORY;
    for (size_t i = 0; i < s->n; i++) {
        size_place p;
        for (size_t j = 0; j < s->width; j++)
            row[j] = (float)(rows[i * stride + j] * (weight ? weight[j] : 1));
        size_space_place(s, row, &p);
        for (size_t k = 0; k < SIZE_SPACE_RANK; k++)
            s->places[lane_of(i) + k * SIZE_SPACE_LANES] = p.at[k];
        s->rest[i] = p.rest;
    }
    free(row);
    return CLASSIFIER_OK;
}

classifier_status size_space_fit(size_space *s, const double *rows, size_t stride, const double *weight)
{
    size_t n = s->n, width = s->width, rank = width < SIZE_SPACE_RANK ? width : SIZE_SPACE_RANK;
    double *value = malloc((rank + rank * width + n + n * width + 1) * sizeof *value);
    if (!value)
        return CLASSIFIER_E_MEMORY;
    double *direction = value + rank, *one = direction + rank * width, *x = one + n;
    classifier_status status = CLASSIFIER_OK;
    for (size_t i = 0; i < n; i++) {
        one[i] = 1;
        for (size_t j = 0; j < width; j++)
            x[i * width + j] = rows[i * stride + j] * (weight ? weight[j] : 1);
    }
    outer_sum sum = {n, width, width, x, x, one};
    if (rank > 0)
        status = low_rank_fit(&sum, rank, value, direction, NULL);
    for (size_t j = 0; j < width && status == CLASSIFIER_OK; j++)
        for (size_t k = 0; k < rank; k++)
            s->directions[j * SIZE_SPACE_RANK + k] = (float)direction[k * width + j];
    free(value);
    return status == CLASSIFIER_OK ? size_space_settle(s, rows, stride, weight) : status;
}

/* |P·x − P·y|² of SIZE_SPACE_LANES rows; two sums each, that do not wait for each other. */
static void block_squares(const float *places, const float *at, float *squares)
{
    float even[SIZE_SPACE_LANES] = {0}, odd[SIZE_SPACE_LANES] = {0};
    for (size_t k = 0; k < SIZE_SPACE_RANK; k += 2)
        for (size_t l = 0; l < SIZE_SPACE_LANES; l++) {
            float off = at[k] - places[k * SIZE_SPACE_LANES + l], next = at[k + 1] - places[(k + 1) * SIZE_SPACE_LANES + l];
            even[l] += off * off;
            odd[l] += next * next;
        }
    for (size_t l = 0; l < SIZE_SPACE_LANES; l++)
        squares[l] = even[l] + odd[l];
}

void size_space_squares(const size_space *s, const size_place *p, float *squares)
{
    for (size_t i = 0; i < s->n; i += SIZE_SPACE_LANES) {
        block_squares(s->places + i * SIZE_SPACE_RANK, p->at, squares + i);
        for (size_t l = i; l < i + SIZE_SPACE_LANES; l++)
            squares[l] += p->rest + s->rest[l];
    }
}

void size_space_least(const size_space *s, const size_place *p, float *squares)
{
    float root = sqrtf(p->rest);
    for (size_t i = 0; i < s->n; i += SIZE_SPACE_LANES) {
        block_squares(s->places + i * SIZE_SPACE_RANK, p->at, squares + i);
        for (size_t l = i; l < i + SIZE_SPACE_LANES; l++) {
            float off = root - sqrtf(s->rest[l]);
            squares[l] += off * off;
        }
    }
}
