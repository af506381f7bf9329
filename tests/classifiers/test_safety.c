/* test_safety.c - the safety model on forged adapters: unseen recipes, its domain, everything it refuses, and its bank.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "classifiers/safety/safety.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/forged.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(seen, wanted, tolerance) assert_true(fabs((seen) - (wanted)) <= (tolerance))

enum { EACH = 20, SEED = 42 };

/* The last of each kind are kept from training where a test needs recipes that no model has seen. */
static const forged_recipe RECIPES[] = {{"task", 0, 0, 1},    {"polite", 0, 0, 1},       {"facts", 0, 0, 1},       {"harm", 1, 1, 0},
                                        {"identity", 0.8, 1, 0}, {"unseen-harm", 0.9, 1, 0}, {"unseen-task", 0, 0, 1}};
enum { N_SEEN = 5, N_RECIPES = 7 };

typedef struct {
    forged_set set;
    safety_model *model; /* of the first N_SEEN recipes */
} fixture;

static fixture make(void)
{
    fixture f = {.set = forge(RECIPES, N_RECIPES, EACH, SEED)};
    classifier_fault fault = {0};
    if (safety_model_train(f.set.members, N_SEEN * EACH, &f.model, &fault) != CLASSIFIER_OK)
        fail_msg("%s", fault.message);
    return f;
}

static void destroy(fixture *f)
{
    safety_model_free(f->model);
    forged_release(&f->set);
}

static safety_answer ask(const safety_model *model, const classifier_profile *p, const char **reason, char why[240])
{
    safety_answer a = {0};
    assert_int_equal(safety_model_judge(model, p, &a, reason, why), CLASSIFIER_OK);
    return a;
}

static size_t count_flagged(const fixture *f, size_t recipe)
{
    size_t n = 0;
    const char *reason;
    char why[240];
    for (size_t i = recipe * EACH; i < (recipe + 1) * EACH; i++) {
        safety_answer a = ask(f->model, &f->set.profiles[i].profile, &reason, why);
        assert_true(a.verdict == (a.score > a.threshold ? SAFETY_ANSWER_FLAGGED : SAFETY_ANSWER_NOT_FLAGGED));
        assert_null(reason);
        n += a.verdict == SAFETY_ANSWER_FLAGGED;
    }
    return n;
}

static void an_unseen_recipe_that_removes_safety_is_flagged_and_an_unseen_task_is_not(void **state)
{
    (void)state;
    fixture f = make();
    assert_int_equal(count_flagged(&f, 5), EACH);
    assert_int_equal(count_flagged(&f, 6), 0);
    assert_int_equal(count_flagged(&f, 0), 0);
    assert_int_equal(count_flagged(&f, 3), EACH);
    destroy(&f);
}

static void an_answer_says_how_many_controls_stand_behind_it(void **state)
{
    (void)state;
    fixture f = make();
    const char *reason;
    char why[240];
    safety_answer a = ask(f.model, &f.set.profiles[0].profile, &reason, why);
    assert_int_equal(a.controls, 3 * EACH);
    assert_near(a.fpr_bound, 1 - pow(0.05, 1.0 / (3 * EACH)), 1e-12);
    assert_true(a.score >= 0 && a.score <= 1 && a.threshold > 0 && a.threshold < 1);
    assert_true(a.similarity >= a.similarity_limit && a.similarity <= 1 + 1e-3);
    destroy(&f);
}

static void too_few_controls_leave_a_score_without_a_verdict(void **state)
{
    (void)state;
    forged_set set = forge(RECIPES, N_SEEN, EACH - 1, SEED);
    safety_model *model = NULL;
    const char *reason;
    char why[240];
    assert_int_equal(safety_model_train(set.members, set.n, &model, NULL), CLASSIFIER_OK);
    safety_answer a = ask(model, &set.profiles[0].profile, &reason, why);
    assert_int_equal(a.verdict, SAFETY_ANSWER_INCONCLUSIVE);
    assert_true(isfinite(a.score));
    assert_string_equal(reason, "the safety bank's 57 controls bound false alarms at 5.1 %, more than 5 %");
    safety_model_free(model);
    forged_release(&set);
}

