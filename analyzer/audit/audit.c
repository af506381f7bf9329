/* audit.c - the pipeline for one adapter: open → catalog → modules → spectra → summary → rules.
 *
 * Every stage fills its part of the record. A stage that finds the file unreadable sets the record's status and error and
 * ends the pipeline; only a lack of memory is an error of the call.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/ablation_rule.h"
#include "analyzer/audit/initlaw.h"
#include "analyzer/base/pool.h"
#include "analyzer/formats/open.h"
#include "analyzer/loraudit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Adam moves an entry by at most lr·(1 − β₁)/√(1 − β₂) = √10·lr a step (Kingma & Ba 1412.6980, 2.1, at its defaults). */
static const double ADAM_LARGEST_STEP = 3.1622776601683795;

/* Below this an adapter's modules stay on one thread: waking others costs more than they save. */
enum { PARALLEL_BYTES = 4 << 20 };

struct lora_auditor {
    lora_options options;
    pool *threads;
    spectral_engine *engine;
};

lora_code lora_auditor_create(const lora_options *options, lora_auditor **out, lora_error *err)
{
    *out = NULL;
    lora_auditor *a = calloc(1, sizeof *a);
    if (!a)
        goto fail;
    a->options = *options;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t jobs = options->jobs ? options->jobs : cores > 0 ? (size_t)cores : 1;
    a->threads = pool_create(jobs);
    if (!a->threads || spectral_engine_create(jobs, &a->engine) != SPECTRAL_OK)
        goto fail;
    *out = a;
    return LORA_OK;
fail:
    lora_auditor_destroy(a);
    return lora_fail(err, LORA_E_MEMORY, "no memory for the worker threads");
}

void lora_auditor_destroy(lora_auditor *auditor)
{
    if (!auditor)
        return;
    pool_destroy(auditor->threads);
    spectral_engine_destroy(auditor->engine);
    free(auditor);
}

size_t lora_auditor_workers(const lora_auditor *auditor)
{
    return pool_workers(auditor->threads);
}

const char *lora_auditor_backend(const lora_auditor *auditor)
{
    return spectral_engine_name(auditor->engine);
}

void lora_auditor_run(lora_auditor *auditor, size_t n, void (*task)(void *arg, size_t index, size_t worker), void *arg)
{
    pool_run(auditor->threads, 0, n, task, arg);
}

/* One audit under way. */
typedef struct {
    lora_auditor *auditor;
    size_t worker;
    lora_record *record;
    lora_error *err;
    file source;
    catalog cat;
    lora_config config;
    spectral_module *matrices; /* one a module, in the record's arena */
} audit;

static lora_code no_memory(audit *u)
{
    return lora_fail(u->err, LORA_E_MEMORY, "no memory to audit a file of %llu bytes",
                     (unsigned long long)u->record->bytes);
}

/* The file is at fault, not the call: keep the error in the record. */
static void refuse(lora_record *r, record_status status, const lora_error *fault)
{
    r->status = status;
    r->error = *fault;
    finding *f = record_add_finding(r, "unreadable-file", status == STATUS_ERROR ? SEVERITY_HIGH : SEVERITY_LOW, NULL,
                                    arena_strdup(r->mem, fault->message));
    evidence_text(f, "code", lora_code_name(fault->code));
    if (fault->has_offset)
        evidence_number(f, "offset", (double)fault->offset);
}

static lora_code stage_open(audit *u)
{
    lora_record *r = u->record;
    lora_error fault = {0};
    content_kind kind;
    lora_code code = formats_open(r->path, u->auditor->options.max_bytes, r->mem, &u->source, &kind, &u->cat, &fault);
    r->bytes = u->source.fd >= 0 ? u->source.size : 0;
    r->container = content_container(kind);
    if (code == LORA_E_MEMORY)
        return no_memory(u);
    if (code != LORA_OK)
        refuse(r, code == LORA_E_CONTAINER ? STATUS_UNSUPPORTED : STATUS_ERROR, &fault);
    return LORA_OK;
}

/* What a file is whose tensors give no module that can be computed. Anything that looks like low-rank factors, or is
 * declared to be, and is not read, must not pass as no adapter. */
