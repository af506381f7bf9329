/* scale.c - scale rules.
 *
 *   alpha tensor in the file   s = alpha / r; alpha 0 means alpha = r           kohya networks/lora.py, diffusers
 *   kohya, diffusers without   s = 1                                            kohya ("old LoRA"), diffusers 1-3
 *   PEFT with a config         s = lora_alpha / r, or / sqrt(r) with use_rslora peft tuners/lora/layer.py
 *   PEFT config without alpha  s = 8 / r, PEFT's default                        peft tuners/lora/config.py
 *   PEFT, loralib without      s is not in the file: taken as 1, and said so
 *
 * r is the rank of the tensors. Where a config declares another, the config is the finding, not the tensors.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/scale.h"

#include "analyzer/base/bytes.h"
#include "spectral/spectral.h"

#include <math.h>
#include <string.h>

/* An alpha is one number of any float or integer type; anything else gives NaN and is passed over. */
static lora_code read_alpha(const tensor *t, const file *f, double *alpha, lora_error *err)
{
    *alpha = NAN;
    unsigned char raw[8] = {0};
    uint64_t width = dtype_bits(t->dtype) / 8;
    if (t->bytes != width || width == 0 || width > sizeof raw)
        return LORA_OK;
    lora_code code = file_read_at(f, t->offset, raw, (size_t)width, err);
    if (code != LORA_OK)
        return code;
    switch (t->dtype) {
    case DTYPE_F64: *alpha = spectral_scalar(raw, SPECTRAL_F64); break;
    case DTYPE_F32: *alpha = spectral_scalar(raw, SPECTRAL_F32); break;
    case DTYPE_F16: *alpha = spectral_scalar(raw, SPECTRAL_F16); break;
    case DTYPE_BF16: *alpha = spectral_scalar(raw, SPECTRAL_BF16); break;
    case DTYPE_I64: *alpha = (double)(int64_t)bytes_le64(raw); break;
    case DTYPE_I32: *alpha = (double)(int32_t)bytes_le32(raw); break;
    default: break;
    }
    return LORA_OK;
}

bool scale_takes_alpha(lora_layout layout)
{
    return layout == LAYOUT_KOHYA || layout == LAYOUT_DIFFUSERS || layout == LAYOUT_LYCORIS;
}

/* Pipelines read the metadata of their own file and its alpha tensors; adapter_config.json is PEFT's. */
static bool config_speaks_for(const lora_config *cfg, lora_layout layout)
{
    return !scale_takes_alpha(layout) || (layout == LAYOUT_DIFFUSERS && strcmp(cfg->source, "lora_adapter_metadata") == 0);
}

lora_code scale_of_module(lora_module *m, const lora_config *cfg, const config_values *values, const file *f,
                          scale_rule *rule, bool *usable, lora_error *err)
{
    double r = (double)m->r;
    m->scale = 1;
    *usable = true;
    if (m->alpha) {
        double alpha = NAN;
        lora_code code = read_alpha(m->alpha, f, &alpha, err);
        *usable = isfinite(alpha);
        m->scale = alpha == 0 || !*usable ? 1 : alpha / r;
        *rule = SCALE_ALPHA_TENSOR;
        return code;
    }
    if (values->has_alpha && config_speaks_for(cfg, m->layout)) {
        m->scale = values->alpha / (values->rslora ? sqrt(r) : r);
        *rule = values->is_default ? SCALE_DEFAULT : values->rslora ? SCALE_CONFIG_RS : SCALE_CONFIG;
        return LORA_OK;
    }
    *rule = scale_takes_alpha(m->layout)                      ? SCALE_RULE_ONE
            : cfg->tree || cfg->fault.code != LORA_OK         ? SCALE_BAD_CONFIG
                                                              : SCALE_ASSUMED_ONE;
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
    case SCALE_BAD_CONFIG: return arena_printf(mem, "assumed 1: %s gives no usable lora_alpha", config_name);
    default: return "assumed 1: alpha is not in the file and no adapter_config.json lies beside it";
    }
}
