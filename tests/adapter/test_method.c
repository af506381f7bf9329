/* From shapes to operands: each method's own shapes, both ways round, and shapes that contradict each other.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/method.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    key_part part;
    unsigned n_dims;
    uint64_t shape[5];
} part_shape;

enum { MOST_PARTS = 6 };

typedef struct {
    const char *title, *method;
    lora_layout layout;
    part_shape parts[MOST_PARTS]; /* up to the first without axes */
    uint64_t m, n, r, depth, depth2, groups; /* m 0: refused */
    bool structured, differ;
} method_case;

#define P(part, ...) {part, sizeof((uint64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}}

static const method_case cases[] = {
    {"plain", "lora", LAYOUT_PEFT, {P(PART_A, 4, 16), P(PART_B, 8, 4)}, 8, 16, 4, 0, 0, 0, false, false},
    {"rank 1", "lora", LAYOUT_PEFT, {P(PART_A, 1, 1), P(PART_B, 1, 1)}, 1, 1, 1, 0, 0, 0, false, false},
    {"conv 1d", "lora", LAYOUT_PEFT, {P(PART_A, 4, 6, 3), P(PART_B, 8, 4, 1)}, 8, 18, 4, 0, 0, 0, false, false},
    {"conv 2d", "lora", LAYOUT_KOHYA, {P(PART_A, 4, 6, 3, 3), P(PART_B, 8, 4, 1, 1)}, 8, 54, 4, 0, 0, 0, false, false},
    {"conv 3d", "lora", LAYOUT_PEFT, {P(PART_A, 4, 6, 3, 3, 3), P(PART_B, 8, 4, 1, 1, 1)}, 8, 162, 4, 0, 0, 0, false, false},
    {"ranks differ", "lora", LAYOUT_PEFT, {P(PART_A, 4, 16), P(PART_B, 8, 5)}, 0, 0, 0, 0, 0, 0, false, true},
    {"a multiple of the rank is no group by itself", "lora", LAYOUT_PEFT, {P(PART_A, 8, 16), P(PART_B, 8, 4)}, 0, 0, 0, 0, 0, 0, false,
     true},
    {"merged linear of loralib", "lora", LAYOUT_LORALIB, {P(PART_A, 8, 16), P(PART_B, 24, 4)}, 24, 16, 4, 0, 0, 2, true, false},
    {"merged linear with a convolution's B", "lora", LAYOUT_PEFT, {P(PART_A, 12, 16), P(PART_B, 24, 4, 1)}, 24, 16, 4, 0, 0, 3, true,
     false},
    {"groups that do not divide the rows", "lora", LAYOUT_LORALIB, {P(PART_A, 12, 16), P(PART_B, 25, 4)}, 0, 0, 0, 0, 0, 0, false, true},
    {"B with a kernel", "lora", LAYOUT_KOHYA, {P(PART_A, 4, 6), P(PART_B, 8, 4, 3, 3)}, 0, 0, 0, 0, 0, 0, false, false},
    {"A of one axis", "lora", LAYOUT_PEFT, {P(PART_A, 4), P(PART_B, 8, 4)}, 0, 0, 0, 0, 0, 0, false, false},
    {"no entries", "lora", LAYOUT_PEFT, {P(PART_A, 0, 16), P(PART_B, 8, 0)}, 0, 0, 0, 0, 0, 0, false, false},
    {"MLX turns both", "lora", LAYOUT_MLX, {P(PART_A, 16, 4), P(PART_B, 4, 8)}, 8, 16, 4, 0, 0, 0, false, false},
    {"hand-written, turned", "lora", LAYOUT_GENERIC, {P(PART_A, 16, 4), P(PART_B, 4, 8)}, 8, 16, 4, 0, 0, 0, false, false},
    {"hand-written, upright", "lora", LAYOUT_GENERIC, {P(PART_A, 4, 16), P(PART_B, 8, 4)}, 8, 16, 4, 0, 0, 0, false, false},
    {"llama.cpp", "lora", LAYOUT_GGUF, {P(PART_A, 4, 16), P(PART_B, 8, 4)}, 8, 16, 4, 0, 0, 0, false, false},
    {"llama.cpp's embedding", "lora", LAYOUT_GGUF, {P(PART_A, 16, 4), P(PART_B, 8, 4)}, 8, 16, 4, 0, 0, 0, false, false},
    {"adalora", "adalora", LAYOUT_LORALIB, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_CORE, 4, 1)}, 8, 16, 4, 1, 0, 0, true, false},
    {"adalora of another rank", "adalora", LAYOUT_LORALIB, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_CORE, 5, 1)}, 0, 0, 0, 0, 0, 0,
     false, true},
    {"latent mapping", "lora-sb", LAYOUT_PEFT, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_CORE, 4, 4)}, 8, 16, 4, 1, 0, 0, true, false},
    {"latent mapping of other ranks", "lora-sb", LAYOUT_PEFT, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_CORE, 4, 3)}, 0, 0, 0, 0, 0, 0,
     false, true},
    {"Tucker", "locon", LAYOUT_KOHYA, {P(PART_A, 3, 6, 1, 1), P(PART_B, 8, 4, 1, 1), P(PART_CORE, 4, 3, 3, 3)}, 8, 54, 4, 9, 0, 0, true,
     false},
    {"loha", "loha", LAYOUT_LYCORIS, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_A2, 4, 16), P(PART_B2, 8, 4)}, 8, 16, 4, 0, 0, 0, true,
     false},
    {"loha whose halves differ", "loha", LAYOUT_LYCORIS, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_A2, 4, 15), P(PART_B2, 8, 4)}, 0, 0,
     0, 0, 0, 0, false, true},
    {"loha with Tucker cores", "loha", LAYOUT_LYCORIS,
     {P(PART_A, 4, 6), P(PART_B, 4, 8), P(PART_CORE, 4, 4, 3, 3), P(PART_A2, 4, 6), P(PART_B2, 4, 8), P(PART_CORE2, 4, 4, 3, 3)},
     8, 54, 4, 9, 9, 0, true, false},
    {"lokr of two full matrices", "lokr", LAYOUT_LYCORIS, {P(PART_FULL, 3, 5), P(PART_FULL2, 7, 11)}, 21, 55, 7, 0, 0, 0, true, false},
    {"lokr, second in factors", "lokr", LAYOUT_LYCORIS, {P(PART_FULL, 3, 5), P(PART_A2, 4, 11), P(PART_B2, 7, 4)}, 21, 55, 4, 0, 0, 0, true,
     false},
    {"lokr, both in factors", "lokr", LAYOUT_LYCORIS, {P(PART_A, 2, 5), P(PART_B, 3, 2), P(PART_A2, 4, 11), P(PART_B2, 7, 4)}, 21, 55, 4, 0,
     0, 0, true, false},
    {"lokr of a convolution", "lokr", LAYOUT_LYCORIS, {P(PART_FULL, 3, 5), P(PART_FULL2, 7, 11, 3, 3)}, 21, 495, 7, 0, 0, 0, true, false},
    {"lokr with a Tucker core", "lokr", LAYOUT_LYCORIS,
     {P(PART_FULL, 3, 5), P(PART_A2, 4, 11), P(PART_B2, 4, 7), P(PART_CORE2, 4, 4, 3, 3)}, 21, 495, 4, 0, 9, 0, true, false},
    {"lora beside an operand of lokr", "lora", LAYOUT_KOHYA, {P(PART_A, 4, 16), P(PART_B, 8, 4), P(PART_FULL2, 3, 3)}, 0, 0, 0, 0, 0, 0, false,
     false},
    {"lokr, an operand given twice", "lokr", LAYOUT_LYCORIS, {P(PART_FULL, 3, 5), P(PART_A, 2, 5), P(PART_B, 3, 2), P(PART_FULL2, 7, 11)}, 0, 0,
     0, 0, 0, 0, false, false},
    {"MLX with an axis too many", "lora", LAYOUT_MLX, {P(PART_A, 16, 4, 100), P(PART_B, 4, 8)}, 0, 0, 0, 0, 0, 0, false, false},
    {"PEFT's grouped convolution", "lora", LAYOUT_PEFT, {P(PART_A, 8, 16, 3, 3), P(PART_B, 12, 4, 1, 1)}, 12, 144, 8, 0, 0, 2, true, false},
    {"kohya knows no groups", "lora", LAYOUT_KOHYA, {P(PART_A, 8, 16, 3, 3), P(PART_B, 12, 4, 1, 1)}, 0, 0, 0, 0, 0, 0, false, true},
    {"square, hand-written, turned", "lora", LAYOUT_GENERIC, {P(PART_A, 48, 4), P(PART_B, 4, 48)}, 48, 48, 4, 0, 0, 0, false, false},
    {"square merged linear", "lora", LAYOUT_LORALIB, {P(PART_A, 8, 16), P(PART_B, 16, 4)}, 16, 16, 4, 0, 0, 2, true, false},
    {"lokr, factors that differ", "lokr", LAYOUT_LYCORIS, {P(PART_FULL, 3, 5), P(PART_A2, 4, 11), P(PART_B2, 7, 3)}, 0, 0, 0, 0, 0, 0, false,
     true},
};

