/* From the object of a torch pickle to tensors: names, dtypes, views, metadata, every bound, circles and trees that share.
 *
 * Storages are made up: key "N" has any size up to 4096 bytes and lies at N · 10000.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/formats/torch_object.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/pickle_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define AXES(...) (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}
enum { STORAGE_BYTES = 4096 };

typedef struct {
    arena *mem;
    observations seen;
    catalog cat;
    lora_error err;
    lora_code code;
} result;

static lora_code find(void *ctx, const char *key, uint64_t bytes, uint64_t at, const tensor_storage **out, lora_error *err)
{
    if (strcmp(key, "missing") == 0)
        return lora_fail_at(err, LORA_E_STORAGE_MISSING, at, "no storage \"%s\"", key);
    if (bytes > STORAGE_BYTES)
        return lora_fail_at(err, LORA_E_STORAGE, at, "%llu bytes", (unsigned long long)bytes);
    tensor_storage *s = arena_alloc(ctx, 1, sizeof *s);
    if (!s)
        return lora_fail(err, LORA_E_MEMORY, "no memory");
    *s = (tensor_storage){.offset = 10000 * strtoull(key, NULL, 10), .bytes = bytes, .stored_bytes = bytes};
    *out = s;
    return LORA_OK;
}

static result catalog_of(const void *bytes, size_t n)
{
    result r = {.mem = arena_create(), .cat = {.container = "untouched"}};
    r.seen.mem = r.mem;
    pickle_source source = {.bytes = bytes, .length = n, .budget = LIMIT_PICKLE_MEMORY};
    torch_storages storages = {.ctx = r.mem, .find = find};
    pickle_value *root = NULL;
    size_t at = 0;
    r.code = pickle_run(&source, &at, r.mem, &r.seen, &root, &r.err);
    if (!r.code)
        r.code = torch_catalog(root, &storages, r.mem, &r.seen, &r.cat, &r.err);
    assert_int_equal(r.err.code, r.code);
    if (r.code)
        assert_int_equal(r.cat.n_tensors, 0);
    return r;
}

/* Takes the writer's bytes. */
static result catalog_of_written(pickle_writer *w)
{
    pickle_write_op(w, '.');
    result r = catalog_of(w->bytes, w->n);
    free(w->bytes);
    *w = (pickle_writer){0};
    return r;
}

static const tensor *tensor_named(const result *r, const char *name)
{
    for (size_t i = 0; i < r->cat.n_tensors; i++)
        if (strcmp(r->cat.tensors[i].name, name) == 0)
            return &r->cat.tensors[i];
    print_error("no tensor %s\n", name);
    assert_true(false);
    return NULL;
}

static size_t count_seen(const result *r, observation_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < r->seen.n; i++)
        n += r->seen.list[i].kind == kind;
    return n;
}

/* ---- known answers ---- */

static void a_state_dict_becomes_tensors_in_the_order_of_their_data(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "\x80\x02}(", 4);
    pickle_write_text(&w, "b");
    size_t at = w.n;
    pickle_write_tensor(&w, "HalfStorage", "2", 6, 0, AXES(2, 3), NULL);
    pickle_write_text(&w, "a");
    pickle_write_tensor(&w, "FloatStorage", "1", 12, 4, AXES(2, 4), NULL);
    pickle_write_text(&w, "alpha");
    pickle_write(&w, "G@ \x00\x00\x00\x00\x00\x00", 9);
    pickle_write_text(&w, "r");
    pickle_write_int(&w, 4);
    pickle_write_text(&w, "bias");
    pickle_write_text(&w, "none");
    pickle_write_text(&w, "flag");
    pickle_write_op(&w, 0x88);
    pickle_write_text(&w, "nothing");
    pickle_write(&w, "Nu", 2);
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    assert_string_equal(r.cat.container, "untouched");
    assert_int_equal(r.cat.n_tensors, 2);
    assert_int_equal(r.seen.n, 0);
    const tensor *a = &r.cat.tensors[0], *b = &r.cat.tensors[1];
    assert_string_equal(a->name, "a");
    assert_int_equal(a->dtype, DTYPE_F32);
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->shape[1], 4);
    assert_null(a->strides);
    assert_int_equal(a->offset, 16);
    assert_int_equal(a->bytes, 32);
    assert_int_equal(a->storage->offset, 10000);
    assert_int_equal(a->storage->bytes, 48);
    assert_string_equal(b->name, "b");
    assert_int_equal(b->dtype, DTYPE_F16);
    assert_true(b->entry_offset > at);
    assert_int_equal(r.cat.n_metadata, 4);
    assert_string_equal(catalog_metadata_find(&r.cat, "alpha"), "8");
    assert_string_equal(catalog_metadata_find(&r.cat, "r"), "4");
    assert_string_equal(catalog_metadata_find(&r.cat, "bias"), "none");
    assert_string_equal(catalog_metadata_find(&r.cat, "flag"), "true");
    arena_destroy(r.mem);
}

