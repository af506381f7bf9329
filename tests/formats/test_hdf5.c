/* HDF5 snapshots, written here with libhdf5: every number type in every layout, names, attributes, and what is refused.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#define H5_USE_110_API
#include "analyzer/base/limits.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/hdf5.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/fixture.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- making files ---- */

static fixture fx;
static char path[200];

static int folder_opened(void **state)
{
    (void)state;
    fixture_open(&fx);
    snprintf(path, sizeof path, "%s", fixture_path(&fx, "weights.h5"));
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return 0;
}

static int folder_closed(void **state)
{
    (void)state;
    fixture_close(&fx);
    return 0;
}

static hid_t new_file(void)
{
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(f >= 0);
    return f;
}

/* values are of native type `from`; plan H5P_DEFAULT: contiguous. NULL: nothing is written. */
static void put(hid_t where, const char *name, hid_t type, int n_dims, const hsize_t *dims, hid_t plan, hid_t from, const void *values)
{
    hid_t space = n_dims ? H5Screate_simple(n_dims, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t data = H5Dcreate2(where, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    assert_true(data >= 0);
    if (values)
        assert_true(H5Dwrite(data, from, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(data);
    H5Sclose(space);
}

static void put_text_attribute(hid_t where, const char *name, const char *value, bool variable, H5T_cset_t set)
{
    hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, variable ? H5T_VARIABLE : strlen(value) + 3);
    H5Tset_cset(type, set);
    hid_t a = H5Acreate2(where, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    char padded[100] = "";
    snprintf(padded, sizeof padded, "%s", value);
    assert_true(H5Awrite(a, type, variable ? (const void *)&value : (const void *)padded) >= 0);
    H5Aclose(a);
    H5Tclose(type);
    H5Sclose(space);
}

static hid_t float_type(size_t sign, size_t exponent_bits, size_t fraction_bits, size_t bias)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, sign, fraction_bits, exponent_bits, 0, fraction_bits);
    H5Tset_precision(type, sign + 1);
    H5Tset_size(type, (sign + 1) / 8);
    H5Tset_ebias(type, bias);
    return type;
}

typedef struct {
    arena *mem;
    catalog cat;
    lora_error err;
    lora_code code;
    file f;
} outcome;

/* On failure the catalog must be as it was, and the code that of the error. */
static outcome read_it(void)
{
    outcome o = {.mem = arena_create()};
    catalog before;
    memset(&o.cat, 0x5a, sizeof o.cat);
    memcpy(&before, &o.cat, sizeof before);
    assert_int_equal(file_open(path, &o.f, &o.err), LORA_OK);
    o.code = hdf5_read(path, &o.f, o.mem, &o.cat, &o.err);
    assert_int_equal(o.code, o.err.code);
    if (o.code)
        assert_memory_equal(&o.cat, &before, sizeof before);
    assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_FILE | H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_ATTR), 0);
    return o;
}

static void done_with(outcome *o)
{
    arena_destroy(o->mem);
    file_close(&o->f);
}

static void expect(lora_code code, const char *part)
{
    outcome o = read_it();
    if (o.code != code || (part && !strstr(o.err.message, part)))
        fail_msg("%s, expected %s with '%s': %s", lora_code_name(o.code), lora_code_name(code), part ? part : "", o.err.message);
    done_with(&o);
}

