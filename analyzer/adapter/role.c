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
#define E(text) text, sizeof(text) - 1
static const struct {
    const char *ending;
    size_t length;
    lora_role role;
} role_endings[] = {
    {E("q_proj"), ROLE_Q}, {E("to_q"), ROLE_Q}, {E("query"), ROLE_Q}, {E("query_proj"), ROLE_Q}, {E("wq"), ROLE_Q}, {E("q_lin"), ROLE_Q},
    {E("attn_q"), ROLE_Q}, {E("q_a_proj"), ROLE_Q}, {E("q_b_proj"), ROLE_Q}, {E("SelfAttention_q"), ROLE_Q}, {E("linear_q"), ROLE_Q},
    {E("EncDecAttention_q"), ROLE_Q}, {E("q"), ROLE_Q},
    {E("k_proj"), ROLE_K}, {E("to_k"), ROLE_K}, {E("key"), ROLE_K}, {E("key_proj"), ROLE_K}, {E("wk"), ROLE_K}, {E("k_lin"), ROLE_K},
    {E("attn_k"), ROLE_K}, {E("linear_k"), ROLE_K}, {E("k"), ROLE_K}, {E("k_img"), ROLE_K},
    {E("v_proj"), ROLE_V}, {E("to_v"), ROLE_V}, {E("value"), ROLE_V}, {E("value_proj"), ROLE_V}, {E("wv"), ROLE_V}, {E("v_lin"), ROLE_V},
    {E("attn_v"), ROLE_V}, {E("linear_v"), ROLE_V}, {E("v"), ROLE_V}, {E("v_img"), ROLE_V},
    {E("o_proj"), ROLE_O}, {E("out_proj"), ROLE_O}, {E("to_out"), ROLE_O}, {E("to_out_0"), ROLE_O}, {E("to_add_out"), ROLE_O},
    {E("wo"), ROLE_O}, {E("out_lin"), ROLE_O}, {E("attention_dense"), ROLE_O}, {E("self_attention_dense"), ROLE_O},
    {E("attention_output_dense"), ROLE_O}, {E("attention_out"), ROLE_O}, {E("attn_c_proj"), ROLE_O}, {E("attn_out"), ROLE_O},
    {E("attn_proj"), ROLE_O}, {E("attn_output"), ROLE_O}, {E("SelfAttention_o"), ROLE_O}, {E("EncDecAttention_o"), ROLE_O},
    {E("self_attn_o"), ROLE_O}, {E("cross_attn_o"), ROLE_O}, {E("attn_o"), ROLE_O}, {E("linear_proj"), ROLE_O},
    {E("output_proj"), ROLE_O}, {E("attn_dense"), ROLE_O}, {E("attn_wo"), ROLE_O}, {E("self_attn_dense"), ROLE_O},
    {E("qkv"), ROLE_QKV}, {E("qkv_proj"), ROLE_QKV}, {E("query_key_value"), ROLE_QKV}, {E("c_attn"), ROLE_QKV},
    {E("in_proj"), ROLE_QKV}, {E("Wqkv"), ROLE_QKV}, {E("W_pack"), ROLE_QKV}, {E("to_qkv"), ROLE_QKV}, {E("linear_qkv"), ROLE_QKV},
    {E("attn_qkv"), ROLE_QKV}, {E("kv_a_proj_with_mqa"), ROLE_QKV}, {E("kv_b_proj"), ROLE_QKV}, {E("to_kv"), ROLE_QKV},
    {E("gate_proj"), ROLE_GATE}, {E("w1"), ROLE_GATE}, {E("wi_0"), ROLE_GATE}, {E("ffn_gate"), ROLE_GATE}, {E("mlp_gate"), ROLE_GATE},
    {E("up_proj"), ROLE_UP}, {E("w3"), ROLE_UP}, {E("wi"), ROLE_UP}, {E("wi_1"), ROLE_UP}, {E("fc1"), ROLE_UP}, {E("fc_in"), ROLE_UP},
    {E("c_fc"), ROLE_UP}, {E("dense_h_to_4h"), ROLE_UP}, {E("intermediate_dense"), ROLE_UP}, {E("ff_net_0_proj"), ROLE_UP},
    {E("ff_net_0"), ROLE_UP}, {E("ff_context_net_0_proj"), ROLE_UP}, {E("lin1"), ROLE_UP}, {E("linear_fc1"), ROLE_UP},
    {E("mlp_0"), ROLE_UP}, {E("img_mlp_0"), ROLE_UP}, {E("txt_mlp_0"), ROLE_UP}, {E("ffn_up"), ROLE_UP}, {E("ffn_0"), ROLE_UP},
    {E("proj_mlp"), ROLE_UP}, {E("mlp_layer1"), ROLE_UP}, {E("ffn_lin1"), ROLE_UP}, {E("up"), ROLE_UP},
    {E("gate_up_proj"), ROLE_GATE_UP},
    {E("down_proj"), ROLE_DOWN}, {E("w2"), ROLE_DOWN}, {E("fc2"), ROLE_DOWN}, {E("fc_out"), ROLE_DOWN}, {E("mlp_c_proj"), ROLE_DOWN},
    {E("dense_4h_to_h"), ROLE_DOWN}, {E("output_dense"), ROLE_DOWN}, {E("ff_net_2"), ROLE_DOWN},
    {E("ff_context_net_2"), ROLE_DOWN}, {E("lin2"), ROLE_DOWN}, {E("linear_fc2"), ROLE_DOWN}, {E("mlp_2"), ROLE_DOWN},
    {E("img_mlp_2"), ROLE_DOWN}, {E("txt_mlp_2"), ROLE_DOWN}, {E("ffn_down"), ROLE_DOWN}, {E("ffn_2"), ROLE_DOWN},
    {E("mlp_layer2"), ROLE_DOWN}, {E("DenseReluDense_wo"), ROLE_DOWN}, {E("feed_forward_w2"), ROLE_DOWN}, {E("down"), ROLE_DOWN},
    {E("conv"), ROLE_CONV}, {E("conv1"), ROLE_CONV}, {E("conv2"), ROLE_CONV}, {E("conv2d"), ROLE_CONV}, {E("conv_in"), ROLE_CONV},
    {E("conv_out"), ROLE_CONV}, {E("conv_shortcut"), ROLE_CONV}, {E("downsamplers_0_conv"), ROLE_CONV},
    {E("embed_tokens"), ROLE_EMBED}, {E("wte"), ROLE_EMBED}, {E("word_embeddings"), ROLE_EMBED}, {E("embed_in"), ROLE_EMBED},
    {E("tok_embeddings"), ROLE_EMBED}, {E("token_embedding"), ROLE_EMBED}, {E("token_embd"), ROLE_EMBED},
    {E("lm_head"), ROLE_HEAD}, {E("score"), ROLE_HEAD}, {E("classifier"), ROLE_HEAD}, {E("embed_out"), ROLE_HEAD},
    {E("text_projection"), ROLE_HEAD},
    {E("proj_in"), ROLE_PROJ_IN}, {E("img_in"), ROLE_PROJ_IN}, {E("txt_in"), ROLE_PROJ_IN}, {E("x_embedder"), ROLE_PROJ_IN},
    {E("context_embedder"), ROLE_PROJ_IN},
    {E("proj_out"), ROLE_PROJ_OUT}, {E("final_layer_linear"), ROLE_PROJ_OUT},
    {E("time_emb_proj"), ROLE_TIME}, {E("time_embedding_linear_1"), ROLE_TIME}, {E("time_embedding_linear_2"), ROLE_TIME},
    {E("time_in_in_layer"), ROLE_TIME}, {E("time_in_out_layer"), ROLE_TIME},
    {E("norm1_linear"), ROLE_NORM}, {E("norm1_context_linear"), ROLE_NORM}, {E("norm_linear"), ROLE_NORM},
    {E("modulation_lin"), ROLE_NORM}, {E("img_mod_lin"), ROLE_NORM}, {E("txt_mod_lin"), ROLE_NORM},
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
    for (size_t i = 0; length > 0 && i < sizeof role_endings / sizeof *role_endings; i++) {
        const char *ending = role_endings[i].ending;
        size_t n = role_endings[i].length;
        if (n > best && ending[n - 1] == flat(path[length - 1]) && ends_in_words(path, length, ending, n)) {
            best = n;
            role = role_endings[i].role;
        }
    }
    return role;
}

