/* module.c - the spectra, norms and moments of one module, from reading to publication.
 *
 * Everything is computed in the worker's scratch; the caller's result is written last, and whole.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/module.h"

#include <math.h>
#include <string.h>

bool spectra_create(spectra *out, size_t rank, scratch *s)
{
    *out = (spectra){.sigma = scratch_take(s, rank, sizeof(double)),
                     .sigma_a = scratch_take(s, rank, sizeof(double)),
                     .sigma_b = scratch_take(s, rank, sizeof(double))};
    return out->sigma && out->sigma_a && out->sigma_b;
}

void spectra_take_alone(const factors *f, spectra *out)
{
    memcpy(out->sigma_a, out->sigma, f->a.rank * sizeof(double));
    out->exponent_a = out->exponent;
    for (size_t k = 0; k < f->a.rank; k++)
        out->sigma_b[k] = 1;
    out->exponent_b = 0;
}

static void clear_update(const factors *f, spectra *out)
{
    memset(out->sigma, 0, f->a.rank * sizeof(double));
    out->frobenius = 0;
}

spectral_status module_spectra(const factors *f, bool zero, bool precise, spectra *out, spectral_path *path)
{
    if (!spectra_create(out, f->a.rank, f->s))
        return SPECTRAL_E_MEMORY;
    *path = SPECTRAL_PATH_GRAM;
    const scratch_place place = scratch_mark(f->s);
    if (!precise) {
        spectral_status status = spectra_from_gram(f, zero, out);
        scratch_release(f->s, place);
        if (status == SPECTRAL_E_MEMORY)
            return status;
        precise = status != SPECTRAL_OK || !out->trusted;
    }
    if (precise) {
        *path = SPECTRAL_PATH_QR;
        spectral_status status = spectra_from_qr(f, out);
        scratch_release(f->s, place);
        if (status != SPECTRAL_OK)
            return status;
        zero = zero || (!f->alone && spectra_cancelled(f, out->frobenius, out->exponent));
    }
    if (zero) {
        *path = SPECTRAL_PATH_ZERO;
        clear_update(f, out);
    }
    return SPECTRAL_OK;
}

double module_residual(const double *sigma, size_t n, double frobenius)
{
    if (!(frobenius > 0))
        return 0;
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += sigma[k] / frobenius * (sigma[k] / frobenius);
    return fabs(sum - 1);
}

/* NaN unless ΔW has variance. Means in units of both panels' exponents; the Frobenius norm comes in its own. */
static spectral_status module_kurtosis(const factors *f, kurtosis_sample *sample, const spectra *found,
                                       kurtosis_estimate *out)
{
    *out = (kurtosis_estimate){NAN, 0};
    if (!(found->frobenius > 0))
        return SPECTRAL_OK;
    const double n = (double)f->n * (double)f->m, mean = module_mean(f);
    if (f->alone) {
        centred_sums sums;
        kurtosis_every_entry_alone(f->kernels, &f->a, &f->block, mean, &sums);
        *out = kurtosis_of_sums(&sums);
        return SPECTRAL_OK;
    }
    if (sample == NULL)
        return kurtosis_of_all_rows(f->kernels, &f->a, &f->b, &f->block, f->pass_b.length_squares, mean, f->s, out)
                   ? SPECTRAL_OK
                   : SPECTRAL_E_MEMORY;
    double norm = ldexp(found->frobenius, found->exponent - f->a.exponent - f->b.exponent);
    *out = kurtosis_of_sample(sample, f->m, f->n, mean, norm * norm / n);
    return SPECTRAL_OK;
}

void module_publish_values(double *to, const double *from, size_t n, double factor, int exponent)
{
    for (size_t k = 0; k < n; k++)
        to[k] = ldexp(from[k] * factor, exponent);
}

