/* catalog.h - what every container reader yields: the tensors of a file, none of their bytes read yet.
 *
 * A tensor's bytes lie contiguous at [offset, offset + bytes) of the source, little-endian, C order. The reader has
 * proved that this range lies inside the file and that bytes = product(shape) · bits(dtype) / 8.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_CATALOG_H
#define LORAUDIT_CATALOG_H

#include "analyzer/base/arena.h"
#include "analyzer/base/error.h"
#include "analyzer/base/file.h"

#include <stddef.h>
#include <stdint.h>

/* X(symbol, name in safetensors, bits) */
#define TENSOR_DTYPES(X)                                                                                               \
    X(DTYPE_BOOL, "BOOL", 8)                                                                                           \
    X(DTYPE_F4, "F4", 4)                                                                                               \
    X(DTYPE_F6_E2M3, "F6_E2M3", 6)                                                                                     \
    X(DTYPE_F6_E3M2, "F6_E3M2", 6)                                                                                     \
    X(DTYPE_U8, "U8", 8)                                                                                               \
    X(DTYPE_I8, "I8", 8)                                                                                               \
    X(DTYPE_F8_E5M2, "F8_E5M2", 8)                                                                                     \
    X(DTYPE_F8_E4M3, "F8_E4M3", 8)                                                                                     \
    X(DTYPE_F8_E8M0, "F8_E8M0", 8)                                                                                     \
    X(DTYPE_F8_E4M3FNUZ, "F8_E4M3FNUZ", 8)                                                                             \
    X(DTYPE_F8_E5M2FNUZ, "F8_E5M2FNUZ", 8)                                                                             \
    X(DTYPE_I16, "I16", 16)                                                                                            \
    X(DTYPE_U16, "U16", 16)                                                                                            \
    X(DTYPE_F16, "F16", 16)                                                                                            \
    X(DTYPE_BF16, "BF16", 16)                                                                                          \
    X(DTYPE_I32, "I32", 32)                                                                                            \
    X(DTYPE_U32, "U32", 32)                                                                                            \
    X(DTYPE_F32, "F32", 32)                                                                                            \
    X(DTYPE_C64, "C64", 64)                                                                                            \
    X(DTYPE_F64, "F64", 64)                                                                                            \
    X(DTYPE_I64, "I64", 64)                                                                                            \
    X(DTYPE_U64, "U64", 64)

typedef enum {
#define X(symbol, name, bits) symbol,
    TENSOR_DTYPES(X)
#undef X
        DTYPE_COUNT
} tensor_dtype;

const char *dtype_name(tensor_dtype dtype);
unsigned dtype_bits(tensor_dtype dtype);

typedef struct {
    const char *name; /* UTF-8, NUL-terminated, holds no other NUL; untrusted: escape before printing */
    tensor_dtype dtype;
    unsigned n_dims;
    const uint64_t *shape;
    uint64_t offset;       /* of the first data byte, from the start of the file */
    uint64_t bytes;
    uint64_t entry_offset; /* of the tensor's name in the header: where an error about it points */
} tensor;

typedef struct {
    const char *key, *value; /* UTF-8; untrusted */
} catalog_metadata;

typedef struct {
    const char *container; /* contract name: "safetensors" … */
    const file *source;    /* borrowed; must stay open while bytes are read */
    tensor *tensors;       /* in the order of their data in the file */
    size_t n_tensors;
    catalog_metadata *metadata; /* in the order of the header */
    size_t n_metadata;
} catalog;

/* What the readers share. Errors point at entry_offset.
 * tensor_byte_size - product(shape) · bits(dtype) / 8.   Errs: LORA_E_SHAPE_OVERFLOW, LORA_E_MISALIGNED
 * catalog_sort - into the order of the data: by offset, then bytes, then entry_offset. Cost: O(n) when in order already
 * catalog_check_names - no two alike.   Errs: LORA_E_DUPLICATE, LORA_E_MEMORY.   Cost: O(n log n), 16 n bytes */
lora_code tensor_byte_size(const tensor *t, uint64_t *bytes, lora_error *err);
void catalog_sort(tensor *tensors, size_t n);
lora_code catalog_check_names(const tensor *tensors, size_t n, lora_error *err);

/* catalog_metadata_find - the value of key, or NULL; of a key that comes twice the last one. Cost: O(n). */
const char *catalog_metadata_find(const catalog *cat, const char *key);

#endif
