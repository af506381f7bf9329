/* NumPy's arrays: headers as NumPy and older writers make them, every refusal with its place, members stored, deflated,
 * hidden and hostile, real files, memory that ends.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/npz.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/zip_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- making files ---- */

typedef struct {
    unsigned char bytes[4096];
    size_t n, header; /* whole; of it the header */
} npy;

/* version, the text of the header, and data_bytes of 1, 2, 3 … */
static npy npy_of(int version, const char *text, size_t data_bytes)
{
    npy made = {.n = 8, .bytes = "\x93NUMPY"};
    size_t length = strlen(text);
    made.bytes[6] = (unsigned char)version;
    for (size_t i = 0; i < (version > 1 ? 4 : 2); i++)
        made.bytes[made.n++] = (unsigned char)(length >> 8 * i);
    memcpy(made.bytes + made.n, text, length);
    made.header = made.n += length;
    for (size_t i = 0; i < data_bytes; i++)
        made.bytes[made.n++] = (unsigned char)(i + 1);
    return made;
}

#define HEADER(descr, order, shape) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }     \n"

typedef struct {
    arena *mem;
    observations seen;
    catalog cat;
    lora_error err;
    lora_code code;
    file f;
} outcome;

typedef lora_code reading(const file *, arena *, observations *, catalog *, lora_error *);

/* On failure the catalog must be as it was, and the code that of the error. */
static outcome read_by(reading *read, const void *bytes, size_t n)
{
    outcome o = {.mem = arena_create(), .f = file_of_memory(bytes, n)};
    catalog before;
    assert_non_null(o.mem);
    memset(&o.cat, 0x5a, sizeof o.cat);
    memcpy(&before, &o.cat, sizeof before);
    o.seen.mem = o.mem;
    o.code = read(&o.f, o.mem, &o.seen, &o.cat, &o.err);
    assert_int_equal(o.code, o.err.code);
    if (o.code) {
        assert_memory_equal(&o.cat, &before, sizeof before);
        assert_true(o.err.message[0] != '\0');
        assert_null(strchr(o.err.message, '\n'));
    }
    return o;
}

static const observation *note_of(const outcome *o, observation_kind kind)
{
    for (size_t i = 0; i < o->seen.n; i++)
        if (o->seen.list[i].kind == kind)
            return &o->seen.list[i];
    return NULL;
}

/* A pickle that would call os.system. */
static const char evil[] = "\x80\x02" "cos\nsystem\nq\0X\2\0\0\0lsq\1\x85q\2Rq\3.";

/* ---- headers ---- */

