/* Entries as numbers: every dtype against values written out from its definition, strides, byte order, deflated and
 * loaded storages, ranges, checksums, and all that can go wrong.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/formats/fetch.h"
#include "tests/support/alloc_fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

static const uint64_t no_axes[1] = {0};

static tensor vector_of(tensor_dtype dtype, const uint64_t *n, uint64_t bytes)
{
    return (tensor){.name = "t", .dtype = dtype, .n_dims = 1, .shape = n, .bytes = bytes};
}

static bool same_number(double a, double b)
{
    return isnan(b) ? isnan(a) : a == b && !signbit(a) == !signbit(b);
}

/* ---- dtypes ---- */

typedef struct {
    tensor_dtype dtype;
    uint64_t bits;
    double value;
} known;

static const known numbers[] = {
    {DTYPE_U8, 0, 0}, {DTYPE_U8, 255, 255}, {DTYPE_I8, 0x7f, 127}, {DTYPE_I8, 0x80, -128}, {DTYPE_I8, 0xff, -1},
    {DTYPE_I16, 0x7fff, 32767}, {DTYPE_I16, 0x8000, -32768}, {DTYPE_I16, 0x0201, 513},
    {DTYPE_U16, 0xffff, 65535}, {DTYPE_U16, 0x0201, 513},
    {DTYPE_I32, 0x80000000, -2147483648.0}, {DTYPE_I32, 0x7fffffff, 2147483647.0}, {DTYPE_I32, 0xffffffff, -1},
    {DTYPE_U32, 0xffffffff, 4294967295.0}, {DTYPE_U32, 0x04030201, 67305985.0},
    {DTYPE_I64, 0xffffffffffffffff, -1}, {DTYPE_I64, 0x20000000000000, 9007199254740992.0},
    {DTYPE_I64, 0x8000000000000000, -9223372036854775808.0}, {DTYPE_U64, 0xffffffffffffffff, 18446744073709551616.0},
    {DTYPE_U64, 0x0807060504030201, 578437695752307201.0},
    /* 1-4-3, bias 7, no infinity, NaN at 0x7f and 0xff */
    {DTYPE_F8_E4M3, 0x00, 0.0}, {DTYPE_F8_E4M3, 0x80, -0.0}, {DTYPE_F8_E4M3, 0x01, 0x1p-9}, {DTYPE_F8_E4M3, 0x07, 0x7p-9},
    {DTYPE_F8_E4M3, 0x08, 0x1p-6}, {DTYPE_F8_E4M3, 0x38, 1}, {DTYPE_F8_E4M3, 0x39, 1.125}, {DTYPE_F8_E4M3, 0xb8, -1},
    {DTYPE_F8_E4M3, 0x78, 256}, {DTYPE_F8_E4M3, 0x7e, 448}, {DTYPE_F8_E4M3, 0xfe, -448}, {DTYPE_F8_E4M3, 0x7f, NAN},
    {DTYPE_F8_E4M3, 0xff, NAN},
    /* 1-5-2, bias 15, as IEEE 754 */
    {DTYPE_F8_E5M2, 0x80, -0.0}, {DTYPE_F8_E5M2, 0x01, 0x1p-16}, {DTYPE_F8_E5M2, 0x03, 0x3p-16}, {DTYPE_F8_E5M2, 0x04, 0x1p-14},
    {DTYPE_F8_E5M2, 0x3c, 1}, {DTYPE_F8_E5M2, 0x3d, 1.25}, {DTYPE_F8_E5M2, 0xbc, -1}, {DTYPE_F8_E5M2, 0x7b, 57344},
    {DTYPE_F8_E5M2, 0x7c, INFINITY}, {DTYPE_F8_E5M2, 0xfc, -INFINITY}, {DTYPE_F8_E5M2, 0x7d, NAN}, {DTYPE_F8_E5M2, 0xff, NAN},
    /* 1-4-3, bias 8; one NaN, at 0x80 */
    {DTYPE_F8_E4M3FNUZ, 0x00, 0.0}, {DTYPE_F8_E4M3FNUZ, 0x80, NAN}, {DTYPE_F8_E4M3FNUZ, 0x01, 0x1p-10},
    {DTYPE_F8_E4M3FNUZ, 0x08, 0x1p-7}, {DTYPE_F8_E4M3FNUZ, 0x40, 1}, {DTYPE_F8_E4M3FNUZ, 0x7f, 240}, {DTYPE_F8_E4M3FNUZ, 0xff, -240},
    /* 1-5-2, bias 16; one NaN, at 0x80 */
    {DTYPE_F8_E5M2FNUZ, 0x80, NAN}, {DTYPE_F8_E5M2FNUZ, 0x01, 0x1p-17}, {DTYPE_F8_E5M2FNUZ, 0x04, 0x1p-15},
    {DTYPE_F8_E5M2FNUZ, 0x40, 1}, {DTYPE_F8_E5M2FNUZ, 0x7c, 32768}, {DTYPE_F8_E5M2FNUZ, 0x7f, 57344}, {DTYPE_F8_E5M2FNUZ, 0xff, -57344},
};

