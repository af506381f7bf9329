/* assemble.c - see assemble.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/assemble.h"

#include "analyzer/adapter/role.h"
#include "analyzer/base/limits.h"
#include "analyzer/formats/fetch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_ENTRIES = 65536 };

const char *builder_text(adapter_builder *b, const char *made)
{
    b->no_memory |= !made;
    return made ? made : "";
}

lora_code builder_out_of_memory(adapter_builder *b)
{
    return lora_fail(b->err, LORA_E_MEMORY, "no memory for the modules of %zu tensors", b->cat->n_tensors);
}

void builder_stray(adapter_builder *b, const tensor *t)
{
    b->out->strays[b->out->n_strays++] = t;
}

static void note_rank(adapter_builder *b, const lora_module *m, const config_values *v)
{
    b->out->bad_pattern |= v->bad_pattern;
    b->out->bad_value |= v->bad_value;
    if (m->full || strcmp(m->method, "adalora") == 0) /* whose ranks training has pruned */
        return;
    if (v->rank > 0 && v->rank != (double)m->r && !b->out->ranks_differ) {
        b->out->ranks_differ = true;
        b->out->rank_example = m->name;
        b->out->rank_example_declared = v->rank < 1e18 ? (uint64_t)v->rank : UINT64_MAX;
        b->out->rank_example_found = m->r;
    }
}

void builder_skip(adapter_builder *b, skipped_module skip)
{
    b->out->skipped[b->out->n_skipped++] = skip;
}

/* Several experts share one pair of factors, a block of ranks each: their updates are not B·A. */
static bool is_stack_of_experts(const adapter_builder *b, const lora_module *m, const config_values *v)
{
    return b->cfg->has_experts && v->rank >= 1 && (double)m->r > v->rank && fmod((double)m->r, v->rank) == 0;
}

static method_parts parts_of(const adapter_builder *b, const adapter_slot *s)
{
    method_parts p = {.method = s->method ? s->method : "lora", .layout = s->layout, .module = s->module,
                         .file_bytes = b->cat->source->size,
                         .grouped = b->cfg->has_groups || s->layout == LAYOUT_LORALIB,
                         .transposed = (b->turned && s->layout == LAYOUT_PEFT) || s->layout == LAYOUT_MLX,
                         .either = s->layout == LAYOUT_GENERIC || s->layout == LAYOUT_LORALIB,
                         .lean_across = b->turned};
    memcpy(p.part, s->part, sizeof p.part);
    return p;
}

const char *assemble_refusal(adapter_builder *b, const adapter_slot *s)
{
    if (s->foreign)
        return builder_text(b, arena_printf(b->mem, "method %s is not computed: %s", s->foreign, naming_method_text(s->foreign)));
    if (s->mixed)
        return builder_text(b, arena_printf(b->mem, "tensors of method %s and of method %s", s->method, s->mixed));
    if (s->layout != s->layout_b)
        return builder_text(b, arena_printf(b->mem, "A is named as in layout %s, B as in %s", layout_name(s->layout),
                                    layout_name(s->layout_b)));
    return NULL;
}

/* The layout that a module's keys and method make: AdaLoRA's parameters are named like loralib's. */
static lora_layout layout_of(const adapter_builder *b, const adapter_slot *s)
{
    if (s->method && strcmp(s->method, "lora-sb") == 0)
        return LAYOUT_LORA_SB;
    if (s->method && strcmp(s->method, "adalora") == 0)
        return LAYOUT_PEFT;
    if (s->method && strcmp(s->method, "locon") == 0)
        return LAYOUT_LYCORIS;
    return b->turned && s->layout == LAYOUT_PEFT ? LAYOUT_ONNXRUNTIME : s->layout;
}

/* Are all entries of a vector numbers? In pieces, so that its length costs no memory. */
static bool is_finite_vector(const file *f, const tensor *t, uint64_t entries, double *piece)
{
    tensor_dtype as = fetch_dtype(t);
    size_t width = dtype_bits(as) / 8;
    spectral_dtype dtype = as == DTYPE_F64 ? SPECTRAL_F64 : as == DTYPE_F16 ? SPECTRAL_F16 : as == DTYPE_BF16 ? SPECTRAL_BF16 : SPECTRAL_F32;
    for (uint64_t first = 0; first < entries; first += PIECE_ENTRIES) {
        uint64_t n = entries - first < PIECE_ENTRIES ? entries - first : PIECE_ENTRIES;
        if (fetch_entries(f, t, first, n, piece, NULL) != LORA_OK)
            return false;
        for (uint64_t i = 0; i < n; i++)
            if (!isfinite(spectral_scalar((const unsigned char *)piece + i * width, dtype)))
                return false;
    }
    return true;
}

/* DoRA's magnitudes: one for each output (or input) of the module, or it is noted; all of them numbers, or the module is
 * skipped. false without memory. */
