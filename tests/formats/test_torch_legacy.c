/* Torch files of the time before zip: known answers, what the five pickles must say, storages against the file, cut and
 * changed files, memory that ends.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/torch_legacy.h"
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

typedef struct {
    const char *bytes; /* a whole pickle; NULL: the right one */
    size_t n;
} piece;

#define PIECE(bytes) {bytes, sizeof(bytes) - 1}
static const piece right[] = {
    PIECE("\x80\x02\x8a\x0al\xfc\x9c" "F\xf9 j\xa8P\x19."),
    PIECE("\x80\x02M\xe9\x03."),
    PIECE("\x80\x02}q\x00(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\x0d\x00\x00\x00little_endian\x88u."),
    {NULL, 0},
    PIECE("\x80\x02]q\x00(X\x01\x00\x00\x00" "7X\x01\x00\x00\x00" "8e."),
};

static void write_count(pickle_writer *w, uint64_t n)
{
    for (unsigned i = 0; i < 8; i++)
        pickle_write_op(w, (int)(n >> 8 * i & 0xFF));
}

/* Two tensors, "a" (2 × 3, F32, in storage 8) and "b" (4, F16, in storage 7), with `other` in place of pickle `which`. */
static pickle_writer file_with(size_t which, piece other, size_t padding)
{
    static const float a[6] = {1, 2, 3, 4, 5, 6};
    static const uint16_t b[4] = {0x3c00, 0, 0x4000, 0xbc00};
    pickle_writer w = {0};
    for (size_t i = 0; i < COUNT(right); i++) {
        if (i == which && other.bytes) {
            pickle_write(&w, other.bytes, other.n);
        } else if (i == 3) {
            pickle_write(&w, "\x80\x02}(", 4);
            pickle_write_text(&w, "a");
            pickle_write_tensor(&w, "FloatStorage", "8", 6, 0, AXES(2, 3), NULL);
            pickle_write_text(&w, "b");
            pickle_write_tensor(&w, "HalfStorage", "7", 4, 0, AXES(4), NULL);
            char *text = calloc(1, padding + 1);
            assert_non_null(text);
            memset(text, 'p', padding);
            pickle_write_text(&w, "pad");
            pickle_write_text(&w, text);
            free(text);
            pickle_write(&w, "u.", 2);
        } else {
            pickle_write(&w, right[i].bytes, right[i].n);
        }
    }
    write_count(&w, 4);
    pickle_write(&w, b, sizeof b);
    write_count(&w, 6);
    pickle_write(&w, a, sizeof a);
    return w;
}

static pickle_writer right_file(void)
{
    return file_with(COUNT(right), (piece){NULL, 0}, 0);
}

typedef struct {
    arena *mem;
    observations seen;
    catalog cat;
    lora_error err;
    lora_code code;
} result;

static result read_bytes(const void *bytes, size_t n)
{
    result r = {.mem = arena_create(), .cat = {.container = "untouched"}};
    r.seen.mem = r.mem;
    file f = file_of_memory(bytes, n);
    r.code = torch_legacy_read(&f, r.mem, &r.seen, &r.cat, &r.err);
    r.cat.source = NULL;
    assert_int_equal(r.code, r.err.code);
    assert_string_equal(r.cat.container, r.code ? "untouched" : "torch-legacy");
    return r;
}

static bool saw(const result *r, const char *subject)
{
    for (size_t i = 0; i < r->seen.n; i++)
        if (r->seen.list[i].kind == SEEN_FORBIDDEN_GLOBAL && strcmp(r->seen.list[i].subject, subject) == 0)
            return true;
    return false;
}

/* ---- known answers ---- */

