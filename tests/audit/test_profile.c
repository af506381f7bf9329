/* Profiles: the same adapter in any container and under any naming is the same to a classifier; factors that were kept are the update.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/audit/factors_stage.h"
#include "analyzer/audit/profile.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/auditing.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SAMPLES "benchmark-data/samples/"
#define CONTAINERS "benchmark-data/containers/"

static lora_auditor *keeping; /* factors, and HDF5 is trusted */

static int set_up(void **state)
{
    lora_options options = {.jobs = 1, .rules = RULE_SET_ALL, .trust_hdf5 = true, .keep_factors = true};
    return auditing_set_up(state) || lora_auditor_create(&options, &keeping, NULL) != LORA_OK;
}

static int tear_down(void **state)
{
    lora_auditor_destroy(keeping);
    return auditing_tear_down(state);
}

static lora_record *audit_keeping(const char *path)
{
    lora_record *r = NULL;
    if (lora_audit_file(keeping, 0, path, &r, NULL) != LORA_OK)
        abort();
    return r;
}

static classifier_profile profile_of(const lora_record *r)
{
    classifier_profile p = {0};
    const char *missing = "";
    assert_int_equal(profile_build(r, r->mem, &p, &missing, NULL), LORA_OK);
    assert_null(missing);
    return p;
}

static bool same_bits(const void *x, const void *y, size_t bytes)
{
    return (!x && !y) || (x && y && memcmp(x, y, bytes) == 0);
}

/* Keys, shapes, σ and factors to the last bit. */
static bool same_profile(const classifier_profile *p, const classifier_profile *q)
{
    if (strcmp(p->recipe, q->recipe) != 0 || strcmp(p->frame, q->frame) != 0 || !profile_fits(p, q)) {
        print_error("%s %s\n%s %s\n", p->frame, p->recipe, q->frame, q->recipe);
        return false;
    }
    for (size_t i = 0; i < p->n_modules; i++) {
        const profile_module *x = &p->modules[i], *y = &q->modules[i];
        if (strcmp(x->kind, y->kind) != 0 || x->layer != y->layer || x->scale != y->scale || x->frobenius != y->frobenius ||
            !same_bits(x->sigma, y->sigma, x->n_sigma * sizeof *x->sigma) ||
            !same_bits(x->sigma_a, y->sigma_a, x->n_sigma_a * sizeof *x->sigma_a) ||
            !same_bits(x->sigma_b, y->sigma_b, x->n_sigma_b * sizeof *x->sigma_b) ||
            !same_bits(x->a, y->a, x->rank * x->columns * sizeof *x->a) || !same_bits(x->b, y->b, x->rows * x->rank * sizeof *x->b)) {
            print_error("module %zu: %s %s\n", i, x->kind, y->kind);
            return false;
        }
    }
    return true;
}

static void the_recipe_names_every_kind_of_module(void **state)
{
    (void)state;
    lora_record *r = audit_path(SAMPLES "untrained/adapter_model.safetensors");
    const char *recipe = "lora transformer.q:128x128:r8:s2*4 transformer.v:64x128:r8:s2*4";
    classifier_profile p = profile_of(r);
    assert_string_equal(profile_recipe(r), recipe);
    assert_string_equal(p.recipe, recipe);
    assert_string_equal(p.frame, profile_frame(r));
    assert_int_equal(strncmp(p.frame, "m8-", 3), 0);
    assert_int_equal(strlen(p.frame), 3 + 16);
    for (size_t i = 0; i < 8; i++) { /* by layer, then by role */
        assert_int_equal(p.modules[i].layer, i / 2);
        assert_string_equal(p.modules[i].kind, i % 2 ? "transformer.v" : "transformer.q");
    }
    record_destroy(r);
}

