/* adapter.c - pairing. Every tensor's key is parsed; sorted by module, spelling and PEFT adapter, those of one module stand
 * side by side and fill one slot; a slot with both factors becomes a module, and everything else is kept by name. Sorting
 * costs O(n log n) whatever names a stranger chose.
 *
 * Two spellings of one module (with and without a wrapper prefix, or in the endings of two layouts) are ambiguous: which one
 * a loader takes depends on the loader. All are measured, and the record says so.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"

#include "analyzer/adapter/assemble.h"
#include "analyzer/adapter/method.h"
#include "analyzer/adapter/naming.h"
#include "analyzer/base/limits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A tensor that names a module. */
typedef struct adapter_claim {
    parsed_key key;
    const tensor *t;
    size_t order; /* in the file */
} claim;

static void note_ambiguous(adapter_builder *b, const char *module)
{
    if (b->out->n_ambiguous++ == 0)
        b->out->ambiguous = module;
}

/* A list has no names but its places: 0 … n − 1, half of them A, half B. */
static bool is_bare_list(const catalog *cat)
{
    uint64_t sum = 0, n = cat->n_tensors;
    for (size_t i = 0; i < n; i++) {
        const char *name = cat->tensors[i].name;
        size_t length = strlen(name);
        if (length == 0 || length > 7 || strspn(name, "0123456789") != length || cat->tensors[i].n_dims < 2)
            return false;
        sum += strtoull(name, NULL, 10);
    }
    return n >= 2 && n % 2 == 0 && sum == n * (n - 1) / 2; /* names are unique */
}

