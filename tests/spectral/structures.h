/* structures.h - random modules of every structure, and their ΔW formed entry by entry from the definition in spectral.h.
 *
 * Sums and products are in long double, whose range holds products of float64 at the ends of its own. All dense matrices
 * are column-major, as in oracle.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_SPECTRAL_STRUCTURES_H
#define TESTS_SPECTRAL_STRUCTURES_H

#include "tests/spectral/oracle.h"

/* W = B·C·A by its sizes: m × n before the depth. r 0: no B; q 0: no core (q: rows of A otherwise). 0 for depth or groups
 * is 1. */
typedef struct {
    size_t m, n, r, q, depth, groups;
    bool diagonal;
} operand_spec;

typedef struct {
    spectral_structure structure;
    operand_spec w, w2;
} structure_spec;

typedef struct {
    spectral_module module; /* extra points to the next */
    spectral_extra extra;
    spectral_shape shape;
} structured;

static inline void operand_fill(const operand_spec *spec, spectral_view *a, spectral_view *b, spectral_view *core,
                                unsigned mix, uint64_t *seed)
{
    const size_t groups = spec->groups ? spec->groups : 1, depth = spec->depth ? spec->depth : 1;
    const size_t joined = spec->r * groups, inner = spec->q ? spec->q : joined;
    spectral_view *const parts[] = {a, b, core};
    const bool lying = spec->diagonal && mix % 2; /* a diagonal as a row, or as a column */
    const size_t rows[] = {spec->r ? inner : spec->m, spec->r ? spec->m : 0, spec->q == 0 ? 0 : lying ? 1 : joined};
    const size_t cols[] = {spec->n, spec->r, lying ? joined : spec->diagonal ? 1 : inner * depth};
    for (unsigned i = 0; i < 3; i++)
        if (rows[i] > 0) {
            *parts[i] = matrix_create(rows[i], cols[i], (spectral_dtype)((mix + i) % 4),
                                      (oracle_layout)((mix / 4 + i) % N_LAYOUTS));
            matrix_fill_normal(parts[i], 0.5, seed);
        }
}

/* mix chooses dtypes and layouts, another for each part. Owner: the caller calls structured_free; the address of *s
 * must not change. */
static inline void structured_create(structured *s, const structure_spec *spec, unsigned mix, uint64_t seed)
{
    *s = (structured){.module = {.scale = -1.5, .extra = &s->extra},
                      .extra = {.structure = spec->structure, .depth = spec->w.depth, .groups = spec->w.groups,
                                .diagonal = spec->w.diagonal, .depth2 = spec->w2.depth}};
    operand_fill(&spec->w, &s->module.a, &s->module.b, &s->extra.core, mix, &seed);
    if (spec->structure != SPECTRAL_PRODUCT)
        operand_fill(&spec->w2, &s->extra.a2, &s->extra.b2, &s->extra.core2, mix / 2 + 1, &seed);
    assert_int_equal(SPECTRAL_OK, spectral_module_shape(&s->module, &s->shape));
}

/* The parts by their letters. */
static inline spectral_view *structured_part(structured *s, char letter)
{
    switch (letter) {
    case 'a': return &s->module.a;
    case 'b': return &s->module.b;
    case 'c': return &s->extra.core;
    case 'A': return &s->extra.a2;
    case 'B': return &s->extra.b2;
    case 'C': return &s->extra.core2;
    default: return NULL;
    }
}

static inline void structured_free(structured *s)
{
    for (const char *letter = "abcABC"; *letter; letter++)
        matrix_free(structured_part(s, *letter));
}

static inline spectral_result shape_result(const spectral_shape *shape)
{
    spectral_result result = {.sigma = calloc(shape->n_sigma, sizeof(double)),
                              .sigma_a = calloc(shape->n_sigma_a, sizeof(double)),
                              .sigma_b = calloc(shape->n_sigma_b, sizeof(double))};
    assert_true(result.sigma && result.sigma_a && result.sigma_b);
    return result;
}

static inline spectral_result structured_run(const structured *s, const spectral_options *options)
{
    spectral_engine *engine;
    spectral_result result = shape_result(&s->shape);
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_batch(engine, 0, &s->module, 1, options, NULL, NULL, &result);
    spectral_engine_destroy(engine);
    return result;
}

/* ---- one of each kind, for tests of what holds for all ---- */

static const structure_spec one_of_each[] = {
    {SPECTRAL_PRODUCT, {.m = 20, .n = 15, .r = 4, .q = 3}, {0}},
    {SPECTRAL_PRODUCT, {.m = 20, .n = 15, .r = 4, .q = 4, .diagonal = true}, {0}},
    {SPECTRAL_PRODUCT, {.m = 20, .n = 5, .r = 3, .q = 3, .depth = 9}, {0}},
    {SPECTRAL_PRODUCT, {.m = 20, .n = 15, .r = 2, .groups = 2}, {0}},
    {SPECTRAL_PRODUCT, {.m = 4, .n = 15, .r = 6, .q = 3}, {0}},
    {SPECTRAL_PRODUCT, {.m = 20, .n = 15}, {0}},
    {SPECTRAL_HADAMARD, {.m = 20, .n = 15, .r = 2, .q = 2}, {.m = 20, .n = 15, .r = 3, .q = 2}},
    {SPECTRAL_HADAMARD, {.m = 20, .n = 15, .r = 4}, {.m = 20, .n = 15, .r = 4}},
    {SPECTRAL_KRONECKER, {.m = 5, .n = 4}, {.m = 7, .n = 6, .r = 2, .q = 3}},
    {SPECTRAL_KRONECKER, {.m = 5, .n = 4, .r = 2, .q = 2}, {.m = 4, .n = 2, .r = 6}},
};
enum { N_KINDS = sizeof one_of_each / sizeof *one_of_each };

