/* test_kernels.c - the inner loops of every instruction set this processor runs, against scalar formulas.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

#include "spectral/cpu/kernels.h"

static bool same_number(double x, double y) { return (isnan(x) && isnan(y)) || (x == y && signbit(x) == signbit(y)); }

static void every_pattern(spectral_dtype dtype)
{
    static uint16_t bits[65536];
    static double out[65536];
    for (size_t i = 0; i < 65536; i++)
        bits[i] = (uint16_t)i;
    for (size_t t = 0; kernels_supported(t) != NULL; t++) {
        kernels_supported(t)->convert[dtype](bits, 1, 65536, 65536, 1, out, 65536, NULL);
        for (size_t i = 0; i < 65536; i++)
            if (!same_number(out[i], oracle_get(bits, dtype, i)))
                fail_msg("%s, pattern %04zx: %a", kernels_supported(t)->name, i, out[i]);
    }
}

static void every_f16_pattern_converts_exactly(void **state)
{
    (void)state;
    every_pattern(SPECTRAL_F16);
}

static void every_bf16_pattern_converts_exactly(void **state)
{
    (void)state;
    every_pattern(SPECTRAL_BF16);
}

static void runs_of_every_length_convert_and_leave_the_rest_alone(void **state)
{
    (void)state;
    static const spectral_dtype dtypes[] = {SPECTRAL_F64, SPECTRAL_F32, SPECTRAL_F16, SPECTRAL_BF16};
    for (size_t t = 0; kernels_supported(t) != NULL; t++)
        for (size_t d = 0; d < 4; d++)
            for (size_t length = 1; length <= 19; length++) {
                uint64_t seed = length;
                spectral_view v = matrix_create(3, length, dtypes[d], PADDED_ROWS);
                matrix_fill_normal(&v, 1, &seed);
                double out[3][32];
                for (size_t i = 0; i < 96; i++)
                    out[i / 32][i % 32] = -7;
                kernel_moments m = {.origin = matrix_get(&v, 0, 0), .support = 0.5};
                m.min = m.max = m.origin;
                kernels_supported(t)->convert[dtypes[d]](v.data, 3, length, v.row_stride, 1, out[0], 32, &m);
                double sum_abs = 0, d1 = 0, d4 = 0, outside = 0, low = INFINITY, high = -INFINITY;
                for (size_t i = 0; i < 3; i++)
                    for (size_t j = 0; j < 32; j++) {
                        double x = j < length ? matrix_get(&v, i, j) : -7;
                        assert_true(out[i][j] == x);
                        if (j >= length)
                            continue;
                        sum_abs += fabs(x);
                        d1 += x - m.origin;
                        d4 += pow(x - m.origin, 4);
                        outside += fabs(x) > 0.5;
                        low = fmin(low, x);
                        high = fmax(high, x);
                    }
                double tolerance = 16 * DBL_EPSILON * (1 + d4 + 3 * (double)length);
                assert_true(fabs(sum_abs - m.sum_abs) <= tolerance && fabs(d1 - m.d1) <= tolerance * 8);
                assert_true(fabs(d4 - m.d4) <= tolerance);
                assert_true(outside == m.n_outside && low == m.min && high == m.max);
                matrix_free(&v);
            }
}

static void gram_and_product_agree_with_plain_sums(void **state)
{
    (void)state;
    enum { ROWS = 24, COLS = 40, LD = 48 };
    static double p[ROWS * LD], l[16 * 24], g[COLS * COLS], c[16 * LD];
    uint64_t seed = 1;
    for (size_t i = 0; i < ROWS * LD; i++)
        p[i] = i % LD < COLS ? rng_normal(&seed) : 0;
    for (size_t i = 0; i < 16 * 24; i++)
        l[i] = rng_normal(&seed);
    for (size_t t = 0; kernels_supported(t) != NULL; t++) {
        const kernel_table *k = kernels_supported(t);
        memset(g, 0, sizeof g);
        k->gram_of_rows(p, ROWS, COLS, LD, g, ROWS);
        k->gram_of_rows(p, ROWS, COLS, LD, g, ROWS);
        for (size_t i = 0; i < ROWS; i++)
            for (size_t j = i; j < ROWS; j++) {
                double sum = 0;
                for (size_t q = 0; q < COLS; q++)
                    sum += p[i * LD + q] * p[j * LD + q];
                assert_true(fabs(g[i * ROWS + j] - 2 * sum) <= 64 * DBL_EPSILON * COLS);
            }
        memset(g, 0, sizeof g);
        k->gram_of_columns(p, ROWS - 1, COLS, LD, g, COLS);
        for (size_t i = 0; i < COLS; i++)
            for (size_t j = i; j < COLS; j++) {
                double sum = 0;
                for (size_t q = 0; q < ROWS - 1; q++)
                    sum += p[q * LD + i] * p[q * LD + j];
                assert_true(fabs(g[i * COLS + j] - sum) <= 64 * DBL_EPSILON * ROWS);
            }
        k->product(l, 16, 21, 24, p, COLS, LD, c, LD);
        for (size_t i = 0; i < 16; i++)
            for (size_t j = 0; j < COLS; j++) {
                double sum = 0;
                for (size_t q = 0; q < 21; q++)
                    sum += l[i * 24 + q] * p[q * LD + j];
                assert_true(fabs(c[i * LD + j] - sum) <= 64 * DBL_EPSILON * 21);
            }
    }
}

static void margins_and_powers_agree_with_plain_sums(void **state)
{
    (void)state;
    enum { ROWS = 11, COLS = 24, LD = 32 };
    static double p[ROWS * LD];
    uint64_t seed = 2;
    for (size_t i = 0; i < ROWS * LD; i++)
        p[i] = rng_normal(&seed);
    for (size_t t = 0; kernels_supported(t) != NULL; t++)
        for (int square_rows = 0; square_rows < 2; square_rows++) {
            double row[ROWS] = {0}, col[COLS] = {0}, sums[ROWS * 4] = {0};
            kernels_supported(t)->margins(p, ROWS, COLS, LD, square_rows, row, col);
            kernels_supported(t)->powers(p, ROWS, COLS, LD, sums);
            for (size_t i = 0; i < ROWS; i++) {
                double sum = 0, powers[4] = {0};
                for (size_t j = 0; j < COLS; j++) {
                    double x = p[i * LD + j];
                    sum += square_rows ? x * x : x;
                    for (int q = 0; q < 4; q++)
                        powers[q] += pow(x, q + 1);
                }
                assert_true(fabs(row[i] - sum) <= 64 * DBL_EPSILON * COLS);
                for (size_t q = 0; q < 4; q++)
                    assert_true(fabs(sums[4 * i + q] - powers[q]) <= 1024 * DBL_EPSILON * COLS);
            }
            for (size_t j = 0; j < COLS; j++) {
                double sum = 0;
                for (size_t i = 0; i < ROWS; i++)
                    sum += square_rows ? p[i * LD + j] : p[i * LD + j] * p[i * LD + j];
                assert_true(fabs(col[j] - sum) <= 64 * DBL_EPSILON * ROWS);
            }
        }
}

static void weighted_powers_agree_with_plain_sums(void **state)
{
    (void)state;
    enum { ROWS = 11, COLS = 24, LD = 32, LDW = 40, LDO = 48 };
    static const int exponent[4] = {2, 3, 4, 4};
    static double p[ROWS * LD], w[4 * LDW];
    uint64_t seed = 3;
    for (size_t i = 0; i < ROWS * LD; i++)
        p[i] = rng_normal(&seed);
    for (size_t i = 0; i < 4 * LDW; i++)
        w[i] = rng_normal(&seed);
    for (size_t t = 0; kernels_supported(t) != NULL; t++)
        for (int across = 0; across < 2; across++) {
            double out[4 * LDO] = {0};
            kernels_supported(t)->weighted_powers(p, ROWS, COLS, LD, across, w, LDW, out, LDO);
            for (size_t q = 0; q < 4; q++)
                for (size_t at = 0; at < LDO; at++) {
                    double sum = 0;
                    for (size_t i = 0; i < ROWS; i++)
                        for (size_t j = 0; j < COLS; j++)
                            if (at == (across ? i : j))
                                sum += w[q * LDW + (across ? j : i)] * pow(p[i * LD + j], exponent[q]);
                    assert_true(fabs(out[q * LDO + at] - sum) <= 1024 * DBL_EPSILON * COLS);
                }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_pattern_converts_exactly),
        cmocka_unit_test(every_bf16_pattern_converts_exactly),
        cmocka_unit_test(runs_of_every_length_convert_and_leave_the_rest_alone),
        cmocka_unit_test(gram_and_product_agree_with_plain_sums),
        cmocka_unit_test(margins_and_powers_agree_with_plain_sums),
        cmocka_unit_test(weighted_powers_agree_with_plain_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
