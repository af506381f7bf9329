/* scratch.h - memory of one module's computation, handed out in pieces and taken back all at once.
 *
 * A worker's scratch keeps what it got: after the first large module a run allocates nothing. Pieces stay where they
 * are until the reset; what does not fit goes to a further chunk, and the next reset makes one chunk of them all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_SCRATCH_H
#define SPECTRAL_SCRATCH_H

#include <stddef.h>

typedef struct scratch_chunk scratch_chunk;
typedef struct {
    scratch_chunk *chunks; /* newest first */
    size_t used;           /* bytes of the newest */
    size_t wanted;         /* bytes handed out since the last reset: the size of the next single chunk */
} scratch;

/* scratch_take - count · size bytes, 64-byte aligned, uninitialised; NULL without memory or when the product overflows.
 * scratch_take_zeroed - the same, zeroed. */
void *scratch_take(scratch *s, size_t count, size_t size);
void *scratch_take_zeroed(scratch *s, size_t count, size_t size);

/* scratch_reset - every piece is gone, the memory stays. scratch_free gives it back. */
void scratch_reset(scratch *s);
void scratch_free(scratch *s);

#endif
