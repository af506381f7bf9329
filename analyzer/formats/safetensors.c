/* safetensors.c - the header of a safetensors file, checked to the last byte. Layout and contract in safetensors.h.
 *
 * Two passes over the JSON text. The first proves its syntax and counts tensors and metadata, so that the second can
 * allocate exactly and meets only wrong types and values. Names and metadata are unescaped in place: the header itself,
 * kept in the arena, holds them, since a resolved string with its NUL is never longer than the quoted one.
 *
 * Memory: header + 48 bytes a tensor + 16 a metadata entry + 8 an axis, and while duplicates are searched 16 a tensor
 * more. Each count is bounded by limits.h and by the text that was seen.
 *
 * Stricter than the reference implementation, on purpose: names must be unique and must not hold U+0000; an entry must
 * be an object, and its dtype a string (the reference also takes an array of the three values, and {"F32": null}).
 * Milder in one point: a number beyond float64 in a field that nobody reads is no error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/safetensors.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/json.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <inttypes.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };
static const char METADATA_KEY[] = "__metadata__";

typedef struct {
    const file *source;
    arena *mem;
    lora_error *err;
    char *text; /* the header */
    size_t length;
    uint64_t data; /* where the data begins: 8 + length */
    tensor *tensors; /* until finish_tensors, offset and bytes hold begin and end of data_offsets */
    size_t n_tensors;
    catalog_metadata *metadata;
    size_t n_metadata;
} reader;

/* Where a position of the header lies in the file. */
static uint64_t in_file(size_t at)
{
    return LENGTH_BYTES + (uint64_t)at;
}

static lora_code no_memory(reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "out of memory while reading a safetensors header");
}

/* ---- the header as bytes ---- */

static lora_code load_header(reader *r)
{
    uint64_t size = r->source->size;
    if (size == 0)
        return lora_fail_at(r->err, LORA_E_EMPTY, 0, "the file is empty");
    if (size < LENGTH_BYTES)
        return lora_fail_at(r->err, LORA_E_HEADER_TOO_SMALL, 0,
                            "a file of %" PRIu64 " bytes cannot hold the 8 bytes of the header length", size);
    unsigned char prefix[LENGTH_BYTES];
    lora_code code = file_read_at(r->source, 0, prefix, sizeof prefix, r->err);
    if (code)
        return code;
    uint64_t length = bytes_le64(prefix);
    if (length > LIMIT_HEADER_BYTES)
        return lora_fail_at(r->err, LORA_E_HEADER_TOO_LARGE, 0,
                            "header length %" PRIu64 " exceeds the limit of %u bytes", length, LIMIT_HEADER_BYTES);
    if (length > size - LENGTH_BYTES)
        return lora_fail_at(r->err, LORA_E_HEADER_TRUNCATED, 0,
                            "header length %" PRIu64 " exceeds the %" PRIu64 " bytes that remain in the file", length,
                            size - LENGTH_BYTES);
    r->length = (size_t)length;
    r->data = LENGTH_BYTES + length;
    r->text = arena_alloc(r->mem, r->length, 1);
    if (!r->text)
        return no_memory(r);
    code = file_read_at(r->source, LENGTH_BYTES, r->text, r->length, r->err);
    if (code)
        return code;
    size_t bad = text_utf8_invalid(r->text, r->length);
    if (bad < r->length)
        return lora_fail_at(r->err, LORA_E_HEADER_UTF8, in_file(bad), "header byte 0x%02x is not valid UTF-8",
                            (unsigned char)r->text[bad]);
    return LORA_OK;
}

/* ---- first pass: syntax and counts ---- */

static lora_code count_one(reader *r, size_t *count, size_t at, const char *what)
{
    if (++*count <= LIMIT_TENSORS)
        return LORA_OK;
    return lora_fail_at(r->err, LORA_E_TOO_MANY, in_file(at), "the header lists more than %u %s", LIMIT_TENSORS, what);
}

