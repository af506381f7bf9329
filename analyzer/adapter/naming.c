/* naming.c - tables of key endings, a line each.
 *
 *   layout      factor A                              factor B                              more
 *   peft        M.lora_A[.NAME].weight                M.lora_B[.NAME].weight                M.lora_magnitude_vector
 *               M.lora_embedding_A[.NAME]             M.lora_embedding_B[.NAME]
 *   diffusers   M.processor.to_q_lora.down.weight     …up.weight                            first generation
 *               M.lora.down.weight                    M.lora.up.weight                      second
 *               M.lora_linear_layer.down.weight       …up.weight                            text encoders
 *               unet.M.lora_A.weight                  unet.M.lora_B.weight                  fourth: PEFT's endings
 *   kohya       lora_unet_M.lora_down.weight          lora_unet_M.lora_up.weight            .alpha, .dora_scale
 *   loralib     M.lora_A                              M.lora_B
 *
 * Sources: huggingface/peft utils/save_and_load.py; diffusers utils/state_dict_utils.py; kohya-ss/sd-scripts
 * networks/lora.py; microsoft/LoRA loralib/layers.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/naming.h"

#include <ctype.h>
#include <string.h>

typedef struct {
    const char *ending;
    key_part part;
    lora_layout layout;
    bool embedding;
} ending_rule;

static const ending_rule endings[] = {
    {".lora_A.weight", PART_A, LAYOUT_PEFT, false},
    {".lora_B.weight", PART_B, LAYOUT_PEFT, false},
    {".lora_B.bias", PART_BIAS, LAYOUT_PEFT, false},
    {".diff_b", PART_BIAS, LAYOUT_LYCORIS, false},
    {".lora_embedding_A", PART_A, LAYOUT_PEFT, true},
    {".lora_embedding_B", PART_B, LAYOUT_PEFT, true},
    {".lora_magnitude_vector", PART_MAGNITUDE, LAYOUT_PEFT, false},
    {".lora_magnitude_vector.weight", PART_MAGNITUDE, LAYOUT_PEFT, false},
    {".lora_A", PART_A, LAYOUT_LORALIB, false},
    {".lora_B", PART_B, LAYOUT_LORALIB, false},
    {".lora_down.weight", PART_A, LAYOUT_KOHYA, false},
    {".lora_up.weight", PART_B, LAYOUT_KOHYA, false},
    {".alpha", PART_ALPHA, LAYOUT_KOHYA, false},
    {".dora_scale", PART_MAGNITUDE, LAYOUT_KOHYA, false},
    {".lora.down.weight", PART_A, LAYOUT_DIFFUSERS, false},
    {".lora.up.weight", PART_B, LAYOUT_DIFFUSERS, false},
    {".lora.alpha", PART_ALPHA, LAYOUT_DIFFUSERS, false},
    {"_lora.down.weight", PART_A, LAYOUT_DIFFUSERS, false},
    {"_lora.up.weight", PART_B, LAYOUT_DIFFUSERS, false},
    {"_lora.alpha", PART_ALPHA, LAYOUT_DIFFUSERS, false},
    {".lora_linear_layer.down.weight", PART_A, LAYOUT_DIFFUSERS, false},
    {".lora_linear_layer.up.weight", PART_B, LAYOUT_DIFFUSERS, false},
    {".lora_linear_layer.alpha", PART_ALPHA, LAYOUT_DIFFUSERS, false},
};

/* Endings of methods that are named, not computed: silence about them would make ΔW wrong, or look like no adapter. The
 * first that fits counts. */
