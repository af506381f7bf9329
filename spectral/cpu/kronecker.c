/* kronecker.c - ΔW = s·(W ⊗ W2) from its two operands.
 *
 *     σ(ΔW)    = |s|·{σ_i(W)·σ_j(W2)}        u₁ = u₁(W) ⊗ u₁(W2)        ‖ΔW‖_F = |s|·‖W‖_F·‖W2‖_F
 *     entries  x·y, where (x, y) runs over all pairs of entries of W and W2: as independent random variables. With
 *              x = μ1 + u, y = μ2 + v, the deviation from the mean μ1·μ2 is μ1·v + μ2·u + u·v, whose moments
 *
 *     E (μ1·v + μ2·u + u·v)^p = Σ_{i+j+k = p} p!/(i!·j!·k!)·μ1^i·μ2^j·E v^{i+k}·E u^{j+k}
 *
 * need no difference of large numbers. Central moments of the operands come from all their entries.
 *
 * Source: Van Loan, The ubiquitous Kronecker product, 2000.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/module.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Products spent on the entries of one operand unless all rows are asked for. */
#define ENTRY_WORK 0x1p30

typedef struct {
    factors f;
    composition parts;
    spectra found;
    spectral_path path;
    int exponent; /* of found.sigma and found.frobenius, shifts included */
    size_t n_values;
    centred_sums entries; /* n 0: not computed */
    uint64_t n_nonfinite;
} operand;

static spectral_status operand_read(module_worker *worker, const module_input *input, bool second, operand *w)
{
    const structure_operand stored = second ? structure_second(input->module) : structure_first(input->module);
    structure_plan plan;
    uint64_t of_a = 0, of_b = 0;
    *w = (operand){.n_nonfinite = 0};
    spectral_status status = structure_plan_product(&stored, true, &plan);
    if (status != SPECTRAL_OK)
        return status;
    w->n_values = smallest(plan.rank, smallest(plan.m, plan.n));
    status = compose_operand(worker, input, second, &plan, &w->parts, &w->n_nonfinite);
    return status == SPECTRAL_OK ? module_pass(worker, input, &w->parts, 0, 0, &w->f, NULL, &of_a, &of_b) : status;
}

static spectral_status operand_entries(operand *w, bool at_any_price)
{
    const factors *f = &w->f;
    const double work = (double)f->m * (double)f->n * (f->alone ? 1 : (double)f->a.rank), mean = module_mean(f);
    if (!(w->found.frobenius > 0) || (work > ENTRY_WORK && !at_any_price))
        return SPECTRAL_OK;
    if (f->alone)
        kurtosis_every_entry_alone(f->kernels, &f->a, &f->block, mean, &w->entries);
    else if (!kurtosis_every_entry(f->kernels, &f->a, &f->b, &f->block, f->pass_b.length_squares, mean, f->s, &w->entries))
        return SPECTRAL_E_MEMORY;
    return SPECTRAL_OK;
}

/* What is kept of an operand lies in sigma[n_values]; the scratch is as it was. */
static spectral_status operand_measure(module_worker *worker, const module_input *input, bool second,
                                       const spectral_options *options, double *sigma, operand *w)
{
    const scratch_place place = scratch_mark(&worker->s);
    spectral_status status = operand_read(worker, input, second, w);
    if (status == SPECTRAL_OK)
        status = module_spectra(&w->f, module_is_zero(&w->f), options->precise, &w->found, &w->path);
    if (status == SPECTRAL_OK)
        status = operand_entries(w, options->all_rows);
    if (status == SPECTRAL_OK) {
        w->exponent = w->found.exponent + w->f.shift_a + w->f.shift_b;
        memcpy(sigma, w->found.sigma, w->n_values * sizeof *sigma);
        w->found.sigma = sigma;
    }
    scratch_release(&worker->s, place);
    return status;
}

/* ---- moments ---- */

/* Mean and central moments of an operand's entries over their root mean square; central[p] for p = 0 … 4. */
typedef struct {
    double mean, central[5];
} moments;

static moments moments_of(const centred_sums *sums)
{
    const double n = sums->n, rest = sums->d1 / n, e2 = sums->d2 / n, e3 = sums->d3 / n, e4 = sums->d4 / n;
    moments of = {.mean = sums->mean + rest,
                  .central = {1, 0, e2 - rest * rest, e3 - 3 * rest * e2 + 2 * rest * rest * rest,
                              e4 - 4 * rest * e3 + 6 * rest * rest * e2 - 3 * rest * rest * rest * rest}};
    if (!(of.central[2] > sums->noise * sums->noise)) /* constant entries */
        of.central[2] = of.central[3] = of.central[4] = 0;
    const double root = sqrt(of.mean * of.mean + of.central[2]);
    double power = 1;
    for (size_t p = 2; p <= 4; p++) {
        power = p == 2 ? root * root : power * root;
        of.central[p] /= power;
    }
    of.mean /= root;
    return of;
}

static double product_moment(const moments *x, const moments *y, size_t p)
{
    static const double factorial[] = {1, 1, 2, 6, 24};
    double sum = 0, from_x = 1;
    for (size_t i = 0; i <= p; i++, from_x *= x->mean) {
        double from_y = 1;
        for (size_t j = 0; i + j <= p; j++, from_y *= y->mean) {
            const size_t k = p - i - j;
            sum += factorial[p] / (factorial[i] * factorial[j] * factorial[k]) * from_x * from_y * y->central[i + k] *
                   x->central[j + k];
        }
    }
    return sum;
}

static double product_kurtosis(const operand *w1, const operand *w2)
{
    if (w1->entries.n == 0 || w2->entries.n == 0)
        return NAN;
    const moments x = moments_of(&w1->entries), y = moments_of(&w2->entries);
    const double variance = product_moment(&x, &y, 2);
    return variance > 0 ? fmax(1, product_moment(&x, &y, 4) / variance / variance) : NAN;
}

