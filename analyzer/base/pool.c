/* pool.c - worker threads and nested loops.
 *
 * Every running loop is a `loop` on its caller's stack, linked in a list whose head is the innermost. All fields are
 * guarded by one lock: a task here is milliseconds of numerics, so the lock is never hot. A loop leaves the list when
 * its last index was handed out; its caller returns when the last of them is done.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct loop {
    void (*task)(void *arg, size_t index, size_t worker);
    void *arg;
    size_t n, next, done;
    struct loop *outer;
} loop;

typedef struct {
    pool *owner;
    size_t number;
    pthread_t thread;
} worker_thread;

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a loop was added, a loop was completed, or the pool is closing */
    loop *innermost;
    bool closing;
    size_t n_workers, n_started;
    worker_thread *threads; /* n_workers - 1 */
};

/* Run the next index of l. Called with the lock held, returns with it held. */
static void run_one(pool *p, loop *l, size_t worker)
{
    size_t index = l->next++;
    if (l->next == l->n) { /* handed out: nobody else may look at it */
        loop **link = &p->innermost;
        while (*link != l)
            link = &(*link)->outer;
        *link = l->outer;
    }
    pthread_mutex_unlock(&p->lock);
    l->task(l->arg, index, worker);
    pthread_mutex_lock(&p->lock);
    if (++l->done == l->n)
        pthread_cond_broadcast(&p->changed);
}

static void *work(void *arg)
{
    worker_thread *self = arg;
    pool *p = self->owner;
    pthread_mutex_lock(&p->lock);
    while (!p->closing) {
        if (p->innermost)
            run_one(p, p->innermost, self->number);
        else
            pthread_cond_wait(&p->changed, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

pool *pool_create(size_t n_workers)
{
    pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->n_workers = n_workers;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    if (n_workers > 1) {
        p->threads = calloc(n_workers - 1, sizeof *p->threads);
        if (!p->threads)
            goto fail;
    }
    for (; p->n_started + 1 < n_workers; p->n_started++) {
        worker_thread *t = &p->threads[p->n_started];
        t->owner = p;
        t->number = p->n_started + 1;
        if (pthread_create(&t->thread, NULL, work, t) != 0)
            goto fail;
    }
    return p;
fail:
    pool_destroy(p);
    return NULL;
}

void pool_destroy(pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_started; i++)
        pthread_join(p->threads[i].thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}

size_t pool_workers(const pool *p)
{
    return p->n_workers;
}

void pool_run(pool *p, size_t worker, size_t n, void (*task)(void *arg, size_t index, size_t worker), void *arg)
{
    if (n == 0)
        return;
    loop l = {.task = task, .arg = arg, .n = n};
    pthread_mutex_lock(&p->lock);
    l.outer = p->innermost;
    /* cppcheck-suppress autoVariables; l leaves the list before this function returns */
    p->innermost = &l;
    if (n > 1)
        pthread_cond_broadcast(&p->changed);
    while (l.next < l.n)
        run_one(p, &l, worker);
    while (l.done < l.n)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