static void headers_of_all_writers_are_read(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *text;
        tensor_dtype dtype;
        size_t bytes;
        unsigned n_dims;
        uint64_t shape[3];
    } cases[] = {
        {1, HEADER("<f4", "False", "(2, 3)"), DTYPE_F32, 24, 2, {2, 3}},
        {2, HEADER("<f8", "False", "(2,)"), DTYPE_F64, 16, 1, {2}},
        {3, HEADER("<f2", "False", "()"), DTYPE_F16, 2, 0, {0}},
        {1, "{'shape':(1,2,3,),'fortran_order':False,'descr':'|i1'}", DTYPE_I8, 6, 3, {1, 2, 3}},
        {1, "  {\"descr\" : \"<u2\" ,\"shape\" : ( 3L , 2L ) , \"fortran_order\" : False } \t\r\n", DTYPE_U16, 12, 2, {3, 2}},
        {1, HEADER("|u1", "False", "(3,)"), DTYPE_U8, 3, 1, {3}},
        {1, HEADER("|b1", "False", "(3,)"), DTYPE_BOOL, 3, 1, {3}},
        {1, HEADER("<V2", "False", "(3,)"), DTYPE_BF16, 6, 1, {3}},
        {1, HEADER("|V2", "False", "(3,)"), DTYPE_BF16, 6, 1, {3}},
        {1, HEADER("<i2", "False", "(1,)"), DTYPE_I16, 2, 1, {1}},
        {1, HEADER("<i4", "False", "(1,)"), DTYPE_I32, 4, 1, {1}},
        {1, HEADER("<i8", "False", "(1,)"), DTYPE_I64, 8, 1, {1}},
        {1, HEADER("<u4", "False", "(1,)"), DTYPE_U32, 4, 1, {1}},
        {1, HEADER("<u8", "False", "(1,)"), DTYPE_U64, 8, 1, {1}},
        {1, HEADER("<c8", "False", "(1,)"), DTYPE_C64, 8, 1, {1}},
        {1, HEADER("<c16", "False", "(1,)"), DTYPE_C128, 16, 1, {1}},
        {1, HEADER("f4", "False", "(1,)"), DTYPE_F32, 4, 1, {1}},
        {1, HEADER("=f4", "False", "(1,)"), DTYPE_F32, 4, 1, {1}},
        {1, HEADER("<f4", "False", "(0, 3)"), DTYPE_F32, 0, 2, {0, 3}},
        {1, HEADER("<f4", "False", "(0, 18446744073709551615)"), DTYPE_F32, 0, 2, {0, UINT64_MAX}},
        {1, HEADER("<f4", "True", "(3,)"), DTYPE_F32, 12, 1, {3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        npy a = npy_of(cases[i].version, cases[i].text, cases[i].bytes);
        outcome o = read_by(npy_read, a.bytes, a.n);
        if (o.code)
            fail_msg("%s: %s", cases[i].text, o.err.message);
        const tensor *t = &o.cat.tensors[0];
        assert_string_equal(o.cat.container, "npy");
        assert_int_equal(o.cat.n_tensors, 1);
        assert_string_equal(t->name, "array");
        assert_int_equal(t->dtype, cases[i].dtype);
        assert_int_equal(t->n_dims, cases[i].n_dims);
        for (unsigned k = 0; k < t->n_dims; k++)
            assert_int_equal(t->shape[k], cases[i].shape[k]);
        assert_int_equal(t->bytes, cases[i].bytes);
        assert_int_equal(t->offset, a.header);
        assert_null(t->strides);
        assert_int_equal(o.seen.n, 0);
        if (t->dtype == DTYPE_U8) {
            float x[3];
            assert_int_equal(fetch_entries(&o.f, t, 0, 3, x, NULL), LORA_OK);
            assert_true(x[0] == 1 && x[2] == 3);
        }
        arena_destroy(o.mem);
    }
}

static void columns_first_and_big_endian_entries_come_out_right(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER(">i2", "True", "(2, 3)"), 0);
    for (unsigned i = 0; i < 6; i++) {
        a.bytes[a.n++] = 0;
        a.bytes[a.n++] = (unsigned char)i;
    }
    outcome o = read_by(npy_read, a.bytes, a.n);
    float x[6];
    static const float expected[] = {0, 2, 4, 1, 3, 5};
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(fetch_entries(&o.f, &o.cat.tensors[0], 0, 6, x, NULL), LORA_OK);
    assert_memory_equal(x, expected, sizeof x);
    arena_destroy(o.mem);
}

