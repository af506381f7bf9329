/* size_bank.c - the model of size.h as tables and texts, and back.
 *
 *     texts     task "dataset-size"; recipe; frame; members: a name a line
 *     shape     modules × 3: how many σ of ΔW, of B, of A
 *     sizes     sizes × 1: ascending
 *     member    members × 1: which of the sizes
 *     spectra   members × (1 + σ) of all modules: rows of size_features.h, single precision
 *     kernel    2 × 3: p, γ, λ of the regressions for the value and for the interval
 *     prior     (sizes − 1) × 1.   coefficients, interval_coefficients   members × (sizes − 1)
 *     interval  1 × 3: coverage, floor, quantile
 *     domain    1 × 3: units of the distances, typical distance.   own   members × 1: each member's distance to its nearest
 *     directions, interval_directions, domain_directions   features × SIZE_SPACE_RANK: of all spaces of size_space.h, one below the other,
 *               single precision
 *
 * Features, their standardisation and the members' places in the spaces follow from the spectra. A bank may be a stranger's: nothing is allocated but from shapes that its
 * tables have, and every number is checked before it is used.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_model.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char TASK[] = "dataset-size";
/* of the views, and last of the domain */
static const char *const DIRECTIONS[SIZE_VIEWS + 1] = {"directions", "interval_directions", "domain_directions"};
static const double MOST_OF_UNIT_VECTOR = 1.001;
enum { MAX_SIGMA = 1 << 16 };

/* ---- to a bank ---- */

static char *join_names(const size_model *model)
{
    size_t length = 1;
    for (size_t i = 0; i < model->n; i++)
        length += strlen(model->names[i]) + 1;
    char *text = malloc(length), *at = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < model->n; i++) {
        size_t n = strlen(model->names[i]);
        memcpy(at, model->names[i], n);
        at += n;
        *at++ = '\n';
    }
    *at = '\0';
    return text;
}

/* Spaces in turn, the directions of each below those of the one before. */
static classifier_status put_directions(const size_space *spaces, size_t n_spaces, const char *name, classifier_bank *bank)
{
    size_t width = 0, at = 0;
    for (size_t k = 0; k < n_spaces; k++)
        width += spaces[k].width;
    double *all = malloc((width * SIZE_SPACE_RANK + 1) * sizeof *all);
    if (!all)
        return CLASSIFIER_E_MEMORY;
    for (size_t k = 0; k < n_spaces; k++)
        for (size_t i = 0; i < spaces[k].width * SIZE_SPACE_RANK; i++)
            all[at++] = (double)spaces[k].directions[i];
    classifier_status status = bank_put(bank, name, width, SIZE_SPACE_RANK, all, BANK_F32);
    free(all);
    return status;
}

static classifier_status put_spaces(const size_model *model, classifier_bank *bank)
{
    classifier_status status = put_directions(model->domain.space, SIZE_DOMAIN_COUNT, DIRECTIONS[SIZE_VIEWS], bank);
    for (int k = 0; k < SIZE_VIEWS && status == CLASSIFIER_OK; k++)
        status = put_directions(model->views[k].regression.space, model->views[k].n_blocks, DIRECTIONS[k], bank);
    return status;
}

