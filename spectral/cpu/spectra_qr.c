/* spectra_qr.c - spectra from triangular factors: B = Q_B·R_B, Aᵀ = Q_A·R_A, and a one-sided Jacobi SVD of the core.
 *
 * No squares are taken, and the grading of the rank directions is kept, so that small σ come out with small relative
 * error where the factors determine them:
 *   - direction k of each factor is divided by its own power of two, which column-wise stable Householder QR does not
 *     notice, and the product of both powers returns as a diagonal D in C = R_B·D·R_Aᵀ;
 *   - directions are taken in descending order of ‖b_k‖·‖a_k‖. R_B and R_A are upper triangular, thus
 *     C_ij = Σ_{k ≥ max(i,j)}, and its rounding error is relative to D_max(i,j): graded like C itself;
 *   - dgejsv (JOBA = F) computes the σ of such matrices to high relative accuracy.
 *
 * At large ranks Jacobi's sweeps take minutes: above rank 512 cores go through a bidiagonal SVD (dgesvd, dqds), good to
 * eps·σ₁; above rank 128 where the factors were composed, which has lost those small σ to rounding.
 *
 * The QR is sequential TSQR: the triangle so far on top of the next rows. To rank 256 a stack of both goes to one dgeqrf;
 * above, dtpqrt folds a block at a time into the triangle, which needs neither the stack nor its zeros. The triangles take
 * the place of the Gram matrices, so that three r × r matrices live at once.
 *
 * Source: Demmel, Grigori, Hoemmen & Langou, Communication-optimal QR, 2012; Drmač & Veselić, New fast and accurate
 * Jacobi SVD algorithm, 2008.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/spectra.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Rank directions by log2 ‖b_k‖ + log2 ‖a_k‖, descending; equal ones keep their order. */
static void order_directions(const factors *f, size_t *perm)
{
    for (size_t k = 0; k < f->a.rank; k++) {
        double key = f->log2_a[k] + f->log2_b[k];
        size_t j = k;
        for (; j > 0 && f->log2_a[perm[j - 1]] + f->log2_b[perm[j - 1]] < key; j--)
            perm[j] = perm[j - 1];
        perm[j] = k;
    }
}

/* A direction that is exactly zero gets the exponent of the smallest other one: any would do, a large one would push
 * the rest towards underflow. */
static void exponents_of(const double *log2_norm, const size_t *perm, size_t r, int *exponent)
{
    double least = INFINITY;
    for (size_t k = 0; k < r; k++)
        if (isfinite(log2_norm[k]) && log2_norm[k] < least)
            least = log2_norm[k];
    for (size_t k = 0; k < r; k++) {
        double own = isfinite(log2_norm[perm[k]]) ? log2_norm[perm[k]] : isfinite(least) ? least : 0;
        exponent[k] = (int)floor(own);
    }
}

/* Rows [at, at + count) of the column-major stack from the converted block: columns permuted and divided by 2^exponent.
 * The exponents of float64 reach ±1074, past what one power of two can express: ldexp. */
static void stack_block(const panel *p, const panel_block *block, size_t count, const size_t *perm, const int *exponent,
                        double *stack, size_t at, size_t ld)
{
    const size_t rank_step = p->rank_major ? block->ld_rank_major : 1;
    const size_t length_step = p->rank_major ? 1 : block->ld_length_major;
    for (size_t k = 0; k < p->rank; k++) {
        const double *from = block->x + perm[k] * rank_step;
        double *to = stack + k * ld + at;
        const int half = exponent[k] / 2, rest = exponent[k] - half;
        const double first = ldexp(1, -half), second = ldexp(1, -rest);
        for (size_t l = 0; l < count; l++)
            to[l] = from[l * length_step] * first * second;
    }
}