/* In a text, '@' marks the byte that the error points at. Without: the byte behind the header plus `behind`. */
static void a_broken_header_is_refused_where_it_goes_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        lora_code code;
        size_t data_bytes, behind;
    } cases[] = {
        {"@", LORA_E_NPY, 0, 0},
        {"@[]", LORA_E_NPY, 0, 0},
        {"{}@", LORA_E_NPY, 0, 0},
        {"{@1: 2}", LORA_E_NPY, 0, 0},
        {"{'descr: '@<f4'}", LORA_E_NPY, 0, 0},
        {"{@'de\\x73cr': '<f4'}", LORA_E_NPY, 0, 0},
        {"{'other'@: 1}", LORA_E_NPY, 0, 0},
        {"{'descr' @'<f4'}", LORA_E_NPY, 0, 0},
        {"{'descr': @1}", LORA_E_NPY, 0, 0},
        {"{'descr': @'<f4}", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4' @'shape': (1,)}", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'descr'@: '<f4'}", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'fortran_order': False}@", LORA_E_NPY, 0, 0},
        {"{'shape': (1,), 'fortran_order': False}@", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'shape': (1,)}@", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'shape': (1,), 'fortran_order': @0}", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'shape': (1,), 'fortran_order': @true}", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'shape': (1,), 'fortran_order': False@ly}", LORA_E_NPY, 0, 0},
        {HEADER("<f4", "False", "@[1]"), LORA_E_NPY, 4, 0},
        {HEADER("<f4", "False", "@3"), LORA_E_NPY, 12, 0},
        {HEADER("<f4", "False", "(3@)"), LORA_E_NPY, 12, 0},
        {HEADER("<f4", "False", "(@-1,)"), LORA_E_NPY, 0, 0},
        {HEADER("<f4", "False", "(@,)"), LORA_E_NPY, 0, 0},
        {HEADER("<f4", "False", "(01@,)"), LORA_E_NPY, 4, 0},
        {HEADER("<f4", "False", "(1@.0,)"), LORA_E_NPY, 4, 0},
        {HEADER("<f4", "False", "(1 @2)"), LORA_E_NPY, 8, 0},
        {HEADER("<f4", "False", "(1844674407370955161@6,)"), LORA_E_NPY, 8, 0},
        {HEADER("<f4", "False", "(1,1,1,1,1,1,1,1,@1)"), LORA_E_NPY, 4, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), @", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, @", LORA_E_NPY, 0, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } @x", LORA_E_NPY, 0, 0},
        {HEADER("@<f16", "False", "(1,)"), LORA_E_DTYPE, 16, 0},
        {HEADER("@<U8", "False", "(1,)"), LORA_E_DTYPE, 32, 0},
        {HEADER("@|S8", "False", "(1,)"), LORA_E_DTYPE, 8, 0},
        {HEADER("@<M8[ns]", "False", "(1,)"), LORA_E_DTYPE, 8, 0},
        {HEADER("@|V3", "False", "(1,)"), LORA_E_DTYPE, 3, 0},
        {HEADER("@", "False", "(1,)"), LORA_E_DTYPE, 3, 0},
        {HEADER("@<", "False", "(1,)"), LORA_E_DTYPE, 3, 0},
        {"{'descr': @[('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", LORA_E_DTYPE, 4, 0},
        {"{'descr': @('<f4', (2,)), 'fortran_order': False, 'shape': (1,)}", LORA_E_DTYPE, 8, 0},
        {HEADER("<f4", "False", "(2,)"), LORA_E_TRUNCATED, 7, 0},
        {HEADER("<f4", "False", "(2,)"), LORA_E_TRAILING, 9, 8},
        {HEADER("<f4", "False", "()"), LORA_E_TRAILING, 5, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200], *mark;
        strcpy(text, cases[i].text);
        if ((mark = strchr(text, '@')))
            memmove(mark, mark + 1, strlen(mark));
        bool quote = mark && mark > text && cases[i].code == LORA_E_DTYPE && mark[-1] == '\''; /* the error points at the quote */
        npy a = npy_of(1, text, cases[i].data_bytes);
        uint64_t at = mark ? 10 + (uint64_t)(mark - text) - quote : a.header + cases[i].behind;
        outcome o = read_by(npy_read, a.bytes, a.n);
        if (o.code != cases[i].code || o.err.offset != at)
            fail_msg("%s: %s at %llu, expected %s at %llu: %s", cases[i].text, lora_code_name(o.code), (unsigned long long)o.err.offset,
                     lora_code_name(cases[i].code), (unsigned long long)at, o.err.message);
        arena_destroy(o.mem);
    }
    npy a = npy_of(1, HEADER("<f4", "True", "(4294967296, 4294967296)"), 0);
    outcome o = read_by(npy_read, a.bytes, a.n);
    assert_int_equal(o.code, LORA_E_SHAPE_OVERFLOW);
    arena_destroy(o.mem);
}

static void a_beginning_of_another_kind_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        lora_code code;
        uint64_t offset;
    } cases[] = {
#define B(literal) literal, sizeof(literal) - 1
        {B(""), LORA_E_TRUNCATED, 0},
        {B("\x93NUMPY"), LORA_E_TRUNCATED, 6},
        {B("\x93NUMPZ"), LORA_E_NPY, 0},
        {B("\x93NUMPY\0\0..........."), LORA_E_NPY, 6},
        {B("\x93NUMPY\4\0..........."), LORA_E_NPY, 6},
        {B("\x93NUMPY\1\1..........."), LORA_E_NPY, 6},
        {B("\x93NUMPY\1\0\1"), LORA_E_TRUNCATED, 9},
        {B("\x93NUMPY\2\0\1\0\0"), LORA_E_TRUNCATED, 11},
        {B("\x93NUMPY\1\0\4\0{}"), LORA_E_TRUNCATED, 12},
        {B("\x93NUMPY\2\0\0\0\1\0{}"), LORA_E_NPY, 8},
        {B("\x93NUMPY\2\0\xff\xff\xff\xff{}"), LORA_E_NPY, 8},
        {B("\x93NUMPY\2\0\xff\xff\0\0{}"), LORA_E_TRUNCATED, 14},
#undef B
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome o = read_by(npy_read, cases[i].bytes, cases[i].n);
        if (o.code != cases[i].code || o.err.offset != cases[i].offset)
            fail_msg("case %zu: %s at %llu: %s", i, lora_code_name(o.code), (unsigned long long)o.err.offset, o.err.message);
        arena_destroy(o.mem);
    }
}

/* ---- archives ---- */

