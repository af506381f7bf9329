/* rowmodel.c - see rowmodel.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/rowmodel.h"

#include <float.h>
#include <math.h>
#include <string.h>

bool row_model_create(row_model *model, const panel *a, const panel *b, const gram_pass *pass_b,
                      const panel_block *block, scratch *s)
{
    const size_t r = a->rank, rows = kernel_padded(r);
    *model = (row_model){.n_steps = r <= ROW_MODEL_EXACT_RANK ? r : ROW_MODEL_STEPS,
                         .n_heavy = smallest(a->length, ROW_MODEL_HEAVY), .n_entries = a->length};
    model->n_probes = kernel_padded(model->n_steps + 1 + model->n_heavy);
    model->powers = scratch_take_zeroed(s, rows * 4, sizeof(double));
    model->columns = scratch_take_zeroed(s, kernel_padded(a->length), sizeof(double));
    model->weights = scratch_take_zeroed(s, rows * 4, sizeof(double));
    model->probes = scratch_take_zeroed(s, rows * model->n_probes, sizeof(double));
    const size_t n_met = model->n_probes * block->ld_rank_major;
    model->met = scratch_take(s, n_met > rows ? n_met : rows, sizeof(double));
    model->sums = scratch_take(s, block->ld_rank_major * 4, sizeof(double));
    model->size = scratch_take(s, b->length, sizeof(double));
    model->running = scratch_take(s, b->length, sizeof(double));
    if (!a->rank_major)
        model->turned = scratch_take(s, rows * block->ld_rank_major, sizeof(double));
    if (!model->powers || !model->columns || !model->weights || !model->probes || !model->met || !model->sums ||
        !model->size || !model->running || (!a->rank_major && !model->turned))
        return false;
    double largest = 0;
    for (size_t k = 0; k < r; k++)
        largest = fmax(largest, pass_b->gram[k * rows + k]);
    for (size_t k = 0; k < r && largest > 0; k++)
        model->weights[k] = pass_b->gram[k * rows + k] / largest;
    return true;
}

void row_model_block(row_model *model, const kernel_table *kernels, const panel *a, const panel_block *block,
                     size_t first, size_t count)
{
    const size_t rows = kernel_padded(a->rank), cols = kernel_padded(count), ld = block->ld_rank_major;
    const double *x = block->x;
    if (!a->rank_major) {
        panel_transpose(block, a->rank, count, model->turned);
        x = model->turned;
    }
    memset(model->sums, 0, 4 * ld * sizeof(double));
    kernels->powers(x, a->rank, cols, ld, model->powers);
    kernels->weighted_powers(x, a->rank, cols, ld, false, model->weights, rows, model->sums, ld);
    memcpy(model->columns + first, model->sums, count * sizeof(double));
}

/* The heavy columns, largest first. Blocks of the long side start at multiples of the padding, so that columns has n. */
static void heaviest(const double *columns, size_t n, size_t *heavy, size_t n_heavy)
{
    size_t found = 0;
    for (size_t j = 0; j < n; j++) {
        if (found == n_heavy && !(columns[j] > columns[heavy[found - 1]]))
            continue;
        size_t at = found < n_heavy ? found++ : found - 1;
        for (; at > 0 && columns[heavy[at - 1]] < columns[j]; at--)
            heavy[at] = heavy[at - 1];
        heavy[at] = j;
    }
}

/* Element k of probe t. */
static double *probe(const row_model *model, const panel *b, size_t t, size_t k)
{
    return model->probes + (b->rank_major ? t * kernel_padded(b->rank) + k : k * model->n_probes + t);
}

/* G ≈ L·Lᵀ + D: L's columns become the first probes, D (in units of G) the first weights. The diagonal pivoted out is
 * left with the rounding of G, which keeps a row possible that cancels in L. */
static void pivoted_cholesky(row_model *model, const panel *b, const double *gram, double scale)
{
    const size_t r = b->rank, ld = kernel_padded(r);
    double *left = model->weights;
    for (size_t k = 0; k < r; k++)
        left[k] = gram[k * ld + k];
    for (size_t t = 0; t < model->n_steps; t++) {
        size_t pivot = 0;
        for (size_t k = 1; k < r; k++)
            pivot = left[k] > left[pivot] ? k : pivot;
        if (!(left[pivot] > 8 * DBL_EPSILON * gram[pivot * ld + pivot]))
            return;
        const double root = sqrt(left[pivot]);
        for (size_t k = 0; k < r; k++) {
            double entry = gram[pivot * ld + k];
            for (size_t u = 0; u < t; u++)
                entry -= *probe(model, b, u, k) / scale * (*probe(model, b, u, pivot) / scale);
            *probe(model, b, t, k) = entry / root * scale;
            left[k] -= entry / root * (entry / root);
        }
        left[pivot] = 0;
    }
}

