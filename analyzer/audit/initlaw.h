/* initlaw.h - which law a trainer drew the factor A from, and how far A has moved since.
 *
 *   kaiming-uniform   A ~ U(−b, b), b = 1/√n        PEFT default, kohya     E‖A‖² = r/3    sd = √(4r/(45n))   kurtosis 1.8
 *   gaussian-1/r      A ~ N(0, 1/r²)                diffusers, cloneofsimo  E‖A‖² = n/r    sd = √(2rn)/r²     kurtosis 3
 *
 * Training adds drift, so a module matches when ‖A‖² lies within 10 % of the law's expectation (and four deviations of
 * the draw) and the kurtosis within 0.3; a law is named when nine tenths of the modules match. The uniform law is
 * bounded: entries beyond b·(1 + 2⁻⁸) prove movement, and a fraction p of them means a mean drift of about 2·b·p.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_INITLAW_H
#define LORAUDIT_INITLAW_H

#include "analyzer/audit/record.h"

/* initlaw_support - the bound beyond which no uniform draw of a factor with n columns can lie, rounding allowed for. */
double initlaw_support(uint64_t n);

/* initlaw_find - judge the finite modules of r; embeddings, which start at A = 0, are left out.
 * Out: *out. Errs: LORA_E_MEMORY. Cost: O(n log n) for n modules. */
lora_code initlaw_find(const lora_record *r, init_finding *out, lora_error *err);

#endif
