/* catalog.c - the element types of tensors, metadata by key, and the checks that every container needs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/catalog.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/distinct.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_BYTES = 160 };

const char *dtype_name(tensor_dtype dtype)
{
    static const char *const names[] = {
#define X(symbol, name, bits) name,
        TENSOR_DTYPES(X)
#undef X
    };
    return (unsigned)dtype < DTYPE_COUNT ? names[dtype] : "unknown";
}

unsigned dtype_bits(tensor_dtype dtype)
{
    static const unsigned char widths[] = {
#define X(symbol, name, bits) bits,
        TENSOR_DTYPES(X)
#undef X
    };
    return (unsigned)dtype < DTYPE_COUNT ? widths[dtype] : 0;
}

/* From the last one: of a key that comes twice, the reference implementation of safetensors keeps the last. */
const char *catalog_metadata_find(const catalog *cat, const char *key)
{
    for (size_t i = cat->n_metadata; i-- > 0;) {
        if (strcmp(cat->metadata[i].key, key) == 0)
            return cat->metadata[i].value;
    }
    return NULL;
}

/* In the order of the axes, so that an axis of 0 saves a shape only from the factors behind it, as in the reference
 * implementation of safetensors. */
lora_code tensor_byte_size(const tensor *t, uint64_t *bytes, lora_error *err)
{
    char label[LABEL_BYTES];
    uint64_t bits = 1;
    bool fits = true;
    for (unsigned i = 0; i < t->n_dims && fits; i++)
        fits = checked_mul(bits, t->shape[i], &bits);
    if (!fits || !checked_mul(bits, dtype_bits(t->dtype), &bits))
        return lora_fail_at(err, LORA_E_SHAPE_OVERFLOW, t->entry_offset,
                            "the %u axes and the dtype %s of tensor %s multiply beyond 64 bits", t->n_dims,
                            dtype_name(t->dtype), text_label(label, sizeof label, t->name, strlen(t->name)));
    if (bits % 8)
        return lora_fail_at(err, LORA_E_MISALIGNED, t->entry_offset,
                            "the %" PRIu64 " bits of tensor %s are not whole bytes", bits,
                            text_label(label, sizeof label, t->name, strlen(t->name)));
    *bytes = bits / 8;
    return LORA_OK;
}

static int by_place(const void *left, const void *right)
{
    const tensor *a = left, *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return a->entry_offset < b->entry_offset ? -1 : a->entry_offset > b->entry_offset;
}

void catalog_sort(tensor *tensors, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (by_place(&tensors[i - 1], &tensors[i]) > 0) {
            qsort(tensors, n, sizeof *tensors, by_place);
            return;
        }
    }
}

typedef struct {
    uint64_t hash;
    const tensor *t;
} name_key;

static int by_name(const void *left, const void *right)
{
    const name_key *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int order = strcmp(a->t->name, b->t->name);
    return order ? order : a->t->entry_offset < b->t->entry_offset ? -1 : a->t->entry_offset > b->t->entry_offset;
}

/* Where hashes are not enough, sorting by (hash, name) instead of a hash table: names chosen to collide cost O(n log n) all the same. */
lora_code catalog_check_names(const tensor *tensors, size_t n, lora_error *err)
{
    if (n < 2)
        return LORA_OK;
    name_key *keys = n > SIZE_MAX / sizeof *keys ? NULL : malloc(n * sizeof *keys);
    if (!keys)
        return lora_fail(err, LORA_E_MEMORY, "out of memory while comparing the names of %zu tensors", n);
    for (size_t i = 0; i < n; i++)
        keys[i] = (name_key){text_hash(tensors[i].name), &tensors[i]};
    bool distinct;
    bool told = distinct_hashes(&keys->hash, n, sizeof *keys, &distinct);
    if (!told || distinct) {
        free(keys);
        return told ? LORA_OK : lora_fail(err, LORA_E_MEMORY, "out of memory while comparing the names of %zu tensors", n);
    }
    qsort(keys, n, sizeof *keys, by_name);
    const tensor *again = NULL; /* the first in the header that repeats an earlier name */
    for (size_t i = 1; i < n; i++) {
        if (keys[i].hash == keys[i - 1].hash && strcmp(keys[i].t->name, keys[i - 1].t->name) == 0 &&
            (!again || keys[i].t->entry_offset < again->entry_offset))
            again = keys[i].t;
    }
    free(keys);
    if (!again)
        return LORA_OK;
    char label[LABEL_BYTES];
    return lora_fail_at(err, LORA_E_DUPLICATE, again->entry_offset, "two tensors are named %s",
                        text_label(label, sizeof label, again->name, strlen(again->name)));
}
