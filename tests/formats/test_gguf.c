/* The GGUF reader: known answers, every refusal with its place, cut and flipped files, memory that ends.
 * Files are put together field by field; a mark remembers where an error must point.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/gguf.h"
#include "tests/support/alloc_fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- making files ---- */

typedef struct {
    unsigned char *bytes;
    size_t n, capacity, mark;
} image;

static void put(image *m, const void *bytes, size_t n)
{
    if (m->n + n > m->capacity) {
        m->capacity = 2 * (m->n + n);
        m->bytes = realloc(m->bytes, m->capacity);
        assert_non_null(m->bytes);
    }
    if (n)
        memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static void put_number(image *m, uint64_t value, size_t bytes)
{
    unsigned char little[8];
    for (size_t i = 0; i < 8; i++)
        little[i] = (unsigned char)(value >> 8 * i);
    put(m, little, bytes);
}

static void put_text(image *m, const char *s)
{
    put_number(m, strlen(s), 8);
    put(m, s, strlen(s));
}

static image begun(uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
    image m = {0};
    put(&m, "GGUF", 4);
    put_number(&m, version, 4);
    put_number(&m, n_tensors, 8);
    put_number(&m, n_kv, 8);
    return m;
}

static void put_kv(image *m, const char *key, uint32_t type)
{
    put_text(m, key);
    put_number(m, type, 4);
}

static void put_info(image *m, const char *name, unsigned n_dims, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    put_text(m, name);
    put_number(m, n_dims, 4);
    for (unsigned i = 0; i < n_dims; i++)
        put_number(m, dims[i], 8);
    put_number(m, type, 4);
    put_number(m, offset, 8);
}

static void put_zeros(image *m, size_t n)
{
    while (n-- > 0)
        put(m, "", 1);
}

static void put_padding(image *m, size_t alignment)
{
    put_zeros(m, (alignment - m->n % alignment) % alignment);
}

/* The outcome of bytes; on failure the catalog must be as it was. */
static lora_code outcome(const void *bytes, size_t n, lora_error *err)
{
    catalog cat, before;
    memset(&cat, 0x5a, sizeof cat);
    memcpy(&before, &cat, sizeof cat);
    unsigned char *exact = malloc(n ? n : 1); /* so that a sanitizer sees a step beyond */
    assert_non_null(exact);
    if (n)
        memcpy(exact, bytes, n);
    file f = file_of_memory(exact, n);
    arena *mem = arena_create();
    *err = (lora_error){0};
    lora_code code = gguf_read(&f, mem, &cat, err);
    assert_int_equal(code, err->code);
    if (code) {
        assert_memory_equal(&cat, &before, sizeof cat);
        assert_true(err->message[0] != '\0');
        assert_null(strchr(err->message, '\n'));
    }
    arena_destroy(mem);
    free(exact);
    return code;
}

/* Frees the image. */
static void expect(image *m, lora_code expected, const char *part, const char *what)
{
    lora_error err;
    lora_code code = outcome(m->bytes, m->n, &err);
    if (code != expected || (code && (!err.has_offset || err.offset != m->mark)) || (part && !strstr(err.message, part)))
        fail_msg("%s: %s at %llu, expected %s at %zu: %s", what, lora_code_name(code), (unsigned long long)err.offset,
                 lora_code_name(expected), m->mark, err.message);
    free(m->bytes);
    *m = (image){0};
}

/* ---- known answers ---- */

static image adapter(size_t *data)
{
    image m = begun(3, 3, 6);
    put_kv(&m, "general.type", 8);
    put_text(&m, "adapter");
    put_kv(&m, "general.alignment", 4);
    put_number(&m, 64, 4);
    put_kv(&m, "adapter.lora.alpha", 6);
    put_number(&m, 0x41800000, 4);
    put_kv(&m, "tokens", 9);
    put_number(&m, 4, 4);
    put_number(&m, 3, 8);
    put_zeros(&m, 12);
    put_kv(&m, "words", 9);
    put_number(&m, 8, 4);
    put_number(&m, 2, 8);
    put_text(&m, "one");
    put_text(&m, "\xff");
    put_kv(&m, "name", 8);
    put_text(&m, "caf\xC3\xA9");
    put_info(&m, "blk.0.attn_q.weight.lora_a", 2, (uint64_t[]){3, 2}, 0, 0);
    put_info(&m, "blk.0.attn_q.weight.lora_b", 2, (uint64_t[]){32, 2}, 8, 64);
    put_info(&m, "scalar", 0, NULL, 30, 192);
    put_padding(&m, 64);
    *data = m.n;
    for (int i = 0; i < 6; i++) {
        float x = (float)i;
        put(&m, &x, 4);
    }
    put_padding(&m, 64);
    for (int b = 0; b < 2; b++) {
        put_number(&m, 0x3800, 2); /* 0.5 */
        for (int i = 0; i < 32; i++)
            put_number(&m, (uint64_t)(i - 16), 1);
    }
    put_padding(&m, 64);
    put_number(&m, 0x3f80, 2);
    return m;
}

static void a_valid_adapter_is_read(void **state)
{
    (void)state;
    size_t data;
    image m = adapter(&data);
    for (int padded = 0; padded < 2; padded++) {
        file f = file_of_memory(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat;
        lora_error err = {0};
        if (gguf_read(&f, mem, &cat, &err))
            fail_msg("%s", err.message);
        assert_string_equal(cat.container, "gguf");
        assert_ptr_equal(cat.source, &f);
        assert_int_equal(cat.n_tensors, 3);
        assert_int_equal(cat.n_metadata, 4); /* arrays are passed over */
        assert_string_equal(catalog_metadata_find(&cat, "general.type"), "adapter");
        assert_string_equal(catalog_metadata_find(&cat, "general.alignment"), "64");
        assert_string_equal(catalog_metadata_find(&cat, "adapter.lora.alpha"), "16");
        assert_string_equal(catalog_metadata_find(&cat, "name"), "caf\xC3\xA9");
        assert_null(catalog_metadata_find(&cat, "tokens"));

        const tensor *t = cat.tensors;
        assert_string_equal(t[0].name, "blk.0.attn_q.weight.lora_a");
        assert_int_equal(t[0].dtype, DTYPE_F32);
        assert_int_equal(t[0].n_dims, 2);
        assert_int_equal(t[0].shape[0], 2); /* slowest first */
        assert_int_equal(t[0].shape[1], 3);
        assert_int_equal(t[0].offset, data);
        assert_int_equal(t[0].bytes, 24);
        assert_memory_equal(m.bytes + t[0].entry_offset + 8, t[0].name, strlen(t[0].name));
        assert_int_equal(t[1].dtype, DTYPE_Q8_0);
        assert_int_equal(t[1].offset, data + 64);
        assert_int_equal(t[1].bytes, 68);
        assert_int_equal(t[2].dtype, DTYPE_BF16);
        assert_int_equal(t[2].n_dims, 0);
        assert_int_equal(t[2].bytes, 2);

        float x[64];
        assert_int_equal(fetch_entries(&f, &t[0], 0, 6, x, &err), LORA_OK);
        assert_true(x[0] == 0 && x[5] == 5);
        assert_int_equal(fetch_entries(&f, &t[1], 0, 64, x, &err), LORA_OK);
        assert_true(x[0] == -8 && x[31] == 7.5f && x[63] == 7.5f);
        arena_destroy(mem);
        put_padding(&m, 64);
    }
    free(m.bytes);
}

static void scalars_become_text_that_reads_back(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        size_t bytes;
        uint64_t value;
        const char *text;
    } cases[] = {
        {0, 1, 255, "255"}, {1, 1, 255, "-1"}, {2, 2, 65535, "65535"}, {3, 2, 0x8000, "-32768"},
        {4, 4, 0xffffffff, "4294967295"}, {5, 4, 0x80000000, "-2147483648"}, {7, 1, 0, "false"}, {7, 1, 1, "true"}, {7, 1, 2, "true"},
        {10, 8, UINT64_MAX, "18446744073709551615"}, {11, 8, UINT64_MAX, "-1"}, {11, 8, 1ull << 63, "-9223372036854775808"},
        {6, 4, 0x3dcccccd, "0.1"}, {6, 4, 0x3eaaaaab, "0.33333334"}, {6, 4, 0x7f7fffff, "3.4028235e+38"}, {6, 4, 0x00000001, "1.4013e-45"},
        {6, 4, 0x80000000, "-0"}, {6, 4, 0x7f800000, "inf"}, {6, 4, 0x42000000, "32"},
        {12, 8, 0x3fb999999999999a, "0.1"}, {12, 8, 0x3fd5555555555555, "0.3333333333333333"}, {12, 8, 0xfff0000000000000, "-inf"},
        {12, 8, 0x7fefffffffffffff, "1.7976931348623157e+308"}, {12, 8, 0x3ff0000000000001, "1.0000000000000002"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        image m = begun(2, 0, 1);
        put_kv(&m, "k", cases[i].type);
        put_number(&m, cases[i].value, cases[i].bytes);
        file f = file_of_memory(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat;
        assert_int_equal(gguf_read(&f, mem, &cat, NULL), LORA_OK);
        assert_string_equal(catalog_metadata_find(&cat, "k"), cases[i].text);
        arena_destroy(mem);
        free(m.bytes);
    }
}

static void every_known_type_has_its_bytes(void **state)
{
    (void)state;
    static const struct {
        uint32_t id;
        tensor_dtype dtype;
        uint64_t entries, bytes;
    } types[] = {
        {0, DTYPE_F32, 1, 4}, {1, DTYPE_F16, 1, 2}, {2, DTYPE_BLOCK, 32, 18}, {3, DTYPE_BLOCK, 32, 20}, {6, DTYPE_BLOCK, 32, 22},
        {7, DTYPE_BLOCK, 32, 24}, {8, DTYPE_Q8_0, 32, 34}, {9, DTYPE_BLOCK, 32, 36}, {10, DTYPE_BLOCK, 256, 84},
        {11, DTYPE_BLOCK, 256, 110}, {12, DTYPE_BLOCK, 256, 144}, {13, DTYPE_BLOCK, 256, 176}, {14, DTYPE_BLOCK, 256, 210},
        {15, DTYPE_BLOCK, 256, 292}, {16, DTYPE_BLOCK, 256, 66}, {17, DTYPE_BLOCK, 256, 74}, {18, DTYPE_BLOCK, 256, 98},
        {19, DTYPE_BLOCK, 256, 50}, {20, DTYPE_BLOCK, 32, 18}, {21, DTYPE_BLOCK, 256, 110}, {22, DTYPE_BLOCK, 256, 82},
        {23, DTYPE_BLOCK, 256, 136}, {24, DTYPE_I8, 1, 1}, {25, DTYPE_I16, 1, 2}, {26, DTYPE_I32, 1, 4}, {27, DTYPE_I64, 1, 8},
        {28, DTYPE_F64, 1, 8}, {29, DTYPE_BLOCK, 256, 56}, {30, DTYPE_BF16, 1, 2}, {34, DTYPE_BLOCK, 256, 54},
        {35, DTYPE_BLOCK, 256, 66}, {39, DTYPE_BLOCK, 32, 17}, {40, DTYPE_BLOCK, 64, 36},
    };
    size_t at = 0;
    for (uint32_t id = 0; id < 60; id++) {
        bool known = at < sizeof types / sizeof types[0] && types[at].id == id;
        image m = begun(3, 1, 0);
        put_info(&m, "t", 3, (uint64_t[]){known ? 2 * types[at].entries : 256, 3, 5}, id, 0);
        m.mark = m.n - 12;
        put_padding(&m, 32);
        if (!known) {
            expect(&m, LORA_E_DTYPE, "unknown ggml type", "type");
            continue;
        }
        put_zeros(&m, (size_t)(30 * types[at].bytes));
        file f = file_of_memory(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat;
        lora_error err = {0};
        if (gguf_read(&f, mem, &cat, &err))
            fail_msg("type %u: %s", id, err.message);
        assert_int_equal(cat.tensors[0].dtype, types[at].dtype);
        assert_int_equal(cat.tensors[0].bytes, 30 * types[at].bytes);
        arena_destroy(mem);
        free(m.bytes);
        if (types[at].entries > 1) {
            m = begun(3, 1, 0);
            put_info(&m, "t", 2, (uint64_t[]){types[at].entries - 1, types[at].entries}, id, 0);
            m.mark = m.n - 12;
            expect(&m, LORA_E_GGUF, "not a multiple", "a row that is no whole blocks");
        }
        at++;
    }
    assert_int_equal(at, sizeof types / sizeof types[0]);
}

/* ---- refusals ---- */

static void a_beginning_of_another_kind_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t version;
        const char *part;
    } versions[] = {{0, "version 0"}, {1, "version 1"}, {4, "version 4"}, {0x03000000, "big-endian"}, {0x02000000, "big-endian"}};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        image m = begun(versions[i].version, 0, 0);
        m.mark = 4;
        expect(&m, LORA_E_GGUF, versions[i].part, "version");
    }
    image m = begun(3, 0, 0);
    m.bytes[3] = 'G';
    expect(&m, LORA_E_GGUF, "does not begin", "magic");
    m = begun(3, LIMIT_TENSORS + 1, 0);
    m.mark = 8;
    expect(&m, LORA_E_TOO_MANY, "200001", "tensors");
    m = begun(3, 0, UINT64_MAX);
    m.mark = 16;
    expect(&m, LORA_E_TOO_MANY, "18446744073709551615", "key-values");
    m = begun(3, LIMIT_TENSORS, LIMIT_TENSORS);
    m.mark = 24;
    expect(&m, LORA_E_TRUNCATED, "the list of", "counts without bytes");
    m = begun(3, 0, 0);
    expect(&m, LORA_OK, NULL, "nothing at all");
}

typedef void maker(image *m);

static void kv_text(image *m, const char *key, const char *value, size_t n)
{
    put_kv(m, key, 8);
    put_number(m, n, 8);
    put(m, value, n);
}

static void empty_key(image *m)
{
    m->mark = m->n;
    put_kv(m, "", 0);
    put_zeros(m, 4);
}

static void nul_key(image *m)
{
    m->mark = m->n + 9;
    put_number(m, 3, 8);
    put(m, "a\0b", 3);
    put_zeros(m, 8);
}

static void latin_key(image *m)
{
    m->mark = m->n + 9;
    put_text(m, "k\xe9y");
    put_zeros(m, 8);
}

static void nul_value(image *m)
{
    kv_text(m, "k", "a\0\xff", 3);
    m->mark = m->n - 1; /* what is not UTF-8 is told first */
}

static void nul_only_value(image *m)
{
    kv_text(m, "k", "ab\0", 3);
    m->mark = m->n - 1;
}

static void unknown_value_type(image *m)
{
    m->mark = m->n + 9;
    put_kv(m, "k", 13);
    put_zeros(m, 8);
}

static void array_of_arrays(image *m)
{
    put_kv(m, "k", 9);
    m->mark = m->n;
    put_number(m, 9, 4);
    put_number(m, 1, 8);
}

static void array_of_unknown(image *m)
{
    put_kv(m, "k", 9);
    m->mark = m->n;
    put_number(m, 0xffffffff, 4);
    put_number(m, 1, 8);
}

static void alignment_of_wrong_type(image *m)
{
    m->mark = m->n + 8 + 17;
    put_kv(m, "general.alignment", 10);
    put_number(m, 32, 8);
}

static void alignment_as_text(image *m)
{
    m->mark = m->n + 8 + 17;
    kv_text(m, "general.alignment", "32", 2);
}

static void alignment_as_array(image *m)
{
    m->mark = m->n + 8 + 17;
    put_kv(m, "general.alignment", 9);
    put_number(m, 4, 4);
    put_number(m, 0, 8);
}

static void alignment(image *m, uint32_t n)
{
    m->mark = m->n + 8 + 17;
    put_kv(m, "general.alignment", 4);
    put_number(m, n, 4);
}

static void alignment_zero(image *m)
{
    alignment(m, 0);
}

static void alignment_odd(image *m)
{
    alignment(m, 48);
}

static void alignment_huge(image *m)
{
    alignment(m, 1 << 21);
}

static void a_broken_key_value_is_refused_where_it_goes_wrong(void **state)
{
    (void)state;
    static const struct {
        maker *make;
        const char *part;
    } cases[] = {{empty_key, "a key is empty"}, {nul_key, "U+0000"}, {latin_key, "0xe9, which is not valid UTF-8"}, {nul_value, "0xff"},
                 {nul_only_value, "U+0000"}, {unknown_value_type, "has type 13"}, {array_of_arrays, "array of type 9"},
                 {array_of_unknown, "array of type 4294967295"}, {alignment_of_wrong_type, "has type 10"}, {alignment_as_text, "has type 8"},
                 {alignment_as_array, "has type 9"}, {alignment_zero, "is 0"}, {alignment_odd, "is 48"}, {alignment_huge, "is 2097152"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        image m = begun(3, 0, 1);
        cases[i].make(&m);
        expect(&m, LORA_E_GGUF, cases[i].part, cases[i].part);
    }
    image m = begun(3, 0, 4);
    for (int i = 0; i < 4; i++) {
        m.mark = i == 2 ? m.n : m.mark;
        put_kv(&m, i % 2 ? "a" : "b", i == 2 ? 9 : 0);
        put_zeros(&m, i == 2 ? 12 : 1); /* an empty array of u8, or a u8 */
    }
    expect(&m, LORA_E_DUPLICATE, "the key \"b\" comes twice", "twice");
}

static void lengths_beyond_the_file_fail_before_anything_is_done(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {9, 1000000000, 1ull << 60, 1ull << 61, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (uint32_t type = 0; type <= 12; type++) {
            if (type == 9)
                continue;
            image m = begun(3, 0, 1);
            put_kv(&m, "k", 9);
            put_number(&m, type, 4);
            put_number(&m, lengths[i], 8);
            m.mark = m.n;
            put_zeros(&m, 8);
            expect(&m, LORA_E_TRUNCATED, "an array needs", "array");
        }
        image m = begun(3, 0, 1);
        put_kv(&m, "k", 8);
        put_number(&m, lengths[i], 8);
        m.mark = m.n;
        put_zeros(&m, 8);
        expect(&m, LORA_E_TRUNCATED, "a value needs", "text");
        m = begun(3, 0, 1);
        put_kv(&m, "k", 9);
        put_number(&m, 8, 4);
        put_number(&m, 2, 8);
        put_text(&m, "ok");
        put_number(&m, lengths[i], 8);
        m.mark = m.n;
        expect(&m, LORA_E_TRUNCATED, "a string of an array needs", "text in an array");
    }
}

static void a_header_longer_than_the_limit_is_refused(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        image m = begun(3, 0, 1);
        put_kv(&m, "k", 9);
        put_number(&m, 0, 4);
        put_number(&m, LIMIT_HEADER_BYTES - m.n - 8 + (size_t)over, 8);
        size_t head = m.n;
        m.n = (size_t)LIMIT_HEADER_BYTES + 1;
        unsigned char *all = calloc(1, m.n);
        assert_non_null(all);
        memcpy(all, m.bytes, head);
        free(m.bytes);
        m.bytes = all;
        m.mark = over ? head : LIMIT_HEADER_BYTES;
        expect(&m, over ? LORA_E_GGUF : LORA_E_TRAILING, over ? "goes beyond the limit of 100000000 bytes" : "1 bytes follow", "long");
    }
}

static void a_broken_tensor_is_refused_where_it_goes_wrong(void **state)
{
    (void)state;
    char name[65];
    memset(name, 'n', 64);
    name[64] = '\0';
    for (size_t length = 63; length <= 64; length++) {
        image m = begun(3, 1, 0);
        m.mark = m.n;
        put_info(&m, name + 64 - length, 1, (uint64_t[]){0}, 0, 0);
        put_padding(&m, 32);
        expect(&m, length == 64 ? LORA_E_GGUF : LORA_OK, length == 64 ? "has 64 bytes, the limit is 63" : NULL, "name");
    }
    for (unsigned axes = 4; axes <= 5; axes++) {
        image m = begun(3, 1, 0);
        m.mark = m.n + 9;
        put_info(&m, "t", axes, (uint64_t[]){1, 1, 1, 1, 1}, 24, 0);
        put_padding(&m, 32);
        put_zeros(&m, 1);
        expect(&m, axes == 5 ? LORA_E_GGUF : LORA_OK, axes == 5 ? "has 5 axes" : NULL, "axes");
    }
    static const struct {
        unsigned n_dims;
        uint64_t dims[4];
        uint32_t type;
        unsigned at; /* the axis in question; 9: the type */
    } shapes[] = {{1, {1ull << 63}, 24, 0}, {1, {UINT64_MAX}, 24, 0}, {1, {INT64_MAX}, 24, 0}, {2, {1ull << 32, 1ull << 31}, 24, 1},
                  {3, {1ull << 32, 1ull << 30, 2}, 24, 2}, {2, {0, UINT64_MAX}, 24, 1}, {1, {1ull << 62}, 0, 9}, {2, {1ull << 61, 2}, 28, 9}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        image m = begun(3, 1, 0);
        m.mark = m.n + 9 + 4 + 8 * (shapes[i].at == 9 ? shapes[i].n_dims : shapes[i].at);
        put_info(&m, "t", shapes[i].n_dims, shapes[i].dims, shapes[i].type, 0);
        expect(&m, LORA_E_SHAPE_OVERFLOW, "tensor \"t\"", "shape");
    }
    image m = begun(3, 2, 0);
    put_info(&m, "t", 1, (uint64_t[]){0}, 0, 0);
    m.mark = m.n;
    put_info(&m, "t", 1, (uint64_t[]){0}, 0, 0);
    expect(&m, LORA_E_DUPLICATE, "\"t\"", "names");
}

static void data_must_be_where_the_padding_says_and_end_the_file(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, second;
        int extra; /* bytes at the end */
        lora_code code;
    } cases[] = {{0, 32, 0, LORA_OK}, {0, 32, 24, LORA_OK}, {0, 8, 0, LORA_E_GGUF}, {0, 0, 0, LORA_E_GGUF}, {0, 64, 0, LORA_E_GGUF},
                 {32, 64, 0, LORA_E_GGUF}, {0, UINT64_MAX, 0, LORA_E_GGUF}, {0, 32, 25, LORA_E_TRAILING}, {0, 32, 32, LORA_E_TRAILING},
                 {0, 32, 1, LORA_E_TRUNCATED}, {0, 32, 23, LORA_E_TRUNCATED}, {0, 32, -1, LORA_E_TRUNCATED}, {0, 32, -9, LORA_E_TRUNCATED},
                 {0, 32, -45, LORA_E_TRUNCATED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        image m = begun(3, 2, 0);
        size_t first = m.n;
        put_info(&m, "a", 1, (uint64_t[]){2}, 0, cases[i].first);
        size_t second = m.n;
        put_info(&m, "b", 1, (uint64_t[]){2}, 0, cases[i].second);
        put_padding(&m, 32);
        size_t data = m.n;
        put_zeros(&m, 40 + 32);
        m.n = (size_t)((int)data + 40 + cases[i].extra);
        m.mark = cases[i].code == LORA_E_GGUF ? (cases[i].first ? first : second) : cases[i].code == LORA_E_TRAILING ? data + 64 : m.n;
        expect(&m, cases[i].code, NULL, "data");
    }
}

/* ---- damage ---- */

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    size_t data;
    lora_error err;
    image m = adapter(&data);
    for (size_t n = 0; n < m.n; n++)
        assert_int_not_equal(outcome(m.bytes, n, &err), LORA_OK);
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_OK);
    free(m.bytes);
}

