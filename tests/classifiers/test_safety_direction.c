/* test_safety_direction.c - a direction reads of an adapter what kernels against all members would: exactly where it keeps everything, within
 * what it dropped elsewhere, whatever the gauge.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "classifiers/safety/safety_direction.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/forged.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(seen, wanted, tolerance) assert_true(fabs((seen) - (wanted)) <= (tolerance))

enum { EACH = 6, N = 3 * EACH, KEEP = 32 };

static const forged_recipe RECIPES[] = {{"one", 0, 0, 1}, {"two", 1, 1, 0}, {"three", 0.5, 1, 0}};

typedef struct {
    forged_set forged;
    safety_set set;
    double weight[N];
} fixture;

static fixture make(uint64_t seed)
{
    fixture f = {.forged = forge(RECIPES, 3, EACH, seed)};
    assert_int_equal(safety_set_create(f.forged.members, N, NULL, NULL, &f.set, NULL), CLASSIFIER_OK);
    for (size_t j = 0; j < N; j++) /* of both signs, and none for some, as of a support vector machine */
        f.weight[j] = j % 5 == 0 ? 0 : sin((double)(j * j + seed));
    return f;
}

static void destroy(fixture *f)
{
    safety_set_release(&f->set);
    forged_release(&f->forged);
}

static safety_reading by_kernels(const fixture *f, size_t i)
{
    safety_reading r = {.norm = f->set.norm[i]};
    for (size_t j = 0; j < N; j++) {
        r.score += f->weight[j] * f->set.kernel[i * N + j];
        r.similarity += f->set.similarity[i * N + j] / N;
    }
    return r;
}

static safety_reading by_direction(const safety_direction *d, const labelled_profile *p)
{
    safety_reading r = {0};
    assert_int_equal(safety_direction_read(d, &p->profile, &r, NULL), CLASSIFIER_OK);
    return r;
}

static void a_direction_that_keeps_everything_reads_what_kernels_say(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        fixture f = make(seed);
        safety_direction d = {0};
        assert_int_equal(safety_direction_of_set(&f.set, f.weight, KEEP, &d), CLASSIFIER_OK);
        for (size_t i = 0; i < N; i++) {
            safety_reading wanted = by_kernels(&f, i), seen = by_direction(&d, &f.forged.profiles[i]);
            assert_near(seen.score, wanted.score, 1e-5 * (1 + fabs(wanted.score)));
            assert_near(seen.similarity, wanted.similarity, 1e-6);
            assert_near(seen.norm, wanted.norm, 1e-5 * wanted.norm);
        }
        safety_direction_release(&d);
        destroy(&f);
    }
}

/* By the first value dropped of each part: |⟨ΔW, X⟩| ≤ ‖X‖₂·‖ΔW‖₁ ≤ ‖X‖₂·√rank·‖ΔW‖_F, and of S/‖S‖ alike. */
static void what_a_truncated_direction_reads_differs_by_no_more_than_what_was_dropped(void **state)
{
    (void)state;
    fixture f = make(7);
    safety_direction full = {0};
    assert_int_equal(safety_direction_of_set(&f.set, f.weight, KEEP, &full), CLASSIFIER_OK);
    for (size_t keep = 1; keep < 10; keep++) {
        safety_direction d = {0};
        assert_int_equal(safety_direction_of_set(&f.set, f.weight, keep, &d), CLASSIFIER_OK);
        for (size_t i = 0; i < N; i++) {
            double score_bound = 1e-5, similarity_bound = 1e-6, root = sqrt(FORGED_RANK);
            safety_reading wanted = by_kernels(&f, i), seen = by_direction(&d, &f.forged.profiles[i]);
            for (size_t m = 0; m < FORGED_MODULES; m++) {
                const direction_module *x = &full.modules[m];
                size_t left = x->rank[DIRECTION_PRODUCT], base = left + x->rank[DIRECTION_LEFT];
                assert_int_equal(direction_width(&d.modules[m]), 3 * keep);
                score_bound += root * (x->value[keep] * f.set.updates[i].modules[m].norm + fabs(x->value[left + keep]));
                similarity_bound += root * x->value[base + keep];
            }
            assert_near(seen.score, wanted.score, score_bound);
            assert_near(seen.similarity, wanted.similarity, similarity_bound);
            assert_true(seen.similarity <= wanted.similarity + 1e-6); /* base is positive: what is dropped is missing */
        }
        safety_direction_release(&d);
    }
    safety_direction_release(&full);
    destroy(&f);
}

