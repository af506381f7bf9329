/* table_text.c - see table_text.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/table_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void pad(strbuf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        strbuf_putc(out, ' ');
}

void table_cell(strbuf *out, const char *text, size_t columns, cell_align align)
{
    strbuf escaped = {0}, cut = {0};
    text_escape(&escaped, text, strlen(text));
    if (escaped.data)
        text_shorten(&cut, escaped.data, escaped.length, columns);
    size_t width = cut.data ? text_width(cut.data, cut.length) : 0, gap = width < columns ? columns - width : 0;
    if (align == ALIGN_RIGHT)
        pad(out, gap);
    if (cut.data)
        strbuf_add(out, cut.data, cut.length);
    if (align == ALIGN_LEFT)
        pad(out, gap);
    out->failed |= escaped.failed || cut.failed;
    strbuf_free(&escaped);
    strbuf_free(&cut);
}

void table_count(strbuf *out, unsigned long long n, size_t columns)
{
    static const char units[] = "kMGTPE";
    char text[32];
    int length = snprintf(text, sizeof text, "%llu", n);
    for (size_t k = 0; (size_t)length > columns && units[k]; k++) {
        n /= 1000;
        length = snprintf(text, sizeof text, "%llu%c", n, units[k]);
    }
    table_cell(out, text, columns, ALIGN_RIGHT);
}

void table_number(strbuf *out, double x, size_t columns)
{
    char text[32] = "-";
    for (int digits = 4; !isnan(x) && digits > 0; digits--)
        if ((size_t)snprintf(text, sizeof text, "%.*g", digits, x) <= columns)
            break;
    table_cell(out, text, columns, ALIGN_RIGHT);
}

void table_style(strbuf *out, const report_context *ctx, const char *sgr)
{
    if (ctx->colour)
        strbuf_printf(out, "\033[%sm", sgr ? sgr : "0");
}

void table_wrapped(strbuf *out, const report_context *ctx, const char *text, size_t at, size_t indent)
{
    strbuf escaped = {0};
    text_escape(&escaped, text, strlen(text));
    const char *word = escaped.data ? escaped.data : "";
    bool first = true;
    while (*word) {
        size_t n = strcspn(word, " "), width = text_width(word, n);
        if (!first && at + 1 + width > ctx->columns) {
            strbuf_putc(out, '\n');
            pad(out, indent);
            at = indent;
        } else if (!first) {
            strbuf_putc(out, ' ');
            at++;
        }
        strbuf_add(out, word, n);
        at += width;
        word += n;
        word += strspn(word, " ");
        first = false;
    }
    strbuf_putc(out, '\n');
    out->failed |= escaped.failed;
    strbuf_free(&escaped);
}

static const char *severity_style(severity s)
{
    static const char *const styles[] = {"36", "36", "33", "31", "1;31", "0"};
    return styles[s];
}

/* "  critical directional-ablation: message" */
static void paragraph(strbuf *out, const report_context *ctx, severity s, const char *word, const char *name,
                      const char *message)
{
    strbuf_puts(out, "  ");
    table_style(out, ctx, severity_style(s));
    strbuf_puts(out, word);
    table_style(out, ctx, NULL);
    strbuf_printf(out, " %s: ", name);
    table_wrapped(out, ctx, message, 2 + strlen(word) + 1 + strlen(name) + 2, 6);
}

void table_findings(strbuf *out, const report_context *ctx, const lora_record *r)
{
    if (r->status == STATUS_ERROR || r->status == STATUS_UNSUPPORTED) {
        char message[sizeof r->error.message + 40];
        if (r->error.has_offset)
            snprintf(message, sizeof message, "%s (byte %llu)", r->error.message, (unsigned long long)r->error.offset);
        else
            snprintf(message, sizeof message, "%s", r->error.message);
        paragraph(out, ctx, r->status == STATUS_ERROR ? SEVERITY_HIGH : SEVERITY_LOW, status_name(r->status),
                  lora_code_name(r->error.code), message);
    }
    for (size_t i = 0; i < r->n_findings; i++) {
        const finding *f = &r->findings[i];
        if (strcmp(f->rule, "unreadable-file") != 0) /* the error above says it */
            paragraph(out, ctx, f->severity, severity_name(f->severity), f->rule, f->message);
    }
}
