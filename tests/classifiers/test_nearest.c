/* Votes of nearest neighbours on banks of a few members, reckoned by hand; on larger ones against a search of all members.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "classifiers/size/nearest.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_MEMBERS = 90, MANY_SIZES = 5, MANY_MODULES = 4 };
enum { WIDTH = 8 }; /* two modules of one σ of ΔW, of B and of A each */

static size_module shape[2] = {{.n_sigma = 1, .n_sigma_b = 1, .n_sigma_a = 1}, {.n_sigma = 1, .n_sigma_b = 1, .n_sigma_a = 1}};
static size_layout layout = {.n_modules = 2, .modules = shape};

static int lay_out(void **state)
{
    (void)state;
    size_layout_finish(&layout);
    return layout.n_spectra == WIDTH ? 0 : -1;
}

/*                          module 0: ‖ΔW‖ σ(ΔW) σ(B) σ(A)   module 1 */
static const double MEMBERS[3 * WIDTH] = {
    1, 10, 10, 10, 1, 10, 10, 10, /* size 0 */
    2, 20, 20, 20, 2, 20, 20, 20, /* size 1 */
    9, 90, 90, 90, 9, 90, 90, 90, /* size 2 */
};
static const size_t SIZE_INDEX[3] = {0, 1, 2};

static nearest_bank bank_of(const double *members, const size_t *size_index, size_t n, size_t n_sizes)
{
    return (nearest_bank){&layout, members, size_index, n, n_sizes};
}

static void votes_of(const nearest_bank *bank, const double *row, nearest_vote *votes)
{
    nearest_index index;
    assert_int_equal(nearest_index_create(bank, &index), CLASSIFIER_OK);
    nearest_votes(&index, row, NULL, 0, votes);
    for (size_t likely = 0; likely < bank->n; likely += 1 + likely) {
        nearest_vote again[MANY_SIZES];
        nearest_votes(&index, row, bank->spectra + likely * bank->layout->n_spectra, bank->size_index[likely], again);
        assert_memory_equal(again, votes, bank->n_sizes * sizeof *votes);
    }
    nearest_index_release(&index);
}

static void the_majority_of_matrices_wins(void **state)
{
    (void)state;
    nearest_bank bank = bank_of(MEMBERS, SIZE_INDEX, 3, 3);
    const double row[WIDTH] = {9, 11, 21, 19, 9, 89, 22, 18};
    nearest_vote votes[3];
    votes_of(&bank, row, votes);
    assert_int_equal(votes[0].size_index, 1);
    assert_int_equal(votes[0].count, 4);
    assert_int_equal(votes[1].count, 1);
    assert_int_equal(votes[2].count, 1);
    assert_int_equal(votes[1].size_index, 0); /* the smaller of the two with one vote each */
    assert_int_equal(nearest_by_norm(&bank, row), 2);
}

static void equal_votes_go_to_the_nearer_size(void **state)
{
    (void)state;
    nearest_bank bank = bank_of(MEMBERS, SIZE_INDEX, 2, 2);
    /* three matrices each; those for size 1 are exact, those for size 0 off by 4 */
    const double row[WIDTH] = {1, 14, 14, 14, 1, 20, 20, 20};
    nearest_vote votes[2];
    votes_of(&bank, row, votes);
    assert_int_equal(votes[0].count, 3);
    assert_int_equal(votes[1].count, 3);
    assert_int_equal(votes[0].size_index, 1);
    assert_true(fabs(votes[0].distance - 3 * 6) < 1e-12 && fabs(votes[1].distance - (3 * 4 + 3 * 10)) < 1e-12);
}

static void equal_distances_go_to_the_smaller_size_in_any_order_of_members(void **state)
{
    (void)state;
    double members[2 * WIDTH];
    const double row[WIDTH] = {1.5, 15, 15, 15, 1.5, 15, 15, 15};
    for (size_t order = 0; order < 2; order++) {
        size_t size_index[2] = {order, 1 - order};
        memcpy(members, MEMBERS + order * WIDTH, WIDTH * sizeof *members);
        memcpy(members + WIDTH, MEMBERS + (1 - order) * WIDTH, WIDTH * sizeof *members);
        nearest_bank bank = bank_of(members, size_index, 2, 2);
        nearest_vote votes[2];
        votes_of(&bank, row, votes);
        assert_int_equal(votes[0].size_index, 0);
        assert_int_equal(votes[0].count, 6);
        assert_int_equal(nearest_by_norm(&bank, row), 0);
    }
}

