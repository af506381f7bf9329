/* size_model.h - what a trained estimator of dataset sizes is made of; for size.c and size_bank.c alone.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_SIZE_MODEL_H
#define CLASSIFIER_SIZE_MODEL_H

#include "classifiers/size/nearest.h"
#include "classifiers/size/size.h"
#include "classifiers/size/size_domain.h"
#include "classifiers/size/size_regression.h"

/* Two sets of features, and a regression on each:
 *     VALUE      all blocks, START with a tenth of the weight; the answer is the median of its distribution with 0.12 of INTERVAL's
 *     INTERVAL   SPECTRUM and SUMMARY after size_shape, which more or fewer steps of training move least; answers with its interval */
typedef enum { SIZE_VIEW_VALUE, SIZE_VIEW_INTERVAL, SIZE_VIEWS } size_view_kind;

typedef struct {
    size_t n_blocks, width;
    double *mean, *deviation; /* width each */
    size_regression regression;
} size_view;

struct size_model {
    char *recipe, *frame;
    size_layout layout;
    size_t n, n_sizes;
    double sizes[SIZE_MAX_CLASSES]; /* distinct, ascending */
    size_t *size_index;             /* n */
    char **names;                   /* n, without line breaks */
    double *spectra;                /* n × layout.n_spectra */
    nearest_index index;            /* of them */
    size_view views[SIZE_VIEWS];
    size_domain domain;
};

/* The members' standardised features, n × width of each view: needed to learn and to read a bank, and no longer. */
typedef struct {
    double *of[SIZE_VIEWS];
} size_table; /* starts as {0} */

/* size_model_create - for n members of this layout, which is copied; everything else zero. Errs: CLASSIFIER_E_MEMORY: NULL */
size_model *size_model_create(const size_layout *layout, size_t n);

/* size_model_standardise - from the spectra: mean and deviation of both views, and the members' features. Errs: CLASSIFIER_E_MEMORY
 * Owner: the caller, size_table_release, also after an error */
classifier_status size_model_standardise(size_model *model, size_table *features);
void size_table_release(size_table *features);

/* size_model_index - the index for votes, from the spectra and size_index. Errs: CLASSIFIER_E_MEMORY */
classifier_status size_model_index(size_model *model);

/* size_model_as_members - what the regression of a view sees of it. features: NULL where it is only asked */
size_members size_model_as_members(const size_model *model, size_view_kind kind, const double *features);

#endif
