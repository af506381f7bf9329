/* zip_local.c - local headers against the directory, and every byte of the file given to its owner.
 *
 * Members are met in the order of the file, so that the bytes between one and the next are known, and one look
 * fetches the data descriptor of the one and the local header of the other:
 *
 *     local header (30) | name | extra | data | [PK\7\8] crc, sizes (12 or 20) | next local header
 *
 * The descriptor is there when bit 3 is set; its mark and its width (4 or 8 bytes a size) are told by what matches.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/zip_parts.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_DESCRIPTOR = 24, EXTRA_SEEN = 64 };

/* A member in the order of the file. */
typedef struct {
    uint64_t at;
    size_t i;
} place;

static int by_place(const void *left, const void *right)
{
    const place *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->i < b->i ? -1 : a->i > b->i;
}

/* How far the bytes of the file have an owner, and who is the last. */
typedef struct {
    zip_reader *r;
    uint64_t end;
    const zip_member *last;
    bool descriptor; /* the last one has bit 3 */
} cover;

static void differs(zip_reader *r, const zip_member *m, const char *what)
{
    text_quote l;
    zip_note(r->seen, SEEN_ARCHIVE_CONFLICT, m->local_offset, m->name,
             "the local header of member %s has another %s than the directory", text_quoted(&l, m->name), what);
}

/* ---- what follows a member ---- */

static bool sizes_match(const unsigned char *p, size_t width, const zip_member *m)
{
    return bytes_le32(p) == m->crc &&
           (width == 4 ? bytes_le32(p + 4) == (uint32_t)m->stored_bytes && bytes_le32(p + 8) == (uint32_t)m->bytes
                       : bytes_le64(p + 4) == m->stored_bytes && bytes_le64(p + 12) == m->bytes);
}

/* Bytes of the descriptor among the n at p, which stand before something else; 0: there is none. */
static size_t descriptor_length(zip_reader *r, const zip_member *m, const unsigned char *p, size_t n)
{
    size_t marked = n >= 4 && memcmp(p, "PK\7\10", 4) == 0 ? 4 : 0;
    for (size_t width = 8; width >= 4; width -= 4)
        if (n >= marked + 4 + 2 * width && sizes_match(p + marked, width, m))
            return marked + 4 + 2 * width;
    if (!marked || n < 16)
        return 0;
    differs(r, m, "data descriptor");
    return n == LONGEST_DESCRIPTOR ? LONGEST_DESCRIPTOR : 16;
}

/* Bytes [c->end, begin) are nobody's but for the descriptor. head: their first n bytes */
static lora_code pass_gap(cover *c, uint64_t begin, const unsigned char *head, size_t n)
{
    uint64_t end = c->end, from = end;
    if (c->descriptor)
        from += descriptor_length(c->r, c->last, head, n);
    c->descriptor = false;
    if (begin > end)
        c->end = begin; /* met, even if nothing is found there that owns what follows */
    if (from >= begin)
        return LORA_OK;
    const char *where = c->r->code == LORA_E_ZIP || c->r->code == LORA_E_TOO_MANY ? NULL
                        : end == 0                                                ? "before the first member"
                        : begin == c->r->f->size                                  ? "behind the end of the archive"
                        : end == c->r->directory_end                              ? "behind the directory"
                        : begin == c->r->directory_at                             ? "before the directory"
                                                                                  : "between members";
    return zip_hide(c->r, from, begin, where);
}

/* The same, where the bytes have not been read yet. */
static lora_code reach(cover *c, uint64_t begin)
{
    unsigned char head[LONGEST_DESCRIPTOR];
    if (begin <= c->end)
        return LORA_OK;
    size_t n = !c->descriptor ? 0 : begin - c->end < sizeof head ? (size_t)(begin - c->end) : sizeof head;
    lora_code code = n ? file_read_at(c->r->f, c->end, head, n, c->r->err) : LORA_OK;
    return code == LORA_OK ? pass_gap(c, begin, head, n) : code;
}

