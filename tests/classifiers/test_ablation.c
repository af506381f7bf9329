/* The structural classifier of directional ablation on made-up updates: what it must see, and what it must not.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/ablation.h"
#include "tests/support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { D = 256, N = 12 };

typedef struct {
    ablation_module modules[N];
    double u[N][D];
} set;

/* N updates along one direction, each with the share `noise` of a direction of its own. */
static void make(set *s, double noise, uint64_t seed)
{
    double common[D];
    for (int j = 0; j < D; j++)
        common[j] = random_unit(&seed);
    for (int i = 0; i < N; i++) {
        double norm = 0, sign = i % 2 ? -1 : 1;
        for (int j = 0; j < D; j++) {
            s->u[i][j] = sign * common[j] + noise * random_unit(&seed);
            norm += s->u[i][j] * s->u[i][j];
        }
        for (int j = 0; j < D; j++)
            s->u[i][j] /= sqrt(norm);
        s->modules[i] = (ablation_module){.writes_residual = true, .rank = 1, .height = D, .layer = i / 2, .norm = 1, .energy_top1 = 1, .u = s->u[i]};
    }
}

static ablation_answer ask(set *s, size_t n)
{
    ablation_answer a = {0};
    if (classifier_ablation_candidate(s->modules, n))
        assert_int_equal(classifier_ablation(s->modules, n, &a), 0);
    return a;
}

static ablation_kind answer_of(set *s, size_t n)
{
    return ask(s, n).kind;
}

static void one_direction_in_all_layers_is_found_whatever_its_sign(void **state)
{
    (void)state;
    set s;
    make(&s, 0, 1);
    ablation_answer a = ask(&s, N);
    assert_int_equal(a.kind, ABLATION_SHARED_DIRECTION);
    assert_true(fabs(a.mean_cosine - 1) < 1e-12 && fabs(a.min_cosine - 1) < 1e-12);
    assert_true(fabs(a.chance_cosine - sqrt(2 / (3.14159265358979 * D))) < 1e-12);
    assert_int_equal(a.n_updates, N);
    make(&s, 0.2, 1);
    assert_int_equal(answer_of(&s, N), ABLATION_SHARED_DIRECTION);
}

static void skipped_layers_do_not_matter(void **state)
{
    (void)state;
    set s;
    make(&s, 0, 2);
    for (int i = 0; i < 4; i++)
        s.modules[i] = (ablation_module){.norm = 0, .writes_residual = i % 2, .height = 7, .energy_top1 = NAN};
    assert_int_equal(answer_of(&s, N), ABLATION_SHARED_DIRECTION);
}

static void directions_of_their_own_are_no_ablation(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        set s;
        make(&s, 1e6, seed);
        assert_int_equal(answer_of(&s, N), ABLATION_NO);
        assert_int_equal(answer_of(&s, 2), ABLATION_NO);
    }
}

static void a_single_update_elsewhere_clears_it(void **state)
{
    (void)state;
    set s;
    make(&s, 0, 3);
    s.modules[5].writes_residual = false;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
}

static void updates_too_small_to_matter_hide_nothing(void **state)
{
    (void)state;
    set s;
    make(&s, 0, 3);
    s.modules[5].writes_residual = false;
    s.modules[5].norm = 1e-6;
    s.modules[6].height = 7;
    s.modules[6].norm = 1e-9;
    assert_int_equal(answer_of(&s, N), ABLATION_SHARED_DIRECTION);
    s.modules[5].norm = 0.2; /* less than a hundredth of the energy */
    assert_int_equal(answer_of(&s, N), ABLATION_SHARED_DIRECTION);
    s.modules[5].norm = 0.5;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
}

