/* structure.c - see structure.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/structure.h"

static size_t smaller(size_t x, size_t y) { return x < y ? x : y; }

static size_t at_least_one(size_t x) { return x > 0 ? x : 1; }

structure_operand structure_first(const spectral_module *module)
{
    const spectral_extra *extra = module->extra;
    structure_operand w = {.a = module->a, .b = module->b, .depth = 1, .groups = 1};
    if (extra != NULL) {
        w.core = extra->core;
        w.depth = at_least_one(extra->depth);
        w.groups = at_least_one(extra->groups);
        w.diagonal = extra->diagonal;
    }
    return w;
}

structure_operand structure_second(const spectral_module *module)
{
    const spectral_extra *extra = module->extra;
    return (structure_operand){.a = extra->a2, .b = extra->b2, .core = extra->core2,
                               .depth = at_least_one(extra->depth2), .groups = 1};
}

/* The core joins `rank` columns of B to the rows of A. */
static bool core_fits(const structure_operand *w, size_t rank)
{
    const spectral_view *core = &w->core;
    if (spectral_view_bytes(core) == 0)
        return false;
    if (w->diagonal)
        return w->depth == 1 && w->a.rows == rank &&
               (core->rows == 1 ? core->cols == rank : core->cols == 1 && core->rows == rank);
    size_t cols;
    return core->rows == rank && !__builtin_mul_overflow(w->a.rows, w->depth, &cols) && core->cols == cols;
}

spectral_status structure_operand_shape(const structure_operand *w, size_t *m, size_t *n, size_t *rank)
{
    const bool core = w->core.rows > 0;
    size_t joined;
    if (spectral_view_bytes(&w->a) == 0 || (!core && (w->depth > 1 || w->diagonal)))
        return SPECTRAL_E_SHAPE;
    if (w->b.rows == 0) {
        if (core || w->groups > 1)
            return SPECTRAL_E_SHAPE;
        *m = w->a.rows;
        *n = w->a.cols;
        *rank = 0;
        return SPECTRAL_OK;
    }
    if (spectral_view_bytes(&w->b) == 0 || w->b.rows % w->groups != 0 ||
        __builtin_mul_overflow(w->b.cols, w->groups, &joined) || !(core ? core_fits(w, joined) : w->a.rows == joined) ||
        __builtin_mul_overflow(w->a.cols, w->depth, n))
        return SPECTRAL_E_SHAPE;
    if (joined > SPECTRAL_MAX_RANK || w->a.rows > SPECTRAL_MAX_RANK)
        return SPECTRAL_E_LIMIT;
    *m = w->b.rows;
    *rank = joined;
    return SPECTRAL_OK;
}

static bool entries_fit(size_t rows, size_t cols) { return rows <= SPECTRAL_MAX_COMPOSED_ENTRIES / cols; }

static bool work_fits(size_t x, size_t y, size_t z)
{
    return (double)x * (double)y * (double)z <= (double)SPECTRAL_MAX_COMPOSED_WORK;
}

/* The Gram matrices of a composed plan, and A with the core folded in, which every form begins with. */
static bool plan_fits(const structure_plan *plan)
{
    return plan->rank <= SPECTRAL_MAX_RANK && work_fits(plan->m + plan->n, plan->rank, plan->rank);
}

static bool folding_fits(const structure_operand *w, size_t m, size_t n, size_t rank)
{
    if (rank == 0)
        return entries_fit(m, n);
    if (w->core.rows > 0 && !entries_fit(w->core.rows, w->core.cols))
        return false;
    return entries_fit(rank, n) && entries_fit(w->a.rows, w->a.cols) && entries_fit(w->b.cols, m) &&
           (w->core.rows == 0 || w->diagonal || work_fits(rank, w->a.rows, n));
}

spectral_status structure_plan_product(const structure_operand *w, bool loaded, structure_plan *out)
{
    structure_plan plan;
    size_t rank;
    const spectral_status status = structure_operand_shape(w, &plan.m, &plan.n, &rank);
    if (status != SPECTRAL_OK)
        return status;
    const size_t side = smaller(plan.m, plan.n);
    const bool as_stored = w->core.rows == 0 && w->groups == 1;
    plan.rank = rank == 0 ? side : rank;
    plan.form = rank == 0                ? STRUCTURE_MATRIX
                : as_stored && !loaded   ? STRUCTURE_STORED
                : rank > side            ? STRUCTURE_FULL
                                         : STRUCTURE_FACTORS;
    if (plan.form == STRUCTURE_FULL)
        plan.rank = side;
    if (plan.rank > SPECTRAL_MAX_RANK || ((loaded || !as_stored) && !folding_fits(w, plan.m, plan.n, rank)) ||
        (!as_stored && !plan_fits(&plan)))
        return SPECTRAL_E_LIMIT;
    if (plan.form == STRUCTURE_FULL && (!entries_fit(plan.m, plan.n) || !work_fits(plan.m, plan.n, w->b.cols)))
        return SPECTRAL_E_LIMIT;
    *out = plan;
    return SPECTRAL_OK;
}

