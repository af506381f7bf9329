/* The safetensors reader: known answers, every refusal with its place, cut and flipped files, memory that ends.
 *
 * In the tables a header is written as it stands in the file, with one '@' before the byte that the error must point
 * at; the '@' is taken out before the file is made. Without '@', the error points into the data.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/formats/safetensors.h"
#include "tests/support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- making files ---- */

static file file_of(const void *bytes, size_t n)
{
    char path[] = "/tmp/test_safetensors.XXXXXX";
    file f = {.fd = mkstemp(path), .size = n};
    assert_true(f.fd >= 0);
    unlink(path);
    assert_int_equal(write(f.fd, bytes, n), n);
    return f;
}

typedef struct {
    unsigned char *bytes;
    size_t n;
    bool marked;
    size_t mark; /* the position in the file where '@' stood */
} image;

static image image_of(const char *header, size_t header_bytes, size_t data_bytes)
{
    image made = {.bytes = calloc(1, 8 + header_bytes + data_bytes)};
    assert_non_null(made.bytes);
    const char *at = memchr(header, '@', header_bytes);
    size_t before = at ? (size_t)(at - header) : header_bytes, length = header_bytes - (at != NULL);
    memcpy(made.bytes + 8, header, before);
    if (at)
        memcpy(made.bytes + 8 + before, at + 1, header_bytes - before - 1);
    for (size_t i = 0; i < 8; i++)
        made.bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    for (size_t i = 0; i < data_bytes; i++)
        made.bytes[8 + length + i] = (unsigned char)i;
    made.n = 8 + length + data_bytes;
    made.marked = at != NULL;
    made.mark = 8 + before;
    return made;
}

static lora_code read_bytes(const void *bytes, size_t n, arena *mem, catalog *cat, lora_error *err)
{
    file f = file_of(bytes, n);
    lora_code code = safetensors_read(&f, mem, cat, err);
    file_close(&f);
    assert_int_equal(code, err->code);
    return code;
}

/* The outcome of a file whose catalog is not of interest; on failure the catalog must be as it was. */
static lora_code outcome(const void *bytes, size_t n, lora_error *err)
{
    catalog cat, before;
    memset(&cat, 0x5a, sizeof cat);
    memcpy(&before, &cat, sizeof cat);
    arena *mem = arena_create();
    *err = (lora_error){0};
    lora_code code = read_bytes(bytes, n, mem, &cat, err);
    if (code) {
        assert_memory_equal(&cat, &before, sizeof cat);
        assert_true(err->message[0] != '\0');
    }
    arena_destroy(mem);
    return code;
}

/* ---- known answers ---- */

