/* test_module.c - every number of one module against dense float64 linear algebra, on ordinary and awkward modules.
 *
 * Tolerances: σ and norms carry the stated 1e-8·σ₁ of the Gram path plus the rounding c·eps·(m+n+r) relative to
 * |s|·‖A‖·‖B‖ that any computation from the factors has, the dense one included.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

static double worst_sigma; /* largest σ error seen, relative to σ₁, of modules whose factors do not cancel */

static bool close_to(double x, double expected, double tolerance) { return fabs(x - expected) <= tolerance; }

static bool values_agree(const double *sigma, const double *expected, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!close_to(sigma[i], expected[i], tolerance) || !(sigma[i] >= 0) || (i > 0 && sigma[i] > sigma[i - 1]))
            return false;
    return true;
}

static bool factor_agrees(const spectral_view *v, const spectral_factor *f, double support)
{
    double *x = dense_of(v), peak = 0, sum = 0, outside = 0, low = INFINITY, high = -INFINITY;
    const size_t n = v->rows * v->cols;
    for (size_t i = 0; i < n; i++) {
        peak = fmax(peak, fabs(x[i]));
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
        sum += fabs(x[i]) / (double)n;
        outside += support > 0 && fabs(x[i]) > support;
    }
    double norm = dense_norm(x, n), kurtosis = low < high ? dense_kurtosis(x, n) : NAN;
    free(x);
    const double tolerance = 64 * DBL_EPSILON * sqrt((double)n);
    return f->max_abs == peak && close_to(f->mean_abs, sum, tolerance * sum) && f->n_nonfinite == 0 &&
           (isinf(norm * norm) || close_to(f->sum_squares, norm * norm, tolerance * norm * norm)) &&
           f->outside_support == outside / (double)n &&
           (isnan(kurtosis) ? isnan(f->kurtosis) : close_to(f->kurtosis, kurtosis, 1e-9 * kurtosis));
}

/* max |G_kl|/√(G_kk·G_ll) and ‖G_A − G_B‖/max from dense copies; only for entries whose squares are in range. */
static bool grams_agree(const spectral_module *module, const spectral_result *result)
{
    const size_t r = module->a.rows, m = module->b.rows, n = module->a.cols;
    double *a = dense_of(&module->a), *b = dense_of(&module->b);
    double gap = 0, norm_a = 0, norm_b = 0, off_a = 0, off_b = 0;
    double *ga = calloc(r * r, sizeof *ga), *gb = calloc(r * r, sizeof *gb);
    assert_true(ga && gb);
    for (size_t k = 0; k < r; k++)
        for (size_t l = 0; l < r; l++) {
            for (size_t j = 0; j < n; j++)
                ga[k * r + l] += a[j * r + k] * a[j * r + l];
            for (size_t i = 0; i < m; i++)
                gb[k * r + l] += b[k * m + i] * b[l * m + i];
        }
    for (size_t k = 0; k < r; k++)
        for (size_t l = 0; l < r; l++) {
            double x = ga[k * r + l], y = gb[k * r + l];
            gap += (x - y) * (x - y);
            norm_a += x * x;
            norm_b += y * y;
            if (k != l && ga[k * r + k] > 0 && ga[l * r + l] > 0)
                off_a = fmax(off_a, fabs(x) / sqrt(ga[k * r + k] * ga[l * r + l]));
            if (k != l && gb[k * r + k] > 0 && gb[l * r + l] > 0)
                off_b = fmax(off_b, fabs(y) / sqrt(gb[k * r + k] * gb[l * r + l]));
        }
    double largest = fmax(norm_a, norm_b), expected = largest > 0 ? sqrt(gap / largest) : 0;
    free(a);
    free(b);
    free(ga);
    free(gb);
    const double tolerance = 64 * DBL_EPSILON * (double)(m + n + r);
    return close_to(result->gram_gap, expected, tolerance) && close_to(result->a.gram_offdiagonal, off_a, tolerance) &&
           close_to(result->b.gram_offdiagonal, off_b, tolerance);
}

