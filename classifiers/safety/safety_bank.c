/* safety_bank.c - a safety model as tables, and back.
 *
 *     texts    task "safety", recipe "any", frame
 *     table    model    1 × 8          offset, similarity_limit, slope, calibration's offset, threshold, fpr_bound, controls, norm_limit
 *              shapes   modules × 5    rows, columns, rank of product, of left, of base
 *              trace    1 × modules    of base, over rows
 *              value    1 × Σ ranks    module by module: σ of product, λ of left, λ of base
 *              left     1 × Σ ranks·rows       float16
 *              right    1 × Σ rank of product·columns   float16
 *
 * left and right are unit vectors, whose large entries are what counts: half precision loses 2⁻¹¹ of them, and 2⁻²⁵ of the smallest. Their
 * magnitudes are in value.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/safety_model.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OFFSET, LIMIT, SLOPE, CALIBRATED_OFFSET, THRESHOLD, BOUND, CONTROLS, NORM_LIMIT, N_PARAMETERS };
enum { ROWS, COLUMNS, RANKS, SHAPE = RANKS + DIRECTION_PARTS };
static const double MAX_COUNT = 1 << 24, UNIT = 1 + 1e-3;

/* What lies module by module is one table each in a bank. */
typedef enum { VALUE, LEFT, RIGHT, N_LISTS } list;
static const char *const LIST_NAME[] = {"value", "left", "right"};

static size_t list_length(const direction_module *m, list which)
{
    return which == VALUE ? direction_width(m) : which == LEFT ? direction_width(m) * m->rows : m->rank[DIRECTION_PRODUCT] * m->columns;
}

/* The i-th entry of LEFT or RIGHT, which have no padding in a bank. */
static float *vector_entry(const direction_module *m, list which, size_t i)
{
    size_t width = which == LEFT ? direction_width(m) : m->rank[DIRECTION_PRODUCT];
    return which == LEFT ? m->left + i / width * direction_left_step(m) + i % width : m->right + i / width * direction_right_step(m) + i % width;
}

static classifier_status put_list(const safety_direction *d, list which, classifier_bank *bank)
{
    size_t total = 0, at = 0;
    for (size_t m = 0; m < d->n_modules; m++)
        total += list_length(&d->modules[m], which);
    double *all = malloc((total + 1) * sizeof *all);
    if (!all)
        return CLASSIFIER_E_MEMORY;
    for (size_t m = 0; m < d->n_modules; m++) {
        const direction_module *x = &d->modules[m];
        for (size_t i = 0; i < list_length(x, which); i++)
            all[at++] = which == VALUE ? x->value[i] : (double)*vector_entry(x, which, i);
    }
    classifier_status status = bank_put(bank, LIST_NAME[which], 1, total, all, which == VALUE ? BANK_F64 : BANK_F16);
    free(all);
    return status;
}

static classifier_status put_shapes(const safety_direction *d, classifier_bank *bank)
{
    double *shapes = malloc((d->n_modules * (SHAPE + 1) + 1) * sizeof *shapes), *trace = shapes ? shapes + d->n_modules * SHAPE : NULL;
    if (!shapes)
        return CLASSIFIER_E_MEMORY;
    for (size_t m = 0; m < d->n_modules; m++) {
        const direction_module *x = &d->modules[m];
        shapes[m * SHAPE + ROWS] = (double)x->rows;
        shapes[m * SHAPE + COLUMNS] = (double)x->columns;
        for (size_t k = 0; k < DIRECTION_PARTS; k++)
            shapes[m * SHAPE + RANKS + k] = (double)x->rank[k];
        trace[m] = x->trace;
    }
    classifier_status status = bank_put(bank, "shapes", d->n_modules, SHAPE, shapes, BANK_F64);
    if (status == CLASSIFIER_OK)
        status = bank_put(bank, "trace", 1, d->n_modules, trace, BANK_F64);
    free(shapes);
    return status;
}

