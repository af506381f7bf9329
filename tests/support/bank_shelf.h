/* bank_shelf.h - banks in memory for a judge: they count how often they are loaded, and can be broken.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_BANK_SHELF_H
#define TEST_BANK_SHELF_H

#include "analyzer/audit/judge.h"
#include "classifiers/bank.h"

typedef struct {
    const classifier_bank *bank;
    const char *without; /* a table that is left out: the bank is broken; NULL: none */
    lora_code refuses;   /* loading fails with this; LORA_OK: it does not */
    size_t loads;        /* counted */
} bank_shelf;

/* shelf_head - what a judge knows of the bank before it loads it; s must outlive the judge. */
judge_bank shelf_head(bank_shelf *s, const char *name);

/* shelf_judge - a judge that asks these n banks in order; a lack of memory aborts. */
lora_judge *shelf_judge(const judge_bank *banks, size_t n);

#endif