static lora_code survey_metadata(reader *r, json_scan *s)
{
    bool first = true;
    json_string key;
    json_object_open(s);
    while (json_object_next(s, &first, &key)) {
        lora_code code = count_one(r, &r->n_metadata, key.at, "metadata entries");
        if (code)
            return code;
        json_skip(s, LIMIT_JSON_DEPTH - 2);
    }
    return LORA_OK;
}

static lora_code survey(reader *r)
{
    bool first = true;
    json_scan s;
    json_string key;
    json_begin(&s, r->text, r->length);
    json_object_open(&s);
    while (json_object_next(&s, &first, &key)) {
        lora_code code = LORA_OK;
        bool is_metadata = json_string_is(&key, METADATA_KEY);
        if (!is_metadata)
            code = count_one(r, &r->n_tensors, key.at, "tensors");
        if (!code && is_metadata && json_peek(&s) == JSON_OBJECT)
            code = survey_metadata(r, &s);
        else
            json_skip(&s, LIMIT_JSON_DEPTH - 1);
        if (code)
            return code;
    }
    json_finish(&s);
    if (s.wrong)
        return lora_fail_at(r->err, LORA_E_HEADER_JSON, in_file(s.wrong_at), "the header is not valid JSON: %s",
                            s.wrong);
    return LORA_OK;
}

/* ---- second pass: fields ---- */

/* The string, its escapes resolved where it stands, NUL-terminated; NULL when it holds U+0000. */
static const char *resolve(reader *r, const json_string *string)
{
    char *to = r->text + (string->raw - r->text);
    size_t length = json_unescape(string, to);
    to[length] = '\0'; /* at most over the closing quote, which has been read */
    return memchr(to, 0, length) ? NULL : to;
}

/* A value of the wrong type or range; the syntax is known to be right. */
static lora_code wrong_value(reader *r, const json_scan *s, const tensor *t, const char *field)
{
    text_quote l;
    return lora_fail_at(r->err, LORA_E_HEADER_FIELD, in_file(s->wrong_at), "tensor %s, %s: %s", text_quoted(&l, t->name),
                        field, s->wrong);
}

static lora_code read_dtype(reader *r, json_scan *s, tensor *t)
{
    json_string string;
    if (!json_string_read(s, &string))
        return wrong_value(r, s, t, "dtype");
    for (unsigned d = 0; d < DTYPE_N_SAFETENSORS; d++) {
        if (json_string_is(&string, dtype_name((tensor_dtype)d))) {
            t->dtype = (tensor_dtype)d;
            return LORA_OK;
        }
    }
    text_quote name, dtype;
    text_label(dtype.text, sizeof dtype.text, string.raw, string.raw_length);
    return lora_fail_at(r->err, LORA_E_DTYPE, in_file(string.at), "unknown dtype %s of tensor %s", dtype.text,
                        text_quoted(&name, t->name));
}

static lora_code read_shape(reader *r, json_scan *s, tensor *t)
{
    uint64_t axes[LIMIT_TENSOR_DIMS];
    unsigned n = 0;
    bool first = true;
    text_quote l;
    json_array_open(s);
    while (json_array_next(s, &first)) {
        if (n == LIMIT_TENSOR_DIMS)
            return lora_fail_at(r->err, LORA_E_HEADER_FIELD, in_file(s->at), "tensor %s has more than %u axes",
                                text_quoted(&l, t->name), LIMIT_TENSOR_DIMS);
        if (json_u64_read(s, &axes[n]))
            n++;
    }
    if (s->wrong)
        return wrong_value(r, s, t, "shape");
    uint64_t *shape = arena_alloc(r->mem, n, sizeof *shape);
    if (!shape)
        return no_memory(r);
    memcpy(shape, axes, n * sizeof *shape);
    t->shape = shape;
    t->n_dims = n;
    return LORA_OK;
}

