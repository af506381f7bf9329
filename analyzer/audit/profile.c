/* profile.c - see profile.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/profile.h"

#include "analyzer/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECIPE = 4096 };

/* ---- orders ---- */

static int by_size(size_t x, size_t y)
{
    return x < y ? -1 : x > y;
}

static int by_words(const char *x, const char *y)
{
    return x == y ? 0 : strcmp(x, y);
}

static unsigned char flat(char c)
{
    return c == '.' ? '_' : (unsigned char)c;
}

static int by_flat_name(const char *x, const char *y)
{
    while (*x && flat(*x) == flat(*y)) {
        x++;
        y++;
    }
    return (flat(*x) > flat(*y)) - (flat(*x) < flat(*y));
}

static int by_shape(const profile_module *x, const profile_module *y)
{
    int order = by_size(x->rows, y->rows);
    return order ? order : by_size(x->columns, y->columns);
}

static int by_place(const void *left, const void *right)
{
    const profile_entry *x = left, *y = right;
    int order = by_words(x->component, y->component);
    if (order == 0)
        order = (x->module.layer > y->module.layer) - (x->module.layer < y->module.layer);
    if (order == 0)
        order = by_words(x->role, y->role);
    if (order == 0)
        order = by_shape(&x->module, &y->module);
    if (order == 0)
        order = by_flat_name(x->name, y->name);
    return order ? order : by_size(x->module.rank, y->module.rank);
}

static int by_kind_but_scale(const profile_entry *x, const profile_entry *y)
{
    int order = by_words(x->component, y->component);
    if (order == 0)
        order = by_words(x->role, y->role);
    if (order == 0)
        order = by_words(x->method ? x->method : "", y->method ? y->method : "");
    if (order == 0)
        order = by_shape(&x->module, &y->module);
    return order ? order : by_size(x->module.rank, y->module.rank);
}

static int by_kind(const void *left, const void *right)
{
    const profile_entry *x = *(const profile_entry *const *)left, *y = *(const profile_entry *const *)right;
    int order = by_kind_but_scale(x, y);
    return order ? order : (x->module.scale > y->module.scale) - (x->module.scale < y->module.scale);
}

/* ---- keys; entries lie in canonical order ---- */

static const char *copy_and_free(strbuf *text, arena *mem)
{
    const char *copy = text->failed ? NULL : arena_strndup(mem, text->data ? text->data : "", text->length);
    strbuf_free(text);
    return copy;
}

/* printf is slow enough to be seen beside a small adapter's spectra. digits_of - n in decimal, to the left of end; returns where it begins. */
enum { MOST_DIGITS = 20 };

static char *digits_of(size_t n, char *end)
{
    do
        *--end = (char)('0' + n % 10);
    while (n /= 10);
    return end;
}

static void put_count(strbuf *out, size_t n)
{
    char digits[MOST_DIGITS], *end = digits + sizeof digits, *first = digits_of(n, end);
    strbuf_add(out, first, (size_t)(end - first));
}

static void put_name(strbuf *out, const profile_entry *e)
{
    strbuf_puts(out, e->component);
    strbuf_putc(out, '.');
    strbuf_puts(out, e->role);
}

static void put_shape(strbuf *out, const profile_module *m)
{
    put_count(out, m->rows);
    strbuf_putc(out, 'x');
    put_count(out, m->columns);
}

/* " layer rowsxcolumns\n", layer "-" where it is not known; written from its end. */
static void put_place(strbuf *out, const profile_module *m)
{
    char text[3 * MOST_DIGITS + 4], *end = text + sizeof text, *at = end;
    *--at = '\n';
    at = digits_of(m->columns, at);
    *--at = 'x';
    at = digits_of(m->rows, at);
    *--at = ' ';
    if (m->layer < 0)
        *--at = '-';
    else
        at = digits_of((size_t)m->layer, at);
    *--at = ' ';
    strbuf_add(out, at, (size_t)(end - at));
}

static const char *frame_key(size_t n, unsigned long long hash, arena *mem)
{
    char text[MOST_DIGITS + 18], *end = text + sizeof text, *at = end;
    for (unsigned k = 0; k < 16; k++, hash >>= 4)
        *--at = "0123456789abcdef"[hash & 15];
    *--at = '-';
    at = digits_of(n, at);
    *--at = 'm';
    return arena_strndup(mem, at, (size_t)(end - at));
}

