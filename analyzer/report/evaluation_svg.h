/* evaluation_svg.h - the parts that the picture of an evaluation is put together from.
 *
 * Web pages show the picture at four fifths of its width.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_EVALUATION_SVG_H
#define LORAUDIT_EVALUATION_SVG_H

#include "analyzer/report/evaluation_draw.h"
#include "analyzer/report/evaluation_report.h"

enum { SVG_WIDTH = 1000, SVG_MARGIN = 28, SVG_INNER = SVG_WIDTH - 2 * SVG_MARGIN, SVG_GAP = 32, SVG_HALF = (SVG_INNER - SVG_GAP) / 2 };

/* evaluation_svg_section - the rule and the title that a section begins with.
 * evaluation_svg_key - what a mark stands for. */
void evaluation_svg_section(strbuf *out, double y, const char *title);
void evaluation_svg_key(strbuf *out, double x, double y, draw_mark mark, const char *text);

/* evaluation_svg_half - rows in the left or right half of the picture, their title above y; corner: small text at its right end, or NULL. */
void evaluation_svg_half(strbuf *out, const draw_list *l, bool right, double y, draw_axis axis, const char *title, const char *corner);

/* evaluation_svg_ranges (dataset size), evaluation_svg_safety (safety removed) - a section that begins at y.
 * Return: where it ends */
double evaluation_svg_ranges(strbuf *out, const evaluation *e, double y);
double evaluation_svg_safety(strbuf *out, const evaluation *e, double y);

/* evaluation_svg_judged - a number of the row; NaN where there is no row, or it is of a recipe of another base: nothing was judged. */
typedef enum { OF_UNSAFE, OF_OTHERS, OF_AUROC } evaluation_svg_value;
double evaluation_svg_judged(const safety_row *row, evaluation_svg_value which);

/* evaluation_svg_name - append "recipe · range", untrusted as it is. */
void evaluation_svg_name(strbuf *out, const range_result *r);

/* evaluation_intervals.c: the intervals of one range, its name above them, in the box at (x, y). */
void evaluation_svg_intervals(strbuf *out, double x, double y, double width, double height, const range_result *r);

#endif
