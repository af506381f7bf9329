/* size_selection.c - see size_selection.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_selection.h"

#include "classifiers/size/nearest.h"
#include "classifiers/size/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double POWERS[] = {0.25, 0.5, 0.75};
static const double GAMMAS[] = {1, 3};
static const double LAMBDAS[] = {0.01, 0.03, 0.1, 0.3};
enum {
    N_POWERS = sizeof POWERS / sizeof *POWERS,
    N_GAMMAS = sizeof GAMMAS / sizeof *GAMMAS,
    N_LAMBDAS = sizeof LAMBDAS / sizeof *LAMBDAS,
    N_CHOICES = N_POWERS * N_GAMMAS * N_LAMBDAS
};
enum { FOLDS = 15, MANY_MEMBERS = 400, FOLDS_OF_MANY = 5 };

/* Of one feature: variance of the sizes' means, over the mean variance within sizes. sum, count: n_sizes each */
static double variance_ratio(const size_members *m, const int *used, size_t feature, double *sum, const double *count)
{
    size_t width = m->width;
    double between = 0, within = 0, mean = 0, n = 0, n_sizes = 0;
    memset(sum, 0, m->n_sizes * sizeof *sum);
    for (size_t i = 0; i < m->n; i++)
        if (!used || used[i])
            sum[m->size_index[i]] += m->features[i * width + feature];
    for (size_t k = 0; k < m->n_sizes; k++)
        if (count[k] > 0) {
            sum[k] /= count[k];
            mean += sum[k];
            n += count[k];
            n_sizes++;
        }
    mean /= n_sizes;
    for (size_t k = 0; k < m->n_sizes; k++)
        if (count[k] > 0)
            between += (sum[k] - mean) * (sum[k] - mean) / n_sizes;
    for (size_t i = 0; i < m->n; i++)
        if (!used || used[i]) {
            double off = m->features[i * width + feature] - sum[m->size_index[i]];
            within += off * off / n;
        }
    return between / (within + 1e-12);
}

classifier_status size_weights(const size_members *m, const int *used, double power, double *weights)
{
    double *sum = malloc(2 * m->n_sizes * sizeof *sum);
    if (!sum)
        return CLASSIFIER_E_MEMORY;
    double *count = sum + m->n_sizes;
    memset(count, 0, m->n_sizes * sizeof *count);
    for (size_t i = 0; i < m->n; i++)
        count[m->size_index[i]] += !used || used[i];
    for (size_t b = 0; b < m->n_blocks; b++) {
        double total = 0;
        for (size_t j = m->block[b]; j < m->block[b + 1]; j++) {
            weights[j] = power > 0 ? pow(variance_ratio(m, used, j, sum, count), power) : 1;
            total += weights[j] * weights[j];
        }
        for (size_t j = m->block[b]; j < m->block[b + 1]; j++)
            weights[j] = total > 0 ? weights[j] / sqrt(total) : 0;
    }
    free(sum);
    return CLASSIFIER_OK;
}

void size_squares(const size_members *m, const double *rows, double *squares)
{
    for (size_t b = 0; b < m->n_blocks; b++) {
        size_t begin = m->block[b], width = m->block[b + 1] - begin;
        double *of_block = squares + b * m->n * m->n;
        for (size_t i = 0; i < m->n; i++)
            for (size_t j = 0; j <= i; j++)
                of_block[i * m->n + j] = of_block[j * m->n + i] =
                    nearest_square(rows + i * m->width + begin, rows + j * m->width + begin, width);
    }
}

double size_kernel(const size_members *m, const double *squares, size_t stride, double gamma)
{
    double sum = 0;
    for (size_t b = 0; b < m->n_blocks; b++)
        sum += m->share[b] / sqrt(1 + 2 * gamma * squares[b * stride]);
    return sum;
}

void size_targets(const size_t *size_index, const size_t *which, size_t n, size_t n_targets, double *prior, double *targets)
{
    for (size_t c = 0; c < n_targets; c++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += targets[i * n_targets + c] = size_index[which ? which[i] : i] <= c;
        prior[c] = sum / (double)n;
        for (size_t i = 0; i < n; i++)
            targets[i * n_targets + c] -= prior[c];
    }
}

/* ---- cross-validation ---- */

/* Room for one fold of n members at most. left_out: N_CHOICES × n × n_targets */
typedef struct {
    const size_members *members;
    size_t n_targets;
    int *used;
    size_t *train, *test, n_train, n_test;
    double *weights, *rows, *squares, *kernel, *block, *factor, *targets, *prior, *coefficients;
    double *left_out;
} workspace;

static void workspace_release(workspace *w)
{
    free(w->used);
    free(w->train);
    free(w->test);
    free(w->weights);
    free(w->rows);
    free(w->squares);
    free(w->kernel);
    free(w->block);
    free(w->factor);
    free(w->targets);
    free(w->prior);
    free(w->coefficients);
    free(w->left_out);
}

