/* size_train.c - how the model of size.h learns; what is learnt is in size_features, size_regression and size_domain.
 *
 * Members are sorted by size, micro-dataset and name before anything is summed, so a model does not depend on their order.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_model.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const labelled_profile *p)
{
    return p->name ? p->name : "(unnamed)";
}

static int member_order(const void *a, const void *b)
{
    const labelled_profile *p = *(const labelled_profile *const *)a, *q = *(const labelled_profile *const *)b;
    if (p->size < q->size || p->size > q->size)
        return p->size < q->size ? -1 : 1;
    if (p->set != q->set)
        return p->set < q->set ? -1 : 1;
    return strcmp(name_of(p), name_of(q));
}

static classifier_status check_members(const labelled_profile *const *members, size_t n, classifier_fault *fault)
{
    if (n < SIZE_REGRESSION_LEAST)
        return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: %zu adapters to learn from; an interval of 90 %% needs at least %d", n,
                               SIZE_REGRESSION_LEAST);
    const labelled_profile *first = members[0];
    for (size_t i = 0; i < n; i++) {
        const labelled_profile *p = members[i];
        if (isnan(p->size))
            return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: %.120s has no label `size`", name_of(p));
        if (!(p->size >= 1) || !isfinite(p->size))
            return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: %.120s is labelled with a size of %g samples, not 1 or more", name_of(p),
                                   p->size);
        if (strcmp(p->profile.recipe, first->profile.recipe) != 0 || strcmp(p->profile.frame, first->profile.frame) != 0 ||
            !profile_fits(&p->profile, &first->profile))
            return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: %.90s is of another recipe or frame than %.90s", name_of(p),
                                   name_of(first));
    }
    return CLASSIFIER_OK;
}

/* Distinct sizes of sorted members, and each member's. */
static classifier_status take_sizes(size_model *model, const labelled_profile *const *sorted, classifier_fault *fault)
{
    for (size_t i = 0; i < model->n; i++) {
        if (i == 0 || sorted[i]->size > sorted[i - 1]->size) {
            if (model->n_sizes == SIZE_MAX_CLASSES)
                return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: more than %d distinct sizes", SIZE_MAX_CLASSES);
            model->sizes[model->n_sizes++] = sorted[i]->size;
        }
        model->size_index[i] = model->n_sizes - 1;
    }
    if (model->n_sizes < 2)
        return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: all %zu adapters are labelled with one size, %g; at least two are needed",
                               model->n, model->sizes[0]);
    return CLASSIFIER_OK;
}

/* A number for each micro-dataset, one of its own for each adapter without. */
static classifier_status take_groups(const labelled_profile *const *sorted, size_t n, size_t *group, size_t *n_groups, classifier_fault *fault)
{
    *n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        group[i] = SIZE_MAX;
        for (size_t j = 0; j < i && sorted[i]->set >= 0 && group[i] == SIZE_MAX; j++)
            if (sorted[j]->set == sorted[i]->set)
                group[i] = group[j];
        if (group[i] == SIZE_MAX)
            group[i] = (*n_groups)++;
    }
    if (*n_groups < 2)
        return classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: all %zu adapters are of micro-dataset %ld; at least two are needed", n,
                               sorted[0]->set);
    return CLASSIFIER_OK;
}

static char *copy_line(const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i <= n; i++)
        copy[i] = text[i] == '\n' ? ' ' : text[i];
    return copy;
}