static method_parts parts_of(const method_case *c, tensor *tensors)
{
    method_parts p = {.method = c->method, .layout = c->layout, .module = "token_embd", .file_bytes = 1 << 20, .grouped = c->layout == LAYOUT_LORALIB,
                      .transposed = c->layout == LAYOUT_MLX, .either = c->layout == LAYOUT_GENERIC || c->layout == LAYOUT_LORALIB};
    for (size_t i = 0; i < MOST_PARTS && c->parts[i].n_dims; i++) {
        tensors[i] = (tensor){.name = "t", .dtype = DTYPE_F16, .n_dims = c->parts[i].n_dims, .shape = c->parts[i].shape};
        p.part[c->parts[i].part] = &tensors[i];
    }
    return p;
}

static void shapes_of_every_method_become_operands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const method_case *c = &cases[i];
        arena *mem = arena_create();
        tensor tensors[MOST_PARTS];
        method_parts p = parts_of(c, tensors);
        lora_module mod = {.name = "x"};
        const char *reason = "unset";
        bool differ = false;
        assert_true(method_is_complete(&p));
        assert_int_equal(method_build(&p, mem, &mod, &reason, &differ), LORA_OK);
        if (c->m == 0) {
            if (!reason || differ != c->differ || mod.a.t)
                fail_msg("%s: reason %s, differ %d", c->title, reason ? reason : "none", differ);
            arena_destroy(mem);
            continue;
        }
        if (reason)
            fail_msg("%s: refused: %s", c->title, reason);
        const lora_structure none = {0}, *more = mod.more ? mod.more : &none;
        if (mod.m != c->m || mod.n != c->n || mod.r != c->r || more->depth != c->depth || more->depth2 != c->depth2 ||
            more->groups != c->groups || (mod.more != NULL) != c->structured)
            fail_msg("%s: %llu x %llu, rank %llu, depth %llu and %llu, %llu groups", c->title, (unsigned long long)mod.m,
                     (unsigned long long)mod.n, (unsigned long long)mod.r, (unsigned long long)more->depth,
                     (unsigned long long)more->depth2, (unsigned long long)more->groups);
        arena_destroy(mem);
    }
}

