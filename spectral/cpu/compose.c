/* compose.c - see compose.h. Sizes have been bounded by the plan: none of the products below overflows.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/compose.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* A float64 matrix x·2^exponent, row-major without padding; x NULL: there is none. */
typedef struct {
    double *x;
    size_t rows, cols;
    int exponent;
} part;

/* One operand: b, and a with the core folded in. */
typedef struct {
    structure_operand stored;
    part a, b;
    spectral_factor stats_a, stats_b; /* of what is stored; TOGETHER: all in stats_a */
    uint64_t n_nonfinite_b, n_nonfinite_a; /* a's and the core's */
} operand;

typedef enum { NO_STATISTICS, EACH, TOGETHER } wanted_statistics;

static bool part_create(scratch *s, size_t rows, size_t cols, part *out)
{
    *out = (part){.x = scratch_take(s, rows * cols, sizeof(double)), .rows = rows, .cols = cols};
    return out->x != NULL;
}

/* ---- reading ---- */

/* Stored entries to float64: by runs along the stride of 1, else one by one. column holds rows doubles. */
static void part_convert(const kernel_table *kernels, const spectral_view *view, const void *data, double *column, part *p)
{
    const size_t bytes = spectral_dtype_bytes(view->dtype);
    const unsigned char *from = data;
    if (view->col_stride == 1 || view->cols == 1) {
        kernels->convert[view->dtype](from, view->rows, view->cols, view->row_stride, 1, p->x, view->cols, NULL);
        return;
    }
    for (size_t j = 0; j < view->cols; j++, from += view->col_stride * bytes) {
        if (view->row_stride == 1)
            kernels->convert[view->dtype](from, 1, view->rows, view->rows, 1, column, view->rows, NULL);
        else
            for (size_t i = 0; i < view->rows; i++)
                column[i] = spectral_scalar(from + i * view->row_stride * bytes, view->dtype);
        for (size_t i = 0; i < view->rows; i++)
            p->x[i * view->cols + j] = column[i];
    }
}

/* The largest entry of a float64 part to [1/2, 1), where it is one that 2^±1000 can bring there. */
static void part_normalise(part *p, double largest)
{
    enum { EXPONENT_LIMIT = 1000 };
    frexp(largest, &p->exponent);
    p->exponent = p->exponent > EXPONENT_LIMIT ? EXPONENT_LIMIT : p->exponent;
    p->exponent = p->exponent < -EXPONENT_LIMIT ? -EXPONENT_LIMIT : p->exponent;
    cblas_dscal((int)(p->rows * p->cols), ldexp(1, -p->exponent), p->x, 1);
}

static spectral_status part_load(module_worker *worker, const module_input *input, char letter, const spectral_view *view,
                                 part *out, uint64_t *n_nonfinite)
{
    const void *data;
    if (!part_create(&worker->s, view->rows, view->cols, out))
        return SPECTRAL_E_MEMORY;
    const scratch_place place = scratch_mark(&worker->s);
    double *column = scratch_take(&worker->s, view->rows, sizeof *column);
    if (column == NULL)
        return SPECTRAL_E_MEMORY;
    spectral_status status = module_fetch(input, letter, view, &worker->raw_a, &data);
    if (status != SPECTRAL_OK)
        return status;
    part_convert(worker->kernels, view, data, column, out);
    scratch_release(&worker->s, place);
    raw_buffer_trim(&worker->raw_a);
    double largest = 0, sum = 0;
    const size_t n = out->rows * out->cols;
    for (size_t i = 0; i < n; i++) {
        largest = fabs(out->x[i]) > largest ? fabs(out->x[i]) : largest;
        sum += 0 * out->x[i]; /* NaN as soon as one is not finite */
    }
    for (size_t i = 0; i < n && isnan(sum); i++)
        *n_nonfinite += isfinite(out->x[i]) ? 0 : 1;
    if (view->dtype == SPECTRAL_F64 && largest > 0 && !isnan(sum))
        part_normalise(out, largest);
    return SPECTRAL_OK;
}

/* ---- statistics ---- */

/* Of the entries of some parts together, two passes; in units of the largest exponent. */
static spectral_factor statistics(const part *const *parts, size_t n_parts, double support)
{
    double n = 0, sum = 0, sum_abs = 0, low = INFINITY, high = -INFINITY, d2 = 0, d4 = 0, squares = 0, outside = 0;
    int common = parts[0]->exponent;
    for (size_t i = 1; i < n_parts; i++)
        common = parts[i]->exponent > common ? parts[i]->exponent : common;
    const double limit = support > 0 ? ldexp(support, -common) : INFINITY;
    for (size_t i = 0; i < n_parts; i++) {
        const double unit = ldexp(1, parts[i]->exponent - common);
        const size_t count = parts[i]->rows * parts[i]->cols;
        n += (double)count;
        for (size_t k = 0; k < count; k++) {
            const double x = parts[i]->x[k] * unit;
            sum += x;
            sum_abs += fabs(x);
            squares += x * x;
            low = x < low ? x : low;
            high = x > high ? x : high;
            outside += fabs(x) > limit ? 1 : 0;
        }
    }
    const double mean = sum / n;
    for (size_t i = 0; i < n_parts; i++) {
        const double unit = ldexp(1, parts[i]->exponent - common);
        for (size_t k = 0; k < parts[i]->rows * parts[i]->cols; k++) {
            const double d = parts[i]->x[k] * unit - mean, square = d * d;
            d2 += square;
            d4 += square * square;
        }
    }
    return (spectral_factor){.max_abs = ldexp(fmax(-low, high), common),
                             .mean_abs = ldexp(sum_abs / n, common),
                             .sum_squares = ldexp(squares, 2 * common),
                             .kurtosis = high > low && d2 > 0 ? d4 * n / d2 / d2 : NAN,
                             .outside_support = outside / n};
}

