/* recipe.h - the recipe key: what must be alike in two adapters before their spectra may be compared.
 *
 *     peft lora init=kaiming-uniform transformer.q:128x128:r8:s2*4 transformer.v:64x128:r8:s2*4
 *
 * Layout, method, law of A, and every kind of module (component, role, out × in, rank, scale) with its count, kinds in
 * bytewise order. Two adapters of one training recipe on one base have equal keys; learning rate, steps and data are not in
 * the weights and not in the key.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_RECIPE_H
#define LORAUDIT_RECIPE_H

#include "analyzer/audit/record.h"

/* recipe_key - the key of r, in its arena, at most 4096 bytes: a longer one ends in its hash. NULL without memory. */
const char *recipe_key(const lora_record *r);

#endif
