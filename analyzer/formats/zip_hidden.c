/* zip_hidden.c - bytes of an archive that belong to no listed member.
 *
 * They are read once, in pieces, and searched for the marks of local headers. A stretch begins at each header found, and
 * at the first byte if none is there. Headers may lie, so a stretch reaches to the next header even where its own header
 * says less, and beyond it where it says more.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/zip_parts.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_BYTES = 4, MOST_STRETCHES = 65536, NAME_BYTES = 120 };

typedef struct {
    uint64_t begin, end;
    size_t first;     /* stretch of this range */
    size_t n_headers; /* all that were seen */
    bool any;         /* a byte that is not zero */
    bool archive;     /* marks of a directory */
} range;

static zip_member *add_stretch(zip_reader *r)
{
    if (r->n_hidden == r->hidden_capacity) {
        size_t capacity = r->hidden_capacity ? 2 * r->hidden_capacity : 8;
        zip_member *grown = realloc(r->hidden, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        r->hidden = grown;
        r->hidden_capacity = capacity;
    }
    zip_member *m = &r->hidden[r->n_hidden++];
    *m = (zip_member){0};
    return m;
}

static lora_code no_memory(zip_reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "no memory for the hidden bytes of an archive");
}

/* The stretch before `at` ends there, if its header does not say that it is longer. */
static void end_stretch(zip_reader *r, const range *g, uint64_t at)
{
    if (r->n_hidden == g->first)
        return;
    zip_member *m = &r->hidden[r->n_hidden - 1];
    uint64_t to_here = at > m->data_offset ? at - m->data_offset : 0;
    if (m->stored_bytes < to_here)
        m->stored_bytes = to_here;
    if (m->stored_bytes > g->end - m->data_offset)
        m->stored_bytes = g->end - m->data_offset;
    m->bytes = m->stored_bytes;
}

/* The local header at `at`. A mark with no room for a header behind it is none. */
static lora_code add_header(zip_reader *r, range *g, uint64_t at)
{
    unsigned char header[ZIP_LOCAL_BYTES + NAME_BYTES];
    if (g->end - at < ZIP_LOCAL_BYTES)
        return LORA_OK;
    g->n_headers++;
    if (r->n_hidden >= MOST_STRETCHES)
        return LORA_OK;
    size_t n = g->end - at < sizeof header ? (size_t)(g->end - at) : sizeof header;
    lora_code code = file_read_at(r->f, at, header, n, r->err);
    if (code != LORA_OK)
        return code;
    end_stretch(r, g, at);
    size_t name_length = bytes_le16(header + 26), kept = n - ZIP_LOCAL_BYTES;
    uint64_t data = at + ZIP_LOCAL_BYTES + name_length + bytes_le16(header + 28);
    kept = name_length < kept ? name_length : kept;
    zip_member *m = add_stretch(r);
    char *name = m ? arena_strndup(r->mem, (const char *)header + ZIP_LOCAL_BYTES, kept) : NULL;
    if (!name)
        return no_memory(r);
    for (size_t i = 0; i < kept;) {
        i += text_utf8_invalid(name + i, kept - i);
        if (i < kept)
            name[i++] = '?';
    }
    uint32_t size = bytes_le32(header + 18);
    *m = (zip_member){.name = name, .entry_offset = at, .local_offset = at, .data_offset = data < g->end ? data : g->end,
                      .stored_bytes = size == UINT32_MAX ? 0 : size, .crc = bytes_le32(header + 14),
                      .deflated = bytes_le16(header + 8) == ZIP_METHOD_DEFLATED};
    return LORA_OK;
}

/* Bytes without a header at the beginning of the range, until end_stretch. */
static lora_code begin_plain(zip_reader *r, const range *g)
{
    if (r->n_hidden >= MOST_STRETCHES)
        return LORA_OK;
    zip_member *m = add_stretch(r);
    if (!m)
        return no_memory(r);
    m->entry_offset = m->local_offset = m->data_offset = g->begin;
    return LORA_OK;
}

