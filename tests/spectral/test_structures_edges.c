/* test_structures_edges.c - structures at their ends: zeros, cancellation, NaN, the range of float64, sources, workers.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/structures.h"

#include <pthread.h>

static void part_scale(spectral_view *v, double factor)
{
    for (size_t i = 0; i < v->rows; i++)
        for (size_t j = 0; j < v->cols; j++)
            matrix_set(v, i, j, factor * matrix_get(v, i, j));
}

static bool results_equal(const spectral_shape *shape, const spectral_result *x, const spectral_result *y)
{
    return x->status == y->status && x->path == y->path && memcmp(x->sigma, y->sigma, shape->n_sigma * 8) == 0 &&
           memcmp(x->sigma_a, y->sigma_a, shape->n_sigma_a * 8) == 0 &&
           memcmp(x->sigma_b, y->sigma_b, shape->n_sigma_b * 8) == 0 && memcmp(&x->frobenius, &y->frobenius, 40) == 0 &&
           memcmp(&x->a, &y->a, sizeof x->a) == 0 && memcmp(&x->b, &y->b, sizeof x->b) == 0;
}

static spectral_status left_status(const structured *s)
{
    spectral_engine *engine;
    double *u = calloc(s->shape.m, sizeof *u), sigma1 = -1;
    assert_non_null(u);
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_status status = spectral_left_vector(engine, 0, &s->module, 0, NULL, u, &sigma1);
    assert_true(status == SPECTRAL_OK || (u[0] == 0 && sigma1 == -1));
    spectral_engine_destroy(engine);
    free(u);
    return status;
}

/* ---- zero ---- */

static void assert_zero(const structured *s)
{
    for (int mode = 0; mode < 4; mode++) {
        const spectral_options options = {.precise = mode % 2, .all_rows = mode / 2};
        spectral_result x = structured_run(s, &options);
        assert_int_equal(SPECTRAL_OK, x.status);
        assert_int_equal(SPECTRAL_PATH_ZERO, x.path);
        for (size_t k = 0; k < s->shape.n_sigma; k++)
            assert_true(x.sigma[k] == 0);
        assert_true(x.frobenius == 0 && x.residual == 0 && isnan(x.kurtosis) && x.kurtosis_se == 0);
        values_free(&x);
    }
    assert_int_equal(SPECTRAL_E_SHAPE, left_status(s));
}

static void a_zero_part_or_scale_makes_a_zero_update(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++)
        for (const char *letter = "abcABCs"; *letter; letter++) {
            structured s;
            structured_create(&s, &one_of_each[i], 2, i);
            spectral_view *part = structured_part(&s, *letter);
            if (part == NULL)
                s.module.scale = 0;
            else if (part->rows > 0)
                part_scale(part, 0);
            if (part == NULL || part->rows > 0)
                assert_zero(&s);
            structured_free(&s);
        }
}

/* [B0 −B0]·[A0; A0] in either operand. */
static void an_operand_that_cancels_makes_a_zero_update(void **state)
{
    (void)state;
    static const structure_spec cancelling[] = {
        {SPECTRAL_PRODUCT, {.m = 20, .n = 15, .r = 4, .groups = 2}, {0}},
        {SPECTRAL_PRODUCT, {.m = 6, .n = 15, .r = 4, .groups = 2}, {0}},
        {SPECTRAL_HADAMARD, {.m = 20, .n = 15, .r = 2}, {.m = 20, .n = 15, .r = 3}},
        {SPECTRAL_HADAMARD, {.m = 20, .n = 15, .r = 4}, {.m = 20, .n = 15, .r = 4}},
        {SPECTRAL_HADAMARD, {.m = 300, .n = 15, .r = 4}, {.m = 300, .n = 15}},
        {SPECTRAL_KRONECKER, {.m = 9, .n = 7, .r = 2}, {.m = 6, .n = 5}},
        {SPECTRAL_KRONECKER, {.m = 3, .n = 7, .r = 4}, {.m = 6, .n = 5, .r = 1}},
    };
    for (size_t c = 0; c < sizeof cancelling / sizeof *cancelling; c++) {
        structured s;
        structured_create(&s, &cancelling[c], 4, c); /* float64 in A, so that sums are rounded */
        const size_t half = cancelling[c].w.r / 2, per_group = cancelling[c].w.r;
        for (size_t k = 0; k < s.module.a.rows; k++)
            for (size_t j = 0; j < s.module.a.cols && k % per_group >= half; j++)
                matrix_set(&s.module.a, k, j, matrix_get(&s.module.a, k - half, j));
        for (size_t i = 0; i < s.module.b.rows; i++)
            for (size_t k = 0; k < half; k++)
                matrix_set(&s.module.b, i, half + k, -matrix_get(&s.module.b, i, k));
        assert_zero(&s);
        matrix_set(&s.module.b, 0, 0, 1.5 * matrix_get(&s.module.b, 0, 0));
        spectral_result x = structured_run(&s, NULL);
        assert_true(x.status == SPECTRAL_OK && x.path != SPECTRAL_PATH_ZERO && x.sigma[0] > 0);
        values_free(&x);
        structured_free(&s);
    }
}