static void a_missing_half_is_no_module(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < MOST_PARTS && cases[i].parts[k].n_dims && cases[i].m; k++) {
            tensor tensors[MOST_PARTS];
            method_parts p = parts_of(&cases[i], tensors);
            bool core = cases[i].parts[k].part == PART_CORE || cases[i].parts[k].part == PART_CORE2;
            p.part[cases[i].parts[k].part] = NULL;
            assert_int_equal(method_is_complete(&p), core);
        }
}

static void dtypes_and_sizes_beyond_the_limits_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        tensor_dtype dtype;
        uint64_t m, n, r;
        const char *word;
    } bad[] = {{DTYPE_C64, 8, 16, 4, "dtype"},        {DTYPE_BLOCK, 8, 16, 4, "dtype"},
               {DTYPE_F32, 8, 16, 65, "rank"},        {DTYPE_F32, 8, (uint64_t)1 << 40, 4, "bytes"},
               {DTYPE_F32, 5000, 5000, 4097, "rank"}, {DTYPE_I8, 8, (uint64_t)1 << 28, 1, "bytes"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        arena *mem = arena_create();
        uint64_t sa[] = {bad[i].r, bad[i].n}, sb[] = {bad[i].m, bad[i].r};
        tensor a = {.name = "a", .dtype = bad[i].dtype, .n_dims = 2, .shape = sa};
        tensor b = {.name = "b", .dtype = DTYPE_F32, .n_dims = 2, .shape = sb};
        method_parts p = {.method = "lora", .layout = LAYOUT_PEFT, .module = "x", .file_bytes = 1 << 20};
        p.part[PART_A] = &a;
        p.part[PART_B] = &b;
        lora_module mod = {.name = "x"};
        const char *reason = NULL;
        bool differ = true;
        assert_int_equal(method_build(&p, mem, &mod, &reason, &differ), LORA_OK);
        assert_false(differ);
        if (!reason || !strstr(reason, bad[i].word))
            fail_msg("case %zu: %s", i, reason ? reason : "taken");
        arena_destroy(mem);
    }
}

