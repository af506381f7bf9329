/* fuzz_adapter.c - pairing, scales, declarations: a catalog from a description, a line each.
 *
 *     {…}                      the config, as LoraConfig in the file's metadata
 *     key=value                any other metadata
 *     name dtype axis axis …   a tensor; what is no dtype is F32, what is no number ends the line
 *
 * Entries are the description's own bytes, so that alphas have values; nothing but alphas may be read.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"
#include "analyzer/adapter/method.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/adapter/declared.h"
#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "tests/fuzz/check.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 256, MAX_METADATA = 16, POOL_BYTES = 4096 };
static const char *const NOWHERE = "/nonexistent/adapter_model.safetensors"; /* no side files lie there */

typedef struct {
    unsigned char pool[POOL_BYTES];
    tensor tensors[MAX_TENSORS];
    uint64_t shapes[MAX_TENSORS][LIMIT_TENSOR_DIMS];
    catalog_metadata metadata[MAX_METADATA];
    file source;
    catalog cat;
} description;

static tensor_dtype dtype_called(const char *word)
{
    for (unsigned d = 0; d < DTYPE_COUNT; d++)
        if (strcmp(dtype_name((tensor_dtype)d), word) == 0)
            return (tensor_dtype)d;
    return DTYPE_F32;
}

static void add_tensor(description *d, char *line)
{
    size_t i = d->cat.n_tensors;
    if (i == MAX_TENSORS)
        return;
    tensor t = {.shape = d->shapes[i], .entry_offset = 8 * i, .dtype = DTYPE_F32};
    char *rest = NULL, *word;
    t.name = strtok_r(line, " ", &rest);
    if (!t.name)
        return;
    if ((word = strtok_r(NULL, " ", &rest)))
        t.dtype = dtype_called(word);
    while (t.n_dims < LIMIT_TENSOR_DIMS && (word = strtok_r(NULL, " ", &rest)) && isdigit((unsigned char)*word))
        d->shapes[i][t.n_dims++] = strtoull(word, NULL, 10);
    if (tensor_byte_size(&t, &t.bytes, NULL) != LORA_OK || t.bytes > (uint64_t)INT64_MAX / MAX_TENSORS)
        return;
    t.offset = t.bytes <= POOL_BYTES ? 8 * i % (POOL_BYTES - t.bytes + 1) : 0;
    d->tensors[i] = t;
    d->cat.n_tensors++;
}

static void add_line(description *d, char *line)
{
    char *equals = strchr(line, '=');
    if (*line != '{' && !equals) {
        add_tensor(d, line);
        return;
    }
    if (d->cat.n_metadata == MAX_METADATA)
        return;
    catalog_metadata *m = &d->metadata[d->cat.n_metadata++];
    if (*line == '{') {
        *m = (catalog_metadata){"lora_adapter_metadata", line};
    } else {
        *equals = '\0';
        *m = (catalog_metadata){line, equals + 1};
    }
}

/* text: NUL-terminated, cut up in place. */
static void describe(description *d, char *text, size_t n)
{
    for (size_t i = 0; i < POOL_BYTES; i++)
        d->pool[i] = n ? (unsigned char)text[i % n] : 0;
    d->source = file_of_memory(d->pool, POOL_BYTES);
    d->cat = (catalog){.container = "safetensors", .source = &d->source, .tensors = d->tensors, .metadata = d->metadata};
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        add_line(d, line);
}

/* ---- what must hold ---- */

static bool is_of(const description *d, const tensor *t)
{
    return t >= d->tensors && t < d->tensors + d->cat.n_tensors;
}

