/* The worker pool: every index once, loops inside loops, numbers of workers that never meet.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 2000, WORKERS = 4 };

typedef struct {
    pool *p;
    atomic_int hits[MANY];
    atomic_int inside[WORKERS]; /* tasks that run with this number now */
    atomic_int bad;
} tally;

static void leaf(void *arg, size_t index, size_t worker)
{
    tally *t = arg;
    if (worker >= pool_workers(t->p))
        t->bad++;
    else if (t->inside[worker]++ != 0)
        t->bad++;
    t->hits[index]++;
    t->inside[worker]--;
}

static void every_index_is_run_once(void **state)
{
    (void)state;
    for (size_t workers = 1; workers <= WORKERS; workers++) {
        tally *t = calloc(1, sizeof *t);
        t->p = pool_create(workers);
        assert_int_equal(pool_workers(t->p), workers);
        for (int round = 1; round <= 20; round++) {
            pool_run(t->p, 0, MANY, leaf, t);
            for (int i = 0; i < MANY; i++)
                assert_int_equal(t->hits[i], round);
        }
        pool_run(t->p, 0, 0, leaf, t);
        assert_int_equal(t->bad, 0);
        pool_destroy(t->p);
        free(t);
    }
}

static void outer(void *arg, size_t index, size_t worker)
{
    tally *t = arg;
    (void)index;
    pool_run(t->p, worker, 10, leaf, t);
}

static void loops_inside_loops_finish(void **state)
{
    (void)state;
    tally *t = calloc(1, sizeof *t);
    t->p = pool_create(WORKERS);
    pool_run(t->p, 0, 300, outer, t);
    for (int i = 0; i < 10; i++)
        assert_int_equal(t->hits[i], 300);
    assert_int_equal(t->bad, 0);
    pool_destroy(t->p);
    free(t);
}

static void destroying_nothing_is_allowed(void **state)
{
    (void)state;
    pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_run_once),
        cmocka_unit_test(loops_inside_loops_finish),
        cmocka_unit_test(destroying_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
