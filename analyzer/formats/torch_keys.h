/* torch_keys.h - which value of a dict counts when a key comes again. Internal to torch_object.c, which alone includes it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TORCH_KEYS_H
#define LORAUDIT_TORCH_KEYS_H

#include "analyzer/formats/pickle.h"

#define TORCH_KEY_AGAIN UINT32_MAX

/* torch_last_values - for each pair of the dict the pair that holds the last value of its key, or TORCH_KEY_AGAIN where the
 * pair is not its key's first. Out: *last, malloc'd. false: no memory. Cost: O(n), O(n log n) where keys are chosen for it. */
bool torch_last_values(const pickle_value *dict, uint32_t **last);

#endif