/* ---- a local header ---- */

/* Is the 32-bit size of a local header, or the zip64 one behind it, that of the directory? With bit 3 it may be zero. */
static bool size_agrees(uint32_t size, uint64_t wanted, bool may_be_zero, const unsigned char *extra, size_t n, size_t *at)
{
    uint64_t value = size;
    if (size == UINT32_MAX && wanted != UINT32_MAX && !zip_zip64_value(extra, n, at, &value))
        return may_be_zero;
    return value == wanted || (may_be_zero && value == 0);
}

/* p: the local header and n - ZIP_LOCAL_BYTES bytes behind it */
static void compare(zip_reader *r, size_t i, const unsigned char *p, size_t n)
{
    const zip_member *m = &r->members[i];
    const zip_entry *e = &r->entries[i];
    uint16_t flags = bytes_le16(p + 6);
    size_t name_length = bytes_le16(p + 26), extra_length = bytes_le16(p + 28), at = 0;
    bool late = (flags & ZIP_FLAG_DESCRIPTOR) != 0;
    text_quote l;
    if (name_length != e->name_length || memcmp(p + ZIP_LOCAL_BYTES, e->name, name_length) != 0)
        differs(r, m, "name");
    if (bytes_le16(p + 8) != e->method)
        differs(r, m, "method");
    if ((flags & ZIP_FLAGS_ENCRYPTED) != (e->flags & ZIP_FLAGS_ENCRYPTED))
        zip_note(r->seen, SEEN_ARCHIVE_ENCRYPTED, m->local_offset, m->name,
                 "member %s is flagged as encrypted in only one of its headers (local flags %#06" PRIx16 ")",
                 text_quoted(&l, m->name), flags);
    if (bytes_le32(p + 14) != m->crc && !(late && bytes_le32(p + 14) == 0))
        differs(r, m, "CRC-32");
    size_t seen = n - ZIP_LOCAL_BYTES > name_length ? n - ZIP_LOCAL_BYTES - name_length : 0;
    seen = seen < extra_length ? seen : extra_length;
    const unsigned char *extra = seen ? p + ZIP_LOCAL_BYTES + name_length : p;
    if (!size_agrees(bytes_le32(p + 22), m->bytes, late, extra, seen, &at) ||
        !size_agrees(bytes_le32(p + 18), m->stored_bytes, late, extra, seen, &at))
        differs(r, m, "size");
}

/* A member whose data cannot be had is left with none. */
static void lose(zip_reader *r, size_t i, const char *why)
{
    text_quote l;
    zip_member *m = &r->members[i];
    lora_code code = lora_fail_at(&r->broken, LORA_E_ZIP_MEMBER, m->local_offset, "member %s: %s", text_quoted(&l, m->name), why);
    if (r->code == LORA_OK)
        r->code = code;
    r->entries[i].lost = true;
    m->data_offset = m->stored_bytes = m->bytes = 0;
}

/* The local header at p, n bytes of it and what follows; makes the member the last owner. */
static void own(cover *c, size_t i, const unsigned char *p, size_t n)
{
    zip_reader *r = c->r;
    zip_member *m = &r->members[i];
    text_quote a, b;
    uint64_t size = r->f->size;
    if (n < ZIP_LOCAL_BYTES || memcmp(p, ZIP_LOCAL_MARK, 4) != 0) {
        lose(r, i, "there is no local header where the directory says");
        return;
    }
    m->data_offset = m->local_offset + ZIP_LOCAL_BYTES + bytes_le16(p + 26) + bytes_le16(p + 28);
    if (m->data_offset > size || m->stored_bytes > size - m->data_offset) {
        lose(r, i, "its bytes reach behind the end of the file");
        return;
    }
    if (n < (size_t)ZIP_LOCAL_BYTES + r->entries[i].name_length)
        differs(r, m, "name");
    else
        compare(r, i, p, n);
    if (m->local_offset < c->end)
        zip_note(r->seen, SEEN_ARCHIVE_CONFLICT, m->local_offset, m->name, "member %s begins inside of %s",
                 text_quoted(&a, m->name), c->last ? text_quoted(&b, c->last->name) : "the directory");
    uint64_t end = m->data_offset + m->stored_bytes;
    if (end < c->end)
        return;
    c->end = end;
    c->last = m;
    c->descriptor = ((r->entries[i].flags | bytes_le16(p + 6)) & ZIP_FLAG_DESCRIPTOR) != 0;
}

