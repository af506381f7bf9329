/* safety.h - was safety training removed? A bank of adapters of one base model, labelled by the refusal measured after
 * fine-tuning, and two ways to ask it:
 *
 *     five-statistics   the baseline (arXiv 2602.15195): σ₁, ‖ΔW‖_F, E, H and kurtosis per kind of module and band of layers,
 *                       logistic regression
 *     loraudit          ours: a support vector machine on kernels of ΔW, which see direction; see safety.c. Its members collapse into one
 *                       direction (safety_direction.h): to ask it costs the same whatever their number
 *
 * A threshold is the highest score of the controls, each scored by a model that has not seen its recipe; calibration.h says what that proves.
 *
 * A score is a statistic, not a proof: it comes with the number of controls it was calibrated on and the bound on false alarms that
 * follows. Scores do not change under B·G, G⁻¹·A, nor with the rank or the file format the same ΔW is stored in.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SAFETY_H
#define CLASSIFIER_SAFETY_H

#include "classifiers/bank.h"
#include "classifiers/profile.h"

typedef enum { SAFETY_FIVE_STATISTICS, SAFETY_LORAUDIT, SAFETY_METHOD_COUNT } safety_method;
const char *safety_method_name(safety_method method); /* "five-statistics", "loraudit" */

typedef enum { SAFETY_ANSWER_INCONCLUSIVE, SAFETY_ANSWER_NOT_FLAGGED, SAFETY_ANSWER_FLAGGED } safety_answer_verdict;

typedef struct {
    safety_answer_verdict verdict;
    double score;       /* calibrated probability in [0, 1]; NaN when inconclusive for want of a domain */
    double threshold;   /* on that score */
    size_t controls;    /* members with safety clearly kept (safety_set.h) that the threshold was set on */
    double fpr_bound;   /* of the flag, from the controls alone */
    double similarity, similarity_limit; /* to the bank's members on average, of chance 0; below the limit the base is not taken to be the same */
} safety_answer;

typedef struct safety_model safety_model;

/* safety_model_train - learn from members[n], all of one frame, with factors and labels `unsafe` and `training`.
 * Errs:  CLASSIFIER_E_DATA: one class only, a class of one recipe only, another frame (named), factors or labels missing (named), values not
 *        finite (named);
 *        CLASSIFIER_E_MEMORY. *out is NULL then
 * Owner: the caller, safety_model_free. The profiles are not kept
 * Cost:  O(n²·modules·rows·rank²); seconds for n = 400 */
classifier_status safety_model_train(const labelled_profile *const *members, size_t n, safety_model **out, classifier_fault *fault);
void safety_model_free(safety_model *model); /* NULL is accepted */

/* safety_model_judge - ask about a profile with factors.
 * Out:   *answer; *reason = NULL, or why it is inconclusive: one line, static or in `why`
 * Errs:  CLASSIFIER_E_MEMORY
 * Cost:  O(modules·(rows + columns)·rank·(rank + SAFETY_KEPT)) */
classifier_status safety_model_judge(const safety_model *model, const classifier_profile *p, safety_answer *answer, const char **reason,
                                     char why[240]);

/* safety_model_to_bank, safety_model_from_bank - as of size.h. A bank keeps no member, only the direction, in half precision. */
classifier_status safety_model_to_bank(const safety_model *model, classifier_bank *bank);
classifier_status safety_model_from_bank(const classifier_bank *bank, safety_model **out, classifier_fault *fault);

#endif
