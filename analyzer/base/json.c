/* json.c - the pull scanner. Contracts in json.h.
 *
 * Invariants: at ≤ length; wrong is set at most once, and while it is set nothing moves. Recursion in json_skip is as
 * deep as its `depth` argument allows and no deeper.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/json.h"

#include <string.h>

static const char ENDS_EARLY[] = "the text ends too early";

static bool fault(json_scan *s, size_t at, const char *what)
{
    if (!s->wrong) {
        s->wrong = what;
        s->wrong_at = at;
    }
    return false;
}

static bool at_end(const json_scan *s)
{
    return s->at >= s->length;
}

static void skip_space(json_scan *s)
{
    while (!at_end(s)) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c > ' ' || (c != ' ' && c != '\n' && c != '\r' && c != '\t'))
            return;
        s->at++;
    }
}

/* After white space: step over c, or say what was expected. */
static bool take(json_scan *s, char c, const char *expected)
{
    if (s->wrong)
        return false;
    skip_space(s);
    if (at_end(s))
        return fault(s, s->at, ENDS_EARLY);
    if (s->text[s->at] != c)
        return fault(s, s->at, expected);
    s->at++;
    return true;
}

void json_begin(json_scan *s, const char *text, size_t length)
{
    *s = (json_scan){.text = text, .length = length};
}

json_kind json_peek(json_scan *s)
{
    if (s->wrong)
        return JSON_BAD;
    skip_space(s);
    if (at_end(s))
        return JSON_END;
    char c = s->text[s->at];
    switch (c) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER : JSON_BAD;
    }
}

/* ---- containers ---- */

/* The shared part of the two _next functions: true when an element follows, its comma consumed. */
static bool next_element(json_scan *s, bool *first, char close, const char *expected)
{
    if (s->wrong)
        return false;
    skip_space(s);
    if (!at_end(s) && s->text[s->at] == close) {
        s->at++;
        return false;
    }
    if (!*first && !take(s, ',', expected))
        return false;
    *first = false;
    skip_space(s);
    if (at_end(s))
        return fault(s, s->at, ENDS_EARLY);
    return true;
}

bool json_object_open(json_scan *s)
{
    return take(s, '{', "expected an object");
}

bool json_object_next(json_scan *s, bool *first, json_string *key)
{
    if (!next_element(s, first, '}', "expected ',' or '}'"))
        return false;
    if (s->text[s->at] != '"')
        return fault(s, s->at, "expected a name in double quotes");
    return json_string_read(s, key) && take(s, ':', "expected ':'");
}

bool json_array_open(json_scan *s)
{
    return take(s, '[', "expected an array");
}

bool json_array_next(json_scan *s, bool *first)
{
    return next_element(s, first, ']', "expected ',' or ']'");
}

/* ---- strings ---- */

/* Four hexadecimal digits at p, which has them or not; -1 when not. */
static int hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Step over the escape whose backslash is at s->at. A surrogate is accepted only as one half of a pair. */
static bool skip_escape(json_scan *s)
{
    const char *p = s->text + s->at, *end = s->text + s->length;
    if (end - p < 2)
        return fault(s, s->length, ENDS_EARLY);
    if (p[1] != 'u') {
        if (!p[1] || !strchr("\"\\/bfnrt", p[1]))
            return fault(s, s->at, "unknown escape in a string");
        s->at += 2;
        return true;
    }
    int unit = hex4(p + 2, end);
    if (unit < 0)
        return fault(s, s->at, "\\u without four hexadecimal digits");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return fault(s, s->at, "lone surrogate in a string");
    s->at += 6;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        int low = end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8, end) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fault(s, s->at - 6, "lone surrogate in a string");
        s->at += 6;
    }
    return true;
}

bool json_string_read(json_scan *s, json_string *out)
{
    if (!take(s, '"', "expected a string"))
        return false;
    size_t start = s->at;
    bool escaped = false;
    for (;;) {
        const char *p = s->text + s->at, *end = s->text + s->length;
        while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
            p++;
        s->at = (size_t)(p - s->text);
        if (p == end)
            return fault(s, s->at, "the text ends inside a string");
        if (*p == '"')
            break;
        if (*p != '\\')
            return fault(s, s->at, "control character in a string");
        escaped = true;
        if (!skip_escape(s))
            return false;
    }
    *out = (json_string){.raw = s->text + start, .raw_length = s->at - start, .at = start - 1, .escaped = escaped};
    s->at++;
    return true;
}

/* The bytes of the character or escape at *p, which moves behind it. The string was checked when it was read. */
static size_t next_character(const char **p, const char *end, char bytes[4])
{
    const char *at = *p;
    if (*at != '\\') {
        bytes[0] = *at;
        *p = at + 1;
        return 1;
    }
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (at[1] != 'u') {
        bytes[0] = to[strchr(from, at[1]) - from];
        *p = at + 2;
        return 1;
    }
    unsigned point = (unsigned)hex4(at + 2, end);
    *p = at + 6;
    if (point >= 0xD800 && point <= 0xDBFF) {
        point = 0x10000 + ((point - 0xD800) << 10) + ((unsigned)hex4(at + 8, end) - 0xDC00);
        *p = at + 12;
    }
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length; i-- > 1; point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3F));
    bytes[0] = (char)(lead[length] | point);
    return length;
}

