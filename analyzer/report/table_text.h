/* table_text.h - pieces of text tables: padded cells, colour, wrapped findings.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TABLE_TEXT_H
#define LORAUDIT_TABLE_TEXT_H

#include "analyzer/report/report.h"

typedef enum { ALIGN_LEFT, ALIGN_RIGHT } cell_align;

/* table_cell - untrusted text, escaped and cut to `columns`, padded to it. Its end is kept when it is too long. */
void table_cell(strbuf *out, const char *text, size_t columns, cell_align align);
/* table_count - right-aligned; thousands as k, M, … when it does not fit. */
void table_count(strbuf *out, unsigned long long n, size_t columns);
/* table_number - four significant digits, fewer when they do not fit, right-aligned; "-" for NaN. */
void table_number(strbuf *out, double x, size_t columns);

/* table_style - begin ("1", "31", …, an SGR parameter) or end (NULL) a style; nothing without colour. */
void table_style(strbuf *out, const report_context *ctx, const char *sgr);

/* table_wrapped - words of untrusted text from column `indent` on, broken before ctx->columns; ends the line.
 * at: the column where the first word begins. */
void table_wrapped(strbuf *out, const report_context *ctx, const char *text, size_t at, size_t indent);

/* table_findings - the error and the findings of r, a paragraph each. */
void table_findings(strbuf *out, const report_context *ctx, const lora_record *r);

#endif
