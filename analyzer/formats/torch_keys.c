/* torch_keys.c - see torch_keys.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_keys.h"

#include "analyzer/formats/distinct.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t hash; /* first, for distinct_hashes */
    const pickle_value *key;
    uint32_t index;
} dict_key;

static uint64_t key_hash(const pickle_value *key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    if (key->kind == PICKLE_STRING)
        for (size_t i = 0; i < key->length; i++)
            h = (h ^ (unsigned char)key->text[i]) * UINT64_C(0x100000001b3);
    else if (key->kind == PICKLE_INT)
        h = (uint64_t)key->integer * UINT64_C(0x9e3779b97f4a7c15);
    return h;
}

/* 0: the same key. Keys that are neither text nor integer are left out of the catalog, and all alike here. */
static int key_order(const pickle_value *a, const pickle_value *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == PICKLE_INT)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (a->kind != PICKLE_STRING || a == b)
        return 0;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return memcmp(a->text, b->text, a->length);
}

static int by_key(const void *left, const void *right)
{
    const dict_key *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int order = key_order(a->key, b->key);
    return order ? order : a->index < b->index ? -1 : a->index > b->index;
}

bool torch_last_values(const pickle_value *dict, uint32_t **out)
{
    size_t n = dict->n / 2;
    dict_key *keys = calloc(n + 1, sizeof *keys);
    uint32_t *last = calloc(n + 1, sizeof *last);
    for (size_t i = 0; keys && i < n; i++)
        keys[i] = (dict_key){key_hash(dict->items[2 * i]), dict->items[2 * i], (uint32_t)i};
    bool distinct;
    if (!keys || !last || !distinct_hashes(keys, n, sizeof *keys, &distinct)) {
        free(keys);
        free(last);
        return false;
    }
    for (size_t i = 0; distinct && i < n; i++)
        last[i] = (uint32_t)i;
    if (!distinct) /* sorting keeps chosen keys from costing more than O(n log n) */
        qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0, end; !distinct && i < n; i = end) {
        for (end = i + 1; end < n && keys[end].hash == keys[i].hash && key_order(keys[end].key, keys[i].key) == 0; end++)
            last[keys[end].index] = TORCH_KEY_AGAIN;
        last[keys[i].index] = keys[end - 1].index;
    }
    free(keys);
    *out = last;
    return true;
}
