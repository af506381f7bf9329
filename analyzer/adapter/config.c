/* config.c - see config.h.
 *
 * PEFT's patterns are Python regular expressions written by strangers: compiled once, run under PCRE2's match and heap
 * limits, and given up for good when one of them runs into those. Keys of plain characters and dots, nearly all of them, are
 * compared as text.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/config.h"

#include "analyzer/base/limits.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_STEPS = 10000, PATTERN_HEAP_KIB = 1024, PATTERN_BYTES = 4096 };

typedef struct {
    const char *key;         /* in the tree */
    const char *component;   /* key of the list in the tree: "rank_pattern", or "unet.rank_pattern" for modules of unet */
    const cJSON *item;       /* its value */
    bool literal, bad;
    pcre2_code *code; /* NULL when literal or bad */
} pattern;

typedef struct {
    pattern *list;
    size_t n;
} pattern_list;

struct config_patterns {
    pattern_list rank, alpha;
    size_t matches_left; /* regular-expression matches before all are given up */
    bool too_many;
    bool no_list; /* a list of patterns that is none: nothing of it takes effect */
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

static void read_fields(lora_config *cfg)
{
    cfg->peft_type = sidefile_string(cfg->tree, "peft_type");
    cfg->base_model = sidefile_string(cfg->tree, "base_model_name_or_path");
    cfg->use_dora = sidefile_true(cfg->tree, "use_dora");
    const cJSON *experts = sidefile_member(cfg->tree, "target_parameters");
    cfg->has_experts = cJSON_GetArraySize(experts) > 0;
    cfg->has_groups = cJSON_IsArray(sidefile_member(cfg->tree, "enable_lora"));
    const cJSON *init = sidefile_member(cfg->tree, "init_lora_weights");
    if (cJSON_IsString(init))
        cfg->init = init->valuestring;
    else if (cJSON_IsBool(init))
        cfg->init = cJSON_IsTrue(init) ? "true" : "false";
}

static bool is_literal(const char *key)
{
    return key[strcspn(key, "\\^$|?*+()[]{}")] == '\0';
}

/* re.match(rf"(.*\.)?({key})$", module) */
static pcre2_code *compile(const char *key)
{
    char text[PATTERN_BYTES];
    int n = snprintf(text, sizeof text, "\\A(.*\\.)?(%s)$", key), error = 0;
    PCRE2_SIZE at = 0;
    if (n < 0 || (size_t)n >= sizeof text)
        return NULL;
    return pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &error, &at,
                         NULL);
}

static bool compile_list(struct config_patterns *p, const cJSON *object, pattern_list *out)
{
    const cJSON *item;
    size_t n = (size_t)cJSON_GetArraySize(object);
    p->too_many |= n > LIMIT_PATTERNS - out->n;
    n = n < LIMIT_PATTERNS - out->n ? n : LIMIT_PATTERNS - out->n;
    pattern *grown = realloc(out->list, (out->n + n + 1) * sizeof *grown);
    if (!grown)
        return false;
    out->list = grown;
    cJSON_ArrayForEach(item, object)
    {
        if (n-- == 0)
            break;
        pattern *one = &out->list[out->n++];
        *one = (pattern){.key = item->string ? item->string : "", .component = object->string, .item = item};
        one->bad = strnlen(one->key, PATTERN_BYTES) == PATTERN_BYTES;
        one->literal = !one->bad && is_literal(one->key);
        one->code = one->literal || one->bad ? NULL : compile(one->key);
        one->bad = !one->literal && !one->code;
    }
    return true;
}

/* Every list called `name`, of all modules or of one component. */
static bool compile_lists(struct config_patterns *p, const cJSON *tree, const char *name, pattern_list *out)
{
    const cJSON *item;
    size_t n = strlen(name);
    cJSON_ArrayForEach(item, tree)
    {
        size_t length = item->string ? strlen(item->string) : 0;
        bool ours = length >= n && strcmp(item->string + length - n, name) == 0 &&
                    (length == n || item->string[length - n - 1] == '.');
        if (ours && cJSON_IsObject(item) && !compile_list(p, item, out))
            return false;
        p->no_list |= ours && !cJSON_IsObject(item) && !cJSON_IsNull(item);
    }
    return true;
}

