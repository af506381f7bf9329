/* adapter.c - pairing. Every tensor's key is parsed; sorted by module, spelling and PEFT adapter, those of one module stand
 * side by side and fill one slot; a slot with both factors becomes a module, and everything else is kept by name. Sorting
 * costs O(n log n) whatever names a stranger chose.
 *
 * Two spellings of one module (with and without a wrapper prefix, or in the endings of two layouts) are ambiguous: which one
 * a loader takes depends on the loader. All are measured, and the record says so.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"

#include "analyzer/adapter/naming.h"
#include "analyzer/adapter/role.h"
#include "analyzer/adapter/scale.h"
#include "analyzer/base/limits.h"
#include "spectral/spectral.h"

#include <ctype.h>
#include <math.h>
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
    lora_layout layout, layout_b; /* of A, or of whatever there is; of B */
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
    bool no_memory; /* a text could not be made */
    const char *foreign_method;
    lora_layout foreign_layout;
    size_t by_layout[LAYOUT_COUNT];
    size_t by_rule[SCALE_N_RULES];
} builder;

static void note_ambiguous(builder *b, const char *module)
{
    if (b->out->n_ambiguous++ == 0)
        b->out->ambiguous = module;
}

/* A text for the record. Never NULL: a lack of memory is noted, and ends the building. */
static const char *text(builder *b, const char *made)
{
    b->no_memory |= !made;
    return made ? made : "";
}

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
        c = strcmp(a->key.full, b->key.full);
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
        if (place)
            note_ambiguous(b, s->module);
        put_stray(b, c->t);
        return;
    }
    *place = c->t;
    if (key->part == PART_A || key->part == PART_B)
        s->embedding = key->embedding;
    if (key->part == PART_A)
        s->layout = key->layout;
    if (key->part == PART_B)
        s->layout_b = key->layout;
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