static void every_storage_class_has_its_dtype(void **state)
{
    (void)state;
    static const struct {
        const char *class;
        tensor_dtype dtype;
    } rows[] = {
        {"FloatStorage", DTYPE_F32}, {"HalfStorage", DTYPE_F16}, {"BFloat16Storage", DTYPE_BF16},
        {"DoubleStorage", DTYPE_F64}, {"LongStorage", DTYPE_I64}, {"IntStorage", DTYPE_I32},
        {"ShortStorage", DTYPE_I16}, {"CharStorage", DTYPE_I8}, {"ByteStorage", DTYPE_U8}, {"BoolStorage", DTYPE_BOOL},
        {"ComplexFloatStorage", DTYPE_C64}, {"ComplexDoubleStorage", DTYPE_C128},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pickle_writer w = {0};
        pickle_write_tensor(&w, rows[i].class, "1", 4, 1, AXES(3), NULL);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        assert_string_equal(r.cat.tensors[0].name, "tensor");
        assert_int_equal(r.cat.tensors[0].dtype, rows[i].dtype);
        assert_int_equal(r.cat.tensors[0].bytes, 3 * dtype_bits(rows[i].dtype) / 8);
        assert_int_equal(r.cat.tensors[0].offset, dtype_bits(rows[i].dtype) / 8);
        arena_destroy(r.mem);
    }
    static const char *const refused[] = {"QInt8Storage", "UntypedStorage", "TypedStorage", "NoStorage", "Float"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        pickle_writer w = {0};
        pickle_write_tensor(&w, refused[i], "1", 4, 0, AXES(3), NULL);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_E_DTYPE);
        assert_true(r.err.has_offset);
        arena_destroy(r.mem);
    }
}

/* _rebuild_tensor_v3 of a storage that counts bytes. */
static void write_v3(pickle_writer *w, const char *dtype, int64_t numel, int64_t offset, int64_t n)
{
    pickle_write_name(w, "torch._utils", "_rebuild_tensor_v3");
    pickle_write_op(w, '(');
    pickle_write_storage(w, "UntypedStorage", "1", numel);
    pickle_write_int(w, offset);
    pickle_write_counts(w, AXES(n));
    pickle_write_counts(w, AXES(1));
    pickle_write(w, "\x89N", 2);
    pickle_write_name(w, "torch", dtype);
    pickle_write(w, "tR", 2);
}

static void the_third_version_of_a_call_brings_its_dtype(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        tensor_dtype expected;
    } rows[] = {{"float8_e4m3fn", DTYPE_F8_E4M3}, {"float8_e5m2", DTYPE_F8_E5M2}, {"float8_e4m3fnuz", DTYPE_F8_E4M3FNUZ},
                {"float8_e5m2fnuz", DTYPE_F8_E5M2FNUZ}, {"uint16", DTYPE_U16}, {"uint32", DTYPE_U32}, {"uint64", DTYPE_U64},
                {"bfloat16", DTYPE_BF16}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t width = dtype_bits(rows[i].expected) / 8;
        pickle_writer w = {0};
        write_v3(&w, rows[i].dtype, 8 * width, 2, 6);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        assert_int_equal(r.cat.tensors[0].dtype, rows[i].expected);
        assert_int_equal(r.cat.tensors[0].offset, 2 * width);
        assert_int_equal(r.cat.tensors[0].bytes, 6 * width);
        assert_int_equal(r.cat.tensors[0].storage->bytes, 8 * width);
        arena_destroy(r.mem);
        write_v3(&w, rows[i].dtype, 8 * width - 1, 2, 6); /* the last element misses a byte */
        r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_E_STORAGE);
        arena_destroy(r.mem);
    }
    pickle_writer w = {0};
    write_v3(&w, "qint8", 8, 2, 6);
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_E_DTYPE);
    arena_destroy(r.mem);
}

