/* container_rule.c - see container_rule.h. Findings come before those about weights, also where no weight could be read.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/container_rule.h"

#include <string.h>

static severity severity_of(observation_kind kind)
{
    switch (kind) {
    case SEEN_FORBIDDEN_GLOBAL: return SEVERITY_CRITICAL;
    case SEEN_ARCHIVE_CONFLICT:
    case SEEN_ARCHIVE_HIDDEN:
    case SEEN_ARCHIVE_TRAVERSAL:
    case SEEN_ARCHIVE_ENCRYPTED:
    case SEEN_CHECKSUM: return SEVERITY_HIGH;
    case SEEN_ADDRESS:
    case SEEN_SHARED_STORAGE: return SEVERITY_LOW;
    default: return SEVERITY_MEDIUM;
    }
}

/* A container whose pickle or archive holds code, under the extension of a format that holds none. */
static bool is_disguise(content_kind kind)
{
    return kind == CONTENT_PICKLE || kind == CONTENT_TORCH_LEGACY || kind == CONTENT_ZIP_TORCH || kind == CONTENT_ZIP ||
           kind == CONTENT_PROGRAM;
}

static bool compare_extension(lora_record *r, content_kind kind)
{
    bool harmless;
    const char *promise = content_claimed_by(r->path, kind, &harmless);
    if (!promise)
        return true;
    const char *slash = strrchr(r->path, '/'), *name = slash ? slash + 1 : r->path;
    const char *message = arena_printf(r->mem, "the extension says %s, the content is %s", promise, content_name(kind));
    finding *f = record_add_finding(r, "extension-mismatch", harmless && is_disguise(kind) ? SEVERITY_HIGH : SEVERITY_MEDIUM, NULL,
                                    message);
    evidence_text(f, "name", name);
    evidence_text(f, "claimed", promise);
    evidence_text(f, "content", content_name(kind));
    return f != NULL;
}

lora_code container_rule_apply(lora_record *r, const observations *seen, content_kind kind, lora_error *err)
{
    for (size_t i = 0; i < seen->n; i++) {
        const observation *o = &seen->list[i];
        finding *f = record_add_finding(r, observation_rule(o->kind), severity_of(o->kind), NULL, o->text);
        if (!f)
            return lora_fail(err, LORA_E_MEMORY, "no memory for the findings");
        if (o->subject)
            evidence_text(f, o->kind == SEEN_FORBIDDEN_GLOBAL ? "global" : "name", o->subject);
        evidence_number(f, "offset", (double)o->offset);
        if (i == 0 && seen->n_dropped)
            evidence_number(f, "more_not_listed", (double)seen->n_dropped);
    }
    return compare_extension(r, kind) ? LORA_OK : lora_fail(err, LORA_E_MEMORY, "no memory for the findings");
}
