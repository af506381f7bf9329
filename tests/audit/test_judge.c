/* What banks say about records: estimates, abstentions with their reason, scores and their findings. The banks are those of
 * bank_sample.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/profile.h"
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
    if (auditing_set_up(state) != 0)
        return 1;
    bank_sample_make(FIRST, &sample);
    return 0;
}

static int tear_down(void **state)
{
    bank_sample_free(&sample);
    return auditing_tear_down(state);
}

static lora_record *audit_judged(lora_judge *judge, const char *path)
{
    return audit_with(&(lora_options){.judge = judge}, path);
}

/* ---- how many samples? ---- */

static void an_adapter_of_the_banks_recipe_is_estimated(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.size};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "tiny")}, 1);
    lora_record *r = audit_judged(judge, FIRST);
    assert_non_null(r->estimate);
    assert_null(r->abstained);
    const size_answer *a = &r->estimate->answer;
    assert_true(a->value == BANK_SAMPLE_SIZE);
    assert_true(a->low <= 10 && 10 <= a->high && a->high < 1000);
    assert_true(fabs(a->coverage - 0.9) < 1e-12);
    assert_string_equal(r->estimate->bank, "tiny");
    assert_true(a->n_votes >= 1 && a->vote_size[0] == 10);
    assert_int_equal(a->n_neighbours, SIZE_NEIGHBOURS);
    for (size_t i = 0; i < SIZE_NEIGHBOURS; i++) {
        assert_true(r->estimate->neighbour_size[i] == 10);
        assert_non_null(strstr(r->estimate->neighbour[i], "set-"));
    }
    assert_null(find_rule(r, "size-claim-contradicted"));
    record_destroy(r);
    judge_destroy(judge);
}

static void without_a_bank_of_the_recipe_the_reason_says_which_is_missing(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.size};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "tiny")}, 1), *none = shelf_judge(NULL, 0);
    static const char *const files[] = {SAMPLES "peft-llama-f32/adapter_model.safetensors", SAMPLES "kohya-unet-f16.safetensors",
                                        SAMPLES "peft-rslora-patterns-bf16/adapter_model.safetensors"};
    for (size_t i = 0; i < 2 * sizeof files / sizeof *files; i++) {
        lora_record *r = audit_judged(i % 2 ? none : judge, files[i / 2]);
        assert_null(r->estimate);
        char start[64];
        snprintf(start, sizeof start, "no bank of this recipe (%.16s", profile_recipe(r));
        assert_int_equal(strncmp(r->abstained, start, strlen(start)), 0);
        assert_non_null(strstr(r->abstained, "'loraudit train --task dataset-size' builds one"));
        assert_true(strlen(r->abstained) < 160 + 100);
        assert_null(strchr(r->abstained, '\n'));
        record_destroy(r);
    }
    assert_int_equal(s.loads, 0);
    judge_destroy(judge);
    judge_destroy(none);
}

static void what_cannot_be_judged_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *file, *why;
    } cases[] = {{SAMPLES "untrained/adapter_model.safetensors", "untrained: every update is zero"},
                 {SAMPLES "not-finite/adapter_model.safetensors", "values that are not finite"},
                 {SAMPLES "PROVENANCE.md", "no modules were measured"}};
    lora_judge *judge = shelf_judge(NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lora_record *r = audit_judged(judge, cases[i].file);
        assert_string_equal(r->abstained, cases[i].why);
        assert_string_equal(r->safety_reason, cases[i].why);
        assert_int_equal(r->safety, SAFETY_INCONCLUSIVE);
        assert_null(r->estimate);
        record_destroy(r);
    }
    judge_destroy(judge);
    lora_record *r = audit_path(FIRST);
    assert_string_equal(r->abstained, "no reference bank was asked");
    record_destroy(r);
}

/* The adapter, a thousand times larger: its recipe is the bank's, its norms are not. */
static void write_large(void)
{
    static float x[64 * 64];
    tensor_file t;
    tensors_begin(&t);
    for (size_t i = 0; i < sample.base->adapter.n_modules; i++) {
        const module_record *m = &sample.base->modules[i];
        char name[200];
        snprintf(name, sizeof name, "base_model.model.model.%s.lora_A.weight", m->module->name);
        tensors_add_f32(&t, name, m->module->r, m->module->n, m->a);
        for (size_t k = 0; k < m->module->m * m->module->r; k++)
            x[k] = 1000 * m->b[k];
        snprintf(name, sizeof name, "base_model.model.model.%s.lora_B.weight", m->module->name);
        tensors_add_f32(&t, name, m->module->m, m->module->r, x);
    }
    tensors_save(&t, auditing_folder(), "large/adapter_model.safetensors");
    fixture_text(auditing_folder(), "large/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8}");
}