static const tensor *tensor_of(const outcome *o, const char *name)
{
    for (size_t i = 0; i < o->cat.n_tensors; i++)
        if (strcmp(o->cat.tensors[i].name, name) == 0)
            return &o->cat.tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

/* ---- known answers ---- */

static void every_number_type_is_read_in_every_layout(void **state)
{
    (void)state;
    const struct {
        hid_t type;
        tensor_dtype dtype;
    } types[] = {
        {H5T_IEEE_F32LE, DTYPE_F32}, {H5T_IEEE_F32BE, DTYPE_F32}, {H5T_IEEE_F64LE, DTYPE_F64}, {H5T_IEEE_F64BE, DTYPE_F64},
        {H5T_STD_I8LE, DTYPE_I8}, {H5T_STD_U8LE, DTYPE_U8}, {H5T_STD_I16LE, DTYPE_I16}, {H5T_STD_U16BE, DTYPE_U16},
        {H5T_STD_I32BE, DTYPE_I32}, {H5T_STD_U32LE, DTYPE_U32}, {H5T_STD_I64LE, DTYPE_I64}, {H5T_STD_U64BE, DTYPE_U64},
    };
    const hsize_t dims[] = {3, 4}, chunk[] = {2, 3};
    double values[12];
    for (int i = 0; i < 12; i++)
        values[i] = i * 3 + 1;
    for (int layout = 0; layout < 4; layout++) { /* contiguous, chunked, deflated, compact */
        hid_t f = new_file(), plan = H5Pcreate(H5P_DATASET_CREATE);
        if (layout == 1 || layout == 2)
            H5Pset_chunk(plan, 2, chunk);
        if (layout == 2)
            H5Pset_deflate(plan, 4);
        if (layout == 3)
            H5Pset_layout(plan, H5D_COMPACT);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            char name[8];
            snprintf(name, sizeof name, "t%zu", i);
            put(f, name, types[i].type, 2, dims, plan, H5T_NATIVE_DOUBLE, values);
        }
        H5Pclose(plan);
        H5Fclose(f);
        outcome o = read_it();
        if (o.code)
            fail_msg("%s", o.err.message);
        assert_string_equal(o.cat.container, "hdf5");
        assert_int_equal(o.cat.n_tensors, sizeof types / sizeof types[0]);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            char name[8];
            snprintf(name, sizeof name, "t%zu", i);
            const tensor *t = tensor_of(&o, name);
            double wide[12];
            float single[12];
            assert_int_equal(t->dtype, types[i].dtype);
            assert_int_equal(t->n_dims, 2);
            assert_int_equal(t->shape[0], 3);
            assert_int_equal(t->shape[1], 4);
            assert_true((t->storage && t->storage->memory) == (layout > 0));
            bool is_wide = fetch_dtype(t) == DTYPE_F64;
            assert_int_equal(fetch_entries(&o.f, t, 0, 12, is_wide ? (void *)wide : (void *)single, NULL), LORA_OK);
            for (int k = 0; k < 12; k++)
                assert_true((is_wide ? wide[k] : (double)single[k]) == values[k]);
        }
        done_with(&o);
    }
}

static void floats_are_told_apart_by_their_fields(void **state)
{
    (void)state;
    const struct {
        size_t sign, exponent_bits, fraction_bits, bias;
        tensor_dtype dtype;
    } kinds[] = {{15, 5, 10, 15, DTYPE_F16}, {15, 8, 7, 127, DTYPE_BF16}, {15, 8, 7, 100, DTYPE_COUNT}, {15, 6, 9, 31, DTYPE_COUNT},
                 {7, 4, 3, 7, DTYPE_COUNT}};
    const double one = 1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        hid_t f = new_file(), type = float_type(kinds[i].sign, kinds[i].exponent_bits, kinds[i].fraction_bits, kinds[i].bias);
        put(f, "x", type, 0, NULL, H5P_DEFAULT, H5T_NATIVE_DOUBLE, &one);
        H5Tclose(type);
        H5Fclose(f);
        if (kinds[i].dtype == DTYPE_COUNT) {
            expect(LORA_E_DTYPE, "\"x\"");
            continue;
        }
        outcome o = read_it();
        unsigned char bytes[2];
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.cat.tensors[0].dtype, kinds[i].dtype);
        assert_int_equal(o.cat.tensors[0].n_dims, 0);
        assert_int_equal(fetch_entries(&o.f, &o.cat.tensors[0], 0, 1, bytes, NULL), LORA_OK);
        assert_int_equal(bytes[1], kinds[i].dtype == DTYPE_F16 ? 0x3c : 0x3f);
        done_with(&o);
    }
    hid_t f = new_file(), narrow = H5Tcopy(H5T_STD_I32LE), odd = H5Tcopy(H5T_STD_U8LE);
    H5Tset_precision(narrow, 20);
    put(f, "narrow", narrow, 0, NULL, H5P_DEFAULT, H5T_NATIVE_DOUBLE, &one);
    H5Fclose(f);
    expect(LORA_E_DTYPE, "number type of 4 bytes");
    f = new_file();
    H5Tset_size(odd, 3);
    H5Tset_precision(odd, 24);
    put(f, "odd", odd, 0, NULL, H5P_DEFAULT, H5T_NATIVE_DOUBLE, &one);
    H5Fclose(f);
    expect(LORA_E_DTYPE, "number type of 3 bytes");
    H5Tclose(narrow);
    H5Tclose(odd);
    f = new_file();
    put(f, "vax", H5T_VAX_F32, 0, NULL, H5P_DEFAULT, H5T_NATIVE_DOUBLE, NULL);
    H5Fclose(f);
    expect(LORA_E_DTYPE, "number type of 4 bytes");
}

