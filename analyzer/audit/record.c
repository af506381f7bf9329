/* record.c - see record.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/record.h"

#include <stdlib.h>
#include <string.h>

const char *status_name(record_status status)
{
    static const char *const names[] = {"ok", "untrained", "not_lora", "unsupported", "error"};
    return names[status];
}

const char *severity_name(severity s)
{
    static const char *const names[] = {"info", "low", "medium", "high", "critical", "none"};
    return names[s];
}

const char *safety_name(safety_verdict v)
{
    static const char *const names[] = {"inconclusive", "not_flagged", "flagged"};
    return names[v];
}

void record_destroy(lora_record *r)
{
    if (!r)
        return;
    arena_destroy(r->mem);
    free(r);
}

finding *record_add_finding(lora_record *r, const char *rule, severity s, const char *module, const char *message)
{
    if (!message)
        return NULL;
    if (r->n_findings == r->findings_capacity) {
        size_t capacity = r->findings_capacity ? 2 * r->findings_capacity : 8;
        finding *grown = arena_alloc(r->mem, capacity, sizeof *grown);
        if (!grown)
            return NULL;
        if (r->n_findings)
            memcpy(grown, r->findings, r->n_findings * sizeof *grown);
        r->findings = grown;
        r->findings_capacity = capacity;
    }
    finding *f = &r->findings[r->n_findings++];
    *f = (finding){.rule = rule, .severity = s, .module = module, .message = message};
    return f;
}

static evidence *next_evidence(finding *f, const char *key)
{
    if (!f || f->n_evidence == FINDING_MAX_EVIDENCE)
        return NULL;
    evidence *e = &f->evidence[f->n_evidence++];
    e->key = key;
    return e;
}

void evidence_number(finding *f, const char *key, double x)
{
    evidence *e = next_evidence(f, key);
    if (e) {
        e->kind = EVIDENCE_NUMBER;
        e->number = x;
    }
}

void evidence_text(finding *f, const char *key, const char *text)
{
    evidence *e = next_evidence(f, key);
    if (e) {
        e->kind = EVIDENCE_TEXT;
        e->text = text;
    }
}

void evidence_list(finding *f, const char *key, const char *const *list, size_t n)
{
    evidence *e = next_evidence(f, key);
    if (e) {
        e->kind = EVIDENCE_LIST;
        e->list = list;
        e->n_list = n;
    }
}

severity record_worst(const lora_record *r)
{
    severity worst = SEVERITY_NONE;
    for (size_t i = 0; i < r->n_findings; i++)
        if (worst == SEVERITY_NONE || r->findings[i].severity > worst)
            worst = r->findings[i].severity;
    return worst;
}
