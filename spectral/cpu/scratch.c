/* scratch.c - see scratch.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/scratch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

struct scratch_chunk {
    scratch_chunk *older;
    size_t bytes; /* behind the header */
    unsigned char padding[ALIGNMENT - 2 * sizeof(size_t)];
};

static scratch_chunk *chunk_create(size_t bytes, scratch_chunk *older)
{
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
        const bool own = bytes >= SCRATCH_LARGE;
        scratch_chunk *chunk = chunk_create(own ? bytes : SCRATCH_CHUNK, own ? s->large : s->chunks);
        if (chunk == NULL)
            return NULL;
        if (own) {
            s->large = chunk;
            return chunk + 1;
        }
        s->chunks = chunk;
        s->used = 0;
    }
    void *piece = (unsigned char *)(s->chunks + 1) + s->used;
    s->used += bytes;
    return piece;
}

void *scratch_take_zeroed(scratch *s, size_t count, size_t size)
{
    void *piece = scratch_take(s, count, size);
    if (piece != NULL)
        memset(piece, 0, count * size);
    return piece;
}

static scratch_chunk *free_until(scratch_chunk *chunk, const scratch_chunk *end)
{
    while (chunk != end) {
        scratch_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    return chunk;
}

scratch_place scratch_mark(const scratch *s) { return *s; }

void scratch_release(scratch *s, scratch_place place)
{
    s->chunks = free_until(s->chunks, place.chunks);
    s->large = free_until(s->large, place.large);
    s->used = place.used;
}

void scratch_free(scratch *s) { scratch_release(s, (scratch_place){0}); }

void scratch_trim(scratch *s)
{
    if (s->large != NULL || (s->chunks != NULL && (s->chunks->older != NULL || s->chunks->bytes > SCRATCH_KEPT)))
        scratch_free(s);
    s->used = 0;
}

void scratch_reset(scratch *s, size_t expected)
{
    scratch_trim(s);
    const size_t bytes = (expected + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (s->chunks != NULL && s->chunks->bytes < expected)
        scratch_free(s);
    if (s->chunks == NULL && bytes > SCRATCH_CHUNK && expected <= SCRATCH_KEPT)
        s->chunks = chunk_create(bytes, NULL); /* without memory: the next take tries again */
}