static void a_valid_file_is_read_in_the_order_of_its_data(void **state)
{
    (void)state;
    static const char header[] =
        " {\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
        "\"__metadata__\":{\"format\":\"pt\",\"k\\u0065y\":\"line\\nbreak \\uD83D\\uDE00\"},"
        "\"a\\/\\u00e9\":{\"shape\":[],\"data_offsets\":[0,8],\"dtype\":\"F64\",\"more\":[{\"x\":null}]},"
        "\"empty\":{\"dtype\":\"U8\",\"shape\":[3,0],\"data_offsets\":[8,8]}}  \n";
    image m = image_of(header, sizeof header - 1, 20);
    arena *mem = arena_create();
    catalog cat;
    lora_error err = {0};
    file f = file_of(m.bytes, m.n);
    assert_int_equal(safetensors_read(&f, mem, &cat, &err), LORA_OK);
    assert_string_equal(cat.container, "safetensors");
    assert_ptr_equal(cat.source, &f);
    assert_int_equal(cat.n_tensors, 3);

    const size_t data = 8 + sizeof header - 1;
    assert_string_equal(cat.tensors[0].name, "a/\xC3\xA9");
    assert_int_equal(cat.tensors[0].dtype, DTYPE_F64);
    assert_int_equal(cat.tensors[0].n_dims, 0);
    assert_non_null(cat.tensors[0].shape);
    assert_int_equal(cat.tensors[0].offset, data);
    assert_int_equal(cat.tensors[0].bytes, 8);
    assert_int_equal(cat.tensors[0].entry_offset, 8 + (size_t)(strstr(header, "\"a\\/") - header));

    assert_string_equal(cat.tensors[1].name, "empty");
    assert_int_equal(cat.tensors[1].bytes, 0);
    assert_int_equal(cat.tensors[1].offset, data + 8);

    assert_string_equal(cat.tensors[2].name, "b");
    assert_int_equal(cat.tensors[2].dtype, DTYPE_F16);
    assert_int_equal(cat.tensors[2].n_dims, 2);
    assert_int_equal(cat.tensors[2].shape[0], 2);
    assert_int_equal(cat.tensors[2].shape[1], 3);
    assert_int_equal(cat.tensors[2].offset, data + 8);
    assert_int_equal(cat.tensors[2].bytes, 12);

    assert_int_equal(cat.n_metadata, 2);
    assert_string_equal(cat.metadata[0].key, "format");
    assert_string_equal(catalog_metadata_find(&cat, "key"), "line\nbreak \xF0\x9F\x98\x80");
    assert_null(catalog_metadata_find(&cat, "ke"));
    file_close(&f);
    arena_destroy(mem);
    free(m.bytes);
}

static void what_the_format_allows_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
    } cases[] = {
        {"{}", 0},
        {"{}      ", 0},
        {"\n\t {}", 0},
        {"{\"__metadata__\":{}}", 0},
        {"{\"__metadata__\":null}", 0},
        {"{\"__metadata__\":{\"framework\":\"pt\"}}     ", 0},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
        {"{\"t\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16},
        {"{\"t\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0,0]}}", 0},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[0,18446744073709551615,2],\"data_offsets\":[0,0]}}", 0},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4},
        {"{\"t\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[0,3]}}", 3},
        {"{\"t\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3},
        {"{\"t\":{\"dtype\":\"\\u00558\",\"sh\\u0061pe\":[1],\"data_offsets\":[0,1]}}", 1},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1,\"x\":{}}}", 1},
        {"{\"y\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]},\"t\":{\"dtype\":\"U8\",\"shape\":[1],"
         "\"data_offsets\":[0,1]},\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}",
         1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lora_error err;
        image m = image_of(cases[i].header, strlen(cases[i].header), cases[i].data_bytes);
        if (outcome(m.bytes, m.n, &err))
            fail_msg("%s: %s", cases[i].header, err.message);
        free(m.bytes);
    }
}

static void every_dtype_is_known_with_its_size(void **state)
{
    (void)state;
    for (int d = 0; d < DTYPE_N_SAFETENSORS; d++) {
        char header[120];
        lora_error err;
        unsigned bytes = dtype_bits((tensor_dtype)d); /* 8 elements */
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%u]}}",
                 dtype_name((tensor_dtype)d), bytes);
        image m = image_of(header, strlen(header), bytes);
        assert_int_equal(outcome(m.bytes, m.n, &err), LORA_OK);
        free(m.bytes);
    }
    assert_int_equal(dtype_bits(DTYPE_BF16), 16);
    assert_int_equal(dtype_bits(DTYPE_COUNT), 0);
    assert_string_equal(dtype_name(DTYPE_COUNT), "unknown");
}

static void of_a_metadata_key_that_comes_twice_the_last_counts(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"r\":\"4\",\"r\":\"8\"}}";
    image m = image_of(header, sizeof header - 1, 0);
    arena *mem = arena_create();
    catalog cat;
    lora_error err = {0};
    assert_int_equal(read_bytes(m.bytes, m.n, mem, &cat, &err), LORA_OK);
    assert_int_equal(cat.n_metadata, 2);
    assert_string_equal(catalog_metadata_find(&cat, "r"), "8");
    arena_destroy(mem);
    free(m.bytes);
}

/* ---- refusals ---- */

