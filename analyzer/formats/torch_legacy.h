/* torch_legacy.h - torch checkpoints of the time before zip (until 1.5): five pickles, then storages.
 *
 *     magic number 0x1950a86a20f9469cfc6c · protocol 1001 · system info · the object · sorted list of storage keys,
 *     then for each key in that order: int64 number of elements, the elements
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TORCH_LEGACY_H
#define LORAUDIT_TORCH_LEGACY_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"

/* torch_legacy_read - Out: *cat, in mem. Errs: those of pickle_run and torch_catalog, LORA_E_TRUNCATED, LORA_E_TRAILING. */
lora_code torch_legacy_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err);

#endif
