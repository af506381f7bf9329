/* zip.c - the central directory of an archive, and the names in it. Contract in zip.h, the other files in zip_parts.h.
 *
 * The directory is read whole; it is parsed until its bytes end, as zipfile does, and not only as many entries as the end
 * record counts, as miniz does: where they differ it is a conflict. Memory: the directory, and 120 bytes and the name of
 * each entry that is really there (an entry takes 46 bytes of the file).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/zip_parts.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/distinct.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEFLATE_RATIO = 1032, DEFLATE_SLACK = 64 }; /* a bit of a block gives at most 258 bytes, twice 4 bits a symbol */

/* Keeps the first code, as r->broken keeps the first message. */
static void wrong(zip_reader *r, lora_code code)
{
    if (r->code == LORA_OK)
        r->code = code;
}

/* ---- the directory's bytes ---- */

/* The length of the entry at p, of which n bytes remain; 0 when it is none. */
static size_t entry_length(const unsigned char *p, uint64_t n)
{
    if (n < ZIP_CENTRAL_BYTES || memcmp(p, ZIP_CENTRAL_MARK, 4) != 0)
        return 0;
    size_t length = (size_t)ZIP_CENTRAL_BYTES + bytes_le16(p + 28) + bytes_le16(p + 30) + bytes_le16(p + 32);
    return length <= n ? length : 0;
}

/* How many entries there are, and where they end. */
static void count_entries(zip_reader *r, uint64_t bytes)
{
    uint64_t at = 0;
    while (at < bytes) {
        size_t length = entry_length(r->directory + at, bytes - at);
        if (length == 0) {
            wrong(r, lora_fail_at(&r->broken, LORA_E_ZIP, r->directory_at + at,
                                  "the directory breaks at byte %" PRIu64 ", behind %zu entries", r->directory_at + at, r->n));
            break;
        }
        if (r->n == LIMIT_ZIP_MEMBERS) {
            wrong(r, lora_fail_at(&r->broken, LORA_E_TOO_MANY, r->directory_at + at, "the archive has more than %u members",
                                  LIMIT_ZIP_MEMBERS));
            break;
        }
        r->n++;
        at += length;
    }
    r->directory_end = r->directory_at + at;
    if (r->code == LORA_OK && r->n != r->end.n)
        observe(r->seen, SEEN_ARCHIVE_CONFLICT, r->directory_at, NULL,
                "the end record counts %" PRIu64 " members, the directory has %zu", r->end.n, r->n);
}

static lora_code load_directory(zip_reader *r)
{
    uint64_t bytes = r->end.bytes;
    r->directory_at = r->directory_end = r->end.offset + r->end.shift;
    if (bytes > LIMIT_HEADER_BYTES) {
        wrong(r, lora_fail_at(&r->broken, LORA_E_ZIP, r->directory_at,
                              "a directory of %" PRIu64 " bytes exceeds the limit of %u", bytes, LIMIT_HEADER_BYTES));
        return LORA_OK;
    }
    r->directory = malloc((size_t)bytes + 1);
    if (!r->directory)
        return lora_fail(r->err, LORA_E_MEMORY, "no memory for a directory of %" PRIu64 " bytes", bytes);
    lora_code code = file_read_at(r->f, r->directory_at, r->directory, (size_t)bytes, r->err);
    if (code == LORA_OK)
        count_entries(r, bytes);
    return code;
}

/* ---- names ---- */

/* No byte that clean_name or escapes would have to look at, but for '/' and ':'. */
static bool is_plain(const unsigned char *name, size_t n)
{
    unsigned odd = 0;
    for (size_t i = 0; i < n; i++)
        odd |= (unsigned)(name[i] - 0x20u >= 0x5fu) | (unsigned)(name[i] == '\\');
    return !odd;
}

/* A copy whose NULs and bytes that are no UTF-8 are '?'. */
static char *clean_name(arena *mem, const unsigned char *name, size_t n)
{
    char *copy = arena_strndup(mem, (const char *)name, n);
    if (is_plain(name, n))
        return copy;
    for (size_t at = 0; copy && at < n; at++) {
        at += text_utf8_invalid(copy + at, n - at);
        if (at < n)
            copy[at] = '?';
    }
    for (size_t at = 0; copy && at < n; at++)
        if (copy[at] == '\0')
            copy[at] = '?';
    return copy;
}

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What a name does that no checkpoint's does; NULL when nothing. */
static const char *escapes(const unsigned char *s, size_t n)
{
    size_t odd = is_plain(s, n) ? 0 : n;
    for (size_t i = 0; i < odd; i++) {
        if (s[i] < 0x20 || s[i] == 0x7f)
            return "holds a control character";
        if (s[i] == '\\')
            return "holds a backslash";
    }
    if (n > 0 && s[0] == '/')
        return "is an absolute path";
    if (n > 1 && is_letter(s[0]) && s[1] == ':')
        return "begins with a drive letter";
    for (size_t start = 0; start < n; start++) {
        const unsigned char *slash = memchr(s + start, '/', n - start);
        size_t end = slash ? (size_t)(slash - s) : n;
        if (end - start == 2 && s[start] == '.' && s[start + 1] == '.')
            return "leads out of its folder";
        start = end;
    }
    return NULL;
}

