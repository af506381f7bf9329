/* safety_collapse.c - a safety direction from the members it was learnt of: see safety_direction.h.
 *
 * In a stack, ΔW_j is norm_j·Σ left_a·right_aᵀ and S_j/‖S_j‖ is Σ share_a·left_a·left_aᵀ/√Σ share⁴ over the directions a of j: all three
 * matrices are sums of weighted outer products of what lies in the stack.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/low_rank.h"
#include "classifiers/safety/safety_direction.h"

#include <math.h>
#include <stdlib.h>

/* The weight of every direction in one part, and the trace of base. */
static void weigh(const safety_set *set, size_t module, direction_part part, const double *weight, double *of_direction, double *trace)
{
    const stacked_module *s = &set->stack.modules[module];
    double each = 1 / (double)set->stack.n_modules;
    for (size_t j = 0; j < set->n; j++) {
        size_t first = s->start[j], rank = s->start[j + 1] - first;
        double fourth = shares_fourth_norm(s->share + first, rank);
        for (size_t a = first; a < first + rank; a++) {
            double share = s->share[a];
            if (part == DIRECTION_PRODUCT)
                of_direction[a] = SAFETY_PRODUCT_SHARE * each * weight[j] * s->norm[j] / set->reference / set->reference;
            else if (part == DIRECTION_LEFT)
                of_direction[a] = (1 - SAFETY_PRODUCT_SHARE) * each * weight[j] * share / fourth;
            else
                of_direction[a] = each * share / fourth / (double)set->n;
            if (part == DIRECTION_BASE)
                *trace += of_direction[a] * share / (double)s->rows;
        }
    }
}

static size_t least(size_t x, size_t y)
{
    return x < y ? x : y;
}

static void shape_of(const stacked_module *s, size_t n, size_t keep, direction_module *out)
{
    size_t symmetric = least(least(keep, s->rows), s->start[n]);
    *out = (direction_module){.rows = s->rows, .columns = s->columns, .rank = {least(symmetric, s->columns), symmetric, symmetric}};
}

/* scratch: a weight for each direction, then vectors of rows and of columns, as many as are kept. */
static classifier_status collapse_module(const safety_set *set, size_t module, const double *weight, double *scratch, direction_module *to)
{
    const stacked_module *s = &set->stack.modules[module];
    double *value = to->value, *left = scratch + s->start[set->n];
    size_t first = 0;
    for (int part = 0; part < DIRECTION_PARTS; part++) {
        size_t rank = to->rank[part];
        double *right = part == DIRECTION_PRODUCT ? left + rank * s->rows : NULL;
        outer_sum sum = {.n = s->start[set->n], .rows = s->rows, .columns = right ? s->columns : s->rows, .x = s->left,
                         .y = right ? s->right : s->left, .weight = scratch};
        if (rank == 0)
            continue;
        weigh(set, module, (direction_part)part, weight, scratch, &to->trace);
        classifier_status status = low_rank_fit(&sum, rank, value, left, right);
        if (status != CLASSIFIER_OK)
            return status;
        for (size_t k = 0; k < rank; k++) {
            for (size_t i = 0; i < s->rows; i++)
                to->left[i * direction_left_step(to) + first + k] = (float)left[k * s->rows + i];
            for (size_t i = 0; right && i < s->columns; i++)
                to->right[i * direction_right_step(to) + k] = (float)right[k * s->columns + i];
        }
        first += rank;
        value += rank;
    }
    return CLASSIFIER_OK;
}

classifier_status safety_direction_of_set(const safety_set *set, const double *weight, size_t keep, safety_direction *out)
{
    const update_stack *stack = &set->stack;
    direction_module *shapes = calloc(stack->n_modules + 1, sizeof *shapes);
    safety_direction d = {0};
    double *scratch = NULL;
    size_t most = 1;
    classifier_status status = shapes ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t m = 0; m < stack->n_modules && status == CLASSIFIER_OK; m++) {
        const stacked_module *s = &stack->modules[m];
        shape_of(s, set->n, keep, &shapes[m]);
        size_t wanted = s->start[set->n] + shapes[m].rank[DIRECTION_LEFT] * (s->rows + s->columns);
        most = wanted > most ? wanted : most;
    }
    if (status == CLASSIFIER_OK)
        status = safety_direction_allocate(shapes, stack->n_modules, &d);
    if (status == CLASSIFIER_OK && !(scratch = malloc(most * sizeof *scratch)))
        status = CLASSIFIER_E_MEMORY;
    for (size_t m = 0; m < stack->n_modules && status == CLASSIFIER_OK; m++)
        status = collapse_module(set, m, weight, scratch, &d.modules[m]);
    if (status == CLASSIFIER_OK)
        *out = d;
    else
        safety_direction_release(&d);
    free(scratch);
    free(shapes);
    return status;
}
