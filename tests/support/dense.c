/* dense.c - see dense.h. Conversions are one value at a time by spectral_scalar, products by BLAS on float64.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/dense.h"

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

double *dense_factor(const file *f, const tensor *t, size_t rows, size_t cols)
{
    size_t width = dtype_bits(t->dtype) / 8, n = rows * cols;
    unsigned char *raw = need(malloc(n * width));
    double *x = need(malloc(n * sizeof *x));
    spectral_dtype dtype = t->dtype == DTYPE_F64    ? SPECTRAL_F64
                           : t->dtype == DTYPE_F16  ? SPECTRAL_F16
                           : t->dtype == DTYPE_BF16 ? SPECTRAL_BF16
                                                    : SPECTRAL_F32;
    if (t->bytes != n * width || file_read_at(f, t->offset, raw, n * width, NULL) != LORA_OK)
        abort();
    for (size_t i = 0; i < n; i++)
        x[i] = spectral_scalar(raw + i * width, dtype);
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

double *dense_update(const file *f, const lora_module *m)
{
    size_t rows = (size_t)m->m, cols = (size_t)m->n, r = (size_t)m->r;
    double *a = dense_factor(f, m->a, r, cols), *b = dense_factor(f, m->b, rows, r);
    double *x = need(malloc(rows * cols * sizeof *x));
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)cols, (int)r, m->scale, b, (int)r, a, (int)cols, 0,
                x, (int)cols);
    free(a);
    free(b);
    return x;
}
