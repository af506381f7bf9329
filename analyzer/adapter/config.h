/* config.h - what adapter_config.json, or the LoraConfig inside diffusers metadata, declares.
 *
 * A declaration is never trusted over the tensors: ranks come from shapes, and a config that disagrees is a finding.
 * Source: huggingface/peft tuners/lora/config.py, tuners/lora/model.py, utils/other.py (get_pattern_key).
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_CONFIG_H
#define LORAUDIT_CONFIG_H

#include "analyzer/adapter/sidefile.h"
#include "analyzer/formats/catalog.h"

#include <stdbool.h>

typedef struct {
    cJSON *tree;           /* owned; NULL when nothing declares anything */
    const char *source;    /* "adapter_config.json" or "lora_adapter_metadata"; static */
    const char *peft_type; /* "LORA", "IA3", … ; NULL when absent. Strings point into the tree */
    const char *base_model;
    const char *init; /* init_lora_weights as text: "true", "false", "gaussian", "pissa_niter_4" … ; NULL when absent */
    bool use_dora;
    bool has_experts; /* target_parameters names weights of several experts */
    bool has_groups;  /* enable_lora: MergedLinear, whose B has a group of rows for each enabled part */
    struct config_patterns *patterns; /* compiled, owned */
    lora_error fault; /* a config that is there and cannot be read: LORA_OK when all is well */
} lora_config;

/* config_load - read what is declared beside the weight file at path, or in its metadata.
 * Out: *cfg, to be released with config_release; an unreadable config is cfg->fault, not an error.
 * Errs: LORA_E_MEMORY. */
lora_code config_load(const char *path, const catalog *cat, arena *mem, lora_config *cfg, lora_error *err);
void config_release(lora_config *cfg);

/* What the config declares for one module. rank 0 and has_alpha false: nothing. */
typedef struct {
    double rank, alpha;
    double init_rank; /* AdaLoRA's rank before pruning, which its scale keeps; 0: not declared */
    bool has_alpha;
    bool rslora;      /* alpha / sqrt(r) */
    bool has_scale;   /* MLX: lora_parameters.scale, which is the scale itself */
    double scale;
    bool is_default;  /* alpha is PEFT's default of 8: a config without lora_alpha */
    bool bad_value;   /* r or lora_alpha is there and is no usable number */
    bool bad_pattern; /* a key of rank_pattern or alpha_pattern is no usable regular expression, or there are too many */
} config_values;

/* config_for_module - r and lora_alpha of the module at path, rank_pattern and alpha_pattern applied as PEFT does:
 * the first key that matches as (.*\.)?(KEY)$ wins. Match effort is bounded, for each match and for all of an adapter.
 * Thread: one at a time for one cfg. */
config_values config_for_module(const lora_config *cfg, const char *module);

/* config_starts_at_zero - does training start at ΔW = 0 with the declared init? True when nothing is declared: it is
 * the default of every trainer. */
bool config_starts_at_zero(const lora_config *cfg);

#endif
