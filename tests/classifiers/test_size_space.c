/* Rows in few directions: squared distances against the full ones; and the domain that is made of two such spaces.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "classifiers/size/size_domain.h"
#include "classifiers/size/size_space.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_ROWS = 60, MOST_WIDTH = 150 };

static double rows[MOST_ROWS * MOST_WIDTH];
static const double zero[MOST_WIDTH];

/* n rows in `rank` directions, and noise. */
static void draw(uint64_t seed, size_t n, size_t width, size_t rank, double noise)
{
    double direction[MOST_WIDTH];
    memset(rows, 0, sizeof rows);
    for (size_t k = 0; k < rank; k++) {
        for (size_t j = 0; j < width; j++)
            direction[j] = random_unit(&seed) - 0.5;
        for (size_t i = 0; i < n; i++) {
            double factor = random_unit(&seed) - 0.5;
            for (size_t j = 0; j < width; j++)
                rows[i * width + j] += factor * direction[j];
        }
    }
    for (size_t i = 0; i < n * width; i++)
        rows[i] += noise * (random_unit(&seed) - 0.5);
}

static double full_square(const double *x, const double *y, size_t width)
{
    double sum = 0;
    for (size_t j = 0; j < width; j++)
        sum += (x[j] - y[j]) * (x[j] - y[j]);
    return sum;
}

static size_space space_of(size_t n, size_t width)
{
    size_space s;
    assert_int_equal(size_space_create(&s, n, width), CLASSIFIER_OK);
    assert_int_equal(size_space_fit(&s, rows, width, NULL), CLASSIFIER_OK);
    return s;
}

static size_place place_of(const size_space *s, const double *row)
{
    float single[MOST_WIDTH];
    size_place p;
    for (size_t j = 0; j < s->width; j++)
        single[j] = (float)row[j];
    size_space_place(s, single, &p);
    return p;
}

static void rows_of_few_directions_have_their_true_distances(void **state)
{
    (void)state;
    static const size_t SHAPES[][3] = {{1, 1, 1}, {7, 3, 2}, {8, 31, 20}, {9, 150, 9}, {60, 33, 33}, {60, 150, 32}};
    for (size_t t = 0; t < sizeof SHAPES / sizeof *SHAPES; t++) {
        size_t n = SHAPES[t][0], width = SHAPES[t][1];
        draw(t, n, width, SHAPES[t][2] < SIZE_SPACE_RANK ? SHAPES[t][2] : SIZE_SPACE_RANK, 0);
        size_space s = space_of(n, width);
        for (size_t i = 0; i < n; i++) {
            float squares[MOST_ROWS + SIZE_SPACE_LANES], least[MOST_ROWS + SIZE_SPACE_LANES];
            size_place p = place_of(&s, rows + i * width), member;
            size_space_member(&s, i, &member);
            assert_memory_equal(p.at, member.at, sizeof p.at);
            assert_true(p.rest >= member.rest && p.rest <= member.rest);
            size_space_squares(&s, &p, squares);
            size_space_least(&s, &p, least);
            for (size_t j = 0; j < n; j++) {
                double wanted = full_square(rows + i * width, rows + j * width, width);
                double rounding = 3e-6 * (full_square(rows + i * width, zero, width) + full_square(rows + j * width, zero, width));
                if (!(fabs((double)squares[j] - wanted) < rounding))
                    fail_msg("%zu × %zu, %zu to %zu: %g, not %g", n, width, i, j, (double)squares[j], wanted);
                assert_true((double)least[j] <= wanted + rounding);
            }
            assert_true(least[i] <= 0);
        }
        size_space_release(&s);
    }
}

/* With more directions than are kept: off by the inner product of the rests, which independent noise has little of; the bound holds. */
static void what_lies_off_the_directions_is_counted_by_its_length(void **state)
{
    (void)state;
    enum { N = 60, WIDTH = 150 };
    draw(11, N, WIDTH, 10, 0.3);
    size_space s = space_of(N, WIDTH);
    double worst = 0;
    for (size_t i = 0; i < N; i++) {
        float squares[N + SIZE_SPACE_LANES], least[N + SIZE_SPACE_LANES];
        size_place p = place_of(&s, rows + i * WIDTH);
        assert_true(p.rest > 0);
        size_space_squares(&s, &p, squares);
        size_space_least(&s, &p, least);
        for (size_t j = 0; j < N; j++) {
            double wanted = full_square(rows + i * WIDTH, rows + j * WIDTH, WIDTH);
            assert_true((double)least[j] <= wanted * (1 + 1e-5) + 1e-3);
            if (i != j)
                worst = fmax(worst, fabs((double)squares[j] / wanted - 1));
        }
        assert_true(fabs((double)squares[i] - 2 * (double)p.rest) < 1e-6 * (double)p.rest); /* of a copy */
    }
    assert_true(worst > 1e-4 && worst < 0.25);
    size_space_release(&s);
}

static void weights_and_strides_are_those_of_the_rows(void **state)
{
    (void)state;
    enum { N = 12, WIDTH = 20, PART = 7, FIRST = 5 };
    double weight[PART], copied[N * PART];
    draw(5, N, WIDTH, 12, 0.1);
    for (size_t j = 0; j < PART; j++)
        weight[j] = 0.5 + (double)j;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < PART; j++)
            copied[i * PART + j] = rows[i * WIDTH + FIRST + j] * weight[j];
    size_space s, other;
    assert_int_equal(size_space_create(&s, N, PART), CLASSIFIER_OK);
    assert_int_equal(size_space_create(&other, N, PART), CLASSIFIER_OK);
    assert_int_equal(size_space_fit(&s, rows + FIRST, WIDTH, weight), CLASSIFIER_OK);
    assert_int_equal(size_space_fit(&other, copied, PART, NULL), CLASSIFIER_OK);
    assert_memory_equal(s.places, other.places, size_space_padded(N) * SIZE_SPACE_RANK * sizeof *s.places);
    memset(other.places, 0, size_space_padded(N) * SIZE_SPACE_RANK * sizeof *s.places);
    assert_int_equal(size_space_settle(&other, rows + FIRST, WIDTH, weight), CLASSIFIER_OK);
    assert_memory_equal(s.places, other.places, size_space_padded(N) * SIZE_SPACE_RANK * sizeof *s.places);
    assert_memory_equal(s.rest, other.rest, N * sizeof *s.rest);
    size_space_release(&s);
    size_space_release(&other);
}