static double fetch_one(const file *f, const tensor *t, uint64_t index)
{
    double wide = 0;
    float single = 0;
    tensor_dtype as = fetch_dtype(t);
    lora_error err = {0};
    assert_true(as == DTYPE_F32 || as == DTYPE_F64);
    assert_int_equal(fetch_entries_bytes(t, 1), as == DTYPE_F64 ? 8 : 4);
    if (fetch_entries(f, t, index, 1, as == DTYPE_F64 ? (void *)&wide : (void *)&single, &err))
        fail_msg("%s", err.message);
    return as == DTYPE_F64 ? wide : (double)single;
}

static void converted_dtypes_give_the_numbers_of_their_definition_in_both_byte_orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t width = dtype_bits(numbers[i].dtype) / 8;
        uint64_t two[] = {2};
        unsigned char little[16] = {0}, big[16] = {0};
        for (size_t k = 0; k < width; k++)
            little[width + k] = big[2 * width - 1 - k] = (unsigned char)(numbers[i].bits >> 8 * k);
        file f = file_of_memory(little, 2 * width), g = file_of_memory(big, 2 * width);
        tensor t = vector_of(numbers[i].dtype, two, 2 * width);
        double x = fetch_one(&f, &t, 1);
        if (!same_number(x, numbers[i].value))
            fail_msg("%s 0x%llx: %g, expected %g", dtype_name(t.dtype), (unsigned long long)numbers[i].bits, x, numbers[i].value);
        tensor_storage swapped = {.stored_bytes = 2 * width, .bytes = 2 * width, .big_endian = true};
        t.storage = &swapped;
        assert_true(same_number(fetch_one(&g, &t, 1), numbers[i].value));
    }
}

static void positive_codes_of_8_bits_rise_one_after_another(void **state)
{
    (void)state;
    static const struct {
        tensor_dtype dtype;
        int largest;
    } kinds[] = {{DTYPE_F8_E4M3, 0x7e}, {DTYPE_F8_E5M2, 0x7c}, {DTYPE_F8_E4M3FNUZ, 0x7f}, {DTYPE_F8_E5M2FNUZ, 0x7f}};
    unsigned char all[256];
    float x[256];
    uint64_t n[] = {256};
    for (int c = 0; c < 256; c++)
        all[c] = (unsigned char)c;
    file f = file_of_memory(all, sizeof all);
    for (size_t k = 0; k < 4; k++) {
        tensor t = vector_of(kinds[k].dtype, n, 256);
        assert_int_equal(fetch_entries(&f, &t, 0, 256, x, NULL), LORA_OK);
        for (int c = 1; c <= kinds[k].largest; c++) {
            assert_true(x[c] > x[c - 1]);
            assert_true(x[128 + c] == -x[c]);
        }
    }
}

