/* test_scratch.c - allocation failure at every index, once and from then on: the module says so, nothing leaks, and the
 * engine works again afterwards.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=free */
#include "tests/spectral/structures.h"

#include "spectral/cpu/scratch.h"

static size_t countdown; /* 0: never; 1: the next allocation fails */
static bool sticky, fired; /* fired: an allocation has failed */
static long living;

static bool refused(void)
{
    if (countdown == 0)
        return false;
    if (countdown > 1) {
        countdown--;
        return false;
    }
    countdown = sticky ? 1 : 0;
    fired = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *p);

static void *counted(void *p)
{
    living += p != NULL;
    return p;
}

void *__wrap_malloc(size_t size) { return refused() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t n, size_t size) { return refused() ? NULL : counted(__real_calloc(n, size)); }
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refused() ? NULL : counted(__real_aligned_alloc(alignment, size));
}
void __wrap_free(void *p)
{
    living -= p != NULL;
    __real_free(p);
}

static int read_module(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    const spectral_module *modules = ctx;
    memcpy(dst, factor == 'a' ? modules[index].a.data : modules[index].b.data, bytes);
    return 0;
}

enum { LONG = 110000 }; /* with it a module wants more than a scratch keeps: each large piece is an allocation */

/* One module of each path, read from a source into a fresh engine, and a left vector. False when something failed. */
static bool run_all(const spectral_module *modules, size_t n, spectral_result *results, bool retry)
{
    spectral_module unread[5];
    spectral_engine *engine;
    spectral_source source = {.read = read_module};
    union {
        const spectral_module *modules;
        void *ctx;
    } context = {modules};
    source.ctx = context.ctx;
    for (size_t i = 0; i < n; i++) {
        unread[i] = modules[i];
        unread[i].a.data = unread[i].b.data = NULL;
        results[i].status = SPECTRAL_E_MEMORY;
    }
    static double u[LONG];
    double sigma1;
    bool all = true;
    spectral_status status = spectral_engine_create(1, &engine);
    if (status != SPECTRAL_OK) {
        assert_int_equal(SPECTRAL_E_MEMORY, status);
        assert_null(engine);
        return false;
    }
    spectral_batch(engine, 0, unread, n, NULL, &source, NULL, results);
    for (size_t i = 0; i < n; i++) {
        assert_true(results[i].status == SPECTRAL_OK || results[i].status == SPECTRAL_E_MEMORY);
        all = all && results[i].status == SPECTRAL_OK;
        status = spectral_left_vector(engine, 0, &unread[i], i, &source, u, &sigma1);
        assert_true(status == SPECTRAL_OK || status == SPECTRAL_E_MEMORY);
        all = all && status == SPECTRAL_OK;
    }
    if (retry) {
        countdown = 0;
        spectral_batch(engine, 0, unread, n, NULL, &source, NULL, results);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(SPECTRAL_OK, results[i].status);
    }
    spectral_engine_destroy(engine);
    return all;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    enum { N = 5 };
    spectral_module modules[N] = {module_random(120, 200, 9, SPECTRAL_F32, ROW_MAJOR, 1),
                                  module_random(300, 250, 40, SPECTRAL_F64, COLUMN_MAJOR, 2),
                                  module_random(20, 900, 60, SPECTRAL_BF16, BOTH_STRIDED, 3),
                                  module_random(100, 90, 2, SPECTRAL_F64, ROW_MAJOR, 4),
                                  module_random(LONG, LONG, 2, SPECTRAL_F32, ROW_MAJOR, 5)};
    for (size_t i = 0; i < 100; i++) /* cancels: the QR path of both entry points */
        matrix_set(&modules[3].b, i, 1, ldexp(matrix_get(&modules[3].b, i, 1), -20) - matrix_get(&modules[3].b, i, 0));
    for (size_t j = 0; j < 90; j++)
        matrix_set(&modules[3].a, 1, j, matrix_get(&modules[3].a, 0, j));
    spectral_result results[N], expected[N];
    for (size_t i = 0; i < N; i++) {
        results[i] = result_create(&modules[i]);
        expected[i] = result_create(&modules[i]);
    }
    const long before = living;
    assert_true(run_all(modules, N, expected, false));
    assert_int_equal(before, living);
    for (int repeat = 0; repeat < 2; repeat++) {
        size_t at = 1;
        for (bool done = false; !done; at++) {
            sticky = repeat == 1;
            countdown = at;
            fired = false;
            bool all = run_all(modules, N, results, true);
            done = !fired;
            assert_true(all || fired);
            countdown = 0;
            assert_int_equal(before, living);
            for (size_t i = 0; i < N; i++)
                if (results[i].status == SPECTRAL_OK)
                    assert_memory_equal(expected[i].sigma, results[i].sigma, modules[i].a.rows * sizeof(double));
        }
        assert_true(at > 12); /* the loop has met the workspaces, not only the engine */
    }
    for (size_t i = 0; i < N; i++) {
        result_free(&results[i]);
        result_free(&expected[i]);
        module_free(&modules[i]);
    }
}

