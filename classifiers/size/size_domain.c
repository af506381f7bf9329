/* size_domain.c - see size_domain.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_domain.h"

#include "classifiers/metrics.h"
#include "classifiers/size/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double SIZE_DOMAIN_LIMIT = 2;
const double SIZE_DOMAIN_ISOLATED = 2;

static const double LEAST_RATIO = 0.8; /* a copy of a member is not above doubt */
static const double LEAST_UNIT = 1e-3; /* of members that do not differ: A that was frozen, say */
enum { CANDIDATES = 8 };

static size_t width_of(const size_domain *d, int kind)
{
    return d->begin[kind + 1] - d->begin[kind];
}

static size_t stride_of(const size_domain *d)
{
    return d->begin[SIZE_DOMAIN_COUNT];
}

classifier_status size_domain_create(size_domain *d, const double *rows, size_t n, size_t start, size_t width)
{
    size_domain made = {.n = n, .begin = {0, start, width}};
    made.rows = malloc((n * width + 1) * sizeof *made.rows);
    made.own = calloc(n + 1, sizeof *made.own);
    classifier_status status = made.rows && made.own ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (int k = 0; k < SIZE_DOMAIN_COUNT && status == CLASSIFIER_OK; k++)
        status = size_space_create(&made.space[k], n, width_of(&made, k));
    if (status != CLASSIFIER_OK)
        size_domain_release(&made);
    else
        for (size_t i = 0; i < n * width; i++)
            made.rows[i] = (float)rows[i];
    *d = made;
    return status;
}

void size_domain_release(size_domain *d)
{
    free(d->rows);
    free(d->own);
    for (int k = 0; k < SIZE_DOMAIN_COUNT; k++)
        size_space_release(&d->space[k]);
    *d = (size_domain){0};
}

/* distances[n] of every member to its nearest of other groups; own[n] to its nearest of all others (NULL: not wanted). */
static void measure_members(const double *rows, size_t n, size_t stride, size_t width, const size_t *group, double *distances, double *own)
{
    for (size_t i = 0; i < n; i++) {
        double nearest = INFINITY, of_all = INFINITY;
        for (size_t j = 0; j < n; j++) {
            if (i == j || (!own && group[i] == group[j]))
                continue;
            double square = nearest_square(rows + i * stride, rows + j * stride, width);
            of_all = fmin(of_all, square);
            if (group[i] != group[j])
                nearest = fmin(nearest, square);
        }
        distances[i] = width ? sqrt(nearest / (double)width) : 0;
        if (own)
            own[i] = width ? sqrt(of_all / (double)width) : 0;
    }
}

classifier_status size_domain_fit(size_domain *d, const double *rows, const size_t *group, double *distances)
{
    size_t n = d->n, stride = stride_of(d);
    double *sorted = malloc((n + 1) * sizeof *sorted);
    classifier_status status = sorted ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (int k = 0; k < SIZE_DOMAIN_COUNT && status == CLASSIFIER_OK; k++) {
        int spectra = k == SIZE_DOMAIN_SPECTRA;
        status = size_space_fit(&d->space[k], rows + d->begin[k], stride, NULL);
        measure_members(rows + d->begin[k], n, stride, width_of(d, k), group, sorted, spectra ? d->own : NULL);
        if (spectra)
            memcpy(distances, sorted, n * sizeof *distances);
        metrics_sort(sorted, n);
        d->unit[k] = fmax(sorted[n - 1], LEAST_UNIT);
        if (spectra)
            d->typical = fmax(metrics_median(sorted, n), LEAST_UNIT);
    }
    free(sorted);
    return status;
}

classifier_status size_domain_settle(size_domain *d, const double *rows)
{
    classifier_status status = CLASSIFIER_OK;
    for (int k = 0; k < SIZE_DOMAIN_COUNT && status == CLASSIFIER_OK; k++)
        status = size_space_settle(&d->space[k], rows + d->begin[k], stride_of(d), NULL);
    return status;
}