static void stored_and_deflated_members_are_read_in_place(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER("<f4", "False", "(50, 4)"), 800), b = npy_of(2, HEADER("|u1", "True", "(2, 3)"), 6);
    char wide[700];
    snprintf(wide, sizeof wide, "{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}%600s", "");
    npy c = npy_of(1, wide, 4); /* a header longer than what is read first */
    for (int deflate = 0; deflate < 2; deflate++) {
        zip_writer w = {0};
        zip_writer_member(&w, &(zip_made){.name = "model.lora_a.npy", .data = a.bytes, .n = a.n, .deflate = deflate});
        zip_writer_member(&w, &(zip_made){.name = "b.npy", .data = b.bytes, .n = b.n, .deflate = deflate});
        zip_writer_member(&w, &(zip_made){.name = "sub/c.npy", .data = c.bytes, .n = c.n, .deflate = deflate});
        zip_writer_end(&w, NULL);
        outcome o = read_by(npz_read, w.bytes, w.n);
        if (o.code)
            fail_msg("%s", o.err.message);
        const tensor *t = o.cat.tensors;
        assert_string_equal(o.cat.container, "npz");
        assert_int_equal(o.cat.n_tensors, 3);
        assert_int_equal(o.seen.n, 0);
        assert_string_equal(t[0].name, "model.lora_a");
        assert_string_equal(t[1].name, "b");
        assert_string_equal(t[2].name, "sub/c");
        assert_int_equal(t[0].storage->deflated, deflate);
        assert_int_equal(t[0].offset, a.header);
        unsigned char x[800];
        float y[6];
        assert_int_equal(fetch_entries(&o.f, &t[0], 0, 200, x, NULL), LORA_OK);
        assert_memory_equal(x, a.bytes + a.header, 800);
        static const float expected[] = {1, 3, 5, 2, 4, 6};
        assert_int_equal(fetch_entries(&o.f, &t[1], 0, 6, y, NULL), LORA_OK);
        assert_memory_equal(y, expected, sizeof y);
        assert_int_equal(fetch_entries(&o.f, &t[2], 0, 2, y, NULL), LORA_OK);
        assert_true(y[0] == 0x0201 && y[1] == 0x0403);
        arena_destroy(o.mem);
        zip_writer_free(&w);
    }
}

static void tensors_come_in_the_order_of_their_data(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER("|u1", "False", "(1,)"), 1);
    zip_writer w = {0};
    zip_writer_add(&w, "first.npy", a.bytes, a.n);
    zip_writer_add(&w, "second.npy", a.bytes, a.n);
    size_t entry = 46 + strlen("first.npy"); /* bytes of its directory entry */
    unsigned char *turned = malloc(w.directory_bytes);
    assert_non_null(turned);
    memcpy(turned, w.directory + entry, w.directory_bytes - entry);
    memcpy(turned + w.directory_bytes - entry, w.directory, entry);
    memcpy(w.directory, turned, w.directory_bytes);
    free(turned);
    zip_writer_end(&w, NULL);
    outcome o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_OK);
    assert_string_equal(o.cat.tensors[0].name, "first");
    assert_string_equal(o.cat.tensors[1].name, "second");
    arena_destroy(o.mem);
    zip_writer_free(&w);
}

static void a_wrong_checksum_is_an_error_when_the_entries_are_read(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER("<f4", "False", "(4,)"), 16);
    for (int deflate = 0; deflate < 2; deflate++) {
        zip_writer w = {0};
        zip_writer_member(&w, &(zip_made){.name = "a.npy", .data = a.bytes, .n = a.n, .deflate = deflate, .crc = 1, .local_crc = 1});
        zip_writer_end(&w, NULL);
        outcome o = read_by(npz_read, w.bytes, w.n);
        float x[4];
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(fetch_entries(&o.f, &o.cat.tensors[0], 0, 4, x, &o.err), LORA_E_CHECKSUM);
        arena_destroy(o.mem);
        zip_writer_free(&w);
    }
}