static void nesting_and_lists_give_names(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "}(", 2);
    pickle_write_text(&w, "model");
    pickle_write(&w, "](", 2);
    pickle_write_tensor(&w, "FloatStorage", "1", 4, 0, AXES(4), NULL);
    pickle_write(&w, "}", 1);
    pickle_write_int(&w, -7);
    pickle_write_tensor(&w, "FloatStorage", "2", 4, 0, AXES(4), NULL);
    pickle_write(&w, "s)}e", 4);
    pickle_write_text(&w, "x");
    pickle_write_tensor(&w, "FloatStorage", "3", 4, 0, AXES(4), NULL);
    pickle_write_op(&w, 'u');
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(r.cat.n_tensors, 3);
    tensor_named(&r, "model.0");
    tensor_named(&r, "model.1.-7");
    tensor_named(&r, "x");
    arena_destroy(r.mem);
}

static void write_dict_of_one(pickle_writer *w, const char *key, const char *storage)
{
    pickle_write_op(w, '}');
    pickle_write_text(w, key);
    pickle_write_tensor(w, "FloatStorage", storage, 4, 0, AXES(4), NULL);
    pickle_write_op(w, 's');
}

static void the_only_dict_with_tensors_leaves_its_key_out(void **state)
{
    (void)state;
    for (int more = 0; more < 3; more++) { /* alone; beside a number; beside another dict with tensors */
        pickle_writer w = {0};
        pickle_write(&w, "}(", 2);
        pickle_write_text(&w, "state_dict");
        write_dict_of_one(&w, "a.b", "1");
        if (more) {
            pickle_write_text(&w, "other");
            if (more == 1)
                pickle_write_int(&w, 5);
            else
                write_dict_of_one(&w, "c", "2");
        }
        pickle_write_op(&w, 'u');
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        tensor_named(&r, more == 2 ? "state_dict.a.b" : "a.b");
        arena_destroy(r.mem);
    }
    pickle_writer w = {0}; /* an empty key, and a tensor beside it: kept apart */
    pickle_write_op(&w, '}');
    pickle_write_text(&w, "");
    write_dict_of_one(&w, "x", "1");
    pickle_write_op(&w, 's');
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    tensor_named(&r, "x");
    arena_destroy(r.mem);
}

static void of_a_key_that_comes_twice_the_last_value_counts(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "}(", 2);
    for (int i = 0; i < 3; i++) {
        const char *keys[] = {"1", "2", "3"};
        pickle_write_text(&w, i == 1 ? "b" : "a");
        pickle_write_tensor(&w, "FloatStorage", keys[i], 4, 0, AXES(4), NULL);
        pickle_write_int(&w, 5);
        pickle_write_int(&w, i);
    }
    pickle_write_op(&w, 'u');
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(r.cat.n_tensors, 2);
    assert_int_equal(tensor_named(&r, "a")->storage->offset, 30000);
    assert_int_equal(r.cat.n_metadata, 1);
    assert_string_equal(catalog_metadata_find(&r.cat, "5"), "2");
    arena_destroy(r.mem);
}

