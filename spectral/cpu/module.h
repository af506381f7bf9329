/* module.h - one module on one worker: read its factors, decide the path, publish the result.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_MODULE_H
#define SPECTRAL_MODULE_H

#include "spectral/cpu/compose.h"
#include "spectral/cpu/kurtosis.h"
#include "spectral/cpu/spectra.h"

/* module_dtypes_known - of all parts that are there.
 * module_check - the plan of a PRODUCT or HADAMARD module. Errs: SPECTRAL_E_DTYPE, SPECTRAL_E_SHAPE, SPECTRAL_E_LIMIT */
bool module_dtypes_known(const spectral_module *module);
spectral_status module_check(const spectral_module *module, structure_plan *plan);

/* module_read - fetch or compose a checked module and pass over both factors, B first; the worker's scratch, which the
 * caller has emptied, holds all that is found.
 * In:  n_draws: rows of ΔW to sample, 0: none. No row is drawn of what is alone
 * Out: f; sample when n_draws > 0; counts of entries that are not finite, set also when that is the failure
 * Errs: SPECTRAL_E_NONFINITE, SPECTRAL_E_MEMORY, SPECTRAL_E_READ */
spectral_status module_read(module_worker *worker, const module_input *input, const structure_plan *plan, size_t n_draws,
                            uint64_t seed, factors *f, kurtosis_sample *sample, composition *c, uint64_t *n_nonfinite_a,
                            uint64_t *n_nonfinite_b);

/* module_pass - the second half of module_read: over what has been composed. */
spectral_status module_pass(module_worker *worker, const module_input *input, const composition *c, size_t n_draws,
                            uint64_t seed, factors *f, kurtosis_sample *sample, uint64_t *n_nonfinite_a,
                            uint64_t *n_nonfinite_b);

/* module_is_zero - B·A is exactly zero: in each rank direction one of both sides is. */
bool module_is_zero(const factors *f);

/* module_mean - of all entries of B·A, in the panels' units. */
double module_mean(const factors *f);

/* module_spectra - by the Gram path or the QR path; the Gram matrices are destroyed. zero: B·A or the scale is known to be 0.
 * Errs: SPECTRAL_E_CONVERGENCE, SPECTRAL_E_MEMORY */
spectral_status module_spectra(const factors *f, bool zero, bool precise, spectra *out, spectral_path *path);

/* module_residual - |Σσ²/‖·‖² − 1|; 0 when the norm is. */
double module_residual(const double *sigma, size_t n, double frobenius);

/* module_publish_values - to[k] = from[k]·factor·2^exponent. */
void module_publish_values(double *to, const double *from, size_t n, double factor, int exponent);

/* module_compute - everything that spectral_batch says of one module. */
void module_compute(module_worker *worker, const module_input *input, const spectral_options *options,
                    spectral_result *result);

/* module_left_vector - spectral_left_vector. */
spectral_status module_left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1);

/* module_leading - the Gram matrices are destroyed; u₁ of the ΔW/s that f holds, into vector[m] with its largest entry positive, and σ₁ as
 * sigma · 2^exponent. Errs: as spectral_left_vector */
spectral_status module_leading(const factors *f, double *vector, double *sigma, int *exponent);

/* kronecker_compute, kronecker_left_vector - the same of a Kronecker product. */
void kronecker_compute(module_worker *worker, const module_input *input, const spectral_options *options,
                       spectral_result *result);
spectral_status kronecker_left_vector(module_worker *worker, const module_input *input, double *u, double *sigma1);

#endif