/* The `room` smallest, ascending, the first of equals first. */
typedef struct {
    size_t room, n, index[CANDIDATES];
    double value[CANDIDATES];
} shortlist;

static void consider(shortlist *list, size_t index, double value)
{
    size_t place = list->n;
    while (place > 0 && value < list->value[place - 1])
        place--;
    if (place == list->room)
        return;
    list->n += list->n < list->room;
    for (size_t k = list->n - 1; k > place; k--) {
        list->value[k] = list->value[k - 1];
        list->index[k] = list->index[k - 1];
    }
    list->value[place] = value;
    list->index[place] = index;
}

static double exact_distance(const float *x, const float *y, size_t width)
{
    double sum[SIZE_SPACE_LANES] = {0}, square = 0;
    size_t whole = width / SIZE_SPACE_LANES * SIZE_SPACE_LANES;
    for (size_t j = 0; j < whole; j += SIZE_SPACE_LANES)
        for (size_t l = 0; l < SIZE_SPACE_LANES; l++) {
            float off = x[j + l] - y[j + l];
            sum[l] += (double)(off * off);
        }
    for (size_t j = whole; j < width; j++)
        sum[0] += (double)((x[j] - y[j]) * (x[j] - y[j]));
    for (size_t l = 0; l < SIZE_SPACE_LANES; l++)
        square += sum[l];
    return width ? sqrt(square / (double)width) : 0;
}

/* The nearest members of one kind, by exact distances of those that may be. */
static shortlist look(const size_domain *d, int kind, const float *row, float *scratch)
{
    shortlist candidates = {.room = CANDIDATES}, found = {.room = CANDIDATES};
    size_place p;
    size_space_place(&d->space[kind], row, &p);
    size_space_least(&d->space[kind], &p, scratch);
    double worst = INFINITY;
    for (size_t i = 0; i < d->n; i++)
        if ((double)scratch[i] < worst) {
            consider(&candidates, i, (double)scratch[i]);
            worst = candidates.n == CANDIDATES ? candidates.value[CANDIDATES - 1] : INFINITY;
        }
    for (size_t i = 0; i < d->n && i < candidates.n; i++) {
        size_t member = candidates.index[i];
        consider(&found, member, exact_distance(row, d->rows + member * stride_of(d) + d->begin[kind], width_of(d, kind)));
    }
    return found;
}

size_vicinity size_domain_look(const size_domain *d, const float *row, float *scratch)
{
    size_vicinity v = {0};
    for (int k = 0; k < SIZE_DOMAIN_COUNT; k++) {
        shortlist found = look(d, k, row + d->begin[k], scratch);
        v.nearest[k] = found.value[0];
        if (k != SIZE_DOMAIN_SPECTRA)
            continue;
        v.n_near = found.n < SIZE_DOMAIN_LOCAL ? found.n : SIZE_DOMAIN_LOCAL;
        memcpy(v.near, found.index, v.n_near * sizeof *v.near);
    }
    return v;
}

double size_domain_doubt(const size_domain *d, double distance)
{
    double ratio = fmax(distance / d->typical, LEAST_RATIO);
    return ratio * ratio * ratio;
}

double size_domain_isolation(const size_domain *d, const size_vicinity *v)
{
    double own = 0;
    for (size_t k = 0; k < v->n_near; k++)
        own += d->own[v->near[k]] / (double)v->n_near;
    return v->nearest[SIZE_DOMAIN_SPECTRA] / fmax(own, LEAST_UNIT);
}

double size_domain_distance(const size_domain *d, const size_vicinity *v, int *which)
{
    double largest = -1;
    for (int k = 0; k < SIZE_DOMAIN_COUNT; k++) {
        double distance = v->nearest[k] / d->unit[k];
        if (distance > largest) {
            largest = distance;
            *which = k;
        }
    }
    return largest;
}