static void keys_whose_hashes_collide_are_kept_apart(void **state)
{
    (void)state;
    static const char *const keys[] = {"costarring", "liquid", "declinate", "macallums", "liquid"};
    pickle_writer w = {0};
    pickle_write(&w, "}(", 2);
    for (int i = 0; i < 5; i++) {
        pickle_write_text(&w, keys[i]);
        pickle_write_int(&w, i);
        pickle_write_int(&w, i % 2 ? -1 : 4294967296); /* these two collide too */
        pickle_write_int(&w, i);
    }
    pickle_write(&w, "\x88N\x88K\x05N)u", 8);
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(r.cat.n_metadata, 6);
    assert_string_equal(catalog_metadata_find(&r.cat, "costarring"), "0");
    assert_string_equal(catalog_metadata_find(&r.cat, "liquid"), "4");
    assert_string_equal(catalog_metadata_find(&r.cat, "-1"), "3");
    assert_string_equal(catalog_metadata_find(&r.cat, "4294967296"), "4");
    arena_destroy(r.mem);
}

static void text_that_is_no_text_is_no_metadata(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "}(U\x00K\x01U\x02" "a\x00K\x01U\x01" "bU\x02x\x00U\x01" "cU\x01\xffU\x01" "dU\x00U\x01" "e\x89U\x01" "f]K\x07" "au", 42);
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(r.cat.n_metadata, 2); /* no numbers in a list */
    assert_string_equal(catalog_metadata_find(&r.cat, "d"), "");
    assert_string_equal(catalog_metadata_find(&r.cat, "e"), "false");
    arena_destroy(r.mem);
}

static void two_ways_to_one_name_are_refused(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "}(", 2);
    pickle_write_text(&w, "a");
    write_dict_of_one(&w, "b", "1");
    pickle_write_text(&w, "a.b");
    pickle_write_tensor(&w, "FloatStorage", "2", 4, 0, AXES(4), NULL);
    pickle_write_op(&w, 'u');
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_E_DUPLICATE);
    arena_destroy(r.mem);
}

static void parameters_and_subclasses_are_unwrapped(void **state)
{
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        pickle_writer w = {0};
        if (kind == 4) {
            pickle_write_name(&w, "torch._tensor", "_rebuild_from_type_v2");
            pickle_write_op(&w, '(');
            pickle_write_name(&w, "torch._utils", "_rebuild_tensor");
            pickle_write_name(&w, "torch.nn.parameter", "Parameter");
            pickle_write_op(&w, '(');
            pickle_write_storage(&w, "FloatStorage", "1", 6);
            pickle_write_int(&w, 2);
            pickle_write_counts(&w, AXES(4));
            pickle_write_counts(&w, AXES(1));
            pickle_write(&w, "t}tR", 4);
        } else {
            if (kind == 3)
                pickle_write_name(&w, "torch.nn.parameter", "Parameter");
            else
                pickle_write_name(&w, "torch._utils", kind == 1 ? "_rebuild_parameter_with_state" : "_rebuild_parameter");
            pickle_write_op(&w, '(');
            pickle_write_tensor(&w, "FloatStorage", "1", 6, 2, AXES(4), NULL);
            pickle_write(&w, "\x88", 1);
            pickle_write(&w, kind == 3 ? "t\x81}b" : "}tR", kind == 3 ? 4 : 3);
        }
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        assert_int_equal(r.cat.n_tensors, 1);
        assert_int_equal(r.cat.tensors[0].offset, 8);
        assert_int_equal(r.seen.n, 0);
        arena_destroy(r.mem);
    }
}