static void gauges_at_the_ends_of_float32_change_nothing(void **state)
{
    (void)state;
    static const float strengths[] = {1e-30f, 3e4f, 1e30f};
    fixture f = make(3);
    safety_direction d = {0};
    assert_int_equal(safety_direction_of_set(&f.set, f.weight, KEEP, &d), CLASSIFIER_OK);
    safety_reading before = by_direction(&d, &f.forged.profiles[8]);
    for (size_t m = 0; m < FORGED_MODULES; m++)
        for (size_t c = 0; c < FORGED_RANK; c++) {
            for (size_t i = 0; i < FORGED_COLUMNS; i++)
                forged_a(&f.forged, 8, m)[c * FORGED_COLUMNS + i] *= strengths[c];
            for (size_t i = 0; i < FORGED_ROWS; i++)
                forged_b(&f.forged, 8, m)[i * FORGED_RANK + c] /= strengths[c];
        }
    safety_reading after = by_direction(&d, &f.forged.profiles[8]);
    assert_near(after.score, before.score, 1e-5 * (1 + fabs(before.score)));
    assert_near(after.similarity, before.similarity, 1e-6);
    assert_near(after.norm, before.norm, 1e-5 * before.norm);
    safety_direction_release(&d);
    destroy(&f);
}

/* ---- made-up directions, against dense matrices ---- */

enum { MOST_SIDE = 150, MOST_RANK = 70 };

typedef struct {
    safety_direction direction;
    profile_module module;
    classifier_profile profile;
    float a[MOST_RANK * MOST_SIDE], b[MOST_SIDE * MOST_RANK];
} made_up;

static double draw(uint64_t *state) /* −½ … ½ */
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53 - 0.5;
}

/* A module and a direction for it, of `parts` vectors of product, of left and of base. The caller frees it. */
static made_up *make_up(size_t rows, size_t columns, size_t rank, const size_t parts[DIRECTION_PARTS], uint64_t seed)
{
    made_up *m = calloc(1, sizeof *m);
    assert_non_null(m);
    direction_module shape = {.rows = rows, .columns = columns, .rank = {parts[0], parts[1], parts[2]}};
    assert_int_equal(safety_direction_allocate(&shape, 1, &m->direction), CLASSIFIER_OK);
    direction_module *d = &m->direction.modules[0];
    d->trace = 0.125;
    for (size_t k = 0; k < direction_width(d); k++) {
        d->value[k] = draw(&seed);
        for (size_t i = 0; i < rows; i++)
            d->left[i * direction_left_step(d) + k] = (float)draw(&seed);
    }
    for (size_t i = 0; i < columns; i++)
        for (size_t k = 0; k < parts[DIRECTION_PRODUCT]; k++)
            d->right[i * direction_right_step(d) + k] = (float)draw(&seed);
    for (size_t i = 0; i < rank * columns; i++)
        m->a[i] = (float)draw(&seed);
    for (size_t i = 0; i < rows * rank; i++)
        m->b[i] = (float)draw(&seed);
    m->module = (profile_module){.kind = "x.y", .rows = rows, .columns = columns, .rank = rank, .scale = 0.75, .a = m->a, .b = m->b};
    m->profile = (classifier_profile){.n_modules = 1, .modules = &m->module};
    return m;
}

static void drop(made_up *m)
{
    safety_direction_release(&m->direction);
    free(m);
}

static safety_reading read_made_up(const made_up *m)
{
    safety_reading r = {0};
    assert_int_equal(safety_direction_read(&m->direction, &m->profile, &r, NULL), CLASSIFIER_OK);
    return r;
}

static safety_reading by_dense_matrices(const made_up *m)
{
    static double w[MOST_SIDE * MOST_SIDE], s[MOST_SIDE * MOST_SIDE];
    const direction_module *d = &m->direction.modules[0];
    const profile_module *x = &m->module;
    size_t n = x->rows, n_product = d->rank[DIRECTION_PRODUCT], n_left = d->rank[DIRECTION_LEFT], step = direction_left_step(d);
    double energy = 0, length = 0, trace = 0, score = 0, part[DIRECTION_PARTS] = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < x->columns; j++) {
            double sum = 0, along = 0;
            for (size_t c = 0; c < x->rank; c++)
                sum += x->scale * (double)x->b[i * x->rank + c] * (double)x->a[c * x->columns + j];
            for (size_t k = 0; k < n_product; k++)
                along += d->value[k] * (double)d->left[i * step + k] * (double)d->right[j * direction_right_step(d) + k];
            w[i * x->columns + j] = sum;
            energy += sum * sum;
            score += sum * along;
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            s[i * n + j] = 0;
            for (size_t k = 0; k < x->columns; k++)
                s[i * n + j] += w[i * x->columns + k] * w[j * x->columns + k];
            length += s[i * n + j] * s[i * n + j];
            trace += i == j ? s[i * n + j] : 0;
            for (size_t k = n_product; k < direction_width(d); k++)
                part[k < n_product + n_left ? DIRECTION_LEFT : DIRECTION_BASE] +=
                    s[i * n + j] * d->value[k] * (double)d->left[i * step + k] * (double)d->left[j * step + k];
        }
    length = sqrt(length);
    return (safety_reading){.score = score + part[DIRECTION_LEFT] / length, .similarity = (part[DIRECTION_BASE] - d->trace * trace) / length, .norm = sqrt(energy)};
}

