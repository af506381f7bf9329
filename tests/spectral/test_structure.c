/* test_structure.c - which parts fit each other, in what sizes, and where the limits of cost lie. No part has bytes: what
 * fits gets as far as wanting to read them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/structures.h"

static spectral_view sized(size_t rows, size_t cols)
{
    return (spectral_view){.dtype = SPECTRAL_F16, .rows = rows, .cols = cols, .row_stride = cols, .col_stride = 1};
}

typedef struct {
    const char *what;
    spectral_structure structure;
    size_t b[2], core[2], a[2];
    size_t depth, groups;
    bool diagonal;
    size_t b2[2], core2[2], a2[2];
    size_t depth2;
    spectral_shape expected; /* n_sigma 0: none */
} shape_case;

static void module_of(const shape_case *c, spectral_module *module, spectral_extra *extra)
{
    *extra = (spectral_extra){.structure = c->structure, .core = sized(c->core[0], c->core[1]), .depth = c->depth,
                              .groups = c->groups, .diagonal = c->diagonal, .a2 = sized(c->a2[0], c->a2[1]),
                              .b2 = sized(c->b2[0], c->b2[1]), .core2 = sized(c->core2[0], c->core2[1]),
                              .depth2 = c->depth2};
    *module = (spectral_module){.a = sized(c->a[0], c->a[1]), .b = sized(c->b[0], c->b[1]), .scale = 1, .extra = extra};
}

static void check(const shape_case *cases, size_t n, spectral_status refusal)
{
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    for (size_t i = 0; i < n; i++) {
        spectral_module module;
        spectral_extra extra;
        const spectral_shape untouched = {1, 2, 3, 4, 5};
        spectral_shape shape = untouched;
        spectral_result result = {.status = SPECTRAL_OK};
        double u = 7, sigma1 = 8;
        module_of(&cases[i], &module, &extra);
        const bool fits = cases[i].expected.n_sigma > 0;
        const spectral_shape *expected = fits ? &cases[i].expected : &untouched;
        if (spectral_module_shape(&module, &shape) != (fits ? SPECTRAL_OK : refusal) ||
            memcmp(&shape, expected, sizeof shape) != 0)
            fail_msg("%s: %zu × %zu, %zu, %zu, %zu σ", cases[i].what, shape.m, shape.n, shape.n_sigma, shape.n_sigma_a,
                     shape.n_sigma_b);
        spectral_batch(engine, 0, &module, 1, NULL, NULL, NULL, &result);
        const spectral_status wanted = fits ? SPECTRAL_E_READ : refusal;
        if (result.status != wanted || spectral_left_vector(engine, 0, &module, 0, NULL, &u, &sigma1) != wanted)
            fail_msg("%s: status %d", cases[i].what, (int)result.status);
        assert_true(u == 7 && sigma1 == 8);
    }
    spectral_engine_destroy(engine);
}

static void parts_that_fit_have_a_shape(void **state)
{
    (void)state;
    static const shape_case cases[] = {
        {.what = "plain", .b = {9, 4}, .a = {4, 7}, .expected = {9, 7, 4, 4, 4}},
        {.what = "overcomplete plain", .b = {3, 8}, .a = {8, 7}, .expected = {3, 7, 3, 7, 3}},
        {.what = "core", .b = {9, 4}, .core = {4, 2}, .a = {2, 7}, .expected = {9, 7, 4, 4, 4}},
        {.what = "overcomplete core", .b = {3, 5}, .core = {5, 2}, .a = {2, 7}, .expected = {3, 7, 3, 3, 3}},
        {.what = "depth", .b = {9, 4}, .core = {4, 18}, .a = {2, 7}, .depth = 9, .expected = {9, 63, 4, 4, 4}},
        {.what = "diagonal row", .b = {9, 4}, .core = {1, 4}, .a = {4, 7}, .diagonal = true, .expected = {9, 7, 4, 4, 4}},
        {.what = "diagonal column", .b = {9, 4}, .core = {4, 1}, .a = {4, 7}, .diagonal = true, .expected = {9, 7, 4, 4, 4}},
        {.what = "diagonal of one", .b = {9, 1}, .core = {1, 1}, .a = {1, 7}, .diagonal = true, .expected = {9, 7, 1, 1, 1}},
        {.what = "groups", .b = {9, 2}, .a = {6, 7}, .groups = 3, .expected = {9, 7, 6, 6, 6}},
        {.what = "too many groups for low rank", .b = {9, 3}, .a = {9, 7}, .groups = 3, .expected = {9, 7, 7, 7, 7}},
        {.what = "full", .a = {9, 7}, .expected = {9, 7, 7, 7, 7}},
        {.what = "the largest full", .a = {4096, 1 << 20}, .expected = {4096, 1 << 20, 4096, 4096, 4096}},
        {.what = "loha", .structure = SPECTRAL_HADAMARD, .b = {9, 2}, .a = {2, 8}, .b2 = {9, 3}, .a2 = {3, 8},
         .expected = {9, 8, 6, 6, 6}},
        {.what = "full loha", .structure = SPECTRAL_HADAMARD, .b = {9, 2}, .a = {2, 6}, .b2 = {9, 3}, .a2 = {3, 6},
         .expected = {9, 6, 6, 6, 6}},
        {.what = "loha at 4096", .structure = SPECTRAL_HADAMARD, .b = {4096, 32}, .a = {32, 4096}, .b2 = {4096, 32},
         .a2 = {32, 4096}, .expected = {4096, 4096, 1024, 1024, 1024}},
        {.what = "B in groups that would be large", .b = {1 << 22, 1}, .a = {16, 100}, .groups = 16,
         .expected = {1 << 22, 100, 16, 16, 16}},
        {.what = "loha that would be large", .structure = SPECTRAL_HADAMARD, .b = {1 << 20, 8}, .a = {8, 100},
         .b2 = {1 << 20, 8}, .a2 = {8, 100}, .expected = {1 << 20, 100, 64, 64, 64}},
        {.what = "hostile loha", .structure = SPECTRAL_HADAMARD, .b = {64, 4096}, .a = {4096, 64}, .b2 = {64, 4096},
         .a2 = {4096, 64}, .expected = {64, 64, 64, 64, 64}},
        {.what = "lokr", .structure = SPECTRAL_KRONECKER, .b = {9, 2}, .a = {2, 8}, .a2 = {3, 5},
         .expected = {27, 40, 6, 3, 2}},
        {.what = "overcomplete lokr", .structure = SPECTRAL_KRONECKER, .b = {3, 9}, .a = {9, 8}, .a2 = {3, 5},
         .expected = {9, 40, 9, 3, 3}},
        {.what = "as many σ as may be", .structure = SPECTRAL_KRONECKER, .a = {256, 300}, .a2 = {256, 256},
         .expected = {65536, 76800, 65536, 256, 256}},
        {.what = "as wide as may be", .structure = SPECTRAL_KRONECKER, .a = {1, 4096}, .a2 = {1, 4096},
         .expected = {1, 1 << 24, 1, 1, 1}},
    };
    check(cases, sizeof cases / sizeof *cases, SPECTRAL_OK);
}