static bool covered[LORA_N_CODES];

static void a_broken_beginning_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        lora_code code;
        uint64_t offset;
    } cases[] = {
#define B(literal) literal, sizeof(literal) - 1
        {B(""), LORA_E_EMPTY, 0},
        {B("\2"), LORA_E_HEADER_TOO_SMALL, 0},
        {B("\2\0\0\0\0\0\0"), LORA_E_HEADER_TOO_SMALL, 0},
        {B("\0\0\0\0\0\0\0\0"), LORA_E_HEADER_JSON, 8},
        {B("\1\0\0\0\0\0\0\0"), LORA_E_HEADER_TRUNCATED, 0},
        {B("\3\0\0\0\0\0\0\0{}"), LORA_E_HEADER_TRUNCATED, 0},
        {B("\x3c\0\0\0\0\0\0\0"), LORA_E_HEADER_TRUNCATED, 0},
        {B("\x00\xe1\xf5\x05\0\0\0\0{}"), LORA_E_HEADER_TRUNCATED, 0},
        {B("\x01\xe1\xf5\x05\0\0\0\0{}"), LORA_E_HEADER_TOO_LARGE, 0},
        {B("\x3c\0\0\0\0\xff\xff\xff{}"), LORA_E_HEADER_TOO_LARGE, 0},
        {B("\xff\xff\xff\xff\xff\xff\xff\x7f{}"), LORA_E_HEADER_TOO_LARGE, 0},
        {B("\xf8\xff\xff\xff\xff\xff\xff\xff{}"), LORA_E_HEADER_TOO_LARGE, 0},
        {B("\xff\xff\xff\xff\xff\xff\xff\xff"), LORA_E_HEADER_TOO_LARGE, 0},
        {B("\1\0\0\0\0\0\0\0\xff"), LORA_E_HEADER_UTF8, 8},
        {B("\7\0\0\0\0\0\0\0{\"a\xC3\":1"), LORA_E_HEADER_UTF8, 11},
        {B("\1\0\0\0\0\0\0\0{"), LORA_E_HEADER_JSON, 9},
        {B("\5\0\0\0\0\0\0\0{}\0\0\0"), LORA_E_HEADER_JSON, 10},
        {B("\x28\0\0\0\0\0\0\0{},\"__metadata__\":{\"key\":\"value\"}}      "), LORA_E_HEADER_JSON, 10},
#undef B
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lora_error err;
        lora_code code = outcome(cases[i].bytes, cases[i].n, &err);
        if (code != cases[i].code || !err.has_offset || err.offset != cases[i].offset)
            fail_msg("case %zu: %s at %llu: %s", i, lora_code_name(code), (unsigned long long)err.offset, err.message);
        covered[code] = true;
    }
}

