/* json_writer.h - JSON text, written as it comes: no tree, commas kept by the writer.
 *
 * Compact (one line) or indented by two spaces. NaN and infinity become null. Strings may hold anything.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_JSON_WRITER_H
#define LORAUDIT_JSON_WRITER_H

#include "analyzer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    strbuf *out;
    bool indented;
    bool inside;   /* something stands before in this object or array: a comma is due */
    unsigned depth;
} json_writer;

/* Keys are ours, so they are plain ASCII. key NULL: an array item or the top value. */
void json_open(json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(json_writer *w, char bracket);                 /* '}' or ']' */
void json_text(json_writer *w, const char *key, const char *value); /* NULL: null */
void json_number(json_writer *w, const char *key, double x);
void json_count(json_writer *w, const char *key, uint64_t n);
void json_null(json_writer *w, const char *key);
void json_numbers(json_writer *w, const char *key, const double *x, size_t n); /* NULL: null; on one line */

#endif
