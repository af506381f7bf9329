/* method.h - from the tensors that name one module to the shape of its update.
 *
 * Each method stores its factors in its own shapes; here they become the operands of spectral.h:
 *
 *   lora      A (r, n…)  B (m, r, 1…)                       ΔW = s·B·A; a kernel counts with the inputs
 *   locon     down (q, n, 1…)  mid (r, q, k…)  up (m, r)    Tucker core
 *   adalora   A (r, n)  E (r, 1)  B (m, r)                  diagonal core
 *   lora-sb   A (q, n)  R (r, q)  B (m, r)                  core
 *   merged    A (r·g, n)  B (m, r, 1)                       g groups: block-diagonal B
 *   loha      w1_a (m, r) w1_b (r, n) w2_a w2_b             Hadamard; with t1, t2 (r, r, k…) Tucker, w_a (r, m) transposed
 *   lokr      w1 (m1, n1) | w1_a w1_b;  w2 (m2, n2, k…) | w2_a w2_b, with t2 Tucker and w2_a (r, m2) transposed
 *
 * Sources: peft tuners/<method>/layer.py; LyCORIS lycoris/modules, functional/general.py (rebuild_tucker).
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_METHOD_H
#define LORAUDIT_METHOD_H

#include "analyzer/adapter/naming.h"
#include "analyzer/base/arena.h"

typedef struct {
    const tensor *part[N_MODULE_PARTS]; /* by key_part; NULL where there is none */
    const char *method;                 /* "lora", … */
    lora_layout layout;
    const char *module;
    uint64_t file_bytes; /* size of the file they lie in: what computing them may allocate grows with it */
    bool grouped;    /* B may hold fewer columns than A has rows: MergedLinear */
    bool transposed; /* A is stored (n, r), B (r, m): MLX, onnxruntime */
    bool either;     /* the layout does not say which; the shapes do, */
    bool lean_across; /* … and where they fit both ways with one rank, it is across */
} method_parts;

/* Which way round a pair lies, by its shapes alone. When both ways fit, the one with the smaller rank. */
typedef enum { LIES_NEITHER, LIES_UPRIGHT, LIES_ACROSS, LIES_EITHER } method_lie;

/* method_lie_of - of A and B; grouped: B may hold a group of rows for each block of A's. */
method_lie method_lie_of(const tensor *a, const tensor *b, bool grouped);

/* method_is_complete - are there both factors of every operand? */
bool method_is_complete(const method_parts *p);

/* method_build - factors, sizes and method of *mod.
 * Out:   mod->a, b, more, m, n, r, full, method. *reason: NULL, or why these tensors make no update that is computed, one
 *        line in mem; *differ then says whether the shapes contradict each other: a defect of the file, not a gap here
 * Errs:  LORA_E_MEMORY */
lora_code method_build(const method_parts *p, arena *mem, lora_module *mod, const char **reason, bool *differ);

/* method_expert - one expert of MLX's stacked factors: A (E, r, n), B (E, m, r).
 * method_experts - their number; 0 when the parts are no such stack.
 * method_check_experts - *reason: NULL, or why one of them, thus all, is not computed. Errs: LORA_E_MEMORY */
uint64_t method_experts(const method_parts *p);
void method_expert(const method_parts *p, uint64_t expert, lora_module *mod);
lora_code method_check_experts(const method_parts *p, arena *mem, const char **reason);

/* method_matrices - the module as numerics see it: views without data.
 * Out:   *out, which points at *extra when mod has more than s·B·A
 * method_factor - the factor that a spectral_source is asked for as `which`. */
void method_matrices(const lora_module *mod, spectral_module *out, spectral_extra *extra);
const lora_factor *method_factor(const lora_module *mod, char which);

/* method_factors - a module's factors in the order a, b, core, a2, b2, core2; those that are there. Returns their number. */
size_t method_factors(const lora_module *mod, const lora_factor *out[6]);

#endif
