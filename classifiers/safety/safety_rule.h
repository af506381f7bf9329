/* safety_rule.h - a scorer fitted to some members of a set, with its calibration and its domain.
 *
 *     loraudit          f(x) = Σ_j weight_j·k(x, member_j) + offset; classes weigh the same
 *     five-statistics   f(x) = Σ_j weight_j·(feature_j − mean_j)/deviation_j + offset
 *
 * The calibration scores every member whose label is clear by a scorer that was fitted without the member's recipe. The domain of loraudit: on
 * average at least SAFETY_LIKENESS times as similar to the members as every member is to those of other recipes (adapters of an unrelated base
 * are near 0), and at most SAFETY_GROWTH times as large as the largest member, for a score grows with what moves along the direction learnt,
 * and nothing was learnt of larger ones.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SAFETY_RULE_H
#define CLASSIFIER_SAFETY_RULE_H

#include "classifiers/safety/calibration.h"
#include "classifiers/safety/safety.h"
#include "classifiers/safety/safety_set.h"

#define SAFETY_GROWTH 2
#define SAFETY_LIKENESS 0.5

typedef struct {
    safety_method method;
    size_t n;                 /* members, or features */
    size_t *member;           /* of the set; loraudit only. weight: 0 for all but support vectors */
    double *weight, *mean, *deviation;
    double offset;
    calibration calibration;
    double similarity_limit, norm_limit; /* −∞ and ∞ for five-statistics */
} safety_rule;                /* starts as {0} */

/* How a rule scores members for its calibration: score[n_left] of the members left_out[n_left], which it has not seen. */
typedef classifier_status (*safety_scorer)(const safety_set *set, const safety_rule *rule, const size_t *left_out, size_t n_left, double *score);

/* safety_rule_fit - learn from the members index[n] of set. by: how answers will be scored (NULL: safety_rule_score)
 * Errs:  CLASSIFIER_E_DATA: one class only, or recipes such that no member can be scored without its own; CLASSIFIER_E_MEMORY; the scorer's;
 *        *out untouched
 * Owner: the caller, safety_rule_release */
classifier_status safety_rule_fit(const safety_set *set, safety_method method, const size_t *index, size_t n, safety_scorer by, safety_rule *out,
                                  classifier_fault *fault);
void safety_rule_release(safety_rule *rule);

/* safety_rule_score - In: view: of the adapter against every member of the set. */
double safety_rule_score(const safety_rule *rule, const safety_view *view);

/* safety_rule_verdict - inconclusive outside the domain, or where the bound on false alarms is above CALIBRATION_FALSE_ALARMS. */
safety_answer_verdict safety_rule_verdict(const safety_rule *rule, const safety_view *view, double score);

#endif
