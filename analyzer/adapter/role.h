/* role.h - what a module's path says about it: role, layer and component.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ROLE_H
#define LORAUDIT_ROLE_H

#include "analyzer/adapter/layout.h"

/* role_of_path - role of the module at path, dotted ("…self_attn.q_proj") or flattened ("…_attn1_to_q").
 * ROLE_OTHER when the last words of the path are in no table. */
lora_role role_of_path(const char *path);

/* layer_of_path - index of the layer in the stack, or -1. U-Net blocks have no single depth and give -1. */
int64_t layer_of_path(const char *path);

/* component_of_path - the model of a pipeline that the module belongs to; a static string. A path that names none
 * belongs to a "transformer". */
const char *component_of_path(const char *path);

#endif
