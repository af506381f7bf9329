/* evaluation_intervals.c - one range's intervals as a small picture: a column for each true size, the answers in it side by side.
 *
 * Where a column has more answers than fit, those drawn are evenly spaced through all of them in order, so that the picture shows
 * nearly the share of misses that there is. The vertical axis is logarithmic; a black bar marks the truth.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/evaluation_draw.h"
#include "analyzer/report/evaluation_svg.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    double value, low, high;
} answer;

static int by_value(const void *x, const void *y)
{
    const answer *a = x, *b = y;
    double left[] = {a->value, a->low, a->high}, right[] = {b->value, b->low, b->high};
    for (size_t k = 0; k < 3; k++)
        if (left[k] < right[k] || left[k] > right[k])
            return left[k] < right[k] ? -1 : 1;
    return 0;
}

typedef struct {
    double left, top, width, height, low, high; /* low, high: the ends of the axis, in samples */
} plot;

static double height_of(const plot *p, double samples)
{
    double share = samples > 0 ? log(samples / p->low) / log(p->high / p->low) : 0;
    share = !(share > 0) ? 0 : share > 1 ? 1 : share;
    return p->top + p->height * (1 - share);
}

/* Grid lines and labels at the sizes; labels that would touch are left out. */
static void draw_grid(strbuf *out, const plot *p, const range_result *r)
{
    double column = p->width / (double)r->n_sizes, last_y = 1e9, last_x = -1e9;
    for (size_t i = 0; i < r->n_sizes; i++) {
        char text[32];
        double y = height_of(p, r->sizes[i]), x = p->left + ((double)i + 0.5) * column;
        snprintf(text, sizeof text, "%g", r->sizes[i]);
        draw_line(out, p->left, y, p->left + p->width, y, "stroke=\"" RULE "\"");
        if (last_y - y >= 11) {
            draw_text(out, p->left - 6, y + 4, "end", "class=\"s\"", text, 0);
            last_y = y;
        }
        if (x - last_x >= 26) {
            draw_text(out, x, p->top + p->height + 15, "middle", "class=\"s\"", text, 0);
            last_x = x;
        }
    }
}

/* The chosen of sorted[n], in one path of a colour; `inside` picks those that hold the truth, or the others. */
static void draw_bars(strbuf *out, const plot *p, const answer *sorted, size_t n, size_t drawn, double x, double step, double truth,
                      bool inside)
{
    for (size_t k = 0; k < drawn; k++) {
        const answer *a = &sorted[(2 * k + 1) * n / (2 * drawn)];
        if ((truth >= a->low && truth <= a->high) == inside)
            strbuf_printf(out, "M%.1f %.1fV%.1f", x + ((double)k + 0.5) * step, height_of(p, a->low), height_of(p, a->high));
    }
}

static void draw_dots(strbuf *out, const plot *p, const answer *sorted, size_t n, size_t drawn, double x, double step)
{
    for (size_t k = 0; k < drawn; k++)
        strbuf_printf(out, "M%.1f %.1fh.01", x + ((double)k + 0.5) * step, height_of(p, sorted[(2 * k + 1) * n / (2 * drawn)].value));
}

static void draw_column(strbuf *out, const plot *p, const answer *sorted, size_t n, double x, double width, double truth)
{
    double used = 0.84 * width;
    size_t room = used > 3.2 ? (size_t)(used / 3.2) : 1, drawn = n < room ? n : room;
    double left = x + 0.08 * width, step = used / (double)(drawn ? drawn : 1);
    double y = height_of(p, truth);
    strbuf_puts(out, "<path fill=\"none\" stroke=\"" OURS "\" stroke-width=\"1.7\" d=\"M0 0");
    draw_bars(out, p, sorted, n, drawn, left, step, truth, true);
    strbuf_puts(out, "\"/>\n<path fill=\"none\" stroke=\"" BASELINE "\" stroke-width=\"1.7\" d=\"M0 0");
    draw_bars(out, p, sorted, n, drawn, left, step, truth, false);
    strbuf_puts(out, "\"/>\n");
    draw_line(out, left - 2, y, left + used + 2, y, "stroke=\"" INK "\" stroke-width=\"1.5\"");
    for (unsigned k = 0; k < 2; k++) { /* a rim of paper, so that dots stand out from the bar of the truth */
        strbuf_printf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" stroke-linecap=\"round\" d=\"M0 0", k ? INK : PAPER, k ? "3" : "5");
        draw_dots(out, p, sorted, n, drawn, left, step);
        strbuf_puts(out, "\"/>\n");
    }
}

static void draw_columns(strbuf *out, const plot *p, const range_result *r)
{
    answer *sorted = malloc((r->n_answers + 1) * sizeof *sorted);
    if (!sorted) {
        out->failed = true;
        return;
    }
    double column = p->width / (double)r->n_sizes;
    for (size_t i = 0; i < r->n_sizes; i++) {
        size_t n = 0;
        for (size_t k = 0; k < r->n_answers; k++)
            if (fabs(r->truth[k] - r->sizes[i]) <= 1e-9 * r->sizes[i])
                sorted[n++] = (answer){r->value[k], r->low[k], r->high[k]};
        qsort(sorted, n, sizeof *sorted, by_value);
        draw_column(out, p, sorted, n, p->left + (double)i * column, column, r->sizes[i]);
    }
    free(sorted);
}

/* The axis holds all sizes, and the intervals' ends as far as they are within a factor of them. */
static void set_axis(plot *p, const range_result *r)
{
    const double least = 1.5, most = 6;
    double smallest = INFINITY, largest = 0, low = INFINITY, high = 0;
    for (size_t i = 0; i < r->n_sizes; i++) {
        smallest = fmin(smallest, r->sizes[i]);
        largest = fmax(largest, r->sizes[i]);
    }
    for (size_t k = 0; k < r->n_answers; k++) {
        low = fmin(low, r->low[k]);
        high = fmax(high, r->high[k]);
    }
    p->low = fmin(smallest / least, fmax(smallest / most, low));
    p->high = fmax(largest * least, fmin(largest * most, high));
}

void evaluation_svg_intervals(strbuf *out, double x, double y, double width, double height, const range_result *r)
{
    char said[96], number[16];
    const range_method *m = &r->methods[SIZE_LORAUDIT];
    strbuf name = {0};
    plot p = {.left = x + 40, .top = y + 42, .width = width - 44, .height = height - 42 - 24};
    evaluation_svg_name(&name, r);
    draw_text(out, x, y + 12, "start", "class=\"b\"", name.data ? name.data : "", 40);
    out->failed |= name.failed;
    strbuf_free(&name);
    int n = snprintf(said, sizeof said, "%s %% of %zu intervals", evaluation_percent(number, m->coverage), r->n_answers);
    if (m->abstained > 0)
        snprintf(said + n, sizeof said - (size_t)n, ", %s %% none", evaluation_percent(number, m->abstained));
    draw_text(out, x, y + 29, "start", "class=\"m\"", said, 0);
    if (r->n_sizes == 0)
        return;
    set_axis(&p, r);
    draw_grid(out, &p, r);
    draw_columns(out, &p, r);
}
