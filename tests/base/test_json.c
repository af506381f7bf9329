/* The JSON scanner: what it takes, what it refuses and where, and integers to the last one.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DEPTH = 8 };

/* The text is copied to its exact size, so that a read behind the end is seen by the sanitizers. */
static bool accepts(const char *text, size_t n, json_scan *s)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    json_begin(s, copy, n);
    bool ok = json_skip(s, DEPTH) && json_finish(s);
    assert_int_equal(ok, s->wrong == NULL);
    assert_true(s->at <= n);
    if (s->wrong) {
        assert_true(s->wrong_at <= n);
        const char *first = s->wrong;
        uint64_t number;
        bool start = true;
        json_string string;
        assert_false(json_skip(s, DEPTH) || json_finish(s) || json_object_open(s) || json_array_open(s) ||
                     json_u64_read(s, &number) || json_string_read(s, &string) || json_array_next(s, &start) ||
                     json_object_next(s, &start, &string));
        assert_int_equal(json_peek(s), JSON_BAD);
        assert_ptr_equal(s->wrong, first);
    }
    free(copy);
    return ok;
}

static void valid_texts_are_accepted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "[]", "\"\"", "0", "-0", "true", "false", "null", " \t\r\n{ } \t\r\n", "[[],{}]", "[1,2]", "[ 1 , 2 ]",
        "{\"\":0}", "{\"a\":1,\"a\":2}", "{\"a\" : [ null ] }", "-1", "10", "0.5", "-0.5e+10", "1E5", "1e-5", "0e0",
        "123456789012345678901234567890", "1e999", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\"", "\"\\uABcd\"",
        "\"\\uD83D\\uDE00\"", "\"\\uDBFF\\uDFFF\"", "\"\\u2028\"", "\"\xE2\x80\xA8\"", "\"\x7f\"", "\"\xF0\x9F\x98\x80\"",
        "[[[[[[[[]]]]]]]]", "[true,false,null,\"x\",1]", "\"a/b\"", "[\"\\\\u0000\"]", "\"\\u005C\\u0022\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_scan s;
        if (!accepts(texts[i], strlen(texts[i]), &s))
            fail_msg("refused: %s (%s at %zu)", texts[i], s.wrong, s.wrong_at);
    }
}