/* Of the factors that were passed over, or of the stored parts they were composed of. */
static void publish_factors(const factors *f, const composition *c, bool with_support, spectral_result *result)
{
    result->gram_gap = 0;
    result->a = gram_factor(&f->pass_a, &f->a, with_support);
    result->b = (spectral_factor){.kurtosis = NAN};
    if (!f->alone) {
        result->gram_gap = gram_gap(f->pass_a.gram, f->a.exponent + f->shift_a, f->pass_b.gram,
                                    f->b.exponent + f->shift_b, f->a.rank);
        result->b = gram_factor(&f->pass_b, &f->b, false);
    }
    if (c->counted) {
        const double off_a = result->a.gram_offdiagonal, off_b = result->b.gram_offdiagonal;
        result->a = c->stats_a;
        result->b = c->stats_b;
        result->a.gram_offdiagonal = off_a;
        result->b.gram_offdiagonal = off_b;
    }
}

static spectral_status module_finish(const factors *f, const composition *c, kurtosis_sample *sample,
                                     const spectral_module *module, bool precise, spectral_result *result)
{
    const size_t r = f->a.rank, m = f->m, n = f->n, n_values = smallest(r, smallest(m, n));
    const bool zero = module->scale == 0 || module_is_zero(f);
    spectral_result about = {0}; /* from the Gram matrices, which the spectra destroy */
    publish_factors(f, c, module->support_a > 0, &about);
    spectra found;
    spectral_path path;
    kurtosis_estimate kurtosis;
    spectral_status status = module_spectra(f, zero, precise, &found, &path);
    if (status != SPECTRAL_OK)
        return status;
    int exponent;
    const double factor = fabs(frexp(module->scale, &exponent));
    const int exponent_a = found.exponent_a + f->shift_a, exponent_b = found.exponent_b + f->shift_b;
    exponent += found.exponent + f->shift_a + f->shift_b;
    const double frobenius = ldexp(found.frobenius * factor, exponent);
    if (!isfinite(frobenius) || !isfinite(ldexp(found.sigma_a[0], exponent_a)) ||
        !isfinite(ldexp(found.sigma_b[0], exponent_b)))
        return SPECTRAL_E_NONFINITE;
    if (frobenius == 0) { /* also what underflows float64 */
        path = SPECTRAL_PATH_ZERO;
        clear_update(f, &found);
    }
    if ((status = module_kurtosis(f, sample, &found, &kurtosis)) != SPECTRAL_OK)
        return status;

    module_publish_values(result->sigma, found.sigma, n_values, factor, exponent);
    module_publish_values(result->sigma_a, found.sigma_a, smallest(r, n), 1, exponent_a);
    module_publish_values(result->sigma_b, found.sigma_b, smallest(m, r), 1, exponent_b);
    result->path = path;
    result->frobenius = frobenius;
    result->residual = module_residual(found.sigma, n_values, found.frobenius);
    result->kurtosis = kurtosis.kurtosis;
    result->kurtosis_se = kurtosis.standard_error;
    result->gram_gap = about.gram_gap;
    result->a = about.a;
    result->b = about.b;
    return SPECTRAL_OK;
}

static void compute(module_worker *worker, const module_input *input, const spectral_options *options,
                    spectral_result *result)
{
    const size_t n_rows = options->n_rows > 0 ? options->n_rows : KURTOSIS_DEFAULT_ROWS;
    factors f;
    kurtosis_sample sample;
    composition c;
    structure_plan plan;
    uint64_t n_a = 0, n_b = 0;
    spectral_status status = module_check(input->module, &plan);
    if (status == SPECTRAL_OK) {
        const bool all_rows = options->all_rows || plan.m <= n_rows;
        status = module_read(worker, input, &plan, all_rows ? 0 : n_rows, options->seed, &f, &sample, &c, &n_a, &n_b);
        if (status == SPECTRAL_OK)
            status = module_finish(&f, &c, all_rows ? NULL : &sample, input->module, options->precise, result);
    }
    result->status = status;
    result->a.n_nonfinite = n_a;
    result->b.n_nonfinite = n_b;
}

void module_compute(module_worker *worker, const module_input *input, const spectral_options *options,
                    spectral_result *result)
{
    const bool kronecker = input->module->extra != NULL && input->module->extra->structure == SPECTRAL_KRONECKER;
    module_worker_begin(worker, input->module, options);
    (kronecker ? kronecker_compute : compute)(worker, input, options, result);
    module_worker_end(worker);
}