static void floats_that_numerics_know_come_as_they_are_stored(void **state)
{
    (void)state;
    static const tensor_dtype kinds[] = {DTYPE_F64, DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    unsigned char bytes[32], got[16], expected[16];
    uint64_t n[] = {2};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 1);
    file f = file_of_memory(bytes, sizeof bytes);
    for (size_t k = 0; k < 4; k++) {
        size_t width = dtype_bits(kinds[k]) / 8;
        tensor t = vector_of(kinds[k], n, 2 * width);
        t.offset = 3;
        assert_int_equal(fetch_dtype(&t), kinds[k]);
        assert_int_equal(fetch_entries_bytes(&t, 2), 2 * width);
        assert_int_equal(fetch_entries(&f, &t, 0, 2, got, NULL), LORA_OK);
        assert_memory_equal(got, bytes + 3, 2 * width);
        tensor_storage swapped = {.offset = 1, .stored_bytes = 30, .bytes = 30, .big_endian = true};
        t.storage = &swapped;
        assert_int_equal(fetch_entries(&f, &t, 0, 2, got, NULL), LORA_OK);
        for (size_t i = 0; i < 2 * width; i++)
            expected[i] = bytes[4 + i / width * width + width - 1 - i % width];
        assert_memory_equal(got, expected, 2 * width);
    }
}

static void blocks_of_q8_are_scaled_in_any_range(void **state)
{
    (void)state;
    enum { BLOCKS = 67, N = 32 * BLOCKS }; /* more than are read at once */
    unsigned char *bytes = calloc(1, 34 * BLOCKS + 5);
    float *all = malloc(N * sizeof *all), *part = malloc(N * sizeof *part);
    static const struct {
        unsigned half;
        float scale;
    } scales[] = {{0x3c00, 1}, {0xb800, -0.5f}, {0x0001, 0x1p-24f}, {0x7bff, 65504}, {0x8000, -0.0f}, {0x0400, 0x1p-14f}};
    assert_true(bytes && all && part);
    for (size_t b = 0; b < BLOCKS; b++) {
        unsigned char *p = bytes + 5 + 34 * b;
        p[0] = (unsigned char)scales[b % 6].half;
        p[1] = (unsigned char)(scales[b % 6].half >> 8);
        for (size_t i = 0; i < 32; i++)
            p[2 + i] = (unsigned char)(i * 8 + b);
    }
    file f = file_of_memory(bytes, 34 * BLOCKS + 5);
    uint64_t n[] = {N};
    tensor t = vector_of(DTYPE_Q8_0, n, 34 * BLOCKS);
    t.offset = 5;
    assert_int_equal(fetch_dtype(&t), DTYPE_F32);
    assert_int_equal(fetch_entries_bytes(&t, 32), 128);
    assert_int_equal(fetch_entries(&f, &t, 0, N, all, NULL), LORA_OK);
    for (size_t i = 0; i < N; i++)
        assert_true(all[i] == scales[i / 32 % 6].scale * (float)(int8_t)(unsigned char)(i % 32 * 8 + i / 32));
    static const uint64_t ranges[][2] = {{0, 1}, {31, 2}, {5, 20}, {32, 32}, {2047, 50}, {N - 1, 1}, {1, N - 2}};
    for (size_t k = 0; k < sizeof ranges / sizeof ranges[0]; k++) {
        assert_int_equal(fetch_entries(&f, &t, ranges[k][0], ranges[k][1], part, NULL), LORA_OK);
        assert_memory_equal(part, all + ranges[k][0], ranges[k][1] * sizeof *part);
    }
    bytes[5] = 0x01; /* a scale that is no number */
    bytes[6] = 0x7c;
    bytes[5 + 34] = 0x00;
    bytes[6 + 34] = 0xfc;
    assert_int_equal(fetch_entries(&f, &t, 0, 34, part, NULL), LORA_OK);
    assert_true(isnan(part[0]) && part[33] == -INFINITY);
    f.size -= 1;
    lora_error err = {0};
    assert_int_equal(fetch_entries(&f, &t, 0, N, all, &err), LORA_E_SHRUNK);
    free(bytes);
    free(all);
    free(part);
}

