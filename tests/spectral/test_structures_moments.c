/* test_structures_moments.c - entry statistics of a structure's stored parts, and the kurtosis of its ΔW where it is not
 * simply that of a dense matrix: nearly constant, constant, sampled, too large.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/structures.h"

/* ---- statistics ---- */

static void statistics_agree(const spectral_factor *f, const spectral_view *const *parts, size_t n_parts, double support)
{
    double *x = NULL, peak = 0, sum = 0, outside = 0;
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        double *part = dense_of(parts[i]);
        const size_t count = parts[i]->rows * parts[i]->cols;
        x = realloc(x, (n + count + 1) * sizeof *x);
        assert_non_null(x);
        for (size_t k = 0; k < count; k++)
            x[n + k] = part[k];
        free(part);
        n += count;
    }
    for (size_t i = 0; i < n; i++) {
        peak = fmax(peak, fabs(x[i]));
        sum += fabs(x[i]);
        outside += support > 0 && fabs(x[i]) > support;
    }
    const double norm = dense_norm(x, n);
    assert_true(f->max_abs == peak && f->outside_support == outside / (double)n && f->n_nonfinite == 0);
    assert_true(fabs(f->mean_abs * (double)n / sum - 1) < 1e-13);
    assert_true(fabs(f->sum_squares / norm / norm - 1) < 1e-13);
    assert_true(n == 1 || fabs(f->kurtosis / dense_kurtosis(x, n) - 1) < 1e-12);
    free(x);
}

static void statistics_are_of_the_stored_entries(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++)
        for (unsigned mix = 0; mix < 16; mix += 5) {
            structured s;
            structured_create(&s, &one_of_each[i], mix, i);
            s.module.support_a = 0.4;
            spectral_result x = structured_run(&s, NULL);
            if (one_of_each[i].structure == SPECTRAL_KRONECKER) {
                for (int second = 0; second < 2; second++) {
                    const spectral_view *parts[3];
                    size_t n = 0;
                    for (const char *letter = second ? "ABC" : "abc"; *letter; letter++)
                        if (structured_part(&s, *letter)->rows > 0)
                            parts[n++] = structured_part(&s, *letter);
                    statistics_agree(second ? &x.a : &x.b, parts, n, 0);
                }
                assert_true(x.a.gram_offdiagonal == 0 && x.b.gram_offdiagonal == 0 && x.gram_gap == 0);
            } else {
                const spectral_view *const a = &s.module.a, *const b = &s.module.b;
                statistics_agree(&x.a, &a, 1, 0.4);
                if (b->rows > 0)
                    statistics_agree(&x.b, &b, 1, 0);
                else
                    assert_true(x.b.max_abs == 0 && x.b.mean_abs == 0 && x.b.sum_squares == 0 && isnan(x.b.kurtosis));
            }
            values_free(&x);
            structured_free(&s);
        }
}

/* ---- kurtosis ---- */

static void kurtosis_of_nearly_constant_operands_agrees(void **state)
{
    (void)state;
    static const double means[][2] = {{0, 1000}, {1000, 0}, {1000, 5}, {1e5, 1e5}, {0, 0}};
    const structure_spec spec = {SPECTRAL_KRONECKER, {.m = 6, .n = 5}, {.m = 7, .n = 9}};
    for (size_t c = 0; c < sizeof means / sizeof *means; c++) {
        structured s;
        structured_create(&s, &spec, 3, c); /* A: bfloat16, A2: float16 */
        matrix_free(&s.module.a);
        matrix_free(&s.extra.a2);
        s.module.a = matrix_create(6, 5, SPECTRAL_F64, ROW_MAJOR);
        s.extra.a2 = matrix_create(7, 9, SPECTRAL_F64, ROW_MAJOR);
        uint64_t seed = c;
        matrix_fill_normal(&s.module.a, 1, &seed);
        matrix_fill_normal(&s.extra.a2, 1, &seed);
        for (int second = 0; second < 2; second++) {
            spectral_view *v = second ? &s.extra.a2 : &s.module.a;
            for (size_t i = 0; i < v->rows; i++)
                for (size_t j = 0; j < v->cols; j++)
                    matrix_set(v, i, j, matrix_get(v, i, j) + means[c][second]);
        }
        dense_parts d = dense_structure(&s);
        long double mean = 0, m2 = 0, m4 = 0;
        const size_t n = d.update.rows * d.update.cols;
        for (size_t i = 0; i < n; i++)
            mean += d.update.x[i] / (long double)n;
        for (size_t i = 0; i < n; i++) {
            const long double e = d.update.x[i] - mean;
            m2 += e * e / (long double)n;
            m4 += e * e * e * e / (long double)n;
        }
        spectral_result x = structured_run(&s, NULL);
        assert_true(fabs(x.kurtosis / (double)(m4 / m2 / m2) - 1) < 1e-10);
        values_free(&x);
        dense_parts_free(&d);
        structured_free(&s);
    }
}

