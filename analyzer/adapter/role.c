/* role.c - tables of module names.
 *
 * Paths come dotted (PEFT, diffusers) or with every dot turned into an underscore (kohya), which makes them ambiguous.
 * Both are compared with '.' and '_' taken as equal, on whole words, longest entry first.
 * Sources of the names: transformers and diffusers module trees as met in PEFT, kohya, OneTrainer and ai-toolkit files.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/role.h"

#include <ctype.h>
#include <string.h>

const char *role_name(lora_role role)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        LORA_ROLES(X)
#undef X
    };
    return names[role];
}

const char *layout_name(lora_layout layout)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        LORA_LAYOUTS(X)
#undef X
    };
    return names[layout];
}

bool role_writes_residual(lora_role role)
{
    return role == ROLE_O || role == ROLE_DOWN || role == ROLE_EMBED;
}

/* Endings of paths. The longest that matches wins, so order does not matter. */
static const struct {
    const char *ending;
    lora_role role;
} role_endings[] = {
    {"q_proj", ROLE_Q}, {"to_q", ROLE_Q}, {"query", ROLE_Q}, {"query_proj", ROLE_Q}, {"wq", ROLE_Q}, {"q_lin", ROLE_Q},
    {"attn_q", ROLE_Q}, {"q_a_proj", ROLE_Q}, {"q_b_proj", ROLE_Q}, {"SelfAttention_q", ROLE_Q}, {"linear_q", ROLE_Q},
    {"EncDecAttention_q", ROLE_Q}, {"q", ROLE_Q},
    {"k_proj", ROLE_K}, {"to_k", ROLE_K}, {"key", ROLE_K}, {"key_proj", ROLE_K}, {"wk", ROLE_K}, {"k_lin", ROLE_K},
    {"attn_k", ROLE_K}, {"linear_k", ROLE_K}, {"k", ROLE_K}, {"k_img", ROLE_K},
    {"v_proj", ROLE_V}, {"to_v", ROLE_V}, {"value", ROLE_V}, {"value_proj", ROLE_V}, {"wv", ROLE_V}, {"v_lin", ROLE_V},
    {"attn_v", ROLE_V}, {"linear_v", ROLE_V}, {"v", ROLE_V}, {"v_img", ROLE_V},
    {"o_proj", ROLE_O}, {"out_proj", ROLE_O}, {"to_out", ROLE_O}, {"to_out_0", ROLE_O}, {"to_add_out", ROLE_O},
    {"wo", ROLE_O}, {"out_lin", ROLE_O}, {"attention_dense", ROLE_O}, {"self_attention_dense", ROLE_O},
    {"attention_output_dense", ROLE_O}, {"attention_out", ROLE_O}, {"attn_c_proj", ROLE_O}, {"attn_out", ROLE_O},
    {"attn_proj", ROLE_O}, {"attn_output", ROLE_O}, {"SelfAttention_o", ROLE_O}, {"EncDecAttention_o", ROLE_O},
    {"self_attn_o", ROLE_O}, {"cross_attn_o", ROLE_O}, {"attn_o", ROLE_O}, {"linear_proj", ROLE_O},
    {"output_proj", ROLE_O}, {"attn_dense", ROLE_O}, {"attn_wo", ROLE_O}, {"self_attn_dense", ROLE_O},
    {"qkv", ROLE_QKV}, {"qkv_proj", ROLE_QKV}, {"query_key_value", ROLE_QKV}, {"c_attn", ROLE_QKV},
    {"in_proj", ROLE_QKV}, {"Wqkv", ROLE_QKV}, {"W_pack", ROLE_QKV}, {"to_qkv", ROLE_QKV}, {"linear_qkv", ROLE_QKV},
    {"attn_qkv", ROLE_QKV}, {"kv_a_proj_with_mqa", ROLE_QKV}, {"kv_b_proj", ROLE_QKV}, {"to_kv", ROLE_QKV},
    {"gate_proj", ROLE_GATE}, {"w1", ROLE_GATE}, {"wi_0", ROLE_GATE}, {"ffn_gate", ROLE_GATE}, {"mlp_gate", ROLE_GATE},
    {"up_proj", ROLE_UP}, {"w3", ROLE_UP}, {"wi", ROLE_UP}, {"wi_1", ROLE_UP}, {"fc1", ROLE_UP}, {"fc_in", ROLE_UP},
    {"c_fc", ROLE_UP}, {"dense_h_to_4h", ROLE_UP}, {"intermediate_dense", ROLE_UP}, {"ff_net_0_proj", ROLE_UP},
    {"ff_net_0", ROLE_UP}, {"ff_context_net_0_proj", ROLE_UP}, {"lin1", ROLE_UP}, {"linear_fc1", ROLE_UP},
    {"mlp_0", ROLE_UP}, {"img_mlp_0", ROLE_UP}, {"txt_mlp_0", ROLE_UP}, {"ffn_up", ROLE_UP}, {"ffn_0", ROLE_UP},
    {"proj_mlp", ROLE_UP}, {"mlp_layer1", ROLE_UP}, {"ffn_lin1", ROLE_UP}, {"up", ROLE_UP},
    {"gate_up_proj", ROLE_GATE_UP},
    {"down_proj", ROLE_DOWN}, {"w2", ROLE_DOWN}, {"fc2", ROLE_DOWN}, {"fc_out", ROLE_DOWN}, {"mlp_c_proj", ROLE_DOWN},
    {"dense_4h_to_h", ROLE_DOWN}, {"output_dense", ROLE_DOWN}, {"ff_net_2", ROLE_DOWN},
    {"ff_context_net_2", ROLE_DOWN}, {"lin2", ROLE_DOWN}, {"linear_fc2", ROLE_DOWN}, {"mlp_2", ROLE_DOWN},
    {"img_mlp_2", ROLE_DOWN}, {"txt_mlp_2", ROLE_DOWN}, {"ffn_down", ROLE_DOWN}, {"ffn_2", ROLE_DOWN},
    {"mlp_layer2", ROLE_DOWN}, {"DenseReluDense_wo", ROLE_DOWN}, {"feed_forward_w2", ROLE_DOWN}, {"down", ROLE_DOWN},
    {"conv", ROLE_CONV}, {"conv1", ROLE_CONV}, {"conv2", ROLE_CONV}, {"conv2d", ROLE_CONV}, {"conv_in", ROLE_CONV},
    {"conv_out", ROLE_CONV}, {"conv_shortcut", ROLE_CONV}, {"downsamplers_0_conv", ROLE_CONV},
    {"embed_tokens", ROLE_EMBED}, {"wte", ROLE_EMBED}, {"word_embeddings", ROLE_EMBED}, {"embed_in", ROLE_EMBED},
    {"tok_embeddings", ROLE_EMBED}, {"token_embedding", ROLE_EMBED}, {"token_embd", ROLE_EMBED},
    {"lm_head", ROLE_HEAD}, {"score", ROLE_HEAD}, {"classifier", ROLE_HEAD}, {"embed_out", ROLE_HEAD},
    {"text_projection", ROLE_HEAD},
    {"proj_in", ROLE_PROJ_IN}, {"img_in", ROLE_PROJ_IN}, {"txt_in", ROLE_PROJ_IN}, {"x_embedder", ROLE_PROJ_IN},
    {"context_embedder", ROLE_PROJ_IN},
    {"proj_out", ROLE_PROJ_OUT}, {"final_layer_linear", ROLE_PROJ_OUT},
    {"time_emb_proj", ROLE_TIME}, {"time_embedding_linear_1", ROLE_TIME}, {"time_embedding_linear_2", ROLE_TIME},
    {"time_in_in_layer", ROLE_TIME}, {"time_in_out_layer", ROLE_TIME},
    {"norm1_linear", ROLE_NORM}, {"norm1_context_linear", ROLE_NORM}, {"norm_linear", ROLE_NORM},
    {"modulation_lin", ROLE_NORM}, {"img_mod_lin", ROLE_NORM}, {"txt_mod_lin", ROLE_NORM},
};

