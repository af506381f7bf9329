/* Pairing and scale: what a catalog becomes, with and without a config; nothing is dropped in silence.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/safetensors.h"
#include "tests/support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* An adapter folder, read. */
typedef struct {
    fixture fx;
    tensor_file t;
    arena *mem;
    file f;
    catalog cat;
    lora_config cfg;
    adapter a;
    lora_error err;
} bench;

static void bench_open(bench *b)
{
    memset(b, 0, sizeof *b);
    fixture_open(&b->fx);
    tensors_begin(&b->t);
    b->mem = arena_create();
    b->f.fd = -1;
}

static void bench_read(bench *b)
{
    tensors_save(&b->t, &b->fx, "adapter_model.safetensors");
    const char *path = fixture_path(&b->fx, "adapter_model.safetensors");
    assert_int_equal(file_open(path, &b->f, &b->err), LORA_OK);
    assert_int_equal(safetensors_read(&b->f, b->mem, &b->cat, &b->err), LORA_OK);
    assert_int_equal(config_load(path, &b->cat, b->mem, &b->cfg, &b->err), LORA_OK);
    assert_int_equal(adapter_build(&b->cat, &b->cfg, b->mem, &b->a, &b->err), LORA_OK);
}

static void bench_close(bench *b)
{
    config_release(&b->cfg);
    file_close(&b->f);
    arena_destroy(b->mem);
    fixture_close(&b->fx);
}

static void add(bench *b, const char *name, unsigned n_dims, const uint64_t *shape)
{
    static const float zeros[4096];
    uint64_t n = 1;
    for (unsigned i = 0; i < n_dims; i++)
        n *= shape[i];
    tensors_add(&b->t, name, "F32", n_dims, shape, zeros, (size_t)n * 4);
}
#define ADD(b, name, ...) add(b, name, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static void factors_of_one_name_become_a_module_in_natural_order(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "base_model.model.layers.10.q_proj.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.layers.10.q_proj.lora_B.weight", 8, 4);
    ADD(&b, "base_model.model.layers.2.q_proj.lora_B.weight", 8, 4);
    ADD(&b, "base_model.model.layers.2.q_proj.lora_A.weight", 4, 16);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 2);
    assert_string_equal(b.a.modules[0].name, "layers.2.q_proj");
    assert_string_equal(b.a.modules[1].name, "layers.10.q_proj");
    assert_int_equal(b.a.modules[0].m, 8);
    assert_int_equal(b.a.modules[0].n, 16);
    assert_int_equal(b.a.modules[0].r, 4);
    assert_int_equal(b.a.layout, LAYOUT_PEFT);
    assert_string_equal(b.a.method, "lora");
    assert_true(b.a.modules[0].scale == 1);
    assert_non_null(strstr(b.a.scale_source, "assumed"));
    bench_close(&b);
}

static void convolution_factors_are_flattened(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "lora_unet_x_conv1.lora_down.weight", 4, 6, 3, 3);
    ADD(&b, "lora_unet_x_conv1.lora_up.weight", 5, 4, 1, 1);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 1);
    assert_int_equal(b.a.modules[0].n, 54);
    assert_int_equal(b.a.modules[0].m, 5);
    assert_int_equal(b.a.layout, LAYOUT_KOHYA);
    assert_true(b.a.modules[0].scale == 1);
    bench_close(&b);
}

static void what_does_not_pair_is_kept_by_name(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "base_model.model.q.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.q.lora_B.weight", 8, 4);
    ADD(&b, "base_model.model.v.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.score.weight", 2, 8);
    ADD(&b, "lonely.alpha", 1);
    ADD(&b, "base_model.model.k.lora_A.weight", 8, 16);
    ADD(&b, "base_model.model.k.lora_B.weight", 8, 4);
    ADD(&b, "base_model.model.o.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.o.lora_B.weight", 8, 4);
    ADD(&b, "base_model.model.o.ia3_l", 4, 1);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 1);
    assert_int_equal(b.a.n_halves, 1);
    assert_string_equal(b.a.halves[0]->name, "base_model.model.v.lora_A.weight");
    assert_int_equal(b.a.n_strays, 2);
    assert_int_equal(b.a.n_skipped, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(b.a.skipped[i].shapes_differ, strcmp(b.a.skipped[i].name, "k") == 0);
    bench_close(&b);
}