classifier_status safety_model_to_bank(const safety_model *model, classifier_bank *bank)
{
    const calibration *c = &model->calibration;
    double parameters[N_PARAMETERS] = {[OFFSET] = model->offset, [LIMIT] = model->similarity_limit, [SLOPE] = c->slope,
                                       [CALIBRATED_OFFSET] = c->offset, [THRESHOLD] = c->threshold, [BOUND] = c->fpr_bound,
                                       [CONTROLS] = (double)c->controls, [NORM_LIMIT] = model->norm_limit};
    classifier_status status = bank_put_text(bank, "task", "safety");
    if (status == CLASSIFIER_OK)
        status = bank_put_text(bank, "recipe", "any");
    if (status == CLASSIFIER_OK)
        status = bank_put_text(bank, "frame", model->frame);
    if (status == CLASSIFIER_OK)
        status = bank_put(bank, "model", 1, N_PARAMETERS, parameters, BANK_F64);
    if (status == CLASSIFIER_OK)
        status = put_shapes(&model->direction, bank);
    for (int k = 0; k < N_LISTS && status == CLASSIFIER_OK; k++)
        status = put_list(&model->direction, (list)k, bank);
    return status;
}

static int is_count(double x, double least, double most)
{
    return x >= least && x <= most && x == floor(x);
}

static classifier_status take_parameters(const bank_table *t, safety_model *m, classifier_fault *fault)
{
    const double *p = t->values;
    if (!(p[SLOPE] > 0 && p[BOUND] >= 0 && p[BOUND] <= 1 && is_count(p[CONTROLS], 0, MAX_COUNT)))
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table model has slope %g, bound %g and %g controls", p[SLOPE], p[BOUND],
                               p[CONTROLS]);
    m->offset = p[OFFSET];
    m->similarity_limit = p[LIMIT];
    m->norm_limit = p[NORM_LIMIT];
    m->calibration = (calibration){.slope = p[SLOPE], .offset = p[CALIBRATED_OFFSET], .threshold = p[THRESHOLD], .fpr_bound = p[BOUND],
                                   .controls = (size_t)p[CONTROLS]};
    return CLASSIFIER_OK;
}

static classifier_status take_shape(const double *from, size_t m, direction_module *to, classifier_fault *fault)
{
    if (!is_count(from[ROWS], 1, MAX_COUNT) || !is_count(from[COLUMNS], 1, MAX_COUNT))
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table shapes says module %zu is %g x %g", m, from[ROWS], from[COLUMNS]);
    *to = (direction_module){.rows = (size_t)from[ROWS], .columns = (size_t)from[COLUMNS]};
    for (size_t k = 0; k < DIRECTION_PARTS; k++) {
        if (!is_count(from[RANKS + k], 0, fmin(from[ROWS], SAFETY_MOST_KEPT)))
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table shapes gives module %zu rank %g, more than its %g rows or %d", m,
                                   from[RANKS + k], from[ROWS], SAFETY_MOST_KEPT);
        to->rank[k] = (size_t)from[RANKS + k];
    }
    return CLASSIFIER_OK;
}

/* The direction that shapes describe, every number proved, and as many values and vectors as the lists hold. */
static classifier_status take_shapes(const bank_table *shapes, const bank_table *const lists[N_LISTS], safety_direction *out,
                                     classifier_fault *fault)
{
    direction_module *all = calloc(shapes->rows + 1, sizeof *all);
    double wanted[N_LISTS] = {0}; /* of counts that no file has vouched for */
    classifier_status status = all ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t m = 0; m < shapes->rows && status == CLASSIFIER_OK; m++) {
        status = take_shape(shapes->values + m * SHAPE, m, &all[m], fault);
        for (int k = 0; k < N_LISTS && status == CLASSIFIER_OK; k++)
            wanted[k] += (double)list_length(&all[m], (list)k);
    }
    for (int k = 0; k < N_LISTS && status == CLASSIFIER_OK; k++)
        if (wanted[k] != (double)lists[k]->columns)
            status = classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table %s has %zu values, not %.0f", LIST_NAME[k], lists[k]->columns,
                                     wanted[k]);
    if (status == CLASSIFIER_OK)
        status = safety_direction_allocate(all, shapes->rows, out);
    free(all);
    return status;
}