static bool check_magnitude(adapter_builder *b, const lora_module *mod, skipped_module *skip)
{
    const tensor *t = mod->magnitude;
    if (!t)
        return true;
    uint64_t entries = 1, inputs = mod->a.t->n_dims > 1 ? mod->a.t->shape[1] : 0;
    for (unsigned i = 0; i < t->n_dims; i++)
        entries *= t->shape[i];
    if (entries != mod->m && entries != mod->n && entries != inputs) {
        if (b->out->n_odd_magnitudes++ == 0) {
            b->out->odd_magnitude = mod->name;
            b->out->odd_magnitude_text =
                builder_text(b, arena_printf(b->mem, "a magnitude has %llu entries, its update is %llu x %llu", (unsigned long long)entries,
                                             (unsigned long long)mod->m, (unsigned long long)mod->n));
        }
        return true;
    }
    if (fetch_dtype(t) == DTYPE_COUNT)
        return true;
    double *piece = malloc(PIECE_ENTRIES * sizeof *piece);
    if (!piece)
        return false;
    if (!is_finite_vector(b->cat->source, t, entries, piece))
        skip->reason = "its magnitude holds NaN or infinity, or cannot be read";
    free(piece);
    return true;
}

/* Give the module its scale, its place in the model, and its place in the adapter. */
static lora_code add_module(adapter_builder *b, lora_module *mod)
{
    adapter *out = b->out;
    config_values values = config_for_module(b->cfg, mod->name);
    scale_rule rule = SCALE_ASSUMED_ONE;
    skipped_module skip = {.name = mod->name};
    bool usable = true;
    lora_code code = scale_of_module(mod, b->cat, b->cfg, &values, &rule, &usable, b->err);
    if (code != LORA_OK)
        return code;
    if (!check_magnitude(b, mod, &skip))
        return builder_out_of_memory(b);
    if (!usable)
        skip.reason = "its alpha tensor is no finite number, so the scale is unknown";
    else if (is_stack_of_experts(b, mod, &values))
        skip.reason = "factors of several experts in one pair (target_parameters) are not computed yet";
    if (skip.reason) {
        out->n_failed_pairs++;
        builder_skip(b, skip);
        return LORA_OK;
    }
    mod->component = component_of_path(mod->name);
    mod->role = role_of_path(mod->name);
    if (mod->role == ROLE_OTHER && mod->a.t->n_dims > 2 && mod->a.cols != mod->a.t->shape[1])
        mod->role = ROLE_CONV;
    mod->layer = layer_of_path(mod->name);
    note_rank(b, mod, &values);
    b->by_rule[rule]++;
    b->by_layout[mod->layout]++;
    out->modules[out->n_modules++] = *mod;
    return LORA_OK;
}

static lora_code make_experts(adapter_builder *b, const method_parts *p, lora_module *mod, uint64_t n)
{
    adapter *out = b->out;
    uint64_t most = LIMIT_EXPERTS < b->expert_room ? LIMIT_EXPERTS : b->expert_room;
    const char *name = mod->name, *reason = NULL;
    if (n > most || strlen(name) > LIMIT_EXPERT_NAME)
        reason = "a stack of more experts than are computed";
    else if (method_check_experts(p, b->mem, &reason) != LORA_OK)
        return builder_out_of_memory(b);
    if (reason) {
        out->n_failed_pairs++;
        builder_skip(b, (skipped_module){.name = name, .reason = reason});
        return LORA_OK;
    }
    b->expert_room -= n;
    for (uint64_t i = 0; i < n; i++) {
        lora_module one = *mod;
        method_expert(p, i, &one);
        one.name = builder_text(b, arena_printf(b->mem, "%s.experts.%llu", name, (unsigned long long)i));
        size_t skipped = out->n_skipped;
        lora_code code = b->no_memory ? builder_out_of_memory(b) : add_module(b, &one);
        if (code != LORA_OK)
            return code;
        if (out->n_skipped > skipped) /* for a reason that all experts share: said once, for there is one place a tensor */
            break;
    }
    return LORA_OK;
}

lora_code assemble_module(adapter_builder *b, const adapter_slot *s)
{
    lora_layout layout = layout_of(b, s);
    lora_module mod = {.name = s->module, .layout = layout, .embedding = s->embedding, .magnitude = s->part[PART_MAGNITUDE]};
    skipped_module skip = {.name = s->module};
    const tensor *alpha = s->part[PART_ALPHA];
    bool spoken = b->cfg->tree || strncmp(s->full, "base_model.", 11) == 0; /* PEFT's own files keep alpha in the config */
    if (alpha && (scale_takes_alpha(layout, s->method) || (layout == LAYOUT_PEFT && !spoken)))
        mod.alpha = alpha;
    else if (alpha)
        builder_stray(b, alpha);
    method_parts p = parts_of(b, s);
    uint64_t experts = method_experts(&p);
    skip.reason = assemble_refusal(b, s);
    if (!skip.reason && experts)
        return make_experts(b, &p, &mod, experts);
    if (!skip.reason && method_build(&p, b->mem, &mod, &skip.reason, &skip.shapes_differ) != LORA_OK)
        return builder_out_of_memory(b);
    if (!skip.reason)
        return add_module(b, &mod);
    b->out->n_failed_pairs++;
    builder_skip(b, skip);
    return LORA_OK;
}

bool assemble_is_complete(const adapter_builder *b, const adapter_slot *s)
{
    method_parts p = parts_of(b, s);
    return method_is_complete(&p);
}
