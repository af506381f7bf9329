/* evaluation_draw.h - pieces of an SVG picture: text, marks, and rows of dots on a common axis.
 *
 * Colours are told apart by most colour-blind people (Okabe & Ito), and marks differ in shape, too. Coordinates are pixels.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_EVALUATION_DRAW_H
#define LORAUDIT_EVALUATION_DRAW_H

#include "analyzer/base/text.h"

#include <stdbool.h>

#define INK "#1f2328"
#define MUTED "#57606a"
#define RULE "#d8dee4"
#define PAPER "#fcfcfa"
#define OURS "#0072b2"
#define BASELINE "#d55e00"
#define OTHER "#767676"

/* What a mark stands for: the shape and colour are the method's. */
typedef enum { MARK_OTHER, MARK_BASELINE, MARK_OURS, MARK_COUNT } draw_mark;

/* draw_xml - append untrusted text for an XML document: made harmless as text_escape does, then quoted; what XML forbids becomes
 * U+FFFD. columns: of the text kept, its end; 0: all. */
void draw_xml(strbuf *out, const char *text, size_t columns);

/* draw_text - untrusted text at (x, y). anchor: "start", "middle" or "end"; style: attributes, ours. columns: as of draw_xml. */
void draw_text(strbuf *out, double x, double y, const char *anchor, const char *style, const char *text, size_t columns);
void draw_line(strbuf *out, double x1, double y1, double x2, double y2, const char *style);
void draw_marker(strbuf *out, draw_mark mark, double x, double y);

/* Rows of marks on one axis from 0 (or `low`) to `high`. */
typedef struct {
    const char *label, *note; /* untrusted; note NULL: none */
    double at[MARK_COUNT], spread[MARK_COUNT]; /* NaN: no mark; no whisker */
} draw_row;

typedef struct {
    double x, y, width, label_width, note_width; /* y: of the first row's top */
    double low, high, step;
    bool percent;      /* label the axis in per cent */
    double reference;  /* dashed line, NaN: none */
    const char *empty; /* said in place of rows when there are none */
} draw_axis;

enum { DRAW_ROW = 21, DRAW_AXIS = 34 };

/* draw_rows - all of it; its height is draw_rows_height. Marks beyond the axis stand at its end with an arrow. */
void draw_rows(strbuf *out, const draw_axis *axis, const draw_row *rows, size_t n);
double draw_rows_height(size_t n);

/* draw_ceiling - an axis end that holds x, and its step: 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5 or 10. */
double draw_ceiling(double x, double *step);

/* Rows that are put together one by one. */
typedef struct {
    draw_row *rows;
    char (*notes)[48];
    strbuf *names; /* labels that had to be put together */
    size_t n;
    double largest; /* of all marks and the ends of their whiskers */
} draw_list;

/* draw_list_open - with room for this many rows; false without memory, and then to be closed as well. */
bool draw_list_open(draw_list *l, size_t room);
void draw_list_close(draw_list *l);

/* draw_list_add - a row without marks; its label is borrowed. draw_list_mark - a mark of it; spread NaN: without whisker */
draw_row *draw_list_add(draw_list *l, const char *label);
void draw_list_mark(draw_list *l, draw_row *row, draw_mark mark, double at, double spread);

#endif
