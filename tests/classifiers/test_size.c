/* The estimator of dataset sizes on made-up adapters: answers, intervals, abstention, every error.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "classifiers/size/size.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/size_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double SIZES[4] = {1, 10, 20, 50};

static sample_recipe recipe_of(size_t n_sets, double noise, uint64_t seed)
{
    return (sample_recipe){.sizes = SIZES, .n_sizes = 4, .n_sets = n_sets, .slope = 0.2, .noise = noise, .seed = seed, .a_seed = 1};
}

static size_model *train(const size_sample *s)
{
    size_model *model = NULL;
    classifier_fault fault = {0};
    assert_int_equal(size_model_train(s->members, s->n, &model, &fault), CLASSIFIER_OK);
    assert_int_equal(fault.status, CLASSIFIER_OK);
    return model;
}

static size_answer ask(const size_model *model, const labelled_profile *p)
{
    size_answer answer;
    const char *abstained = "not asked";
    char why[240];
    assert_int_equal(size_model_estimate(model, &p->profile, &answer, &abstained, why), CLASSIFIER_OK);
    if (abstained)
        fail_msg("%s: %s", p->name, abstained);
    return answer;
}

static void sizes_that_can_be_told_are_told(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(8, 0.01, 1);
    size_sample bank = size_sample_make(&recipe);
    recipe.first_set = 100;
    size_sample asked = size_sample_make(&recipe);
    size_model *model = train(&bank);
    for (size_t i = 0; i < asked.n; i++) {
        const labelled_profile *p = &asked.profiles[i];
        size_answer a = ask(model, p);
        double value;
        assert_true(a.value == p->size && a.low < a.high && a.low >= 1 && a.coverage == 0.9);
        assert_true(a.n_neighbours == SIZE_NEIGHBOURS && a.n_votes >= 1 && a.vote_size[0] == p->size);
        size_t n_votes = 0;
        for (size_t k = 0; k < a.n_votes; k++)
            n_votes += a.vote_count[k];
        assert_int_equal(n_votes, 3 * SAMPLE_MODULES);
        for (size_t k = 0; k < a.n_neighbours; k++) {
            double size = 0;
            assert_non_null(size_model_member(model, a.neighbour[k], &size));
            assert_true(size == p->size);
        }
        for (int m = 0; m < SIZE_METHOD_COUNT; m++) {
            assert_int_equal(size_model_predict(model, (size_method)m, &p->profile, &value), CLASSIFIER_OK);
            assert_true(value == p->size);
        }
    }
    size_t n_sizes;
    const double *sizes = size_model_sizes(model, &n_sizes);
    assert_int_equal(n_sizes, 4);
    assert_memory_equal(sizes, SIZES, sizeof SIZES);
    assert_int_equal(size_model_members(model), 32);
    double size;
    assert_null(size_model_member(model, 32, &size));
    size_model_free(model);
    size_model_free(NULL);
    size_sample_free(&bank);
    size_sample_free(&asked);
}

static void a_member_is_its_own_nearest_neighbour(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(6, 0.3, 2);
    size_sample bank = size_sample_make(&recipe);
    size_model *model = train(&bank);
    for (size_t i = 0; i < bank.n; i++) {
        size_answer a = ask(model, &bank.profiles[i]);
        double size;
        assert_string_equal(size_model_member(model, a.neighbour[0], &size), bank.profiles[i].name);
        assert_true(a.distance == 0 && a.vote_size[0] == bank.profiles[i].size && a.n_votes == 1);
    }
    size_model_free(model);
    size_sample_free(&bank);
}

static int same_answer(const size_model *m, const size_model *other, const labelled_profile *p)
{
    size_answer a = ask(m, p), b = ask(other, p);
    double size;
    for (size_t k = 0; k < a.n_neighbours; k++)
        if (strcmp(size_model_member(m, a.neighbour[k], &size), size_model_member(other, b.neighbour[k], &size)) != 0)
            return 0;
    return a.value == b.value && a.low == b.low && a.high == b.high && a.distance == b.distance && a.n_votes == b.n_votes &&
           memcmp(a.vote_count, b.vote_count, sizeof a.vote_count) == 0 && memcmp(a.vote_size, b.vote_size, sizeof a.vote_size) == 0;
}

static void the_order_of_members_changes_nothing(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(6, 0.3, 3);
    size_sample bank = size_sample_make(&recipe);
    recipe.first_set = 50;
    size_sample asked = size_sample_make(&recipe);
    size_model *model = train(&bank);
    for (size_t i = 0; i < bank.n; i++)
        bank.members[i] = &bank.profiles[(i * 7 + 3) % bank.n]; /* 7 and 24 have no common divisor */
    size_model *other = train(&bank);
    for (size_t i = 0; i < asked.n; i++)
        assert_true(same_answer(model, other, &asked.profiles[i]));
    size_model_free(model);
    size_model_free(other);
    size_sample_free(&bank);
    size_sample_free(&asked);
}

