/* Text on its way out: UTF-8, escapes, JSON strings, width, cutting, numbers.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/text.h"
#include "tests/support/alloc_fault.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Invalid position of the bytes, copied to their exact size for the sanitizers. */
static size_t invalid_at(const char *bytes, size_t n)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    size_t at = text_utf8_invalid(copy, n);
    free(copy);
    return at;
}

static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    out[0] = (char)((0xF00 >> n & 0xFF) | point);
    return n;
}

static void every_code_point_is_valid_and_its_surrogates_are_not(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x110100; point++) {
        char bytes[4];
        size_t n = encode(point, bytes);
        bool good = point < 0xD800 || (point > 0xDFFF && point < 0x110000);
        assert_int_equal(text_utf8_invalid(bytes, n), good ? n : 0);
        for (size_t cut = 1; cut < n; cut++)
            assert_int_equal(text_utf8_invalid(bytes, cut), 0);
    }
}

static void broken_sequences_are_found_at_their_first_byte(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xE2\x82", "\xE2\x82 ",
        "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF", "\xC2\xC2\x80",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        for (size_t lead = 0; lead < 20; lead++) {
            for (size_t tail = 0; tail < 10; tail += 9) {
                char text[64];
                size_t n = strlen(broken[i]);
                memset(text, 'a', sizeof text);
                memcpy(text + lead, broken[i], n);
                assert_int_equal(invalid_at(text, lead + n + tail), lead);
            }
        }
    }
    assert_int_equal(invalid_at("", 0), 0);
    assert_int_equal(invalid_at("a\0b", 3), 3);
}

static void a_string_grows_by_all_its_ways(void **state)
{
    (void)state;
    strbuf b = {0};
    strbuf_puts(&b, "");
    assert_string_equal(b.data, "");
    strbuf_puts(&b, "ab");
    strbuf_putc(&b, 'c');
    strbuf_add(&b, "def", 2);
    strbuf_printf(&b, "-%d-%s", 12, "x");
    assert_string_equal(b.data, "abcde-12-x");
    assert_int_equal(b.length, 10);
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&b, "%04d", i);
    assert_int_equal(b.length, 4010);
    assert_string_equal(b.data + 4006, "0999");
    strbuf_clear(&b);
    assert_int_equal(b.length, 0);
    assert_string_equal(b.data, "");
    assert_false(b.failed);
    strbuf_free(&b);
    assert_null(b.data);
    strbuf_clear(&b);
}

static void a_string_without_memory_stays_failed_and_whole(void **state)
{
    (void)state;
    bool done = false;
    for (long k = 0; !done; k++) {
        strbuf b = {0};
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        for (int i = 0; i < 200; i++)
            strbuf_printf(&b, "%d;", i);
        text_json(&b, "\x01\xff\"", 3);
        text_escape(&b, "\x01\xff\"", 3);
        text_double(&b, 0.1);
        done = !alloc_fault_end();
        assert_int_equal(b.failed, !done);
        if (b.data)
            assert_int_equal(strlen(b.data), b.length);
        size_t length = b.length;
        strbuf_puts(&b, "more");
        assert_int_equal(b.length, done ? length + 4 : length);
        strbuf_free(&b);
    }
    strbuf b = {.failed = false};
    strbuf_add(&b, "x", SIZE_MAX / 2);
    assert_true(b.failed);
    strbuf_free(&b);
}

static void check_escape(const char *s, size_t n, const char *expected)
{
    strbuf b = {0};
    text_escape(&b, s, n);
    assert_string_equal(b.data, expected);
    assert_int_equal(text_utf8_invalid(b.data, b.length), b.length);
    strbuf_free(&b);
}
#define CHECK_ESCAPE(s, expected) check_escape(s, sizeof(s) - 1, expected)

