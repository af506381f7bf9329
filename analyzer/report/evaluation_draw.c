/* evaluation_draw.c - see evaluation_draw.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/evaluation_draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_quoted(strbuf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        static const char replacement[] = "\xef\xbf\xbd";
        bool noncharacter = n - i >= 3 && memcmp(s + i, "\xef\xbf", 2) == 0 && (unsigned char)s[i + 2] >= 0xbe;
        switch (s[i]) {
        case '&': strbuf_puts(out, "&amp;"); break;
        case '<': strbuf_puts(out, "&lt;"); break;
        case '>': strbuf_puts(out, "&gt;"); break;
        case '"': strbuf_puts(out, "&quot;"); break;
        case '\'': strbuf_puts(out, "&apos;"); break;
        default:
            if (noncharacter) { /* U+FFFE, U+FFFF: not in XML */
                strbuf_puts(out, replacement);
                i += 2;
            } else {
                strbuf_putc(out, s[i]);
            }
        }
    }
}

void draw_xml(strbuf *out, const char *text, size_t columns)
{
    strbuf escaped = {0}, cut = {0};
    text_escape(&escaped, text, strlen(text));
    const strbuf *kept = &escaped;
    if (columns && escaped.data) {
        text_shorten(&cut, escaped.data, escaped.length, columns);
        kept = &cut;
    }
    if (kept->data)
        put_quoted(out, kept->data, kept->length);
    out->failed |= escaped.failed || cut.failed;
    strbuf_free(&escaped);
    strbuf_free(&cut);
}

void draw_text(strbuf *out, double x, double y, const char *anchor, const char *style, const char *text, size_t columns)
{
    strbuf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, style);
    draw_xml(out, text, columns);
    strbuf_puts(out, "</text>\n");
}

void draw_line(strbuf *out, double x1, double y1, double x2, double y2, const char *style)
{
    strbuf_printf(out, "<path d=\"M%.1f %.1fL%.1f %.1f\" %s/>\n", x1, y1, x2, y2, style);
}

void draw_marker(strbuf *out, draw_mark mark, double x, double y)
{
    if (mark == MARK_OURS)
        strbuf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\" fill=\"" OURS "\"/>\n", x, y);
    else if (mark == MARK_BASELINE)
        strbuf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\" fill=\"" PAPER "\" stroke=\"" BASELINE "\" stroke-width=\"2\"/>\n",
                      x - 4.5, y - 4.5);
    else
        strbuf_printf(out, "<path d=\"M%.1f %.1fl5 5l-5 5l-5 -5z\" fill=\"" PAPER "\" stroke=\"" OTHER "\" stroke-width=\"1.6\"/>\n", x, y - 5);
}

double draw_rows_height(size_t n)
{
    return (double)(n ? n : 1) * DRAW_ROW + DRAW_AXIS;
}

double draw_ceiling(double x, double *step)
{
    static const struct {
        double end, step;
    } ends[] = {{0.1, 0.02}, {0.2, 0.05}, {0.5, 0.1}, {1, 0.2}, {1.5, 0.25}, {2, 0.5}, {3, 0.5}, {5, 1}, {10, 2}};
    size_t k = 0, last = sizeof ends / sizeof *ends - 1;
    while (k < last && !(x <= ends[k].end))
        k++;
    *step = ends[k].step;
    return ends[k].end;
}

/* Where the plot begins and ends, left to right. */
static double plot_left(const draw_axis *a)
{
    return a->x + a->label_width;
}

static double plot_right(const draw_axis *a)
{
    return a->x + a->width - a->note_width;
}

static double position(const draw_axis *a, double value)
{
    double share = (value - a->low) / (a->high - a->low);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return plot_left(a) + share * (plot_right(a) - plot_left(a));
}