static int read_part(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    structured *modules = ctx;
    memcpy(dst, structured_part(&modules[index], factor)->data, bytes);
    return 0;
}

/* One module by both paths and its left vector, in a fresh engine. False when something failed. */
static bool run_structure(structured *module, const spectral_module *unread, spectral_result *result)
{
    const spectral_source source = {.ctx = module, .read = read_part};
    const spectral_options precise = {.precise = true};
    static double u[90 * 2000];
    spectral_engine *engine;
    double sigma1;
    bool all = true;
    result->status = SPECTRAL_E_MEMORY;
    if (spectral_engine_create(1, &engine) != SPECTRAL_OK)
        return false;
    for (int pass = 0; pass < 2; pass++) {
        spectral_batch(engine, 0, unread, 1, pass ? &precise : NULL, &source, NULL, result);
        assert_true(result->status == SPECTRAL_OK || result->status == SPECTRAL_E_MEMORY);
        all = all && result->status == SPECTRAL_OK;
    }
    spectral_status status = spectral_left_vector(engine, 0, unread, 0, &source, u, &sigma1);
    assert_true(status == SPECTRAL_OK || status == SPECTRAL_E_MEMORY);
    spectral_engine_destroy(engine);
    return all && status == SPECTRAL_OK;
}

static void every_allocation_of_a_structure_may_fail(void **state)
{
    (void)state;
    static const structure_spec specs[] = {
        {SPECTRAL_PRODUCT, {.m = 160, .n = 20, .r = 8, .q = 9, .depth = 9}, {0}},
        {SPECTRAL_PRODUCT, {.m = 250, .n = 150, .r = 5, .groups = 2}, {0}},
        {SPECTRAL_PRODUCT, {.m = 150, .n = 140}, {0}},
        {SPECTRAL_HADAMARD, {.m = 120, .n = 200, .r = 4}, {.m = 120, .n = 200, .r = 5}},
        {SPECTRAL_HADAMARD, {.m = 90, .n = 130, .r = 10}, {.m = 90, .n = 130, .r = 10}},
        {SPECTRAL_KRONECKER, {.m = 9, .n = 8, .r = 3}, {.m = 20, .n = 90}},
        {SPECTRAL_HADAMARD, {.m = 70000, .n = 60000, .r = 2}, {.m = 70000, .n = 60000, .r = 1}},
        {SPECTRAL_HADAMARD, {.m = 90, .n = 4000, .r = 10}, {.m = 90, .n = 4000, .r = 10}},
        {SPECTRAL_PRODUCT, {.m = 50000, .n = 30000, .r = 2, .q = 2, .depth = 4}, {0}},
        {SPECTRAL_KRONECKER, {.m = 90, .n = 3000, .r = 20}, {.m = 2000, .n = 100, .q = 3, .r = 3}},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        structured module, copy;
        structured_create(&module, &specs[i], 2, i);
        copy = module;
        copy.module.extra = &copy.extra;
        for (const char *letter = "abcABC"; *letter; letter++)
            structured_part(&copy, *letter)->data = NULL;
        spectral_result result = shape_result(&module.shape), expected = shape_result(&module.shape);
        const long before = living;
        assert_true(run_structure(&module, &copy.module, &expected));
        assert_int_equal(before, living);
        for (int repeat = 0; repeat < 2; repeat++) {
            size_t at = 1;
            for (bool done = false; !done; at++) {
                sticky = repeat == 1;
                countdown = at;
                fired = false;
                assert_true(run_structure(&module, &copy.module, &result) || fired);
                done = !fired;
                countdown = 0;
                assert_int_equal(before, living);
                if (result.status == SPECTRAL_OK)
                    assert_memory_equal(expected.sigma, result.sigma, module.shape.n_sigma * sizeof(double));
            }
            assert_true(at > (spectral_module_memory(&copy.module, NULL) > SCRATCH_KEPT ? 10 : 3));
        }
        values_free(&result);
        values_free(&expected);
        structured_free(&module);
    }
}

