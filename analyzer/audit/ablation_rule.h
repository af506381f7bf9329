/* ablation_rule.h - the rule directional-ablation: brings the factors' leading left vectors to the classifier.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ABLATION_RULE_H
#define LORAUDIT_ABLATION_RULE_H

#include "analyzer/audit/spectra_stage.h"

/* ablation_rule_apply - add the finding and set r->safety when the record is a directional ablation.
 * In:    machine: as the spectra were computed with
 * Errs:  LORA_E_MEMORY; LORA_E_READ when a factor can no longer be read
 * Cost:  nothing unless structure alone makes it a candidate; then one more pass over its factors */
lora_code ablation_rule_apply(lora_record *r, const spectra_machine *machine, lora_error *err);

#endif
