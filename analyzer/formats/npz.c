/* npz.c - see npz.h.
 *
 * NumPy opens any member that begins like a .npy as an array, whatever its name, and unpickles it when its dtype holds
 * objects; so does this reader look at the first bytes of every member, and of what lies hidden between members. Two sums
 * bound what a small file can make it do: the bytes of all arrays together, and of all that is loaded to be read as pickles.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/npz.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/npy.h"
#include "analyzer/formats/pickle.h"
#include "analyzer/formats/window.h"
#include "analyzer/formats/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_BYTES = 64, FIRST_BYTES = 512 }; /* holds the header of nearly every array: NumPy's have 128 */

/* One array: a member, or the whole file. */
typedef struct {
    const char *name; /* of the tensor */
    tensor_storage *storage;
    const zip_member *member; /* NULL: the file */
    uint64_t entry_offset;
} array;

typedef struct {
    const file *source;
    arena *mem;
    observations *seen;
    lora_error wrong, *err; /* the first thing wrong, and where it is */
    file_window near;
    uint64_t most, expanded, scanned; /* bytes: the bound of the other two */
    tensor *tensors;
    size_t n_tensors;
    unsigned char start[NPY_MOST_BYTES]; /* of the member in hand */
} reader;

static lora_code no_memory(reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "out of memory while reading NumPy arrays");
}

static reader *reader_create(const file *f, arena *mem, observations *seen, lora_error *err)
{
    reader *r = malloc(sizeof *r);
    if (!r) {
        lora_fail(err, LORA_E_MEMORY, "out of memory while reading NumPy arrays");
        return NULL;
    }
    *r = (reader){.source = f, .mem = mem, .seen = seen, .near = {.f = f},
                  .most = LIMIT_EXPANSION * f->size + LIMIT_EXPANSION_FREE};
    r->err = &r->wrong;
    return r;
}

/* What is told is the first thing wrong, unless memory was missing: then not all has been seen. Frees r. */
static lora_code reader_end(reader *r, lora_code code, lora_error *err)
{
    if (code == LORA_E_MEMORY || r->seen->no_memory) {
        if (r->wrong.code != LORA_E_MEMORY)
            r->wrong = (lora_error){0};
        no_memory(r);
    }
    code = r->wrong.code;
    if (code && err && err->code == LORA_OK)
        *err = r->wrong;
    window_free(&r->near);
    free(r);
    return code;
}

/* The first n bytes into r->start. A checksum has its say where the entries are read. */
static lora_code load_start(reader *r, const array *a, size_t n)
{
    const unsigned char *bytes;
    tensor_storage unchecked = *a->storage;
    unchecked.has_crc = false;
    if (unchecked.deflated || n > unchecked.bytes)
        return fetch_storage(r->source, &unchecked, 0, n, r->start, r->err);
    lora_code code = window_read(&r->near, unchecked.offset, n, &bytes, r->err);
    if (!code)
        memcpy(r->start, bytes, n);
    return code;
}

/* Where in the file byte `at` of the array is; of a deflated one, its stream. */
static uint64_t place(const array *a, uint64_t at)
{
    return a->storage->offset + (a->storage->deflated ? 0 : at);
}

/* ---- pickles ---- */

/* All bytes, or, with an error, those that can be had. */
static lora_code load_whole(reader *r, const array *a, unsigned char **bytes, size_t *n)
{
    uint64_t all = a->storage->bytes;
    *n = (size_t)all;
    if (a->member) {
        lora_code code = zip_load(r->source, a->member, LIMIT_PICKLE_BYTES, r->seen, bytes, r->err);
        if (code == LORA_OK || code == LORA_E_MEMORY)
            return code;
        lora_code again = zip_load_some(r->source, a->member, LIMIT_PICKLE_BYTES, bytes, n, r->err);
        return again == LORA_E_MEMORY ? again : code;
    }
    if (all > LIMIT_PICKLE_BYTES)
        return lora_fail_at(r->err, LORA_E_PICKLE_LIMIT, 0, "objects in %" PRIu64 " bytes, the limit is %u", all, LIMIT_PICKLE_BYTES);
    *bytes = malloc((size_t)all + 1);
    return *bytes ? file_read_at(r->source, 0, *bytes, (size_t)all, r->err) : no_memory(r);
}

