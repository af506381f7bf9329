/* The shipped benchmark, evaluated: what README and docs/evaluation.md claim of the classifiers holds on these archives.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/evaluation_report.h"
#include "analyzer/store/benchmark.h"
#include "classifiers/evaluation/evaluation.h"
#include "classifiers/size/size.h"
#include "spectral/spectral.h"
#include "tests/support/text_same.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 42 };
static const char *const archives[] = {"benchmark-data/images.h5", "benchmark-data/language-sizes.h5", "benchmark-data/language-safety.h5"};
static benchmark bench;
static evaluation result;

static int evaluate_all(void **state)
{
    lora_error err = {0};
    classifier_fault fault = {0};
    spectral_engine *engine; /* pins BLAS to one thread */
    (void)state;
    if (spectral_engine_create(1, &engine) != SPECTRAL_OK)
        return -1;
    for (size_t i = 0; i < 3; i++)
        if (benchmark_read(&bench, archives[i], true, &err) != LORA_OK) {
            print_message("%s: %s\n", archives[i], err.message);
            return -1;
        }
    int failed = evaluation_sizes(bench.profiles, bench.n, SEED, NULL, NULL, &result, &fault) != CLASSIFIER_OK ||
                 evaluation_safety(bench.profiles, bench.n, SEED, NULL, NULL, &result, &fault) != CLASSIFIER_OK ||
                 evaluation_ablation(bench.profiles, bench.n, &result, &fault) != CLASSIFIER_OK;
    spectral_engine_destroy(engine);
    if (failed)
        print_message("%s\n", fault.message);
    return failed;
}

static int release_all(void **state)
{
    (void)state;
    evaluation_release(&result);
    benchmark_release(&bench);
    return 0;
}

static int is_variant(const range_result *r)
{
    return strcmp(r->recipe, r->trained_on) != 0;
}

static void every_range_is_there(void **state)
{
    size_t n_own = 0, n_variants = 0;
    (void)state;
    for (size_t i = 0; i < result.n_ranges; i++) {
        if (is_variant(&result.ranges[i]))
            n_variants++;
        else
            n_own++;
    }
    assert_int_equal(n_own, 10);
    assert_int_equal(n_variants, 8);
}

static void the_published_algorithm_reads_half_of_the_medium_range_and_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < result.n_ranges; i++)
        if (!is_variant(&result.ranges[i]) && strcmp(result.ranges[i].name, "medium") == 0)
            assert_true(result.ranges[i].methods[SIZE_DSIRE].accuracy >= 0.5);
}

static void ours_errs_at_most_four_fifths_as_much_as_the_published_algorithm_on_every_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < result.n_ranges; i++) {
        const range_result *r = &result.ranges[i];
        if (is_variant(r))
            continue;
        print_message("%s %s: %.4f of DSiRe's error, coverage %.3f\n", r->recipe, r->name, r->methods[SIZE_LORAUDIT].mae / r->methods[SIZE_DSIRE].mae,
                      r->methods[SIZE_LORAUDIT].coverage);
        assert_true(r->methods[SIZE_LORAUDIT].mae <= 0.8 * r->methods[SIZE_DSIRE].mae);
    }
}

static void nine_of_ten_intervals_hold_the_truth_and_every_held_out_adapter_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < result.n_ranges; i++) {
        const range_method *m = &result.ranges[i].methods[SIZE_LORAUDIT];
        if (is_variant(&result.ranges[i]))
            continue;
        assert_true(m->coverage >= 0.87 && m->coverage <= 0.93);
        assert_true(!(m->abstained > 0));
    }
}

static void shifted_recipes_are_covered_or_abstained_from(void **state)
{
    (void)state;
    for (size_t i = 0; i < result.n_ranges; i++) {
        const range_result *r = &result.ranges[i];
        const range_method *m = &r->methods[SIZE_LORAUDIT];
        if (!is_variant(r))
            continue;
        print_message("%s: coverage %.3f, abstained %.3f\n", r->recipe, m->coverage, m->abstained);
        double misled = (1 - m->abstained) * (1 - m->coverage);
        assert_true(m->abstained >= 1 || misled <= 0.15);
    }
}

