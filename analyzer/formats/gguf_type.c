/* gguf_type.c - see gguf_type.h. Source: ggml.h, ggml-common.h, gguf-py/gguf/constants.py (GGML_QUANT_SIZES).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/gguf_type.h"

static const ggml_type types[] = {
    [0] = {DTYPE_F32, 1, 4},        [1] = {DTYPE_F16, 1, 2},        [2] = {DTYPE_BLOCK, 32, 18},    /* Q4_0 */
    [3] = {DTYPE_BLOCK, 32, 20},    /* Q4_1 */                      [6] = {DTYPE_BLOCK, 32, 22},    /* Q5_0 */
    [7] = {DTYPE_BLOCK, 32, 24},    /* Q5_1 */                      [8] = {DTYPE_Q8_0, 32, 34},
    [9] = {DTYPE_BLOCK, 32, 36},    /* Q8_1 */                      [10] = {DTYPE_BLOCK, 256, 84},  /* Q2_K */
    [11] = {DTYPE_BLOCK, 256, 110}, /* Q3_K */                      [12] = {DTYPE_BLOCK, 256, 144}, /* Q4_K */
    [13] = {DTYPE_BLOCK, 256, 176}, /* Q5_K */                      [14] = {DTYPE_BLOCK, 256, 210}, /* Q6_K */
    [15] = {DTYPE_BLOCK, 256, 292}, /* Q8_K */                      [16] = {DTYPE_BLOCK, 256, 66},  /* IQ2_XXS */
    [17] = {DTYPE_BLOCK, 256, 74},  /* IQ2_XS */                    [18] = {DTYPE_BLOCK, 256, 98},  /* IQ3_XXS */
    [19] = {DTYPE_BLOCK, 256, 50},  /* IQ1_S */                     [20] = {DTYPE_BLOCK, 32, 18},   /* IQ4_NL */
    [21] = {DTYPE_BLOCK, 256, 110}, /* IQ3_S */                     [22] = {DTYPE_BLOCK, 256, 82},  /* IQ2_S */
    [23] = {DTYPE_BLOCK, 256, 136}, /* IQ4_XS */                    [24] = {DTYPE_I8, 1, 1},
    [25] = {DTYPE_I16, 1, 2},       [26] = {DTYPE_I32, 1, 4},       [27] = {DTYPE_I64, 1, 8},
    [28] = {DTYPE_F64, 1, 8},       [29] = {DTYPE_BLOCK, 256, 56},  /* IQ1_M */
    [30] = {DTYPE_BF16, 1, 2},      [34] = {DTYPE_BLOCK, 256, 54},  /* TQ1_0 */
    [35] = {DTYPE_BLOCK, 256, 66},  /* TQ2_0 */                     [39] = {DTYPE_BLOCK, 32, 17},   /* MXFP4 */
    [40] = {DTYPE_BLOCK, 64, 36},   /* NVFP4 */
};

const ggml_type *ggml_type_of(uint32_t id)
{
    return id < sizeof types / sizeof types[0] && types[id].entries ? &types[id] : NULL;
}
