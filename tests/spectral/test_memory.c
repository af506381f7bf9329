/* test_memory.c - no module makes a worker allocate more than spectral_module_memory says, nor much less: every structure,
 * dtype and layout, ranks 1 to 512, tall and wide, both paths, all ways to the kurtosis, and the left vector.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=free */
#include "tests/spectral/structures.h"

#include <malloc.h>

static size_t live, most, held, reached; /* held: by an engine in use, and the most that it held */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *p);

static void *counted(void *p)
{
    live += p != NULL ? malloc_usable_size(p) : 0;
    most = live > most ? live : most;
    return p;
}

void *__wrap_malloc(size_t size) { return counted(__real_malloc(size)); }
void *__wrap_calloc(size_t n, size_t size) { return counted(__real_calloc(n, size)); }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return counted(__real_aligned_alloc(alignment, size)); }
void *__wrap_realloc(void *p, size_t size)
{
    live -= p != NULL ? malloc_usable_size(p) : 0;
    return counted(__real_realloc(p, size));
}
void __wrap_free(void *p)
{
    live -= p != NULL ? malloc_usable_size(p) : 0;
    __real_free(p);
}

enum { ROUNDING = 8 << 10 }; /* of the allocator, and alignments to 64 of parts delivered */
static const size_t kept = (size_t)6 << 20;

static int read_part(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    (void)index;
    memcpy(dst, structured_part(ctx, factor)->data, bytes);
    return 0;
}

static const spectral_options ways[] = {{0}, {.precise = true}, {.all_rows = true}, {.n_rows = 200}, {.n_rows = 1}};
enum { N_WAYS = sizeof ways / sizeof *ways };

/* In one engine, what it keeps included. ways_tried: of the above. */
static void check(structured *s, const char *what, size_t ways_tried, spectral_engine *used)
{
    structured unread = *s;
    unread.module.extra = s->module.extra != NULL ? &unread.extra : NULL;
    for (const char *letter = "abcABC"; *letter; letter++)
        structured_part(&unread, *letter)->data = NULL;
    const spectral_source source = {.ctx = s, .read = read_part};
    spectral_result result = shape_result(&s->shape);
    double *u = calloc(s->shape.m, sizeof *u), sigma1;
    size_t seen = 0, bound = 0;
    assert_non_null(u);
    for (size_t way = 0; way <= ways_tried; way++) {
        const spectral_options *options = way < ways_tried ? &ways[way] : NULL;
        const size_t allowed = spectral_module_memory(&unread.module, options);
        spectral_engine *engine = used;
        if (used == NULL)
            assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
        const size_t before = live;
        most = live;
        if (way == ways_tried)
            result.status = spectral_left_vector(engine, 0, &unread.module, 0, &source, u, &sigma1);
        else
            spectral_batch(engine, 0, &unread.module, 1, options, &source, NULL, &result);
        if (result.status != SPECTRAL_OK)
            fail_msg("%s, way %zu: %s", what, way, spectral_status_text(result.status));
        reached = most - before + held > reached ? most - before + held : reached;
        held = held + live - before;
        if (used == NULL) {
            if (most - before > allowed + ROUNDING)
                fail_msg("%s, way %zu: %zu bytes, allowed %zu", what, way, most - before, allowed);
            assert_true(live - before <= kept + ROUNDING);
            seen = most - before > seen ? most - before : seen;
            bound = allowed > bound ? allowed : bound;
            spectral_engine_destroy(engine);
        }
    }
    if (used == NULL && bound > seen + seen / 2 + ((size_t)1 << 20))
        fail_msg("%s: at most %zu bytes, allowed %zu", what, seen, bound);
    free(u);
    values_free(&result);
}

static structured plain_create(size_t m, size_t n, size_t r, unsigned mix, uint64_t seed)
{
    structured s = {.module = module_random(m, n, r, (spectral_dtype)(mix % 4), (oracle_layout)(mix / 4 % N_LAYOUTS), seed)};
    assert_int_equal(SPECTRAL_OK, spectral_module_shape(&s.module, &s.shape));
    return s;
}

static void plain_modules_stay_within_their_bound(void **state)
{
    (void)state;
    static const size_t ranks[] = {1, 2, 7, 16, 17, 40, 64, 129, 255, 257, 512}, sides[][2] = {{60, 700}, {900, 50}, {530, 520}};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        for (size_t k = ranks[i] > 129 ? 2 : 0; k < 3; k++)
            for (unsigned mix = (unsigned)i % 4; mix < 16; mix += ranks[i] > 129 ? 16 : ranks[i] > 40 ? 7 : 1) {
                char what[80];
                structured s = plain_create(sides[k][0], sides[k][1], ranks[i], mix, i + k);
                snprintf(what, sizeof what, "rank %zu at %zu x %zu, mix %u", ranks[i], sides[k][0], sides[k][1], mix);
                check(&s, what, ranks[i] > 64 ? 3 : N_WAYS, NULL);
                structured_free(&s);
            }
}