static uint64_t n_entries(const tensor *t)
{
    uint64_t n = 1;
    for (unsigned i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

/* Every factor lies inside its tensor, and the engine takes the module. */
static void check_factors(const description *d, const lora_module *m)
{
    const lora_factor *factors[6];
    size_t n = method_factors(m, factors);
    CHECK_ABOUT(n > 0 && m->a.t, m->name);
    for (size_t i = 0; i < n; i++) {
        const lora_factor *f = factors[i];
        CHECK_ABOUT(is_of(d, f->t) && f->rows > 0 && f->cols > 0, m->name);
        CHECK_ABOUT(f->first + f->rows * f->cols <= n_entries(f->t), m->name);
        CHECK_ABOUT(fetch_entries_bytes(f->t, f->rows * f->cols) <= LIMIT_FACTOR_BYTES, m->name);
    }
    spectral_module matrices;
    spectral_extra extra;
    spectral_shape shape;
    method_matrices(m, &matrices, &extra);
    CHECK_ABOUT(spectral_module_shape(&matrices, &shape) == SPECTRAL_OK, m->name);
    CHECK_ABOUT(shape.m == m->m && shape.n == m->n, m->name);
    CHECK_ABOUT(spectral_module_memory(&matrices, NULL) <= LIMIT_MODULE_MEMORY + d->source.size + d->source.size / 2, m->name);
}

static void check_module(const description *d, const lora_module *m)
{
    CHECK(m->name != NULL && m->component != NULL && m->method != NULL);
    CHECK((unsigned)m->role < ROLE_COUNT && (unsigned)m->layout < LAYOUT_COUNT && m->layer >= -1);
    CHECK((!m->alpha || is_of(d, m->alpha)) && (!m->magnitude || is_of(d, m->magnitude)));
    CHECK(m->r > 0 && m->m > 0 && m->n > 0);
    CHECK_ABOUT(m->r <= LIMIT_FREE_RANK || m->r <= m->m || m->r <= m->n, m->name);
    CHECK_ABOUT(isfinite(m->scale), m->name);
    check_factors(d, m);
}

static void check_adapter(const description *d, const adapter *a)
{
    CHECK((unsigned)a->layout < LAYOUT_COUNT);
    CHECK(a->method != NULL && a->method[0] != '\0');
    for (const char *p = a->method; *p; p++)
        CHECK_ABOUT(isalnum((unsigned char)*p) || *p == '_' || *p == '-', a->method);
    CHECK(a->n_modules <= d->cat.n_tensors + LIMIT_ALL_EXPERTS && a->n_strays <= d->cat.n_tensors && a->n_halves <= d->cat.n_tensors);
    for (size_t i = 0; i < a->n_modules; i++)
        check_module(d, &a->modules[i]);
    for (size_t i = 0; i < a->n_skipped; i++) {
        CHECK(a->skipped[i].name != NULL);
        check_line(a->skipped[i].reason);
    }
    for (size_t i = 0; i < a->n_strays; i++)
        CHECK(is_of(d, a->strays[i]));
    for (size_t i = 0; i < a->n_halves; i++)
        CHECK(is_of(d, a->halves[i]));
    CHECK((a->n_ambiguous > 0) == (a->ambiguous != NULL));
    CHECK(!a->ranks_differ || a->rank_example);
}

static void build(const description *d, arena *mem)
{
    lora_config cfg = {0};
    lora_error err = {0};
    lora_code code = config_load(NOWHERE, &d->cat, mem, &cfg, &err);
    CHECK(code == LORA_OK || (code == LORA_E_MEMORY && check_memory_may_fail));
    if (code == LORA_OK) {
        if (cfg.fault.code != LORA_OK)
            check_line(cfg.fault.message);
        adapter a = {0};
        lora_error fault = {0};
        code = adapter_build(&d->cat, &cfg, mem, &a, &fault);
        check_outcome(code, &fault, POOL_BYTES);
        CHECK(code == LORA_OK || code == LORA_E_SHRUNK || code == LORA_E_MEMORY);
        if (code == LORA_OK)
            check_adapter(d, &a);
    }
    config_release(&cfg);

    declared_size size = {0};
    declared_training training = {0};
    lora_error fault = {0};
    code = declared_load(NOWHERE, &d->cat, mem, &size, &training, &fault);
    CHECK(code == LORA_OK || (code == LORA_E_MEMORY && check_memory_may_fail));
    if (code == LORA_OK && size.present) {
        CHECK(size.source != NULL && isfinite(size.value) && size.value >= 0);
        CHECK(size.low <= size.value && size.value <= size.high);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    description *d = calloc(1, sizeof *d);
    char *text = malloc(n + 1);
    arena *mem = arena_create();
    if (d && text && mem && text_utf8_invalid((const char *)bytes, n) == n) {
        if (n)
            memcpy(text, bytes, n);
        text[n] = '\0';
        describe(d, text, strlen(text));
        if (catalog_check_names(d->tensors, d->cat.n_tensors, NULL) == LORA_OK)
            build(d, mem);
    }
    arena_destroy(mem);
    free(text);
    free(d);
    return 0;
}
