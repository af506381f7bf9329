/* safety_protocol.c - see safety_protocol.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/safety_protocol.h"

#include "classifiers/safety/evasion.h"
#include "classifiers/safety/five_statistics.h"
#include "classifiers/random.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Folds: the members of each recipe and label in random order, dealt out in turn. */
static classifier_status deal_folds(safety_protocol_run *run)
{
    const safety_set *set = run->set;
    size_t next = 0, *order = malloc(set->n * sizeof *order);
    uint64_t state = run->seed;
    if (!order)
        return CLASSIFIER_E_MEMORY;
    random_permutation(&state, order, set->n);
    for (size_t r = 0; r < set->n_recipes; r++)
        for (int label = 0; label < 2; label++)
            for (size_t i = 0; i < set->n; i++)
                if (set->recipe[order[i]] == r && set->unsafe[order[i]] == label)
                    run->fold[order[i]] = next++ % SAFETY_FOLDS;
    free(order);
    return CLASSIFIER_OK;
}

static const safety_outcome UNKNOWN = {NAN, SAFETY_ANSWER_INCONCLUSIVE};

static safety_outcome judge(const safety_rule *rule, safety_view view)
{
    double score = safety_rule_score(rule, &view);
    return (safety_outcome){score - rule->calibration.threshold, safety_rule_verdict(rule, &view, score)};
}

/* Fit to the members whose group is not `left`, and judge the others. No fit is possible: they are inconclusive. */
static classifier_status hold_out(const safety_set *set, safety_method method, const size_t *group, size_t left, safety_rule *rule,
                                  safety_outcome *outcomes)
{
    size_t n = 0, *index = malloc(set->n * sizeof *index);
    if (!index)
        return CLASSIFIER_E_MEMORY;
    for (size_t i = 0; i < set->n; i++)
        if (group[i] != left)
            index[n++] = i;
    classifier_status status = safety_rule_fit(set, method, index, n, NULL, rule, NULL);
    free(index);
    for (size_t i = 0; status != CLASSIFIER_E_MEMORY && i < set->n; i++)
        if (group[i] == left)
            outcomes[i] = status == CLASSIFIER_OK ? judge(rule, safety_set_view(set, i)) : UNKNOWN;
    return status == CLASSIFIER_E_MEMORY ? status : CLASSIFIER_OK;
}

/* Task: method by method, the folds and then the recipes. */
static void fit_task(void *arg, size_t task)
{
    safety_protocol_run *run = arg;
    const safety_set *set = run->set;
    size_t per_method = SAFETY_FOLDS + set->n_recipes, part = task % per_method;
    safety_method method = (safety_method)(task / per_method);
    safety_protocol_method *m = &run->methods[method];
    run->status[task] = part < SAFETY_FOLDS ? hold_out(set, method, run->fold, part, &m->in_domain[part], m->in_fold)
                                     : hold_out(set, method, set->recipe, part - SAFETY_FOLDS, &m->unseen[part - SAFETY_FOLDS], m->left_out);
}

/* One evader changed in every way: the updates and five statistics of each. */
static classifier_status change(const safety_protocol_run *run, size_t i, updates changed[EVASION_COUNT], double *features)
{
    const safety_set *set = run->set;
    classifier_status status = CLASSIFIER_OK;
    for (size_t e = 0; e < EVASION_COUNT && status == CLASSIFIER_OK; e++) {
        evaded copy = {0};
        status = evasion_apply(&set->members[i]->profile, e, run->seed + i, &copy);
        if (status == CLASSIFIER_OK)
            status = updates_of_profile(&copy.profile, &changed[e], NULL);
        if (status == CLASSIFIER_OK)
            status = five_statistics(&copy.profile, &changed[e], features + e * set->n_features);
        evaded_release(&copy);
    }
    return status;
}