/* As published, without any index: of each matrix the size of the nearest of all members. */
static void search_all(const nearest_bank *bank, const double *row, size_t count[MANY_SIZES])
{
    memset(count, 0, MANY_SIZES * sizeof *count);
    for (size_t m = 0; m < bank->layout->n_modules; m++) {
        const size_module *x = &bank->layout->modules[m];
        const size_t n_sigma[3] = {x->n_sigma, x->n_sigma_b, x->n_sigma_a};
        size_t begin = x->spectra + 1;
        for (size_t k = 0; k < 3; begin += n_sigma[k++]) {
            double least = INFINITY;
            size_t best = 0;
            for (size_t i = 0; n_sigma[k] && i < bank->n; i++) {
                double square = 0;
                for (size_t j = begin; j < begin + n_sigma[k]; j++)
                    square += pow(row[j] - bank->spectra[i * bank->layout->n_spectra + j], 2);
                if (square < least || (square <= least && bank->size_index[i] < best)) {
                    least = square;
                    best = bank->size_index[i];
                }
            }
            count[best] += n_sigma[k] > 0;
        }
    }
}

/* Whole numbers, so that distances are often equal, and members equal to each other and to what is asked. */
static void the_index_finds_what_a_search_of_all_members_finds(void **state)
{
    (void)state;
    size_module modules[MANY_MODULES] = {{.n_sigma = 8, .n_sigma_b = 3, .n_sigma_a = 1}, {.n_sigma = 1}, {.n_sigma_b = 9, .n_sigma_a = 4}, {.n_sigma = 2}};
    size_layout many = {.n_modules = MANY_MODULES, .modules = modules};
    size_layout_finish(&many);
    uint64_t seed = 3;
    for (size_t n = 1; n <= MOST_MEMBERS; n += n < 8 ? 1 : 41)
        for (int values = 1; values < 1000; values = values * 3 + 1) {
            double members[MOST_MEMBERS * 64], row[64];
            size_t size_index[MOST_MEMBERS], count[MANY_SIZES];
            nearest_bank bank = {&many, members, size_index, n, MANY_SIZES};
            for (size_t i = 0; i < n * many.n_spectra; i++)
                members[i] = floor(values * random_unit(&seed));
            for (size_t i = 0; i < n; i++)
                size_index[i] = i * MANY_SIZES / n;
            for (size_t ask = 0; ask < 20; ask++) {
                nearest_vote votes[MANY_SIZES];
                for (size_t j = 0; j < many.n_spectra; j++)
                    row[j] = floor(values * (1.2 * random_unit(&seed) - 0.1));
                votes_of(&bank, row, votes);
                search_all(&bank, row, count);
                for (size_t k = 0; k < MANY_SIZES; k++) {
                    assert_int_equal(votes[k].count, count[votes[k].size_index]);
                    assert_true(k == 0 || votes[k].count <= votes[k - 1].count);
                }
            }
        }
}

static void without_memory_there_is_no_index(void **state)
{
    (void)state;
    nearest_bank bank = bank_of(MEMBERS, SIZE_INDEX, 3, 3);
    int done = 0;
    for (long k = 0; !done; k++) {
        nearest_index index;
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        classifier_status status = nearest_index_create(&bank, &index);
        done = !alloc_fault_end();
        assert_int_equal(status, done ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY);
        assert_int_equal(index.matrices == NULL, !done);
        nearest_index_release(&index);
    }
}

static void squares_are_summed_over_any_length(void **state)
{
    (void)state;
    double x[20], y[20] = {0}, sum = 0;
    for (size_t n = 0; n < 20; n++) {
        assert_true(fabs(nearest_square(x, y, n) - sum) < 1e-12);
        x[n] = (double)n;
        sum += x[n] * x[n];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_majority_of_matrices_wins),
        cmocka_unit_test(equal_votes_go_to_the_nearer_size),
        cmocka_unit_test(equal_distances_go_to_the_smaller_size_in_any_order_of_members),
        cmocka_unit_test(the_index_finds_what_a_search_of_all_members_finds),
        cmocka_unit_test(without_memory_there_is_no_index),
        cmocka_unit_test(squares_are_summed_over_any_length),
    };
    return cmocka_run_group_tests(tests, lay_out, NULL);
}