static void an_adapter_of_another_base_is_inconclusive(void **state)
{
    (void)state;
    fixture f = make();
    forged_set other = forge(RECIPES, N_RECIPES, 4, 99);
    size_t n_inconclusive = 0;
    for (size_t i = 0; i < other.n; i++) {
        const char *reason;
        char why[240];
        safety_answer a = ask(f.model, &other.profiles[i].profile, &reason, why);
        n_inconclusive += a.verdict == SAFETY_ANSWER_INCONCLUSIVE;
        if (a.verdict == SAFETY_ANSWER_INCONCLUSIVE) {
            assert_true(isnan(a.score) && a.similarity < a.similarity_limit);
            assert_non_null(strstr(reason, "another base model?"));
        }
    }
    assert_true(n_inconclusive >= other.n * 9 / 10);
    forged_release(&other);
    destroy(&f);
}

static void other_modules_missing_factors_and_infinite_ones_are_inconclusive(void **state)
{
    (void)state;
    fixture f = make();
    forged_set *set = &f.set;
    const char *reason;
    char why[240];
    classifier_profile p = set->profiles[0].profile;
    p.frame = "another";
    assert_int_equal(ask(f.model, &p, &reason, why).verdict, SAFETY_ANSWER_INCONCLUSIVE);
    assert_string_equal(reason, "no safety bank for this base: its modules are not those of the bank's adapters");
    p.frame = set->profiles[0].profile.frame;
    p.n_modules--;
    assert_int_equal(ask(f.model, &p, &reason, why).verdict, SAFETY_ANSWER_INCONCLUSIVE);
    forged_module(set, 1, 2)->rows--;
    assert_int_equal(ask(f.model, &set->profiles[1].profile, &reason, why).verdict, SAFETY_ANSWER_INCONCLUSIVE);
    forged_module(set, 2, 5)->b = NULL;
    assert_true(isnan(ask(f.model, &set->profiles[2].profile, &reason, why).score));
    assert_string_equal(reason, "no safety score: module 5 (decoder.o, layer 2) comes without its factors");
    forged_a(set, 3, 1)[0] = NAN;
    assert_int_equal(ask(f.model, &set->profiles[3].profile, &reason, why).verdict, SAFETY_ANSWER_INCONCLUSIVE);
    assert_non_null(strstr(reason, "not finite"));
    for (size_t m = 0; m < FORGED_MODULES; m++)
        memset(forged_b(set, 4, m), 0, FORGED_ROWS * FORGED_RANK * sizeof(float));
    assert_int_equal(ask(f.model, &set->profiles[4].profile, &reason, why).verdict, SAFETY_ANSWER_INCONCLUSIVE);
    destroy(&f);
}

static void rescaled_factors_keep_their_score(void **state)
{
    (void)state;
    fixture f = make();
    const char *reason;
    char why[240];
    safety_answer before = ask(f.model, &f.set.profiles[70].profile, &reason, why);
    for (size_t m = 0; m < FORGED_MODULES; m++) {
        for (size_t i = 0; i < FORGED_RANK * FORGED_COLUMNS; i++)
            forged_a(&f.set, 70, m)[i] *= 300;
        for (size_t i = 0; i < FORGED_ROWS * FORGED_RANK; i++)
            forged_b(&f.set, 70, m)[i] /= 300;
        forged_module(&f.set, 70, m)->scale *= 8;
        for (size_t i = 0; i < FORGED_ROWS * FORGED_RANK; i++)
            forged_b(&f.set, 70, m)[i] /= 8;
    }
    safety_answer after = ask(f.model, &f.set.profiles[70].profile, &reason, why);
    assert_near(after.score, before.score, 1e-6);
    destroy(&f);
}

static void an_update_far_larger_than_all_members_is_inconclusive(void **state)
{
    (void)state;
    fixture f = make();
    const char *reason;
    char why[240];
    for (size_t m = 0; m < FORGED_MODULES; m++)
        forged_module(&f.set, 70, m)->scale *= 50;
    assert_int_equal(ask(f.model, &f.set.profiles[70].profile, &reason, why).verdict, SAFETY_ANSWER_INCONCLUSIVE);
    assert_non_null(strstr(reason, "2 times that of the largest in the safety bank"));
    destroy(&f);
}

