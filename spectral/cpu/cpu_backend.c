/* cpu_backend.c - the CPU behind the backend table: one workspace a worker, modules spread by the caller's executor.
 *
 * A module is computed from start to end by one worker, and its result depends on nothing else: neither the number of
 * threads nor the order of modules changes a bit.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/backend.h"
#include "spectral/cpu/module.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    char name[96];
    size_t n_workers;
    module_worker workers[];
} cpu_state;

/* OpenBLAS starts its threads when it is loaded, and idle ones spin for a while: two cores would share our two workers with
 * them. Its own end-of-process function stops them; with one thread set they are not started again. Not in every build. */
extern int blas_thread_shutdown_(void) __attribute__((weak));

static void stop_library_threads(void)
{
    openblas_set_num_threads(1);
    if (blas_thread_shutdown_)
        blas_thread_shutdown_();
}

static spectral_status cpu_create(size_t n_workers, void **out)
{
    *out = NULL;
    size_t bytes;
    if (__builtin_mul_overflow(n_workers, sizeof(module_worker), &bytes) || bytes > SIZE_MAX - sizeof(cpu_state))
        return SPECTRAL_E_MEMORY;
    cpu_state *state = calloc(1, sizeof *state + bytes);
    if (state == NULL)
        return SPECTRAL_E_MEMORY;
    state->n_workers = n_workers;
    for (size_t i = 0; i < n_workers; i++)
        state->workers[i].kernels = kernels_best();
    stop_library_threads();
    char library[16] = "OpenBLAS", version[16] = "";
    sscanf(openblas_get_config(), "%15s %15s", library, version);
    snprintf(state->name, sizeof state->name, "cpu (%s, %s %s %s)", kernels_best()->name, library, version,
             openblas_get_corename());
    *out = state;
    return SPECTRAL_OK;
}

static void cpu_destroy(void *context)
{
    cpu_state *state = context;
    if (state == NULL)
        return;
    for (size_t i = 0; i < state->n_workers; i++)
        module_worker_release(&state->workers[i]);
    free(state);
}

static const char *cpu_name(const void *state) { return ((const cpu_state *)state)->name; }

typedef struct {
    cpu_state *state;
    const spectral_module *modules;
    const spectral_options *options;
    const spectral_source *source;
    spectral_result *results;
} cpu_job;

static void cpu_task(void *arg, size_t index, size_t worker)
{
    const cpu_job *job = arg;
    const module_input input = {.module = &job->modules[index], .index = index, .source = job->source};
    module_compute(&job->state->workers[worker], &input, job->options, &job->results[index]);
}

static void cpu_batch(void *state, size_t worker, const spectral_module *modules, size_t n,
                      const spectral_options *options, const spectral_source *source,
                      const spectral_executor *executor, spectral_result *results)
{
    static const spectral_options defaults = {0};
    cpu_job job = {.state = state, .modules = modules, .options = options ? options : &defaults, .source = source,
                   .results = results};
    if (executor != NULL)
        executor->run(executor->ctx, worker, n, cpu_task, &job);
    else
        for (size_t i = 0; i < n; i++)
            cpu_task(&job, i, worker);
}

static spectral_status cpu_left_vector(void *context, size_t worker, const spectral_module *module, size_t index,
                                       const spectral_source *source, double *u, double *sigma1)
{
    cpu_state *state = context;
    const module_input input = {.module = module, .index = index, .source = source};
    return module_left_vector(&state->workers[worker], &input, u, sigma1);
}

const spectral_backend spectral_cpu_backend = {
    .create = cpu_create,
    .destroy = cpu_destroy,
    .name = cpu_name,
    .batch = cpu_batch,
    .left_vector = cpu_left_vector,
};
