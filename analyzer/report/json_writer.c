/* json_writer.c - see json_writer.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/json_writer.h"

#include <string.h>

static void line_break(json_writer *w)
{
    if (!w->indented)
        return;
    strbuf_putc(w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        strbuf_puts(w->out, "  ");
}

/* What stands before a value: the comma, the line break, the key. */
static void lead(json_writer *w, const char *key)
{
    if (w->inside)
        strbuf_putc(w->out, ',');
    if (w->depth > 0)
        line_break(w);
    if (key) {
        text_json(w->out, key, strlen(key));
        strbuf_puts(w->out, w->indented ? ": " : ":");
    }
    w->inside = true;
}

void json_open(json_writer *w, const char *key, char bracket)
{
    lead(w, key);
    strbuf_putc(w->out, bracket);
    w->depth++;
    w->inside = false;
}

void json_close(json_writer *w, char bracket)
{
    w->depth--;
    if (w->inside)
        line_break(w);
    strbuf_putc(w->out, bracket);
    w->inside = true;
}

void json_text(json_writer *w, const char *key, const char *value)
{
    lead(w, key);
    if (value)
        text_json(w->out, value, strlen(value));
    else
        strbuf_puts(w->out, "null");
}

void json_number(json_writer *w, const char *key, double x)
{
    lead(w, key);
    text_double(w->out, x);
}

void json_count(json_writer *w, const char *key, uint64_t n)
{
    lead(w, key);
    strbuf_printf(w->out, "%llu", (unsigned long long)n);
}

void json_null(json_writer *w, const char *key)
{
    json_text(w, key, NULL);
}

void json_numbers(json_writer *w, const char *key, const double *x, size_t n)
{
    if (!x) {
        json_null(w, key);
        return;
    }
    lead(w, key);
    strbuf_putc(w->out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            strbuf_puts(w->out, w->indented ? ", " : ",");
        text_double(w->out, x[i]);
    }
    strbuf_putc(w->out, ']');
}
