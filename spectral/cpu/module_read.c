/* module_read.c - from a module's views to its passes; the checks happen here, before anything is computed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/memory.h"
#include "spectral/cpu/module.h"

#include <math.h>
#include <stdlib.h>

static void raw_buffer_free(raw_buffer *buffer)
{
    free(buffer->data);
    *buffer = (raw_buffer){0};
}

void raw_buffer_trim(raw_buffer *buffer)
{
    if (buffer->bytes > RAW_KEPT)
        raw_buffer_free(buffer);
}

void module_worker_begin(module_worker *worker, const spectral_module *module, const spectral_options *options)
{
    const size_t expected = memory_of_module(module, options).scratch;
    if (expected > SCRATCH_KEPT) {
        raw_buffer_free(&worker->raw_a);
        raw_buffer_free(&worker->raw_b);
    }
    scratch_reset(&worker->s, expected);
}

void module_worker_end(module_worker *worker)
{
    raw_buffer_trim(&worker->raw_a);
    raw_buffer_trim(&worker->raw_b);
    scratch_trim(&worker->s);
}

void module_worker_release(module_worker *worker)
{
    raw_buffer_free(&worker->raw_a);
    raw_buffer_free(&worker->raw_b);
    scratch_free(&worker->s);
    *worker = (module_worker){.kernels = worker->kernels};
}

static bool known(const spectral_view *view) { return view->rows == 0 || spectral_dtype_bytes(view->dtype) > 0; }

bool module_dtypes_known(const spectral_module *module)
{
    const spectral_extra *extra = module->extra;
    if (extra == NULL)
        return spectral_dtype_bytes(module->a.dtype) > 0 && spectral_dtype_bytes(module->b.dtype) > 0;
    return known(&module->a) && known(&module->b) && known(&extra->core) && known(&extra->a2) && known(&extra->b2) &&
           known(&extra->core2);
}

spectral_status module_check(const spectral_module *module, structure_plan *plan)
{
    if (!module_dtypes_known(module))
        return SPECTRAL_E_DTYPE;
    const spectral_status status = structure_plan_module(module, plan);
    return status == SPECTRAL_OK && module->extra == NULL && plan->form != STRUCTURE_STORED ? SPECTRAL_E_SHAPE : status;
}

spectral_status module_fetch(const module_input *input, char factor, const spectral_view *view, raw_buffer *buffer,
                             const void **data)
{
    *data = view->data;
    if (view->data != NULL)
        return SPECTRAL_OK;
    if (input->source == NULL)
        return SPECTRAL_E_READ;
    const size_t bytes = spectral_view_bytes(view);
    if (bytes > buffer->bytes) {
        free(buffer->data);
        buffer->bytes = 0;
        buffer->data = malloc(bytes);
        if (buffer->data == NULL)
            return SPECTRAL_E_MEMORY;
        buffer->bytes = bytes;
    }
    *data = buffer->data;
    return input->source->read(input->source->ctx, input->index, factor, buffer->data, bytes) == 0 ? SPECTRAL_OK
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

/* The first factor to be passed over: B, or nothing where A is alone. */
static spectral_status pass_over_b(module_worker *worker, const module_input *input, const composition *c,
                                   bool with_squares, factors *f)
{
    const void *data;
    if (c->weave_b.left != NULL) {
        f->b = panel_woven(&c->weave_b, c->b.rows, false);
    } else {
        spectral_status status = module_fetch(input, 'b', &c->b, &worker->raw_b, &data);
        if (status != SPECTRAL_OK)
            return status;
        f->b = panel_of_b(&c->b, data);
    }
    f->log2_b = scratch_take(f->s, f->b.rank, sizeof(double));
    if (f->log2_b == NULL)
        return SPECTRAL_E_MEMORY;
    if (f->b.dtype == SPECTRAL_F64)
        panel_choose_scale(f, &f->b, f->log2_b);
    if (!gram_pass_create(&f->pass_b, &f->b, with_squares, f->s))
        return SPECTRAL_E_MEMORY;
    gram_pass_run(&f->pass_b, f->kernels, &f->b, &f->block, 0, NULL);
    return SPECTRAL_OK;
}

