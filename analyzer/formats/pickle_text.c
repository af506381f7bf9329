/* pickle_text.c - numbers and texts as the opcodes of protocol 0 write them, and integers of any length.
 *
 * As lenient as CPython where it is lenient: white space around numbers, signs, underscores, prefixes of bases. An
 * integer beyond 64 bits is kept as two's complement; one written in digits, when it fits 128 bits.
 * Source: CPython Modules/_pickle.c (load_int, load_long, load_string, load_unicode).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/pickle_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *n)
{
    while (*n && is_space(**text)) {
        ++*text;
        --*n;
    }
    while (*n && is_space((*text)[*n - 1]))
        --*n;
}

static unsigned digit_of(char c)
{
    return c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
           : (c | 32) >= 'a' && (c | 32) <= 'z' ? (unsigned)((c | 32) - 'a') + 10
                                                : 99;
}

typedef struct {
    bool negative, too_long;
    u128 magnitude;
} whole;

/* base 0: as the prefix says; a leading 0 without one is octal, as in C. */
static bool parse_whole(const char *text, size_t n, unsigned base, whole *out)
{
    *out = (whole){0};
    trim(&text, &n);
    if (n && (*text == '+' || *text == '-')) {
        out->negative = *text == '-';
        text++;
        n--;
    }
    if (base == 0) {
        char prefix = n > 1 && *text == '0' ? (char)(text[1] | 32) : '\0';
        base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : prefix && digit_of(prefix) < 8 ? 8 : 10;
        if (prefix == 'x' || prefix == 'o' || prefix == 'b') {
            text += 2;
            n -= 2;
        }
    }
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = digit_of(text[i]);
        if (text[i] == '_' && i > 0 && i + 1 < n)
            continue;
        if (digit >= base)
            return false;
        any = true;
        out->too_long |= out->magnitude >> 122 != 0;
        out->magnitude = out->magnitude * base + digit;
    }
    return any;
}

bool text_to_u64(const char *text, size_t n, uint64_t *out)
{
    whole w;
    if (!parse_whole(text, n, 10, &w) || w.too_long || w.magnitude > UINT64_MAX || (w.negative && w.magnitude))
        return false;
    *out = (uint64_t)w.magnitude;
    return true;
}

static pickle_value *value_of_whole(pickle_machine *m, const whole *w)
{
    char bytes[16];
    if (w->too_long)
        return value_text(m, PICKLE_BIG, "", 0);
    u128 twos = w->negative ? -w->magnitude : w->magnitude;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(unsigned char)(twos >> 8 * i);
    return value_of_long(m, bytes, sizeof bytes);
}

/* INT and LONG: "00" and "01" are the booleans of protocol 0, a trailing L is that of Python 2. */
pickle_value *value_of_int_line(pickle_machine *m, const char *text, size_t n, bool *valid)
{
    whole w;
    *valid = true;
    if (n == 2 && text[0] == '0' && (text[1] == '0' || text[1] == '1') && m->op.code == OP_INT)
        return text[1] == '1' ? m->yes : m->no;
    if (n && text[n - 1] == 'L' && m->op.code == OP_LONG)
        n--;
    *valid = parse_whole(text, n, 0, &w);
    return *valid ? value_of_whole(m, &w) : NULL;
}

/* Two's complement, little-endian; the bytes that only repeat the sign are left out. */
pickle_value *value_of_long(pickle_machine *m, const char *bytes, size_t n)
{
    unsigned char sign = n && (unsigned char)bytes[n - 1] >= 0x80 ? 0xFF : 0;
    while (n > 1 && (unsigned char)bytes[n - 1] == sign && ((unsigned char)bytes[n - 2] >= 0x80) == (sign != 0))
        n--;
    if (n > 8)
        return value_text(m, PICKLE_BIG, bytes, n);
    uint64_t integer = sign ? UINT64_MAX : 0;
    for (size_t i = n; i-- > 0;)
        integer = integer << 8 | (unsigned char)bytes[i];
    return value_integer(m, (int64_t)integer);
}

