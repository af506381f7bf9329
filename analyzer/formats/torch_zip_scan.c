/* torch_zip_scan.c - the members of a torch checkpoint that are no part of one, and all that could be a pickle.
 *
 * Every member that is no tensor's storage, every hidden stretch, and what lies behind the end of a deflate stream is peeked
 * at, and what could be a pickle is scanned. What is inflated and scanned in all is bounded, so that deflated members cannot
 * multiply.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_zip_parts.h"

#include "analyzer/base/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* A note on a member. They are many at will: nothing is spent on those that would be dropped. subject: the member's name,
 * or NULL for what is to be said beside another note on the same member. */
static void stray(torch_zip_reader *r, const zip_member *m, const char *subject, const char *what)
{
    text_quote l;
    if (r->seen->n < LIMIT_OBSERVATIONS)
        observe(r->seen, SEEN_ARCHIVE_STRAY, m->data_offset, subject, "member %s %s", text_quoted(&l, m->name), what);
    else
        r->seen->n_dropped++;
}

static const char *const RECORDS[] = {"data.pkl", "version", "byteorder", ".format_version", ".storage_alignment",
                                      ".data/serialization_id"};
enum { N_RECORDS = sizeof RECORDS / sizeof RECORDS[0] };

static bool is_record(const char *name)
{
    for (size_t i = 0; i < N_RECORDS; i++)
        if (strcmp(name, RECORDS[i]) == 0)
            return true;
    return false;
}

/* PyTorch looks members up without regard to case (miniz does so unless told otherwise). */
static bool differs_in_case(const char *name)
{
    size_t n = strlen(TORCH_ZIP_STORAGES);
    bool alike = strncasecmp(name, TORCH_ZIP_STORAGES, n) == 0 && strncmp(name, TORCH_ZIP_STORAGES, n) != 0;
    for (size_t i = 0; i < N_RECORDS; i++)
        alike |= strcasecmp(name, RECORDS[i]) == 0 && strcmp(name, RECORDS[i]) != 0;
    return alike;
}

/* Members that no checkpoint of this kind has. */
static void check_place(torch_zip_reader *r, const zip_member *m)
{
    text_quote l;
    const char *name = torch_zip_in_root(r, m);
    size_t length = strlen(m->name);
    if (length > 0 && m->name[length - 1] == '/' && m->bytes == 0)
        return; /* a folder */
    if (name && differs_in_case(name) && r->seen->n < LIMIT_OBSERVATIONS)
        observe(r->seen, SEEN_ARCHIVE_CONFLICT, m->data_offset, m->name,
                "member %s differs from a record of the checkpoint only in case, which PyTorch does not mind",
                text_quoted(&l, m->name));
    else if (ends_with(m->name, ".py") || (name && strncmp(name, "code/", 5) == 0))
        stray(r, m, m->name, "is Python source, which loaders of TorchScript compile");
    else if (!name)
        stray(r, m, m->name, "lies outside the checkpoint's folder");
    else if (!torch_zip_storage_key(r, m) && !is_record(name))
        stray(r, m, m->name, "is none that a checkpoint has");
}

/* What scanning a member of raw data found: chance may begin data like a pickle, but it does not name globals. */
static void keep_if_real(torch_zip_reader *r, const observations *found)
{
    bool real = false;
    for (size_t i = 0; i < found->n; i++)
        real |= found->list[i].kind == SEEN_FORBIDDEN_GLOBAL;
    for (size_t i = 0; real && i < found->n; i++) {
        const observation *o = &found->list[i];
        observe(r->seen, o->kind, o->offset, o->subject, "%s", o->text);
    }
    r->seen->no_memory |= found->no_memory;
}

