/* evaluation_svg.c - an evaluation as one picture, from top to bottom:
 *
 *     title, and what the marks mean
 *     dataset size: evaluation_svg_ranges.c
 *     safety removed: evaluation_svg_safety.c
 *
 * Nothing outside the file is needed, and nothing in it runs. It brings its own light paper, so that it reads the same on dark pages.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/evaluation_svg.h"

#include <stdio.h>
#include <string.h>

static const char style[] =
    "<style>text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:" INK "}"
    ".h{font-size:22px;font-weight:600}.g{font-size:15px;font-weight:600}.b{font-weight:600}.m{fill:" MUTED "}"
    ".s{font-size:10.5px;fill:" MUTED "}</style>\n";

void evaluation_svg_name(strbuf *out, const range_result *r)
{
    strbuf_printf(out, "%s · %s", r->recipe, r->name);
}

void evaluation_svg_key(strbuf *out, double x, double y, draw_mark mark, const char *text)
{
    draw_marker(out, mark, x, y - 4);
    draw_text(out, x + 11, y, "start", "class=\"m\"", text, 0);
}

void evaluation_svg_section(strbuf *out, double y, const char *title)
{
    draw_line(out, SVG_MARGIN, y, SVG_WIDTH - SVG_MARGIN, y, "stroke=\"" RULE "\" stroke-width=\"1.5\"");
    draw_text(out, SVG_MARGIN, y + 26, "start", "class=\"g\"", title, 0);
}

void evaluation_svg_half(strbuf *out, const draw_list *l, bool right, double y, draw_axis axis, const char *title, const char *corner)
{
    axis.x = right ? SVG_MARGIN + SVG_HALF + SVG_GAP : SVG_MARGIN;
    axis.y = y;
    axis.width = SVG_HALF;
    draw_text(out, axis.x, y - 14, "start", "class=\"b\"", title, 0);
    if (corner)
        draw_text(out, axis.x + SVG_HALF, y - 14, "end", "class=\"s\"", corner, 0);
    draw_rows(out, &axis, l->rows, l->n);
}

/* For those who do not see the picture. */
static void draw_description(strbuf *out, const evaluation *e)
{
    char number[16];
    strbuf_puts(out, "<desc id=\"d\">");
    for (size_t i = 0; i < e->n_ranges; i++) {
        const range_result *r = &e->ranges[i];
        strbuf name = {0};
        evaluation_svg_name(&name, r);
        draw_xml(out, name.data ? name.data : "", 120);
        out->failed |= name.failed;
        strbuf_free(&name);
        if (isfinite(evaluation_ratio(r, SIZE_LORAUDIT)))
            strbuf_printf(out, ": error %.2f of DSiRe&apos;s, ", evaluation_ratio(r, SIZE_LORAUDIT));
        else
            strbuf_puts(out, ": ");
        strbuf_printf(out, "intervals cover %s %%. ", evaluation_percent(number, r->methods[SIZE_LORAUDIT].coverage));
    }
    for (size_t i = 0; i < e->n_safety; i++) {
        const safety_row *s = &e->safety[i];
        if (s->protocol != SAFETY_LEAVE_ONE_RECIPE_OUT || s->method != SAFETY_LORAUDIT)
            continue;
        strbuf_puts(out, "Left out ");
        draw_xml(out, s->recipe, 60);
        strbuf_printf(out, ": %s %% of the unsafe", evaluation_percent(number, evaluation_svg_judged(s, OF_UNSAFE)));
        strbuf_printf(out, " and %s %% of the others flagged. ", evaluation_percent(number, evaluation_svg_judged(s, OF_OTHERS)));
    }
    strbuf_puts(out, "</desc>\n");
}

static void draw_top(strbuf *out, const evaluation_source *source, const evaluation *e, double height)
{
    strbuf said = {0};
    strbuf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" role=\"img\" "
                  "aria-labelledby=\"t d\">\n<title id=\"t\">How good loraudit&apos;s classifiers are</title>\n",
                  SVG_WIDTH, height, SVG_WIDTH, height);
    draw_description(out, e);
    strbuf_puts(out, style);
    strbuf_puts(out, "<rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"" PAPER "\"/>\n");
    draw_text(out, SVG_MARGIN, 46, "start", "class=\"h\"", "How good loraudit's classifiers are", 0);
    for (size_t i = 0; i < source->n_archives; i++) {
        const char *slash = strrchr(source->archives[i], '/');
        strbuf_printf(&said, "%s%s", i ? ", " : "", slash ? slash + 1 : source->archives[i]);
    }
    strbuf_printf(&said, ": %zu adapters; all were held out of the models that judge them; seed %lu", source->n_adapters, source->seed);
    draw_text(out, SVG_MARGIN, 68, "start", "class=\"m\"", said.data ? said.data : "", 130);
    out->failed |= said.failed;
    strbuf_free(&said);
}

void evaluation_svg(strbuf *out, const evaluation_source *source, const evaluation *e)
{
    enum { TOP = 92, BOTTOM = 12, BETWEEN = 20 };
    strbuf sections = {0}; /* their height comes first */
    double end = evaluation_svg_ranges(&sections, e, TOP);
    end = evaluation_svg_safety(&sections, e, end + BETWEEN);
    draw_top(out, source, e, end + BOTTOM);
    strbuf_add(out, sections.data ? sections.data : "", sections.length);
    strbuf_puts(out, "</svg>\n");
    out->failed |= sections.failed;
    strbuf_free(&sections);
}