static const char *frame_of(const profile_entry *entries, size_t n, arena *mem)
{
    strbuf text = {0};
    for (size_t i = 0; i < n; i++) {
        put_name(&text, &entries[i]);
        put_place(&text, &entries[i].module);
    }
    unsigned long long hash = text_hash(text.data ? text.data : "");
    bool failed = text.failed;
    strbuf_free(&text);
    return failed ? NULL : frame_key(n, hash, mem);
}

/* As %.6g shows it. */
static void put_scale(strbuf *out, double scale)
{
    if (scale > 0 && scale < 1e6 && scale == floor(scale))
        put_count(out, (size_t)scale);
    else
        strbuf_printf(out, "%.6g", scale);
}

static void put_kind(strbuf *out, const profile_entry *e, const char *method)
{
    const profile_module *m = &e->module;
    put_name(out, e);
    strbuf_putc(out, ':');
    if (e->method && strcmp(e->method, method) != 0) {
        strbuf_puts(out, e->method);
        strbuf_putc(out, ':');
    }
    put_shape(out, m);
    strbuf_puts(out, ":r");
    put_count(out, m->rank);
    strbuf_puts(out, ":s");
    put_scale(out, m->scale);
}

static bool same_shown_scale(double x, double y)
{
    char left[32], right[32];
    snprintf(left, sizeof left, "%.6g", x);
    snprintf(right, sizeof right, "%.6g", y);
    return strcmp(left, right) == 0;
}

/* Each run of equal kinds as "kind*count": equal as they are shown, so that a scale's seventh digit makes no difference. */
static void put_kinds(strbuf *out, const profile_entry *const *sorted, size_t n, const char *method)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && by_kind_but_scale(sorted[end], sorted[i]) == 0; end++)
            if (sorted[end]->module.scale != sorted[i]->module.scale && !same_shown_scale(sorted[end]->module.scale, sorted[i]->module.scale))
                break;
        strbuf_putc(out, ' ');
        put_kind(out, sorted[i], method);
        strbuf_putc(out, '*');
        put_count(out, end - i);
    }
}

static const char *recipe_of(const profile_entry *entries, size_t n, const char *method, arena *mem)
{
    const profile_entry **sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &entries[i];
    qsort(sorted, n, sizeof *sorted, by_kind);
    strbuf text = {0};
    strbuf_puts(&text, method);
    put_kinds(&text, sorted, n, method);
    free(sorted);
    if (text.failed || text.length < MAX_RECIPE)
        return copy_and_free(&text, mem);
    const char *cut = arena_printf(mem, "%.*s... #%016llx", MAX_RECIPE - 32, text.data, (unsigned long long)text_hash(text.data));
    strbuf_free(&text);
    return cut;
}

static const char *kind_of(const profile_entry *e, arena *mem)
{
    size_t n = strlen(e->component), m = strlen(e->role);
    char *text = arena_alloc(mem, n + m + 2, 1);
    if (text) {
        memcpy(text, e->component, n);
        text[n] = '.';
        memcpy(text + n + 1, e->role, m);
    }
    return text;
}

static bool writes_residual(const char *role)
{
    unsigned k = 0;
    while (k < ROLE_COUNT && strcmp(role, role_name((lora_role)k)) != 0)
        k++;
    return k < ROLE_COUNT && role_writes_residual((lora_role)k);
}

/* The kinds of modules that lie side by side are mostly those of the modules just before: a text is made once, and a role
 * looked at once. */
static bool name_kinds(profile_entry *entries, size_t n, arena *mem)
{
    enum { KNOWN = 32 };
    const profile_entry *known[KNOWN];
    size_t n_known = 0;
    for (size_t i = 0; i < n; i++) {
        profile_entry *e = &entries[i];
        size_t k = 0;
        while (k < n_known && (known[k]->role != e->role || known[k]->component != e->component))
            k++;
        e->module.kind = k < n_known ? known[k]->module.kind : kind_of(e, mem);
        e->module.writes_residual = k < n_known ? known[k]->module.writes_residual : writes_residual(e->role);
        if (!e->module.kind)
            return false;
        if (k == n_known && n_known < KNOWN)
            known[n_known++] = e;
    }
    return true;
}

