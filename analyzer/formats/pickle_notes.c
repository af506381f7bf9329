/* pickle_notes.c - what the machine says: errors with their place, names, anomalies. How many notes are looked at is bounded.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/text.h"
#include "analyzer/formats/pickle_internal.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_BYTES = 160 };

static uint64_t place(const pickle_machine *m)
{
    return pickle_place(m->source, m->op.at);
}

/* " of "name"", or nothing when the pickle is no member of an archive. */
static const char *in_member(const pickle_machine *m, char *out, size_t size)
{
    char label[LABEL_BYTES];
    const char *name = m->source->member;
    if (name)
        snprintf(out, size, " in %s", text_label(label, sizeof label, name, strlen(name)));
    else
        *out = '\0';
    return out;
}

lora_code machine_fail(pickle_machine *m, const char *what)
{
    char where[LABEL_BYTES + 8];
    return lora_fail_at(m->err, LORA_E_PICKLE, place(m), "opcode 0x%02x%s: %s", m->op.code,
                        in_member(m, where, sizeof where), what);
}

lora_code machine_no_room(pickle_machine *m)
{
    char where[LABEL_BYTES + 8];
    if (m->failed == LORA_E_MEMORY)
        return lora_fail(m->err, LORA_E_MEMORY, "out of memory while interpreting a pickle");
    return lora_fail_at(m->err, LORA_E_PICKLE_LIMIT, place(m),
                        "the objects of the pickle%s need more than the %llu bytes that its size allows",
                        in_member(m, where, sizeof where), (unsigned long long)m->source->budget);
}

/* Notes are made of stretches of the file as short as a few bytes: how many are looked at is bounded. */
static bool may_note(pickle_machine *m)
{
    if (*m->notes) {
        --*m->notes;
        return true;
    }
    m->seen->n_dropped++;
    return false;
}

void machine_anomaly(pickle_machine *m, const char *what)
{
    char where[LABEL_BYTES + 8];
    if (may_note(m))
        observe(m->seen, SEEN_PICKLE_ANOMALY, place(m), NULL, "%s%s", what, in_member(m, where, sizeof where));
}

void machine_note_global(pickle_machine *m, const char *module, size_t module_length, const char *name,
                         size_t name_length, size_t at, pickle_name *out)
{
    pickle_name_of(module, module_length, name, name_length, out);
    if (out->class == GLOBAL_USED || out->class == GLOBAL_TOLERATED || !may_note(m))
        return;
    char where[LABEL_BYTES + 8], label[LABEL_BYTES], written[LABEL_BYTES];
    const char *why = out->class == GLOBAL_RUNS_CODE   ? ", which can run code"
                      : memchr(name, '.', name_length) ? ", reached through an attribute: no checkpoint needs that"
                                                       : ", which no checkpoint needs";
    bool renamed = out->renamed;
    observe(m->seen, SEEN_FORBIDDEN_GLOBAL, pickle_place(m->source, at), out->text, "the pickle%s names %s%s%s%s",
            in_member(m, where, sizeof where), text_label(label, sizeof label, out->text, out->length),
            renamed ? ", written with Python 2's module " : "",
            renamed ? text_label(written, sizeof written, module, module_length) : "", why);
}

void machine_forbid(pickle_machine *m, const char *subject, const char *what)
{
    char where[LABEL_BYTES + 8], label[LABEL_BYTES];
    if (may_note(m))
        observe(m->seen, SEEN_FORBIDDEN_GLOBAL, place(m), subject, "the pickle%s %s %s",
                in_member(m, where, sizeof where), what, text_label(label, sizeof label, subject, strlen(subject)));
}