/* Output never overtakes input, byte for byte, so that dst may be the raw text itself. */
size_t json_unescape(const json_string *string, char *dst)
{
    if (!string->escaped) {
        memmove(dst, string->raw, string->raw_length);
        return string->raw_length;
    }
    const char *p = string->raw, *end = p + string->raw_length;
    size_t written = 0;
    while (p < end) {
        char bytes[4];
        size_t length = next_character(&p, end, bytes);
        memcpy(dst + written, bytes, length);
        written += length;
    }
    return written;
}

bool json_string_is(const json_string *string, const char *text)
{
    size_t wanted = strlen(text);
    if (!string->escaped)
        return string->raw_length == wanted && memcmp(string->raw, text, wanted) == 0;
    const char *p = string->raw, *end = p + string->raw_length;
    size_t matched = 0;
    while (p < end) {
        char bytes[4];
        size_t length = next_character(&p, end, bytes);
        if (length > wanted - matched || memcmp(bytes, text + matched, length) != 0)
            return false;
        matched += length;
    }
    return matched == wanted;
}

/* ---- numbers and literals ---- */

static size_t digits_from(const json_scan *s, size_t at)
{
    size_t start = at;
    while (at < s->length && s->text[at] >= '0' && s->text[at] <= '9')
        at++;
    return at - start;
}

static char byte_at(const json_scan *s, size_t at)
{
    return at < s->length ? s->text[at] : '\0';
}

bool json_u64_read(json_scan *s, uint64_t *out)
{
    json_kind kind = json_peek(s);
    if (s->wrong)
        return false;
    if (kind == JSON_END)
        return fault(s, s->at, ENDS_EARLY);
    size_t n = digits_from(s, s->at);
    if (kind != JSON_NUMBER || n == 0)
        return fault(s, s->at, "expected a non-negative integer");
    if (n > 1 && s->text[s->at] == '0')
        return fault(s, s->at, "leading zero in a number");
    char after = byte_at(s, s->at + n);
    if (after == '.' || after == 'e' || after == 'E')
        return fault(s, s->at, "expected an integer without fraction or exponent");
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t digit = (uint64_t)(s->text[s->at + i] - '0');
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, digit, &value))
            return fault(s, s->at, "the integer does not fit 64 bits");
    }
    s->at += n;
    *out = value;
    return true;
}

static bool skip_number(json_scan *s)
{
    size_t at = s->at;
    at += byte_at(s, at) == '-';
    size_t n = digits_from(s, at);
    if (n == 0)
        return fault(s, at, "expected a digit");
    if (n > 1 && s->text[at] == '0')
        return fault(s, at, "leading zero in a number");
    at += n;
    if (byte_at(s, at) == '.') {
        n = digits_from(s, ++at);
        if (n == 0)
            return fault(s, at, "expected a digit after '.'");
        at += n;
    }
    if (byte_at(s, at) == 'e' || byte_at(s, at) == 'E') {
        at++;
        at += byte_at(s, at) == '+' || byte_at(s, at) == '-';
        n = digits_from(s, at);
        if (n == 0)
            return fault(s, at, "expected a digit in the exponent");
        at += n;
    }
    s->at = at;
    return true;
}

static bool skip_literal(json_scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->length - s->at < n || memcmp(s->text + s->at, word, n) != 0)
        return fault(s, s->at, "unknown word");
    s->at += n;
    return true;
}

bool json_skip(json_scan *s, unsigned depth)
{
    bool first = true;
    json_string string;
    json_kind kind = json_peek(s);
    if (s->wrong)
        return false;
    if ((kind == JSON_OBJECT || kind == JSON_ARRAY) && depth == 0)
        return fault(s, s->at, "nested too deep");
    switch (kind) {
    case JSON_OBJECT:
        json_object_open(s);
        while (json_object_next(s, &first, &string))
            json_skip(s, depth - 1);
        return !s->wrong;
    case JSON_ARRAY:
        json_array_open(s);
        while (json_array_next(s, &first))
            json_skip(s, depth - 1);
        return !s->wrong;
    case JSON_STRING: return json_string_read(s, &string);
    case JSON_NUMBER: return skip_number(s);
    case JSON_TRUE: return skip_literal(s, "true");
    case JSON_FALSE: return skip_literal(s, "false");
    case JSON_NULL: return skip_literal(s, "null");
    case JSON_END: return fault(s, s->at, ENDS_EARLY);
    default: return fault(s, s->at, "expected a value");
    }
}

bool json_finish(json_scan *s)
{
    if (s->wrong)
        return false;
    skip_space(s);
    return at_end(s) || fault(s, s->at, "text behind the end of the value");
}