static void two_adapters_in_one_file_stay_two(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "base_model.model.q.lora_A.one.weight", 4, 16);
    ADD(&b, "base_model.model.q.lora_B.one.weight", 8, 4);
    ADD(&b, "base_model.model.q.lora_A.two.weight", 2, 16);
    ADD(&b, "base_model.model.q.lora_B.two.weight", 8, 2);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 2);
    assert_int_equal(b.a.modules[0].r + b.a.modules[1].r, 6);
    bench_close(&b);
}

static void an_alpha_tensor_gives_alpha_over_rank(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        unsigned char bytes[8];
        size_t n;
        double scale; /* with r = 4 */
    } cases[] = {
        {"F32", {0, 0, 0x80, 0x3f}, 4, 0.25},               /* 1 */
        {"F16", {0, 0x48}, 2, 2},                           /* 8 */
        {"BF16", {0x80, 0x40}, 2, 1},                       /* 4 */
        {"F64", {0, 0, 0, 0, 0, 0, 0, 0x40}, 8, 0.5},       /* 2 */
        {"I64", {12, 0, 0, 0, 0, 0, 0, 0}, 8, 3},           /* 12 */
        {"F32", {0, 0, 0, 0}, 4, 1},                        /* 0: alpha = r */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        bench_open(&b);
        ADD(&b, "lora_unet_q.lora_down.weight", 4, 16);
        ADD(&b, "lora_unet_q.lora_up.weight", 8, 4);
        tensors_add(&b.t, "lora_unet_q.alpha", cases[i].dtype, 0, NULL, cases[i].bytes, cases[i].n);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, 1);
        assert_true(b.a.modules[0].scale == cases[i].scale);
        assert_int_equal(b.a.n_strays, 0);
        bench_close(&b);
    }
}

/* A scale that cannot be known must not become 1. */
static void an_alpha_that_is_no_number_leaves_its_module_out(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        unsigned n_dims;
        unsigned char bytes[8];
        size_t n;
    } cases[] = {{"F32", 0, {0, 0, 0xc0, 0x7f}, 4}, {"F32", 0, {0, 0, 0x80, 0x7f}, 4}, {"F32", 1, {0}, 8}, {"BOOL", 0, {4}, 1},
                 {"F32", 1, {0}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        bench_open(&b);
        ADD(&b, "lora_unet_q.lora_down.weight", 4, 16);
        ADD(&b, "lora_unet_q.lora_up.weight", 8, 4);
        uint64_t length = cases[i].n / 4;
        tensors_add(&b.t, "lora_unet_q.alpha", cases[i].dtype, cases[i].n_dims, &length, cases[i].bytes, cases[i].n);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, 0);
        assert_int_equal(b.a.n_failed_pairs, 1);
        assert_non_null(strstr(b.a.skipped[0].reason, "alpha"));
        bench_close(&b);
    }
}

/* PEFT takes its scale from the config, whatever a tensor says. */
static void an_alpha_tensor_beside_peft_names_is_a_stray(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    fixture_text(&b.fx, "adapter_config.json", "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8}");
    ADD(&b, "base_model.model.q.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.q.lora_B.weight", 8, 4);
    ADD(&b, "base_model.model.q.alpha", 1);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 1);
    assert_true(b.a.modules[0].scale == 2);
    assert_int_equal(b.a.n_strays, 1);
    bench_close(&b);
}

/* A decoy under another spelling of the module's name neither hides the real pair nor passes in silence. */
static void two_spellings_of_one_module_are_both_measured_and_told(void **state)
{
    (void)state;
    static const char *const decoys[][2] = {{"q.lora_A.weight", "q.lora_B.weight"},
                                            {"base_model.model.base_model.model.q.lora_A.weight",
                                             "base_model.model.base_model.model.q.lora_B.weight"}};
    for (size_t i = 0; i < 2; i++) {
        bench b;
        bench_open(&b);
        ADD(&b, decoys[i][0], 4, 16);
        ADD(&b, decoys[i][1], 8, 4);
        ADD(&b, "base_model.model.q.lora_A.weight", 4, 16);
        ADD(&b, "base_model.model.q.lora_B.weight", 8, 4);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, 2);
        assert_int_equal(b.a.n_ambiguous, 1);
        assert_int_equal(b.a.n_strays, 0);
        bench_close(&b);
    }
    bench b;
    bench_open(&b);
    ADD(&b, "q.lora_A.weight", 4, 16);
    ADD(&b, "q.lora_A", 4, 16);
    ADD(&b, "q.lora_B.weight", 8, 4);
    bench_read(&b);
    assert_int_equal(b.a.n_ambiguous, 1);
    bench_close(&b);
}

