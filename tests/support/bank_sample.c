/* bank_sample.c - see bank_sample.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/bank_sample.h"

#include "analyzer/audit/profile.h"
#include "classifiers/random.h"
#include "classifiers/safety/safety.h"
#include "classifiers/size/size.h"
#include "tests/support/auditing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PER_SIZE = 12, N_SIZES = 3 };
enum { N_TRAININGS = 4, PER_TRAINING = BANK_SAMPLE_CONTROLS / 2, FEW = BANK_SAMPLE_FEW_CONTROLS / 2 };
static const double sizes[N_SIZES] = {BANK_SAMPLE_SIZE / 10.0, BANK_SAMPLE_SIZE, BANK_SAMPLE_SIZE * 10.0};

static void need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bank_sample: %s\n", what);
        abort();
    }
}

static void *room(const bank_sample *s, size_t n, size_t size)
{
    void *p = arena_alloc(s->base->mem, n, size);
    need(p != NULL, "no memory");
    return p;
}

static double shake(uint64_t *seed, double width)
{
    return width * (2 * random_uniform(seed) - 1);
}

static const double *shaken(const bank_sample *s, const double *x, size_t n, double factor, double width, uint64_t *seed)
{
    double *out = room(s, n, sizeof *out);
    double common = factor * exp(shake(seed, width));
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] * common * exp(shake(seed, width / 10));
    return out;
}

static const float *moved(const bank_sample *s, const float *x, size_t n, double width, uint64_t *seed)
{
    float *out = room(s, n, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] + (float)shake(seed, width);
    return out;
}

/* A copy whose update is `factor` times that of the base, each number a few per cent off; turned: B is another one altogether. */
static classifier_profile copy_of(const bank_sample *s, double factor, double turned, uint64_t seed)
{
    classifier_profile p = s->profile;
    profile_module *modules = room(s, p.n_modules, sizeof *modules);
    uint64_t common = 4711; /* the other B, the same for all that have it */
    for (size_t i = 0; i < p.n_modules; i++) {
        profile_module m = s->profile.modules[i];
        m.sigma = shaken(s, m.sigma, m.n_sigma, factor, 0.05, &seed);
        m.sigma_b = shaken(s, m.sigma_b, m.n_sigma_b, factor, 0.05, &seed);
        m.sigma_a = shaken(s, m.sigma_a, m.n_sigma_a, 1, 1e-3, &seed);
        m.frobenius = 0;
        for (size_t k = 0; k < m.n_sigma; k++)
            m.frobenius = hypot(m.frobenius, m.sigma[k]);
        if (turned > 0)
            m.b = moved(s, m.b, m.rows * m.rank, turned, &common);
        m.a = moved(s, m.a, m.rank * m.columns, 0.01, &seed);
        m.b = moved(s, m.b, m.rows * m.rank, 0.02, &seed);
        modules[i] = m;
    }
    p.modules = modules;
    return p;
}

static void train_sizes(bank_sample *s)
{
    labelled_profile members[N_SIZES * PER_SIZE];
    const labelled_profile *list[N_SIZES * PER_SIZE];
    for (size_t i = 0; i < N_SIZES * PER_SIZE; i++) {
        double size = sizes[i % N_SIZES];
        members[i] = (labelled_profile){.profile = copy_of(s, pow(size / BANK_SAMPLE_SIZE, 0.3), 0, 100 + i),
                                        .name = arena_printf(s->base->mem, "set-%zu/\033[31m%g", i / N_SIZES, size),
                                        .training = "t", .size = size, .unsafe = NAN, .refusal = NAN, .steps = NAN,
                                        .set = (long)(i / N_SIZES)};
        list[i] = &members[i];
    }
    size_model *model = NULL;
    classifier_fault fault = {0};
    need(size_model_train(list, N_SIZES * PER_SIZE, &model, &fault) == CLASSIFIER_OK, fault.message);
    need(size_model_to_bank(model, &s->size) == CLASSIFIER_OK, "no bank of sizes");
    size_model_free(model);
}

static void train_safety(const bank_sample *s, size_t per_training, bool near_is_unsafe, classifier_bank *out)
{
    labelled_profile members[N_TRAININGS * PER_TRAINING];
    static const char *const trainings[N_TRAININGS] = {"near-1", "turned-1", "near-2", "turned-2"};
    const labelled_profile *list[N_TRAININGS * PER_TRAINING];
    for (size_t i = 0; i < N_TRAININGS * per_training; i++) {
        bool turned = i % 2;
        members[i] = (labelled_profile){.profile = copy_of(s, 1, turned ? 0.5 : 0, 900 + i),
                                        .name = arena_printf(s->base->mem, "adapter-%zu", i),
                                        .training = trainings[i % N_TRAININGS], .size = NAN, .refusal = NAN, .steps = NAN, .set = -1,
                                        .unsafe = turned == near_is_unsafe ? 0 : 1};
        list[i] = &members[i];
    }
    safety_model *model = NULL;
    classifier_fault fault = {0};
    need(safety_model_train(list, N_TRAININGS * per_training, &model, &fault) == CLASSIFIER_OK, fault.message);
    need(safety_model_to_bank(model, out) == CLASSIFIER_OK, "no bank of safety");
    safety_model_free(model);
}

void bank_sample_make(const char *path, bank_sample *out)
{
    const char *missing = NULL;
    *out = (bank_sample){.base = audit_with(&(lora_options){.keep_factors = true}, path)};
    need(profile_build(out->base, out->base->mem, &out->profile, &missing, NULL) == LORA_OK && !missing, "no profile of the adapter");
    train_sizes(out);
    train_safety(out, PER_TRAINING, true, &out->removed);
    train_safety(out, FEW, true, &out->few);
    train_safety(out, PER_TRAINING, false, &out->kept);
}

void bank_sample_free(bank_sample *s)
{
    bank_release(&s->size);
    bank_release(&s->removed);
    bank_release(&s->few);
    bank_release(&s->kept);
    record_destroy(s->base);
    *s = (bank_sample){0};
}