static void a_file_with_any_byte_changed_is_answered(void **state)
{
    (void)state;
    size_t data;
    lora_error err;
    image m = adapter(&data);
    static const unsigned char values[] = {0, 1, 9, 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < data; at++) {
        unsigned char before = m.bytes[at];
        for (size_t i = 0; i < sizeof values + 8; i++) {
            m.bytes[at] = i < 8 ? (unsigned char)(before ^ 1u << i) : values[i - 8];
            outcome(m.bytes, m.n, &err);
        }
        m.bytes[at] = before;
    }
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_OK);
    free(m.bytes);
}

/* The planted fault: an axis raised by one, which moves the end of the tensor but not the next one's place. */
static void a_planted_wrong_axis_is_caught(void **state)
{
    (void)state;
    image m = begun(3, 1, 0);
    put_info(&m, "t", 2, (uint64_t[]){4, 3}, 0, 0);
    put_padding(&m, 32);
    put_zeros(&m, 40);
    m.mark = m.n;
    expect(&m, LORA_E_TRUNCATED, "tensor \"t\" needs 48 bytes", "axis");
}

static void a_file_that_shrinks_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    image m = begun(3, 0, 1);
    put_kv(&m, "k", 8);
    put_number(&m, 70000, 8);
    put_zeros(&m, 70000);
    memset(m.bytes + m.n - 70000, 'x', 70000);
    for (size_t kept = 0; kept < 70000; kept += 40000) {
        file f = file_of_memory(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat;
        lora_error err = {0};
        f.size = m.n;
        FILE *copy = tmpfile(); /* shorter than the size that was seen */
        assert_non_null(copy);
        assert_int_equal(fwrite(m.bytes, 1, kept, copy), kept);
        fflush(copy);
        f = (file){.fd = fileno(copy), .size = m.n};
        assert_int_equal(gguf_read(&f, mem, &cat, &err), LORA_E_SHRUNK);
        assert_int_equal(err.offset, kept);
        fclose(copy);
        arena_destroy(mem);
    }
    lora_error err;
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_OK); /* across the window's edge */
    free(m.bytes);
}

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    size_t data;
    image m = adapter(&data);
    bool done = false;
    for (long k = 0; !done; k++) {
        file f = file_of_memory(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat = {.container = "untouched"};
        lora_error err = {0};
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        lora_code code = gguf_read(&f, mem, &cat, &err);
        done = !alloc_fault_end();
        assert_int_equal(code, done ? LORA_OK : LORA_E_MEMORY);
        assert_int_equal(err.code, code);
        assert_string_equal(cat.container, done ? "gguf" : "untouched");
        arena_destroy(mem);
    }
    free(m.bytes);
}

