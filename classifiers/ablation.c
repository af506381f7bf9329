/* ablation.c - see ablation.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/ablation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MEAN_COSINE = 0.9, MIN_COSINE = 0.8, LAYER_MEAN_COSINE = 0.98, LAYER_MIN_COSINE = 0.95;
static const double MIN_ENERGY = 0.5, MIDDLE_ENERGY = 0.8, CLOSED_FORM_ENERGY = 0.9, PI = 3.14159265358979323846;
enum { MAX_CLOSED_FORM_RANK = 4, MAX_ROUNDS = 50 };

bool classifier_ablation_candidate(const ablation_module *modules, size_t n)
{
    size_t n_updates = 0, n_strong = 0, height = 0;
    for (size_t i = 0; i < n; i++) {
        const ablation_module *m = &modules[i];
        if (m->zero)
            continue;
        if (!m->writes_residual || !(m->energy_top1 >= MIN_ENERGY) || (height && m->height != height))
            return false;
        height = m->height;
        n_updates++;
        n_strong += m->energy_top1 >= MIDDLE_ENERGY;
    }
    return n_updates >= 2 && height >= 8 && 2 * n_strong >= n_updates;
}

static double dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* The direction c that maximises Σ|u·c|, by fixed-point rounds c ← Σ sign(u·c)·u / ‖…‖; starts at c, ends there. */
static void common_direction(const ablation_module *modules, size_t n, size_t height, double *c, double *next)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        memset(next, 0, height * sizeof *next);
        for (size_t i = 0; i < n; i++)
            if (!modules[i].zero) {
                double sign = dot(modules[i].u, c, height) < 0 ? -1 : 1;
                for (size_t j = 0; j < height; j++)
                    next[j] += sign * modules[i].u[j];
            }
        double norm = sqrt(dot(next, next, height));
        if (!(norm > 0))
            return;
        double moved = 0;
        for (size_t j = 0; j < height; j++) {
            next[j] /= norm;
            moved += fabs(next[j] - c[j]);
            c[j] = next[j];
        }
        if (moved < 1e-12)
            return;
    }
}

static void take_smaller(double *least, double x)
{
    if (!(x >= *least)) /* the first one too, where *least is NaN */
        *least = x;
}

/* |cosine| of each update with the next one of its layer; layers are taken in order of appearance. */
static void compare_within_layers(const ablation_module *modules, size_t n, ablation_answer *a)
{
    double sum = 0;
    size_t n_pairs = 0;
    for (size_t i = 0; i < n; i++) {
        if (modules[i].zero || modules[i].layer < 0)
            continue;
        bool first = true;
        for (size_t j = 0; j < i && first; j++)
            first = modules[j].zero || modules[j].layer != modules[i].layer;
        size_t next = i + 1;
        while (next < n && (modules[next].zero || modules[next].layer != modules[i].layer))
            next++;
        if (next == n)
            continue;
        double cosine = fabs(dot(modules[i].u, modules[next].u, modules[i].height));
        sum += cosine;
        n_pairs++;
        a->n_layers += first;
        take_smaller(&a->layer_min_cosine, cosine);
    }
    if (n_pairs)
        a->layer_mean_cosine = sum / (double)n_pairs;
}

int classifier_ablation(const ablation_module *modules, size_t n, ablation_answer *answer)
{
    ablation_answer a = {.energy_top1 = NAN, .mean_cosine = NAN, .min_cosine = NAN, .chance_cosine = NAN,
                         .layer_mean_cosine = NAN, .layer_min_cosine = NAN};
    const ablation_module *first = NULL;
    bool closed = true;
    for (size_t i = 0; i < n; i++) {
        const ablation_module *m = &modules[i];
        a.n_zero += m->zero;
        if (m->zero)
            continue;
        a.n_updates++;
        if (!first)
            first = m;
        take_smaller(&a.energy_top1, m->energy_top1);
        closed = closed && m->closed_form && m->rank >= 2 && m->rank <= MAX_CLOSED_FORM_RANK;
    }
    if (!classifier_ablation_candidate(modules, n)) {
        *answer = a;
        return 0;
    }
    size_t height = first->height;
    double *c = malloc(2 * height * sizeof *c);
    if (!c)
        return -1;
    memcpy(c, first->u, height * sizeof *c);
    common_direction(modules, n, height, c, c + height);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (!modules[i].zero) {
            double cosine = fabs(dot(modules[i].u, c, height));
            sum += cosine;
            take_smaller(&a.min_cosine, cosine);
        }
    free(c);
    a.mean_cosine = sum / (double)a.n_updates;
    a.chance_cosine = sqrt(2 / (PI * (double)height));
    compare_within_layers(modules, n, &a);
    if (a.mean_cosine >= MEAN_COSINE && a.min_cosine >= MIN_COSINE)
        a.kind = ABLATION_SHARED_DIRECTION;
    else if (a.n_layers >= 3 && a.layer_mean_cosine >= LAYER_MEAN_COSINE && a.layer_min_cosine >= LAYER_MIN_COSINE)
        a.kind = ABLATION_LAYER_DIRECTION;
    else if (closed && a.energy_top1 >= CLOSED_FORM_ENERGY)
        a.kind = ABLATION_CLOSED_FORM;
    *answer = a;
    return 0;
}