static const structure_spec large_ones[] = {
    {SPECTRAL_PRODUCT, {.m = 900, .n = 300, .r = 64, .q = 48, .depth = 9}, {0}},
    {SPECTRAL_PRODUCT, {.m = 900, .n = 2000, .r = 200, .q = 200, .diagonal = true}, {0}},
    {SPECTRAL_PRODUCT, {.m = 3000, .n = 800, .r = 60, .groups = 5}, {0}},
    {SPECTRAL_PRODUCT, {.m = 300, .n = 400, .r = 60, .groups = 6}, {0}},
    {SPECTRAL_PRODUCT, {.m = 200, .n = 2000}, {0}},
    {SPECTRAL_PRODUCT, {.m = 2000, .n = 310}, {0}},
    {SPECTRAL_HADAMARD, {.m = 3000, .n = 900, .r = 16}, {.m = 3000, .n = 900, .r = 17}},
    {SPECTRAL_HADAMARD, {.m = 700, .n = 300, .r = 20, .q = 20, .depth = 2}, {.m = 700, .n = 600, .r = 10}},
    {SPECTRAL_HADAMARD, {.m = 500, .n = 400, .r = 30}, {.m = 500, .n = 400, .r = 40}},
    {SPECTRAL_HADAMARD, {.m = 500, .n = 400, .r = 20}, {.m = 500, .n = 400}},
    {SPECTRAL_HADAMARD, {.m = 300, .n = 500, .r = 4, .groups = 3}, {.m = 300, .n = 500, .r = 5}},
    {SPECTRAL_KRONECKER, {.m = 4, .n = 4}, {.m = 640, .n = 700}},
    {SPECTRAL_KRONECKER, {.m = 1500, .n = 60, .r = 20}, {.m = 8, .n = 2000, .r = 3, .q = 20}},
    {SPECTRAL_KRONECKER, {.m = 200, .n = 250}, {.m = 300, .n = 220}},
};

static void structures_stay_within_their_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS + sizeof large_ones / sizeof *large_ones; i++)
        for (unsigned mix = i < N_KINDS ? 0 : (unsigned)i; mix < 32; mix += i < N_KINDS ? 1 : 16) {
            const structure_spec *spec = i < N_KINDS ? &one_of_each[i] : &large_ones[i - N_KINDS];
            char what[80];
            structured s;
            structured_create(&s, spec, mix, i);
            snprintf(what, sizeof what, "structure %zu, mix %u", i, mix);
            check(&s, what, i < N_KINDS ? N_WAYS : 3, NULL);
            structured_free(&s);
        }
}

/* The bound of the largest, or what is kept: whatever came before. */
static void what_a_worker_held_does_not_add_up(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{800, 900, 30}, {900, 700, 300}, {1000, 3000, 100}, {600, 8000, 90}, {3000, 5000, 7}, {900, 900, 400}};
    spectral_engine *engine;
    size_t bound = kept;
    const size_t start = live;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    held = reached = 0;
    for (unsigned i = 0; i < 12; i++) {
        structured s = plain_create(shapes[i % 6][0], shapes[i % 6][1], shapes[i % 6][2], i, i);
        const size_t needed = spectral_module_memory(&s.module, NULL);
        bound = needed > bound ? needed : bound;
        check(&s, "one of several", 1, engine);
        assert_true(reached <= bound + ROUNDING && held <= kept + ROUNDING);
        structured_free(&s);
    }
    spectral_engine_destroy(engine);
    assert_int_equal(start, live);
}

static void what_has_no_shape_has_no_bound(void **state)
{
    (void)state;
    const size_t large = (size_t)1 << 60;
    spectral_module module = {.a = {.dtype = SPECTRAL_F16, .rows = 4, .cols = 9, .row_stride = 9, .col_stride = 1},
                              .b = {.dtype = SPECTRAL_F16, .rows = 9, .cols = 5, .row_stride = 5, .col_stride = 1}};
    assert_true(spectral_module_memory(&module, NULL) == SIZE_MAX);
    module.b.cols = module.b.row_stride = 4;
    assert_true(spectral_module_memory(&module, NULL) < (size_t)1 << 20);
    module.a.cols = module.a.row_stride = large;
    module.b.rows = large;
    assert_true(spectral_module_memory(&module, NULL) == SIZE_MAX);
    module.a.dtype = (spectral_dtype)9;
    assert_true(spectral_module_memory(&module, NULL) == SIZE_MAX);
}

/* A file of 1.4 MB can hold these: what they may make a run allocate is known. */
static void products_of_parts_are_not_stored(void **state)
{
    (void)state;
    spectral_extra extra = {.structure = SPECTRAL_HADAMARD};
    const spectral_view a = {.dtype = SPECTRAL_F16, .rows = 32, .cols = 4096, .row_stride = 4096, .col_stride = 1};
    const spectral_view b = {.dtype = SPECTRAL_F16, .rows = 4096, .cols = 32, .row_stride = 32, .col_stride = 1};
    extra.a2 = a;
    extra.b2 = b;
    const spectral_module module = {.a = a, .b = b, .scale = 1, .extra = &extra};
    assert_true(spectral_module_memory(&module, NULL) < (size_t)33 << 20);
    extra.a2.rows = extra.b2.cols = extra.b2.row_stride = 16;
    assert_true(spectral_module_memory(&module, NULL) < (size_t)13 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_modules_stay_within_their_bound),
        cmocka_unit_test(structures_stay_within_their_bound),
        cmocka_unit_test(what_a_worker_held_does_not_add_up),
        cmocka_unit_test(what_has_no_shape_has_no_bound),
        cmocka_unit_test(products_of_parts_are_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
