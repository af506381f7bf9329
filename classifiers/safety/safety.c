/* safety.c - see safety.h. What is learnt: safety_rule.h, on the adapters as safety_set.h sees them.
 *
 * The product sees how far an adapter moves along those that removed safety, the left kernel what is written, whatever the inputs. Of their
 * sums and of others (normalised, right kernel, spectra, single roles and layers, other costs) this one was chosen by leaving recipes out of
 * one set of adapters of a small decoder, and kept its lead on a second set with other seeds. Magnitude counts only along directions that were
 * learnt: how long was trained is no evidence by itself.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "classifiers/safety/safety.h"

#include "classifiers/safety/safety_model.h"
#include "classifiers/safety/safety_rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *safety_method_name(safety_method method)
{
    return method == SAFETY_LORAUDIT ? "loraudit" : "five-statistics";
}

void safety_model_free(safety_model *model)
{
    if (!model)
        return;
    free(model->frame);
    safety_direction_release(&model->direction);
    free(model);
}

/* As a bank scores: by the rule's direction, truncated. */
static classifier_status score_by_direction(const safety_set *set, const safety_rule *rule, const size_t *left_out, size_t n_left, double *score)
{
    safety_direction direction = {0};
    double *weight = calloc(set->n, sizeof *weight);
    classifier_status status = weight ? CLASSIFIER_OK : CLASSIFIER_E_MEMORY;
    for (size_t j = 0; weight && j < rule->n; j++)
        weight[rule->member[j]] = rule->weight[j];
    if (status == CLASSIFIER_OK)
        status = safety_direction_of_set(set, weight, SAFETY_KEPT, &direction);
    for (size_t i = 0; i < n_left && status == CLASSIFIER_OK; i++) {
        safety_reading reading;
        status = safety_direction_read(&direction, &set->members[left_out[i]]->profile, &reading, NULL);
        score[i] = status == CLASSIFIER_OK ? rule->offset + reading.score : 0;
    }
    safety_direction_release(&direction);
    free(weight);
    return status;
}

/* How much less similar a member reads at most by the direction, which is truncated, than by its kernels. */
static classifier_status similarity_lost(const safety_set *set, const safety_direction *d, double *lost)
{
    *lost = 0;
    for (size_t i = 0; i < set->n; i++) {
        safety_reading reading;
        double similarity = 0;
        classifier_status status = safety_direction_read(d, &set->members[i]->profile, &reading, NULL);
        if (status != CLASSIFIER_OK)
            return status;
        for (size_t j = 0; j < set->n; j++)
            similarity += set->similarity[i * set->n + j] / (double)set->n;
        *lost = fmax(*lost, similarity - reading.similarity);
    }
    return CLASSIFIER_OK;
}

/* rule: of all members of set, in their order. */
static classifier_status model_of_rule(const safety_set *set, const safety_rule *rule, safety_model **out)
{
    const char *frame = set->members[0]->profile.frame;
    safety_model *m = calloc(1, sizeof *m);
    if (!m)
        return CLASSIFIER_E_MEMORY;
    m->frame = malloc(strlen(frame) + 1);
    double lost = 0;
    classifier_status status = m->frame ? safety_direction_of_set(set, rule->weight, SAFETY_KEPT, &m->direction) : CLASSIFIER_E_MEMORY;
    if (status == CLASSIFIER_OK)
        status = similarity_lost(set, &m->direction, &lost);
    if (status != CLASSIFIER_OK) {
        safety_model_free(m);
        return status;
    }
    memcpy(m->frame, frame, strlen(frame) + 1);
    m->offset = rule->offset;
    m->similarity_limit = rule->similarity_limit - lost;
    m->norm_limit = rule->norm_limit;
    m->calibration = rule->calibration;
    *out = m;
    return CLASSIFIER_OK;
}