static char flat(char c)
{
    return c == '.' ? '_' : c;
}

/* Do the n characters at s equal word, '.' and '_' being the same? */
static bool same_words(const char *s, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (flat(s[i]) != word[i])
            return false;
    return true;
}

static bool ends_in_words(const char *path, size_t length, const char *ending, size_t n)
{
    return length >= n && same_words(path + length - n, ending, n) &&
           (length == n || flat(path[length - n - 1]) == '_');
}

lora_role role_of_path(const char *path)
{
    size_t length = strlen(path), best = 0;
    lora_role role = ROLE_OTHER;
    for (size_t i = 0; i < sizeof role_endings / sizeof *role_endings; i++) {
        size_t n = strlen(role_endings[i].ending);
        if (n > best && ends_in_words(path, length, role_endings[i].ending, n)) {
            best = n;
            role = role_endings[i].role;
        }
    }
    return role;
}

/* Where the words of `word` begin in path, on word boundaries; NULL when they do not occur. */
static const char *find_words(const char *path, const char *word)
{
    size_t length = strlen(path), n = strlen(word);
    for (size_t i = 0; i + n <= length; i++)
        if ((i == 0 || flat(path[i - 1]) == '_') && same_words(path + i, word, n) &&
            (i + n == length || flat(path[i + n]) == '_'))
            return path + i;
    return NULL;
}