static classifier_status put_tables(const size_model *model, double *shape, double *member, classifier_bank *bank)
{
    const size_regression *value = &model->views[SIZE_VIEW_VALUE].regression, *r = &model->views[SIZE_VIEW_INTERVAL].regression;
    const size_domain *d = &model->domain;
    double kernel[6] = {value->power, value->gamma, value->lambda, r->power, r->gamma, r->lambda};
    double interval[3] = {SIZE_REGRESSION_LEVEL, r->floor, r->quantile};
    double domain[3] = {d->unit[SIZE_DOMAIN_SPECTRA], d->unit[SIZE_DOMAIN_START], d->typical};
    for (size_t i = 0; i < model->layout.n_modules; i++) {
        const size_module *m = &model->layout.modules[i];
        shape[3 * i] = (double)m->n_sigma;
        shape[3 * i + 1] = (double)m->n_sigma_b;
        shape[3 * i + 2] = (double)m->n_sigma_a;
    }
    for (size_t i = 0; i < model->n; i++)
        member[i] = (double)model->size_index[i];
    const bank_table tables[] = {
        {"shape", model->layout.n_modules, 3, shape, BANK_F64},
        {"sizes", model->n_sizes, 1, (double *)model->sizes, BANK_F64},
        {"member", model->n, 1, member, BANK_F64},
        {"spectra", model->n, model->layout.n_spectra, model->spectra, BANK_F32},
        {"kernel", 2, 3, kernel, BANK_F64},
        {"prior", model->n_sizes - 1, 1, r->prior, BANK_F64},
        {"coefficients", model->n, model->n_sizes - 1, value->coefficients, BANK_F64},
        {"interval_coefficients", model->n, model->n_sizes - 1, r->coefficients, BANK_F64},
        {"interval", 1, 3, interval, BANK_F64},
        {"domain", 1, 3, domain, BANK_F64},
        {"own", model->n, 1, d->own, BANK_F64},
    };
    classifier_status status = CLASSIFIER_OK;
    for (size_t i = 0; status == CLASSIFIER_OK && i < sizeof tables / sizeof *tables; i++)
        status = bank_put(bank, tables[i].name, tables[i].rows, tables[i].columns, tables[i].values, tables[i].kept);
    return status == CLASSIFIER_OK ? put_spaces(model, bank) : status;
}

classifier_status size_model_to_bank(const size_model *model, classifier_bank *bank)
{
    classifier_status status = CLASSIFIER_E_MEMORY;
    double *shape = malloc(3 * model->layout.n_modules * sizeof *shape), *member = malloc(model->n * sizeof *member);
    char *names = join_names(model);
    if (!shape || !member || !names)
        goto done;
    status = put_tables(model, shape, member, bank);
    if (status == CLASSIFIER_OK)
        status = bank_put_text(bank, "task", TASK);
    if (status == CLASSIFIER_OK)
        status = bank_put_text(bank, "recipe", model->recipe);
    if (status == CLASSIFIER_OK)
        status = bank_put_text(bank, "frame", model->frame);
    if (status == CLASSIFIER_OK)
        status = bank_put_text(bank, "members", names);

done:
    free(shape);
    free(member);
    free(names);
    return status;
}

/* ---- from a bank ---- */

/* *count ← x, a whole number below limit. */
static int whole(double x, size_t limit, size_t *count)
{
    if (!(x >= 0) || x >= (double)limit || x != floor(x))
        return 0;
    *count = (size_t)x;
    return 1;
}

static classifier_status get_layout(const classifier_bank *bank, size_layout *layout, classifier_fault *fault)
{
    const bank_table *shape = bank_get(bank, "shape", SIZE_MAX, 3, fault);
    if (!shape)
        return CLASSIFIER_E_BANK;
    if (shape->rows == 0)
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table shape has no modules");
    classifier_status status = size_layout_create(layout, shape->rows);
    if (status != CLASSIFIER_OK)
        return status;
    for (size_t i = 0; i < shape->rows; i++) {
        size_module *m = &layout->modules[i];
        const double *row = shape->values + 3 * i;
        if (!whole(row[0], MAX_SIGMA, &m->n_sigma) || !whole(row[1], MAX_SIGMA, &m->n_sigma_b) || !whole(row[2], MAX_SIGMA, &m->n_sigma_a))
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table shape, row %zu: %g, %g and %g are not numbers of singular values", i, row[0],
                                   row[1], row[2]);
    }
    size_layout_finish(layout);
    return CLASSIFIER_OK;
}

static classifier_status get_sizes(const classifier_bank *bank, size_model *model, classifier_fault *fault)
{
    const bank_table *sizes = bank_get(bank, "sizes", SIZE_MAX, 1, fault), *member = bank_get(bank, "member", model->n, 1, fault);
    if (!sizes || !member)
        return CLASSIFIER_E_BANK;
    if (sizes->rows < 2 || sizes->rows > SIZE_MAX_CLASSES)
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: %zu sizes, not 2 to %d", sizes->rows, SIZE_MAX_CLASSES);
    model->n_sizes = sizes->rows;
    for (size_t k = 0; k < sizes->rows; k++) {
        model->sizes[k] = sizes->values[k];
        if (!(model->sizes[k] >= 1) || (k && !(model->sizes[k] > model->sizes[k - 1])))
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: size %zu is %g, below 1 or not above the one before", k, model->sizes[k]);
    }
    for (size_t i = 0; i < model->n; i++)
        if (!whole(member->values[i], model->n_sizes, &model->size_index[i]))
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: member %zu is of size number %g of %zu", i, member->values[i], model->n_sizes);
    return CLASSIFIER_OK;
}