static void a_model_read_from_its_bank_answers_the_same(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(6, 0.3, 4);
    size_sample bank = size_sample_make(&recipe);
    bank.profiles[0].name = "a name\nof two lines";
    recipe.first_set = 50;
    size_sample asked = size_sample_make(&recipe);
    size_model *model = train(&bank), *other = NULL;
    classifier_bank kept = {0};
    classifier_fault fault = {0};
    assert_int_equal(size_model_to_bank(model, &kept), CLASSIFIER_OK);
    for (size_t i = 0; i < kept.n_tables; i++) /* as a file keeps them */
        for (size_t k = 0; k < kept.tables[i].rows * kept.tables[i].columns; k++)
            if (kept.tables[i].kept == BANK_F32)
                kept.tables[i].values[k] = (double)(float)kept.tables[i].values[k];
    assert_int_equal(size_model_from_bank(&kept, &other, &fault), CLASSIFIER_OK);
    for (size_t i = 0; i < asked.n; i++)
        assert_true(same_answer(model, other, &asked.profiles[i]));
    double size;
    assert_string_equal(size_model_member(other, 0, &size), "a name of two lines");
    bank_release(&kept);
    size_model_free(model);
    size_model_free(other);
    size_sample_free(&bank);
    size_sample_free(&asked);
}

/* Coverage over many banks of members that can hardly, fairly or well be told; 90 % is asked for. */
static void intervals_cover_nine_of_ten(void **state)
{
    (void)state;
    static const double NOISE[3] = {0.02, 0.2, 2};
    for (size_t k = 0; k < 3; k++) {
        size_t covered = 0, n = 0;
        for (uint64_t seed = 0; seed < 12; seed++) {
            sample_recipe recipe = recipe_of(12, NOISE[k], 100 + seed);
            size_sample bank = size_sample_make(&recipe);
            recipe.first_set = 1000;
            recipe.seed += 1000;
            size_sample asked = size_sample_make(&recipe);
            size_model *model = train(&bank);
            for (size_t i = 0; i < asked.n; i++) {
                size_answer a;
                const char *abstained;
                char why[240];
                assert_int_equal(size_model_estimate(model, &asked.profiles[i].profile, &a, &abstained, why), CLASSIFIER_OK);
                if (abstained)
                    continue;
                covered += a.low <= asked.profiles[i].size && asked.profiles[i].size <= a.high;
                n++;
            }
            size_model_free(model);
            size_sample_free(&bank);
            size_sample_free(&asked);
        }
        double coverage = (double)covered / (double)n;
        if (!(n > 500 && coverage > 0.85 && coverage < 0.95))
            fail_msg("noise %g: %.3f of %zu covered", NOISE[k], coverage, n);
    }
}

/* ---- abstention ---- */

static const char *reason(const size_model *model, const classifier_profile *p, char why[240], size_answer *answer)
{
    const char *abstained = NULL;
    assert_int_equal(size_model_estimate(model, p, answer, &abstained, why), CLASSIFIER_OK);
    assert_non_null(abstained);
    assert_true(strlen(abstained) <= 230 && !strchr(abstained, '\n'));
    return abstained;
}

