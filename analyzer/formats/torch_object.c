/* torch_object.c - the walk through the object of a torch pickle.
 *
 * A pickle can describe circles, and trees that share branches so that a few bytes stand for billions of paths. The walk
 * keeps its way in a list of at most LIMIT_PICKLE_DEPTH containers, refuses one that is on the way already, and spends
 * from WALK_STEPS for every entry, and for the bytes of names it copies.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_object.h"

#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/torch_keys.h"
#include "analyzer/formats/torch_tensor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABEL_BYTES = 160,
    WALK_STEPS = 8000000, /* of a file of 200,000 tensors a walk takes 600,000 */
    NAME_BYTES = 4096,    /* of one name or value */
    METADATA_ENTRIES = 10000,
    NOTES = 64 /* of each kind */
};

/* A container on the way. */
typedef struct {
    const pickle_value *value;
    size_t next;        /* entry */
    size_t path_length; /* of its own name */
    uint32_t *last; /* DICT: for each pair, the pair that holds the last value of its key; TORCH_KEY_AGAIN: not the key's first */
} frame;

typedef struct {
    tensor t;
    uint64_t end;    /* in the storage's bytes */
    size_t sequence; /* of the walk */
    size_t top;      /* the entry of the outermost dict that it is in, */
    size_t top_name; /* … and how much of its name that entry is, when it is a dict; else 0 */
} found;

typedef struct {
    const torch_storages *storages;
    arena *mem;
    observations *seen;
    lora_error *err;
    frame way[LIMIT_PICKLE_DEPTH];
    size_t depth;
    strbuf path;
    size_t steps, text_left;
    found *list;
    size_t n, capacity;
    catalog_metadata *metadata;
    size_t n_metadata, metadata_capacity;
    unsigned n_unread, n_shared;
    size_t top_name; /* of the entry of the outermost dict that the walk is in */
} walk;

static lora_code no_memory(walk *w)
{
    return lora_fail(w->err, LORA_E_MEMORY, "out of memory while reading the tensors of a pickle");
}

static lora_code spend(walk *w, size_t steps, uint64_t at)
{
    if (steps > w->steps)
        return lora_fail_at(w->err, LORA_E_PICKLE_LIMIT, at,
                            "the object has more entries than %d, counted along every path", WALK_STEPS);
    w->steps -= steps;
    return LORA_OK;
}

/* ---- names ---- */

/* The name of the entry at the end of the way: behind that of its container. */
static lora_code name_entry(walk *w, const frame *f, const pickle_value *key, size_t index)
{
    lora_code code = spend(w, key && key->kind == PICKLE_STRING ? key->length / 16 : 0, f->value->at);
    if (code)
        return code;
    w->path.length = f->path_length;
    if (f != w->way)
        strbuf_putc(&w->path, '.');
    if (!key)
        strbuf_printf(&w->path, "%zu", index);
    else if (key->kind == PICKLE_INT)
        strbuf_printf(&w->path, "%" PRId64, key->integer);
    else
        strbuf_add(&w->path, key->text, key->length);
    return w->path.failed ? no_memory(w) : LORA_OK;
}

static bool is_plain(const char *text, size_t n)
{
    return n <= NAME_BYTES && !memchr(text, 0, n) && text_utf8_invalid(text, n) == n;
}

/* The path, kept. */
static lora_code keep_name(walk *w, uint64_t at, const char **name)
{
    char label[LABEL_BYTES];
    if (w->path.length > NAME_BYTES)
        return lora_fail_at(w->err, LORA_E_HEADER_FIELD, at, "a tensor's name has %zu bytes, the limit is %d",
                            w->path.length, NAME_BYTES);
    if (w->path.length && !is_plain(w->path.data, w->path.length))
        return lora_fail_at(w->err, LORA_E_HEADER_FIELD, at, "the tensor's name %s holds U+0000 or is not valid UTF-8",
                            text_label(label, sizeof label, w->path.data, w->path.length));
    if (w->path.length >= w->text_left)
        return lora_fail_at(w->err, LORA_E_PICKLE_LIMIT, at, "the names of the tensors take more than %u bytes",
                            2 * LIMIT_PICKLE_MEMORY);
    w->text_left -= w->path.length + 1;
    *name = arena_strndup(w->mem, w->path.length ? w->path.data : "", w->path.length);
    return *name ? LORA_OK : no_memory(w);
}

/* ---- entries ---- */

static bool grow(void **list, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return true;
    size_t larger = *capacity ? 2 * *capacity : 64;
    void *moved = realloc(*list, larger * size);
    if (!moved)
        return false;
    *list = moved;
    *capacity = larger;
    return true;
}

