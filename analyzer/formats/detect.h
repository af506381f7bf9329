/* detect.h - what a file is, by its content; never by its name.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_DETECT_H
#define LORAUDIT_DETECT_H

#include "analyzer/base/error.h"
#include "analyzer/base/file.h"

#include <stdbool.h>

typedef enum {
    CONTENT_UNKNOWN,
    CONTENT_EMPTY,
    CONTENT_SAFETENSORS,
    CONTENT_ZIP_TORCH, /* zip that holds a data.pkl */
    CONTENT_ZIP_NPZ,   /* zip whose first member ends in .npy */
    CONTENT_ZIP,
    CONTENT_TORCH_LEGACY, /* five pickles that begin with torch's magic number */
    CONTENT_PICKLE,
    CONTENT_NPY,
    CONTENT_GGUF,
    CONTENT_HDF5,
    CONTENT_LFS_POINTER,
    CONTENT_HTML,
    CONTENT_JSON,
    CONTENT_TEXT,
    CONTENT_7Z,
    CONTENT_GZIP,
    CONTENT_TAR,
    CONTENT_PNG,
    CONTENT_JPEG,
    CONTENT_GIF,
    CONTENT_WEBP,
    CONTENT_XZ,
    CONTENT_ZSTD,
    CONTENT_BZIP2,
    CONTENT_RAR,
    CONTENT_PDF,
    CONTENT_PROGRAM, /* ELF, PE, Mach-O, or a script with "#!" */
    CONTENT_COUNT
} content_kind;

/* detect_content - tell *kind from the first 4 KiB and the size of f.
 * A file is called safetensors when its first 8 bytes can be a header length and a '{' follows (after JSON white
 * space), or when nothing else fits and the length is plausible: its reader then says what is wrong with it.
 * Errs: LORA_E_READ, LORA_E_SHRUNK. Cost: one read of 4 KiB. */
lora_code detect_content(const file *f, content_kind *kind, lora_error *err);

/* content_name - short words for a person: "a PNG image", "a git-lfs pointer", … */
const char *content_name(content_kind kind);

/* content_container - the contract's container name ("torch-zip", "npz", …), or NULL when the kind holds no weights. */
const char *content_container(content_kind kind);

/* content_claimed_by - does the name's extension claim another kind than the content is? Then what it claims, in short words
 * ("a safetensors file"); NULL when they agree, or the extension claims nothing.
 * Out: *harmless: the extension is of a format that runs no code, which people open without thinking */
const char *content_claimed_by(const char *path, content_kind kind, bool *harmless);

#endif