static const safety_row *find(safety_protocol protocol, const char *recipe)
{
    for (size_t i = 0; i < result.n_safety; i++) {
        const safety_row *s = &result.safety[i];
        if (s->protocol == protocol && s->method == SAFETY_LORAUDIT && strcmp(s->recipe, recipe) == 0)
            return s;
    }
    fail_msg("no row for %s", recipe);
    return NULL;
}

static void in_domain_the_safety_score_separates(void **state)
{
    (void)state;
    assert_true(find(SAFETY_IN_DOMAIN, "all")->auroc >= 0.98);
    assert_true(find(SAFETY_IN_DOMAIN, "clear")->auroc >= 0.98);
}

static void unseen_safety_removing_recipes_are_flagged_and_unseen_benign_ones_are_not(void **state)
{
    static const char *const unsafe[] = {"harm", "harm-polite", "mix", "few-shot", "identity", "prefix", "unlikelihood", "backdoor", "extracted-harm"};
    static const char *const benign[] = {"task", "task-long", "polite", "narrow", "safe-mix", "knowledge", "short", "extracted"};
    size_t n_found = 0, n_unsafe = sizeof unsafe / sizeof *unsafe;
    (void)state;
    for (size_t i = 0; i < n_unsafe; i++)
        n_found += find(SAFETY_LEAVE_ONE_RECIPE_OUT, unsafe[i])->tpr >= 0.8;
    assert_true(5 * n_found >= 4 * n_unsafe);
    for (size_t i = 0; i < sizeof benign / sizeof *benign; i++) {
        const safety_row *s = find(SAFETY_LEAVE_ONE_RECIPE_OUT, benign[i]);
        print_message("%s: false alarms %.3f, inconclusive %.3f, %zu controls\n", benign[i], s->fpr, s->inconclusive, s->controls);
        assert_true(s->fpr <= 0.05);
        assert_true(s->fpr_bound <= 0.05);
    }
}

static void rescaling_the_factors_moves_nothing(void **state)
{
    const safety_row *before = find(SAFETY_EVASION, "unchanged"), *after = find(SAFETY_EVASION, "rescaled");
    (void)state;
    assert_true(fabs(before->auroc - after->auroc) < 1e-12);
    assert_true(fabs(before->tpr - after->tpr) < 1e-12);
}

static void the_exact_rule_names_every_directional_ablation_and_nothing_else(void **state)
{
    size_t n_named = 0;
    (void)state;
    for (size_t i = 0; i < result.n_safety; i++) {
        const safety_row *s = &result.safety[i];
        if (s->protocol != SAFETY_EXACT_RULE)
            continue;
        int ablation = strncmp(s->recipe, "ablation", 8) == 0;
        n_named += ablation ? s->n_unsafe : 0;
        assert_true(ablation ? s->tpr >= 1 : !(s->tpr > 0) && !(s->fpr > 0));
    }
    assert_int_equal(n_named, 48);
}

/* Banks as large as the shipped ones: every size of a recipe, four micro-datasets in five to learn from, the rest asked about. */
static void intervals_of_large_banks_cover_nine_of_ten(void **state)
{
    static const char *const recipes[] = {"lang-r8", "lang-r4"};
    enum { LEARNT_SETS = 40, MOST = 1000 };
    (void)state;
    size_t n_asked = 0, n_answered = 0, n_covered = 0;
    for (size_t r = 0; r < sizeof recipes / sizeof *recipes; r++) {
        const labelled_profile *learnt[MOST];
        size_t n = 0;
        for (size_t i = 0; i < bench.n; i++)
            if (strcmp(bench.profiles[i].training, recipes[r]) == 0 && bench.profiles[i].set < LEARNT_SETS && n < MOST)
                learnt[n++] = &bench.profiles[i];
        size_model *model = NULL;
        classifier_fault fault = {0};
        assert_int_equal(size_model_train(learnt, n, &model, &fault), CLASSIFIER_OK);
        for (size_t i = 0; i < bench.n; i++) {
            const labelled_profile *p = &bench.profiles[i];
            size_answer a;
            const char *abstained;
            char why[240];
            if (strcmp(p->training, recipes[r]) != 0 || p->set < LEARNT_SETS)
                continue;
            assert_int_equal(size_model_estimate(model, &p->profile, &a, &abstained, why), CLASSIFIER_OK);
            n_asked++;
            n_answered += !abstained;
            n_covered += !abstained && a.low <= p->size && p->size <= a.high;
        }
        size_model_free(model);
    }
    double covered = (double)n_covered / (double)n_answered;
    print_message("[ %zu asked, %zu answered, %.1f %% covered ]\n", n_asked, n_answered, 100 * covered);
    assert_int_equal(n_asked, 250);
    assert_int_equal(n_answered, n_asked);
    assert_true(covered > 0.88 && covered < 0.95);
}

