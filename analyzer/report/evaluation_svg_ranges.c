/* evaluation_svg_ranges.c - the picture's section on dataset size: the error of the three methods relative to DSiRe's, a row a range; then our
 * intervals, a small picture a range.
 *
 * Ranges asked of models of the same recipe come first. Those of shifted recipes, asked of models of the recipe that they shift, stand apart: to
 * the right among the rows, below among the small pictures. Where there is one kind only, its rows have the whole width.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/evaluation_svg.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 88, LABELS = 190, NOTES = 96, WIDE_LABELS = 260, WIDE_NOTES = 110 };
enum { PER_LINE = 4, SMALL_GAP = 26, SMALL_HEIGHT = 178, SMALL_PITCH = SMALL_HEIGHT + 14, SMALL_HEAD = 64, GROUP_HEAD = 26, BETWEEN = 10 };

/* The two kinds of ranges, by `shifted`. */
static const char *const titles[] = {"models of the same recipe", "shifted recipes: models of the recipe shifted"};

static bool is_shifted(const range_result *r)
{
    return r->trained_on && strcmp(r->trained_on, r->recipe) != 0;
}

static void add_ranges(draw_list *l, const evaluation *e, bool shifted)
{
    static const draw_mark marks[SIZE_METHOD_COUNT] = {MARK_OTHER, MARK_BASELINE, MARK_OURS};
    for (size_t i = 0; i < e->n_ranges; i++) {
        const range_result *r = &e->ranges[i];
        if (is_shifted(r) != shifted)
            continue;
        double ours = r->methods[SIZE_LORAUDIT].mae, of = r->methods[SIZE_DSIRE].mae;
        strbuf *name = &l->names[l->n];
        char *note = l->notes[l->n];
        evaluation_svg_name(name, r);
        draw_row *row = draw_list_add(l, name->data ? name->data : "");
        for (unsigned k = 0; k < SIZE_METHOD_COUNT; k++)
            draw_list_mark(l, row, marks[k], evaluation_ratio(r, (size_method)k), of > 0 ? r->methods[k].mae_std / of : (double)NAN);
        if (isfinite(ours) && isfinite(of))
            snprintf(note, sizeof l->notes[0], "%.*f of %.*f", evaluation_decimals(ours), ours, evaluation_decimals(of), of);
        else
            snprintf(note, sizeof l->notes[0], "-");
        row->note = note;
    }
}

/* The rows of both kinds on one scale. Return: where they end */
static double draw_errors(strbuf *out, const draw_list groups[2], double y)
{
    static const char corner[] = "MAE ours of DSiRe's";
    double largest = fmax(groups[0].largest, groups[1].largest);
    draw_axis axis = {.label_width = LABELS, .note_width = NOTES, .reference = 1, .empty = "no range was evaluated"};
    axis.high = draw_ceiling(fmin(fmax(largest, 1.2), 3), &axis.step);
    if (groups[0].n && groups[1].n) {
        evaluation_svg_half(out, &groups[0], false, y, axis, titles[0], corner);
        evaluation_svg_half(out, &groups[1], true, y, axis, titles[1], corner);
        return y + draw_rows_height(groups[0].n > groups[1].n ? groups[0].n : groups[1].n);
    }
    const draw_list *only = &groups[groups[0].n == 0];
    axis.x = SVG_MARGIN;
    axis.y = y;
    axis.width = SVG_INNER;
    axis.label_width = WIDE_LABELS;
    axis.note_width = WIDE_NOTES;
    draw_text(out, SVG_MARGIN, y - 14, "start", "class=\"b\"", only->n ? titles[only == &groups[1]] : "", 0);
    draw_text(out, SVG_WIDTH - SVG_MARGIN, y - 14, "end", "class=\"s\"", corner, 0);
    draw_rows(out, &axis, only->rows, only->n);
    return y + draw_rows_height(only->n);
}

