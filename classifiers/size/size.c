/* size.c - see size.h. The model itself and its answers; size_train.c makes it, size_bank.c keeps it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* σ(A) differ by less than the rounding of single precision, relative to their mean: no difference at all. For logarithms, absolute. */
static const double LEAST_DEVIATION = 1e-6;
static const double BLEND = 0.12;

const char *size_method_name(size_method method)
{
    static const char *const NAMES[SIZE_METHOD_COUNT] = {"frobenius-nn", "dsire", "loraudit"};
    return (unsigned)method < SIZE_METHOD_COUNT ? NAMES[method] : "unknown";
}

/* The first n_blocks blocks of features. */
static int create_view(size_model *m, size_view_kind kind, size_t n_blocks)
{
    size_view *v = &m->views[kind];
    v->n_blocks = n_blocks;
    v->width = m->layout.block[n_blocks];
    v->mean = calloc(v->width, sizeof *v->mean);
    v->deviation = calloc(v->width, sizeof *v->deviation);
    return v->mean && v->deviation;
}

size_model *size_model_create(const size_layout *layout, size_t n)
{
    size_model *m = calloc(1, sizeof *m);
    if (!m || size_layout_create(&m->layout, layout->n_modules) != CLASSIFIER_OK) {
        free(m);
        return NULL;
    }
    memcpy(m->layout.modules, layout->modules, layout->n_modules * sizeof *layout->modules);
    size_layout_finish(&m->layout);
    m->n = n;
    m->size_index = calloc(n, sizeof *m->size_index);
    m->names = calloc(n, sizeof *m->names);
    m->spectra = calloc(n * m->layout.n_spectra, sizeof *m->spectra);
    if (!m->size_index || !m->names || !m->spectra || !create_view(m, SIZE_VIEW_VALUE, SIZE_BLOCKS) ||
        !create_view(m, SIZE_VIEW_INTERVAL, SIZE_BLOCK_START)) {
        size_model_free(m);
        return NULL;
    }
    return m;
}

void size_model_free(size_model *model)
{
    if (!model)
        return;
    if (model->names)
        for (size_t i = 0; i < model->n; i++)
            free(model->names[i]);
    free(model->names);
    free(model->recipe);
    free(model->frame);
    free(model->size_index);
    free(model->spectra);
    for (int k = 0; k < SIZE_VIEWS; k++) {
        free(model->views[k].mean);
        free(model->views[k].deviation);
        size_regression_release(&model->views[k].regression);
    }
    nearest_index_release(&model->index);
    size_domain_release(&model->domain);
    size_layout_release(&model->layout);
    free(model);
}

/* Features of both views, from a row of finite spectra. all: room for layout.n_features; rows[k]: for the width of view k */
static void describe(const size_model *model, const double *spectra, double *all, double *const rows[SIZE_VIEWS])
{
    size_features(&model->layout, spectra, all);
    memcpy(rows[SIZE_VIEW_VALUE], all, model->views[SIZE_VIEW_VALUE].width * sizeof *all);
    size_shape(&model->layout, all);
    memcpy(rows[SIZE_VIEW_INTERVAL], all, model->views[SIZE_VIEW_INTERVAL].width * sizeof *all);
}

static void standardise(const size_view *v, double *row)
{
    for (size_t j = 0; j < v->width; j++)
        row[j] = (row[j] - v->mean[j]) / v->deviation[j];
}

static void standardise_members(size_view *v, size_t n_members, double *features)
{
    double n = (double)n_members;
    memset(v->mean, 0, v->width * sizeof *v->mean);
    memset(v->deviation, 0, v->width * sizeof *v->deviation);
    for (size_t i = 0; i < n_members; i++)
        for (size_t j = 0; j < v->width; j++)
            v->mean[j] += features[i * v->width + j] / n;
    for (size_t i = 0; i < n_members; i++)
        for (size_t j = 0; j < v->width; j++) {
            double off = features[i * v->width + j] - v->mean[j];
            v->deviation[j] += off * off / n;
        }
    for (size_t j = 0; j < v->width; j++)
        v->deviation[j] = fmax(sqrt(v->deviation[j]), LEAST_DEVIATION * fmax(fabs(v->mean[j]), 1e-6));
    for (size_t i = 0; i < n_members; i++)
        standardise(v, features + i * v->width);
}