/* Whether the result is that of the dense computation. Does not fail the test, so that planted faults can be shown. */
static bool agrees(const spectral_module *module, const spectral_result *result, bool squares_in_range)
{
    const size_t m = module->b.rows, n = module->a.cols, r = module->a.rows, n_values = least(r, least(m, n));
    double *w = dense_update(module), *a = dense_of(&module->a), *b = dense_of(&module->b);
    double *sigma = malloc((m + n) * sizeof *sigma), *of_a = malloc((n + r) * sizeof *of_a);
    double *of_b = malloc((m + r) * sizeof *of_b);
    assert_true(sigma && of_a && of_b);
    dense_values(w, m, n, sigma);
    dense_values(a, r, n, of_a);
    dense_values(b, m, r, of_b);
    const double norm = dense_norm(w, m * n), norm_a = dense_norm(a, r * n), norm_b = dense_norm(b, m * r);
    const double rounding = 8 * DBL_EPSILON * (double)(m + n + r), size = fabs(module->scale) * norm_a * norm_b;
    const double kurtosis = dense_kurtosis(w, m * n);
    bool same = result->status == SPECTRAL_OK &&
                values_agree(result->sigma, sigma, n_values, 1e-8 * sigma[0] + rounding * size) &&
                values_agree(result->sigma_a, of_a, least(r, n), 1e-8 * of_a[0]) &&
                values_agree(result->sigma_b, of_b, least(m, r), 1e-8 * of_b[0]) &&
                close_to(result->frobenius, norm, 1e-9 * norm + rounding * size) &&
                (result->residual <= 1e-9 || rounding * size > 1e-9 * norm) &&
                factor_agrees(&module->a, &result->a, module->support_a) &&
                factor_agrees(&module->b, &result->b, 0) && (!squares_in_range || grams_agree(module, result));
    if (same && size < 1e3 * norm) {
        /* A constant ΔW has only rounding for variance in the dense computation. */
        same = isnan(result->kurtosis) || close_to(result->kurtosis, kurtosis, 1e-9 * kurtosis);
        for (size_t i = 0; i < n_values; i++)
            worst_sigma = fmax(worst_sigma, fabs(result->sigma[i] - sigma[i]) / sigma[0]);
    }
    free(w);
    free(a);
    free(b);
    free(sigma);
    free(of_a);
    free(of_b);
    return same;
}

static void check(const spectral_module *module, bool squares_in_range, const char *what)
{
    for (int precise = 0; precise < 2; precise++) {
        spectral_options options = {.all_rows = true, .precise = precise};
        spectral_result result = run_one(module, &options);
        if (!agrees(module, &result, squares_in_range))
            fail_msg("%s, %zu × %zu, rank %zu, precise %d: status %d path %d, σ₁ %g, ‖ΔW‖ %g, residual %g, K %g", what,
                     module->b.rows, module->a.cols, module->a.rows, precise, (int)result.status, (int)result.path,
                     result.sigma[0], result.frobenius, result.residual, result.kurtosis);
        result_free(&result);
    }
}

static void random_modules_of_every_shape_dtype_and_layout_agree(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{40, 30, 4},  {30, 700, 8}, {650, 20, 3}, {33, 47, 13}, {1, 50, 1}, {50, 1, 1},
                                       {1, 1, 1},    {1, 9, 4},    {9, 1, 4},    {7, 5, 12},   {20, 20, 20}, {64, 3, 8},
                                       {129, 513, 65}};
    static const spectral_dtype dtypes[] = {SPECTRAL_F64, SPECTRAL_F32, SPECTRAL_F16, SPECTRAL_BF16};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t d = 0; d < 4; d++)
            for (unsigned layout = 0; layout < N_LAYOUTS; layout++) {
                spectral_module module =
                    module_random(shapes[i][0], shapes[i][1], shapes[i][2], dtypes[d], (oracle_layout)layout, 100 * i + d);
                module.support_a = 0.4;
                module.scale = -2.5;
                check(&module, true, "random");
                module_free(&module);
            }
    print_message("largest σ error: %.2g·σ₁\n", worst_sigma);
    assert_true(worst_sigma <= 1e-9);
}

