/* backend.h - what a backend provides; the one seam between the public interface and the machine that computes.
 *
 * spectral_engine holds one backend and its state, nothing else. A backend that lives in a shared object fills the same
 * table. All functions keep the contracts of spectral.h; the engine adds no checks of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_BACKEND_H
#define SPECTRAL_BACKEND_H

#include "spectral/spectral.h"

typedef struct {
    /* create - the state for n_workers concurrent callers. Errs: SPECTRAL_E_MEMORY; *state is NULL then. */
    spectral_status (*create)(size_t n_workers, void **state);
    void (*destroy)(void *state); /* NULL is accepted */
    const char *(*name)(const void *state);
    void (*batch)(void *state, size_t worker, const spectral_module *modules, size_t n, const spectral_options *options,
                  const spectral_source *source, const spectral_executor *executor, spectral_result *results);
    spectral_status (*left_vector)(void *state, size_t worker, const spectral_module *module, size_t index,
                                   const spectral_source *source, double *u, double *sigma1);
} spectral_backend;

extern const spectral_backend spectral_cpu_backend;

#endif