static const char *shape_text(builder *b, const tensor *t)
{
    char shape[160];
    size_t at = 0;
    shape[at++] = '[';
    for (unsigned i = 0; i < t->n_dims && at < sizeof shape - 24; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%llu", i ? ", " : "", (unsigned long long)t->shape[i]);
    snprintf(shape + at, sizeof shape - at, "]");
    return text(b, arena_strdup(b->mem, shape));
}

/* Why the pair in s is no ΔW = s·B·A that can be computed here; NULL when it is one. Sets m, n, r of mod. */
static const char *check_pair(builder *b, const slot *s, lora_module *mod, skipped_module *skip)
{
    const tensor *a = s->a, *up = s->b;
    if (s->foreign)
        return text(b, arena_printf(b->mem, "method %s is not computed yet", s->foreign));
    if (s->layout != s->layout_b)
        return text(b, arena_printf(b->mem, "A is named as in layout %s, B as in %s", layout_name(s->layout),
                                    layout_name(s->layout_b)));
    if (!readable_dtype(a->dtype) || !readable_dtype(up->dtype))
        return text(b, arena_printf(b->mem, "dtype %s is not read yet",
                                    dtype_name(readable_dtype(a->dtype) ? up->dtype : a->dtype)));
    if (a->n_dims < 2 || up->n_dims < 2 || product_from(up, 2) != 1)
        return text(b, arena_printf(b->mem, "factor shapes A %s, B %s are no matrices", shape_text(b, a),
                                    shape_text(b, up)));
    mod->r = a->shape[0];
    mod->n = product_from(a, 1);
    mod->m = up->shape[0];
    if (mod->r != up->shape[1]) {
        skip->shapes_differ = true;
        return text(b, arena_printf(b->mem, "A %s has %llu rows, B %s has %llu columns", shape_text(b, a),
                                    (unsigned long long)mod->r, shape_text(b, up), (unsigned long long)up->shape[1]));
    }
    if (mod->r == 0 || mod->m == 0 || mod->n == 0)
        return "a factor has no entries";
    uint64_t longest = mod->m > mod->n ? mod->m : mod->n, most = longest > LIMIT_FREE_RANK ? longest : LIMIT_FREE_RANK;
    most = most < SPECTRAL_MAX_RANK ? most : SPECTRAL_MAX_RANK;
    if (mod->r > most)
        return text(b, arena_printf(b->mem, "rank %llu is above the limit of %llu for this shape",
                                    (unsigned long long)mod->r, (unsigned long long)most));
    uint64_t larger = a->bytes > up->bytes ? a->bytes : up->bytes;
    if (larger > LIMIT_FACTOR_BYTES)
        return text(b, arena_printf(b->mem, "a factor has %llu bytes, the limit is %u", (unsigned long long)larger,
                                    LIMIT_FACTOR_BYTES));
    return NULL;
}

static void note_rank(builder *b, const lora_module *m, const config_values *v)
{
    b->out->bad_pattern |= v->bad_pattern;
    b->out->bad_value |= v->bad_value;
    if (v->rank > 0 && v->rank != (double)m->r && !b->out->ranks_differ) {
        b->out->ranks_differ = true;
        b->out->rank_example = m->name;
        b->out->rank_example_declared = v->rank < 1e18 ? (uint64_t)v->rank : UINT64_MAX;
        b->out->rank_example_found = m->r;
    }
}

static void skip_module(builder *b, skipped_module skip)
{
    b->out->skipped[b->out->n_skipped++] = skip;
}

/* Several experts share one pair of factors, a block of ranks each: their updates are not B·A. */
static bool is_stack_of_experts(const builder *b, const lora_module *m, const config_values *v)
{
    return b->cfg->has_experts && v->rank >= 1 && (double)m->r > v->rank && fmod((double)m->r, v->rank) == 0;
}

static lora_code make_module(builder *b, const slot *s)
{
    adapter *out = b->out;
    lora_module mod = {.name = s->module, .layout = s->layout, .embedding = s->embedding, .a = s->a, .b = s->b,
                       .magnitude = s->magnitude};
    skipped_module skip = {.name = s->module};
    config_values values = config_for_module(b->cfg, s->module);
    scale_rule rule = SCALE_ASSUMED_ONE;
    bool usable = true;
    if (s->alpha && scale_takes_alpha(s->layout))
        mod.alpha = s->alpha;
    else if (s->alpha)
        put_stray(b, s->alpha);
    skip.reason = check_pair(b, s, &mod, &skip);
    if (!skip.reason) {
        lora_code code = scale_of_module(&mod, b->cfg, &values, b->cat->source, &rule, &usable, b->err);
        if (code != LORA_OK)
            return code;
        if (!usable)
            skip.reason = "its alpha tensor is no finite number, so the scale is unknown";
        else if (is_stack_of_experts(b, &mod, &values))
            skip.reason = "factors of several experts in one pair (target_parameters) are not computed yet";
    }
    if (skip.reason) {
        out->n_failed_pairs++;
        skip_module(b, skip);
        return LORA_OK;
    }
    mod.component = component_of_path(mod.name);
    mod.role = role_of_path(mod.name);
    if (mod.role == ROLE_OTHER && s->a->n_dims > 2 && product_from(s->a, 2) > 1)
        mod.role = ROLE_CONV;
    mod.layer = layer_of_path(mod.name);
    note_rank(b, &mod, &values);
    b->by_rule[rule]++;
    b->by_layout[mod.layout]++;
    out->modules[out->n_modules++] = mod;
    return LORA_OK;
}

/* A slot that is no pair: halves, companions without factors, or parts of another method. */
static void keep_leftovers(builder *b, const slot *s)
{
    if (s->a)
        b->out->halves[b->out->n_halves++] = s->a;
    if (s->b)
        b->out->halves[b->out->n_halves++] = s->b;
    if (s->foreign)
        skip_module(b, (skipped_module){.name = s->module,
                                        .reason = text(b, arena_printf(b->mem, "method %s is not computed yet", s->foreign))});
    if (s->alpha && !s->foreign)
        put_stray(b, s->alpha);
    if (s->magnitude && !s->foreign)
        put_stray(b, s->magnitude);
}

/* All claims to one module: [first, end). A tensor of another method concerns each of its pairs. */
static lora_code take_module(builder *b, size_t first, size_t end)
{
    const char *foreign = NULL;
    size_t n_pairs = 0;
    for (size_t i = first; i < end; i++)
        if (b->claims[i].key.part == PART_FOREIGN)
            foreign = b->claims[i].key.method;
    for (size_t i = first, next; i < end; i = next) {
        const parsed_key *key = &b->claims[i].key;
        slot s = {.module = key->module, .layout = key->layout, .layout_b = key->layout};
        for (next = i; next < end && strcmp(b->claims[next].key.full, key->full) == 0 &&
                       strcmp(b->claims[next].key.adapter, key->adapter) == 0;
             next++)
            fill_slot(b, &s, &b->claims[next]);
        bool again = i > first && strcmp(b->claims[i - 1].key.full, key->full) != 0;
        if (again && n_pairs > 0 && (s.a || s.b))
            note_ambiguous(b, s.module);
        n_pairs += s.a && s.b;
        if (!s.a || !s.b) {
            keep_leftovers(b, &s);
            continue;
        }
        s.foreign = foreign;
        lora_code code = make_module(b, &s);
        if (code != LORA_OK)
            return code;
    }
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

/* The rule of all modules; or each rule with the number of its modules. */
static const char *scale_source(builder *b)
{
    const char *all = NULL;
    for (unsigned k = 0; k < SCALE_N_RULES; k++) {
        size_t n = b->by_rule[k];
        if (n == 0)
            continue;
        const char *one = text(b, scale_rule_text((scale_rule)k, b->cfg->source, b->mem));
        if (n == b->out->n_modules)
            return one;
        all = text(b, all ? arena_printf(b->mem, "%s; %s (%zu)", all, one, n) : arena_printf(b->mem, "%s (%zu)", one, n));
    }
    return all ? all : "";
}

/* A config's peft_type as a method name. It is a stranger's text: anything but a plain word is "unknown". */
static const char *method_of_type(builder *b, const char *type)
{
    char lower[48];
    size_t i = 0;
    for (; type[i] && i + 1 < sizeof lower; i++) {
        if (!isalnum((unsigned char)type[i]) && type[i] != '_' && type[i] != '-')
            return "unknown";
        lower[i] = (char)tolower((unsigned char)type[i]);
    }
    lower[i] = '\0';
    return text(b, arena_strdup(b->mem, lower));
}

static const char *name_method(builder *b)
{
    const adapter *out = b->out;
    if (b->foreign_method && (out->n_modules == 0 || b->foreign_layout == LAYOUT_LORA_SB))
        return b->foreign_method;
    if (out->n_modules || out->n_halves || out->n_failed_pairs) {
        for (size_t i = 0; i < out->n_modules; i++)
            if (out->modules[i].magnitude)
                return "dora";
        return b->cfg->use_dora ? "dora" : "lora";
    }
    return b->cfg->peft_type ? method_of_type(b, b->cfg->peft_type) : "unknown";
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
        for (next = i; next < b.n_claims && strcmp(b.claims[next].key.module, b.claims[i].key.module) == 0;)
            next++;
        code = take_module(&b, i, next);
        if (code != LORA_OK)
            return code;
    }
    if (b.no_memory)
        return out_of_memory(&b);
    qsort(result.modules, result.n_modules, sizeof *result.modules, natural_order);
    result.layout = result.n_modules ? (lora_layout)most(b.by_layout, LAYOUT_COUNT) : b.foreign_layout;
    result.scale_source = scale_source(&b);
    const double *rank = cfg->tree ? sidefile_number(cfg->tree, "r") : NULL;
    result.declared_rank = rank && *rank >= 1 && *rank < 1e9 ? (uint64_t)*rank : 0;
    result.method = name_method(&b);
    if (b.no_memory)
        return out_of_memory(&b);
    *out = result;
    return LORA_OK;
}
