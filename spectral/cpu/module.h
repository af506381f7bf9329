/* module.h - one module on one worker: read its factors, decide the path, publish the result.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_MODULE_H
#define SPECTRAL_MODULE_H

#include "spectral/cpu/kurtosis.h"
#include "spectral/cpu/spectra.h"

/* What a worker owns; used by one caller at a time. raw: factors as delivered by the source, 'a' and 'b'. */
typedef struct {
    const kernel_table *kernels;
    scratch s;
    void *raw_a, *raw_b;
    size_t raw_a_bytes, raw_b_bytes;
} module_worker;

void module_worker_release(module_worker *worker);

/* Where a module's bytes come from; source may be NULL. */
typedef struct {
    const spectral_module *module;
    size_t index;
    const spectral_source *source;
} module_input;

/* module_read - check the module, fetch and pass over both factors, B first. Resets the worker's scratch, which holds
 * all that is found.
 * In:  n_draws: rows of ΔW to sample, 0: none
 * Out: f; sample when n_draws > 0; counts of entries that are not finite, set also when that is the failure
 * Errs: all of spectral_status but CONVERGENCE */
spectral_status module_read(module_worker *worker, const module_input *input, size_t n_draws, uint64_t seed, factors *f,
                            kurtosis_sample *sample, uint64_t *n_nonfinite_a, uint64_t *n_nonfinite_b);

/* module_is_zero - B·A is exactly zero: in each rank direction one of both sides is. */
bool module_is_zero(const factors *f);

/* module_compute - everything that spectral_batch says of one module. */
void module_compute(module_worker *worker, const module_input *input, const spectral_options *options,
                    spectral_result *result);

/* module_left_vector - spectral_left_vector. */
spectral_status module_left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1);

#endif
