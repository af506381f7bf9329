/* kernels.c - which compiled instruction set this processor runs.
 *
 * Asked of the processor, not of the build: one binary serves every x86-64 machine, and others take the portable loops.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/kernels.h"

const kernel_table *kernels_supported(size_t i)
{
    const kernel_table *found[3] = {&kernels_portable};
    size_t n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found[n++] = &kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found[n++] = &kernels_avx512;
#endif
    return i < n ? found[i] : NULL;
}

const kernel_table *kernels_best(void)
{
    const kernel_table *best = &kernels_portable;
    for (size_t i = 1; kernels_supported(i) != NULL; i++)
        best = kernels_supported(i);
    return best;
}
