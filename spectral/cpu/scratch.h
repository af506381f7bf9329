/* scratch.h - memory of one module's computation, handed out in pieces and taken back from the end.
 *
 * Small pieces share chunks, a large one has its own. Pieces stay where they are until a release takes them back, and
 * everything taken after them. Between modules a scratch keeps at most SCRATCH_KEPT bytes: modules that need no more than
 * that, as nearly all do, allocate nothing after the first; a large one gives its memory back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_SCRATCH_H
#define SPECTRAL_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_KEPT ((size_t)4 << 20)
#define SCRATCH_CHUNK ((size_t)1 << 18) /* what small pieces share */
#define SCRATCH_LARGE ((size_t)1 << 16) /* a piece that has its own, where the newest chunk has no room for it */

typedef struct scratch_chunk scratch_chunk;
typedef struct {
    scratch_chunk *chunks; /* of small pieces, newest first */
    scratch_chunk *large;  /* of one piece each, newest first */
    size_t used;           /* bytes of the newest of chunks */
} scratch;

/* scratch_take - count · size bytes, 64-byte aligned, uninitialised; NULL without memory or when the product overflows.
 * scratch_take_zeroed - the same, zeroed. */
void *scratch_take(scratch *s, size_t count, size_t size);
void *scratch_take_zeroed(scratch *s, size_t count, size_t size);

/* scratch_mark, scratch_release - every piece taken since the mark is gone; large ones go back to the system. */
typedef scratch scratch_place;
scratch_place scratch_mark(const scratch *s);
void scratch_release(scratch *s, scratch_place place);

/* scratch_reset - every piece is gone. expected: bytes that will be wanted, at most; up to SCRATCH_KEPT they are one chunk
 * from the start. scratch_trim: what is above SCRATCH_KEPT is given back, and every piece is gone. scratch_free gives all
 * back. */
void scratch_reset(scratch *s, size_t expected);
void scratch_trim(scratch *s);
void scratch_free(scratch *s);

#endif
