/* scale.h - the factor s of ΔW = s·B·A, by each layout's own rule.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_SCALE_H
#define LORAUDIT_SCALE_H

#include "analyzer/adapter/config.h"
#include "analyzer/adapter/layout.h"

typedef enum {
    SCALE_ASSUMED_ONE,  /* the layout keeps alpha elsewhere, and that is not there: s = 1 */
    SCALE_RULE_ONE,     /* the layout says that without alpha s = 1 */
    SCALE_ALPHA_TENSOR, /* alpha / r, alpha from the file */
    SCALE_CONFIG,       /* lora_alpha / r */
    SCALE_CONFIG_RS,    /* lora_alpha / sqrt(r) */
    SCALE_DEFAULT,      /* 8 / r: a config that declares no lora_alpha */
    SCALE_MLX,          /* lora_parameters.scale */
    SCALE_MLX_DEFAULT,  /* 20: mlx_lm's default */
    SCALE_GGUF,         /* adapter.lora.alpha / r */
    SCALE_FULL,         /* LoKr of two full matrices: alpha := r */
    SCALE_BAD_CONFIG,   /* a config is there and gives none: s = 1 */
    SCALE_N_RULES
} scale_rule;

/* scale_of_module - set m->scale.
 * In:   cfg and values: what is declared, values for this module; cat: alpha tensors and metadata
 * Out:  m->scale, *rule; *usable false when there is an alpha tensor that is no finite number: nothing may be computed then
 * Errs: those of file_read_at, when an alpha tensor cannot be read */
lora_code scale_of_module(lora_module *m, const catalog *cat, const lora_config *cfg, const config_values *values,
                          scale_rule *rule, bool *usable, lora_error *err);

/* scale_takes_alpha - does the layout keep its scale in alpha tensors? Elsewhere they are strays. method may be NULL. */
bool scale_takes_alpha(lora_layout layout, const char *method);

/* scale_rule_text - where the scale comes from, for the record; config_name is the config's file or metadata key. */
const char *scale_rule_text(scale_rule rule, const char *config_name, arena *mem);

#endif