/* R by stacks of the triangle and of at least 2·r fresh rows. */
static spectral_status triangle_by_stacks(const factors *f, const panel *p, const size_t *perm, const int *exponent,
                                          double *triangle)
{
    const size_t r = p->rank, blocks = (2 * r + f->block.length - 1) / f->block.length;
    const size_t fresh = blocks * f->block.length, ld = r + fresh, n_work = 64 * r;
    double *stack = scratch_take(f->s, ld * r, sizeof *stack), *tau = scratch_take(f->s, r, sizeof *tau);
    double *work = scratch_take(f->s, n_work, sizeof *work);
    if (stack == NULL || tau == NULL || work == NULL)
        return SPECTRAL_E_MEMORY;
    size_t height = 0; /* rows of the stack */
    for (size_t first = 0; first < p->length;) {
        while (first < p->length && height + f->block.length <= ld) {
            size_t count = smallest(p->length - first, f->block.length);
            panel_convert(f->kernels, p, first, count, &f->block, NULL);
            stack_block(p, &f->block, count, perm, exponent, stack, height, ld);
            height += count;
            first += count;
        }
        if (LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, (lapack_int)height, (lapack_int)r, stack, (lapack_int)ld, tau, work,
                                (lapack_int)n_work) != 0)
            return SPECTRAL_E_CONVERGENCE;
        height = smallest(height, r);
        for (size_t j = 0; j < r; j++)
            for (size_t i = 0; i < r; i++) {
                triangle[j * r + i] = i <= j && i < height ? stack[j * ld + i] : 0;
                if (i < height)
                    stack[j * ld + i] = triangle[j * r + i];
            }
    }
    return SPECTRAL_OK;
}

/* R by folding one block after the other into it. Fewer rows than r leave rounding behind them, which is none of theirs. */
static spectral_status triangle_by_folding(const factors *f, const panel *p, const size_t *perm, const int *exponent,
                                           double *triangle)
{
    enum { COLUMNS = 32 }; /* of one reflector block */
    const size_t r = p->rank, ld = f->block.length;
    double *rows = scratch_take(f->s, ld * r, sizeof *rows), *t = scratch_take(f->s, COLUMNS * r, sizeof *t);
    double *work = scratch_take(f->s, COLUMNS * r, sizeof *work);
    if (rows == NULL || t == NULL || work == NULL)
        return SPECTRAL_E_MEMORY;
    for (size_t first = 0; first < p->length; first += ld) {
        const size_t count = smallest(p->length - first, ld);
        panel_convert(f->kernels, p, first, count, &f->block, NULL);
        stack_block(p, &f->block, count, perm, exponent, rows, 0, ld);
        if (LAPACKE_dtpqrt_work(LAPACK_COL_MAJOR, (lapack_int)count, (lapack_int)r, 0, COLUMNS, triangle, (lapack_int)r, rows,
                                (lapack_int)ld, t, COLUMNS, work) != 0)
            return SPECTRAL_E_CONVERGENCE;
    }
    for (size_t j = p->length; j < r; j++)
        memset(triangle + j * r + p->length, 0, (j - p->length + 1) * sizeof *triangle);
    return SPECTRAL_OK;
}

/* R of the panel's transpose (length × rank), r × r upper triangular with zeros elsewhere. */
static spectral_status triangle_of(const factors *f, const panel *stored, const size_t *perm, const int *exponent,
                                   double *triangle)
{
    const scratch_place place = scratch_mark(f->s);
    const size_t r = stored->rank;
    panel p = *stored;
    p.exponent = 0;
    memset(triangle, 0, r * r * sizeof *triangle);
    spectral_status status = (r > SPECTRA_STACKED ? triangle_by_folding : triangle_by_stacks)(f, &p, perm, exponent, triangle);
    scratch_release(f->s, place);
    return status;
}

/* C = R_B·D·R_Aᵀ, by panels of its rows. */
static spectral_status form_core(const factors *f, const qr_core *core)
{
    const size_t r = f->a.rank, height = r > SPECTRA_STACKED ? SPECTRA_CORE_PANEL : r;
    const scratch_place place = scratch_mark(f->s);
    double *weighted = scratch_take(f->s, height * r, sizeof *weighted);
    if (weighted == NULL)
        return SPECTRAL_E_MEMORY;
    for (size_t first = 0; first < r; first += height) {
        const size_t rows = smallest(height, r - first);
        for (size_t k = 0; k < r; k++) {
            double d = ldexp(1, core->exponent_a[k] + core->exponent_b[k] - core->exponent);
            bool zero = isinf(f->log2_a[core->perm[k]]) || isinf(f->log2_b[core->perm[k]]);
            for (size_t i = 0; i < rows; i++)
                weighted[k * rows + i] = zero ? 0 : core->r_b[k * r + first + i] * d;
        }
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, (int)rows, (int)r, (int)r, 1, weighted, (int)rows, core->r_a,
                    (int)r, 0, core->core + first, (int)r);
    }
    scratch_release(f->s, place);
    return SPECTRAL_OK;
}

