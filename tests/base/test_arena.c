/* The arena: aligned, zeroed, apart from each other, and honest when memory ends.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/arena.h"
#include "tests/support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void pieces_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    enum { N = 3000 };
    static unsigned char *pieces[N];
    arena *a = arena_create();
    assert_non_null(a);
    for (size_t i = 0; i < N; i++) {
        size_t size = 1 + i * 7 % 900;
        pieces[i] = arena_alloc(a, size, 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251 + 1), size);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < 1 + i * 7 % 900; k++)
            assert_int_equal(pieces[i][k], i % 251 + 1);
    }
    arena_destroy(a);
}

static void a_large_request_does_not_waste_the_room_of_the_block(void **state)
{
    (void)state;
    arena *a = arena_create();
    char *before = arena_alloc(a, 16, 1);
    char *large = arena_alloc(a, 5000000, 1);
    char *after = arena_alloc(a, 16, 1);
    assert_non_null(large);
    large[0] = large[4999999] = 'x';
    assert_ptr_equal(after, before + 16);
    arena_destroy(a);
}

static void a_large_first_request_is_served(void **state)
{
    (void)state;
    arena *a = arena_create();
    char *large = arena_alloc(a, 1 << 21, 1);
    assert_non_null(large);
    memset(large, 'x', 1 << 21);
    char *small = arena_strdup(a, "after");
    assert_string_equal(small, "after");
    arena_destroy(a);
}

static void a_count_of_zero_gives_a_pointer_of_its_own(void **state)
{
    (void)state;
    arena *a = arena_create();
    void *p = arena_alloc(a, 0, 8), *q = arena_alloc(a, 8, 0);
    assert_non_null(p);
    assert_non_null(q);
    assert_ptr_not_equal(p, q);
    arena_destroy(a);
}

static void a_product_that_overflows_gives_nothing(void **state)
{
    (void)state;
    arena *a = arena_create();
    assert_null(arena_alloc(a, SIZE_MAX, 2));
    assert_null(arena_alloc(a, SIZE_MAX / 2 + 1, 2));
    assert_null(arena_alloc(a, SIZE_MAX, 1));
    assert_null(arena_alloc(a, SIZE_MAX - 20, 1));
    assert_null(arena_strndup(a, "x", SIZE_MAX));
    assert_non_null(arena_alloc(a, 1, 1));
    arena_destroy(a);
}

static void strings_are_copied_and_formatted(void **state)
{
    (void)state;
    arena *a = arena_create();
    assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(a, "", 0), "");
    assert_string_equal(arena_strdup(a, "whole"), "whole");
    assert_string_equal(arena_printf(a, "%s/%d", "x", 42), "x/42");
    char *wide = arena_printf(a, "%5000d", 7);
    assert_int_equal(strlen(wide), 5000);
    arena_destroy(a);
}

static void allocation_failure_at_every_index_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    bool done = false;
    for (long k = 0; !done; k++) {
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        arena *a = arena_create();
        bool ok = a != NULL;
        for (int i = 0; ok && i < 100; i++)
            ok = arena_alloc(a, 1000, 1) && arena_printf(a, "%d", i) && (i != 50 || arena_alloc(a, 3000000, 1));
        done = !alloc_fault_end();
        assert_int_equal(ok, done);
        if (a)
            assert_non_null(arena_alloc(a, 4000, 1)); /* usable again when memory is back */
        arena_destroy(a);
    }
}

static void destroying_nothing_is_allowed(void **state)
{
    (void)state;
    arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_zeroed_and_apart),
        cmocka_unit_test(a_large_request_does_not_waste_the_room_of_the_block),
        cmocka_unit_test(a_large_first_request_is_served),
        cmocka_unit_test(a_count_of_zero_gives_a_pointer_of_its_own),
        cmocka_unit_test(a_product_that_overflows_gives_nothing),
        cmocka_unit_test(strings_are_copied_and_formatted),
        cmocka_unit_test(allocation_failure_at_every_index_is_reported_and_leaks_nothing),
        cmocka_unit_test(destroying_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