static classifier_status get_texts(const classifier_bank *bank, size_model *model, classifier_fault *fault)
{
    const char *recipe = bank_get_text(bank, "recipe", fault), *frame = bank_get_text(bank, "frame", fault);
    const char *line = bank_get_text(bank, "members", fault);
    if (!recipe || !frame || !line)
        return CLASSIFIER_E_BANK;
    model->recipe = strdup(recipe);
    model->frame = strdup(frame);
    if (!model->recipe || !model->frame)
        return CLASSIFIER_E_MEMORY;
    for (size_t i = 0; i < model->n; i++) {
        const char *end = strchr(line, '\n');
        if (!end)
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: text members has %zu lines, not %zu", i, model->n);
        model->names[i] = strndup(line, (size_t)(end - line));
        if (!model->names[i])
            return CLASSIFIER_E_MEMORY;
        line = end + 1;
    }
    if (*line)
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: text members has more than %zu lines", model->n);
    return CLASSIFIER_OK;
}

static const bank_table *find_directions(const classifier_bank *bank, const char *name, size_t width, classifier_fault *fault)
{
    const bank_table *t = bank_get(bank, name, width, SIZE_SPACE_RANK, fault);
    for (size_t i = 0; t && i < width * SIZE_SPACE_RANK; i++)
        if (!(fabs(t->values[i]) <= MOST_OF_UNIT_VECTOR)) {
            classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table %s has %g in row %zu, which no unit vector has", name, t->values[i],
                            i / SIZE_SPACE_RANK);
            return NULL;
        }
    return t;
}

static void take_directions(const bank_table *t, size_space *spaces, size_t n_spaces)
{
    size_t at = 0;
    for (size_t k = 0; k < n_spaces; k++)
        for (size_t i = 0; i < spaces[k].width * SIZE_SPACE_RANK; i++)
            spaces[k].directions[i] = (float)t->values[at++];
}

static classifier_status get_regression(const classifier_bank *bank, const size_table *features, size_model *model, size_view_kind kind,
                                        classifier_fault *fault)
{
    static const char *const COEFFICIENTS[SIZE_VIEWS] = {"coefficients", "interval_coefficients"};
    size_t n_targets = model->n_sizes - 1;
    size_regression *r = &model->views[kind].regression;
    const bank_table *kernel = bank_get(bank, "kernel", SIZE_VIEWS, 3, fault), *prior = bank_get(bank, "prior", n_targets, 1, fault);
    const bank_table *coefficients = bank_get(bank, COEFFICIENTS[kind], model->n, n_targets, fault);
    const bank_table *interval = bank_get(bank, "interval", 1, 3, fault);
    const bank_table *directions = find_directions(bank, DIRECTIONS[kind], model->views[kind].width, fault);
    if (!kernel || !prior || !coefficients || !interval || !directions)
        return CLASSIFIER_E_BANK;
    const double *k = kernel->values + 3 * kind, *i = interval->values;
    if (!(k[0] >= 0) || k[0] > 1 || !(k[1] > 0) || !(k[2] > 0))
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: a kernel with p = %g, gamma = %g and lambda = %g", k[0], k[1], k[2]);
    if (fabs(i[0] - SIZE_REGRESSION_LEVEL) > 1e-9 || !(i[1] > 0) || !(i[2] >= 0))
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: an interval of coverage %g, floor %g and quantile %g", i[0], i[1], i[2]);
    size_members members = size_model_as_members(model, kind, features->of[kind]);
    classifier_status status = size_regression_create(r, &members, k[0]);
    if (status != CLASSIFIER_OK)
        return status;
    r->gamma = k[1];
    r->lambda = k[2];
    r->floor = i[1];
    r->quantile = i[2];
    memcpy(r->prior, prior->values, n_targets * sizeof *r->prior);
    memcpy(r->coefficients, coefficients->values, model->n * n_targets * sizeof *r->coefficients);
    take_directions(directions, r->space, r->n_blocks);
    return size_regression_settle(r, &members);
}