static lora_code scan_bytes(reader *r, const unsigned char *bytes, size_t n, uint64_t offset, const zip_member *m)
{
    pickle_source source = {.bytes = bytes, .length = n, .offset = offset, .inflated = m && m->deflated, .member = m ? m->name : NULL,
                            .budget = LIMIT_PICKLE_MEMORY + r->source->size / 2};
    return pickle_scan(&source, r->seen, r->err);
}

/* So many bytes more are about to be read as pickles. */
static lora_code allow_scan(reader *r, uint64_t n, uint64_t at, const char *name)
{
    text_quote l;
    if (n > r->most - r->scanned)
        return lora_fail_at(r->err, LORA_E_INFLATES_TOO_LARGE, at, "the pickles of the archive up to %s have more than %" PRIu64
                            " bytes", text_quoted(&l, name), r->most);
    r->scanned += n;
    return LORA_OK;
}

/* What is behind the first `from` bytes, as pickles. */
static lora_code scan_objects(reader *r, const array *a, size_t from)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    lora_code code = allow_scan(r, a->storage->bytes, a->entry_offset, a->name), scanned = LORA_OK;
    if (!code)
        code = load_whole(r, a, &bytes, &n);
    if (bytes && n > from && (!code || a->member))
        scanned = scan_bytes(r, bytes + from, n - from, place(a, from), a->member);
    free(bytes);
    return scanned == LORA_E_MEMORY || !code ? scanned : code;
}

/* ---- arrays ---- */

static lora_code set_shape(reader *r, const npy_header *h, tensor *t)
{
    uint64_t *shape = arena_alloc(r->mem, h->n_dims, sizeof *shape), step = 1;
    if (!shape)
        return no_memory(r);
    memcpy(shape, h->shape, h->n_dims * sizeof *shape);
    t->shape = shape;
    t->n_dims = h->n_dims;
    lora_code code = tensor_byte_size(t, &t->bytes, r->err);
    if (code || !h->fortran_order || h->n_dims < 2)
        return code;
    uint64_t *strides = arena_alloc(r->mem, h->n_dims, sizeof *strides);
    if (!strides)
        return no_memory(r);
    for (unsigned i = 0; i < h->n_dims; i++) {
        strides[i] = step;
        step *= shape[i]; /* their product has been checked; behind an axis of 0 it does not matter */
    }
    t->strides = strides;
    return LORA_OK;
}

/* The entries fill what is behind the header exactly. */
static lora_code add_tensor(reader *r, const array *a, const npy_header *h, size_t header_bytes)
{
    text_quote l;
    if (r->n_tensors == LIMIT_TENSORS)
        return lora_fail_at(r->err, LORA_E_TOO_MANY, a->entry_offset, "the archive has more than %u arrays", LIMIT_TENSORS);
    tensor *t = &r->tensors[r->n_tensors];
    *t = (tensor){.name = a->name, .dtype = h->dtype, .storage = a->storage, .offset = header_bytes, .entry_offset = a->entry_offset};
    lora_code code = set_shape(r, h, t);
    if (code)
        return code;
    uint64_t behind = a->storage->bytes - header_bytes, at = place(a, header_bytes);
    if (t->bytes > behind)
        return lora_fail_at(r->err, LORA_E_TRUNCATED, at, "array %s needs %" PRIu64 " bytes, %" PRIu64 " follow its header",
                            text_quoted(&l, a->name), t->bytes, behind);
    if (t->bytes < behind)
        return lora_fail_at(r->err, LORA_E_TRAILING, place(a, header_bytes + t->bytes), "%" PRIu64 " bytes follow the entries of array %s",
                            behind - t->bytes, text_quoted(&l, a->name));
    if (t->bytes > r->most - r->expanded)
        return lora_fail_at(r->err, LORA_E_INFLATES_TOO_LARGE, a->entry_offset, "the arrays up to %s have more than the %" PRIu64
                            " bytes that a file of %" PRIu64 " may expand to", text_quoted(&l, a->name), r->most, r->source->size);
    a->storage->big_endian = h->big_endian;
    r->expanded += t->bytes;
    r->n_tensors++;
    return LORA_OK;
}

/* Records may hold objects, and a header that fools this reader may not fool another: bytes that begin a pickle are read as
 * one. In: where they begin. *found: whether they do. */