static inline void values_free(spectral_result *result)
{
    free(result->sigma);
    free(result->sigma_a);
    free(result->sigma_b);
}

/* ---- dense ---- */

typedef struct {
    size_t rows, cols;
    long double *x;
} dense;

static inline dense dense_create(size_t rows, size_t cols)
{
    dense d = {rows, cols, calloc(rows * cols + 1, sizeof(long double))};
    assert_non_null(d.x);
    return d;
}

/* A with the core folded in, B with its groups on the diagonal; B has no columns where there is none. */
static inline void dense_operand(const spectral_view *a, const spectral_view *b, const spectral_view *core, size_t depth,
                                 size_t groups, bool diagonal, dense *folded, dense *spread)
{
    depth = depth ? depth : 1;
    groups = groups ? groups : 1;
    const size_t rank = b->rows ? b->cols * groups : a->rows;
    *folded = dense_create(rank, a->cols * depth);
    *spread = dense_create(b->rows ? b->rows : a->rows, b->rows ? rank : 0);
    for (size_t p = 0; p < rank; p++)
        for (size_t i = 0; i < a->cols; i++)
            for (size_t t = 0; t < depth; t++) {
                long double *entry = &folded->x[(i * depth + t) * rank + p];
                if (core->rows == 0)
                    *entry = (long double)matrix_get(a, p, i);
                else if (diagonal)
                    *entry = (long double)(core->rows == 1 ? matrix_get(core, 0, p) : matrix_get(core, p, 0)) *
                             (long double)matrix_get(a, p, i);
                else
                    for (size_t j = 0; j < a->rows; j++)
                        *entry += (long double)matrix_get(core, p, j * depth + t) * (long double)matrix_get(a, j, i);
            }
    for (size_t i = 0; i < b->rows; i++)
        for (size_t p = 0; p < b->cols; p++)
            spread->x[(i / (b->rows / groups) * b->cols + p) * b->rows + i] = (long double)matrix_get(b, i, p);
}

static inline dense dense_product(const dense *b, const dense *a)
{
    dense w = dense_create(b->rows, a->cols);
    for (size_t j = 0; j < a->cols; j++)
        for (size_t k = 0; k < a->rows; k++) {
            if (b->cols == 0) /* no B */
                w.x[j * w.rows + k] = a->x[j * a->rows + k];
            for (size_t i = 0; i < b->rows && b->cols; i++)
                w.x[j * w.rows + i] += b->x[k * b->rows + i] * a->x[j * a->rows + k];
        }
    return w;
}

/* What a module is made of. */
typedef struct {
    dense a, b, a2, b2, w, w2, update; /* update with the scale */
} dense_parts;

static inline void dense_parts_free(dense_parts *d)
{
    dense *const all[] = {&d->a, &d->b, &d->a2, &d->b2, &d->w, &d->w2, &d->update};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->x);
}

static inline dense_parts dense_structure(const structured *s)
{
    const spectral_extra *e = &s->extra;
    const long double scale = (long double)s->module.scale;
    dense_parts d = {.a = {0}};
    dense_operand(&s->module.a, &s->module.b, &e->core, e->depth, e->groups, e->diagonal, &d.a, &d.b);
    d.w = dense_product(&d.b, &d.a);
    if (e->structure != SPECTRAL_PRODUCT) {
        dense_operand(&e->a2, &e->b2, &e->core2, e->depth2, 1, false, &d.a2, &d.b2);
        d.w2 = dense_product(&d.b2, &d.a2);
    }
    const bool kronecker = e->structure == SPECTRAL_KRONECKER;
    d.update = dense_create(d.w.rows * (kronecker ? d.w2.rows : 1), d.w.cols * (kronecker ? d.w2.cols : 1));
    for (size_t j = 0; j < d.update.cols; j++)
        for (size_t i = 0; i < d.update.rows; i++) {
            long double x;
            if (kronecker)
                x = d.w.x[j / d.w2.cols * d.w.rows + i / d.w2.rows] * d.w2.x[j % d.w2.cols * d.w2.rows + i % d.w2.rows];
            else
                x = d.w.x[j * d.w.rows + i] * (d.w2.x ? d.w2.x[j * d.w.rows + i] : 1);
            d.update.x[j * d.update.rows + i] = scale * x;
        }
    return d;
}

/* In float64. Owner: the caller. */
static inline double *dense_rounded(const dense *d)
{
    double *x = malloc((d->rows * d->cols + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < d->rows * d->cols; i++)
        x[i] = (double)d->x[i];
    return x;
}

static inline void dense_spectrum(const dense *d, double *sigma)
{
    double *x = dense_rounded(d);
    dense_values(x, d->rows, d->cols, sigma);
    free(x);
}

#endif
