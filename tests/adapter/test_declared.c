/* Declared dataset sizes: each source, their order, and the rounding range of trainer_state.json.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/declared.h"
#include "analyzer/base/text.h"
#include "tests/support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* steps, epoch and batch as a Trainer with N samples would leave them after `whole` steps; the range must hold N. */
static void the_range_holds_the_true_size(void **state)
{
    (void)state;
    static const int batches[] = {1, 2, 3, 8, 16};
    for (int n = 1; n < 3000; n = n * 5 / 4 + 1)
        for (size_t i = 0; i < 5; i++) {
            int b = batches[i], per_epoch = (n + b - 1) / b;
            static const double parts[] = {0.3, 1, 2.5, 10};
            for (size_t k = 0; k < 4; k++) {
                double steps = ceil(parts[k] * per_epoch), epoch = steps / per_epoch;
                declared_size exact = {0}, rounded = {0};
                assert_true(declared_from_steps(steps, epoch, b, &exact));
                bool narrow = epoch != floor(epoch) || exact.high - exact.low < b;
                if (!(exact.low <= n && n <= exact.high && narrow))
                    fail_msg("n %d, batch %d, epoch %g: %g to %g", n, b, epoch, exact.low, exact.high);
                assert_true(exact.low <= exact.value && exact.value <= exact.high);
                double printed = round(epoch * 100) / 100;
                if (printed > 0 && declared_from_steps(steps, printed, b, &rounded) &&
                    !(rounded.low <= n && n <= rounded.high))
                    fail_msg("n %d, batch %d, epoch printed %g: %g to %g", n, b, printed, rounded.low, rounded.high);
            }
        }
}

static void nonsense_is_no_size(void **state)
{
    (void)state;
    static const double cases[][3] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {-5, 1, 1}, {NAN, 1, 1}, {1, NAN, 1}, {1, 1, NAN},
                                      {INFINITY, 1, 1}, {1e300, 1e-300, 1}, {1, -1, 1}, {1, 1e300, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        declared_size size = {0};
        assert_false(declared_from_steps(cases[i][0], cases[i][1], cases[i][2], &size));
        assert_false(size.present);
    }
}

static declared_size load(const fixture *fx, const char *path, const char *key, const char *value, declared_training *training)
{
    arena *mem = arena_create();
    catalog_metadata entry = {key, value};
    catalog cat = {.metadata = &entry, .n_metadata = key ? 1 : 0};
    declared_size size;
    declared_training unused;
    lora_error err = {0};
    assert_int_equal(declared_load(fixture_path(fx, path), &cat, mem, &size, training ? training : &unused, &err), LORA_OK);
    if (size.present)
        assert_non_null(size.note);
    size.note = NULL; /* dies with the arena */
    arena_destroy(mem);
    return size;
}

static void each_source_is_read_and_the_best_one_wins(void **state)
{
    (void)state;
    fixture fx;
    fixture_open(&fx);
    declared_size size = load(&fx, "x.safetensors", NULL, NULL, NULL);
    assert_false(size.present);

    fixture_text(&fx, "trainer_state.json", "{\"global_step\":40,\"epoch\":10.0,\"train_batch_size\":3,"
                                            "\"log_history\":[{\"learning_rate\":1e-5},{\"learning_rate\":2e-4},{\"loss\":1}]}");
    declared_training training;
    size = load(&fx, "x.safetensors", NULL, NULL, &training);
    assert_true(size.present && size.value == 12 && size.low == 10 && size.high == 12);
    assert_string_equal(size.source, "trainer_state.json");
    assert_true(training.steps == 40 && training.learning_rate == 2e-4);

    size = load(&fx, "x.safetensors", "ss_dataset_dirs",
                "{\"16_a\":{\"n_repeats\":16,\"img_count\":43},\"4_b\":{\"n_repeats\":4,\"img_count\":45}}", NULL);
    assert_true(size.value == 88);

    fixture_text(&fx, "train_results.json", "{\"epoch\":2.99,\"train_runtime\":10.0,\"train_samples_per_second\":30.0}");
    size = load(&fx, "x.safetensors", NULL, NULL, NULL);
    assert_true(size.value == 100 && size.low <= 100 && size.high >= 100);

    /* 2.5 epochs of 1000; max_steps that saw 800 of 1000 */
    fixture_text(&fx, "train_results.json", "{\"epoch\":2.5,\"train_runtime\":100.0,\"train_samples_per_second\":25.0}");
    size = load(&fx, "x.safetensors", NULL, NULL, NULL);
    assert_true(size.value == 1000 && size.low <= 1000 && size.high >= 1000);
    fixture_text(&fx, "train_results.json", "{\"epoch\":0.8,\"train_runtime\":80.0,\"train_samples_per_second\":10.0}");
    size = load(&fx, "x.safetensors", NULL, NULL, NULL);
    assert_true(size.value == 1000 && size.low <= 1000 && size.high >= 1000 && size.high < 1020);

    fixture_text(&fx, "all_results.json", "{\"train_samples\":8530,\"eval_loss\":NaN}");
    size = load(&fx, "x.safetensors", NULL, NULL, NULL);
    assert_true(size.value == 8530 && size.low == size.high);
    fixture_close(&fx);
}

