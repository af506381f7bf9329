/* zip.h - the directory of a zip archive, and its members, read as a sceptic.
 *
 * Names, sizes, CRC and place come from the central directory, as every loader takes them; local headers are compared
 * with it (torch leaves theirs zero and sets bit 3: that is no conflict). Bytes that belong to no listed member are noted,
 * and walked from local header to local header, so that a second archive, or one whose directory is broken, hides nothing.
 * Zip64 is read. Encrypted flags are noted and otherwise ignored: the loaders that ignore them would read the member too.
 * Source: PKWARE APPNOTE 6.3.10.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ZIP_H
#define LORAUDIT_ZIP_H

#include "analyzer/base/error.h"
#include "analyzer/base/file.h"
#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"

typedef struct {
    const char *name;      /* NUL-terminated copy, invalid UTF-8 and NULs replaced; untrusted */
    uint64_t entry_offset; /* of its central header */
    uint64_t local_offset; /* of its local header; 0 with stored_bytes where that cannot be */
    uint64_t data_offset;  /* of its stored bytes */
    uint64_t stored_bytes, bytes;
    uint32_t crc;
    bool deflated; /* else stored; other methods are an error */
} zip_member;

/* Hidden stretches: what was found by its local header, then entry_offset is local_offset, name at most 120 bytes, crc what
 * the header says, and stored_bytes and bytes reach to the next header or as far as the header says; and bytes without a
 * header, whose name is NULL. */
typedef struct {
    zip_member *members; /* in the order of the directory */
    size_t n;
    zip_member *hidden; /* in the order of the file */
    size_t n_hidden;
} zip_directory;

/* zip_read_directory - In: f. Out: *out, in mem; every member's stored bytes lie inside the file.
 * Errs: LORA_E_ZIP (no or broken directory), LORA_E_ZIP_MEMBER (a range or method that cannot be), LORA_E_TOO_MANY;
 *       LORA_E_READ, LORA_E_SHRUNK, LORA_E_MEMORY, which win. After the first three *out holds what could be read, for the
 *       caller to look into (a member of another method as if it were stored); after the others it is untouched.
 * Cost: the directory, one small read a member, and the hidden bytes once; without a directory the whole file once */
lora_code zip_read_directory(const file *f, arena *mem, observations *seen, zip_directory *out, lora_error *err);

/* zip_load - the member's bytes, inflated, in malloc'd memory that the caller frees; NULL-terminated beyond the end.
 * A wrong CRC is SEEN_CHECKSUM, not an error.
 * Errs: LORA_E_INFLATES_TOO_LARGE when it has more than limit bytes, LORA_E_INFLATE, LORA_E_MEMORY, read errors. */
lora_code zip_load(const file *f, const zip_member *m, uint64_t limit, observations *seen, unsigned char **bytes,
                   lora_error *err);

/* zip_load_some - what can be had of the member or hidden stretch, at most limit bytes, without a check: a deflate stream
 * that breaks gives what came before. In malloc'd memory that the caller frees, NUL-terminated beyond the end.
 * Errs: LORA_E_MEMORY, read errors. */
lora_code zip_load_some(const file *f, const zip_member *m, uint64_t limit, unsigned char **bytes, size_t *n,
                        lora_error *err);

/* zip_check - SEEN_CHECKSUM when the n bytes are all of m, and their CRC-32 is not that of its directory. */
void zip_check(const zip_member *m, const unsigned char *bytes, size_t n, observations *seen);

/* zip_tail - what follows the end of m's deflate stream among its stored bytes, as a hidden stretch without a name; of 0 bytes
 * when nothing does, the stream breaks, or it gives more than limit bytes. Errs: LORA_E_MEMORY, read errors.
 * Cost: inflates the member, and keeps nothing. */
lora_code zip_tail(const file *f, const zip_member *m, uint64_t limit, zip_member *tail, lora_error *err);

/* zip_storage - the member as the storage of tensors, in mem; NULL without memory. */
tensor_storage *zip_storage(const zip_member *m, arena *mem);

#endif