static classifier_status workspace_create(workspace *w, const size_members *m)
{
    size_t n = m->n, n_targets = m->n_sizes - 1, width = m->width;
    *w = (workspace){.members = m, .n_targets = n_targets};
    w->used = malloc(n * sizeof *w->used);
    w->train = malloc(n * sizeof *w->train);
    w->test = malloc(n * sizeof *w->test);
    w->weights = malloc(width * sizeof *w->weights);
    w->rows = malloc(n * width * sizeof *w->rows);
    w->squares = malloc(m->n_blocks * n * n * sizeof *w->squares);
    w->kernel = malloc(n * n * sizeof *w->kernel);
    w->block = malloc(n * n * sizeof *w->block);
    w->factor = malloc(n * n * sizeof *w->factor);
    w->targets = malloc(n * n_targets * sizeof *w->targets);
    w->prior = malloc(n_targets * sizeof *w->prior);
    w->coefficients = malloc(n * n_targets * sizeof *w->coefficients);
    w->left_out = malloc(N_CHOICES * n * n_targets * sizeof *w->left_out);
    if (w->used && w->train && w->test && w->weights && w->rows && w->squares && w->kernel && w->block && w->factor && w->targets && w->prior &&
        w->coefficients && w->left_out)
        return CLASSIFIER_OK;
    workspace_release(w);
    return CLASSIFIER_E_MEMORY;
}

/* d² of all members with the fold's weights. */
static classifier_status measure(workspace *w, double power)
{
    const size_members *m = w->members;
    size_t width = m->width;
    classifier_status status = size_weights(m, w->used, power, w->weights);
    if (status != CLASSIFIER_OK)
        return status;
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < width; j++)
            w->rows[i * width + j] = m->features[i * width + j] * w->weights[j];
    size_squares(m, w->rows, w->squares);
    return CLASSIFIER_OK;
}

static void predict(const workspace *w, double *left_out)
{
    size_t n = w->members->n, n_targets = w->n_targets;
    for (size_t i = 0; i < w->n_test; i++) {
        double *out = left_out + w->test[i] * n_targets;
        memcpy(out, w->prior, n_targets * sizeof *out);
        for (size_t j = 0; j < w->n_train; j++)
            for (size_t c = 0; c < n_targets; c++)
                out[c] += w->kernel[w->test[i] * n + w->train[j]] * w->coefficients[j * n_targets + c];
    }
}

/* Every γ and λ for the fold at one power; first: the first of their choices. */
static classifier_status try_all(workspace *w, size_t first)
{
    size_t n = w->members->n, n_train = w->n_train;
    size_targets(w->members->size_index, w->train, n_train, w->n_targets, w->prior, w->targets);
    for (size_t g = 0; g < N_GAMMAS; g++) {
        for (size_t i = 0; i < n * n; i++)
            w->kernel[i] = size_kernel(w->members, w->squares + i, n * n, GAMMAS[g]);
        for (size_t i = 0; i < n_train; i++)
            for (size_t j = 0; j < n_train; j++)
                w->block[i * n_train + j] = w->kernel[w->train[i] * n + w->train[j]];
        for (size_t l = 0; l < N_LAMBDAS; l++) {
            if (ridge_fit(w->block, n_train, LAMBDAS[l], w->targets, w->n_targets, w->factor, w->coefficients) != CLASSIFIER_OK)
                return CLASSIFIER_E_DATA;
            predict(w, w->left_out + (first + g * N_LAMBDAS + l) * n * w->n_targets);
        }
    }
    return CLASSIFIER_OK;
}

/* Continuous ranked probability score, times n. */
static double score(const size_members *m, const double *left_out)
{
    size_t n_targets = m->n_sizes - 1;
    double sum = 0;
    for (size_t i = 0; i < m->n; i++)
        for (size_t c = 0; c < n_targets; c++) {
            double error = left_out[i * n_targets + c] - (m->size_index[i] <= c);
            sum += error * error * (m->sizes[c + 1] - m->sizes[c]);
        }
    return sum;
}

static size_choice choose(const workspace *w)
{
    size_t n_values = w->members->n * w->n_targets, best = 0;
    double least = INFINITY;
    for (size_t i = 0; i < N_CHOICES; i++) {
        double error = score(w->members, w->left_out + i * n_values);
        if (error < least) {
            least = error;
            best = i;
        }
    }
    return (size_choice){POWERS[best / (N_GAMMAS * N_LAMBDAS)], GAMMAS[best / N_LAMBDAS % N_GAMMAS], LAMBDAS[best % N_LAMBDAS]};
}

size_t size_folds(size_t n, size_t n_groups)
{
    size_t most = n > MANY_MEMBERS ? FOLDS_OF_MANY : FOLDS;
    return n_groups < most ? n_groups : most;
}

classifier_status size_select(const size_members *m, const size_t *group, size_t n_groups, size_choice *choice)
{
    workspace w;
    classifier_status status = workspace_create(&w, m);
    if (status != CLASSIFIER_OK)
        return status;
    size_t n_folds = size_folds(m->n, n_groups);
    for (size_t p = 0; p < N_POWERS && status == CLASSIFIER_OK; p++)
        for (size_t fold = 0; fold < n_folds && status == CLASSIFIER_OK; fold++) {
            w.n_train = w.n_test = 0;
            for (size_t i = 0; i < m->n; i++) {
                w.used[i] = group[i] % n_folds != fold;
                if (w.used[i])
                    w.train[w.n_train++] = i;
                else
                    w.test[w.n_test++] = i;
            }
            status = measure(&w, POWERS[p]);
            if (status == CLASSIFIER_OK)
                status = try_all(&w, p * N_GAMMAS * N_LAMBDAS);
        }
    if (status == CLASSIFIER_OK)
        *choice = choose(&w);
    workspace_release(&w);
    return status;
}
