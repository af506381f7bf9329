/* zip_load.c - the bytes of a member.
 *
 * Memory for a deflated member grows with what inflation gives, never with what the directory claims.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/zip_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FIRST_BYTES = 16384, IN_BYTES = 16384 };

static lora_code no_memory(const zip_member *m, lora_error *err)
{
    text_quote l;
    return lora_fail(err, LORA_E_MEMORY, "no memory for the archive's member %s", text_quoted(&l, m->name));
}

/* Bytes as they come, one beyond the end kept free for a NUL. */
typedef struct {
    unsigned char *bytes;
    size_t n, room;
    bool dropped; /* what came is not kept */
} growing;

static bool grow(growing *g, uint64_t limit)
{
    if (g->n < g->room)
        return true;
    uint64_t room = g->room ? 2 * (uint64_t)g->room : FIRST_BYTES;
    room = room < limit ? room : limit;
    unsigned char *grown = room < SIZE_MAX ? realloc(g->bytes, (size_t)room + 1) : NULL;
    if (!grown)
        return false;
    g->bytes = grown;
    g->room = (size_t)room;
    return true;
}

/* At most limit bytes of what m inflates to, in g. *used: stored bytes until the end of the stream; 0 when it
 * did not come to its end. A broken stream is no error here. */
static lora_code inflate_some(const file *f, const zip_member *m, uint64_t limit, growing *g, uint64_t *used, lora_error *err)
{
    z_stream z = {0};
    unsigned char in[IN_BYTES];
    *used = 0;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return no_memory(m, err);
    lora_code code = LORA_OK;
    uint64_t read = 0, n = 0;
    int state = Z_OK;
    while (state == Z_OK && n < limit) {
        if (z.avail_in == 0 && read < m->stored_bytes) {
            size_t piece = m->stored_bytes - read < sizeof in ? (size_t)(m->stored_bytes - read) : sizeof in;
            if ((code = file_read_at(f, m->data_offset + read, in, piece, err)) != LORA_OK)
                break;
            z.next_in = in;
            z.avail_in = (uInt)piece;
            read += piece;
        }
        if (!grow(g, limit)) {
            code = no_memory(m, err);
            break;
        }
        uint64_t room = g->room - g->n;
        room = room < limit - n ? room : limit - n;
        room = room < 1u << 30 ? room : 1u << 30;
        z.next_out = g->bytes + g->n;
        z.avail_out = (uInt)room;
        state = inflate(&z, Z_NO_FLUSH); /* Z_BUF_ERROR when the input has ended before the stream */
        n += room - z.avail_out;
        g->n = g->dropped ? 0 : (size_t)n;
    }
    if (state == Z_STREAM_END)
        *used = read - z.avail_in;
    inflateEnd(&z);
    return code;
}

static lora_code read_stored(const file *f, const zip_member *m, uint64_t n, growing *g, lora_error *err)
{
    g->bytes = n < SIZE_MAX ? malloc((size_t)n + 1) : NULL;
    if (!g->bytes)
        return no_memory(m, err);
    g->n = (size_t)n;
    return file_read_at(f, m->data_offset, g->bytes, g->n, err);
}

lora_code zip_load_some(const file *f, const zip_member *m, uint64_t limit, unsigned char **bytes, size_t *n, lora_error *err)
{
    growing g = {0};
    uint64_t used;
    lora_code code = m->deflated ? inflate_some(f, m, limit, &g, &used, err)
                                 : read_stored(f, m, m->stored_bytes < limit ? m->stored_bytes : limit, &g, err);
    if (code == LORA_OK && !g.bytes && !grow(&g, 1)) /* nothing came */
        code = no_memory(m, err);
    if (code != LORA_OK) {
        free(g.bytes);
        return code;
    }
    g.bytes[g.n] = 0;
    *bytes = g.bytes;
    *n = g.n;
    return LORA_OK;
}

static lora_code inflate_all(const file *f, const zip_member *m, uint64_t limit, growing *g, lora_error *err)
{
    text_quote l;
    uint64_t used;
    lora_code code = inflate_some(f, m, m->bytes + 1, g, &used, err);
    if (code != LORA_OK || (used && g->n == m->bytes))
        return code;
    if (g->n > limit)
        return lora_fail_at(err, LORA_E_INFLATES_TOO_LARGE, m->data_offset,
                            "member %s inflates to more than the limit of %" PRIu64 " bytes",
                            text_quoted(&l, m->name), limit);
    const char *how = used ? "it has" : g->n > m->bytes ? "it has at least" : "it breaks after";
    return lora_fail_at(err, LORA_E_INFLATE, m->data_offset,
                        "member %s does not inflate to the %" PRIu64 " bytes of the directory: %s %zu", text_quoted(&l, m->name),
                        m->bytes, how, g->n);
}

static uint32_t crc_of(const unsigned char *p, size_t n)
{
    uLong crc = 0;
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = n - at < 1u << 30 ? n - at : 1u << 30;
        crc = crc32(crc, p + at, (uInt)piece);
    }
    return (uint32_t)crc;
}

void zip_check(const zip_member *m, const unsigned char *bytes, size_t n, observations *seen)
{
    text_quote l;
    uint32_t crc = n == m->bytes ? crc_of(bytes, n) : m->crc;
    if (crc != m->crc)
        observe(seen, SEEN_CHECKSUM, m->data_offset, m->name,
                "member %s has the CRC-32 %08" PRIx32 ", its directory says %08" PRIx32, text_quoted(&l, m->name), crc, m->crc);
}

lora_code zip_load(const file *f, const zip_member *m, uint64_t limit, observations *seen, unsigned char **bytes,
                   lora_error *err)
{
    text_quote l;
    growing g = {0};
    if (m->bytes > limit)
        return lora_fail_at(err, LORA_E_INFLATES_TOO_LARGE, m->entry_offset,
                            "member %s has %" PRIu64 " bytes, the limit is %" PRIu64, text_quoted(&l, m->name), m->bytes, limit);
    lora_code code = m->deflated ? inflate_all(f, m, limit, &g, err) : read_stored(f, m, m->bytes, &g, err);
    if (code != LORA_OK) {
        free(g.bytes);
        return code;
    }
    g.bytes[g.n] = 0;
    zip_check(m, g.bytes, g.n, seen);
    *bytes = g.bytes;
    return LORA_OK;
}

lora_code zip_tail(const file *f, const zip_member *m, uint64_t limit, zip_member *tail, lora_error *err)
{
    growing g = {.dropped = true};
    uint64_t used = 0;
    lora_code code = m->deflated ? inflate_some(f, m, limit, &g, &used, err) : LORA_OK;
    free(g.bytes);
    if (code != LORA_OK)
        return code;
    uint64_t at = used ? m->data_offset + used : 0, n = used ? m->stored_bytes - used : 0;
    *tail = (zip_member){.entry_offset = at, .local_offset = at, .data_offset = at, .stored_bytes = n, .bytes = n};
    return LORA_OK;
}

tensor_storage *zip_storage(const zip_member *m, arena *mem)
{
    tensor_storage *s = arena_alloc(mem, 1, sizeof *s);
    if (s)
        *s = (tensor_storage){.offset = m->data_offset, .stored_bytes = m->stored_bytes, .bytes = m->bytes,
                              .deflated = m->deflated, .has_crc = true, .crc = m->crc};
    return s;
}
