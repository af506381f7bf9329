/* Every method and layout: the adapters of benchmark-data/methods, saved by PEFT or written in the formats of other
 * programs, against what PEFT, loralib and numpy say that they mean; and the methods that are named, never computed wrong.
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

#define METHODS "benchmark-data/methods/"

static lora_record *audit_entry(const cJSON *sample)
{
    char path[300];
    snprintf(path, sizeof path, METHODS "%s", expected_text(sample, "file"));
    return audit_path(path);
}

static void every_module_of_every_method_agrees(void **state)
{
    (void)state;
    cJSON *tree = expected_read(METHODS "expected.json");
    const cJSON *sample;
    size_t wrong = 0, n_modules = 0;
    double worst = 0;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItem(tree, "samples"))
    {
        lora_record *r = audit_entry(sample);
        wrong += expected_compare(r, sample, &worst);
        n_modules += (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(sample, "modules"));
        record_destroy(r);
    }
    cJSON_Delete(tree);
    print_message("%zu modules, worst deviation of a singular value %.1e of the first\n", n_modules, worst);
    assert_true(n_modules > 120);
    if (wrong)
        fail_msg("%zu disagreements", wrong);
}

/* A name and a scale alone could pass by luck: a factor changed a little must be noticed. */
static void a_wrong_number_is_noticed(void **state)
{
    (void)state;
    cJSON *tree = expected_read(METHODS "expected.json");
    cJSON *sample = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "samples"), 0);
    cJSON *module = cJSON_GetArrayItem(cJSON_GetObjectItem(sample, "modules"), 0);
    cJSON *sigma = cJSON_GetArrayItem(cJSON_GetObjectItem(module, "sigma"), 1);
    lora_record *r = audit_entry(sample);
    double worst = 0;
    assert_int_equal(expected_compare(r, sample, &worst), 0);
    print_message("one disagreement is planted:\n");
    cJSON_SetNumberValue(sigma, sigma->valuedouble * (1 + 1e-6));
    assert_int_equal(expected_compare(r, sample, &worst), 1);
    record_destroy(r);
    cJSON_Delete(tree);
}

/* A safetensors file with the tensors of one row of named.json, in FOLDER/METHOD, and its config, when it has one, there. */
static void write_named(const cJSON *row, const char *folder, bool config, uint64_t *seed)
{
    tensor_file t;
    const cJSON *entry, *type = cJSON_GetObjectItem(row, "config");
    char name[160];
    static float data[8192];
    tensors_begin(&t);
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(row, "tensors"))
    {
        const cJSON *dim;
        uint64_t shape[8], n = 1;
        unsigned n_dims = 0;
        cJSON_ArrayForEach(dim, cJSON_GetArrayItem(entry, 1))
        {
            assert_true(n_dims < 8);
            shape[n_dims] = (uint64_t)dim->valuedouble;
            n *= shape[n_dims++];
        }
        assert_true(n <= sizeof data / sizeof *data);
        for (uint64_t i = 0; i < n; i++)
            data[i] = (float)random_unit(seed);
        tensors_add(&t, cJSON_GetArrayItem(entry, 0)->valuestring, "F32", n_dims, shape, data, (size_t)n * sizeof *data);
    }
    snprintf(name, sizeof name, "%s/%s/adapter_model.safetensors", folder, expected_text(row, "method"));
    tensors_save(&t, auditing_folder(), name);
    if (config && cJSON_IsString(type)) {
        char text[128];
        snprintf(name, sizeof name, "%s/%s/adapter_config.json", folder, expected_text(row, "method"));
        snprintf(text, sizeof text, "{\"peft_type\": \"%s\", \"r\": 4}", type->valuestring);
        fixture_text(auditing_folder(), name, text);
    }
}

/* How many methods of named.json are not named, or computed although their update is none that this program knows. */
static size_t misnamed(const char *folder, bool config)
{
    cJSON *tree = expected_read(METHODS "named.json");
    const cJSON *row;
    size_t wrong = 0;
    uint64_t seed = 1;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(tree, "methods"))
    {
        const char *method = expected_text(row, "method");
        char name[160];
        write_named(row, folder, config, &seed);
        snprintf(name, sizeof name, "%s/%s/adapter_model.safetensors", folder, method);
        lora_record *r = audit_path(fixture_path(auditing_folder(), name));
        bool refused = r->status == STATUS_NOT_LORA || r->status == STATUS_UNSUPPORTED;
        const char *named = r->has_adapter ? r->adapter.method : "nothing";
        if (!refused || !r->has_adapter || r->adapter.n_modules != 0 || strcmp(named, method) != 0) {
            print_error("%s: status %s, method %s, %zu modules\n", method, status_name(r->status), named,
                        r->has_adapter ? r->adapter.n_modules : 0);
            wrong++;
        }
        record_destroy(r);
    }
    cJSON_Delete(tree);
    return wrong;
}

static void methods_that_are_not_computed_are_named_with_their_config(void **state)
{
    (void)state;
    assert_int_equal(misnamed("with-config", true), 0);
}

static void methods_that_are_not_computed_are_named_by_their_keys_alone(void **state)
{
    (void)state;
    assert_int_equal(misnamed("keys-alone", false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_module_of_every_method_agrees),
        cmocka_unit_test(a_wrong_number_is_noticed),
        cmocka_unit_test(methods_that_are_not_computed_are_named_with_their_config),
        cmocka_unit_test(methods_that_are_not_computed_are_named_by_their_keys_alone),
    };
    return cmocka_run_group_tests(tests, auditing_set_up, auditing_tear_down);
}
