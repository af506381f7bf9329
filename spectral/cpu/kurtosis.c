/* kurtosis.c - see kurtosis.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/kurtosis.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define ROUNDING 64        /* of T and of the variance, in units of eps, besides the lengths of the sums */
#define UNSEEN_WEIGHT 0.5  /* of the unseen share, in the standard error */
#define CROSS_WEIGHT 0.25  /* of the cross part */

/* ---- random numbers: xoshiro256** (Blackman & Vigna 2018), seeded by splitmix64 ---- */

typedef struct {
    uint64_t s[4];
} generator;

static generator generator_seeded(uint64_t seed)
{
    generator g;
    for (size_t i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        g.s[i] = z ^ (z >> 31);
    }
    return g;
}

static uint64_t rotate(uint64_t x, unsigned k) { return (x << k) | (x >> (64 - k)); }

/* Uniform in [0, 1), 53 bits. */
static double generator_uniform(generator *g)
{
    uint64_t *s = g->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

/* ---- the sample ---- */

bool kurtosis_sample_create(kurtosis_sample *sample, size_t n_draws, const panel *a, const panel_block *block,
                            scratch *s)
{
    const size_t rows = kernel_padded(n_draws), inner = kernel_padded(a->rank);
    /* cppcheck-suppress ctunullpointer; called only when rows are drawn, and then there is a sample */
    *sample = (kurtosis_sample){
        .n_draws = n_draws,
        .draws = scratch_take(s, rows, sizeof(size_t)),
        .times = scratch_take(s, rows, sizeof(size_t)),
        .size = scratch_take(s, rows, sizeof(double)),
        .b = scratch_take_zeroed(s, rows * inner, sizeof(double)),
        .sums = scratch_take_zeroed(s, rows * 4, sizeof(double)),
        .x = scratch_take(s, KURTOSIS_CHUNK * block->ld_rank_major, sizeof(double)),
    };
    if (!a->rank_major)
        sample->turned = scratch_take(s, inner * block->ld_rank_major, sizeof(double));
    return sample->draws && sample->times && sample->size && sample->b && sample->sums && sample->x &&
           (a->rank_major || sample->turned);
}

static void sort_ascending(size_t *v, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < n; i++) {
            size_t x = v[i], j = i;
            for (; j >= gap && v[j - gap] > x; j -= gap)
                v[j] = v[j - gap];
            v[j] = x;
        }
}