static void invalid_texts_are_refused_where_they_go_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {
        {"", 0}, {" ", 1}, {"{", 1}, {"[", 1}, {"}", 0}, {"]", 0}, {"[1", 2}, {"[1,", 3}, {"[1,]", 3}, {"[,1]", 1},
        {"[1,,2]", 3}, {"[1 2]", 3}, {"[1}", 2}, {"[1:2]", 2}, {"{\"a\"", 4}, {"{\"a\":", 5}, {"{\"a\":}", 5},
        {"{\"a\":1", 6}, {"{\"a\":1,", 7}, {"{\"a\":1,}", 7}, {"{,\"a\":1}", 1}, {"{\"a\" 1}", 5}, {"{\"a\":1 \"b\":2}", 7},
        {"{a:1}", 1}, {"{'a':1}", 1}, {"{1:1}", 1}, {"{\"a\":1]", 6}, {"{\"a\"::1}", 5}, {"{null:1}", 1}, {"{[:1}", 1},
        {"\"", 1}, {"\"abc", 4}, {"'a'", 0}, {"\"\n\"", 1}, {"\"a\tb\"", 2}, {"\"\x1f\"", 1}, {"\"\\", 2}, {"\"\\\"", 3},
        {"\"\\x41\"", 1}, {"\"\\a\"", 1}, {"\"\\'\"", 1}, {"\"\\u\"", 1}, {"\"\\u12\"", 1}, {"\"\\u123\"", 1},
        {"\"\\u12G4\"", 1}, {"\"\\u+123\"", 1}, {"\"\\U0041\"", 1}, {"\"\\ud800\"", 1}, {"\"\\udc00\"", 1},
        {"\"a\\uD800\\uD800\"", 2}, {"\"\\uD800\\n\"", 1}, {"\"\\uD800x\"", 1}, {"\"\\uD800\\u0041\"", 1},
        {"\"\\uD800\\u12", 1}, {"\"\\uD800\\", 1}, {"-", 1}, {"--1", 1}, {"+1", 0}, {".5", 0}, {"1.", 2}, {"1.e5", 2},
        {"-.5", 1}, {"1e", 2}, {"1e+", 3}, {"1eE2", 2}, {"01", 0}, {"-01", 1}, {"00", 0}, {"0x10", 1}, {"1_000", 1},
        {"NaN", 0}, {"Infinity", 0}, {"-Infinity", 1}, {"nul", 0}, {"nulll", 4}, {"True", 0}, {"tru", 0}, {"fals", 0},
        {"[] []", 3}, {"{}x", 2}, {"1 2", 2}, {"{},\"__metadata__\":{}}", 2}, {"/**/[]", 0}, {"[]//", 2}, {"[1/*x*/]", 2},
        {"\xEF\xBB\xBF{}", 0}, {"\xC2\xA0{}", 0}, {"\f[]", 0}, {"[\"a\" \"b\"]", 5}, {"[\"a\":1]", 4}, {"<html>", 0},
        {"[[[[[[[[[]]]]]]]]]", 8}, {"{\"a\":[[[[[[[[]]]]]]]]}", 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_scan s;
        if (accepts(cases[i].text, strlen(cases[i].text), &s))
            fail_msg("accepted: %s", cases[i].text);
        if (s.wrong_at != cases[i].at)
            fail_msg("%s: wrong at %zu (%s), expected %zu", cases[i].text, s.wrong_at, s.wrong, cases[i].at);
    }
    json_scan s;
    assert_false(accepts("[\0]", 3, &s));
    assert_false(accepts("\"\0\"", 3, &s));
    assert_false(accepts("\"\\\0\"", 4, &s));
    assert_false(accepts("{}\0", 3, &s));
}

static void every_beginning_of_a_valid_text_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\u00e9\\uD83D\\uDE00\":[1,-2.5e+3,true,false,null,\"x\\n\"],\"b\":{}}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        json_scan s;
        assert_false(accepts(text, n, &s));
    }
    json_scan s;
    assert_true(accepts(text, sizeof text - 1, &s));
}

static void nesting_is_bounded_exactly(void **state)
{
    (void)state;
    for (unsigned levels = 0; levels < 20; levels++) {
        char text[64] = "";
        for (unsigned i = 0; i < levels; i++)
            strcat(text, "[");
        strcat(text, levels ? "" : "1");
        for (unsigned i = 0; i < levels; i++)
            strcat(text, "]");
        for (unsigned depth = 0; depth < 20; depth++) {
            json_scan s;
            json_begin(&s, text, strlen(text));
            assert_int_equal(json_skip(&s, depth), levels <= depth);
        }
    }
}