static lora_code read_data_offsets(reader *r, json_scan *s, tensor *t)
{
    uint64_t ends[2] = {0};
    unsigned n = 0;
    bool first = true;
    size_t at = s->at;
    json_array_open(s);
    while (json_array_next(s, &first)) {
        uint64_t value;
        if (json_u64_read(s, &value) && n < 2)
            ends[n] = value;
        n++;
    }
    if (s->wrong)
        return wrong_value(r, s, t, "data_offsets");
    text_quote l;
    if (n != 2)
        return lora_fail_at(r->err, LORA_E_HEADER_FIELD, in_file(at), "tensor %s has %u data_offsets, expected 2",
                            text_quoted(&l, t->name), n);
    t->offset = ends[0];
    t->bytes = ends[1];
    return LORA_OK;
}

static lora_code read_entry(reader *r, json_scan *s, tensor *t)
{
    typedef lora_code field_reader(reader *, json_scan *, tensor *);
    static const struct {
        const char *name;
        field_reader *read;
    } fields[] = {{"dtype", read_dtype}, {"shape", read_shape}, {"data_offsets", read_data_offsets}};
    enum { N_FIELDS = sizeof fields / sizeof fields[0] };
    bool seen[N_FIELDS] = {false}, first = true;
    json_string key;
    text_quote l;

    json_object_open(s);
    while (json_object_next(s, &first, &key)) {
        size_t i = 0;
        while (i < N_FIELDS && !json_string_is(&key, fields[i].name))
            i++;
        if (i == N_FIELDS) {
            json_skip(s, LIMIT_JSON_DEPTH);
            continue;
        }
        if (seen[i])
            return lora_fail_at(r->err, LORA_E_HEADER_FIELD, in_file(key.at), "tensor %s has more than one %s",
                                text_quoted(&l, t->name), fields[i].name);
        seen[i] = true;
        json_peek(s); /* to the value, for its position */
        lora_code code = fields[i].read(r, s, t);
        if (code)
            return code;
    }
    if (s->wrong)
        return wrong_value(r, s, t, "entry");
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (!seen[i])
            return lora_fail_at(r->err, LORA_E_HEADER_FIELD, t->entry_offset, "tensor %s has no %s",
                                text_quoted(&l, t->name), fields[i].name);
    }
    return LORA_OK;
}

static lora_code read_metadata(reader *r, json_scan *s)
{
    bool first = true;
    json_string key, value;
    json_kind kind = json_peek(s);
    if (kind == JSON_NULL) {
        json_skip(s, 0);
        return LORA_OK;
    }
    if (kind != JSON_OBJECT)
        return lora_fail_at(r->err, LORA_E_METADATA, in_file(s->at), "__metadata__ is not an object of strings");
    json_object_open(s);
    while (json_object_next(s, &first, &key)) {
        catalog_metadata *entry = &r->metadata[r->n_metadata];
        const char *name = entry->key = resolve(r, &key);
        text_quote l;
        if (json_peek(s) != JSON_STRING)
            return lora_fail_at(r->err, LORA_E_METADATA, in_file(s->at), "metadata %s is not a string",
                                text_quoted(&l, name ? name : "?"));
        json_string_read(s, &value);
        entry->value = resolve(r, &value);
        if (!name || !entry->value)
            return lora_fail_at(r->err, LORA_E_HEADER_FIELD, in_file(name ? value.at : key.at),
                                "a metadata entry holds the character U+0000");
        r->n_metadata++;
    }
    return LORA_OK;
}

static lora_code read_entries(reader *r)
{
    r->tensors = arena_alloc(r->mem, r->n_tensors, sizeof *r->tensors);
    r->metadata = arena_alloc(r->mem, r->n_metadata, sizeof *r->metadata);
    if (!r->tensors || !r->metadata)
        return no_memory(r);
    r->n_tensors = r->n_metadata = 0;

    bool first = true, metadata_seen = false;
    json_scan s;
    json_string key;
    json_begin(&s, r->text, r->length);
    json_object_open(&s);
    while (json_object_next(&s, &first, &key)) {
        lora_code code;
        if (json_string_is(&key, METADATA_KEY)) {
            if (metadata_seen)
                return lora_fail_at(r->err, LORA_E_DUPLICATE, in_file(key.at), "__metadata__ comes twice");
            metadata_seen = true;
            code = read_metadata(r, &s);
        } else {
            tensor *t = &r->tensors[r->n_tensors];
            t->entry_offset = in_file(key.at);
            t->name = resolve(r, &key);
            if (!t->name)
                return lora_fail_at(r->err, LORA_E_HEADER_FIELD, t->entry_offset,
                                    "a tensor's name holds the character U+0000");
            code = read_entry(r, &s, t);
            r->n_tensors++;
        }
        if (code)
            return code;
    }
    return catalog_check_names(r->tensors, r->n_tensors, r->err);
}