static void assert_same_reading(safety_reading seen, safety_reading wanted, double tolerance)
{
    assert_near(seen.score, wanted.score, tolerance * (1 + fabs(wanted.score)));
    assert_near(seen.similarity, wanted.similarity, tolerance * (1 + fabs(wanted.similarity)));
    assert_near(seen.norm, wanted.norm, tolerance * wanted.norm);
}

static void any_shape_and_rank_reads_as_its_dense_update(void **state)
{
    (void)state;
    static const struct {
        size_t rows, columns, rank, parts[DIRECTION_PARTS];
    } table[] = {{1, 1, 1, {1, 1, 1}},       {5, 7, 2, {1, 2, 3}},     {64, 64, 8, {32, 32, 32}}, {64, 128, 8, {32, 32, 32}}, {128, 64, 4, {32, 32, 32}},
                 {63, 65, 7, {5, 9, 2}},     {65, 31, 9, {16, 0, 1}},  {33, 70, 33, {0, 7, 7}},   {150, 149, 70, {32, 31, 30}}, {17, 150, 16, {17, 17, 17}},
                 {129, 127, 1, {3, 0, 0}},   {12, 10, 3, {0, 0, 5}},   {40, 40, 5, {0, 6, 0}},    {80, 90, 24, {20, 12, 16}}};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        made_up *m = make_up(table[t].rows, table[t].columns, table[t].rank, table[t].parts, t + 1);
        assert_same_reading(read_made_up(m), by_dense_matrices(m), 1e-5);
        drop(m);
    }
}

/* Column c of b times 2^power, row c of a divided by it. */
static void change_gauge(made_up *m, size_t c, int power)
{
    for (size_t i = 0; i < m->module.rows; i++)
        m->b[i * m->module.rank + c] = ldexpf(m->b[i * m->module.rank + c], power);
    for (size_t j = 0; j < m->module.columns; j++)
        m->a[c * m->module.columns + j] = ldexpf(m->a[c * m->module.columns + j], -power);
}

static void powers_of_two_move_between_the_factors_unseen(void **state)
{
    (void)state;
    static const size_t parts[DIRECTION_PARTS] = {9, 8, 7};
    static const int power[][3] = {{1, 0, -1}, {20, -20, 3}, {30, 30, 30}, {-30, -30, -30}, {60, 0, -60}, {100, -100, 1}, {90, 90, 90}, {-90, -90, -90}};
    for (size_t t = 0; t < sizeof power / sizeof *power; t++) {
        made_up *m = make_up(37, 53, 3, parts, 5);
        safety_reading before = read_made_up(m);
        for (size_t c = 0; c < 3; c++)
            change_gauge(m, c, power[t][c]);
        assert_same_reading(read_made_up(m), before, 1e-12); /* rounding is the same at any power, until it is that of subnormal numbers */
        drop(m);
    }
}

static void subnormal_and_empty_columns_count_for_what_they_are(void **state)
{
    (void)state;
    static const size_t parts[DIRECTION_PARTS] = {4, 5, 6};
    made_up *m = make_up(20, 30, 4, parts, 6);
    for (size_t i = 0; i < 20; i++) {
        m->b[i * 4 + 1] = 0;                            /* against a row of a that is not */
        m->b[i * 4 + 2] = ldexpf((float)(i + 1), -149); /* subnormal, against a row of 1e38 */
    }
    for (size_t j = 0; j < 30; j++)
        m->a[2 * 30 + j] *= 1e38f;
    assert_same_reading(read_made_up(m), by_dense_matrices(m), 1e-5);
    for (size_t i = 0; i < 20 * 4; i++) /* all of it 2^-140, which squares are not in float32 */
        m->b[i] = i % 4 == 1 ? 0 : ldexpf((float)(i % 7) - 3, -140);
    for (size_t j = 0; j < 30; j++)
        m->a[2 * 30 + j] = (float)j;
    assert_same_reading(read_made_up(m), by_dense_matrices(m), 1e-5);
    memset(m->a, 0, sizeof m->a);
    safety_reading zero = read_made_up(m);
    assert_true(zero.score == 0 && zero.similarity == 0 && zero.norm == 0);
    m->module.rank = 0;
    zero = read_made_up(m);
    assert_true(zero.score == 0 && zero.similarity == 0 && zero.norm == 0);
    drop(m);
}

