/* arena.c - a chain of zeroed blocks, handed out by moving a mark and freed together.
 *
 * Invariants: the first block of the chain is the one with room; a block made for one large request stands behind it, so
 * that the room is not lost. Every pointer handed out is 16-byte aligned, because block headers and sizes are.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

typedef struct block {
    struct block *next;
    size_t used, size;
    alignas(ALIGNMENT) unsigned char data[];
} block;

struct arena {
    block *blocks;
    size_t next_size;
};

arena *arena_create(void)
{
    arena *a = malloc(sizeof *a);
    if (a)
        *a = (arena){.next_size = FIRST_BLOCK};
    return a;
}

void arena_destroy(arena *a)
{
    if (!a)
        return;
    for (block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

static block *block_create(size_t size)
{
    if (size > SIZE_MAX - sizeof(block))
        return NULL;
    block *b = calloc(1, sizeof(block) + size);
    if (b)
        b->size = size;
    return b;
}

/* The block that takes `size` bytes: the first one, a new first one, or one of its own. */
static block *block_with_room(arena *a, size_t size)
{
    block *first = a->blocks;
    if (first && first->size - first->used >= size)
        return first;
    bool own = size > a->next_size;
    block *b = block_create(own ? size : a->next_size);
    if (!b)
        return NULL;
    if (own && first) {
        b->next = first->next;
        first->next = b;
        return b;
    }
    b->next = first;
    a->blocks = b;
    if (!own && a->next_size < LARGEST_BLOCK)
        a->next_size *= 2;
    return b;
}

void *arena_alloc(arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    bytes = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    block *b = block_with_room(a, bytes);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += bytes;
    return p;
}

char *arena_strndup(arena *a, const char *s, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(a, n + 1, 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    char *text = length < 0 ? NULL : arena_alloc(a, (size_t)length + 1, 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}