lora_code profile_arrange(profile_entry *entries, size_t n, const char *method, arena *mem, classifier_profile *out, lora_error *err)
{
    classifier_profile p = {.n_modules = n};
    profile_module *modules = arena_alloc(mem, n, sizeof *modules);
    if (n > 0)
        qsort(entries, n, sizeof *entries, by_place);
    if (modules && name_kinds(entries, n, mem)) {
        p.frame = frame_of(entries, n, mem);
        p.recipe = recipe_of(entries, n, method, mem);
    }
    if (!p.frame || !p.recipe)
        return lora_fail(err, LORA_E_MEMORY, "no memory for the profile of %zu modules", n);
    for (size_t i = 0; i < n; i++)
        modules[i] = entries[i].module;
    p.modules = modules;
    *out = p;
    return LORA_OK;
}

/* ---- records ---- */

static profile_entry entry_of(const lora_module *m)
{
    return (profile_entry){
        .component = m->component,
        .role = role_name(m->role),
        .name = m->name,
        .method = m->more ? m->method : NULL, /* DoRA and its like differ in what stands beside s·B·A */
        .module = {.layer = (long)m->layer, .rows = (size_t)m->m, .columns = (size_t)m->n, .rank = (size_t)m->r, .scale = m->scale},
    };
}

/* The entries of r, without spectra, in canonical order; the caller frees them. NULL without memory. */
static profile_entry *list_entries(const lora_record *r)
{
    size_t n = r->adapter.n_modules;
    profile_entry *entries = malloc((n + 1) * sizeof *entries);
    if (!entries)
        return NULL;
    for (size_t i = 0; i < n; i++)
        entries[i] = entry_of(&r->adapter.modules[i]);
    qsort(entries, n, sizeof *entries, by_place);
    return entries;
}

const char *profile_recipe(const lora_record *r)
{
    profile_entry *entries = list_entries(r);
    const char *recipe = entries ? recipe_of(entries, r->adapter.n_modules, r->adapter.method, r->mem) : NULL;
    free(entries);
    return recipe;
}

const char *profile_frame(const lora_record *r)
{
    profile_entry *entries = list_entries(r);
    const char *frame = entries ? frame_of(entries, r->adapter.n_modules, r->mem) : NULL;
    free(entries);
    return frame;
}

static const char *what_is_missing(const lora_record *r)
{
    if (!r->modules || r->adapter.n_modules == 0)
        return "no modules";
    if (r->adapter.n_skipped > 0)
        return "some modules are not computed";
    for (size_t i = 0; i < r->adapter.n_modules; i++)
        if (r->modules[i].spectrum.status != SPECTRAL_OK)
            return "values that are not finite";
    return NULL;
}

lora_code profile_build(const lora_record *r, arena *mem, classifier_profile *out, const char **missing, lora_error *err)
{
    size_t n = r->adapter.n_modules;
    *missing = what_is_missing(r);
    if (*missing)
        return LORA_OK;
    profile_entry *entries = malloc(n * sizeof *entries);
    if (!entries)
        return lora_fail(err, LORA_E_MEMORY, "no memory for the profile of %zu modules", n);
    for (size_t i = 0; i < n; i++) {
        const module_record *m = &r->modules[i];
        entries[i] = entry_of(m->module);
        profile_module *p = &entries[i].module;
        p->frobenius = m->spectrum.frobenius;
        p->kurtosis = m->spectrum.kurtosis;
        p->n_sigma = m->n_sigma;
        p->n_sigma_a = m->n_sigma_a;
        p->n_sigma_b = m->n_sigma_b;
        p->sigma = m->spectrum.sigma;
        p->sigma_a = m->spectrum.sigma_a;
        p->sigma_b = m->spectrum.sigma_b;
        p->a = m->a;
        p->b = m->b;
    }
    lora_code code = profile_arrange(entries, n, r->adapter.method, mem, out, err);
    free(entries);
    return code;
}