/* The tensor of another method concerns its module under whatever adapter name. */
static void raw_state_dicts_with_a_core_are_not_taken_for_lora(void **state)
{
    (void)state;
    static const char *const keys[][4] = {
        {"base_model.model.q.lora_A.default", "base_model.model.q.lora_B.default", "base_model.model.q.lora_E.default", "adalora"},
        {"base_model.model.q.lora_A.default.weight", "base_model.model.q.lora_B.default.weight",
         "base_model.model.q.default_lora_latent_mapping.weight", "lora-sb"},
        {"base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight", "base_model.model.q_lora_latent.weight", "lora-sb"}};
    for (size_t i = 0; i < 3; i++) {
        bench b;
        bench_open(&b);
        ADD(&b, keys[i][0], 4, 16);
        ADD(&b, keys[i][1], 8, 4);
        ADD(&b, keys[i][2], 4, i ? 4 : 1);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, 1);
        assert_string_equal(b.a.method, keys[i][3]);
        assert_non_null(b.a.modules[0].more);
        assert_int_equal(b.a.modules[0].more->diagonal, i == 0);
        assert_int_equal(b.a.layout, i ? LAYOUT_LORA_SB : LAYOUT_PEFT);
        assert_int_equal(b.a.n_strays + b.a.n_halves, 0);
        bench_close(&b);
    }
}

/* What one loader takes and another does not must not vanish behind what is computed. */
static void parts_of_two_methods_on_one_module_are_not_computed(void **state)
{
    (void)state;
    static const char *const beside[][2] = {{"x.lokr_w1", "x.lokr_w2"},     {"x.lokr_w2", NULL},  {"x.hada_w2_a", "x.hada_w2_b"},
                                            {"x.lokr_w2_a", "x.lokr_w2_b"}, {"x.lokr_t2", NULL}};
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        for (int first = 0; first < 2; first++) {
            bench b;
            bench_open(&b);
            for (int k = 0; k < 2; k++) {
                bool plain = k != first;
                if (plain) {
                    ADD(&b, "x.lora_down.weight", 4, 16);
                    ADD(&b, "x.lora_up.weight", 8, 4);
                } else {
                    ADD(&b, beside[i][0], 4, 4);
                    if (beside[i][1])
                        ADD(&b, beside[i][1], 4, 4);
                }
            }
            bench_read(&b);
            if (b.a.n_modules != 0 || b.a.n_skipped + b.a.n_halves == 0)
                fail_msg("case %zu: %zu modules, %zu skipped", i, b.a.n_modules, b.a.n_skipped);
            bench_close(&b);
        }
}

static void a_name_like_a_factor_that_is_not_known_is_no_clean_file(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "q/LORA_A", 4, 16);
    ADD(&b, "base_model.model.k.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.k.lora_B.weight", 8, 4);
    ADD(&b, "exploration.weight", 4);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 1);
    assert_int_equal(b.a.n_skipped, 1);
    assert_int_equal(b.a.n_strays, 1);
    bench_close(&b);
}

static void factors_of_two_adapters_on_one_module_are_ambiguous(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "base_model.model.q.lora_A.default.weight", 4, 16);
    ADD(&b, "base_model.model.q.lora_B.default.weight", 8, 4);
    ADD(&b, "base_model.model.q.lora_A.style.weight", 4, 16);
    ADD(&b, "base_model.model.q.lora_B.style.weight", 8, 4);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 2);
    assert_int_equal(b.a.n_ambiguous, 1);
    bench_close(&b);
}

static void magnitudes_must_fit_and_be_numbers(void **state)
{
    (void)state;
    static const float infinite[8] = {1, 1, 1, 1, 1, 1, 1, INFINITY};
    for (int i = 0; i < 2; i++) {
        bench b;
        bench_open(&b);
        ADD(&b, "base_model.model.q.lora_A.weight", 4, 16);
        ADD(&b, "base_model.model.q.lora_B.weight", 8, 4);
        tensors_add(&b.t, "base_model.model.q.lora_magnitude_vector", "F32", 1, (uint64_t[]){i == 1 ? 7 : 8}, infinite,
                    i == 1 ? 28 : 32);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, i);
        assert_int_equal(b.a.n_odd_magnitudes, i);
        assert_int_equal(b.a.n_skipped, 1 - i);
        bench_close(&b);
    }
}

