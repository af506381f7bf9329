/* direction_kernels.c - which compiled instruction set this processor runs: asked of the processor, not of the build.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/direction_kernels.h"

const direction_kernels *direction_kernels_supported(size_t i)
{
    const direction_kernels *found[3] = {&direction_kernels_portable};
    size_t n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found[n++] = &direction_kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found[n++] = &direction_kernels_avx512;
#endif
    return i < n ? found[i] : NULL;
}

const direction_kernels *direction_kernels_best(void)
{
    const direction_kernels *best = &direction_kernels_portable;
    for (size_t i = 1; direction_kernels_supported(i) != NULL; i++)
        best = direction_kernels_supported(i);
    return best;
}
