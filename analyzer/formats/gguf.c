/* gguf.c - the header of a GGUF file, read once from front to back. Layout and contract in gguf.h.
 *
 * The header has no length of its own: it ends where the last tensor is described. gguf_cursor.h bounds what it can take in
 * time and memory. Both counts are checked against the fewest bytes that their entries can take before anything is allocated from them.
 *
 * Stricter than gguf.cpp, on purpose: keys, names and texts are UTF-8 without U+0000, and the file ends with the last
 * tensor, with or without its padding. Milder: an axis may be 0. Alignment is bounded, as there since 2026.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/gguf.h"

#include "analyzer/formats/gguf_cursor.h"
#include "analyzer/formats/gguf_type.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_ALIGNMENT = 1 << 20,
    NAME_BYTES = 64, /* GGML_MAX_NAME, with the NUL */
    MAX_DIMS = 4,
    LEAST_KV_BYTES = 8 + 1 + 4 + 1,
    LEAST_INFO_BYTES = 8 + 4 + 4 + 8
};

typedef enum {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_N_TYPES
} gguf_type;

static const unsigned char scalar_bytes[GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef struct {
    uint64_t hash, at;
    const char *text;
} gguf_key;

typedef struct {
    gguf_cursor in;
    arena *mem;
    lora_error *err;
    uint64_t alignment;
    gguf_key *keys; /* n_kv of them, those of arrays too */
    catalog_metadata *metadata;
    size_t n_kv, n_metadata;
    tensor *tensors; /* offsets count from the start of the data until finish */
    size_t n_tensors;
} reader;

static lora_code no_memory(reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "out of memory while reading a GGUF header");
}

/* ---- key-values ---- */

static lora_code skip_array(reader *r, const char *key)
{
    uint32_t type = 0;
    uint64_t n = 0, at = r->in.at, bytes = 0;
    text_quote l;
    lora_code code = gguf_u32(&r->in, &type, "the type of an array");
    if (!code)
        code = gguf_u64(&r->in, &n, "the length of an array");
    if (code)
        return code;
    if (type >= GGUF_N_TYPES || type == GGUF_ARRAY)
        return lora_fail_at(r->err, LORA_E_GGUF, at, "key %s is an array of type %" PRIu32 ", expected a scalar or string type",
                            text_quoted(&l, key), type);
    if (!checked_mul(n, type == GGUF_STRING ? 8 : scalar_bytes[type], &bytes))
        bytes = UINT64_MAX;
    code = gguf_need(&r->in, bytes, "an array");
    if (type != GGUF_STRING) {
        r->in.at += code ? 0 : bytes;
        return code;
    }
    for (uint64_t i = 0; !code && i < n; i++) {
        code = gguf_u64(&r->in, &bytes, "a string of an array");
        if (!code)
            code = gguf_need(&r->in, bytes, "a string of an array");
        r->in.at += code ? 0 : bytes;
    }
    return code;
}

/* The fewest digits that read back as the number. */
static const char *float_text(arena *mem, double x, bool single)
{
    char text[40];
    int digits = single ? 6 : 15, most = single ? 9 : 17;
    do
        snprintf(text, sizeof text, "%.*g", digits, x);
    while (digits++ < most && isfinite(x) && (single ? (double)strtof(text, NULL) : strtod(text, NULL)) != x);
    return arena_strdup(mem, text);
}

static const char *scalar_text(arena *mem, gguf_type type, const unsigned char *p)
{
    float f;
    double d;
    uint32_t f_bits = bytes_le32(p);
    uint64_t d_bits = bytes_le64(p);
    memcpy(&f, &f_bits, sizeof f);
    memcpy(&d, &d_bits, sizeof d);
    switch (type) {
    case GGUF_F32: return float_text(mem, (double)f, true);
    case GGUF_F64: return float_text(mem, d, false);
    case GGUF_BOOL: return p[0] ? "true" : "false";
    case GGUF_I8: return arena_printf(mem, "%d", (int8_t)p[0]);
    case GGUF_I16: return arena_printf(mem, "%d", (int16_t)bytes_le16(p));
    case GGUF_I32: return arena_printf(mem, "%" PRId32, (int32_t)f_bits);
    case GGUF_I64: return arena_printf(mem, "%" PRId64, (int64_t)d_bits);
    default: return arena_printf(mem, "%" PRIu64, d_bits); /* unsigned: the bytes behind the value are zero */
    }
}

