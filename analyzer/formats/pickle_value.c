/* pickle_value.c - the machine's memory: values in the arena, lists that grow, the memo; all of it under one budget.
 *
 * One byte of a pickle can make a value: the constants and the integers below 256 exist once, everything else is charged
 * to the budget before it is allocated. Values are carved from blocks, 8-byte aligned, 40 bytes each.
 *
 * The memo is an array as long as indices grow like those of a writer that counts. An index far beyond goes into an open
 * table; whoever picks indices that collide makes the table grow until the budget is spent, and no look-up takes more
 * than FAR_PROBES steps.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/pickle_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 1024, ROOM_LARGEST = 65536, FAR_PROBES = 64 };

struct memo_entry {
    uint64_t index;
    pickle_value *value; /* NULL: empty */
};

/* false: the budget does not hold so much. */
static bool charge(pickle_machine *m, size_t count, size_t size, size_t *bytes)
{
    if (__builtin_mul_overflow(count, size, bytes) || *bytes > SIZE_MAX - 8) {
        m->failed = LORA_E_PICKLE_LIMIT;
        return false;
    }
    *bytes = (*bytes + 7) / 8 * 8;
    if (*bytes > m->left) {
        m->failed = LORA_E_PICKLE_LIMIT;
        return false;
    }
    m->left -= *bytes;
    return true;
}

void *machine_alloc(pickle_machine *m, size_t count, size_t size)
{
    size_t bytes;
    if (!charge(m, count, size, &bytes))
        return NULL;
    if (bytes > m->room_left) {
        size_t block = m->room_next ? m->room_next : ROOM_FIRST;
        if (bytes > block / 4) { /* its own, so that the room is not lost */
            void *own = arena_alloc(m->mem, bytes, 1);
            m->failed = own ? m->failed : LORA_E_MEMORY;
            return own;
        }
        m->room = arena_alloc(m->mem, block, 1);
        m->room_left = m->room ? block : 0;
        m->room_next = block < ROOM_LARGEST ? 2 * block : block;
        if (!m->room) {
            m->failed = LORA_E_MEMORY;
            return NULL;
        }
    }
    void *p = m->room;
    m->room += bytes;
    m->room_left -= bytes;
    return p;
}

bool machine_grow(pickle_machine *m, void **list, size_t *capacity, size_t needed, size_t size)
{
    size_t grown = *capacity ? *capacity : 32, bytes;
    if (needed <= *capacity)
        return true;
    while (grown < needed)
        grown *= 2;
    if (!charge(m, grown - *capacity, size, &bytes))
        return false;
    void *moved = realloc(*list, grown * size);
    if (!moved) {
        m->failed = LORA_E_MEMORY;
        return false;
    }
    memset((unsigned char *)moved + *capacity * size, 0, (grown - *capacity) * size);
    *list = moved;
    *capacity = grown;
    return true;
}

bool values_push(pickle_machine *m, pickle_values *list, pickle_value *v)
{
    void *grown = list->list;
    if (!v || !machine_grow(m, &grown, &list->capacity, list->n + 1, sizeof *list->list))
        return false;
    list->list = grown;
    list->list[list->n++] = v;
    return true;
}

/* ---- values ---- */

pickle_value *value_make(pickle_machine *m, pickle_kind kind)
{
    pickle_value *v = machine_alloc(m, 1, sizeof *v);
    if (v) {
        v->kind = kind;
        v->at = pickle_place(m->source, m->op.at);
    }
    return v;
}

pickle_value *value_integer(pickle_machine *m, int64_t integer)
{
    bool is_small = integer >= 0 && integer < (int64_t)(sizeof m->small / sizeof m->small[0]);
    if (is_small && m->small[integer])
        return m->small[integer];
    pickle_value *v = value_make(m, PICKLE_INT);
    if (v)
        v->integer = integer;
    if (is_small)
        m->small[integer] = v;
    return v;
}

