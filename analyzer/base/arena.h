/* arena.h - memory that lives as long as one opened file, and is freed whole.
 *
 * Blocks double from 4 KiB to 1 MiB; a larger request gets a block of its own. Memory is zeroed.
 * Not thread-safe: one arena belongs to one audit.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ARENA_H
#define LORAUDIT_ARENA_H

#include <stddef.h>

typedef struct arena arena;

arena *arena_create(void);    /* NULL without memory */
void arena_destroy(arena *a); /* NULL is accepted */

/* arena_alloc - count · size bytes, zeroed, 16-byte aligned; NULL without memory or when the product overflows.
 * A count of 0 gives a valid pointer to nothing. */
void *arena_alloc(arena *a, size_t count, size_t size);

/* arena_strndup - a copy of n bytes of s with a NUL behind; NULL without memory. */
char *arena_strndup(arena *a, const char *s, size_t n);
char *arena_strdup(arena *a, const char *s);

/* arena_printf - a formatted string; NULL without memory. */
char *arena_printf(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