static lora_code set_alignment(reader *r, uint32_t type, const unsigned char *value, uint64_t at)
{
    uint32_t n = bytes_le32(value);
    if (type != GGUF_U32)
        return lora_fail_at(r->err, LORA_E_GGUF, at, "general.alignment has type %" PRIu32 ", expected 4 (u32)", type);
    if (n == 0 || (n & (n - 1)) != 0 || n > LARGEST_ALIGNMENT)
        return lora_fail_at(r->err, LORA_E_GGUF, at, "general.alignment is %" PRIu32 ", expected a power of 2 up to %d", n,
                            LARGEST_ALIGNMENT);
    r->alignment = n;
    return LORA_OK;
}

static lora_code read_kv(reader *r, gguf_key *key)
{
    uint32_t type = 0;
    size_t length = 0;
    text_quote l;
    key->at = r->in.at;
    lora_code code = gguf_string(&r->in, r->mem, &key->text, &length, "a key");
    if (!code && length == 0)
        code = lora_fail_at(r->err, LORA_E_GGUF, key->at, "a key is empty");
    uint64_t at = r->in.at;
    if (!code)
        code = gguf_u32(&r->in, &type, "the type of a value");
    if (code)
        return code;
    key->hash = text_hash(key->text);
    if (type >= GGUF_N_TYPES)
        return lora_fail_at(r->err, LORA_E_GGUF, at, "key %s has type %" PRIu32 ", the last known is %d", text_quoted(&l, key->text), type,
                            GGUF_N_TYPES - 1);
    unsigned char value[8] = {0};
    const char *text = NULL;
    if (type == GGUF_STRING)
        code = gguf_string(&r->in, r->mem, &text, &length, "a value");
    else if (type != GGUF_ARRAY)
        code = gguf_take(&r->in, value, scalar_bytes[type], "a value");
    if (!code && strcmp(key->text, "general.alignment") == 0)
        code = set_alignment(r, type, value, at);
    if (!code && type == GGUF_ARRAY)
        return skip_array(r, key->text);
    if (!code && type != GGUF_STRING)
        text = scalar_text(r->mem, (gguf_type)type, value);
    if (!code && !text)
        return no_memory(r);
    if (!code)
        r->metadata[r->n_metadata++] = (catalog_metadata){key->text, text};
    return code;
}

static int by_key(const void *left, const void *right)
{
    const gguf_key *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int order = strcmp(a->text, b->text);
    return order ? order : a->at < b->at ? -1 : a->at > b->at;
}

static lora_code check_keys(reader *r)
{
    const gguf_key *again = NULL; /* the first in the file that repeats an earlier one */
    if (r->n_kv > 1)
        qsort(r->keys, r->n_kv, sizeof *r->keys, by_key);
    for (size_t i = 1; i < r->n_kv; i++) {
        const gguf_key *k = &r->keys[i];
        if (k->hash == k[-1].hash && strcmp(k->text, k[-1].text) == 0 && (!again || k->at < again->at))
            again = k;
    }
    text_quote l;
    return again ? lora_fail_at(r->err, LORA_E_DUPLICATE, again->at, "the key %s comes twice", text_quoted(&l, again->text)) : LORA_OK;
}

/* ---- tensor infos ---- */