pickle_value *value_text(pickle_machine *m, pickle_kind kind, const char *text, size_t n)
{
    pickle_value *v = value_make(m, kind);
    char *copy = v ? machine_alloc(m, n + 1, 1) : NULL;
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, text, n);
    v->text = copy;
    v->length = n;
    return v;
}

pickle_value *value_items(pickle_machine *m, pickle_kind kind, pickle_value *const *items, size_t n)
{
    pickle_value *v = value_make(m, kind);
    pickle_value **copy = v && n ? machine_alloc(m, n, sizeof *copy) : NULL;
    if (!v || (n && !copy))
        return NULL;
    if (n)
        memcpy(copy, items, n * sizeof *copy);
    v->items = copy;
    v->n = v->capacity = n;
    return v;
}

bool value_add(pickle_machine *m, pickle_value *container, pickle_value *const *items, size_t n)
{
    size_t needed = container->n + n;
    if (needed > container->capacity) {
        size_t capacity = needed > 2 * container->capacity ? needed : 2 * container->capacity;
        pickle_value **grown = machine_alloc(m, capacity, sizeof *grown);
        if (!grown)
            return false;
        if (container->n)
            memcpy(grown, container->items, container->n * sizeof *grown);
        container->items = grown;
        container->capacity = capacity;
    }
    if (n)
        memcpy(container->items + container->n, items, n * sizeof *items);
    container->n = needed;
    return true;
}

/* ---- the memo ---- */

static size_t far_slot(uint64_t index, size_t capacity)
{
    uint64_t h = index * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h ^ h >> 32) & (capacity - 1);
}

/* The slot of index, or an empty one for it; NULL when neither is near. */
static memo_entry *far_find(memo_entry *table, size_t capacity, uint64_t index)
{
    size_t slot = capacity ? far_slot(index, capacity) : 0;
    for (size_t i = 0; i < FAR_PROBES && i < capacity; i++) {
        memo_entry *e = &table[(slot + i) & (capacity - 1)];
        if (!e->value || e->index == index)
            return e;
    }
    return NULL;
}

static bool far_grow(pickle_machine *m)
{
    size_t capacity = m->far_capacity ? m->far_capacity : 64, bytes;
    memo_entry *table = NULL;
    for (bool placed = false; !placed;) {
        capacity *= 2;
        if (!charge(m, capacity, sizeof *table, &bytes))
            return false;
        free(table);
        table = calloc(capacity, sizeof *table);
        if (!table) {
            m->failed = LORA_E_MEMORY;
            return false;
        }
        placed = true;
        for (size_t i = 0; i < m->far_capacity && placed; i++) {
            memo_entry *e = m->far[i].value ? far_find(table, capacity, m->far[i].index) : NULL;
            placed = e || !m->far[i].value;
            if (e)
                *e = m->far[i];
        }
    }
    free(m->far);
    m->far = table;
    m->far_capacity = capacity;
    return true;
}

bool memo_put(pickle_machine *m, uint64_t index, pickle_value *v)
{
    m->n_puts++;
    if (index < 4 * (uint64_t)m->n_puts + 64) {
        void *grown = m->memo.list;
        if (!machine_grow(m, &grown, &m->memo.capacity, (size_t)index + 1, sizeof *m->memo.list))
            return false;
        m->memo.list = grown;
        m->memo.n += !memo_get(m, index); /* which may have been far once */
        m->memo.list[index] = v;
        return true;
    }
    memo_entry *e;
    while (2 * m->n_far >= m->far_capacity || !(e = far_find(m->far, m->far_capacity, index)))
        if (!far_grow(m))
            return false;
    m->n_far += !e->value;
    *e = (memo_entry){index, v};
    return true;
}

/* The array first: an index that once was far and was put again when it was not has its newer value there. */
pickle_value *memo_get(const pickle_machine *m, uint64_t index)
{
    if (index < m->memo.capacity && m->memo.list[index])
        return m->memo.list[index];
    const memo_entry *e = far_find(m->far, m->far_capacity, index);
    return e ? e->value : NULL;
}