static void dtypes_that_are_not_computed_are_refused_by_name(void **state)
{
    (void)state;
    static const tensor_dtype kinds[] = {DTYPE_BOOL, DTYPE_F4, DTYPE_F6_E2M3, DTYPE_F6_E3M2, DTYPE_F8_E8M0, DTYPE_C64, DTYPE_C128, DTYPE_BLOCK};
    file f = file_of_memory("12345678", 8);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        tensor t = {.name = "a\nb", .dtype = kinds[k], .shape = no_axes, .entry_offset = 77};
        float x = 5;
        lora_error err = {0};
        assert_int_equal(fetch_dtype(&t), DTYPE_COUNT);
        assert_int_equal(fetch_entries_bytes(&t, 1), 0);
        assert_int_equal(fetch_entries(&f, &t, 0, 1, &x, &err), LORA_E_DTYPE);
        assert_int_equal(err.offset, 77);
        assert_non_null(strstr(err.message, dtype_name(kinds[k])));
        assert_null(strchr(err.message, '\n'));
        assert_true(x == 5);
    }
    tensor t = {.name = "t", .dtype = DTYPE_F64, .shape = no_axes};
    assert_int_equal(fetch_entries_bytes(&t, UINT64_MAX / 4), 0);
}

/* ---- strides ---- */