static void judge_without_modules(audit *u)
{
    lora_record *r = u->record;
    const adapter *a = &r->adapter;
    lora_error fault = {0};
    uint64_t at = u->cat.n_tensors ? u->cat.tensors[0].entry_offset : 0;
    const char *type = u->config.peft_type;
    if (a->n_failed_pairs > 0) {
        lora_fail_at(&fault, LORA_E_LAYOUT, at, "none of %zu factor pairs can be computed: %s", a->n_failed_pairs,
                     a->skipped[0].reason);
    } else if (a->has_foreign && a->foreign_low_rank) {
        lora_fail_at(&fault, LORA_E_METHOD, at, "layout %s, method %s: recognised, not computed by this version",
                     layout_name(a->layout), a->method);
    } else if (a->n_halves > 0) {
        lora_fail_at(&fault, LORA_E_LAYOUT, at, "no factor pair: %zu factors without their partner", a->n_halves);
    } else if (!a->has_foreign && type && (strcmp(type, "LORA") == 0 || strcmp(type, "ADALORA") == 0)) {
        lora_fail_at(&fault, LORA_E_LAYOUT, at, "the config says %s, and no tensor is named like a factor", type);
    } else {
        r->status = STATUS_NOT_LORA;
        return;
    }
    refuse(r, STATUS_UNSUPPORTED, &fault);
}

static lora_code stage_pair(audit *u)
{
    lora_record *r = u->record;
    lora_error fault = {0};
    lora_code code = config_load(r->path, &u->cat, r->mem, &u->config, u->err);
    if (code != LORA_OK)
        return code;
    code = adapter_build(&u->cat, &u->config, r->mem, &r->adapter, &fault);
    if (code == LORA_OK)
        code = declared_load(r->path, &u->cat, r->mem, &r->declared, &r->training, &fault);
    if (code == LORA_E_MEMORY)
        return no_memory(u);
    if (code != LORA_OK) {
        refuse(r, STATUS_ERROR, &fault);
        return LORA_OK;
    }
    r->has_adapter = true;
    const char *base = u->config.base_model ? u->config.base_model : catalog_metadata_find(&u->cat, "ss_sd_model_name");
    if (base && !(r->base_model = arena_strdup(r->mem, base)))
        return no_memory(u);
    if (r->adapter.n_modules == 0)
        judge_without_modules(u);
    return LORA_OK;
}

static spectral_dtype stored_dtype(tensor_dtype d)
{
    switch (d) {
    case DTYPE_F64: return SPECTRAL_F64;
    case DTYPE_F16: return SPECTRAL_F16;
    case DTYPE_BF16: return SPECTRAL_BF16;
    default: return SPECTRAL_F32;
    }
}

