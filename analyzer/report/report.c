/* report.c - the list of formats, and the sums of a scan.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/report.h"

#include <string.h>

void summary_add(scan_summary *s, const lora_record *r)
{
    s->n_records++;
    s->by_status[r->status]++;
    s->n_flagged += r->safety == SAFETY_FLAGGED;
    severity worst = record_worst(r);
    if (worst != SEVERITY_NONE)
        s->by_severity[worst]++;
}

const report_format *report_find(const char *name)
{
    static const report_format *const formats[] = {&report_table, &report_json, &report_ndjson};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}