/* powers of direction k become raw moments E a^p over the columns that are not heavy, in the units of the sizes. */
static void direction_moments(row_model *model, const panel *b, size_t k)
{
    double *moment = model->powers + 4 * k;
    const double rest = (double)(model->n_entries - model->n_heavy);
    for (size_t p = 0; p < 4; p++)
        moment[p] = ldexp(moment[p], -(int)(p + 1) * model->exponent);
    for (size_t h = 0; h < model->n_heavy; h++) {
        double x = *probe(model, b, model->n_steps + 1 + h, k), power = x;
        for (size_t p = 0; p < 4; p++, power *= x)
            moment[p] -= power;
    }
    for (size_t p = 0; p < 4; p++)
        moment[p] /= rest;
}

/* c from E w² over the columns, w = Σ_k d_k·a_k². Were the directions jointly Gaussian but for their own κ4,
 *     E w² = Σ_k d_k²·E a_k⁴ + Σ_{k≠l} d_k·d_l·(E a_k²·E a_l² + 2 (E a_k·a_l)²) */
static double shared_scale(const row_model *model, const panel *b, const double *gram_a, const double *gram_b,
                           const size_t *heavy)
{
    const size_t r = b->rank, ld = kernel_padded(r);
    const double rest = (double)(model->n_entries - model->n_heavy);
    const double unit = ldexp(1, -2 * model->exponent);
    double largest = 0, squares = 0, own = 0, pairs = 0;
    for (size_t k = 0; k < r; k++)
        largest = fmax(largest, gram_b[k * ld + k]);
    if (!(rest > 0) || !(largest > 0))
        return 0;
    for (size_t j = 0; j < model->n_entries; j++) {
        double w = model->columns[j] * unit;
        squares += w * w;
    }
    for (size_t h = 0; h < model->n_heavy; h++) {
        double w = model->columns[heavy[h]] * unit;
        squares -= w * w;
    }
    for (size_t k = 0; k < r; k++) {
        const double *moment = model->powers + 4 * k, d = gram_b[k * ld + k] / largest;
        own += d * d * moment[3];
        for (size_t l = 0; l < k; l++) {
            double e = gram_b[l * ld + l] / largest, product = gram_a[k * ld + l] * unit;
            for (size_t h = 0; h < model->n_heavy; h++)
                product -= *probe(model, b, model->n_steps + 1 + h, k) * *probe(model, b, model->n_steps + 1 + h, l);
            pairs += 2 * d * e * (moment[1] * model->powers[4 * l + 1] + 2 * (product / rest) * (product / rest));
        }
    }
    const double excess = squares / rest - own - pairs;
    return pairs > 0 && excess > 0 ? excess / pairs : 0;
}

/* The weights D, κ3, κ4 − 3c·m2² and m2² in the units of the sizes. */
static void cumulant_weights(row_model *model, const panel *b, const double *gram)
{
    const size_t r = b->rank, ld = kernel_padded(r);
    for (size_t k = 0; k < r; k++) {
        const double *e = model->powers + 4 * k;
        double *w = model->weights + k, floor_of_d = 8 * DBL_EPSILON * gram[k * ld + k];
        w[0] = ldexp(w[0] > floor_of_d ? w[0] : floor_of_d, -2 * model->exponent);
        w[ld] = w[2 * ld] = w[3 * ld] = 0;
        if (model->n_entries == model->n_heavy)
            continue;
        double mean = e[0], m2 = fmax(0, e[1] - mean * mean);
        w[ld] = e[2] - 3 * mean * e[1] + 2 * mean * mean * mean;
        w[2 * ld] = e[3] - 4 * mean * e[2] + 6 * mean * mean * e[1] - 3 * mean * mean * mean * mean -
                    3 * (1 + model->shared) * m2 * m2;
        w[3 * ld] = m2 * m2;
    }
}