static void arrays_of_objects_are_pickles_and_no_tensors(void **state)
{
    (void)state;
    static const char *const texts[] = {HEADER("|O", "False", "(1,)"), HEADER("O", "False", "(1,)"), HEADER("|O8", "False", "(1,)"),
                                        HEADER("<M8", "False", "(1,)"),
                                        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}\n"};
    npy good = npy_of(1, HEADER("|u1", "False", "(1,)"), 1);
    for (size_t i = 0; i < 5; i++) {
        npy a = npy_of(1, texts[i], 0);
        memcpy(a.bytes + a.n, evil, sizeof evil - 1);
        a.n += sizeof evil - 1;
        for (int how = 0; how < 4; how++) { /* .npy; stored, deflated, under another name */
            zip_writer w = {0};
            zip_writer_add(&w, "good.npy", good.bytes, good.n);
            zip_writer_member(&w, &(zip_made){.name = how == 3 ? "a.txt" : "a.npy", .data = a.bytes, .n = a.n, .deflate = how == 2});
            zip_writer_end(&w, NULL);
            outcome o = how ? read_by(npz_read, w.bytes, w.n) : read_by(npy_read, a.bytes, a.n);
            assert_int_equal(o.code, i < 3 ? LORA_OK : LORA_E_DTYPE);
            if (i < 3) {
                assert_int_equal(o.cat.n_tensors, how ? 1 : 0);
                const observation *note = note_of(&o, SEEN_PICKLE_ANOMALY);
                assert_non_null(note);
                assert_non_null(strstr(note->text, "holds Python objects"));
            }
            const observation *global = note_of(&o, SEEN_FORBIDDEN_GLOBAL);
            assert_non_null(global);
            assert_string_equal(global->subject, "os.system");
            if (how == 0)
                assert_in_range(global->offset, a.header, a.n);
            assert_true((note_of(&o, SEEN_ARCHIVE_STRAY) != NULL) == (how == 3));
            arena_destroy(o.mem);
            zip_writer_free(&w);
        }
    }
}

static void stray_and_hidden_pickles_are_read(void **state)
{
    (void)state;
    npy good = npy_of(1, HEADER("|u1", "False", "(1,)"), 1), bad = npy_of(1, HEADER("|O", "False", "(1,)"), 0);
    memcpy(bad.bytes + bad.n, evil, sizeof evil - 1);
    bad.n += sizeof evil - 1;
    for (int how = 0; how < 5; how++) {
        zip_writer w = {0};
        zip_writer_add(&w, "good.npy", good.bytes, good.n);
        if (how == 0)
            zip_writer_add(&w, "data.pkl", evil, sizeof evil - 1);
        else if (how == 1)
            zip_writer_bytes(&w, evil, sizeof evil - 1);
        else if (how == 2)
            zip_writer_bytes(&w, bad.bytes, bad.n);
        else if (how == 3)
            zip_writer_add(&w, "note.txt", "hello", 5);
        else /* behind a member that breaks first, with a wrong checksum */
            zip_writer_member(&w, &(zip_made){.name = "broken.npy", .data = "xxxxxxxxxx", .n = 10}),
                zip_writer_member(&w, &(zip_made){.name = "data.pkl", .data = evil, .n = sizeof evil - 1, .crc = 1, .local_crc = 1});
        zip_writer_end(&w, NULL);
        outcome o = read_by(npz_read, w.bytes, w.n);
        assert_int_equal(o.code, how == 4 ? LORA_E_NPY : LORA_OK);
        assert_true((note_of(&o, SEEN_FORBIDDEN_GLOBAL) != NULL) == (how != 3));
        assert_true((note_of(&o, SEEN_ARCHIVE_STRAY) != NULL) == (how == 0 || how >= 3));
        assert_true((note_of(&o, SEEN_CHECKSUM) != NULL) == (how == 4));
        arena_destroy(o.mem);
        zip_writer_free(&w);
    }
}

static void archives_that_would_grow_too_large_are_refused(void **state)
{
    (void)state;
    char text[200];
    size_t n = LIMIT_INFLATE_BYTES + 100000;
    snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu,)}", n);
    npy head = npy_of(1, text, 0);
    unsigned char *all = calloc(1, head.header + n);
    assert_non_null(all);
    memcpy(all, head.bytes, head.header);
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "a.npy", .data = all, .n = head.header + n, .deflate = true});
    zip_writer_end(&w, NULL);
    outcome o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATES_TOO_LARGE);
    arena_destroy(o.mem);
    zip_writer_free(&w);

    n = LIMIT_INFLATE_BYTES; /* each within its limit, all together not */
    unsigned n_members = LIMIT_EXPANSION_FREE / LIMIT_INFLATE_BYTES + 2;
    snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu,)}", n);
    head = npy_of(1, text, 0);
    memcpy(all, head.bytes, head.header);
    for (unsigned i = 0; i < n_members; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u.npy", i);
        zip_writer_member(&w, &(zip_made){.name = name, .data = all, .n = head.header + n, .deflate = true});
    }
    zip_writer_end(&w, NULL);
    o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATES_TOO_LARGE);
    snprintf(text, sizeof text, "\"%llu\"", (unsigned long long)((LIMIT_EXPANSION * w.n + LIMIT_EXPANSION_FREE) / n));
    assert_non_null(strstr(o.err.message, text));
    arena_destroy(o.mem);
    zip_writer_free(&w);

    memset(all, 0, n);
    memcpy(all, evil, sizeof evil - 1); /* many pickles that inflate */
    for (unsigned i = 0; i < n_members; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u.pkl", i);
        zip_writer_member(&w, &(zip_made){.name = name, .data = all, .n = n, .deflate = true});
    }
    zip_writer_end(&w, NULL);
    o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATES_TOO_LARGE);
    assert_non_null(note_of(&o, SEEN_FORBIDDEN_GLOBAL));
    arena_destroy(o.mem);
    zip_writer_free(&w);
    free(all);
}

