/* A bounded list of notes: once each, cut at the limit, never losing a forbidden global to lesser ones.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/formats/observation.h"
#include "tests/support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_fact_is_noted_once(void **state)
{
    (void)state;
    observations seen = {.mem = arena_create()};
    observe(&seen, SEEN_FORBIDDEN_GLOBAL, 10, "os.system", "at %d", 10);
    observe(&seen, SEEN_FORBIDDEN_GLOBAL, 20, "os.system", "at %d", 20);
    observe(&seen, SEEN_ARCHIVE_STRAY, 20, "os.system", "another kind");
    observe(&seen, SEEN_PICKLE_ANOMALY, 30, NULL, "broken");
    observe(&seen, SEEN_PICKLE_ANOMALY, 40, NULL, "broken");
    observe(&seen, SEEN_PICKLE_ANOMALY, 40, NULL, "trailing");
    observe(&seen, SEEN_PICKLE_ANOMALY, 40, "x", "broken");
    assert_int_equal(seen.n, 5);
    assert_int_equal(seen.list[0].offset, 10);
    assert_string_equal(seen.list[0].text, "at 10");
    assert_null(seen.list[2].subject);
    assert_int_equal(seen.n_dropped, 0);
    arena_destroy(seen.mem);
}

static void the_list_is_cut_and_a_forbidden_global_stays(void **state)
{
    (void)state;
    observations seen = {.mem = arena_create()};
    char name[32];
    for (unsigned i = 0; i < LIMIT_OBSERVATIONS + 10; i++) {
        snprintf(name, sizeof name, "member%u", i);
        observe(&seen, SEEN_ARCHIVE_STRAY, i, name, "stray");
    }
    assert_int_equal(seen.n, LIMIT_OBSERVATIONS);
    assert_int_equal(seen.n_dropped, 10);
    observe(&seen, SEEN_FORBIDDEN_GLOBAL, 5000, "os.system", "last");
    assert_int_equal(seen.n, LIMIT_OBSERVATIONS);
    bool kept = false;
    for (size_t i = 0; i < seen.n; i++)
        kept |= seen.list[i].kind == SEEN_FORBIDDEN_GLOBAL;
    assert_true(kept);
    arena_destroy(seen.mem);
}

static void globals_alone_may_fill_the_list(void **state)
{
    (void)state;
    observations seen = {.mem = arena_create()};
    char name[32];
    for (unsigned i = 0; i < LIMIT_OBSERVATIONS + 3; i++) {
        snprintf(name, sizeof name, "os.name%u", i);
        observe(&seen, SEEN_FORBIDDEN_GLOBAL, i, name, "global");
    }
    assert_int_equal(seen.n, LIMIT_OBSERVATIONS);
    assert_int_equal(seen.n_dropped, 3);
    arena_destroy(seen.mem);
}

static void a_lack_of_memory_is_remembered(void **state)
{
    (void)state;
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    static char big[300];
    memset(big, 'x', sizeof big - 1);
    alloc_fault_after(0, ALLOC_FAULT_STICKY);
    for (int i = 0; i < 40; i++) { /* until the arena's first block is full */
        big[0] = (char)('A' + i);
        observe(&seen, SEEN_ARCHIVE_STRAY, 0, big, "%s", big);
    }
    assert_true(alloc_fault_end());
    assert_true(seen.no_memory);
    arena_destroy(mem);
}

static void every_kind_has_a_rule(void **state)
{
    (void)state;
    for (unsigned k = 0; k < SEEN_COUNT; k++)
        assert_true(strlen(observation_rule((observation_kind)k)) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fact_is_noted_once),
        cmocka_unit_test(the_list_is_cut_and_a_forbidden_global_stays),
        cmocka_unit_test(globals_alone_may_fill_the_list),
        cmocka_unit_test(a_lack_of_memory_is_remembered),
        cmocka_unit_test(every_kind_has_a_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