/* What a module may take grows with the file it lies in, and nothing else does. */
static void memory_beyond_what_the_file_allows_is_refused_with_both_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        uint64_t m, n, r, file_bytes;
        const char *reason; /* NULL: taken */
    } table[] = {
        {"lora", 4096, 4096, 256, (uint64_t)134 << 20, NULL},
        {"lora", 4096, 4096, 256, 4 << 20, NULL},
        {"lora", 4096, 4096, 1024, 16 << 20, NULL},
        {"lora", 4096, 4096, 2048, 32 << 20, "computing it would take 1"},
        {"lora", 4096, 4096, 2048, 256 << 20, NULL},
        {"loha", 4096, 4096, 32, 1 << 20, NULL},
        {"loha", 1024, 1024, 1024, 8 << 20, NULL},
        {"loha", 3000, 3000, 900, 1 << 20, " MiB, the limit for this file is 41"},
        {"loha", 3000, 3000, 900, UINT64_MAX, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        arena *mem = arena_create();
        uint64_t sa[] = {table[i].r, table[i].n}, sb[] = {table[i].m, table[i].r};
        tensor a = {.name = "a", .dtype = DTYPE_BF16, .n_dims = 2, .shape = sa};
        tensor b = {.name = "b", .dtype = DTYPE_BF16, .n_dims = 2, .shape = sb};
        method_parts p = {.method = table[i].method, .layout = LAYOUT_PEFT, .module = "x", .file_bytes = table[i].file_bytes};
        bool pair = strcmp(table[i].method, "loha") == 0;
        p.part[PART_A] = &a;
        p.part[PART_B] = &b;
        p.part[PART_A2] = pair ? &a : NULL;
        p.part[PART_B2] = pair ? &b : NULL;
        lora_module mod = {.name = "x"};
        const char *reason = NULL;
        bool differ = true;
        assert_int_equal(method_build(&p, mem, &mod, &reason, &differ), LORA_OK);
        if (table[i].reason ? !reason || !strstr(reason, table[i].reason) : reason != NULL)
            fail_msg("case %zu: %s", i, reason ? reason : "taken");
        assert_false(differ);
        arena_destroy(mem);
    }
}

static void experts_have_the_limits_of_any_module(void **state)
{
    (void)state;
    static const struct {
        uint64_t m, n, r;
        const char *word; /* NULL: taken */
    } table[] = {{4096, 4096, 64, NULL}, {8, 16, 65, "rank"}, {5000, 5000, 4097, "rank"}, {8, 0, 4, "no entries"},
                 {4096, 4096, 2048, "computing it would take"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        arena *mem = arena_create();
        uint64_t sa[] = {2, table[i].r, table[i].n}, sb[] = {2, table[i].m, table[i].r};
        tensor a = {.name = "a", .dtype = DTYPE_BF16, .n_dims = 3, .shape = sa};
        tensor b = {.name = "b", .dtype = DTYPE_BF16, .n_dims = 3, .shape = sb};
        method_parts p = {.method = "lora", .layout = LAYOUT_MLX, .module = "x", .file_bytes = 1 << 20};
        p.part[PART_A] = &a;
        p.part[PART_B] = &b;
        const char *reason = "unset";
        assert_int_equal(method_check_experts(&p, mem, &reason), LORA_OK);
        if (table[i].word ? !reason || !strstr(reason, table[i].word) : reason != NULL)
            fail_msg("case %zu: %s", i, reason ? reason : "taken");
        arena_destroy(mem);
    }
}

static void stacked_experts_are_slices_of_their_tensors(void **state)
{
    (void)state;
    uint64_t sa[] = {3, 4, 16}, sb[] = {3, 8, 4};
    tensor a = {.name = "a", .dtype = DTYPE_F32, .n_dims = 3, .shape = sa}, b = {.name = "b", .dtype = DTYPE_F32, .n_dims = 3, .shape = sb};
    method_parts p = {.method = "lora", .layout = LAYOUT_MLX, .module = "x", .transposed = true};
    p.part[PART_A] = &a;
    p.part[PART_B] = &b;
    assert_int_equal(method_experts(&p), 3);
    lora_module mod = {.name = "x"};
    method_expert(&p, 2, &mod);
    assert_true(mod.m == 8 && mod.n == 16 && mod.r == 4);
    assert_int_equal(mod.a.first, 2 * 64);
    assert_int_equal(mod.b.first, 2 * 32);
    assert_false(mod.a.transposed);
    p.layout = LAYOUT_PEFT;
    assert_int_equal(method_experts(&p), 0);
    p.layout = LAYOUT_MLX;
    sb[2] = 5;
    assert_int_equal(method_experts(&p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_of_every_method_become_operands),
        cmocka_unit_test(a_missing_half_is_no_module),
        cmocka_unit_test(dtypes_and_sizes_beyond_the_limits_are_refused_with_a_reason),
        cmocka_unit_test(memory_beyond_what_the_file_allows_is_refused_with_both_numbers),
        cmocka_unit_test(experts_have_the_limits_of_any_module),
        cmocka_unit_test(stacked_experts_are_slices_of_their_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
