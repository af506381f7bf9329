/* json.h - a strict pull scanner over JSON text in memory, for headers that strangers wrote.
 *
 * It builds no tree and allocates nothing: the caller asks for what it expects, and an error carries the byte position.
 * Strictness is RFC 8259: no comments, no trailing commas, no leading zeros, escapes checked, lone surrogates refused,
 * raw control characters refused. The text must be valid UTF-8 (text_utf8_invalid in text.h), which the caller checks first.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_JSON_H
#define LORAUDIT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *text;
    size_t length;
    size_t at;         /* the next byte */
    const char *wrong; /* NULL, or what was wrong: a phrase such as "expected ':'"; the first one stays */
    size_t wrong_at;   /* where */
} json_scan;

typedef enum {
    JSON_END,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_BAD
} json_kind;

void json_begin(json_scan *s, const char *text, size_t length);

/* json_peek - the kind of the next value, after white space; JSON_END at the end of the text. Consumes only white space. */
json_kind json_peek(json_scan *s);

/* A string as it stands in the text, between its quotes, escapes not yet resolved. */
typedef struct {
    const char *raw;
    size_t raw_length;
    size_t at; /* position of the opening quote */
    bool escaped;
} json_string;

/* Each returns false after a fault, with s->wrong set; every later call then returns false too. */
bool json_object_open(json_scan *s);
/* json_object_next - the next key of the open object, its ':' consumed. false with s->wrong NULL: the object ended, and
 * its '}' is consumed. first is the caller's, set to true before the first call. */
bool json_object_next(json_scan *s, bool *first, json_string *key);
bool json_array_open(json_scan *s);
bool json_array_next(json_scan *s, bool *first); /* true: a value follows */
bool json_string_read(json_scan *s, json_string *out);
/* json_u64_read - a non-negative integer without fraction or exponent that fits 64 bits. */
bool json_u64_read(json_scan *s, uint64_t *out);
/* json_skip - step over one value of any kind, at most `depth` levels deep. */
bool json_skip(json_scan *s, unsigned depth);
/* json_finish - only white space may follow. */
bool json_finish(json_scan *s);

/* json_unescape - resolve escapes into dst, which holds at least raw_length bytes and may be the raw text itself; the
 * number of bytes written. */
size_t json_unescape(const json_string *string, char *dst);
/* json_string_is - does the string, escapes resolved, equal the ASCII text? */
bool json_string_is(const json_string *string, const char *text);

#endif