static bool is_unet_path(const char *path)
{
    return find_words(path, "down_blocks") || find_words(path, "up_blocks") || find_words(path, "mid_block") ||
           find_words(path, "input_blocks") || find_words(path, "output_blocks") || find_words(path, "middle_block");
}

int64_t layer_of_path(const char *path)
{
    static const char *const stacks[] = {"layers", "h",      "blocks",           "double_blocks", "single_blocks",
                                         "layer",  "block", "transformer_blocks", "resblocks",
                                         "single_transformer_blocks", "encoder_layers", "decoder_layers"};
    if (is_unet_path(path))
        return -1;
    const char *first = NULL;
    int64_t layer = -1;
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        const char *at = find_words(path, stacks[i]);
        if (!at || (first && at >= first))
            continue;
        const char *digits = at + strlen(stacks[i]);
        if (!*digits || !isdigit((unsigned char)digits[1]))
            continue;
        int64_t value = 0;
        for (digits++; isdigit((unsigned char)*digits) && value < 100000; digits++)
            value = value * 10 + (*digits - '0');
        first = at;
        layer = value;
    }
    return layer;
}

const char *component_of_path(const char *path)
{
    static const struct {
        const char *start, *component;
    } starts[] = {
        {"lora_te1_", "text_encoder"},     {"lora_te2_", "text_encoder_2"},     {"lora_te3_", "text_encoder_3"},
        {"lora_te_", "text_encoder"},      {"text_encoder.", "text_encoder"},   {"text_encoder_2.", "text_encoder_2"},
        {"text_encoder_3.", "text_encoder_3"}, {"text_encoders.clip_l.", "text_encoder"},
        {"text_encoders.t5xxl.", "text_encoder_2"}, {"text_model.", "text_encoder"}, {"unet.", "unet"},
        {"vision_model.", "vision"},       {"visual.", "vision"},               {"vae.", "vae"},
        {"lora_transformer_", "transformer"}, {"transformer.", "transformer"},  {"diffusion_model.", "transformer"},
    };
    const char *component = NULL;
    for (size_t i = 0; i < sizeof starts / sizeof *starts && !component; i++)
        if (strncmp(path, starts[i].start, strlen(starts[i].start)) == 0)
            component = starts[i].component;
    if ((!component || strcmp(component, "transformer") == 0) && is_unet_path(path))
        return "unet";
    if (component)
        return component;
    if (find_words(path, "vision_tower") || find_words(path, "vision_model"))
        return "vision";
    return "transformer";
}