/* A log of any length, with what Python writes for a loss that diverged. */
static void a_long_log_is_read_and_a_broken_one_is_told(void **state)
{
    (void)state;
    fixture fx;
    fixture_open(&fx);
    strbuf text = {0};
    strbuf_puts(&text, "{\"epoch\":10.0,\"log_history\":[1,{\"learning_rate\":NaN}");
    for (int i = 0; i < 400000; i++)
        strbuf_puts(&text, ",{\"loss\":0.1,\"learning_rate\":1e-4}");
    strbuf_puts(&text, "],\"global_step\":40,\"train_batch_size\":3}");
    fixture_write(&fx, "trainer_state.json", text.data, text.length);
    declared_training training;
    declared_size size = load(&fx, "x.safetensors", NULL, NULL, &training);
    assert_true(size.present && size.value == 12 && training.learning_rate == 1e-4);
    fixture_write(&fx, "trainer_state.json", text.data, text.length - 1);
    size = load(&fx, "x.safetensors", NULL, NULL, &training);
    assert_false(size.present);
    assert_int_equal(size.fault.code, LORA_E_JSON);
    strbuf_free(&text);
    fixture_close(&fx);
}

static void kohya_subsets_count_without_regularisation_images(void **state)
{
    (void)state;
    fixture fx;
    fixture_open(&fx);
    declared_size size = load(&fx, "x.safetensors", "ss_datasets",
                              "[{\"subsets\":[{\"img_count\":20,\"num_repeats\":5},{\"img_count\":200,\"is_reg\":true}]}]", NULL);
    assert_true(size.value == 20);
    size = load(&fx, "x.safetensors", "ss_num_train_images", "120", NULL);
    assert_true(size.value == 120 && size.low == 1);
    static const char *const broken[] = {"", "x", "{", "[]", "{\"a\":1}", "{\"a\":{\"img_count\":-3}}", "{\"a\":{\"img_count\":\"9\"}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_false(load(&fx, "x.safetensors", "ss_dataset_dirs", broken[i], NULL).present);
    fixture_close(&fx);
}

static void a_checkpoint_folder_is_described_by_the_folder_above(void **state)
{
    (void)state;
    fixture fx;
    fixture_open(&fx);
    fixture_text(&fx, "run/checkpoint-40/x.safetensors", "");
    fixture_text(&fx, "run/other/x.safetensors", "");
    fixture_text(&fx, "run/all_results.json", "{\"train_samples\":77}");
    assert_true(load(&fx, "run/checkpoint-40/x.safetensors", NULL, NULL, NULL).value == 77);
    assert_false(load(&fx, "run/other/x.safetensors", NULL, NULL, NULL).present);
    fixture_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_range_holds_the_true_size),
        cmocka_unit_test(nonsense_is_no_size),
        cmocka_unit_test(each_source_is_read_and_the_best_one_wins),
        cmocka_unit_test(a_long_log_is_read_and_a_broken_one_is_told),
        cmocka_unit_test(kohya_subsets_count_without_regularisation_images),
        cmocka_unit_test(a_checkpoint_folder_is_described_by_the_folder_above),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