static lora_code read_shape(reader *r, tensor *t)
{
    uint32_t n_dims = 0;
    uint64_t at = r->in.at, axes[MAX_DIMS], entries = 1;
    text_quote l;
    lora_code code = gguf_u32(&r->in, &n_dims, "the number of axes");
    if (!code && n_dims > MAX_DIMS)
        code = lora_fail_at(r->err, LORA_E_GGUF, at, "tensor %s has %" PRIu32 " axes, the limit is %d", text_quoted(&l, t->name), n_dims, MAX_DIMS);
    for (uint32_t i = 0; !code && i < n_dims; i++) {
        at = r->in.at;
        code = gguf_u64(&r->in, &axes[i], "an axis");
        if (!code && (!checked_mul(entries, axes[i], &entries) || axes[i] >= INT64_MAX || entries >= INT64_MAX))
            code = lora_fail_at(r->err, LORA_E_SHAPE_OVERFLOW, at, "axis %" PRIu32 " of tensor %s, %" PRIu64
                                ", brings its entries beyond 63 bits", i, text_quoted(&l, t->name), axes[i]);
    }
    if (code)
        return code;
    uint64_t *shape = arena_alloc(r->mem, n_dims, sizeof *shape);
    if (!shape)
        return no_memory(r);
    for (uint32_t i = 0; i < n_dims; i++)
        shape[i] = axes[n_dims - 1 - i];
    t->shape = shape;
    t->n_dims = n_dims;
    return LORA_OK;
}

static lora_code read_type(reader *r, tensor *t)
{
    uint32_t id = 0;
    uint64_t at = r->in.at, blocks = 1, row = t->n_dims ? t->shape[t->n_dims - 1] : 1;
    text_quote l;
    lora_code code = gguf_u32(&r->in, &id, "the type of a tensor");
    if (code)
        return code;
    const ggml_type *type = ggml_type_of(id);
    if (!type)
        return lora_fail_at(r->err, LORA_E_DTYPE, at, "unknown ggml type %" PRIu32 " of tensor %s", id, text_quoted(&l, t->name));
    unsigned entries = type->entries;
    if (row % entries)
        return lora_fail_at(r->err, LORA_E_GGUF, at, "the rows of tensor %s have %" PRIu64 " entries, not a multiple of the %u of a block",
                            text_quoted(&l, t->name), row, entries);
    for (unsigned i = 0; i < t->n_dims; i++)
        blocks *= i + 1 == t->n_dims ? row / entries : t->shape[i];
    if (!checked_mul(blocks, type->bytes, &t->bytes))
        return lora_fail_at(r->err, LORA_E_SHAPE_OVERFLOW, at, "the %" PRIu64 " blocks of tensor %s have more bytes than 64 bits count",
                            blocks, text_quoted(&l, t->name));
    t->dtype = type->dtype;
    return LORA_OK;
}

static lora_code read_info(reader *r, tensor *t)
{
    size_t length = 0;
    text_quote l;
    t->entry_offset = r->in.at;
    lora_code code = gguf_string(&r->in, r->mem, &t->name, &length, "the name of a tensor");
    if (!code && length >= NAME_BYTES)
        code = lora_fail_at(r->err, LORA_E_GGUF, t->entry_offset, "the name %s has %zu bytes, the limit is %d", text_quoted(&l, t->name),
                            length, NAME_BYTES - 1);
    if (!code)
        code = read_shape(r, t);
    if (!code)
        code = read_type(r, t);
    if (!code)
        code = gguf_u64(&r->in, &t->offset, "the offset of a tensor");
    return code;
}

/* ---- the data ---- */

/* Up to the next multiple of the alignment. Places lie inside the file, so that the sum fits. */
static uint64_t padded(const reader *r, uint64_t place)
{
    return (place + r->alignment - 1) & ~(r->alignment - 1);
}

/* Each tensor begins where the padding of the one before ends; the file ends with the last, padded or not. */
static lora_code finish(reader *r)
{
    uint64_t size = r->in.source->size, end = r->in.at, data = r->n_tensors ? padded(r, end) : end;
    text_quote l;
    if (data > size)
        return lora_fail_at(r->err, LORA_E_TRUNCATED, size, "the data begin at byte %" PRIu64 ", the file has %" PRIu64, data, size);
    for (size_t i = 0; i < r->n_tensors; i++) {
        tensor *t = &r->tensors[i];
        uint64_t expected = padded(r, end) - data;
        if (t->offset != expected)
            return lora_fail_at(r->err, LORA_E_GGUF, t->entry_offset, "tensor %s begins at data byte %" PRIu64 ", expected %" PRIu64,
                                text_quoted(&l, t->name), t->offset, expected);
        t->offset += data;
        if (t->offset > size || t->bytes > size - t->offset)
            return lora_fail_at(r->err, LORA_E_TRUNCATED, size, "tensor %s needs %" PRIu64 " bytes from byte %" PRIu64
                                ", the file has %" PRIu64, text_quoted(&l, t->name), t->bytes, t->offset, size);
        end = t->offset + t->bytes;
    }
    uint64_t last = padded(r, end);
    if (size > last)
        return lora_fail_at(r->err, LORA_E_TRAILING, last, "%" PRIu64 " bytes follow the last tensor", size - last);
    if (size != last && size != end)
        return lora_fail_at(r->err, LORA_E_TRUNCATED, size, "the padding behind the last tensor ends at byte %" PRIu64
                            ", the file has %" PRIu64, last, size);
    return LORA_OK;
}

