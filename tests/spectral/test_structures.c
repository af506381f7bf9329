/* test_structures.c - every structure against its dense ΔW: σ, norms, kurtosis, the factors' σ, the left vector.
 *
 * Tolerances: σ of the Gram path carry its 1e-8·σ₁, though 1e-12 is what is seen where it is taken; the QR path and the
 * norms c·eps of the factors' sizes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/structures.h"

static double worst_gram, worst_qr, worst_kurtosis; /* relative errors seen */

static const structure_spec specs[] = {
    /* a core: square, wide and tall; ranks of 1 and beyond min(m, n) */
    {SPECTRAL_PRODUCT, {.m = 40, .n = 30, .r = 4, .q = 4}, {0}},
    {SPECTRAL_PRODUCT, {.m = 30, .n = 50, .r = 6, .q = 3}, {0}},
    {SPECTRAL_PRODUCT, {.m = 33, .n = 47, .r = 3, .q = 7}, {0}},
    {SPECTRAL_PRODUCT, {.m = 20, .n = 9, .r = 1, .q = 1}, {0}},
    {SPECTRAL_PRODUCT, {.m = 7, .n = 12, .r = 9, .q = 11}, {0}},
    {SPECTRAL_PRODUCT, {.m = 1, .n = 5, .r = 3, .q = 2}, {0}},
    /* Tucker */
    {SPECTRAL_PRODUCT, {.m = 40, .n = 30, .r = 5, .q = 4, .depth = 9}, {0}},
    {SPECTRAL_PRODUCT, {.m = 60, .n = 5, .r = 4, .q = 4, .depth = 27}, {0}},
    {SPECTRAL_PRODUCT, {.m = 16, .n = 2, .r = 20, .q = 6, .depth = 9}, {0}},
    /* diagonal */
    {SPECTRAL_PRODUCT, {.m = 40, .n = 30, .r = 5, .q = 5, .diagonal = true}, {0}},
    {SPECTRAL_PRODUCT, {.m = 5, .n = 30, .r = 8, .q = 8, .diagonal = true}, {0}},
    {SPECTRAL_PRODUCT, {.m = 9, .n = 30, .r = 1, .q = 1, .diagonal = true}, {0}},
    /* groups, with and without a core */
    {SPECTRAL_PRODUCT, {.m = 40, .n = 30, .r = 4, .groups = 2}, {0}},
    {SPECTRAL_PRODUCT, {.m = 45, .n = 70, .r = 3, .groups = 3}, {0}},
    {SPECTRAL_PRODUCT, {.m = 12, .n = 7, .r = 3, .groups = 3}, {0}},
    {SPECTRAL_PRODUCT, {.m = 24, .n = 20, .r = 2, .q = 5, .depth = 9, .groups = 3}, {0}},
    {SPECTRAL_PRODUCT, {.m = 24, .n = 20, .r = 3, .q = 6, .groups = 2, .diagonal = true}, {0}},
    /* full matrices */
    {SPECTRAL_PRODUCT, {.m = 40, .n = 30}, {0}},
    {SPECTRAL_PRODUCT, {.m = 20, .n = 700}, {0}},
    {SPECTRAL_PRODUCT, {.m = 1, .n = 9}, {0}},
    {SPECTRAL_PRODUCT, {.m = 9, .n = 1}, {0}},
    {SPECTRAL_PRODUCT, {.m = 150, .n = 160}, {0}},
    /* an extra that says nothing */
    {SPECTRAL_PRODUCT, {.m = 40, .n = 30, .r = 4}, {0}},
    {SPECTRAL_PRODUCT, {.m = 7, .n = 5, .r = 12, .groups = 1, .depth = 1}, {0}},
    /* LoHa */
    {SPECTRAL_HADAMARD, {.m = 40, .n = 30, .r = 3}, {.m = 40, .n = 30, .r = 4}},
    {SPECTRAL_HADAMARD, {.m = 50, .n = 600, .r = 4}, {.m = 50, .n = 600, .r = 4}},
    {SPECTRAL_HADAMARD, {.m = 40, .n = 30, .r = 1}, {.m = 40, .n = 30, .r = 1}},
    {SPECTRAL_HADAMARD, {.m = 16, .n = 30, .r = 4}, {.m = 16, .n = 30, .r = 4}},
    {SPECTRAL_HADAMARD, {.m = 30, .n = 16, .r = 4}, {.m = 30, .n = 16, .r = 5}},
    {SPECTRAL_HADAMARD, {.m = 200, .n = 210, .r = 13}, {.m = 200, .n = 210, .r = 11}},
    {SPECTRAL_HADAMARD,
     {.m = 40, .n = 10, .r = 3, .q = 3, .depth = 9},
     {.m = 40, .n = 10, .r = 3, .q = 3, .depth = 9}},
    {SPECTRAL_HADAMARD, {.m = 40, .n = 18, .r = 2}, {.m = 40, .n = 2, .r = 3, .q = 2, .depth = 9}},
    {SPECTRAL_HADAMARD, {.m = 40, .n = 30, .r = 2, .groups = 2}, {.m = 40, .n = 30, .r = 3}},
    {SPECTRAL_HADAMARD, {.m = 20, .n = 30}, {.m = 20, .n = 30, .r = 3}},
    {SPECTRAL_HADAMARD, {.m = 20, .n = 30}, {.m = 20, .n = 30}},
    /* LoKr: full ⊗ full, full ⊗ low-rank, low-rank ⊗ low-rank, Tucker */
    {SPECTRAL_KRONECKER, {.m = 5, .n = 4}, {.m = 7, .n = 6}},
    {SPECTRAL_KRONECKER, {.m = 4, .n = 6}, {.m = 9, .n = 20, .r = 3}},
    {SPECTRAL_KRONECKER, {.m = 8, .n = 6, .r = 2}, {.m = 10, .n = 7, .r = 3}},
    {SPECTRAL_KRONECKER, {.m = 3, .n = 4, .r = 6}, {.m = 5, .n = 5, .r = 2}},
    {SPECTRAL_KRONECKER, {.m = 1, .n = 1}, {.m = 30, .n = 20, .r = 4}},
    {SPECTRAL_KRONECKER, {.m = 6, .n = 4}, {.m = 1, .n = 1}},
    {SPECTRAL_KRONECKER, {.m = 4, .n = 4}, {.m = 9, .n = 3, .r = 3, .q = 2, .depth = 9}},
    {SPECTRAL_KRONECKER, {.m = 4, .n = 6, .r = 2, .groups = 2}, {.m = 5, .n = 8, .r = 2, .q = 2}},
};