static void what_could_steer_a_terminal_is_escaped(void **state)
{
    (void)state;
    CHECK_ESCAPE("", "");
    CHECK_ESCAPE("plain \xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80 \\ \"",
                 "plain \xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80 \\ \"");
    CHECK_ESCAPE("a\x1b[2Jb\n\r\t\0\x7f", "a\\x1b[2Jb\\x0a\\x0d\\x09\\x00\\x7f");
    CHECK_ESCAPE("\xC2\x80\xC2\x9B\xC2\xA0", "\\xc2\\x80\\xc2\\x9b\xC2\xA0");
    CHECK_ESCAPE("\xff\xC2\xE2\x82z\x80", "\\xff\\xc2\\xe2\\x82z\\x80");
    CHECK_ESCAPE("\xE2\x80\x8A|\xE2\x80\x8B|\xE2\x80\x8F|\xE2\x80\x90", "\xE2\x80\x8A|\\u{200b}|\\u{200f}|\xE2\x80\x90");
    CHECK_ESCAPE("\xE2\x80\xA7|\xE2\x80\xA8|\xE2\x80\xA9|\xE2\x80\xAA|\xE2\x80\xAE|\xE2\x80\xAF",
                 "\xE2\x80\xA7|\\u{2028}|\\u{2029}|\\u{202a}|\\u{202e}|\xE2\x80\xAF");
    CHECK_ESCAPE("\xE2\x81\xA0|\xE2\x81\xA4|\xE2\x81\xA6|\xE2\x81\xA9|\xE2\x81\xB0|\xEF\xBB\xBF",
                 "\\u{2060}|\\u{2064}|\\u{2066}|\\u{2069}|\xE2\x81\xB0|\\u{feff}");
    CHECK_ESCAPE("\xD8\x9C|\xF3\xA0\x81\xA1|\xC2\xAD", "\\u{061c}|\\u{e0061}|\\u{00ad}");
}

static void no_single_character_escapes_the_escaping(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x110000; point++) {
        char bytes[4];
        size_t n = encode(point, bytes);
        strbuf b = {0};
        text_escape(&b, bytes, n);
        for (size_t i = 0; i < b.length; i++) {
            assert_true((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f);
            if ((unsigned char)b.data[i] == 0xC2)
                assert_true((unsigned char)b.data[i + 1] >= 0xA0);
        }
        strbuf_free(&b);
    }
}

static void check_json(const char *s, size_t n, const char *expected)
{
    strbuf b = {0};
    text_json(&b, s, n);
    assert_string_equal(b.data, expected);
    strbuf_free(&b);
}
#define CHECK_JSON(s, expected) check_json(s, sizeof(s) - 1, expected)

