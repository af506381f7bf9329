/* open.h - from a path to a catalog: open, tell what the bytes are, hand them to the right reader.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_OPEN_H
#define LORAUDIT_OPEN_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/detect.h"
#include "analyzer/formats/observation.h"

typedef struct {
    uint64_t max_bytes; /* larger files are not looked into; 0: no limit */
    bool trust_hdf5;    /* read HDF5 files with libhdf5 */
} formats_options;

/* formats_open - read the catalog of the weight file at path.
 * In:    seen->mem and mem receive everything that seen and cat point to
 * Out:   *f open (the caller closes it, also after an error), *kind, and *cat; what was noticed, also before an error, in *seen
 * Errs:  LORA_E_TOO_LARGE, those of file_open, detect_content and the readers; LORA_E_EMPTY, LORA_E_LFS_POINTER, LORA_E_FORMAT for what
 *        holds no weights; LORA_E_CONTAINER for a bare pickle, LORA_E_UNTRUSTED for HDF5 that is not trusted;
 *        LORA_E_STORAGE when the tensors together span many times the file */
lora_code formats_open(const char *path, const formats_options *options, arena *mem, file *f, content_kind *kind,
                       observations *seen, catalog *cat, lora_error *err);

/* formats_read - the same for bytes that are open already; path is for HDF5 alone, and for a name that claims safetensors. */
lora_code formats_read(const char *path, const file *f, const formats_options *options, arena *mem, content_kind *kind,
                       observations *seen, catalog *cat, lora_error *err);

#endif
