/* One adapter in every container, benchmark-data/containers: what numpy says that it means, and the same bits from each.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/auditing.h"
#include "tests/support/expected.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONTAINERS "benchmark-data/containers/"

static lora_auditor *trusting; /* reads HDF5 too */
static cJSON *tree;

static int set_up(void **state)
{
    lora_options options = {.jobs = 2, .rules = RULE_SET_ALL, .trust_hdf5 = true};
    tree = expected_read(CONTAINERS "expected.json");
    return auditing_set_up(state) || lora_auditor_create(&options, &trusting, NULL) != LORA_OK;
}

static int tear_down(void **state)
{
    cJSON_Delete(tree);
    lora_auditor_destroy(trusting);
    return auditing_tear_down(state);
}

static const char *path_of(const cJSON *sample)
{
    static char path[300];
    snprintf(path, sizeof path, CONTAINERS "%s", expected_text(sample, "file"));
    return path;
}

static lora_record *audit_trusting(const cJSON *sample)
{
    lora_record *r = NULL;
    assert_int_equal(lora_audit_file(trusting, 0, path_of(sample), &r, NULL), LORA_OK);
    return r;
}

static void every_container_holds_what_numpy_says(void **state)
{
    (void)state;
    const cJSON *sample;
    size_t wrong = 0, n = 0;
    double worst = 0;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItem(tree, "samples"))
    {
        lora_record *r = audit_trusting(sample);
        wrong += expected_compare(r, sample, &worst);
        record_destroy(r);
        n++;
    }
    print_message("%zu containers, worst deviation of a singular value %.1e of the first\n", n, worst);
    assert_int_equal(n, 8);
    if (wrong)
        fail_msg("%zu disagreements", wrong);
}

/* The module of the same size: all six differ in it, and names are not the same in every container. */
static const module_record *same_size(const lora_record *r, const module_record *m)
{
    for (size_t i = 0; i < r->adapter.n_modules; i++)
        if (r->modules[i].module->m == m->module->m && r->modules[i].module->n == m->module->n)
            return &r->modules[i];
    return NULL;
}

static bool same_bits(const double *a, size_t n, const double *b, size_t k)
{
    return n == k && memcmp(a, b, n * sizeof *a) == 0;
}

static bool same_spectrum(const module_record *a, const module_record *b)
{
    return same_bits(a->spectrum.sigma, a->n_sigma, b->spectrum.sigma, b->n_sigma) &&
           same_bits(a->spectrum.sigma_a, a->n_sigma_a, b->spectrum.sigma_a, b->n_sigma_a) &&
           same_bits(a->spectrum.sigma_b, a->n_sigma_b, b->spectrum.sigma_b, b->n_sigma_b) &&
           same_bits(&a->spectrum.frobenius, 1, &b->spectrum.frobenius, 1) &&
           same_bits(&a->module->scale, 1, &b->module->scale, 1);
}

static void every_container_gives_the_same_bits(void **state)
{
    (void)state;
    const cJSON *samples = cJSON_GetObjectItem(tree, "samples"), *sample;
    lora_record *first = audit_trusting(cJSON_GetArrayItem(samples, 0));
    size_t wrong = 0;
    assert_int_equal(first->status, STATUS_OK);
    assert_int_equal(first->adapter.n_modules, 6);
    cJSON_ArrayForEach(sample, samples)
    {
        lora_record *r = audit_trusting(sample);
        for (size_t i = 0; i < first->adapter.n_modules; i++) {
            const module_record *other = r->status == STATUS_OK ? same_size(r, &first->modules[i]) : NULL;
            if (other && same_spectrum(&first->modules[i], other))
                continue;
            print_error("%s: %s: %s\n", r->path, first->modules[i].module->name, other ? "other bits" : "missing");
            wrong++;
        }
        record_destroy(r);
    }
    record_destroy(first);
    if (wrong)
        fail_msg("%zu modules differ from those of the safetensors file", wrong);
}

static void hdf5_is_not_read_without_trust(void **state)
{
    (void)state;
    const cJSON *sample;
    size_t n = 0;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItem(tree, "samples"))
    {
        if (strcmp(expected_text(sample, "container"), "hdf5") != 0)
            continue;
        lora_record *r = audit_path(path_of(sample));
        assert_int_equal(r->status, STATUS_UNSUPPORTED);
        assert_false(r->has_adapter);
        assert_string_equal(r->container, "hdf5");
        record_destroy(r);
        n++;
    }
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_container_holds_what_numpy_says),
        cmocka_unit_test(every_container_gives_the_same_bits),
        cmocka_unit_test(hdf5_is_not_read_without_trust),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