static void an_adapter_far_from_the_banks_members_is_not_estimated(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.size}, other = {.bank = &sample.size};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "first"), shelf_head(&other, "second")}, 2);
    write_large();
    lora_record *r = audit_judged(judge, fixture_path(auditing_folder(), "large/adapter_model.safetensors"));
    assert_string_equal(profile_recipe(r), sample.profile.recipe);
    assert_null(r->estimate);
    assert_int_equal(strncmp(r->abstained, "bank first: ", 12), 0);
    assert_int_equal(s.loads, 1);
    assert_int_equal(other.loads, 1); /* asked when the first abstains */
    record_destroy(r);
    r = audit_judged(judge, FIRST);
    assert_string_equal(r->estimate->bank, "first");
    record_destroy(r);
    assert_int_equal(s.loads, 1);
    judge_destroy(judge);
}

static void a_claim_outside_the_interval_is_contradicted(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.size};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "tiny")}, 1);
    lora_record *asked = audit_judged(judge, FIRST);
    double low = asked->estimate->answer.low, high = asked->estimate->answer.high;
    record_destroy(asked);
    const struct {
        double value, low, high; /* as declared */
        bool contradicted;
    } cases[] = {{10, 10, 10, false},
                 {low, low, low, false},
                 {0.9 * low, 0.9 * low, 0.9 * low, true},
                 {high, high, high, false},
                 {1.1 * high, 1.1 * high, 1.1 * high, true},
                 {9 * high, 10, 10 * high, false},
                 {9 * high, 8 * high, 10 * high, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lora_record *r = audit_path(FIRST);
        r->declared = (declared_size){.present = true, .value = cases[i].value, .low = cases[i].low, .high = cases[i].high, .source = "a test"};
        assert_int_equal(judge_record(judge, r, NULL), LORA_OK);
        const finding *f = find_rule(r, "size-claim-contradicted");
        if ((f != NULL) != cases[i].contradicted)
            fail_msg("case %zu", i);
        if (f) {
            assert_int_equal(f->severity, SEVERITY_MEDIUM);
            assert_non_null(strstr(f->message, "suggests"));
            assert_non_null(strstr(f->message, "90 %"));
            assert_non_null(strstr(f->message, "tiny"));
        }
        record_destroy(r);
    }
    judge_destroy(judge);
}

/* ---- was safety training removed? ---- */

static void a_bank_of_the_base_flags_or_clears_with_its_score(void **state)
{
    (void)state;
    bank_shelf removed = {.bank = &sample.removed}, kept = {.bank = &sample.kept};
    lora_judge *flags = shelf_judge((judge_bank[]){shelf_head(&removed, "removed")}, 1);
    lora_judge *clears = shelf_judge((judge_bank[]){shelf_head(&kept, "kept")}, 1);
    lora_record *r = audit_judged(flags, FIRST);
    if (r->safety != SAFETY_FLAGGED)
        fail_msg("%s: score %g, threshold %g, %s", safety_name(r->safety), r->safety_score, r->safety_threshold,
                 r->safety_reason ? r->safety_reason : "");
    assert_true(r->safety_score >= r->safety_threshold && r->safety_score <= 1);
    assert_int_equal(r->safety_controls, BANK_SAMPLE_CONTROLS);
    assert_true(r->safety_fpr_bound > 0 && r->safety_fpr_bound < 0.5);
    assert_string_equal(r->safety_bank, "removed");
    assert_null(r->safety_reason);
    const finding *f = find_rule(r, "safety-removal-score");
    assert_non_null(f);
    assert_int_equal(f->severity, SEVERITY_HIGH);
    assert_non_null(strstr(f->message, "64 controls"));
    static const char *const keys[] = {"score", "threshold", "bank", "controls", "fpr_bound", "mean_abs_b", "steps_at_least", "confound"};
    for (size_t i = 0, k; i < sizeof keys / sizeof *keys; i++) {
        for (k = 0; k < f->n_evidence && strcmp(f->evidence[k].key, keys[i]) != 0;)
            k++;
        if (k == f->n_evidence)
            fail_msg("no evidence %s", keys[i]);
    }
    record_destroy(r);
    r = audit_judged(clears, FIRST);
    assert_int_equal(r->safety, SAFETY_NOT_FLAGGED);
    assert_true(r->safety_score < r->safety_threshold);
    assert_null(find_rule(r, "safety-removal-score"));
    assert_null(r->safety_reason);
    record_destroy(r);
    judge_destroy(flags);
    judge_destroy(clears);
}

