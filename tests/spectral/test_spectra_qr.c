/* test_spectra_qr.c - small singular values of graded factors, each to 1e-12 of itself on the precise path.
 *
 * Two oracles: Sylvester–Hadamard columns over a power of two, orthonormal without rounding, so that the σ are the
 * chosen ones; and a one-sided Jacobi SVD of the dense ΔW in quadruple precision.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

static const double RELATIVE = 1e-12;
static double worst; /* largest relative error seen */

static bool values_agree(const double *sigma, const double *expected, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double error = fabs(sigma[k] - expected[k]);
        if (!(error <= RELATIVE * expected[k]))
            return false;
        worst = expected[k] > 0 ? fmax(worst, error / expected[k]) : worst;
    }
    return true;
}

static int descending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

/* Entry (i, j) of the Hadamard matrix of order 4^q, over its norm 2^q. */
static double hadamard(size_t i, size_t j, int q)
{
    return ldexp(__builtin_popcountll(i & j) % 2 ? -1 : 1, -q);
}

/* B = H·diag(d), A = diag(e)·H, of order 64 and 256, at rank r. */
static void check_hadamard(const double *d, const double *e, size_t r)
{
    spectral_module module = {.a = matrix_create(r, 256, SPECTRAL_F64, ROW_MAJOR),
                              .b = matrix_create(64, r, SPECTRAL_F64, ROW_MAJOR), .scale = -4};
    double sigma[64], of_a[64], of_b[64];
    for (size_t k = 0; k < r; k++) {
        for (size_t i = 0; i < 64; i++)
            matrix_set(&module.b, i, k, d[k] * hadamard(i, (7 * k + 3) % 64, 3));
        for (size_t j = 0; j < 256; j++)
            matrix_set(&module.a, k, j, e[k] * hadamard(j, (5 * k + 1) % 256, 4));
        sigma[k] = 4 * d[k] * e[k];
        of_a[k] = e[k];
        of_b[k] = d[k];
    }
    qsort(sigma, r, sizeof *sigma, descending);
    qsort(of_a, r, sizeof *of_a, descending);
    qsort(of_b, r, sizeof *of_b, descending);
    spectral_options options = {.precise = true};
    spectral_result result = run_one(&module, &options);
    assert_int_equal(SPECTRAL_OK, result.status);
    assert_int_equal(SPECTRAL_PATH_QR, result.path);
    assert_true(values_agree(result.sigma, sigma, r));
    assert_true(values_agree(result.sigma_a, of_a, r));
    assert_true(values_agree(result.sigma_b, of_b, r));
    result_free(&result);
    module_free(&module);
}

static void chosen_values_over_twelve_decades_come_back(void **state)
{
    (void)state;
    double d[13], e[13];
    for (int order = 0; order < 4; order++) {
        for (size_t k = 0; k < 13; k++) {
            size_t place = order % 2 ? 12 - k : k * 5 % 13;
            d[k] = 3 * pow(10, -(double)place);
            e[k] = order < 2 ? 1 : pow(10, (double)((k * 4) % 13) / 3);
        }
        check_hadamard(d, e, 13);
    }
}

static void chosen_values_at_full_rank_come_back(void **state)
{
    (void)state;
    double d[64], e[64];
    for (size_t k = 0; k < 64; k++) {
        d[k] = pow(10, -(double)(k * 37 % 64) * 12 / 63);
        e[k] = pow(2, (double)(k * 11 % 64) / 16);
    }
    check_hadamard(d, e, 64);
}

static void equal_and_opposite_grading_comes_back_flat(void **state)
{
    (void)state;
    double d[13], e[13];
    for (size_t k = 0; k < 13; k++) {
        d[k] = pow(10, -(double)k);
        e[k] = pow(10, (double)k);
    }
    check_hadamard(d, e, 13);
}

/* ---- quadruple precision ---- */

typedef __float128 quad;

static quad quad_root(quad x)
{
    if (!(x > 0))
        return 0;
    quad y = (quad)sqrt((double)x);
    for (int i = 0; i < 3; i++)
        y = (y + x / y) / 2;
    return y;
}

static quad quad_dot(const quad *x, const quad *y, size_t n)
{
    quad sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* One-sided Jacobi on the columns of x (m × n, column-major, m ≥ n): their norms become the σ. */
static void quad_values(quad *x, size_t m, size_t n, double *sigma)
{
    for (int sweep = 0, rotated = 1; sweep < 60 && rotated; sweep++) {
        rotated = 0;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++) {
                quad *xp = x + p * m, *xq = x + q * m;
                quad a = quad_dot(xp, xp, m), b = quad_dot(xq, xq, m), c = quad_dot(xp, xq, m);
                if (c * c <= (quad)1e-60 * a * b)
                    continue;
                rotated = 1;
                quad zeta = (b - a) / (2 * c);
                quad t = (zeta < 0 ? -1 : 1) / ((zeta < 0 ? -zeta : zeta) + quad_root(1 + zeta * zeta));
                quad cosine = 1 / quad_root(1 + t * t), sine = cosine * t;
                for (size_t i = 0; i < m; i++) {
                    quad u = xp[i], v = xq[i];
                    xp[i] = cosine * u - sine * v;
                    xq[i] = sine * u + cosine * v;
                }
            }
    }
    for (size_t k = 0; k < n; k++)
        sigma[k] = (double)quad_root(quad_dot(x + k * m, x + k * m, m));
    qsort(sigma, n, sizeof *sigma, descending);
}

