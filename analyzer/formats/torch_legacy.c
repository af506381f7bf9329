/* torch_legacy.c - five pickles in a row, then storages of which only the pickles know the element size.
 *
 * How long the pickles are is not written anywhere: a window of the file is read, and read again twice as large when they
 * reach beyond it. All five are interpreted before anything they say is checked, since a loader runs each of them to its
 * end first. Storages follow in the order of the list of keys; each must have the number of elements that the object
 * speaks of, and nothing may follow.
 *
 * sys_info says whether the writer was little-endian; torch writes numbers of elements and elements little-endian all the
 * same. Source: pytorch torch/serialization.py (_legacy_save, _legacy_load), torch/csrc/serialization.cpp.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_legacy.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/pickle_internal.h"
#include "analyzer/formats/torch_object.h"
#include "analyzer/formats/torch_tensor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC, PROTOCOL, SYSTEM, OBJECT, KEYS, PICKLES };
enum { FIRST_WINDOW = 1 << 20, LABEL_BYTES = 160, COUNT_BYTES = 8, TAIL_BYTES = 1 << 20 };
enum { PROTOCOL_NUMBER = 1001 };
static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

typedef struct {
    torch_storage what;
    const tensor_storage *where; /* NULL until the list of keys has named it */
} stored;

typedef struct {
    const file *f;
    arena *mem;     /* for what lives on */
    arena *scratch; /* for the objects of the pickles */
    observations *seen;
    lora_error *err;
    unsigned char *window;
    size_t length;
    const pickle_value *roots[PICKLES];
    pickle_values ids; /* the persistent ids of the object */
    uint64_t data;     /* where the storages begin */
    stored *storages;  /* by key */
    size_t n;
} reader;

static lora_code no_memory(reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "out of memory while reading a legacy torch file");
}

/* ---- the pickles ---- */

/* *ran_out: they reach beyond the window. */
static lora_code run_pickles(reader *r, bool partial, bool *ran_out, lora_error *err)
{
    unsigned notes = NOTES_A_SOURCE;
    pickle_source source = {.bytes = r->window, .length = r->length, .budget = LIMIT_PICKLE_MEMORY + r->f->size / 2};
    size_t at = 0;
    lora_code code = LORA_OK;
    for (int i = 0; i < PICKLES && !code; i++) {
        pickle_value *root = NULL;
        pickle_run_options options = {.partial = partial, .notes = &notes, .persistent = i == OBJECT ? &r->ids : NULL};
        code = pickle_run_with(&source, &at, r->scratch, r->seen, &root, &options, err);
        *ran_out = options.ran_out;
        source.budget -= options.used;
        r->roots[i] = root;
    }
    r->data = at;
    return code;
}

static lora_code load_pickles(reader *r)
{
    uint64_t largest = r->f->size < LIMIT_PICKLE_BYTES ? r->f->size : LIMIT_PICKLE_BYTES;
    for (uint64_t length = FIRST_WINDOW;; length *= 2) {
        r->length = (size_t)(length < largest ? length : largest);
        bool partial = r->length < largest, ran_out = false;
        lora_error broken = {0};
        free(r->window);
        free(r->ids.list);
        arena_destroy(r->scratch);
        r->ids = (pickle_values){0};
        r->scratch = arena_create();
        r->window = malloc(r->length ? r->length : 1);
        if (!r->window || !r->scratch)
            return no_memory(r);
        lora_code code = file_read_at(r->f, 0, r->window, r->length, r->err);
        if (code)
            return code;
        code = run_pickles(r, partial, &ran_out, &broken);
        if (code == LORA_E_PICKLE && partial && ran_out)
            continue;
        if (code && r->err && r->err->code == LORA_OK)
            *r->err = broken;
        return code;
    }
}

static const pickle_value *find(const pickle_value *dict, const char *key)
{
    for (size_t i = dict->kind == PICKLE_DICT ? dict->n / 2 : 0; i-- > 0;)
        if (dict->items[2 * i]->kind == PICKLE_STRING && strcmp(dict->items[2 * i]->text, key) == 0)
            return dict->items[2 * i + 1];
    return NULL;
}

