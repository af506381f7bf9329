/* size_regression.c - see size_regression.h. Choosing p, γ and λ is the work of size_selection.c.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_regression.h"

#include "classifiers/metrics.h"
#include "classifiers/size/ridge.h"
#include "classifiers/size/size_selection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double SIZE_REGRESSION_LEVEL = 0.9;
static const double FLOOR = 0.3;

void size_regression_release(size_regression *r)
{
    free(r->coefficients);
    free(r->prior);
    free(r->weights);
    for (size_t b = 0; b < SIZE_BLOCKS; b++)
        size_space_release(&r->space[b]);
    *r = (size_regression){0};
}

classifier_status size_regression_create(size_regression *r, const size_members *members, double power)
{
    size_t n_targets = members->n_sizes - 1;
    size_regression made = {.n = members->n, .n_sizes = members->n_sizes, .power = power, .n_blocks = members->n_blocks};
    made.coefficients = calloc(members->n * n_targets, sizeof *made.coefficients);
    made.prior = calloc(n_targets, sizeof *made.prior);
    made.weights = malloc(members->width * sizeof *made.weights);
    classifier_status status = CLASSIFIER_E_MEMORY;
    if (made.coefficients && made.prior && made.weights)
        status = size_weights(members, NULL, power, made.weights);
    for (size_t b = 0; b < made.n_blocks && status == CLASSIFIER_OK; b++)
        status = size_space_create(&made.space[b], members->n, members->block[b + 1] - members->block[b]);
    if (status != CLASSIFIER_OK) {
        size_regression_release(&made);
        return status;
    }
    *r = made;
    return CLASSIFIER_OK;
}

classifier_status size_regression_settle(size_regression *r, const size_members *members)
{
    classifier_status status = CLASSIFIER_OK;
    for (size_t b = 0; b < r->n_blocks && status == CLASSIFIER_OK; b++)
        status = size_space_settle(&r->space[b], members->features + members->block[b], members->width, r->weights + members->block[b]);
    return status;
}

size_t size_regression_median(const double *at_most, size_t n_sizes)
{
    size_t median = 0;
    for (size_t k = 0; k + 1 < n_sizes; k++)
        median += at_most[k] < 0.5;
    return median;
}

/* What a distribution says. at_most[k]: the probability of sizes up to the k-th, for all but the last. */
static size_prediction read_distribution(const double *sizes, size_t n_sizes, const double *at_most)
{
    size_prediction p = {.centre = log(sizes[0])};
    for (size_t k = 0; k + 1 < n_sizes; k++)
        p.centre += (1 - at_most[k]) * log(sizes[k + 1] / sizes[k]);
    double before = 0, mean = 0, square = 0;
    for (size_t k = 0; k < n_sizes; k++) {
        double up_to = k + 1 < n_sizes ? fmin(fmax(at_most[k], before), 1) : 1, x = log(sizes[k] / sizes[0]);
        mean += (up_to - before) * x;
        square += (up_to - before) * x * x;
        before = up_to;
    }
    p.spread = sqrt(fmax(square - mean * mean, 0));
    return p;
}

/* similarity[i] += the kernel's part of one block. */
static void add_kernel(const size_regression *r, double share, const float *squares, float *similarity)
{
    float part = (float)share, twice = (float)(2 * r->gamma);
    for (size_t i = 0; i < r->n; i++)
        similarity[i] += part / sqrtf(1 + twice * squares[i]);
}

size_prediction size_regression_ask(const size_regression *r, const size_members *members, const double *features, double doubt,
                                    float *similarity, double *at_most, float *scratch)
{
    size_t n_targets = r->n_sizes - 1;
    float *squares = scratch, *row = squares + size_space_padded(r->n);
    memcpy(at_most, r->prior, n_targets * sizeof *at_most);
    memset(similarity, 0, r->n * sizeof *similarity);
    for (size_t j = 0; j < members->width; j++)
        row[j] = (float)(features[j] * r->weights[j]);
    for (size_t b = 0; b < r->n_blocks; b++) {
        size_place p;
        size_space_place(&r->space[b], row + members->block[b], &p);
        size_space_squares(&r->space[b], &p, squares);
        add_kernel(r, members->share[b], squares, similarity);
    }
    for (size_t i = 0; i < r->n; i++)
        for (size_t c = 0; c < n_targets; c++)
            at_most[c] += (double)similarity[i] * r->coefficients[i * n_targets + c];
    size_prediction p = read_distribution(members->sizes, r->n_sizes, at_most);
    double reach = r->quantile * doubt * (p.spread + r->floor);
    p.low = exp(p.centre - reach);
    p.high = exp(p.centre + reach);
    if (p.low < 1 && p.high >= 1) /* no size is smaller: nothing that could be true is cut off */
        p.low = 1;
    return p;
}

