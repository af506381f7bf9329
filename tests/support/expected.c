/* expected.c - see expected.h. Nothing here stops at the first disagreement: a file that fails shows all of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/expected.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_MODULES = 64, MAX_JSON = 1 << 20 };

static const double NORM = 1e-10, SCALE = 1e-14; /* relative */

cJSON *expected_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s cannot be opened", path);
    char *text = malloc(MAX_JSON);
    assert_non_null(text);
    size_t n = fread(text, 1, MAX_JSON, f);
    fclose(f);
    cJSON *tree = n < MAX_JSON ? cJSON_ParseWithLength(text, n) : NULL;
    free(text);
    if (!tree)
        fail_msg("%s is no JSON, or too long", path);
    return tree;
}

const char *expected_text(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    if (!cJSON_IsString(item))
        fail_msg("expected.json: no text %s", key);
    return item->valuestring;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    if (!cJSON_IsNumber(item))
        fail_msg("expected.json: no number %s", key);
    return item->valuedouble;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return k > 0 && k <= n && strcmp(name + n - k, end) == 0;
}

/* The module of r that is not taken yet and is meant by want; r->adapter.n_modules when there is none. */
static size_t find_module(const lora_record *r, const cJSON *want, bool by_name, const bool *taken)
{
    size_t best = r->adapter.n_modules;
    double norm = number(want, "frobenius"), nearest = INFINITY;
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        double distance = fabs(m->spectrum.frobenius - norm);
        if (taken[i])
            continue;
        if (by_name && ends_with(expected_text(want, "name"), m->module->name))
            return i;
        if (!by_name && (double)m->module->m == number(want, "out") && (double)m->module->n == number(want, "in") &&
            distance < nearest) {
            nearest = distance;
            best = i;
        }
    }
    return best;
}

static size_t compare_text(const char *path, const char *what, const char *got, const char *want)
{
    if (got && strcmp(got, want) == 0)
        return 0;
    print_error("%s: %s is %s, expected %s\n", path, what, got ? got : "missing", want);
    return 1;
}

static size_t compare_number(const char *path, const char *name, const char *what, double got, double want, double tolerance)
{
    if (fabs(got - want) <= tolerance * fabs(want))
        return 0;
    print_error("%s: %s: %s is %.17g, expected %.17g\n", path, name, what, got, want);
    return 1;
}

/* Every σ, also those that only one side lists: they must be 0 to rounding. */
static size_t compare_sigma(const char *path, const char *name, const module_record *got, const cJSON *want, double *worst)
{
    size_t wrong = 0, listed = (size_t)cJSON_GetArraySize(want), n = got->n_sigma > listed ? got->n_sigma : listed;
    double first = cJSON_GetArrayItem(want, 0)->valuedouble;
    for (size_t i = 0; i < n; i++) {
        double has = i < got->n_sigma ? got->spectrum.sigma[i] : 0;
        double wants = i < listed ? cJSON_GetArrayItem(want, (int)i)->valuedouble : 0;
        double off = fabs(has - wants) / first;
        if (!(off <= *worst))
            *worst = off;
        if (off <= EXPECTED_SIGMA)
            continue;
        print_error("%s: %s: singular value %zu is %.17g, expected %.17g\n", path, name, i, has, wants);
        wrong++;
    }
    return wrong;
}

static size_t compare_module(const char *path, const module_record *got, const cJSON *want, double *worst)
{
    const char *name = expected_text(want, "name");
    size_t wrong = compare_number(path, name, "out", (double)got->module->m, number(want, "out"), 0) +
                   compare_number(path, name, "in", (double)got->module->n, number(want, "in"), 0) +
                   compare_number(path, name, "scale", got->module->scale, number(want, "scale"), SCALE);
    if (got->spectrum.status != SPECTRAL_OK) {
        print_error("%s: %s: %s\n", path, name, spectral_status_text(got->spectrum.status));
        return wrong + 1;
    }
    return wrong +
           compare_number(path, name, "norm", got->spectrum.frobenius, number(want, "frobenius"), NORM) +
           compare_sigma(path, name, got, cJSON_GetObjectItem(want, "sigma"), worst);
}

size_t expected_compare(const lora_record *r, const cJSON *sample, double *worst)
{
    const cJSON *modules = cJSON_GetObjectItem(sample, "modules"), *want;
    size_t n = (size_t)cJSON_GetArraySize(modules), wrong = 0;
    bool by_name = strcmp(expected_text(sample, "matched"), "name") == 0, taken[MAX_MODULES] = {false};
    wrong += compare_text(r->path, "container", r->container, expected_text(sample, "container"));
    bool no_modules = r->status == STATUS_NOT_LORA || r->status == STATUS_UNSUPPORTED;
    if (!r->has_adapter || (n > 0 ? r->status != STATUS_OK : !no_modules)) {
        print_error("%s: status %s%s%s\n", r->path, status_name(r->status), r->error.message[0] ? ": " : "", r->error.message);
        wrong++;
    }
    if (!r->has_adapter)
        return wrong;
    wrong += compare_text(r->path, "method", r->adapter.method, expected_text(sample, "method"));
    if (n > 0)
        wrong += compare_text(r->path, "layout", layout_name(r->adapter.layout), expected_text(sample, "layout"));
    if (r->adapter.n_modules != n || n > MAX_MODULES) {
        print_error("%s: %zu modules, expected %zu\n", r->path, r->adapter.n_modules, n);
        return wrong + 1;
    }
    cJSON_ArrayForEach(want, modules)
    {
        size_t i = find_module(r, want, by_name, taken);
        if (i == n) {
            print_error("%s: module %s is missing\n", r->path, expected_text(want, "name"));
            wrong++;
            continue;
        }
        taken[i] = true;
        wrong += compare_module(r->path, &r->modules[i], want, worst);
    }
    return wrong;
}