static void names_are_paths_and_text_attributes_metadata(void **state)
{
    (void)state;
    const hsize_t dims[] = {2}, none[] = {0};
    const float values[] = {1, 2};
    hid_t f = new_file(), a = H5Gcreate2(f, "model", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t b = H5Gcreate2(a, "q_proj", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put(b, "lora_A", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    put(f, "flat.name", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    put(f, "empty", H5T_IEEE_F32LE, 1, none, H5P_DEFAULT, H5T_NATIVE_FLOAT, NULL);
    put(f, "unwritten", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, NULL);
    put(f, "text", H5T_C_S1, 1, dims, H5P_DEFAULT, H5T_C_S1, "ab");
    hid_t null = H5Screate(H5S_NULL), no_shape = H5Dcreate2(f, "nothing", H5T_IEEE_F32LE, null, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(no_shape);
    hid_t number = H5Acreate2(f, "number", H5T_NATIVE_INT, null, H5P_DEFAULT, H5P_DEFAULT);
    H5Aclose(number);
    H5Sclose(null);
    hid_t kept = H5Tcopy(H5T_IEEE_F32LE);
    H5Tcommit2(f, "a_type", kept, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(kept);
    H5Lcreate_soft("/model/q_proj/lora_A", f, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(f, "/model/q_proj/lora_A", f, "again", H5P_DEFAULT, H5P_DEFAULT);
    put_text_attribute(f, "fixed", "caf\xC3\xA9", false, H5T_CSET_UTF8);
    put_text_attribute(f, "variable", "two", true, H5T_CSET_UTF8);
    put_text_attribute(f, "schema", "other/1", true, H5T_CSET_ASCII);
    hid_t pair = H5Screate_simple(1, dims, NULL), text = H5Tcopy(H5T_C_S1);
    number = H5Acreate2(f, "two_texts", text, pair, H5P_DEFAULT, H5P_DEFAULT); /* not one text: passed over */
    H5Aclose(number);
    H5Sclose(pair);
    pair = H5Screate(H5S_SCALAR);
    H5Tset_size(text, H5T_VARIABLE);
    number = H5Acreate2(f, "unset", text, pair, H5P_DEFAULT, H5P_DEFAULT);
    H5Aclose(number);
    H5Sclose(pair);
    H5Tclose(text);
    H5Gclose(a);
    H5Gclose(b);
    H5Fclose(f);
    outcome o = read_it();
    if (o.code)
        fail_msg("%s", o.err.message);
    assert_int_equal(o.cat.n_tensors, 5);
    float x[2] = {5, 5};
    assert_int_equal(fetch_entries(&o.f, tensor_of(&o, "model.q_proj.lora_A"), 0, 2, x, NULL), LORA_OK);
    assert_memory_equal(x, values, sizeof x);
    assert_int_equal(tensor_of(&o, "again")->offset, tensor_of(&o, "model.q_proj.lora_A")->offset);
    assert_int_equal(tensor_of(&o, "empty")->bytes, 0);
    assert_int_equal(fetch_entries(&o.f, tensor_of(&o, "unwritten"), 0, 2, x, NULL), LORA_OK);
    assert_true(x[0] == 0 && x[1] == 0);
    tensor_of(&o, "flat.name");
    assert_int_equal(o.cat.n_metadata, 4);
    assert_string_equal(catalog_metadata_find(&o.cat, "unset"), "");
    assert_string_equal(catalog_metadata_find(&o.cat, "fixed"), "caf\xC3\xA9");
    assert_string_equal(catalog_metadata_find(&o.cat, "variable"), "two");
    done_with(&o);
    H5Fclose(new_file());
    o = read_it();
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.cat.n_tensors, 0);
    done_with(&o);
}

static void a_user_block_moves_the_entries(void **state)
{
    (void)state;
    const hsize_t dims[] = {3};
    const float values[] = {7, 8, 9};
    hid_t plan = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(plan, 1024);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, plan, H5P_DEFAULT);
    put(f, "x", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    H5Pclose(plan);
    H5Fclose(f);
    outcome o = read_it();
    float x[3];
    assert_int_equal(o.code, LORA_OK);
    assert_null(o.cat.tensors[0].storage);
    assert_int_equal(fetch_entries(&o.f, &o.cat.tensors[0], 0, 3, x, NULL), LORA_OK);
    assert_memory_equal(x, values, sizeof x);
    done_with(&o);
}

/* ---- refusals ---- */

static void what_is_no_snapshot_is_refused(void **state)
{
    (void)state;
    hid_t f = new_file();
    put_text_attribute(f, "schema", "loraudit.spectra/1", true, H5T_CSET_UTF8);
    H5Fclose(f);
    expect(LORA_E_FORMAT, "an archive of spectra, not weights");
    f = new_file();
    put_text_attribute(f, "a", "\xff", true, H5T_CSET_UTF8);
    H5Fclose(f);
    expect(LORA_E_HDF5, "not valid UTF-8");
    f = new_file();
    put_text_attribute(f, "\xff", "a", false, H5T_CSET_UTF8);
    H5Fclose(f);
    expect(LORA_E_HDF5, "not valid UTF-8");
    f = new_file();
    char long_name[2000];
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    put_text_attribute(f, long_name, "a", false, H5T_CSET_UTF8);
    H5Fclose(f);
    expect(LORA_OK, NULL); /* no key that anybody reads */
    fixture_text(&fx, "weights.h5", "\x89HDF\r\n\x1a\n and nothing more");
    expect(LORA_E_HDF5, "cannot open");
    f = new_file();
    H5Lcreate_external("other.h5", "/x", f, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(f);
    expect(LORA_E_HDF5, "\"elsewhere\": it is a link to another file");
    f = new_file();
    const hsize_t dims[] = {2}, nine[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(plan, "/etc/passwd", 0, 8);
    put(f, "x", H5T_IEEE_F32LE, 1, dims, plan, H5T_NATIVE_FLOAT, NULL);
    H5Pclose(plan);
    H5Fclose(f);
    expect(LORA_E_HDF5, "other files");
    f = new_file();
    hid_t space = H5Screate_simple(1, dims, NULL);
    plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(plan, space, "other.h5", "x", space);
    put(f, "x", H5T_IEEE_F32LE, 1, dims, plan, H5T_NATIVE_FLOAT, NULL);
    H5Pclose(plan);
    H5Sclose(space);
    H5Fclose(f);
    expect(LORA_E_HDF5, "other files");
    f = new_file();
    put(f, "x", H5T_IEEE_F32LE, 9, nine, H5P_DEFAULT, H5T_NATIVE_FLOAT, NULL);
    H5Fclose(f);
    expect(LORA_E_HDF5, "more than 8 axes");
    f = new_file();
    put(f, "bad\xff", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, NULL);
    H5Fclose(f);
    expect(LORA_E_HDF5, "its name is not valid UTF-8");
    f = new_file();
    hid_t g = H5Gcreate2(f, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put(g, "b", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, NULL);
    put(f, "a.b", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, NULL);
    H5Gclose(g);
    H5Fclose(f);
    expect(LORA_E_DUPLICATE, "\"a.b\"");
}

static void groups_may_nest_to_the_limit_and_cycles_end(void **state)
{
    (void)state;
    for (int depth = 31; depth <= 32; depth++) { /* the root is one */
        hid_t f = new_file(), at = f;
        for (int i = 0; i < depth; i++) {
            hid_t next = H5Gcreate2(at, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
            if (at != f)
                H5Gclose(at);
            at = next;
        }
        H5Gclose(at);
        H5Fclose(f);
        expect(depth == 31 ? LORA_OK : LORA_E_HDF5, depth == 31 ? NULL : "nest deeper than 32");
    }
    hid_t f = new_file(), g = H5Gcreate2(f, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(f, "/g", g, "self", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(f, "/g", g, "twice", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(g);
    H5Fclose(f);
    expect(LORA_E_HDF5, "nest deeper than 32");
    f = new_file();
    hid_t at = f;
    for (int i = 0; i < 30; i++) { /* two names for each group: 2^30 paths */
        hid_t next = H5Gcreate2(at, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_hard(at, "a", at, "b", H5P_DEFAULT, H5P_DEFAULT);
        if (at != f)
            H5Gclose(at);
        at = next;
    }
    H5Gclose(at);
    H5Fclose(f);
    expect(LORA_E_TOO_MANY, "more than 200000 links");
}

static void datasets_that_would_fill_memory_are_refused(void **state)
{
    (void)state;
    const hsize_t large[] = {1 << 20, 80}, chunk[] = {1024, 80}, overflow[] = {(hsize_t)1 << 31, (hsize_t)1 << 31, 16},
                  small[] = {1, 1, 16}, wide[] = {1 << 14, 80, 64};
    hid_t f = new_file(), plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plan, 2, chunk);
    put(f, "x", H5T_STD_U8LE, 2, large, plan, H5T_NATIVE_FLOAT, NULL); /* 80 MiB of nothing */
    H5Fclose(f);
    expect(LORA_E_INFLATES_TOO_LARGE, "the datasets have more than");
    f = new_file();
    H5Pset_chunk(plan, 3, small);
    put(f, "x", H5T_STD_U8LE, 3, overflow, plan, H5T_NATIVE_FLOAT, NULL);
    H5Fclose(f);
    expect(LORA_E_SHAPE_OVERFLOW, NULL);
    f = new_file();
    H5Pset_chunk(plan, 3, wide);
    put(f, "x", H5T_STD_U8LE, 3, wide, plan, H5T_NATIVE_FLOAT, NULL);
    H5Fclose(f);
    expect(LORA_E_INFLATES_TOO_LARGE, "a chunk has 83886080 bytes");
    H5Pclose(plan);
}

static void another_file_under_the_same_path_is_refused(void **state)
{
    (void)state;
    H5Fclose(new_file());
    outcome o = read_it();
    assert_int_equal(o.code, LORA_OK);
    unlink(path);
    H5Fclose(new_file());
    catalog cat;
    assert_int_equal(hdf5_read(path, &o.f, o.mem, &cat, &o.err), LORA_E_HDF5);
    done_with(&o);
}

/* ---- damage ---- */

/* libhdf5 asks for what a damaged file says, where a sanitizer is to refuse as malloc does, and loses memory over it. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static size_t read_bytes(unsigned char *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

/* Without texts of variable length: libhdf5 1.10.8 never returns from some damaged global heaps. */
static void cut_and_changed_files_are_answered(void **state)
{
    (void)state;
    static unsigned char bytes[20000];
    const hsize_t dims[] = {4}, chunk[] = {2};
    const float values[] = {1, 2, 3, 4};
    hid_t f = new_file(), plan = H5Pcreate(H5P_DATASET_CREATE);
    put(f, "plain", H5T_IEEE_F32LE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    H5Pset_chunk(plan, 1, chunk);
    H5Pset_deflate(plan, 1);
    put(f, "packed", H5T_IEEE_F32LE, 1, dims, plan, H5T_NATIVE_FLOAT, values);
    put_text_attribute(f, "format", "x", false, H5T_CSET_UTF8);
    H5Pclose(plan);
    H5Fclose(f);
    size_t n = read_bytes(bytes, sizeof bytes);
    assert_in_range(n, 1000, sizeof bytes - 1);
    for (size_t cut = 0; cut < n; cut += 97) {
        fixture_write(&fx, "weights.h5", bytes, cut);
        outcome o = read_it();
        assert_int_not_equal(o.code, LORA_OK);
        done_with(&o);
    }
    for (size_t at = 0; at < n; at += at < 1200 ? 1 : 5) {
        bytes[at] ^= 0x55;
        fixture_write(&fx, "weights.h5", bytes, n);
        outcome o = read_it();
        done_with(&o);
        bytes[at] ^= 0x55;
    }
}

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    const hsize_t dims[] = {4}, chunk[] = {2};
    const float values[] = {1, 2, 3, 4};
    hid_t f = new_file(), plan = H5Pcreate(H5P_DATASET_CREATE);
    put(f, "big", H5T_IEEE_F32BE, 1, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    H5Pset_chunk(plan, 1, chunk);
    for (int i = 0; i < 30; i++) {
        char name[100];
        snprintf(name, sizeof name, "a name long enough to fill the blocks of an arena one after another %d", i);
        put(f, name, H5T_IEEE_F32LE, 1, dims, plan, H5T_NATIVE_FLOAT, values);
    }
    put_text_attribute(f, "fixed", "x", false, H5T_CSET_UTF8);
    put_text_attribute(f, "variable", "x", true, H5T_CSET_UTF8);
    H5Pclose(plan);
    H5Fclose(f);
    for (int round = 0; round < 32; round++) { /* the arena used so far, so that every allocation meets its end */
        bool done = false;
        for (long k = 0; !done; k++) {
            file source;
            catalog cat = {.container = "untouched"};
            lora_error err = {0};
            arena *mem = arena_create();
            assert_int_equal(file_open(path, &source, &err), LORA_OK);
            arena_alloc(mem, (size_t)round * 16 + 3500, 1);
            alloc_fault_after(k, round % 2 ? ALLOC_FAULT_ONCE : ALLOC_FAULT_STICKY);
            lora_code code = hdf5_read(path, &source, mem, &cat, &err);
            done = !alloc_fault_end();
            assert_int_equal(code, done ? LORA_OK : LORA_E_MEMORY);
            assert_int_equal(err.code, code);
            assert_string_equal(cat.container, done ? "hdf5" : "untouched");
            arena_destroy(mem);
            file_close(&source);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_type_is_read_in_every_layout),
        cmocka_unit_test(floats_are_told_apart_by_their_fields),
        cmocka_unit_test(names_are_paths_and_text_attributes_metadata),
        cmocka_unit_test(a_user_block_moves_the_entries),
        cmocka_unit_test(what_is_no_snapshot_is_refused),
        cmocka_unit_test(groups_may_nest_to_the_limit_and_cycles_end),
        cmocka_unit_test(datasets_that_would_fill_memory_are_refused),
        cmocka_unit_test(another_file_under_the_same_path_is_refused),
        cmocka_unit_test(cut_and_changed_files_are_answered),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
    };
    return cmocka_run_group_tests(tests, folder_opened, folder_closed);
}