static void zero_rows_and_columns_change_nothing_else(void **state)
{
    (void)state;
    spectral_module module = module_random(30, 40, 6, SPECTRAL_F32, ROW_MAJOR, 1);
    for (size_t i = 0; i < 40; i++)
        matrix_set(&module.a, 2, i, 0);
    check(&module, true, "a zero direction in A");
    for (size_t i = 0; i < 30; i++)
        matrix_set(&module.b, i, 5, 0);
    check(&module, true, "another one in B");
    for (size_t k = 0; k < 6; k++)
        matrix_set(&module.b, 7, k, 0);
    check(&module, true, "a zero row of ΔW");
    module_free(&module);
}

static void rank_deficient_factors_take_the_qr_path(void **state)
{
    (void)state;
    spectral_module module = module_random(30, 40, 6, SPECTRAL_F64, ROW_MAJOR, 2);
    for (size_t i = 0; i < 40; i++)
        matrix_set(&module.a, 3, i, matrix_get(&module.a, 1, i) - 2 * matrix_get(&module.a, 0, i));
    check(&module, true, "deficient");
    spectral_result result = run_one(&module, NULL);
    assert_int_equal(SPECTRAL_PATH_QR, result.path);
    result_free(&result);
    module_free(&module);
}

static void an_update_that_is_exactly_zero_says_so(void **state)
{
    (void)state;
    spectral_module module = module_random(30, 40, 4, SPECTRAL_F32, ROW_MAJOR, 3);
    for (int i = 0; i < 3; i++) {
        spectral_view *zeroed = i == 0 ? &module.b : &module.a;
        spectral_view kept = *zeroed;
        if (i < 2)
            *zeroed = matrix_create(kept.rows, kept.cols, SPECTRAL_F32, ROW_MAJOR);
        module.scale = i == 2 ? 0 : 1;
        check(&module, true, "zero");
        for (int precise = 0; precise < 2; precise++) {
            spectral_options options = {.precise = precise};
            spectral_result result = run_one(&module, &options);
            assert_int_equal(SPECTRAL_PATH_ZERO, result.path);
            assert_true(result.sigma[0] == 0 && result.frobenius == 0 && result.residual == 0);
            assert_true(isnan(result.kurtosis));
            result_free(&result);
        }
        if (i < 2) {
            matrix_free(zeroed);
            *zeroed = kept;
        }
    }
    module_free(&module);
}

static void factors_with_disjoint_directions_are_exactly_zero(void **state)
{
    (void)state;
    spectral_module module = module_random(9, 8, 2, SPECTRAL_F64, ROW_MAJOR, 4);
    for (size_t i = 0; i < 9; i++)
        matrix_set(&module.b, i, 0, 0);
    for (size_t j = 0; j < 8; j++)
        matrix_set(&module.a, 1, j, 0);
    spectral_result result = run_one(&module, NULL);
    assert_int_equal(SPECTRAL_PATH_ZERO, result.path);
    result_free(&result);
    check(&module, true, "disjoint");
    module_free(&module);
}

static void cancelling_factors_keep_what_is_left(void **state)
{
    (void)state;
    for (int e = 4; e <= 40; e += 6) { /* B = [b, −b + δ], A = [a; a] */
        spectral_module module = module_random(40, 50, 2, SPECTRAL_F64, ROW_MAJOR, (uint64_t)e);
        for (size_t i = 0; i < 40; i++)
            matrix_set(&module.b, i, 1, ldexp(matrix_get(&module.b, i, 1), -e) - matrix_get(&module.b, i, 0));
        for (size_t j = 0; j < 50; j++)
            matrix_set(&module.a, 1, j, matrix_get(&module.a, 0, j) + ldexp(matrix_get(&module.a, 1, j), -e));
        check(&module, true, "cancelling");
        module_free(&module);
    }
}