static void draw_small_key(strbuf *out, double y)
{
    const double x = SVG_MARGIN;
    draw_text(out, x, y + 12, "start", "class=\"b\"",
              "90 % intervals of loraudit, by true size. Above: how many hold the truth; none: adapters that got no answer", 0);
    draw_line(out, x + 6, y + 22, x + 6, y + 36, "stroke=\"" OURS "\" stroke-width=\"2\"");
    draw_text(out, x + 14, y + 33, "start", "class=\"m\"", "interval holds the truth", 0);
    draw_line(out, x + 176, y + 22, x + 176, y + 36, "stroke=\"" BASELINE "\" stroke-width=\"2\"");
    draw_text(out, x + 184, y + 33, "start", "class=\"m\"", "interval misses it", 0);
    draw_line(out, x + 310, y + 29, x + 328, y + 29, "stroke=\"" INK "\" stroke-width=\"2\"");
    draw_text(out, x + 335, y + 33, "start", "class=\"m\"", "truth", 0);
    strbuf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"" INK "\"/>\n", x + 390, y + 29);
    draw_text(out, x + 397, y + 33, "start", "class=\"m\"", "answer", 0);
}

static size_t count_answered(const evaluation *e, bool shifted)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_ranges; i++)
        n += e->ranges[i].n_answers > 0 && is_shifted(&e->ranges[i]) == shifted;
    return n;
}

/* The small pictures of one kind. Return: where they end */
static double draw_group(strbuf *out, const evaluation *e, bool shifted, double y)
{
    const double width = (double)(SVG_INNER - (PER_LINE - 1) * SMALL_GAP) / PER_LINE;
    size_t k = 0;
    for (size_t i = 0; i < e->n_ranges; i++)
        if (e->ranges[i].n_answers > 0 && is_shifted(&e->ranges[i]) == shifted) {
            evaluation_svg_intervals(out, SVG_MARGIN + (double)(k % PER_LINE) * (width + SMALL_GAP), y + (double)(k / PER_LINE) * SMALL_PITCH, width,
                                     SMALL_HEIGHT, &e->ranges[i]);
            k++;
        }
    return y + (double)((k + PER_LINE - 1) / PER_LINE) * SMALL_PITCH;
}

static double draw_intervals(strbuf *out, const evaluation *e, double y)
{
    size_t n[2] = {count_answered(e, false), count_answered(e, true)};
    if (n[0] + n[1] == 0)
        return y;
    draw_small_key(out, y);
    y += SMALL_HEAD;
    for (unsigned shifted = 0; shifted < 2; shifted++) {
        if (n[shifted] == 0)
            continue;
        y += shifted && n[0] ? BETWEEN : 0;
        draw_text(out, SVG_MARGIN, y + 4, "start", "class=\"m\"", titles[shifted], 0);
        y = draw_group(out, e, shifted, y + GROUP_HEAD);
    }
    return y;
}

double evaluation_svg_ranges(strbuf *out, const evaluation *e, double y)
{
    draw_list groups[2] = {{0}};
    bool ok = true;
    for (unsigned shifted = 0; shifted < 2; shifted++) {
        ok &= draw_list_open(&groups[shifted], e->n_ranges);
        if (ok)
            add_ranges(&groups[shifted], e, shifted);
        for (size_t i = 0; i < groups[shifted].n; i++)
            ok &= !groups[shifted].names[i].failed;
    }
    evaluation_svg_section(out, y, "Dataset size: mean absolute error, DSiRe as published = 1");
    evaluation_svg_key(out, SVG_MARGIN + 6, y + 46, MARK_OURS, "loraudit");
    evaluation_svg_key(out, SVG_MARGIN + 96, y + 46, MARK_BASELINE, "DSiRe");
    evaluation_svg_key(out, SVG_MARGIN + 172, y + 46, MARK_OTHER, "Frobenius nearest neighbour; lines: deviation over splits");
    y = draw_errors(out, groups, y + HEAD);
    y = draw_intervals(out, e, y + 12);
    out->failed |= !ok;
    draw_list_close(&groups[0]);
    draw_list_close(&groups[1]);
    return y;
}
