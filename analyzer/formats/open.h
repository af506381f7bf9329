/* open.h - from a path to a catalog: open, tell what the bytes are, hand them to the right reader.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_OPEN_H
#define LORAUDIT_OPEN_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/detect.h"

/* formats_open - read the catalog of the weight file at path.
 * In:    max_bytes: larger files are not looked into, 0 for no limit; mem receives everything that cat points to
 * Out:   *f open (the caller closes it, also after an error), *kind, and *cat
 * Errs:  LORA_E_TOO_LARGE, those of file_open, detect_content and the readers; LORA_E_EMPTY, LORA_E_LFS_POINTER, LORA_E_FORMAT for what
 *        holds no weights; LORA_E_CONTAINER for a weight container that no reader is there for */
lora_code formats_open(const char *path, uint64_t max_bytes, arena *mem, file *f, content_kind *kind, catalog *cat,
                       lora_error *err);

#endif
