/* torch_tensor.h - one tensor, or one storage, as a torch pickle describes it by calls and persistent ids.
 *
 *     torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])
 *     torch._utils._rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])
 *     torch._utils._rebuild_tensor(storage, offset, size, stride)
 *     torch._utils._rebuild_parameter(tensor, …), …_with_state(tensor, …), torch.nn.parameter.Parameter(tensor, …)
 *     torch._tensor._rebuild_from_type_v2(function, type, arguments, state)
 *     storage: persistent id ('storage', class, key, location, number of elements[, (view key, offset, elements)])
 *
 * Offset, size and stride count elements. Source: pytorch torch/_utils.py, torch/serialization.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TORCH_TENSOR_H
#define LORAUDIT_TORCH_TENSOR_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/torch_object.h"

typedef enum {
    TORCH_OTHER,  /* no tensor */
    TORCH_STRIDED,
    TORCH_UNREAD  /* a tensor without plain entries: quantised, sparse, without storage */
} torch_kind;

typedef struct {
    torch_kind kind;
    const char *function;          /* "torch._utils._rebuild_tensor_v2"; lives as long as the value */
    const pickle_value *arguments; /* a tuple */
    uint64_t at;
} torch_call;

/* torch_call_of - what v calls, parameters and subclasses taken off. A value that is no call gives TORCH_OTHER. */
torch_call torch_call_of(const pickle_value *v);

typedef struct {
    const char *key;
    tensor_dtype dtype; /* DTYPE_COUNT: the class has none, and counts bytes */
    bool quantised;     /* then dtype tells only the size of an element */
    uint64_t numel;     /* of the whole storage */
    uint64_t first, n;  /* the part of it that is meant: all, or a view */
    uint64_t bytes;     /* of the whole storage */
    uint64_t at;
} torch_storage;

/* torch_storage_of - a persistent id as a storage. Errs: LORA_E_OBJECT (it is none), LORA_E_DTYPE (a class of unknown
 * elements), LORA_E_STORAGE (a view beyond it, or beyond 64 bits) */
lora_code torch_storage_of(const pickle_value *v, torch_storage *out, lora_error *err);

/* torch_tensor_read - the tensor of a call of kind TORCH_STRIDED.
 * In:    name, borrowed by *out
 * Out:   *out, its shape and strides in mem; *end, of its last entry in the storage's bytes
 * Errs:  those of torch_catalog */
lora_code torch_tensor_read(const torch_call *call, const char *name, const torch_storages *storages, arena *mem,
                            tensor *out, uint64_t *end, lora_error *err);

#endif