static void broken_archives_and_members_are_refused(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER("|u1", "False", "(1,)"), 1);
    zip_writer w = {0};
    zip_writer_add(&w, "a.npy", a.bytes, a.n);
    zip_writer_add(&w, "a.npy", a.bytes, a.n);
    zip_writer_end(&w, NULL);
    outcome o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_DUPLICATE);
    arena_destroy(o.mem);
    o = read_by(npz_read, w.bytes, w.n - 30); /* no directory: looked into all the same */
    assert_int_equal(o.code, LORA_E_ZIP);
    arena_destroy(o.mem);
    o = read_by(npz_read, w.bytes, 0);
    assert_int_not_equal(o.code, LORA_OK);
    arena_destroy(o.mem);
    zip_writer_free(&w);

    zip_writer_member(&w, &(zip_made){.name = "a.npy", .data = a.bytes, .n = a.n, .deflate = true, .bytes = 600});
    zip_writer_end(&w, NULL);
    o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATE);
    arena_destroy(o.mem);
    zip_writer_free(&w);

    zip_writer_add(&w, "os.npy", "\x93NUMPY\1\0\2\0{}", 12);
    zip_writer_add(&w, "zero.npy", "", 0);
    zip_writer_end(&w, NULL);
    o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_NPY); /* the first of two */
    arena_destroy(o.mem);
    zip_writer_free(&w);
}

static void members_that_cannot_be_had_whole_are_read_as_far_as_they_go(void **state)
{
    (void)state;
    npy good = npy_of(1, HEADER("|u1", "False", "(1,)"), 1), bad = npy_of(1, HEADER("|O", "False", "(1,)"), 0);
    char wide[700];
    snprintf(wide, sizeof wide, "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}%600s", "");
    npy far = npy_of(1, wide, 0);
    memcpy(bad.bytes + bad.n, evil, sizeof evil - 1);
    memcpy(far.bytes + far.n, evil, sizeof evil - 1);
    bad.n += sizeof evil - 1;
    far.n += sizeof evil - 1;
    zip_writer w = {0};
    zip_writer_add(&w, "z", "", 0);
    zip_writer_bytes(&w, far.bytes, far.n); /* hidden, and its pickle beyond what is looked at first */
    zip_writer_add(&w, ".npy", good.bytes, good.n);
    zip_writer_bytes(&w, "abc", 3);
    zip_writer_end(&w, NULL);
    outcome o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_OK);
    assert_string_equal(o.cat.tensors[0].name, "");
    assert_non_null(note_of(&o, SEEN_FORBIDDEN_GLOBAL));
    arena_destroy(o.mem);
    zip_writer_free(&w);

    zip_writer_member(&w, &(zip_made){.name = "o.npy", .data = bad.bytes, .n = bad.n, .deflate = true, .bytes = 9}); /* more said than there is */
    zip_writer_end(&w, NULL);
    o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATE);
    arena_destroy(o.mem);
    zip_writer_free(&w);

    memset(bad.bytes + bad.n, '.', 1000); /* the same, noticed behind the first bytes only */
    bad.n += 1000;
    zip_writer_member(&w, &(zip_made){.name = "o.npy", .data = bad.bytes, .n = bad.n, .deflate = true, .bytes = 9});
    zip_writer_end(&w, NULL);
    o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATE);
    assert_non_null(note_of(&o, SEEN_FORBIDDEN_GLOBAL));
    arena_destroy(o.mem);
    zip_writer_free(&w);
}

