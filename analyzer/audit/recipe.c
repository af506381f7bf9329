/* recipe.c - see recipe.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/recipe.h"

#include "analyzer/base/text.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KEY = 4096 };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each run of equal kinds as "kind*count". */
static void put_kinds(strbuf *out, const char **kinds, size_t n)
{
    for (size_t i = 0, next; i < n; i = next) {
        next = i + 1;
        while (next < n && strcmp(kinds[next], kinds[i]) == 0)
            next++;
        strbuf_printf(out, " %s*%zu", kinds[i], next - i);
    }
}

const char *recipe_key(const lora_record *r)
{
    size_t n = r->adapter.n_modules;
    const char **kinds = arena_alloc(r->mem, n, sizeof *kinds);
    for (size_t i = 0; kinds && i < n; i++) {
        const lora_module *m = r->modules[i].module;
        kinds[i] = arena_printf(r->mem, "%s.%s:%llux%llu:r%llu:s%.6g", m->component, role_name(m->role),
                                (unsigned long long)m->m, (unsigned long long)m->n, (unsigned long long)m->r, m->scale);
        if (!kinds[i])
            return NULL;
    }
    if (!kinds)
        return NULL;
    qsort(kinds, n, sizeof *kinds, by_text);
    strbuf key = {0};
    strbuf_printf(&key, "%s %s init=%s", layout_name(r->adapter.layout), r->adapter.method,
                  r->init.law ? r->init.law : "unknown");
    put_kinds(&key, kinds, n);
    const char *copy = NULL;
    if (!key.failed && key.length < MAX_KEY)
        copy = arena_strndup(r->mem, key.data, key.length);
    else if (!key.failed)
        copy = arena_printf(r->mem, "%.*s... #%016llx", MAX_KEY - 32, key.data, (unsigned long long)text_hash(key.data));
    strbuf_free(&key);
    return copy;
}
