/* test_engine.c - batches: sources, executors, and one module's failure beside the others' success.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

#include <pthread.h>

enum { N_MODULES = 24 };

typedef struct {
    spectral_module modules[N_MODULES];
    spectral_result results[N_MODULES];
} batch;

static batch *batch_create(void)
{
    batch *b = calloc(1, sizeof *b);
    assert_non_null(b);
    for (size_t i = 0; i < N_MODULES; i++) {
        b->modules[i] = module_random(20 + 37 * i % 300, 30 + 91 * i % 700, 1 + 5 * i % 17, (spectral_dtype)(i % 4),
                                      (oracle_layout)(i / 4 % N_LAYOUTS), i);
        b->results[i] = result_create(&b->modules[i]);
    }
    return b;
}

static void batch_free(batch *b)
{
    for (size_t i = 0; i < N_MODULES; i++) {
        module_free(&b->modules[i]);
        result_free(&b->results[i]);
    }
    free(b);
}

static void batches_equal(const batch *x, const batch *y)
{
    for (size_t i = 0; i < N_MODULES; i++) {
        const spectral_result *p = &x->results[i], *q = &y->results[i];
        const size_t r = x->modules[i].a.rows + 1;
        assert_int_equal(p->status, q->status);
        assert_int_equal(p->path, q->path);
        assert_memory_equal(p->sigma, q->sigma, r * sizeof(double));
        assert_memory_equal(p->sigma_a, q->sigma_a, r * sizeof(double));
        assert_memory_equal(p->sigma_b, q->sigma_b, r * sizeof(double));
        assert_memory_equal(&p->frobenius, &q->frobenius, 5 * sizeof(double)); /* to gram_gap */
        assert_memory_equal(&p->a, &q->a, sizeof p->a);
        assert_memory_equal(&p->b, &q->b, sizeof p->b);
    }
}

/* ---- an executor of four threads, which deal the modules out in turn ---- */

typedef struct {
    size_t first, n;
    void (*task)(void *, size_t, size_t);
    void *arg;
} share;

static void *share_run(void *context)
{
    const share *s = context;
    for (size_t i = s->first; i < s->n; i += 4)
        s->task(s->arg, i, s->first);
    return NULL;
}

static void four_threads(void *ctx, size_t worker, size_t n, void (*task)(void *, size_t, size_t), void *arg)
{
    pthread_t threads[4];
    share shares[4];
    (void)ctx;
    (void)worker;
    for (size_t t = 0; t < 4; t++) {
        shares[t] = (share){t, n, task, arg};
        assert_int_equal(0, pthread_create(&threads[t], NULL, share_run, &shares[t]));
    }
    for (size_t t = 0; t < 4; t++)
        assert_int_equal(0, pthread_join(threads[t], NULL));
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    batch *serial = batch_create(), *parallel = batch_create();
    spectral_engine *engine;
    spectral_executor executor = {.run = four_threads};
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(4, &engine));
    spectral_batch(engine, 2, serial->modules, N_MODULES, NULL, NULL, NULL, serial->results);
    spectral_batch(engine, 0, parallel->modules, N_MODULES, NULL, NULL, &executor, parallel->results);
    batches_equal(serial, parallel);
    spectral_engine_destroy(engine);
    batch_free(serial);
    batch_free(parallel);
}

/* ---- sources ---- */

typedef struct {
    const batch *original;
    size_t failing; /* module whose A cannot be read */
    char last;      /* the factor asked for last */
} memory_source;

static int memory_read(void *ctx, size_t index, char factor, void *dst, size_t bytes)
{
    memory_source *source = ctx;
    const spectral_module *module = &source->original->modules[index];
    const spectral_view *view = factor == 'a' ? &module->a : &module->b;
    assert_true(factor == 'b' || (factor == 'a' && source->last == 'b'));
    source->last = factor;
    assert_int_equal(spectral_view_bytes(view), bytes);
    if (index == source->failing && factor == 'a')
        return -1;
    memcpy(dst, view->data, bytes);
    return 0;
}