/* What speaks against one expert speaks against all: one entry, for the list has no more places than the file has tensors. */
static void a_stack_of_experts_is_skipped_as_one(void **state)
{
    (void)state;
    static const float nan4[4] = {1, 1, NAN, 1};
    bench b;
    bench_open(&b);
    ADD(&b, "model.layers.0.mlp.up_proj.lora_a", 16, 2, 8);
    ADD(&b, "model.layers.0.mlp.up_proj.lora_b", 16, 4, 2);
    tensors_add(&b.t, "model.layers.0.mlp.up_proj.m", "F32", 1, (uint64_t[]){4}, nan4, sizeof nan4);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 0);
    assert_int_equal(b.a.n_skipped, 1);
    bench_close(&b);
}

/* ComfyUI and diffusers read an alpha beside PEFT's names where no config speaks; PEFT's own files have none. */
static void an_alpha_beside_pefts_names_counts_where_no_config_speaks(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++) {
        const float two = 2;
        bench b;
        bench_open(&b);
        ADD(&b, own ? "base_model.model.blocks.0.q.lora_A.weight" : "blocks.0.q.lora_A.weight", 4, 16);
        ADD(&b, own ? "base_model.model.blocks.0.q.lora_B.weight" : "blocks.0.q.lora_B.weight", 8, 4);
        tensors_add(&b.t, own ? "base_model.model.blocks.0.q.alpha" : "blocks.0.q.alpha", "F32", 0, NULL, &two, 4);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, 1);
        assert_true(b.a.modules[0].scale == (own ? 1 : 0.5));
        bench_close(&b);
    }
}

static void a_core_without_its_factors_is_kept_by_name(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "base_model.model.q_lora_latent.weight", 4, 4);
    ADD(&b, "base_model.model.k.lora_E", 4, 1);
    ADD(&b, "x.lokr_w1", 4, 4);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 0);
    assert_int_equal(b.a.n_strays + b.a.n_halves, 3);
    bench_close(&b);
}

/* Wan adapters: a change of the bias beside the factors. The update of the weight is s·B·A all the same. */
static void a_bias_beside_a_pair_does_not_take_the_pair_away(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    ADD(&b, "diffusion_model.blocks.0.self_attn.q.lora_A.weight", 4, 16);
    ADD(&b, "diffusion_model.blocks.0.self_attn.q.lora_B.weight", 8, 4);
    ADD(&b, "diffusion_model.blocks.0.self_attn.q.diff_b", 8);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 1);
    assert_int_equal(b.a.n_strays, 1);
    bench_close(&b);
}

/* diffusers reads its own metadata and alpha tensors, never an adapter_config.json that happens to lie there. */
static void a_peft_config_does_not_scale_a_diffusers_file(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    fixture_text(&b.fx, "adapter_config.json", "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":64}");
    ADD(&b, "unet.mid_block.attn1.to_q.lora.down.weight", 4, 16);
    ADD(&b, "unet.mid_block.attn1.to_q.lora.up.weight", 8, 4);
    bench_read(&b);
    assert_true(b.a.modules[0].scale == 1);
    bench_close(&b);
}

static void experts_stacked_in_one_pair_are_not_computed_as_one(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    fixture_text(&b.fx, "adapter_config.json",
                 "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":8,\"target_parameters\":[\"mlp.experts.gate_up_proj\"]}");
    ADD(&b, "base_model.model.experts.lora_A.weight", 8, 16);
    ADD(&b, "base_model.model.experts.lora_B.weight", 8, 8);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 0);
    assert_int_equal(b.a.n_failed_pairs, 1);
    assert_false(b.a.ranks_differ);
    bench_close(&b);
}

static void ranks_beyond_both_dimensions_are_refused(void **state)
{
    (void)state;
    for (uint64_t r = 63; r <= 65; r++) {
        bench b;
        bench_open(&b);
        ADD(&b, "q.lora_A.weight", r, 2);
        ADD(&b, "q.lora_B.weight", 2, r);
        bench_read(&b);
        assert_int_equal(b.a.n_modules, r <= 64);
        bench_close(&b);
    }
}

static void scale_of(const char *config, const char *module, double expected, bool ranks_differ, bool bad_pattern)
{
    bench b;
    bench_open(&b);
    fixture_text(&b.fx, "adapter_config.json", config);
    char name[200];
    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", module);
    ADD(&b, name, 4, 16);
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", module);
    ADD(&b, name, 8, 4);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 1);
    if (!(fabs(b.a.modules[0].scale - expected) <= 1e-15 * fabs(expected)))
        fail_msg("%s: scale %.17g, not %.17g", config, b.a.modules[0].scale, expected);
    assert_int_equal(b.a.ranks_differ, ranks_differ);
    assert_int_equal(b.a.bad_pattern, bad_pattern);
    bench_close(&b);
}