static void assert_zero(const spectral_module *module)
{
    for (int mode = 0; mode < 4; mode++) {
        spectral_options options = {.precise = mode % 2, .all_rows = mode / 2};
        spectral_result x = run_one(module, &options);
        assert_int_equal(SPECTRAL_OK, x.status);
        assert_int_equal(SPECTRAL_PATH_ZERO, x.path);
        for (size_t k = 0; k < least(module->a.rows, least(module->b.rows, module->a.cols)); k++)
            assert_true(x.sigma[k] == 0);
        assert_true(x.frobenius == 0 && x.residual == 0 && isnan(x.kurtosis) && x.kurtosis_se == 0);
        result_free(&x);
    }
    spectral_engine *engine;
    double u[256], sigma1;
    assert_true(module->b.rows <= 256);
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    assert_int_equal(SPECTRAL_E_SHAPE, spectral_left_vector(engine, 0, module, 0, NULL, u, &sigma1));
    spectral_engine_destroy(engine);
}

/* [B0 −B0]·[A0; A0], as PEFT's conversion of PiSSA and OLoRA writes it before training. */
static void factors_that_cancel_exactly_are_zero(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{40, 50, 1}, {64, 300, 4}, {256, 200, 16}, {200, 3, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int graded = 0; graded < 2; graded++) {
            const size_t m = shapes[i][0], n = shapes[i][1], r = shapes[i][2];
            spectral_module module =
                module_random(m, n, 2 * r, i % 2 ? SPECTRAL_BF16 : SPECTRAL_F64, ROW_MAJOR, 14 + i);
            for (size_t k = 0; k < r; k++) {
                const double size = graded ? ldexp(1, -(int)k) : 1;
                for (size_t row = 0; row < m; row++) {
                    matrix_set(&module.b, row, k, size * matrix_get(&module.b, row, k));
                    matrix_set(&module.b, row, r + k, -matrix_get(&module.b, row, k));
                }
                for (size_t j = 0; j < n; j++)
                    matrix_set(&module.a, r + k, j, matrix_get(&module.a, k, j));
            }
            assert_zero(&module);
            matrix_set(&module.b, 0, 0, matrix_get(&module.b, 0, 0) * (1 + 0x1p-7)); /* one step of bfloat16 */
            spectral_result x = run_one(&module, NULL);
            assert_true(x.path == SPECTRAL_PATH_QR && x.sigma[0] > 0);
            result_free(&x);
            module_free(&module);
        }
}

static void an_update_below_float64_is_zero(void **state)
{
    (void)state;
    spectral_module module = module_random(60, 50, 4, SPECTRAL_F64, ROW_MAJOR, 15);
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < 60; i++)
            matrix_set(&module.b, i, k, 1e-200 * matrix_get(&module.b, i, k));
        for (size_t j = 0; j < 50; j++)
            matrix_set(&module.a, k, j, 1e-200 * matrix_get(&module.a, k, j));
    }
    assert_zero(&module);
    spectral_result x = run_one(&module, NULL);
    assert_true(x.sigma_a[0] > 0 && x.sigma_b[0] > 0);
    result_free(&x);
    module_free(&module);
}

static void values_over_twelve_decades_agree(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        spectral_module module = module_random(60, 50, 13, SPECTRAL_F64, ROW_MAJOR, 5);
        for (size_t k = 0; k < 13; k++) {
            for (size_t i = 0; i < 60; i++)
                matrix_set(&module.b, i, k, matrix_get(&module.b, i, k) * pow(10, -(double)k));
            for (size_t j = 0; j < 50 && both; j++)
                matrix_set(&module.a, k, j, matrix_get(&module.a, k, j) * pow(10, (double)k / 2));
        }
        check(&module, true, "twelve decades");
        module_free(&module);
    }
}

static void float64_at_the_ends_of_its_range_agrees(void **state)
{
    (void)state;
    static const double ends[][2] = {{1e200, 1e-200}, {1e-200, 1e200}, {1e-200, 1e50}, {1e150, 1e150}, {1e-150, 1e-150}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        spectral_module module = module_random(60, 50, 5, SPECTRAL_F64, ROW_MAJOR, 6);
        for (size_t k = 0; k < 5; k++) {
            for (size_t j = 0; j < 60; j++)
                matrix_set(&module.b, j, k, matrix_get(&module.b, j, k) * ends[i][0]);
            for (size_t j = 0; j < 50; j++)
                matrix_set(&module.a, k, j, matrix_get(&module.a, k, j) * ends[i][1]);
        }
        check(&module, false, "range");
        spectral_result sampled = run_one(&module, NULL);
        assert_true(sampled.kurtosis > 1 && sampled.kurtosis < 100 && sampled.kurtosis_se < sampled.kurtosis);
        result_free(&sampled);
        module_free(&module);
    }
}