static void messages_give_the_value_and_the_limit(void **state)
{
    (void)state;
    lora_error err;
    outcome("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10, &err);
    assert_string_equal(err.message, "header length 9223372036854775807 exceeds the limit of 100000000 bytes");
    outcome("\3\0\0\0\0\0\0\0{}", 10, &err);
    assert_string_equal(err.message, "header length 3 exceeds the 2 bytes that remain in the file");
}

#define U8(name, shape, begin, end)                                                                                    \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"
#define ONE(dtype, shape, offsets) "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define SAME(n) "\"tensor_" n "\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"

typedef struct {
    const char *header;
    size_t data_bytes;
    lora_code code;
    size_t data_at; /* without '@': the data byte in question */
} refusal;

static const refusal refusals[] = {
    /* syntax */
    {"@<html>", 0, LORA_E_HEADER_JSON, 0},
    {"@[]", 0, LORA_E_HEADER_JSON, 0},
    {"@\"x\"", 0, LORA_E_HEADER_JSON, 0},
    {"@\xEF\xBB\xBF{}", 0, LORA_E_HEADER_JSON, 0},
    {"{\"t\":@}", 0, LORA_E_HEADER_JSON, 0},
    {"{\"@\\ud800\":{}}", 0, LORA_E_HEADER_JSON, 0},
    {"{\"a@\n\":{}}", 0, LORA_E_HEADER_JSON, 0},
    {"{" U8("a", "1", "0", "1") "}@}", 1, LORA_E_HEADER_JSON, 0},
    {"{" U8("a", "1", "0", "1") ",@}", 1, LORA_E_HEADER_JSON, 0},
    {ONE("\"U8\"", "[@01]", "[0,1]"), 1, LORA_E_HEADER_JSON, 0},
    {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1@}}", 1, LORA_E_HEADER_JSON, 0},
    {"{\"t\":7,\"u\":@nul}", 0, LORA_E_HEADER_JSON, 0}, /* syntax is proved before any type is looked at */

    /* types, missing and repeated fields */
    {"{\"t\":@7}", 0, LORA_E_HEADER_FIELD, 0},
    {"{\"t\":@null}", 0, LORA_E_HEADER_FIELD, 0},
    {"{\"t\": @[\"U8\",[1],[0,1]]}", 1, LORA_E_HEADER_FIELD, 0},
    {"{@\"t\":{}}", 0, LORA_E_HEADER_FIELD, 0},
    {"{@\"t\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, LORA_E_HEADER_FIELD, 0},
    {"{@\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, LORA_E_HEADER_FIELD, 0},
    {"{@\"t\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, LORA_E_HEADER_FIELD, 0},
    {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],@\"shape\":[1]}}", 1, LORA_E_HEADER_FIELD, 0},
    {"{\"t\":{\"dtype\":\"U8\",@\"d\\u0074ype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, LORA_E_HEADER_FIELD, 0},
    {ONE("@8", "[1]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("@{\"U8\":null}", "[1]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "@1", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "@null", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[@-1]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[@1.0]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[@1e0]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1,@\"1\"]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[@[1]]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[@18446744073709551616]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", "[0,@-1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", "[@-0,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", "[0,@18446744073709551616]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", "@[]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", "@[0]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", " @[0,1,1]"), 1, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1]", "@{}"), 1, LORA_E_HEADER_FIELD, 0},
    {"{@" U8("a\\u0000b", "1", "0", "1") "}", 1, LORA_E_HEADER_FIELD, 0},
    {"{\"__metadata__\":{@\"a\\u0000\":\"x\"}}", 0, LORA_E_HEADER_FIELD, 0},
    {"{\"__metadata__\":{\"a\":@\"x\\u0000\"}}", 0, LORA_E_HEADER_FIELD, 0},
    {ONE("\"U8\"", "[1,1,1,1,1,1,1,1,@1]", "[0,1]"), 1, LORA_E_HEADER_FIELD, 0},

    {"{\"__metadata__\":@[]}", 0, LORA_E_METADATA, 0},
    {"{\"__metadata__\":@\"x\"}", 0, LORA_E_METADATA, 0},
    {"{\"__metadata__\":{\"unquoted_int\":@0}}", 0, LORA_E_METADATA, 0},
    {"{\"__metadata__\":{\"a\":\"1\",\"b\":@null}}", 0, LORA_E_METADATA, 0},
    {"{\"__metadata__\":{\"a\":@{\"b\":\"c\"}}}", 0, LORA_E_METADATA, 0},
    {"{\"__metadata__\":{\"a\\u0000\":@1}}", 0, LORA_E_METADATA, 0},

    {ONE("@\"F99\"", "[1]", "[0,1]"), 1, LORA_E_DTYPE, 0},
    {ONE("@\"u8\"", "[1]", "[0,1]"), 1, LORA_E_DTYPE, 0},
    {ONE("@\"\"", "[1]", "[0,1]"), 1, LORA_E_DTYPE, 0},
    {ONE("@\"U8\\u0000\"", "[1]", "[0,1]"), 1, LORA_E_DTYPE, 0},

    {"{" U8("a", "1", "0", "1") ",@" U8("a", "1", "0", "1") "}", 1, LORA_E_DUPLICATE, 0},
    {"{" U8("a", "1", "0", "1") ",@" U8("a", "1", "1", "2") "}", 2, LORA_E_DUPLICATE, 0},
    {"{" U8("a", "0", "0", "0") ",@" U8("a", "0", "0", "0") "}", 0, LORA_E_DUPLICATE, 0},
    {"{" U8("a/b", "1", "0", "1") ",@" U8("\\u0061\\/b", "1", "1", "2") "}", 2, LORA_E_DUPLICATE, 0},
    {"{" U8("b", "1", "0", "1") "," U8("a", "1", "1", "2") ",@" U8("a", "1", "2", "3") "," U8("b", "1", "3", "4") "}", 4,
     LORA_E_DUPLICATE, 0},
    {"{\"__metadata__\":{\"a\":\"1\"},@\"__metadata__\":{\"a\":\"1\"}}", 0, LORA_E_DUPLICATE, 0},
    {"{\"__metadata__\":null,@\"__metadat\\u0061__\":null}", 0, LORA_E_DUPLICATE, 0},

    /* ranges */
    {"{@" U8("t", "1", "1", "0") "}", 1, LORA_E_OFFSETS, 0},
    {"{" U8("s", "1", "0", "1") ",@" U8("t", "0", "18446744073709551615", "0") "}", 1, LORA_E_OFFSETS, 0},
    {"{" SAME("0") "," SAME("1") "," SAME("2") "," SAME("3") "," SAME("4") "," SAME("5") "," SAME("6") "," SAME(
         "7") "," SAME("8") "," SAME("9") "}",
     16, LORA_E_OVERLAP, 0},
    {"{" U8("a", "4", "0", "4") "," U8("b", "4", "3", "7") "}", 7, LORA_E_OVERLAP, 3},
    {"{" U8("a", "4", "0", "4") "," U8("b", "0", "2", "2") "}", 4, LORA_E_OVERLAP, 2},
    {"{@" U8("a", "18446744073709551615", "0", "18446744073709551615") "," U8("b", "1", "18446744073709551614",
                                                                               "18446744073709551615") "}",
     4, LORA_E_SHAPE_OVERFLOW, 0}, /* the first tensor fails before the second is reached */
    {"{" U8("a", "9", "0", "9") ",@" U8("b", "4", "5", "9") "}", 4, LORA_E_OVERLAP, 0}, /* an overlap beyond the file */
    {"{" U8("a", "1", "1", "2") "}", 2, LORA_E_HOLE, 0},
    {"{" U8("a", "1", "0", "1") "," U8("b", "1", "3", "4") "}", 4, LORA_E_HOLE, 1},
    {"{" U8("a", "9", "0", "9") ",@" U8("b", "1", "10", "11") "}", 4, LORA_E_HOLE, 0}, /* a hole beyond the file */
    {"{" U8("a", "0", "0", "0") "," U8("b", "0", "1", "1") "}", 1, LORA_E_HOLE, 0},

    /* sizes */
    {"{@\"t\":{\"dtype\":\"F32\",\"shape\":[2,18446744073709551614],\"data_offsets\":[0,16]}}", 16, LORA_E_SHAPE_OVERFLOW, 0},
    {"{@\"t\":{\"dtype\":\"F32\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,16]}}", 16, LORA_E_SHAPE_OVERFLOW, 0},
    {"{@" U8("t", "2305843009213693952", "0", "1") "}", 1, LORA_E_SHAPE_OVERFLOW, 0}, /* 2^61 bytes are 2^64 bits */
    {"{@" U8("t", "4294967296,4294967296,0", "0", "0") "}", 0, LORA_E_SHAPE_OVERFLOW, 0},
    {"{@\"t\":{\"dtype\":\"F4\",\"shape\":[7],\"data_offsets\":[0,4]}}", 4, LORA_E_MISALIGNED, 0},
    {"{@\"t\":{\"dtype\":\"F6_E3M2\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, LORA_E_MISALIGNED, 0},
    {"{@\"t\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,4]}}", 4, LORA_E_TENSOR_SIZE, 0},
    {"{@\"t\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,16]}}", 16, LORA_E_TENSOR_SIZE, 0},
    {"{@\"t\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,0]}}", 0, LORA_E_TENSOR_SIZE, 0},
    {"{@" U8("t", "0", "0", "1") "}", 1, LORA_E_TENSOR_SIZE, 0},
    {"{@" U8("t", "2305843009213693951", "0", "18446744073709551615") "}", 1, LORA_E_TENSOR_SIZE, 0},

    /* the end of the file */
    {"{" U8("t", "4", "0", "4") "}", 3, LORA_E_TRUNCATED, 3},
    {"{" U8("t", "4", "0", "4") "}", 0, LORA_E_TRUNCATED, 0},
    {"{" U8("t", "2305843009213693951", "0", "2305843009213693951") "}", 7, LORA_E_TRUNCATED, 7},
    {"{" U8("t", "4", "0", "4") "}", 5, LORA_E_TRAILING, 4},
    {"{}", 1, LORA_E_TRAILING, 0},
    {"{\"__metadata__\":{}}", 8, LORA_E_TRAILING, 0},
};

static void a_broken_header_is_refused_where_it_goes_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const refusal *c = &refusals[i];
        lora_error err;
        image m = image_of(c->header, strlen(c->header), c->data_bytes);
        lora_code code = outcome(m.bytes, m.n, &err);
        uint64_t expected = m.marked ? m.mark : m.n - c->data_bytes + c->data_at;
        if (code != c->code || !err.has_offset || err.offset != expected)
            fail_msg("%s\n%s at %llu, expected %s at %llu: %s", c->header, lora_code_name(code),
                     (unsigned long long)err.offset, lora_code_name(c->code), (unsigned long long)expected, err.message);
        assert_null(strchr(err.message, '\n'));
        covered[code] = true;
        free(m.bytes);
    }
}

static void more_tensors_or_metadata_than_the_limit_are_refused(void **state)
{
    (void)state;
    static const char open_metadata[] = "{\"__metadata__\":";
    for (int inside = 0; inside < 2; inside++) {
        for (size_t n = LIMIT_TENSORS - 1; n <= LIMIT_TENSORS + 1; n++) {
            size_t lead = inside ? sizeof open_metadata - 1 : 0, length = lead + n * 5 + 1 + (size_t)inside;
            char *header = malloc(length + 1), *p = header + lead;
            assert_non_null(header);
            memcpy(header, open_metadata, lead);
            for (size_t i = 0; i < n; i++, p += 5)
                memcpy(p, i ? ",\"\":0" : "{\"\":0", 5);
            memcpy(p, "}}", 1 + (size_t)inside);
            lora_error err;
            image m = image_of(header, length, 0);
            lora_code code = outcome(m.bytes, m.n, &err);
            bool over = n > LIMIT_TENSORS;
            assert_int_equal(code, over ? LORA_E_TOO_MANY : inside ? LORA_E_METADATA : LORA_E_HEADER_FIELD);
            assert_int_equal(err.offset, 8 + lead + (over ? (n - 1) * 5 + 1 : 4));
            covered[code] = true;
            free(m.bytes);
            free(header);
        }
    }
}

static void axes_are_bounded_exactly(void **state)
{
    (void)state;
    for (unsigned axes = LIMIT_TENSOR_DIMS - 1; axes <= LIMIT_TENSOR_DIMS + 1; axes++) {
        char header[200] = "{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":[1";
        for (unsigned i = 1; i < axes; i++)
            strcat(header, ",1");
        strcat(header, "]}}");
        lora_error err;
        image m = image_of(header, strlen(header), 1);
        assert_int_equal(outcome(m.bytes, m.n, &err), axes <= LIMIT_TENSOR_DIMS ? LORA_OK : LORA_E_HEADER_FIELD);
        free(m.bytes);
    }
}

static void nesting_is_bounded_exactly(void **state)
{
    (void)state;
    for (unsigned levels = LIMIT_JSON_DEPTH - 1; levels <= LIMIT_JSON_DEPTH + 1; levels++) {
        char header[400] = "{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":";
        for (unsigned i = 2; i < levels; i++)
            strcat(header, "[");
        for (unsigned i = 2; i < levels; i++)
            strcat(header, "]");
        strcat(header, "}}");
        lora_error err;
        image m = image_of(header, strlen(header), 1);
        assert_int_equal(outcome(m.bytes, m.n, &err), levels <= LIMIT_JSON_DEPTH ? LORA_OK : LORA_E_HEADER_JSON);
        free(m.bytes);
    }
}

static void the_header_length_is_bounded_exactly(void **state)
{
    (void)state;
    for (uint64_t n = LIMIT_HEADER_BYTES - 1; n <= LIMIT_HEADER_BYTES + 1; n++) {
        unsigned char prefix[8];
        for (size_t i = 0; i < 8; i++)
            prefix[i] = (unsigned char)(n >> 8 * i);
        file f = file_of(prefix, 8);
        f.size = 8 + n;
        assert_int_equal(ftruncate(f.fd, (off_t)f.size), 0); /* zeros, which are not JSON */
        arena *mem = arena_create();
        catalog cat;
        lora_error err = {0};
        bool over = n > LIMIT_HEADER_BYTES;
        assert_int_equal(safetensors_read(&f, mem, &cat, &err), over ? LORA_E_HEADER_TOO_LARGE : LORA_E_HEADER_JSON);
        assert_int_equal(err.offset, over ? 0 : 8);
        arena_destroy(mem);
        file_close(&f);
    }
}

static void every_error_of_the_format_has_been_seen(void **state)
{
    (void)state;
    for (int code = LORA_E_HEADER_TOO_SMALL; code <= LORA_E_TRAILING; code++) {
        if (!covered[code])
            fail_msg("no case for %s", lora_code_name((lora_code)code));
    }
    assert_true(covered[LORA_E_EMPTY]);
}

static void names_in_messages_are_harmless_and_short(void **state)
{
    (void)state;
    char header[2000] = "{\"";
    lora_error err;
    for (int i = 0; i < 100; i++)
        strcat(header, "long.name.");
    strcat(header, "\\u001b[2J\\u202e\\n.end\":{}}");
    image m = image_of(header, strlen(header), 0);
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_E_HEADER_FIELD);
    assert_non_null(strstr(err.message, "\\x1b[2J\\u{202e}\\x0a.end\" has no dtype"));
    assert_true(strlen(err.message) < 100);
    free(m.bytes);
}

/* ---- damage ---- */

static const char small[] = "{\"__metadata__\":{\"f\":\"p\\u0074\"}," U8("a", "2,2", "0", "4") ","
                            "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[4,10]}}";

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    lora_error err;
    image m = image_of(small, sizeof small - 1, 10);
    for (size_t n = 0; n < m.n; n++)
        assert_int_not_equal(outcome(m.bytes, n, &err), LORA_OK);
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_OK);
    free(m.bytes);
}

static void a_file_with_any_bit_or_byte_changed_is_answered(void **state)
{
    (void)state;
    lora_error err;
    image m = image_of(small, sizeof small - 1, 10);
    for (size_t at = 0; at < m.n - 10; at++) {
        unsigned char before = m.bytes[at];
        static const unsigned char values[] = {0, '"', '\\', '{', '}', '[', ']', ',', ':', '9', '-', 0x7f, 0x80, 0xff};
        for (unsigned bit = 0; bit < 8; bit++) {
            m.bytes[at] = (unsigned char)(before ^ 1u << bit);
            outcome(m.bytes, m.n, &err);
        }
        for (size_t i = 0; i < sizeof values; i++) {
            m.bytes[at] = values[i];
            outcome(m.bytes, m.n, &err);
        }
        m.bytes[at] = before;
    }
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_OK);
    free(m.bytes);
}

