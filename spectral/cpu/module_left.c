/* module_left.c - the leading left singular vector of ΔW.
 *
 *     A = S·Q, S = V·Λ^½ from G_A = V·Λ·Vᵀ, Q with orthonormal rows  ⇒  u₁ = B·S·w / σ₁,
 *     w the leading eigenvector of Sᵀ·G_B·S
 *
 * which needs no positive definite G_A. Where the factors cancel, the leading right singular vector v of the QR core
 * takes its place: u₁ ∝ B·(Aᵀ's triangle)ᵀ·v.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/module.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Eigenvectors in the columns of x (in: symmetric, column-major), λ ascending. */
static spectral_status eigenvectors(scratch *s, double *x, size_t r, double *lambda)
{
    const size_t n_work = 68 * r;
    double *work = scratch_take(s, n_work, sizeof *work);
    if (work == NULL)
        return SPECTRAL_E_MEMORY;
    lapack_int info = LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)r, x, (lapack_int)r, lambda, work,
                                         (lapack_int)n_work);
    return info == 0 ? SPECTRAL_OK : SPECTRAL_E_CONVERGENCE;
}

/* y (rank) with u₁ ∝ B·y, and σ₁ of B·A as sigma · 2^exponent. */
static spectral_status coefficients_from_gram(const factors *f, double *y, double *sigma, int *exponent)
{
    const size_t r = f->a.rank, ld = kernel_padded(r);
    const lapack_int ri = (lapack_int)r;
    double *root = scratch_take(f->s, r * r, sizeof *root), *x = scratch_take(f->s, r * r, sizeof *x);
    double *half = scratch_take(f->s, r * r, sizeof *half), *lambda = scratch_take(f->s, r, sizeof *lambda);
    if (root == NULL || x == NULL || half == NULL || lambda == NULL)
        return SPECTRAL_E_MEMORY;
    for (size_t k = 0; k < r; k++)
        memcpy(root + k * r, f->pass_a.gram + k * ld, r * sizeof *root);
    spectral_status status = eigenvectors(f->s, root, r, lambda);
    if (status != SPECTRAL_OK)
        return status;
    for (size_t k = 0; k < r; k++)
        cblas_dscal(ri, lambda[k] > 0 ? sqrt(lambda[k]) : 0, root + k * r, 1);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, ri, ri, ri, 1, f->pass_b.gram, (lapack_int)ld, root, ri, 0,
                half, ri);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, ri, ri, ri, 1, root, ri, half, ri, 0, x, ri);
    status = eigenvectors(f->s, x, r, lambda);
    if (status != SPECTRAL_OK)
        return status;
    cblas_dgemv(CblasColMajor, CblasNoTrans, ri, ri, 1, root, ri, x + (r - 1) * r, 1, 0, y, 1);
    *sigma = lambda[r - 1] > 0 ? sqrt(lambda[r - 1]) : 0;
    *exponent = f->a.exponent + f->b.exponent;
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
    double *right = scratch_take(f->s, r * r, sizeof *right), *values = scratch_take(f->s, r, sizeof *values);
    double *work = scratch_take(f->s, n_work, sizeof *work), *z = scratch_take(f->s, r, sizeof *z), none[1];
    if (right == NULL || values == NULL || work == NULL || z == NULL)
        return SPECTRAL_E_MEMORY;
    if (LAPACKE_dgesvd_work(LAPACK_COL_MAJOR, 'N', 'A', ri, ri, core.core, ri, values, none, 1, right, ri, work,
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

/* u = B·y, of unit length and with its largest entry positive; false when it is zero. */
static bool combine_columns(const factors *f, const double *y, double *u)
{
    const panel *b = &f->b;
    const size_t rank_step = b->rank_major ? f->block.ld_rank_major : 1;
    const size_t length_step = b->rank_major ? 1 : f->block.ld_length_major;
    double peak = 0;
    for (size_t first = 0; first < b->length; first += f->block.length) {
        size_t count = b->length - first < f->block.length ? b->length - first : f->block.length;
        panel_convert(f->kernels, b, first, count, &f->block, NULL);
        for (size_t l = 0; l < count; l++) {
            double sum = 0;
            for (size_t k = 0; k < b->rank; k++)
                sum += f->block.x[k * rank_step + l * length_step] * y[k];
            u[first + l] = sum;
            peak = fabs(sum) > fabs(peak) ? sum : peak;
        }
    }
    if (peak == 0)
        return false;
    double squares = 0;
    for (size_t i = 0; i < b->length; i++)
        squares += u[i] / peak * (u[i] / peak);
    for (size_t i = 0; i < b->length; i++)
        u[i] = u[i] / peak / sqrt(squares);
    return true;
}

spectral_status module_left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1)
{
    const double cancelling = 1e4; /* ‖G_A‖·‖G_B‖ / ‖B·A‖²: four of the sixteen digits */
    factors f;
    uint64_t n_a, n_b;
    spectral_status status = module_read(worker, input, 0, 0, &f, NULL, &n_a, &n_b);
    if (status != SPECTRAL_OK)
        return status;
    if (input->module->scale == 0 || module_is_zero(&f))
        return SPECTRAL_E_SHAPE;
    const size_t r = f.a.rank;
    double *y = scratch_take(f.s, r, sizeof *y), *vector = scratch_take(f.s, f.b.length, sizeof *vector);
    if (y == NULL || vector == NULL)
        return SPECTRAL_E_MEMORY;
    double size = gram_norm(f.pass_a.gram, r) * gram_norm(f.pass_b.gram, r), sigma;
    int exponent, scale_exponent;
    status = size < cancelling * gram_trace_product(f.pass_a.gram, f.pass_b.gram, r)
                 ? coefficients_from_gram(&f, y, &sigma, &exponent)
                 : coefficients_from_qr(&f, y, &sigma, &exponent);
    if (status != SPECTRAL_OK)
        return status;
    if (!combine_columns(&f, y, vector))
        return SPECTRAL_E_SHAPE;
    const double factor = fabs(frexp(input->module->scale, &scale_exponent));
    const double first = ldexp(sigma * factor, exponent + scale_exponent);
    if (!isfinite(first))
        return SPECTRAL_E_NONFINITE;
    if (first == 0)
        return SPECTRAL_E_SHAPE;
    memcpy(u, vector, f.b.length * sizeof *u);
    *sigma1 = first;
    return SPECTRAL_OK;
}