static void the_tensors_of_a_legacy_file_are_found_and_fetched(void **state)
{
    (void)state;
    static const size_t paddings[] = {0, 1 << 20, 5 << 20}; /* the pickles reach beyond the first window, and the second */
    for (size_t i = 0; i < COUNT(paddings); i++) {
        pickle_writer w = file_with(COUNT(right), (piece){NULL, 0}, paddings[i]);
        result r = read_bytes(w.bytes, w.n);
        assert_int_equal(r.code, LORA_OK);
        assert_int_equal(r.seen.n, 0);
        assert_int_equal(r.cat.n_tensors, 2);
        const tensor *b = &r.cat.tensors[0], *a = &r.cat.tensors[1]; /* in the order of their data */
        assert_string_equal(a->name, "a");
        assert_string_equal(b->name, "b");
        assert_int_equal(a->storage->offset, w.n - 24);
        assert_false(a->storage->big_endian);
        float values[6];
        file f = file_of_memory(w.bytes, w.n);
        assert_int_equal(fetch_entries(&f, a, 0, 6, values, NULL), LORA_OK);
        assert_true(values[0] == 1 && values[5] == 6);
        arena_destroy(r.mem);
        free(w.bytes);
    }
}

static void a_big_endian_writer_is_noted_and_read_as_torch_does(void **state)
{
    (void)state;
    static const char system[] = "\x80\x02}X\x0d\x00\x00\x00little_endian\x89s.";
    pickle_writer w = file_with(2, (piece){system, sizeof system - 1}, 0);
    result r = read_bytes(w.bytes, w.n);
    assert_int_equal(r.code, LORA_OK);
    assert_int_equal(r.seen.n, 1);
    assert_int_equal(r.seen.list[0].kind, SEEN_PICKLE_ANOMALY);
    assert_false(r.cat.tensors[0].storage->big_endian);
    arena_destroy(r.mem);
    free(w.bytes);
}

/* ---- refusals ---- */

static void the_five_pickles_must_say_what_they_should(void **state)
{
    (void)state;
    static const struct {
        size_t which;
        piece other;
        lora_code code;
        const char *part;
    } rows[] = {
        {0, PIECE("\x80\x02K\x01."), LORA_E_PICKLE, "magic"},
        {0, PIECE("\x80\x02\x8a\x0al\xfc\x9c" "F\xf9 j\xa8P\x18."), LORA_E_PICKLE, "magic"},
        {0, PIECE("\x80\x02\x8a\x0bl\xfc\x9c" "F\xf9 j\xa8P\x19\x01."), LORA_E_PICKLE, "magic"},
        {0, PIECE("L119547037146038801333356L\n."), LORA_OK, NULL},
        {1, PIECE("K\x01."), LORA_E_PICKLE, "1001"},
        {1, PIECE("N."), LORA_E_PICKLE, "1001"},
        {2, PIECE("N."), LORA_E_PICKLE, "writer"},
        {2, PIECE("}K\x01K\x02s."), LORA_OK, NULL},
        {3, PIECE("N."), LORA_E_STORAGE, "does not use"},
        {3, PIECE("?"), LORA_E_PICKLE, "no such opcode"},
        {4, PIECE("N."), LORA_E_PICKLE, "list of storages"},
        {4, PIECE("]N" "a."), LORA_E_STORAGE, "does not use"},
        {4, PIECE("](U\x01" "7U\x01" "8U\x01" "9e."), LORA_E_STORAGE, "does not use"},
        {4, PIECE("](U\x01" "7U\x01" "7e."), LORA_E_DUPLICATE, "twice"},
        {4, PIECE("]U\x01" "7a."), LORA_E_TRAILING, "follow"},
        {4, PIECE("]U\x02" "7\x00" "a."), LORA_E_STORAGE, "does not use"},
        {4, PIECE("](U\x01" "8U\x01" "7e."), LORA_E_STORAGE, "has 4 elements, the object speaks of 6"},
        {4, PIECE("(U\x01" "7U\x01" "8t."), LORA_OK, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pickle_writer w = file_with(rows[i].which, rows[i].other, 0);
        result r = read_bytes(w.bytes, w.n);
        if (r.code != rows[i].code || (rows[i].part && !strstr(r.err.message, rows[i].part)))
            print_error("row %zu: %s %s\n", i, lora_code_name(r.code), r.err.message);
        assert_int_equal(r.code, rows[i].code);
        assert_true(!rows[i].part || strstr(r.err.message, rows[i].part));
        assert_true(r.code == LORA_OK || r.err.has_offset);
        arena_destroy(r.mem);
        free(w.bytes);
    }
}

static void a_forbidden_name_in_any_of_the_five_is_seen(void **state)
{
    (void)state;
    static const char evil[] = "\x80\x02" "cbuiltins\neval\nX\x01\x00\x00\x00" "1\x85R.";
    for (size_t which = 0; which < COUNT(right); which++) {
        pickle_writer w = file_with(which, (piece){evil, sizeof evil - 1}, 0);
        result r = read_bytes(w.bytes, w.n);
        assert_true(r.code != LORA_OK);
        assert_true(saw(&r, "builtins.eval"));
        arena_destroy(r.mem);
        free(w.bytes);
    }
}

static void a_storage_spoken_of_in_two_ways_is_refused(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        pickle_writer object = {0};
        pickle_write(&object, "](", 2);
        pickle_write_tensor(&object, "HalfStorage", "7", 4, 0, AXES(4), NULL);
        pickle_write_tensor(&object, "FloatStorage", "8", 6, 0, AXES(4), NULL);
        pickle_write_tensor(&object, same ? "FloatStorage" : "IntStorage", "8", 6, 0, AXES(4), NULL);
        pickle_write(&object, "e.", 2);
        pickle_writer w = file_with(3, (piece){(const char *)object.bytes, object.n}, 0);
        result r = read_bytes(w.bytes, w.n);
        assert_int_equal(r.code, same ? LORA_OK : LORA_E_STORAGE);
        arena_destroy(r.mem);
        free(object.bytes);
        free(w.bytes);
    }
}