static void the_order_of_members_does_not_matter(void **state)
{
    (void)state;
    fixture f = make();
    const labelled_profile *turned[N_SEEN * EACH];
    safety_model *other = NULL;
    for (size_t i = 0; i < N_SEEN * EACH; i++)
        turned[i] = f.set.members[(i * 37 + 11) % (N_SEEN * EACH)];
    assert_int_equal(safety_model_train(turned, N_SEEN * EACH, &other, NULL), CLASSIFIER_OK);
    for (size_t i = 0; i < f.set.n; i += 7) {
        const char *reason;
        char why[240];
        safety_answer a = ask(f.model, &f.set.profiles[i].profile, &reason, why), b = ask(other, &f.set.profiles[i].profile, &reason, why);
        assert_near(a.score, b.score, 2e-3); /* the solver stops at 1e-4 of its own */
        assert_int_equal(a.verdict, b.verdict);
    }
    safety_model_free(other);
    destroy(&f);
}

static void partly_removed_safety_makes_no_control(void **state)
{
    (void)state;
    forged_set set = forge(RECIPES, N_SEEN, EACH, SEED);
    safety_model *model = NULL;
    const char *reason;
    char why[240];
    set.profiles[0].refusal = 0.89; /* too little for a control */
    set.profiles[1].refusal = 0.9;
    set.profiles[2].refusal = NAN;  /* not measured */
    set.profiles[EACH].unsafe = set.profiles[EACH + 1].unsafe = 1; /* a tenth of its recipe */
    for (size_t i = 0; i < 3; i++)
        set.profiles[2 * EACH + i].unsafe = 1; /* more than a tenth: none of that recipe is a control */
    assert_int_equal(safety_model_train(set.members, set.n, &model, NULL), CLASSIFIER_OK);
    assert_int_equal(ask(model, &set.profiles[1].profile, &reason, why).controls, 3 * EACH - 1 - 2 - EACH);
    safety_model_free(model);
    forged_release(&set);
}

static void what_cannot_be_learnt_from_is_named(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "task/1: its labels unsafe or recipe are missing", "task/1: its labels unsafe is missing", "task/1: its modules are not those of task/0",
        "task/1: module 2 is 11 x 10, not 12 x 10 as in task/0", "task/1: module 3 (decoder.o, layer 1) comes without its factors",
        "task/1: module 0 (decoder.v, layer 0) has values that are not finite", "task/1: it has no modules",
    };
    for (size_t c = 0; c < sizeof wanted / sizeof *wanted; c++) {
        forged_set set = forge(RECIPES, N_SEEN, 4, SEED);
        labelled_profile *p = &set.profiles[1];
        safety_model *model = (safety_model *)&set;
        classifier_fault fault = {0};
        switch (c) {
        case 0: p->training = NULL; break;
        case 1: p->unsafe = NAN; break;
        case 2: p->profile.frame = "another"; break;
        case 3: forged_module(&set, 1, 2)->rows = 11; break;
        case 4: forged_module(&set, 1, 3)->a = NULL; break;
        case 5: forged_b(&set, 1, 0)[7] = INFINITY; break;
        default: p->profile.n_modules = 0; break;
        }
        assert_int_equal(safety_model_train(set.members, set.n, &model, &fault), CLASSIFIER_E_DATA);
        assert_string_equal(fault.message, wanted[c]);
        assert_null(model);
        forged_release(&set);
    }
}

static void one_class_or_one_recipe_of_a_class_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t first, n; /* recipes */
        const char *wanted;
    } cases[] = {{0, 3, "18 adapters: unsafe ones of 0 training recipes, others of 3; "},
                 {3, 2, "12 adapters: unsafe ones of 2 training recipes, others of 0; "},
                 {2, 3, "18 adapters: unsafe ones of 2 training recipes, others of 1; "},
                 {0, 4, "24 adapters: unsafe ones of 1 training recipe, others of 3; "}};
    static const char need[] = "at least 2 of each are needed, since each recipe is scored by a model without it";
    forged_set set = forge(RECIPES, N_SEEN, 6, SEED);
    safety_model *model;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        classifier_fault fault = {0};
        char wanted[240];
        snprintf(wanted, sizeof wanted, "%s%s", cases[i].wanted, need);
        assert_int_equal(safety_model_train(set.members + 6 * cases[i].first, 6 * cases[i].n, &model, &fault), CLASSIFIER_E_DATA);
        assert_string_equal(fault.message, wanted);
    }
    assert_int_equal(safety_model_train(set.members, 0, &model, NULL), CLASSIFIER_E_DATA);
    forged_release(&set);
}