/* ---- the whole ---- */

static lora_code take_count(reader *r, size_t *count, const char *what)
{
    uint64_t n = 0, at = r->in.at;
    lora_code code = gguf_u64(&r->in, &n, what);
    if (!code && n > LIMIT_TENSORS)
        code = lora_fail_at(r->err, LORA_E_TOO_MANY, at, "the header lists %" PRIu64 " %s, the limit is %u", n, what, LIMIT_TENSORS);
    if (!code)
        *count = (size_t)n;
    return code;
}

static lora_code read_beginning(reader *r)
{
    unsigned char magic[4];
    uint32_t version = 0;
    lora_code code = gguf_take(&r->in, magic, sizeof magic, "the magic number");
    if (!code && memcmp(magic, "GGUF", 4) != 0)
        return lora_fail_at(r->err, LORA_E_GGUF, 0, "the file does not begin with GGUF");
    if (!code)
        code = gguf_u32(&r->in, &version, "the version");
    if (code)
        return code;
    if (version != 0 && (version & 0xffff) == 0)
        return lora_fail_at(r->err, LORA_E_GGUF, 4, "version %" PRIu32 " is that of a big-endian file, which is not read", version);
    if (version < 2 || version > 3)
        return lora_fail_at(r->err, LORA_E_GGUF, 4, "GGUF version %" PRIu32 ", versions 2 and 3 are read", version);
    code = take_count(r, &r->n_tensors, "tensors");
    return code ? code : take_count(r, &r->n_kv, "key-values");
}

static lora_code read_entries(reader *r)
{
    lora_code code = gguf_need(&r->in, r->n_kv * LEAST_KV_BYTES + r->n_tensors * LEAST_INFO_BYTES, "the list of key-values and tensors");
    if (code)
        return code;
    r->keys = malloc((r->n_kv + 1) * sizeof *r->keys);
    r->metadata = arena_alloc(r->mem, r->n_kv, sizeof *r->metadata);
    r->tensors = arena_alloc(r->mem, r->n_tensors, sizeof *r->tensors);
    if (!r->keys || !r->metadata || !r->tensors)
        return no_memory(r);
    for (size_t i = 0; !code && i < r->n_kv; i++)
        code = read_kv(r, &r->keys[i]);
    if (!code)
        code = check_keys(r);
    for (size_t i = 0; !code && i < r->n_tensors; i++)
        code = read_info(r, &r->tensors[i]);
    if (!code)
        code = catalog_check_names(r->tensors, r->n_tensors, r->err);
    return code;
}

lora_code gguf_read(const file *f, arena *mem, catalog *cat, lora_error *err)
{
    reader r = {.mem = mem, .err = err, .alignment = 32};
    lora_code code = gguf_cursor_open(&r.in, f, err);
    if (!code)
        code = read_beginning(&r);
    if (!code)
        code = read_entries(&r);
    if (!code)
        code = finish(&r);
    if (!code) {
        catalog_sort(r.tensors, r.n_tensors);
        *cat = (catalog){.container = "gguf", .source = f, .tensors = r.tensors, .n_tensors = r.n_tensors,
                         .metadata = r.metadata, .n_metadata = r.n_metadata};
    }
    gguf_cursor_close(&r.in);
    free(r.keys);
    return code;
}
