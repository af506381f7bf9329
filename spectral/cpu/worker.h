/* worker.h - what one worker owns, and how the bytes of a part come to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_WORKER_H
#define SPECTRAL_WORKER_H

#include "spectral/cpu/kernels.h"
#include "spectral/cpu/scratch.h"
#include "spectral/spectral.h"

/* Of a buffer of stored bytes, what is kept between modules. */
#define RAW_KEPT ((size_t)1 << 20)

/* Bytes as delivered by the source. */
typedef struct {
    void *data;
    size_t bytes;
} raw_buffer;

/* Used by one caller at a time. What is composed of a structure lies in the scratch. */
typedef struct {
    const kernel_table *kernels;
    scratch s;
    raw_buffer raw_a, raw_b;
} module_worker;

/* raw_buffer_trim - give a buffer of more than RAW_KEPT back. */
void raw_buffer_trim(raw_buffer *buffer);

/* module_worker_begin - an empty scratch for the module; what is kept is given back first where it needs more.
 * module_worker_end - what is above the kept sizes is given back.
 * module_worker_release - everything is. */
void module_worker_begin(module_worker *worker, const spectral_module *module, const spectral_options *options);
void module_worker_end(module_worker *worker);
void module_worker_release(module_worker *worker);

/* Where a module's bytes come from; source may be NULL. */
typedef struct {
    const spectral_module *module;
    size_t index;
    const spectral_source *source;
} module_input;

/* module_fetch - the bytes of one part: the view's own, or read from the source into the buffer.
 * Errs: SPECTRAL_E_READ, SPECTRAL_E_MEMORY */
spectral_status module_fetch(const module_input *input, char factor, const spectral_view *view, raw_buffer *buffer,
                             const void **data);

#endif
