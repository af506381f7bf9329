/* kurtosis.c - see kurtosis.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/kurtosis.h"

#include <float.h>
#include <math.h>
#include <string.h>

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
        .probability = scratch_take(s, rows, sizeof(double)),
        .b = scratch_take_zeroed(s, rows * inner, sizeof(double)),
        .sums = scratch_take_zeroed(s, rows * 4, sizeof(double)),
        .x = scratch_take(s, KURTOSIS_CHUNK * block->ld_rank_major, sizeof(double)),
    };
    if (!a->rank_major)
        sample->turned = scratch_take(s, inner * block->ld_rank_major, sizeof(double));
    return sample->draws && sample->times && sample->probability && sample->b && sample->sums && sample->x &&
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

/* First index whose running probability exceeds u. */
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

/* ‖b_i‖² to running probabilities: 95 % ∝ ‖b_i‖⁴, 5 % uniform. The largest square divides first, so that nothing over-
 * or underflows. Returns that largest square. */
static double running_probabilities(double *squares, size_t m)
{
    double largest = 0, sum = 0, running = 0;
    for (size_t i = 0; i < m; i++)
        largest = squares[i] > largest ? squares[i] : largest;
    if (!(largest > 0))
        return 0;
    for (size_t i = 0; i < m; i++)
        sum += squares[i] / largest * (squares[i] / largest);
    for (size_t i = 0; i < m; i++) {
        double t = squares[i] / largest;
        running += 0.95 * (t * t / sum) + 0.05 / (double)m;
        squares[i] = running;
    }
    return largest;
}

static int exponent_of_norm(double square)
{
    int exponent;
    frexp(square, &exponent);
    return exponent / 2;
}

void kurtosis_sample_draw(kurtosis_sample *sample, const kernel_table *kernels, const panel *b,
                          const panel_block *block, double *length_squares, uint64_t seed)
{
    const size_t m = b->length, rows = kernel_padded(b->rank);
    double largest = running_probabilities(length_squares, m);
    sample->n_rows = 0;
    if (!(largest > 0))
        return;
    sample->exponent = exponent_of_norm(largest);
    generator g = generator_seeded(seed);
    for (size_t d = 0; d < sample->n_draws; d++)
        sample->draws[d] = draw_index(length_squares, m, generator_uniform(&g));
    sort_ascending(sample->draws, sample->n_draws);
    const double scale = ldexp(1, -sample->exponent);
    for (size_t d = 0; d < sample->n_draws; d++) {
        size_t row = sample->draws[d], last = sample->n_rows - 1;
        if (sample->n_rows > 0 && sample->draws[last] == row) {
            sample->times[last]++;
            continue;
        }
        size_t slot = sample->n_rows++;
        sample->draws[slot] = row;
        sample->times[slot] = 1;
        sample->probability[slot] = row == 0 ? length_squares[0] : length_squares[row] - length_squares[row - 1];
        panel_convert_row(kernels, b, row, block, sample->b + slot * rows);
        for (size_t k = 0; k < b->rank; k++)
            sample->b[slot * rows + k] *= scale;
    }
}

void kurtosis_sample_block(kurtosis_sample *sample, const kernel_table *kernels, const panel *a,
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

/* Σ_j (x − μ)⁴ from the sums of powers of one row of n entries. */
static double centred_fourth(const double *sums, double n, double mean)
{
    return sums[3] - 4 * mean * sums[2] + mean * mean * (6 * sums[1] - 4 * mean * sums[0] + n * mean * mean);
}

kurtosis_estimate kurtosis_of_sample(const kurtosis_sample *sample, size_t m, size_t n, double mean,
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
    const double k = (double)sample->n_draws, width = (double)n, entries = (double)m * width;
    double sum = 0, scatter = 0;
    for (size_t i = 0; i < sample->n_rows; i++)
        sum += (double)sample->times[i] * (centred_fourth(sample->sums + 4 * i, width, mean) / sample->probability[i]);
    const double estimate = sum / k; /* of T */
    for (size_t i = 0; i < sample->n_rows; i++) {
        double d = centred_fourth(sample->sums + 4 * i, width, mean) / sample->probability[i] - estimate;
        scatter += (double)sample->times[i] * d * d;
    }
    const double error = k > 1 ? sqrt(scatter / (k * (k - 1))) : NAN;
    return (kurtosis_estimate){estimate / entries / variance / variance, error / entries / variance / variance};
}

/* ---- every row ---- */

typedef struct {
    double d1, d2, d4; /* sums of powers of x − mean */
} centred;

static void centred_add(centred *sums, const double *x, size_t rows, size_t cols, size_t ld, double mean)
{
    for (size_t i = 0; i < rows; i++) {
        double d1 = 0, d2 = 0, d4 = 0;
        for (size_t j = 0; j < cols; j++) {
            double d = x[i * ld + j] - mean, square = d * d;
            d1 += d;
            d2 += square;
            d4 += square * square;
        }
        sums->d1 += d1;
        sums->d2 += d2;
        sums->d4 += d4;
    }
}

bool kurtosis_of_all_rows(const kernel_table *kernels, const panel *a, const panel *b, const panel_block *block,
                          const double *length_squares, double mean, scratch *s, kurtosis_estimate *out)
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
    centred sums = {0};
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
            centred_add(&sums, x, height, count, ld, mean);
        }
    }
    /* What is left of the mean is rounding; variance that small is rounding too. */
    double n = (double)a->length * (double)b->length, rest = sums.d1 / n, variance = sums.d2 / n - rest * rest;
    double noise = 64 * DBL_EPSILON * (double)a->rank * fabs(mean);
    *out = (kurtosis_estimate){NAN, 0};
    if (variance > noise * noise)
        out->kurtosis = sums.d4 / n / variance / variance;
    return true;
}
