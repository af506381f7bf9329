/* text.h - strings on their way out: UTF-8 checked, made harmless for terminals, quoted for JSON, measured and cut.
 *
 * Names in weight files are untrusted: they may hold terminal escapes, direction overrides or broken UTF-8. Whatever
 * reaches a person passes text_escape or text_label, whatever reaches a program passes text_json.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TEXT_H
#define LORAUDIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* text_utf8_invalid - the position of the first byte that is not valid UTF-8 (RFC 3629: no overlong form, no surrogate,
 * at most U+10FFFF), or n when all is valid. Cost: O(n), eight bytes a step through ASCII. */
size_t text_utf8_invalid(const char *s, size_t n);

/* A growable byte string. Begin with {0}; data is NUL-terminated once it is not NULL. After an allocation failure
 * `failed` stays true and additions are ignored: the caller checks once, at the end. */
typedef struct {
    char *data;
    size_t length, capacity;
    bool failed;
} strbuf;

void strbuf_add(strbuf *b, const char *s, size_t n);
void strbuf_puts(strbuf *b, const char *s);
void strbuf_putc(strbuf *b, char c);
void strbuf_printf(strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_clear(strbuf *b); /* empties, keeps the memory and `failed` */
void strbuf_free(strbuf *b);  /* leaves {0} */

/* text_escape - append s for terminals and one-line messages: printable UTF-8 as it is; control characters (C0, DEL,
 * C1) and invalid bytes as \xnn a byte; invisible and direction-changing characters (U+00AD, 061C, 180E, 200B-200F,
 * 202A-202E, 2060-2069, FEFF, FFF9-FFFB, E0000-E007F) and the separators U+2028, 2029 as \u{nnnn}. A backslash stays single. */
void text_escape(strbuf *out, const char *s, size_t n);

/* text_json - append s as a JSON string literal with its quotes. Each invalid byte becomes U+FFFD; C0, DEL and C1 are
 * escaped. */
void text_json(strbuf *out, const char *s, size_t n);

/* text_width - terminal columns of valid UTF-8 without controls: combining marks 0, East Asian wide characters 2. */
size_t text_width(const char *s, size_t n);

/* text_shorten - append the end of s (valid UTF-8) that fits the columns, with a leading "…" when something was cut:
 * the end of a path or of a tensor's name tells more than its beginning. */
void text_shorten(strbuf *out, const char *s, size_t n, size_t columns);

/* text_label - an untrusted name for a message: escaped, shortened to 60 columns, in double quotes.
 * Out:    out, NUL-terminated within size (≥ 8; 160 holds every label); "\"?\"" without memory. Returns out. */
const char *text_label(char *out, size_t size, const char *s, size_t n);

/* text_quoted - text_label with a buffer of its own, for arguments of messages. Returns its text; of NULL, "without a name". */
typedef struct {
    char text[160];
} text_quote;
const char *text_quoted(text_quote *quote, const char *s);

/* text_hash - 64-bit FNV-1a of a NUL-terminated string: for grouping and naming, not against an adversary. */
uint64_t text_hash(const char *s);

/* text_double - append the shortest of %.15g, %.16g, %.17g that reads back as x, always with a '.' as decimal point.
 * false, and "null" appended, when x is not finite. */
bool text_double(strbuf *out, double x);

#endif
