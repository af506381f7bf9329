/* pickle_writer.h - pickles as torch writes them, put together for tests.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_PICKLE_WRITER_H
#define TEST_PICKLE_WRITER_H

#include <stddef.h>
#include <stdint.h>

/* Begin with {0}; free bytes. */
typedef struct {
    unsigned char *bytes;
    size_t n, capacity;
} pickle_writer;

void pickle_write(pickle_writer *w, const void *bytes, size_t n);
void pickle_write_op(pickle_writer *w, int opcode);
void pickle_write_text(pickle_writer *w, const char *text);
void pickle_write_int(pickle_writer *w, int64_t value);
void pickle_write_name(pickle_writer *w, const char *module, const char *name);
void pickle_write_counts(pickle_writer *w, unsigned n, const int64_t *counts); /* a tuple */

/* A persistent id: ('storage', torch.CLASS, key, 'cpu', numel). */
void pickle_write_storage(pickle_writer *w, const char *class, const char *key, int64_t numel);

/* _rebuild_tensor_v2 of such a storage; stride NULL: C order. */
void pickle_write_tensor(pickle_writer *w, const char *class, const char *key, int64_t numel, int64_t offset,
                         unsigned n_dims, const int64_t *size, const int64_t *stride);

#endif