static void a_score_whose_bound_does_not_hold_is_inconclusive(void **state)
{
    (void)state;
    bank_shelf few = {.bank = &sample.few}, kept = {.bank = &sample.kept};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&few, "few")}, 1);
    lora_record *r = audit_judged(judge, FIRST);
    assert_int_equal(r->safety, SAFETY_INCONCLUSIVE);
    assert_int_equal(strncmp(r->safety_reason, "bank few: ", 10), 0);
    assert_string_equal(r->safety_bank, "few");
    assert_int_equal(r->safety_controls, BANK_SAMPLE_FEW_CONTROLS);
    assert_true(r->safety_score >= 0);
    assert_null(find_rule(r, "safety-removal-score"));
    record_destroy(r);
    judge_destroy(judge);
    judge = shelf_judge((judge_bank[]){shelf_head(&few, "few"), shelf_head(&kept, "kept")}, 2);
    r = audit_judged(judge, FIRST); /* the next one decides */
    assert_int_equal(r->safety, SAFETY_NOT_FLAGGED);
    assert_string_equal(r->safety_bank, "kept");
    assert_int_equal(r->safety_controls, BANK_SAMPLE_CONTROLS);
    assert_null(r->safety_reason);
    record_destroy(r);
    judge_destroy(judge);
}

static void without_a_bank_of_the_base_the_verdict_stays_open(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.kept};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "kept")}, 1);
    lora_record *r = audit_judged(judge, SAMPLES "peft-llama-f32/adapter_model.safetensors");
    assert_int_equal(r->safety, SAFETY_INCONCLUSIVE);
    assert_int_equal(strncmp(r->safety_reason, "no safety bank for this base", 28), 0);
    assert_null(r->safety_bank);
    assert_true(isnan(r->safety_score));
    assert_null(r->modules[0].a); /* nobody needs its factors */
    record_destroy(r);
    r = audit_judged(judge, FIRST);
    assert_null(r->modules[0].a); /* the bank was asked: they are gone */
    assert_int_equal(r->safety, SAFETY_NOT_FLAGGED);
    record_destroy(r);
    r = audit_with(&(lora_options){.judge = judge, .keep_factors = true}, FIRST);
    assert_non_null(r->modules[0].a);
    assert_int_equal(r->safety, SAFETY_NOT_FLAGGED);
    record_destroy(r);
    judge_destroy(judge);
    bool wants = true;
    assert_int_equal(judge_wants_factors(NULL, sample.base, &wants, NULL), LORA_OK);
    assert_false(wants);
}

static void an_exact_rules_verdict_is_never_taken_back(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.kept};
    lora_judge *judge = shelf_judge((judge_bank[]){shelf_head(&s, "kept")}, 1);
    lora_record *r = audit_path(FIRST);
    r->safety = SAFETY_FLAGGED;
    r->safety_reason = NULL;
    assert_int_equal(judge_record(judge, r, NULL), LORA_OK);
    assert_int_equal(r->safety, SAFETY_FLAGGED);
    assert_null(r->safety_bank);
    assert_int_equal(s.loads, 0);
    record_destroy(r);
    r = audit_judged(judge, SAMPLES "ablation-r1/adapter_model.safetensors");
    assert_int_equal(r->safety, SAFETY_FLAGGED);
    assert_null(r->safety_reason);
    record_destroy(r);
    judge_destroy(judge);
}

static void without_all_factors_a_safety_bank_is_not_asked(void **state)
{
    (void)state;
    bank_shelf s = {.bank = &sample.kept};
    judge_bank bank = shelf_head(&s, "kept");
    lora_record *r = audit_path("benchmark-data/methods/peft-lokr/adapter_model.safetensors");
    bank.frame = profile_frame(r);
    lora_judge *judge = shelf_judge(&bank, 1);
    assert_int_equal(judge_record(judge, r, NULL), LORA_OK);
    assert_int_equal(r->safety, SAFETY_INCONCLUSIVE);
    assert_non_null(strstr(r->safety_reason, "another form"));
    assert_int_equal(s.loads, 0);
    record_destroy(r);
    judge_destroy(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_of_the_banks_recipe_is_estimated),
        cmocka_unit_test(without_a_bank_of_the_recipe_the_reason_says_which_is_missing),
        cmocka_unit_test(what_cannot_be_judged_says_why),
        cmocka_unit_test(an_adapter_far_from_the_banks_members_is_not_estimated),
        cmocka_unit_test(a_claim_outside_the_interval_is_contradicted),
        cmocka_unit_test(a_bank_of_the_base_flags_or_clears_with_its_score),
        cmocka_unit_test(a_score_whose_bound_does_not_hold_is_inconclusive),
        cmocka_unit_test(without_a_bank_of_the_base_the_verdict_stays_open),
        cmocka_unit_test(an_exact_rules_verdict_is_never_taken_back),
        cmocka_unit_test(without_all_factors_a_safety_bank_is_not_asked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
