/* naming.h - what one tensor's key says: which module it belongs to, and which part of it it is.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_NAMING_H
#define LORAUDIT_NAMING_H

#include "analyzer/adapter/layout.h"
#include "analyzer/base/arena.h"

typedef enum {
    PART_NONE,      /* no name of any adapter method: a full weight, a bias, something else */
    PART_A,         /* the factor next to the input: lora_A, lora_down, down */
    PART_B,         /* the factor next to the output: lora_B, lora_up, up */
    PART_ALPHA,     /* scalar: scale = alpha / r */
    PART_MAGNITUDE, /* DoRA's magnitude vector */
    PART_BIAS,      /* a bias trained with the adapter */
    PART_FOREIGN    /* belongs to a method whose ΔW is not s·B·A, or to a layout not read yet */
} key_part;

typedef struct {
    key_part part;
    lora_layout layout;
    bool embedding;
    const char *module;  /* path of the module, wrapper prefixes off; in the arena. NULL for PART_NONE */
    const char *full;    /* the same with its prefixes: two spellings of one module are two modules */
    const char *adapter; /* PEFT adapter name inside the key ("default"), "" when there is none; in the arena */
    const char *method;  /* PART_FOREIGN: the method's name; static */
    bool low_rank;       /* PART_FOREIGN: ΔW is a product of small factors, only not this one */
} parsed_key;

/* naming_parse - take one key apart. Out: *key. Errs: LORA_E_MEMORY. Cost: O(length). */
lora_code naming_parse(const char *text, arena *mem, parsed_key *key);

#endif
