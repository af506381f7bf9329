/* kernels_portable.c - the inner loops without any instruction-set extension: two doubles at a time, any processor.
 * SPDX-License-Identifier: Apache-2.0
 */
#define KERNEL_WIDTH 2
#define KERNEL_TARGET
#define KERNEL_TABLE kernels_portable
#define KERNEL_NAME "portable"
#define KERNEL_FMA(a, b, c) ((a) * (b) + (c))
#define KERNEL_MIN(a, b) choose((a) < (b), (a), (b))
#define KERNEL_MAX(a, b) choose((a) > (b), (a), (b))
#define KERNEL_TOTAL(v) ((v)[0] + (v)[1])
#define KERNEL_F32_TO_F64(f) __builtin_convertvector((f), vd)
#define KERNEL_U16_TO_U32(h) __builtin_convertvector((h), vw)
#define KERNEL_DOT_COLS 2
#define KERNEL_TILE_ROWS 4

#include "spectral/cpu/kernels_body.inc"
