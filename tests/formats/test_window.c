/* Small reads answered from larger ones: the same bytes whatever the order, and how many reads it takes.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/formats/distinct.h"
#include "analyzer/formats/window.h"
#include "tests/support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 300000 };

static unsigned char *pattern(void)
{
    unsigned char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    return bytes;
}

static void any_stretch_is_read_as_it_is(void **state)
{
    (void)state;
    unsigned char *bytes = pattern();
    file f = file_of_memory(bytes, SIZE);
    file_window w = {.f = &f};
    unsigned random = 1;
    for (int i = 0; i < 5000; i++) {
        random = random * 1103515245u + 12345u;
        size_t at = (random >> 8) % SIZE, n = (random >> 3) % (i % 7 ? 500 : 90000);
        at = i % 3 ? at : w.at + w.n < SIZE ? (size_t)(w.at + w.n) : 0; /* right behind the last one */
        n = n < SIZE - at ? n : SIZE - at;
        const unsigned char *p = NULL;
        assert_int_equal(window_read(&w, at, n, &p, NULL), LORA_OK);
        assert_memory_equal(p, bytes + at, n);
    }
    window_free(&w);
    free(bytes);
}

static void reads_near_each_other_become_one_and_far_ones_stay_small(void **state)
{
    (void)state;
    unsigned char *bytes = pattern();
    file f = file_of_memory(bytes, SIZE);
    file_window w = {.f = &f};
    const unsigned char *p;
    assert_int_equal(window_read(&w, 0, 100, &p, NULL), LORA_OK);
    assert_int_equal(w.n, 100);
    assert_int_equal(window_read(&w, 100 + WINDOW_NEAR, 100, &p, NULL), LORA_OK);
    assert_int_equal(w.n, WINDOW_BYTES);
    assert_int_equal(window_read(&w, 50000, 100, &p, NULL), LORA_OK);
    assert_int_equal(w.at, 100 + WINDOW_NEAR);
    assert_int_equal(window_read(&w, 200000, 100, &p, NULL), LORA_OK);
    assert_int_equal(w.n, 100);
    assert_int_equal(window_read(&w, 0, 100, &p, NULL), LORA_OK);
    assert_int_equal(w.n, 100);
    assert_int_equal(window_read(&w, SIZE - 100, 50, &p, NULL), LORA_OK);
    assert_int_equal(window_read(&w, SIZE - 50, 50, &p, NULL), LORA_OK); /* no further than the file */
    assert_int_equal(w.at + w.n, SIZE);
    window_free(&w);
    free(bytes);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    unsigned char *bytes = pattern();
    file f = file_of_memory(bytes, SIZE);
    file_window w = {.f = &f};
    const unsigned char *p;
    lora_error err = {0};
    assert_int_equal(window_read(&w, SIZE - 10, 20, &p, &err), LORA_E_SHRUNK);
    assert_int_equal(err.code, LORA_E_SHRUNK);
    assert_int_equal(window_read(&w, SIZE - 10, 10, &p, NULL), LORA_OK);
    err = (lora_error){0};
    alloc_fault_after(0, ALLOC_FAULT_STICKY);
    assert_int_equal(window_read(&w, 0, 1000, &p, &err), LORA_E_MEMORY);
    assert_true(alloc_fault_end());
    assert_int_equal(err.code, LORA_E_MEMORY);
    assert_int_equal(window_read(&w, 0, 1000, &p, NULL), LORA_OK);
    window_free(&w);
    free(bytes);
}

typedef struct {
    uint64_t hash;
    const char *other;
} row;

static bool are_distinct(const row *rows, size_t n)
{
    bool distinct;
    assert_true(distinct_hashes(rows, n, sizeof *rows, &distinct));
    return distinct;
}

static void hashes_are_distinct_only_when_they_surely_are(void **state)
{
    (void)state;
    static row rows[3000];
    assert_true(are_distinct(rows, 0));
    assert_true(are_distinct(rows, 1));
    for (uint64_t i = 0; i < 3000; i++)
        rows[i].hash = i * i * 0x9e3779b97f4a7c15u + 1;
    assert_true(are_distinct(rows, 3000));
    rows[2999].hash = rows[17].hash;
    assert_false(are_distinct(rows, 3000));
    for (uint64_t i = 0; i < 3000; i++)
        rows[i].hash = (i + 1) << 52; /* all fall together: not told */
    assert_false(are_distinct(rows, 3000));
    rows[0].hash = 0;
    rows[1].hash = 1;
    assert_false(are_distinct(rows, 2)); /* 0 stands for 1 */
    assert_false(are_distinct(rows, (size_t)1 << 21));
    alloc_fault_after(0, ALLOC_FAULT_STICKY);
    bool distinct;
    assert_false(distinct_hashes(rows, 5, sizeof rows[0], &distinct));
    assert_true(alloc_fault_end());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_stretch_is_read_as_it_is),
        cmocka_unit_test(reads_near_each_other_become_one_and_far_ones_stay_small),
        cmocka_unit_test(what_cannot_be_read_is_an_error),
        cmocka_unit_test(hashes_are_distinct_only_when_they_surely_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
