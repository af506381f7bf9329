/* assemble.h - from the tensors of one module to a module of the adapter: its layout, its scale, its place in the model.
 *
 * The pairing (adapter.c) gathers a slot; here it becomes a module, several (a stack of experts), or a skipped one with
 * its reason.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ASSEMBLE_H
#define LORAUDIT_ASSEMBLE_H

#include "analyzer/adapter/adapter.h"
#include "analyzer/adapter/method.h"
#include "analyzer/adapter/scale.h"

/* All that names one module. */
typedef struct {
    const char *module, *full; /* without and with its wrapper prefixes */
    lora_layout layout, layout_b; /* of A, or of whatever there is; of B */
    const tensor *part[N_MODULE_PARTS];
    const char *method;  /* the most particular of its tensors' */
    const char *mixed;   /* another one, when its tensors name two */
    const char *foreign; /* method, when a tensor of a method that is only named names this module */
    bool embedding;
} adapter_slot;

typedef struct {
    const catalog *cat;
    const lora_config *cfg;
    arena *mem;
    lora_error *err;
    adapter *out;
    struct adapter_claim *claims; /* of the pairing */
    size_t n_claims;
    bool no_memory; /* a text could not be made */
    bool turned;    /* the pairs of the file lie across: onnxruntime's archives, hand-written x·A·B */
    lora_layout foreign_layout;
    uint64_t expert_room; /* experts that still have a place among the modules */
    size_t by_layout[LAYOUT_COUNT];
    size_t by_rule[SCALE_N_RULES];
} adapter_builder;

/* assemble_is_complete - has the slot both factors of every operand? */
bool assemble_is_complete(const adapter_builder *b, const adapter_slot *s);

/* assemble_module - add the module of a complete slot to b->out, or skip it with a reason.
 * Errs: LORA_E_MEMORY; those of fetch_entries for an alpha tensor. */
lora_code assemble_module(adapter_builder *b, const adapter_slot *s);

/* assemble_refusal - what the tensors of a slot cannot be together, whatever their shapes: one line, or NULL. */
const char *assemble_refusal(adapter_builder *b, const adapter_slot *s);

/* builder_text - a text for the record. Never NULL: a lack of memory is noted, and ends the building. */
const char *builder_text(adapter_builder *b, const char *made);
lora_code builder_out_of_memory(adapter_builder *b);
void builder_skip(adapter_builder *b, skipped_module skip);
void builder_stray(adapter_builder *b, const tensor *t);

#endif
