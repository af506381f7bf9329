/* torch_zip.h - torch checkpoints since 1.6: a zip archive with one root folder.
 *
 *     ROOT/data.pkl             the object, protocol 2
 *     ROOT/byteorder            "little" or "big"; without it little
 *     ROOT/data/KEY             the bytes of one storage
 *     ROOT/version, .data/serialization_id, .format_version, .storage_alignment
 *
 * Every other member is an observation, and every member that could be a pickle is looked into.
 * Source: pytorch torch/serialization.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TORCH_ZIP_H
#define LORAUDIT_TORCH_ZIP_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"

/* torch_zip_read - Out: *cat, in mem. Errs: those of zip_read_directory, pickle_run and torch_catalog. What could be seen
 * before an error, and in the other members, is in seen all the same. */
lora_code torch_zip_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err);

#endif