/* The planted fault: a digit of a shape raised by one is the smallest lie a header can tell. */
static void a_planted_wrong_axis_is_caught(void **state)
{
    (void)state;
    lora_error err;
    image m = image_of(small, sizeof small - 1, 10);
    char *axis = strstr((char *)m.bytes + 8, "[3]");
    assert_non_null(axis);
    axis[1] = '4';
    assert_int_equal(outcome(m.bytes, m.n, &err), LORA_E_TENSOR_SIZE);
    assert_string_equal(err.message, "tensor \"b\" needs 8 bytes, its data_offsets span 6");
    free(m.bytes);
}

static void a_file_that_shrinks_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    image m = image_of(small, sizeof small - 1, 10);
    static const size_t kept[] = {0, 7, 8, 50};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        file f = file_of(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat;
        lora_error err = {0};
        assert_int_equal(ftruncate(f.fd, (off_t)kept[i]), 0);
        assert_int_equal(safetensors_read(&f, mem, &cat, &err), LORA_E_SHRUNK);
        assert_int_equal(err.offset, kept[i]);
        arena_destroy(mem);
        file_close(&f);
    }
    free(m.bytes);
}

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    image m = image_of(small, sizeof small - 1, 10);
    bool done = false;
    for (long k = 0; !done; k++) {
        file f = file_of(m.bytes, m.n);
        arena *mem = arena_create();
        catalog cat = {.container = "untouched"};
        lora_error err = {0};
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        lora_code code = safetensors_read(&f, mem, &cat, &err);
        done = !alloc_fault_end();
        assert_int_equal(code, done ? LORA_OK : LORA_E_MEMORY);
        assert_int_equal(err.code, code);
        assert_string_equal(cat.container, done ? "safetensors" : "untouched");
        arena_destroy(mem);
        file_close(&f);
    }
    free(m.bytes);
}