/* ---- across tensors ---- */

/* Where data byte `at` lies in the file, or the tensor's entry when it lies beyond. */
static uint64_t data_place(const reader *r, uint64_t at, const tensor *t)
{
    return at <= r->source->size - r->data ? r->data + at : t->entry_offset;
}

/* Begin and end against the end of the tensor before. */
static lora_code check_range(reader *r, const tensor *t, uint64_t previous_end)
{
    text_quote l;
    uint64_t begin = t->offset, end = t->bytes;
    if (end < begin)
        return lora_fail_at(r->err, LORA_E_OFFSETS, t->entry_offset,
                            "tensor %s ends at data byte %" PRIu64 ", before it begins at %" PRIu64,
                            text_quoted(&l, t->name), end, begin);
    if (begin < previous_end)
        return lora_fail_at(r->err, LORA_E_OVERLAP, data_place(r, begin, t),
                            "tensor %s begins at data byte %" PRIu64 ", the one before it ends at %" PRIu64,
                            text_quoted(&l, t->name), begin, previous_end);
    if (begin > previous_end)
        return lora_fail_at(r->err, LORA_E_HOLE, data_place(r, previous_end, t),
                            "%" PRIu64 " data bytes before tensor %s belong to no tensor", begin - previous_end,
                            text_quoted(&l, t->name));
    return LORA_OK;
}

static lora_code check_size(reader *r, const tensor *t)
{
    text_quote l;
    uint64_t needed, spanned = t->bytes - t->offset;
    lora_code code = tensor_byte_size(t, &needed, r->err);
    if (!code && needed != spanned)
        code = lora_fail_at(r->err, LORA_E_TENSOR_SIZE, t->entry_offset,
                            "tensor %s needs %" PRIu64 " bytes, its data_offsets span %" PRIu64, text_quoted(&l, t->name),
                            needed, spanned);
    return code;
}

static lora_code finish_tensors(reader *r)
{
    uint64_t end = 0, needed, size = r->source->size;
    catalog_sort(r->tensors, r->n_tensors);
    for (size_t i = 0; i < r->n_tensors; i++) {
        tensor *t = &r->tensors[i];
        lora_code code = check_range(r, t, end);
        if (!code)
            code = check_size(r, t);
        if (code)
            return code;
        end = t->bytes;
    }
    if (!checked_add(r->data, end, &needed) || needed > size)
        return lora_fail_at(r->err, LORA_E_TRUNCATED, size,
                            "the tensors need %" PRIu64 " data bytes, the file holds %" PRIu64, end, size - r->data);
    if (needed < size)
        return lora_fail_at(r->err, LORA_E_TRAILING, needed, "%" PRIu64 " bytes follow the last tensor", size - needed);
    for (size_t i = 0; i < r->n_tensors; i++) {
        tensor *t = &r->tensors[i];
        t->bytes -= t->offset;
        t->offset += r->data;
    }
    return LORA_OK;
}

lora_code safetensors_read(const file *f, arena *mem, catalog *cat, lora_error *err)
{
    reader r = {.source = f, .mem = mem, .err = err};
    lora_code code = load_header(&r);
    if (!code)
        code = survey(&r);
    if (!code)
        code = read_entries(&r);
    if (!code)
        code = finish_tensors(&r);
    if (code)
        return code;
    *cat = (catalog){.container = "safetensors", .source = f, .tensors = r.tensors, .n_tensors = r.n_tensors,
                     .metadata = r.metadata, .n_metadata = r.n_metadata};
    return LORA_OK;
}
