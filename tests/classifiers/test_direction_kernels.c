/* test_direction_kernels.c - the inner loops of every instruction set this processor runs, against plain loops in float64.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/direction_kernels.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_RANK = 72, MOST_ENTRIES = 520, MOST_WIDTH = 112 };

static const size_t RANKS[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 31, 64, 70};
static const size_t LENGTHS[] = {1, 2, 7, 15, 16, 17, 63, 64, 65, 130, 255, 257, 513};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static uint64_t state_of_draw = 1;

static double draw(void) /* −½ … ½ */
{
    state_of_draw = state_of_draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(state_of_draw >> 11) * 0x1p-53 - 0.5;
}

/* Vectors as both factors store them: rows (r × n) and columns (n × r). */
static float of_rows[MOST_RANK * MOST_ENTRIES], of_columns[MOST_RANK * MOST_ENTRIES];

static void draw_vectors(size_t r, size_t n)
{
    for (size_t c = 0; c < r; c++)
        for (size_t i = 0; i < n; i++)
            of_columns[i * r + c] = of_rows[c * n + i] = (float)draw();
}

static void assert_near(const char *name, double seen, double wanted, double tolerance)
{
    if (!(fabs(seen - wanted) <= tolerance))
        fail_msg("%s: %.17g, not %.17g", name, seen, wanted);
}

static void projections_are_those_of_plain_loops(void **state)
{
    (void)state;
    static float v[MOST_ENTRIES * MOST_WIDTH], out[2][MOST_RANK * MOST_WIDTH + 1];
    for (size_t i = 0; i < COUNT(v); i++)
        v[i] = (float)draw();
    for (size_t a = 0; a < COUNT(RANKS); a++)
        for (size_t b = 0; b < COUNT(LENGTHS); b++) {
            size_t r = RANKS[a], n = LENGTHS[b], width = DIRECTION_PAD * (1 + (a + b) % (MOST_WIDTH / DIRECTION_PAD));
            draw_vectors(r, n);
            for (size_t t = 0; direction_kernels_supported(t) != NULL; t++) {
                const direction_kernels *k = direction_kernels_supported(t);
                for (size_t i = 0; i < COUNT(out[0]); i++)
                    out[0][i] = out[1][i] = NAN;
                k->project(of_rows, r, n, n, 1, v, width, out[0]);
                k->project(of_columns, r, n, 1, r, v, width, out[1]);
                for (size_t c = 0; c < r; c++)
                    for (size_t j = 0; j < width; j++) {
                        double wanted = 0, size = 0;
                        for (size_t i = 0; i < n; i++) {
                            wanted += (double)of_rows[c * n + i] * (double)v[i * width + j];
                            size += fabs((double)of_rows[c * n + i] * (double)v[i * width + j]);
                        }
                        double tolerance = (double)FLT_EPSILON * (1 + sqrt((double)n)) * size;
                        assert_near(k->name, (double)out[0][c * width + j], wanted, tolerance);
                        assert_true(out[0][c * width + j] == out[1][c * width + j]);
                    }
                assert_true(isnan(out[0][r * width]));
            }
        }
}

static void gram_matrices_are_those_of_plain_loops_with_zeros_around_them(void **state)
{
    (void)state;
    static double g[MOST_RANK * MOST_RANK], h[MOST_RANK * MOST_RANK];
    double *panel = malloc(direction_panel(MOST_RANK, MOST_ENTRIES) * sizeof *panel);
    assert_non_null(panel);
    for (size_t r = 1; r <= 70; r++) {
        size_t n = LENGTHS[r % COUNT(LENGTHS)], ld = direction_padded_rank(r);
        draw_vectors(r, n);
        for (size_t t = 0; direction_kernels_supported(t) != NULL; t++) {
            const direction_kernels *k = direction_kernels_supported(t);
            for (size_t i = 0; i < COUNT(g); i++)
                g[i] = h[i] = NAN;
            for (size_t i = 0; i < direction_panel(r, n); i++)
                panel[i] = NAN;
            k->gram_of_rows(of_rows, r, n, panel, g);
            for (size_t i = 0; i < direction_panel(r, n); i++)
                panel[i] = NAN;
            k->gram_of_columns(of_columns, r, n, panel, h);
            for (size_t c = 0; c < ld; c++)
                for (size_t e = 0; e < ld; e++) {
                    double wanted = 0, size = 0;
                    for (size_t i = 0; i < n && c < r && e < r; i++) {
                        wanted += (double)of_rows[c * n + i] * (double)of_rows[e * n + i];
                        size += fabs((double)of_rows[c * n + i] * (double)of_rows[e * n + i]);
                    }
                    assert_near(k->name, g[c * ld + e], wanted, DBL_EPSILON * (double)n * size);
                    assert_near(k->name, h[c * ld + e], wanted, DBL_EPSILON * (double)n * size);
                    assert_true(g[c * ld + e] == g[e * ld + c] && h[c * ld + e] == h[e * ld + c]);
                }
        }
    }
    free(panel);
}

/* Symmetric, r × r in its padding. */
static void draw_symmetric(size_t r, double *g)
{
    size_t ld = direction_padded_rank(r);
    memset(g, 0, ld * ld * sizeof *g);
    for (size_t c = 0; c < r; c++)
        for (size_t e = 0; e <= c; e++)
            g[c * ld + e] = g[e * ld + c] = draw();
}

