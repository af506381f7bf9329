/* safetensors.h - reader of the safetensors container.
 *
 *   0        u64 LE   N, length of the header
 *   8        N bytes  JSON object: name -> {"dtype", "shape", "data_offsets": [begin, end)}, "__metadata__" -> strings
 *   8 + N    data     tensors, contiguous, without holes, to the end of the file
 *
 * Makes every check of the reference implementation (safetensors/src/tensor.rs), in its order, and refuses
 * duplicate names besides, which the format disallows but the reference does not check.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_SAFETENSORS_H
#define LORAUDIT_SAFETENSORS_H

#include "analyzer/formats/catalog.h"

/* safetensors_read - read and check the header of f.
 * In:    f open; mem receives everything that cat points to
 * Out:   cat; untouched on failure
 * Errs:  LORA_E_EMPTY, LORA_E_HEADER_TOO_SMALL .. LORA_E_TRAILING, LORA_E_READ, LORA_E_SHRUNK, LORA_E_MEMORY; each but
 *        the last carries a byte offset: that of the header's length, of the offending byte or tensor entry in the
 *        header, or of the first data byte in question
 * Cost:  O(header) time and memory, O(n log n) for the order of n tensors; nothing is allocated from a count before
 *        the bytes that back it are known to be there */
lora_code safetensors_read(const file *f, arena *mem, catalog *cat, lora_error *err);

#endif