static void strided_tensors_come_in_c_order(void **state)
{
    (void)state;
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    file f = file_of_memory(bytes, sizeof bytes);
    static const struct {
        unsigned n_dims;
        uint64_t shape[3], strides[3];
    } cases[] = {
        {2, {3, 4}, {1, 3}},         /* columns first */
        {2, {3, 4}, {8, 2}},         /* every other one of wider rows */
        {3, {2, 3, 4}, {1, 2, 6}},   /* columns first */
        {3, {2, 3, 4}, {4, 8, 1}},   /* two axes exchanged */
        {2, {3, 4}, {0, 1}},         /* one row three times */
        {2, {3, 4}, {1, 0}},         /* one column four times */
        {1, {12}, {5}},
        {0, {0}, {0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        uint64_t n = 1;
        for (unsigned i = 0; i < cases[c].n_dims; i++)
            n *= cases[c].shape[i];
        tensor t = {.name = "t", .dtype = DTYPE_U8, .n_dims = cases[c].n_dims, .shape = cases[c].shape, .strides = cases[c].strides,
                    .offset = 2, .bytes = n};
        for (uint64_t first = 0; first < n; first++) {
            for (uint64_t count = 1; count <= n - first; count++) {
                float x[24];
                assert_int_equal(fetch_entries(&f, &t, first, count, x, NULL), LORA_OK);
                for (uint64_t k = 0; k < count; k++) {
                    uint64_t left = first + k, place = 0;
                    for (unsigned i = t.n_dims; i-- > 0; left /= t.shape[i])
                        place += left % t.shape[i] * t.strides[i];
                    assert_true(x[k] == (float)bytes[2 + place]);
                }
            }
        }
    }
}

static void strided_big_endian_entries_are_swapped_whole(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {9, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6};
    uint64_t shape[] = {2, 3}, strides[] = {1, 2};
    file f = file_of_memory(bytes, sizeof bytes);
    tensor_storage s = {.offset = 1, .stored_bytes = 12, .bytes = 12, .big_endian = true};
    tensor t = {.name = "t", .dtype = DTYPE_I16, .n_dims = 2, .shape = shape, .strides = strides, .storage = &s, .bytes = 12};
    float x[6];
    static const float expected[] = {1, 3, 5, 2, 4, 6};
    assert_int_equal(fetch_entries(&f, &t, 0, 6, x, NULL), LORA_OK);
    assert_memory_equal(x, expected, sizeof x);
}

/* ---- storages ---- */

enum { LONG = 200000 }; /* bytes: more than are inflated at once */

static size_t deflate_raw(const unsigned char *from, size_t n, unsigned char *to, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)from;
    z.avail_in = (uInt)n;
    z.next_out = to;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

typedef struct {
    unsigned char *plain, *packed, *got;
    size_t stored;
    tensor_storage s;
    file f;
} stream;

static stream stream_of(bool deflated)
{
    stream x = {.plain = malloc(LONG), .packed = malloc(2 * LONG), .got = malloc(LONG)};
    assert_true(x.plain && x.packed && x.got);
    uint32_t seed = 1;
    for (size_t i = 0; i < LONG; i++) {
        seed = seed * 1664525u + 1013904223u;
        x.plain[i] = (unsigned char)(seed >> 29); /* 3 random bits: deflates, but not to nothing */
    }
    memset(x.packed, 0xee, 7);
    if (deflated)
        x.stored = deflate_raw(x.plain, LONG, x.packed + 7, 2 * LONG - 7);
    else
        memcpy(x.packed + 7, x.plain, x.stored = LONG);
    x.s = (tensor_storage){.offset = 7, .stored_bytes = x.stored, .bytes = LONG, .deflated = deflated, .has_crc = true,
                           .crc = (uint32_t)crc32(0, x.plain, LONG)};
    x.f = file_of_memory(x.packed, 7 + x.stored);
    return x;
}

static void stream_free(stream *x)
{
    free(x->plain);
    free(x->packed);
    free(x->got);
}

static void ranges_of_storages_are_the_bytes_at_that_place(void **state)
{
    (void)state;
    static const uint64_t ranges[][2] = {{0, LONG}, {0, 1}, {LONG - 1, 1}, {65535, 2}, {65536, 65536}, {1, LONG - 1}, {199000, 1000}, {300, 0}, {LONG, 0}};
    for (int kind = 0; kind < 3; kind++) {
        stream x = stream_of(kind == 1);
        if (kind == 2)
            x.s.memory = x.plain;
        for (size_t k = 0; k < sizeof ranges / sizeof ranges[0]; k++) {
            lora_error err = {0};
            memset(x.got, 0xaa, LONG);
            if (fetch_storage(&x.f, &x.s, ranges[k][0], ranges[k][1], x.got, &err))
                fail_msg("kind %d, range %zu: %s", kind, k, err.message);
            assert_memory_equal(x.got, x.plain + ranges[k][0], ranges[k][1]);
            for (size_t i = (size_t)ranges[k][1]; i < LONG; i++)
                assert_int_equal(x.got[i], 0xaa);
        }
        lora_error err = {0};
        assert_int_equal(fetch_storage(&x.f, &x.s, 1, LONG, x.got, &err), LORA_E_STORAGE);
        assert_int_equal(fetch_storage(&x.f, &x.s, LONG + 1, 0, x.got, NULL), LORA_E_STORAGE);
        uint64_t n[] = {LONG};
        tensor t = vector_of(DTYPE_BF16, n, LONG);
        t.storage = &x.s;
        t.offset = 2;
        assert_int_equal(fetch_entries(&x.f, &t, 10, 20, x.got, NULL), LORA_OK);
        assert_memory_equal(x.got, x.plain + 22, 40);
        assert_int_equal(fetch_entries(&x.f, &t, LONG / 2 - 1, 1, x.got, NULL), LORA_E_STORAGE);
        stream_free(&x);
    }
}

static void a_wrong_checksum_is_an_error_where_all_bytes_are_read(void **state)
{
    (void)state;
    static const struct {
        uint64_t from, n;
        bool plain, deflated; /* is it noticed */
    } cases[] = {{0, LONG, true, true}, {128, LONG - 128, true, true}, {131072, LONG - 131072, true, true},
                 {131073, LONG - 131073, false, true}, {0, LONG - 1, false, false}, {5, 10, false, false}};
    for (int kind = 0; kind < 3; kind++) {
        stream x = stream_of(kind == 1);
        if (kind == 2)
            x.s.memory = x.plain;
        x.s.crc ^= 1;
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            lora_error err = {0};
            bool noticed = kind == 1 ? cases[k].deflated : cases[k].plain;
            assert_int_equal(fetch_storage(&x.f, &x.s, cases[k].from, cases[k].n, x.got, &err), noticed ? LORA_E_CHECKSUM : LORA_OK);
            assert_int_equal(err.offset, noticed ? 7 : 0);
        }
        x.s.has_crc = false;
        assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG, x.got, NULL), LORA_OK);
        stream_free(&x);
    }
}

