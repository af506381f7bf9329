/* scale.c - scale rules.
 *
 *   alpha tensor in the file   s = alpha / r; alpha 0 means alpha = r           kohya networks/lora.py, diffusers, LyCORIS
 *   LoKr, both operands full   s = 1: LyCORIS sets alpha to r                   lycoris/modules/lokr.py
 *   kohya, diffusers,
 *   cloneofsimo without        s = 1                                            kohya ("old LoRA"), diffusers 1-3
 *   PEFT with a config         s = lora_alpha / r, or / sqrt(r) with use_rslora peft tuners/lora/layer.py
 *   AdaLoRA                    s = lora_alpha / (init_r + 1e-5), also pruned    peft tuners/adalora/layer.py
 *   PEFT's LoHa, LoKr          s = alpha / r                                    peft tuners/lokr/layer.py
 *   PEFT config without alpha  s = 8 / r, PEFT's default                        peft tuners/lora/config.py
 *   MLX                        s = lora_parameters.scale, by default 20         mlx_lm tuner/lora.py
 *   GGUF                       s = adapter.lora.alpha / r; alpha 0 means 1      llama.cpp llama-adapter.h
 *   PEFT, loralib without      s is not in the file: taken as 1, and said so
 *
 * r is the rank of the tensors. Where a config declares another, the config is the finding, not the tensors.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/scale.h"

#include "analyzer/formats/fetch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An alpha is one number of any float or integer type; anything else gives NaN and is passed over. */
static lora_code read_alpha(const tensor *t, const file *f, double *alpha, lora_error *err)
{
    *alpha = NAN;
    unsigned char raw[8] = {0};
    uint64_t width = dtype_bits(t->dtype) / 8;
    if (t->bytes != width || width == 0)
        return LORA_OK;
    tensor_dtype as = fetch_dtype(t);
    if (as == DTYPE_COUNT)
        return LORA_OK;
    lora_code code = fetch_entries(f, t, 0, 1, raw, err);
    if (code != LORA_OK)
        return code;
    switch (as) {
    case DTYPE_F64: *alpha = spectral_scalar(raw, SPECTRAL_F64); break;
    case DTYPE_F32: *alpha = spectral_scalar(raw, SPECTRAL_F32); break;
    case DTYPE_F16: *alpha = spectral_scalar(raw, SPECTRAL_F16); break;
    default: *alpha = spectral_scalar(raw, SPECTRAL_BF16); break;
    }
    return LORA_OK;
}

static bool is_pair(const char *method)
{
    return method && (strcmp(method, "loha") == 0 || strcmp(method, "lokr") == 0 || strcmp(method, "locon") == 0);
}

bool scale_takes_alpha(lora_layout layout, const char *method)
{
    return layout == LAYOUT_KOHYA || layout == LAYOUT_DIFFUSERS || layout == LAYOUT_LYCORIS || layout == LAYOUT_CLONEOFSIMO ||
           is_pair(method);
}

/* Pipelines read the metadata of their own file and its alpha tensors; adapter_config.json is PEFT's. */
static bool config_speaks_for(const lora_config *cfg, lora_layout layout)
{
    return !scale_takes_alpha(layout, NULL) || (layout == LAYOUT_DIFFUSERS && strcmp(cfg->source, "lora_adapter_metadata") == 0);
}

/* r that the declared alpha is divided by: the tensors'; where they show none, the declared one. */
static double divisor(const lora_module *m, const config_values *values)
{
    double r = m->full && values->rank > 0 ? values->rank : (double)m->r;
    if (strcmp(m->method, "adalora") == 0)
        return (values->init_rank > 0 ? values->init_rank : r) + 1e-5;
    return values->rslora ? sqrt(r) : r;
}

static scale_rule scale_without_alpha(lora_module *m, const catalog *cat, const lora_config *cfg, const config_values *values,
                                      bool *usable)
{
    const char *alpha = m->layout == LAYOUT_GGUF ? catalog_metadata_find(cat, "adapter.lora.alpha") : NULL;
    if (m->layout == LAYOUT_MLX) {
        m->scale = values->has_scale ? values->scale : 20;
        return values->has_scale ? SCALE_MLX : SCALE_MLX_DEFAULT;
    }
    if (m->layout == LAYOUT_GGUF && alpha) {
        double x = strtod(alpha, NULL);
        *usable = isfinite(x);
        m->scale = x == 0 || !*usable ? 1 : x / (double)m->r;
        return SCALE_GGUF;
    }
    if (values->has_alpha && config_speaks_for(cfg, m->layout)) {
        m->scale = values->alpha / divisor(m, values);
        return values->is_default ? SCALE_DEFAULT : values->rslora ? SCALE_CONFIG_RS : SCALE_CONFIG;
    }
    return scale_takes_alpha(m->layout, NULL)            ? SCALE_RULE_ONE
           : cfg->tree || cfg->fault.code != LORA_OK     ? SCALE_BAD_CONFIG
                                                         : SCALE_ASSUMED_ONE;
}

lora_code scale_of_module(lora_module *m, const catalog *cat, const lora_config *cfg, const config_values *values,
                          scale_rule *rule, bool *usable, lora_error *err)
{
    m->scale = 1;
    *usable = true;
    if (m->full && m->layout == LAYOUT_LYCORIS) {
        *rule = SCALE_FULL;
        return LORA_OK;
    }
    if (m->alpha) {
        double alpha = NAN;
        lora_code code = read_alpha(m->alpha, cat->source, &alpha, err);
        *usable = isfinite(alpha);
        m->scale = alpha == 0 || !*usable ? 1 : alpha / (double)m->r;
        *rule = SCALE_ALPHA_TENSOR;
        return code;
    }
    *rule = scale_without_alpha(m, cat, cfg, values, usable);
    return LORA_OK;
}

const char *scale_rule_text(scale_rule rule, const char *config_name, arena *mem)
{
    switch (rule) {
    case SCALE_ALPHA_TENSOR: return "alpha/r from the alpha tensors";
    case SCALE_RULE_ONE: return "1: the layout's rule without alpha";
    case SCALE_CONFIG: return arena_printf(mem, "lora_alpha/r from %s", config_name);
    case SCALE_CONFIG_RS: return arena_printf(mem, "lora_alpha/sqrt(r) from %s", config_name);
    case SCALE_DEFAULT: return arena_printf(mem, "lora_alpha/r with the default 8: %s declares none", config_name);
    case SCALE_MLX: return arena_printf(mem, "lora_parameters.scale from %s", config_name);
    case SCALE_MLX_DEFAULT: return "20, mlx_lm's default: no lora_parameters.scale lies beside the file";
    case SCALE_GGUF: return "adapter.lora.alpha/r from the metadata";
    case SCALE_FULL: return "1: both operands are full matrices, alpha counts as r";
    case SCALE_BAD_CONFIG: return arena_printf(mem, "assumed 1: %s gives no usable lora_alpha", config_name);
    default: return "assumed 1: alpha is not in the file and no adapter_config.json lies beside it";
    }
}