static void operand_statistics(operand *w, const part *core, wanted_statistics wanted, double support)
{
    const part *parts[3] = {&w->a}, *b = &w->b;
    size_t n = 1;
    if (wanted == NO_STATISTICS)
        return;
    if (wanted == EACH) {
        w->stats_a = statistics(parts, 1, support);
        w->stats_b = b->x != NULL ? statistics(&b, 1, 0) : (spectral_factor){.kurtosis = NAN};
        return;
    }
    if (b->x != NULL)
        parts[n++] = b;
    if (core->x != NULL)
        parts[n++] = core;
    w->stats_a = statistics(parts, n, 0);
}

/* ---- composing ---- */

/* folded := C·A. */
static void operand_fold(const operand *w, const part *core, part *folded)
{
    const part *a = &w->a;
    const size_t k = w->stored.depth, q = a->rows, n = a->cols, rank = folded->rows;
    folded->exponent = a->exponent + core->exponent;
    if (w->stored.diagonal)
        for (size_t p = 0; p < q; p++)
            for (size_t j = 0; j < n; j++)
                folded->x[p * n + j] = core->x[p] * a->x[p * n + j];
    else if (k == 1)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rank, (int)n, (int)q, 1, core->x, (int)q, a->x, (int)n,
                    0, folded->x, (int)n);
    else
        for (size_t p = 0; p < rank; p++)
            cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)k, (int)q, 1, a->x, (int)n,
                        core->x + p * q * k, (int)k, 0, folded->x + p * n * k, (int)k);
}

/* All parts read, and the core folded into A; what the folding was made of is given back. */
static spectral_status operand_load(module_worker *worker, const module_input *input, bool second, wanted_statistics wanted,
                                    double support, operand *w)
{
    *w = (operand){.stored = second ? structure_second(input->module) : structure_first(input->module)};
    const structure_operand *stored = &w->stored;
    part core = {.x = NULL}, folded = {.x = NULL};
    spectral_status status = SPECTRAL_OK;
    if (stored->b.rows > 0)
        status = part_load(worker, input, second ? 'B' : 'b', &stored->b, &w->b, &w->n_nonfinite_b);
    if (status == SPECTRAL_OK && stored->core.rows > 0 &&
        !part_create(&worker->s, stored->diagonal ? stored->a.rows : stored->core.rows, stored->a.cols * stored->depth,
                     &folded))
        return SPECTRAL_E_MEMORY;
    const scratch_place place = scratch_mark(&worker->s);
    if (status == SPECTRAL_OK && folded.x != NULL)
        status = part_load(worker, input, second ? 'C' : 'c', &stored->core, &core, &w->n_nonfinite_a);
    if (status == SPECTRAL_OK)
        status = part_load(worker, input, second ? 'A' : 'a', &stored->a, &w->a, &w->n_nonfinite_a);
    if (status != SPECTRAL_OK || w->n_nonfinite_a + w->n_nonfinite_b > 0)
        return status;
    operand_statistics(w, &core, wanted, support);
    if (folded.x != NULL) {
        operand_fold(w, &core, &folded);
        w->a = folded;
        scratch_release(&worker->s, place);
    }
    return SPECTRAL_OK;
}

/* Σ_k ‖b_k‖·‖a_k‖ of one group. */
static double product_size(const double *b, size_t height, size_t r, const double *a, size_t n)
{
    double size = 0;
    for (size_t k = 0; k < r; k++)
        size += cblas_dnrm2((int)height, b + k, (int)r) * cblas_dnrm2((int)n, a + k * n, 1);
    return size;
}

/* *out := B·A with the core already folded in, or A where there is no B. */
static bool operand_form(scratch *s, const operand *w, part *out)
{
    if (w->b.x == NULL) {
        *out = w->a;
        return true;
    }
    const size_t groups = w->stored.groups, r = w->b.cols, height = w->b.rows / groups, n = w->a.cols;
    if (!part_create(s, w->b.rows, n, out))
        return false;
    out->exponent = w->a.exponent + w->b.exponent;
    double size = 0;
    for (size_t g = 0; g < groups; g++) {
        const double *b = w->b.x + g * height * r, *a = w->a.x + g * r * n;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)height, (int)n, (int)r, 1, b, (int)r, a, (int)n, 0,
                    out->x + g * height * n, (int)n);
        size += product_size(b, height, r, a, n);
    }
    const double c = 16 + 0.25 * sqrt((double)w->b.rows + (double)n) + sqrt((double)r);
    if (cblas_dnrm2((int)(out->rows * n), out->x, 1) <= c * DBL_EPSILON * size)
        memset(out->x, 0, out->rows * n * sizeof(double));
    return true;
}

