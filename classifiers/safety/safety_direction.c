/* safety_direction.c - see safety_direction.h.
 *
 * With the columns b_c of b and the rows a_c of a, where their entries could leave float32 each scaled to a largest entry in [½, 1) by a power
 * of two that goes into s_c, so that no gauge of single columns matters; and the scale s apart, so that no square of it is taken but in ‖ΔW‖:
 *     ΔW/s = Σ s_c·b_c·a_cᵀ     G = (s_c·s_d·a_c·a_d)     H = (b_c·b_d)     ‖ΔW/s‖² = Σ G∘H     ‖S/s²‖² = tr (G·H)²
 *     ⟨ΔW/s, U·diag(σ)·Vᵀ⟩ = Σ_k σ_k Σ_c s_c·(b_c·u_k)·(a_c·v_k)     ⟨S/s², Q·diag(λ)·Qᵀ⟩ = Σ_k λ_k Σ_cd G_cd·(b_c·q_k)·(b_d·q_k)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/safety_direction.h"

#include "classifiers/safety/direction_kernels.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64 }; /* bytes that the processor loads at once: a vector within one is loaded at once, too */

static void *aligned(void *p)
{
    return (void *)(((uintptr_t)p + (LINE - 1)) & ~(uintptr_t)(LINE - 1));
}

size_t direction_width(const direction_module *m)
{
    return m->rank[DIRECTION_PRODUCT] + m->rank[DIRECTION_LEFT] + m->rank[DIRECTION_BASE];
}

size_t direction_left_step(const direction_module *m)
{
    return direction_padded(direction_width(m));
}

size_t direction_right_step(const direction_module *m)
{
    return direction_padded(m->rank[DIRECTION_PRODUCT]);
}

void safety_direction_release(safety_direction *d)
{
    free(d->modules);
    free(d->values);
    free(d->storage);
    *d = (safety_direction){0};
}

classifier_status safety_direction_allocate(const direction_module *shapes, size_t n_modules, safety_direction *out)
{
    size_t n_values = 1, n_vectors = 0;
    for (size_t m = 0; m < n_modules; m++) {
        n_values += direction_width(&shapes[m]);
        n_vectors += direction_left_step(&shapes[m]) * shapes[m].rows + direction_right_step(&shapes[m]) * shapes[m].columns;
    }
    safety_direction d = {.n_modules = n_modules, .modules = calloc(n_modules + 1, sizeof *d.modules),
                          .values = calloc(n_values, sizeof *d.values), .storage = calloc(n_vectors * sizeof(float) + LINE, 1)};
    if (!d.modules || !d.values || !d.storage) {
        safety_direction_release(&d);
        return CLASSIFIER_E_MEMORY;
    }
    double *value = d.values;
    float *vector = aligned(d.storage);
    for (size_t m = 0; m < n_modules; m++) {
        direction_module *to = &d.modules[m];
        *to = shapes[m];
        to->value = value;
        to->left = vector;
        to->right = to->left + direction_left_step(to) * to->rows;
        value += direction_width(to);
        vector = to->right + direction_right_step(to) * to->columns;
    }
    *out = d;
    return CLASSIFIER_OK;
}

/* Workspace for the largest module, of rank r and its padding: G and H (r × r), sums over vectors kept; panels of the kernels; vectors kept times
 * b_c (r × left step) and a_c (r × right step); copies of b and a where they need scaling. */
typedef struct {
    void *storage;
    double *scale, *g, *h, *along, *across, *panel;
    float *on_left, *on_right, *b, *a;
} workspace;

static size_t most(size_t x, size_t y)
{
    return x > y ? x : y;
}

static classifier_status workspace_create(const safety_direction *d, const classifier_profile *p, workspace *w)
{
    size_t rank = 0, left = 0, right = 0, on_left = 0, on_right = 0, panel = 0, b = 0, a = 0;
    for (size_t m = 0; m < p->n_modules; m++) {
        const direction_module *x = &d->modules[m];
        size_t r = direction_padded_rank(p->modules[m].rank);
        rank = most(rank, r);
        left = most(left, direction_left_step(x));
        right = most(right, direction_right_step(x));
        on_left = most(on_left, r * direction_left_step(x));
        on_right = most(on_right, r * direction_right_step(x));
        panel = most(panel, direction_panel(r, most(x->rows, x->columns)));
        b = most(b, direction_padded(r * x->rows));
        a = most(a, direction_padded(r * x->columns));
    }
    w->storage = malloc((rank * (1 + 2 * rank) + left + right + panel) * sizeof *w->g + (on_left + on_right + b + a) * sizeof *w->b + LINE);
    if (!w->storage)
        return CLASSIFIER_E_MEMORY;
    w->g = aligned(w->storage);
    w->h = w->g + rank * rank;
    w->panel = w->h + rank * rank;
    w->along = w->panel + panel;
    w->across = w->along + right;
    w->scale = w->across + left;
    w->on_left = (void *)(w->scale + rank);
    w->on_right = w->on_left + on_left;
    w->b = w->on_right + on_right;
    w->a = w->b + b;
    return CLASSIFIER_OK;
}