static void files_that_shrink_or_hold_endless_objects_are_errors(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER("|O", "False", "(1,)"), 0), b = npy_of(1, HEADER("|u1", "False", "(1,)"), 1);
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(a.bytes, 1, a.n, f), a.n);
    fflush(f);
    file source = {.fd = fileno(f), .size = (uint64_t)LIMIT_PICKLE_BYTES + 1};
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    catalog cat;
    lora_error err = {0};
    assert_int_equal(npy_read(&source, mem, &seen, &cat, &err), LORA_E_SHRUNK); /* the first bytes are not there */
    fseek(f, 600, SEEK_SET);
    fputc(0, f);
    fflush(f);
    err = (lora_error){0};
    assert_int_equal(npy_read(&source, mem, &seen, &cat, &err), LORA_E_PICKLE_LIMIT);
    err = (lora_error){0};
    source.size = 1000;
    assert_int_equal(npy_read(&source, mem, &seen, &cat, &err), LORA_E_SHRUNK);
    fclose(f);

    zip_writer w = {0};
    zip_writer_add(&w, "a.npy", b.bytes, b.n);
    zip_writer_end(&w, NULL);
    f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(w.bytes, 1, w.n / 2, f), w.n / 2);
    fflush(f);
    source = (file){.fd = fileno(f), .size = w.n};
    err = (lora_error){0};
    assert_int_equal(npz_read(&source, mem, &seen, &cat, &err), LORA_E_SHRUNK);
    fclose(f);
    zip_writer_free(&w);
    arena_destroy(mem);
}

/* ---- real files ---- */

static void real_adapters_are_read_whole(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t n_tensors;
    } files[] = {{"../shared/real-adapters/iopenattheclose+PotterBot/adapters.npz", 64},
                 {"../shared/real-adapters/microsoft+onnxruntime-genai/test/test_models/tiny-random-llama-lora/adapter_weights.npz", 28},
                 {"../shared/real-adapters/microsoft+onnxruntime-genai/test/test_models/two_lora_params.npz", 2}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        file f;
        lora_error err = {0};
        if (file_open(files[i].path, &f, &err)) {
            print_message("no real adapters beside the project: %s\n", err.message);
            skip();
        }
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        catalog cat;
        if (npz_read(&f, mem, &seen, &cat, &err))
            fail_msg("%s: %s", files[i].path, err.message);
        assert_int_equal(cat.n_tensors, files[i].n_tensors);
        assert_int_equal(seen.n, 0);
        for (size_t k = 0; k < cat.n_tensors; k++) { /* with their checksums */
            const tensor *t = &cat.tensors[k];
            assert_int_equal(t->dtype, DTYPE_F32);
            assert_int_equal(t->n_dims, 2);
            void *entries = malloc((size_t)t->bytes);
            assert_non_null(entries);
            if (fetch_entries(&f, t, 0, t->bytes / 4, entries, &err))
                fail_msg("%s: %s", files[i].path, err.message);
            free(entries);
        }
        arena_destroy(mem);
        file_close(&f);
    }
}

/* ---- memory ---- */

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    npy a = npy_of(1, HEADER(">f4", "True", "(2, 2)"), 16), objects = npy_of(1, HEADER("|O", "False", "(1,)"), 0);
    memcpy(objects.bytes + objects.n, evil, sizeof evil - 1);
    objects.n += sizeof evil - 1;
    zip_writer w = {0};
    zip_writer_add(&w, "a.npy", a.bytes, a.n);
    zip_writer_member(&w, &(zip_made){.name = "b.npy", .data = a.bytes, .n = a.n, .deflate = true});
    zip_writer_member(&w, &(zip_made){.name = "o.npy", .data = objects.bytes, .n = objects.n, .deflate = true});
    zip_writer_add(&w, "stray.pkl", evil, sizeof evil - 1);
    zip_writer_bytes(&w, evil, sizeof evil - 1);
    zip_writer_end(&w, NULL);
    for (int round = 0; round < 2 * 128; round++) { /* the arena used so far, so that every allocation meets its end */
        bool done = false, single = round % 2;
        for (long k = 0; !done; k++) {
            file f = single ? file_of_memory(objects.bytes, objects.n) : file_of_memory(w.bytes, w.n);
            arena *mem = arena_create();
            observations seen = {.mem = mem};
            catalog cat = {.container = "untouched"};
            lora_error err = {0};
            arena_alloc(mem, (size_t)round / 2 * 16 + 2048, 1);
            alloc_fault_after(k, round % 4 < 2 ? ALLOC_FAULT_STICKY : ALLOC_FAULT_ONCE);
            lora_code code = single ? npy_read(&f, mem, &seen, &cat, &err) : npz_read(&f, mem, &seen, &cat, &err);
            done = !alloc_fault_end();
            assert_int_equal(err.code, code);
            if (done)
                assert_int_equal(code, LORA_OK);
            else if (code != LORA_E_MEMORY) /* only the label of a note lacked memory */
                assert_true(code == LORA_OK && !seen.no_memory && round % 4 >= 2);
            assert_string_equal(cat.container, code ? "untouched" : single ? "npy" : "npz");
            arena_destroy(mem);
        }
    }
    zip_writer_free(&w);
}