static void a_source_gives_the_same_bits_as_memory(void **state)
{
    (void)state;
    batch *direct = batch_create(), *read = batch_create();
    spectral_engine *engine;
    memory_source context = {.original = direct, .failing = N_MODULES};
    spectral_source source = {.ctx = &context, .read = memory_read};
    spectral_module modules[N_MODULES];
    memcpy(modules, read->modules, sizeof modules);
    for (size_t i = 0; i < N_MODULES; i++)
        modules[i].a.data = modules[i].b.data = NULL;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_batch(engine, 0, direct->modules, N_MODULES, NULL, NULL, NULL, direct->results);
    spectral_batch(engine, 0, modules, N_MODULES, NULL, &source, NULL, read->results);
    batches_equal(direct, read);
    double u[400], v[400], s, t;
    assert_int_equal(SPECTRAL_OK, spectral_left_vector(engine, 0, &modules[5], 5, &source, u, &s));
    assert_int_equal(SPECTRAL_OK, spectral_left_vector(engine, 0, &direct->modules[5], 5, NULL, v, &t));
    assert_memory_equal(u, v, modules[5].b.rows * sizeof *u);
    assert_true(s == t);
    spectral_engine_destroy(engine);
    batch_free(direct);
    batch_free(read);
}

static void one_bad_module_stops_no_other(void **state)
{
    (void)state;
    batch *good = batch_create(), *mixed = batch_create();
    spectral_engine *engine;
    memory_source context = {.original = mixed, .failing = 11};
    spectral_source source = {.ctx = &context, .read = memory_read};
    spectral_module modules[N_MODULES];
    memcpy(modules, mixed->modules, sizeof modules);
    modules[1].a.cols = 0;
    modules[2].b.cols++;
    modules[3].a.dtype = (spectral_dtype)9;
    modules[4].scale = NAN;
    matrix_set(&modules[5].a, 0, 3, NAN);
    matrix_set(&modules[5].a, 1, 3, -INFINITY);
    matrix_set(&modules[5].b, 2, 1, INFINITY);
    matrix_set(&modules[8].b, 2, 1, NAN); /* float64 */
    modules[6].a.rows = modules[6].b.cols = SPECTRAL_MAX_RANK + 1;
    modules[7].a.row_stride = SIZE_MAX / 2;
    modules[11].a.data = modules[11].b.data = NULL;
    mixed->results[1].frobenius = -3;
    const spectral_status expected[N_MODULES] = {
        [1] = SPECTRAL_E_SHAPE,     [2] = SPECTRAL_E_SHAPE,  [3] = SPECTRAL_E_DTYPE, [4] = SPECTRAL_E_NONFINITE,
        [5] = SPECTRAL_E_NONFINITE, [6] = SPECTRAL_E_LIMIT,  [7] = SPECTRAL_E_SHAPE, [8] = SPECTRAL_E_NONFINITE,
        [11] = SPECTRAL_E_READ};
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    spectral_batch(engine, 0, good->modules, N_MODULES, NULL, NULL, NULL, good->results);
    spectral_batch(engine, 0, modules, N_MODULES, NULL, &source, NULL, mixed->results);
    for (size_t i = 0; i < N_MODULES; i++) {
        assert_int_equal(expected[i], mixed->results[i].status);
        if (expected[i] == SPECTRAL_OK)
            assert_memory_equal(good->results[i].sigma, mixed->results[i].sigma, sizeof(double));
        else
            assert_true(mixed->results[i].sigma[0] == 0);
    }
    assert_true(mixed->results[1].frobenius == -3);
    assert_true(mixed->results[4].a.n_nonfinite == 0 && mixed->results[4].b.n_nonfinite == 0);
    assert_true(mixed->results[5].a.n_nonfinite == 2 && mixed->results[5].b.n_nonfinite == 1);
    assert_true(mixed->results[8].a.n_nonfinite == 0 && mixed->results[8].b.n_nonfinite == 1);
    spectral_batch(engine, 0, modules + 11, 1, NULL, NULL, NULL, mixed->results + 11); /* no source at all */
    assert_int_equal(SPECTRAL_E_READ, mixed->results[11].status);
    spectral_engine_destroy(engine);
    batch_free(good);
    batch_free(mixed);
}

static void the_name_tells_the_backend_and_its_library(void **state)
{
    (void)state;
    spectral_engine *engine;
    assert_int_equal(SPECTRAL_OK, spectral_engine_create(1, &engine));
    assert_memory_equal("cpu (", spectral_engine_name(engine), 5);
    assert_non_null(strstr(spectral_engine_name(engine), "OpenBLAS"));
    spectral_batch(engine, 0, NULL, 0, NULL, NULL, NULL, NULL);
    spectral_engine_destroy(engine);
    spectral_engine_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(a_source_gives_the_same_bits_as_memory),
        cmocka_unit_test(one_bad_module_stops_no_other),
        cmocka_unit_test(the_name_tells_the_backend_and_its_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
