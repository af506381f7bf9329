/* What keys and paths say: every layout's endings, wrappers, adapter names, methods that are only named; roles, layers and
 * components of real module paths.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/naming.h"
#include "analyzer/adapter/role.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    const char *key;
    key_part part;
    lora_layout layout;
    const char *module;
} key_case;

static const key_case keys[] = {
    {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", PART_A, LAYOUT_PEFT, "model.layers.0.self_attn.q_proj"},
    {"base_model.model.base_model.model.h.0.mlp.lora_B.weight", PART_B, LAYOUT_PEFT, "h.0.mlp"},
    {"base_model.model.l.0.q_proj.lora_A.default.weight", PART_A, LAYOUT_PEFT, "l.0.q_proj"},
    {"base_model.model.emb.lora_embedding_A", PART_A, LAYOUT_PEFT, "emb"},
    {"base_model.model.emb.lora_embedding_B.default", PART_B, LAYOUT_PEFT, "emb"},
    {"base_model.model.q.lora_magnitude_vector", PART_MAGNITUDE, LAYOUT_PEFT, "q"},
    {"base_model.model.q.lora_magnitude_vector.default.weight", PART_MAGNITUDE, LAYOUT_PEFT, "q"},
    {"double_blocks.0.img_attn.proj.lora_B.bias", PART_BIAS, LAYOUT_PEFT, "double_blocks.0.img_attn.proj"},
    {"down_blocks.0.attn1.processor.to_q_lora.down.weight", PART_A, LAYOUT_DIFFUSERS, "down_blocks.0.attn1.to_q"},
    {"unet.down_blocks.0.attn1.to_out.0.lora.up.weight", PART_B, LAYOUT_DIFFUSERS, "unet.down_blocks.0.attn1.to_out.0"},
    {"text_encoder.layers.0.q_proj.lora_linear_layer.down.weight", PART_A, LAYOUT_DIFFUSERS, "text_encoder.layers.0.q_proj"},
    {"unet.mid_block.attn1.to_q.lora_A.weight", PART_A, LAYOUT_DIFFUSERS, "unet.mid_block.attn1.to_q"},
    {"transformer.blocks.0.attn.to_k.lora_B.weight", PART_B, LAYOUT_DIFFUSERS, "transformer.blocks.0.attn.to_k"},
    {"lora_unet_down_blocks_0_to_q.lora_down.weight", PART_A, LAYOUT_KOHYA, "lora_unet_down_blocks_0_to_q"},
    {"lora_te_text_model_fc1.alpha", PART_ALPHA, LAYOUT_KOHYA, "lora_te_text_model_fc1"},
    {"lora_te1_fc1.dora_scale", PART_MAGNITUDE, LAYOUT_KOHYA, "lora_te1_fc1"},
    {"transformer_blocks.0.attn.to_k.lora_down.weight", PART_A, LAYOUT_DIFFUSERS, "transformer_blocks.0.attn.to_k"},
    {"layer.0.attention.lora_A", PART_A, LAYOUT_LORALIB, "layer.0.attention"},
    {"layer.0.attention.lora_B", PART_B, LAYOUT_LORALIB, "layer.0.attention"},
    {"base_model.model.q.lora_E", PART_CORE, LAYOUT_PEFT, "q"},
    {"base_model.model.q.lora_E.default", PART_CORE, LAYOUT_PEFT, "q"},
    {"base_model.model.q_proj_lora_latent_mapping.weight", PART_CORE, LAYOUT_LORA_SB, "q_proj"},
    {"base_model.model.q_proj.default_lora_latent_mapping.weight", PART_CORE, LAYOUT_LORA_SB, "q_proj"},
    {"lora_unet_x.lokr_w1", PART_FULL, LAYOUT_LYCORIS, "lora_unet_x"},
    {"lora_unet_x.lokr_w1_a", PART_B, LAYOUT_LYCORIS, "lora_unet_x"},
    {"lora_unet_x.lokr_w2_b", PART_A2, LAYOUT_LYCORIS, "lora_unet_x"},
    {"lora_unet_x.lokr_t2", PART_CORE2, LAYOUT_LYCORIS, "lora_unet_x"},
    {"base_model.model.fc.lokr_w2", PART_FULL2, LAYOUT_PEFT, "fc"},
    {"base_model.model.fc.hada_w1_a.default", PART_B, LAYOUT_PEFT, "fc"},
    {"lora_unet_x.hada_w2_b", PART_A2, LAYOUT_LYCORIS, "lora_unet_x"},
    {"lora_unet_x.lora_mid.weight", PART_CORE, LAYOUT_LYCORIS, "lora_unet_x"},
    {"unet:17:down", PART_A, LAYOUT_CLONEOFSIMO, "unet:17"},
    {"text_encoder:3:up", PART_B, LAYOUT_CLONEOFSIMO, "text_encoder:3"},
    {"model.layers.2.q_proj.lora_a", PART_A, LAYOUT_MLX, "model.layers.2.q_proj"},
    {"model.layers.2.q_proj.m", PART_MAGNITUDE, LAYOUT_MLX, "model.layers.2.q_proj"},
    {"blk.2.attn_q.weight.lora_a", PART_A, LAYOUT_GGUF, "blk.2.attn_q"},
    {"token_embd.weight.lora_b", PART_B, LAYOUT_GGUF, "token_embd"},
    {"double_blocks.0.processor.qkv_lora1.down.weight", PART_A, LAYOUT_GENERIC, "double_blocks.0.qkv_lora1"},
    {"double_blocks.0.processor.qkv_lora2.up.weight", PART_B, LAYOUT_GENERIC, "double_blocks.0.qkv_lora2"},
    {"down_blocks.0.attn1.to_q.down", PART_A, LAYOUT_DIFFUSERS, "down_blocks.0.attn1.to_q"},
    {"decoder.layers.0.linear_qkv.adapter.linear_in.weight", PART_A, LAYOUT_GENERIC, "decoder.layers.0.linear_qkv"},
    {"layers.0.self_attention.adapter_layer.lora_kqv_adapter.linear_out.weight", PART_B, LAYOUT_GENERIC,
     "layers.0.self_attention.adapter_layer.lora_kqv"},
    {"layers.0.attn.q_proj.lora_b.weight", PART_B, LAYOUT_GENERIC, "layers.0.attn.q_proj"},
    {"encoder_q_lora_A", PART_A, LAYOUT_GENERIC, "encoder_q"},
    {"w_a_003", PART_A, LAYOUT_GENERIC, "w_003"},
    {"w_b_003", PART_B, LAYOUT_GENERIC, "w_003"},
    {"w_a_", PART_NONE, LAYOUT_GENERIC, NULL},
    {"w_a_3x", PART_NONE, LAYOUT_GENERIC, NULL},
    {"prompt_embeddings", PART_FOREIGN, LAYOUT_PEFT, "prompt_embeddings"},
    {"prompt_encoder.default.embedding.weight", PART_FOREIGN, LAYOUT_PEFT, "prompt_encoder.default.embedding.weight"},
    {"lora_unet_x.diff", PART_FOREIGN, LAYOUT_LYCORIS, "lora_unet_x"},
    {"lora_unet_x.diff_b", PART_BIAS, LAYOUT_LYCORIS, "lora_unet_x"},
    {"base_model.model.q.oft_R.weight", PART_FOREIGN, LAYOUT_PEFT, "q"},
    {"base_model.model.road_network.weight", PART_NONE, LAYOUT_GENERIC, NULL},
    {"base_model.model.score.weight", PART_NONE, LAYOUT_GENERIC, NULL},
    {"model.layers.0.self_attn.q_proj.weight", PART_NONE, LAYOUT_GENERIC, NULL},
    {"unet:x:down", PART_NONE, LAYOUT_GENERIC, NULL},
    {":3:up", PART_NONE, LAYOUT_GENERIC, NULL},
    {"lora_A.weight", PART_A, LAYOUT_PEFT, ""},
    {"lora_down.weight", PART_A, LAYOUT_DIFFUSERS, ""},
    {"x.lora_down", PART_A, LAYOUT_DIFFUSERS, "x"},
    {"lora_unet_q.lora_up.0.weight", PART_B, LAYOUT_KOHYA, "lora_unet_q"},
    {"base_model.model.emb.lora_embedding_A.weight", PART_A, LAYOUT_PEFT, "emb"},
    {"x.hada_w1_a.weight", PART_B, LAYOUT_LYCORIS, "x"},
    {"base_model.model.prompt_encoder.layers.0.q_proj.lora_A.weight", PART_A, LAYOUT_PEFT, "prompt_encoder.layers.0.q_proj"},
    {"blocks.0.hra_attn.lora_B.weight", PART_B, LAYOUT_PEFT, "blocks.0.hra_attn"},
    {"blocks.0.oft_proj.hada_w2_b", PART_A2, LAYOUT_LYCORIS, "blocks.0.oft_proj"},
    {"x.poly_lora_A.weight", PART_FOREIGN, LAYOUT_PEFT, "x"},
    {"mlp.up", PART_NONE, LAYOUT_GENERIC, NULL},
    {".lora_A.weight", PART_A, LAYOUT_PEFT, ""},
    {"", PART_NONE, LAYOUT_GENERIC, NULL},
};

static void every_key_form_is_taken_apart(void **state)
{
    (void)state;
    arena *mem = arena_create();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        parsed_key k;
        assert_int_equal(naming_parse(keys[i].key, mem, &k), LORA_OK);
        if (k.part != keys[i].part || k.layout != keys[i].layout)
            fail_msg("%s: part %d, layout %s", keys[i].key, (int)k.part, layout_name(k.layout));
        if (keys[i].module)
            assert_string_equal(k.module, keys[i].module);
        else
            assert_null(k.module);
    }
    arena_destroy(mem);
}

static void names_like_factors_that_no_table_knows_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool like;
    } cases[] = {{"q.LORA_A.weight", true}, {"q/lora_A", true},           {"q lora A", true},         {"x.lora_weird", true},
                 {"q.Lokr-w1", true}, {"q.loraA.weight", true}, {"exploration.weight", false}, {"colorado.weight", false}, {"floral.bias", false},
                 {"q_proj.weight", false},  {"", false}};
    arena *mem = arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed_key k;
        assert_int_equal(naming_parse(cases[i].key, mem, &k), LORA_OK);
        if (k.part != PART_NONE || k.factor_like != cases[i].like)
            fail_msg("%s: part %d, like a factor %d", cases[i].key, (int)k.part, k.factor_like);
    }
    arena_destroy(mem);
}

static void an_adapter_name_in_the_key_is_kept_apart(void **state)
{
    (void)state;
    arena *mem = arena_create();
    parsed_key k;
    naming_parse("base_model.model.q.lora_A.style.weight", mem, &k);
    assert_string_equal(k.adapter, "style");
    assert_string_equal(k.module, "q");
    naming_parse("base_model.model.q.lora_A.weight", mem, &k);
    assert_string_equal(k.adapter, "");
    arena_destroy(mem);
}

static void methods_that_are_only_named_say_which(void **state)
{
    (void)state;
    static const struct {
        const char *key, *method;
        bool low_rank;
    } cases[] = {{"a.ia3_l", "ia3", false},
                 {"a.oft_blocks", "oft", false},
                 {"a.vera_lambda_b", "vera", true},
                 {"base_model.vera_A.default", "vera", true},
                 {"a.boft_R", "boft", false},
                 {"a.hra_u", "hra", false},
                 {"a.vblora_logits_A", "vblora", true},
                 {"vblora_vector_bank.weight", "vblora", true},
                 {"a.miss_block", "miss", false},
                 {"a.randlora_gamma", "randlora", true},
                 {"a.shira_weight", "shira", false},
                 {"a.road_theta", "road", false},
                 {"a.c3a_kernel", "c3a", false},
                 {"a.delora_lambda", "delora", true},
                 {"a.gralora_A_general", "gralora", true},
                 {"a.hira_A", "hira", false},
                 {"a.glora_Ad", "glora", true},
                 {"a.ln_tuning_layers.weight", "ln_tuning", false},
                 {"a.trainable_tokens_delta", "trainable_tokens", false},
                 {"a.poly_lora_A", "poly", true},
                 {"a.unilora_theta_d", "unilora", true},
                 {"a.waveft_spectrum", "waveft", false},
                 {"a.tinylora_v", "tinylora", true},
                 {"a.fourierft_spectrum", "fourierft", false},
                 {"a.w_norm", "norm", false},
                 {"prompt_embeddings", "prompt", false}};
    arena *mem = arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed_key k;
        naming_parse(cases[i].key, mem, &k);
        if (k.part != PART_FOREIGN)
            fail_msg("%s: part %d", cases[i].key, (int)k.part);
        assert_string_equal(k.method, cases[i].method);
        assert_non_null(naming_method_text(k.method));
        assert_int_equal(k.low_rank, cases[i].low_rank);
    }
    arena_destroy(mem);
}

static const struct {
    const char *path;
    lora_role role;
    int layer;
    const char *component;
} paths[] = {
    {"model.layers.12.self_attn.q_proj", ROLE_Q, 12, "transformer"},
    {"model.layers.3.mlp.gate_up_proj", ROLE_GATE_UP, 3, "transformer"},
    {"model.layers.3.mlp.down_proj", ROLE_DOWN, 3, "transformer"},
    {"transformer.h.7.attn.c_attn", ROLE_QKV, 7, "transformer"},
    {"transformer.h.7.attn.c_proj", ROLE_O, 7, "transformer"},
    {"transformer.h.7.mlp.c_proj", ROLE_DOWN, 7, "transformer"},
    {"gpt_neox.layers.0.attention.query_key_value", ROLE_QKV, 0, "transformer"},
    {"gpt_neox.layers.0.attention.dense", ROLE_O, 0, "transformer"},
    {"gpt_neox.layers.0.mlp.dense_4h_to_h", ROLE_DOWN, 0, "transformer"},
    {"bert.encoder.layer.4.attention.output.dense", ROLE_O, 4, "transformer"},
    {"bert.encoder.layer.4.output.dense", ROLE_DOWN, 4, "transformer"},
    {"bert.encoder.layer.4.intermediate.dense", ROLE_UP, 4, "transformer"},
    {"model.embed_tokens", ROLE_EMBED, -1, "transformer"},
    {"unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0", ROLE_O, -1, "unet"},
    {"unet.up_blocks.1.attentions.1.transformer_blocks.0.ff.net.0.proj", ROLE_UP, -1, "unet"},
    {"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v", ROLE_V, -1, "unet"},
    {"lora_unet_down_blocks_0_resnets_0_conv1", ROLE_CONV, -1, "unet"},
    {"lora_unet_double_blocks_17_img_attn_qkv", ROLE_QKV, 17, "transformer"},
    {"lora_te_text_model_encoder_layers_9_mlp_fc2", ROLE_DOWN, 9, "text_encoder"},
    {"lora_te2_text_model_encoder_layers_9_self_attn_k_proj", ROLE_K, 9, "text_encoder_2"},
    {"text_model.encoder.layers.1.self_attn.out_proj", ROLE_O, 1, "text_encoder"},
    {"transformer.single_transformer_blocks.30.attn.to_q", ROLE_Q, 30, "transformer"},
    {"something.else_entirely", ROLE_OTHER, -1, "transformer"},
    {"layers", ROLE_OTHER, -1, "transformer"},
    {"notq_proj", ROLE_OTHER, -1, "transformer"},
    {"", ROLE_OTHER, -1, "transformer"},
};

static void paths_of_real_models_give_role_layer_and_component(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (role_of_path(paths[i].path) != paths[i].role || layer_of_path(paths[i].path) != paths[i].layer)
            fail_msg("%s: role %s, layer %lld", paths[i].path, role_name(role_of_path(paths[i].path)),
                     (long long)layer_of_path(paths[i].path));
        assert_string_equal(component_of_path(paths[i].path), paths[i].component);
    }
}

static void only_o_down_and_embeddings_write_to_the_residual_stream(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROLE_COUNT; r++)
        assert_int_equal(role_writes_residual((lora_role)r), r == ROLE_O || r == ROLE_DOWN || r == ROLE_EMBED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_form_is_taken_apart),
        cmocka_unit_test(names_like_factors_that_no_table_knows_are_told),
        cmocka_unit_test(an_adapter_name_in_the_key_is_kept_apart),
        cmocka_unit_test(methods_that_are_only_named_say_which),
        cmocka_unit_test(paths_of_real_models_give_role_layer_and_component),
        cmocka_unit_test(only_o_down_and_embeddings_write_to_the_residual_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
