/* naming.h - what one tensor's key says: which module it belongs to, and which part of it it is.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_NAMING_H
#define LORAUDIT_NAMING_H

#include "analyzer/adapter/layout.h"
#include "analyzer/base/arena.h"

typedef enum {
    PART_A,         /* the factor next to the input: lora_A, lora_down, down, w1_b */
    PART_B,         /* the factor next to the output: lora_B, lora_up, up, w1_a */
    PART_CORE,      /* between them: lora_mid, lora_E, a latent mapping, t1 */
    PART_A2,        /* the same of the second operand of LoHa and LoKr */
    PART_B2,
    PART_CORE2,
    PART_FULL,      /* an operand given whole: lokr_w1 */
    PART_FULL2,     /* lokr_w2 */
    PART_ALPHA,     /* scalar: scale = alpha / r */
    PART_MAGNITUDE, /* DoRA's magnitude vector */
    N_MODULE_PARTS, /* so far one tensor a module has of each */
    PART_BIAS = N_MODULE_PARTS, /* a bias trained with the adapter */
    PART_FOREIGN,   /* belongs to a method whose ΔW is no product of factors, or is not computed */
    PART_NONE       /* no name of any adapter method: a full weight, a bias, something else */
} key_part;

typedef struct {
    key_part part;
    lora_layout layout;
    bool embedding;
    const char *module;  /* path of the module, wrapper prefixes off; in the arena. NULL for PART_NONE */
    const char *full;    /* the same with its prefixes: two spellings of one module are two modules */
    const char *adapter; /* PEFT adapter name inside the key ("default"), "" when there is none; in the arena */
    const char *method;  /* "lora", "loha", … ; static. NULL for parts that many methods have */
    bool factor_like;    /* PART_NONE: named like a factor, in a form that no table knows */
    bool low_rank;       /* PART_FOREIGN: ΔW is a product of small factors, only not one that is computed */
} parsed_key;

/* naming_parse - take one key apart. Out: *key. Errs: LORA_E_MEMORY. Cost: O(length). */
lora_code naming_parse(const char *text, arena *mem, parsed_key *key);

/* naming_parse_list - the key of element `index` of a bare list of tensors, cloneofsimo's [up0, down0, up1, down1, …]. */
lora_code naming_parse_list(uint64_t index, arena *mem, parsed_key *key);

/* naming_method_text - why a method is named and not computed, in a few words; NULL for methods that are computed. */
const char *naming_method_text(const char *method);

#endif
