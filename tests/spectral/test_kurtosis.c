/* test_kurtosis.c - the sampled fourth moment of ΔW: unbiased, honest about its error, and the same bits each time.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

static double true_kurtosis(const spectral_module *module)
{
    double *w = dense_update(module), k = dense_kurtosis(w, module->b.rows * module->a.cols);
    free(w);
    return k;
}

static void all_rows_equal_the_dense_moment(void **state)
{
    (void)state;
    for (unsigned layout = 0; layout < N_LAYOUTS; layout++) {
        spectral_module module = module_random(70, 1100, 5, SPECTRAL_BF16, (oracle_layout)layout, layout);
        spectral_options all = {.all_rows = true}, many = {.n_rows = 70};
        spectral_result x = run_one(&module, &all), y = run_one(&module, &many);
        double expected = true_kurtosis(&module);
        assert_true(fabs(x.kurtosis - expected) <= 1e-12 * expected);
        assert_true(x.kurtosis_se == 0 && y.kurtosis_se == 0 && x.kurtosis == y.kurtosis);
        result_free(&x);
        result_free(&y);
        module_free(&module);
    }
}

/* Over 200 seeds: z = (estimate − truth)/se. |z| ≤ 5 for at least 196 of them, and the mean estimate lies within 5 of
 * its own standard errors: unbiased. se comes from `rows` draws, so z has tails of Student's kind. */
static void check_sampling(const spectral_module *module, unsigned rows)
{
    enum { SEEDS = 200 };
    double expected = true_kurtosis(module), sum = 0, scatter = 0, estimates[SEEDS];
    int within = 0, different = 0;
    spectral_result result = result_create(module);
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        spectral_options options = {.seed = seed, .n_rows = rows};
        spectral_batch(engine, 0, module, 1, &options, NULL, NULL, &result);
        assert_int_equal(SPECTRAL_OK, result.status);
        assert_true(result.kurtosis_se > 0);
        within += fabs(result.kurtosis - expected) <= 5 * result.kurtosis_se;
        different += seed > 0 && result.kurtosis != estimates[seed - 1];
        estimates[seed] = result.kurtosis;
        sum += result.kurtosis;
    }
    for (size_t i = 0; i < SEEDS; i++)
        scatter += pow(estimates[i] - sum / SEEDS, 2);
    double mean_error = sqrt(scatter / (SEEDS - 1) / SEEDS);
    print_message("K %.4f, mean estimate %.4f ± %.4f, within 5 se: %d of 200\n", expected, sum / SEEDS, mean_error,
                  within);
    assert_true(within >= 196);
    assert_true(different > 190);
    assert_true(fabs(sum / SEEDS - expected) <= 5 * mean_error);
    spectral_engine_destroy(engine);
    result_free(&result);
}

static void a_gaussian_sample_lies_within_its_standard_errors(void **state)
{
    (void)state;
    spectral_module module = module_random(400, 300, 4, SPECTRAL_F32, ROW_MAJOR, 21);
    check_sampling(&module, 0);
    module_free(&module);
}

static void transposed_storage_samples_the_same_way(void **state)
{
    (void)state;
    spectral_module module = module_random(300, 250, 9, SPECTRAL_F16, COLUMN_MAJOR, 22);
    check_sampling(&module, 50);
    module_free(&module);
}

static void rows_of_very_different_size_do_not_mislead(void **state)
{
    (void)state;
    uint64_t seed = 24;
    spectral_module module = module_random(500, 200, 4, SPECTRAL_F32, ROW_MAJOR, 23);
    for (size_t i = 0; i < 500; i++) {
        double size = i == 77 ? 50 : exp(1.2 * rng_normal(&seed));
        for (size_t k = 0; k < 4; k++)
            matrix_set(&module.b, i, k, size * matrix_get(&module.b, i, k));
    }
    check_sampling(&module, 0);
    module_free(&module);
}

static void an_update_with_a_mean_is_centred(void **state)
{
    (void)state;
    spectral_module module = module_random(300, 200, 3, SPECTRAL_F32, ROW_MAJOR, 25);
    for (size_t i = 0; i < 300; i++)
        matrix_set(&module.b, i, 0, 1 + 0.2 * matrix_get(&module.b, i, 0));
    for (size_t j = 0; j < 200; j++)
        matrix_set(&module.a, 0, j, 1 + 0.2 * matrix_get(&module.a, 0, j));
    check_sampling(&module, 64);
    spectral_result result = run_one(&module, NULL);
    assert_true(result.kurtosis_se < result.kurtosis);
    result_free(&result);
    module_free(&module);
}

static void variance_too_small_for_a_sample_is_left_to_all_rows(void **state)
{
    (void)state;
    spectral_module module = module_random(200, 100, 2, SPECTRAL_F64, ROW_MAJOR, 28);
    for (size_t k = 0; k < 2; k++) { /* ΔW = 1 + 1e-4·(noise of rank 1) */
        for (size_t i = 0; i < 200; i++)
            matrix_set(&module.b, i, k, k == 0 ? 1 : 1e-4 * matrix_get(&module.b, i, k));
        for (size_t j = 0; j < 100 && k == 0; j++)
            matrix_set(&module.a, k, j, 1);
    }
    spectral_options all = {.all_rows = true};
    spectral_result x = run_one(&module, NULL), y = run_one(&module, &all);
    assert_true(isnan(x.kurtosis));
    assert_true(fabs(y.kurtosis / true_kurtosis(&module) - 1) <= 1e-8);
    result_free(&x);
    result_free(&y);
    module_free(&module);
}

static void one_seed_gives_one_answer(void **state)
{
    (void)state;
    spectral_module module = module_random(300, 200, 6, SPECTRAL_BF16, ROW_MAJOR, 26);
    spectral_options options = {.seed = 12345};
    spectral_result x = run_one(&module, &options), y = run_one(&module, &options);
    assert_memory_equal(&x.kurtosis, &y.kurtosis, sizeof(double));
    assert_memory_equal(&x.kurtosis_se, &y.kurtosis_se, sizeof(double));
    result_free(&x);
    result_free(&y);
    module_free(&module);
}

static void more_rows_mean_a_smaller_error(void **state)
{
    (void)state;
    spectral_module module = module_random(2000, 64, 4, SPECTRAL_F32, ROW_MAJOR, 27);
    spectral_options few = {.n_rows = 16}, many = {.n_rows = 1600};
    spectral_result x = run_one(&module, &few), y = run_one(&module, &many);
    assert_true(y.kurtosis_se < x.kurtosis_se / 4);
    result_free(&x);
    result_free(&y);
    module_free(&module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rows_equal_the_dense_moment),
        cmocka_unit_test(a_gaussian_sample_lies_within_its_standard_errors),
        cmocka_unit_test(transposed_storage_samples_the_same_way),
        cmocka_unit_test(rows_of_very_different_size_do_not_mislead),
        cmocka_unit_test(an_update_with_a_mean_is_centred),
        cmocka_unit_test(variance_too_small_for_a_sample_is_left_to_all_rows),
        cmocka_unit_test(one_seed_gives_one_answer),
        cmocka_unit_test(more_rows_mean_a_smaller_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