spectral_status qr_core_create(const factors *f, qr_core *out)
{
    const size_t r = f->a.rank;
    *out = (qr_core){.perm = scratch_take(f->s, r, sizeof(size_t)),
                     .exponent_a = scratch_take(f->s, r, sizeof(int)),
                     .exponent_b = scratch_take(f->s, r, sizeof(int)),
                     .r_a = f->pass_a.gram,
                     .r_b = f->pass_b.gram};
    if (!out->perm || !out->exponent_a || !out->exponent_b)
        return SPECTRAL_E_MEMORY;
    order_directions(f, out->perm);
    exponents_of(f->log2_a, out->perm, r, out->exponent_a);
    exponents_of(f->log2_b, out->perm, r, out->exponent_b);
    spectral_status status = triangle_of(f, &f->b, out->perm, out->exponent_b, out->r_b);
    if (status == SPECTRAL_OK)
        status = triangle_of(f, &f->a, out->perm, out->exponent_a, out->r_a);
    if (status != SPECTRAL_OK)
        return status;
    if ((out->core = scratch_take(f->s, r * r, sizeof(double))) == NULL)
        return SPECTRAL_E_MEMORY;
    out->exponent = out->exponent_a[0] + out->exponent_b[0]; /* the largest, but for factors of two */
    return form_core(f, out);
}

/* σ of the leading p × q part of x (r × r, column-major; destroyed), descending, zeros behind min(p, q). */
static spectral_status jacobi_values(scratch *s, double *x, size_t r, size_t p, size_t q, double *sigma)
{
    memset(sigma, 0, r * sizeof *sigma);
    if (cblas_dnrm2((int)(r * r), x, 1) == 0)
        return SPECTRAL_OK;
    if (p < q) { /* dgejsv wants at least as many rows as columns */
        for (size_t j = 0; j < r; j++)
            for (size_t i = 0; i < j; i++) {
                double t = x[j * r + i];
                x[j * r + i] = x[i * r + j];
                x[i * r + j] = t;
            }
        size_t t = p;
        p = q;
        q = t;
    }
    const size_t n_work = 2 * p + 70 * q + 7;
    double *work = scratch_take(s, n_work, sizeof *work);
    lapack_int *iwork = scratch_take(s, p + 3 * q + 8, sizeof *iwork);
    if (work == NULL || iwork == NULL)
        return SPECTRAL_E_MEMORY;
    double none[1];
    if (LAPACKE_dgejsv_work(LAPACK_COL_MAJOR, 'F', 'N', 'N', 'N', 'N', 'N', (lapack_int)p, (lapack_int)q, x,
                            (lapack_int)r, sigma, none, 1, none, 1, work, (lapack_int)n_work, iwork) != 0)
        return SPECTRAL_E_CONVERGENCE;
    if (work[0] != work[1])
        for (size_t i = 0; i < q; i++)
            sigma[i] *= work[1] / work[0];
    return SPECTRAL_OK;
}

/* The same by bidiagonalisation. */
static spectral_status bidiagonal_values(scratch *s, double *x, size_t r, size_t p, size_t q, double *sigma)
{
    const size_t n_work = 5 * r + 64 * 2 * r;
    double *work = scratch_take(s, n_work, sizeof *work), none[1];
    if (work == NULL)
        return SPECTRAL_E_MEMORY;
    memset(sigma, 0, r * sizeof *sigma);
    return LAPACKE_dgesvd_work(LAPACK_COL_MAJOR, 'N', 'N', (lapack_int)p, (lapack_int)q, x, (lapack_int)r, sigma, none, 1,
                               none, 1, work, (lapack_int)n_work) == 0
               ? SPECTRAL_OK
               : SPECTRAL_E_CONVERGENCE;
}