static void a_pickle_called_npy_is_scanned(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "extra.npy", evil, sizeof evil - 1);
    zip_writer_end(&w, NULL);
    outcome o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_NPY);
    assert_non_null(note_of(&o, SEEN_FORBIDDEN_GLOBAL));
    arena_destroy(o.mem);
    zip_writer_free(&w);
    o = read_by(npy_read, evil, sizeof evil - 1);
    assert_int_equal(o.code, LORA_E_NPY);
    assert_non_null(note_of(&o, SEEN_FORBIDDEN_GLOBAL));
    arena_destroy(o.mem);
}

static void places_in_a_deflated_array_are_that_of_its_stream(void **state)
{
    (void)state;
    static unsigned char body[30000];
    npy broken = npy_of(1, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,)}", 0);
    npy objects = npy_of(1, HEADER("|O", "False", "(1,)"), 0);
    for (int how = 0; how < 2; how++) {
        const npy *head = how ? &objects : &broken;
        memset(body, 'N', sizeof body);
        memcpy(body, head->bytes, head->header);
        memcpy(body + sizeof body - sizeof evil + 1, evil, sizeof evil - 1);
        zip_writer w = {0};
        zip_writer_member(&w, &(zip_made){.name = "a.npy", .data = body, .n = sizeof body, .deflate = true});
        zip_writer_end(&w, NULL);
        assert_true(w.n < 1000);
        outcome o = read_by(npz_read, w.bytes, w.n);
        assert_int_equal(o.code, how ? LORA_OK : LORA_E_NPY);
        assert_true(o.err.offset < w.n);
        for (size_t i = 0; i < o.seen.n; i++)
            assert_true(o.seen.list[i].offset < w.n);
        assert_true((note_of(&o, SEEN_FORBIDDEN_GLOBAL) != NULL) == (how == 1));
        arena_destroy(o.mem);
        zip_writer_free(&w);
    }
}

static void what_hides_behind_a_deflate_stream_is_scanned(void **state)
{
    (void)state;
    unsigned char stream[5 + 2 + sizeof evil - 1] = {1, 2, 0, 0xfd, 0xff, 'h', 'i'};
    memcpy(stream + 7, evil, sizeof evil - 1);
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "note.txt", .data = stream, .n = sizeof stream, .method = 8, .local_method = 8,
                                      .bytes = 2 - (int64_t)sizeof stream});
    zip_writer_end(&w, NULL);
    outcome o = read_by(npz_read, w.bytes, w.n);
    assert_int_equal(o.code, LORA_E_INFLATE);
    assert_non_null(note_of(&o, SEEN_ARCHIVE_HIDDEN));
    assert_non_null(note_of(&o, SEEN_FORBIDDEN_GLOBAL));
    arena_destroy(o.mem);
    zip_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_all_writers_are_read),
        cmocka_unit_test(columns_first_and_big_endian_entries_come_out_right),
        cmocka_unit_test(a_broken_header_is_refused_where_it_goes_wrong),
        cmocka_unit_test(a_beginning_of_another_kind_is_refused),
        cmocka_unit_test(stored_and_deflated_members_are_read_in_place),
        cmocka_unit_test(tensors_come_in_the_order_of_their_data),
        cmocka_unit_test(a_wrong_checksum_is_an_error_when_the_entries_are_read),
        cmocka_unit_test(arrays_of_objects_are_pickles_and_no_tensors),
        cmocka_unit_test(stray_and_hidden_pickles_are_read),
        cmocka_unit_test(archives_that_would_grow_too_large_are_refused),
        cmocka_unit_test(broken_archives_and_members_are_refused),
        cmocka_unit_test(members_that_cannot_be_had_whole_are_read_as_far_as_they_go),
        cmocka_unit_test(files_that_shrink_or_hold_endless_objects_are_errors),
        cmocka_unit_test(real_adapters_are_read_whole),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
        cmocka_unit_test(a_pickle_called_npy_is_scanned),
        cmocka_unit_test(places_in_a_deflated_array_are_that_of_its_stream),
        cmocka_unit_test(what_hides_behind_a_deflate_stream_is_scanned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
