/* module_read.c - from a module's views to its passes; the checks happen here, before anything is computed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/module.h"

#include <math.h>
#include <stdlib.h>

void module_worker_release(module_worker *worker)
{
    free(worker->raw_a);
    free(worker->raw_b);
    scratch_free(&worker->s);
    *worker = (module_worker){.kernels = worker->kernels};
}

static spectral_status module_check(const spectral_module *module)
{
    const spectral_view *a = &module->a, *b = &module->b;
    if (spectral_dtype_bytes(a->dtype) == 0 || spectral_dtype_bytes(b->dtype) == 0)
        return SPECTRAL_E_DTYPE;
    if (spectral_view_bytes(a) == 0 || spectral_view_bytes(b) == 0 || a->rows != b->cols ||
        a->rows > SPECTRAL_MAX_RANK)
        return SPECTRAL_E_SHAPE;
    return SPECTRAL_OK;
}

/* The factor's bytes: the view's own, or read from the source into the worker's buffer. */
static spectral_status fetch(const module_input *input, char factor, const spectral_view *view, void **buffer,
                             size_t *capacity, const void **data)
{
    *data = view->data;
    if (view->data != NULL)
        return SPECTRAL_OK;
    if (input->source == NULL)
        return SPECTRAL_E_READ;
    const size_t bytes = spectral_view_bytes(view);
    if (bytes > *capacity) {
        free(*buffer);
        *capacity = 0;
        *buffer = malloc(bytes);
        if (*buffer == NULL)
            return SPECTRAL_E_MEMORY;
        *capacity = bytes;
    }
    *data = *buffer;
    return input->source->read(input->source->ctx, input->index, factor, *buffer, bytes) == 0 ? SPECTRAL_OK
                                                                                             : SPECTRAL_E_READ;
}

/* float64 only: choose the panel's exponent, and note log2 of the largest entry of each direction. */
static void panel_choose_scale(const factors *f, panel *p, double *log2_norm)
{
    enum { EXPONENT_LIMIT = 1000 }; /* 2^±1000 are normal numbers, and squares of what is left are, too */
    double largest = 0;
    panel_rank_maxima(f->kernels, p, &f->block, log2_norm);
    for (size_t k = 0; k < p->rank; k++) {
        largest = log2_norm[k] > largest ? log2_norm[k] : largest;
        log2_norm[k] = log2(log2_norm[k]);
    }
    if (largest > 0 && isfinite(largest)) {
        int exponent;
        frexp(largest, &exponent);
        exponent = exponent > EXPONENT_LIMIT ? EXPONENT_LIMIT : exponent;
        p->exponent = exponent < -EXPONENT_LIMIT ? -EXPONENT_LIMIT : exponent;
    }
}

/* log2 of the norms from the Gram diagonal, except where that underflowed and the maxima are all there is. */
static void direction_norms(const gram_pass *pass, const panel *p, double *log2_norm)
{
    const size_t ld = kernel_padded(p->rank);
    for (size_t k = 0; k < p->rank; k++) {
        double square = pass->gram[k * ld + k];
        if (p->dtype != SPECTRAL_F64 || square > 0x1p-900)
            log2_norm[k] = 0.5 * log2(square) + p->exponent;
    }
}

spectral_status module_read(module_worker *worker, const module_input *input, size_t n_draws, uint64_t seed, factors *f,
                            kurtosis_sample *sample, uint64_t *n_nonfinite_a, uint64_t *n_nonfinite_b)
{
    const spectral_module *module = input->module;
    const kernel_table *kernels = worker->kernels;
    spectral_status status = module_check(module);
    const void *data;
    *n_nonfinite_a = *n_nonfinite_b = 0;
    if (status == SPECTRAL_OK)
        status = fetch(input, 'b', &module->b, &worker->raw_b, &worker->raw_b_bytes, &data);
    if (status != SPECTRAL_OK)
        return status;

    scratch_reset(&worker->s);
    *f = (factors){.kernels = kernels, .s = &worker->s, .b = panel_of_b(&module->b, data),
                   .log2_a = scratch_take(&worker->s, module->a.rows, sizeof(double)),
                   .log2_b = scratch_take(&worker->s, module->a.rows, sizeof(double))};
    if (f->log2_a == NULL || f->log2_b == NULL || !panel_block_create(&f->block, f->b.rank, f->s))
        return SPECTRAL_E_MEMORY;
    if (f->b.dtype == SPECTRAL_F64)
        panel_choose_scale(f, &f->b, f->log2_b);
    if (!gram_pass_create(&f->pass_b, &f->b, n_draws == 0, f->s))
        return SPECTRAL_E_MEMORY;
    gram_pass_run(&f->pass_b, kernels, &f->b, &f->block, 0, NULL);

    status = fetch(input, 'a', &module->a, &worker->raw_a, &worker->raw_a_bytes, &data);
    if (status != SPECTRAL_OK)
        return status;
    f->a = panel_of_a(&module->a, data);
    if (f->a.dtype == SPECTRAL_F64)
        panel_choose_scale(f, &f->a, f->log2_a);
    if (!gram_pass_create(&f->pass_a, &f->a, false, f->s))
        return SPECTRAL_E_MEMORY;
    const bool sampled = n_draws > 0 && f->pass_b.finite;
    row_model model;
    if (sampled && (!row_model_create(&model, &f->a, &f->b, &f->pass_b, &f->block, f->s) ||
                    !kurtosis_sample_create(sample, n_draws, &f->a, &f->block, f->s)))
        return SPECTRAL_E_MEMORY;
    gram_pass_run(&f->pass_a, kernels, &f->a, &f->block, module->support_a, sampled ? &model : NULL);

    if (!f->pass_a.finite || !f->pass_b.finite) {
        *n_nonfinite_a = panel_count_nonfinite(kernels, &f->a, &f->block);
        *n_nonfinite_b = panel_count_nonfinite(kernels, &f->b, &f->block);
        return SPECTRAL_E_NONFINITE;
    }
    if (sampled) {
        row_model_sizes(&model, kernels, &f->a, &f->pass_a, &f->b, &f->pass_b, &f->block);
        kurtosis_sample_draw(sample, kernels, &f->b, &f->block, &model, seed);
        kurtosis_sample_run(sample, kernels, &f->a, &f->block);
    }
    direction_norms(&f->pass_a, &f->a, f->log2_a);
    direction_norms(&f->pass_b, &f->b, f->log2_b);
    return isfinite(module->scale) ? SPECTRAL_OK : SPECTRAL_E_NONFINITE;
}

bool module_is_zero(const factors *f)
{
    for (size_t k = 0; k < f->a.rank; k++)
        if (!isinf(f->log2_a[k]) && !isinf(f->log2_b[k]))
            return false;
    return true;
}