static const struct {
    const char *ending, *method;
    lora_layout layout;
    bool low_rank;
} foreign_endings[] = {
    {".lora_mid.weight", "locon", LAYOUT_LYCORIS, true},
    {".hada_w1_a", "loha", LAYOUT_LYCORIS, true},
    {".hada_w1_b", "loha", LAYOUT_LYCORIS, true},
    {".hada_w2_a", "loha", LAYOUT_LYCORIS, true},
    {".hada_w2_b", "loha", LAYOUT_LYCORIS, true},
    {".hada_t1", "loha", LAYOUT_LYCORIS, true},
    {".hada_t2", "loha", LAYOUT_LYCORIS, true},
    {".lokr_w1", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_w1_a", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_w1_b", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_w2", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_w2_a", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_w2_b", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_t1", "lokr", LAYOUT_LYCORIS, true},
    {".lokr_t2", "lokr", LAYOUT_LYCORIS, true},
    {".lora_E", "adalora", LAYOUT_PEFT, true},
    {".default_lora_latent_mapping.weight", "lora-sb", LAYOUT_LORA_SB, true},
    {"_lora_latent_mapping.weight", "lora-sb", LAYOUT_LORA_SB, true},
    {"_lora_latent.weight", "lora-sb", LAYOUT_LORA_SB, true},
    {"_lora1.down.weight", "lora", LAYOUT_GENERIC, true},
    {"_lora1.up.weight", "lora", LAYOUT_GENERIC, true},
    {"_lora2.down.weight", "lora", LAYOUT_GENERIC, true},
    {"_lora2.up.weight", "lora", LAYOUT_GENERIC, true},
    {".to_q.down", "lora", LAYOUT_DIFFUSERS, true},
    {".to_q.up", "lora", LAYOUT_DIFFUSERS, true},
    {".to_k.down", "lora", LAYOUT_DIFFUSERS, true},
    {".to_k.up", "lora", LAYOUT_DIFFUSERS, true},
    {".to_v.down", "lora", LAYOUT_DIFFUSERS, true},
    {".to_v.up", "lora", LAYOUT_DIFFUSERS, true},
    {".adapter.linear_in.weight", "lora", LAYOUT_GENERIC, true},
    {".adapter.linear_out.weight", "lora", LAYOUT_GENERIC, true},
    {"_adapter.linear_in.weight", "lora", LAYOUT_GENERIC, true},
    {"_adapter.linear_out.weight", "lora", LAYOUT_GENERIC, true},
    {".lora_a.weight", "lora", LAYOUT_GENERIC, true},
    {".lora_b.weight", "lora", LAYOUT_GENERIC, true},
    {".lora_a", "lora", LAYOUT_MLX, true},
    {".lora_b", "lora", LAYOUT_MLX, true},
    {".diff", "full", LAYOUT_LYCORIS, false},
    {".oft_blocks", "oft", LAYOUT_LYCORIS, false},
    {".oft_R.weight", "oft", LAYOUT_PEFT, false},
    {".oft_r", "oft", LAYOUT_PEFT, false},
    {".boft_R", "boft", LAYOUT_PEFT, false},
    {".boft_s", "boft", LAYOUT_PEFT, false},
    {".ia3_l", "ia3", LAYOUT_PEFT, false},
    {".vera_lambda_b", "vera", LAYOUT_PEFT, true},
    {".vera_lambda_d", "vera", LAYOUT_PEFT, true},
    {".fourierft_spectrum", "fourierft", LAYOUT_PEFT, false},
    {".vblora_logits_A", "vblora", LAYOUT_PEFT, true},
    {".vblora_logits_B", "vblora", LAYOUT_PEFT, true},
    {".hra_u", "hra", LAYOUT_PEFT, false},
    {".miss_block", "miss", LAYOUT_PEFT, false},
    {".shira_weight", "shira", LAYOUT_PEFT, false},
    {".randlora_lambda", "randlora", LAYOUT_PEFT, true},
    {".randlora_gamma", "randlora", LAYOUT_PEFT, true},
    {".c3a_kernel", "c3a", LAYOUT_PEFT, false},
    {".hira_A", "hira", LAYOUT_PEFT, false},
    {".hira_B", "hira", LAYOUT_PEFT, false},
    {".delora_A", "delora", LAYOUT_PEFT, true},
    {".delora_B", "delora", LAYOUT_PEFT, true},
};

static bool ends_with(const char *s, size_t length, const char *ending, size_t *rest)
{
    size_t n = strlen(ending);
    if (length < n || memcmp(s + length - n, ending, n) != 0)
        return false;
    *rest = length - n;
    return true;
}

/* cloneofsimo: "unet:17:down", "text_encoder:3:up"; the module has a number and no name. */
static bool is_cloneofsimo(const char *s, size_t length, size_t *rest)
{
    if (!ends_with(s, length, ":up", rest) && !ends_with(s, length, ":down", rest))
        return false;
    size_t i = *rest;
    while (i > 0 && isdigit((unsigned char)s[i - 1]))
        i--;
    return i < *rest && i > 1 && s[i - 1] == ':';
}

/* Names without a module path of their own. */
static const char *bare_method(const char *s, bool *low_rank)
{
    *low_rank = false;
    if (strcmp(s, "prompt_embeddings") == 0 || strstr(s, "prompt_encoder."))
        return "prompt";
    if (strncmp(s, "w_a_", 4) == 0 || strncmp(s, "w_b_", 4) == 0) {
        *low_rank = isdigit((unsigned char)s[4]) != 0;
        return *low_rank ? "lora" : NULL;
    }
    return NULL;
}