void size_table_release(size_table *features)
{
    for (int k = 0; k < SIZE_VIEWS; k++) {
        free(features->of[k]);
        features->of[k] = NULL;
    }
}

classifier_status size_model_standardise(size_model *model, size_table *features)
{
    double *all = malloc(model->layout.n_features * sizeof *all);
    classifier_status status = all ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (int k = 0; k < SIZE_VIEWS && status == CLASSIFIER_OK; k++)
        if (!(features->of[k] = malloc((model->n * model->views[k].width + 1) * sizeof *features->of[k])))
            status = CLASSIFIER_E_MEMORY;
    for (size_t i = 0; i < model->n && status == CLASSIFIER_OK; i++) {
        double *rows[SIZE_VIEWS];
        for (int k = 0; k < SIZE_VIEWS; k++)
            rows[k] = features->of[k] + i * model->views[k].width;
        describe(model, model->spectra + i * model->layout.n_spectra, all, rows);
    }
    for (int k = 0; k < SIZE_VIEWS && status == CLASSIFIER_OK; k++)
        standardise_members(&model->views[k], model->n, features->of[k]);
    free(all);
    return status;
}

static nearest_bank members_of(const size_model *model)
{
    return (nearest_bank){&model->layout, model->spectra, model->size_index, model->n, model->n_sizes};
}

classifier_status size_model_index(size_model *model)
{
    nearest_bank bank = members_of(model);
    return nearest_index_create(&bank, &model->index);
}

size_members size_model_as_members(const size_model *model, size_view_kind kind, const double *features)
{
    static const double SHARE[SIZE_VIEWS][SIZE_BLOCKS] = {{0.45, 0.45, 0.1}, {0.5, 0.5, 0}};
    const size_view *v = &model->views[kind];
    return (size_members){.block = model->layout.block, .share = SHARE[kind], .n_blocks = v->n_blocks, .width = v->width, .features = features,
                          .size_index = model->size_index, .n = model->n, .sizes = model->sizes, .n_sizes = model->n_sizes};
}

/* likely: a member that is near; answers are the same for any */
static void take_votes(const size_model *model, const double *spectra, size_t likely, size_answer *answer)
{
    nearest_vote votes[SIZE_MAX_CLASSES];
    nearest_votes(&model->index, spectra, model->spectra + likely * model->layout.n_spectra, model->size_index[likely], votes);
    for (size_t k = 0; k < model->n_sizes && votes[k].count > 0; k++) {
        answer->vote_size[k] = model->sizes[votes[k].size_index];
        answer->vote_count[k] = votes[k].count;
        answer->n_votes = k + 1;
    }
}

/* A member that the adapter is a copy of, then the most similar ones, the first of equals first. */
static void take_neighbours(const float *similarity, size_t n, const size_vicinity *v, size_answer *answer)
{
    size_t first = 0;
    if (!(v->nearest[SIZE_DOMAIN_SPECTRA] > 0) && v->n_near > 0)
        answer->neighbour[first++] = v->near[0];
    answer->n_neighbours = first;
    for (size_t i = 0; i < n; i++) {
        size_t place = answer->n_neighbours;
        if (first > 0 && i == answer->neighbour[0])
            continue;
        while (place > first && similarity[i] > similarity[answer->neighbour[place - 1]])
            place--;
        if (place == SIZE_NEIGHBOURS)
            continue;
        answer->n_neighbours += answer->n_neighbours < SIZE_NEIGHBOURS;
        for (size_t k = answer->n_neighbours - 1; k > place; k--)
            answer->neighbour[k] = answer->neighbour[k - 1];
        answer->neighbour[place] = i;
    }
}

/* At most `room` − 1 bytes of text around where it first differs from other, unprintable ones as '?'. */
static void show_difference(const char *text, const char *other, char *out, size_t room)
{
    enum { BEFORE = 12 };
    size_t begin = 0, at = 0;
    while (text[begin] && text[begin] == other[begin])
        begin++;
    begin = strlen(text) < room || begin < BEFORE ? 0 : begin - BEFORE;
    for (; text[begin + at] && at + 1 < room; at++)
        out[at] = text[begin + at] >= ' ' && text[begin + at] <= '~' ? text[begin + at] : '?';
    out[at] = '\0';
}

