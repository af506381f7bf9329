/* adapter.h - from a catalog to the adapted modules: pairing of factors, scale, and what is left over.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ADAPTER_H
#define LORAUDIT_ADAPTER_H

#include "analyzer/adapter/config.h"
#include "analyzer/adapter/layout.h"

/* A module that was recognised and cannot be computed, with the reason. */
typedef struct {
    const char *name;   /* module path */
    const char *reason; /* one line */
    bool shapes_differ; /* the factors do not fit each other: a defect of the file, not a gap of this program */
} skipped_module;

typedef struct {
    lora_layout layout;       /* of most modules */
    const char *method;       /* "lora", "dora", "lokr", "ia3", … "unknown"; letters, digits, '_' and '-' only */
    lora_module *modules;     /* in natural order of their names: layer 2 before layer 10 */
    size_t n_modules;
    skipped_module *skipped;
    size_t n_skipped;
    const tensor **strays;    /* tensors that belong to no module; halves of pairs are not here */
    size_t n_strays;
    const tensor **halves;    /* a factor whose partner is missing */
    size_t n_halves;
    size_t n_failed_pairs;    /* pairs among the skipped */
    size_t n_ambiguous;       /* modules that more than one pair, or more than two factors, claim */
    const char *ambiguous;    /* the first of them */
    bool has_foreign;         /* tensors of a method or layout that is named, not computed */
    const char *foreign_method; /* … the last of them; NULL without any */
    bool foreign_low_rank;    /* … and whose ΔW is a product of small factors */
    const char *scale_source; /* where the scales come from; one phrase */
    uint64_t declared_rank;   /* the config's r; 0: not declared */
    bool ranks_differ;        /* some module's rank is not what the config declares for it */
    const char *rank_example; /* the first such module */
    uint64_t rank_example_declared, rank_example_found;
    size_t n_odd_magnitudes;  /* DoRA magnitudes that have neither an entry an output nor one an input */
    const char *odd_magnitude, *odd_magnitude_text; /* the first such module, and what is odd */
    bool bad_value;           /* r or lora_alpha in the config is no usable number */
    bool bad_pattern;         /* rank_pattern or alpha_pattern holds a key that is no usable regular expression */
} adapter;

/* adapter_build - pair the tensors of cat and give every module its scale.
 * In:    cfg as loaded beside the file
 * Out:   *out, all of it in mem, pointing into cat
 * Errs:  LORA_E_MEMORY; those of file_read_at for an alpha tensor
 * Cost:  O(n log n) for n tensors, plus one small read an alpha */
lora_code adapter_build(const catalog *cat, const lora_config *cfg, arena *mem, adapter *out, lora_error *err);

#endif