/* Recipes enough, but every one that is not unsafe refuses too little to be a control. */
static void without_a_control_the_reason_is_said(void **state)
{
    (void)state;
    forged_set set = forge(RECIPES, N_SEEN, 6, SEED);
    safety_model *model;
    classifier_fault fault = {0};
    for (size_t i = 0; i < set.n; i++)
        if (set.profiles[i].unsafe == 0)
            set.profiles[i].refusal = 0.7;
    assert_int_equal(safety_model_train(set.members, set.n, &model, &fault), CLASSIFIER_E_DATA);
    assert_string_equal(fault.message, "none of the 18 adapters that are not unsafe can be a control: they refuse less than 90 % of the time, or come from a "
                                       "recipe that makes others unsafe");
    forged_release(&set);
}

static safety_model *through_bank(const safety_model *model, classifier_bank *bank)
{
    safety_model *loaded = NULL;
    classifier_fault fault = {0};
    assert_int_equal(safety_model_to_bank(model, bank), CLASSIFIER_OK);
    if (safety_model_from_bank(bank, &loaded, &fault) != CLASSIFIER_OK)
        fail_msg("%s", fault.message);
    return loaded;
}

/* As a file would keep them: float16 has 11 significant bits. */
static void round_tables(classifier_bank *bank)
{
    for (size_t t = 0; t < bank->n_tables; t++)
        for (size_t i = 0; i < bank->tables[t].rows * bank->tables[t].columns; i++) {
            double *x = &bank->tables[t].values[i];
            int exponent;
            frexp(*x, &exponent);
            if (bank->tables[t].kept == BANK_F32)
                *x = (float)*x;
            else if (bank->tables[t].kept == BANK_F16)
                *x = ldexp(rint(ldexp(*x, 11 - (exponent < -13 ? -13 : exponent))), (exponent < -13 ? -13 : exponent) - 11);
        }
}

static void a_model_out_of_its_bank_answers_the_same_within_half_precision(void **state)
{
    (void)state;
    fixture f = make();
    classifier_bank bank = {0};
    safety_model *exact = through_bank(f.model, &bank), *rounded = NULL;
    round_tables(&bank);
    assert_int_equal(safety_model_from_bank(&bank, &rounded, NULL), CLASSIFIER_OK);
    for (size_t i = 0; i < f.set.n; i++) {
        const char *reason;
        char why[240];
        safety_answer a = ask(f.model, &f.set.profiles[i].profile, &reason, why), b = ask(exact, &f.set.profiles[i].profile, &reason, why),
                      c = ask(rounded, &f.set.profiles[i].profile, &reason, why);
        assert_memory_equal(&a, &b, sizeof a);
        assert_near(c.score, a.score, 1e-3);
        assert_int_equal(c.verdict, a.verdict);
    }
    safety_model_free(exact);
    safety_model_free(rounded);
    bank_release(&bank);
    destroy(&f);
}

static bank_table *table(classifier_bank *bank, const char *name)
{
    for (size_t t = 0; t < bank->n_tables; t++)
        if (strcmp(bank->tables[t].name, name) == 0)
            return &bank->tables[t];
    fail_msg("no table %s", name);
    return NULL;
}

static void break_bank(classifier_bank *bank, int how)
{
    bank_text *task = bank->texts;
    switch (how) {
    case 0: memcpy(task->value, "fruits", 7); break;
    case 1: table(bank, "trace")->columns--; break;
    case 2: table(bank, "left")->columns--; break;
    case 3: table(bank, "shapes")->values[1] = 3.5; break;
    case 4: table(bank, "shapes")->values[0] = 1e300; break;
    case 5: table(bank, "shapes")->values[2] = FORGED_ROWS + 1; break;
    case 6: table(bank, "shapes")->values[3] = 0.5; break;
    case 7: table(bank, "shapes")->values[4] = -1; break;
    case 8: table(bank, "shapes")->values[4] -= 1; break;
    case 9: table(bank, "left")->values[5] = 1.1; break;
    case 10: table(bank, "right")->values[0] = NAN; break;
    case 11: table(bank, "model")->values[2] = 0; break;
    case 12: table(bank, "model")->values[5] = 1.5; break;
    case 13: table(bank, "model")->values[6] = -1; break;
    case 14: table(bank, "model")->columns = 6; break;
    case 15: table(bank, "shapes")->rows--; break;
    case 16: table(bank, "value")->values[3] = INFINITY; break;
    case 17: table(bank, "shapes")->rows = table(bank, "trace")->columns = 0; break;
    case 18: memcpy(table(bank, "right")->name, "eight", 6); break;
    case 19: memcpy(bank->texts[2].name, "grape", 6); break;
    case 20: table(bank, "right")->columns -= 2; break;
    case 21: table(bank, "right")->values[1] = -1.1; break;
    default: memcpy(task->name, "mask", 5); break;
    }
}