/* Many small strings and large ones: memory that ends inside each kind of allocation of the arena. */
static void memory_that_ends_in_a_large_file_is_reported(void **state)
{
    (void)state;
    char name[64];
    image m = begun(3, 300, 301);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "key%u", i);
        put_kv(&m, name, i % 2 ? 6 : 12);
        put_number(&m, i, i % 2 ? 4 : 8);
    }
    put_kv(&m, "long", 8);
    put_number(&m, 9000, 8);
    for (int i = 0; i < 9000; i++)
        put(&m, "x", 1);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "tensor%u", i);
        put_info(&m, name, 2, (uint64_t[]){8, 1}, 0, 32 * i);
    }
    put_padding(&m, 32);
    put_zeros(&m, 32 * 300);
    bool done = false;
    for (long k = 0; !done; k++) {
        file f = file_of_memory(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat;
        lora_error err = {0};
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        lora_code code = gguf_read(&f, mem, &cat, &err);
        done = !alloc_fault_end();
        assert_int_equal(code, done ? LORA_OK : LORA_E_MEMORY);
        arena_destroy(mem);
    }
    free(m.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_adapter_is_read),
        cmocka_unit_test(scalars_become_text_that_reads_back),
        cmocka_unit_test(every_known_type_has_its_bytes),
        cmocka_unit_test(a_beginning_of_another_kind_is_refused),
        cmocka_unit_test(a_broken_key_value_is_refused_where_it_goes_wrong),
        cmocka_unit_test(lengths_beyond_the_file_fail_before_anything_is_done),
        cmocka_unit_test(a_header_longer_than_the_limit_is_refused),
        cmocka_unit_test(a_broken_tensor_is_refused_where_it_goes_wrong),
        cmocka_unit_test(data_must_be_where_the_padding_says_and_end_the_file),
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_file_with_any_byte_changed_is_answered),
        cmocka_unit_test(a_planted_wrong_axis_is_caught),
        cmocka_unit_test(a_file_that_shrinks_while_it_is_read_is_an_error),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
        cmocka_unit_test(memory_that_ends_in_a_large_file_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