static void traces_are_those_of_the_product(void **state)
{
    (void)state;
    static double g[MOST_RANK * MOST_RANK], h[MOST_RANK * MOST_RANK], m[MOST_RANK * MOST_RANK];
    for (size_t r = 1; r <= 70; r++) {
        size_t ld = direction_padded_rank(r);
        double trace = 0, square = 0;
        draw_symmetric(r, g);
        draw_symmetric(r, h);
        for (size_t c = 0; c < r; c++)
            for (size_t e = 0; e < r; e++) {
                m[c * r + e] = 0;
                for (size_t i = 0; i < r; i++)
                    m[c * r + e] += g[c * ld + i] * h[i * ld + e];
            }
        for (size_t c = 0; c < r; c++) {
            trace += m[c * r + c];
            for (size_t e = 0; e < r; e++)
                square += m[c * r + e] * m[e * r + c];
        }
        for (size_t t = 0; direction_kernels_supported(t) != NULL; t++) {
            double seen[2];
            direction_kernels_supported(t)->traces(g, h, r, &seen[0], &seen[1]);
            assert_near(direction_kernels_supported(t)->name, seen[0], trace, DBL_EPSILON * (double)(r * r));
            assert_near(direction_kernels_supported(t)->name, seen[1], square, DBL_EPSILON * (double)(r * r * r));
        }
    }
}

static void sums_over_pairs_are_those_of_plain_loops(void **state)
{
    (void)state;
    static float p[MOST_RANK * MOST_WIDTH], q[MOST_RANK * MOST_WIDTH];
    static double g[MOST_RANK * MOST_RANK], scale[MOST_RANK];
    for (size_t a = 0; a < COUNT(RANKS); a++) {
        size_t r = RANKS[a], ld = direction_padded_rank(r), q_step = DIRECTION_PAD * (1 + a % 3), step = q_step + DIRECTION_PAD * (a % 4);
        draw_symmetric(r, g);
        for (size_t i = 0; i < ld * step; i++)
            p[i] = i < r * step ? (float)draw() : 0;
        for (size_t i = 0; i < r * q_step; i++)
            q[i] = (float)draw();
        for (size_t c = 0; c < r; c++)
            scale[c] = draw();
        for (size_t t = 0; direction_kernels_supported(t) != NULL; t++) {
            const direction_kernels *k = direction_kernels_supported(t);
            double pairs[MOST_WIDTH + 1], squares[MOST_WIDTH + 1];
            pairs[q_step] = squares[step] = 5;
            k->pair(scale, r, p, step, q, q_step, q_step, pairs);
            k->quadratic(g, r, p, step, step, squares);
            for (size_t j = 0; j < step; j++) {
                double pair = 0, square = 0;
                for (size_t c = 0; c < r; c++) {
                    pair += j < q_step ? scale[c] * (double)p[c * step + j] * (double)q[c * q_step + j] : 0;
                    for (size_t d = 0; d < r; d++)
                        square += g[c * ld + d] * (double)p[c * step + j] * (double)p[d * step + j];
                }
                if (j < q_step)
                    assert_near(k->name, pairs[j], pair, DBL_EPSILON * (double)r);
                assert_near(k->name, squares[j], square, DBL_EPSILON * (double)(r * r));
            }
            assert_true(pairs[q_step] == 5 && squares[step] == 5);
        }
    }
}

static void magnitudes_are_told_at_every_place(void **state)
{
    (void)state;
    static const struct {
        float x;
        int moderate;
    } table[] = {{0, 1}, {-0.0f, 1}, {1, 1}, {-3, 1}, {0x1p-80f, 1}, {-0x1p-80f, 1}, {0x1.fffffep-81f, 0}, {-0x1.fffffep-81f, 0}, {0x1p40f, 1}, {-0x1p40f, 1},
                 {0x1.000002p40f, 0}, {-0x1.000002p40f, 0}, {FLT_MIN, 0}, {0x1p-149f, 0}, {-0x1p-149f, 0}, {FLT_MAX, 0}, {INFINITY, 0}, {-INFINITY, 0},
                 {NAN, 0}, {-NAN, 0}};
    float x[70];
    for (size_t t = 0; direction_kernels_supported(t) != NULL; t++) {
        const direction_kernels *k = direction_kernels_supported(t);
        assert_true(k->moderate(x, 0));
        for (size_t n = 1; n <= COUNT(x); n += n < 40 ? 1 : 10)
            for (size_t at = 0; at < n; at++)
                for (size_t e = 0; e < COUNT(table); e++) {
                    for (size_t i = 0; i < n; i++)
                        x[i] = i % 3 ? 0.25f : 0;
                    x[at] = table[e].x;
                    if (k->moderate(x, n) != table[e].moderate)
                        fail_msg("%s: %a at %zu of %zu", k->name, (double)table[e].x, at, n);
                }
    }
}

static void the_best_table_is_the_last_that_is_supported(void **state)
{
    (void)state;
    size_t n = 0;
    while (direction_kernels_supported(n))
        n++;
    assert_true(n >= 1);
    assert_ptr_equal(direction_kernels_supported(0), &direction_kernels_portable);
    assert_ptr_equal(direction_kernels_best(), direction_kernels_supported(n - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(projections_are_those_of_plain_loops),
        cmocka_unit_test(gram_matrices_are_those_of_plain_loops_with_zeros_around_them),
        cmocka_unit_test(traces_are_those_of_the_product),
        cmocka_unit_test(sums_over_pairs_are_those_of_plain_loops),
        cmocka_unit_test(magnitudes_are_told_at_every_place),
        cmocka_unit_test(the_best_table_is_the_last_that_is_supported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