static bool all_zero(const unsigned char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* The marks that begin in the first n of the `have` bytes of r->piece, which stand at `at`. */
static lora_code search_piece(zip_reader *r, range *g, uint64_t at, size_t n, size_t have)
{
    const unsigned char *p = r->piece;
    lora_code code = LORA_OK;
    for (size_t i = 0; code == LORA_OK && i < n; i++) {
        const unsigned char *found = memchr(p + i, 'P', n - i);
        if (!found)
            break;
        i = (size_t)(found - p);
        if (have - i < MARK_BYTES || p[i + 1] != 'K')
            continue;
        if (memcmp(p + i, ZIP_LOCAL_MARK, MARK_BYTES) == 0)
            code = add_header(r, g, at + i);
        else if (memcmp(p + i, ZIP_CENTRAL_MARK, MARK_BYTES) == 0 || memcmp(p + i, ZIP_END_MARK, MARK_BYTES) == 0)
            g->archive = true;
    }
    return code;
}

/* Marks that lie across two pieces are found because pieces overlap by a mark less a byte. */
static lora_code search(zip_reader *r, range *g)
{
    if (!r->piece)
        r->piece = malloc(ZIP_PIECE_BYTES);
    lora_code code = r->piece ? LORA_OK : no_memory(r);
    for (uint64_t at = g->begin; code == LORA_OK && at < g->end;) {
        size_t have = g->end - at < ZIP_PIECE_BYTES ? (size_t)(g->end - at) : ZIP_PIECE_BYTES;
        bool last = g->end - at == have;
        size_t n = last ? have : have - (MARK_BYTES - 1);
        code = file_read_at(r->f, at, r->piece, have, r->err);
        if (code == LORA_OK && at == g->begin && !(have >= ZIP_LOCAL_BYTES && memcmp(r->piece, ZIP_LOCAL_MARK, MARK_BYTES) == 0))
            code = begin_plain(r, g);
        g->any |= code == LORA_OK && !all_zero(r->piece, have);
        if (code == LORA_OK)
            code = search_piece(r, g, at, n, have);
        at += n;
    }
    if (code == LORA_OK)
        end_stretch(r, g, g->end);
    return code;
}

lora_code zip_hide(zip_reader *r, uint64_t begin, uint64_t end, const char *where)
{
    range g = {.begin = begin, .end = end, .first = r->n_hidden};
    lora_code code = search(r, &g);
    if (code != LORA_OK)
        return code;
    if (!g.any) {
        r->n_hidden = g.first;
        return LORA_OK;
    }
    if (where && g.n_headers)
        zip_note(r->seen, SEEN_ARCHIVE_HIDDEN, begin, NULL,
                 "%" PRIu64 " bytes %s, at byte %" PRIu64 ", belong to no member; they hold %zu local headers%s", end - begin,
                 where, begin, g.n_headers, g.archive ? " and a directory: another archive" : "");
    else if (where)
        zip_note(r->seen, SEEN_ARCHIVE_HIDDEN, begin, NULL, "%" PRIu64 " bytes %s, at byte %" PRIu64 ", belong to no member%s",
                 end - begin, where, begin, g.archive ? "; they hold an archive's directory" : "");
    return LORA_OK;
}

lora_code zip_hide_comment(zip_reader *r)
{
    range g = {.begin = r->end.comment, .end = r->end.end, .first = r->n_hidden};
    if (g.begin >= g.end)
        return LORA_OK;
    lora_code code = search(r, &g);
    if (code == LORA_OK && (g.n_headers || g.archive))
        observe(r->seen, SEEN_ARCHIVE_HIDDEN, g.begin, NULL,
                "the archive's comment of %" PRIu64 " bytes holds the headers of another archive", g.end - g.begin);
    return code;
}
