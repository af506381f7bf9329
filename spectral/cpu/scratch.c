/* scratch.c - see scratch.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/scratch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, MIN_CHUNK = 1 << 16 };

struct scratch_chunk {
    scratch_chunk *older;
    size_t bytes; /* behind the header */
    unsigned char padding[ALIGNMENT - 2 * sizeof(size_t)];
};

static scratch_chunk *chunk_create(size_t bytes, scratch_chunk *older)
{
    if (bytes > SIZE_MAX - sizeof(scratch_chunk))
        return NULL;
    scratch_chunk *chunk = aligned_alloc(ALIGNMENT, sizeof *chunk + bytes);
    if (chunk != NULL)
        *chunk = (scratch_chunk){.older = older, .bytes = bytes};
    return chunk;
}

void *scratch_take(scratch *s, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 4)
        return NULL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (s->chunks == NULL || s->chunks->bytes - s->used < bytes) {
        scratch_chunk *chunk = chunk_create(bytes > MIN_CHUNK ? bytes : MIN_CHUNK, s->chunks);
        if (chunk == NULL)
            return NULL;
        s->chunks = chunk;
        s->used = 0;
    }
    void *piece = (unsigned char *)(s->chunks + 1) + s->used;
    s->used += bytes;
    s->wanted += bytes;
    return piece;
}

void *scratch_take_zeroed(scratch *s, size_t count, size_t size)
{
    void *piece = scratch_take(s, count, size);
    if (piece != NULL)
        memset(piece, 0, count * size);
    return piece;
}

void scratch_free(scratch *s)
{
    for (scratch_chunk *chunk = s->chunks; chunk != NULL;) {
        scratch_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    *s = (scratch){0};
}

void scratch_reset(scratch *s)
{
    size_t wanted = s->wanted;
    if (s->chunks != NULL && s->chunks->older != NULL) {
        scratch_free(s);
        s->chunks = chunk_create(wanted, NULL); /* without memory: the next take tries again */
    }
    s->used = 0;
    s->wanted = 0;
}