static void a_refusal_without_memory_for_its_label_is_still_the_refusal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        image m = image_of(refusals[i].header, strlen(refusals[i].header), refusals[i].data_bytes);
        bool done = false;
        for (long k = 0; !done; k++) {
            file f = file_of(m.bytes, m.n);
            arena *mem = arena_create();
            catalog cat;
            lora_error err = {0};
            alloc_fault_after(k, ALLOC_FAULT_STICKY);
            lora_code code = safetensors_read(&f, mem, &cat, &err);
            done = !alloc_fault_end();
            assert_true(code == refusals[i].code || (!done && code == LORA_E_MEMORY));
            arena_destroy(mem);
            file_close(&f);
        }
        free(m.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_file_is_read_in_the_order_of_its_data),
        cmocka_unit_test(what_the_format_allows_is_accepted),
        cmocka_unit_test(every_dtype_is_known_with_its_size),
        cmocka_unit_test(of_a_metadata_key_that_comes_twice_the_last_counts),
        cmocka_unit_test(a_broken_beginning_is_refused),
        cmocka_unit_test(messages_give_the_value_and_the_limit),
        cmocka_unit_test(a_broken_header_is_refused_where_it_goes_wrong),
        cmocka_unit_test(more_tensors_or_metadata_than_the_limit_are_refused),
        cmocka_unit_test(axes_are_bounded_exactly),
        cmocka_unit_test(nesting_is_bounded_exactly),
        cmocka_unit_test(the_header_length_is_bounded_exactly),
        cmocka_unit_test(every_error_of_the_format_has_been_seen),
        cmocka_unit_test(names_in_messages_are_harmless_and_short),
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_file_with_any_bit_or_byte_changed_is_answered),
        cmocka_unit_test(a_planted_wrong_axis_is_caught),
        cmocka_unit_test(a_file_that_shrinks_while_it_is_read_is_an_error),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
        cmocka_unit_test(a_refusal_without_memory_for_its_label_is_still_the_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