static classifier_status take_spectra(size_model *model, const labelled_profile *const *sorted, classifier_fault *fault)
{
    for (size_t i = 0; i < model->n; i++) {
        const classifier_profile *p = &sorted[i]->profile;
        size_t bad = size_spectra(&model->layout, p, model->spectra + i * model->layout.n_spectra);
        if (bad < p->n_modules)
            return classifier_fail(fault, CLASSIFIER_E_DATA,
                                   "dataset-size: %.110s has a norm or singular value that is no finite number in module %zu, %.40s", name_of(sorted[i]),
                                   bad, p->modules[bad].kind ? p->modules[bad].kind : "unnamed");
        model->names[i] = copy_line(name_of(sorted[i]));
        if (!model->names[i])
            return CLASSIFIER_E_MEMORY;
    }
    model->recipe = copy_line(sorted[0]->profile.recipe);
    model->frame = copy_line(sorted[0]->profile.frame);
    return model->recipe && model->frame ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
}

/* The domain, and the doubt of every member. */
static classifier_status fit_domain(size_model *model, const size_table *features, const size_t *group, double *doubt)
{
    const size_view *v = &model->views[SIZE_VIEW_VALUE];
    const double *rows = features->of[SIZE_VIEW_VALUE];
    classifier_status status = size_domain_create(&model->domain, rows, model->n, model->layout.block[SIZE_BLOCK_START], v->width);
    if (status == CLASSIFIER_OK)
        status = size_domain_fit(&model->domain, rows, group, doubt);
    for (size_t i = 0; i < model->n && status == CLASSIFIER_OK; i++)
        doubt[i] = size_domain_doubt(&model->domain, doubt[i]);
    return status;
}

static classifier_status fit(size_model *model, const size_t *group, size_t n_groups, classifier_fault *fault)
{
    size_table features = {0};
    double *doubt = malloc(model->n * sizeof *doubt);
    classifier_status status = doubt ? size_model_standardise(model, &features) : CLASSIFIER_E_MEMORY;
    if (status == CLASSIFIER_OK)
        status = size_model_index(model);
    if (status == CLASSIFIER_OK)
        status = fit_domain(model, &features, group, doubt);
    if (status == CLASSIFIER_E_DATA)
        classifier_fail(fault, status, "dataset-size: the leading directions of %zu members cannot be found", model->n);
    for (int k = 0; k < SIZE_VIEWS && status == CLASSIFIER_OK; k++) {
        size_members members = size_model_as_members(model, (size_view_kind)k, features.of[k]);
        status = size_regression_fit(&members, group, n_groups, doubt, &model->views[k].regression, fault);
    }
    size_table_release(&features);
    free(doubt);
    return status;
}

classifier_status size_model_train(const labelled_profile *const *members, size_t n, size_model **out, classifier_fault *fault)
{
    *out = NULL;
    classifier_status status = check_members(members, n, fault);
    if (status != CLASSIFIER_OK)
        return status;
    size_layout layout = {0};
    size_model *model = NULL;
    const labelled_profile **sorted = malloc(n * sizeof *sorted);
    size_t *group = malloc(n * sizeof *group), n_groups = 0;
    status = CLASSIFIER_E_MEMORY;
    if (!sorted || !group || size_layout_of(&members[0]->profile, &layout) != CLASSIFIER_OK || !(model = size_model_create(&layout, n)))
        goto done;
    memcpy(sorted, members, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, member_order);
    status = CLASSIFIER_OK;
    if (layout.n_modules == 0)
        status = classifier_fail(fault, CLASSIFIER_E_DATA, "dataset-size: %.120s has no modules", name_of(sorted[0]));
    if (status == CLASSIFIER_OK)
        status = take_sizes(model, sorted, fault);
    if (status == CLASSIFIER_OK)
        status = take_groups(sorted, n, group, &n_groups, fault);
    if (status == CLASSIFIER_OK)
        status = take_spectra(model, sorted, fault);
    if (status == CLASSIFIER_OK)
        status = fit(model, group, n_groups, fault);

done:
    if (status == CLASSIFIER_E_MEMORY)
        classifier_fail(fault, status, "dataset-size: no memory to learn from %zu adapters", n);
    size_layout_release(&layout);
    free(sorted);
    free(group);
    if (status == CLASSIFIER_OK)
        *out = model;
    else
        size_model_free(model);
    return status;
}