classifier_status safety_model_train(const labelled_profile *const *members, size_t n, safety_model **out, classifier_fault *fault)
{
    safety_set set = {0};
    safety_rule rule = {0};
    size_t *index = NULL;
    classifier_status status = safety_set_create(members, n, NULL, NULL, &set, fault);
    *out = NULL;
    if (status != CLASSIFIER_OK)
        return status;
    status = CLASSIFIER_E_MEMORY;
    if ((index = malloc(n * sizeof *index))) {
        for (size_t i = 0; i < n; i++)
            index[i] = i;
        status = safety_rule_fit(&set, SAFETY_LORAUDIT, index, n, score_by_direction, &rule, fault);
    }
    if (status == CLASSIFIER_OK)
        status = model_of_rule(&set, &rule, out);
    if (status == CLASSIFIER_E_MEMORY)
        classifier_fail(fault, status, "no memory to learn from %zu adapters", n);
    else if (status != CLASSIFIER_OK)
        classifier_fail(fault, status, "the updates of %zu adapters cannot be decomposed", n); /* the first writer wins */
    free(index);
    safety_rule_release(&rule);
    safety_set_release(&set);
    return status;
}

static int shapes_fit(const safety_model *model, const classifier_profile *p)
{
    if (p->n_modules != model->direction.n_modules || strcmp(p->frame, model->frame) != 0)
        return 0;
    for (size_t m = 0; m < p->n_modules; m++)
        if (p->modules[m].rows != model->direction.modules[m].rows || p->modules[m].columns != model->direction.modules[m].columns)
            return 0;
    return 1;
}

/* The verdict on what was read of an adapter whose modules fit. */
static void judge_reading(const safety_model *model, const safety_reading *r, safety_answer *answer, const char **reason, char why[240])
{
    const calibration *c = &model->calibration;
    double score = r->score + model->offset;
    answer->similarity = r->similarity;
    *reason = why;
    if (!(r->similarity >= model->similarity_limit)) {
        snprintf(why, 240, "it is %.4f similar to the adapters of the safety bank, where chance is 0 and the least to be judged is %.4f: another base model?",
                 r->similarity, model->similarity_limit);
        return;
    }
    if (!(r->norm <= model->norm_limit)) {
        snprintf(why, 240, "its update is of norm %.3g, more than the %.3g that is %d times that of the largest in the safety bank", r->norm,
                 model->norm_limit, SAFETY_GROWTH);
        return;
    }
    answer->score = calibration_probability(c, score);
    if (!(c->fpr_bound <= CALIBRATION_FALSE_ALARMS)) {
        snprintf(why, 240, "the safety bank's %zu controls bound false alarms at %.1f %%, more than %.0f %%", c->controls, 100 * c->fpr_bound,
                 100 * CALIBRATION_FALSE_ALARMS);
        return;
    }
    *reason = NULL;
    answer->verdict = score > c->threshold ? SAFETY_ANSWER_FLAGGED : SAFETY_ANSWER_NOT_FLAGGED;
}

classifier_status safety_model_judge(const safety_model *model, const classifier_profile *p, safety_answer *answer, const char **reason,
                                     char why[240])
{
    const calibration *c = &model->calibration;
    safety_answer a = {.verdict = SAFETY_ANSWER_INCONCLUSIVE, .score = NAN, .threshold = calibration_probability(c, c->threshold),
                       .controls = c->controls, .fpr_bound = c->fpr_bound, .similarity = NAN, .similarity_limit = model->similarity_limit};
    safety_reading reading = {0};
    classifier_fault fault = {0};
    *reason = "no safety bank for this base: its modules are not those of the bank's adapters";
    if (!shapes_fit(model, p)) {
        *answer = a;
        return CLASSIFIER_OK;
    }
    classifier_status status = safety_direction_read(&model->direction, p, &reading, &fault);
    if (status == CLASSIFIER_E_DATA) {
        snprintf(why, 240, "no safety score: %.200s", fault.message);
        *reason = why;
        *answer = a;
        return CLASSIFIER_OK;
    }
    if (status != CLASSIFIER_OK)
        return status;
    judge_reading(model, &reading, &a, reason, why);
    *answer = a;
    return CLASSIFIER_OK;
}
