/* limits.h - how much of a stranger's file is believed. Each limit is far above what real adapters need.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_LIMITS_H
#define LORAUDIT_LIMITS_H

#define LIMIT_HEADER_BYTES 100000000u   /* safetensors header; the reference implementation's own bound */
#define LIMIT_TENSORS 200000u           /* tensors a file; adapters of 384 experts in 60 layers have 140,000 */
#define LIMIT_TENSOR_DIMS 8u             /* axes a tensor; factors have 2 to 5 */
#define LIMIT_FACTOR_BYTES 536870912u   /* one factor, read whole: rank 1024 on a vocabulary of 150,000 has 311 MB in BF16 */
#define LIMIT_FREE_RANK 64u             /* a rank above this may not exceed both dimensions: its cost would not be its bytes' */
#define LIMIT_JSON_DEPTH 64u            /* nesting in a header */
#define LIMIT_SIDE_FILE_BYTES 134217728u /* adapter_config.json, trainer_state.json (whose log grows with training) */
#define LIMIT_SIDE_FILE_NODES 500000u   /* values in one parsed tree: bounds it at about 32 MiB */
#define LIMIT_PATTERNS 1000u            /* keys of rank_pattern or alpha_pattern that are tried */
#define LIMIT_PATTERN_MATCHES 100000u   /* regular-expression matches an adapter */

#endif