static void integers_are_exact_up_to_64_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"7]", 7},
                {" 42", 42},
                {"9007199254740993", UINT64_C(9007199254740993)},
                {"9223372036854775808", UINT64_C(9223372036854775808)},
                {"18446744073709551614", UINT64_MAX - 1},
                {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"18446744073709551616", "18446744073709551620", "28446744073709551615",
                                      "99999999999999999999", "184467440737095516150", "-1", "-0", "1.0", "1.5", "1e2",
                                      "1E2", "01", "00", "\"1\"", "null", "", "-", "[1]", "x", "true"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_scan s;
        uint64_t value;
        json_begin(&s, good[i].text, strlen(good[i].text));
        assert_true(json_u64_read(&s, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_scan s;
        uint64_t value = 5;
        json_begin(&s, bad[i], strlen(bad[i]));
        if (json_u64_read(&s, &value))
            fail_msg("%s read as %" PRIu64, bad[i], value);
        assert_true(value == 5);
        assert_non_null(s.wrong);
        assert_int_equal(s.wrong_at, 0);
    }
}

static void a_document_is_walked_by_what_is_expected(void **state)
{
    (void)state;
    static const char text[] = " { \"k\" : [ 1 , 2 ] , \"s\":\"v\" , \"o\":{} } ";
    json_scan s;
    json_string key, value;
    uint64_t number;
    bool first = true, inner = true;
    json_begin(&s, text, sizeof text - 1);
    assert_int_equal(json_peek(&s), JSON_OBJECT);
    assert_true(json_object_open(&s));
    assert_true(json_object_next(&s, &first, &key));
    assert_true(json_string_is(&key, "k"));
    assert_int_equal(key.at, 3);
    assert_true(json_array_open(&s));
    assert_true(json_array_next(&s, &inner));
    assert_true(json_u64_read(&s, &number) && number == 1);
    assert_true(json_array_next(&s, &inner));
    assert_true(json_u64_read(&s, &number) && number == 2);
    assert_false(json_array_next(&s, &inner));
    assert_null(s.wrong);
    assert_true(json_object_next(&s, &first, &key));
    assert_int_equal(json_peek(&s), JSON_STRING);
    assert_true(json_string_read(&s, &value));
    assert_true(json_string_is(&value, "v"));
    assert_true(json_object_next(&s, &first, &key));
    assert_true(json_skip(&s, 1));
    assert_false(json_object_next(&s, &first, &key));
    assert_null(s.wrong);
    assert_true(json_finish(&s));
    assert_int_equal(json_peek(&s), JSON_END);
}

static void escapes_are_resolved_also_in_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *resolved;
        size_t n;
    } cases[] = {
        {"\"plain\"", "plain", 5},
        {"\"\"", "", 0},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"a\\u0041\\u00e9\\u20AC\\uD83D\\uDE00z\"", "aA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z", 12},
        {"\"\\u0000x\"", "\0x", 2},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF", 11},
        {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[80], out[80];
        json_scan s;
        json_string string;
        strcpy(text, cases[i].text);
        json_begin(&s, text, strlen(text));
        assert_true(json_string_read(&s, &string));
        assert_int_equal(json_unescape(&string, out), cases[i].n);
        assert_memory_equal(out, cases[i].resolved, cases[i].n);
        assert_int_equal(json_unescape(&string, text + (string.raw - text)), cases[i].n);
        assert_memory_equal(string.raw, cases[i].resolved, cases[i].n);
    }
}

static void strings_are_compared_after_their_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *other;
        bool same;
    } cases[] = {{"\"dtype\"", "dtype", true},        {"\"dtyp\"", "dtype", false},    {"\"dtypes\"", "dtype", false},
                 {"\"d\\u0074ype\"", "dtype", true},  {"\"\\u0064\"", "dtype", false}, {"\"dtype\\u0000\"", "dtype", false},
                 {"\"\\u0000\"", "", false},          {"\"\"", "", true},              {"\"\\n\"", "\n", true},
                 {"\"dtypE\"", "dtype", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_scan s;
        json_string string;
        json_begin(&s, cases[i].text, strlen(cases[i].text));
        assert_true(json_string_read(&s, &string));
        assert_int_equal(json_string_is(&string, cases[i].other), cases[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_accepted),
        cmocka_unit_test(invalid_texts_are_refused_where_they_go_wrong),
        cmocka_unit_test(every_beginning_of_a_valid_text_is_refused),
        cmocka_unit_test(nesting_is_bounded_exactly),
        cmocka_unit_test(integers_are_exact_up_to_64_bits),
        cmocka_unit_test(a_document_is_walked_by_what_is_expected),
        cmocka_unit_test(escapes_are_resolved_also_in_place),
        cmocka_unit_test(strings_are_compared_after_their_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
