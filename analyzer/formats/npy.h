/* npy.h - the header of one .npy array. Internal to npz.c.
 *
 *     0   6   "\x93NUMPY"
 *     6   2   version: 1.0, 2.0, 3.0
 *     8   2   length of the text, little-endian; 4 bytes from version 2 on
 *     …       text: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, blanks, newline
 *
 * The text is a Python literal that NumPy evaluates; only what its writers (and those of Python 2: 3L) produce is taken.
 * Source: numpy/lib/format.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_NPY_H
#define LORAUDIT_NPY_H

#include "analyzer/base/limits.h"
#include "analyzer/formats/catalog.h"

enum { NPY_LEAST_BYTES = 10, NPY_MOST_BYTES = 12 + 65535 };

typedef struct {
    tensor_dtype dtype; /* DTYPE_COUNT with objects */
    bool big_endian, fortran_order;
    bool objects; /* the entries are a pickle */
    unsigned n_dims;
    uint64_t shape[LIMIT_TENSOR_DIMS];
} npy_header;

/* npy_header_bytes - from the first n bytes of a member, how many its header has.
 * In:   at: the offset for messages, of the first byte
 * Errs: LORA_E_NPY (magic, version, longer than NPY_MOST_BYTES), LORA_E_TRUNCATED (n < NPY_LEAST_BYTES, or n < 12 in version 2 and 3) */
lora_code npy_header_bytes(const unsigned char *bytes, size_t n, uint64_t at, size_t *header_bytes, lora_error *err);

/* npy_parse - all header_bytes of a header.
 * Out:  *out, of no meaning after an error
 * Errs: LORA_E_NPY (syntax, a key that is missing, unknown or there twice, more than LIMIT_TENSOR_DIMS axes), LORA_E_DTYPE */
lora_code npy_parse(const unsigned char *bytes, size_t header_bytes, uint64_t at, npy_header *out, lora_error *err);

#endif
