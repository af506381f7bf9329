/* rules.h - the findings: one table of what each rule proves, and the functions that apply them to a record.
 *
 * A verdict rule states a fact that the bytes prove. A signal rule states a statistic with its bound.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_RULES_H
#define LORAUDIT_RULES_H

#include "analyzer/audit/record.h"

typedef struct {
    const char *id;
    severity severity; /* at most; a finding may be milder */
    bool is_verdict;   /* else a signal */
    const char *proves;
    const char *source;
} rule_info;

extern const rule_info rules_table[];
extern const size_t rules_count;

/* rules_find - index of the rule called by the n characters at id, or rules_count. */
size_t rules_find(const char *id, size_t n);

/* Which rules speak: bit i of the set is rules_table[i]. */
typedef uint64_t rule_set;
#define RULE_SET_ALL (~(rule_set)0)

/* rules_apply - add the findings that need nothing but the record.
 * Errs: LORA_E_MEMORY */
lora_code rules_apply(lora_record *r, const lora_config *cfg, lora_error *err);

/* rules_filter - drop the findings of rules that are not in set, and put the severest first; equal ones keep their order. */
void rules_filter(lora_record *r, rule_set set);

#endif
