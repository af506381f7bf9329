/* nearest.c - see nearest.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* of coordinates: more than single precision and the directions' own lengths are off by, and than two double sums are */
static const double ROUNDING = 1e-6;

enum { LANES = 8 }; /* sums that do not wait for each other */

double nearest_square(const double *x, const double *y, size_t n)
{
    double sum[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += (x[i + k] - y[i + k]) * (x[i + k] - y[i + k]);
    for (; i < n; i++)
        sum[0] += (x[i] - y[i]) * (x[i] - y[i]);
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

void nearest_index_release(nearest_index *index)
{
    free(index->matrices);
    free(index->directions);
    free(index->keys);
    free(index->sigma);
    free(index->size_index);
    *index = (nearest_index){0};
}

/* A member's place in the order of one matrix. */
typedef struct {
    double key[NEAREST_KEYS];
    size_t member;
} place;

static int by_key(const void *a, const void *b)
{
    const place *p = a, *q = b;
    if (p->key[0] < q->key[0] || p->key[0] > q->key[0])
        return p->key[0] < q->key[0] ? -1 : 1;
    return (p->member > q->member) - (p->member < q->member);
}

static const double *sigma_of(const nearest_bank *bank, const nearest_matrix *m, size_t member)
{
    return bank->spectra + member * bank->layout->n_spectra + m->begin;
}

static double dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* direction k ← one in which members differ much, perpendicular to those before: a few steps of the power method. next: n_sigma */
static void find_direction(const nearest_bank *bank, const nearest_matrix *m, size_t k, const double *mean, double *next)
{
    enum { STEPS = 4 };
    size_t r = m->n_sigma;
    double *v = m->direction + k * r;
    for (size_t j = 0; j < r; j++)
        v[j] = 1 / (double)(1 + j); /* the leading σ differ most */
    for (int step = 0; step < STEPS; step++) {
        memset(next, 0, r * sizeof *next);
        for (size_t i = 0; i < bank->n; i++) {
            const double *x = sigma_of(bank, m, i);
            double along = dot(x, v, r) - dot(mean, v, r);
            for (size_t j = 0; j < r; j++)
                next[j] += along * (x[j] - mean[j]);
        }
        for (size_t before = 0; before < k; before++) {
            double shared = dot(next, m->direction + before * r, r);
            for (size_t j = 0; j < r; j++)
                next[j] -= shared * m->direction[before * r + j];
        }
        double norm = sqrt(dot(next, next, r));
        for (size_t j = 0; j < r; j++)
            v[j] = norm > 0 && isfinite(norm) ? next[j] / norm : 0;
    }
}

/* order: n; room: 2·n_sigma */
static void sort_matrix(const nearest_bank *bank, nearest_matrix *m, place *order, double *room)
{
    size_t r = m->n_sigma;
    double *mean = room, largest = 0;
    memset(mean, 0, r * sizeof *mean);
    for (size_t i = 0; i < bank->n; i++)
        for (size_t j = 0; j < r; j++)
            mean[j] += sigma_of(bank, m, i)[j] / (double)bank->n;
    for (size_t k = 0; k < NEAREST_KEYS; k++)
        find_direction(bank, m, k, mean, room + r);
    for (size_t i = 0; i < bank->n; i++) {
        order[i].member = i;
        for (size_t k = 0; k < NEAREST_KEYS; k++) {
            order[i].key[k] = dot(m->direction + k * r, sigma_of(bank, m, i), r);
            largest = fmax(largest, fabs(order[i].key[k]));
        }
    }
    m->slack = ROUNDING * largest;
    qsort(order, bank->n, sizeof *order, by_key);
    for (size_t i = 0; i < bank->n; i++) {
        m->size_index[i] = (uint32_t)bank->size_index[order[i].member];
        for (size_t k = 0; k < NEAREST_KEYS; k++)
            m->key[i * NEAREST_KEYS + k] = (float)order[i].key[k];
        for (size_t j = 0; j < r; j++)
            m->sigma[i * r + j] = (float)sigma_of(bank, m, order[i].member)[j];
    }
}

/* The matrices of the layout that have any σ, in turn; without room they are only counted. Return: how many; *n_sigma: of all */
static size_t list_matrices(const size_layout *layout, nearest_matrix *matrices, size_t *n_sigma)
{
    size_t n = 0;
    *n_sigma = 0;
    for (size_t i = 0; i < layout->n_modules; i++) {
        const size_module *m = &layout->modules[i];
        const size_t counts[3] = {m->n_sigma, m->n_sigma_b, m->n_sigma_a};
        size_t begin = m->spectra + 1;
        for (size_t k = 0; k < 3; k++) {
            if (counts[k] > 0 && matrices)
                matrices[n] = (nearest_matrix){.begin = begin, .n_sigma = counts[k]};
            n += counts[k] > 0;
            begin += counts[k];
            *n_sigma += counts[k];
        }
    }
    return n;
}

classifier_status nearest_index_create(const nearest_bank *bank, nearest_index *index)
{
    size_t n_sigma, n = bank->n, n_matrices = list_matrices(bank->layout, NULL, &n_sigma);
    nearest_index made = {.n = n, .n_sizes = bank->n_sizes, .n_matrices = n_matrices};
    made.matrices = calloc(n_matrices + 1, sizeof *made.matrices);
    made.directions = malloc((NEAREST_KEYS * n_sigma + 1) * sizeof *made.directions);
    made.keys = malloc((NEAREST_KEYS * n * n_matrices + 1) * sizeof *made.keys);
    made.sigma = malloc((n * n_sigma + 1) * sizeof *made.sigma);
    made.size_index = malloc((n * n_matrices + 1) * sizeof *made.size_index);
    place *order = malloc(n * sizeof *order + 2 * n_sigma * sizeof(double) + 1);
    classifier_status status = CLASSIFIER_E_MEMORY;
    if (made.matrices && made.directions && made.keys && made.sigma && made.size_index && order) {
        double *direction = made.directions;
        float *sigma = made.sigma;
        list_matrices(bank->layout, made.matrices, &n_sigma);
        for (size_t k = 0; k < n_matrices; k++) {
            nearest_matrix *m = &made.matrices[k];
            m->direction = direction;
            m->key = made.keys + k * n * NEAREST_KEYS;
            m->sigma = sigma;
            m->size_index = made.size_index + k * n;
            direction += NEAREST_KEYS * m->n_sigma;
            sigma += n * m->n_sigma;
            sort_matrix(bank, m, order, (double *)(order + n));
        }
        status = CLASSIFIER_OK;
    } else {
        nearest_index_release(&made);
    }
    free(order);
    *index = made;
    return status;
}

/* As nearest_square, to the last bit, of a row and a member's σ in single precision. */
static double square_to(const double *x, const float *y, size_t n)
{
    double sum[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += (x[i + k] - (double)y[i + k]) * (x[i + k] - (double)y[i + k]);
    for (; i < n; i++)
        sum[0] += (x[i] - (double)y[i]) * (x[i] - (double)y[i]);
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

typedef struct {
    double square;
    size_t size_index;
} nearer;

static void consider(const nearest_matrix *m, const double *x, size_t at, nearer *best)
{
    double square = square_to(x, m->sigma + at * m->n_sigma, m->n_sigma);
    if (square < best->square || (square <= best->square && m->size_index[at] < best->size_index))
        *best = (nearer){square, m->size_index[at]};
}

/* How many members have a first coordinate below `key`. */
static size_t count_below(const nearest_matrix *m, size_t n, double key)
{
    size_t begin = 0;
    while (n > 0) {
        size_t half = n / 2;
        int beyond = (double)m->key[(begin + half) * NEAREST_KEYS] < key;
        begin = beyond ? begin + half + 1 : begin;
        n = beyond ? n - half - 1 : half;
    }
    return begin;
}

/* The vote of one matrix. Of the members whose first coordinate is near enough, those whose both are, are looked at; a few at a time, since each may
 * bring the others out of reach. best: of a member to begin with, or at INFINITY */
static void vote(const nearest_matrix *m, size_t n, const double *row, nearer best, nearest_vote *votes)
{
    enum { AROUND = 4, LISTED = 64 };
    const double *x = row + m->begin;
    double key[NEAREST_KEYS], slack = m->slack;
    for (size_t k = 0; k < NEAREST_KEYS; k++) {
        key[k] = dot(m->direction + k * m->n_sigma, x, m->n_sigma);
        slack = fmax(slack, ROUNDING * fabs(key[k]));
    }
    size_t here = count_below(m, n, key[0]);
    for (size_t at = here < AROUND / 2 ? 0 : here - AROUND / 2; at < n && at < here + AROUND / 2; at++)
        consider(m, x, at, &best);
    double reach = sqrt(best.square) * (1 + ROUNDING) + 2 * slack; /* of coordinates, of members that may be as near */
    size_t end = count_below(m, n, key[0] + reach);
    float centre[NEAREST_KEYS] = {(float)key[0], (float)key[1]};
    for (size_t at = count_below(m, n, key[0] - reach); at < end;) {
        size_t listed[LISTED], n_listed = 0, stop = at + LISTED < end ? at + LISTED : end;
        reach = sqrt(best.square) * (1 + ROUNDING) + 2 * slack;
        float limit = (float)(reach * reach * (1 + ROUNDING));
        for (; at < stop; at++) {
            float first = m->key[at * NEAREST_KEYS] - centre[0], second = m->key[at * NEAREST_KEYS + 1] - centre[1];
            listed[n_listed] = at;
            n_listed += first * first + second * second <= limit;
        }
        for (size_t i = 0; i < n_listed; i++)
            consider(m, x, listed[i], &best);
    }
    votes[best.size_index].count++;
}

/* Sets the distances of all sizes that share the first place, if it is shared. */
static void break_tie(const nearest_index *index, const double *row, nearest_vote *votes)
{
    size_t most = 0, n_first = 0;
    for (size_t k = 0; k < index->n_sizes; k++) {
        n_first = votes[k].count > most ? 1 : n_first + (votes[k].count == most);
        most = votes[k].count > most ? votes[k].count : most;
    }
    for (size_t k = 0; k < index->n_sizes && n_first > 1; k++) {
        if (votes[k].count < most)
            continue;
        for (size_t j = 0; j < index->n_matrices; j++) {
            const nearest_matrix *m = &index->matrices[j];
            double nearest = INFINITY;
            for (size_t i = 0; i < index->n; i++)
                if (m->size_index[i] == k)
                    nearest = fmin(nearest, square_to(row + m->begin, m->sigma + i * m->n_sigma, m->n_sigma));
            votes[k].distance += sqrt(nearest);
        }
    }
}

static int winner_first(const void *a, const void *b)
{
    const nearest_vote *v = a, *w = b;
    if (v->count != w->count)
        return v->count < w->count ? 1 : -1;
    if (v->distance < w->distance || v->distance > w->distance)
        return v->distance < w->distance ? -1 : 1;
    return v->size_index < w->size_index ? -1 : 1;
}

void nearest_votes(const nearest_index *index, const double *row, const double *likely, size_t its_size, nearest_vote *votes)
{
    for (size_t k = 0; k < index->n_sizes; k++)
        votes[k] = (nearest_vote){.size_index = k};
    for (size_t i = 0; i < index->n_matrices; i++) {
        const nearest_matrix *m = &index->matrices[i];
        nearer best = {INFINITY, its_size};
        if (likely)
            best.square = nearest_square(row + m->begin, likely + m->begin, m->n_sigma);
        vote(m, index->n, row, best, votes);
    }
    break_tie(index, row, votes);
    qsort(votes, index->n_sizes, sizeof *votes, winner_first);
}

size_t nearest_by_norm(const nearest_bank *bank, const double *row)
{
    double least = INFINITY;
    size_t best = 0;
    for (size_t i = 0; i < bank->n; i++) {
        const double *member = bank->spectra + i * bank->layout->n_spectra;
        double square = 0;
        for (size_t j = 0; j < bank->layout->n_modules; j++) {
            double difference = row[bank->layout->modules[j].spectra] - member[bank->layout->modules[j].spectra];
            square += difference * difference;
        }
        if (square < least || (square <= least && bank->size_index[i] < best)) {
            least = square;
            best = bank->size_index[i];
        }
    }
    return best;
}