typedef struct {
    uint64_t hash;
    const zip_member *m;
} name_key;

static int by_name(const void *left, const void *right)
{
    const name_key *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int order = strcmp(a->m->name, b->m->name);
    return order ? order : a->m->entry_offset < b->m->entry_offset ? -1 : a->m->entry_offset > b->m->entry_offset;
}

static lora_code check_names(zip_reader *r)
{
    text_quote l;
    for (size_t i = 0; i < r->n; i++) {
        const char *how = escapes(r->entries[i].name, r->entries[i].name_length);
        if (how)
            zip_note(r->seen, SEEN_ARCHIVE_TRAVERSAL, r->members[i].entry_offset, r->members[i].name, "the name %s %s",
                     text_quoted(&l, r->members[i].name), how);
    }
    if (r->n < 2)
        return LORA_OK;
    name_key *keys = malloc(r->n * sizeof *keys);
    for (size_t i = 0; keys && i < r->n; i++)
        keys[i] = (name_key){text_hash(r->members[i].name), &r->members[i]};
    bool distinct;
    if (!keys || !distinct_hashes(&keys->hash, r->n, sizeof *keys, &distinct)) {
        free(keys);
        return lora_fail(r->err, LORA_E_MEMORY, "no memory to compare the names of %zu members", r->n);
    }
    size_t n = distinct ? 0 : r->n; /* of keys to compare */
    if (n)
        qsort(keys, n, sizeof *keys, by_name);
    for (size_t i = 1; i < n; i++)
        if (keys[i].hash == keys[i - 1].hash && strcmp(keys[i].m->name, keys[i - 1].m->name) == 0)
            zip_note(r->seen, SEEN_ARCHIVE_CONFLICT, keys[i].m->entry_offset, keys[i].m->name,
                     "two members are named %s: readers differ in which they take", text_quoted(&l, keys[i].m->name));
    free(keys);
    return LORA_OK;
}

/* ---- entries ---- */

bool zip_zip64_value(const unsigned char *extra, size_t n, size_t *at, uint64_t *value)
{
    for (size_t i = 0; i + 4 <= n;) {
        size_t length = bytes_le16(extra + i + 2);
        if (length > n - i - 4)
            return false;
        if (bytes_le16(extra + i) == ZIP_EXTRA_ZIP64) {
            if (*at + 8 > length)
                return false;
            *value = bytes_le64(extra + i + 4 + *at);
            *at += 8;
            return true;
        }
        i += 4 + length;
    }
    return false;
}

/* Info-ZIP's second name, which newer readers take instead of the first. */
static void check_unicode_name(zip_reader *r, const zip_entry *e, const zip_member *m, const unsigned char *extra, size_t n)
{
    for (size_t i = 0; i + 4 <= n;) {
        size_t length = bytes_le16(extra + i + 2);
        if (length > n - i - 4)
            return;
        text_quote l;
        if (bytes_le16(extra + i) == ZIP_EXTRA_UNICODE_NAME && length >= 5 &&
            (length - 5 != e->name_length || memcmp(extra + i + 9, e->name, e->name_length) != 0))
            zip_note(r->seen, SEEN_ARCHIVE_CONFLICT, m->entry_offset, m->name, "member %s has a second, different name",
                     text_quoted(&l, m->name));
        i += 4 + length;
    }
}

/* Sizes and place, from zip64 where the entry says so. */
static bool read_sizes(const zip_reader *r, const unsigned char *p, zip_member *m)
{
    const unsigned char *extra = p + ZIP_CENTRAL_BYTES + bytes_le16(p + 28);
    size_t n = bytes_le16(p + 30), at = 0;
    m->stored_bytes = bytes_le32(p + 20);
    m->bytes = bytes_le32(p + 24);
    m->local_offset = bytes_le32(p + 42);
    if ((m->bytes == UINT32_MAX && !zip_zip64_value(extra, n, &at, &m->bytes)) ||
        (m->stored_bytes == UINT32_MAX && !zip_zip64_value(extra, n, &at, &m->stored_bytes)) ||
        (m->local_offset == UINT32_MAX && !zip_zip64_value(extra, n, &at, &m->local_offset)))
        return false;
    return checked_add(m->local_offset, r->end.shift, &m->local_offset);
}

