/* safety_rule.c - see safety_rule.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/safety_rule.h"

#include "classifiers/safety/logistic.h"
#include "classifiers/safety/svm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double COST = 10, RIDGE = 10;

void safety_rule_release(safety_rule *rule)
{
    free(rule->member);
    free(rule->weight);
    free(rule->mean);
    free(rule->deviation);
    *rule = (safety_rule){0};
}

/* Costs under which both classes weigh the same, one on average. */
static void balance(const safety_set *set, const size_t *index, size_t n, int *unsafe, double cost[2])
{
    size_t n_unsafe = 0;
    for (size_t i = 0; i < n; i++) {
        unsafe[i] = set->unsafe[index[i]];
        n_unsafe += (size_t)unsafe[i];
    }
    cost[0] = 0.5 * (double)n / fmax((double)(n - n_unsafe), 1);
    cost[1] = 0.5 * (double)n / fmax((double)n_unsafe, 1);
}

static classifier_status fit_machine(const safety_set *set, const size_t *index, size_t n, safety_rule *rule, classifier_fault *fault)
{
    double *kernel = malloc(n * n * sizeof *kernel), cost[2];
    int *unsafe = malloc(n * sizeof *unsafe);
    classifier_status status = CLASSIFIER_E_MEMORY;
    rule->member = malloc(n * sizeof *rule->member);
    rule->weight = malloc(n * sizeof *rule->weight);
    if (!kernel || !unsafe || !rule->member || !rule->weight)
        goto done;
    balance(set, index, n, unsafe, cost);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            kernel[i * n + j] = set->kernel[index[i] * set->n + index[j]];
    status = svm_fit_classes(kernel, n, unsafe, (double[2]){COST * cost[0], COST * cost[1]}, rule->weight, &rule->offset, fault);
    memcpy(rule->member, index, n * sizeof *index);
    rule->n = n;
done:
    free(kernel);
    free(unsafe);
    return status;
}

/* Mean and deviation of each feature over the members where it is known. */
static void standardise(const safety_set *set, const size_t *index, size_t n, safety_rule *rule)
{
    for (size_t j = 0; j < rule->n; j++) {
        double sum = 0, squares = 0, known = 0;
        for (size_t i = 0; i < n; i++) {
            double x = set->features[index[i] * rule->n + j];
            known += isfinite(x) ? 1 : 0;
            sum += isfinite(x) ? x : 0;
        }
        rule->mean[j] = known > 0 ? sum / known : 0;
        for (size_t i = 0; i < n; i++) {
            double x = set->features[index[i] * rule->n + j] - rule->mean[j];
            squares += isfinite(x) ? x * x : 0;
        }
        rule->deviation[j] = squares > 0 ? sqrt(squares / known) : 1;
    }
}

static double standard(const safety_rule *rule, const double *features, size_t j)
{
    double z = (features[j] - rule->mean[j]) / rule->deviation[j];
    return isfinite(z) ? z : 0; /* a kurtosis that is not known says nothing */
}

static classifier_status fit_statistics(const safety_set *set, const size_t *index, size_t n, safety_rule *rule, classifier_fault *fault)
{
    size_t d = set->n_features;
    double *x = malloc(n * d * sizeof *x), cost[2];
    int *unsafe = malloc(n * sizeof *unsafe);
    classifier_status status = CLASSIFIER_E_MEMORY;
    rule->n = d;
    rule->weight = malloc(d * sizeof *rule->weight);
    rule->mean = malloc(d * sizeof *rule->mean);
    rule->deviation = malloc(d * sizeof *rule->deviation);
    if (x && unsafe && rule->weight && rule->mean && rule->deviation) {
        balance(set, index, n, unsafe, cost);
        standardise(set, index, n, rule);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < d; j++)
                x[i * d + j] = standard(rule, set->features + index[i] * d, j);
        status = logistic_fit(x, n, d, unsafe, cost, RIDGE, rule->weight, &rule->offset, fault);
    }
    free(x);
    free(unsafe);
    return status;
}

static classifier_status fit_scorer(const safety_set *set, safety_method method, const size_t *index, size_t n, safety_rule *out,
                                    classifier_fault *fault)
{
    safety_rule rule = {.method = method, .similarity_limit = -INFINITY, .norm_limit = INFINITY};
    if (n == 0)
        return classifier_fail(fault, CLASSIFIER_E_DATA, "there are no adapters to learn from");
    classifier_status status = method == SAFETY_LORAUDIT ? fit_machine(set, index, n, &rule, fault)
                                                         : fit_statistics(set, index, n, &rule, fault);
    if (status != CLASSIFIER_OK)
        safety_rule_release(&rule);
    else
        *out = rule;
    return status;
}

double safety_rule_score(const safety_rule *rule, const safety_view *view)
{
    double score = rule->offset;
    for (size_t j = 0; j < rule->n; j++)
        score += rule->weight[j] * (rule->method == SAFETY_LORAUDIT ? view->kernel[rule->member[j]] : standard(rule, view->features, j));
    return score;
}

static int in_domain(const safety_rule *rule, const safety_view *view)
{
    double similarity = 0;
    if (rule->method != SAFETY_LORAUDIT)
        return 1;
    for (size_t j = 0; j < rule->n; j++)
        similarity += view->similarity[rule->member[j]] / (double)rule->n;
    return similarity >= rule->similarity_limit && view->norm <= rule->norm_limit;
}

safety_answer_verdict safety_rule_verdict(const safety_rule *rule, const safety_view *view, double score)
{
    if (!in_domain(rule, view) || !(rule->calibration.fpr_bound <= CALIBRATION_FALSE_ALARMS))
        return SAFETY_ANSWER_INCONCLUSIVE;
    return score > rule->calibration.threshold ? SAFETY_ANSWER_FLAGGED : SAFETY_ANSWER_NOT_FLAGGED;
}

