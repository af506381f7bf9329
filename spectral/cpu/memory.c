/* memory.c - see memory.h. Follows, piece by piece, what compose.c, module_read.c, spectra_*.c, module_left.c and kronecker.c
 * take; a test holds both against each other. Sums saturate at SIZE_MAX.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/memory.h"

#include "spectral/cpu/kurtosis.h"
#include "spectral/cpu/spectra.h"
#include "spectral/structure.h"

static size_t larger(size_t x, size_t y) { return x > y ? x : y; }

static size_t plus(size_t x, size_t y)
{
    size_t sum;
    return __builtin_add_overflow(x, y, &sum) ? SIZE_MAX : sum;
}

static size_t times(size_t x, size_t y)
{
    size_t product;
    return __builtin_mul_overflow(x, y, &product) ? SIZE_MAX : product;
}

/* Pieces that are taken at the same time: those that share chunks, and those with their own. */
typedef struct {
    size_t small, large;
} pieces;

/* The most that any set of pieces seen needs: their bytes, what the source has delivered by then, and both together in a
 * scratch of many chunks. */
typedef struct {
    size_t bytes, raw, total;
} peak;

static void take(pieces *p, size_t count, size_t size)
{
    const size_t bytes = plus(times(count, size), 128); /* alignment, and a chunk's head */
    size_t *sum = bytes >= SCRATCH_LARGE ? &p->large : &p->small;
    *sum = plus(*sum, bytes);
}

static void take_doubles(pieces *p, size_t rows, size_t cols) { take(p, times(rows, cols), sizeof(double)); }

/* A shared chunk is left when less than SCRATCH_LARGE of it, a fourth, is free. */
static void see(peak *most, const pieces *p, size_t raw)
{
    const size_t chunks = plus(plus(p->large, plus(p->small, p->small / 3)), SCRATCH_CHUNK + 128);
    most->bytes = larger(most->bytes, plus(p->large, p->small));
    most->raw = larger(most->raw, raw);
    most->total = larger(most->total, plus(chunks, raw));
}

/* ---- what is computed with ---- */

typedef struct {
    size_t rank, m, n;
    bool alone, composed, gather, a_rank_major;
} shape_of_pass;

static shape_of_pass pass_of(const structure_plan *plan, const spectral_view *a, const spectral_view *b)
{
    shape_of_pass s = {.rank = plan->rank, .m = plan->m, .n = plan->n, .a_rank_major = true,
                       .composed = plan->form != STRUCTURE_STORED,
                       .alone = plan->form == STRUCTURE_MATRIX || plan->form == STRUCTURE_FULL};
    if (plan->form == STRUCTURE_STORED || plan->form == STRUCTURE_MATRIX) {
        const bool across = s.alone && plan->m > plan->n;
        const panel of_a = across ? panel_of_b(a, NULL) : panel_of_a(a, NULL);
        s.a_rank_major = of_a.rank_major;
        s.gather = of_a.gather || (!s.alone && panel_of_b(b, NULL).gather);
    }
    return s;
}

static void take_pass(pieces *p, const shape_of_pass *s, size_t n_draws)
{
    const size_t rows = kernel_padded(s->rank), length = panel_block_length(s->rank), ld = length + KERNEL_PAD;
    take_doubles(p, rows + KERNEL_PAD, ld);
    take_doubles(p, s->rank, s->gather ? length : 1);
    for (int factor = s->alone ? 1 : 0; factor < 2; factor++) {
        take_doubles(p, s->rank, 1);
        take_doubles(p, rows, rows);
        take_doubles(p, rows, 1);
    }
    take_doubles(p, kernel_padded(s->m), s->alone || n_draws > 0 ? 0 : 1);
    if (n_draws > 0 && !s->alone) {
        const size_t draws = kernel_padded(n_draws), turned = s->a_rank_major ? 0 : ld;
        const size_t probes = kernel_padded(larger(ROW_MODEL_EXACT_RANK, ROW_MODEL_STEPS) + 1 + ROW_MODEL_HEAVY);
        take_doubles(p, rows, 4);
        take_doubles(p, kernel_padded(s->n), 1);
        take_doubles(p, rows, 4);
        take_doubles(p, rows, probes);
        take_doubles(p, larger(times(probes, ld), rows), 1);
        take_doubles(p, ld, 4);
        take_doubles(p, s->m, 1);
        take_doubles(p, s->m, 1);
        take_doubles(p, rows, turned);
        for (int of_draws = 0; of_draws < 3; of_draws++)
            take(p, draws, larger(sizeof(double), sizeof(size_t)));
        take_doubles(p, draws, rows);
        take_doubles(p, draws, 4);
        take_doubles(p, KURTOSIS_CHUNK, ld);
        take_doubles(p, rows, turned);
    }
}

/* ---- what is found from it ---- */

static void see_triangle(peak *most, pieces p, size_t r, size_t raw)
{
    const size_t length = panel_block_length(r), stack = plus(times(3, r), length);
    take_doubles(&p, r, r > SPECTRA_STACKED ? length : stack);
    take_doubles(&p, r, 65);
    take_doubles(&p, r, 1);
    see(most, &p, raw);
}

/* The largest of the works of a factor's and a core's σ, or of a vector, on top of what is taken for them all. */
static void see_values(peak *most, pieces p, const shape_of_pass *s, size_t raw)
{
    const size_t r = s->rank;
    take_doubles(&p, r, 7); /* order, exponents, σ, coefficients */
    see_triangle(most, p, r, raw);
    if (!s->alone)
        take_doubles(&p, r, r);
    pieces core = p;
    take_doubles(&core, r, r > SPECTRA_STACKED ? SPECTRA_CORE_PANEL : r);
    see(most, &core, raw);
    take_doubles(&p, r, 133);
    take_doubles(&p, r, 5);
    see(most, &p, raw);
}

