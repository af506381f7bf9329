/* engine.c - the public interface, handed on to the backend the engine was made with.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/backend.h"

#include <stdlib.h>

struct spectral_engine {
    const spectral_backend *backend;
    void *state;
};

spectral_status spectral_engine_create(size_t n_workers, spectral_engine **out)
{
    *out = NULL;
    spectral_engine *engine = malloc(sizeof *engine);
    if (engine == NULL)
        return SPECTRAL_E_MEMORY;
    engine->backend = &spectral_cpu_backend;
    spectral_status status = engine->backend->create(n_workers, &engine->state);
    if (status != SPECTRAL_OK) {
        free(engine);
        return status;
    }
    *out = engine;
    return SPECTRAL_OK;
}

void spectral_engine_destroy(spectral_engine *engine)
{
    if (engine == NULL)
        return;
    engine->backend->destroy(engine->state);
    free(engine);
}

const char *spectral_engine_name(const spectral_engine *engine) { return engine->backend->name(engine->state); }

void spectral_batch(spectral_engine *engine, size_t worker, const spectral_module *modules, size_t n,
                    const spectral_options *options, const spectral_source *source, const spectral_executor *executor,
                    spectral_result *results)
{
    engine->backend->batch(engine->state, worker, modules, n, options, source, executor, results);
}

spectral_status spectral_left_vector(spectral_engine *engine, size_t worker, const spectral_module *module,
                                     size_t index, const spectral_source *source, double *u, double *sigma1)
{
    return engine->backend->left_vector(engine->state, worker, module, index, source, u, sigma1);
}