static void another_recipe_frame_or_shape_is_abstained_from_and_named(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(6, 0.1, 5);
    size_sample bank = size_sample_make(&recipe);
    size_model *model = train(&bank);
    classifier_profile p = bank.profiles[0].profile;
    char why[240], wide[600];
    size_answer answer;
    p.recipe = "lora transformer.q:32x32:r8:s1*3";
    const char *text = reason(model, &p, why, &answer);
    assert_non_null(strstr(text, "recipe"));
    assert_non_null(strstr(text, "r8:s1*3"));
    assert_non_null(strstr(text, "r4:s1*3"));
    assert_true(isnan(answer.distance));
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    wide[5] = '\n';
    p.recipe = wide;
    reason(model, &p, why, &answer);
    p = bank.profiles[0].profile;
    p.frame = "m4-1";
    assert_non_null(strstr(reason(model, &p, why, &answer), "frame"));
    p = bank.profiles[0].profile;
    p.n_modules--;
    assert_non_null(strstr(reason(model, &p, why, &answer), "shape"));
    profile_module shorter[SAMPLE_MODULES];
    memcpy(shorter, bank.profiles[0].profile.modules, sizeof shorter);
    shorter[1].n_sigma_a--;
    p = bank.profiles[0].profile;
    p.modules = shorter;
    assert_non_null(strstr(reason(model, &p, why, &answer), "shape"));
    size_model_free(model);
    size_sample_free(&bank);
}

static void spectra_far_from_all_members_are_abstained_from(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(8, 0.1, 6);
    size_sample bank = size_sample_make(&recipe);
    size_model *model = train(&bank);
    size_answer answer;
    char why[240];
    recipe.first_set = 200;
    recipe.a_seed = 2; /* another draw of A, all else the same */
    size_sample other_seed = size_sample_make(&recipe);
    recipe.a_seed = 1;
    recipe.noise = 5;
    size_sample wild = size_sample_make(&recipe);
    for (size_t i = 0; i < other_seed.n; i++) {
        assert_non_null(strstr(reason(model, &other_seed.profiles[i].profile, why, &answer), "singular values of A"));
        assert_true(answer.distance > answer.distance_limit);
    }
    size_t n = 0;
    for (size_t i = 0; i < wild.n; i++) {
        const char *abstained;
        size_model_estimate(model, &wild.profiles[i].profile, &answer, &abstained, why);
        n += abstained != NULL;
    }
    assert_true(n > wild.n * 3 / 4);
    size_model_free(model);
    size_sample_free(&bank);
    size_sample_free(&other_seed);
    size_sample_free(&wild);
}

/* Within the domain, but farther out: the interval grows with the distance. */
static void farther_adapters_get_wider_intervals(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(10, 0.1, 17);
    size_sample bank = size_sample_make(&recipe);
    size_model *model = train(&bank);
    recipe.first_set = 300;
    double width[2] = {0, 0};
    for (size_t k = 0; k < 2; k++) {
        recipe.noise = k ? 0.2 : 0.05;
        size_sample asked = size_sample_make(&recipe);
        for (size_t i = 0; i < asked.n; i++) {
            size_answer a;
            const char *abstained;
            char why[240];
            assert_int_equal(size_model_estimate(model, &asked.profiles[i].profile, &a, &abstained, why), CLASSIFIER_OK);
            if (!abstained)
                width[k] = fmax(width[k], a.high / a.low);
        }
        size_sample_free(&asked);
    }
    assert_true(width[1] > 2 * width[0]);
    size_model_free(model);
    size_sample_free(&bank);
}

