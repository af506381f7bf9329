/* torch_zip_parts.h - what the two files of the torch zip reader share; nobody else includes it.
 *
 *     torch_zip.c        which member is what; the object and its storages
 *     torch_zip_scan.c   a look at everything else
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TORCH_ZIP_PARTS_H
#define LORAUDIT_TORCH_ZIP_PARTS_H

#include "analyzer/formats/pickle.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/zip.h"

enum { TORCH_ZIP_PEEK_BYTES = 512 };
#define TORCH_ZIP_OBJECT "data.pkl"
#define TORCH_ZIP_STORAGES "data/"

typedef struct torch_zip_key torch_zip_key;

typedef struct {
    const file *f;
    arena *mem;
    observations *seen;
    lora_error wrong, stopped; /* the first thing wrong; what ended the look at the others */
    lora_error *err;           /* whichever of the two it would be now */
    zip_directory zip;
    const zip_member *object; /* data.pkl; NULL: there is none */
    size_t root_bytes;        /* of its name, before "data.pkl" */
    torch_zip_key *keys;      /* n_keys, sorted by key, then by place in the directory */
    size_t n_keys;
    bool *used; /* of each member: it is the storage of a tensor, or the object */
    bool big_endian;
    uint64_t scan_left; /* bytes that may still be scanned */
} torch_zip_reader;

/* torch_zip_in_root - the name behind the root folder; NULL when it is elsewhere. */
const char *torch_zip_in_root(const torch_zip_reader *r, const zip_member *m);

/* torch_zip_storage_key - the key of a member that is a storage; NULL when it is none. */
const char *torch_zip_storage_key(const torch_zip_reader *r, const zip_member *m);

/* torch_zip_source - n bytes of a member, to be read as pickles. */
pickle_source torch_zip_source(const torch_zip_reader *r, const zip_member *m, const unsigned char *bytes, size_t n);

/* torch_zip_look_at_others - note members that no checkpoint has, and scan all that could be a pickle.
 * Errs: LORA_E_MEMORY, read errors. */
lora_code torch_zip_look_at_others(torch_zip_reader *r);

#endif