static classifier_status take_lists(const bank_table *const lists[N_LISTS], safety_direction *d, classifier_fault *fault)
{
    size_t at[N_LISTS] = {0};
    for (int k = LEFT; k <= RIGHT; k++)
        for (size_t i = 0; i < lists[k]->columns; i++)
            if (!(fabs(lists[k]->values[i]) <= UNIT))
                return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table %s has %g in column %zu, of a unit vector", LIST_NAME[k],
                                       lists[k]->values[i], i);
    for (size_t m = 0; m < d->n_modules; m++) {
        direction_module *to = &d->modules[m];
        for (size_t i = 0; i < list_length(to, VALUE); i++)
            to->value[i] = lists[VALUE]->values[at[VALUE]++];
        for (size_t i = 0; i < list_length(to, LEFT); i++)
            *vector_entry(to, LEFT, i) = (float)lists[LEFT]->values[at[LEFT]++];
        for (size_t i = 0; i < list_length(to, RIGHT); i++)
            *vector_entry(to, RIGHT, i) = (float)lists[RIGHT]->values[at[RIGHT]++];
    }
    return CLASSIFIER_OK;
}

static classifier_status take_direction(const classifier_bank *bank, safety_direction *d, classifier_fault *fault)
{
    const bank_table *shapes = bank_get(bank, "shapes", SIZE_MAX, SHAPE, fault), *lists[N_LISTS] = {0};
    const bank_table *trace = shapes ? bank_get(bank, "trace", 1, shapes->rows, fault) : NULL;
    if (!trace)
        return CLASSIFIER_E_BANK;
    if (shapes->rows == 0)
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table shapes has no modules");
    for (int k = 0; k < N_LISTS; k++)
        if (!(lists[k] = bank_get(bank, LIST_NAME[k], 1, SIZE_MAX, fault)))
            return CLASSIFIER_E_BANK;
    classifier_status status = take_shapes(shapes, lists, d, fault);
    for (size_t m = 0; m < d->n_modules && status == CLASSIFIER_OK; m++)
        d->modules[m].trace = trace->values[m];
    return status == CLASSIFIER_OK ? take_lists(lists, d, fault) : status;
}

static classifier_status take_all(const classifier_bank *bank, safety_model *m, classifier_fault *fault)
{
    const char *task = bank_get_text(bank, "task", fault), *frame = task ? bank_get_text(bank, "frame", fault) : NULL;
    if (!frame)
        return CLASSIFIER_E_BANK;
    if (strcmp(task, "safety") != 0)
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: its task is %.60s, not safety", task);
    const bank_table *model = bank_get(bank, "model", 1, N_PARAMETERS, fault);
    classifier_status status = model ? take_parameters(model, m, fault) : CLASSIFIER_E_BANK;
    if (status == CLASSIFIER_OK)
        status = take_direction(bank, &m->direction, fault);
    if (status == CLASSIFIER_OK && !(m->frame = malloc(strlen(frame) + 1)))
        status = CLASSIFIER_E_MEMORY;
    if (status == CLASSIFIER_OK)
        memcpy(m->frame, frame, strlen(frame) + 1);
    return status;
}

classifier_status safety_model_from_bank(const classifier_bank *bank, safety_model **out, classifier_fault *fault)
{
    safety_model *m = calloc(1, sizeof *m);
    classifier_status status = m ? take_all(bank, m, fault) : CLASSIFIER_E_MEMORY;
    *out = NULL;
    if (status == CLASSIFIER_OK) {
        *out = m;
        return status;
    }
    if (status == CLASSIFIER_E_MEMORY)
        classifier_fail(fault, status, "no memory for a safety bank");
    safety_model_free(m);
    return status;
}
