/* method.c - shapes to operands; see method.h for the table.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/method.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/formats/fetch.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const method_parts *p;
    arena *mem;
    lora_module mod;
    lora_structure more;
    const char *reason;
    bool differ, no_memory;
} builder;

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
    const char *copy = arena_strdup(b->mem, shape);
    b->no_memory |= !copy;
    return copy ? copy : "";
}

/* false, and the reason kept; NULL text: no memory for it. */
static bool refuse(builder *b, const char *text)
{
    b->no_memory |= !text;
    b->reason = text ? text : "";
    return false;
}

static bool shapes_differ(builder *b, const tensor *left, const char *left_name, const tensor *right, const char *right_name)
{
    b->differ = true;
    return refuse(b, arena_printf(b->mem, "%s %s and %s %s do not fit each other", left_name, shape_text(b, left), right_name,
                                  shape_text(b, right)));
}

static lora_factor plain(const tensor *t, uint64_t rows, uint64_t cols)
{
    return (lora_factor){.t = t, .rows = rows, .cols = cols};
}

static lora_factor across(const tensor *t, uint64_t rows, uint64_t cols)
{
    return (lora_factor){.t = t, .rows = rows, .cols = cols, .transposed = true};
}

static bool is_matrix(const tensor *t)
{
    return t->n_dims >= 2 && product_from(t, 2) == 1;
}

bool method_is_complete(const method_parts *p)
{
    const tensor *const *t = p->part;
    bool first = t[PART_FULL] || (t[PART_A] && t[PART_B]);
    bool second = t[PART_FULL2] || (t[PART_A2] && t[PART_B2]);
    if (strcmp(p->method, "lokr") == 0 || strcmp(p->method, "loha") == 0)
        return first && second;
    return t[PART_A] && t[PART_B];
}

/* ---- s·B·A and its cores ---- */

/* Blocks of A's rows that B's groups of rows meet: 1 when A has as many rows as B columns, 0 when they fit in no way. */
static uint64_t groups_of(uint64_t a_rows, uint64_t b_rows, uint64_t b_cols)
{
    uint64_t groups = b_cols && a_rows % b_cols == 0 ? a_rows / b_cols : 0;
    return groups && b_rows % groups == 0 ? groups : 0;
}

method_lie method_lie_of(const tensor *a, const tensor *b, bool grouped)
{
    if (a->n_dims < 2 || b->n_dims < 2)
        return LIES_NEITHER;
    uint64_t groups = groups_of(a->shape[0], b->shape[0], b->shape[1]);
    bool upright = groups == 1 || (grouped && groups > 1);
    bool across = is_matrix(a) && is_matrix(b) && a->shape[1] == b->shape[0];
    if (!upright || !across)
        return upright ? LIES_UPRIGHT : across ? LIES_ACROSS : LIES_NEITHER;
    return a->shape[0] < a->shape[1] ? LIES_UPRIGHT : a->shape[0] > a->shape[1] ? LIES_ACROSS : LIES_EITHER;
}

static bool lies_across(const method_parts *p, const tensor *a, const tensor *b)
{
    if (!p->either)
        return p->transposed;
    method_lie lie = method_lie_of(a, b, p->grouped);
    return lie == LIES_ACROSS || (lie == LIES_EITHER && p->lean_across);
}

static bool build_product(builder *b)
{
    const method_parts *p = b->p;
    const tensor *a = p->part[PART_A], *up = p->part[PART_B];
    lora_module *mod = &b->mod;
    bool turned = lies_across(p, a, up);
    if (a->n_dims < 2 || !is_matrix(up) || (turned && !is_matrix(a)))
        return refuse(b, arena_printf(b->mem, "factor shapes A %s, B %s are no matrices", shape_text(b, a), shape_text(b, up)));
    if (turned) {
        mod->a = across(a, a->shape[1], a->shape[0]);
        mod->b = across(up, up->shape[1], up->shape[0]);
    } else if (p->layout == LAYOUT_GGUF && a->n_dims == 2 && a->shape[0] != up->shape[1] && a->shape[1] == up->shape[1] &&
               strstr(p->module, "token_embd")) {
        mod->a = across(a, a->shape[1], a->shape[0]);
        mod->b = plain(up, up->shape[0], up->shape[1]);
        mod->embedding = true;
    } else {
        mod->a = plain(a, a->shape[0], product_from(a, 1));
        mod->b = plain(up, up->shape[0], up->shape[1]);
    }
    mod->r = mod->b.cols;
    uint64_t groups = groups_of(mod->a.rows, mod->b.rows, mod->b.cols);
    bool kernel = up->n_dims > 2 && p->layout == LAYOUT_PEFT;
    if (groups > 1 && (p->grouped || kernel) && !p->part[PART_CORE]) {
        b->more.groups = groups;
        mod->r = a->n_dims > 2 ? mod->a.rows : mod->b.cols; /* PEFT's grouped convolution has the rank of A; MergedLinear that of B */
    } else if (!p->part[PART_CORE] && mod->a.rows != mod->b.cols)
        return shapes_differ(b, a, "A", up, "B");
    mod->m = mod->b.rows;
    mod->n = mod->a.cols;
    return true;
}