/* The formula of rowmodel.h. met: what the probes made of b_i, step apart; sums: its weighted powers, ld apart. */
static inline double expected_size(row_model *model, const double *met, size_t step, const double *sums, size_t ld)
{
    const double n = (double)model->n_entries, rest = (double)(model->n_entries - model->n_heavy), mean = model->mean;
    double squares = sums[0], sum = met[model->n_steps * step], heavy_fourth = 0;
    for (size_t t = 0; t < model->n_steps; t++)
        squares += met[t * step] * met[t * step];
    squares += mean * (n * mean - 2 * sum); /* about μ */
    sum -= n * mean;
    for (size_t h = 0; h < model->n_heavy; h++) {
        double x = met[(model->n_steps + 1 + h) * step] - mean;
        sum -= x;
        squares -= x * x;
        heavy_fourth += x * x * x * x;
    }
    if (!(rest > 0))
        return heavy_fourth;
    const double inverse = 1 / rest, delta = sum * inverse, square = delta * delta, spread = squares * inverse - square;
    const double u = spread > 0 ? spread : 0, v = u + square;
    const double expected = 3 * (1 + model->shared) * u * u + square * (6 * u + square) + 4 * delta * sums[ld] +
                            sums[2 * ld];
    const double cross = fabs(u * u - sums[3 * ld]);
    if (cross > 64 * DBL_EPSILON * v * v)
        model->cross += rest * 3 * (1 + model->shared) * cross;
    return heavy_fourth + rest * (expected > v * v ? expected : v * v);
}

static void choose_units(row_model *model, const panel *a, const gram_pass *pass_a, const panel *b,
                         const gram_pass *pass_b)
{
    double size = gram_norm(pass_a->gram, a->rank) * gram_norm(pass_b->gram, a->rank), mean = 0;
    double square = gram_trace_product(pass_a->gram, pass_b->gram, a->rank);
    square = fmax(square, DBL_EPSILON * size); /* where the factors cancel, what is left is known no better */
    frexp(sqrt(square), &model->exponent);
    model->conditioning = square > 0 ? fmax(1, sqrt(size / square)) : 1;
    for (size_t k = 0; k < a->rank; k++)
        mean += pass_b->rank_sums[k] * pass_a->rank_sums[k];
    model->mean = ldexp(mean / ((double)a->length * (double)b->length), -model->exponent);
}

void row_model_sizes(row_model *model, const kernel_table *kernels, const panel *a, const gram_pass *pass_a,
                     const panel *b, const gram_pass *pass_b, const panel_block *block)
{
    const size_t r = b->rank, rows = kernel_padded(r), np = model->n_probes, ld = block->ld_rank_major;
    size_t heavy[ROW_MODEL_HEAVY];
    choose_units(model, a, pass_a, b, pass_b);
    const double scale = ldexp(1, -model->exponent);
    heaviest(model->columns, a->length, heavy, model->n_heavy);
    for (size_t h = 0; h < model->n_heavy; h++) {
        panel_convert_row(kernels, a, heavy[h], block, model->met);
        for (size_t k = 0; k < r; k++)
            *probe(model, b, model->n_steps + 1 + h, k) = model->met[k] * scale;
    }
    for (size_t k = 0; k < r; k++)
        *probe(model, b, model->n_steps, k) = pass_a->rank_sums[k] * scale;
    pivoted_cholesky(model, b, pass_a->gram, scale);
    for (size_t k = 0; k < r && model->n_entries > model->n_heavy; k++)
        direction_moments(model, b, k);
    model->shared = shared_scale(model, b, pass_a->gram, pass_b->gram, heavy);
    cumulant_weights(model, b, pass_a->gram);

    for (size_t first = 0; first < b->length; first += block->length) {
        size_t count = smallest(b->length - first, block->length), cols = kernel_padded(count);
        panel_convert(kernels, b, first, count, block, NULL);
        memset(model->sums, 0, 4 * ld * sizeof(double));
        if (b->rank_major) {
            kernels->product(model->probes, np, r, rows, block->x, cols, ld, model->met, ld);
            kernels->weighted_powers(block->x, r, cols, ld, false, model->weights, rows, model->sums, ld);
        } else {
            size_t ldx = block->ld_length_major;
            memset(block->x + count * ldx, 0, (cols - count) * ldx * sizeof(double));
            kernels->product(block->x, cols, r, ldx, model->probes, np, np, model->met, np);
            kernels->weighted_powers(block->x, count, rows, ldx, true, model->weights, rows, model->sums, ld);
        }
        for (size_t i = 0; i < count; i++)
            model->size[first + i] = expected_size(model, model->met + i * (b->rank_major ? 1 : np),
                                                   b->rank_major ? ld : 1, model->sums + i, ld);
    }
}