/* Task: one evader, judged by the models that were fitted without it. */
static void evade_task(void *arg, size_t task)
{
    safety_protocol_run *run = arg;
    const safety_set *set = run->set;
    size_t i = run->evader[task];
    updates changed[EVASION_COUNT] = {{0}};
    const updates *all[EVASION_COUNT];
    double *kernel = malloc(EVASION_COUNT * (2 * set->n + set->n_features) * sizeof *kernel);
    double *similarity = kernel ? kernel + EVASION_COUNT * set->n : NULL, *features = kernel ? similarity + EVASION_COUNT * set->n : NULL;
    classifier_status status = kernel ? change(run, i, changed, features) : CLASSIFIER_E_MEMORY;
    for (size_t e = 0; e < EVASION_COUNT; e++)
        all[e] = &changed[e];
    if (status == CLASSIFIER_OK)
        status = safety_kernel(&set->stack, set->n, set->reference, all, EVASION_COUNT, kernel, similarity);
    for (size_t k = 0; k < SAFETY_METHOD_COUNT && status != CLASSIFIER_E_MEMORY; k++)
        for (size_t e = 0; e < EVASION_COUNT; e++) {
            const safety_rule *rule = &run->methods[k].in_domain[run->fold[i]];
            safety_view view = {kernel + e * set->n, similarity + e * set->n, features + e * set->n_features, safety_norm(&changed[e])};
            run->methods[k].evaded[e * run->n_evaders + task] = status == CLASSIFIER_OK && rule->n ? judge(rule, view) : UNKNOWN;
        }
    run->status[task] = status == CLASSIFIER_E_MEMORY ? status : CLASSIFIER_OK;
    for (size_t e = 0; e < EVASION_COUNT; e++)
        updates_release(&changed[e]);
    free(kernel);
}

/* Adapters with a clear label, spread evenly over the set. */
static void choose_evaders(safety_protocol_run *run)
{
    size_t n_clear = 0, seen = 0;
    for (size_t i = 0; i < run->set->n; i++)
        n_clear += run->set->clear[i] != 0;
    size_t wanted = n_clear < SAFETY_EVADERS ? n_clear : SAFETY_EVADERS;
    for (size_t i = 0; i < run->set->n; i++)
        if (run->set->clear[i] && seen++ * wanted / n_clear >= run->n_evaders && run->n_evaders < wanted)
            run->evader[run->n_evaders++] = i;
}

void safety_protocol_release(safety_protocol_run *run)
{
    for (int k = 0; k < SAFETY_METHOD_COUNT; k++) {
        safety_protocol_method *m = &run->methods[k];
        for (size_t i = 0; i < SAFETY_FOLDS; i++)
            safety_rule_release(&m->in_domain[i]);
        for (size_t i = 0; m->unseen && i < run->set->n_recipes; i++)
            safety_rule_release(&m->unseen[i]);
        free(m->unseen);
        free(m->in_fold);
        free(m->left_out);
        free(m->evaded);
    }
    free(run->fold);
    free(run->evader);
    free(run->status);
    *run = (safety_protocol_run){0};
}

static classifier_status run_create(const safety_set *set, unsigned long seed, safety_protocol_run *run)
{
    size_t n_fits = SAFETY_METHOD_COUNT * (SAFETY_FOLDS + set->n_recipes), n_changes = EVASION_COUNT * SAFETY_EVADERS;
    *run = (safety_protocol_run){.set = set, .seed = seed};
    run->fold = calloc(set->n, sizeof *run->fold);
    run->evader = calloc(set->n, sizeof *run->evader);
    run->status = calloc(n_fits > n_changes ? n_fits : n_changes, sizeof *run->status);
    int complete = run->fold && run->evader && run->status;
    for (int k = 0; k < SAFETY_METHOD_COUNT; k++) {
        safety_protocol_method *m = &run->methods[k];
        m->unseen = calloc(set->n_recipes, sizeof *m->unseen);
        m->in_fold = calloc(set->n, sizeof *m->in_fold);
        m->left_out = calloc(set->n, sizeof *m->left_out);
        m->evaded = calloc(n_changes, sizeof *m->evaded);
        complete = complete && m->unseen && m->in_fold && m->left_out && m->evaded;
    }
    return complete ? deal_folds(run) : CLASSIFIER_E_MEMORY;
}

static classifier_status run_stage(safety_protocol_run *run, size_t n, void (*task)(void *, size_t), safety_executor execute, void *ctx)
{
    if (execute)
        execute(ctx, n, task, run);
    else
        for (size_t i = 0; i < n; i++)
            task(run, i);
    for (size_t i = 0; i < n; i++)
        if (run->status[i] != CLASSIFIER_OK)
            return run->status[i];
    return CLASSIFIER_OK;
}

classifier_status safety_protocol_start(const safety_set *set, unsigned long seed, safety_executor run, void *ctx, safety_protocol_run *out)
{
    classifier_status status = run_create(set, seed, out);
    if (status == CLASSIFIER_OK)
        status = run_stage(out, SAFETY_METHOD_COUNT * (SAFETY_FOLDS + set->n_recipes), fit_task, run, ctx);
    if (status != CLASSIFIER_OK)
        return status;
    choose_evaders(out);
    return run_stage(out, out->n_evaders, evade_task, run, ctx);
}