/* PEFT puts an adapter's name between the factor and ".weight" when a raw state dict is saved. Cut "NAME" out of the
 * copy at text, remember it in *adapter. */
static lora_code cut_adapter_name(char *text, arena *mem, const char **adapter)
{
    static const char *const marks[] = {".lora_A.", ".lora_B.", ".lora_embedding_A.", ".lora_embedding_B.",
                                        ".lora_magnitude_vector.", ".lora_E."};
    *adapter = "";
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        char *mark = strstr(text, marks[i]);
        if (!mark)
            continue;
        char *name = mark + strlen(marks[i]);
        size_t n = strcspn(name, ".");
        bool leaf = name[n] == '\0';
        if (n == 0 || (leaf && (strcmp(name, "weight") == 0 || strcmp(name, "bias") == 0)))
            continue;
        if (!leaf && strcmp(name + n, ".weight") != 0 && strcmp(name + n, ".bias") != 0)
            continue;
        char *copy = arena_strndup(mem, name, n);
        if (!copy)
            return LORA_E_MEMORY;
        *adapter = copy;
        memmove(name - 1, name + n, strlen(name + n) + 1);
        return LORA_OK;
    }
    return LORA_OK;
}

/* Wrapper words that are no part of the module's path in the base model. */
static const char *skip_wrappers(const char *path)
{
    static const char wrapper[] = "base_model.model.";
    while (strncmp(path, wrapper, sizeof wrapper - 1) == 0)
        path += sizeof wrapper - 1;
    return path;
}

static void cut_processor(char *path)
{
    static const char word[] = ".processor.";
    char *at = strstr(path, word);
    if (at)
        memmove(at + 1, at + sizeof word - 1, strlen(at + sizeof word - 1) + 1);
}

/* PEFT's endings under a pipeline's component are diffusers' fourth generation. */
static lora_layout refine_layout(lora_layout layout, const char *full, const char *module)
{
    if (layout == LAYOUT_PEFT && full == module) {
        static const char *const pipelines[] = {"unet.",          "transformer.",    "text_encoder.", "text_encoder_2.",
                                                "text_encoder_3.", "diffusion_model.", "text_encoders."};
        for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++)
            if (strncmp(module, pipelines[i], strlen(pipelines[i])) == 0)
                return LAYOUT_DIFFUSERS;
    }
    if (layout == LAYOUT_KOHYA && strncmp(module, "lora_", 5) != 0)
        return LAYOUT_DIFFUSERS;
    return layout;
}

lora_code naming_parse(const char *text, arena *mem, parsed_key *key)
{
    *key = (parsed_key){.part = PART_NONE, .layout = LAYOUT_GENERIC, .adapter = ""};
    char *copy = arena_strdup(mem, text);
    if (!copy || cut_adapter_name(copy, mem, &key->adapter) != LORA_OK)
        return LORA_E_MEMORY;
    size_t length = strlen(copy), rest = 0, best = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i].ending), at = 0;
        if (n > best && ends_with(copy, length, endings[i].ending, &at)) {
            best = n;
            rest = at;
            key->part = endings[i].part;
            key->layout = endings[i].layout;
            key->embedding = endings[i].embedding;
        }
    }
    for (size_t i = 0; i < sizeof foreign_endings / sizeof *foreign_endings && key->part == PART_NONE; i++)
        if (ends_with(copy, length, foreign_endings[i].ending, &rest)) {
            key->part = PART_FOREIGN;
            key->layout = foreign_endings[i].layout;
            key->method = foreign_endings[i].method;
            key->low_rank = foreign_endings[i].low_rank;
        }
    if (key->part == PART_NONE && is_cloneofsimo(copy, length, &rest)) {
        *key = (parsed_key){.part = PART_FOREIGN, .layout = LAYOUT_CLONEOFSIMO, .adapter = key->adapter, .method = "lora", .low_rank = true};
    } else if (key->part == PART_NONE) {
        key->method = bare_method(copy, &key->low_rank);
        if (!key->method)
            return LORA_OK;
        key->part = PART_FOREIGN;
        rest = length;
    }
    copy[rest] = '\0';
    cut_processor(copy);
    key->full = copy;
    key->module = skip_wrappers(copy);
    key->layout = refine_layout(key->layout, copy, key->module);
    return LORA_OK;
}