static bool close_to(double x, double expected, double tolerance) { return fabs(x - expected) <= tolerance; }

static bool values_agree(const double *found, const dense *d, size_t n, double tolerance)
{
    double *sigma = malloc((d->rows + d->cols) * sizeof *sigma);
    assert_non_null(sigma);
    dense_spectrum(d, sigma);
    bool same = true;
    for (size_t i = 0; i < n; i++) /* behind min(rows, cols) there is nothing to find */
        same = same && close_to(found[i], sigma[i], tolerance * sigma[0]) && (i == 0 || found[i] <= found[i - 1]);
    free(sigma);
    return same;
}

/* Σ_l x(k, l)·x(k', l) for rank directions along the rows of x, or along its columns; rank × rank. */
static dense gram_of(const dense *x, bool by_rows)
{
    const size_t rank = by_rows ? x->rows : x->cols, length = by_rows ? x->cols : x->rows;
    const size_t rank_step = by_rows ? 1 : x->rows, length_step = by_rows ? x->rows : 1;
    dense g = dense_create(rank, rank);
    for (size_t k = 0; k < rank; k++)
        for (size_t i = 0; i < rank; i++)
            for (size_t l = 0; l < length; l++)
                g.x[k * rank + i] += x->x[k * rank_step + l * length_step] * x->x[i * rank_step + l * length_step];
    return g;
}

static bool offdiagonal_agrees(const dense *g, double found)
{
    long double largest = 0;
    for (size_t k = 0; k < g->rows; k++)
        for (size_t i = 0; i < k; i++)
            if (g->x[k * g->rows + k] > 0 && g->x[i * g->rows + i] > 0)
                largest = fmaxl(largest, fabsl(g->x[k * g->rows + i]) /
                                             sqrtl(g->x[k * g->rows + k] * g->x[i * g->rows + i]));
    return close_to(found, (double)largest, 1e-12);
}

static bool grams_agree(const dense *a, const dense *b, const spectral_result *result)
{
    dense ga = gram_of(a, true), gb = gram_of(b, false);
    long double gap = 0, of_a = 0, of_b = 0;
    for (size_t i = 0; i < ga.rows * ga.rows; i++) {
        gap += (ga.x[i] - gb.x[i]) * (ga.x[i] - gb.x[i]);
        of_a += ga.x[i] * ga.x[i];
        of_b += gb.x[i] * gb.x[i];
    }
    bool same = close_to(result->gram_gap, (double)sqrtl(gap / fmaxl(of_a, of_b)), 1e-12) &&
                offdiagonal_agrees(&ga, result->a.gram_offdiagonal) && offdiagonal_agrees(&gb, result->b.gram_offdiagonal);
    free(ga.x);
    free(gb.x);
    return same;
}