static lora_code check_prologue(reader *r)
{
    const pickle_value *m = r->roots[MAGIC], *protocol = r->roots[PROTOCOL], *system = r->roots[SYSTEM];
    if (m->kind != PICKLE_BIG || m->length != sizeof magic || memcmp(m->text, magic, sizeof magic) != 0)
        return lora_fail_at(r->err, LORA_E_PICKLE, m->at, "the first pickle is not torch's magic number");
    if (protocol->kind != PICKLE_INT || protocol->integer != PROTOCOL_NUMBER)
        return lora_fail_at(r->err, LORA_E_PICKLE, protocol->at, "the second pickle is not the protocol number %d",
                            PROTOCOL_NUMBER);
    if (system->kind != PICKLE_DICT)
        return lora_fail_at(r->err, LORA_E_PICKLE, system->at,
                            "the third pickle is not a dict of facts about the writer");
    const pickle_value *little = find(system, "little_endian");
    if (little && little->kind == PICKLE_BOOL && !little->integer)
        observe(r->seen, SEEN_PICKLE_ANOMALY, little->at, NULL,
                "written on a big-endian machine: read as little-endian, as torch does");
    return LORA_OK;
}

/* ---- the storages ---- */

static int by_key(const void *left, const void *right)
{
    const stored *a = left, *b = right;
    int order = strcmp(a->what.key, b->what.key);
    return order ? order : a->what.at < b->what.at ? -1 : a->what.at > b->what.at;
}

static stored *find_key(const reader *r, const char *key)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(r->storages[middle].what.key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n && strcmp(r->storages[low].what.key, key) == 0 ? &r->storages[low] : NULL;
}

/* One entry for each key that the object uses; what it says of a key must be the same everywhere. */
static lora_code gather(reader *r)
{
    char label[LABEL_BYTES];
    r->storages = calloc(r->ids.n ? r->ids.n : 1, sizeof *r->storages);
    if (!r->storages)
        return no_memory(r);
    for (size_t i = 0; i < r->ids.n; i++) {
        lora_code code = torch_storage_of(r->ids.list[i], &r->storages[i].what, r->err);
        if (code)
            return code;
    }
    qsort(r->storages, r->ids.n, sizeof *r->storages, by_key);
    for (size_t i = 0; i < r->ids.n; i++) {
        const torch_storage *s = &r->storages[i].what, *before = r->n ? &r->storages[r->n - 1].what : NULL;
        if (!before || strcmp(before->key, s->key) != 0)
            r->storages[r->n++] = r->storages[i];
        else if (before->dtype != s->dtype || before->numel != s->numel)
            return lora_fail_at(r->err, LORA_E_STORAGE, s->at, "storage %s is spoken of with two sizes or dtypes",
                                text_label(label, sizeof label, s->key, strlen(s->key)));
    }
    return LORA_OK;
}