static void every_container_gives_the_same_profile(void **state)
{
    (void)state;
    static const char *const files[] = {
        "safetensors/adapter_model.safetensors", "torch-zip/adapter_model.bin", "torch-legacy/adapter_model.bin",
        "npz-stored/adapter_model.npz", "npz-deflated/adapter_model.npz", "gguf/adapter_model.gguf",
        "hdf5-contiguous/adapter_model.h5", "hdf5-chunked/adapter_model.h5"};
    lora_record *first = audit_keeping(CONTAINERS "safetensors/adapter_model.safetensors");
    classifier_profile p = profile_of(first);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[300];
        snprintf(path, sizeof path, CONTAINERS "%s", files[i]);
        lora_record *r = audit_keeping(path);
        classifier_profile q = profile_of(r);
        if (!same_profile(&p, &q))
            fail_msg("%s has another profile", files[i]);
        assert_non_null(q.modules[0].a);
        record_destroy(r);
    }
    record_destroy(first);
}

/* ---- one adapter, three namings ---- */

typedef struct {
    const char *path; /* the module, dotted */
    uint64_t m, n;
} named_module;

/* Twice twelve modules of a UNet without a layer number, where only names tell apart; the order of blocks is that of neither file. */
static const named_module unet_modules[] = {
    {"up_blocks.1.attentions.10.transformer_blocks.0.attn1.to_q", 16, 16},
    {"down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q", 16, 16},
    {"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q", 16, 16},
    {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", 16, 16},
    {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0", 16, 16},
    {"up_blocks.1.attentions.2.transformer_blocks.0.attn1.to_q", 16, 16},
    {"mid_block.attentions.0.transformer_blocks.0.attn2.to_k", 16, 24},
    {"down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2", 16, 64},
};
enum { N_UNET = sizeof unet_modules / sizeof *unet_modules };

static void dots_to_underscores(char *s)
{
    for (; *s; s++)
        *s = *s == '.' ? '_' : *s;
}

/* Module k's factors are the same whatever the order and the names. */
static void add_named(tensor_file *t, size_t k, uint64_t r, const char *name_a, const char *name_b)
{
    const named_module *m = &unet_modules[k];
    uint64_t seed = 77 + k;
    float a[8 * 64], b[64 * 8];
    for (size_t i = 0; i < r * m->n; i++)
        a[i] = (float)random_unit(&seed);
    for (size_t i = 0; i < m->m * r; i++)
        b[i] = (float)random_unit(&seed);
    tensors_add_f32(t, name_a, r, m->n, a);
    tensors_add_f32(t, name_b, m->m, r, b);
}

enum { NAMED_PEFT, NAMED_DIFFUSERS, NAMED_KOHYA, N_NAMINGS };

static void write_named(const char *name, int naming, uint64_t r, bool backwards)
{
    tensor_file t;
    float alpha = (float)r;
    tensors_begin(&t);
    for (size_t i = 0; i < N_UNET; i++) {
        size_t k = backwards ? N_UNET - 1 - i : i;
        char path[200], a[300], b[300];
        snprintf(path, sizeof path, "%s", unet_modules[k].path);
        if (naming == NAMED_KOHYA) {
            dots_to_underscores(path);
            snprintf(a, sizeof a, "lora_unet_%s.lora_down.weight", path);
            snprintf(b, sizeof b, "lora_unet_%s.lora_up.weight", path);
        } else {
            const char *prefix = naming == NAMED_PEFT ? "base_model.model." : "unet.";
            snprintf(a, sizeof a, "%s%s.lora_A.weight", prefix, path);
            snprintf(b, sizeof b, "%s%s.lora_B.weight", prefix, path);
        }
        add_named(&t, k, r, a, b);
        if (naming == NAMED_KOHYA) {
            char key[300];
            snprintf(key, sizeof key, "lora_unet_%s.alpha", path);
            tensors_add(&t, key, "F32", 0, NULL, &alpha, sizeof alpha);
        }
    }
    tensors_save(&t, auditing_folder(), name);
}

static void every_naming_gives_the_same_profile(void **state)
{
    (void)state;
    static const char *const files[] = {"peft/adapter_model.safetensors", "diffusers/pytorch_lora_weights.safetensors",
                                        "kohya/kohya.safetensors"};
    lora_record *records[N_NAMINGS];
    classifier_profile p[N_NAMINGS];
    fixture_text(auditing_folder(), "peft/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 4}");
    for (int k = 0; k < N_NAMINGS; k++) {
        write_named(files[k], k, 4, k == NAMED_KOHYA);
        records[k] = audit_keeping(fixture_path(auditing_folder(), files[k]));
        assert_int_equal(records[k]->status, STATUS_OK);
        p[k] = profile_of(records[k]);
    }
    assert_string_equal(layout_name(records[NAMED_PEFT]->adapter.layout), "peft");
    assert_string_equal(layout_name(records[NAMED_DIFFUSERS]->adapter.layout), "diffusers");
    assert_string_equal(layout_name(records[NAMED_KOHYA]->adapter.layout), "kohya");
    for (int k = 1; k < N_NAMINGS; k++)
        if (!same_profile(&p[0], &p[k]))
            fail_msg("%s has another profile", files[k]);
    for (int k = 0; k < N_NAMINGS; k++)
        record_destroy(records[k]);
}

/* ---- keys ---- */

static classifier_profile arrange(arena *mem, const profile_entry *entries, size_t n, const char *method)
{
    static profile_entry copy[300];
    classifier_profile p = {0};
    memcpy(copy, entries, n * sizeof *copy);
    assert_int_equal(profile_arrange(copy, n, method, mem, &p, NULL), LORA_OK);
    return p;
}

static profile_entry entry(const char *role, const char *name, long layer, size_t rows, size_t rank, double scale)
{
    return (profile_entry){.component = "transformer", .role = role, .name = name,
                           .module = {.layer = layer, .rows = rows, .columns = 8, .rank = rank, .scale = scale}};
}

static void the_frame_is_what_is_adapted_and_nothing_else(void **state)
{
    (void)state;
    arena *mem = arena_create();
    profile_entry base[2] = {entry("q", "x.q", 0, 8, 4, 1), entry("v", "x.v", 0, 8, 4, 1)}, other[2];
    const char *frame = arrange(mem, base, 2, "lora").frame, *recipe = arrange(mem, base, 2, "lora").recipe;
    assert_string_equal(recipe, "lora transformer.q:8x8:r4:s1*1 transformer.v:8x8:r4:s1*1");
    static const struct {
        const char *role;
        long layer;
        size_t rows, rank;
        double scale;
        bool same_frame, same_recipe;
    } cases[] = {
        {"q", 0, 8, 4, 1, true, true},  {"q", 0, 8, 2, 1, true, false},   {"q", 0, 8, 4, 2, true, false},
        {"q", 1, 8, 4, 1, false, true}, {"q", 0, 16, 4, 1, false, false}, {"k", 0, 8, 4, 1, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(other, base, sizeof base);
        other[0] = entry(cases[i].role, "x.q", cases[i].layer, cases[i].rows, cases[i].rank, cases[i].scale);
        classifier_profile p = arrange(mem, other, 2, "lora");
        if ((strcmp(p.frame, frame) == 0) != cases[i].same_frame || (strcmp(p.recipe, recipe) == 0) != cases[i].same_recipe)
            fail_msg("case %zu: %s %s", i, p.frame, p.recipe);
    }
    assert_string_equal(arrange(mem, base, 2, "dora").frame, frame);
    assert_string_not_equal(arrange(mem, base, 2, "dora").recipe, recipe);
    other[0] = base[1]; /* the order they come in */
    other[1] = base[0];
    assert_string_equal(arrange(mem, other, 2, "lora").frame, frame);
    base[1].method = "lokr";
    assert_string_equal(arrange(mem, base, 2, "lora").recipe, "lora transformer.q:8x8:r4:s1*1 transformer.v:lokr:8x8:r4:s1*1");
    assert_string_equal(arrange(mem, base, 2, "lokr").recipe, "lokr transformer.q:8x8:r4:s1*1 transformer.v:8x8:r4:s1*1");
    assert_string_equal(arrange(mem, base, 0, "lora").recipe, "lora");
    arena_destroy(mem);
}

static void a_scale_that_differs_in_its_last_digits_makes_no_kind(void **state)
{
    (void)state;
    arena *mem = arena_create();
    profile_entry e[3] = {entry("q", "0", 0, 8, 4, 0.1), entry("q", "1", 1, 8, 4, (double)0.1f), entry("q", "2", 2, 8, 4, 0.1)};
    assert_string_equal(arrange(mem, e, 3, "lora").recipe, "lora transformer.q:8x8:r4:s0.1*3");
    arena_destroy(mem);
}

static void a_long_recipe_is_cut_and_still_tells_apart(void **state)
{
    (void)state;
    arena *mem = arena_create();
    profile_entry e[300];
    for (size_t i = 0; i < 300; i++)
        e[i] = entry("q", "x", (long)i, 8 + i, 4, 1);
    const char *one = arrange(mem, e, 300, "lora").recipe;
    e[299].module.rank = 5;
    const char *other = arrange(mem, e, 300, "lora").recipe;
    assert_true(strlen(one) <= 4096 && strlen(one) > 4000);
    assert_string_not_equal(one, other);
    assert_int_equal(strncmp(one, other, 4000), 0);
    arena_destroy(mem);
}

static void what_has_no_profile_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *file, *why;
    } cases[] = {{SAMPLES "not-finite/adapter_model.safetensors", "values that are not finite"},
                 {SAMPLES "PROVENANCE.md", "no modules"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lora_record *r = audit_path(cases[i].file);
        classifier_profile p = {.n_modules = 99};
        const char *missing = NULL;
        assert_int_equal(profile_build(r, r->mem, &p, &missing, NULL), LORA_OK);
        assert_string_equal(missing, cases[i].why);
        assert_int_equal(p.n_modules, 99);
        record_destroy(r);
    }
    tensor_file t;
    uint64_t seed = 3;
    float half[8] = {1};
    tensors_begin(&t);
    tensors_add_pair(&t, "base_model.model.layers.0.q_proj", 8, 8, 2, 1, 1, &seed);
    tensors_add_f32(&t, "base_model.model.layers.1.q_proj.lora_A.weight", 2, 4, half);
    tensors_add_f32(&t, "base_model.model.layers.1.q_proj.lora_B.weight", 2, 4, half);
    tensors_save(&t, auditing_folder(), "skipped.safetensors");
    lora_record *r = audit_path(fixture_path(auditing_folder(), "skipped.safetensors"));
    classifier_profile p;
    const char *missing = NULL;
    assert_int_equal(r->adapter.n_skipped, 1);
    assert_int_equal(profile_build(r, r->mem, &p, &missing, NULL), LORA_OK);
    assert_string_equal(missing, "some modules are not computed");
    record_destroy(r);
}

/* ---- factors ---- */

/* ‖s·b·a‖_F, entry by entry. */
static double norm_of_product(const module_record *m)
{
    size_t rows = (size_t)m->module->m, cols = (size_t)m->module->n, rank = (size_t)m->module->r;
    double sum = 0, *row = calloc(cols, sizeof *row);
    for (size_t i = 0; i < rows; i++) {
        memset(row, 0, cols * sizeof *row);
        for (size_t k = 0; k < rank; k++)
            for (size_t j = 0; j < cols; j++)
                row[j] += (double)m->b[i * rank + k] * (double)m->a[k * cols + j];
        for (size_t j = 0; j < cols; j++)
            sum += row[j] * row[j];
    }
    free(row);
    return fabs(m->module->scale) * sqrt(sum);
}

static void compare_factors(const char *path, size_t *plain, size_t *other)
{
    lora_record *r = audit_keeping(path);
    for (size_t i = 0; r->modules && r->status != STATUS_ERROR && i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        if (m->module->more || !m->module->b.t || m->spectrum.status != SPECTRAL_OK) {
            assert_null(m->a);
            assert_null(m->b);
            (*other)++;
            continue;
        }
        if (!m->a || !m->b)
            fail_msg("%s: %s: no factors", path, m->module->name);
        double norm = norm_of_product(m);
        if (!(fabs(norm - m->spectrum.frobenius) <= 1e-6 * norm))
            fail_msg("%s: %s: the factors give %.17g, the spectrum %.17g", path, m->module->name, norm, m->spectrum.frobenius);
        (*plain)++;
    }
    record_destroy(r);
}

static void compare_tree(const char *folder, size_t *plain, size_t *other)
{
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[400];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            compare_tree(path, plain, other);
        else if (!strstr(path, ".json") && !strstr(path, ".md"))
            compare_factors(path, plain, other);
    }
    closedir(d);
}

static void factors_give_the_update_of_every_sample(void **state)
{
    (void)state;
    size_t plain = 0, other = 0;
    compare_tree("benchmark-data/samples", &plain, &other);
    compare_tree("benchmark-data/methods", &plain, &other);
    compare_tree("benchmark-data/containers", &plain, &other);
    print_message("%zu modules of the form s*B*A, %zu of others\n", plain, other);
    assert_true(plain > 100);
    assert_true(other > 10);
}

static void entries_beyond_float32_are_not_kept(void **state)
{
    (void)state;
    const uint64_t shape[2] = {2, 2};
    const double small[4] = {1, 2, 3, 4}, large[4] = {1e200, 0, 0, 1e200};
    tensor_file t;
    tensors_begin(&t);
    tensors_add(&t, "base_model.model.layers.0.q_proj.lora_A.weight", "F64", 2, shape, small, sizeof small);
    tensors_add(&t, "base_model.model.layers.0.q_proj.lora_B.weight", "F64", 2, shape, small, sizeof small);
    tensors_add(&t, "base_model.model.layers.1.q_proj.lora_A.weight", "F64", 2, shape, small, sizeof small);
    tensors_add(&t, "base_model.model.layers.1.q_proj.lora_B.weight", "F64", 2, shape, large, sizeof large);
    tensors_save(&t, auditing_folder(), "large.safetensors");
    lora_record *r = audit_keeping(fixture_path(auditing_folder(), "large.safetensors"));
    assert_int_equal(r->status, STATUS_OK);
    assert_int_equal(factors_stage_bytes(r), 16 * sizeof(float));
    for (size_t k = 0; k < 4; k++)
        assert_true((double)r->modules[0].a[k] == small[k]);
    assert_null(r->modules[1].a);
    assert_null(r->modules[1].b);
    record_destroy(r);
}

/* Behind a single byte, and among them subnormal numbers of half precision and minus zero. */
static void small_factors_are_read_as_stored_at_any_address(void **state)
{
    (void)state;
    static const float values[6] = {1, -2, -0.5f, 0x1p-24f, -0.0f, 1.5f};
    static const uint16_t halves[6] = {0x3c00, 0xc000, 0xb800, 0x0001, 0x8000, 0x3e00};
    static const char *const dtypes[] = {"F32", "F64", "F16", "BF16"};
    const uint64_t one[1] = {1}, of_a[2] = {2, 3}, of_b[2] = {3, 2};
    for (size_t d = 0; d < 4; d++) {
        unsigned char stored[6 * sizeof(double)];
        size_t bytes = d == 0 ? 4 : d == 1 ? 8 : 2;
        for (size_t i = 0; i < 6; i++) {
            double wide = (double)values[i];
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            uint16_t short_bits = d == 2 ? halves[i] : (uint16_t)(bits >> 16);
            const void *from = d == 0 ? (const void *)&values[i] : d == 1 ? (const void *)&wide : &short_bits;
            memcpy(stored + i * bytes, from, bytes);
        }
        tensor_file t;
        tensors_begin(&t);
        tensors_add(&t, "a_note", "U8", 1, one, "x", 1);
        for (size_t m = 0; m < 2; m++)
            for (size_t factor = 0; factor < 2; factor++) {
                char name[80];
                snprintf(name, sizeof name, "base_model.model.layers.%zu.q_proj.lora_%c.weight", m, factor ? 'B' : 'A');
                tensors_add(&t, name, dtypes[d], 2, factor ? of_b : of_a, stored, 6 * bytes);
            }
        tensors_save(&t, auditing_folder(), "odd.safetensors");
        lora_record *r = audit_keeping(fixture_path(auditing_folder(), "odd.safetensors"));
        assert_int_equal(r->status, STATUS_OK);
        assert_int_equal(r->adapter.n_modules, 2);
        for (size_t m = 0; m < 2; m++)
            for (size_t factor = 0; factor < 2; factor++)
                assert_memory_equal(factor ? r->modules[m].b : r->modules[m].a, values, sizeof values);
        record_destroy(r);
    }
}

static void factors_are_kept_only_when_asked_for(void **state)
{
    (void)state;
    lora_record *r = audit_path(SAMPLES "peft-llama-f32/adapter_model.safetensors");
    assert_null(r->modules[0].a);
    record_destroy(r);
}

/* ---- memory ---- */

static void memory_may_end_at_any_allocation(void **state)
{
    (void)state;
    static const char *const files[] = {SAMPLES "peft-llama-f32/adapter_model.safetensors", SAMPLES "kohya-unet-f16.safetensors",
                                        "benchmark-data/methods/mlx/adapters.safetensors"};
    long most = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int kind = ALLOC_FAULT_STICKY; kind <= ALLOC_FAULT_ONCE; kind++) {
            bool refused = true;
            for (long k = 0; refused; k++) {
                lora_record *r = NULL;
                lora_error err = {0};
                classifier_profile p = {0};
                const char *missing = NULL;
                alloc_fault_after(k, (alloc_fault_kind)kind);
                lora_code code = lora_audit_file(keeping, 0, files[i], &r, &err);
                if (code == LORA_OK && r->status == STATUS_OK)
                    code = profile_build(r, r->mem, &p, &missing, &err);
                refused = alloc_fault_end();
                if (code != LORA_OK) {
                    assert_true(refused);
                    assert_int_equal(code, LORA_E_MEMORY);
                    assert_int_equal(err.code, LORA_E_MEMORY);
                    assert_null(p.modules);
                } else {
                    assert_non_null(p.recipe);
                    assert_non_null(p.modules[0].a);
                }
                record_destroy(r);
                most = k > most ? k : most;
            }
        }
    assert_true(most > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recipe_names_every_kind_of_module),
        cmocka_unit_test(every_container_gives_the_same_profile),
        cmocka_unit_test(every_naming_gives_the_same_profile),
        cmocka_unit_test(the_frame_is_what_is_adapted_and_nothing_else),
        cmocka_unit_test(a_scale_that_differs_in_its_last_digits_makes_no_kind),
        cmocka_unit_test(a_long_recipe_is_cut_and_still_tells_apart),
        cmocka_unit_test(what_has_no_profile_says_why),
        cmocka_unit_test(factors_give_the_update_of_every_sample),
        cmocka_unit_test(entries_beyond_float32_are_not_kept),
        cmocka_unit_test(small_factors_are_read_as_stored_at_any_address),
        cmocka_unit_test(factors_are_kept_only_when_asked_for),
        cmocka_unit_test(memory_may_end_at_any_allocation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