static void directions_balanced_at_opposite_ends_agree(void **state)
{
    (void)state;
    spectral_module module = module_random(30, 20, 4, SPECTRAL_F64, ROW_MAJOR, 7), plain;
    plain = module_random(30, 20, 4, SPECTRAL_F64, ROW_MAJOR, 7);
    for (size_t k = 0; k < 4; k++) { /* powers of two: the same ΔW to the last bit */
        for (size_t i = 0; i < 30; i++)
            matrix_set(&module.b, i, k, ldexp(matrix_get(&module.b, i, k), k % 2 ? 600 : -600));
        for (size_t j = 0; j < 20; j++)
            matrix_set(&module.a, k, j, ldexp(matrix_get(&module.a, k, j), k % 2 ? -600 : 600));
    }
    spectral_result x = run_one(&module, NULL), y = run_one(&plain, NULL);
    assert_int_equal(SPECTRAL_OK, x.status);
    for (size_t k = 0; k < 4; k++)
        assert_true(close_to(x.sigma[k], y.sigma[k], 1e-9 * y.sigma[0]));
    assert_true(close_to(x.frobenius, y.frobenius, 1e-9 * y.frobenius));
    result_free(&x);
    result_free(&y);
    module_free(&module);
    module_free(&plain);
}

static void subnormal_float16_entries_count(void **state)
{
    (void)state;
    spectral_module module = module_random(30, 40, 3, SPECTRAL_F16, ROW_MAJOR, 8);
    for (size_t k = 0; k < 3; k++)
        for (size_t j = 0; j < 40; j++)
            matrix_set(&module.a, k, j, matrix_get(&module.a, k, j) * 0x1p-20);
    assert_true(matrix_get(&module.a, 0, 0) != 0);
    check(&module, true, "subnormal");
    module_free(&module);
}

static void an_update_beyond_float64_is_not_finite(void **state)
{
    (void)state;
    spectral_module module = module_random(5, 6, 2, SPECTRAL_F64, ROW_MAJOR, 9);
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 5; i++)
            matrix_set(&module.b, i, k, 1e200 * matrix_get(&module.b, i, k));
        for (size_t j = 0; j < 6; j++)
            matrix_set(&module.a, k, j, 1e200 * matrix_get(&module.a, k, j));
    }
    spectral_result result = run_one(&module, NULL);
    assert_int_equal(SPECTRAL_E_NONFINITE, result.status);
    assert_true(result.a.n_nonfinite == 0 && result.b.n_nonfinite == 0);
    result_free(&result);
    module_free(&module);
}

static void constant_factors_have_no_kurtosis(void **state)
{
    (void)state;
    spectral_module module = module_random(100, 90, 1, SPECTRAL_F32, ROW_MAJOR, 10);
    for (size_t i = 0; i < 100; i++)
        matrix_set(&module.b, i, 0, 0.1);
    for (size_t j = 0; j < 90; j++)
        matrix_set(&module.a, 0, j, 0.3);
    for (int all = 0; all < 2; all++) {
        spectral_options options = {.all_rows = all};
        spectral_result result = run_one(&module, &options);
        assert_int_equal(SPECTRAL_OK, result.status);
        assert_true(isnan(result.kurtosis) && isnan(result.a.kurtosis) && isnan(result.b.kurtosis));
        result_free(&result);
    }
    module_free(&module);
}

