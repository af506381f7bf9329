/* zip_end.c - the end of central directory record, its zip64 kin, and the place of the directory.
 *
 *     directory | zip64 record (56) | zip64 locator (20) | end record (22) | comment
 *
 * Of several records the last one counts, as for Python's zipfile and miniz; neither asks whether the comment reaches the
 * end of the file. A directory that lies elsewhere than its offset says, because the archive was appended to something, is
 * read where zipfile finds it: right before the end records.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/zip_parts.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOCATOR_BYTES = 20, RECORD64_BYTES = 56, LONGEST_COMMENT = 65535 };
enum { TAIL_BYTES = RECORD64_BYTES + LOCATOR_BYTES + ZIP_END_BYTES + LONGEST_COMMENT };

/* The last bytes of the file, up to TAIL_BYTES. */
typedef struct {
    unsigned char *bytes;
    size_t n;
    uint64_t at; /* of bytes[0] in the file */
} tail;

static bool is_mark(const unsigned char *p, const char *mark)
{
    return memcmp(p, mark, 4) == 0;
}

/* Do the four bytes at `at` of the file begin with the mark? */
static lora_code mark_at(const file *f, uint64_t at, const char *mark, bool *found, lora_error *err)
{
    unsigned char four[4];
    *found = false;
    if (at > f->size || f->size - at < sizeof four)
        return LORA_OK;
    lora_code code = file_read_at(f, at, four, sizeof four, err);
    *found = code == LORA_OK && is_mark(four, mark);
    return code;
}

/* The 32-bit value of the end record: right, or all ones and said elsewhere. */
static bool agrees(uint64_t small, uint64_t all_ones, uint64_t large)
{
    return small == all_ones || small == large;
}

/* The zip64 record, looked for where zipfile does (before its locator), then where the locator says, as miniz does. */
static lora_code read_record64(const file *f, const tail *t, size_t end_record, observations *seen, zip_end *e,
                               uint64_t *place, lora_error *err)
{
    unsigned char apart[RECORD64_BYTES];
    *place = 0;
    if (end_record < LOCATOR_BYTES || !is_mark(t->bytes + end_record - LOCATOR_BYTES, "PK\6\7"))
        return LORA_OK;
    size_t locator = end_record - LOCATOR_BYTES;
    uint64_t locator_at = t->at + locator, claimed = bytes_le64(t->bytes + locator + 8), at;
    const unsigned char *p;
    if (locator >= RECORD64_BYTES && is_mark(t->bytes + locator - RECORD64_BYTES, "PK\6\6")) {
        p = t->bytes + locator - RECORD64_BYTES;
        at = locator_at - RECORD64_BYTES;
    } else {
        if (claimed > locator_at || locator_at - claimed < RECORD64_BYTES)
            return LORA_OK;
        lora_code code = file_read_at(f, claimed, apart, sizeof apart, err);
        if (code != LORA_OK || !is_mark(apart, "PK\6\6"))
            return code;
        p = apart;
        at = claimed;
        observe(seen, SEEN_ARCHIVE_CONFLICT, at, NULL,
                 "the zip64 record at byte %" PRIu64 " is not right before its locator: some readers do not find it", at);
    }
    const unsigned char *q = t->bytes + end_record;
    if (!agrees(bytes_le16(q + 10), UINT16_MAX, bytes_le64(p + 32)) ||
        !agrees(bytes_le32(q + 12), UINT32_MAX, bytes_le64(p + 40)) ||
        !agrees(bytes_le32(q + 16), UINT32_MAX, bytes_le64(p + 48)))
        observe(seen, SEEN_ARCHIVE_CONFLICT, at, NULL, "the end record and the zip64 record give different directories");
    if (bytes_le32(p + 16) || bytes_le32(p + 20))
        return lora_fail_at(err, LORA_E_ZIP, at, "the archive is split: its zip64 record is on disk %" PRIu32,
                            bytes_le32(p + 16));
    e->n = bytes_le64(p + 32);
    e->bytes = bytes_le64(p + 40);
    e->offset = bytes_le64(p + 48);
    e->begin = at;
    e->begin_end = at + RECORD64_BYTES;
    e->last = locator_at;
    *place = claimed;
    return LORA_OK;
}

