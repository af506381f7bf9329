/* test_view.c - sizes of dtypes and views at their bounds, and a text for each status.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

static void dtypes_have_their_sizes(void **state)
{
    (void)state;
    assert_int_equal(8, spectral_dtype_bytes(SPECTRAL_F64));
    assert_int_equal(4, spectral_dtype_bytes(SPECTRAL_F32));
    assert_int_equal(2, spectral_dtype_bytes(SPECTRAL_F16));
    assert_int_equal(2, spectral_dtype_bytes(SPECTRAL_BF16));
    assert_int_equal(0, spectral_dtype_bytes((spectral_dtype)4));
}

static void a_view_spans_from_its_first_to_its_last_element(void **state)
{
    (void)state;
    spectral_view v = {.dtype = SPECTRAL_F32, .rows = 3, .cols = 5, .row_stride = 5, .col_stride = 1};
    assert_int_equal(60, spectral_view_bytes(&v));
    v.row_stride = 8; /* nothing behind the last row */
    assert_int_equal(84, spectral_view_bytes(&v));
    v.rows = v.cols = 1;
    assert_int_equal(4, spectral_view_bytes(&v));
    v.rows = 0;
    assert_int_equal(0, spectral_view_bytes(&v));
}

static void a_span_beyond_size_t_is_zero(void **state)
{
    (void)state;
    const size_t most = SIZE_MAX / 8;
    spectral_view v = {.dtype = SPECTRAL_F64, .rows = 1, .cols = most, .row_stride = 1, .col_stride = 1};
    assert_true(spectral_view_bytes(&v) == 8 * most);
    v.cols = most + 1;
    assert_int_equal(0, spectral_view_bytes(&v));
    v = (spectral_view){.dtype = SPECTRAL_F64, .rows = 3, .cols = 2, .row_stride = SIZE_MAX / 2 + 1, .col_stride = 1};
    assert_int_equal(0, spectral_view_bytes(&v));
    v = (spectral_view){.dtype = SPECTRAL_BF16, .rows = 2, .cols = 2, .row_stride = SIZE_MAX, .col_stride = 1};
    assert_int_equal(0, spectral_view_bytes(&v));
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (int i = 0; i <= SPECTRAL_E_READ; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(spectral_status_text((spectral_status)i), spectral_status_text((spectral_status)j));
    assert_string_equal("unknown status", spectral_status_text((spectral_status)77));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_their_sizes),
        cmocka_unit_test(a_view_spans_from_its_first_to_its_last_element),
        cmocka_unit_test(a_span_beyond_size_t_is_zero),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