static void see_pass(peak *most, pieces p, const shape_of_pass *s, size_t n_draws, size_t raw)
{
    const size_t rows = kernel_padded(s->rank), ld = panel_block_length(s->rank) + KERNEL_PAD;
    take_pass(&p, s, n_draws);
    take_doubles(&p, s->rank, 3);
    take_doubles(&p, s->m, 1); /* a vector's coordinates, in place of the above */
    see_values(most, p, s, raw);
    if (n_draws == 0 && !s->alone) {
        take_doubles(&p, KURTOSIS_CHUNK, rows);
        take_doubles(&p, KURTOSIS_CHUNK, ld);
        take_doubles(&p, rows, s->a_rank_major ? 0 : ld);
        see(most, &p, raw);
    }
}

/* ---- operands ---- */

static size_t kept_raw(size_t bytes) { return bytes > RAW_KEPT ? RAW_KEPT : bytes; }

/* Loads an operand on top of *p, which keeps what stays. raw: of the largest part so far. */
static void take_operand(peak *most, pieces *p, const structure_operand *w, size_t *raw)
{
    const spectral_view *parts[] = {&w->b, &w->core, &w->a};
    size_t column = 0;
    for (int i = 0; i < 3; i++) {
        *raw = larger(*raw, spectral_view_bytes(parts[i]));
        column = larger(column, parts[i]->rows);
    }
    if (w->b.rows > 0)
        take_doubles(p, w->b.rows, w->b.cols);
    if (w->core.rows > 0)
        take_doubles(p, w->diagonal ? w->a.rows : w->core.rows, times(w->a.cols, w->depth));
    else
        take_doubles(p, w->a.rows, w->a.cols);
    pieces loading = *p;
    if (w->core.rows > 0) {
        take_doubles(&loading, w->core.rows, w->core.cols);
        take_doubles(&loading, w->a.rows, w->a.cols);
    }
    take_doubles(&loading, column, 1);
    see(most, &loading, *raw);
}

static void see_kronecker(peak *most, const spectral_module *module, const spectral_shape *shape, pieces base)
{
    take_doubles(&base, shape->n_sigma, 1);
    take_doubles(&base, plus(shape->n_sigma_a, shape->n_sigma_b), 1);
    const structure_operand operands[] = {structure_first(module), structure_second(module)};
    pieces vectors = base;
    size_t raw = 0;
    for (int i = 0; i < 2; i++) {
        pieces p = vectors;
        structure_plan plan;
        if (structure_plan_product(&operands[i], true, &plan) != SPECTRAL_OK)
            return;
        take_doubles(&vectors, plan.m, 1);
        take_doubles(&p, plan.m, 1);
        take_operand(most, &p, &operands[i], &raw);
        if (plan.form == STRUCTURE_FULL)
            take_doubles(&p, plan.m, plan.n);
        const shape_of_pass s = pass_of(&(structure_plan){.form = plan.form == STRUCTURE_MATRIX ? STRUCTURE_FULL : plan.form,
                                                          .m = plan.m, .n = plan.n, .rank = plan.rank},
                                        NULL, NULL);
        see_pass(most, p, &s, 0, kept_raw(raw));
    }
}

static void see_module(peak *most, const spectral_module *module, const structure_plan *plan, size_t n_draws)
{
    const bool hadamard = module->extra != NULL && module->extra->structure == SPECTRAL_HADAMARD;
    const structure_operand w1 = structure_first(module);
    pieces p = {0};
    size_t raw = 0;
    if (plan->form == STRUCTURE_STORED || plan->form == STRUCTURE_MATRIX) {
        raw = plus(spectral_view_bytes(&module->a), spectral_view_bytes(&module->b));
    } else {
        take_operand(most, &p, &w1, &raw);
        if (hadamard) {
            const structure_operand w2 = structure_second(module);
            take_operand(most, &p, &w2, &raw);
        }
        raw = kept_raw(raw);
        if (plan->form == STRUCTURE_FULL) {
            take_doubles(&p, plan->m, plan->n);
            pieces other = p;
            take_doubles(&other, hadamard ? plan->m : 0, plan->n);
            see(most, &other, raw);
        }
    }
    const shape_of_pass s = pass_of(plan, &module->a, &module->b);
    see_pass(most, p, &s, n_draws, raw);
    if (n_draws > 0)
        see_pass(most, p, &s, 0, raw); /* spectral_left_vector */
}

memory_need memory_of_module(const spectral_module *module, const spectral_options *options)
{
    const memory_need none = {SIZE_MAX, SIZE_MAX};
    spectral_shape shape;
    structure_plan plan;
    peak most = {0};
    if (spectral_module_shape(module, &shape) != SPECTRAL_OK)
        return none;
    if (module->extra != NULL && module->extra->structure == SPECTRAL_KRONECKER) {
        see_kronecker(&most, module, &shape, (pieces){0});
    } else if (structure_plan_module(module, &plan) == SPECTRAL_OK) {
        const size_t n_rows = options != NULL && options->n_rows > 0 ? options->n_rows : KURTOSIS_DEFAULT_ROWS;
        const bool all_rows = (options != NULL && options->all_rows) || plan.m <= n_rows;
        see_module(&most, module, &plan, all_rows ? 0 : n_rows);
    }
    if (most.total == SIZE_MAX)
        return none;
    if (most.bytes <= SCRATCH_KEPT) /* one chunk */
        most.total = plus(larger(most.bytes, SCRATCH_CHUNK) + 128, most.raw);
    return (memory_need){.scratch = most.bytes, .total = most.total};
}

size_t spectral_module_memory(const spectral_module *module, const spectral_options *options)
{
    return memory_of_module(module, options).total;
}