/* The A and B that are computed with. */
static bool factor_values_agree(const structured *s, const dense_parts *d, const spectral_result *result)
{
    const double tolerance = 1e-8;
    if (s->extra.structure == SPECTRAL_KRONECKER)
        return values_agree(result->sigma_a, &d->w2, s->shape.n_sigma_a, tolerance) &&
               values_agree(result->sigma_b, &d->w, s->shape.n_sigma_b, tolerance);
    const size_t side = least(s->shape.m, s->shape.n);
    const bool hadamard = s->extra.structure == SPECTRAL_HADAMARD, stored = !s->extra.core.rows && s->extra.groups <= 1;
    const size_t rank1 = d->b.cols, rank = hadamard ? rank1 * d->b2.cols : rank1;
    if (rank == 0 || (hadamard ? rank >= side : rank > side && !stored)) {
        dense whole = d->update;
        double *sigma = malloc((whole.rows + whole.cols) * sizeof *sigma);
        assert_non_null(sigma);
        dense_spectrum(&whole, sigma);
        bool same = s->shape.n_sigma_a == side && s->shape.n_sigma_b == side;
        for (size_t i = 0; i < side; i++)
            same = same && result->sigma_b[i] == 1 &&
                   close_to(result->sigma_a[i], sigma[i] / fabs(s->module.scale), tolerance * sigma[0]);
        free(sigma);
        dense g = gram_of(&whole, whole.rows <= whole.cols);
        same = same && offdiagonal_agrees(&g, result->a.gram_offdiagonal);
        free(g.x);
        return same && result->gram_gap == 0 && result->b.gram_offdiagonal == 0;
    }
    dense a = dense_create(rank, s->shape.n), b = dense_create(s->shape.m, rank);
    for (size_t k = 0; k < rank; k++) {
        const size_t i = hadamard ? k / d->b2.cols : k, i2 = hadamard ? k % d->b2.cols : 0;
        for (size_t j = 0; j < a.cols; j++)
            a.x[j * rank + k] = d->a.x[j * rank1 + i] * (hadamard ? d->a2.x[j * d->a2.rows + i2] : 1);
        for (size_t j = 0; j < b.rows; j++)
            b.x[k * b.rows + j] = d->b.x[i * b.rows + j] * (hadamard ? d->b2.x[i2 * b.rows + j] : 1);
    }
    bool same = grams_agree(&a, &b, result) && values_agree(result->sigma_a, &a, s->shape.n_sigma_a, tolerance) &&
                values_agree(result->sigma_b, &b, s->shape.n_sigma_b, tolerance) &&
                s->shape.n_sigma_a == least(rank, s->shape.n) && s->shape.n_sigma_b == least(rank, s->shape.m);
    free(a.x);
    free(b.x);
    return same;
}

static bool left_vector_agrees(const structured *s, const double *w)
{
    const size_t m = s->shape.m, n = s->shape.n;
    double *copy = malloc(m * n * sizeof *copy), *sigma = malloc((m + n) * sizeof *sigma), *left = malloc(m * m * sizeof *left);
    double *super = malloc((m + n) * sizeof *super), *u = malloc(m * sizeof *u), none[1], sigma1, dot = 0, error = 0;
    assert_true(copy && sigma && left && super && u);
    memcpy(copy, w, m * n * sizeof *copy);
    assert_int_equal(0, LAPACKE_dgesvd(LAPACK_COL_MAJOR, 'A', 'N', (lapack_int)m, (lapack_int)n, copy, (lapack_int)m,
                                       sigma, left, (lapack_int)m, none, 1, super));
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    assert_int_equal(SPECTRAL_OK, spectral_left_vector(engine, 0, &s->module, 0, NULL, u, &sigma1));
    spectral_engine_destroy(engine);
    double norm = 0, peak = 0;
    for (size_t i = 0; i < m; i++) {
        dot += u[i] * left[i];
        norm += u[i] * u[i];
        peak = fabs(u[i]) > fabs(peak) ? u[i] : peak;
    }
    for (size_t i = 0; i < m; i++)
        error = fmax(error, fabs(u[i] - (dot < 0 ? -left[i] : left[i])));
    const double second = least(m, n) > 1 ? sigma[1] : 0;
    bool same = error <= 1e-10 * sigma[0] / (sigma[0] - second) && close_to(norm, 1, 64 * DBL_EPSILON) && peak > 0 &&
                close_to(sigma1, sigma[0], 1e-10 * sigma[0]);
    free(copy);
    free(sigma);
    free(left);
    free(super);
    free(u);
    return same;
}