/* Within the domain, but isolated: no answer rather than one that holds every size. */
static void isolated_adapters_get_no_interval_of_all_sizes(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(10, 0.1, 17);
    size_sample bank = size_sample_make(&recipe);
    size_model *model = train(&bank);
    recipe.first_set = 300;
    recipe.noise = 0.3;
    size_sample asked = size_sample_make(&recipe);
    size_t n = 0;
    for (size_t i = 0; i < asked.n; i++) {
        size_answer a;
        const char *abstained;
        char why[240];
        assert_int_equal(size_model_estimate(model, &asked.profiles[i].profile, &a, &abstained, why), CLASSIFIER_OK);
        if (!abstained || a.distance > a.distance_limit)
            continue;
        assert_string_equal(abstained, "spectra too far from the bank's members to narrow down the size: the 90 % interval holds all 4 sizes from 1 to 50");
        assert_true(a.distance > 0 && a.value == 0 && a.high == 0 && a.n_votes == 0 && a.n_neighbours == 0);
        n++;
    }
    assert_in_range(n, 1, asked.n - 1);
    size_model_free(model);
    size_sample_free(&bank);
    size_sample_free(&asked);
}

static void a_value_that_is_no_number_is_abstained_from(void **state)
{
    (void)state;
    static const double BAD[3] = {NAN, INFINITY, -1};
    sample_recipe recipe = recipe_of(6, 0.1, 7);
    size_sample bank = size_sample_make(&recipe);
    size_model *model = train(&bank);
    for (size_t i = 0; i < 3; i++) {
        double *sigma = bank.sigma + 3 * SAMPLE_RANK + 1, before = *sigma; /* of module 1 */
        char why[240];
        size_answer answer;
        *sigma = BAD[i];
        assert_non_null(strstr(reason(model, &bank.profiles[0].profile, why, &answer), "module 1"));
        double value = 0;
        assert_int_equal(size_model_predict(model, SIZE_DSIRE, &bank.profiles[0].profile, &value), CLASSIFIER_OK);
        assert_true(isnan(value));
        *sigma = before;
    }
    size_model_free(model);
    size_sample_free(&bank);
}

/* ---- what cannot be learnt from ---- */

typedef enum { ONE_SIZE, NO_LABEL, ZERO, HUGE, NOT_FINITE, NEGATIVE_NORM, OTHER_RECIPE, OTHER_FRAME, OTHER_SHAPE, ONE_SET, NO_MODULES } damage;

static void do_damage(size_sample *s, damage d)
{
    for (size_t i = 0; i < s->n; i++) {
        if (d == ONE_SIZE)
            s->profiles[i].size = 10;
        if (d == ONE_SET)
            s->profiles[i].set = 4;
        if (d == NO_MODULES)
            s->profiles[i].profile.n_modules = 0;
    }
    labelled_profile *p = &s->profiles[5];
    if (d == NO_LABEL || d == ZERO || d == HUGE)
        p->size = d == NO_LABEL ? NAN : d == ZERO ? 0 : INFINITY;
    if (d == NOT_FINITE)
        s->sigma[(5 * SAMPLE_MODULES + 2) * 3 * SAMPLE_RANK] = NAN;
    if (d == NEGATIVE_NORM)
        s->modules[5 * SAMPLE_MODULES].frobenius = -1;
    if (d == OTHER_RECIPE)
        p->profile.recipe = "dora";
    if (d == OTHER_FRAME)
        p->profile.frame = "m3-1";
    if (d == OTHER_SHAPE)
        s->modules[5 * SAMPLE_MODULES + 1].rank++;
}