/* The storage called key begins at *at, with its number of elements; *at moves behind it. */
static lora_code place_storage(reader *r, const pickle_value *key, uint64_t *at)
{
    char label[LABEL_BYTES];
    unsigned char count[COUNT_BYTES];
    stored *s = key->kind == PICKLE_STRING && strlen(key->text) == key->length ? find_key(r, key->text) : NULL;
    if (!s)
        return lora_fail_at(r->err, LORA_E_STORAGE, key->at,
                            "the list of storages has a key that the object does not use");
    text_label(label, sizeof label, s->what.key, strlen(s->what.key));
    if (s->where)
        return lora_fail_at(r->err, LORA_E_DUPLICATE, key->at, "storage %s is listed twice", label);
    if (r->f->size - *at < COUNT_BYTES)
        return lora_fail_at(r->err, LORA_E_TRUNCATED, *at, "the file ends before the storage %s", label);
    lora_code code = file_read_at(r->f, *at, count, sizeof count, r->err);
    if (code)
        return code;
    uint64_t numel = bytes_le64(count);
    if (numel != s->what.numel)
        return lora_fail_at(r->err, LORA_E_STORAGE, *at,
                            "storage %s has %" PRIu64 " elements, the object speaks of %" PRIu64, label, numel,
                            s->what.numel);
    if (s->what.bytes > r->f->size - *at - COUNT_BYTES)
        return lora_fail_at(r->err, LORA_E_TRUNCATED, *at,
                            "storage %s needs %" PRIu64 " bytes, the file has %" PRIu64 " left", label, s->what.bytes,
                            r->f->size - *at - COUNT_BYTES);
    tensor_storage *where = arena_alloc(r->mem, 1, sizeof *where);
    if (!where)
        return no_memory(r);
    *where = (tensor_storage){.offset = *at + COUNT_BYTES, .stored_bytes = s->what.bytes, .bytes = s->what.bytes};
    s->where = where;
    *at += COUNT_BYTES + s->what.bytes;
    return LORA_OK;
}

/* What follows the last storage may be another pickle. */
static lora_code trailing(reader *r, uint64_t at)
{
    uint64_t rest = r->f->size - at;
    size_t n = rest < TAIL_BYTES ? (size_t)rest : TAIL_BYTES;
    unsigned char *bytes = malloc(n);
    if (!bytes)
        return no_memory(r);
    lora_code code = file_read_at(r->f, at, bytes, n, r->err);
    pickle_source source = {.bytes = bytes, .length = n, .offset = at, .budget = LIMIT_PICKLE_MEMORY};
    if (!code && pickle_looks_like(bytes, n))
        code = pickle_scan(&source, r->seen, r->err);
    free(bytes);
    return code ? code : lora_fail_at(r->err, LORA_E_TRAILING, at, "%" PRIu64 " bytes follow the last storage", rest);
}

static lora_code place_storages(reader *r)
{
    const pickle_value *keys = r->roots[KEYS];
    if (keys->kind != PICKLE_LIST && keys->kind != PICKLE_TUPLE)
        return lora_fail_at(r->err, LORA_E_PICKLE, keys->at, "the fifth pickle is not a list of storages");
    uint64_t at = r->data;
    for (size_t i = 0; i < keys->n; i++) {
        lora_code code = place_storage(r, keys->items[i], &at);
        if (code)
            return code;
    }
    return at < r->f->size ? trailing(r, at) : LORA_OK;
}

static lora_code find_storage(void *ctx, const char *key, uint64_t bytes, uint64_t at, const tensor_storage **out,
                              lora_error *err)
{
    const reader *r = ctx;
    const stored *s = find_key(r, key);
    char label[LABEL_BYTES];
    text_label(label, sizeof label, key, strlen(key));
    if (!s || !s->where)
        return lora_fail_at(err, LORA_E_STORAGE_MISSING, at, "storage %s is not in the file", label);
    if (s->where->bytes < bytes)
        return lora_fail_at(err, LORA_E_STORAGE, at, "storage %s has %" PRIu64 " bytes, not %" PRIu64, label,
                            s->where->bytes, bytes);
    *out = s->where;
    return LORA_OK;
}

lora_code torch_legacy_read(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err)
{
    reader r = {.f = f, .mem = mem, .seen = seen, .err = err};
    catalog made = {.container = "torch-legacy", .source = f};
    torch_storages storages = {.ctx = &r, .find = find_storage};
    lora_code code = load_pickles(&r);
    if (!code)
        code = check_prologue(&r);
    if (!code)
        code = gather(&r);
    if (!code)
        code = place_storages(&r);
    if (!code)
        code = torch_catalog(r.roots[OBJECT], &storages, mem, seen, &made, err);
    if (!code && seen->no_memory)
        code = no_memory(&r);
    if (!code)
        *cat = made;
    free(r.storages);
    free(r.ids.list);
    free(r.window);
    arena_destroy(r.scratch);
    return code;
}