static void parts_that_do_not_fit_have_none(void **state)
{
    (void)state;
    static const size_t large = (size_t)1 << 62;
    const shape_case cases[] = {
        {.what = "nothing"},
        {.what = "no A", .b = {9, 4}},
        {.what = "B without columns", .b = {9, 0}, .a = {4, 7}},
        {.what = "B against A", .b = {9, 4}, .a = {5, 7}},
        {.what = "a depth without a core", .b = {9, 4}, .a = {4, 7}, .depth = 9},
        {.what = "a diagonal without a core", .b = {9, 4}, .a = {4, 7}, .diagonal = true},
        {.what = "a core without columns", .b = {9, 4}, .core = {4, 0}, .a = {4, 7}},
        {.what = "core's rows", .b = {9, 4}, .core = {3, 2}, .a = {2, 7}},
        {.what = "core's columns", .b = {9, 4}, .core = {4, 3}, .a = {2, 7}},
        {.what = "core's depth", .b = {9, 4}, .core = {4, 18}, .a = {2, 7}, .depth = 8},
        {.what = "a diagonal that is a matrix", .b = {9, 4}, .core = {4, 4}, .a = {4, 7}, .diagonal = true},
        {.what = "a short diagonal row", .b = {9, 4}, .core = {1, 3}, .a = {4, 7}, .diagonal = true},
        {.what = "a long diagonal column", .b = {9, 4}, .core = {5, 1}, .a = {4, 7}, .diagonal = true},
        {.what = "a diagonal against A", .b = {9, 4}, .core = {1, 4}, .a = {3, 7}, .diagonal = true},
        {.what = "a deep diagonal", .b = {9, 4}, .core = {1, 4}, .a = {4, 7}, .depth = 2, .diagonal = true},
        {.what = "groups that do not divide m", .b = {9, 2}, .a = {4, 7}, .groups = 2},
        {.what = "groups against A", .b = {9, 2}, .a = {4, 7}, .groups = 3},
        {.what = "a core on a full matrix", .core = {9, 9}, .a = {9, 7}},
        {.what = "groups of a full matrix", .a = {9, 7}, .groups = 3},
        {.what = "a depth of a full matrix", .a = {9, 7}, .depth = 9},
        {.what = "another structure", .structure = (spectral_structure)3, .b = {9, 4}, .a = {4, 7}},
        {.what = "loha without a second", .structure = SPECTRAL_HADAMARD, .b = {9, 2}, .a = {2, 8}},
        {.what = "loha of other m", .structure = SPECTRAL_HADAMARD, .b = {9, 2}, .a = {2, 8}, .b2 = {8, 3}, .a2 = {3, 8}},
        {.what = "loha of other n", .structure = SPECTRAL_HADAMARD, .b = {9, 2}, .a = {2, 8}, .b2 = {9, 3}, .a2 = {3, 9}},
        {.what = "loha of other depth", .structure = SPECTRAL_HADAMARD, .b = {9, 2}, .core = {2, 18}, .a = {2, 8},
         .depth = 9, .b2 = {9, 2}, .core2 = {2, 2}, .a2 = {2, 8}},
        {.what = "rank of groups that overflows", .b = {2, large}, .a = {4, 1}, .groups = 8},
        {.what = "a depth that overflows", .b = {9, 1}, .core = {1, 4}, .a = {4, 7}, .depth = large},
        {.what = "bytes that overflow", .a = {large, 8}},
        {.what = "lokr without a second", .structure = SPECTRAL_KRONECKER, .b = {9, 2}, .a = {2, 8}},
        {.what = "lokr of a bad first", .structure = SPECTRAL_KRONECKER, .b = {9, 2}, .a = {3, 8}, .a2 = {3, 5}},
        {.what = "lokr of a bad second", .structure = SPECTRAL_KRONECKER, .a = {3, 5}, .b2 = {9, 2}, .a2 = {3, 8}},
    };
    check(cases, sizeof cases / sizeof *cases, SPECTRAL_E_SHAPE);
}