static int abstain(const char **abstained, char why[240], const char *what, const char *seen, const char *known)
{
    char of_adapter[70], of_bank[70];
    show_difference(seen, known, of_adapter, sizeof of_adapter);
    show_difference(known, seen, of_bank, sizeof of_bank);
    snprintf(why, 240, "no bank of its %s: the adapter's is \"%s\", the nearest bank's \"%s\"", what, of_adapter, of_bank);
    *abstained = why;
    return 0;
}

static int in_keys(const size_model *model, const classifier_profile *p, const char **abstained, char why[240])
{
    if (strcmp(model->frame, p->frame) != 0)
        return abstain(abstained, why, "frame", p->frame, model->frame);
    if (strcmp(model->recipe, p->recipe) != 0)
        return abstain(abstained, why, "recipe", p->recipe, model->recipe);
    if (!size_layout_fits(&model->layout, p)) {
        snprintf(why, 240, "no bank of its shape: numbers of singular values differ from the bank's");
        *abstained = why;
        return 0;
    }
    return 1;
}

/* What an adapter is asked with; all in one allocation, which is spectra. */
typedef struct {
    double *spectra, *features[SIZE_VIEWS], *at_most[SIZE_VIEWS];
    double *all;                 /* n_features */
    float *similarity, *scratch; /* of members; what spaces want */
} question;

static classifier_status open_question(const size_model *model, question *q)
{
    size_t n_features = model->layout.n_features, n_scratch = 2 * size_space_padded(model->n) + n_features;
    q->spectra = malloc((model->layout.n_spectra + 3 * n_features + 2 * model->n_sizes) * sizeof *q->spectra + n_scratch * sizeof *q->scratch);
    if (!q->spectra)
        return CLASSIFIER_E_MEMORY;
    q->features[SIZE_VIEW_VALUE] = q->spectra + model->layout.n_spectra;
    q->features[SIZE_VIEW_INTERVAL] = q->features[SIZE_VIEW_VALUE] + n_features;
    q->all = q->features[SIZE_VIEW_INTERVAL] + n_features;
    q->at_most[SIZE_VIEW_VALUE] = q->all + n_features;
    q->at_most[SIZE_VIEW_INTERVAL] = q->at_most[SIZE_VIEW_VALUE] + model->n_sizes;
    void *rest = q->at_most[SIZE_VIEW_INTERVAL] + model->n_sizes; /* in single precision */
    q->similarity = rest;
    q->scratch = q->similarity + size_space_padded(model->n);
    return CLASSIFIER_OK;
}

static void set_features(const size_model *model, question *q)
{
    describe(model, q->spectra, q->all, q->features);
    for (int k = 0; k < SIZE_VIEWS; k++)
        standardise(&model->views[k], q->features[k]);
}

/* Both regressions are asked, that for the value last: neighbours are by its kernel. Return: what the interval is made of. */
static size_prediction ask(const size_model *model, double doubt, question *q, double *value)
{
    size_prediction p[SIZE_VIEWS];
    for (int k = SIZE_VIEWS - 1; k >= 0; k--) {
        size_members members = size_model_as_members(model, (size_view_kind)k, NULL);
        p[k] = size_regression_ask(&model->views[k].regression, &members, q->features[k], doubt, q->similarity, q->at_most[k],
                                   q->scratch);
    }
    for (size_t c = 0; c + 1 < model->n_sizes; c++)
        q->at_most[SIZE_VIEW_VALUE][c] += BLEND * (q->at_most[SIZE_VIEW_INTERVAL][c] - q->at_most[SIZE_VIEW_VALUE][c]);
    *value = model->sizes[size_regression_median(q->at_most[SIZE_VIEW_VALUE], model->n_sizes)];
    return p[SIZE_VIEW_INTERVAL];
}

static size_vicinity look_around(const size_model *model, question *q)
{
    size_t width = model->views[SIZE_VIEW_VALUE].width;
    float *row = q->scratch, *scratch = row + width;
    for (size_t j = 0; j < width; j++)
        row[j] = (float)q->features[SIZE_VIEW_VALUE][j];
    return size_domain_look(&model->domain, row, scratch);
}

