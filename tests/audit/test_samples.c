/* Conformance with the real libraries: every number of benchmark-data/samples/expected.json, which PEFT and numpy computed
 * in float64, against the audit of the same files; and what each sample is there to show.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/auditing.h"

#include <cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLES "benchmark-data/samples/"
static const double EPS = 0x1p-52;

static lora_record *audit(const char *file_name)
{
    char path[300];
    snprintf(path, sizeof path, SAMPLES "%s", file_name);
    return audit_path(path);
}

static cJSON *read_expected(void)
{
    FILE *f = fopen(SAMPLES "expected.json", "rb");
    assert_non_null(f);
    static char text[1 << 20];
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    cJSON *tree = cJSON_ParseWithLength(text, n);
    assert_non_null(tree);
    return tree;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void compare_spectrum(const char *name, const cJSON *expected, const double *sigma, size_t n)
{
    double first = cJSON_GetArrayItem(expected, 0)->valuedouble;
    int listed = cJSON_GetArraySize(expected);
    for (int i = 0; i < listed; i++) {
        double got = i < (int)n ? sigma[i] : 0, want = cJSON_GetArrayItem(expected, i)->valuedouble;
        if (!(fabs(got - want) <= 1e-9 * first + 1e-300))
            fail_msg("%s: singular value %d is %.17g, expected %.17g", name, i, got, want);
    }
}

static const module_record *find_module(const lora_record *r, const char *name)
{
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const char *own = r->modules[i].module->name;
        size_t n = strlen(own), all = strlen(name);
        if (n <= all && strcmp(name + all - n, own) == 0)
            return &r->modules[i];
    }
    return NULL;
}

static void compare_module(const lora_record *r, const cJSON *want)
{
    const char *name = cJSON_GetObjectItem(want, "name")->valuestring;
    const module_record *got = find_module(r, name);
    if (!got)
        fail_msg("%s: module %s is missing", r->path, name);
    assert_int_equal(got->module->m, number(want, "out"));
    assert_int_equal(got->module->n, number(want, "in"));
    assert_int_equal(got->module->r, number(want, "rank"));
    assert_true(fabs(got->module->scale - number(want, "scale")) <= EPS * fabs(number(want, "scale")));
    if (!cJSON_IsTrue(cJSON_GetObjectItem(want, "finite"))) {
        assert_int_equal(got->spectrum.status, SPECTRAL_E_NONFINITE);
        return;
    }
    assert_int_equal(got->spectrum.status, SPECTRAL_OK);
    double frobenius = number(want, "frobenius");
    if (!(fabs(got->spectrum.frobenius - frobenius) <= 1e-12 * frobenius))
        fail_msg("%s: norm %.17g, expected %.17g", name, got->spectrum.frobenius, frobenius);
    compare_spectrum(name, cJSON_GetObjectItem(want, "sigma"), got->spectrum.sigma, got->n_sigma);
    compare_spectrum(name, cJSON_GetObjectItem(want, "sigma_a"), got->spectrum.sigma_a, got->n_sigma_a);
    compare_spectrum(name, cJSON_GetObjectItem(want, "sigma_b"), got->spectrum.sigma_b, got->n_sigma_b);
}

static void every_number_agrees_with_peft_and_numpy(void **state)
{
    (void)state;
    cJSON *tree = read_expected();
    const cJSON *sample, *module;
    size_t n_modules = 0;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItem(tree, "samples"))
    {
        lora_record *r = audit(cJSON_GetObjectItem(sample, "file")->valuestring);
        const cJSON *modules = cJSON_GetObjectItem(sample, "modules");
        assert_int_equal(r->adapter.n_modules, cJSON_GetArraySize(modules));
        assert_string_equal(layout_name(r->adapter.layout), cJSON_GetObjectItem(sample, "layout")->valuestring);
        cJSON_ArrayForEach(module, modules)
        {
            compare_module(r, module);
            n_modules++;
        }
        record_destroy(r);
    }
    cJSON_Delete(tree);
    assert_true(n_modules > 200);
}

/* Which samples a rule must speak of, and no other. */
static void the_rules_speak_of_their_samples_and_of_no_other(void **state)
{
    (void)state;
    static const struct {
        const char *file, *rules; /* rules separated by blanks, each with blanks around */
        record_status status;
        safety_verdict safety;
    } cases[] = {
        {"peft-llama-f32/adapter_model.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"peft-rslora-patterns-bf16/adapter_model.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"peft-gpt2-conv1d-f16/adapter_model.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"diffusers-unet-f32/pytorch_lora_weights.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"kohya-unet-f16.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"loralib-f32.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"untrained/adapter_model.safetensors", " untrained-adapter ", STATUS_UNTRAINED, SAFETY_INCONCLUSIVE},
        {"ablation-r1/adapter_model.safetensors", " directional-ablation untrained-modules ", STATUS_OK, SAFETY_FLAGGED},
        {"ablation-r3/adapter_model.safetensors", " directional-ablation untrained-modules svd-factored ", STATUS_OK,
         SAFETY_FLAGGED},
        {"narrow-rank1/adapter_model.safetensors", " ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"svd-extracted/adapter_model.safetensors", " svd-factored ", STATUS_OK, SAFETY_INCONCLUSIVE},
        {"not-finite/adapter_model.safetensors", " non-finite-weights ", STATUS_OK, SAFETY_INCONCLUSIVE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lora_record *r = audit(cases[i].file);
        assert_int_equal(r->status, cases[i].status);
        assert_int_equal(r->safety, cases[i].safety);
        for (size_t k = 0; k < rules_count; k++) {
            char word[64];
            snprintf(word, sizeof word, " %s ", rules_table[k].id);
            bool wanted = strstr(cases[i].rules, word) != NULL;
            if (wanted != (find_rule(r, rules_table[k].id) != NULL))
                fail_msg("%s: %s %s", cases[i].file, rules_table[k].id, wanted ? "is silent" : "speaks");
        }
        record_destroy(r);
    }
}

static void declared_sizes_and_init_laws_are_as_trained(void **state)
{
    (void)state;
    lora_record *r = audit("peft-llama-f32/adapter_model.safetensors");
    assert_true(r->declared.present && r->declared.value == 60);
    assert_string_equal(r->declared.source, "all_results.json");
    record_destroy(r);
    r = audit("kohya-unet-f16.safetensors");
    assert_true(r->declared.present && r->declared.value == 20);
    record_destroy(r);
    r = audit("untrained/adapter_model.safetensors");
    assert_string_equal(r->init.law, "kaiming-uniform");
    assert_true(r->init.outside_support == 0 && fabs(r->init.z) < 3);
    assert_true(r->effort.max_abs_b == 0);
    record_destroy(r);
}

static void the_kurtosis_lies_within_its_error_of_the_exact_one(void **state)
{
    (void)state;
    lora_options all = {.jobs = 1, .rules = RULE_SET_ALL, .moments = true};
    lora_auditor *exact;
    assert_int_equal(lora_auditor_create(&all, &exact, NULL), LORA_OK);
    lora_record *sampled = audit("kohya-unet-f16.safetensors"), *full = NULL;
    assert_int_equal(lora_audit_file(exact, 0, SAMPLES "kohya-unet-f16.safetensors", &full, NULL), LORA_OK);
    size_t far = 0;
    for (size_t i = 0; i < full->adapter.n_modules; i++) {
        const spectral_result *s = &sampled->modules[i].spectrum, *f = &full->modules[i].spectrum;
        assert_true(f->kurtosis_se == 0 && f->kurtosis >= 1);
        far += !(fabs(s->kurtosis - f->kurtosis) <= 3 * s->kurtosis_se + 1e-9 * f->kurtosis);
    }
    assert_true(far <= full->adapter.n_modules / 20);
    record_destroy(sampled);
    record_destroy(full);
    lora_auditor_destroy(exact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_agrees_with_peft_and_numpy),
        cmocka_unit_test(the_rules_speak_of_their_samples_and_of_no_other),
        cmocka_unit_test(declared_sizes_and_init_laws_are_as_trained),
        cmocka_unit_test(the_kurtosis_lies_within_its_error_of_the_exact_one),
    };
    return cmocka_run_group_tests(tests, auditing_set_up, auditing_tear_down);
}
