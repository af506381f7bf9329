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

/* All is done where the Gram matrices lie: both triangles of one are the same, LAPACK works in the lower (column-major), and
 * the upper and a copy of the diagonal give it back. */

/* σ = √λ of a symmetric positive semidefinite matrix (its lower triangle is destroyed), descending, n_wanted of them, zeros
 * behind. work: 68·r. */
static spectral_status root_eigenvalues(double *gram, size_t r, size_t n_wanted, double *work, double *sigma)
{
    double *lambda = work; /* ascending */
    if (LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'N', 'L', (lapack_int)r, gram, (lapack_int)r, lambda, work + r,
                           (lapack_int)(67 * r)) != 0)
        return SPECTRAL_E_CONVERGENCE;
    for (size_t k = 0; k < r; k++)
        sigma[k] = k < n_wanted && lambda[r - 1 - k] > 0 ? sqrt(lambda[r - 1 - k]) : 0;
    return SPECTRAL_OK;
}

/* The same, and the matrix is whole again. work: 69·r. */
static spectral_status factor_values(double *gram, size_t r, size_t n_wanted, double *work, double *sigma)
{
    double *diagonal = work + 68 * r;
    for (size_t k = 0; k < r; k++)
        diagonal[k] = gram[k * r + k];
    spectral_status status = root_eigenvalues(gram, r, n_wanted, work, sigma);
    for (size_t j = 0; j < r; j++) {
        gram[j * r + j] = diagonal[j];
        for (size_t i = 0; i < j; i++)
            gram[i * r + j] = gram[j * r + i];
    }
    return status;
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

/* σ(ΔW/s) = σ(A) where B is the identity: one eigenproblem, no products. */
static spectral_status alone_from_gram(const factors *f, spectra *out)
{
    const size_t r = f->a.rank;
    double *work = scratch_take(f->s, 68 * r, sizeof *work), square = 0;
    if (work == NULL)
        return SPECTRAL_E_MEMORY;
    const double norm = gram_norm(f->pass_a.gram, r);
    for (size_t k = 0; k < r; k++)
        square += f->pass_a.gram[k * kernel_padded(r) + k];
    gram_pack(f->pass_a.gram, r);
    spectral_status status = root_eigenvalues(f->pass_a.gram, r, r, work, out->sigma);
    if (status != SPECTRAL_OK)
        return status;
    out->frobenius = sqrt(square);
    out->exponent = f->a.exponent;
    out->trusted = error_is_small(out->sigma, r, norm);
    spectra_take_alone(f, out);
    return SPECTRAL_OK;
}

spectral_status spectra_from_gram(const factors *f, bool zero_update, spectra *out)
{
    if (f->alone)
        return alone_from_gram(f, out);
    const size_t r = f->a.rank, m = f->b.length, n = f->a.length;
    const lapack_int ri = (lapack_int)r;
    double *l = f->pass_a.gram, *x = f->pass_b.gram, *work = scratch_take(f->s, 69 * r, sizeof *work);
    if (work == NULL)
        return SPECTRAL_E_MEMORY;
    const double norm_a = gram_norm(l, r), norm_b = gram_norm(x, r), square = gram_trace_product(l, x, r);
    *out = (spectra){.sigma = out->sigma, .sigma_a = out->sigma_a, .sigma_b = out->sigma_b,
                     .exponent = f->a.exponent + f->b.exponent, .exponent_a = f->a.exponent,
                     .exponent_b = f->b.exponent};
    memset(out->sigma, 0, r * sizeof(double));
    gram_pack(l, r);
    gram_pack(x, r);

    spectral_status status;
    if ((status = factor_values(l, r, smallest(r, n), work, out->sigma_a)) != SPECTRAL_OK)
        return status;
    if ((status = factor_values(x, r, smallest(r, m), work, out->sigma_b)) != SPECTRAL_OK)
        return status;
    bool trusted = error_is_small(out->sigma_a, smallest(r, n), norm_a) &&
                   error_is_small(out->sigma_b, smallest(r, m), norm_b);
    if (zero_update || !trusted) {
        out->trusted = trusted;
        return SPECTRAL_OK;
    }

    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', ri, l, ri) != 0)
        return SPECTRAL_OK; /* not trusted */
    cblas_dtrmm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, ri, ri, 1, l, ri, x, ri);
    cblas_dtrmm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, ri, ri, 1, l, ri, x, ri);
    const size_t n_wanted = smallest(r, smallest(m, n));
    if ((status = root_eigenvalues(x, r, n_wanted, work, out->sigma)) != SPECTRAL_OK)
        return status;
    out->frobenius = square > 0 ? sqrt(square) : 0;
    out->trusted = error_is_small(out->sigma, n_wanted, norm_a * norm_b) &&
                   norm_a * norm_b < 1e5 * square;
    return SPECTRAL_OK;
}