/* Between B (m × r) and A (q × n): r·q entries and a tap for each entry of a kernel, or r on a diagonal. */
static bool build_core(builder *b, const tensor *core, const char *name, const lora_factor *a, const lora_factor *up,
                       lora_factor *out, uint64_t *depth, bool *diagonal)
{
    if (!core)
        return true;
    uint64_t entries = product_from(core, 0), r = up->cols, q = a->rows;
    bool one_column = core->n_dims == 1 || (core->n_dims == 2 && core->shape[1] == 1);
    if (diagonal && one_column && core->shape[0] == r && r == q) {
        *out = plain(core, r, 1);
        *diagonal = true;
        *depth = 1;
        return true;
    }
    if (core->n_dims < 2 || core->shape[0] != r || core->shape[1] != q || r == 0 || q == 0) {
        b->differ = true;
        return refuse(b, arena_printf(b->mem, "%s %s does not fit between %llu and %llu ranks", name, shape_text(b, core),
                                      (unsigned long long)r, (unsigned long long)q));
    }
    *depth = entries / r / q;
    *out = plain(core, r, q * *depth);
    return true;
}

static bool build_lora(builder *b)
{
    lora_module *mod = &b->mod;
    if (!build_product(b) || !build_core(b, b->p->part[PART_CORE], "the core", &mod->a, &mod->b, &b->more.core, &b->more.depth,
                                         &b->more.diagonal))
        return false;
    uint64_t taps = b->more.depth ? b->more.depth : 1;
    return checked_mul(mod->n, taps, &mod->n) || refuse(b, "the size of the update does not fit 64 bits");
}

/* ---- two operands ---- */

/* One operand of LoHa or LoKr: whole, or B·A, or in Tucker form, where B is stored (r, m). */
static bool build_operand(builder *b, const tensor *full, const tensor *a, const tensor *up, const tensor *core, const char *name,
                          lora_factor *out_a, lora_factor *out_b, lora_factor *out_core, uint64_t *depth)
{
    *out_b = *out_core = (lora_factor){0};
    if (full) {
        if (full->n_dims < 2)
            return refuse(b, arena_printf(b->mem, "operand %s %s is no matrix", name, shape_text(b, full)));
        *out_a = plain(full, full->shape[0], product_from(full, 1));
        return true;
    }
    if (a->n_dims < 2 || !is_matrix(up))
        return refuse(b, arena_printf(b->mem, "operand %s: factor shapes %s, %s are no matrices", name, shape_text(b, up),
                                      shape_text(b, a)));
    *out_a = plain(a, a->shape[0], product_from(a, 1));
    *out_b = core ? across(up, up->shape[1], up->shape[0]) : plain(up, up->shape[0], up->shape[1]);
    if (core)
        return build_core(b, core, name, out_a, out_b, out_core, depth, NULL);
    return out_a->rows == out_b->cols || shapes_differ(b, up, "B", a, "A");
}

static uint64_t operand_rows(const lora_factor *a, const lora_factor *up)
{
    return up->t ? up->rows : a->rows;
}

static uint64_t smaller(uint64_t x, uint64_t y)
{
    return x < y ? x : y;
}

static bool build_pair(builder *b, spectral_structure kind)
{
    const tensor *const *t = b->p->part;
    lora_module *mod = &b->mod;
    lora_structure *more = &b->more;
    more->kind = kind;
    if (!build_operand(b, t[PART_FULL], t[PART_A], t[PART_B], t[PART_CORE], "w1", &mod->a, &mod->b, &more->core, &more->depth) ||
        !build_operand(b, t[PART_FULL2], t[PART_A2], t[PART_B2], t[PART_CORE2], "w2", &more->a2, &more->b2, &more->core2,
                       &more->depth2))
        return false;
    uint64_t m1 = operand_rows(&mod->a, &mod->b), m2 = operand_rows(&more->a2, &more->b2), n1 = 0, n2 = 0;
    if (!checked_mul(mod->a.cols, more->depth ? more->depth : 1, &n1) ||
        !checked_mul(more->a2.cols, more->depth2 ? more->depth2 : 1, &n2))
        return refuse(b, "the size of the update does not fit 64 bits");
    mod->full = !mod->b.t && !more->b2.t;
    mod->r = more->b2.t ? more->b2.cols : mod->b.t ? mod->b.cols : smaller(m2, n2);
    if (kind == SPECTRAL_HADAMARD) {
        mod->m = m1;
        mod->n = n1;
        if (m1 != m2 || n1 != n2)
            return shapes_differ(b, t[PART_B], "w1_a", t[PART_B2], "w2_a");
        return true;
    }
    return (checked_mul(m1, m2, &mod->m) && checked_mul(n1, n2, &mod->n)) ||
           refuse(b, "the size of the update does not fit 64 bits");
}

