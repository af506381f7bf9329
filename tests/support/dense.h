/* dense.h - the oracle for whole adapters: ΔW formed in float64 and decomposed by LAPACK.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_DENSE_H
#define TEST_DENSE_H

#include "analyzer/adapter/layout.h"

/* dense_factor - a factor of an open file as float64, row-major, in malloc'd memory. */
double *dense_factor(const file *f, const lora_factor *factor);

/* dense_singular_values - the min(rows, cols) singular values of x (rows × cols, row-major; destroyed), descending. */
void dense_singular_values(double *x, size_t rows, size_t cols, double *sigma);

/* dense_update - ΔW (m × n, row-major) of a module of any structure, in malloc'd memory. */
double *dense_update(const file *f, const lora_module *m);

#endif
