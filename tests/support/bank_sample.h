/* bank_sample.h - banks of both tasks, trained on copies of one adapter.
 *
 * Every copy is scaled and shaken a little, so that the adapter itself lies in the middle of its banks: they know its recipe, its frame and
 * its norms. Three sizes, ten apart, follow its norms; the adapter has the middle one. For safety, two of four training recipes leave B where it
 * is, two turn it, all by the same amount.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_BANK_SAMPLE_H
#define TEST_BANK_SAMPLE_H

#include "analyzer/loraudit.h"
#include "classifiers/bank.h"
#include "classifiers/profile.h"

enum { BANK_SAMPLE_SIZE = 10, BANK_SAMPLE_CONTROLS = 64, BANK_SAMPLE_FEW_CONTROLS = 24 };

typedef struct {
    lora_record *base; /* with factors; owns what the profile points to */
    classifier_profile profile;
    classifier_bank size;    /* 1, 10 and 100 samples: BANK_SAMPLE_SIZE is the adapter's; names of members hold an escape sequence */
    classifier_bank removed; /* copies near the adapter had their safety removed, those turned did not */
    classifier_bank few;     /* the same with too few controls for a verdict */
    classifier_bank kept;    /* the labels the other way round */
} bank_sample;

/* bank_sample_make - from the adapter in the file at path; whatever goes wrong aborts. */
void bank_sample_make(const char *path, bank_sample *out);
void bank_sample_free(bank_sample *s);

#endif
