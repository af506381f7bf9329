/* direction_kernels_avx512.c - the inner loops with AVX-512: eight doubles at a time, thirty-two registers.
 * SPDX-License-Identifier: Apache-2.0
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_WIDTH 8
#define KERNEL_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,fma")))
#define KERNEL_TABLE direction_kernels_avx512
#define KERNEL_NAME "AVX-512"
#define KERNEL_FMA(a, b, c) ((vd)_mm512_fmadd_pd((a), (b), (c)))
#define KERNEL_FMA_F32(a, b, c) ((vf)_mm512_fmadd_ps((a), (b), (c)))
#define KERNEL_TOTAL(v) _mm512_reduce_add_pd(v)
#define KERNEL_F32_TO_F64(f) ((vd)_mm512_cvtps_pd((__m256)(f)))
#define KERNEL_TILE_VECTORS 8
#define KERNEL_TILE_LANES 3
#define KERNEL_GRAM_ROWS 8
#define KERNEL_DOT_COLUMNS 4

#include "classifiers/safety/direction_kernels_body.inc"
#endif
typedef int direction_kernels_avx512_is_not_empty;