/* ---- all of them ---- */

size_t method_factors(const lora_module *mod, const lora_factor *out[6])
{
    size_t n = 0;
    const lora_factor *own[] = {&mod->a, &mod->b}, *more[4] = {NULL};
    if (mod->more) {
        more[0] = &mod->more->core;
        more[1] = &mod->more->a2;
        more[2] = &mod->more->b2;
        more[3] = &mod->more->core2;
    }
    for (size_t i = 0; i < 2; i++)
        if (own[i]->t)
            out[n++] = own[i];
    for (size_t i = 0; i < 4; i++)
        if (more[i] && more[i]->t)
            out[n++] = more[i];
    return n;
}

static bool is_structured(const lora_structure *more)
{
    return more->kind != SPECTRAL_PRODUCT || more->core.t || more->groups > 1;
}

static spectral_view view_of(const lora_factor *f)
{
    if (!f->t)
        return (spectral_view){0};
    tensor_dtype as = fetch_dtype(f->t);
    return (spectral_view){.dtype = as == DTYPE_F64    ? SPECTRAL_F64
                                    : as == DTYPE_F16  ? SPECTRAL_F16
                                    : as == DTYPE_BF16 ? SPECTRAL_BF16
                                                       : SPECTRAL_F32,
                           .rows = (size_t)f->rows,
                           .cols = (size_t)f->cols,
                           .row_stride = f->transposed ? 1 : (size_t)f->cols,
                           .col_stride = f->transposed ? (size_t)f->rows : 1};
}

void method_matrices(const lora_module *mod, spectral_module *out, spectral_extra *extra)
{
    const lora_structure *more = mod->more;
    *out = (spectral_module){.a = view_of(&mod->a), .b = view_of(&mod->b), .scale = mod->scale};
    if (!more)
        return;
    *extra = (spectral_extra){.structure = more->kind,
                              .core = view_of(&more->core),
                              .depth = (size_t)more->depth,
                              .groups = (size_t)more->groups,
                              .diagonal = more->diagonal,
                              .a2 = view_of(&more->a2),
                              .b2 = view_of(&more->b2),
                              .core2 = view_of(&more->core2),
                              .depth2 = (size_t)more->depth2};
    out->extra = extra;
}

const lora_factor *method_factor(const lora_module *mod, char which)
{
    switch (which) {
    case 'a': return &mod->a;
    case 'b': return &mod->b;
    case 'c': return &mod->more->core;
    case 'A': return &mod->more->a2;
    case 'B': return &mod->more->b2;
    default: return &mod->more->core2;
    }
}

/* What computing it takes on one worker, against what a file of this size may make a run allocate. */
static bool check_memory(builder *b, const spectral_module *matrices)
{
    enum { SMALL_RANK = 64, SMALL_ENTRIES = 1 << 18 }; /* far below any limit: nearly every module */
    if (!b->mod.more && b->more.kind == SPECTRAL_PRODUCT && !b->more.core.t && b->more.groups < 2 && b->mod.b.t &&
        b->mod.r <= SMALL_RANK && b->mod.a.rows * b->mod.a.cols <= SMALL_ENTRIES && b->mod.b.rows * b->mod.b.cols <= SMALL_ENTRIES)
        return true;
    uint64_t needed = spectral_module_memory(matrices, NULL), limit = 0;
    if (!checked_add(b->p->file_bytes, b->p->file_bytes / 2, &limit) || !checked_add(limit, LIMIT_MODULE_MEMORY, &limit) ||
        needed <= limit)
        return true;
    return refuse(b, arena_printf(b->mem, "computing it would take %llu MiB, the limit for this file is %llu",
                                  (unsigned long long)((needed + (1u << 20) - 1) >> 20), (unsigned long long)(limit >> 20)));
}

