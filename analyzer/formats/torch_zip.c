/* torch_zip.c - a torch checkpoint in a zip archive: which member is what, the object, and the storages of its tensors.
 *
 * The root folder is that of data.pkl, whatever it is called. The object is interpreted first; storages are found by key
 * in a sorted list. Then everything else is looked at (torch_zip_scan.c), also when the archive or the object is broken: a
 * payload in front of a broken end has run before the loader notices.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_zip.h"

#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/torch_object.h"
#include "analyzer/formats/torch_zip_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct torch_zip_key {
    const char *key; /* of the member's name, behind ROOT/data/ */
    size_t length, i; /* i: of the member */
    const tensor_storage *storage; /* once it has been asked for */
};

static lora_code no_memory(torch_zip_reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "out of memory while reading a torch checkpoint");
}

/* ---- which member is what ---- */

/* Is it FOLDER/data.pkl, or data.pkl without a folder? */
static bool is_object(const char *name)
{
    const char *slash = strchr(name, '/');
    return strcmp(slash ? slash + 1 : name, TORCH_ZIP_OBJECT) == 0;
}

/* PyTorch takes the root folder from the first member's name (caffe2/serialize/inline_container.cc); where that folder has
 * no object, the first object counts. */
static void find_object(torch_zip_reader *r)
{
    size_t n = 0;
    text_quote l;
    const char *first = r->zip.n ? r->zip.members[0].name : "";
    size_t root = strcspn(first, "/");
    bool decided = false;
    for (size_t i = 0; i < r->zip.n; i++) {
        const zip_member *m = &r->zip.members[i];
        if (!is_object(m->name))
            continue;
        n++;
        bool in_root = strcspn(m->name, "/") == root && strncmp(m->name, first, root) == 0;
        if (!r->object || (in_root && !decided))
            r->object = m;
        decided |= in_root;
    }
    if (r->object)
        r->root_bytes = strlen(r->object->name) - strlen(TORCH_ZIP_OBJECT);
    if (n > 1)
        observe(r->seen, SEEN_ARCHIVE_CONFLICT, r->object->entry_offset, TORCH_ZIP_OBJECT,
                "the archive has %zu members data.pkl; %s is taken, as PyTorch would", n, text_quoted(&l, r->object->name));
}

const char *torch_zip_in_root(const torch_zip_reader *r, const zip_member *m)
{
    return strncmp(m->name, r->object->name, r->root_bytes) == 0 ? m->name + r->root_bytes : NULL;
}

const char *torch_zip_storage_key(const torch_zip_reader *r, const zip_member *m)
{
    size_t n = strlen(TORCH_ZIP_STORAGES);
    const char *name = torch_zip_in_root(r, m);
    return name && strncmp(name, TORCH_ZIP_STORAGES, n) == 0 && name[n] && !strchr(name + n, '/') ? name + n : NULL;
}

/* Shorter keys first: so the numbers that torch gives are in their order. */
static int key_order(const char *key, size_t length, const torch_zip_key *k)
{
    return length != k->length ? (length < k->length ? -1 : 1) : memcmp(key, k->key, length);
}

static int by_key(const void *left, const void *right)
{
    const torch_zip_key *a = left, *b = right;
    int order = key_order(a->key, a->length, b);
    return order ? order : a->i < b->i ? -1 : a->i > b->i;
}

static lora_code index_storages(torch_zip_reader *r)
{
    r->keys = malloc((r->zip.n + 1) * sizeof *r->keys);
    if (!r->keys)
        return no_memory(r);
    bool sorted = true;
    for (size_t i = 0; i < r->zip.n; i++) {
        const char *key = torch_zip_storage_key(r, &r->zip.members[i]);
        if (!key)
            continue;
        torch_zip_key *k = &r->keys[r->n_keys++];
        *k = (torch_zip_key){.key = key, .length = strlen(key), .i = i};
        sorted = sorted && (r->n_keys == 1 || by_key(k - 1, k) < 0);
    }
    if (!sorted)
        qsort(r->keys, r->n_keys, sizeof *r->keys, by_key);
    return LORA_OK;
}

static lora_code read_byteorder(torch_zip_reader *r)
{
    const zip_member *m = NULL;
    for (size_t i = 0; i < r->zip.n && !m; i++) {
        const char *name = torch_zip_in_root(r, &r->zip.members[i]);
        if (name && strcmp(name, "byteorder") == 0)
            m = &r->zip.members[i];
    }
    if (!m)
        return LORA_OK;
    unsigned char *text;
    size_t n;
    lora_code code = zip_load_some(r->f, m, TORCH_ZIP_PEEK_BYTES, &text, &n, r->err);
    if (code != LORA_OK)
        return code;
    text_quote l;
    bool little = n == 6 && memcmp(text, "little", 6) == 0;
    r->big_endian = n == 3 && memcmp(text, "big", 3) == 0;
    if (!little && !r->big_endian)
        observe(r->seen, SEEN_ARCHIVE_STRAY, m->data_offset, m->name,
                "member byteorder says %s, neither little nor big; little is assumed",
                text_label(l.text, sizeof l.text, (char *)text, n));
    free(text);
    return LORA_OK;
}

/* ---- the object and its storages ---- */