bool text_to_double(const char *text, size_t n, double *out)
{
    char copy[64], *end;
    size_t length = 0;
    trim(&text, &n);
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '_')
            continue;
        if (text[i] == '\0' || text[i] == 'x' || text[i] == 'X' || text[i] == '(')
            return false; /* strtod would take more than Python does */
        if (length < sizeof copy - 1)
            copy[length++] = text[i];
    }
    copy[length] = '\0';
    *out = strtod(copy, &end);
    if (length == sizeof copy - 1) /* more digits than a double needs: not wanted so much that it is worth a copy */
        *out = NAN;
    return *end == '\0' || length == sizeof copy - 1;
}

/* ---- texts ---- */

static size_t put_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(unsigned char)(lead[more] | point >> 6 * more);
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(unsigned char)(0x80 | (point >> 6 * (more - i) & 0x3F));
    return more + 1;
}

/* As many digits of the base as are there, at most `most`; *used says how many. */
static uint32_t digits(const char *text, size_t n, unsigned base, size_t most, size_t *used)
{
    uint32_t value = 0;
    size_t i = 0;
    for (; i < n && i < most && digit_of(text[i]) < base; i++)
        value = value * base + digit_of(text[i]);
    *used = i;
    return value;
}

static const char simple_escapes[][2] = {
    {'\\', '\\'}, {'\'', '\''}, {'"', '"'},  {'a', '\a'}, {'b', '\b'},
    {'f', '\f'},  {'n', '\n'},  {'r', '\r'}, {'t', '\t'}, {'v', '\v'},
};

/* The escape behind a backslash; how many bytes of text it takes. An unknown one stays as it is. */
static size_t unescape(const char *text, size_t n, char *out, size_t *length)
{
    for (size_t i = 0; i < sizeof simple_escapes / sizeof simple_escapes[0]; i++) {
        if (n && text[0] == simple_escapes[i][0]) {
            out[(*length)++] = simple_escapes[i][1];
            return 1;
        }
    }
    size_t used;
    uint32_t value = digits(text, n, 8, 3, &used);
    if (used) {
        out[(*length)++] = (char)(unsigned char)value;
        return used;
    }
    if (n && text[0] == 'x') {
        value = digits(text + 1, n - 1, 16, 2, &used);
        if (used == 2) {
            out[(*length)++] = (char)(unsigned char)value;
            return 3;
        }
    }
    out[(*length)++] = '\\';
    return 0;
}

pickle_value *value_of_string_line(pickle_machine *m, const char *text, size_t n, bool *valid)
{
    while (n && is_space(text[n - 1]))
        n--;
    *valid = n >= 2 && text[0] == text[n - 1] && (text[0] == '\'' || text[0] == '"');
    if (!*valid)
        return NULL;
    pickle_value *v = value_text(m, PICKLE_STRING, text + 1, n - 2);
    if (!v)
        return NULL;
    char *out = (char *)(uintptr_t)v->text; /* the copy, which only gets shorter */
    size_t length = 0;
    for (size_t i = 1; i < n - 1;) {
        if (text[i] == '\\')
            i += 1 + unescape(text + i + 1, n - 2 - i, out, &length);
        else
            out[length++] = text[i++];
    }
    out[length] = '\0';
    v->length = length;
    return v;
}

/* raw-unicode-escape: Latin-1 with \uXXXX and \UXXXXXXXX. Each byte gives at most two of UTF-8. */
pickle_value *value_of_unicode_line(pickle_machine *m, const char *text, size_t n)
{
    size_t length = 0, used, high = 0;
    for (size_t i = 0; i < n; i++)
        high += (unsigned char)text[i] >= 0x80;
    pickle_value *v = value_make(m, PICKLE_STRING);
    char *out = v ? machine_alloc(m, n + high + 1, 1) : NULL;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n;) {
        size_t width = text[i] != '\\' || i + 1 == n ? 0 : text[i + 1] == 'u' ? 4 : text[i + 1] == 'U' ? 8 : 0;
        uint32_t point = width ? digits(text + i + 2, n - i - 2, 16, width, &used) : 0;
        bool escaped = width && used == width && point <= 0x10FFFF;
        length += put_utf8(out + length, escaped ? point : (unsigned char)text[i]);
        i += escaped ? width + 2 : 1;
    }
    v->text = out;
    v->length = length;
    return v;
}
