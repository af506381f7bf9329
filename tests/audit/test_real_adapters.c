/* Real adapters from hubs, where a folder of them lies beside the project (../shared/real-adapters with its MANIFEST.tsv).
 *
 * Every file must give the pairs and ranks that the manifest counts (which knows pairs of s·B·A: a file of another structure counts
 * 0 there), or be the other method that it is, and σ must agree with a dense float64 SVD of ΔW. Dense SVDs of everything take minutes: by default the small modules and every eighth of
 * the middle ones are compared; LORAUDIT_CONFORMANCE=all compares all and prints the worst deviations.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/open.h"
#include "analyzer/loraudit.h"
#include "tests/support/dense.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER "../shared/real-adapters"

static bool is_read_here(const lora_record *r)
{
    return r->status == STATUS_OK || r->status == STATUS_UNTRAINED;
}

static int set_up(void **state)
{
    lora_options options = {.jobs = 2, .rules = RULE_SET_ALL};
    return lora_auditor_create(&options, (lora_auditor **)state, NULL) != LORA_OK;
}

static int tear_down(void **state)
{
    lora_auditor_destroy(*state);
    return 0;
}

typedef struct {
    char path[400];
    char container[24];
    size_t pairs;
    char ranks[80];
} manifest_line;

/* The next file of the manifest; false at its end. */
static bool next_line(FILE *f, manifest_line *line)
{
    char text[2000];
    if (!fgets(text, sizeof text, f))
        return false;
    char *field[11], *rest = text;
    for (int i = 0; i < 11; i++) {
        field[i] = rest;
        size_t n = strcspn(rest, "\t\n");
        rest += n + (rest[n] != '\0');
        field[i][n] = '\0';
    }
    char *slash = strchr(field[0], '/');
    if (slash)
        *slash = '+';
    int n = snprintf(line->path, sizeof line->path, FOLDER "/%s/%s", field[0], field[1]);
    assert_true(n > 0 && (size_t)n < sizeof line->path);
    snprintf(line->container, sizeof line->container, "%s", field[5]);
    line->pairs = (size_t)strtoul(field[8], NULL, 10);
    snprintf(line->ranks, sizeof line->ranks, "%s", field[9]);
    return true;
}

typedef struct {
    double sigma, frobenius; /* worst deviations, relative to σ₁ and to the norm */
    size_t n_modules, n_compared;
} worst;

static void compare_module(const file *f, const module_record *m, worst *w)
{
    size_t rows = (size_t)m->module->m, cols = (size_t)m->module->n, all = rows < cols ? rows : cols;
    double *x = dense_update(f, m->module), *sigma = malloc(all * sizeof *sigma), squares = 0;
    for (size_t i = 0; i < rows * cols; i++)
        squares += x[i] * x[i];
    double norm = sqrt(squares);
    dense_singular_values(x, rows, cols, sigma);
    for (size_t i = 0; i < all; i++) {
        double got = i < m->n_sigma ? m->spectrum.sigma[i] : 0, off = fabs(got - sigma[i]);
        if (!(off <= 1e-7 * sigma[0]))
            fail_msg("%s: singular value %zu is %.17g, dense %.17g", m->module->name, i, got, sigma[i]);
        if (sigma[0] > 0)
            w->sigma = fmax(w->sigma, off / sigma[0]);
    }
    double off = fabs(m->spectrum.frobenius - norm);
    if (!(off <= 1e-9 * norm))
        fail_msg("%s: norm %.17g, dense %.17g", m->module->name, m->spectrum.frobenius, norm);
    if (norm > 0)
        w->frobenius = fmax(w->frobenius, off / norm);
    w->n_compared++;
    free(x);
    free(sigma);
}

static void compare_file(const lora_record *r, const manifest_line *line, bool everything)
{
    worst w = {0};
    file f;
    char rank[80];
    assert_int_equal(file_open(line->path, &f, NULL), LORA_OK);
    bool structured = r->adapter.modules[0].more != NULL && line->pairs == 0;
    if (r->adapter.n_modules != line->pairs && !structured)
        fail_msg("%s: %zu pairs, the manifest counts %zu", line->path, r->adapter.n_modules, line->pairs);
    snprintf(rank, sizeof rank, "{\"%llu\": %zu}", (unsigned long long)r->rank_min, r->adapter.n_modules);
    bool turned = r->adapter.layout == LAYOUT_ONNXRUNTIME; /* square factors look like either way round, one by one */
    if (r->rank_min == r->rank_max && !structured && !turned && !strstr(line->ranks, rank) && !strstr(line->ranks, "\"\""))
        fail_msg("%s: ranks %s, the manifest says %s", line->path, rank, line->ranks);
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const lora_module *m = r->modules[i].module;
        uint64_t entries = m->m * m->n;
        assert_int_equal(r->modules[i].spectrum.status, SPECTRAL_OK);
        if (everything || entries <= 150000 || (entries <= 1200000 && i % 8 == 0))
            compare_module(&f, &r->modules[i], &w);
    }
    file_close(&f);
    printf("%s: %zu pairs, %zu compared, worst sigma %.1e, norm %.1e\n", strrchr(line->path, '+'), r->adapter.n_modules,
           w.n_compared, w.sigma, w.frobenius);
}

static void real_adapters_agree_with_the_manifest_and_a_dense_svd(void **state)
{
    FILE *f = fopen(FOLDER "/MANIFEST.tsv", "r");
    if (!f) {
        printf("skipped: no " FOLDER "/MANIFEST.tsv\n");
        skip();
    }
    const char *mode = getenv("LORAUDIT_CONFORMANCE");
    manifest_line line;
    size_t n_read = 0, n_files = 0;
    assert_true(next_line(f, &line)); /* the names of the columns */
    while (next_line(f, &line)) {
        lora_record *r = NULL;
        assert_int_equal(lora_audit_file(*state, 0, line.path, &r, NULL), LORA_OK);
        n_files++;
        assert_true(r->status != STATUS_ERROR && r->safety != SAFETY_FLAGGED);
        if (is_read_here(r)) {
            compare_file(r, &line, mode && strcmp(mode, "all") == 0);
            n_read++;
        } else if (r->status != STATUS_NOT_LORA || line.pairs > 0 || !r->adapter.has_foreign) {
            fail_msg("%s: %s, %s", line.path, status_name(r->status), r->error.message);
        }
        record_destroy(r);
    }
    fclose(f);
    printf("%zu of %zu files hold updates that are computed\n", n_read, n_files);
    assert_true(n_read + 1 >= n_files); /* the one is IA3 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_adapters_agree_with_the_manifest_and_a_dense_svd),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
