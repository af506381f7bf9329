/* module_left.c - the leading left singular vector of ΔW.
 *
 *     A = S·Q, S = V·Λ^½ from G_A = V·Λ·Vᵀ, Q with orthonormal rows  ⇒  u₁ = B·S·w / σ₁,
 *     w the leading eigenvector of Sᵀ·G_B·S
 *
 * which needs no positive definite G_A. Above rank 256, where all eigenvectors take seconds, S is the Cholesky factor of G_A, of
 * G_A + r·eps·max(diagonal)·I where G_A has none, and only w is computed. Of a full matrix ΔW/s it is the leading eigenvector of its Gram matrix, times ΔW where
 * that is the Gram matrix of the columns. Where the factors cancel, the leading right singular vector v of the QR core
 * takes its place: u₁ ∝ B·(Aᵀ's triangle)ᵀ·v.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/module.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Eigenvectors in the columns of x (in: symmetric, column-major), λ ascending. */
static spectral_status eigenvectors(scratch *s, double *x, size_t r, double *lambda)
{
    const size_t n_work = 68 * r;
    const scratch_place place = scratch_mark(s);
    double *work = scratch_take(s, n_work, sizeof *work);
    if (work == NULL)
        return SPECTRAL_E_MEMORY;
    lapack_int info = LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)r, x, (lapack_int)r, lambda, work,
                                         (lapack_int)n_work);
    scratch_release(s, place);
    return info == 0 ? SPECTRAL_OK : SPECTRAL_E_CONVERGENCE;
}

/* y (rank) with u₁ ∝ B·y, and σ₁ of B·A as sigma · 2^exponent. */
static spectral_status coefficients_from_gram(const factors *f, double *y, double *sigma, int *exponent)
{
    const size_t r = f->a.rank;
    const lapack_int ri = (lapack_int)r;
    double *root = f->pass_a.gram, *x = f->pass_b.gram; /* each takes the place of its Gram matrix */
    double *half = scratch_take(f->s, r * r, sizeof *half), *lambda = scratch_take(f->s, r, sizeof *lambda);
    if (half == NULL || lambda == NULL)
        return SPECTRAL_E_MEMORY;
    gram_pack(root, r);
    gram_pack(x, r);
    spectral_status status = eigenvectors(f->s, root, r, lambda);
    if (status != SPECTRAL_OK)
        return status;
    for (size_t k = 0; k < r; k++)
        cblas_dscal(ri, lambda[k] > 0 ? sqrt(lambda[k]) : 0, root + k * r, 1);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, ri, ri, ri, 1, x, ri, root, ri, 0, half, ri);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, ri, ri, ri, 1, root, ri, half, ri, 0, x, ri);
    status = eigenvectors(f->s, x, r, lambda);
    if (status != SPECTRAL_OK)
        return status;
    cblas_dgemv(CblasColMajor, CblasNoTrans, ri, ri, 1, root, ri, x + (r - 1) * r, 1, 0, y, 1);
    *sigma = lambda[r - 1] > 0 ? sqrt(lambda[r - 1]) : 0;
    *exponent = f->a.exponent + f->b.exponent;
    return SPECTRAL_OK;
}

/* The leading eigenvector of a symmetric matrix (destroyed) alone, and its eigenvalue. */
static spectral_status leading_eigenvector(scratch *s, double *x, size_t r, double *vector, double *value)
{
    const size_t n_work = 26 * r + 64 * r, n_iwork = 10 * r;
    const lapack_int ri = (lapack_int)r;
    const scratch_place place = scratch_mark(s);
    double *lambda = scratch_take(s, r, sizeof *lambda), *work = scratch_take(s, n_work, sizeof *work);
    lapack_int *iwork = scratch_take(s, n_iwork, sizeof *iwork), found, support[2];
    if (lambda == NULL || work == NULL || iwork == NULL)
        return SPECTRAL_E_MEMORY;
    if (LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', ri, x, ri, 0, 0, ri, ri, 0, &found, lambda, vector, ri, support,
                            work, (lapack_int)n_work, iwork, (lapack_int)n_iwork) != 0 ||
        found != 1)
        return SPECTRAL_E_CONVERGENCE;
    *value = lambda[0];
    scratch_release(s, place);
    return SPECTRAL_OK;
}

