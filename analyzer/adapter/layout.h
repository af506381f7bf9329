/* layout.h - the vocabulary of the adapter room: layouts, roles and what is known of one adapted weight.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_LAYOUT_H
#define LORAUDIT_LAYOUT_H

#include "analyzer/formats/catalog.h"
#include "spectral/spectral.h"

#include <stdbool.h>
#include <stdint.h>

/* X(symbol, contract name) */
#define LORA_LAYOUTS(X)                                                                                                \
    X(LAYOUT_GENERIC, "generic")                                                                                       \
    X(LAYOUT_PEFT, "peft")                                                                                             \
    X(LAYOUT_DIFFUSERS, "diffusers")                                                                                   \
    X(LAYOUT_KOHYA, "kohya")                                                                                           \
    X(LAYOUT_LYCORIS, "lycoris")                                                                                       \
    X(LAYOUT_CLONEOFSIMO, "cloneofsimo")                                                                               \
    X(LAYOUT_MLX, "mlx")                                                                                               \
    X(LAYOUT_LORALIB, "loralib")                                                                                       \
    X(LAYOUT_LORA_SB, "lora-sb")                                                                                       \
    X(LAYOUT_GGUF, "gguf")                                                                                             \
    X(LAYOUT_ONNXRUNTIME, "onnxruntime")

typedef enum {
#define X(symbol, name) symbol,
    LORA_LAYOUTS(X)
#undef X
        LAYOUT_COUNT
} lora_layout;

const char *layout_name(lora_layout layout);

/* What a weight does in its block. "o" and "down" write to the residual stream, and so does an embedding. */
#define LORA_ROLES(X)                                                                                                  \
    X(ROLE_OTHER, "other")                                                                                             \
    X(ROLE_Q, "q")                                                                                                     \
    X(ROLE_K, "k")                                                                                                     \
    X(ROLE_V, "v")                                                                                                     \
    X(ROLE_O, "o")                                                                                                     \
    X(ROLE_QKV, "qkv")                                                                                                 \
    X(ROLE_GATE, "gate")                                                                                               \
    X(ROLE_UP, "up")                                                                                                   \
    X(ROLE_GATE_UP, "gate_up")                                                                                         \
    X(ROLE_DOWN, "down")                                                                                               \
    X(ROLE_CONV, "conv")                                                                                               \
    X(ROLE_EMBED, "embed")                                                                                             \
    X(ROLE_HEAD, "head")                                                                                               \
    X(ROLE_PROJ_IN, "proj_in")                                                                                         \
    X(ROLE_PROJ_OUT, "proj_out")                                                                                       \
    X(ROLE_TIME, "time")                                                                                               \
    X(ROLE_NORM, "norm")

typedef enum {
#define X(symbol, name) symbol,
    LORA_ROLES(X)
#undef X
        ROLE_COUNT
} lora_role;

const char *role_name(lora_role role);
bool role_writes_residual(lora_role role);

/* A factor as it lies in its tensor: rows × cols entries from entry `first` on, row after row; transposed: column after
 * column. */
typedef struct {
    const tensor *t; /* NULL: there is none */
    uint64_t first, rows, cols;
    bool transposed;
} lora_factor;

/* What an update has beyond s·B·A, in the terms of spectral.h. */
typedef struct {
    spectral_structure kind;
    lora_factor core, a2, b2, core2;
    uint64_t depth, depth2, groups;
    bool diagonal;
} lora_structure;

/* One adapted weight: ΔW = s·B·A, or what `more` makes of the factors. */
typedef struct {
    const char *name;      /* path of the adapted module, wrapper prefixes taken off */
    const char *component; /* "unet", "text_encoder", "transformer", … ; static */
    const char *method;    /* "lora", "loha", … ; static */
    lora_role role;
    int64_t layer; /* -1: none in the name */
    lora_layout layout;
    bool embedding;         /* the weight is (BA)ᵀ, and training starts at A = 0 */
    lora_factor a, b;       /* a is always set; without b, A is a full matrix (LoKr's first operand) */
    const lora_structure *more; /* NULL: s·B·A */
    const tensor *alpha;    /* or NULL */
    const tensor *magnitude; /* DoRA's, or NULL */
    uint64_t m, n;          /* ΔW is m × n; a convolution's kernel counts with its inputs */
    uint64_t r;             /* the rank that alpha is divided by; a LoKr of two full matrices: the smaller side of the second */
    bool full;              /* no low-rank factor anywhere */
    double scale;           /* s */
} lora_module;

#endif