static void the_config_gives_the_scale_as_peft_reads_it(void **state)
{
    (void)state;
    const char *q = "model.layers.3.self_attn.q_proj";
    scale_of("{\"r\":4,\"lora_alpha\":16}", q, 4, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"use_rslora\":true}", q, 8, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":0}", q, 0, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":-2}", q, -0.5, false, false);
    /* the tensors' rank is the rank */
    scale_of("{\"r\":8,\"lora_alpha\":16}", q, 4, true, false);
    /* patterns: a suffix of whole words, a full name, a regular expression, the first match */
    scale_of("{\"r\":8,\"lora_alpha\":16,\"rank_pattern\":{\"q_proj\":4},\"alpha_pattern\":{\"q_proj\":2}}", q, 0.5, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"alpha_pattern\":{\"proj\":2}}", q, 4, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"alpha_pattern\":{\"model.layers.3.self_attn.q_proj\":2}}", q, 0.5, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"alpha_pattern\":{\"layers\\\\.[0-4]\\\\..*\":2}}", q, 0.5, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"alpha_pattern\":{\"k_proj\":2,\"q_proj|v_proj\":1,\"q_proj\":3}}", q, 0.25, false, false);
    /* what is no number, or no expression, is passed over, and said */
    scale_of("{\"r\":4,\"lora_alpha\":\"16\"}", q, 1, false, false);
    /* PEFT's default, and Python's reading: the last of equal keys, NaN where JSON has none */
    scale_of("{\"peft_type\":\"LORA\",\"r\":4}", q, 2, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"lora_alpha\":1600}", q, 400, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"lora_dropout\":NaN,\"x\":[-Infinity,\"NaN \\\" NaN\"]}", q, 4, false, false);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"alpha_pattern\":{\"(\":2}}", q, 4, false, true);
    scale_of("{\"r\":4,\"lora_alpha\":16,\"alpha_pattern\":{\"((a|a)*)*\":2}}",
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 4, false, true);
}

static void diffusers_metadata_gives_the_scale_a_component(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    tensors_metadata(&b.t, "{\"lora_adapter_metadata\":\"{\\\"unet.r\\\":4,\\\"unet.lora_alpha\\\":2,"
                           "\\\"text_encoder.r\\\":4,\\\"text_encoder.lora_alpha\\\":8}\"}");
    ADD(&b, "unet.mid_block.to_q.lora_A.weight", 4, 16);
    ADD(&b, "unet.mid_block.to_q.lora_B.weight", 8, 4);
    ADD(&b, "text_encoder.layers.0.q_proj.lora_A.weight", 4, 16);
    ADD(&b, "text_encoder.layers.0.q_proj.lora_B.weight", 8, 4);
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 2);
    assert_int_equal(b.a.layout, LAYOUT_DIFFUSERS);
    assert_true(b.a.modules[0].scale == 2); /* text_encoder */
    assert_true(b.a.modules[1].scale == 0.5);
    bench_close(&b);
}

static void a_broken_config_is_a_fault_with_its_place(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    fixture_text(&b.fx, "adapter_config.json", "{\"r\": 4, oops}");
    ADD(&b, "base_model.model.q.lora_A.weight", 4, 16);
    ADD(&b, "base_model.model.q.lora_B.weight", 8, 4);
    bench_read(&b);
    assert_int_equal(b.cfg.fault.code, LORA_E_JSON);
    assert_int_equal(b.cfg.fault.offset, 9);
    assert_int_equal(b.a.n_modules, 1);
    bench_close(&b);
}

static void an_endless_config_is_refused_by_its_size(void **state)
{
    (void)state;
    cJSON *tree = NULL;
    lora_error err = {0};
    static char text[3000000] = "{\"a\":[";
    for (size_t i = 6; i < sizeof text - 4; i += 2)
        memcpy(text + i, "0,", 2);
    memcpy(text + sizeof text - 4, " 0]}", 4);
    assert_int_equal(sidefile_parse(text, sizeof text, "config", &tree, &err), LORA_E_TOO_LARGE);
    assert_null(tree);
}

