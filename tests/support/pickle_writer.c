/* pickle_writer.c - see pickle_writer.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/pickle_writer.h"

#include <stdlib.h>
#include <string.h>

void pickle_write(pickle_writer *w, const void *bytes, size_t n)
{
    if (w->n + n > w->capacity) {
        w->capacity = 2 * (w->n + n);
        w->bytes = realloc(w->bytes, w->capacity);
        if (!w->bytes)
            abort();
    }
    if (n)
        memcpy(w->bytes + w->n, bytes, n);
    w->n += n;
}

void pickle_write_op(pickle_writer *w, int opcode)
{
    unsigned char byte = (unsigned char)opcode;
    pickle_write(w, &byte, 1);
}

static void write_fixed(pickle_writer *w, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        pickle_write_op(w, (int)(value >> 8 * i & 0xFF));
}

void pickle_write_text(pickle_writer *w, const char *text)
{
    pickle_write_op(w, 'X');
    write_fixed(w, strlen(text), 4);
    pickle_write(w, text, strlen(text));
}

void pickle_write_int(pickle_writer *w, int64_t value)
{
    pickle_write_op(w, 0x8a);
    pickle_write_op(w, 8);
    write_fixed(w, (uint64_t)value, 8);
}

void pickle_write_name(pickle_writer *w, const char *module, const char *name)
{
    pickle_write_op(w, 'c');
    pickle_write(w, module, strlen(module));
    pickle_write_op(w, '\n');
    pickle_write(w, name, strlen(name));
    pickle_write_op(w, '\n');
}

void pickle_write_counts(pickle_writer *w, unsigned n, const int64_t *counts)
{
    pickle_write_op(w, '(');
    for (unsigned i = 0; i < n; i++)
        pickle_write_int(w, counts[i]);
    pickle_write_op(w, 't');
}

void pickle_write_storage(pickle_writer *w, const char *class, const char *key, int64_t numel)
{
    pickle_write_op(w, '(');
    pickle_write_text(w, "storage");
    pickle_write_name(w, "torch", class);
    pickle_write_text(w, key);
    pickle_write_text(w, "cpu");
    pickle_write_int(w, numel);
    pickle_write(w, "tQ", 2);
}

void pickle_write_tensor(pickle_writer *w, const char *class, const char *key, int64_t numel, int64_t offset,
                         unsigned n_dims, const int64_t *size, const int64_t *stride)
{
    int64_t packed[16];
    uint64_t expected = 1; /* may wrap: tests write sizes that multiply beyond 64 bits */
    for (unsigned i = n_dims; i-- > 0; expected *= (uint64_t)size[i])
        packed[i] = (int64_t)expected;
    pickle_write_name(w, "torch._utils", "_rebuild_tensor_v2");
    pickle_write_op(w, '(');
    pickle_write_storage(w, class, key, numel);
    pickle_write_int(w, offset);
    pickle_write_counts(w, n_dims, size);
    pickle_write_counts(w, n_dims, stride ? stride : packed);
    pickle_write_op(w, 0x89);
    pickle_write_name(w, "collections", "OrderedDict");
    pickle_write(w, ")RtR", 4);
}
