/* size.h - how many samples was an adapter trained on? A bank of adapters of the same training recipe, labelled with their
 * sizes, and three ways to ask it:
 *
 *     frobenius-nn   the nearest member by the Frobenius norms of all modules
 *     dsire          as published (arXiv 2406.19395): for each module a nearest neighbour by the ordered σ of A, one by those of B, one
 *                    by those of ΔW; the majority of all votes
 *     loraudit       ours: kernel regression of how probable each size is; see size_regression.h
 *
 * An answer of ours comes with a conformal interval, or not at all: outside the bank's domain (another recipe, another frame, or spectra
 * farther from all members than members are from each other) the model abstains and says why; so it does where the interval would hold
 * all sizes of the bank and the adapter is twice as far from the nearest member as members thereabouts are from theirs.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SIZE_H
#define CLASSIFIER_SIZE_H

#include "classifiers/bank.h"
#include "classifiers/profile.h"

typedef enum { SIZE_FROBENIUS_NN, SIZE_DSIRE, SIZE_LORAUDIT, SIZE_METHOD_COUNT } size_method;
const char *size_method_name(size_method method); /* "frobenius-nn", "dsire", "loraudit" */

enum { SIZE_MAX_CLASSES = 64, SIZE_NEIGHBOURS = 3 };

typedef struct {
    double value;                /* samples; one of the bank's sizes */
    double low, high, coverage;  /* conformal interval, real numbers; the coverage it was made for (0.9). Made from features of its own, it may miss value */
    size_t n_votes;              /* DSiRe's votes: sizes with at least one, most votes first */
    double vote_size[SIZE_MAX_CLASSES];
    size_t vote_count[SIZE_MAX_CLASSES];
    size_t n_neighbours;         /* nearest members, nearest first */
    size_t neighbour[SIZE_NEIGHBOURS]; /* index of the member; size_model_member tells its name and size */
    double distance, distance_limit;   /* to the bank, and the largest it answers for */
} size_answer;

typedef struct size_model size_model;

/* size_model_train - learn from members[n], all of one recipe and frame, with sizes ≥ 1 and sets.
 * Errs:  CLASSIFIER_E_DATA: fewer than nine members, two sizes or two sets, another recipe or frame (named), a label missing, a feature
 * not finite (named);
 *        CLASSIFIER_E_MEMORY. *out is NULL then
 * Owner: the caller, size_model_free. The profiles are not kept
 * Cost:  a few hundred times O(n²·features + n³): 0.2 s for n = 90, 5 s for n = 700 (600 features each) */
classifier_status size_model_train(const labelled_profile *const *members, size_t n, size_model **out, classifier_fault *fault);
void size_model_free(size_model *model); /* NULL is accepted */

/* size_model_estimate - ask about a profile.
 * Out:   *answer and *abstained = NULL; or *abstained = one line, static or in `why` (at least 240 bytes), answer->distance set
 *        where it could be computed
 * Errs:  CLASSIFIER_E_MEMORY
 * Cost:  O((members + features)·SIZE_SPACE_RANK): 0.2 ms for 700 members of 700 features, 4 ms for 300 of 26,000 */
classifier_status size_model_estimate(const size_model *model, const classifier_profile *p, size_answer *answer, const char **abstained,
                                      char why[240]);

/* size_model_predict - what one method answers, the domain not asked: for comparing methods. The profile fits. */
classifier_status size_model_predict(const size_model *model, size_method method, const classifier_profile *p, double *value);

const char *size_model_member(const size_model *model, size_t index, double *size); /* name; NULL beyond the last */
size_t size_model_members(const size_model *model);
const double *size_model_sizes(const size_model *model, size_t *n); /* distinct, ascending */

/* size_model_to_bank, size_model_from_bank - all of a model as tables and texts and back: answers are the same to the
 * precision kept. from_bank proves every shape against the others. Errs: CLASSIFIER_E_MEMORY, CLASSIFIER_E_BANK */
classifier_status size_model_to_bank(const size_model *model, classifier_bank *bank);
classifier_status size_model_from_bank(const classifier_bank *bank, size_model **out, classifier_fault *fault);

#endif
