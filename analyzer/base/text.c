/* text.c - UTF-8 checking, escaping, width and number formatting. Contracts in text.h.
 *
 * One decoder serves all: it tells the length of the character at a position, 0 for an invalid byte, and every walk over
 * untrusted text goes through it. Invariant of strbuf: data is NULL, or holds length + 1 ≤ capacity bytes, NUL last.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_COLUMNS = 60 };
static const char ELLIPSIS[] = "\xE2\x80\xA6";
static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* ---- UTF-8 ---- */

static bool continues(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The bytes of the character at p, of which n > 0 remain, and its code point; 0 when the first byte begins none.
 * Source: RFC 3629, section 4, the table of well-formed sequences. */
static size_t decode(const char *s, size_t n, uint32_t *point)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) {
        *point = p[0];
        return 1;
    }
    if (p[0] >= 0xC2 && p[0] <= 0xDF && n >= 2 && continues(p[1])) {
        *point = (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
        return 2;
    }
    if ((p[0] & 0xF0) == 0xE0 && n >= 3 && continues(p[1]) && continues(p[2])) {
        *point = (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
        return *point >= 0x800 && (*point < 0xD800 || *point > 0xDFFF) ? 3 : 0;
    }
    if ((p[0] & 0xF8) == 0xF0 && n >= 4 && continues(p[1]) && continues(p[2]) && continues(p[3])) {
        *point = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 |
                 (p[3] & 0x3F);
        return *point >= 0x10000 && *point <= 0x10FFFF ? 4 : 0;
    }
    return 0;
}

size_t text_utf8_invalid(const char *s, size_t n)
{
    size_t at = 0;
    while (at < n) {
        uint64_t eight;
        if (n - at >= sizeof eight) {
            memcpy(&eight, s + at, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                at += sizeof eight;
                continue;
            }
        }
        uint32_t point;
        size_t length = decode(s + at, n - at, &point);
        if (!length)
            return at;
        at += length;
    }
    return n;
}

/* ---- strbuf ---- */

/* Room for `more` bytes and the NUL; false, and failed set, without. Doubles, so that n additions cost O(n). */
static bool reserve(strbuf *b, size_t more)
{
    if (b->failed)
        return false;
    size_t needed;
    if (__builtin_add_overflow(b->length, more, &needed) || needed > SIZE_MAX / 2 - 1) {
        b->failed = true;
        return false;
    }
    needed++;
    if (needed <= b->capacity)
        return true;
    size_t capacity = b->capacity * 2 > needed ? b->capacity * 2 : needed < 64 ? 64 : needed;
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void strbuf_add(strbuf *b, const char *s, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->data + b->length, s, n);
    b->length += n;
    b->data[b->length] = '\0';
}

void strbuf_puts(strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_putc(strbuf *b, char c)
{
    strbuf_add(b, &c, 1);
}

void strbuf_printf(strbuf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    if (length < 0)
        b->failed = true;
    else if (reserve(b, (size_t)length)) {
        vsnprintf(b->data + b->length, (size_t)length + 1, fmt, again);
        b->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

void strbuf_clear(strbuf *b)
{
    b->length = 0;
    if (b->data)
        b->data[0] = '\0';
}

void strbuf_free(strbuf *b)
{
    free(b->data);
    *b = (strbuf){0};
}

/* ---- escaping ---- */

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point <= 0x9F);
}

typedef struct {
    uint32_t first, last;
} range;

static bool in_ranges(uint32_t point, const range *ranges, size_t n)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (point > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && point >= ranges[low].first;
}
#define IN(point, table) in_ranges(point, table, sizeof(table) / sizeof(table)[0])

/* Characters that show nothing, or change what is shown around them: soft hyphen, bidirectional controls, zero-width
 * and separator characters, annotation marks, and the tag block, in which text can hide. */
static bool is_invisible(uint32_t point)
{
    static const range invisible[] = {
        {0xAD, 0xAD},     {0x61C, 0x61C},   {0x180E, 0x180E},   {0x200B, 0x200F}, {0x2028, 0x202E},
        {0x2060, 0x2069}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
    };
    return point >= 0xAD && IN(point, invisible);
}

void text_escape(strbuf *out, const char *s, size_t n)
{
    size_t plain = 0; /* where the run that is copied as it is begins */
    for (size_t at = 0; at < n;) {
        uint32_t point = 0;
        size_t length = decode(s + at, n - at, &point);
        if (length && !is_control(point) && !is_invisible(point)) {
            at += length;
            continue;
        }
        strbuf_add(out, s + plain, at - plain);
        if (length && !is_control(point))
            strbuf_printf(out, "\\u{%04x}", point);
        else
            for (size_t i = 0; i < (length ? length : 1); i++)
                strbuf_printf(out, "\\x%02x", (unsigned char)s[at + i]);
        at += length ? length : 1;
        plain = at;
    }
    strbuf_add(out, s + plain, n - plain);
}

void text_json(strbuf *out, const char *s, size_t n)
{
    strbuf_putc(out, '"');
    size_t plain = 0;
    for (size_t at = 0; at < n;) {
        uint32_t point = 0;
        size_t length = decode(s + at, n - at, &point);
        if (length && !is_control(point) && point != '"' && point != '\\') {
            at += length;
            continue;
        }
        strbuf_add(out, s + plain, at - plain);
        if (!length)
            strbuf_puts(out, REPLACEMENT);
        else if (point == '"' || point == '\\')
            strbuf_printf(out, "\\%c", (char)point);
        else if (point == '\n' || point == '\r' || point == '\t')
            strbuf_puts(out, point == '\n' ? "\\n" : point == '\r' ? "\\r" : "\\t");
        else
            strbuf_printf(out, "\\u%04x", point);
        at += length ? length : 1;
        plain = at;
    }
    strbuf_add(out, s + plain, n - plain);
    strbuf_putc(out, '"');
}

/* ---- width ---- */

/* Compact: the scripts met in names, not every sign of Unicode. A wrong guess misaligns a column, no more. */
static size_t columns_of(uint32_t point)
{
    static const range zero[] = {
        {0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},   {0x5BF, 0x5BF},   {0x5C1, 0x5C7},   {0x610, 0x61A},
        {0x64B, 0x65F},   {0x670, 0x670},   {0x6D6, 0x6DC},   {0x6DF, 0x6E4},   {0x6EA, 0x6ED},   {0x8CA, 0x902},
        {0x93C, 0x93C},   {0x941, 0x948},   {0x94D, 0x94D},   {0xE31, 0xE31},   {0xE34, 0xE3A},   {0xE47, 0xE4E},
        {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x20D0, 0x20F0}, {0x302A, 0x302D}, {0x3099, 0x309A},
        {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xE0000, 0xE01EF},
    };
    static const range wide[] = {
        {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},   {0x25FD, 0x25FE},
        {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26AA, 0x26AB},   {0x26BD, 0x26BE},   {0x26C4, 0x26C5},
        {0x2705, 0x2705},   {0x270A, 0x270B},   {0x2728, 0x2728},   {0x274C, 0x274C},   {0x2753, 0x2755},
        {0x2757, 0x2757},   {0x2795, 0x2797},   {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},   {0x2B55, 0x2B55},
        {0x2E80, 0x303E},   {0x3041, 0x3247},   {0x3250, 0x4DBF},   {0x4E00, 0xA4CF},   {0xA960, 0xA97F},
        {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE10, 0xFE19},   {0xFE30, 0xFE6F},   {0xFF01, 0xFF60},
        {0xFFE0, 0xFFE6},   {0x16FE0, 0x1B2FF}, {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F19A},
        {0x1F200, 0x1F320}, {0x1F32D, 0x1F567}, {0x1F5FB, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F7E0, 0x1F7F0},
        {0x1F90C, 0x1F9FF}, {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD},
    };
    return point < 0x300 ? 1 : IN(point, zero) ? 0 : IN(point, wide) ? 2 : 1;
}

/* The width of the character at s, whose bytes are put into *length; an invalid byte counts as one column. */
static size_t step(const char *s, size_t n, size_t *length)
{
    uint32_t point = 0;
    *length = decode(s, n, &point);
    if (*length)
        return columns_of(point);
    *length = 1;
    return 1;
}

size_t text_width(const char *s, size_t n)
{
    size_t width = 0;
    for (size_t at = 0, length; at < n; at += length)
        width += step(s + at, n - at, &length);
    return width;
}

void text_shorten(strbuf *out, const char *s, size_t n, size_t columns)
{
    size_t width = text_width(s, n);
    if (width <= columns) {
        strbuf_add(out, s, n);
        return;
    }
    if (columns == 0)
        return;
    size_t at = 0, length;
    while (at < n && width > columns - 1) {
        width -= step(s + at, n - at, &length);
        at += length;
    }
    while (at < n && step(s + at, n - at, &length) == 0) /* a combining mark must not land on the ellipsis */
        at += length;
    strbuf_puts(out, ELLIPSIS);
    strbuf_add(out, s + at, n - at);
}

/* A name of megabytes is cut before it is escaped: only its end can be shown. What is shown holds at most LABEL_COLUMNS
 * bytes as they were and LABEL_COLUMNS of escapes. */
const char *text_label(char *out, size_t size, const char *s, size_t n)
{
    strbuf escaped = {0}, shown = {0};
    size_t from = n > LABEL_COLUMNS ? n - LABEL_COLUMNS : 0;
    if (from) {
        for (int i = 0; i < 3 && continues((unsigned char)s[from]); i++)
            from++;
        strbuf_puts(&escaped, ELLIPSIS);
    }
    text_escape(&escaped, s + from, n - from);
    if (!escaped.failed)
        text_shorten(&shown, escaped.data, escaped.length, LABEL_COLUMNS);
    if (escaped.failed || shown.failed || shown.length + 3 > size)
        snprintf(out, size, "\"?\"");
    else
        snprintf(out, size, "\"%s\"", shown.data);
    strbuf_free(&escaped);
    strbuf_free(&shown);
    return out;
}

/* ---- numbers ---- */

bool text_double(strbuf *out, double x)
{
    if (!isfinite(x)) {
        strbuf_puts(out, "null");
        return false;
    }
    char digits[32];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, x);
        if (precision == 17 || strtod(digits, NULL) == x)
            break;
    }
    /* Whatever the locale puts for the decimal point is the one run that is neither digit, sign nor exponent. */
    for (const char *p = digits; *p;) {
        size_t run = strspn(p, "0123456789+-e");
        strbuf_add(out, p, run);
        p += run;
        run = strcspn(p, "0123456789+-e");
        if (run)
            strbuf_putc(out, '.');
        p += run;
    }
    return true;
}

const char *text_quoted(text_quote *quote, const char *s)
{
    return s ? text_label(quote->text, sizeof quote->text, s, strlen(s)) : "without a name";
}

uint64_t text_hash(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    return h;
}
