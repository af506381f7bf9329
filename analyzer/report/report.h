/* report.h - what every report writer is given, and what a scan adds up.
 *
 * A writer is a small table of functions: begin, one record at a time in input order, end. It only appends to a string
 * buffer; the command line decides where that goes.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_REPORT_H
#define LORAUDIT_REPORT_H

#include "analyzer/audit/record.h"
#include "analyzer/base/text.h"

typedef struct {
    size_t n_records, by_status[STATUS_COUNT], by_severity[SEVERITY_NONE], n_flagged;
    size_t n_passed_over; /* files in walked folders that are no weight files */
} scan_summary;

void summary_add(scan_summary *s, const lora_record *r);

typedef struct {
    const char *backend; /* "cpu (OpenBLAS …)" */
    size_t threads;
    bool modules;  /* the module list in scan records */
    bool colour;   /* escape sequences allowed */
    size_t columns; /* to lay a table out for; at least 60 */
    const char *folder; /* ends with '/': the folder that all paths share, which a table says once; or "" */
} report_context;

typedef struct {
    const char *name;
    void (*begin)(strbuf *out, const report_context *ctx);
    void (*record)(strbuf *out, const report_context *ctx, const lora_record *r, size_t index);
    void (*end)(strbuf *out, const report_context *ctx, const scan_summary *s);
    void (*inspect)(strbuf *out, const report_context *ctx, const lora_record *r); /* one adapter, module by module */
} report_format;

/* table_inspect.c: the table format's view of one adapter. */
void table_inspect(strbuf *out, const report_context *ctx, const lora_record *r);

extern const report_format report_table, report_json, report_ndjson;

/* report_find - the format called name, or NULL. */
const report_format *report_find(const char *name);

#endif