static spectral_status plan_hadamard(const spectral_module *module, structure_plan *out)
{
    const structure_operand w1 = structure_first(module), w2 = structure_second(module);
    structure_plan plan;
    size_t m2, n2, rank1, rank2, rank; /* each rank is at most SPECTRAL_MAX_RANK: no product of two overflows */
    spectral_status status = structure_operand_shape(&w1, &plan.m, &plan.n, &rank1);
    if (status == SPECTRAL_OK)
        status = structure_operand_shape(&w2, &m2, &n2, &rank2);
    if (status != SPECTRAL_OK)
        return status;
    if (plan.m != m2 || plan.n != n2)
        return SPECTRAL_E_SHAPE;
    if (!folding_fits(&w1, m2, n2, rank1) || !folding_fits(&w2, m2, n2, rank2))
        return SPECTRAL_E_LIMIT;
    const size_t side = smaller(m2, n2);
    rank = rank1 * rank2;
    plan.form = rank == 0 || rank >= side ? STRUCTURE_FULL : STRUCTURE_FACTORS;
    plan.rank = plan.form == STRUCTURE_FULL ? side : rank;
    if (!plan_fits(&plan))
        return SPECTRAL_E_LIMIT;
    if (plan.form == STRUCTURE_FULL &&
        (!entries_fit(m2, n2) || !work_fits(m2, n2, w1.b.cols * (rank1 > 0) + w2.b.cols * (rank2 > 0))))
        return SPECTRAL_E_LIMIT;
    *out = plan;
    return SPECTRAL_OK;
}

spectral_status structure_plan_module(const spectral_module *module, structure_plan *plan)
{
    const structure_operand w = structure_first(module);
    if (module->extra == NULL || module->extra->structure == SPECTRAL_PRODUCT)
        return structure_plan_product(&w, false, plan);
    return module->extra->structure == SPECTRAL_HADAMARD ? plan_hadamard(module, plan) : SPECTRAL_E_SHAPE;
}

static spectral_status kronecker_shape(const spectral_module *module, spectral_shape *out)
{
    const structure_operand w1 = structure_first(module), w2 = structure_second(module);
    structure_plan p1, p2;
    spectral_status status = structure_plan_product(&w1, true, &p1);
    if (status == SPECTRAL_OK)
        status = structure_plan_product(&w2, true, &p2);
    if (status != SPECTRAL_OK)
        return status;
    const size_t n_sigma_a = smaller(p2.rank, smaller(p2.m, p2.n)), n_sigma_b = smaller(p1.rank, smaller(p1.m, p1.n));
    if (p1.m > SPECTRAL_MAX_KRONECKER_SIDE / p2.m || p1.n > SPECTRAL_MAX_KRONECKER_SIDE / p2.n ||
        n_sigma_a * n_sigma_b > SPECTRAL_MAX_KRONECKER_VALUES)
        return SPECTRAL_E_LIMIT;
    *out = (spectral_shape){.m = p1.m * p2.m, .n = p1.n * p2.n, .n_sigma = n_sigma_a * n_sigma_b,
                            .n_sigma_a = n_sigma_a, .n_sigma_b = n_sigma_b};
    return SPECTRAL_OK;
}

spectral_status spectral_module_shape(const spectral_module *module, spectral_shape *out)
{
    structure_plan plan;
    if (module->extra != NULL && module->extra->structure == SPECTRAL_KRONECKER)
        return kronecker_shape(module, out);
    const spectral_status status = structure_plan_module(module, &plan);
    if (status != SPECTRAL_OK)
        return status;
    if (module->extra == NULL && plan.form != STRUCTURE_STORED)
        return SPECTRAL_E_SHAPE;
    *out = (spectral_shape){.m = plan.m, .n = plan.n, .n_sigma = smaller(plan.rank, smaller(plan.m, plan.n)),
                            .n_sigma_a = smaller(plan.rank, plan.n), .n_sigma_b = smaller(plan.m, plan.rank)};
    return SPECTRAL_OK;
}
