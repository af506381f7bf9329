/* direction_kernels_portable.c - the inner loops without any instruction-set extension: two doubles at a time, any processor.
 * SPDX-License-Identifier: Apache-2.0
 */
#define KERNEL_WIDTH 2
#define KERNEL_TARGET
#define KERNEL_TABLE direction_kernels_portable
#define KERNEL_NAME "portable"
#define KERNEL_FMA(a, b, c) ((a) * (b) + (c))
#define KERNEL_FMA_F32(a, b, c) ((a) * (b) + (c))
#define KERNEL_TOTAL(v) ((v)[0] + (v)[1])
#define KERNEL_F32_TO_F64(f) __builtin_convertvector((f), vd)
#define KERNEL_TILE_VECTORS 4
#define KERNEL_TILE_LANES 2
#define KERNEL_GRAM_ROWS 2
#define KERNEL_DOT_COLUMNS 2

#include "classifiers/safety/direction_kernels_body.inc"