static void check_entry(zip_reader *r, const zip_entry *e, zip_member *m)
{
    text_quote l;
    uint64_t most;
    if (e->flags & ZIP_FLAGS_ENCRYPTED)
        zip_note(r->seen, SEEN_ARCHIVE_ENCRYPTED, m->entry_offset, m->name,
                 "member %s is flagged as encrypted (flags %#06" PRIx16 ")", text_quoted(&l, m->name), e->flags);
    if (e->method != ZIP_METHOD_STORED && e->method != ZIP_METHOD_DEFLATED) {
        wrong(r, lora_fail_at(&r->broken, LORA_E_ZIP_MEMBER, m->entry_offset, "member %s has the unknown method %" PRIu16,
                              text_quoted(&l, m->name), e->method));
    } else if (!m->deflated && m->bytes != m->stored_bytes) {
        wrong(r, lora_fail_at(&r->broken, LORA_E_ZIP_MEMBER, m->entry_offset,
                              "the stored member %s has %" PRIu64 " bytes in the file, and %" PRIu64 " taken out",
                              text_quoted(&l, m->name), m->stored_bytes, m->bytes));
    } else if (m->deflated && checked_mul(m->stored_bytes, DEFLATE_RATIO, &most) && m->bytes > most + DEFLATE_SLACK) {
        wrong(r, lora_fail_at(&r->broken, LORA_E_ZIP_MEMBER, m->entry_offset,
                              "member %s cannot inflate from %" PRIu64 " bytes to %" PRIu64, text_quoted(&l, m->name),
                              m->stored_bytes, m->bytes));
    }
    if (e->lost || m->local_offset > r->f->size || r->f->size - m->local_offset < ZIP_LOCAL_BYTES)
        wrong(r, lora_fail_at(&r->broken, LORA_E_ZIP_MEMBER, m->entry_offset,
                              "member %s has no local header inside the file of %" PRIu64 " bytes",
                              text_quoted(&l, m->name), r->f->size));
}

static lora_code read_entries(zip_reader *r)
{
    r->members = arena_alloc(r->mem, r->n, sizeof *r->members);
    r->entries = calloc(r->n + 1, sizeof *r->entries);
    if (!r->members || !r->entries)
        return lora_fail(r->err, LORA_E_MEMORY, "no memory for the %zu members of an archive", r->n);
    const unsigned char *p = r->directory;
    for (size_t i = 0; i < r->n; i++) {
        zip_member *m = &r->members[i];
        zip_entry *e = &r->entries[i];
        *e = (zip_entry){.name = p + ZIP_CENTRAL_BYTES, .name_length = bytes_le16(p + 28), .flags = bytes_le16(p + 8),
                         .method = bytes_le16(p + 10)};
        m->name = clean_name(r->mem, e->name, e->name_length);
        if (!m->name)
            return lora_fail(r->err, LORA_E_MEMORY, "no memory for the %zu members of an archive", r->n);
        m->entry_offset = r->directory_at + (uint64_t)(p - r->directory);
        m->crc = bytes_le32(p + 16);
        m->deflated = e->method == ZIP_METHOD_DEFLATED;
        e->lost = !read_sizes(r, p, m);
        check_entry(r, e, m);
        e->lost |= m->local_offset > r->f->size || r->f->size - m->local_offset < ZIP_LOCAL_BYTES;
        check_unicode_name(r, e, m, p + ZIP_CENTRAL_BYTES + e->name_length, bytes_le16(p + 30));
        p += entry_length(p, UINT64_MAX);
    }
    return check_names(r);
}

/* ---- all of it ---- */

static lora_code read_archive(zip_reader *r)
{
    lora_error ended = {0};
    lora_code code = zip_find_end(r->f, r->seen, &r->end, &ended);
    if (zip_fatal(code)) {
        if (r->err && r->err->code == LORA_OK)
            *r->err = ended;
        return code;
    }
    r->broken = ended;
    if (code != LORA_OK) {
        wrong(r, code);
        return zip_hide(r, 0, r->f->size, NULL);
    }
    code = load_directory(r);
    if (code == LORA_OK)
        code = read_entries(r);
    return code == LORA_OK ? zip_read_locals(r) : code;
}

/* Of an archive that is broken, members are handed out that may be loaded like others. */
static void straighten(zip_reader *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->members[i].deflated)
            r->members[i].bytes = r->members[i].stored_bytes;
}

lora_code zip_read_directory(const file *f, arena *mem, observations *seen, zip_directory *out, lora_error *err)
{
    zip_reader r = {.f = f, .mem = mem, .seen = seen, .err = err, .headers = {.f = f}};
    zip_member *hidden = NULL;
    lora_code code = read_archive(&r);
    if (code == LORA_OK && !(hidden = arena_alloc(mem, r.n_hidden, sizeof *hidden)))
        code = lora_fail(err, LORA_E_MEMORY, "no memory for the hidden bytes of an archive");
    if (code == LORA_OK) {
        if (r.n_hidden)
            memcpy(hidden, r.hidden, r.n_hidden * sizeof *hidden);
        *out = (zip_directory){.members = r.members, .n = r.n, .hidden = hidden, .n_hidden = r.n_hidden};
        code = r.code;
        if (code != LORA_OK)
            straighten(&r);
        if (code != LORA_OK && err && err->code == LORA_OK)
            *err = r.broken;
    }
    free(r.directory);
    free(r.entries);
    free(r.hidden);
    free(r.piece);
    window_free(&r.headers);
    return code;
}
