/* kernels_avx512.c - the inner loops with AVX-512: eight doubles at a time, thirty-two registers.
 * SPDX-License-Identifier: Apache-2.0
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_WIDTH 8
#define KERNEL_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define KERNEL_TABLE kernels_avx512
#define KERNEL_NAME "AVX-512"
#define KERNEL_FMA(a, b, c) ((vd)_mm512_fmadd_pd((a), (b), (c)))
#define KERNEL_MIN(a, b) ((vd)_mm512_min_pd((a), (b)))
#define KERNEL_MAX(a, b) ((vd)_mm512_max_pd((a), (b)))
#define KERNEL_TOTAL(v) _mm512_reduce_add_pd(v)
#define KERNEL_F32_TO_F64(f) ((vd)_mm512_cvtps_pd((__m256)(f)))
#define KERNEL_U16_TO_U32(h) ((vw)_mm256_cvtepu16_epi32((__m128i)(h)))
#define KERNEL_DOT_COLS 4
#define KERNEL_TILE_ROWS 8

#include "spectral/cpu/kernels_body.inc"
#endif
typedef int kernels_avx512_is_not_empty;
