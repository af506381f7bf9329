/* The error value: first writer, one clean line, names.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_first_writer_wins(void **state)
{
    (void)state;
    lora_error err = {0};
    assert_int_equal(lora_fail_at(&err, LORA_E_HOLE, 77, "first %d", 1), LORA_E_HOLE);
    assert_int_equal(lora_fail(&err, LORA_E_MEMORY, "second"), LORA_E_MEMORY);
    assert_int_equal(lora_fail_sys(&err, LORA_E_READ, EIO, "third"), LORA_E_READ);
    assert_int_equal(err.code, LORA_E_HOLE);
    assert_true(err.has_offset);
    assert_int_equal(err.offset, 77);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.message, "first 1");
}

static void a_caller_without_an_error_value_still_gets_the_code(void **state)
{
    (void)state;
    assert_int_equal(lora_fail(NULL, LORA_E_JSON, "x"), LORA_E_JSON);
    assert_int_equal(lora_fail_at(NULL, LORA_E_JSON, 1, "x"), LORA_E_JSON);
    assert_int_equal(lora_fail_sys(NULL, LORA_E_OPEN, ENOENT, "x"), LORA_E_NOT_FOUND);
}

static void errno_has_its_own_codes_and_its_text(void **state)
{
    (void)state;
    static const struct {
        int sys;
        lora_code code;
    } cases[] = {{ENOENT, LORA_E_NOT_FOUND}, {EACCES, LORA_E_PERMISSION}, {ENOMEM, LORA_E_MEMORY}, {EIO, LORA_E_OPEN}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lora_error err = {0};
        assert_int_equal(lora_fail_sys(&err, LORA_E_OPEN, cases[i].sys, "cannot open %s", "x"), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(err.sys, cases[i].sys);
        assert_false(err.has_offset);
        char expected[200] = "cannot open x: ";
        strcat(expected, strerror(cases[i].sys));
        assert_string_equal(err.message, expected);
    }
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    const size_t room = sizeof((lora_error *)0)->message - 1;
    static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x80\xA6", "\xF0\x9F\x98\x80"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char text[600] = "";
            size_t width = c + 1;
            memset(text, 'a', lead);
            while (strlen(text) < 400)
                strcat(text, characters[c]);
            lora_error err = {0};
            lora_fail(&err, LORA_E_JSON, "%s", text);
            size_t whole = lead + (room - lead) / width * width;
            assert_int_equal(strlen(err.message), whole);
            assert_memory_equal(err.message, text, whole);
        }
    }
}

static void the_cause_survives_a_long_message(void **state)
{
    (void)state;
    char text[600] = "";
    while (strlen(text) < 400)
        strcat(text, "\xE2\x80\xA6");
    lora_error err = {0};
    lora_fail_sys(&err, LORA_E_OPEN, ENOENT, "%s", text);
    const char *why = strerror(ENOENT);
    size_t n = strlen(err.message);
    assert_true(n < sizeof err.message);
    assert_string_equal(err.message + n - strlen(why), why);
    assert_int_equal((n - strlen(why) - 2) % 3, 0);
}

static void control_characters_never_get_into_a_message(void **state)
{
    (void)state;
    lora_error err = {0};
    lora_fail(&err, LORA_E_JSON, "a%cb%cc%cd%ce", '\n', 0x1b, 0x7f, 0x01);
    assert_string_equal(err.message, "a?b?c?d?e");
}

static void every_code_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(lora_code_name(LORA_OK), "ok");
    assert_string_equal(lora_code_name(LORA_E_HEADER_TOO_LARGE), "header-too-large");
    assert_string_equal(lora_code_name(LORA_E_JSON), "invalid-json");
    for (int a = 0; a < LORA_N_CODES; a++) {
        assert_non_null(lora_code_name((lora_code)a));
        assert_int_equal(strspn(lora_code_name((lora_code)a), "abcdefghijklmnopqrstuvwxyz0123456789-"),
                         strlen(lora_code_name((lora_code)a)));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(lora_code_name((lora_code)a), lora_code_name((lora_code)b));
    }
    assert_string_equal(lora_code_name(LORA_N_CODES), "internal-error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_writer_wins),
        cmocka_unit_test(a_caller_without_an_error_value_still_gets_the_code),
        cmocka_unit_test(errno_has_its_own_codes_and_its_text),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(the_cause_survives_a_long_message),
        cmocka_unit_test(control_characters_never_get_into_a_message),
        cmocka_unit_test(every_code_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