static void strides_are_kept_where_they_say_something(void **state)
{
    (void)state;
    static const struct {
        int64_t numel, offset, size[3], stride[3];
        unsigned n_dims;
        bool kept;
    } rows[] = {
        {6, 0, {2, 3}, {3, 1}, 2, false},        {6, 0, {3, 2}, {1, 3}, 2, true}, {6, 0, {1, 6}, {99, 1}, 2, false},
        {6, 0, {6, 1}, {1, 99}, 2, false},       {6, 6, {0, 3}, {9, 9}, 2, false}, {6, 5, {0}, {0}, 0, false},
        {6, 1, {2, 2}, {3, 1}, 2, true},         {6, 0, {2}, {5}, 1, true},       {6, 0, {2, 3}, {0, 1}, 2, true},
        {0, 0, {0}, {1}, 1, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pickle_writer w = {0};
        pickle_write_tensor(&w, "FloatStorage", "1", rows[i].numel, rows[i].offset, rows[i].n_dims, rows[i].size, rows[i].stride);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        assert_int_equal(r.cat.tensors[0].strides != NULL, rows[i].kept);
        uint64_t bytes;
        assert_int_equal(tensor_byte_size(&r.cat.tensors[0], &bytes, NULL), LORA_OK);
        assert_int_equal(bytes, r.cat.tensors[0].bytes);
        arena_destroy(r.mem);
    }
}

static void views_that_share_are_noted(void **state)
{
    (void)state;
    static const struct {
        int64_t offset_b, size_b, storage_b;
        const char *part; /* NULL: nothing to note */
    } rows[] = {
        {0, 4, 1, "is the same part"}, {2, 4, 1, "overlaps"}, {0, 8, 1, "overlaps"}, {4, 4, 1, NULL},
        {0, 4, 2, NULL},               {3, 1, 1, "overlaps"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pickle_writer w = {0};
        pickle_write(&w, "}(", 2);
        pickle_write_text(&w, "a");
        pickle_write_tensor(&w, "FloatStorage", "1", 8, 0, AXES(4), NULL);
        pickle_write_text(&w, "b");
        pickle_write_tensor(&w, "FloatStorage", rows[i].storage_b == 1 ? "1" : "2", 8, rows[i].offset_b, AXES(rows[i].size_b), NULL);
        pickle_write_op(&w, 'u');
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        assert_int_equal(count_seen(&r, SEEN_SHARED_STORAGE), rows[i].part != NULL);
        if (rows[i].part)
            assert_non_null(strstr(r.seen.list[0].text, rows[i].part));
        arena_destroy(r.mem);
    }
}

static void tensors_without_plain_entries_are_left_out_and_noted(void **state)
{
    (void)state;
    static const char *const functions[] = {"_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor",
                                            "_rebuild_meta_tensor_no_storage", "_rebuild_wrapper_subclass",
                                            "_rebuild_device_tensor_from_numpy"};
    for (size_t i = 0; i < COUNT(functions); i++) {
        pickle_writer w = {0};
        pickle_write_op(&w, '}');
        pickle_write_text(&w, "q.weight");
        pickle_write_name(&w, "torch._utils", functions[i]);
        pickle_write(&w, ")Rs", 3);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, LORA_OK);
        assert_int_equal(r.cat.n_tensors, 0);
        assert_int_equal(count_seen(&r, SEEN_PICKLE_ANOMALY), 1);
        assert_non_null(strstr(r.seen.list[0].text, "\"q.weight\""));
        arena_destroy(r.mem);
    }
}

/* ---- refusals ---- */

static void a_tensor_beyond_its_storage_is_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t numel, offset;
        unsigned n_dims;
        int64_t size[3], stride[3];
        lora_code code;
    } rows[] = {
        {12, 0, 2, {3, 4}, {4, 1}, LORA_OK},
        {11, 0, 2, {3, 4}, {4, 1}, LORA_E_STORAGE},
        {12, 1, 2, {3, 4}, {4, 1}, LORA_E_STORAGE},
        {12, -1, 1, {1}, {1}, LORA_E_STORAGE},
        {12, 0, 1, {-1}, {1}, LORA_E_STORAGE},
        {12, 0, 2, {3, 4}, {4, -1}, LORA_E_STORAGE},
        {12, 12, 1, {0}, {1}, LORA_OK},
        {12, 13, 1, {0}, {1}, LORA_E_STORAGE},
        {12, 12, 0, {0}, {0}, LORA_E_STORAGE},
        {12, 0, 1, {12}, {0}, LORA_OK},
        {12, 0, 1, {13}, {0}, LORA_E_STORAGE},
        {12, 0, 2, {1000000, 1000000}, {0, 0}, LORA_E_STORAGE},
        {12, 0, 2, {1LL << 40, 1LL << 40}, {0, 0}, LORA_E_STORAGE},
        {12, INT64_MAX, 2, {2, 2}, {INT64_MAX, INT64_MAX}, LORA_E_STORAGE},
        {12, INT64_MAX, 1, {3}, {INT64_MAX}, LORA_E_STORAGE},
        {12, 0, 3, {0, 1LL << 62, 1LL << 62}, {1, 1, 1}, LORA_OK},
        {1025, 0, 1, {1}, {1}, LORA_E_STORAGE},
        {INT64_MAX, 0, 1, {1}, {1}, LORA_E_STORAGE},
        {-1, 0, 1, {0}, {1}, LORA_E_OBJECT},
        {0, 0, 1, {1}, {1}, LORA_E_STORAGE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pickle_writer w = {0};
        pickle_write_tensor(&w, "FloatStorage", "1", rows[i].numel, rows[i].offset, rows[i].n_dims, rows[i].size, rows[i].stride);
        result r = catalog_of_written(&w);
        if (r.code != rows[i].code)
            print_error("row %zu: %s %s\n", i, lora_code_name(r.code), r.err.message);
        assert_int_equal(r.code, rows[i].code);
        assert_true(r.code == LORA_OK || (r.err.has_offset && r.err.offset > 0));
        arena_destroy(r.mem);
    }
}

