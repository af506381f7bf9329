/* adapter.c - pairing. Every tensor's key is parsed; sorted by module (and PEFT adapter), those of one module stand side by
 * side and fill one slot; a slot with both factors becomes a module, and everything else is kept by name. Sorting costs
 * O(n log n) whatever names a stranger chose.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"

#include "analyzer/adapter/naming.h"
#include "analyzer/adapter/role.h"
#include "analyzer/adapter/scale.h"
#include "spectral/spectral.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tensor that names a module. */
typedef struct {
    parsed_key key;
    const tensor *t;
    size_t order; /* in the file */
} claim;

/* All that names one module. */
typedef struct {
    const char *module;
    lora_layout layout;
    const tensor *a, *b, *alpha, *magnitude;
    const char *foreign; /* method, when a tensor of another method names this module */
    bool embedding;
} slot;

typedef struct {
    const catalog *cat;
    const lora_config *cfg;
    arena *mem;
    lora_error *err;
    adapter *out;
    claim *claims;
    size_t n_claims;
    const char *foreign_method;
    lora_layout foreign_layout;
    size_t by_layout[LAYOUT_COUNT];
    size_t by_rule[SCALE_N_RULES];
} builder;

static lora_code out_of_memory(builder *b)
{
    return lora_fail(b->err, LORA_E_MEMORY, "no memory for the modules of %zu tensors", b->cat->n_tensors);
}

static void put_stray(builder *b, const tensor *t)
{
    b->out->strays[b->out->n_strays++] = t;
}

static lora_code parse_claims(builder *b)
{
    for (size_t i = 0; i < b->cat->n_tensors; i++) {
        const tensor *t = &b->cat->tensors[i];
        claim c = {.t = t, .order = i};
        if (naming_parse(t->name, b->mem, &c.key) != LORA_OK)
            return out_of_memory(b);
        if (c.key.part == PART_NONE)
            put_stray(b, t);
        else
            b->claims[b->n_claims++] = c;
    }
    return LORA_OK;
}

static int by_module(const void *pa, const void *pb)
{
    const claim *a = pa, *b = pb;
    int c = strcmp(a->key.module, b->key.module);
    if (c == 0)
        c = strcmp(a->key.adapter, b->key.adapter);
    return c ? c : a->order < b->order ? -1 : a->order > b->order;
}

/* Put one tensor where it belongs. A second claimant of the same place is a stray. */
static void fill_slot(builder *b, slot *s, const claim *c)
{
    const parsed_key *key = &c->key;
    if (key->part == PART_FOREIGN) {
        b->out->has_foreign = true;
        b->out->foreign_low_rank |= key->low_rank;
        b->foreign_method = s->foreign = key->method;
        b->foreign_layout = key->layout;
        return;
    }
    const tensor **place = key->part == PART_A           ? &s->a
                           : key->part == PART_B         ? &s->b
                           : key->part == PART_ALPHA     ? &s->alpha
                           : key->part == PART_MAGNITUDE ? &s->magnitude
                                                         : NULL;
    if (!place || *place) {
        put_stray(b, c->t);
        return;
    }
    *place = c->t;
    if (key->part == PART_A || key->part == PART_B) {
        s->layout = key->layout;
        s->embedding = key->embedding;
    }
}

static bool readable_dtype(tensor_dtype d)
{
    return d == DTYPE_F64 || d == DTYPE_F32 || d == DTYPE_F16 || d == DTYPE_BF16;
}

/* product of shape[from..]; the reader has proved that it fits */
static uint64_t product_from(const tensor *t, unsigned from)
{
    uint64_t p = 1;
    for (unsigned i = from; i < t->n_dims; i++)
        p *= t->shape[i];
    return p;
}