static spectral_view part_view(const part *p)
{
    return (spectral_view){.data = p->x, .dtype = SPECTRAL_F64, .rows = p->rows, .cols = p->cols, .row_stride = p->cols,
                           .col_stride = 1};
}

static void use_full(composition *c, const part *w)
{
    c->a = part_view(w);
    c->shift_a = w->exponent;
    c->alone = true;
}

/* A and B of one operand, or with w2 those of its Hadamard product: woven where there is more to them than one matrix. */
static void use_factors(composition *c, const operand *w1, const operand *w2)
{
    const size_t groups = w1->stored.groups, n_left = w1->a.rows, n_right = w2 != NULL ? w2->a.rows : 1;
    c->a = part_view(&w1->a);
    c->b = part_view(&w1->b);
    c->shift_a = w1->a.exponent + (w2 != NULL ? w2->a.exponent : 0);
    c->shift_b = w1->b.exponent + (w2 != NULL ? w2->b.exponent : 0);
    c->a.rows = c->b.cols = n_left * n_right;
    if (w2 != NULL)
        c->weave_a = (panel_weave){.left = w1->a.x, .right = w2->a.x, .n_left = n_left, .n_right = n_right, .groups = 1};
    if (w2 != NULL || groups > 1)
        c->weave_b = (panel_weave){.left = w1->b.x, .right = w2 != NULL ? w2->b.x : NULL, .n_left = n_left,
                                   .n_right = n_right, .groups = groups, .height = w1->b.rows / groups};
}

/* W of one operand, as the plan says. */
static spectral_status compose_product(scratch *s, const operand *w, const structure_plan *plan, composition *c)
{
    part full;
    if (plan->form == STRUCTURE_FACTORS) {
        use_factors(c, w, NULL);
        return SPECTRAL_OK;
    }
    if (!operand_form(s, w, &full))
        return SPECTRAL_E_MEMORY;
    use_full(c, &full);
    return SPECTRAL_OK;
}

static spectral_status compose_hadamard(scratch *s, const operand *w1, const operand *w2, const structure_plan *plan,
                                        composition *c)
{
    part full, other;
    if (plan->form == STRUCTURE_FACTORS) {
        use_factors(c, w1, w2);
        return SPECTRAL_OK;
    }
    if (!operand_form(s, w1, &full))
        return SPECTRAL_E_MEMORY;
    const scratch_place place = scratch_mark(s);
    if (!operand_form(s, w2, &other))
        return SPECTRAL_E_MEMORY;
    for (size_t i = 0; i < full.rows * full.cols; i++)
        full.x[i] *= other.x[i];
    full.exponent += other.exponent;
    scratch_release(s, place);
    use_full(c, &full);
    return SPECTRAL_OK;
}

spectral_status compose_module(module_worker *worker, const module_input *input, const structure_plan *plan,
                               composition *c, uint64_t *n_a, uint64_t *n_b)
{
    const spectral_module *module = input->module;
    const bool hadamard = module->extra != NULL && module->extra->structure == SPECTRAL_HADAMARD;
    *c = (composition){.a = module->a, .b = module->b, .alone = plan->form == STRUCTURE_MATRIX};
    if (plan->form == STRUCTURE_STORED || plan->form == STRUCTURE_MATRIX)
        return SPECTRAL_OK;
    operand w1, w2 = {.n_nonfinite_a = 0};
    spectral_status status = operand_load(worker, input, false, EACH, module->support_a, &w1);
    if (status == SPECTRAL_OK && hadamard)
        status = operand_load(worker, input, true, NO_STATISTICS, 0, &w2);
    if (status != SPECTRAL_OK)
        return status;
    *n_a = w1.n_nonfinite_a + w2.n_nonfinite_a;
    *n_b = w1.n_nonfinite_b + w2.n_nonfinite_b;
    if (*n_a + *n_b > 0)
        return SPECTRAL_E_NONFINITE;
    c->counted = true;
    c->stats_a = w1.stats_a;
    c->stats_b = w1.stats_b;
    return hadamard ? compose_hadamard(&worker->s, &w1, &w2, plan, c) : compose_product(&worker->s, &w1, plan, c);
}

spectral_status compose_operand(module_worker *worker, const module_input *input, bool second,
                                const structure_plan *plan, composition *c, uint64_t *n_a)
{
    operand w;
    *c = (composition){.counted = true};
    spectral_status status = operand_load(worker, input, second, TOGETHER, 0, &w);
    if (status != SPECTRAL_OK)
        return status;
    *n_a = w.n_nonfinite_a + w.n_nonfinite_b;
    if (*n_a > 0)
        return SPECTRAL_E_NONFINITE;
    c->stats_a = w.stats_a;
    return compose_product(&worker->s, &w, plan, c);
}