static classifier_status get_domain(const classifier_bank *bank, const size_table *features, size_model *model, classifier_fault *fault)
{
    size_t width = model->views[SIZE_VIEW_VALUE].width;
    const double *rows = features->of[SIZE_VIEW_VALUE];
    const bank_table *domain = bank_get(bank, "domain", 1, 3, fault), *own = bank_get(bank, "own", model->n, 1, fault);
    const bank_table *directions = find_directions(bank, DIRECTIONS[SIZE_VIEWS], width, fault);
    if (!domain || !own || !directions)
        return CLASSIFIER_E_BANK;
    const double *d = domain->values;
    if (!(d[0] > 0) || !(d[1] > 0) || !(d[2] > 0))
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: a domain with %g, %g and %g, which are not above 0", d[0], d[1], d[2]);
    for (size_t i = 0; i < model->n; i++)
        if (!(own->values[i] >= 0))
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table own has %g in row %zu, which is no distance", own->values[i], i);
    classifier_status status = size_domain_create(&model->domain, rows, model->n, model->layout.block[SIZE_BLOCK_START], width);
    if (status != CLASSIFIER_OK)
        return status;
    memcpy(model->domain.unit, d, sizeof model->domain.unit);
    model->domain.typical = d[2];
    memcpy(model->domain.own, own->values, model->n * sizeof *own->values);
    take_directions(directions, model->domain.space, SIZE_DOMAIN_COUNT);
    return size_domain_settle(&model->domain, rows);
}

static classifier_status get_spectra(const bank_table *spectra, size_model *model, classifier_fault *fault)
{
    size_t n_values = model->n * model->layout.n_spectra;
    for (size_t i = 0; i < n_values; i++) {
        model->spectra[i] = (double)(float)spectra->values[i];
        if (!(model->spectra[i] >= 0) || !isfinite(model->spectra[i]))
            return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table spectra has %g in row %zu, column %zu", spectra->values[i],
                                   i / model->layout.n_spectra, i % model->layout.n_spectra);
    }
    return CLASSIFIER_OK;
}

/* All that follows from the spectra, and what is made of it. */
static classifier_status get_models(const classifier_bank *bank, size_model *model, classifier_fault *fault)
{
    size_table features = {0};
    classifier_status status = size_model_standardise(model, &features);
    if (status == CLASSIFIER_OK)
        status = size_model_index(model);
    for (int k = 0; k < SIZE_VIEWS && status == CLASSIFIER_OK; k++)
        status = get_regression(bank, &features, model, (size_view_kind)k, fault);
    if (status == CLASSIFIER_OK)
        status = get_domain(bank, &features, model, fault);
    size_table_release(&features);
    return status;
}

classifier_status size_model_from_bank(const classifier_bank *bank, size_model **out, classifier_fault *fault)
{
    *out = NULL;
    const char *task = bank_get_text(bank, "task", fault);
    if (!task)
        return CLASSIFIER_E_BANK;
    if (strcmp(task, TASK) != 0)
        return classifier_fail(fault, CLASSIFIER_E_BANK, "bank: its task is %.40s, not %s", task, TASK);
    size_layout layout = {0};
    size_model *model = NULL;
    classifier_status status = get_layout(bank, &layout, fault);
    if (status != CLASSIFIER_OK)
        goto done;
    const bank_table *spectra = bank_get(bank, "spectra", SIZE_MAX, layout.n_spectra, fault);
    status = spectra ? CLASSIFIER_OK : CLASSIFIER_E_BANK;
    if (status != CLASSIFIER_OK)
        goto done;
    if (spectra->rows == 0) {
        status = classifier_fail(fault, CLASSIFIER_E_BANK, "bank: table spectra has no members");
        goto done;
    }
    model = size_model_create(&layout, spectra->rows);
    if (!model)
        status = CLASSIFIER_E_MEMORY;
    if (status == CLASSIFIER_OK)
        status = get_sizes(bank, model, fault);
    if (status == CLASSIFIER_OK)
        status = get_texts(bank, model, fault);
    if (status == CLASSIFIER_OK)
        status = get_spectra(spectra, model, fault);
    if (status == CLASSIFIER_OK)
        status = get_models(bank, model, fault);

done:
    if (status == CLASSIFIER_E_MEMORY)
        classifier_fail(fault, status, "bank: no memory for a model of dataset sizes");
    size_layout_release(&layout);
    if (status == CLASSIFIER_OK)
        *out = model;
    else
        size_model_free(model);
    return status;
}