static lora_code parse_claims(adapter_builder *b)
{
    bool list = is_bare_list(b->cat);
    for (size_t i = 0; i < b->cat->n_tensors; i++) {
        const tensor *t = &b->cat->tensors[i];
        claim c = {.t = t, .order = i};
        lora_code code = list ? naming_parse_list(strtoull(t->name, NULL, 10), b->mem, &c.key)
                              : naming_parse(t->name, b->mem, &c.key);
        if (code != LORA_OK)
            return builder_out_of_memory(b);
        if (c.key.part == PART_NONE && c.key.factor_like) {
            b->out->n_failed_pairs++;
            builder_skip(b, (skipped_module){.name = t->name, .reason = "a tensor named like a low-rank factor, in a form that is not known"});
        } else if (c.key.part == PART_NONE)
            builder_stray(b, t);
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

/* The factors of "lora" may have a core of another method between them; no other two methods share a module. */
static void note_method(adapter_slot *s, const char *method)
{
    if (!method || (s->method && strcmp(s->method, method) == 0))
        return;
    const char *other = s->method;
    if (!other || strcmp(other, "lora") == 0)
        s->method = method;
    if (!other)
        return;
    const char *particular = strcmp(other, "lora") == 0 ? method : other, *plain = particular == method ? other : method;
    bool is_core = strcmp(particular, "locon") == 0 || strcmp(particular, "adalora") == 0 || strcmp(particular, "lora-sb") == 0;
    if (strcmp(plain, "lora") != 0 || !is_core)
        s->mixed = plain;
}

/* Put one tensor where it belongs. A second claimant of the same place is a stray. */
static void fill_slot(adapter_builder *b, adapter_slot *s, const claim *c)
{
    const parsed_key *key = &c->key;
    if (key->part == PART_FOREIGN) {
        b->out->has_foreign = true;
        b->out->foreign_low_rank |= key->low_rank;
        b->out->foreign_method = s->foreign = key->method;
        b->foreign_layout = key->layout;
        return;
    }
    if (key->part >= N_MODULE_PARTS || s->part[key->part]) {
        if (key->part < N_MODULE_PARTS)
            note_ambiguous(b, s->module);
        builder_stray(b, c->t);
        return;
    }
    s->part[key->part] = c->t;
    note_method(s, key->method);
    if (key->part == PART_A || key->part == PART_B)
        s->embedding = key->embedding;
    if (key->part == PART_A || key->part == PART_FULL)
        s->layout = key->layout;
    if (key->part == PART_B || key->part == PART_FULL)
        s->layout_b = key->layout;
}

/* Layouts whose factors may lie either way round: where the code is hand-written, and in onnxruntime's archives of arrays,
 * which have PEFT's names. */
static bool may_lie_across(const adapter_builder *b, lora_layout layout)
{
    return layout == LAYOUT_GENERIC || layout == LAYOUT_LORALIB ||
           (layout == LAYOUT_PEFT && strcmp(b->cat->container, "npz") == 0);
}

/* Whether the pairs of the file lie across: some can only, and none can only not. */
static bool pairs_lie_across(const adapter_builder *b)
{
    size_t n_across = 0;
    for (size_t i = 0, next; i < b->n_claims; i = next) {
        const tensor *a = NULL, *up = NULL;
        for (next = i; next < b->n_claims && strcmp(b->claims[next].key.full, b->claims[i].key.full) == 0; next++) {
            const claim *c = &b->claims[next];
            if (may_lie_across(b, c->key.layout) && c->key.part == PART_A)
                a = c->t;
            if (may_lie_across(b, c->key.layout) && c->key.part == PART_B)
                up = c->t;
        }
        if (!a || !up)
            continue;
        method_lie lie = method_lie_of(a, up, b->cfg->has_groups || b->claims[i].key.layout == LAYOUT_LORALIB);
        if (lie == LIES_UPRIGHT)
            return false;
        n_across += lie == LIES_ACROSS;
    }
    return n_across > 0;
}

/* A slot that is no pair: halves, companions without factors, or parts of another method. */
static void keep_leftovers(adapter_builder *b, const adapter_slot *s)
{
    for (unsigned k = 0; k < N_MODULE_PARTS; k++) {
        bool companion = k == PART_ALPHA || k == PART_MAGNITUDE;
        if (s->part[k] && !companion)
            b->out->halves[b->out->n_halves++] = s->part[k];
        else if (s->part[k] && !s->foreign)
            builder_stray(b, s->part[k]);
    }
    if (s->foreign)
        builder_skip(b, (skipped_module){.name = s->module, .reason = assemble_refusal(b, s)});
}

static bool same_slot(const claim *a, const claim *b)
{
    return strcmp(a->key.full, b->key.full) == 0 && strcmp(a->key.adapter, b->key.adapter) == 0;
}

/* All claims to one module: [first, end). A tensor of a method that is only named concerns each of its pairs, and so does the
 * latent mapping of LoRA-SB, whose key never holds an adapter's name. */
static lora_code take_module(adapter_builder *b, size_t first, size_t end)
{
    const char *foreign = NULL;
    const claim *latent = NULL;
    size_t n_pairs = 0;
    for (size_t i = first; i < end; i++) {
        if (b->claims[i].key.part == PART_FOREIGN)
            foreign = b->claims[i].key.method;
        if (!latent && b->claims[i].key.part == PART_CORE && b->claims[i].key.layout == LAYOUT_LORA_SB)
            latent = &b->claims[i];
    }
    for (size_t i = first, next; i < end; i = next) {
        const parsed_key *key = &b->claims[i].key;
        adapter_slot s = {.module = key->module, .full = key->full, .layout = key->layout, .layout_b = key->layout};
        size_t n = 0;
        for (next = i; next < end && same_slot(&b->claims[next], &b->claims[i]); next++)
            if (&b->claims[next] != latent) {
                fill_slot(b, &s, &b->claims[next]);
                n++;
            }
        if (n == 0)
            continue;
        bool complete = assemble_is_complete(b, &s);
        if (n_pairs > 0 && (s.part[PART_A] || s.part[PART_B] || s.part[PART_FULL]))
            note_ambiguous(b, s.module);
        n_pairs += complete;
        if (!complete) {
            keep_leftovers(b, &s);
            continue;
        }
        if (latent)
            fill_slot(b, &s, latent);
        s.foreign = foreign;
        lora_code code = assemble_module(b, &s);
        if (code != LORA_OK)
            return code;
    }
    if (latent && n_pairs == 0)
        builder_stray(b, latent->t);
    return LORA_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Numbers inside names compare as numbers: "layers.2." before "layers.10.". */
static int natural_order(const void *pa, const void *pb)
{
    const char *a = ((const lora_module *)pa)->name, *b = ((const lora_module *)pb)->name;
    size_t same = 0; /* what both begin with, up to a number that may differ behind it */
    while (a[same] && a[same] == b[same])
        same++;
    while (same > 0 && is_digit(a[same - 1]))
        same--;
    a += same;
    b += same;
    while (*a && *b) {
        if (is_digit(*a) && is_digit(*b)) {
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
    const tensor *ta = ((const lora_module *)pa)->a.t, *tb = ((const lora_module *)pb)->a.t;
    return ta < tb ? -1 : ta > tb; /* in the order of the data: a total order, whatever qsort does */
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
static const char *scale_source(adapter_builder *b)
{
    const char *all = NULL;
    for (unsigned k = 0; k < SCALE_N_RULES; k++) {
        size_t n = b->by_rule[k];
        if (n == 0)
            continue;
        const char *one = builder_text(b, scale_rule_text((scale_rule)k, b->cfg->source, b->mem));
        if (n == b->out->n_modules)
            return one;
        all = builder_text(b, all ? arena_printf(b->mem, "%s; %s (%zu)", all, one, n) : arena_printf(b->mem, "%s (%zu)", one, n));
    }
    return all ? all : "";
}

/* A config's peft_type as a method name. It is a stranger's text: anything but a plain word is "unknown". */
static const char *method_of_type(adapter_builder *b, const char *type)
{
    char lower[48];
    size_t i = 0;
    for (; type[i] && i + 1 < sizeof lower; i++) {
        if (!isalnum((unsigned char)type[i]) && type[i] != '_' && type[i] != '-')
            return "unknown";
        lower[i] = (char)tolower((unsigned char)type[i]);
    }
    lower[i] = '\0';
    return i ? builder_text(b, arena_strdup(b->mem, lower)) : "unknown";
}

/* The first module's that is no plain one: it says more than "lora". */
static const char *name_method(adapter_builder *b)
{
    const adapter *out = b->out;
    if (b->out->foreign_method && out->n_modules == 0)
        return b->out->foreign_method;
    for (size_t i = 0; i < out->n_modules; i++)
        if (strcmp(out->modules[i].method, "lora") != 0)
            return out->modules[i].method;
    if (out->n_modules || out->n_halves || out->n_failed_pairs) {
        for (size_t i = 0; i < out->n_modules; i++)
            if (out->modules[i].magnitude)
                return "dora";
        return b->cfg->use_dora ? "dora" : "lora";
    }
    return b->cfg->peft_type ? method_of_type(b, b->cfg->peft_type) : "unknown";
}

/* Modules that stacks of experts may make beyond one a pair. */
static uint64_t count_experts(const adapter_builder *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->n_claims && n < LIMIT_ALL_EXPERTS; i++) {
        const claim *c = &b->claims[i];
        if (c->key.part == PART_A && c->key.layout == LAYOUT_MLX && c->t->n_dims == 3)
            n += c->t->shape[0] < LIMIT_EXPERTS ? c->t->shape[0] : LIMIT_EXPERTS;
    }
    return n < LIMIT_ALL_EXPERTS ? n : LIMIT_ALL_EXPERTS;
}

lora_code adapter_build(const catalog *cat, const lora_config *cfg, arena *mem, adapter *out, lora_error *err)
{
    adapter result = {0};
    adapter_builder b = {.cat = cat, .cfg = cfg, .mem = mem, .err = err, .out = &result};
    size_t n = cat->n_tensors;
    b.claims = arena_alloc(mem, n, sizeof *b.claims);
    result.skipped = arena_alloc(mem, n, sizeof *result.skipped);
    result.strays = arena_alloc(mem, n, sizeof *result.strays);
    result.halves = arena_alloc(mem, n, sizeof *result.halves);
    if (!b.claims || !result.skipped || !result.strays || !result.halves)
        return builder_out_of_memory(&b);

    lora_code code = parse_claims(&b);
    if (code != LORA_OK)
        return code;
    for (size_t i = 1; i < b.n_claims; i++) /* files written in the order of their names are in order already */
        if (by_module(&b.claims[i - 1], &b.claims[i]) > 0) {
            qsort(b.claims, b.n_claims, sizeof *b.claims, by_module);
            break;
        }
    b.turned = pairs_lie_across(&b);
    b.expert_room = count_experts(&b);
    result.modules = arena_alloc(mem, n / 2 + 1 + b.expert_room, sizeof *result.modules);
    if (!result.modules)
        return builder_out_of_memory(&b);
    for (size_t i = 0, next; i < b.n_claims; i = next) {
        for (next = i; next < b.n_claims && strcmp(b.claims[next].key.module, b.claims[i].key.module) == 0;)
            next++;
        code = take_module(&b, i, next);
        if (code != LORA_OK)
            return code;
    }
    if (b.no_memory)
        return builder_out_of_memory(&b);
    qsort(result.modules, result.n_modules, sizeof *result.modules, natural_order);
    result.layout = result.n_modules ? (lora_layout)most(b.by_layout, LAYOUT_COUNT) : b.foreign_layout;
    result.scale_source = scale_source(&b);
    const double *rank = cfg->tree ? sidefile_number(cfg->tree, "r") : NULL;
    result.declared_rank = rank && *rank >= 1 && *rank < 1e9 ? (uint64_t)*rank : 0;
    result.method = name_method(&b);
    if (b.no_memory)
        return builder_out_of_memory(&b);
    *out = result;
    return LORA_OK;
}