static void a_change_of_gauge_leaves_the_update_alone(void **state)
{
    (void)state;
    enum { M = 50, N = 60, R = 5 };
    spectral_module module = module_random(M, N, R, SPECTRAL_F64, ROW_MAJOR, 11), turned;
    turned = module_random(M, N, R, SPECTRAL_F64, ROW_MAJOR, 11);
    uint64_t seed = 12;
    double g[R][R]; /* lower triangular, so that G⁻¹·A is a forward substitution */
    for (size_t k = 0; k < R; k++)
        for (size_t l = 0; l < R; l++)
            g[k][l] = l < k ? 0.5 * rng_normal(&seed) : l == k ? 1 + rng_uniform(&seed) : 0;
    for (size_t i = 0; i < M; i++)
        for (size_t l = 0; l < R; l++) {
            double sum = 0;
            for (size_t k = 0; k < R; k++)
                sum += matrix_get(&module.b, i, k) * g[k][l];
            matrix_set(&turned.b, i, l, sum);
        }
    for (size_t j = 0; j < N; j++)
        for (size_t k = 0; k < R; k++) {
            double sum = matrix_get(&module.a, k, j);
            for (size_t l = 0; l < k; l++)
                sum -= g[k][l] * matrix_get(&turned.a, l, j);
            matrix_set(&turned.a, k, j, sum / g[k][k]);
        }
    spectral_options options = {.all_rows = true};
    spectral_result x = run_one(&module, &options), y = run_one(&turned, &options);
    const double tolerance = 1024 * DBL_EPSILON * (M + N);
    for (size_t k = 0; k < R; k++)
        assert_true(close_to(x.sigma[k], y.sigma[k], tolerance * x.sigma[0]));
    assert_true(close_to(x.frobenius, y.frobenius, tolerance * x.frobenius));
    assert_true(close_to(x.kurtosis, y.kurtosis, tolerance * x.kurtosis));
    assert_false(close_to(x.sigma_a[0], y.sigma_a[0], 1e-3)); /* the split itself did change */
    result_free(&x);
    result_free(&y);
    module_free(&module);
    module_free(&turned);
}

static void planted_faults_are_caught(void **state)
{
    (void)state;
    spectral_module module = module_random(30, 30, 4, SPECTRAL_F32, ROW_MAJOR, 13);
    spectral_options options = {.all_rows = true};
    spectral_result result = run_one(&module, &options);
    assert_true(agrees(&module, &result, true));
    double *const numbers[] = {&result.sigma[3],   &result.sigma_a[0], &result.sigma_b[2],
                               &result.frobenius,  &result.kurtosis,   &result.a.mean_abs,
                               &result.b.kurtosis, &result.gram_gap,   &result.b.gram_offdiagonal};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double kept = *numbers[i];
        *numbers[i] = kept * (1 + 1e-6);
        assert_false(agrees(&module, &result, true));
        *numbers[i] = kept;
    }
    result_free(&result);
    spectral_module swapped = module; /* a transposed B read as if it were not */
    swapped.b.row_stride = 1;
    swapped.b.col_stride = 30;
    result = run_one(&swapped, &options);
    assert_false(agrees(&module, &result, true));
    result_free(&result);
    module_free(&module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_modules_of_every_shape_dtype_and_layout_agree),
        cmocka_unit_test(zero_rows_and_columns_change_nothing_else),
        cmocka_unit_test(rank_deficient_factors_take_the_qr_path),
        cmocka_unit_test(an_update_that_is_exactly_zero_says_so),
        cmocka_unit_test(factors_with_disjoint_directions_are_exactly_zero),
        cmocka_unit_test(cancelling_factors_keep_what_is_left),
        cmocka_unit_test(factors_that_cancel_exactly_are_zero),
        cmocka_unit_test(an_update_below_float64_is_zero),
        cmocka_unit_test(values_over_twelve_decades_agree),
        cmocka_unit_test(float64_at_the_ends_of_its_range_agrees),
        cmocka_unit_test(directions_balanced_at_opposite_ends_agree),
        cmocka_unit_test(subnormal_float16_entries_count),
        cmocka_unit_test(an_update_beyond_float64_is_not_finite),
        cmocka_unit_test(constant_factors_have_no_kurtosis),
        cmocka_unit_test(a_change_of_gauge_leaves_the_update_alone),
        cmocka_unit_test(planted_faults_are_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