static lora_code add_tensor(walk *w, const torch_call *call)
{
    char label[LABEL_BYTES];
    if (call->kind == TORCH_UNREAD) {
        if (w->n_unread++ < NOTES)
            observe(w->seen, SEEN_PICKLE_ANOMALY, call->at, NULL,
                    "tensor %s is quantised, sparse or without a storage: not read",
                    text_label(label, sizeof label, w->path.length ? w->path.data : "", w->path.length));
        return LORA_OK;
    }
    if (w->n == LIMIT_TENSORS)
        return lora_fail_at(w->err, LORA_E_TOO_MANY, call->at, "the pickle lists more than %u tensors", LIMIT_TENSORS);
    void *moved = w->list;
    if (!grow(&moved, &w->capacity, w->n, sizeof *w->list))
        return no_memory(w);
    w->list = moved;
    found *f = &w->list[w->n];
    *f = (found){.sequence = w->n, .top = w->depth ? w->way[0].next : 0, .top_name = w->top_name};
    const char *name = NULL;
    lora_code code = keep_name(w, call->at, &name);
    if (!code)
        code = torch_tensor_read(call, name, w->storages, w->mem, &f->t, &f->end, w->err);
    w->n += !code;
    return code;
}

/* A number or a short text under a key. What does not fit is left out: it is not what anybody looks for. */
static lora_code add_metadata(walk *w, const pickle_value *v)
{
    strbuf text = {0};
    if (v->kind == PICKLE_FLOAT)
        text_double(&text, v->number);
    else if (v->kind == PICKLE_INT)
        strbuf_printf(&text, "%" PRId64, v->integer);
    else if (v->kind == PICKLE_BOOL)
        strbuf_puts(&text, v->integer ? "true" : "false");
    else if (v->length <= NAME_BYTES)
        strbuf_add(&text, v->text, v->length);
    lora_code code = text.failed ? no_memory(w) : LORA_OK;
    size_t needed = w->path.length + text.length + 2;
    bool wanted = text.data && w->path.length && is_plain(w->path.data, w->path.length) &&
                  is_plain(text.data, text.length) && w->n_metadata < METADATA_ENTRIES && needed < w->text_left;
    if (!code && wanted) {
        void *moved = w->metadata;
        bool room = grow(&moved, &w->metadata_capacity, w->n_metadata, sizeof *w->metadata);
        w->metadata = moved;
        catalog_metadata entry = {arena_strndup(w->mem, w->path.data, w->path.length),
                                  arena_strndup(w->mem, text.data, text.length)};
        if (room && entry.key && entry.value) {
            w->metadata[w->n_metadata++] = entry;
            w->text_left -= needed;
        } else {
            code = no_memory(w);
        }
    }
    strbuf_free(&text);
    return code;
}

static bool is_container(const pickle_value *v)
{
    return v->kind == PICKLE_DICT || v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE;
}

static lora_code enter(walk *w, const pickle_value *v)
{
    if (v->n == 0)
        return LORA_OK;
    if (w->depth == LIMIT_PICKLE_DEPTH)
        return lora_fail_at(w->err, LORA_E_PICKLE_LIMIT, v->at, "containers lie inside each other deeper than %u",
                            LIMIT_PICKLE_DEPTH);
    for (size_t i = 0; i < w->depth; i++)
        if (w->way[i].value == v)
            return lora_fail_at(w->err, LORA_E_OBJECT, v->at, "a container holds itself");
    lora_code code = spend(w, v->n, v->at);
    if (code)
        return code;
    frame *f = &w->way[w->depth++];
    *f = (frame){.value = v, .path_length = w->path.length};
    return v->kind != PICKLE_DICT || torch_last_values(v, &f->last) ? LORA_OK : no_memory(w);
}

/* One entry of a container; key NULL in a list. The path has its name. */
static lora_code visit(walk *w, const pickle_value *v, bool keyed)
{
    torch_call call = torch_call_of(v);
    if (call.kind != TORCH_OTHER)
        return add_tensor(w, &call);
    if (is_container(v))
        return enter(w, v);
    bool is_scalar =
        v->kind == PICKLE_INT || v->kind == PICKLE_FLOAT || v->kind == PICKLE_BOOL || v->kind == PICKLE_STRING;
    return keyed && is_scalar ? add_metadata(w, v) : LORA_OK;
}

static lora_code step_dict(walk *w, frame *f)
{
    size_t i = f->next++;
    if (f->last[i] == TORCH_KEY_AGAIN)
        return LORA_OK;
    const pickle_value *key = f->value->items[2 * i], *v = f->value->items[2 * (size_t)f->last[i] + 1];
    if (key->kind != PICKLE_STRING && key->kind != PICKLE_INT) {
        observe(w->seen, SEEN_PICKLE_ANOMALY, key->at, NULL,
                "a dict has a key that is neither a text nor an integer: left out");
        return LORA_OK;
    }
    lora_code code = name_entry(w, f, key, 0);
    if (code)
        return code;
    if (f == w->way)
        w->top_name = v->kind == PICKLE_DICT ? w->path.length + 1 : 0;
    return visit(w, v, true);
}

static lora_code step(walk *w)
{
    frame *f = &w->way[w->depth - 1];
    bool is_dict = f->value->kind == PICKLE_DICT;
    if (f->next >= (is_dict ? f->value->n / 2 : f->value->n)) {
        free(f->last);
        w->depth--;
        return LORA_OK;
    }
    if (is_dict)
        return step_dict(w, f);
    size_t i = f->next++;
    lora_code code = name_entry(w, f, NULL, i);
    return code ? code : visit(w, f->value->items[i], false);
}

