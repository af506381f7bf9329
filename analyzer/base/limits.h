/* limits.h - how much of a stranger's file is believed. Each limit is far above what real adapters need.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_LIMITS_H
#define LORAUDIT_LIMITS_H

#define LIMIT_HEADER_BYTES 100000000u   /* safetensors header; the reference implementation's own bound */
#define LIMIT_TENSORS 200000u           /* tensors a file; adapters of 384 experts in 60 layers have 140,000 */
#define LIMIT_TENSOR_DIMS 8u             /* axes a tensor; factors have 2 to 5 */
#define LIMIT_JSON_DEPTH 64u            /* nesting in a header */
#define LIMIT_SIDE_FILE_BYTES 33554432u /* adapter_config.json, trainer_state.json (whose log grows with training) */
#define LIMIT_SIDE_FILE_NODES 1000000u  /* values in one side file: bounds the parsed tree at about 64 MiB */

#endif
