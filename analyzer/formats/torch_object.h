/* torch_object.h - from the object that a torch pickle describes to tensors.
 *
 * dict, OrderedDict (with _metadata), list or tuple of tensors and Parameters, nested: a path of keys joined by '.'. Where
 * only one entry of the outermost dict holds tensors, and holds them in a dict ("state_dict", "model"), its key is left
 * out. Elements of a list are named by their index. Numbers and texts beside the tensors become metadata.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TORCH_OBJECT_H
#define LORAUDIT_TORCH_OBJECT_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"
#include "analyzer/formats/pickle.h"

/* Who knows the storages of the file.
 * find - the storage called key, whose pickle says that it has `bytes` bytes; `at`: where the pickle says so.
 *        Errs: LORA_E_STORAGE_MISSING; LORA_E_STORAGE when it has fewer bytes. *out lives as long as mem */
typedef struct {
    void *ctx;
    lora_code (*find)(void *ctx, const char *key, uint64_t bytes, uint64_t at, const tensor_storage **out,
                      lora_error *err);
} torch_storages;

/* torch_catalog - tensors and metadata of root; cat->container and cat->source are left to the caller.
 * Out:   cat->tensors in the order of their data (catalog_sort), names unique
 * Errs:  LORA_E_OBJECT (not a container), LORA_E_STORAGE (offset, size, stride or numel beyond the storage; with the offset
 *        of the call that says so), LORA_E_STORAGE_MISSING, LORA_E_DTYPE, LORA_E_TOO_MANY, LORA_E_DUPLICATE, LORA_E_MEMORY */
lora_code torch_catalog(const pickle_value *root, const torch_storages *storages, arena *mem, observations *seen,
                        catalog *cat, lora_error *err);

#endif