static spectral_status core_values(const factors *f, double *x, size_t p, size_t q, double *sigma)
{
    enum { LARGE = 128, LARGE_STORED = 512 };
    const size_t r = f->a.rank;
    const scratch_place place = scratch_mark(f->s);
    spectral_status status = r > (f->composed ? LARGE : LARGE_STORED) ? bidiagonal_values(f->s, x, r, p, q, sigma)
                                                                      : jacobi_values(f->s, x, r, p, q, sigma);
    scratch_release(f->s, place);
    return status;
}

/* The directions get their powers of two back, relative to the largest. */
static void scale_columns(double *triangle, const int *exponent, size_t r, int *common)
{
    *common = exponent[0];
    for (size_t k = 1; k < r; k++)
        *common = exponent[k] > *common ? exponent[k] : *common;
    for (size_t k = 0; k < r; k++)
        cblas_dscal((int)r, ldexp(1, exponent[k] - *common), triangle + k * r, 1);
}

/* σ of one factor from its triangle. */
static spectral_status factor_values(const factors *f, double *triangle, const int *exponent, size_t length,
                                     double *sigma, int *common)
{
    const size_t r = f->a.rank;
    scale_columns(triangle, exponent, r, common);
    return core_values(f, triangle, smallest(length, r), r, sigma);
}

/* Column k of each triangle is off by c·eps of its norm (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
 * 19.3), so that ‖B·A‖_F is off by at most 2c·eps·Σ_k ‖b_k‖·‖a_k‖. The roundings of m + n rows and of the steps of TSQR
 * add up like a random walk: measured on factors that cancel exactly, 2c is at most 1.3 at m + n = 11, 4.2 at 512, 10 at
 * 7000 and 21 at 20003. The bound is twice that or more everywhere. */
bool spectra_cancelled(const factors *f, double frobenius, int exponent)
{
    const double c = 16 + 0.25 * sqrt((double)f->a.length + (double)f->b.length);
    double sum = 0;
    for (size_t k = 0; k < f->a.rank; k++)
        sum += exp2(f->log2_a[k] + f->log2_b[k] - exponent);
    return frobenius <= c * DBL_EPSILON * sum;
}

static spectral_status alone_from_qr(const factors *f, spectra *out)
{
    const size_t r = f->a.rank;
    size_t *order = scratch_take(f->s, r, sizeof *order);
    int *exponent = scratch_take(f->s, r, sizeof *exponent);
    double *triangle = f->pass_a.gram;
    if (order == NULL || exponent == NULL)
        return SPECTRAL_E_MEMORY;
    for (size_t k = 0; k < r; k++)
        order[k] = k;
    exponents_of(f->log2_a, order, r, exponent);
    spectral_status status = triangle_of(f, &f->a, order, exponent, triangle);
    if (status != SPECTRAL_OK)
        return status;
    scale_columns(triangle, exponent, r, &out->exponent);
    out->frobenius = cblas_dnrm2((int)(r * r), triangle, 1);
    if ((status = core_values(f, triangle, r, r, out->sigma)) != SPECTRAL_OK)
        return status;
    out->trusted = true;
    spectra_take_alone(f, out);
    return SPECTRAL_OK;
}

spectral_status spectra_from_qr(const factors *f, spectra *out)
{
    if (f->alone)
        return alone_from_qr(f, out);
    const size_t r = f->a.rank;
    qr_core core;
    spectral_status status = qr_core_create(f, &core);
    if (status != SPECTRAL_OK)
        return status;
    out->exponent = core.exponent;
    out->frobenius = cblas_dnrm2((int)(r * r), core.core, 1);
    status = core_values(f, core.core, smallest(f->b.length, r), smallest(f->a.length, r), out->sigma);
    if (status == SPECTRAL_OK)
        status = factor_values(f, core.r_a, core.exponent_a, f->a.length, out->sigma_a, &out->exponent_a);
    if (status == SPECTRAL_OK)
        status = factor_values(f, core.r_b, core.exponent_b, f->b.length, out->sigma_b, &out->exponent_b);
    out->trusted = status == SPECTRAL_OK;
    return status;
}
