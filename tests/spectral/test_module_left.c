/* test_module_left.c - the leading left singular vector against a dense SVD.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

static spectral_status left_vector(const spectral_module *module, double *u, double *sigma1)
{
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_status status = spectral_left_vector(engine, 0, module, 0, NULL, u, sigma1);
    spectral_engine_destroy(engine);
    return status;
}

/* |u − ±u₁| is bounded by the perturbation over the gap: noise/(σ₁ − σ₂). */
static bool agrees(const spectral_module *module, const double *u, double sigma1, double noise)
{
    const size_t m = module->b.rows, n = module->a.cols;
    double *w = dense_update(module), *sigma = malloc((m + n) * sizeof *sigma), *left = malloc(m * m * sizeof *left);
    double *super = malloc((m + n) * sizeof *super), none[1], dot = 0, norm = 0, error = 0, peak = 0;
    assert_true(w && sigma && left && super);
    assert_int_equal(0, LAPACKE_dgesvd(LAPACK_COL_MAJOR, 'A', 'N', (lapack_int)m, (lapack_int)n, w, (lapack_int)m, sigma,
                                       left, (lapack_int)m, none, 1, super));
    for (size_t i = 0; i < m; i++) {
        dot += u[i] * left[i];
        norm += u[i] * u[i];
        peak = fabs(u[i]) > fabs(peak) ? u[i] : peak;
    }
    for (size_t i = 0; i < m; i++)
        error = fmax(error, fabs(u[i] - (dot < 0 ? -left[i] : left[i])));
    double second = least(m, n) > 1 ? sigma[1] : 0;
    bool same = error <= noise * sigma[0] / (sigma[0] - second) && fabs(norm - 1) <= 64 * DBL_EPSILON &&
                fabs(sigma1 - sigma[0]) <= noise * sigma[0] && peak > 0;
    free(w);
    free(sigma);
    free(left);
    free(super);
    return same;
}

static void random_modules_agree(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{40, 30, 4}, {9, 700, 8}, {50, 1, 1}, {1, 9, 4}, {7, 5, 12}, {20, 20, 20}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (unsigned layout = 0; layout < N_LAYOUTS; layout++) {
            spectral_module module =
                module_random(shapes[i][0], shapes[i][1], shapes[i][2], SPECTRAL_F32, (oracle_layout)layout, i);
            double u[64], sigma1;
            module.scale = -0.5;
            assert_int_equal(SPECTRAL_OK, left_vector(&module, u, &sigma1));
            assert_true(agrees(&module, u, sigma1, 1e-10));
            u[0] += 1e-6; /* a planted fault */
            assert_false(agrees(&module, u, sigma1, 1e-10));
            module_free(&module);
        }
}

static void deficient_and_cancelling_factors_agree(void **state)
{
    (void)state;
    for (int cancelling = 0; cancelling < 2; cancelling++) {
        spectral_module module = module_random(30, 40, 3, SPECTRAL_F64, ROW_MAJOR, 31);
        for (size_t j = 0; j < 40; j++)
            matrix_set(&module.a, 1, j, matrix_get(&module.a, 0, j));
        for (size_t i = 0; i < 30; i++) {
            if (cancelling)
                matrix_set(&module.b, i, 1, ldexp(matrix_get(&module.b, i, 1), -20) - matrix_get(&module.b, i, 0));
            matrix_set(&module.b, i, 2, ldexp(matrix_get(&module.b, i, 2), -24));
        }
        double u[30], sigma1;
        assert_int_equal(SPECTRAL_OK, left_vector(&module, u, &sigma1));
        assert_true(agrees(&module, u, sigma1, 1e-8));
        module_free(&module);
    }
}

static void large_ranks_agree_deficient_or_not(void **state)
{
    (void)state;
    for (int deficient = 0; deficient < 2; deficient++) {
        spectral_module module = module_random(150, 320, 270, SPECTRAL_F64, ROW_MAJOR, 33);
        for (size_t j = 0; j < 320 && deficient; j++) {
            matrix_set(&module.a, 5, j, 0);
            matrix_set(&module.a, 100, j, matrix_get(&module.a, 3, j));
        }
        double u[150], sigma1;
        assert_int_equal(SPECTRAL_OK, left_vector(&module, u, &sigma1));
        assert_true(agrees(&module, u, sigma1, 1e-11));
        module_free(&module);
    }
}

static void float64_at_the_ends_of_its_range_agrees(void **state)
{
    (void)state;
    spectral_module module = module_random(12, 10, 2, SPECTRAL_F64, ROW_MAJOR, 32);
    double u[12], sigma1, scaled[12], scaled1;
    assert_int_equal(SPECTRAL_OK, left_vector(&module, u, &sigma1));
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 12; i++)
            matrix_set(&module.b, i, k, ldexp(matrix_get(&module.b, i, k), 700));
        for (size_t j = 0; j < 10; j++)
            matrix_set(&module.a, k, j, ldexp(matrix_get(&module.a, k, j), -800));
    }
    assert_int_equal(SPECTRAL_OK, left_vector(&module, scaled, &scaled1));
    assert_memory_equal(u, scaled, sizeof u);
    assert_true(scaled1 == ldexp(sigma1, -100));
    module_free(&module);
}

static void failures_leave_the_outputs_alone(void **state)
{
    (void)state;
    spectral_module module = module_random(5, 6, 2, SPECTRAL_F32, ROW_MAJOR, 33);
    double u[5] = {1, 2, 3, 4, 5}, sigma1 = -1;
    module.scale = 0;
    assert_int_equal(SPECTRAL_E_SHAPE, left_vector(&module, u, &sigma1));
    module.scale = INFINITY;
    assert_int_equal(SPECTRAL_E_NONFINITE, left_vector(&module, u, &sigma1));
    module.scale = 1;
    matrix_set(&module.a, 1, 1, NAN);
    assert_int_equal(SPECTRAL_E_NONFINITE, left_vector(&module, u, &sigma1));
    assert_true(u[0] == 1 && u[4] == 5 && sigma1 == -1);
    module_free(&module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_modules_agree),
        cmocka_unit_test(deficient_and_cancelling_factors_agree),
        cmocka_unit_test(large_ranks_agree_deficient_or_not),
        cmocka_unit_test(float64_at_the_ends_of_its_range_agrees),
        cmocka_unit_test(failures_leave_the_outputs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
