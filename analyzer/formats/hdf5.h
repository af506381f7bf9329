/* hdf5.h - snapshots in HDF5, read with libhdf5 and therefore only where the user trusts the file.
 *
 * Every dataset of floating-point or integer type is a tensor, named by its path with '.' for '/'. Contiguous datasets
 * are read by position like any other tensor; chunked and filtered ones are read into mem. Text attributes of the root
 * are metadata. Datasets of other classes (text, compounds, enumerations) are no tensors. Soft links are not followed;
 * whatever names another file is refused, and filter plugins are not loaded.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_HDF5_H
#define LORAUDIT_HDF5_H

#include "analyzer/formats/catalog.h"

/* hdf5_read - path: of f, which libhdf5 opens again. Out: *cat, in mem.
 * Errs:   LORA_E_HDF5, LORA_E_FORMAT (an archive of spectra, not weights), LORA_E_DTYPE, LORA_E_DUPLICATE, LORA_E_TOO_MANY,
 *         LORA_E_SHAPE_OVERFLOW, LORA_E_INFLATES_TOO_LARGE, LORA_E_MEMORY
 * Thread: one call at a time, by hdf5_lock; libhdf5 need not be thread-safe. */
lora_code hdf5_read(const char *path, const file *f, arena *mem, catalog *cat, lora_error *err);

/* hdf5_lock, hdf5_unlock - around every other use of libhdf5 in the program while files may be read. Not recursive. */
void hdf5_lock(void);
void hdf5_unlock(void);

#endif
