/* gguf_type.h - how ggml stores tensors: in blocks of a few entries each. Internal to gguf.c, which alone includes it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_GGUF_TYPE_H
#define LORAUDIT_GGUF_TYPE_H

#include "analyzer/formats/catalog.h"

typedef struct {
    tensor_dtype dtype;
    unsigned short entries, bytes; /* of a block */
} ggml_type;

/* ggml_type_of - NULL: removed from ggml, or not known. */
const ggml_type *ggml_type_of(uint32_t id);

#endif