/* ---- not finite ---- */

static void set_not_finite(const spectral_view *v, size_t i, size_t j, bool nan)
{
    union {
        const void *read;
        uint16_t *write;
    } data = {v->data};
    if (v->dtype == SPECTRAL_F16 || v->dtype == SPECTRAL_BF16)
        data.write[matrix_index(v, i, j)] = (uint16_t)((v->dtype == SPECTRAL_F16 ? 0xfc00 : 0xff80) + nan);
    else
        matrix_set(v, i, j, nan ? (double)NAN : (double)-INFINITY);
}

static void entries_that_are_not_finite_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++)
        for (unsigned mix = 0; mix < 16; mix += 5) {
            const bool kronecker = one_of_each[i].structure == SPECTRAL_KRONECKER;
            structured s;
            uint64_t n_a = 0, n_b = 0;
            structured_create(&s, &one_of_each[i], mix, i);
            for (const char *letter = "abcABC"; *letter; letter++) {
                spectral_view *part = structured_part(&s, *letter);
                if (part->rows == 0)
                    continue;
                set_not_finite(part, part->rows - 1, 0, false);
                set_not_finite(part, 0, part->cols - 1, true);
                const bool one = part->rows == 1 && part->cols == 1, to_a = kronecker ? *letter < 'a' : (*letter | 32) != 'b';
                *(to_a ? &n_a : &n_b) += one ? 1 : 2;
                spectral_result x = structured_run(&s, NULL);
                assert_int_equal(SPECTRAL_E_NONFINITE, x.status);
                assert_true(x.a.n_nonfinite == n_a && x.b.n_nonfinite == n_b && x.sigma[0] == 0);
                values_free(&x);
                assert_int_equal(SPECTRAL_E_NONFINITE, left_status(&s));
            }
            structured_free(&s);
            structured_create(&s, &one_of_each[i], mix, i);
            s.module.scale = NAN;
            spectral_result x = structured_run(&s, NULL);
            assert_true(x.status == SPECTRAL_E_NONFINITE && x.a.n_nonfinite == 0 && x.b.n_nonfinite == 0);
            values_free(&x);
            structured_free(&s);
        }
}

/* ---- the range of float64 ---- */

/* The same module with all parts in float64 and times powers of two, which sum up to `total`; no single part, nor either
 * factor, leaves the range. */
static void module_stretched(structured *s, const structure_spec *spec, int step, int total)
{
    structured_create(s, spec, 2, 40);
    int n = 0, sign = 1, sum = 0;
    for (const char *letter = "acACbB"; *letter; letter++)
        n += structured_part(s, *letter)->rows > 0;
    for (const char *letter = "acACbB"; *letter; letter++) {
        spectral_view *part = structured_part(s, *letter), wide;
        if (part->rows == 0)
            continue;
        const int exponent = --n == 0 ? total - sum : sign * step;
        wide = matrix_create(part->rows, part->cols, SPECTRAL_F64, ROW_MAJOR);
        for (size_t i = 0; i < part->rows; i++)
            for (size_t j = 0; j < part->cols; j++)
                matrix_set(&wide, i, j, ldexp(matrix_get(part, i, j), exponent));
        matrix_free(part);
        *part = wide;
        sum += exponent;
        sign = -sign;
    }
}

static void parts_at_the_ends_of_float64_agree(void **state)
{
    (void)state;
    static const int steps[] = {500, -500, 650, -650};
    for (size_t i = 0; i < N_KINDS; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
            for (int total = -300; total <= 300; total += 300) {
                structured plain, wide;
                module_stretched(&plain, &one_of_each[i], 0, 0);
                module_stretched(&wide, &one_of_each[i], steps[k], total);
                const spectral_options options = {.all_rows = k % 2, .precise = k / 2};
                spectral_result x = structured_run(&plain, &options), y = structured_run(&wide, &options);
                assert_int_equal(SPECTRAL_OK, x.status);
                assert_int_equal(SPECTRAL_OK, y.status);
                for (size_t j = 0; j < plain.shape.n_sigma; j++) /* powers of two: to the last bit */
                    assert_true(y.sigma[j] == ldexp(x.sigma[j], total));
                assert_true(y.frobenius == ldexp(x.frobenius, total) && y.residual == x.residual);
                assert_true(y.kurtosis == x.kurtosis && y.kurtosis_se == x.kurtosis_se);
                values_free(&x);
                values_free(&y);
                assert_int_equal(SPECTRAL_OK, left_status(&wide));
                structured_free(&plain);
                structured_free(&wide);
            }
}

static void what_leaves_float64_is_zero_or_not_finite(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        structured s;
        module_stretched(&s, &one_of_each[i], 0, 200);
        s.module.scale = 0x1p1000;
        spectral_result x = structured_run(&s, NULL);
        assert_true(x.status == SPECTRAL_E_NONFINITE && x.a.n_nonfinite == 0 && x.b.n_nonfinite == 0);
        assert_int_equal(SPECTRAL_E_NONFINITE, left_status(&s));
        values_free(&x);
        structured_free(&s);
        module_stretched(&s, &one_of_each[i], 0, -500);
        s.module.scale = 0x1p-700;
        assert_zero(&s);
        structured_free(&s);
    }
}

