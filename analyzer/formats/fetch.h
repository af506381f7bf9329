/* fetch.h - the entries of a tensor, wherever and however they are stored.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_FETCH_H
#define LORAUDIT_FETCH_H

#include "analyzer/formats/catalog.h"

/* fetch_dtype - the dtype that fetch delivers: F64, F32, F16 and BF16 as stored, every other real dtype of at most 16 bits
 * as F32 (exact), wider integers as F64 (exact up to 2^53); F8 and Q8_0 as F32. DTYPE_COUNT: this dtype is not computed. */
tensor_dtype fetch_dtype(const tensor *t);

/* fetch_entries_bytes - bytes that n entries of t have when delivered; 0 when not computed, or beyond 64 bits. */
uint64_t fetch_entries_bytes(const tensor *t, uint64_t n);

/* fetch_entries - entries [first, first + n) of t, counted in C order, into dst as fetch_dtype.
 * In:    the range is inside the tensor
 * Errs:  LORA_E_DTYPE (not computed), LORA_E_STORAGE, LORA_E_READ, LORA_E_SHRUNK, LORA_E_INFLATE, LORA_E_CHECKSUM, LORA_E_MEMORY
 * Thread: safe.  Cost: one read; for strided, converted and deflated tensors a pass more, and a buffer of their stored bytes */
lora_code fetch_entries(const file *f, const tensor *t, uint64_t first, uint64_t n, void *dst, lora_error *err);

/* fetch_storage - bytes [from, from + n) of a storage, inflated where it is deflated.
 * A CRC is checked where its bytes are all at hand: the range is the whole, or all but a header of at most 128 KiB in front,
 * or the end of a deflated storage.
 * Errs:  LORA_E_STORAGE (the range is not inside), otherwise as fetch_entries.   Cost: deflated, O(from + n) */
lora_code fetch_storage(const file *f, const tensor_storage *s, uint64_t from, uint64_t n, void *dst, lora_error *err);

#endif