static bool compile_patterns(lora_config *cfg)
{
    struct config_patterns *p = calloc(1, sizeof *p);
    cfg->patterns = p;
    if (!p)
        return false;
    p->matches_left = LIMIT_PATTERN_MATCHES;
    p->limits = pcre2_match_context_create(NULL);
    p->data = pcre2_match_data_create(1, NULL);
    if (!p->limits || !p->data)
        return false;
    pcre2_set_match_limit(p->limits, PATTERN_STEPS);
    pcre2_set_heap_limit(p->limits, PATTERN_HEAP_KIB);
    return compile_lists(p, cfg->tree, "rank_pattern", &p->rank) && compile_lists(p, cfg->tree, "alpha_pattern", &p->alpha);
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
    if (cfg->tree && cJSON_GetArraySize(cfg->tree) > (int)LIMIT_CONFIG_KEYS) { /* each module looks its values up among them */
        lora_fail(&cfg->fault, LORA_E_TOO_MANY, "%s has %d keys, the limit is %u", cfg->source, cJSON_GetArraySize(cfg->tree),
                  LIMIT_CONFIG_KEYS);
        cJSON_Delete(cfg->tree);
        cfg->tree = NULL;
    }
    if (!cfg->tree)
        return LORA_OK;
    read_fields(cfg);
    if (!compile_patterns(cfg)) {
        config_release(cfg);
        return lora_fail(err, LORA_E_MEMORY, "no memory for the patterns of %s", cfg->source);
    }
    return LORA_OK;
}

static void release_list(pattern_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        pcre2_code_free(list->list[i].code);
    free(list->list);
}

void config_release(lora_config *cfg)
{
    if (cfg->patterns) {
        release_list(&cfg->patterns->rank);
        release_list(&cfg->patterns->alpha);
        pcre2_match_data_free(cfg->patterns->data);
        pcre2_match_context_free(cfg->patterns->limits);
        free(cfg->patterns);
    }
    cJSON_Delete(cfg->tree);
    cfg->patterns = NULL;
    cfg->tree = NULL;
}

/* Is key the module's path, or the end of it behind a dot? A dot in the key is any character. */
static bool ends_with_words(const char *module, const char *key)
{
    size_t n = strlen(module), k = strlen(key);
    if (n < k || (n > k && module[n - k - 1] != '.'))
        return false;
    for (size_t i = 0; i < k; i++)
        if (key[i] != '.' && key[i] != module[n - k + i])
            return false;
    return true;
}

/* The module's path below the component that the pattern is for; NULL when it belongs to another. */
static const char *path_for(const pattern *one, const char *module)
{
    const char *dot = strchr(one->component, '.');
    size_t n = dot ? (size_t)(dot - one->component) + 1 : 0;
    return strncmp(module, one->component, n) == 0 ? module + n : NULL;
}

static bool matches(struct config_patterns *p, pattern *one, const char *module)
{
    const char *path = path_for(one, module);
    if (!path || one->bad)
        return false;
    if (one->literal)
        return ends_with_words(path, one->key);
    if (p->matches_left == 0) {
        p->too_many = true;
        return false;
    }
    p->matches_left--;
    int found = pcre2_match(one->code, (PCRE2_SPTR)path, strlen(path), 0, 0, p->data, p->limits);
    one->bad = found < 0 && found != PCRE2_ERROR_NOMATCH;
    return found >= 0;
}

/* The number that the first matching key stands for, or NULL. */
static const double *pattern_value(struct config_patterns *p, pattern_list *list, const char *module, config_values *v)
{
    const cJSON *found = NULL;
    for (size_t i = 0; i < list->n && !found; i++) {
        if (matches(p, &list->list[i], module))
            found = list->list[i].item;
        v->bad_pattern |= list->list[i].bad;
    }
    v->bad_pattern |= p->too_many || p->no_list;
    if (!found)
        return NULL;
    if (!cJSON_IsNumber(found) || !isfinite(found->valuedouble)) {
        v->bad_value = true;
        return NULL;
    }
    return &found->valuedouble;
}

