/* How a judge uses its banks: loaded once and when needed, broken ones are errors, any number of workers, memory that ends anywhere.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/support/alloc_fault.h"
#include "tests/support/auditing.h"
#include "tests/support/bank_sample.h"
#include "tests/support/bank_shelf.h"

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
#define CONTAINERS "benchmark-data/containers/"
#define FIRST CONTAINERS "safetensors/adapter_model.safetensors"

static bank_sample sample; /* of FIRST */

static int set_up(void **state)
{
    (void)state;
    bank_sample_make(FIRST, &sample);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bank_sample_free(&sample);
    return 0;
}

static lora_record *audit_judged(lora_judge *judge, const char *path)
{
    return audit_with(&(lora_options){.judge = judge}, path);
}

static void every_container_gives_the_same_answers(void **state)
{
    (void)state;
    static const char *const files[] = {
        "safetensors/adapter_model.safetensors", "torch-zip/adapter_model.bin", "torch-legacy/adapter_model.bin",
        "npz-stored/adapter_model.npz", "npz-deflated/adapter_model.npz", "gguf/adapter_model.gguf",
        "hdf5-contiguous/adapter_model.h5", "hdf5-chunked/adapter_model.h5"};
    bank_shelf size = {.bank = &sample.size}, safety = {.bank = &sample.removed};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&size, "size"), shelf_head(&safety, "safety")}, 2);
    lora_record *first = audit_judged(judge, FIRST);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[300];
        snprintf(path, sizeof path, CONTAINERS "%s", files[i]);
        lora_record *r = audit_judged(judge, path);
        assert_non_null(r->estimate);
        const size_answer *a = &r->estimate->answer, *b = &first->estimate->answer;
        if (a->value != b->value || a->low != b->low || a->high != b->high || a->distance != b->distance ||
            r->safety != first->safety || r->safety_score != first->safety_score)
            fail_msg("%s: %g (%g to %g), score %.17g; the first: %g (%g to %g), %.17g", path, a->value, a->low, a->high, r->safety_score,
                     b->value, b->low, b->high, first->safety_score);
        record_destroy(r);
    }
    record_destroy(first);
    assert_int_equal(size.loads, 1);
    assert_int_equal(safety.loads, 1);
    judge_destroy(judge);
}

static void a_broken_bank_is_an_error_of_the_run(void **state)
{
    (void)state;
    static const struct {
        const classifier_bank *bank;
        const char *without;
        lora_code refuses;
    } cases[] = {{&sample.size, NULL, LORA_E_BANK}, {&sample.size, "", LORA_OK}, {&sample.kept, "", LORA_OK}, {&sample.kept, NULL, LORA_E_OPEN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *without = cases[i].without ? cases[i].bank->tables[0].name : NULL;
        bank_shelf s = {.bank = cases[i].bank, .without = without, .refuses = cases[i].refuses};
        lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "broken")}, 1);
        lora_options options = {.jobs = 1, .rules = RULE_SET_ALL, .judge = judge};
        lora_auditor *auditor = NULL;
        lora_record *r = NULL;
        lora_error err = {0};
        lora_code wanted = cases[i].refuses ? cases[i].refuses : LORA_E_BANK;
        assert_int_equal(lora_auditor_create(&options, &auditor, NULL), LORA_OK);
        assert_int_equal(lora_audit_file(auditor, 0, SAMPLES "loralib-f32.safetensors", &r, &err), LORA_OK); /* of another frame */
        record_destroy(r);
        r = NULL;
        for (int twice = 0; twice < 2; twice++) {
            err = (lora_error){0};
            assert_int_equal(lora_audit_file(auditor, 0, FIRST, &r, &err), wanted);
            assert_null(r);
            assert_int_equal(err.code, wanted);
            if (without)
                assert_non_null(strstr(err.message, "bank broken: "));
        }
        assert_int_equal(judge_load(judge, 0, &(lora_error){0}), wanted);
        lora_auditor_destroy(auditor);
        judge_destroy(judge);
    }
}

typedef struct {
    lora_auditor *auditor;
    double value[16], score[16];
} crowd;

static void audit_in_crowd(void *arg, size_t index, size_t worker)
{
    crowd *c = arg;
    lora_record *r = NULL;
    if (lora_audit_file(c->auditor, worker, FIRST, &r, NULL) == LORA_OK && r->estimate) {
        c->value[index] = r->estimate->answer.low;
        c->score[index] = r->safety_score;
    }
    record_destroy(r);
}

