/* zip_parts.h - what the files of the zip reader share; nobody else includes it.
 *
 *     zip_end.c      the end records, and where the directory lies
 *     zip.c          the directory, and names in it
 *     zip_local.c    local headers, and which bytes belong to whom
 *     zip_hidden.c   bytes that belong to nobody
 *     zip_load.c     the bytes of a member
 *
 * A reader goes on behind the first thing that is wrong with the archive, so that all of it is looked at; only a file
 * that cannot be read and a lack of memory stop it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_ZIP_PARTS_H
#define LORAUDIT_ZIP_PARTS_H

#include "analyzer/formats/window.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/zip.h"

enum {
    ZIP_LOCAL_BYTES = 30,
    ZIP_CENTRAL_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP_PIECE_BYTES = 65536,

    ZIP_METHOD_STORED = 0,
    ZIP_METHOD_DEFLATED = 8,

    ZIP_FLAG_DESCRIPTOR = 0x8,    /* sizes and CRC follow the data */
    ZIP_FLAGS_ENCRYPTED = 0x61,   /* 0x1 encrypted, 0x20 patched data, 0x40 strong encryption */
    ZIP_EXTRA_ZIP64 = 0x0001,
    ZIP_EXTRA_UNICODE_NAME = 0x7075
};
#define ZIP_LOCAL_MARK "PK\3\4"
#define ZIP_CENTRAL_MARK "PK\1\2"
#define ZIP_END_MARK "PK\5\6"

/* Where the end records say that the directory is. */
typedef struct {
    uint64_t n, bytes, offset; /* members; size and place of the directory, before the shift */
    uint64_t shift;            /* to be added to every offset that the archive holds */
    uint64_t begin, begin_end; /* of the zip64 record; without one both are last */
    uint64_t last;             /* of the locator and the end record behind it */
    uint64_t comment, end;     /* of the comment */
} zip_end;

/* What the directory says of a member, and zip_member does not keep. */
typedef struct {
    const unsigned char *name; /* as it stands in the directory */
    uint16_t name_length, flags, method;
    bool lost; /* its local header cannot be where the directory says */
} zip_entry;

typedef struct {
    const file *f;
    arena *mem;
    observations *seen;
    lora_error *err;   /* of what stops the reader */
    lora_code code;    /* the first thing wrong with the archive; LORA_E_ZIP: the directory itself */
    lora_error broken; /* … in words */
    zip_end end;
    unsigned char *directory; /* its bytes; malloc'd */
    uint64_t directory_at, directory_end; /* what of it could be read */
    zip_member *members;
    zip_entry *entries;
    size_t n;
    zip_member *hidden; /* malloc'd */
    size_t n_hidden, hidden_capacity;
    file_window headers;
    unsigned char *piece; /* ZIP_PIECE_BYTES, once hidden bytes are met; malloc'd */
} zip_reader;

/* zip_fatal - does the code say that nothing more can be learnt? */
static inline bool zip_fatal(lora_code code)
{
    return code == LORA_E_MEMORY || code == LORA_E_READ || code == LORA_E_SHRUNK;
}

/* zip_note - observe, unless the list is full: then nothing is spent on the note. For what a file can cause at will. */
#define zip_note(seen, ...)                                                                                            \
    do {                                                                                                               \
        if ((seen)->n < LIMIT_OBSERVATIONS)                                                                            \
            observe(seen, __VA_ARGS__);                                                                                \
        else                                                                                                           \
            (seen)->n_dropped++;                                                                                       \
    } while (0)

/* zip_find_end - Errs: LORA_E_ZIP (none; several disks; a directory that cannot lie before it), LORA_E_MEMORY, read errors. */
lora_code zip_find_end(const file *f, observations *seen, zip_end *out, lora_error *err);

/* zip_zip64_value - the next 8 bytes of the zip64 field of the n extra bytes, for a value of all ones in a header.
 * *at counts what was taken. false when there is no such field, or no more in it. */
bool zip_zip64_value(const unsigned char *extra, size_t n, size_t *at, uint64_t *value);

/* zip_read_locals - every member's local header: data_offset, and what disagrees. Whatever lies between is hidden.
 * Errs: LORA_E_MEMORY, read errors; the others go to r->code and r->broken. */
lora_code zip_read_locals(zip_reader *r);

/* zip_hide - look into bytes [begin, end) that belong to no member, and list what is in them; all zero: nothing.
 * In: where, for the note ("between members"); NULL: no note, the caller reports an error. Errs: as above. */
lora_code zip_hide(zip_reader *r, uint64_t begin, uint64_t end, const char *where);

/* zip_hide_comment - the same for the archive's comment, which is harmless unless it holds an archive's marks. */
lora_code zip_hide_comment(zip_reader *r);

#endif
