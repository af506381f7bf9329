/* The init law of A: drawn laws are named, moved ones give their drift, other laws are not named.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/initlaw.h"
#include "tests/support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_MODULES = 12 };

static double gaussian(uint64_t *seed)
{
    double u = (random_unit(seed) + 1) / 2, v = random_unit(seed);
    return sqrt(-2 * log(u + 0x1p-60)) * cos(3.14159265358979 * v);
}

/* Twelve modules whose A (r × n) holds draw(r, n) + drift·N(0, 1); the statistics as the engine would give them. */
static init_finding find(double (*draw)(double r, double n, uint64_t *seed), size_t r, size_t n, double drift, uint64_t seed)
{
    static lora_module mods[N_MODULES];
    static module_record modules[N_MODULES];
    memset(mods, 0, sizeof mods);
    memset(modules, 0, sizeof modules);
    lora_record record = {.modules = modules};
    record.adapter.n_modules = N_MODULES;
    for (size_t i = 0; i < N_MODULES; i++) {
        double sum = 0, squares = 0, fourth = 0, outside = 0, count = (double)(r * n);
        double *x = malloc(r * n * sizeof *x);
        for (size_t k = 0; k < r * n; k++) {
            x[k] = draw((double)r, (double)n, &seed) + drift * gaussian(&seed);
            sum += x[k];
            squares += x[k] * x[k];
            outside += fabs(x[k]) > initlaw_support(n);
        }
        double mean = sum / count, variance = squares / count - mean * mean;
        for (size_t k = 0; k < r * n; k++)
            fourth += pow(x[k] - mean, 4) / count;
        free(x);
        mods[i].r = r;
        mods[i].n = n;
        modules[i].module = &mods[i];
        modules[i].spectrum.a.sum_squares = squares;
        modules[i].spectrum.a.kurtosis = fourth / (variance * variance);
        modules[i].spectrum.a.outside_support = outside / count;
    }
    init_finding found;
    assert_int_equal(initlaw_find(&record, &found, NULL), LORA_OK);
    assert_int_equal(found.n_tested, N_MODULES);
    return found;
}

static double kaiming(double r, double n, uint64_t *seed)
{
    (void)r;
    return random_unit(seed) / sqrt(n);
}

static double one_over_r(double r, double n, uint64_t *seed)
{
    (void)n;
    return gaussian(seed) / r;
}

static double wide_uniform(double r, double n, uint64_t *seed)
{
    return 2 * kaiming(r, n, seed);
}

static double two_values(double r, double n, uint64_t *seed)
{
    return kaiming(r, n, seed) < 0 ? -1 / sqrt(3 * n) : 1 / sqrt(3 * n);
}

static void both_laws_are_named_at_every_shape(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{1, 64}, {1, 320}, {4, 64}, {4, 320}, {8, 768}, {16, 1024}, {64, 512}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        init_finding u = find(kaiming, shapes[i][0], shapes[i][1], 0, i + 1);
        assert_non_null(u.law);
        assert_string_equal(u.law, "kaiming-uniform");
        assert_true(fabs(u.z) < 2 && u.outside_support == 0 && u.mean_drift == 0);
        init_finding g = find(one_over_r, shapes[i][0], shapes[i][1], 0, i + 100);
        assert_non_null(g.law);
        assert_string_equal(g.law, "gaussian-1/r");
        assert_true(fabs(g.z) < 2 && isnan(g.outside_support) && isnan(g.mean_drift));
    }
}

/* P(|u + δ| > b) = E|δ| / (2b) for |δ| < 2b: the estimate gives back E|δ| = drift·√(2/π), less what lies between b and the
 * rounding allowance. */
static void the_drift_is_measured_by_what_left_the_support(void **state)
{
    (void)state;
    const double b = 1 / sqrt(1024.0);
    for (double drift = 0.05 * b; drift < 0.11 * b; drift += 0.05 * b) {
        init_finding f = find(kaiming, 16, 1024, drift, 5);
        double expected = drift * sqrt(2 / 3.14159265358979);
        assert_string_equal(f.law, "kaiming-uniform");
        if (!(fabs(f.mean_drift - expected) <= 0.12 * expected))
            fail_msg("drift %g, estimated %g", expected, f.mean_drift);
    }
}

static void other_laws_are_not_named(void **state)
{
    (void)state;
    assert_null(find(wide_uniform, 8, 512, 0, 1).law);
    assert_null(find(two_values, 8, 512, 0, 2).law);       /* the right norm, the wrong kurtosis */
    assert_null(find(kaiming, 8, 512, 1 / sqrt(512.0), 3).law); /* moved too far to tell */
}

static void nothing_to_test_is_no_law(void **state)
{
    (void)state;
    lora_record record = {0};
    init_finding f;
    assert_int_equal(initlaw_find(&record, &f, NULL), LORA_OK);
    assert_null(f.law);
    assert_true(isnan(f.norm_ratio));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_laws_are_named_at_every_shape),
        cmocka_unit_test(the_drift_is_measured_by_what_left_the_support),
        cmocka_unit_test(other_laws_are_not_named),
        cmocka_unit_test(nothing_to_test_is_no_law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