static lora_code is_pickle_at(reader *r, const array *a, size_t from, bool *found)
{
    unsigned char first[LOOK_BYTES];
    uint64_t behind = a->storage->bytes > from ? a->storage->bytes - from : 0;
    size_t n = behind < sizeof first ? (size_t)behind : sizeof first;
    tensor_storage unchecked = *a->storage;
    unchecked.has_crc = false;
    lora_error ignored = {0};
    lora_code code = n ? fetch_storage(r->source, &unchecked, from, n, first, &ignored) : LORA_E_NPY;
    *found = !code && pickle_looks_like(first, n);
    return code == LORA_E_MEMORY ? no_memory(r) : LORA_OK;
}

/* The header of an array of which the first `have` bytes are in r->start. */
static lora_code read_header(reader *r, const array *a, size_t have, size_t *header_bytes, npy_header *h)
{
    uint64_t at = a->storage->offset;
    text_quote l;
    lora_error here = {0};
    lora_code code = npy_header_bytes(r->start, have, at, header_bytes, &here);
    if (!code && *header_bytes > a->storage->bytes) {
        code = lora_fail_at(&here, LORA_E_TRUNCATED, at + a->storage->bytes, "array %s ends inside its header of %zu bytes",
                            text_quoted(&l, a->name), *header_bytes);
        *header_bytes = 0;
    }
    if (!code && *header_bytes > have && (code = load_start(r, a, *header_bytes)))
        return code;
    if (!code)
        code = npy_parse(r->start, *header_bytes, at, h, &here);
    return code ? lora_fail_at(r->err, code, a->storage->deflated ? at : here.offset, "%s", here.message) : LORA_OK;
}

static lora_code read_array(reader *r, const array *a, size_t have)
{
    size_t header_bytes = 0;
    npy_header h = {0};
    text_quote l;
    lora_code code = read_header(r, a, have, &header_bytes, &h), scanned = LORA_OK;
    if (!code && !h.objects)
        return add_tensor(r, a, &h, header_bytes);
    bool pickle = !code;
    if (!code)
        observe(r->seen, SEEN_PICKLE_ANOMALY, a->storage->offset, a->name, "array %s holds Python objects", text_quoted(&l, a->name));
    else if (code != LORA_E_MEMORY)
        scanned = is_pickle_at(r, a, header_bytes, &pickle);
    if (!scanned && pickle)
        scanned = scan_objects(r, a, header_bytes);
    return scanned == LORA_E_MEMORY || !code ? scanned : code;
}

/* ---- the archive ---- */

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcmp(name + n - m, ending) == 0;
}

static lora_code read_member(reader *r, const zip_member *m)
{
    text_quote l;
    bool named = ends_with(m->name, ".npy");
    size_t have = m->bytes < FIRST_BYTES ? (size_t)m->bytes : FIRST_BYTES;
    array a = {.member = m, .entry_offset = m->entry_offset, .storage = zip_storage(m, r->mem),
               .name = named ? arena_strndup(r->mem, m->name, strlen(m->name) - 4) : m->name};
    if (!named)
        observe(r->seen, SEEN_ARCHIVE_STRAY, m->entry_offset, m->name, "member %s is not an array", text_quoted(&l, m->name));
    if (!a.storage || !a.name)
        return no_memory(r);
    if (m->deflated && m->bytes > r->source->size + LIMIT_INFLATE_BYTES)
        return lora_fail_at(r->err, LORA_E_INFLATES_TOO_LARGE, m->entry_offset, "member %s inflates to %" PRIu64 " bytes, the file has %" PRIu64,
                            text_quoted(&l, m->name), m->bytes, r->source->size);
    lora_code code = load_start(r, &a, have);
    if (code)
        return code;
    if (named || (have >= 6 && memcmp(r->start, "\x93NUMPY", 6) == 0))
        return read_array(r, &a, have);
    return have > 0 && pickle_looks_like(r->start, have) ? scan_objects(r, &a, 0) : LORA_OK;
}

static int by_place(const void *left, const void *right)
{
    const tensor *a = left, *b = right;
    uint64_t x = a->storage->offset, y = b->storage->offset;
    if (x != y)
        return x < y ? -1 : 1;
    return a->entry_offset < b->entry_offset ? -1 : a->entry_offset > b->entry_offset;
}

