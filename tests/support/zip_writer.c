/* zip_writer.c - zip archives made in memory. Layout: PKWARE APPNOTE 6.3.10, and what torch.save writes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/zip_writer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void *grown(void *p, size_t n)
{
    p = realloc(p, n + 1);
    if (!p)
        abort();
    return p;
}

static void append(unsigned char **to, size_t *n, const void *bytes, size_t count)
{
    *to = grown(*to, *n + count);
    if (count)
        memcpy(*to + *n, bytes, count);
    *n += count;
}

static void put(unsigned char **to, size_t *n, uint64_t value, size_t width)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    append(to, n, bytes, width);
}

void zip_writer_bytes(zip_writer *w, const void *bytes, size_t n)
{
    append(&w->bytes, &w->n, bytes, n);
}

static void local(zip_writer *w, uint64_t value, size_t width)
{
    put(&w->bytes, &w->n, value, width);
}

static void central(zip_writer *w, uint64_t value, size_t width)
{
    put(&w->directory, &w->directory_bytes, value, width);
}

static unsigned char *deflated(const void *data, size_t n, size_t *stored)
{
    z_stream z = {0};
    if (deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    uLong bound = deflateBound(&z, (uLong)n);
    unsigned char *out = grown(NULL, bound);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)bound;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    *stored = z.total_out;
    deflateEnd(&z);
    return out;
}

/* What both headers begin with. */
typedef struct {
    uint16_t flags, method;
    uint32_t crc;
    uint64_t stored, bytes;
} facts;

static void local_header(zip_writer *w, const zip_made *m, const facts *f, size_t name_bytes)
{
    bool late = m->torch || m->descriptor;
    const char *name = m->local_name ? m->local_name : m->name;
    size_t length = m->local_name ? strlen(m->local_name) : name_bytes, begin = w->n;
    size_t extra = m->wide && !late ? 20 : 0, padding = 0;
    if (m->torch) {
        padding = (64 - (begin + 30 + length + 4) % 64) % 64;
        extra = 4 + padding;
    }
    local(w, 0x04034b50, 4);
    local(w, m->torch ? 0 : 20, 2);
    local(w, (uint16_t)(f->flags | m->local_flags), 2);
    local(w, f->method ^ m->local_method, 2);
    local(w, 0, 4);
    local(w, late ? 0 : f->crc ^ m->local_crc, 4);
    local(w, late ? 0 : m->wide ? UINT32_MAX : f->stored, 4);
    local(w, late ? (uint64_t)m->local_bytes : m->wide ? UINT32_MAX : f->bytes + (uint64_t)m->local_bytes, 4);
    local(w, length, 2);
    local(w, extra, 2);
    append(&w->bytes, &w->n, name, length);
    if (m->torch) {
        local(w, 'F' | 'B' << 8, 2);
        local(w, padding, 2);
        for (size_t i = 0; i < padding; i++)
            local(w, 'Z', 1);
    } else if (extra) {
        local(w, 1, 2);
        local(w, 16, 2);
        local(w, f->bytes + (uint64_t)m->local_bytes, 8);
        local(w, f->stored, 8);
    }
}

static void central_header(zip_writer *w, const zip_made *m, const facts *f, size_t begin, size_t name_bytes)
{
    uint64_t stored = f->stored + (uint64_t)m->stored, bytes = f->bytes + (uint64_t)m->bytes;
    uint64_t offset = begin - w->base + (uint64_t)m->offset;
    central(w, 0x02014b50, 4);
    central(w, 0, 4);
    central(w, (uint16_t)(f->flags | m->flags), 2);
    central(w, f->method ^ m->method, 2);
    central(w, 0, 4);
    central(w, f->crc ^ m->crc, 4);
    central(w, m->wide ? UINT32_MAX : stored, 4);
    central(w, m->wide ? UINT32_MAX : bytes, 4);
    central(w, name_bytes, 2);
    central(w, m->extra_bytes + (m->wide ? 28 : 0), 2);
    central(w, 0, 8);
    central(w, 0, 2);
    central(w, m->wide ? UINT32_MAX : offset, 4);
    append(&w->directory, &w->directory_bytes, m->name, name_bytes);
    if (m->wide) {
        central(w, 1, 2);
        central(w, 24, 2);
        central(w, bytes, 8);
        central(w, stored, 8);
        central(w, offset, 8);
    }
    append(&w->directory, &w->directory_bytes, m->extra, m->extra_bytes);
    w->n_members++;
}

void zip_writer_member(zip_writer *w, const zip_made *m)
{
    size_t name_bytes = m->name_bytes ? m->name_bytes : strlen(m->name), begin = w->n, stored = m->n;
    unsigned char *packed = m->deflate ? deflated(m->data, m->n, &stored) : NULL;
    bool late = m->torch || m->descriptor;
    facts f = {.flags = (uint16_t)((late ? 0x8 : 0) | (m->torch ? 0x800 : 0)), .method = m->deflate ? 8 : 0,
               .crc = (uint32_t)crc32(0, m->n ? m->data : (const void *)"", (uInt)m->n), .stored = stored, .bytes = m->n};
    local_header(w, m, &f, name_bytes);
    append(&w->bytes, &w->n, packed ? packed : m->data, stored);
    if (late) {
        if (!m->bare)
            local(w, 0x08074b50, 4);
        local(w, f.crc ^ m->descriptor_crc, 4);
        local(w, f.stored, m->wide ? 8 : 4);
        local(w, f.bytes, m->wide ? 8 : 4);
    }
    central_header(w, m, &f, begin, name_bytes);
    free(packed);
}

void zip_writer_add(zip_writer *w, const char *name, const void *data, size_t n)
{
    zip_writer_member(w, &(zip_made){.name = name, .data = data, .n = n});
}

void zip_writer_end(zip_writer *w, const zip_ending *e)
{
    static const zip_ending plain = {0};
    e = e ? e : &plain;
    uint64_t at = w->n - w->base, bytes = w->directory_bytes, n = w->n_members;
    append(&w->bytes, &w->n, w->directory, w->directory_bytes);
    for (size_t i = 0; i < e->apart; i++)
        local(w, 0, 1);
    if (e->zip64) {
        uint64_t record = w->n - w->base + (uint64_t)e->record;
        local(w, 0x06064b50, 4);
        local(w, 44, 8);
        local(w, 0x002d001e, 4);
        local(w, e->disk, 4);
        local(w, 0, 4);
        local(w, n, 8);
        local(w, n, 8);
        local(w, bytes, 8);
        local(w, at, 8);
        for (size_t i = 0; i < e->record_apart; i++)
            local(w, 0, 1);
        local(w, 0x07064b50, 4);
        local(w, 0, 4);
        local(w, record, 8);
        local(w, 1, 4);
    }
    local(w, 0x06054b50, 4);
    local(w, e->disk, 2);
    local(w, 0, 2);
    local(w, e->large ? UINT16_MAX : n + (uint64_t)e->count, 2);
    local(w, e->large ? UINT16_MAX : n + (uint64_t)e->count, 2);
    local(w, e->large ? UINT32_MAX : bytes + (uint64_t)e->bytes, 4);
    local(w, e->large ? UINT32_MAX : at + (uint64_t)e->offset, 4);
    local(w, e->comment_bytes, 2);
    append(&w->bytes, &w->n, e->comment, e->comment_bytes);
}

void zip_writer_free(zip_writer *w)
{
    free(w->bytes);
    free(w->directory);
    *w = (zip_writer){0};
}