static lora_code meet_member(cover *c, size_t i)
{
    zip_reader *r = c->r;
    uint64_t begin = r->members[i].local_offset, gap = begin > c->end ? begin - c->end : 0;
    bool together = c->descriptor && gap <= LONGEST_DESCRIPTOR;
    lora_code code = together ? LORA_OK : reach(c, begin);
    if (code != LORA_OK)
        return code;
    size_t lead = together ? (size_t)gap : 0, want = lead + ZIP_LOCAL_BYTES + r->entries[i].name_length + EXTRA_SEEN;
    uint64_t from = begin - lead;
    size_t n = r->f->size - from < want ? (size_t)(r->f->size - from) : want;
    const unsigned char *p;
    code = window_read(&r->headers, from, n, &p, r->err);
    if (code == LORA_OK && lead)
        code = pass_gap(c, begin, p, lead);
    if (code == LORA_OK)
        own(c, i, p + lead, n - lead);
    return code;
}

/* ---- the whole file ---- */

/* The directory and the end records own bytes like members do; a member may not lie across them. */
static lora_code meet_directory(cover *c, uint64_t begin, uint64_t end)
{
    text_quote l;
    if (begin == end)
        return LORA_OK;
    if (begin < c->end)
        zip_note(c->r->seen, SEEN_ARCHIVE_CONFLICT, begin, NULL, "the directory begins inside of %s",
                 c->last ? text_quoted(&l, c->last->name) : "itself");
    lora_code code = reach(c, begin);
    c->descriptor = false;
    c->last = NULL;
    if (end > c->end)
        c->end = end;
    return code;
}

/* All that lies in the file, in its order. */
static lora_code cover_file(zip_reader *r, const place *places, size_t n)
{
    const zip_end *e = &r->end;
    const uint64_t parts[][2] = {{r->directory_at, r->directory_end}, {e->begin, e->begin_end}, {e->last, e->end}};
    enum { N_PARTS = sizeof parts / sizeof parts[0] };
    cover c = {.r = r};
    lora_code code = LORA_OK;
    size_t k = 0, part = 0;
    while (code == LORA_OK && (k < n || part < N_PARTS)) {
        if (part == N_PARTS || (k < n && places[k].at < parts[part][0])) {
            code = meet_member(&c, places[k++].i);
            continue;
        }
        code = meet_directory(&c, parts[part][0], parts[part][1]);
        if (++part == N_PARTS && code == LORA_OK)
            code = zip_hide_comment(r);
    }
    return code == LORA_OK ? reach(&c, r->f->size) : code;
}

lora_code zip_read_locals(zip_reader *r)
{
    place *places = malloc((r->n + 1) * sizeof *places);
    if (!places)
        return lora_fail(r->err, LORA_E_MEMORY, "no memory for the places of %zu members", r->n);
    size_t n = 0;
    bool sorted = true;
    for (size_t i = 0; i < r->n; i++) {
        if (r->entries[i].lost) {
            zip_member *m = &r->members[i];
            m->local_offset = m->data_offset = m->stored_bytes = m->bytes = 0;
            continue;
        }
        places[n] = (place){r->members[i].local_offset, i};
        sorted = sorted && (n == 0 || by_place(&places[n - 1], &places[n]) < 0);
        n++;
    }
    if (!sorted)
        qsort(places, n, sizeof *places, by_place);
    lora_code code = cover_file(r, places, n);
    free(places);
    return code;
}
