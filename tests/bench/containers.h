/* containers.h - an adapter of many small factors, written in each container.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BENCH_CONTAINERS_H
#define BENCH_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct {
    const char *name, *ending;
    bool (*write)(FILE *f, size_t n_tensors); /* n_tensors / 2 modules of rank 4, 16 x 16, F32 */
} bench_container;

extern const bench_container bench_containers[];
extern const size_t bench_n_containers;

#endif