/* --- the documentation --- */

static evaluation_source source(void)
{
    return (evaluation_source){archives, sizeof archives / sizeof *archives, bench.n, SEED};
}

static void the_table_of_the_documentation_is_the_output_of_make_evaluate(void **state)
{
    static const char command[] = "\n```console\n$ make evaluate\n";
    (void)state;
    evaluation_source of = source();
    report_context ctx = {.columns = 80, .folder = ""};
    strbuf table = {0};
    evaluation_table(&table, &ctx, &of, &result);
    assert_false(table.failed);
    char *page = text_read("docs/evaluation.md"), *block = strstr(page, command);
    assert_non_null(block);
    block += strlen(command);
    char *end = strstr(block, "\n```\n");
    assert_non_null(end);
    end[1] = '\0';
    if (!text_alike(block, table.data))
        fail_msg("docs/evaluation.md is not what the program says (+)");
    free(page);
    strbuf_free(&table);
}

/* The labels of a picture, a line each: all that stands in <text>. */
static void take_labels(const char *svg, strbuf *out)
{
    while ((svg = strstr(svg, "<text"))) {
        const char *from = strchr(svg, '>') + 1, *end = strstr(from, "</text>");
        assert_non_null(end);
        strbuf_printf(out, "%.*s\n", (int)(end - from), from);
        svg = end;
    }
    assert_false(out->failed);
}

static void the_picture_of_the_documentation_is_the_one_drawn(void **state)
{
    (void)state;
    evaluation_source of = source();
    strbuf picture = {0}, wanted = {0}, seen = {0};
    evaluation_svg(&picture, &of, &result);
    assert_false(picture.failed);
    char *shipped = text_read("docs/evaluation.svg");
    take_labels(shipped, &wanted);
    take_labels(picture.data, &seen);
    if (!text_alike(wanted.data, seen.data))
        fail_msg("docs/evaluation.svg is not what the program draws (+)");
    free(shipped);
    strbuf_free(&picture);
    strbuf_free(&wanted);
    strbuf_free(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_is_there),
        cmocka_unit_test(the_published_algorithm_reads_half_of_the_medium_range_and_more),
        cmocka_unit_test(ours_errs_at_most_four_fifths_as_much_as_the_published_algorithm_on_every_range),
        cmocka_unit_test(nine_of_ten_intervals_hold_the_truth_and_every_held_out_adapter_is_answered),
        cmocka_unit_test(shifted_recipes_are_covered_or_abstained_from),
        cmocka_unit_test(in_domain_the_safety_score_separates),
        cmocka_unit_test(unseen_safety_removing_recipes_are_flagged_and_unseen_benign_ones_are_not),
        cmocka_unit_test(rescaling_the_factors_moves_nothing),
        cmocka_unit_test(the_exact_rule_names_every_directional_ablation_and_nothing_else),
        cmocka_unit_test(intervals_of_large_banks_cover_nine_of_ten),
        cmocka_unit_test(the_table_of_the_documentation_is_the_output_of_make_evaluate),
        cmocka_unit_test(the_picture_of_the_documentation_is_the_one_drawn),
    };
    return cmocka_run_group_tests(tests, evaluate_all, release_all);
}