/* diffusers packs one LoraConfig a component into flat keys: "unet.lora_alpha", "transformer.r". */
static const cJSON *member(const lora_config *cfg, const char *component, const char *key)
{
    const cJSON *item = sidefile_member(cfg->tree, key);
    if (item || !component)
        return item;
    char packed[128];
    int n = snprintf(packed, sizeof packed, "%s.%s", component, key);
    return n > 0 && (size_t)n < sizeof packed ? sidefile_member(cfg->tree, packed) : NULL;
}

/* A declared number. Absent and null are alike: PEFT's default. */
static bool declared_number(const cJSON *item, double *out, bool *bad)
{
    if (!item || cJSON_IsNull(item))
        return false;
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) {
        *bad = true;
        return false;
    }
    *out = item->valuedouble;
    return true;
}

/* PEFT asks `if use_rslora`: any number but 0 and any text will do. */
static bool is_true_to_python(const cJSON *item)
{
    return cJSON_IsTrue(item) || (cJSON_IsNumber(item) && item->valuedouble != 0) || (cJSON_IsString(item) && *item->valuestring) ||
           ((cJSON_IsArray(item) || cJSON_IsObject(item)) && item->child);
}

/* LoHa and LoKr declare "alpha" where the others declare "lora_alpha". */
static bool has_plain_alpha(const lora_config *cfg)
{
    return cfg->peft_type && (strcmp(cfg->peft_type, "LOHA") == 0 || strcmp(cfg->peft_type, "LOKR") == 0);
}

config_values config_for_module(const lora_config *cfg, const char *module)
{
    config_values v = {0};
    if (!cfg->tree)
        return v;
    char component[32] = "";
    if (strcmp(cfg->source, "lora_adapter_metadata") == 0) {
        size_t n = strcspn(module, ".");
        if (n < sizeof component && module[n] == '.') {
            memcpy(component, module, n);
            component[n] = '\0';
        }
    }
    const char *in = *component ? component : NULL;
    if (declared_number(member(cfg, in, "r"), &v.rank, &v.bad_value) && !(v.rank >= 1)) {
        v.bad_value = true;
        v.rank = 0;
    }
    v.has_alpha = declared_number(member(cfg, in, has_plain_alpha(cfg) ? "alpha" : "lora_alpha"), &v.alpha, &v.bad_value);
    bool pruned = cfg->peft_type && strcmp(cfg->peft_type, "ADALORA") == 0; /* whose rank_pattern holds masks */
    const double *own = pruned ? NULL : pattern_value(cfg->patterns, &cfg->patterns->rank, module, &v);
    if (own && *own >= 1)
        v.rank = *own;
    if (pruned && (!declared_number(sidefile_member(cfg->tree, "init_r"), &v.init_rank, &v.bad_value) || !(v.init_rank >= 1)))
        v.init_rank = 0;
    own = pattern_value(cfg->patterns, &cfg->patterns->alpha, module, &v);
    if (own) {
        v.alpha = *own;
        v.has_alpha = true;
    }
    if (!v.has_alpha && !v.bad_value && cfg->peft_type) {
        enum { PEFT_DEFAULT_ALPHA = 8 };
        v.alpha = PEFT_DEFAULT_ALPHA;
        v.has_alpha = v.is_default = true;
    }
    v.rslora = is_true_to_python(member(cfg, in, "use_rslora"));
    const cJSON *mlx = sidefile_member(cfg->tree, "lora_parameters");
    if (mlx) {
        v.has_scale = declared_number(sidefile_member(mlx, "scale"), &v.scale, &v.bad_value);
        declared_number(sidefile_member(mlx, "rank"), &v.rank, &v.bad_value);
    }
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