/* Does path hold the words of `word` at `at`, up to the end of a word? */
static bool has_words_at(const char *at, const char *word, size_t n)
{
    return *at == *word && strnlen(at, n) == n && same_words(at, word, n) && (!at[n] || flat(at[n]) == '_');
}

/* The beginning of the next word behind `at`, or the end. */
static const char *next_word(const char *at)
{
    while (*at && flat(*at) != '_')
        at++;
    return *at ? at + 1 : at;
}

typedef struct {
    const char *word;
    size_t length;
} word_entry;

static bool has_any_words(const char *path, const word_entry *words, size_t n)
{
    for (const char *at = path; *at; at = next_word(at))
        for (size_t i = 0; i < n; i++)
            if (has_words_at(at, words[i].word, words[i].length))
                return true;
    return false;
}

static bool is_unet_path(const char *path)
{
    static const word_entry words[] = {{E("down_blocks")},  {E("up_blocks")},     {E("mid_block")},
                                       {E("input_blocks")}, {E("output_blocks")}, {E("middle_block")}};
    return has_any_words(path, words, sizeof words / sizeof *words);
}

int64_t layer_of_path(const char *path)
{
    static const word_entry stacks[] = {{E("layers")},         {E("h")},          {E("blocks")},
                                        {E("double_blocks")},  {E("single_blocks")}, {E("layer")},
                                        {E("block")},          {E("transformer_blocks")}, {E("resblocks")},
                                        {E("blk")},            {E("single_transformer_blocks")},
                                        {E("encoder_layers")}, {E("decoder_layers")}};
    if (is_unet_path(path))
        return -1;
    for (const char *at = path; *at; at = next_word(at))
        for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
            if (!has_words_at(at, stacks[i].word, stacks[i].length))
                continue;
            const char *digits = at + stacks[i].length;
            if (!*digits || !isdigit((unsigned char)digits[1]))
                continue;
            int64_t layer = 0;
            for (digits++; isdigit((unsigned char)*digits) && layer < 100000; digits++)
                layer = layer * 10 + (*digits - '0');
            return layer;
        }
    return -1;
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
        if (*path == *starts[i].start && strncmp(path, starts[i].start, strlen(starts[i].start)) == 0)
            component = starts[i].component;
    if (component && strcmp(component, "transformer") != 0)
        return component;
    if (is_unet_path(path))
        return "unet";
    if (component)
        return component;
    static const word_entry vision[] = {{E("vision_tower")}, {E("vision_model")}};
    if (has_any_words(path, vision, 2))
        return "vision";
    return "transformer";
}