static void what_costs_too_much_has_none(void **state)
{
    (void)state;
    static const shape_case cases[] = {
        {.what = "rank", .b = {5000, 4097}, .a = {4097, 5000}},
        {.what = "a full matrix's rank", .a = {4097, 4097}},
        {.what = "rank of groups", .b = {2, 2049}, .a = {4098, 9}, .groups = 2},
        {.what = "the core's own rank", .b = {9, 1}, .core = {1, 4097}, .a = {4097, 7}},
        {.what = "entries of A with the core", .b = {4, 2}, .core = {2, 1 << 12}, .a = {1, 1 << 13}, .depth = 1 << 12},
        {.what = "work of the Gram matrices", .b = {3500, 3500}, .core = {3500, 1}, .a = {1, 3500}},
        {.what = "loha work", .structure = SPECTRAL_HADAMARD, .b = {4096, 64}, .a = {64, 4096}, .b2 = {4096, 64},
         .a2 = {64, 4096}},
        {.what = "lokr σ", .structure = SPECTRAL_KRONECKER, .a = {257, 300}, .a2 = {256, 256}},
        {.what = "lokr m", .structure = SPECTRAL_KRONECKER, .a = {4097, 1}, .a2 = {4096, 1}},
        {.what = "lokr n", .structure = SPECTRAL_KRONECKER, .a = {1, 4097}, .a2 = {1, 4096}},
        {.what = "lokr entries", .structure = SPECTRAL_KRONECKER, .a = {4000, 9000}, .a2 = {1, 1}},
    };
    check(cases, sizeof cases / sizeof *cases, SPECTRAL_E_LIMIT);
}

static void an_unknown_dtype_is_one_in_any_part(void **state)
{
    (void)state;
    static const shape_case cases[] = {
        {.structure = SPECTRAL_HADAMARD, .b = {9, 2}, .core = {2, 3}, .a = {3, 8}, .b2 = {9, 2}, .core2 = {2, 2}, .a2 = {2, 8}},
        {.structure = SPECTRAL_KRONECKER, .b = {9, 2}, .core = {2, 3}, .a = {3, 8}, .b2 = {9, 2}, .core2 = {2, 2}, .a2 = {2, 8}},
    };
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    for (size_t i = 0; i < 2; i++)
        for (const char *letter = "abcABC"; *letter; letter++) {
            structured s = {.shape = {0}};
            spectral_result result = {.status = SPECTRAL_OK};
            double u, sigma1;
            module_of(&cases[i], &s.module, &s.extra);
            s.module.extra = &s.extra;
            structured_part(&s, *letter)->dtype = (spectral_dtype)9;
            spectral_batch(engine, 0, &s.module, 1, NULL, NULL, NULL, &result);
            assert_int_equal(SPECTRAL_E_DTYPE, result.status);
            assert_int_equal(SPECTRAL_E_DTYPE, spectral_left_vector(engine, 0, &s.module, 0, NULL, &u, &sigma1));
        }
    spectral_engine_destroy(engine);
}

static void without_an_extra_there_must_be_a_b(void **state)
{
    (void)state;
    const spectral_module plain = {.a = sized(4, 7), .b = sized(9, 4), .scale = 1}, lone = {.a = sized(4, 7), .scale = 1};
    spectral_shape shape;
    assert_int_equal(SPECTRAL_OK, spectral_module_shape(&plain, &shape));
    assert_true(shape.m == 9 && shape.n == 7 && shape.n_sigma == 4 && shape.n_sigma_a == 4 && shape.n_sigma_b == 4);
    assert_int_equal(SPECTRAL_E_SHAPE, spectral_module_shape(&lone, &shape));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_that_fit_have_a_shape),
        cmocka_unit_test(parts_that_do_not_fit_have_none),
        cmocka_unit_test(what_costs_too_much_has_none),
        cmocka_unit_test(an_unknown_dtype_is_one_in_any_part),
        cmocka_unit_test(without_an_extra_there_must_be_a_b),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