/* floor and quantile from the distributions that members have without their micro-datasets. */
static classifier_status calibrate(size_regression *r, const size_members *members, const double *doubt, const double *left_out)
{
    size_t n = r->n;
    double *missed = malloc(n * sizeof *missed), *spread = malloc(n * sizeof *spread);
    if (!missed || !spread) {
        free(missed);
        free(spread);
        return CLASSIFIER_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        size_prediction p = read_distribution(members->sizes, r->n_sizes, left_out + i * (r->n_sizes - 1));
        missed[i] = fabs(log(members->sizes[members->size_index[i]]) - p.centre);
        spread[i] = p.spread;
    }
    /* if all members were predicted without any error, a floor of 0 would make quotients 0/0 */
    r->floor = fmax(FLOOR * metrics_mean(missed, n), 1e-9);
    for (size_t i = 0; i < n; i++)
        missed[i] /= doubt[i] * (spread[i] + r->floor);
    metrics_sort(missed, n);
    r->quantile = metrics_conformal(missed, n, SIZE_REGRESSION_LEVEL);
    free(missed);
    free(spread);
    return CLASSIFIER_OK;
}

/* kernel (n × n) of the members among themselves. scratch: 2·size_space_padded(n) */
static void kernel_of_members(const size_regression *r, const size_members *members, float *scratch, double *kernel)
{
    float *similarity = scratch, *squares = scratch + size_space_padded(r->n);
    for (size_t i = 0; i < r->n; i++) {
        memset(similarity, 0, r->n * sizeof *similarity);
        for (size_t b = 0; b < r->n_blocks; b++) {
            size_place p;
            size_space_member(&r->space[b], i, &p);
            size_space_squares(&r->space[b], &p, squares);
            squares[i] = 0;
            add_kernel(r, members->share[b], squares, similarity);
        }
        for (size_t j = 0; j <= i; j++)
            kernel[i * r->n + j] = kernel[j * r->n + i] = (double)similarity[j];
    }
}

/* The coefficients, for these members and r's power, γ and λ; and the spaces. */
static classifier_status fit_all(size_regression *r, const size_members *members)
{
    size_t n = r->n, n_targets = r->n_sizes - 1;
    double *kernel = malloc(n * n * sizeof *kernel), *factor = malloc(n * n * sizeof *factor), *targets = malloc(n * n_targets * sizeof *targets);
    float *scratch = malloc(2 * size_space_padded(n) * sizeof *scratch);
    classifier_status status = kernel && factor && targets && scratch ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t b = 0; b < r->n_blocks && status == CLASSIFIER_OK; b++)
        status = size_space_fit(&r->space[b], members->features + members->block[b], members->width, r->weights + members->block[b]);
    if (status == CLASSIFIER_OK) {
        kernel_of_members(r, members, scratch, kernel);
        size_targets(members->size_index, NULL, n, n_targets, r->prior, targets);
        status = ridge_fit(kernel, n, r->lambda, targets, n_targets, factor, r->coefficients);
    }
    free(kernel);
    free(factor);
    free(targets);
    free(scratch);
    return status;
}

static classifier_status fit_chosen(size_regression *r, const size_members *members, const size_choice *choice)
{
    classifier_status status = size_regression_create(r, members, choice->power);
    if (status != CLASSIFIER_OK)
        return status;
    r->gamma = choice->gamma;
    r->lambda = choice->lambda;
    return fit_all(r, members);
}

/* left_out (n × (n_sizes − 1)): every member's distribution by the same fit without its fold. */
static classifier_status leave_out(const size_members *members, const size_t *group, size_t n_folds, const size_choice *choice, double *left_out)
{
    size_t n = members->n, width = members->width;
    double *features = malloc((n * width + 1) * sizeof *features);
    size_t *size_index = malloc(n * sizeof *size_index);
    float *similarity = malloc((2 * size_space_padded(n) + width) * sizeof *similarity), *scratch = similarity + size_space_padded(n);
    classifier_status status = features && size_index && similarity ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t fold = 0; fold < n_folds && status == CLASSIFIER_OK; fold++) {
        size_regression r = {0};
        size_members rest = *members;
        rest.features = features;
        rest.size_index = size_index;
        rest.n = 0;
        for (size_t i = 0; i < n; i++)
            if (group[i] % n_folds != fold) {
                memcpy(features + rest.n * width, members->features + i * width, width * sizeof *features);
                size_index[rest.n++] = members->size_index[i];
            }
        status = fit_chosen(&r, &rest, choice);
        for (size_t i = 0; i < n && status == CLASSIFIER_OK; i++)
            if (group[i] % n_folds == fold)
                size_regression_ask(&r, &rest, members->features + i * width, 1, similarity, left_out + i * (members->n_sizes - 1), scratch);
        size_regression_release(&r);
    }
    free(features);
    free(size_index);
    free(similarity);
    return status;
}

classifier_status size_regression_fit(const size_members *members, const size_t *group, size_t n_groups, const double *doubt,
                                      size_regression *r, classifier_fault *fault)
{
    size_regression made = {0};
    size_choice choice;
    double *left_out = malloc(members->n * (members->n_sizes - 1) * sizeof *left_out);
    classifier_status status = left_out ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    if (status == CLASSIFIER_OK)
        status = size_select(members, group, n_groups, &choice);
    if (status == CLASSIFIER_OK)
        status = leave_out(members, group, size_folds(members->n, n_groups), &choice, left_out);
    if (status == CLASSIFIER_OK)
        status = fit_chosen(&made, members, &choice);
    if (status == CLASSIFIER_OK)
        status = calibrate(&made, members, doubt, left_out);
    if (status == CLASSIFIER_E_DATA)
        classifier_fail(fault, status, "dataset-size: the regression of %zu members has no solution", members->n);
    free(left_out);
    if (status != CLASSIFIER_OK)
        size_regression_release(&made);
    *r = made;
    return status;
}