/* σ of B·A by the thin side: the columns of ΔW, n of them, of which the first `wanted` are compared. */
static void check_quad(const spectral_module *module, bool precise, double tolerance, bool relative)
{
    const size_t m = module->b.rows, n = module->a.cols, r = module->a.rows;
    quad *x = calloc(m * n, sizeof *x);
    double *sigma = calloc(n, sizeof *sigma);
    assert_true(x && sigma);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < m; i++)
            for (size_t k = 0; k < r; k++)
                x[j * m + i] += (quad)matrix_get(&module->b, i, k) * (quad)matrix_get(&module->a, k, j);
    quad_values(x, m, n, sigma);
    spectral_options options = {.precise = precise};
    spectral_result result = run_one(module, &options);
    assert_int_equal(SPECTRAL_OK, result.status);
    for (size_t k = 0; k < least(r, n); k++) {
        double error = fabs(result.sigma[k] - sigma[k]) / (relative ? sigma[k] : sigma[0]);
        if (!(error <= tolerance))
            fail_msg("σ %zu of path %d: %.17g, expected %.17g", k, (int)result.path, result.sigma[k], sigma[k]);
        worst = fmax(worst, error);
    }
    result_free(&result);
    free(x);
    free(sigma);
}

static void graded_random_directions_keep_their_relative_accuracy(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        spectral_module module = module_random(40, 20, 7, SPECTRAL_F64, seed % 2 ? COLUMN_MAJOR : ROW_MAJOR, seed);
        for (size_t k = 0; k < 7; k++)
            for (size_t i = 0; i < 40; i++)
                matrix_set(&module.b, i, k, matrix_get(&module.b, i, k) * pow(10, -2.0 * (double)(k * 3 % 7)));
        for (size_t k = 0; k < 7 && seed >= 3; k++) /* mixed: the other factor is graded against it */
            for (size_t j = 0; j < 20; j++)
                matrix_set(&module.a, k, j, matrix_get(&module.a, k, j) * pow(10, (double)(k * 5 % 7)));
        check_quad(&module, true, RELATIVE, true);
        module_free(&module);
    }
    print_message("largest relative σ error on the QR path: %.2g\n", worst);
}

static void the_gram_path_is_left_before_it_loses_its_tolerance(void **state)
{
    (void)state;
    bool seen[3] = {false};
    worst = 0;
    for (int e = 0; e <= 36; e++) {
        spectral_module module = module_random(50, 12, 4, SPECTRAL_F64, ROW_MAJOR, (uint64_t)e);
        uint64_t rng = 1000 + (uint64_t)e;
        double mix[4][4]; /* so that no direction of the factor is one of the spectrum */
        for (size_t k = 0; k < 16; k++)
            mix[k / 4][k % 4] = rng_normal(&rng) * pow(10, -(double)(k / 4) * e / 12);
        for (size_t i = 0; i < 50; i++) {
            double row[4] = {0};
            for (size_t k = 0; k < 16; k++)
                row[k % 4] += matrix_get(&module.b, i, k / 4) * mix[k / 4][k % 4];
            for (size_t k = 0; k < 4; k++)
                matrix_set(&module.b, i, k, row[k]);
        }
        check_quad(&module, false, 1e-8, false);
        spectral_result result = run_one(&module, NULL);
        seen[result.path] = true;
        result_free(&result);
        module_free(&module);
    }
    assert_true(seen[SPECTRAL_PATH_GRAM] && seen[SPECTRAL_PATH_QR]);
    print_message("largest σ error without precise: %.2g·σ₁\n", worst);
}

static void a_planted_fault_of_one_part_in_a_trillion_is_caught(void **state)
{
    (void)state;
    const double expected[] = {2, 1e-9};
    const double off[] = {2, 1e-9 * (1 + 4e-12)};
    assert_true(values_agree(expected, expected, 2));
    assert_false(values_agree(off, expected, 2));
}

/* Folding takes the place of stacks above rank 256, a bidiagonal SVD that of Jacobi's above 512. */
static void large_ranks_agree_with_a_dense_svd(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{300, 320, 270}, {150, 400, 270}, {90, 100, 300}, {560, 60, 530}};
    const spectral_options precise = {.precise = true};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const size_t m = shapes[i][0], n = shapes[i][1], r = shapes[i][2], n_sigma = least(r, least(m, n));
        spectral_module module = module_random(m, n, r, SPECTRAL_F32, (oracle_layout)(i % N_LAYOUTS), i);
        spectral_result result = run_one(&module, &precise);
        double *w = dense_update(&module), *sigma = malloc(least(m, n) * sizeof *sigma);
        assert_non_null(sigma);
        assert_int_equal(SPECTRAL_OK, result.status);
        assert_int_equal(SPECTRAL_PATH_QR, result.path);
        dense_values(w, m, n, sigma);
        for (size_t k = 0; k < n_sigma; k++)
            assert_true(fabs(result.sigma[k] - sigma[k]) <= 64 * DBL_EPSILON * sigma[0]);
        assert_true(result.residual <= 1e-13);
        free(w);
        free(sigma);
        result_free(&result);
        module_free(&module);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_ranks_agree_with_a_dense_svd),
        cmocka_unit_test(chosen_values_over_twelve_decades_come_back),
        cmocka_unit_test(chosen_values_at_full_rank_come_back),
        cmocka_unit_test(equal_and_opposite_grading_comes_back_flat),
        cmocka_unit_test(graded_random_directions_keep_their_relative_accuracy),
        cmocka_unit_test(the_gram_path_is_left_before_it_loses_its_tolerance),
        cmocka_unit_test(a_planted_fault_of_one_part_in_a_trillion_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