/* ---- sources and workers ---- */

typedef struct {
    structured *modules;
    char failing;
} memory_source;

static int memory_read(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    const memory_source *source = ctx;
    const spectral_view *part = structured_part(&source->modules[index], factor);
    assert_non_null(part);
    assert_int_equal(spectral_view_bytes(part), bytes);
    memcpy(dst, part->data, bytes);
    return factor == source->failing;
}

static void *run_share(void *context)
{
    void **c = context;
    spectral_batch(c[0], *(size_t *)c[1], c[2], N_KINDS, NULL, NULL, NULL, c[3]);
    return NULL;
}

static void sources_and_workers_do_not_change_a_bit(void **state)
{
    (void)state;
    structured direct[N_KINDS], unread[N_KINDS];
    spectral_module modules[2][N_KINDS];
    spectral_result results[3][N_KINDS];
    spectral_engine *engine;
    memory_source context = {.modules = direct};
    const spectral_source source = {.ctx = &context, .read = memory_read};
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(2, &engine));
    for (size_t i = 0; i < N_KINDS; i++) {
        structured_create(&direct[i], &one_of_each[i], (unsigned)i, i);
        unread[i] = direct[i];
        unread[i].module.extra = &unread[i].extra;
        for (const char *letter = "abcABC"; *letter; letter++)
            structured_part(&unread[i], *letter)->data = NULL;
        modules[0][i] = direct[i].module;
        modules[1][i] = unread[i].module;
        for (size_t k = 0; k < 3; k++)
            results[k][i] = shape_result(&direct[i].shape);
    }
    size_t workers[2] = {0, 1};
    pthread_t threads[2];
    void *shares[2][4];
    for (size_t t = 0; t < 2; t++) {
        memcpy(shares[t], (void *[]){engine, &workers[t], modules[0], results[t]}, sizeof shares[t]);
        assert_int_equal(0, pthread_create(&threads[t], NULL, run_share, shares[t]));
    }
    for (size_t t = 0; t < 2; t++)
        assert_int_equal(0, pthread_join(threads[t], NULL));
    spectral_batch(engine, 1, modules[1], N_KINDS, NULL, &source, NULL, results[2]);
    for (size_t i = 0; i < N_KINDS; i++) {
        assert_int_equal(SPECTRAL_OK, results[0][i].status);
        assert_true(results_equal(&direct[i].shape, &results[0][i], &results[1][i]));
        assert_true(results_equal(&direct[i].shape, &results[0][i], &results[2][i]));
        double u[40], v[40], sigma_u, sigma_v;
        assert_int_equal(SPECTRAL_OK, spectral_left_vector(engine, 0, &modules[0][i], i, NULL, u, &sigma_u));
        assert_int_equal(SPECTRAL_OK, spectral_left_vector(engine, 1, &modules[1][i], i, &source, v, &sigma_v));
        assert_true(memcmp(u, v, direct[i].shape.m * sizeof *u) == 0 && sigma_u == sigma_v);
        for (const char *letter = "abcABC"; *letter; letter++) {
            context.failing = *letter;
            const bool there = structured_part(&direct[i], *letter)->rows > 0;
            assert_int_equal(there ? SPECTRAL_E_READ : SPECTRAL_OK,
                             spectral_left_vector(engine, 0, &modules[1][i], i, &source, v, &sigma_v));
            const spectral_module *one = &modules[1][i];
            memory_source shifted = {.modules = &direct[i], .failing = *letter};
            const spectral_source alone = {.ctx = &shifted, .read = memory_read};
            spectral_batch(engine, 0, one, 1, NULL, &alone, NULL, &results[2][i]);
            assert_int_equal(there ? SPECTRAL_E_READ : SPECTRAL_OK, results[2][i].status);
        }
        context.failing = 0;
    }
    spectral_engine_destroy(engine);
    for (size_t i = 0; i < N_KINDS; i++) {
        for (size_t k = 0; k < 3; k++)
            values_free(&results[k][i]);
        structured_free(&direct[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zero_part_or_scale_makes_a_zero_update),
        cmocka_unit_test(an_operand_that_cancels_makes_a_zero_update),
        cmocka_unit_test(entries_that_are_not_finite_are_counted),
        cmocka_unit_test(parts_at_the_ends_of_float64_agree),
        cmocka_unit_test(what_leaves_float64_is_zero_or_not_finite),
        cmocka_unit_test(sources_and_workers_do_not_change_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