static void what_cannot_be_learnt_from_is_refused_by_name(void **state)
{
    (void)state;
    const struct {
        damage what;
        const char *message, *second;
    } cases[] = {
        {ONE_SIZE, "one size, 10", "24"},
        {NO_LABEL, "sample/1-5", "no label"},
        {ZERO, "sample/1-5", "size of 0 samples"},
        {HUGE, "sample/1-5", "inf"},
        {NOT_FINITE, "sample/1-5", "module 2, transformer.q"},
        {NEGATIVE_NORM, "sample/1-5", "module 0"},
        {OTHER_RECIPE, "sample/1-5 is of another recipe", "sample/1-0"},
        {OTHER_FRAME, "sample/1-5 is of another recipe", "sample/1-0"},
        {OTHER_SHAPE, "sample/1-5 is of another recipe", "sample/1-0"},
        {ONE_SET, "micro-dataset 4", "at least two"},
        {NO_MODULES, "no modules", "sample/1-0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sample_recipe recipe = recipe_of(6, 0.1, 8);
        size_sample s = size_sample_make(&recipe);
        do_damage(&s, cases[i].what);
        size_model *model = (size_model *)&s;
        classifier_fault fault = {0};
        assert_int_equal(size_model_train(s.members, s.n, &model, &fault), CLASSIFIER_E_DATA);
        assert_int_equal(fault.status, CLASSIFIER_E_DATA);
        assert_null(model);
        if (!strstr(fault.message, cases[i].message) || !strstr(fault.message, cases[i].second))
            fail_msg("%s", fault.message);
        size_sample_free(&s);
    }
}

static void eight_members_are_too_few_and_nine_are_not(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(3, 0.1, 9);
    size_sample s = size_sample_make(&recipe);
    size_model *model = NULL;
    classifier_fault fault = {0};
    assert_int_equal(size_model_train(s.members, 8, &model, &fault), CLASSIFIER_E_DATA);
    assert_non_null(strstr(fault.message, "8 adapters"));
    assert_int_equal(size_model_train(s.members, 9, &model, &(classifier_fault){0}), CLASSIFIER_OK);
    assert_true(isfinite(ask(model, &s.profiles[0]).high));
    size_model_free(model);
    size_sample_free(&s);
}

static void sizes_are_at_most_sixty_four(void **state)
{
    (void)state;
    double sizes[SIZE_MAX_CLASSES + 1];
    for (size_t i = 0; i < SIZE_MAX_CLASSES + 1; i++)
        sizes[i] = (double)(i + 1);
    for (size_t extra = 0; extra < 2; extra++) {
        sample_recipe recipe = recipe_of(2, 0.1, 10);
        recipe.sizes = sizes;
        recipe.n_sizes = SIZE_MAX_CLASSES + extra;
        size_sample s = size_sample_make(&recipe);
        size_model *model = NULL;
        assert_int_equal(size_model_train(s.members, s.n, &model, &(classifier_fault){0}), extra ? CLASSIFIER_E_DATA : CLASSIFIER_OK);
        size_model_free(model);
        size_sample_free(&s);
    }
}

static void members_without_a_set_stand_for_themselves(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(4, 0.02, 11);
    size_sample s = size_sample_make(&recipe);
    for (size_t i = 0; i < s.n; i++)
        s.profiles[i].set = -1;
    size_model *model = train(&s);
    assert_true(ask(model, &s.profiles[15]).value == 50);
    size_model_free(model);
    size_sample_free(&s);
}

/* Labels that have nothing to do with the spectra must not be learnt: intervals are about as wide as the range, 1 to 50. */
static void shuffled_labels_give_wide_intervals(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(12, 0.02, 12);
    size_sample s = size_sample_make(&recipe);
    recipe.first_set = 400;
    size_sample asked = size_sample_make(&recipe);
    for (size_t i = 0; i < s.n; i++)
        s.profiles[i].size = SIZES[(i * 2654435761u >> 16) % 4];
    size_model *model = train(&s);
    size_t n_wide = 0;
    for (size_t i = 0; i < asked.n; i++) {
        size_answer a = ask(model, &asked.profiles[i]);
        n_wide += a.high / a.low > 10;
    }
    assert_true(n_wide > asked.n / 2);
    size_model_free(model);
    size_sample_free(&s);
    size_sample_free(&asked);
}

/* ---- banks that are broken ---- */

static bank_table *table(classifier_bank *bank, const char *name)
{
    for (size_t i = 0; i < bank->n_tables; i++)
        if (strcmp(bank->tables[i].name, name) == 0)
            return &bank->tables[i];
    fail_msg("no table %s", name);
    return NULL;
}

static classifier_status reread(const classifier_bank *bank, char message[240])
{
    size_model *model = (size_model *)message;
    classifier_fault fault = {0};
    classifier_status status = size_model_from_bank(bank, &model, &fault);
    assert_int_equal(model == NULL, status != CLASSIFIER_OK);
    assert_int_equal(fault.status, status);
    strcpy(message, fault.message);
    size_model_free(model);
    return status;
}

static void a_number_that_cannot_be_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *table;
        size_t at;
        double value;
    } cases[] = {
        {"shape", 0, 5}, {"shape", 1, 4.5}, {"shape", 2, -1}, {"shape", 2, 1e9}, {"sizes", 0, 0.5}, {"sizes", 1, 1}, {"sizes", 3, 2}, {"member", 0, 4},
        {"member", 3, -1}, {"member", 3, 0.5}, {"spectra", 7, -1}, {"spectra", 7, 1e300}, {"spectra", 7, NAN}, {"kernel", 0, -0.1}, {"kernel", 0, 2},
        {"kernel", 1, 0}, {"kernel", 2, 0}, {"prior", 0, NAN}, {"coefficients", 0, INFINITY}, {"interval", 0, 0.8}, {"interval", 1, 0},
        {"interval", 2, -1}, {"domain", 1, 0}, {"domain", 2, 0}, {"own", 3, -1}, {"directions", 5, 1.1}, {"interval_directions", 0, -2},
        {"domain_directions", 9, NAN},
    };
    sample_recipe recipe = recipe_of(4, 0.1, 13);
    size_sample s = size_sample_make(&recipe);
    size_model *model = train(&s);
    classifier_bank bank = {0};
    char message[240];
    assert_int_equal(size_model_to_bank(model, &bank), CLASSIFIER_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double *at = &table(&bank, cases[i].table)->values[cases[i].at], before = *at;
        *at = cases[i].value;
        if (reread(&bank, message) != CLASSIFIER_E_BANK || !*message)
            fail_msg("%s[%zu] = %g: %s", cases[i].table, cases[i].at, cases[i].value, message);
        *at = before;
    }
    assert_int_equal(reread(&bank, message), CLASSIFIER_OK);
    bank_release(&bank);
    size_model_free(model);
    size_sample_free(&s);
}