/* Sizes that numerics may take on: what they cost is bounded by the bytes that are there. */
static bool check_limits(builder *b)
{
    const lora_factor *factors[6];
    lora_module *mod = &b->mod;
    mod->more = &b->more;
    size_t n = method_factors(mod, factors);
    mod->more = NULL;
    for (size_t i = 0; i < n; i++) {
        const tensor *t = factors[i]->t;
        uint64_t entries = factors[i]->rows * factors[i]->cols, bytes = fetch_entries_bytes(t, entries);
        if (fetch_dtype(t) == DTYPE_COUNT)
            return refuse(b, arena_printf(b->mem, "dtype %s is not computed", dtype_name(t->dtype)));
        if (entries == 0)
            return refuse(b, "a factor has no entries");
        if (bytes == 0 || bytes > LIMIT_FACTOR_BYTES)
            return refuse(b, arena_printf(b->mem, "a factor needs %llu bytes, the limit is %u", (unsigned long long)bytes,
                                          LIMIT_FACTOR_BYTES));
    }
    uint64_t longest = mod->m > mod->n ? mod->m : mod->n, most = longest > LIMIT_FREE_RANK ? longest : LIMIT_FREE_RANK;
    most = most < SPECTRAL_MAX_RANK ? most : SPECTRAL_MAX_RANK;
    if (mod->r > most)
        return refuse(b, arena_printf(b->mem, "rank %llu is above the limit of %llu for this shape", (unsigned long long)mod->r,
                                      (unsigned long long)most));
    spectral_module matrices;
    spectral_extra extra;
    spectral_shape shape;
    mod->more = is_structured(&b->more) || !mod->b.t ? &b->more : NULL;
    method_matrices(mod, &matrices, &extra);
    mod->more = NULL;
    spectral_status status = spectral_module_shape(&matrices, &shape);
    if (status != SPECTRAL_OK)
        return refuse(b, arena_printf(b->mem, "the module is not computed: %s", spectral_status_text(status)));
    return check_memory(b, &matrices);
}

/* Every tensor of an operand must have found its place: what is left over would change the update unseen. */
static bool check_leftovers(builder *b)
{
    const lora_factor *factors[6];
    size_t used = 0, given = 0;
    b->mod.more = &b->more;
    used = method_factors(&b->mod, factors);
    b->mod.more = NULL;
    for (unsigned k = PART_A; k <= PART_FULL2; k++)
        given += b->p->part[k] != NULL;
    return given == used || refuse(b, arena_printf(b->mem, "%zu tensors of method %s beside those that make its update", given - used,
                                                   b->p->method));
}

lora_code method_build(const method_parts *p, arena *mem, lora_module *mod, const char **reason, bool *differ)
{
    builder b = {.p = p, .mem = mem, .mod = *mod};
    b.mod.method = p->method;
    bool built = strcmp(p->method, "loha") == 0   ? build_pair(&b, SPECTRAL_HADAMARD)
                 : strcmp(p->method, "lokr") == 0 ? build_pair(&b, SPECTRAL_KRONECKER)
                                                  : build_lora(&b);
    built = built && check_leftovers(&b) && check_limits(&b);
    *reason = NULL;
    *differ = b.differ;
    if (built && (is_structured(&b.more) || !b.mod.b.t)) {
        lora_structure *more = arena_alloc(mem, 1, sizeof *more);
        b.no_memory |= !more;
        if (more)
            *more = b.more;
        b.mod.more = more;
    }
    if (b.no_memory)
        return LORA_E_MEMORY;
    if (built)
        *mod = b.mod;
    else
        *reason = b.reason;
    return LORA_OK;
}

/* ---- experts ---- */

uint64_t method_experts(const method_parts *p)
{
    const tensor *a = p->part[PART_A], *up = p->part[PART_B];
    bool stack = p->layout == LAYOUT_MLX && a && up && a->n_dims == 3 && up->n_dims == 3 && a->shape[0] == up->shape[0] &&
                 a->shape[1] == up->shape[2];
    return stack ? a->shape[0] : 0;
}

void method_expert(const method_parts *p, uint64_t expert, lora_module *mod)
{
    const tensor *a = p->part[PART_A], *up = p->part[PART_B];
    mod->a = plain(a, a->shape[1], a->shape[2]);
    mod->b = plain(up, up->shape[1], up->shape[2]);
    mod->a.first = expert * mod->a.rows * mod->a.cols;
    mod->b.first = expert * mod->b.rows * mod->b.cols;
    mod->m = mod->b.rows;
    mod->n = mod->a.cols;
    mod->r = mod->a.rows;
    mod->method = p->method;
}

lora_code method_check_experts(const method_parts *p, arena *mem, const char **reason)
{
    builder b = {.p = p, .mem = mem};
    method_expert(p, 0, &b.mod);
    *reason = check_limits(&b) ? NULL : b.reason;
    return b.no_memory ? LORA_E_MEMORY : LORA_OK;
}