static spectral_status coefficients_from_cholesky(const factors *f, double *y, double *sigma, int *exponent)
{
    const size_t r = f->a.rank;
    const lapack_int ri = (lapack_int)r;
    double *l = f->pass_a.gram, *x = f->pass_b.gram, *diagonal = scratch_take(f->s, r, sizeof *diagonal), largest = 0, value;
    if (diagonal == NULL)
        return SPECTRAL_E_MEMORY;
    gram_pack(l, r);
    gram_pack(x, r);
    cblas_dcopy(ri, l, ri + 1, diagonal, 1);
    for (size_t k = 0; k < r; k++)
        largest = diagonal[k] > largest ? diagonal[k] : largest;
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', ri, l, ri) != 0) {
        for (size_t j = 0; j < r; j++) { /* the upper triangle is as it was */
            l[j * r + j] = diagonal[j] + (double)r * DBL_EPSILON * largest;
            for (size_t i = 0; i < j; i++)
                l[i * r + j] = l[j * r + i];
        }
        if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', ri, l, ri) != 0)
            return SPECTRAL_E_CONVERGENCE;
    }
    cblas_dtrmm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, ri, ri, 1, l, ri, x, ri);
    cblas_dtrmm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, ri, ri, 1, l, ri, x, ri);
    spectral_status status = leading_eigenvector(f->s, x, r, y, &value);
    if (status != SPECTRAL_OK)
        return status;
    cblas_dtrmv(CblasColMajor, CblasLower, CblasNoTrans, CblasNonUnit, ri, l, ri, y, 1);
    *sigma = value > 0 ? sqrt(value) : 0;
    *exponent = f->a.exponent + f->b.exponent;
    return SPECTRAL_OK;
}

/* No other eigenvector of G_A is computed: the rank may be that of a full matrix. */
static spectral_status coefficients_alone(const factors *f, double *y, double *sigma, int *exponent)
{
    double value;
    gram_pack(f->pass_a.gram, f->a.rank);
    spectral_status status = leading_eigenvector(f->s, f->pass_a.gram, f->a.rank, y, &value);
    if (status != SPECTRAL_OK)
        return status;
    *sigma = value > 0 ? sqrt(value) : 0;
    *exponent = f->a.exponent;
    return SPECTRAL_OK;
}

static spectral_status coefficients_from_qr(const factors *f, double *y, double *sigma, int *exponent)
{
    const size_t r = f->a.rank, n_work = 5 * r + 64 * 2 * r;
    const lapack_int ri = (lapack_int)r;
    qr_core core;
    spectral_status status = qr_core_create(f, &core);
    if (status != SPECTRAL_OK)
        return status;
    double *right = core.core, *values = scratch_take(f->s, r, sizeof *values);
    double *work = scratch_take(f->s, n_work, sizeof *work), *z = scratch_take(f->s, r, sizeof *z), none[1];
    if (values == NULL || work == NULL || z == NULL)
        return SPECTRAL_E_MEMORY;
    if (LAPACKE_dgesvd_work(LAPACK_COL_MAJOR, 'N', 'O', ri, ri, right, ri, values, none, 1, none, 1, work,
                            (lapack_int)n_work) != 0)
        return SPECTRAL_E_CONVERGENCE;
    cblas_dgemv(CblasColMajor, CblasTrans, ri, ri, 1, core.r_a, ri, right, ri, 0, z, 1);
    int largest = core.exponent_a[0];
    for (size_t k = 1; k < r; k++)
        largest = core.exponent_a[k] > largest ? core.exponent_a[k] : largest;
    for (size_t k = 0; k < r; k++)
        y[core.perm[k]] = ldexp(z[k], core.exponent_a[k] - largest);
    if (spectra_cancelled(f, cblas_dnrm2(ri, values, 1), core.exponent))
        return SPECTRAL_E_SHAPE;
    *sigma = values[0];
    *exponent = core.exponent;
    return SPECTRAL_OK;
}

