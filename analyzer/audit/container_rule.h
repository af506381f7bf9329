/* container_rule.h - findings about the container itself: what its reader noticed, and whether its name tells the truth.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_CONTAINER_RULE_H
#define LORAUDIT_CONTAINER_RULE_H

#include "analyzer/audit/record.h"
#include "analyzer/formats/detect.h"
#include "analyzer/formats/observation.h"

/* container_rule_apply - turn each observation into a finding, and compare the extension of r->path with the content.
 * Errs: LORA_E_MEMORY. */
lora_code container_rule_apply(lora_record *r, const observations *seen, content_kind kind, lora_error *err);

#endif