static void a_second_run_of_the_same_size_allocates_nothing(void **state)
{
    (void)state;
    spectral_module module = module_random(120, 200, 9, SPECTRAL_F32, ROW_MAJOR, 5);
    spectral_result result = result_create(&module);
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_options precise = {.precise = true};
    for (int i = 0; i < 2; i++)
        spectral_batch(engine, 0, &module, 1, &precise, NULL, NULL, &result);
    sticky = true;
    countdown = 1;
    for (int i = 0; i < 3; i++) {
        spectral_batch(engine, 0, &module, 1, i == 2 ? &precise : NULL, NULL, NULL, &result);
        assert_int_equal(SPECTRAL_OK, result.status);
    }
    countdown = 0;
    spectral_engine_destroy(engine);
    result_free(&result);
    module_free(&module);
}

static void pieces_are_aligned_apart_and_bounded(void **state)
{
    (void)state;
    scratch s = {0};
    unsigned char *pieces[40];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 40; i++) {
            pieces[i] = scratch_take_zeroed(&s, 37 * (i + 1), i % 9 * 7 + 1);
            assert_non_null(pieces[i]);
            assert_true((uintptr_t)pieces[i] % 64 == 0);
            memset(pieces[i], (int)i, 37 * (i + 1) * (i % 9 * 7 + 1));
        }
        for (size_t i = 0; i < 40; i++)
            assert_true(pieces[i][0] == i && pieces[i][37 * (i + 1) * (i % 9 * 7 + 1) - 1] == i);
        scratch_reset(&s, round * 40000);
    }
    assert_null(scratch_take(&s, SIZE_MAX, 2));
    assert_null(scratch_take(&s, SIZE_MAX, 1));
    scratch_free(&s);
    scratch_free(&s);
}

static void a_release_takes_back_what_was_taken_since_the_mark(void **state)
{
    (void)state;
    static const size_t expected[] = {0, SCRATCH_KEPT, SCRATCH_KEPT + 1}; /* the second has room for both large pieces */
    for (size_t i = 0; i < 3; i++) {
        scratch s = {0};
        const long before = living;
        scratch_reset(&s, expected[i]);
        unsigned char *kept = scratch_take_zeroed(&s, 1000, 1), *large = scratch_take_zeroed(&s, SCRATCH_LARGE, 2);
        assert_true(kept && large);
        const scratch_place place = scratch_mark(&s);
        const long held = living;
        void *first = scratch_take(&s, 100, 1);
        for (size_t round = 0; round < 5; round++) {
            for (size_t k = 0; k < 9; k++)
                memset(scratch_take(&s, SCRATCH_LARGE, k % 3 + 1), 7, SCRATCH_LARGE);
            for (size_t k = 0; k < 90; k++)
                memset(scratch_take(&s, SCRATCH_LARGE - 1, 1), 7, SCRATCH_LARGE - 1);
            scratch_release(&s, place);
            assert_int_equal(held, living);
            assert_ptr_equal(first, scratch_take(&s, 100, 1));
        }
        assert_true(kept[0] == 0 && kept[999] == 0 && large[0] == 0 && large[2 * SCRATCH_LARGE - 1] == 0);
        scratch_trim(&s);
        assert_int_equal(before + 1, living); /* one chunk */
        scratch_free(&s);
        assert_int_equal(before, living);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_allocation_of_a_structure_may_fail),
        cmocka_unit_test(a_second_run_of_the_same_size_allocates_nothing),
        cmocka_unit_test(a_release_takes_back_what_was_taken_since_the_mark),
        cmocka_unit_test(pieces_are_aligned_apart_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