static bool agrees(const structured *s, const spectral_result *result)
{
    dense_parts d = dense_structure(s);
    const size_t m = s->shape.m, n = s->shape.n;
    double *w = dense_rounded(&d.update), *sigma = malloc((m + n) * sizeof *sigma);
    assert_non_null(sigma);
    assert_true(d.update.rows == m && d.update.cols == n);
    dense_values(w, m, n, sigma);
    const double norm = dense_norm(w, m * n), kurtosis = dense_kurtosis(w, m * n);
    bool same = result->status == SPECTRAL_OK && close_to(result->frobenius, norm, 1e-12 * norm) &&
                result->residual <= 1e-9 && factor_values_agree(s, &d, result);
    double *worst = result->path == SPECTRAL_PATH_QR ? &worst_qr : &worst_gram, worst_here = 0;
    for (size_t i = 0; i < s->shape.n_sigma; i++) {
        worst_here = fmax(worst_here, fabs(result->sigma[i] - sigma[i]) / sigma[0]);
        same = same && (i == 0 || result->sigma[i] <= result->sigma[i - 1]);
    }
    same = same && worst_here <= 1e-8;
    /* Two entries always have kurtosis 1, and the rounding of a mean. */
    same = same && (m * n < 2 ? isnan(result->kurtosis) : close_to(result->kurtosis, kurtosis, 1e-9 * kurtosis)) &&
           result->kurtosis_se == 0;
    if (same) {
        *worst = fmax(*worst, worst_here);
        worst_kurtosis = fmax(worst_kurtosis, m * n < 2 ? 0 : fabs(result->kurtosis / kurtosis - 1));
    }
    free(w);
    free(sigma);
    dense_parts_free(&d);
    return same;
}

static void check(const structured *s, size_t spec, unsigned mix)
{
    for (int precise = 0; precise < 2; precise++) {
        spectral_options options = {.all_rows = true, .precise = precise};
        spectral_result result = structured_run(s, &options);
        if (!agrees(s, &result))
            fail_msg("spec %zu, mix %u, %zu × %zu, precise %d: status %d path %d, σ₁ %g, ‖ΔW‖ %g, residual %g, K %g", spec,
                     mix, s->shape.m, s->shape.n, precise, (int)result.status, (int)result.path, result.sigma[0],
                     result.frobenius, result.residual, result.kurtosis);
        assert_true(!precise || result.path == SPECTRAL_PATH_QR);
        values_free(&result);
    }
}

static void every_structure_dtype_and_layout_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (unsigned mix = 0; mix < 16; mix++) {
            structured s;
            structured_create(&s, &specs[i], mix, 1000 * i + mix);
            check(&s, i, mix);
            structured_free(&s);
        }
    print_message("largest error: Gram path %.2g·σ₁, QR path %.2g·σ₁, kurtosis %.2g\n", worst_gram, worst_qr,
                  worst_kurtosis);
    assert_true(worst_gram <= 1e-9 && worst_qr <= 1e-12);
}

static void left_vectors_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (unsigned mix = 0; mix < 16; mix += 5) {
            structured s;
            structured_create(&s, &specs[i], mix, 1000 * i + mix + 77);
            dense_parts d = dense_structure(&s);
            double *w = dense_rounded(&d.update);
            if (!left_vector_agrees(&s, w))
                fail_msg("spec %zu, mix %u", i, mix);
            w[0] += 1e-4 * fabs(w[0]) + 1e-4; /* a planted fault */
            assert_false(left_vector_agrees(&s, w));
            free(w);
            dense_parts_free(&d);
            structured_free(&s);
        }
}

static void planted_faults_are_caught(void **state)
{
    (void)state;
    const spectral_options options = {.all_rows = true};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        structured s;
        structured_create(&s, &specs[i], 1, i);
        spectral_result result = structured_run(&s, &options);
        assert_true(agrees(&s, &result));
        double *const numbers[] = {&result.sigma[0], &result.sigma_a[0], &result.sigma_b[0], &result.frobenius,
                                   &result.kurtosis};
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            const double kept = *numbers[k];
            *numbers[k] = kept * (1 + 1e-6);
            assert_false(agrees(&s, &result));
            *numbers[k] = kept;
        }
        values_free(&result);
        structured_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_structure_dtype_and_layout_agrees),
        cmocka_unit_test(left_vectors_agree),
        cmocka_unit_test(planted_faults_are_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