spectral_status module_pass(module_worker *worker, const module_input *input, const composition *c, size_t n_draws,
                            uint64_t seed, factors *f, kurtosis_sample *sample, uint64_t *n_nonfinite_a,
                            uint64_t *n_nonfinite_b)
{
    const kernel_table *kernels = worker->kernels;
    const bool across = c->alone && c->a.rows > c->a.cols; /* the shorter side is the rank */
    const size_t rank = across ? c->a.cols : c->a.rows;
    const bool gather = (across ? panel_of_b(&c->a, NULL) : panel_of_a(&c->a, NULL)).gather ||
                        (!c->alone && panel_of_b(&c->b, NULL).gather);
    const void *data;
    *f = (factors){.kernels = kernels, .s = &worker->s, .alone = c->alone, .composed = c->alone || c->counted,
                   .shift_a = c->shift_a, .shift_b = c->shift_b, .m = c->alone ? c->a.rows : c->b.rows, .n = c->a.cols,
                   .log2_a = scratch_take(&worker->s, rank, sizeof(double))};
    if (f->log2_a == NULL || !panel_block_create(&f->block, rank, gather, f->s))
        return SPECTRAL_E_MEMORY;
    spectral_status status = c->alone ? SPECTRAL_OK : pass_over_b(worker, input, c, n_draws == 0, f);
    if (status == SPECTRAL_OK && c->weave_a.left == NULL)
        status = module_fetch(input, 'a', &c->a, &worker->raw_a, &data);
    if (status != SPECTRAL_OK)
        return status;
    f->a = c->weave_a.left != NULL ? panel_woven(&c->weave_a, c->a.cols, true)
           : across                ? panel_of_b(&c->a, data)
                                   : panel_of_a(&c->a, data);
    if (f->a.dtype == SPECTRAL_F64)
        panel_choose_scale(f, &f->a, f->log2_a);
    if (!gram_pass_create(&f->pass_a, &f->a, false, f->s))
        return SPECTRAL_E_MEMORY;
    const bool sampled = n_draws > 0 && !c->alone && f->pass_b.finite;
    row_model model;
    if (sampled && (!row_model_create(&model, &f->a, &f->b, &f->pass_b, &f->block, f->s) ||
                    !kurtosis_sample_create(sample, n_draws, &f->a, &f->block, f->s)))
        return SPECTRAL_E_MEMORY;
    gram_pass_run(&f->pass_a, kernels, &f->a, &f->block, c->counted ? 0 : input->module->support_a,
                  sampled ? &model : NULL);

    if (!f->pass_a.finite || !(c->alone || f->pass_b.finite)) {
        *n_nonfinite_a = panel_count_nonfinite(kernels, &f->a, &f->block);
        *n_nonfinite_b = c->alone ? 0 : panel_count_nonfinite(kernels, &f->b, &f->block);
        return SPECTRAL_E_NONFINITE;
    }
    if (sampled) {
        row_model_sizes(&model, kernels, &f->a, &f->pass_a, &f->b, &f->pass_b, &f->block);
        kurtosis_sample_draw(sample, kernels, &f->b, &f->block, &model, seed);
        kurtosis_sample_run(sample, kernels, &f->a, &f->block);
    }
    direction_norms(&f->pass_a, &f->a, f->log2_a);
    if (!c->alone)
        direction_norms(&f->pass_b, &f->b, f->log2_b);
    return isfinite(input->module->scale) ? SPECTRAL_OK : SPECTRAL_E_NONFINITE;
}

spectral_status module_read(module_worker *worker, const module_input *input, const structure_plan *plan, size_t n_draws,
                            uint64_t seed, factors *f, kurtosis_sample *sample, composition *c, uint64_t *n_nonfinite_a,
                            uint64_t *n_nonfinite_b)
{
    *n_nonfinite_a = *n_nonfinite_b = 0;
    spectral_status status = compose_module(worker, input, plan, c, n_nonfinite_a, n_nonfinite_b);
    return status == SPECTRAL_OK
               ? module_pass(worker, input, c, n_draws, seed, f, sample, n_nonfinite_a, n_nonfinite_b)
               : status;
}

bool module_is_zero(const factors *f)
{
    for (size_t k = 0; k < f->a.rank; k++)
        if (!isinf(f->log2_a[k]) && (f->alone || !isinf(f->log2_b[k])))
            return false;
    return true;
}

double module_mean(const factors *f)
{
    double sum = 0;
    for (size_t k = 0; k < f->a.rank; k++)
        sum += f->alone ? f->pass_a.rank_sums[k] : f->pass_b.rank_sums[k] * f->pass_a.rank_sums[k];
    return sum / ((double)f->n * (double)f->m);
}
