/* catalog.h - what every container reader yields: the tensors of a file, none of their bytes read yet.
 *
 * A tensor without a storage lies contiguous at [offset, offset + bytes) of the source, little-endian, C order. With one,
 * offset is a position in the storage's bytes, which may be deflated, big-endian or in memory already; strides NULL means
 * C order. The reader has proved that every entry lies inside the file (or the storage), and that
 * bytes = product(shape) · bits(dtype) / 8; for block dtypes, the bytes of its whole blocks. fetch.h reads entries.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_CATALOG_H
#define LORAUDIT_CATALOG_H

#include "analyzer/base/arena.h"
#include "analyzer/base/error.h"
#include "analyzer/base/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(symbol, name, bits). Up to DTYPE_U64 the names are those of safetensors. */
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
    X(DTYPE_U64, "U64", 64)                                                                                            \
    X(DTYPE_C128, "C128", 128)                                                                                         \
    X(DTYPE_Q8_0, "Q8_0", 0) /* GGUF: 32 entries a block: F16 scale, 32 int8 */                                        \
    X(DTYPE_BLOCK, "quantised blocks", 0) /* another block dtype of GGUF: named, not read */

typedef enum {
#define X(symbol, name, bits) symbol,
    TENSOR_DTYPES(X)
#undef X
        DTYPE_COUNT
} tensor_dtype;
enum { DTYPE_N_SAFETENSORS = DTYPE_U64 + 1 };

const char *dtype_name(tensor_dtype dtype);
unsigned dtype_bits(tensor_dtype dtype); /* of one entry; 0 for block dtypes */

/* Bytes that tensors are views of. */
typedef struct {
    const void *memory;    /* the bytes, already here; NULL: in the file */
    uint64_t offset;       /* of the stored bytes in the file */
    uint64_t stored_bytes; /* in the file: when deflated, of the deflate stream */
    uint64_t bytes;        /* inflated */
    bool deflated;         /* raw deflate, RFC 1951 */
    bool big_endian;
    bool has_crc; /* crc is the CRC-32 of all `bytes`: checked where they are read whole */
    uint32_t crc;
} tensor_storage;

typedef struct {
    const char *name; /* UTF-8, NUL-terminated, holds no other NUL; untrusted: escape before printing */
    tensor_dtype dtype;
    unsigned n_dims;
    const uint64_t *shape;
    const uint64_t *strides;       /* in entries; NULL: C order */
    const tensor_storage *storage; /* NULL: plain bytes of the file */
    uint64_t offset;               /* of the first data byte: from the start of the file, or of the storage's bytes */
    uint64_t bytes;                /* of its entries, packed */
    uint64_t entry_offset; /* of the tensor's name in the header: where an error about it points */
} tensor;

typedef struct {
    const char *key, *value; /* UTF-8; untrusted */
} catalog_metadata;

typedef struct {
    const char *container; /* contract name: "safetensors" … ; static */
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