static void axes_are_bounded_exactly(void **state)
{
    (void)state;
    static const int64_t ones[LIMIT_TENSOR_DIMS + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (unsigned n = LIMIT_TENSOR_DIMS; n <= LIMIT_TENSOR_DIMS + 1; n++) {
        pickle_writer w = {0};
        pickle_write_tensor(&w, "FloatStorage", "1", 1, 0, n, ones, NULL);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, n > LIMIT_TENSOR_DIMS ? LORA_E_TOO_MANY : LORA_OK);
        arena_destroy(r.mem);
    }
}

static void an_object_that_is_no_container_of_tensors_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        lora_code code;
    } rows[] = {
#define ROW(bytes, code) {bytes, sizeof(bytes) - 1, code}
        ROW("N.", LORA_E_OBJECT),
        ROW("K\x01.", LORA_E_OBJECT),
        ROW("cmodel\nNet\n)R.", LORA_E_OBJECT),
        ROW("K\x01)R.", LORA_E_OBJECT),
        ROW("ctorch\nSize\n.", LORA_E_OBJECT),
        ROW("}.", LORA_OK),
        ROW("].", LORA_OK),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n)R.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n(NQNNNNNtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x06moduleNNNK\x01tQNNNNNtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x01tQK\x00NN\x89NtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x01tQK\x00K\x01\x85NNNtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x01tQK\x00K\x01\x85)NNtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x01tQNK\x01\x85K\x01\x85NNtR.", LORA_E_STORAGE),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x02" "1\x00NK\x01tQK\x00K\x01\x85K\x01\x85NNtR.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x07missingNK\x01tQK\x00K\x01\x85K\x01\x85NNtR.", LORA_E_STORAGE_MISSING),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nC\x01" "1NK\x01tQK\x00" "ctorch\nSize\n]K\x01" "a\x85R]K\x01" "aNNtR.", LORA_OK),
        /* views: (key, offset, elements) */
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x09(NK\x04K\x05ttQK\x01K\x04\x85K\x01\x85NNtR.", LORA_OK),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x09(NK\x04K\x05ttQK\x02K\x04\x85K\x01\x85NNtR.", LORA_E_STORAGE),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x09(NK\x05K\x05ttQK\x00K\x04\x85K\x01\x85NNtR.", LORA_E_STORAGE),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x09NtQK\x00K\x04\x85K\x01\x85NNtR.", LORA_OK),
        ROW("ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x09)tQK\x00K\x04\x85K\x01\x85NNtR.", LORA_E_OBJECT),
        /* wrappers without what they wrap */
        ROW("ctorch._utils\n_rebuild_parameter\n)R.", LORA_E_OBJECT),
        ROW("ctorch._utils\n_rebuild_parameter\nN\x85R.", LORA_E_OBJECT),
        ROW("ctorch._tensor\n_rebuild_from_type_v2\n(NNNtR.", LORA_E_OBJECT),
        ROW("ctorch._tensor\n_rebuild_from_type_v2\n(NN)tR.", LORA_E_OBJECT),
        /* names */
        ROW("}U\x01\xff" "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x01tQK\x00))NNtRs.", LORA_E_HEADER_FIELD),
        ROW("}U\x02" "a\x00" "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "1NK\x01tQK\x00))NNtRs.", LORA_E_HEADER_FIELD),
        /* circles */
        ROW("]q\x00h\x00" "a.", LORA_E_OBJECT),
        ROW("}q\x00U\x01xh\x00s.", LORA_E_OBJECT),