static void what_is_not_finite_is_told_also_where_its_partner_is_zero(void **state)
{
    (void)state;
    static const size_t parts[DIRECTION_PARTS] = {4, 5, 6};
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t v = 0; v < 3; v++)
        for (int of_b = 0; of_b < 2; of_b++) {
            made_up *m = make_up(20, 30, 4, parts, 6);
            safety_reading r;
            classifier_fault fault = {0};
            for (size_t i = 0; i < 20; i++)
                m->b[i * 4 + 1] = of_b ? values[v] : 0;
            for (size_t j = 0; j < 30; j++)
                m->a[30 + j] = of_b ? 0 : values[v];
            assert_int_equal(safety_direction_read(&m->direction, &m->profile, &r, &fault), CLASSIFIER_E_DATA);
            assert_non_null(strstr(fault.message, "values that are not finite"));
            drop(m);
        }
}

static void an_update_of_zero_reads_as_nothing_and_broken_values_are_named(void **state)
{
    (void)state;
    fixture f = make(4);
    safety_direction d = {0};
    safety_reading r = {.score = 5};
    classifier_fault fault = {0};
    assert_int_equal(safety_direction_of_set(&f.set, f.weight, KEEP, &d), CLASSIFIER_OK);
    for (size_t m = 0; m < FORGED_MODULES; m++)
        memset(forged_b(&f.forged, 0, m), 0, FORGED_ROWS * FORGED_RANK * sizeof(float));
    safety_reading zero = by_direction(&d, &f.forged.profiles[0]);
    assert_true(zero.score == 0 && zero.similarity == 0 && zero.norm == 0);
    forged_module(&f.forged, 1, 3)->scale = 1e200; /* its square is not finite */
    assert_int_equal(safety_direction_read(&d, &f.forged.profiles[1].profile, &r, &fault), CLASSIFIER_E_DATA);
    assert_string_equal(fault.message, "module 3 (decoder.o, layer 1) has values that are not finite");
    forged_a(&f.forged, 2, 0)[4] = NAN;
    assert_int_equal(safety_direction_read(&d, &f.forged.profiles[2].profile, &r, NULL), CLASSIFIER_E_DATA);
    forged_b(&f.forged, 3, 5)[4] = -INFINITY;
    assert_int_equal(safety_direction_read(&d, &f.forged.profiles[3].profile, &r, NULL), CLASSIFIER_E_DATA);
    assert_true(r.score == 5);
    safety_direction_release(&d);
    destroy(&f);
}

static void every_refused_allocation_is_an_error(void **state)
{
    (void)state;
    fixture f = make(5);
    for (long k = 0;; k++) {
        safety_direction d = {0};
        safety_reading r;
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        classifier_status status = safety_direction_of_set(&f.set, f.weight, 4, &d);
        if (status == CLASSIFIER_OK)
            status = safety_direction_read(&d, &f.forged.profiles[0].profile, &r, NULL);
        bool refused = alloc_fault_end();
        safety_direction_release(&d);
        if (!refused) {
            assert_int_equal(status, CLASSIFIER_OK);
            assert_true(k > 10);
            break;
        }
        assert_int_equal(status, CLASSIFIER_E_MEMORY);
    }
    destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_direction_that_keeps_everything_reads_what_kernels_say),
        cmocka_unit_test(what_a_truncated_direction_reads_differs_by_no_more_than_what_was_dropped),
        cmocka_unit_test(gauges_at_the_ends_of_float32_change_nothing),
        cmocka_unit_test(any_shape_and_rank_reads_as_its_dense_update),
        cmocka_unit_test(powers_of_two_move_between_the_factors_unseen),
        cmocka_unit_test(subnormal_and_empty_columns_count_for_what_they_are),
        cmocka_unit_test(what_is_not_finite_is_told_also_where_its_partner_is_zero),
        cmocka_unit_test(an_update_of_zero_reads_as_nothing_and_broken_values_are_named),
        cmocka_unit_test(every_refused_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
