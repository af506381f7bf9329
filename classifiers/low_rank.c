/* low_rank.c - see low_rank.h.
 *
 * With an orthonormal basis Q of the range and Z = Sumᵀ·Q: eigenvectors F of Qᵀ·Z (symmetric) or Zᵀ·Z give left = Q·F and right = Z·F/σ.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/low_rank.h"

#include "classifiers/random.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE = 8, ITERATIONS = 6, BLOCK = 64 /* of LAPACK */ };
static const double NEGLIGIBLE = 1e-7; /* of the largest value: what a Gram matrix in float64 can tell */

/* Vectors lie one behind the other, `width` in a block. */
typedef struct {
    size_t width;
    double *q, *z, *through, *core, *value, *tau, *work; /* width × rows, columns, n, width; width each; LAPACK's own */
} workspace;

/* out ← (Sum·in) for each vector, Sum = Σ weight·to·fromᵀ. */
static void apply(const outer_sum *s, const double *from, size_t n_from, const double *to, size_t n_to, const double *in, workspace *w, double *out)
{
    int width = (int)w->width, n = (int)s->n;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, width, n, (int)n_from, 1, in, (int)n_from, from, (int)n_from, 0, w->through, n);
    for (size_t v = 0; v < w->width; v++)
        for (size_t a = 0; a < s->n; a++)
            w->through[v * s->n + a] *= s->weight[a];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, width, (int)n_to, n, 1, w->through, n, to, (int)n_to, 0, out, (int)n_to);
}

static void orthonormalise(double *block, size_t length, workspace *w)
{
    lapack_int rows = (lapack_int)length, width = (lapack_int)w->width;
    LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, width, block, rows, w->tau, w->work, BLOCK * width);
    LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, rows, width, width, block, rows, w->tau, w->work, BLOCK * width);
}

/* An orthonormal basis of the leading range into w->q, and Sumᵀ of it into w->z. */
static void find_range(const outer_sum *s, workspace *w)
{
    uint64_t state = 1;
    size_t rounds = w->width == s->rows ? 0 : ITERATIONS;
    for (size_t i = 0; i < w->width * s->columns; i++)
        w->z[i] = random_uniform(&state) - 0.5;
    for (size_t i = 0; i <= rounds; i++) {
        if (i > 0)
            orthonormalise(w->z, s->columns, w);
        apply(s, s->y, s->columns, s->x, s->rows, w->z, w, w->q);
        orthonormalise(w->q, s->rows, w);
        apply(s, s->x, s->rows, s->y, s->columns, w->q, w, w->z);
    }
}

/* out ← Σ_v factor[v]·block_v */
static void combine(const double *block, size_t length, const double *factor, const workspace *w, double *out)
{
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)w->width, (int)length, 1, block, (int)length, factor, 1, 0, out, 1);
}

classifier_status low_rank_fit(const outer_sum *s, size_t rank, double *value, double *left, double *right)
{
    size_t side = s->rows < s->columns ? s->rows : s->columns, width = rank + SPARE < side ? rank + SPARE : side;
    int symmetric = s->x == s->y, n = (int)width;
    workspace w = {.width = width};
    w.q = malloc(width * (s->rows + s->columns + s->n + width + 2 + BLOCK) * sizeof *w.q);
    if (!w.q)
        return CLASSIFIER_E_MEMORY;
    w.z = w.q + width * s->rows;
    w.through = w.z + width * s->columns;
    w.core = w.through + width * s->n;
    w.value = w.core + width * width;
    w.tau = w.value + width;
    w.work = w.tau + width;
    find_range(s, &w);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, (int)s->columns, 1, symmetric ? w.q : w.z, (int)s->columns, w.z, (int)s->columns, 0,
                w.core, n);
    if (LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'L', n, w.core, n, w.value, w.work, BLOCK * n) != 0) {
        free(w.q);
        return CLASSIFIER_E_DATA;
    }
    size_t low = 0, high = width; /* eigenvalues ascend: the largest in magnitude lie at the ends */
    for (size_t k = 0; k < rank; k++) {
        size_t at = fabs(w.value[low]) > fabs(w.value[high - 1]) ? low++ : --high;
        value[k] = symmetric ? w.value[at] : sqrt(fmax(w.value[at], 0));
        if (!(fabs(value[k]) > NEGLIGIBLE * fabs(value[0]))) {
            memset(left + k * s->rows, 0, s->rows * sizeof *left);
            if (right)
                memset(right + k * s->columns, 0, s->columns * sizeof *right);
            value[k] = 0;
            continue;
        }
        combine(w.q, s->rows, w.core + at * width, &w, left + k * s->rows);
        if (right) {
            combine(w.z, s->columns, w.core + at * width, &w, right + k * s->columns);
            cblas_dscal((int)s->columns, 1 / value[k], right + k * s->columns, 1);
        }
    }
    free(w.q);
    return CLASSIFIER_OK;
}