static void a_storage_that_is_not_listed_is_missing(void **state)
{
    (void)state;
    pickle_writer w = file_with(4, (piece){"]U\x01" "7a.", 6}, 0);
    result r = read_bytes(w.bytes, w.n - 32); /* without the second storage */
    assert_int_equal(r.code, LORA_E_STORAGE_MISSING);
    arena_destroy(r.mem);
    free(w.bytes);
}

static void a_persistent_id_that_is_no_storage_is_refused(void **state)
{
    (void)state;
    pickle_writer w = file_with(3, (piece){"U\x01xQ.", 5}, 0);
    result r = read_bytes(w.bytes, w.n);
    assert_int_equal(r.code, LORA_E_OBJECT);
    arena_destroy(r.mem);
    free(w.bytes);
}

static void what_follows_the_last_storage_is_looked_into(void **state)
{
    (void)state;
    static const char evil[] = "\x80\x02" "cos\nsystem\n.";
    pickle_writer w = right_file();
    size_t n = w.n;
    pickle_write(&w, evil, sizeof evil - 1);
    result r = read_bytes(w.bytes, w.n);
    assert_int_equal(r.code, LORA_E_TRAILING);
    assert_int_equal(r.err.offset, n);
    assert_true(saw(&r, "os.system"));
    arena_destroy(r.mem);
    r = read_bytes(w.bytes, n + 1);
    assert_int_equal(r.code, LORA_E_TRAILING);
    assert_int_equal(r.seen.n, 0);
    arena_destroy(r.mem);
    free(w.bytes);
}

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    pickle_writer w = right_file();
    for (size_t n = 0; n < w.n; n++) {
        result r = read_bytes(w.bytes, n);
        assert_int_equal(r.code, n + 8 + 8 + 8 + 24 < w.n ? LORA_E_PICKLE : LORA_E_TRUNCATED);
        assert_true(r.err.has_offset);
        arena_destroy(r.mem);
    }
    free(w.bytes);
}