static void every_part_of_a_bank_is_needed_in_its_shape(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(4, 0.1, 14);
    size_sample s = size_sample_make(&recipe);
    size_model *model = train(&s);
    classifier_bank bank = {0};
    char message[240];
    assert_int_equal(size_model_to_bank(model, &bank), CLASSIFIER_OK);
    for (size_t i = 0; i < bank.n_tables; i++) {
        bank_table *t = &bank.tables[i];
        char first = t->name[0];
        size_t rows = t->rows, columns = t->columns;
        t->name[0] = '?';
        assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
        t->name[0] = first;
        t->columns--;
        assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
        t->columns = columns;
        for (size_t fewer = 0; fewer < rows; fewer++) {
            t->rows = fewer;
            assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
        }
        t->rows = rows;
    }
    for (size_t i = 0; i < bank.n_texts; i++) {
        char *name = bank.texts[i].name, first = name[0];
        name[0] = '?';
        assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
        name[0] = first;
    }
    assert_int_equal(reread(&bank, message), CLASSIFIER_OK);
    bank_release(&bank);
    size_model_free(model);
    size_sample_free(&s);
}

static void texts_of_a_bank_are_checked(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(4, 0.1, 15);
    size_sample s = size_sample_make(&recipe);
    size_model *model = train(&s);
    classifier_bank bank = {0};
    char message[240];
    assert_int_equal(size_model_to_bank(model, &bank), CLASSIFIER_OK);
    const char *names = bank_get_text(&bank, "members", NULL);
    for (size_t i = 0; i < bank.n_texts; i++) {
        if (strcmp(bank.texts[i].name, "task") == 0) {
            bank.texts[i].value[0] = 'x';
            assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
            assert_non_null(strstr(message, "xataset-size"));
            bank.texts[i].value[0] = 'd';
        }
        if (bank.texts[i].value == names) {
            size_t n = strlen(names);
            bank.texts[i].value[n - 1] = '?'; /* the last line has no end */
            assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
            assert_non_null(strstr(message, "15 lines, not 16"));
            bank.texts[i].value[n - 1] = '\n';
            bank.texts[i].value[2] = '\n'; /* one line more */
            assert_int_equal(reread(&bank, message), CLASSIFIER_E_BANK);
            assert_non_null(strstr(message, "more than 16"));
        }
    }
    bank_release(&bank);
    size_model_free(model);
    size_sample_free(&s);
}

