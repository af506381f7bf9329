/* observation.c - a bounded list of notes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/observation.h"

#include "analyzer/base/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *observation_rule(observation_kind kind)
{
    static const char *const rules[] = {
#define X(symbol, rule) rule,
        OBSERVATION_KINDS(X)
#undef X
    };
    return rules[kind];
}

static bool same(const observation *o, observation_kind kind, const char *subject, const char *text)
{
    if (o->kind != kind || !o->subject != !subject)
        return false;
    return subject ? strcmp(o->subject, subject) == 0 : strcmp(o->text, text) == 0;
}

/* The place for one more note; NULL when there is none. A forbidden global takes the place of another kind if it must. */
static observation *place_for(observations *seen, observation_kind kind)
{
    if (seen->n == LIMIT_OBSERVATIONS) {
        seen->n_dropped++;
        for (size_t i = seen->n; kind == SEEN_FORBIDDEN_GLOBAL && i-- > 0;)
            if (seen->list[i].kind != SEEN_FORBIDDEN_GLOBAL)
                return &seen->list[i];
        seen->closed = kind == SEEN_FORBIDDEN_GLOBAL;
        return NULL;
    }
    if (seen->n == seen->capacity) {
        size_t capacity = seen->capacity ? 2 * seen->capacity : 16;
        observation *grown = arena_alloc(seen->mem, capacity, sizeof *grown);
        seen->no_memory |= !grown;
        if (!grown)
            return NULL;
        if (seen->n)
            memcpy(grown, seen->list, seen->n * sizeof *grown);
        seen->list = grown;
        seen->capacity = capacity;
    }
    return &seen->list[seen->n++];
}

void observe(observations *seen, observation_kind kind, uint64_t offset, const char *subject, const char *fmt, ...)
{
    if (seen->closed || (seen->n == LIMIT_OBSERVATIONS && kind != SEEN_FORBIDDEN_GLOBAL)) {
        seen->n_dropped++;
        return;
    }
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (size_t i = 0; i < seen->n; i++)
        if (same(&seen->list[i], kind, subject, text))
            return;
    observation *o = place_for(seen, kind);
    if (!o)
        return;
    char *copy = arena_strdup(seen->mem, text), *name = subject ? arena_strdup(seen->mem, subject) : NULL;
    seen->no_memory |= !copy || (subject && !name);
    *o = (observation){.kind = kind, .offset = offset, .subject = name, .text = copy ? copy : ""};
}
