/* pool.h - a fixed set of worker threads that run loops, also loops inside loops.
 *
 * pool_run may be called from within a task: an audit of one file runs as a task and spreads its modules over whichever
 * workers are idle. A worker that looks for work takes it from the innermost loop, so that files that were begun are
 * finished first. Worker 0 is the thread that created the pool; it works inside pool_run.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_POOL_H
#define LORAUDIT_POOL_H

#include <stddef.h>

typedef struct pool pool;

/* pool_create - n_workers ≥ 1 workers, the caller included; NULL without memory or threads. */
pool *pool_create(size_t n_workers);
void pool_destroy(pool *p); /* NULL is accepted; no loop may be running */
size_t pool_workers(const pool *p);

/* pool_run - call task(arg, i, worker) once for each i < n; returns when all calls have returned.
 * In:     worker: the calling thread's own number, 0 outside tasks. No two tasks run with the same number at one time,
 *         except that a task which calls pool_run lends its number to the tasks it then runs itself
 * Cost:   one lock an index */
void pool_run(pool *p, size_t worker, size_t n, void (*task)(void *arg, size_t index, size_t worker), void *arg);

#endif