static torch_zip_key *find_key(torch_zip_reader *r, const char *key)
{
    size_t low = 0, high = r->n_keys, length = strlen(key);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_order(key, length, &r->keys[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_keys && key_order(key, length, &r->keys[low]) == 0 ? &r->keys[low] : NULL;
}

static lora_code find_storage(void *ctx, const char *key, uint64_t bytes, uint64_t at, const tensor_storage **out,
                              lora_error *err)
{
    torch_zip_reader *r = ctx;
    torch_zip_key *k = find_key(r, key);
    text_quote l;
    if (!k)
        return lora_fail_at(err, LORA_E_STORAGE_MISSING, at, "the archive has no member for storage %s", text_quoted(&l, key));
    const zip_member *m = &r->zip.members[k->i];
    if (m->bytes < bytes)
        return lora_fail_at(err, LORA_E_STORAGE, at, "storage %s should have %" PRIu64 " bytes, member %" PRIu64, text_quoted(&l, key),
                            bytes, m->bytes);
    if (m->bytes > bytes && r->seen->n < LIMIT_OBSERVATIONS)
        observe(r->seen, SEEN_ARCHIVE_HIDDEN, m->data_offset, m->name,
                "storage %s has %" PRIu64 " bytes, its member %" PRIu64 ": no tensor can reach the others", text_quoted(&l, key),
                bytes, m->bytes);
    if (!k->storage) {
        tensor_storage *s = zip_storage(m, r->mem);
        if (!s)
            return no_memory(r);
        s->big_endian = r->big_endian;
        k->storage = s;
    }
    r->used[k->i] = true;
    *out = k->storage;
    return LORA_OK;
}

pickle_source torch_zip_source(const torch_zip_reader *r, const zip_member *m, const unsigned char *bytes, size_t n)
{
    return (pickle_source){.bytes = bytes, .length = n, .offset = m->data_offset, .inflated = m->deflated,
                           .member = m->name, .budget = LIMIT_PICKLE_MEMORY + r->f->size / 2};
}

/* What follows the object's pickle in its member. */
static lora_code scan_rest(torch_zip_reader *r, const pickle_source *s, size_t at)
{
    text_quote l;
    if (at == s->length)
        return LORA_OK;
    observe(r->seen, SEEN_PICKLE_ANOMALY, pickle_place(s, at), s->member, "%zu bytes follow the pickle of member %s", s->length - at,
            text_quoted(&l, s->member));
    pickle_source rest = *s;
    rest.bytes += at;
    rest.length -= at;
    rest.offset = pickle_place(s, at);
    return pickle_scan(&rest, r->seen, r->err);
}

static lora_code read_object(torch_zip_reader *r, catalog *cat)
{
    uint64_t limit = r->f->size + LIMIT_INFLATE_BYTES;
    limit = limit < LIMIT_PICKLE_BYTES ? limit : LIMIT_PICKLE_BYTES;
    unsigned char *bytes = NULL;
    pickle_value *root = NULL;
    torch_storages storages = {.ctx = r, .find = find_storage};
    size_t at = 0;
    lora_code code = index_storages(r);
    if (code == LORA_OK)
        code = read_byteorder(r);
    if (code == LORA_OK)
        code = zip_load(r->f, r->object, limit, r->seen, &bytes, r->err);
    if (code != LORA_OK)
        return code;
    r->used[r->object - r->zip.members] = true; /* it need not be scanned again */
    pickle_source source = torch_zip_source(r, r->object, bytes, (size_t)r->object->bytes);
    code = pickle_run(&source, &at, r->mem, r->seen, &root, r->err);
    if (code == LORA_OK)
        code = scan_rest(r, &source, at);
    if (code == LORA_OK)
        code = torch_catalog(root, &storages, r->mem, r->seen, cat, r->err);
    free(bytes);
    return code;
}

/* ---- all of it ---- */

/* A lack of memory, and a file that cannot be read, end the reading; what is wrong with the archive does not. */
static bool is_fatal(lora_code code)
{
    return code == LORA_E_MEMORY || code == LORA_E_READ || code == LORA_E_SHRUNK;
}

/* What the directory and the object have wrong goes to err; so does, instead of it, what stops the look at the others. */
static lora_code read_all(torch_zip_reader *r, catalog *cat, lora_error *err)
{
    r->err = &r->wrong;
    lora_code code = zip_read_directory(r->f, r->mem, r->seen, &r->zip, r->err);
    if (!is_fatal(code) && !(r->used = calloc(r->zip.n + 1, sizeof *r->used))) {
        r->wrong = (lora_error){0};
        code = no_memory(r);
    }
    if (!is_fatal(code))
        find_object(r);
    if (code == LORA_OK && !r->object)
        code = lora_fail(r->err, LORA_E_OBJECT, "the archive of %zu members has no data.pkl: it is no torch checkpoint",
                         r->zip.n);
    else if (code == LORA_OK)
        code = read_object(r, cat);
    if (!is_fatal(code)) {
        r->err = &r->stopped;
        lora_code others = torch_zip_look_at_others(r);
        if (others == LORA_OK && r->seen->no_memory)
            others = no_memory(r);
        if (others != LORA_OK) {
            r->wrong = r->stopped;
            code = others;
        }
    }
    if (code != LORA_OK && err && err->code == LORA_OK)
        *err = r->wrong;
    return code;
}

lora_code torch_zip_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err)
{
    torch_zip_reader r = {.f = f, .mem = mem, .seen = seen, .scan_left = LIMIT_INFLATE_BYTES + 2 * f->size};
    catalog read = {0};
    lora_code code = read_all(&r, &read, err);
    free(r.used);
    free(r.keys);
    if (code != LORA_OK)
        return code;
    read.container = "torch-zip";
    read.source = f;
    *cat = read;
    return LORA_OK;
}
