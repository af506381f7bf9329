/* dense.c - see dense.h. Entries come through fetch_entries and spectral_scalar, products are plain loops or BLAS on float64.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/dense.h"

#include "analyzer/formats/fetch.h"
#include "spectral/spectral.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdio.h>
#include <stdlib.h>

static void *need(void *p)
{
    if (!p) {
        fputs("no memory for the oracle\n", stderr);
        abort();
    }
    return p;
}

double *dense_factor(const file *f, const lora_factor *factor)
{
    const tensor *t = factor->t;
    size_t n = (size_t)(factor->rows * factor->cols), width = dtype_bits(fetch_dtype(t)) / 8;
    unsigned char *raw = need(malloc(n * width));
    double *x = need(malloc(n * sizeof *x));
    spectral_dtype dtype = width == 8                       ? SPECTRAL_F64
                           : width == 4                     ? SPECTRAL_F32
                           : fetch_dtype(t) == DTYPE_F16    ? SPECTRAL_F16
                                                            : SPECTRAL_BF16;
    if (fetch_entries(f, t, factor->first, n, raw, NULL) != LORA_OK)
        abort();
    for (size_t i = 0; i < factor->rows; i++)
        for (size_t j = 0; j < factor->cols; j++) {
            size_t at = (size_t)(factor->transposed ? j * factor->rows + i : i * factor->cols + j);
            x[i * factor->cols + j] = spectral_scalar(raw + at * width, dtype);
        }
    free(raw);
    return x;
}

void dense_singular_values(double *x, size_t rows, size_t cols, double *sigma)
{
    double none[1];
    if (LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)cols, (lapack_int)rows, x, (lapack_int)cols, sigma, none, 1, none,
                       1) != 0)
        abort();
}

static double *product(const double *left, const double *right, size_t rows, size_t inner, size_t cols)
{
    double *x = need(malloc(rows * cols * sizeof *x));
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)cols, (int)inner, 1, left, (int)inner, right, (int)cols,
                0, x, (int)cols);
    return x;
}

/* C·A as r × (n·k), entry by entry: column i·k + κ = Σ_j C[p][j·k + κ]·A[j][i]. */
static double *fold_core(const double *core, const double *a, size_t r, size_t q, size_t n, size_t depth, int diagonal)
{
    double *x = need(calloc(r * n * depth, sizeof *x));
    for (size_t p = 0; p < r; p++)
        for (size_t j = 0; j < q; j++)
            for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < depth; k++) {
                    double c = diagonal ? (p == j ? core[p] : 0) : core[p * q * depth + j * depth + k];
                    x[p * n * depth + i * depth + k] += c * a[j * n + i];
                }
    return x;
}

typedef struct {
    double *x;
    size_t rows, cols;
} matrix;

/* One operand: A, B·A, B·C·A, or with groups diag(B_1 … B_g)·A. */
static matrix operand(const file *f, const lora_factor *a, const lora_factor *b, const lora_factor *core, size_t depth, int diagonal,
                      size_t groups)
{
    size_t q = (size_t)a->rows, n = (size_t)a->cols;
    depth = depth ? depth : 1;
    double *right = dense_factor(f, a);
    if (!b->t)
        return (matrix){right, q, n};
    size_t m = (size_t)b->rows, r = (size_t)b->cols;
    double *left = dense_factor(f, b);
    if (core && core->t) {
        double *c = dense_factor(f, core), *folded = fold_core(c, right, r, q, n, depth, diagonal);
        free(c);
        free(right);
        right = folded;
        n *= depth;
    }
    matrix w = {NULL, m, n};
    if (groups > 1) {
        w.x = need(malloc(m * n * sizeof *w.x));
        for (size_t g = 0; g < groups; g++) {
            double *part = product(left + g * (m / groups) * r, right + g * r * n, m / groups, r, n);
            for (size_t i = 0; i < m / groups * n; i++)
                w.x[g * (m / groups) * n + i] = part[i];
            free(part);
        }
    } else {
        w.x = product(left, right, m, r, n);
    }
    free(left);
    free(right);
    return w;
}

double *dense_update(const file *f, const lora_module *m)
{
    const lora_structure none = {0}, *more = m->more ? m->more : &none;
    size_t rows = (size_t)m->m, cols = (size_t)m->n;
    matrix w = operand(f, &m->a, &m->b, &more->core, (size_t)more->depth, more->diagonal, (size_t)more->groups);
    if (more->kind != SPECTRAL_PRODUCT) {
        matrix v = operand(f, &more->a2, &more->b2, &more->core2, (size_t)more->depth2, 0, 1);
        double *x = need(malloc(rows * cols * sizeof *x));
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++)
                x[i * cols + j] = more->kind == SPECTRAL_HADAMARD
                                      ? w.x[i * cols + j] * v.x[i * cols + j]
                                      : w.x[i / v.rows * w.cols + j / v.cols] * v.x[i % v.rows * v.cols + j % v.cols];
        free(w.x);
        free(v.x);
        w = (matrix){x, rows, cols};
    }
    if (w.rows != rows || w.cols != cols)
        abort();
    for (size_t i = 0; i < rows * cols; i++)
        w.x[i] *= m->scale;
    return w.x;
}
