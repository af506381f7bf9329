/* direction_kernels_avx2.c - the inner loops with AVX2 and FMA: four doubles at a time, sixteen registers.
 * SPDX-License-Identifier: Apache-2.0
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_WIDTH 4
#define KERNEL_TARGET __attribute__((target("avx2,fma")))
#define KERNEL_TABLE direction_kernels_avx2
#define KERNEL_NAME "AVX2"
#define KERNEL_FMA(a, b, c) ((vd)_mm256_fmadd_pd((a), (b), (c)))
#define KERNEL_FMA_F32(a, b, c) ((vf)_mm256_fmadd_ps((a), (b), (c)))
#define KERNEL_TOTAL(v) (((v)[0] + (v)[1]) + ((v)[2] + (v)[3]))
#define KERNEL_F32_TO_F64(f) ((vd)_mm256_cvtps_pd((__m128)(f)))
#define KERNEL_TILE_VECTORS 4
#define KERNEL_TILE_LANES 3
#define KERNEL_GRAM_ROWS 4
#define KERNEL_DOT_COLUMNS 2

#include "classifiers/safety/direction_kernels_body.inc"
#endif
typedef int direction_kernels_avx2_is_not_empty;