static void json_strings_are_quoted_and_always_valid(void **state)
{
    (void)state;
    CHECK_JSON("", "\"\"");
    CHECK_JSON("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
    CHECK_JSON("\n\r\t\b\0\x1f\x7f", "\"\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\"");
    CHECK_JSON("\xC2\x9B\xC2\xA0\xC3\xA9\xE2\x80\xA8", "\"\\u009b\xC2\xA0\xC3\xA9\xE2\x80\xA8\"");
    CHECK_JSON("a\xff\xE2\x82z", "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

static void width_counts_terminal_columns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t columns;
    } cases[] = {{"", 0},
                 {"abc", 3},
                 {"\xC3\xA9", 1},
                 {"e\xCC\x81", 1},             /* e and combining acute */
                 {"\xE4\xB8\xAD\xE6\x96\x87", 4}, /* two ideographs */
                 {"\xEA\xB0\x80", 2},          /* a Hangul syllable */
                 {"\xEF\xBC\xA1", 2},          /* fullwidth A */
                 {"\xEF\xBD\xB1", 1},          /* halfwidth katakana */
                 {"\xF0\x9F\x98\x80", 2},
                 {"\xE2\x80\xA6", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(text_width(cases[i].text, strlen(cases[i].text)), cases[i].columns);
}

static void check_shorten(const char *s, size_t columns, const char *expected)
{
    strbuf b = {0};
    text_shorten(&b, s, strlen(s), columns);
    assert_string_equal(b.data ? b.data : "", expected);
    if (b.data)
        assert_true(text_width(b.data, b.length) <= columns);
    strbuf_free(&b);
}

static void shortening_keeps_the_end(void **state)
{
    (void)state;
    check_shorten("abcdef", 7, "abcdef");
    check_shorten("abcdef", 6, "abcdef");
    check_shorten("abcdef", 5, "\xE2\x80\xA6" "cdef");
    check_shorten("abcdef", 1, "\xE2\x80\xA6");
    check_shorten("abcdef", 0, "");
    check_shorten("", 0, "");
    check_shorten("\xE4\xB8\xAD\xE6\x96\x87", 3, "\xE2\x80\xA6\xE6\x96\x87");
    check_shorten("\xE4\xB8\xAD\xE6\x96\x87", 2, "\xE2\x80\xA6");
    check_shorten("abe\xCC\x81z", 2, "\xE2\x80\xA6z");
}

static void a_label_is_quoted_escaped_short_and_never_too_long(void **state)
{
    (void)state;
    char out[160], name[4000];
    assert_string_equal(text_label(out, sizeof out, "a\nb", 3), "\"a\\x0ab\"");
    assert_string_equal(text_label(out, sizeof out, "", 0), "\"\"");
    text_quote quote;
    assert_string_equal(text_quoted(&quote, "a\nb"), "\"a\\x0ab\"");
    assert_string_equal(text_quoted(&quote, NULL), "without a name");
    static const char *const pieces[] = {"x",    "\xCC\x81", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80",
                                         "\x1b", "\x80",     "\xE2\x80\xAE", "a\xCC\x81"};
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        for (size_t count = 1; count < 900; count += 1 + count / 40) {
            name[0] = '\0';
            for (size_t i = 0; i < count; i++)
                strcat(name, pieces[p]);
            text_label(out, sizeof out, name, strlen(name));
            assert_string_not_equal(out, "\"?\"");
            assert_int_equal(text_utf8_invalid(out, strlen(out)), strlen(out));
            assert_true(text_width(out, strlen(out)) <= 62);
            if (strlen(name) > 60)
                assert_memory_equal(out, "\"\xE2\x80\xA6", 4);
        }
    }
    assert_string_equal(text_label(out, 8, "much too long for it", 20), "\"?\"");
    alloc_fault_after(0, ALLOC_FAULT_STICKY);
    text_label(out, sizeof out, "name", 4);
    alloc_fault_end();
    assert_string_equal(out, "\"?\"");
}

static void numbers_are_short_and_read_back_exactly(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {1, "1"},
                 {-1.5, "-1.5"},
                 {0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e300, "1e+300"},
                 {123456789, "123456789"},
                 {5e-324, "4.94065645841247e-324"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf b = {0};
        assert_true(text_double(&b, cases[i].x));
        assert_string_equal(b.data, cases[i].text);
        strbuf_free(&b);
    }
    uint64_t seed = 42;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double x;
        memcpy(&x, &seed, sizeof x);
        if (!isfinite(x))
            continue;
        strbuf b = {0};
        assert_true(text_double(&b, x));
        assert_true(strtod(b.data, NULL) == x);
        strbuf_free(&b);
    }
}

static void what_is_not_a_number_is_null(void **state)
{
    (void)state;
    const double values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        strbuf b = {0};
        assert_false(text_double(&b, values[i]));
        assert_string_equal(b.data, "null");
        strbuf_free(&b);
    }
}

static void the_decimal_point_does_not_follow_the_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    size_t i = 0;
    while (i < 5 && !setlocale(LC_NUMERIC, names[i]))
        i++;
    if (i == 5) {
        print_message("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    strbuf b = {0};
    text_double(&b, -1.25e-7);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(b.data, "-1.25e-07");
    strbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_valid_and_its_surrogates_are_not),
        cmocka_unit_test(broken_sequences_are_found_at_their_first_byte),
        cmocka_unit_test(a_string_grows_by_all_its_ways),
        cmocka_unit_test(a_string_without_memory_stays_failed_and_whole),
        cmocka_unit_test(what_could_steer_a_terminal_is_escaped),
        cmocka_unit_test(no_single_character_escapes_the_escaping),
        cmocka_unit_test(json_strings_are_quoted_and_always_valid),
        cmocka_unit_test(width_counts_terminal_columns),
        cmocka_unit_test(shortening_keeps_the_end),
        cmocka_unit_test(a_label_is_quoted_escaped_short_and_never_too_long),
        cmocka_unit_test(numbers_are_short_and_read_back_exactly),
        cmocka_unit_test(what_is_not_a_number_is_null),
        cmocka_unit_test(the_decimal_point_does_not_follow_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