/* Members at 0 to 4 and at 10 of a line, each with a number behind it that is their start. */
static const double LINE[12] = {0, 7, 1, -7, 2, 7, 3, 90, 4, 7, 10, 0};
static const size_t GROUP[6] = {0, 0, 1, 1, 2, 2};

static size_domain line_domain(size_t n, double *distances)
{
    size_domain d;
    assert_int_equal(size_domain_create(&d, LINE, n, 1, 2), CLASSIFIER_OK);
    assert_int_equal(size_domain_fit(&d, LINE, GROUP, distances), CLASSIFIER_OK);
    return d;
}

static size_vicinity look_from(const size_domain *d, float at, float start)
{
    const float row[2] = {at, start};
    float scratch[SIZE_SPACE_LANES];
    return size_domain_look(d, row, scratch);
}

static void distances_to_members_are_exact_and_in_units(void **state)
{
    (void)state;
    double distances[6];
    size_domain d = line_domain(6, distances);
    static const double TO_OTHERS[6] = {2, 1, 1, 1, 1, 7}, OWN[6] = {1, 1, 1, 1, 1, 6};
    for (size_t i = 0; i < 6; i++)
        assert_true(fabs(distances[i] - TO_OTHERS[i]) < 1e-12 && fabs(d.own[i] - OWN[i]) < 1e-12);
    assert_true(fabs(d.unit[SIZE_DOMAIN_SPECTRA] - 7) < 1e-12 && fabs(d.typical - 1) < 1e-12);
    assert_true(fabs(d.unit[SIZE_DOMAIN_START] - 83) < 1e-12);
    size_vicinity v = look_from(&d, 3.25f, 80);
    int which = -1;
    assert_true(fabs(v.nearest[SIZE_DOMAIN_SPECTRA] - 0.25) < 1e-6 && fabs(v.nearest[SIZE_DOMAIN_START] - 10) < 1e-6);
    assert_true(v.near[0] == 3 && v.near[1] == 4 && v.near[2] == 2 && v.n_near == SIZE_DOMAIN_LOCAL);
    assert_true(fabs(size_domain_distance(&d, &v, &which) - 10 / 83.0) < 1e-6);
    assert_int_equal(which, SIZE_DOMAIN_START);
    v = look_from(&d, 24, 7);
    assert_true(fabs(size_domain_distance(&d, &v, &which) - 2) < 1e-6);
    assert_int_equal(which, SIZE_DOMAIN_SPECTRA);
    assert_true(fabs(size_domain_doubt(&d, 2) - 8) < 1e-12 && fabs(size_domain_doubt(&d, 0) - 0.512) < 1e-12);
    size_domain_release(&d);
}

static void isolation_is_relative_to_the_members_thereabouts(void **state)
{
    (void)state;
    double distances[6];
    size_domain d = line_domain(6, distances);
    size_vicinity far = look_from(&d, 13, 0), member = look_from(&d, 4, 0), between = look_from(&d, 2.5f, 0);
    assert_true(fabs(size_domain_isolation(&d, &far) - 3 / ((6 + 1 + 1 + 1 + 1) / 5.0)) < 1e-6);
    assert_true(size_domain_isolation(&d, &member) <= 0);
    assert_true(fabs(size_domain_isolation(&d, &between) - 0.5) < 1e-6);
    size_domain_release(&d);
}

static void without_memory_there_is_no_space_and_no_domain(void **state)
{
    (void)state;
    int done = 0;
    for (long k = 0; !done; k++) {
        double distances[6];
        size_space s;
        size_domain d;
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        classifier_status made = size_space_create(&s, 6, 2);
        classifier_status fitted = made == CLASSIFIER_OK ? size_space_fit(&s, LINE, 2, NULL) : made;
        classifier_status created = size_domain_create(&d, LINE, 6, 1, 2);
        classifier_status learnt = created == CLASSIFIER_OK ? size_domain_fit(&d, LINE, GROUP, distances) : created;
        classifier_status settled = learnt == CLASSIFIER_OK ? size_domain_settle(&d, LINE) : learnt;
        done = !alloc_fault_end();
        int all_well = fitted == CLASSIFIER_OK && settled == CLASSIFIER_OK;
        assert_int_equal(all_well, done);
        assert_true(fitted == CLASSIFIER_OK || fitted == CLASSIFIER_E_MEMORY);
        assert_true(settled == CLASSIFIER_OK || settled == CLASSIFIER_E_MEMORY);
        assert_true((made == CLASSIFIER_OK) == (s.places != NULL) && (created == CLASSIFIER_OK) == (d.rows != NULL));
        size_space_release(&s);
        size_domain_release(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_few_directions_have_their_true_distances),
        cmocka_unit_test(what_lies_off_the_directions_is_counted_by_its_length),
        cmocka_unit_test(weights_and_strides_are_those_of_the_rows),
        cmocka_unit_test(distances_to_members_are_exact_and_in_units),
        cmocka_unit_test(isolation_is_relative_to_the_members_thereabouts),
        cmocka_unit_test(without_memory_there_is_no_space_and_no_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