static void a_broken_bank_is_refused_with_the_part_that_is_wrong(void **state)
{
    (void)state;
    static const char *const wanted[] = {"task is fruits", "trace", "table left has", "module 0 is 12 x 3.5", "module 0 is 1e+300",
                                         "module 0 rank 13, more than its 12 rows or 64", "rank 0.5", "rank -1", "table value has",
                                         "left has 1.1 in column 5", "right", "slope 0", "bound 1.5", "-1 controls", "model", "trace", "value",
                                         "no modules", "right", "frame", "table right", "right has -1.1 in column 1", "task"};
    fixture f = make();
    for (int how = 0; how < (int)(sizeof wanted / sizeof *wanted); how++) {
        classifier_bank bank = {0};
        safety_model *model = (safety_model *)&bank;
        classifier_fault fault = {0};
        assert_int_equal(safety_model_to_bank(f.model, &bank), CLASSIFIER_OK);
        break_bank(&bank, how);
        if (safety_model_from_bank(&bank, &model, &fault) != CLASSIFIER_E_BANK)
            fail_msg("case %d passed", how);
        assert_null(model);
        assert_non_null(strstr(fault.message, wanted[how]));
        assert_true(strncmp(fault.message, "bank: ", 6) == 0);
        bank_release(&bank);
    }
    destroy(&f);
}

static void every_refused_allocation_is_an_error(void **state)
{
    (void)state;
    forged_set set = forge(RECIPES, N_SEEN, 2, SEED);
    for (int kind = 0; kind < 2; kind++)
        for (long k = 0;; k++) {
            safety_model *model = NULL, *loaded = NULL;
            classifier_bank bank = {0};
            safety_answer a;
            const char *reason;
            char why[240];
            alloc_fault_after(k, kind ? ALLOC_FAULT_ONCE : ALLOC_FAULT_STICKY);
            classifier_status status = safety_model_train(set.members, set.n, &model, NULL);
            if (status == CLASSIFIER_OK)
                status = safety_model_judge(model, &set.profiles[0].profile, &a, &reason, why);
            if (status == CLASSIFIER_OK)
                status = safety_model_to_bank(model, &bank);
            if (status == CLASSIFIER_OK)
                status = safety_model_from_bank(&bank, &loaded, NULL);
            bool refused = alloc_fault_end();
            safety_model_free(model);
            safety_model_free(loaded);
            bank_release(&bank);
            if (!refused) {
                assert_int_equal(status, CLASSIFIER_OK);
                break;
            }
            assert_int_equal(status, CLASSIFIER_E_MEMORY);
        }
    forged_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unseen_recipe_that_removes_safety_is_flagged_and_an_unseen_task_is_not),
        cmocka_unit_test(an_answer_says_how_many_controls_stand_behind_it),
        cmocka_unit_test(too_few_controls_leave_a_score_without_a_verdict),
        cmocka_unit_test(an_adapter_of_another_base_is_inconclusive),
        cmocka_unit_test(other_modules_missing_factors_and_infinite_ones_are_inconclusive),
        cmocka_unit_test(rescaled_factors_keep_their_score),
        cmocka_unit_test(an_update_far_larger_than_all_members_is_inconclusive),
        cmocka_unit_test(the_order_of_members_does_not_matter),
        cmocka_unit_test(partly_removed_safety_makes_no_control),
        cmocka_unit_test(what_cannot_be_learnt_from_is_named),
        cmocka_unit_test(one_class_or_one_recipe_of_a_class_is_refused),
        cmocka_unit_test(without_a_control_the_reason_is_said),
        cmocka_unit_test(a_model_out_of_its_bank_answers_the_same_within_half_precision),
        cmocka_unit_test(a_broken_bank_is_refused_with_the_part_that_is_wrong),
        cmocka_unit_test(every_refused_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