static const char *shape_text(arena *mem, const tensor *t)
{
    char text[160];
    size_t at = 0;
    text[at++] = '[';
    for (unsigned i = 0; i < t->n_dims && at < sizeof text - 24; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu", i ? ", " : "", (unsigned long long)t->shape[i]);
    snprintf(text + at, sizeof text - at, "]");
    return arena_strdup(mem, text);
}

/* Why the pair in s is no ΔW = s·B·A that can be computed here; NULL when it is one. Sets m, n, r of mod. */
static const char *check_pair(builder *b, const slot *s, lora_module *mod, skipped_module *skip)
{
    const tensor *a = s->a, *up = s->b;
    if (s->foreign)
        return arena_printf(b->mem, "method %s is not computed yet", s->foreign);
    if (!readable_dtype(a->dtype) || !readable_dtype(up->dtype))
        return arena_printf(b->mem, "dtype %s is not read yet",
                            dtype_name(readable_dtype(a->dtype) ? up->dtype : a->dtype));
    if (a->n_dims < 2 || up->n_dims < 2 || product_from(up, 2) != 1)
        return arena_printf(b->mem, "factor shapes A %s, B %s are no matrices", shape_text(b->mem, a),
                            shape_text(b->mem, up));
    mod->r = a->shape[0];
    mod->n = product_from(a, 1);
    mod->m = up->shape[0];
    if (mod->r != up->shape[1]) {
        skip->shapes_differ = true;
        skip->rows_a = mod->r;
        skip->cols_b = up->shape[1];
        return arena_printf(b->mem, "A %s has %llu rows, B %s has %llu columns", shape_text(b->mem, a),
                            (unsigned long long)mod->r, shape_text(b->mem, up), (unsigned long long)up->shape[1]);
    }
    if (mod->r == 0 || mod->m == 0 || mod->n == 0)
        return "a factor has no entries";
    if (mod->r > SPECTRAL_MAX_RANK)
        return arena_printf(b->mem, "rank %llu is above the limit of %d", (unsigned long long)mod->r,
                            SPECTRAL_MAX_RANK);
    return NULL;
}

static void note_rank(builder *b, const lora_module *m, const config_values *v)
{
    b->out->bad_pattern |= v->bad_pattern;
    if (v->rank > 0 && v->rank != (double)m->r && !b->out->ranks_differ) {
        b->out->ranks_differ = true;
        b->out->rank_example = m->name;
        b->out->rank_example_declared = v->rank < 1e18 ? (uint64_t)v->rank : UINT64_MAX;
        b->out->rank_example_found = m->r;
    }
}

static lora_code make_module(builder *b, const slot *s)
{
    adapter *out = b->out;
    lora_module mod = {.name = s->module, .layout = s->layout, .embedding = s->embedding, .a = s->a, .b = s->b,
                       .alpha = s->alpha, .magnitude = s->magnitude};
    skipped_module skip = {.name = s->module};
    skip.reason = check_pair(b, s, &mod, &skip);
    if (skip.reason) {
        out->skipped[out->n_skipped++] = skip;
        return LORA_OK;
    }
    mod.component = component_of_path(mod.name);
    mod.role = role_of_path(mod.name);
    if (mod.role == ROLE_OTHER && s->a->n_dims > 2 && product_from(s->a, 2) > 1)
        mod.role = ROLE_CONV;
    mod.layer = layer_of_path(mod.name);
    config_values values = config_for_module(b->cfg, mod.name);
    scale_rule rule;
    lora_code code = scale_of_module(&mod, &values, b->cat->source, &rule, b->err);
    if (code != LORA_OK)
        return code;
    note_rank(b, &mod, &values);
    b->by_rule[rule]++;
    b->by_layout[mod.layout]++;
    out->modules[out->n_modules++] = mod;
    return LORA_OK;
}

/* A slot that is no pair: halves, companions without factors, or parts of another method. */
static lora_code keep_leftovers(builder *b, const slot *s)
{
    adapter *out = b->out;
    if (s->a)
        out->halves[out->n_halves++] = s->a;
    if (s->b)
        out->halves[out->n_halves++] = s->b;
    if (s->foreign)
        out->skipped[out->n_skipped++] = (skipped_module){
            .name = s->module, .reason = arena_printf(b->mem, "method %s is not computed yet", s->foreign)};
    else if (s->alpha && !s->a && !s->b)
        put_stray(b, s->alpha);
    if (s->magnitude && !s->a && !s->b)
        put_stray(b, s->magnitude);
    return LORA_OK;
}

/* Numbers inside names compare as numbers: "layers.2." before "layers.10.". */
static int natural_order(const void *pa, const void *pb)
{
    const char *a = ((const lora_module *)pa)->name, *b = ((const lora_module *)pb)->name;
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            while (*a == '0')
                a++;
            while (*b == '0')
                b++;
            size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
            if (na != nb)
                return na < nb ? -1 : 1;
            int c = strncmp(a, b, na);
            if (c != 0)
                return c;
            a += na;
            b += nb;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    if (*a || *b)
        return *a ? 1 : -1;
    uint64_t oa = ((const lora_module *)pa)->a->offset, ob = ((const lora_module *)pb)->a->offset;
    return oa < ob ? -1 : oa > ob; /* a total order, whatever qsort does */
}

static size_t most(const size_t *counts, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (counts[i] > counts[best])
            best = i;
    return best;
}

static void lower_copy(char *dst, const char *src, size_t n)
{
    size_t i = 0;
    for (; src[i] && i + 1 < n; i++)
        dst[i] = (char)tolower((unsigned char)src[i]);
    dst[i] = '\0';
}

static lora_code name_method(builder *b)
{
    adapter *out = b->out;
    out->method = "unknown";
    if (out->n_modules || out->n_halves) {
        out->method = b->cfg->use_dora ? "dora" : "lora";
        for (size_t i = 0; i < out->n_modules; i++)
            if (out->modules[i].magnitude)
                out->method = "dora";
    }
    if (b->foreign_method && (out->n_modules == 0 || b->foreign_layout == LAYOUT_LORA_SB))
        out->method = b->foreign_method;
    if (out->n_modules == 0 && !b->foreign_method && b->cfg->peft_type) {
        char lower[48];
        lower_copy(lower, b->cfg->peft_type, sizeof lower);
        out->method = arena_strdup(b->mem, lower);
        if (!out->method)
            return out_of_memory(b);
    }
    return LORA_OK;
}

lora_code adapter_build(const catalog *cat, const lora_config *cfg, arena *mem, adapter *out, lora_error *err)
{
    adapter result = {0};
    builder b = {.cat = cat, .cfg = cfg, .mem = mem, .err = err, .out = &result};
    size_t n = cat->n_tensors;
    b.claims = arena_alloc(mem, n, sizeof *b.claims);
    result.modules = arena_alloc(mem, n / 2 + 1, sizeof *result.modules);
    result.skipped = arena_alloc(mem, n, sizeof *result.skipped);
    result.strays = arena_alloc(mem, n, sizeof *result.strays);
    result.halves = arena_alloc(mem, n, sizeof *result.halves);
    if (!b.claims || !result.modules || !result.skipped || !result.strays || !result.halves)
        return out_of_memory(&b);

    lora_code code = parse_claims(&b);
    if (code != LORA_OK)
        return code;
    qsort(b.claims, b.n_claims, sizeof *b.claims, by_module);
    for (size_t i = 0, next; i < b.n_claims; i = next) {
        const parsed_key *key = &b.claims[i].key;
        slot s = {.module = key->module, .layout = key->layout};
        for (next = i; next < b.n_claims && strcmp(b.claims[next].key.module, key->module) == 0 &&
                       strcmp(b.claims[next].key.adapter, key->adapter) == 0;
             next++)
            fill_slot(&b, &s, &b.claims[next]);
        code = s.a && s.b ? make_module(&b, &s) : keep_leftovers(&b, &s);
        if (code != LORA_OK)
            return code;
    }
    qsort(result.modules, result.n_modules, sizeof *result.modules, natural_order);
    if (result.n_modules) {
        result.layout = (lora_layout)most(b.by_layout, LAYOUT_COUNT);
        result.scale_source = scale_rule_text((scale_rule)most(b.by_rule, SCALE_N_RULES), cfg->source, mem);
        if (!result.scale_source)
            return out_of_memory(&b);
    } else {
        result.layout = b.foreign_layout;
    }
    const double *rank = cfg->tree ? sidefile_number(cfg->tree, "r") : NULL;
    result.declared_rank = rank && *rank >= 1 && *rank < 1e9 ? (uint64_t)*rank : 0;
    code = name_method(&b);
    if (code == LORA_OK)
        *out = result;
    return code;
}