static void draw_scale(strbuf *out, const draw_axis *a, size_t n)
{
    double bottom = a->y + (double)(n ? n : 1) * DRAW_ROW;
    size_t ticks = (size_t)lround((a->high - a->low) / a->step);
    for (size_t k = 0; k <= ticks; k++) {
        char text[32];
        double value = a->low + (double)k * a->step, x = position(a, value);
        draw_line(out, x, a->y, x, bottom, "stroke=\"" RULE "\"");
        snprintf(text, sizeof text, a->percent ? "%.0f %%" : "%.4g", a->percent ? 100 * value : value);
        draw_text(out, x, bottom + 16, "middle", "class=\"s\"", text, 0);
    }
    if (isfinite(a->reference)) {
        double x = position(a, a->reference);
        draw_line(out, x, a->y - 2, x, bottom + 2, "stroke=\"" INK "\" stroke-width=\"1.5\" stroke-dasharray=\"5 3\"");
    }
}

static void draw_whisker(strbuf *out, const draw_axis *a, draw_mark mark, double at, double spread, double y)
{
    static const char *const styles[MARK_COUNT] = {"stroke=\"" OTHER "\" stroke-width=\"1.5\"", "stroke=\"" BASELINE "\" stroke-width=\"1.5\"",
                                                   "stroke=\"" OURS "\" stroke-width=\"2.5\""};
    double left = position(a, at - spread), right = position(a, at + spread);
    if (isfinite(spread) && right - left > 1)
        draw_line(out, left, y, right, y, styles[mark]);
}

/* A mark that does not fit stands at the end; the arrow says that it lies farther. */
static void draw_mark_at(strbuf *out, const draw_axis *a, draw_mark mark, double value, double y)
{
    draw_marker(out, mark, position(a, value), y);
    if (value > a->high)
        strbuf_printf(out, "<path d=\"M%.1f %.1fl6 4l-6 4z\" fill=\"" INK "\"/>\n", plot_right(a) + 8, y - 4);
}

void draw_rows(strbuf *out, const draw_axis *a, const draw_row *rows, size_t n)
{
    draw_scale(out, a, n);
    if (n == 0)
        draw_text(out, plot_left(a) + 6, a->y + 16, "start", "class=\"m\"", a->empty, 0);
    for (size_t i = 0; i < n; i++) {
        double y = a->y + ((double)i + 0.5) * DRAW_ROW;
        const draw_row *r = &rows[i];
        draw_text(out, plot_left(a) - 12, y + 4, "end", "class=\"t\"", r->label, (size_t)(a->label_width / 7.2));
        draw_line(out, plot_left(a), y, plot_right(a), y, "stroke=\"" RULE "\" stroke-dasharray=\"1 3\"");
        for (unsigned k = 0; k < MARK_COUNT; k++)
            if (isfinite(r->at[k]))
                draw_whisker(out, a, (draw_mark)k, r->at[k], r->spread[k], y);
        for (unsigned k = 0; k < MARK_COUNT; k++)
            if (isfinite(r->at[k]))
                draw_mark_at(out, a, (draw_mark)k, r->at[k], y);
        if (r->note)
            draw_text(out, a->x + a->width, y + 4, "end", "class=\"m\"", r->note, 0);
    }
}

/* --- lists --- */

bool draw_list_open(draw_list *l, size_t room)
{
    *l = (draw_list){.rows = calloc(room + 1, sizeof *l->rows), .notes = calloc(room + 1, sizeof *l->notes),
                    .names = calloc(room + 1, sizeof *l->names)};
    return l->rows && l->notes && l->names;
}

void draw_list_close(draw_list *l)
{
    for (size_t i = 0; l->names && i < l->n; i++)
        strbuf_free(&l->names[i]);
    free(l->names);
    free(l->notes);
    free(l->rows);
}

draw_row *draw_list_add(draw_list *l, const char *label)
{
    draw_row *row = &l->rows[l->n];
    *row = (draw_row){.label = label, .at = {NAN, NAN, NAN}, .spread = {NAN, NAN, NAN}};
    l->n++;
    return row;
}

void draw_list_mark(draw_list *l, draw_row *row, draw_mark mark, double at, double spread)
{
    row->at[mark] = at;
    row->spread[mark] = spread;
    double end = at + (isfinite(spread) ? spread : 0);
    l->largest = isfinite(end) ? fmax(l->largest, end) : l->largest;
}