static spectral_view row_major(const tensor *t, uint64_t rows, uint64_t cols)
{
    return (spectral_view){.dtype = stored_dtype(t->dtype), .rows = (size_t)rows, .cols = (size_t)cols,
                           .row_stride = (size_t)cols, .col_stride = 1};
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Room for one module's spectra, and its matrices as the engine sees them. */
static bool prepare_module(audit *u, size_t i)
{
    lora_record *r = u->record;
    const lora_module *m = &r->adapter.modules[i];
    module_record *mr = &r->modules[i];
    u->matrices[i] = (spectral_module){.a = row_major(m->a, m->r, m->n), .b = row_major(m->b, m->m, m->r),
                                       .scale = m->scale, .support_a = initlaw_support(m->n)};
    size_t rank = (size_t)m->r;
    mr->module = m;
    mr->n_sigma_a = smaller(rank, (size_t)m->n);
    mr->n_sigma_b = smaller(rank, (size_t)m->m);
    mr->n_sigma = smaller(mr->n_sigma_a, mr->n_sigma_b);
    double *sigma = arena_alloc(r->mem, mr->n_sigma + mr->n_sigma_a + mr->n_sigma_b, sizeof *sigma);
    mr->spectrum.sigma = sigma;
    mr->spectrum.sigma_a = sigma ? sigma + mr->n_sigma : NULL;
    mr->spectrum.sigma_b = sigma ? mr->spectrum.sigma_a + mr->n_sigma_a : NULL;
    return sigma != NULL;
}

static int read_factor(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    const audit *u = ctx;
    const lora_module *m = &u->record->adapter.modules[index];
    const tensor *t = factor == 'a' ? m->a : m->b;
    return file_read_at(&u->source, t->offset, dst, bytes, NULL) != LORA_OK;
}

/* The executor's context is the auditor's pool. */
static void run_on_pool(void *ctx, size_t worker, size_t n, void (*task)(void *arg, size_t index, size_t worker), void *arg)
{
    pool_run(ctx, worker, n, task, arg);
}

static lora_code stage_spectra(audit *u)
{
    lora_record *r = u->record;
    size_t n = r->adapter.n_modules;
    r->modules = arena_alloc(r->mem, n, sizeof *r->modules);
    u->matrices = arena_alloc(r->mem, n, sizeof *u->matrices);
    if (!r->modules || !u->matrices)
        return no_memory(u);
    spectral_result *results = malloc((n + 1) * sizeof *results);
    bool ready = results != NULL;
    for (size_t i = 0; i < n && ready; i++) {
        ready = prepare_module(u, i);
        results[i] = r->modules[i].spectrum;
    }
    if (!ready) {
        free(results);
        return no_memory(u);
    }
    spectral_options options = {.precise = u->auditor->options.precise, .all_rows = u->auditor->options.moments};
    spectral_source source = {u, read_factor};
    spectral_executor executor = {u->auditor->threads, run_on_pool};
    bool parallel = n > 1 && r->bytes >= PARALLEL_BYTES && pool_workers(u->auditor->threads) > 1;
    spectral_batch(u->auditor->engine, u->worker, u->matrices, n, &options, &source, parallel ? &executor : NULL, results);
    for (size_t i = 0; i < n; i++) {
        module_record *m = &r->modules[i];
        m->spectrum = results[i];
        if (m->spectrum.status == SPECTRAL_OK)
            m->scalars = spectral_scalars_of(m->spectrum.sigma, m->n_sigma);
    }
    free(results);
    return LORA_OK;
}

/* A module that failed for another reason than its values ends the audit: half a result is none. */
static lora_code check_modules(audit *u)
{
    lora_record *r = u->record;
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        lora_error fault = {0};
        switch (m->spectrum.status) {
        case SPECTRAL_OK:
        case SPECTRAL_E_NONFINITE:
            break;
        case SPECTRAL_E_MEMORY:
            return no_memory(u);
        case SPECTRAL_E_READ:
            lora_fail_at(&fault, LORA_E_READ, m->module->b->offset, "the factors of a module could not be read");
            refuse(r, STATUS_ERROR, &fault);
            return LORA_OK;
        default:
            lora_fail_at(&fault, LORA_E_INTERNAL, m->module->b->entry_offset, "a module's spectrum: %s",
                         spectral_status_text(m->spectrum.status));
            refuse(r, STATUS_ERROR, &fault);
            return LORA_OK;
        }
    }
    return LORA_OK;
}

static void summarise_effort(lora_record *r)
{
    effort_finding e = {.max_abs_b = NAN, .mean_abs_b = NAN, .learning_rate = r->training.learning_rate,
                        .steps = r->training.steps, .steps_at_least = NAN};
    double sum = 0, entries = 0, largest = -1;
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        if (m->spectrum.status != SPECTRAL_OK)
            continue;
        const spectral_factor *f = m->module->embedding ? &m->spectrum.a : &m->spectrum.b;
        double n = (double)(m->module->embedding ? m->module->n : m->module->m) * (double)m->module->r;
        largest = fmax(largest, f->max_abs);
        sum += f->mean_abs * n;
        entries += n;
    }
    if (entries > 0) {
        e.max_abs_b = largest;
        e.mean_abs_b = sum / entries;
        if (e.learning_rate > 0)
            e.steps_at_least = floor(largest / (ADAM_LARGEST_STEP * e.learning_rate));
    }
    r->effort = e;
}

