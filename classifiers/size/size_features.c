/* size_features.c - see size_features.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/size/size_features.h"

#include <math.h>
#include <stdlib.h>

static const double SMALLEST = 1e-12;

classifier_status size_layout_create(size_layout *layout, size_t n_modules)
{
    size_module *modules = calloc(n_modules ? n_modules : 1, sizeof *modules);
    if (!modules)
        return CLASSIFIER_E_MEMORY;
    *layout = (size_layout){.n_modules = n_modules, .modules = modules};
    return CLASSIFIER_OK;
}

void size_layout_finish(size_layout *layout)
{
    size_t n_spectra = 0, at = 0;
    for (size_t i = 0; i < layout->n_modules; i++) {
        size_module *m = &layout->modules[i];
        m->spectra = n_spectra;
        n_spectra += 1 + m->n_sigma + m->n_sigma_b + m->n_sigma_a;
    }
    for (int b = 0; b < SIZE_BLOCKS; b++) {
        layout->block[b] = at;
        for (size_t i = 0; i < layout->n_modules; i++) {
            size_module *m = &layout->modules[i];
            m->features[b] = at;
            at += b == SIZE_BLOCK_SPECTRUM ? m->n_sigma + m->n_sigma_b : b == SIZE_BLOCK_SUMMARY ? 4 : m->n_sigma_a;
        }
    }
    layout->n_spectra = n_spectra;
    layout->n_features = layout->block[SIZE_BLOCKS] = at;
}

void size_layout_release(size_layout *layout)
{
    free(layout->modules);
    *layout = (size_layout){0};
}

classifier_status size_layout_of(const classifier_profile *p, size_layout *layout)
{
    classifier_status status = size_layout_create(layout, p->n_modules);
    if (status != CLASSIFIER_OK)
        return status;
    for (size_t i = 0; i < p->n_modules; i++) {
        const profile_module *m = &p->modules[i];
        layout->modules[i] = (size_module){.n_sigma = m->n_sigma, .n_sigma_b = m->n_sigma_b, .n_sigma_a = m->n_sigma_a};
    }
    size_layout_finish(layout);
    return CLASSIFIER_OK;
}

int size_layout_fits(const size_layout *layout, const classifier_profile *p)
{
    if (layout->n_modules != p->n_modules)
        return 0;
    for (size_t i = 0; i < p->n_modules; i++) {
        const profile_module *m = &p->modules[i];
        const size_module *own = &layout->modules[i];
        if (m->n_sigma != own->n_sigma || m->n_sigma_b != own->n_sigma_b || m->n_sigma_a != own->n_sigma_a)
            return 0;
    }
    return 1;
}

/* As stored; −1 where it is no size of anything. */
static double stored(double x)
{
    double single = (double)(float)x;
    return single >= 0 && isfinite(single) ? single : -1;
}

static int take(double **row, const double *sigma, size_t n)
{
    int good = 1;
    for (size_t i = 0; i < n; i++) {
        **row = stored(sigma[i]);
        good &= *(*row)++ >= 0;
    }
    return good;
}

size_t size_spectra(const size_layout *layout, const classifier_profile *p, double *row)
{
    for (size_t i = 0; i < p->n_modules; i++) {
        const profile_module *m = &p->modules[i];
        double *at = row + layout->modules[i].spectra;
        int good = take(&at, &m->frobenius, 1);
        good &= take(&at, m->sigma, m->n_sigma);
        good &= take(&at, m->sigma_b, m->n_sigma_b);
        good &= take(&at, m->sigma_a, m->n_sigma_a);
        if (!good)
            return i;
    }
    return p->n_modules;
}

static double logarithm(double x)
{
    return log(fmax(x, SMALLEST));
}

/* log σ of each; log of their norm and entropy −Σ p ln p with p = σ / Σσ, which is ln Σσ − Σ σ ln σ / Σσ. */
static void describe(const double *sigma, size_t n, double norm, double *logarithms, double *summary)
{
    double sum = 0, weighted = 0;
    for (size_t i = 0; i < n; i++) {
        logarithms[i] = logarithm(sigma[i]);
        sum += sigma[i];
        weighted += sigma[i] > SMALLEST ? sigma[i] * logarithms[i] : 0;
    }
    summary[0] = logarithm(norm);
    summary[1] = sum > SMALLEST ? log(sum) - weighted / sum : 0;
}

static double norm_of(const double *x, size_t n)
{
    double square = 0;
    for (size_t i = 0; i < n; i++)
        square += x[i] * x[i];
    return sqrt(square);
}

void size_features(const size_layout *layout, const double *spectra, double *row)
{
    for (size_t i = 0; i < layout->n_modules; i++) {
        const size_module *m = &layout->modules[i];
        const double *sigma = spectra + m->spectra + 1, *sigma_b = sigma + m->n_sigma, *sigma_a = sigma_b + m->n_sigma_b;
        double *logarithms = row + m->features[SIZE_BLOCK_SPECTRUM], *summary = row + m->features[SIZE_BLOCK_SUMMARY];
        describe(sigma, m->n_sigma, spectra[m->spectra], logarithms, summary);
        describe(sigma_b, m->n_sigma_b, norm_of(sigma_b, m->n_sigma_b), logarithms + m->n_sigma, summary + 2);
        for (size_t j = 0; j < m->n_sigma_a; j++)
            row[m->features[SIZE_BLOCK_START] + j] = sigma_a[j];
    }
}

/* A part of every module's part of a block: the numbers of ΔW or of B that share a mean. */
typedef struct {
    size_t first, n;
} stretch;

static stretch where(const size_module *m, size_block block, int of_b)
{
    if (block == SIZE_BLOCK_SUMMARY)
        return (stretch){of_b ? 2 : 0, 1};
    return of_b ? (stretch){m->n_sigma, m->n_sigma_b} : (stretch){0, m->n_sigma};
}

static void centre(const size_layout *layout, size_block block, int of_b, double *row)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < layout->n_modules; i++) {
        stretch s = where(&layout->modules[i], block, of_b);
        for (size_t j = 0; j < s.n; j++)
            sum += row[layout->modules[i].features[block] + s.first + j];
        n += (double)s.n;
    }
    for (size_t i = 0; i < layout->n_modules; i++) {
        stretch s = where(&layout->modules[i], block, of_b);
        for (size_t j = 0; j < s.n; j++)
            row[layout->modules[i].features[block] + s.first + j] -= sum / n;
    }
}

void size_shape(const size_layout *layout, double *row)
{
    for (int of_b = 0; of_b < 2; of_b++) {
        centre(layout, SIZE_BLOCK_SPECTRUM, of_b, row);
        centre(layout, SIZE_BLOCK_SUMMARY, of_b, row);
    }
}
