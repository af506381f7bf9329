/* gguf.h - GGUF files of version 2 and 3, little-endian.
 *
 *     "GGUF" · u32 version · u64 n_tensors · u64 n_kv · key-values · tensor infos · padding · data
 *     key-value     string key, u32 type, value;   string = u64 length, bytes
 *     tensor info   string name, u32 n_dims, u64 dims (fastest first), u32 type, u64 offset from the start of the data
 *
 * Scalar key-values and strings become metadata as text; arrays are checked and passed over. Shapes are given slowest
 * first, as everywhere else. Source: ggml-org/ggml docs/gguf.md, src/gguf.cpp.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_GGUF_H
#define LORAUDIT_GGUF_H

#include "analyzer/formats/catalog.h"

/* gguf_read - Out: *cat, in mem. Errs: LORA_E_GGUF (each rule of gguf.cpp, with the value and the offset), LORA_E_DUPLICATE,
 * LORA_E_DTYPE (an unknown type), LORA_E_SHAPE_OVERFLOW, LORA_E_TRUNCATED, LORA_E_TRAILING, LORA_E_TOO_MANY,
 * LORA_E_READ, LORA_E_SHRUNK, LORA_E_MEMORY. Cost: O(header), which LIMIT_HEADER_BYTES bounds */
lora_code gguf_read(const file *f, arena *mem, catalog *cat, lora_error *err);

#endif