#undef ROW
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        result r = catalog_of(rows[i].bytes, rows[i].n);
        if (r.code != rows[i].code)
            print_error("row %zu: %s %s\n", i, lora_code_name(r.code), r.err.message);
        assert_int_equal(r.code, rows[i].code);
        arena_destroy(r.mem);
    }
}

static void keys_that_are_no_names_are_left_out(void **state)
{
    (void)state;
    result r = catalog_of("}(N]NK\x02\x88K\x03U\x01yK\x04U\x01zU\x02\xff\xffu.", 29);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(count_seen(&r, SEEN_PICKLE_ANOMALY), 1);
    assert_int_equal(r.cat.n_metadata, 1);
    assert_string_equal(catalog_metadata_find(&r.cat, "y"), "4");
    arena_destroy(r.mem);
}

static void depth_is_bounded_exactly(void **state)
{
    (void)state;
    for (unsigned depth = LIMIT_PICKLE_DEPTH; depth <= LIMIT_PICKLE_DEPTH + 1; depth++) {
        pickle_writer w = {0};
        pickle_write_int(&w, 1);
        for (unsigned i = 0; i < depth; i++)
            pickle_write_op(&w, 0x85);
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, depth > LIMIT_PICKLE_DEPTH ? LORA_E_PICKLE_LIMIT : LORA_OK);
        arena_destroy(r.mem);
    }
}

static void a_few_bytes_that_stand_for_billions_of_entries_are_refused(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write_op(&w, 'N');
    for (int i = 0; i < 40; i++) { /* (x, x) of the one before */
        pickle_write(&w, "q\x00h\x00\x86", 5);
    }
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_E_PICKLE_LIMIT);
    arena_destroy(r.mem);

    char *name = calloc(1, 100001); /* a long key above many tensors */
    assert_non_null(name);
    memset(name, 'k', 100000);
    pickle_write_op(&w, '}');
    pickle_write_text(&w, name);
    write_dict_of_one(&w, "x", "1");
    pickle_write_op(&w, 's');
    r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_E_HEADER_FIELD);
    arena_destroy(r.mem);

    name[4000] = '\0'; /* and many names of it */
    pickle_write_op(&w, '}');
    pickle_write_text(&w, name);
    pickle_write_op(&w, ']');
    pickle_write_tensor(&w, "FloatStorage", "1", 4, 0, AXES(4), NULL);
    pickle_write(&w, "q\x01" "a(", 4);
    for (int i = 0; i < 20000; i++)
        pickle_write(&w, "h\x01", 2);
    pickle_write(&w, "es", 2);
    r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_E_PICKLE_LIMIT);
    arena_destroy(r.mem);
    free(name);
}

static void more_tensors_than_the_limit_are_refused(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        pickle_writer w = {0};
        pickle_write(&w, "](", 2);
        pickle_write_tensor(&w, "FloatStorage", "1", 4, 0, AXES(4), NULL);
        pickle_write(&w, "q\x01", 2);
        for (unsigned i = 1; i < LIMIT_TENSORS + extra; i++)
            pickle_write(&w, "h\x01", 2);
        pickle_write_op(&w, 'e');
        result r = catalog_of_written(&w);
        assert_int_equal(r.code, extra ? LORA_E_TOO_MANY : LORA_OK);
        if (!extra) {
            assert_string_equal(r.cat.tensors[0].name, "0"); /* of alike ones, in the order of the walk */
            assert_string_equal(r.cat.tensors[LIMIT_TENSORS - 1].name, "199999");
            assert_true(count_seen(&r, SEEN_SHARED_STORAGE) <= 64);
        }
        arena_destroy(r.mem);
    }
}

