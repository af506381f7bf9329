/* Tar archives are looked into for pickles, and for names that climb; broken ones end quietly.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char payload[] = "\x80\x02" "cos\nsystem\nX\2\0\0\0id\x85R.";

typedef struct {
    unsigned char bytes[8192];
    size_t n;
} archive;

static void add(archive *a, const char *name, const char *size, const void *data, size_t n)
{
    unsigned char *header = a->bytes + a->n;
    memset(header, 0, 512);
    memcpy(header, name, strlen(name));
    snprintf((char *)header + 124, 12, "%s", size);
    memcpy(header + 257, "ustar", 5);
    memcpy(header + 512, data, n);
    a->n += 512 + (n + 511) / 512 * 512;
}

static observations scan(const archive *a)
{
    observations seen = {.mem = arena_create()};
    lora_error err = {0};
    file f = file_of_memory(a->bytes, a->n);
    assert_int_equal(tar_scan(&f, &seen, &err), LORA_OK);
    return seen;
}

static void a_pickle_in_any_member_is_found(void **state)
{
    (void)state;
    archive a = {.n = 0};
    add(&a, "readme.txt", "00000000005", "hello", 5);
    add(&a, "storages", "00000000027", payload, sizeof payload - 1);
    observations seen = scan(&a);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.list[0].kind, SEEN_FORBIDDEN_GLOBAL);
    assert_string_equal(seen.list[0].subject, "os.system");
    assert_int_equal(seen.list[0].offset, 1024 + 512 + 2); /* the second member's, behind its PROTO */
    arena_destroy(seen.mem);
}

static void names_that_climb_are_noted(void **state)
{
    (void)state;
    static const char *const names[] = {"../../x", "/etc/x", "a/../b"};
    for (size_t i = 0; i < 3; i++) {
        archive a = {.n = 0};
        add(&a, names[i], "00000000001", "x", 1);
        observations seen = scan(&a);
        assert_int_equal(seen.n, 1);
        assert_int_equal(seen.list[0].kind, SEEN_ARCHIVE_TRAVERSAL);
        arena_destroy(seen.mem);
    }
}

static void broken_archives_end_quietly(void **state)
{
    (void)state;
    static const char *const sizes[] = {"77777777777", "00000001000", "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < 3; i++) {
        archive a = {.n = 0};
        add(&a, "x", "00000000001", "x", 1);
        memcpy(a.bytes + 124, sizes[i], 11);
        observations seen = scan(&a);
        assert_int_equal(seen.n, 0);
        arena_destroy(seen.mem);
    }
    archive a = {.n = 300};
    observations seen = scan(&a);
    assert_int_equal(seen.n, 0);
    arena_destroy(seen.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pickle_in_any_member_is_found),
        cmocka_unit_test(names_that_climb_are_noted),
        cmocka_unit_test(broken_archives_end_quietly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