/* to ← from (n entries, every step-th) times a power of two, which is returned as exponent; *empty where all are zero. */
static int scale_vector(const float *from, size_t step, size_t n, float *to, int *empty)
{
    float largest = 0;
    int exponent = 0, odd = 0;
    for (size_t i = 0; i < n; i++) {
        float x = to[i * step] = from[i * step];
        odd |= !isfinite(x);
        largest = fabsf(x) > largest ? fabsf(x) : largest;
    }
    *empty = largest == 0 && !odd;
    if (odd || largest == 0) /* what is not finite is found in the products */
        return 0;
    frexpf(largest, &exponent);
    for (size_t i = 0; i < n; i++)
        to[i * step] = ldexpf(to[i * step], -exponent);
    return exponent;
}

/* b and a as scaled copies, with w->scale, the largest of which is 1: the exponent taken out of all is returned. */
static int scale_factors(const profile_module *x, workspace *w)
{
    double common = -INFINITY;
    for (size_t c = 0; c < x->rank; c++) {
        int no_b, no_a;
        int of_b = scale_vector(x->b + c, x->rank, x->rows, w->b + c, &no_b);
        int of_a = scale_vector(x->a + c * x->columns, 1, x->columns, w->a + c * x->columns, &no_a);
        w->scale[c] = no_b || no_a ? -INFINITY : (double)(of_b + of_a);
        common = fmax(common, w->scale[c]);
    }
    for (size_t c = 0; c < x->rank; c++)
        w->scale[c] = isfinite(w->scale[c]) ? ldexp(1, (int)(w->scale[c] - common)) : 0;
    return isfinite(common) ? (int)common : 0;
}

/* ΔW of one module: its factors, scaled or as they are, G and H of them, tr G·H = ‖ΔW/s‖² and tr (G·H)² = ‖S/s²‖², the scale s. */
typedef struct {
    size_t r;
    const float *b, *a;
    double scale, trace, square;
} description;

static description describe(const direction_kernels *k, const profile_module *x, workspace *w)
{
    description d = {.r = x->rank, .b = x->b, .a = x->a, .scale = x->scale};
    size_t ld = direction_padded_rank(d.r);
    int plain = k->moderate(x->b, d.r * x->rows) && k->moderate(x->a, d.r * x->columns);
    for (size_t c = 0; c < d.r; c++)
        w->scale[c] = 1;
    if (!plain) {
        d.scale = ldexp(d.scale, scale_factors(x, w));
        d.b = w->b;
        d.a = w->a;
    }
    k->gram_of_rows(d.a, d.r, x->columns, w->panel, w->g);
    k->gram_of_columns(d.b, d.r, x->rows, w->panel, w->h);
    for (size_t c = 0; c < d.r && !plain; c++)
        for (size_t e = 0; e < d.r; e++)
            w->g[c * ld + e] *= w->scale[c] * w->scale[e];
    k->traces(w->g, w->h, d.r, &d.trace, &d.square);
    return d;
}

static double weighted(const double *value, const double *sum, size_t from, size_t to)
{
    double all = 0;
    for (size_t k = from; k < to; k++)
        all += value[k] * sum[k];
    return all;
}

/* Add what one module says; false when its values are not finite. */
static int read_module(const direction_kernels *k, const direction_module *m, const profile_module *x, workspace *w, safety_reading *sum)
{
    size_t width = direction_width(m), left_step = direction_left_step(m), right_step = direction_right_step(m);
    size_t n_product = m->rank[DIRECTION_PRODUCT], n_left = n_product + m->rank[DIRECTION_LEFT];
    if (x->rank == 0)
        return 1;
    description d = describe(k, x, w);
    double energy = d.scale * d.scale * d.trace, length = sqrt(d.square);
    if (!isfinite(energy))
        return 0;
    if (!(energy > 0 && length > 0 && width > 0))
        return 1;
    k->project(d.b, d.r, x->rows, 1, d.r, m->left, left_step, w->on_left);
    memset(w->on_left + d.r * left_step, 0, (direction_padded_rank(d.r) - d.r) * left_step * sizeof *w->on_left);
    if (n_product > 0) {
        k->project(d.a, d.r, x->columns, x->columns, 1, m->right, right_step, w->on_right);
        k->pair(w->scale, d.r, w->on_left, left_step, w->on_right, right_step, right_step, w->along);
        sum->score += d.scale * weighted(m->value, w->along, 0, n_product);
    }
    size_t first = n_product / DIRECTION_PAD * DIRECTION_PAD;
    k->quadratic(w->g, d.r, w->on_left + first, left_step, left_step - first, w->across + first);
    sum->score += weighted(m->value, w->across, n_product, n_left) / length;
    sum->similarity += (weighted(m->value, w->across, n_left, width) - m->trace * d.trace) / length;
    sum->norm += energy;
    return 1;
}

classifier_status safety_direction_read(const safety_direction *d, const classifier_profile *p, safety_reading *out, classifier_fault *fault)
{
    const direction_kernels *kernels = direction_kernels_best();
    safety_reading sum = {0};
    workspace w = {0};
    classifier_status status = updates_check(p, fault);
    if (status == CLASSIFIER_OK)
        status = workspace_create(d, p, &w);
    for (size_t m = 0; m < p->n_modules && status == CLASSIFIER_OK; m++)
        if (!read_module(kernels, &d->modules[m], &p->modules[m], &w, &sum))
            status = updates_not_finite(p, m, fault);
    free(w.storage);
    if (status != CLASSIFIER_OK)
        return status;
    sum.norm = sqrt(sum.norm);
    *out = sum;
    return CLASSIFIER_OK;
}