static void a_file_with_any_byte_changed_is_answered(void **state)
{
    (void)state;
    pickle_writer w = right_file();
    unsigned char *copy = malloc(w.n);
    assert_non_null(copy);
    for (size_t at = 0; at < w.n; at++)
        for (unsigned k = 0; k < 6; k++) {
            static const unsigned char flips[] = {0x01, 0x10, 0x80, 0xff, 0x20, 0x06};
            memcpy(copy, w.bytes, w.n);
            copy[at] ^= flips[k];
            result r = read_bytes(copy, w.n);
            for (size_t i = 0; i < r.cat.n_tensors; i++)
                assert_true(r.cat.tensors[i].offset + r.cat.tensors[i].bytes <= r.cat.tensors[i].storage->bytes ||
                            r.cat.tensors[i].strides);
            arena_destroy(r.mem);
        }
    free(copy);
    free(w.bytes);
}

static void a_count_beyond_the_file_is_refused(void **state)
{
    (void)state;
    pickle_writer object = {0};
    pickle_write(&object, "](", 2);
    pickle_write_tensor(&object, "HalfStorage", "7", 4, 0, AXES(4), NULL);
    pickle_write_tensor(&object, "FloatStorage", "8", INT64_MAX / 8, 0, AXES(4), NULL);
    pickle_write(&object, "e.", 2);
    pickle_writer w = file_with(3, (piece){(const char *)object.bytes, object.n}, 0);
    for (unsigned i = 0; i < 8; i++)
        w.bytes[w.n - 32 + i] = (unsigned char)((uint64_t)(INT64_MAX / 8) >> 8 * i);
    result r = read_bytes(w.bytes, w.n);
    assert_int_equal(r.code, LORA_E_TRUNCATED);
    arena_destroy(r.mem);
    free(object.bytes);
    free(w.bytes);
}

static void a_file_that_shrinks_is_an_error(void **state)
{
    (void)state;
    pickle_writer w = right_file();
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    catalog cat = {0};
    lora_error err = {0};
    file f = {.fd = -1, .size = w.n};
    assert_int_equal(torch_legacy_read(&f, mem, &seen, &cat, &err), LORA_E_READ);
    arena_destroy(mem);
    free(w.bytes);
}

/* ---- memory ---- */

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    pickle_writer w = right_file();
    for (int trailing = 0; trailing < 2; trailing++) {
        bool done = false;
        if (trailing)
            pickle_write(&w, "\x80\x02N.", 4);
        for (long k = 0; !done; k++) {
            arena *mem = arena_create();
            observations seen = {.mem = mem};
            catalog cat = {.container = "untouched"};
            lora_error err = {0};
            file f = file_of_memory(w.bytes, w.n);
            alloc_fault_after(k, ALLOC_FAULT_ONCE);
            lora_code code = torch_legacy_read(&f, mem, &seen, &cat, &err);
            done = !alloc_fault_end();
            lora_code whole = trailing ? LORA_E_TRAILING : LORA_OK;
            assert_true(code == LORA_E_MEMORY || code == whole);
            assert_true(!done || code == whole);
            assert_int_equal(err.code, code);
            assert_string_equal(cat.container, code ? "untouched" : "torch-legacy");
            arena_destroy(mem);
        }
    }
    free(w.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tensors_of_a_legacy_file_are_found_and_fetched),
        cmocka_unit_test(a_big_endian_writer_is_noted_and_read_as_torch_does),
        cmocka_unit_test(the_five_pickles_must_say_what_they_should),
        cmocka_unit_test(a_forbidden_name_in_any_of_the_five_is_seen),
        cmocka_unit_test(a_storage_spoken_of_in_two_ways_is_refused),
        cmocka_unit_test(a_storage_that_is_not_listed_is_missing),
        cmocka_unit_test(a_persistent_id_that_is_no_storage_is_refused),
        cmocka_unit_test(what_follows_the_last_storage_is_looked_into),
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_file_with_any_byte_changed_is_answered),
        cmocka_unit_test(a_count_beyond_the_file_is_refused),
        cmocka_unit_test(a_file_that_shrinks_is_an_error),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