/* ---- memory ---- */

static void without_memory_nothing_is_made_and_nothing_leaks(void **state)
{
    (void)state;
    sample_recipe recipe = recipe_of(3, 0.1, 16);
    size_sample s = size_sample_make(&recipe);
    size_model *good = train(&s);
    int done = 0;
    for (long k = 0; !done; k++) {
        size_model *model = NULL, *other = NULL;
        classifier_bank bank = {0};
        classifier_fault fault = {0};
        size_answer answer;
        const char *abstained;
        char why[240];
        double value;
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        classifier_status trained = size_model_train(s.members, s.n, &model, &fault);
        classifier_status kept = size_model_to_bank(good, &bank);
        classifier_status read = kept == CLASSIFIER_OK ? size_model_from_bank(&bank, &other, &(classifier_fault){0}) : CLASSIFIER_E_MEMORY;
        classifier_status asked = size_model_estimate(good, &s.profiles[0].profile, &answer, &abstained, why);
        classifier_status predicted = size_model_predict(good, SIZE_LORAUDIT, &s.profiles[0].profile, &value);
        done = !alloc_fault_end();
        const classifier_status all[5] = {trained, kept, read, asked, predicted};
        int n_failed = 0;
        for (size_t i = 0; i < 5; i++) {
            assert_true(all[i] == CLASSIFIER_OK || all[i] == CLASSIFIER_E_MEMORY);
            n_failed += all[i] != CLASSIFIER_OK;
        }
        assert_int_equal(n_failed == 0, done);
        assert_int_equal(model == NULL, trained != CLASSIFIER_OK);
        assert_int_equal(other == NULL, read != CLASSIFIER_OK);
        assert_int_equal(fault.status, trained);
        bank_release(&bank);
        size_model_free(model);
        size_model_free(other);
    }
    size_model_free(good);
    size_sample_free(&s);
}

static void methods_have_names(void **state)
{
    (void)state;
    assert_string_equal(size_method_name(SIZE_FROBENIUS_NN), "frobenius-nn");
    assert_string_equal(size_method_name(SIZE_DSIRE), "dsire");
    assert_string_equal(size_method_name(SIZE_LORAUDIT), "loraudit");
    assert_string_equal(size_method_name(SIZE_METHOD_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_can_be_told_are_told),
        cmocka_unit_test(a_member_is_its_own_nearest_neighbour),
        cmocka_unit_test(the_order_of_members_changes_nothing),
        cmocka_unit_test(a_model_read_from_its_bank_answers_the_same),
        cmocka_unit_test(intervals_cover_nine_of_ten),
        cmocka_unit_test(another_recipe_frame_or_shape_is_abstained_from_and_named),
        cmocka_unit_test(spectra_far_from_all_members_are_abstained_from),
        cmocka_unit_test(farther_adapters_get_wider_intervals),
        cmocka_unit_test(isolated_adapters_get_no_interval_of_all_sizes),
        cmocka_unit_test(a_value_that_is_no_number_is_abstained_from),
        cmocka_unit_test(what_cannot_be_learnt_from_is_refused_by_name),
        cmocka_unit_test(eight_members_are_too_few_and_nine_are_not),
        cmocka_unit_test(sizes_are_at_most_sixty_four),
        cmocka_unit_test(members_without_a_set_stand_for_themselves),
        cmocka_unit_test(shuffled_labels_give_wide_intervals),
        cmocka_unit_test(a_number_that_cannot_be_is_refused),
        cmocka_unit_test(every_part_of_a_bank_is_needed_in_its_shape),
        cmocka_unit_test(texts_of_a_bank_are_checked),
        cmocka_unit_test(without_memory_nothing_is_made_and_nothing_leaks),
        cmocka_unit_test(methods_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