/* What one gradient in one or two layers gives: up to 0.97, and never a finding. */
static void few_updates_must_agree_to_the_last(void **state)
{
    (void)state;
    set s;
    make(&s, 0.25, 9);
    assert_true(ask(&s, 4).mean_cosine > 0.9);
    assert_int_equal(answer_of(&s, 4), ABLATION_NO);
    assert_int_equal(answer_of(&s, N), ABLATION_SHARED_DIRECTION);
    make(&s, 0, 9);
    assert_int_equal(answer_of(&s, 3), ABLATION_SHARED_DIRECTION);
    assert_int_equal(answer_of(&s, 2), ABLATION_NO);
}

static void updates_of_many_directions_are_no_ablation(void **state)
{
    (void)state;
    set s;
    make(&s, 0, 4);
    for (int i = 0; i < N; i++)
        s.modules[i].energy_top1 = 0.7;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
    s.modules[0].energy_top1 = NAN;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
}

static void closed_form_of_low_rank_is_found_without_a_shared_direction(void **state)
{
    (void)state;
    set s;
    make(&s, 1e6, 5);
    for (int i = 0; i < N; i += 2) /* row normalisation bends the two of a layer apart */
        for (int j = 0; j < D; j++)
            s.u[i + 1][j] = s.u[i][j];
    for (int i = 0; i < N; i += 2) {
        double norm = 0;
        for (int j = 0; j < D; j++) {
            s.u[i][j] *= 1 + (j % 2 ? 0.5 : -0.5);
            norm += s.u[i][j] * s.u[i][j];
        }
        for (int j = 0; j < D; j++)
            s.u[i][j] /= sqrt(norm);
    }
    for (int i = 0; i < N; i++) {
        s.modules[i].rank = 3;
        s.modules[i].energy_top1 = 0.95;
        s.modules[i].closed_form = true;
    }
    assert_int_equal(answer_of(&s, N), ABLATION_CLOSED_FORM);
    s.modules[3].closed_form = false;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
    s.modules[3].closed_form = true;
    s.modules[3].rank = 16;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
    s.modules[3].rank = 3;
    s.modules[3].energy_top1 = 0.85; /* a benign extraction has such modules */
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
}

/* Two modules a layer along one direction, another one in every layer. */
static void one_direction_a_layer_is_found(void **state)
{
    (void)state;
    set s;
    make(&s, 1e6, 7);
    for (int i = 0; i < N; i += 2)
        for (int j = 0; j < D; j++)
            s.u[i + 1][j] = -s.u[i][j];
    assert_int_equal(answer_of(&s, N), ABLATION_LAYER_DIRECTION);
    assert_int_equal(answer_of(&s, 2), ABLATION_NO); /* two updates prove nothing */
    assert_int_equal(answer_of(&s, 4), ABLATION_NO);
    assert_int_equal(ask(&s, N).n_layers, N / 2);
    make(&s, 1e6, 7);
    for (int j = 0; j < D; j++) /* one layer alone is a coincidence */
        s.u[1][j] = s.u[0][j];
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
    for (int i = 0; i < N; i++)
        s.modules[i].layer = -1;
    assert_int_equal(answer_of(&s, N), ABLATION_NO);
}

static void nothing_and_one_update_are_no_ablation(void **state)
{
    (void)state;
    set s;
    make(&s, 0, 6);
    assert_int_equal(answer_of(&s, 0), ABLATION_NO);
    assert_int_equal(answer_of(&s, 1), ABLATION_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_direction_in_all_layers_is_found_whatever_its_sign),
        cmocka_unit_test(skipped_layers_do_not_matter),
        cmocka_unit_test(directions_of_their_own_are_no_ablation),
        cmocka_unit_test(a_single_update_elsewhere_clears_it),
        cmocka_unit_test(updates_too_small_to_matter_hide_nothing),
        cmocka_unit_test(few_updates_must_agree_to_the_last),
        cmocka_unit_test(updates_of_many_directions_are_no_ablation),
        cmocka_unit_test(closed_form_of_low_rank_is_found_without_a_shared_direction),
        cmocka_unit_test(one_direction_a_layer_is_found),
        cmocka_unit_test(nothing_and_one_update_are_no_ablation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