static void constant_operands_have_no_kurtosis(void **state)
{
    (void)state;
    static const structure_spec constant[] = {
        {SPECTRAL_KRONECKER, {.m = 6, .n = 5}, {.m = 7, .n = 9}},
        {SPECTRAL_KRONECKER, {.m = 6, .n = 5, .r = 3}, {.m = 70, .n = 93, .r = 7}},
    };
    for (size_t c = 0; c < 2; c++)
        for (unsigned mix = 0; mix < 4; mix++) {
            structured s;
            structured_create(&s, &constant[c], mix, 1);
            for (const char *letter = "abAB"; *letter; letter++) {
                const spectral_view *part = structured_part(&s, *letter);
                for (size_t i = 0; i < part->rows; i++)
                    for (size_t j = 0; j < part->cols; j++)
                        matrix_set(part, i, j, *letter == 'a' ? 0.1 : 0.3);
            }
            uint64_t seed = 1;
            for (size_t i = 0; i < s.module.b.rows && s.module.b.dtype == SPECTRAL_F64; i++) { /* but for rounding */
                const double t = rng_uniform(&seed);
                matrix_set(&s.module.b, i, 0, t);
                matrix_set(&s.module.b, i, 1, 1 - t);
            }
            spectral_result x = structured_run(&s, NULL);
            assert_true(x.status == SPECTRAL_OK && isnan(x.kurtosis) && x.frobenius > 0);
            values_free(&x);
            structured_free(&s);
        }
}

static void a_sampled_kurtosis_is_within_its_error(void **state)
{
    (void)state;
    static const structure_spec sampled[] = {
        {SPECTRAL_PRODUCT, {.m = 300, .n = 250, .r = 8, .q = 5}, {0}},
        {SPECTRAL_PRODUCT, {.m = 300, .n = 30, .r = 8, .q = 5, .depth = 9}, {0}},
        {SPECTRAL_HADAMARD, {.m = 300, .n = 250, .r = 4}, {.m = 300, .n = 250, .r = 3}},
    };
    for (size_t i = 0; i < sizeof sampled / sizeof *sampled; i++) {
        structured s;
        structured_create(&s, &sampled[i], 2, i);
        const spectral_options all = {.all_rows = true};
        spectral_result x = structured_run(&s, NULL), y = structured_run(&s, &all);
        assert_true(x.kurtosis_se > 0 && fabs(x.kurtosis - y.kurtosis) < 5 * x.kurtosis_se && y.kurtosis_se == 0);
        values_free(&x);
        values_free(&y);
        structured_free(&s);
    }
}

static void an_operand_of_too_many_entries_has_no_kurtosis(void **state)
{
    (void)state;
    const structure_spec spec = {SPECTRAL_KRONECKER, {.m = 2, .n = 3}, {.m = 8192, .n = 8193, .r = 16}};
    structured s;
    structured_create(&s, &spec, 2, 1);
    spectral_result x = structured_run(&s, NULL);
    assert_true(x.status == SPECTRAL_OK && isnan(x.kurtosis) && x.kurtosis_se == 0 && x.residual < 1e-9);
    values_free(&x);
    structured_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_of_the_stored_entries),
        cmocka_unit_test(kurtosis_of_nearly_constant_operands_agrees),
        cmocka_unit_test(constant_operands_have_no_kurtosis),
        cmocka_unit_test(a_sampled_kurtosis_is_within_its_error),
        cmocka_unit_test(an_operand_of_too_many_entries_has_no_kurtosis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