/* A stretch that no member covers: is it a pickle, or an array of objects? */
static lora_code look_at_hidden(reader *r, const zip_member *m)
{
    unsigned char *bytes = NULL;
    size_t n = 0, from = 0;
    uint64_t most = r->most - r->scanned < LIMIT_PICKLE_BYTES ? r->most - r->scanned : LIMIT_PICKLE_BYTES;
    lora_code code = zip_load_some(r->source, m, FIRST_BYTES, &bytes, &n, r->err);
    if (!code && n >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0 && npy_header_bytes(bytes, n, 0, &from, NULL) != LORA_OK)
        from = 0;
    bool pickle = !code && (from > n || pickle_looks_like(bytes + from, n - from));
    free(bytes);
    bytes = NULL;
    if (pickle)
        code = zip_load_some(r->source, m, most, &bytes, &n, r->err);
    if (pickle && !code && n > from) {
        r->scanned += n;
        code = scan_bytes(r, bytes + from, n - from, m->data_offset + (m->deflated ? 0 : from), m);
    }
    free(bytes);
    return code;
}

/* A pickle behind the end of a deflate stream. That of an array is met when its entries are read. */
static lora_code look_behind(reader *r, const zip_member *m)
{
    zip_member tail;
    text_quote l;
    if (!m->deflated || m->bytes > r->most - r->scanned)
        return LORA_OK;
    lora_code code = zip_tail(r->source, m, m->bytes + 1, &tail, r->err);
    if (code || !tail.stored_bytes)
        return code;
    observe(r->seen, SEEN_ARCHIVE_HIDDEN, tail.data_offset, m->name,
            "%" PRIu64 " bytes follow the end of the deflate stream of member %s", tail.stored_bytes, text_quoted(&l, m->name));
    return look_at_hidden(r, &tail);
}

static lora_code read_members(reader *r, const zip_directory *directory)
{
    lora_code code = LORA_OK;
    r->tensors = arena_alloc(r->mem, directory->n, sizeof *r->tensors);
    if (!r->tensors)
        return no_memory(r);
    for (size_t i = 0; i < directory->n && code != LORA_E_MEMORY; i++) {
        size_t n = r->n_tensors;
        lora_code here = read_member(r, &directory->members[i]);
        lora_code behind = here == LORA_E_MEMORY || r->n_tensors > n ? LORA_OK : look_behind(r, &directory->members[i]);
        here = behind == LORA_E_MEMORY || !here ? behind : here;
        code = code && here != LORA_E_MEMORY ? code : here;
    }
    for (size_t i = 0; i < directory->n_hidden && code != LORA_E_MEMORY; i++) {
        lora_code here = look_at_hidden(r, &directory->hidden[i]);
        code = code && here != LORA_E_MEMORY ? code : here;
    }
    if (code)
        return code;
    bool sorted = true;
    for (size_t i = 1; i < r->n_tensors && sorted; i++)
        sorted = by_place(&r->tensors[i - 1], &r->tensors[i]) < 0;
    if (!sorted)
        qsort(r->tensors, r->n_tensors, sizeof *r->tensors, by_place);
    return catalog_check_names(r->tensors, r->n_tensors, r->err);
}

lora_code npz_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err)
{
    zip_directory directory = {0};
    reader *r = reader_create(f, mem, seen, err);
    if (!r)
        return LORA_E_MEMORY;
    lora_code code = zip_read_directory(f, mem, seen, &directory, r->err);
    bool stopped = code == LORA_E_MEMORY || code == LORA_E_READ || code == LORA_E_SHRUNK;
    if (!stopped && read_members(r, &directory) == LORA_E_MEMORY) /* for what there is to note, even after an error */
        code = LORA_E_MEMORY;
    catalog read = {.container = "npz", .source = f, .tensors = r->tensors, .n_tensors = r->n_tensors};
    code = reader_end(r, code, err);
    if (!code)
        *cat = read;
    return code;
}

lora_code npy_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err)
{
    reader *r = reader_create(f, mem, seen, err);
    if (!r)
        return LORA_E_MEMORY;
    tensor_storage *whole = arena_alloc(mem, 1, sizeof *whole);
    r->tensors = arena_alloc(mem, 1, sizeof *r->tensors);
    lora_code code = whole && r->tensors ? LORA_OK : no_memory(r);
    if (!code) {
        *whole = (tensor_storage){.stored_bytes = f->size, .bytes = f->size};
        array a = {.name = "array", .storage = whole};
        size_t have = f->size < FIRST_BYTES ? (size_t)f->size : FIRST_BYTES;
        code = load_start(r, &a, have);
        if (!code)
            code = read_array(r, &a, have);
    }
    catalog read = {.container = "npy", .source = f, .tensors = r->tensors, .n_tensors = r->n_tensors};
    code = reader_end(r, code, err);
    if (!code)
        *cat = read;
    return code;
}