static lora_code scan_member(torch_zip_reader *r, const zip_member *m, bool is_data)
{
    unsigned char *bytes;
    size_t n;
    uint64_t limit = r->scan_left < LIMIT_PICKLE_BYTES ? r->scan_left : LIMIT_PICKLE_BYTES;
    if (limit == 0) {
        stray(r, m, NULL, "begins like a pickle and was not looked into: too much was before it");
        return LORA_OK;
    }
    lora_code code = zip_load_some(r->f, m, limit, &bytes, &n, r->err);
    if (code != LORA_OK)
        return code;
    r->scan_left -= n;
    if (m->name && m->entry_offset != m->local_offset)
        zip_check(m, bytes, n, r->seen);
    if (n == limit && (m->deflated || m->stored_bytes > n))
        stray(r, m, NULL, "begins like a pickle and was not looked into to its end");
    pickle_source source = torch_zip_source(r, m, bytes, n);
    observations found = {.mem = r->mem};
    code = pickle_scan(&source, is_data ? &found : r->seen, r->err);
    if (is_data)
        keep_if_real(r, &found);
    free(bytes);
    return code;
}

/* Peeks at a member or a hidden stretch. */
static lora_code look_at(torch_zip_reader *r, const zip_member *m, bool is_data)
{
    unsigned char *head;
    size_t n;
    text_quote l;
    if (m->stored_bytes == 0)
        return LORA_OK;
    lora_code code = zip_load_some(r->f, m, TORCH_ZIP_PEEK_BYTES, &head, &n, r->err);
    if (code != LORA_OK)
        return code;
    bool archive = n >= 4 && memcmp(head, "PK\3\4", 4) == 0;
    bool pickle = pickle_looks_like(head, n) || (m->name && ends_with(m->name, ".pkl"));
    free(head);
    if (archive)
        stray(r, m, NULL, "is an archive inside the archive, which is not looked into");
    if (pickle && !m->name && r->seen->n < LIMIT_OBSERVATIONS)
        observe(r->seen, SEEN_ARCHIVE_HIDDEN, m->data_offset, NULL,
                "the %" PRIu64 " hidden bytes at byte %" PRIu64 " begin like a pickle", m->stored_bytes, m->data_offset);
    else if (pickle && m->name && m->entry_offset == m->local_offset && r->seen->n < LIMIT_OBSERVATIONS)
        observe(r->seen, SEEN_ARCHIVE_HIDDEN, m->data_offset, m->name, "the unlisted member %s begins like a pickle",
                text_quoted(&l, m->name));
    return pickle ? scan_member(r, m, is_data) : LORA_OK;
}

/* A deflate stream that ends before the member does has something behind it that no loader sees. */
static lora_code look_behind(torch_zip_reader *r, const zip_member *m)
{
    zip_member tail;
    text_quote l;
    if (m->bytes >= r->scan_left)
        return LORA_OK; /* too much was before it: that has been said of what could be a pickle */
    r->scan_left -= m->bytes;
    lora_code code = zip_tail(r->f, m, m->bytes + 1, &tail, r->err);
    if (code != LORA_OK || tail.stored_bytes == 0)
        return code;
    if (r->seen->n < LIMIT_OBSERVATIONS)
        observe(r->seen, SEEN_ARCHIVE_HIDDEN, tail.data_offset, m->name,
                "%" PRIu64 " bytes follow the end of the deflate stream of member %s", tail.stored_bytes,
                text_quoted(&l, m->name));
    else
        r->seen->n_dropped++;
    return look_at(r, &tail, false);
}

lora_code torch_zip_look_at_others(torch_zip_reader *r)
{
    lora_code code = LORA_OK;
    for (size_t i = 0; code == LORA_OK && i < r->zip.n; i++) {
        const zip_member *m = &r->zip.members[i];
        if (r->object)
            check_place(r, m);
        if (!r->used[i])
            code = look_at(r, m, r->object && torch_zip_storage_key(r, m));
        if (code == LORA_OK && m->deflated)
            code = look_behind(r, m);
    }
    for (size_t i = 0; code == LORA_OK && i < r->zip.n_hidden; i++) {
        zip_member other = r->zip.hidden[i]; /* the header of an unlisted member may lie about its method */
        other.deflated = !other.deflated;
        code = look_at(r, &r->zip.hidden[i], false);
        if (code == LORA_OK && other.name)
            code = look_at(r, &other, false);
    }
    return code;
}
