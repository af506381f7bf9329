/* memory.h - what one module makes a worker allocate, from its shapes alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_MEMORY_H
#define SPECTRAL_MEMORY_H

#include "spectral/cpu/worker.h"

/* scratch: bytes of all pieces that live at once, at most. total: spectral_module_memory. */
typedef struct {
    size_t scratch, total;
} memory_need;

/* memory_of_module - both SIZE_MAX for what has no shape, and where a sum overflows. options NULL: all defaults */
memory_need memory_of_module(const spectral_module *module, const spectral_options *options);

#endif