/* How far the archive's own offsets are from the file's. */
static lora_code find_shift(const file *f, observations *seen, zip_end *e, lora_error *err)
{
    uint64_t behind;
    if (!checked_add(e->offset, e->bytes, &behind) || behind > e->begin)
        return lora_fail_at(err, LORA_E_ZIP, e->begin,
                            "a directory of %" PRIu64 " bytes at byte %" PRIu64
                            " cannot lie before its end record at byte %" PRIu64, e->bytes, e->offset, e->begin);
    e->shift = e->begin - behind;
    if (e->shift == 0 || e->bytes == 0)
        return LORA_OK;
    bool moved, unmoved;
    lora_code code = mark_at(f, e->offset + e->shift, ZIP_CENTRAL_MARK, &moved, err);
    if (code == LORA_OK)
        code = mark_at(f, e->offset, ZIP_CENTRAL_MARK, &unmoved, err);
    if (code != LORA_OK)
        return code;
    if (moved && unmoved)
        observe(seen, SEEN_ARCHIVE_CONFLICT, e->offset, NULL,
                 "there are directories at bytes %" PRIu64 " and %" PRIu64 ": readers differ in which they take", e->offset,
                 e->offset + e->shift);
    if (moved)
        observe(seen, SEEN_ARCHIVE_HIDDEN, 0, NULL,
                 "the archive begins at byte %" PRIu64 ": it was appended to something else", e->shift);
    else if (unmoved)
        e->shift = 0;
    return LORA_OK;
}

static lora_code read_end(const file *f, const tail *t, size_t record, observations *seen, zip_end *e, lora_error *err)
{
    const unsigned char *p = t->bytes + record;
    uint64_t at = t->at + record, record64;
    *e = (zip_end){.n = bytes_le16(p + 10), .bytes = bytes_le32(p + 12), .offset = bytes_le32(p + 16),
                   .begin = at, .begin_end = at, .last = at, .comment = at + ZIP_END_BYTES, .end = at + ZIP_END_BYTES + bytes_le16(p + 20)};
    if (e->end > f->size) {
        observe(seen, SEEN_ARCHIVE_CONFLICT, at, NULL, "a comment of %" PRIu16 " bytes reaches behind the end of the file",
                 bytes_le16(p + 20));
        e->end = f->size;
    }
    lora_code code = read_record64(f, t, record, seen, e, &record64, err);
    if (code != LORA_OK)
        return code;
    if (e->begin == at && (bytes_le16(p + 4) || bytes_le16(p + 6) || bytes_le16(p + 8) != e->n))
        return lora_fail_at(err, LORA_E_ZIP, at,
                            "the archive is split: this is disk %" PRIu16 ", with %" PRIu16 " of %" PRIu64 " members",
                            bytes_le16(p + 4), bytes_le16(p + 8), e->n);
    code = find_shift(f, seen, e, err);
    if (code == LORA_OK && e->begin != at && record64 + e->shift != e->begin)
        observe(seen, SEEN_ARCHIVE_CONFLICT, e->begin, NULL,
                 "the zip64 record lies at byte %" PRIu64 ", its locator says %" PRIu64, e->begin, record64);
    return code;
}

lora_code zip_find_end(const file *f, observations *seen, zip_end *out, lora_error *err)
{
    tail t = {.n = f->size < TAIL_BYTES ? (size_t)f->size : TAIL_BYTES};
    t.at = f->size - t.n;
    t.bytes = malloc(t.n + 1);
    if (!t.bytes)
        return lora_fail(err, LORA_E_MEMORY, "no memory for the end of an archive");
    lora_code code = file_read_at(f, t.at, t.bytes, t.n, err);
    size_t record = t.n, last = t.n >= ZIP_END_BYTES ? t.n - ZIP_END_BYTES : 0;
    size_t first = last > LONGEST_COMMENT ? last - LONGEST_COMMENT : 0;
    for (size_t i = last + 1; code == LORA_OK && t.n >= ZIP_END_BYTES && record == t.n && i-- > first;)
        if (is_mark(t.bytes + i, ZIP_END_MARK))
            record = i;
    if (code == LORA_OK && record == t.n)
        code = lora_fail_at(err, LORA_E_ZIP, f->size, "no end of central directory in the last %zu bytes of the file", t.n);
    zip_end e;
    if (code == LORA_OK)
        code = read_end(f, &t, record, seen, &e, err);
    free(t.bytes);
    if (code == LORA_OK)
        *out = e;
    return code;
}
