/* spectra_gram.c - spectra from Gram matrices: eigenvalues of G_A, G_B and Lᵀ·G_B·L with G_A = L·Lᵀ.
 *
 * Errors of the eigenvalues are absolute, c·eps·λ₁, so that σ_k = √λ_k has the error c·eps·σ₁²/(2σ_k): eight digits are
 * left of σ_k = 1e-8·σ₁·√c. For ΔW the error is relative to ‖G_A‖·‖G_B‖, which exceeds σ₁² where the factors cancel.
 * The path is trusted only where that first-order bound stays below SPECTRA_TOLERANCE for the smallest σ wanted.
 *
 * Source: Golub & Van Loan, Matrix Computations, 8.6.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/spectra.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Column-major r × r matrices without padding, for LAPACK. A symmetric one is its own transpose. */
static void copy_packed(double *to, const double *gram, size_t r)
{
    for (size_t k = 0; k < r; k++)
        memcpy(to + k * r, gram + k * kernel_padded(r), r * sizeof *to);
}

/* σ = √λ of a symmetric positive semidefinite matrix (destroyed), descending, n_wanted of them, zeros behind. */
static spectral_status root_eigenvalues(double *x, size_t r, size_t n_wanted, double *work, size_t n_work,
                                        double *sigma)
{
    double *lambda = work; /* ascending */
    if (LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'N', 'L', (lapack_int)r, x, (lapack_int)r, lambda, work + r,
                           (lapack_int)(n_work - r)) != 0)
        return SPECTRAL_E_CONVERGENCE;
    for (size_t k = 0; k < r; k++)
        sigma[k] = k < n_wanted && lambda[r - 1 - k] > 0 ? sqrt(lambda[r - 1 - k]) : 0;
    return SPECTRAL_OK;
}

/* Whether c·eps·size/(2σ_last) ≤ tolerance·σ₁: the first-order error of the last wanted σ for a perturbation of λ by
 * c·eps·size. A matrix of zeros is exact. */
static bool error_is_small(const double *sigma, size_t n_wanted, double size)
{
    enum { ROUNDING = 8 };
    double first = sigma[0], last = sigma[n_wanted - 1];
    if (size == 0)
        return true;
    return ROUNDING * DBL_EPSILON * size <= 2 * SPECTRA_TOLERANCE * first * last && last >= 1e-5 * first;
}

spectral_status spectra_from_gram(const factors *f, bool zero_update, spectra *out)
{
    const size_t r = f->a.rank, m = f->b.length, n = f->a.length, n_work = 68 * r;
    const lapack_int ri = (lapack_int)r;
    double *l = scratch_take(f->s, r * r, sizeof *l), *x = scratch_take(f->s, r * r, sizeof *x);
    double *work = scratch_take(f->s, n_work, sizeof *work);
    if (l == NULL || x == NULL || work == NULL)
        return SPECTRAL_E_MEMORY;
    const double norm_a = gram_norm(f->pass_a.gram, r), norm_b = gram_norm(f->pass_b.gram, r);
    *out = (spectra){.sigma = out->sigma, .sigma_a = out->sigma_a, .sigma_b = out->sigma_b,
                     .exponent = f->a.exponent + f->b.exponent, .exponent_a = f->a.exponent,
                     .exponent_b = f->b.exponent};
    memset(out->sigma, 0, r * sizeof(double));

    spectral_status status;
    copy_packed(x, f->pass_a.gram, r);
    if ((status = root_eigenvalues(x, r, smallest(r, n), work, n_work, out->sigma_a)) != SPECTRAL_OK)
        return status;
    copy_packed(x, f->pass_b.gram, r);
    if ((status = root_eigenvalues(x, r, smallest(r, m), work, n_work, out->sigma_b)) != SPECTRAL_OK)
        return status;
    bool trusted = error_is_small(out->sigma_a, smallest(r, n), norm_a) &&
                   error_is_small(out->sigma_b, smallest(r, m), norm_b);
    if (zero_update || !trusted) {
        out->trusted = trusted;
        return SPECTRAL_OK;
    }

    copy_packed(l, f->pass_a.gram, r);
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', ri, l, ri) != 0)
        return SPECTRAL_OK; /* not trusted */
    copy_packed(x, f->pass_b.gram, r);
    cblas_dtrmm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, ri, ri, 1, l, ri, x, ri);
    cblas_dtrmm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, ri, ri, 1, l, ri, x, ri);
    const size_t n_wanted = smallest(r, smallest(m, n));
    if ((status = root_eigenvalues(x, r, n_wanted, work, n_work, out->sigma)) != SPECTRAL_OK)
        return status;
    double square = gram_trace_product(f->pass_a.gram, f->pass_b.gram, r);
    out->frobenius = square > 0 ? sqrt(square) : 0;
    out->trusted = error_is_small(out->sigma, n_wanted, norm_a * norm_b) &&
                   norm_a * norm_b < 1e5 * square;
    return SPECTRAL_OK;
}