/* First index whose running sum exceeds u; u is below the last. */
static size_t draw_index(const double *running, size_t n, double u)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (running[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int exponent_of_norm(double square)
{
    int exponent;
    frexp(square, &exponent);
    return exponent / 2;
}

static void sample_add(kurtosis_sample *sample, size_t row, double size, size_t times)
{
    const size_t slot = sample->n_rows++;
    sample->draws[slot] = row;
    sample->size[slot] = size;
    sample->times[slot] = times;
}

/* Moves the certain rows from size, where they become 0, to the sample. What is left to draw from is drawn_size. */
static void take_certain(kurtosis_sample *sample, double *size, size_t m)
{
    size_t positive = 0, limit = sample->n_draws / 2;
    for (size_t i = 0; i < m; i++)
        positive += size[i] > 0;
    if (positive <= sample->n_draws)
        limit = positive;
    for (;;) {
        size_t largest = 0;
        double sum = 0, peak = 0;
        for (size_t i = 0; i < m; i++) {
            sum += size[i];
            if (size[i] > peak) {
                peak = size[i];
                largest = i;
            }
        }
        sample->drawn_size = sum;
        if (!isfinite(sum)) { /* float64 directions at opposite ends of the range: no model, no sample */
            sample->drawn_size = 0;
            sample->n_rows = 0;
            break;
        }
        const double left = (double)(sample->n_draws - sample->n_rows);
        if (sample->n_rows == limit || !(sum > 0) || (limit < positive && size[largest] * left < sum))
            break;
        sample_add(sample, largest, size[largest], 0);
        size[largest] = 0;
    }
    sample->n_certain = sample->n_rows;
}

void kurtosis_sample_draw(kurtosis_sample *sample, const kernel_table *kernels, const panel *b,
                          const panel_block *block, row_model *model, uint64_t seed)
{
    const size_t m = b->length, rows = kernel_padded(b->rank);
    double *running = model->running;
    sample->exponent = model->exponent;
    sample->conditioning = model->conditioning;
    sample->n_rows = 0;
    take_certain(sample, model->size, m);
    sample->cross = fmin(model->cross, sample->drawn_size);
    for (size_t i = 0; i < m; i++)
        running[i] = model->size[i] + (i > 0 ? running[i - 1] : 0);
    if (sample->drawn_size > 0) {
        const size_t n = sample->n_draws - sample->n_certain;
        size_t *drawn = sample->draws + sample->n_certain;
        sample->drawn_size = running[m - 1];
        generator g = generator_seeded(seed);
        for (size_t d = 0; d < n; d++)
            drawn[d] = draw_index(running, m, generator_uniform(&g) * running[m - 1]);
        sort_ascending(drawn, n);
        for (size_t d = 0; d < n; d++) {
            size_t row = drawn[d];
            if (d > 0 && sample->draws[sample->n_rows - 1] == row)
                sample->times[sample->n_rows - 1]++;
            else
                sample_add(sample, row, model->size[row], 1);
        }
    }
    const double scale = ldexp(1, -sample->exponent);
    for (size_t slot = 0; slot < sample->n_rows; slot++) {
        panel_convert_row(kernels, b, sample->draws[slot], block, sample->b + slot * rows);
        for (size_t k = 0; k < b->rank; k++)
            sample->b[slot * rows + k] *= scale;
    }
}

static void sample_block(kurtosis_sample *sample, const kernel_table *kernels, const panel *a,
                         const panel_block *block, size_t count)
{
    const size_t inner = kernel_padded(a->rank), cols = kernel_padded(count), ld = block->ld_rank_major;
    const double *x = block->x;
    if (!a->rank_major) {
        panel_transpose(block, a->rank, count, sample->turned);
        x = sample->turned;
    }
    for (size_t first = 0; first < sample->n_rows; first += KURTOSIS_CHUNK) {
        size_t left = kernel_padded(sample->n_rows - first);
        size_t rows = left < KURTOSIS_CHUNK ? left : KURTOSIS_CHUNK;
        kernels->product(sample->b + first * inner, rows, a->rank, inner, x, cols, ld, sample->x, ld);
        kernels->powers(sample->x, rows, cols, ld, sample->sums + 4 * first);
    }
}

void kurtosis_sample_run(kurtosis_sample *sample, const kernel_table *kernels, const panel *a,
                         const panel_block *block)
{
    for (size_t first = 0; first < a->length && sample->n_rows > 0; first += block->length) {
        size_t count = smallest(a->length - first, block->length);
        panel_convert(kernels, a, first, count, block, NULL);
        sample_block(sample, kernels, a, block, count);
    }
}

/* Σ_j (x − μ)⁴ from the sums of powers of one row of n entries. */
static double centred_fourth(const double *sums, double n, double mean)
{
    return sums[3] - 4 * mean * sums[2] + mean * mean * (6 * sums[1] - 4 * mean * sums[0] + n * mean * mean);
}

/* Standard error of Z·(mean of ratios), in the units of the sizes; see kurtosis.h. */
static double sampling_error(const kurtosis_sample *sample, const double *ratio, double mean)
{
    const double n = (double)(sample->n_draws - sample->n_certain), different = (double)sample->n_rows;
    double drawn = 0, every = 0, average = 0, farthest = 0;
    if (sample->n_rows == sample->n_certain)
        return 0;
    if (sample->n_draws < 2)
        return NAN;
    for (size_t i = 0; i < sample->n_rows; i++) {
        double d = ratio[i] - mean;
        drawn += (double)sample->times[i] * d * d;
        average += ratio[i] / different;
        farthest = fmax(farthest, fabs(d));
    }
    for (size_t i = 0; i < sample->n_rows; i++)
        every += (ratio[i] - average) * (ratio[i] - average);
    double variance = fmax(n > 1 ? drawn / (n - 1) : 0, different > 1 ? every / (different - 1) : 0) / n;
    double unseen = UNSEEN_WEIGHT * farthest / n;
    double unmet = CROSS_WEIGHT * sample->cross * exp(-0.5 * n * sample->cross / sample->drawn_size);
    return hypot(sample->drawn_size * sqrt(variance + unseen * unseen), unmet);
}

kurtosis_estimate kurtosis_of_sample(kurtosis_sample *sample, size_t m, size_t n, double mean,
                                     double mean_square)
{
    const double resolved = 1e-6; /* of the mean square; see kurtosis.h */
    const kurtosis_estimate none = {NAN, NAN};
    if (sample->n_rows == 0)
        return none;
    mean = ldexp(mean, -sample->exponent);
    mean_square = ldexp(mean_square, -2 * sample->exponent);
    const double variance = mean_square - mean * mean;
    if (!(variance > resolved * mean_square))
        return none;
    const double width = (double)n, unit = (double)m * width * variance * variance;
    double certain = 0, ratios = 0;
    for (size_t i = 0; i < sample->n_rows; i++) {
        double fourth = fmax(0, centred_fourth(sample->sums + 4 * i, width, mean));
        double *ratio = sample->sums + 4 * i; /* the powers have served */
        *ratio = fourth / sample->size[i];
        certain += i < sample->n_certain ? fourth : 0;
        ratios += (double)sample->times[i] * *ratio;
    }
    for (size_t i = 0; i < sample->n_rows; i++)
        sample->sums[i] = sample->sums[4 * i];
    const double n_drawn = (double)(sample->n_draws - sample->n_certain);
    if (sample->n_rows > sample->n_certain)
        ratios /= n_drawn;
    double k = (certain + sample->drawn_size * ratios) / unit;
    double rounding = mean_square / variance * (mean_square / variance);
    rounding *= (ROUNDING + (double)m + width / 8) * DBL_EPSILON * k * sample->conditioning;
    double error = hypot(sampling_error(sample, sample->sums, ratios) / unit, rounding);
    if (k < 1) {
        error = hypot(error, 1 - k);
        k = 1;
    }
    return (kurtosis_estimate){k, error};
}

/* ---- every row ---- */

static void centred_add(centred_sums *sums, const double *x, size_t rows, size_t cols, size_t ld, double mean)
{
    for (size_t i = 0; i < rows; i++) {
        double d1 = 0, d2 = 0, d3 = 0, d4 = 0;
        for (size_t j = 0; j < cols; j++) {
            double d = x[i * ld + j] - mean, square = d * d;
            d1 += d;
            d2 += square;
            d3 += square * d;
            d4 += square * square;
        }
        sums->d1 += d1;
        sums->d2 += d2;
        sums->d3 += d3;
        sums->d4 += d4;
    }
}

bool kurtosis_every_entry(const kernel_table *kernels, const panel *a, const panel *b, const panel_block *block,
                          const double *length_squares, double mean, scratch *s, centred_sums *out)
{
    const size_t inner = kernel_padded(a->rank), ld = block->ld_rank_major;
    double *rows = scratch_take_zeroed(s, KURTOSIS_CHUNK * inner, sizeof *rows);
    double *x = scratch_take(s, KURTOSIS_CHUNK * ld, sizeof *x);
    double *turned = a->rank_major ? block->x : scratch_take(s, inner * ld, sizeof *turned);
    if (rows == NULL || x == NULL || turned == NULL)
        return false;
    double largest = 0;
    for (size_t i = 0; i < b->length; i++)
        largest = length_squares[i] > largest ? length_squares[i] : largest;
    const int exponent = exponent_of_norm(largest);
    const double scale = ldexp(1, -exponent);
    mean = ldexp(mean, -exponent);
    *out = (centred_sums){.mean = mean, .n = (double)a->length * (double)b->length, .exponent = exponent,
                          .noise = 64 * DBL_EPSILON * (double)a->rank * fabs(mean)};
    for (size_t top = 0; top < b->length; top += KURTOSIS_CHUNK) {
        size_t height = b->length - top < KURTOSIS_CHUNK ? b->length - top : KURTOSIS_CHUNK;
        for (size_t i = 0; i < height; i++) {
            panel_convert_row(kernels, b, top + i, block, rows + i * inner);
            for (size_t k = 0; k < b->rank; k++)
                rows[i * inner + k] *= scale;
        }
        for (size_t first = 0; first < a->length; first += block->length) {
            size_t count = a->length - first < block->length ? a->length - first : block->length;
            panel_convert(kernels, a, first, count, block, NULL);
            if (!a->rank_major)
                panel_transpose(block, a->rank, count, turned);
            kernels->product(rows, kernel_padded(height), a->rank, inner, turned, kernel_padded(count), ld, x, ld);
            centred_add(out, x, height, count, ld, mean);
        }
    }
    return true;
}

void kurtosis_every_entry_alone(const kernel_table *kernels, const panel *a, const panel_block *block, double mean,
                                centred_sums *out)
{
    *out = (centred_sums){.mean = mean, .n = (double)a->length * (double)a->rank,
                          .noise = 64 * DBL_EPSILON * fabs(mean)};
    for (size_t first = 0; first < a->length; first += block->length) {
        size_t count = smallest(a->length - first, block->length);
        panel_convert(kernels, a, first, count, block, NULL);
        if (a->rank_major)
            centred_add(out, block->x, a->rank, count, block->ld_rank_major, mean);
        else
            centred_add(out, block->x, count, a->rank, block->ld_length_major, mean);
    }
}

/* What is left of the mean is rounding; variance that small is rounding too. */
kurtosis_estimate kurtosis_of_sums(const centred_sums *sums)
{
    double rest = sums->d1 / sums->n, variance = sums->d2 / sums->n - rest * rest;
    kurtosis_estimate out = {NAN, 0};
    if (variance > sums->noise * sums->noise)
        out.kurtosis = sums->d4 / sums->n / variance / variance;
    if (out.kurtosis < 1) /* by rounding; or fourth powers underflowed: rank directions at opposite ends of float64 */
        out.kurtosis = out.kurtosis > 1 - 1e-9 ? 1 : NAN;
    return out;
}

bool kurtosis_of_all_rows(const kernel_table *kernels, const panel *a, const panel *b, const panel_block *block,
                          const double *length_squares, double mean, scratch *s, kurtosis_estimate *out)
{
    centred_sums sums;
    if (!kurtosis_every_entry(kernels, a, b, block, length_squares, mean, s, &sums))
        return false;
    *out = kurtosis_of_sums(&sums);
    return true;
}