static void what_python_would_not_read_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"{\"r\":4} x", "{\"r\":4", "[1]", "{\"r\":\"\xff\"}", "{\"r\\u0000x\":1}", "{'r':4}", ""};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        cJSON *tree = NULL;
        lora_error err = {0};
        assert_int_equal(sidefile_parse(broken[i], strlen(broken[i]), "config", &tree, &err), LORA_E_JSON);
        assert_true(err.has_offset && tree == NULL);
    }
}

/* Patterns cost what they cost once, not for every module. */
static void many_patterns_and_modules_end_in_a_finding_not_in_hours(void **state)
{
    (void)state;
    bench b;
    bench_open(&b);
    strbuf config = {0};
    strbuf_puts(&config, "{\"r\":1,\"lora_alpha\":1,\"alpha_pattern\":{");
    for (int i = 0; i < 900; i++)
        strbuf_printf(&config, "%s\"(a|b)*x%d\":2", i ? "," : "", i);
    strbuf_puts(&config, "}}");
    fixture_text(&b.fx, "adapter_config.json", config.data);
    strbuf_free(&config);
    for (int i = 0; i < 300; i++) {
        char name[100];
        snprintf(name, sizeof name, "abababababababab%d.lora_A.weight", i);
        ADD(&b, name, 1, 1);
        snprintf(name, sizeof name, "abababababababab%d.lora_B.weight", i);
        ADD(&b, name, 1, 1);
    }
    bench_read(&b);
    assert_int_equal(b.a.n_modules, 300);
    assert_true(b.a.bad_pattern);
    bench_close(&b);
}

static void inits_that_do_not_start_at_zero_are_known(void **state)
{
    (void)state;
    lora_config cfg = {0};
    assert_true(config_starts_at_zero(&cfg));
    static const char *const zero[] = {"true", "gaussian", "eva", "mica"}, *const other[] = {"false", "pissa", "pissa_niter_4", "olora", "loftq"};
    for (size_t i = 0; i < 4; i++) {
        cfg.init = zero[i];
        assert_true(config_starts_at_zero(&cfg));
    }
    for (size_t i = 0; i < 5; i++) {
        cfg.init = other[i];
        assert_false(config_starts_at_zero(&cfg));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_of_one_name_become_a_module_in_natural_order),
        cmocka_unit_test(convolution_factors_are_flattened),
        cmocka_unit_test(what_does_not_pair_is_kept_by_name),
        cmocka_unit_test(two_adapters_in_one_file_stay_two),
        cmocka_unit_test(an_alpha_tensor_gives_alpha_over_rank),
        cmocka_unit_test(the_config_gives_the_scale_as_peft_reads_it),
        cmocka_unit_test(diffusers_metadata_gives_the_scale_a_component),
        cmocka_unit_test(a_broken_config_is_a_fault_with_its_place),
        cmocka_unit_test(an_endless_config_is_refused_by_its_size),
        cmocka_unit_test(an_alpha_that_is_no_number_leaves_its_module_out),
        cmocka_unit_test(an_alpha_tensor_beside_peft_names_is_a_stray),
        cmocka_unit_test(two_spellings_of_one_module_are_both_measured_and_told),
        cmocka_unit_test(raw_state_dicts_with_a_core_are_not_taken_for_lora),
        cmocka_unit_test(a_core_without_its_factors_is_kept_by_name),
        cmocka_unit_test(parts_of_two_methods_on_one_module_are_not_computed),
        cmocka_unit_test(a_name_like_a_factor_that_is_not_known_is_no_clean_file),
        cmocka_unit_test(factors_of_two_adapters_on_one_module_are_ambiguous),
        cmocka_unit_test(magnitudes_must_fit_and_be_numbers),
        cmocka_unit_test(a_stack_of_experts_is_skipped_as_one),
        cmocka_unit_test(an_alpha_beside_pefts_names_counts_where_no_config_speaks),
        cmocka_unit_test(a_bias_beside_a_pair_does_not_take_the_pair_away),
        cmocka_unit_test(a_peft_config_does_not_scale_a_diffusers_file),
        cmocka_unit_test(experts_stacked_in_one_pair_are_not_computed_as_one),
        cmocka_unit_test(ranks_beyond_both_dimensions_are_refused),
        cmocka_unit_test(what_python_would_not_read_is_refused),
        cmocka_unit_test(many_patterns_and_modules_end_in_a_finding_not_in_hours),
        cmocka_unit_test(inits_that_do_not_start_at_zero_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
