/* archive.h - spectra as data: an HDF5 file of schema loraudit.spectra/1, readable with h5py.
 *
 *     /              attributes schema, tool_version
 *     /<index>       one group an adapter, named by its place in the input; attributes path, layout, method, recipe,
 *                    status; where declared: base_model, declared_size
 *       module, role              strings, one a module
 *       layer, out, in, rank      int64 (layer −1: none)
 *       scale, frobenius          float64
 *       sigma, sigma_a, sigma_b   float64, modules × r_max, descending, NaN behind a module's last
 *
 * Only HDF5's built-in filters are used (shuffle, deflate). The library keeps global state: one archive at a time, one
 * thread at a time.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ARCHIVE_H
#define LORAUDIT_ARCHIVE_H

#include "analyzer/audit/record.h"

typedef struct archive archive;

/* archive_create - a new archive in the file at path, replacing what is there.
 * Errs: LORA_E_WRITE, LORA_E_MEMORY; *out is NULL then */
lora_code archive_create(const char *path, archive **out, lora_error *err);

/* archive_add - the spectra of r as group `index`. A record without modules adds nothing.
 * Errs: LORA_E_WRITE, LORA_E_MEMORY; the archive is then not to be kept */
lora_code archive_add(archive *a, const lora_record *r, size_t index, lora_error *err);

/* archive_close - flush and close; NULL is accepted. Errs: LORA_E_WRITE */
lora_code archive_close(archive *a, lora_error *err);

#endif