/* An interval that holds all sizes of the bank, for an adapter far out even where it is. */
static int says_nothing(const size_model *model, const size_prediction *p, const size_vicinity *v)
{
    return p->low <= model->sizes[0] && p->high >= model->sizes[model->n_sizes - 1] &&
           size_domain_isolation(&model->domain, v) > SIZE_DOMAIN_ISOLATED;
}

/* Return: 0 when there is nothing to be said. */
static int answer_question(const size_model *model, const size_vicinity *v, question *q, size_answer *a)
{
    double doubt = size_domain_doubt(&model->domain, v->nearest[SIZE_DOMAIN_SPECTRA]);
    size_prediction p = ask(model, doubt, q, &a->value);
    if (says_nothing(model, &p, v))
        return 0;
    a->low = p.low;
    a->high = p.high;
    a->coverage = SIZE_REGRESSION_LEVEL;
    take_neighbours(q->similarity, model->n, v, a);
    take_votes(model, q->spectra, v->near[0], a);
    return 1;
}

/* Asks what has a row of finite spectra; abstained and why as of size_model_estimate. */
static void answer_or_abstain(const size_model *model, question *q, size_answer *a, const char **abstained, char why[240])
{
    static const char *const WHAT[SIZE_DOMAIN_COUNT] = {"spectra", "singular values of A"};
    int which = 0;
    set_features(model, q);
    size_vicinity v = look_around(model, q);
    a->distance = size_domain_distance(&model->domain, &v, &which);
    *abstained = why;
    if (!(a->distance <= a->distance_limit)) {
        snprintf(why, 240,
                 "no bank of its training recipe: %s are %.3g times as far from the nearest member as members are from each other; the limit is %g",
                 WHAT[which], a->distance, a->distance_limit);
    } else if (!answer_question(model, &v, q, a)) {
        *a = (size_answer){.distance = a->distance, .distance_limit = a->distance_limit};
        snprintf(why, 240, "spectra too far from the bank's members to narrow down the size: the %g %% interval holds all %zu sizes from %g to %g",
                 100 * SIZE_REGRESSION_LEVEL, model->n_sizes, model->sizes[0], model->sizes[model->n_sizes - 1]);
    } else {
        *abstained = NULL;
    }
}

classifier_status size_model_estimate(const size_model *model, const classifier_profile *p, size_answer *answer, const char **abstained,
                                      char why[240])
{
    size_answer a = {.distance = NAN, .distance_limit = SIZE_DOMAIN_LIMIT};
    if (!in_keys(model, p, abstained, why)) {
        *answer = a;
        return CLASSIFIER_OK;
    }
    question q;
    if (open_question(model, &q) != CLASSIFIER_OK)
        return CLASSIFIER_E_MEMORY;
    size_t bad = size_spectra(&model->layout, p, q.spectra);
    if (bad < p->n_modules) {
        snprintf(why, 240, "a norm or singular value of module %zu is no finite number", bad);
        *abstained = why;
    } else {
        answer_or_abstain(model, &q, &a, abstained, why);
    }
    free(q.spectra);
    *answer = a;
    return CLASSIFIER_OK;
}

classifier_status size_model_predict(const size_model *model, size_method method, const classifier_profile *p, double *value)
{
    question q;
    if (open_question(model, &q) != CLASSIFIER_OK)
        return CLASSIFIER_E_MEMORY;
    size_answer a = {0};
    nearest_bank bank = members_of(model);
    if (size_spectra(&model->layout, p, q.spectra) < p->n_modules) {
        *value = NAN;
    } else if (method == SIZE_FROBENIUS_NN) {
        *value = model->sizes[nearest_by_norm(&bank, q.spectra)];
    } else if (method == SIZE_DSIRE) {
        take_votes(model, q.spectra, 0, &a);
        *value = a.vote_size[0];
    } else {
        set_features(model, &q);
        ask(model, 1, &q, value);
    }
    free(q.spectra);
    return CLASSIFIER_OK;
}

const char *size_model_member(const size_model *model, size_t index, double *size)
{
    if (index >= model->n)
        return NULL;
    *size = model->sizes[model->size_index[index]];
    return model->names[index];
}

size_t size_model_members(const size_model *model)
{
    return model->n;
}

const double *size_model_sizes(const size_model *model, size_t *n)
{
    *n = model->n_sizes;
    return model->sizes;
}
