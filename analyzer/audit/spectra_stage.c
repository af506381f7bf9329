/* spectra_stage.c - modules in chunks, so that an adapter of many small ones needs no second copy of all of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/spectra_stage.h"

#include "analyzer/adapter/method.h"
#include "analyzer/audit/initlaw.h"
#include "analyzer/base/limits.h"
#include "analyzer/formats/fetch.h"

#include <stdlib.h>

enum {
    CHUNK = 2048,             /* modules */
    PARALLEL_BYTES = 4 << 20  /* below this an adapter's modules stay on one thread: waking others costs more than they save */
};

typedef struct {
    spectral_module matrices[CHUNK];
    spectral_extra extras[CHUNK];
    spectral_result results[CHUNK];
} chunk;

/* What a batch reads through: module `index` of it is first + index of the adapter. */
typedef struct {
    const lora_record *record;
    const file *source;
    size_t first;
} reading;

static int read_factor(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    const reading *in = ctx;
    const lora_factor *f = method_factor(&in->record->adapter.modules[in->first + index], factor);
    (void)bytes; /* of all rows and columns: views hold no gaps */
    return fetch_entries(in->source, f->t, f->first, f->rows * f->cols, dst, NULL) != LORA_OK;
}

/* The executor's context is the pool. */
static void run_on_pool(void *ctx, size_t worker, size_t n, void (*task)(void *arg, size_t index, size_t worker), void *arg)
{
    pool_run(ctx, worker, n, task, arg);
}

static void describe(const lora_module *m, spectral_module *matrices, spectral_extra *extra)
{
    method_matrices(m, matrices, extra);
    if (!m->more)
        matrices->support_a = initlaw_support(m->n);
}

/* Room for one module's spectra. */
static bool prepare_module(lora_record *r, size_t i, const spectral_module *matrices)
{
    module_record *m = &r->modules[i];
    spectral_shape shape;
    spectral_module_shape(matrices, &shape); /* OK: the adapter room has asked */
    m->module = &r->adapter.modules[i];
    m->n_sigma = shape.n_sigma;
    m->n_sigma_a = shape.n_sigma_a;
    m->n_sigma_b = shape.n_sigma_b;
    double *sigma = arena_alloc(r->mem, m->n_sigma + m->n_sigma_a + m->n_sigma_b, sizeof *sigma);
    m->spectrum.sigma = sigma;
    m->spectrum.sigma_a = sigma ? sigma + m->n_sigma : NULL;
    m->spectrum.sigma_b = sigma ? m->spectrum.sigma_a + m->n_sigma_a : NULL;
    return sigma != NULL;
}

/* Why the factors of a module could not be read: read once more, for the message. */
static lora_code explain_read(const lora_module *m, const file *source, lora_error *err)
{
    const lora_factor *factors[6];
    size_t n = method_factors(m, factors);
    lora_code code = LORA_OK;
    for (size_t i = 0; i < n && code == LORA_OK; i++) {
        uint64_t entries = factors[i]->rows * factors[i]->cols;
        void *scratch = malloc((size_t)fetch_entries_bytes(factors[i]->t, entries));
        if (!scratch)
            return lora_fail(err, LORA_E_MEMORY, "no memory for a factor");
        code = fetch_entries(source, factors[i]->t, factors[i]->first, entries, scratch, err);
        free(scratch);
    }
    return code != LORA_OK ? code
                           : lora_fail_at(err, LORA_E_READ, m->a.t->entry_offset, "the factors of a module could not be read");
}

static lora_code check_module(const module_record *m, const file *source, lora_error *err)
{
    switch (m->spectrum.status) {
    case SPECTRAL_OK:
    case SPECTRAL_E_NONFINITE: return LORA_OK;
    case SPECTRAL_E_MEMORY: return lora_fail(err, LORA_E_MEMORY, "no memory for a module's spectrum");
    case SPECTRAL_E_READ: return explain_read(m->module, source, err);
    default:
        return lora_fail_at(err, LORA_E_INTERNAL, m->module->a.t->entry_offset, "a module's spectrum: %s",
                            spectral_status_text(m->spectrum.status));
    }
}

/* May the workers take the modules of a chunk side by side? Not when together they would need more than one alone may:
 * what a file can cost is promised whatever the number of workers. */
static bool may_run_side_by_side(const lora_record *r, const spectra_machine *machine, const spectral_options *options, const chunk *c,
                                 size_t n)
{
    size_t workers = pool_workers(machine->threads), largest = 0;
    if (n < 2 || workers < 2 || r->bytes < PARALLEL_BYTES)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = spectral_module_memory(&c->matrices[i], options);
        largest = bytes > largest ? bytes : largest;
    }
    return largest <= (LIMIT_MODULE_MEMORY + r->bytes + r->bytes / 2) / workers;
}

static lora_code run_chunk(lora_record *r, const spectra_machine *machine, const spectral_options *options, chunk *c, size_t first,
                           size_t n, lora_error *err)
{
    for (size_t i = 0; i < n; i++) {
        describe(&r->adapter.modules[first + i], &c->matrices[i], &c->extras[i]);
        if (!prepare_module(r, first + i, &c->matrices[i]))
            return lora_fail(err, LORA_E_MEMORY, "no memory for the spectra of %zu modules", r->adapter.n_modules);
        c->results[i] = r->modules[first + i].spectrum;
    }
    reading in = {r, machine->source, first};
    spectral_source source = {&in, read_factor};
    spectral_executor executor = {machine->threads, run_on_pool};
    bool parallel = may_run_side_by_side(r, machine, options, c, n);
    spectral_batch(machine->engine, machine->worker, c->matrices, n, options, &source, parallel ? &executor : NULL, c->results);
    for (size_t i = 0; i < n; i++) {
        module_record *m = &r->modules[first + i];
        m->spectrum = c->results[i];
        lora_code code = check_module(m, machine->source, err);
        if (code != LORA_OK)
            return code;
        if (m->spectrum.status == SPECTRAL_OK)
            m->scalars = spectral_scalars_of(m->spectrum.sigma, m->n_sigma);
    }
    return LORA_OK;
}

lora_code spectra_stage_run(lora_record *r, const spectra_machine *machine, const spectral_options *options, lora_error *err)
{
    size_t n = r->adapter.n_modules;
    r->modules = arena_alloc(r->mem, n, sizeof *r->modules);
    chunk *c = malloc(sizeof *c);
    lora_code code = LORA_OK;
    if (!r->modules || !c)
        code = lora_fail(err, LORA_E_MEMORY, "no memory for the spectra of %zu modules", n);
    for (size_t first = 0; first < n && code == LORA_OK; first += CHUNK)
        code = run_chunk(r, machine, options, c, first, n - first < CHUNK ? n - first : CHUNK, err);
    free(c);
    return code;
}

spectral_status spectra_left_vector(lora_record *r, const spectra_machine *machine, size_t index, double *u, double *sigma1)
{
    spectral_module matrices;
    spectral_extra extra;
    describe(&r->adapter.modules[index], &matrices, &extra);
    reading in = {r, machine->source, index};
    spectral_source source = {&in, read_factor};
    return spectral_left_vector(machine->engine, machine->worker, &matrices, 0, &source, u, sigma1);
}
