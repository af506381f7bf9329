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

/* ---- calibration: many modules of one kind, one sample each ---- */

enum { UNIFORM, GAUSSIAN, HEAVY_ROWS, HEAVY_A, HEAVY_COLUMNS, SPARSE_B, SPARSE_A, GRADED, ALIGNED, WITH_MEAN, RARE_SPIKES,
       N_KINDS };
static const char *const kind_names[N_KINDS] = {"uniform",  "Gaussian", "heavy-tailed rows", "heavy-tailed A",
                                                "heavy-tailed columns of A", "sparse B", "sparse A", "graded",
                                                "rows aligned with columns", "with a mean", "rare rows with spikes"};

static void scale_row(spectral_view *v, size_t row, double factor)
{
    for (size_t j = 0; j < v->cols; j++)
        matrix_set(v, row, j, factor * matrix_get(v, row, j));
}

static void scale_column(spectral_view *v, size_t column, double factor)
{
    for (size_t i = 0; i < v->rows; i++)
        matrix_set(v, i, column, factor * matrix_get(v, i, column));
}

static void keep_entries(spectral_view *v, double share, uint64_t *seed)
{
    for (size_t i = 0; i < v->rows; i++)
        for (size_t j = 0; j < v->cols; j++)
            if (rng_uniform(seed) > share)
                matrix_set(v, i, j, 0);
}

static spectral_module module_of_kind(int kind, size_t m, size_t n, size_t r, uint64_t seed)
{
    spectral_module module = module_random(m, n, r, SPECTRAL_F64, seed % 2 ? ROW_MAJOR : COLUMN_MAJOR, seed);
    spectral_view *a = &module.a, *b = &module.b;
    seed = ~seed;
    switch (kind) {
    case UNIFORM:
        for (size_t k = 0; k < r; k++) {
            for (size_t i = 0; i < m; i++)
                matrix_set(b, i, k, rng_uniform(&seed) - 0.5);
            for (size_t j = 0; j < n; j++)
                matrix_set(a, k, j, rng_uniform(&seed) - 0.5);
        }
        break;
    case HEAVY_ROWS:
        for (size_t i = 0; i < m; i++)
            scale_row(b, i, exp(2 * rng_normal(&seed)));
        break;
    case HEAVY_A:
        for (size_t k = 0; k < r; k++)
            for (size_t j = 0; j < n; j++)
                matrix_set(a, k, j, matrix_get(a, k, j) * exp(1.5 * rng_normal(&seed)));
        break;
    case HEAVY_COLUMNS:
        for (size_t j = 0; j < n; j++)
            scale_column(a, j, exp(1.5 * rng_normal(&seed)));
        break;
    case SPARSE_B: keep_entries(b, 0.1, &seed); break;
    case SPARSE_A: keep_entries(a, 0.05, &seed); break;
    case GRADED:
        for (size_t k = 0; k < r; k++) {
            scale_column(b, k, pow(10, -(double)k / 2));
            scale_row(a, k, pow(10, -(double)k / 2));
        }
        break;
    case ALIGNED:
        for (size_t i = 0; i < m; i += 10)
            for (size_t k = 0, j = rng_next(&seed) % n; k < r; k++)
                matrix_set(b, i, k, 2 * matrix_get(a, k, j));
        break;
    case WITH_MEAN:
        for (size_t i = 0; i < m; i++)
            matrix_set(b, i, 0, 1 + 0.3 * matrix_get(b, i, 0));
        for (size_t k = 0; k < r; k++)
            scale_row(a, k, 0.3);
        for (size_t j = 0; j < n; j++)
            matrix_set(a, 0, j, 1 + matrix_get(a, 0, j));
        break;
    case RARE_SPIKES: /* direction 0 of A is two spikes, and few rows of B have it */
        for (size_t j = 0; j < n; j++)
            matrix_set(a, 0, j, j < 2 ? 10 : 0.01 * matrix_get(a, 0, j));
        for (size_t i = 0; i < m; i++) {
            const bool rare = rng_uniform(&seed) < 0.03;
            for (size_t k = 0; k < r; k++)
                if ((k == 0) != rare)
                    matrix_set(b, i, k, 0.05 * matrix_get(b, i, k));
        }
        break;
    default: break;
    }
    return module;
}

/* |K̂ − K| ≤ 5 se in 99 % of the modules, ≤ 20 se in all, K̂ ≥ 1; rank 1 exact to rounding. */
static void check_kind(int kind, size_t m, size_t n, size_t r)
{
    enum { MODULES = 100 };
    int beyond = 0;
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    for (uint64_t seed = 0; seed < MODULES; seed++) {
        spectral_module module = module_of_kind(kind, m, n, r, 1000 * (seed + 1) + (uint64_t)kind);
        spectral_result x = result_create(&module), y = result_create(&module);
        spectral_options sampled = {.seed = seed}, all = {.all_rows = true};
        spectral_batch(engine, 0, &module, 1, &sampled, NULL, NULL, &x);
        spectral_batch(engine, 0, &module, 1, &all, NULL, NULL, &y);
        if (x.path != SPECTRAL_PATH_ZERO) {
            double error = fabs(x.kurtosis - y.kurtosis);
            beyond += !(error <= 5 * x.kurtosis_se);
            if (!(error <= 20 * x.kurtosis_se) || !(x.kurtosis >= 1) ||
                (r == 1 && !(x.kurtosis_se <= 1e-10 * x.kurtosis)))
                fail_msg("%s, %zu × %zu, rank %zu, seed %u: %g ± %g, truth %g", kind_names[kind], m, n, r, (unsigned)seed,
                         x.kurtosis, x.kurtosis_se, y.kurtosis);
        }
        result_free(&x);
        result_free(&y);
        module_free(&module);
    }
    if (beyond > MODULES / 100)
        fail_msg("%s, %zu × %zu, rank %zu: %d of %d beyond 5 se", kind_names[kind], m, n, r, beyond, MODULES);
    spectral_engine_destroy(engine);
}

static void factors_of_every_kind_stay_within_the_standard_error(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{128, 128, 1}, {64, 256, 1},  {128, 128, 2}, {150, 100, 4},
                                       {96, 128, 16}, {2000, 3, 2}, {48, 512, 4}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < N_KINDS; kind++)
            check_kind(kind, shapes[i][0], shapes[i][1], shapes[i][2]);
}

/* ±1 everywhere: K is 1, Pearson's bound, which no estimate may pass. */
static void an_estimate_is_never_below_one(void **state)
{
    (void)state;
    spectral_module module = module_random(200, 150, 2, SPECTRAL_F32, ROW_MAJOR, 29);
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < 2; k++)
            matrix_set(&module.b, i, k, k == i % 2);
    for (size_t k = 0; k < 2; k++)
        for (size_t j = 0; j < 150; j++)
            matrix_set(&module.a, k, j, matrix_get(&module.a, k, j) > 0 ? 1 : -1);
    double truth = true_kurtosis(&module);
    for (uint64_t seed = 0; seed < 100; seed++) {
        spectral_options options = {.seed = seed};
        spectral_result x = run_one(&module, &options);
        assert_true(x.kurtosis >= 1 && fabs(x.kurtosis - truth) <= 5 * x.kurtosis_se);
        result_free(&x);
    }
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
        cmocka_unit_test(factors_of_every_kind_stay_within_the_standard_error),
        cmocka_unit_test(an_estimate_is_never_below_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