static void metadata_is_bounded(void **state)
{
    (void)state;
    pickle_writer w = {0};
    char *text = calloc(1, 5001);
    assert_non_null(text);
    memset(text, 't', 5000);
    pickle_write(&w, "}(", 2);
    pickle_write_text(&w, "long");
    pickle_write_text(&w, text);
    for (int i = 0; i < 10005; i++) {
        pickle_write_int(&w, i);
        pickle_write_int(&w, i);
    }
    pickle_write_op(&w, 'u');
    result r = catalog_of_written(&w);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(r.cat.n_metadata, 10000);
    assert_null(catalog_metadata_find(&r.cat, "long"));
    free(text);
    arena_destroy(r.mem);
}

/* ---- memory ---- */

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "}(", 2);
    for (int i = 0; i < 3; i++) {
        const char *names[] = {"a", "b", "c"};
        pickle_write_text(&w, names[i]);
        pickle_write_tensor(&w, "FloatStorage", "1", 12, 0, AXES(3, 4), (int64_t[]){1, 3});
    }
    pickle_write_text(&w, "n");
    pickle_write_int(&w, 4);
    pickle_write_text(&w, "more");
    pickle_write(&w, "](", 2);
    for (int i = 0; i < 100; i++)
        pickle_write(&w, i % 3 ? "}K\x01K\x02s" : "}K\x01G\x00\x00\x00\x00\x00\x00\x00\x00s", i % 3 ? 6 : 13);
    pickle_write(&w, "eu.", 3);
    bool done = false;
    for (long k = 0; !done; k++) {
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        catalog cat = {.container = "untouched"};
        lora_error err = {0};
        lora_code code = LORA_E_MEMORY;
        pickle_source source = {.bytes = w.bytes, .length = w.n, .budget = LIMIT_PICKLE_MEMORY};
        pickle_value *root = NULL;
        size_t at = 0;
        if (mem)
            code = pickle_run(&source, &at, mem, &seen, &root, &err);
        if (!code)
            code = torch_catalog(root, &(torch_storages){.ctx = mem, .find = find}, mem, &seen, &cat, &err);
        done = !alloc_fault_end();
        assert_true(code == LORA_E_MEMORY || (code == LORA_OK && cat.n_tensors == 3));
        assert_true(!done || code == LORA_OK);
        if (code)
            assert_null(cat.tensors);
        arena_destroy(mem);
    }
    free(w.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_dict_becomes_tensors_in_the_order_of_their_data),
        cmocka_unit_test(every_storage_class_has_its_dtype),
        cmocka_unit_test(the_third_version_of_a_call_brings_its_dtype),
        cmocka_unit_test(nesting_and_lists_give_names),
        cmocka_unit_test(the_only_dict_with_tensors_leaves_its_key_out),
        cmocka_unit_test(of_a_key_that_comes_twice_the_last_value_counts),
        cmocka_unit_test(keys_whose_hashes_collide_are_kept_apart),
        cmocka_unit_test(text_that_is_no_text_is_no_metadata),
        cmocka_unit_test(two_ways_to_one_name_are_refused),
        cmocka_unit_test(parameters_and_subclasses_are_unwrapped),
        cmocka_unit_test(strides_are_kept_where_they_say_something),
        cmocka_unit_test(views_that_share_are_noted),
        cmocka_unit_test(tensors_without_plain_entries_are_left_out_and_noted),
        cmocka_unit_test(a_tensor_beyond_its_storage_is_refused),
        cmocka_unit_test(axes_are_bounded_exactly),
        cmocka_unit_test(an_object_that_is_no_container_of_tensors_is_refused),
        cmocka_unit_test(keys_that_are_no_names_are_left_out),
        cmocka_unit_test(depth_is_bounded_exactly),
        cmocka_unit_test(a_few_bytes_that_stand_for_billions_of_entries_are_refused),
        cmocka_unit_test(more_tensors_than_the_limit_are_refused),
        cmocka_unit_test(metadata_is_bounded),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
