/* alloc_fault.c - see alloc_fault.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/alloc_fault.h"

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_long left = LONG_MAX; /* allocations before the fault */
static atomic_long n_refused;
static atomic_bool once;

void alloc_fault_after(long k, alloc_fault_kind kind)
{
    n_refused = 0;
    once = kind == ALLOC_FAULT_ONCE;
    left = k;
}

bool alloc_fault_end(void)
{
    left = LONG_MAX;
    return n_refused > 0;
}

static bool refused(void)
{
    if (left == LONG_MAX)
        return false;
    long before = atomic_fetch_sub(&left, 1);
    if (before > 0 || (once && before < 0))
        return false;
    n_refused++;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    return refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refused() ? NULL : __real_realloc(p, n);
}
