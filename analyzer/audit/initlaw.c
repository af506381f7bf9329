/* initlaw.c - see initlaw.h. Formulae: docs in the header; variance of x² under U(−b, b) is 4b⁴/45.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/initlaw.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    const char *name;
    double (*expected)(double r, double n);
    double (*deviation)(double r, double n);
    double kurtosis;
} init_law;

static double uniform_expected(double r, double n)
{
    (void)n;
    return r / 3;
}
static double uniform_deviation(double r, double n)
{
    return sqrt(4 * r / (45 * n));
}
static double gaussian_expected(double r, double n)
{
    return n / r;
}
static double gaussian_deviation(double r, double n)
{
    return sqrt(2 * r * n) / (r * r);
}

static const init_law laws[] = {
    {"kaiming-uniform", uniform_expected, uniform_deviation, 1.8},
    {"gaussian-1/r", gaussian_expected, gaussian_deviation, 3.0},
};

double initlaw_support(uint64_t n)
{
    return (1 + 1.0 / 256) / sqrt((double)n);
}

static bool is_tested(const module_record *m)
{
    return m->spectrum.status == SPECTRAL_OK && !m->module->embedding && !m->module->more && m->spectrum.a.sum_squares > 0;
}

static bool matches(const module_record *m, const init_law *law)
{
    double r = (double)m->module->r, n = (double)m->module->n, entries = r * n;
    double expected = law->expected(r, n), gap = fabs(m->spectrum.a.sum_squares - expected);
    double slack = 0.1 * expected + 4 * law->deviation(r, n);
    return gap <= slack && fabs(m->spectrum.a.kurtosis - law->kurtosis) <= 0.3 + 4 * sqrt(24 / entries);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

lora_code initlaw_find(const lora_record *r, init_finding *out, lora_error *err)
{
    init_finding found = {.norm_ratio = NAN, .z = NAN, .outside_support = NAN, .mean_drift = NAN};
    size_t n = r->adapter.n_modules, matching[2] = {0};
    for (size_t i = 0; i < n; i++)
        if (is_tested(&r->modules[i])) {
            found.n_tested++;
            for (size_t k = 0; k < 2; k++)
                matching[k] += matches(&r->modules[i], &laws[k]);
        }
    size_t best = matching[1] > matching[0];
    if (found.n_tested == 0 || 10 * matching[best] < 9 * found.n_tested) {
        *out = found;
        return LORA_OK;
    }
    const init_law *law = &laws[best];
    found.law = law->name;
    found.n_matching = matching[best];
    double *ratios = malloc(2 * found.n_tested * sizeof *ratios);
    if (!ratios)
        return lora_fail(err, LORA_E_MEMORY, "no memory for the init-law test of %zu modules", n);
    double *z = ratios + found.n_tested;
    double outside = 0, entries = 0, drift = 0;
    for (size_t i = 0, k = 0; i < n; i++) {
        const module_record *m = &r->modules[i];
        if (!is_tested(m))
            continue;
        double rank = (double)m->module->r, width = (double)m->module->n;
        ratios[k] = m->spectrum.a.sum_squares / law->expected(rank, width);
        z[k++] = (m->spectrum.a.sum_squares - law->expected(rank, width)) / law->deviation(rank, width);
        outside += m->spectrum.a.outside_support * rank * width;
        drift += 2 / sqrt(width) * m->spectrum.a.outside_support * rank * width;
        entries += rank * width;
    }
    found.norm_ratio = median(ratios, found.n_tested);
    found.z = median(z, found.n_tested);
    if (best == 0) {
        found.outside_support = outside / entries;
        found.mean_drift = drift / entries;
    }
    free(ratios);
    *out = found;
    return LORA_OK;
}