/* ---- publication ---- */

static int descending(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

static spectral_status publish(const operand *w1, const operand *w2, const spectral_module *module, scratch *s,
                               spectral_result *result)
{
    const size_t n1 = w1->n_values, n2 = w2->n_values, n = n1 * n2;
    double *sigma = scratch_take(s, n, sizeof *sigma);
    if (sigma == NULL)
        return SPECTRAL_E_MEMORY;
    int exponent;
    const double factor = fabs(frexp(module->scale, &exponent)), norm = w1->found.frobenius * w2->found.frobenius;
    exponent += w1->exponent + w2->exponent;
    const double frobenius = ldexp(norm * factor, exponent);
    for (size_t i = 0; i < n1; i++)
        for (size_t j = 0; j < n2; j++)
            sigma[i * n2 + j] = frobenius > 0 ? w1->found.sigma[i] * w2->found.sigma[j] : 0;
    qsort(sigma, n, sizeof *sigma, descending);
    if (!isfinite(frobenius) || !isfinite(ldexp(w1->found.sigma[0], w1->exponent)) ||
        !isfinite(ldexp(w2->found.sigma[0], w2->exponent)))
        return SPECTRAL_E_NONFINITE;

    module_publish_values(result->sigma, sigma, n, factor, exponent);
    module_publish_values(result->sigma_a, w2->found.sigma, n2, 1, w2->exponent);
    module_publish_values(result->sigma_b, w1->found.sigma, n1, 1, w1->exponent);
    result->path = frobenius == 0                                                              ? SPECTRAL_PATH_ZERO
                   : w1->path == SPECTRAL_PATH_QR || w2->path == SPECTRAL_PATH_QR ? SPECTRAL_PATH_QR
                                                                                               : SPECTRAL_PATH_GRAM;
    result->frobenius = frobenius;
    result->residual = frobenius > 0 ? module_residual(sigma, n, norm) : 0;
    result->kurtosis = frobenius > 0 ? product_kurtosis(w1, w2) : NAN;
    result->kurtosis_se = 0;
    result->gram_gap = 0;
    result->a = w2->parts.stats_a;
    result->b = w1->parts.stats_a;
    return SPECTRAL_OK;
}

/* What stops the module: the counts of both operands are wanted where neither could not be had. */
static spectral_status worse(spectral_status x, spectral_status y)
{
    return x == SPECTRAL_OK || (x == SPECTRAL_E_NONFINITE && y != SPECTRAL_OK) ? y : x;
}

void kronecker_compute(module_worker *worker, const module_input *input, const spectral_options *options,
                       spectral_result *result)
{
    spectral_shape shape;
    spectral_status status = module_dtypes_known(input->module) ? spectral_module_shape(input->module, &shape)
                                                                : SPECTRAL_E_DTYPE;
    operand w1 = {.n_nonfinite = 0}, w2 = {.n_nonfinite = 0};
    double *sigma1 = NULL, *sigma2 = NULL;
    if (status == SPECTRAL_OK) {
        sigma1 = scratch_take(&worker->s, shape.n_sigma_b, sizeof *sigma1);
        sigma2 = scratch_take(&worker->s, shape.n_sigma_a, sizeof *sigma2);
        status = sigma1 != NULL && sigma2 != NULL ? operand_measure(worker, input, false, options, sigma1, &w1)
                                                  : SPECTRAL_E_MEMORY;
    }
    if (status == SPECTRAL_OK || status == SPECTRAL_E_NONFINITE)
        status = worse(status, operand_measure(worker, input, true, options, sigma2, &w2));
    if (status == SPECTRAL_OK)
        status = publish(&w1, &w2, input->module, &worker->s, result);
    result->status = status;
    result->a.n_nonfinite = status == SPECTRAL_E_NONFINITE ? w2.n_nonfinite : 0;
    result->b.n_nonfinite = status == SPECTRAL_E_NONFINITE ? w1.n_nonfinite : 0;
}

spectral_status kronecker_left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1)
{
    spectral_shape shape;
    if (!module_dtypes_known(input->module))
        return SPECTRAL_E_DTYPE;
    spectral_status status = spectral_module_shape(input->module, &shape);
    if (status != SPECTRAL_OK)
        return status;
    double *vector[2], sigma[2];
    size_t m[2];
    int exponent[2], scale_exponent;
    for (int i = 0; i < 2; i++) {
        const structure_operand stored = i == 0 ? structure_first(input->module) : structure_second(input->module);
        operand w;
        m[i] = stored.b.rows > 0 ? stored.b.rows : stored.a.rows;
        if ((vector[i] = scratch_take(&worker->s, m[i], sizeof(double))) == NULL)
            return SPECTRAL_E_MEMORY;
        const scratch_place place = scratch_mark(&worker->s);
        if ((status = operand_read(worker, input, i == 1, &w)) != SPECTRAL_OK ||
            (status = module_leading(&w.f, vector[i], &sigma[i], &exponent[i])) != SPECTRAL_OK)
            return status;
        scratch_release(&worker->s, place);
    }
    const double factor = fabs(frexp(input->module->scale, &scale_exponent));
    const double first = ldexp(sigma[0] * sigma[1] * factor, exponent[0] + exponent[1] + scale_exponent);
    if (!isfinite(first))
        return SPECTRAL_E_NONFINITE;
    if (first == 0)
        return SPECTRAL_E_SHAPE;
    for (size_t i = 0; i < m[0]; i++)
        for (size_t j = 0; j < m[1]; j++)
            u[i * m[1] + j] = vector[0][i] * vector[1][j];
    *sigma1 = first;
    return SPECTRAL_OK;
}