/* u to unit length and with its largest entry positive; false when it is zero. */
static bool normalise(double *u, size_t m)
{
    double peak = 0, squares = 0;
    for (size_t i = 0; i < m; i++)
        peak = fabs(u[i]) > fabs(peak) ? u[i] : peak;
    if (peak == 0)
        return false;
    for (size_t i = 0; i < m; i++)
        squares += u[i] / peak * (u[i] / peak);
    for (size_t i = 0; i < m; i++)
        u[i] = u[i] / peak / sqrt(squares);
    return true;
}

/* u = X·y for a panel of length × rank. */
static void combine_columns(const factors *f, const panel *b, const double *y, double *u)
{
    const size_t rank_step = b->rank_major ? f->block.ld_rank_major : 1;
    const size_t length_step = b->rank_major ? 1 : f->block.ld_length_major;
    for (size_t first = 0; first < b->length; first += f->block.length) {
        size_t count = b->length - first < f->block.length ? b->length - first : f->block.length;
        panel_convert(f->kernels, b, first, count, &f->block, NULL);
        for (size_t l = 0; l < count; l++) {
            double sum = 0;
            for (size_t k = 0; k < b->rank; k++)
                sum += f->block.x[k * rank_step + l * length_step] * y[k];
            u[first + l] = sum;
        }
    }
}

spectral_status module_leading(const factors *f, double *vector, double *sigma, int *exponent)
{
    enum { LARGE = 256 };
    const double cancelling = 1e4; /* ‖G_A‖·‖G_B‖ / ‖B·A‖²: four of the sixteen digits */
    const size_t r = f->a.rank;
    double *y = scratch_take(f->s, r, sizeof *y);
    if (module_is_zero(f))
        return SPECTRAL_E_SHAPE;
    if (y == NULL)
        return SPECTRAL_E_MEMORY;
    spectral_status status;
    if (f->alone)
        status = coefficients_alone(f, y, sigma, exponent);
    else if (gram_norm(f->pass_a.gram, r) * gram_norm(f->pass_b.gram, r) <
             cancelling * gram_trace_product(f->pass_a.gram, f->pass_b.gram, r))
        status = (r > LARGE ? coefficients_from_cholesky : coefficients_from_gram)(f, y, sigma, exponent);
    else
        status = coefficients_from_qr(f, y, sigma, exponent);
    if (status != SPECTRAL_OK)
        return status;
    *exponent += f->shift_a + f->shift_b;
    if (f->alone && r == f->m)
        memcpy(vector, y, r * sizeof *y);
    else
        combine_columns(f, f->alone ? &f->a : &f->b, y, vector);
    return normalise(vector, f->m) ? SPECTRAL_OK : SPECTRAL_E_SHAPE;
}

static spectral_status left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1)
{
    factors f;
    composition c;
    structure_plan plan;
    uint64_t n_a, n_b;
    spectral_status status = module_check(input->module, &plan);
    if (status != SPECTRAL_OK)
        return status;
    status = module_read(worker, input, &plan, 0, 0, &f, NULL, &c, &n_a, &n_b);
    if (status != SPECTRAL_OK)
        return status;
    if (input->module->scale == 0)
        return SPECTRAL_E_SHAPE;
    double *vector = scratch_take(f.s, f.m, sizeof *vector), sigma;
    int exponent, scale_exponent;
    if (vector == NULL)
        return SPECTRAL_E_MEMORY;
    if ((status = module_leading(&f, vector, &sigma, &exponent)) != SPECTRAL_OK)
        return status;
    const double factor = fabs(frexp(input->module->scale, &scale_exponent));
    const double first = ldexp(sigma * factor, exponent + scale_exponent);
    if (!isfinite(first))
        return SPECTRAL_E_NONFINITE;
    if (first == 0)
        return SPECTRAL_E_SHAPE;
    memcpy(u, vector, f.m * sizeof *u);
    *sigma1 = first;
    return SPECTRAL_OK;
}

spectral_status module_left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1)
{
    const bool kronecker = input->module->extra != NULL && input->module->extra->structure == SPECTRAL_KRONECKER;
    module_worker_begin(worker, input->module, NULL);
    spectral_status status = (kronecker ? kronecker_left_vector : left_vector)(worker, input, u, sigma1);
    module_worker_end(worker);
    return status;
}
