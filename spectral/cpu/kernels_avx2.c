/* kernels_avx2.c - the inner loops with AVX2 and FMA: four doubles at a time, sixteen registers.
 * SPDX-License-Identifier: Apache-2.0
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_WIDTH 4
#define KERNEL_TARGET __attribute__((target("avx2,fma")))
#define KERNEL_TABLE kernels_avx2
#define KERNEL_NAME "AVX2"
#define KERNEL_FMA(a, b, c) ((vd)_mm256_fmadd_pd((a), (b), (c)))
#define KERNEL_MIN(a, b) ((vd)_mm256_min_pd((a), (b)))
#define KERNEL_MAX(a, b) ((vd)_mm256_max_pd((a), (b)))
#define KERNEL_TOTAL(v) (((v)[0] + (v)[1]) + ((v)[2] + (v)[3]))
#define KERNEL_F32_TO_F64(f) ((vd)_mm256_cvtps_pd((__m128)(f)))
#define KERNEL_U16_TO_U32(h) ((vw)_mm_cvtepu16_epi32(_mm_cvtsi64_si128((long long)(h))))
#define KERNEL_DOT_COLS 2
#define KERNEL_TILE_ROWS 4

#include "spectral/cpu/kernels_body.inc"
#endif
typedef int kernels_avx2_is_not_empty;