static void streams_that_are_not_what_they_claim_are_refused(void **state)
{
    (void)state;
    stream x = stream_of(true);
    lora_error err = {0};
    x.s.has_crc = false;
    x.s.stored_bytes = x.stored - 1; /* cut */
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG, x.got, &err), LORA_E_INFLATE);
    assert_int_equal(err.offset, 7);
    x.s.stored_bytes = 0;
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, 1, x.got, NULL), LORA_E_INFLATE);
    x.s.stored_bytes = x.stored;
    x.s.bytes = LONG + 1; /* fewer bytes than said */
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG + 1, x.packed + LONG, NULL), LORA_E_INFLATE);
    x.s.bytes = LONG - 1; /* more bytes than said */
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG - 2, x.got, NULL), LORA_OK);
    stream_free(&x);

    x = stream_of(true);
    x.s.has_crc = false;
    x.s.bytes = LONG - 1;
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG - 1, x.got, NULL), LORA_E_INFLATE);
    x.s.bytes = LONG;
    unsigned char block = x.packed[7];
    x.packed[7] = 0x07; /* the last block, of the type that there is not */
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG, x.got, NULL), LORA_E_INFLATE);
    x.packed[7] = block;
    x.f.size = 7 + x.stored / 2; /* shrunk since */
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG, x.got, NULL), LORA_E_SHRUNK);
    x.s.deflated = false;
    x.s.has_crc = true;
    assert_int_equal(fetch_storage(&x.f, &x.s, 0, LONG, x.got, NULL), LORA_E_SHRUNK);
    stream_free(&x);
}

/* ---- memory ---- */

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    stream x = stream_of(true);
    uint64_t shape[] = {100, 1000}, strides[] = {1, 100};
    static const tensor_dtype kinds[] = {DTYPE_I16, DTYPE_F16, DTYPE_Q8_0};
    void *to = malloc(8 * LONG);
    assert_non_null(to);
    for (size_t c = 0; c < 3; c++) {
        tensor t = {.name = "t", .dtype = kinds[c], .n_dims = 2, .shape = shape, .strides = c < 2 ? strides : NULL, .storage = &x.s,
                    .bytes = LONG};
        bool done = false;
        for (long k = 0; !done; k++) {
            lora_error err = {0};
            alloc_fault_after(k, ALLOC_FAULT_STICKY);
            lora_code code = fetch_entries(&x.f, &t, 0, 64, to, &err);
            done = !alloc_fault_end();
            assert_int_equal(code, done ? LORA_OK : LORA_E_MEMORY);
            assert_int_equal(err.code, code);
        }
    }
    tensor t = {.name = "t", .dtype = DTYPE_U8, .n_dims = 2, .shape = shape, .strides = (uint64_t[]){UINT64_MAX / 150, 1}, .bytes = 1};
    lora_error err = {0};
    assert_int_equal(fetch_entries(&x.f, &t, 0, 100000, to, &err), LORA_E_MEMORY); /* a span beyond memory */
    t = vector_of(DTYPE_I16, shape, 1);
    assert_int_equal(fetch_entries(&x.f, &t, 0, UINT64_MAX / 2 + 2, to, NULL), LORA_E_MEMORY);
    assert_int_equal(fetch_entries(&x.f, &t, 0, 0, NULL, NULL), LORA_OK);
    free(to);
    stream_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converted_dtypes_give_the_numbers_of_their_definition_in_both_byte_orders),
        cmocka_unit_test(positive_codes_of_8_bits_rise_one_after_another),
        cmocka_unit_test(floats_that_numerics_know_come_as_they_are_stored),
        cmocka_unit_test(blocks_of_q8_are_scaled_in_any_range),
        cmocka_unit_test(dtypes_that_are_not_computed_are_refused_by_name),
        cmocka_unit_test(strided_tensors_come_in_c_order),
        cmocka_unit_test(strided_big_endian_entries_are_swapped_whole),
        cmocka_unit_test(ranges_of_storages_are_the_bytes_at_that_place),
        cmocka_unit_test(a_wrong_checksum_is_an_error_where_all_bytes_are_read),
        cmocka_unit_test(streams_that_are_not_what_they_claim_are_refused),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
