/* npz.h - arrays of NumPy: .npz (a zip of .npy members, stored or deflated) and a single .npy.
 *
 *     .npy:  "\x93NUMPY", version 1 to 3, header length, a Python literal {'descr', 'fortran_order', 'shape'}, the entries
 *
 * A tensor is named by its member without ".npy"; a lone .npy's tensor is "array". Arrays of objects are pickles: they are
 * interpreted for what they would import, and their entry is no tensor. '<V2' is bfloat16, as MLX writes it.
 * Source: numpy/lib/format.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_NPZ_H
#define LORAUDIT_NPZ_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"

/* npz_read, npy_read - Out: *cat, in mem; *seen: what the zip reader and the pickle machine note, arrays of objects, members
 * that are no arrays. After an error in one member the others are still looked into, for what there is to note.
 * Errs: those of zip_read_directory; LORA_E_NPY, LORA_E_DTYPE, LORA_E_TRUNCATED, LORA_E_TRAILING, LORA_E_SHAPE_OVERFLOW,
 *       LORA_E_DUPLICATE, LORA_E_TOO_MANY, LORA_E_INFLATE, LORA_E_INFLATES_TOO_LARGE, LORA_E_PICKLE_LIMIT, LORA_E_MEMORY.
 *       The place of what is wrong inside a deflated member is that of its stream.
 * Cost: one small read a member, or one for many that lie close together */
lora_code npz_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err);
lora_code npy_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err);

#endif
