/* config.c - see config.h.
 *
 * PEFT's patterns are Python regular expressions written by strangers, so they run under PCRE2's match and heap limits.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_STEPS = 100000, PATTERN_HEAP_KIB = 1024, PATTERN_BYTES = 4096 };

static void read_fields(lora_config *cfg)
{
    cfg->peft_type = sidefile_string(cfg->tree, "peft_type");
    cfg->base_model = sidefile_string(cfg->tree, "base_model_name_or_path");
    cfg->use_dora = sidefile_true(cfg->tree, "use_dora");
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(cfg->tree, "init_lora_weights");
    if (cJSON_IsString(init))
        cfg->init = init->valuestring;
    else if (cJSON_IsBool(init))
        cfg->init = cJSON_IsTrue(init) ? "true" : "false";
}

lora_code config_load(const char *path, const catalog *cat, arena *mem, lora_config *cfg, lora_error *err)
{
    *cfg = (lora_config){0};
    const char *dir = sidefile_directory(path, mem);
    if (!dir)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a path");
    cfg->source = "adapter_config.json";
    sidefile_load(dir, cfg->source, &cfg->tree, &cfg->fault);
    const char *inside = catalog_metadata_find(cat, "lora_adapter_metadata");
    if (!cfg->tree && cfg->fault.code == LORA_OK && inside) {
        cfg->source = "lora_adapter_metadata";
        sidefile_parse(inside, strlen(inside), cfg->source, &cfg->tree, &cfg->fault);
    }
    if (cfg->fault.code == LORA_E_MEMORY)
        return lora_fail(err, LORA_E_MEMORY, "no memory for %s", cfg->source);
    if (cfg->tree)
        read_fields(cfg);
    return LORA_OK;
}

void config_release(lora_config *cfg)
{
    cJSON_Delete(cfg->tree);
    cfg->tree = NULL;
}

typedef enum { MATCH_NO, MATCH_YES, MATCH_BAD } match_result;

/* re.match(rf"(.*\.)?({key})$", module) */
static match_result pattern_matches(const char *key, const char *module)
{
    char pattern[PATTERN_BYTES];
    int n = snprintf(pattern, sizeof pattern, "\\A(?:.*\\.)?(?:%s)$", key);
    if (n < 0 || (size_t)n >= sizeof pattern)
        return MATCH_BAD;
    int error = 0;
    PCRE2_SIZE at = 0;
    match_result result = MATCH_BAD;
    pcre2_match_data *data = NULL;
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
    if (code)
        data = pcre2_match_data_create_from_pattern(code, NULL);
    if (code && data && limits) {
        pcre2_set_match_limit(limits, PATTERN_STEPS);
        pcre2_set_heap_limit(limits, PATTERN_HEAP_KIB);
        int found = pcre2_match(code, (PCRE2_SPTR)module, strlen(module), 0, 0, data, limits);
        result = found >= 0 ? MATCH_YES : found == PCRE2_ERROR_NOMATCH ? MATCH_NO : MATCH_BAD;
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    pcre2_match_context_free(limits);
    return result;
}

/* The value of the first key of object `name` that matches, or NULL. */
static const double *pattern_value(const cJSON *object, const char *module, bool *bad)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (!item->string || !cJSON_IsNumber(item) || !isfinite(item->valuedouble))
            continue;
        match_result m = pattern_matches(item->string, module);
        if (m == MATCH_YES)
            return &item->valuedouble;
        if (m == MATCH_BAD)
            *bad = true;
    }
    return NULL;
}

/* diffusers packs one LoraConfig a component into flat keys: "unet.lora_alpha", "transformer.r". */
static const cJSON *member(const lora_config *cfg, const char *component, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(cfg->tree, key);
    if (item || !component)
        return item;
    char packed[128];
    int n = snprintf(packed, sizeof packed, "%s.%s", component, key);
    return n > 0 && (size_t)n < sizeof packed ? cJSON_GetObjectItemCaseSensitive(cfg->tree, packed) : NULL;
}

config_values config_for_module(const lora_config *cfg, const char *module)
{
    config_values v = {0};
    if (!cfg->tree)
        return v;
    char component[32] = "";
    const char *path = module;
    if (strcmp(cfg->source, "lora_adapter_metadata") == 0) {
        size_t n = strcspn(module, ".");
        if (n < sizeof component && module[n] == '.') {
            memcpy(component, module, n);
            component[n] = '\0';
            path = module + n + 1;
        }
    }
    const char *in = *component ? component : NULL;
    const cJSON *rank = member(cfg, in, "r"), *alpha = member(cfg, in, "lora_alpha");
    if (cJSON_IsNumber(rank) && isfinite(rank->valuedouble) && rank->valuedouble > 0)
        v.rank = rank->valuedouble;
    if (cJSON_IsNumber(alpha) && isfinite(alpha->valuedouble)) {
        v.alpha = alpha->valuedouble;
        v.has_alpha = true;
    }
    const double *own = pattern_value(member(cfg, in, "rank_pattern"), path, &v.bad_pattern);
    if (own && *own > 0)
        v.rank = *own;
    own = pattern_value(member(cfg, in, "alpha_pattern"), path, &v.bad_pattern);
    if (own) {
        v.alpha = *own;
        v.has_alpha = true;
    }
    v.rslora = cJSON_IsTrue(member(cfg, in, "use_rslora"));
    return v;
}

bool config_starts_at_zero(const lora_config *cfg)
{
    /* loftq, pissa, olora, corda and lora_ga start from the base's own decomposition, "false" and orthogonal from
       random factors; all others from B = 0 (or A = 0: mica, embeddings). */
    static const char *const not_zero[] = {"false", "pissa", "olora", "corda", "loftq", "lora_ga", "orthogonal"};
    if (!cfg->init)
        return true;
    for (size_t i = 0; i < sizeof not_zero / sizeof *not_zero; i++)
        if (strncmp(cfg->init, not_zero[i], strlen(not_zero[i])) == 0)
            return false;
    return true;
}