static void summarise(lora_record *r)
{
    double norm = 0, largest = -1;
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        const lora_module *mod = m->module;
        r->parameters += mod->r * (mod->m + mod->n);
        r->scale_min = i ? fmin(r->scale_min, mod->scale) : mod->scale;
        r->scale_max = i ? fmax(r->scale_max, mod->scale) : mod->scale;
        r->rank_min = i && r->rank_min < mod->r ? r->rank_min : mod->r;
        r->rank_max = r->rank_max > mod->r ? r->rank_max : mod->r;
        if (m->spectrum.status != SPECTRAL_OK)
            continue;
        norm = hypot(norm, m->spectrum.frobenius); /* squares might overflow */
        largest = fmax(largest, m->spectrum.sigma[0]);
    }
    r->frobenius = largest >= 0 ? norm : NAN;
    r->spectral = largest >= 0 ? largest : NAN;
    summarise_effort(r);
}

/* Every update is zero, and there is nothing else in the file that could change a model. */
static bool is_untrained(const lora_record *r)
{
    if (r->adapter.n_skipped + r->adapter.n_halves + r->adapter.n_strays > 0)
        return false;
    for (size_t i = 0; i < r->adapter.n_modules; i++)
        if (r->modules[i].spectrum.status != SPECTRAL_OK || r->modules[i].spectrum.path != SPECTRAL_PATH_ZERO)
            return false;
    return true;
}

static lora_code stage_judge(audit *u)
{
    lora_record *r = u->record;
    if (r->adapter.n_modules > 0) {
        summarise(r);
        r->status = is_untrained(r) ? STATUS_UNTRAINED : STATUS_OK;
        lora_code code = initlaw_find(r, &r->init, u->err);
        if (code != LORA_OK)
            return code;
    }
    lora_code code = rules_apply(r, &u->config, u->err);
    if (code != LORA_OK || r->adapter.n_modules == 0)
        return code;
    if (!(u->auditor->options.rules >> rules_find("directional-ablation", strlen("directional-ablation")) & 1))
        return LORA_OK;
    lora_error fault = {0};
    spectral_source source = {u, read_factor};
    code = ablation_rule_apply(r, u->auditor->engine, u->worker, u->matrices, &source, &fault);
    if (code == LORA_E_MEMORY)
        return no_memory(u);
    if (code != LORA_OK)
        refuse(r, STATUS_ERROR, &fault);
    return LORA_OK;
}

static lora_code run_stages(audit *u)
{
    lora_record *r = u->record;
    lora_code code = stage_open(u);
    if (code == LORA_OK && r->status != STATUS_ERROR && r->status != STATUS_UNSUPPORTED)
        code = stage_pair(u);
    if (code != LORA_OK || !r->has_adapter)
        return code;
    if (r->adapter.n_modules > 0)
        code = stage_spectra(u);
    if (code == LORA_OK && r->adapter.n_modules > 0)
        code = check_modules(u);
    if (code != LORA_OK || r->status == STATUS_ERROR)
        return code;
    return stage_judge(u);
}

static lora_record *new_record(const char *path)
{
    lora_record *r = calloc(1, sizeof *r);
    if (!r || !(r->mem = arena_create()) || !(r->path = arena_strdup(r->mem, path))) {
        record_destroy(r);
        return NULL;
    }
    r->frobenius = r->spectral = NAN;
    r->safety = SAFETY_INCONCLUSIVE;
    r->abstained = "no reference bank: this version measures, it does not estimate";
    return r;
}

lora_code lora_record_unaudited(const char *path, const lora_error *fault, lora_record **out)
{
    *out = new_record(path);
    if (!*out)
        return LORA_E_MEMORY;
    refuse(*out, STATUS_ERROR, fault);
    return LORA_OK;
}

lora_code lora_audit_file(lora_auditor *auditor, size_t worker, const char *path, lora_record **out, lora_error *err)
{
    *out = NULL;
    lora_record *r = new_record(path);
    if (!r)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a record");
    audit u = {.auditor = auditor, .worker = worker, .record = r, .err = err, .source = {.fd = -1}};
    lora_code code = run_stages(&u);
    if (code == LORA_OK)
        rules_filter(r, auditor->options.rules);
    config_release(&u.config);
    file_close(&u.source);
    if (code != LORA_OK) {
        record_destroy(r);
        return code;
    }
    *out = r;
    return LORA_OK;
}