static void many_workers_ask_one_judge(void **state)
{
    (void)state;
    bank_shelf size = {.bank = &sample.size}, safety = {.bank = &sample.kept};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&size, "size"), shelf_head(&safety, "safety")}, 2);
    lora_options options = {.jobs = 4, .rules = RULE_SET_ALL, .judge = judge};
    crowd c = {0};
    assert_int_equal(lora_auditor_create(&options, &c.auditor, NULL), LORA_OK);
    lora_auditor_run(c.auditor, 16, audit_in_crowd, &c);
    for (size_t i = 0; i < 16; i++) {
        assert_true(c.value[i] > 0 && c.value[i] == c.value[0]);
        assert_true(c.score[i] == c.score[0]);
    }
    assert_int_equal(size.loads, 1);
    assert_int_equal(safety.loads, 1);
    lora_auditor_destroy(c.auditor);
    judge_destroy(judge);
}

static void memory_may_end_at_any_allocation(void **state)
{
    (void)state;
    bank_shelf size = {.bank = &sample.size}, safety = {.bank = &sample.removed};
    judge_bank banks[] = {shelf_head(&size, "size"), shelf_head(&safety, "safety")};
    long most = 0;
    for (int kind = ALLOC_FAULT_STICKY; kind <= ALLOC_FAULT_ONCE; kind++) {
        bool refused = true;
        for (long k = 0; refused; k++) {
            lora_judge *judge = NULL;
            lora_error err = {0};
            lora_record *r = audit_with(&(lora_options){.keep_factors = true}, FIRST);
            r->declared = (declared_size){.present = true, .value = 1e6, .low = 1e6, .high = 1e6, .source = "a test"};
            alloc_fault_after(k, (alloc_fault_kind)kind);
            lora_code code = judge_create(banks, 2, &judge, &err);
            if (code == LORA_OK)
                code = judge_record(judge, r, &err);
            refused = alloc_fault_end();
            if (code != LORA_OK) {
                assert_true(refused);
                assert_int_equal(code, LORA_E_MEMORY);
                assert_int_equal(err.code, LORA_E_MEMORY);
            } else {
                assert_non_null(r->estimate);
                assert_non_null(find_rule(r, "size-claim-contradicted"));
                assert_non_null(find_rule(r, "safety-removal-score"));
            }
            record_destroy(r);
            judge_destroy(judge);
            most = k > most ? k : most;
        }
    }
    assert_true(most > 10);
}

/* The whole audit with banks that are loaded already. */
static void memory_may_end_anywhere_in_a_judged_audit(void **state)
{
    (void)state;
    bank_shelf size = {.bank = &sample.size}, safety = {.bank = &sample.removed};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&size, "size"), shelf_head(&safety, "safety")}, 2);
    lora_options options = {.jobs = 1, .rules = RULE_SET_ALL, .judge = judge};
    lora_auditor *auditor = NULL;
    assert_int_equal(lora_auditor_create(&options, &auditor, NULL), LORA_OK);
    assert_int_equal(judge_load(judge, 0, NULL), LORA_OK);
    assert_int_equal(judge_load(judge, 1, NULL), LORA_OK);
    for (int kind = ALLOC_FAULT_STICKY; kind <= ALLOC_FAULT_ONCE; kind++) {
        bool refused = true;
        for (long k = 0; refused; k++) {
            lora_record *r = NULL;
            lora_error err = {0};
            alloc_fault_after(k, (alloc_fault_kind)kind);
            lora_code code = lora_audit_file(auditor, 0, FIRST, &r, &err);
            refused = alloc_fault_end();
            if (code != LORA_OK) {
                assert_true(refused);
                assert_int_equal(code, LORA_E_MEMORY);
                assert_null(r);
            } else {
                assert_non_null(r->estimate);
                assert_int_equal(r->safety, SAFETY_FLAGGED);
                assert_null(r->modules[0].a);
            }
            record_destroy(r);
        }
    }
    lora_auditor_destroy(auditor);
    judge_destroy(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_container_gives_the_same_answers),
        cmocka_unit_test(a_broken_bank_is_an_error_of_the_run),
        cmocka_unit_test(many_workers_ask_one_judge),
        cmocka_unit_test(memory_may_end_at_any_allocation),
        cmocka_unit_test(memory_may_end_anywhere_in_a_judged_audit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