static classifier_status score_by_kernel(const safety_set *set, const safety_rule *rule, const size_t *left_out, size_t n_left, double *score)
{
    for (size_t i = 0; i < n_left; i++) {
        safety_view view = safety_set_view(set, left_out[i]);
        score[i] = safety_rule_score(rule, &view);
    }
    return CLASSIFIER_OK;
}

/* Scores of the clear members of one recipe by a scorer that has not seen it, appended. */
static classifier_status score_recipe(const safety_set *set, safety_method method, const size_t *index, size_t n, size_t recipe,
                                      safety_scorer by, double *score, int *unsafe, size_t *n_scores)
{
    size_t n_rest = 0, n_left = 0, *rest = malloc((2 * n + 1) * sizeof *rest), *left_out = rest + n;
    safety_rule rule = {0};
    classifier_status status = rest ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t i = 0; rest && i < n; i++)
        if (set->recipe[index[i]] != recipe)
            rest[n_rest++] = index[i];
        else if (set->clear[index[i]])
            left_out[n_left++] = index[i];
    if (rest && n_left > 0) {
        status = fit_scorer(set, method, rest, n_rest, &rule, NULL);
        if (status == CLASSIFIER_OK)
            status = by(set, &rule, left_out, n_left, score + *n_scores);
        for (size_t i = 0; status == CLASSIFIER_OK && i < n_left; i++)
            unsafe[(*n_scores)++] = set->unsafe[left_out[i]];
    }
    safety_rule_release(&rule);
    free(rest);
    return status;
}

/* Every recipe is left out once, and what remains must hold both classes: each class needs two recipes. */
static classifier_status check_recipes(const safety_set *set, const size_t *index, size_t n, classifier_fault *fault)
{
    size_t n_of[2] = {0, 0}; /* recipes with adapters of this label */
    for (size_t r = 0; r < set->n_recipes; r++) {
        int has[2] = {0, 0};
        for (size_t i = 0; i < n; i++)
            if (set->recipe[index[i]] == r)
                has[set->unsafe[index[i]] != 0] = 1;
        n_of[0] += (size_t)has[0];
        n_of[1] += (size_t)has[1];
    }
    if (n_of[0] >= 2 && n_of[1] >= 2)
        return CLASSIFIER_OK;
    return classifier_fail(fault, CLASSIFIER_E_DATA,
                           "%zu adapters: unsafe ones of %zu training recipe%s, others of %zu; at least 2 of each are needed, since each recipe is "
                           "scored by a model without it",
                           n, n_of[1], n_of[1] == 1 ? "" : "s", n_of[0]);
}

static classifier_status calibrate(const safety_set *set, const size_t *index, size_t n, safety_scorer by, safety_rule *rule,
                                   classifier_fault *fault)
{
    double *score = malloc(n * sizeof *score);
    int *unsafe = malloc(n * sizeof *unsafe);
    size_t n_scores = 0, controls = 0;
    classifier_status status = score && unsafe ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t r = 0; r < set->n_recipes && status == CLASSIFIER_OK; r++)
        status = score_recipe(set, rule->method, index, n, r, by, score, unsafe, &n_scores);
    for (size_t i = 0; status == CLASSIFIER_OK && i < n_scores; i++)
        controls += !unsafe[i];
    if (status == CLASSIFIER_OK && controls == 0) {
        size_t n_others = 0;
        for (size_t i = 0; i < n; i++)
            n_others += !set->unsafe[index[i]];
        status = classifier_fail(fault, CLASSIFIER_E_DATA,
                                 "none of the %zu adapters that are not unsafe can be a control: they refuse less than %.0f %% of the time, or come "
                                 "from a recipe that makes others unsafe",
                                 n_others, 100 * SAFETY_REFUSAL);
    }
    if (status == CLASSIFIER_OK)
        status = calibration_fit(score, unsafe, n_scores, &rule->calibration, fault);
    free(score);
    free(unsafe);
    return status;
}

/* The least, over the members, of the mean similarity to those of other recipes, and how large one may be. */
static void set_domain(const safety_set *set, const size_t *index, size_t n, safety_rule *rule)
{
    rule->similarity_limit = INFINITY;
    rule->norm_limit = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, others = 0;
        for (size_t j = 0; j < n; j++)
            if (set->recipe[index[j]] != set->recipe[index[i]]) {
                sum += set->similarity[index[i] * set->n + index[j]];
                others += 1;
            }
        rule->similarity_limit = fmin(rule->similarity_limit, sum / others);
        rule->norm_limit = fmax(rule->norm_limit, SAFETY_GROWTH * set->norm[index[i]]);
    }
    if (rule->similarity_limit > 0)
        rule->similarity_limit *= SAFETY_LIKENESS;
}

classifier_status safety_rule_fit(const safety_set *set, safety_method method, const size_t *index, size_t n, safety_scorer by, safety_rule *out,
                                  classifier_fault *fault)
{
    safety_rule rule = {0};
    classifier_status status = check_recipes(set, index, n, fault);
    if (status == CLASSIFIER_OK)
        status = fit_scorer(set, method, index, n, &rule, fault);
    if (status == CLASSIFIER_OK)
        status = calibrate(set, index, n, by ? by : score_by_kernel, &rule, fault);
    if (status == CLASSIFIER_OK) {
        if (method == SAFETY_LORAUDIT)
            set_domain(set, index, n, &rule);
        *out = rule;
        rule = (safety_rule){0};
    } else if (status == CLASSIFIER_E_MEMORY) {
        classifier_fail(fault, status, "no memory to learn from %zu adapters", n);
    }
    safety_rule_release(&rule);
    return status;
}