static lora_code walk_root(walk *w, const pickle_value *root)
{
    torch_call call = torch_call_of(root);
    char label[LABEL_BYTES];
    lora_code code = LORA_OK;
    if (call.kind != TORCH_OTHER) {
        strbuf_puts(&w->path, "tensor");
        return w->path.failed ? no_memory(w) : add_tensor(w, &call);
    }
    if (root->kind == PICKLE_CALL && call.function)
        return lora_fail_at(w->err, LORA_E_OBJECT, root->at,
                            "the object is what %s makes, not a dict or list of tensors",
                            text_label(label, sizeof label, call.function, strlen(call.function)));
    if (!is_container(root))
        return lora_fail_at(w->err, LORA_E_OBJECT, root->at, "the object is not a dict or list of tensors");
    code = enter(w, root);
    while (!code && w->depth)
        code = step(w);
    return code;
}

/* ---- all tensors together ---- */

/* Where only one entry of the outermost dict holds tensors, its name says nothing. */
static void drop_top(walk *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!w->list[i].top_name || w->list[i].top != w->list[0].top)
            return;
    for (size_t i = 0; i < w->n; i++)
        w->list[i].t.name += w->list[i].top_name;
}

static int by_place(const void *left, const void *right)
{
    const found *a = left, *b = right;
    const uint64_t keys[][2] = {{a->t.storage->offset, b->t.storage->offset},
                                {a->t.offset, b->t.offset},
                                {a->end, b->end},
                                {a->t.entry_offset, b->t.entry_offset},
                                {a->sequence, b->sequence}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? -1 : 1;
    return 0;
}

static bool same_axes(const uint64_t *a, const uint64_t *b, unsigned n)
{
    return a && b ? memcmp(a, b, n * sizeof *a) == 0 : a == b;
}

static bool same_view(const found *a, const found *b)
{
    return a->t.offset == b->t.offset && a->t.dtype == b->t.dtype && a->t.n_dims == b->t.n_dims &&
           same_axes(a->t.shape, b->t.shape, a->t.n_dims) && same_axes(a->t.strides, b->t.strides, a->t.n_dims);
}

/* In the order of their place, each against the one that reaches furthest so far. */
static void note_shared(walk *w)
{
    char one[LABEL_BYTES], two[LABEL_BYTES];
    size_t furthest = 0;
    for (size_t i = 1; i < w->n && w->n_shared < NOTES; i++) {
        const found *a = &w->list[furthest], *b = &w->list[i];
        bool same_storage = a->t.storage->offset == b->t.storage->offset;
        if (same_storage && b->t.offset < a->end && b->t.bytes) {
            w->n_shared++;
            observe(w->seen, SEEN_SHARED_STORAGE, b->t.entry_offset, b->t.name, "tensor %s %s tensor %s",
                    text_label(one, sizeof one, b->t.name, strlen(b->t.name)),
                    same_view(a, b) ? "is the same part of its storage as" : "overlaps in its storage with",
                    text_label(two, sizeof two, a->t.name, strlen(a->t.name)));
        }
        if (!same_storage || b->end > a->end)
            furthest = i;
    }
}

static lora_code publish(walk *w, catalog *cat)
{
    bool sorted = true;
    for (size_t i = 1; i < w->n && sorted; i++)
        sorted = by_place(&w->list[i - 1], &w->list[i]) < 0;
    if (!sorted)
        qsort(w->list, w->n, sizeof *w->list, by_place);
    drop_top(w);
    tensor *tensors = arena_alloc(w->mem, w->n, sizeof *tensors);
    catalog_metadata *metadata = arena_alloc(w->mem, w->n_metadata, sizeof *metadata);
    if (!tensors || !metadata)
        return no_memory(w);
    for (size_t i = 0; i < w->n; i++)
        tensors[i] = w->list[i].t;
    lora_code code = catalog_check_names(tensors, w->n, w->err);
    if (code)
        return code;
    note_shared(w);
    if (w->seen->no_memory)
        return no_memory(w);
    if (w->n_metadata)
        memcpy(metadata, w->metadata, w->n_metadata * sizeof *metadata);
    cat->tensors = tensors;
    cat->n_tensors = w->n;
    cat->metadata = metadata;
    cat->n_metadata = w->n_metadata;
    return LORA_OK;
}

lora_code torch_catalog(const pickle_value *root, const torch_storages *storages, arena *mem, observations *seen,
                        catalog *cat, lora_error *err)
{
    walk w = {.storages = storages,
              .mem = mem,
              .seen = seen,
              .err = err,
              .steps = WALK_STEPS,
              .text_left = 2 * LIMIT_PICKLE_MEMORY};
    lora_code code = walk_root(&w, root);
    if (!code)
        code = publish(&w, cat);
    while (w.depth)
        free(w.way[--w.depth].last);
    free(w.list);
    free(w.metadata);
    strbuf_free(&w.path);
    return code;
}
