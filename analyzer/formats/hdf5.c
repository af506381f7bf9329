/* hdf5.c - see hdf5.h.
 *
 * libhdf5 makes no promise on hostile files, so this is no line of defence against them; it keeps what it can keep: depth
 * and number of links are bounded (a cycle of hard links ends by its depth), sizes are checked before memory is taken, no
 * other file is opened and no plugin loaded. Identifiers are closed even when negative: HDF5 refuses those without harm;
 * what is left open after a fault goes with the file, which is closed strongly.
 * SPDX-License-Identifier: Apache-2.0
 */
#define H5_USE_110_API
#include "analyzer/formats/hdf5.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/hdf5_type.h"

#include <hdf5.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32, MAX_TEXT_BYTES = 1 << 20 };

typedef struct {
    const file *source;
    arena *mem;
    lora_error *err;
    strbuf path; /* of the object in hand, '.' for '/' */
    unsigned depth;
    size_t n_links;
    uint64_t at;      /* of the object in hand: its header */
    uint64_t expanded; /* bytes in mem so far */
    tensor *tensors;
    size_t n_tensors, capacity;
    catalog_metadata *metadata;
    size_t n_metadata;
    lora_code code; /* why the walk ended; callbacks of libhdf5 give no more than a sign */
} reader;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void hdf5_lock(void)
{
    pthread_mutex_lock(&lock);
}

void hdf5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static lora_code no_memory(reader *r)
{
    return lora_fail(r->err, LORA_E_MEMORY, "out of memory while reading an HDF5 file");
}

static lora_code broken(reader *r, const char *what)
{
    text_quote l;
    return lora_fail_at(r->err, LORA_E_HDF5, r->at, "%s: %s", text_quoted(&l, r->path.data), what);
}

/* ---- datasets ---- */

static lora_code read_shape(reader *r, hid_t data, tensor *t, bool *none)
{
    hid_t space = H5Dget_space(data);
    hsize_t axes[H5S_MAX_RANK];
    H5S_class_t class = H5Sget_simple_extent_type(space);
    int n = class == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, axes, NULL) : 0;
    H5Sclose(space);
    *none = class == H5S_NULL;
    if (class == H5S_NO_CLASS || n < 0 || n > (int)LIMIT_TENSOR_DIMS)
        return broken(r, n > 0 ? "it has more than 8 axes" : "its shape cannot be read");
    uint64_t *shape = arena_alloc(r->mem, (size_t)n, sizeof *shape);
    if (!shape)
        return no_memory(r);
    for (int i = 0; i < n; i++)
        shape[i] = axes[i];
    t->shape = shape;
    t->n_dims = (unsigned)n;
    return LORA_OK;
}

/* Refuses what names another file; says whether the entries lie in this one as they are. */
static lora_code read_layout(reader *r, hid_t data, size_t entry_bytes, bool *contiguous)
{
    hid_t plan = H5Dget_create_plist(data);
    H5D_layout_t layout = H5Pget_layout(plan);
    int n_external = layout == H5D_CONTIGUOUS ? H5Pget_external_count(plan) : 0, n_filters = H5Pget_nfilters(plan);
    hsize_t chunk[H5S_MAX_RANK];
    uint64_t chunk_bytes = entry_bytes;
    int n = layout == H5D_CHUNKED ? H5Pget_chunk(plan, H5S_MAX_RANK, chunk) : 0;
    bool fits = true;
    for (int i = 0; i < n && fits; i++)
        fits = checked_mul(chunk_bytes, chunk[i], &chunk_bytes);
    H5Pclose(plan);
    if (((int)layout | n_external | n_filters | n) < 0) /* any of them */
        return broken(r, "its layout cannot be read");
    if (layout == H5D_VIRTUAL || n_external > 0)
        return broken(r, "its entries lie in other files, which are not opened");
    if (!fits || chunk_bytes > LIMIT_EXPANSION_FREE + LIMIT_EXPANSION * r->source->size)
        return lora_fail_at(r->err, LORA_E_INFLATES_TOO_LARGE, r->at, "a chunk has %" PRIu64 " bytes, in a file of %" PRIu64,
                            fits ? chunk_bytes : UINT64_MAX, r->source->size);
    *contiguous = layout == H5D_CONTIGUOUS && n_filters == 0;
    return LORA_OK;
}

/* The whole dataset in its stored type, as a storage in mem. */
static lora_code load_entries(reader *r, hid_t data, hid_t type, tensor *t, tensor_storage *storage)
{
    uint64_t most = LIMIT_EXPANSION * r->source->size + LIMIT_EXPANSION_FREE;
    if (t->bytes > most - r->expanded)
        return lora_fail_at(r->err, LORA_E_INFLATES_TOO_LARGE, r->at, "the datasets have more than the %" PRIu64
                            " bytes that a file of %" PRIu64 " may expand to", most, r->source->size);
    r->expanded += t->bytes;
    void *bytes = arena_alloc(r->mem, (size_t)t->bytes, 1);
    if (!bytes)
        return no_memory(r);
    if (t->bytes > 0 && H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0)
        return broken(r, "its entries cannot be read");
    storage->memory = bytes;
    storage->bytes = storage->stored_bytes = t->bytes;
    return LORA_OK;
}

static lora_code place_entries(reader *r, hid_t data, hid_t type, tensor *t, bool big_endian)
{
    bool contiguous = false;
    lora_code code = read_layout(r, data, H5Tget_size(type), &contiguous);
    if (code)
        return code;
    tensor_storage *storage = arena_alloc(r->mem, 1, sizeof *storage);
    if (!storage)
        return no_memory(r);
    storage->big_endian = big_endian;
    haddr_t offset = contiguous ? H5Dget_offset(data) : HADDR_UNDEF; /* HADDR_UNDEF, too, where nothing was ever written */
    if (offset == HADDR_UNDEF) {
        t->storage = storage;
        return load_entries(r, data, type, t, storage);
    }
    if (offset > r->source->size || t->bytes > r->source->size - offset || H5Dget_storage_size(data) < t->bytes)
        return broken(r, "its entries reach beyond the end of the file");
    if (big_endian) {
        storage->stored_bytes = storage->bytes = r->source->size;
        t->storage = storage;
    }
    t->offset = offset;
    return LORA_OK;
}

static tensor *add_tensor(reader *r)
{
    if (r->n_tensors == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 64;
        tensor *grown = realloc(r->tensors, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        r->tensors = grown;
        r->capacity = capacity;
    }
    tensor *t = &r->tensors[r->n_tensors];
    *t = (tensor){.name = arena_strdup(r->mem, r->path.data), .entry_offset = r->at};
    return t->name ? t : NULL;
}

static lora_code read_dataset(reader *r, hid_t data)
{
    bool none = false, big_endian = false;
    hid_t type = H5Dget_type(data);
    H5T_class_t class = H5Tget_class(type);
    lora_code code = LORA_OK;
    if (class != H5T_FLOAT && class != H5T_INTEGER) {
        code = class == H5T_NO_CLASS ? broken(r, "its type cannot be read") : LORA_OK;
        goto done;
    }
    tensor *t = add_tensor(r);
    if (!t) {
        code = no_memory(r);
        goto done;
    }
    t->dtype = hdf5_dtype(type, &big_endian);
    text_quote l;
    if (t->dtype == DTYPE_COUNT)
        code = lora_fail_at(r->err, LORA_E_DTYPE, r->at, "dataset %s has a number type of %zu bytes that is not known",
                            text_quoted(&l, t->name), H5Tget_size(type));
    if (!code)
        code = read_shape(r, data, t, &none);
    if (code || none)
        goto done;
    code = tensor_byte_size(t, &t->bytes, r->err);
    if (!code)
        code = place_entries(r, data, type, t, big_endian);
    if (!code)
        r->n_tensors++;
done:
    H5Tclose(type);
    return code;
}

/* ---- the walk ---- */

static lora_code walk(reader *r, hid_t group);

static lora_code visit_object(reader *r, hid_t group, const char *name)
{
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    lora_code code = LORA_OK;
    H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_DATASET)
        code = read_dataset(r, object);
    else if (kind == H5I_GROUP && r->depth == MAX_DEPTH)
        code = broken(r, "groups nest deeper than 32");
    else if (kind == H5I_GROUP)
        code = walk(r, object);
    else if (kind != H5I_DATATYPE)
        code = broken(r, "it cannot be opened");
    H5Oclose(object);
    return code;
}

static lora_code visit_link(reader *r, hid_t group, const char *name, const H5L_info_t *info)
{
    size_t before = r->path.length;
    lora_code code = LORA_OK;
    if (++r->n_links > LIMIT_TENSORS)
        return lora_fail(r->err, LORA_E_TOO_MANY, "the file has more than %u links", LIMIT_TENSORS);
    if (before)
        strbuf_putc(&r->path, '.');
    strbuf_puts(&r->path, name);
    if (r->path.failed)
        return no_memory(r);
    r->at = info->type == H5L_TYPE_HARD ? info->u.address : r->at;
    if (text_utf8_invalid(name, strlen(name)) < strlen(name))
        code = broken(r, "its name is not valid UTF-8");
    else if (info->type == H5L_TYPE_HARD)
        code = visit_object(r, group, name);
    else if (info->type != H5L_TYPE_SOFT)
        code = broken(r, "it is a link to another file, which is not followed");
    r->path.length = before;
    r->path.data[before] = '\0';
    return code;
}

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *reader_)
{
    reader *r = reader_;
    r->code = visit_link(r, group, name, info);
    return r->code ? 1 : 0;
}

static lora_code walk(reader *r, hid_t group)
{
    hsize_t next = 0;
    r->depth++;
    herr_t ended = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &next, on_link, r);
    r->depth--;
    return ended < 0 ? broken(r, "its members cannot be listed") : ended > 0 ? r->code : LORA_OK;
}

/* ---- text attributes of the root ---- */

/* The value of a text attribute, in mem; NULL, and *code set, when it cannot be had. */
static const char *attribute_text(reader *r, hid_t attribute, hid_t type, lora_code *code)
{
    char *loaned = NULL, *copy = NULL;
    if (H5Tis_variable_str(type) > 0) {
        hid_t space = H5Aget_space(attribute);
        if (H5Aread(attribute, type, &loaned) < 0)
            *code = broken(r, "an attribute cannot be read");
        else if (!(copy = arena_strdup(r->mem, loaned ? loaned : "")))
            *code = no_memory(r);
        if (loaned)
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, &loaned);
        H5Sclose(space);
        return copy;
    }
    size_t n = H5Tget_size(type);
    if (n > MAX_TEXT_BYTES)
        *code = broken(r, "an attribute has more than 1 MiB of text");
    else if (!(copy = arena_alloc(r->mem, n + 1, 1)))
        *code = no_memory(r);
    else if (H5Aread(attribute, type, copy) < 0)
        *code = broken(r, "an attribute cannot be read");
    return *code ? NULL : copy;
}

static lora_code read_attribute(reader *r, hid_t attribute)
{
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    lora_code code = LORA_OK;
    char name[1024];
    ssize_t length = H5Aget_name(attribute, sizeof name, name);
    if (length < 0 || (type | space) < 0)
        code = broken(r, "an attribute cannot be read");
    else if ((size_t)length < sizeof name && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        const char *value = attribute_text(r, attribute, type, &code);
        const char *key = value ? arena_strdup(r->mem, name) : NULL;
        if (!code && !key)
            code = no_memory(r);
        else if (!code && (text_utf8_invalid(name, (size_t)length) < (size_t)length ||
                           text_utf8_invalid(value, strlen(value)) < strlen(value)))
            code = broken(r, "a text attribute is not valid UTF-8");
        if (!code)
            r->metadata[r->n_metadata++] = (catalog_metadata){key, value};
    }
    H5Sclose(space);
    H5Tclose(type);
    return code;
}

static lora_code read_attributes(reader *r, hid_t root)
{
    H5O_info_t info;
    if (H5Oget_info(root, &info) < 0)
        return broken(r, "the root cannot be read");
    if (info.num_attrs > LIMIT_TENSORS)
        return lora_fail(r->err, LORA_E_TOO_MANY, "the file has more than %u attributes", LIMIT_TENSORS);
    r->metadata = arena_alloc(r->mem, (size_t)info.num_attrs, sizeof *r->metadata);
    if (!r->metadata)
        return no_memory(r);
    lora_code code = LORA_OK;
    for (hsize_t i = 0; !code && i < info.num_attrs; i++) {
        hid_t attribute = H5Aopen_by_idx(root, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT);
        code = attribute < 0 ? broken(r, "an attribute cannot be opened") : read_attribute(r, attribute);
        H5Aclose(attribute);
    }
    for (size_t i = 0; !code && i < r->n_metadata; i++)
        if (strcmp(r->metadata[i].key, "schema") == 0 && strncmp(r->metadata[i].value, "loraudit.spectra/", 17) == 0)
            code = lora_fail_at(r->err, LORA_E_FORMAT, 0, "an archive of spectra, not weights");
    return code;
}

/* ---- the whole ---- */

/* path may lead elsewhere by now; what was looked at is what is to be read. */
static bool same_file(const file *f, hid_t opened)
{
    int *fd = NULL;
    struct stat ours, theirs;
    return H5Fget_vfd_handle(opened, H5P_DEFAULT, (void **)&fd) >= 0 && fd && fstat(f->fd, &ours) == 0 &&
           fstat(*fd, &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static lora_code read_file(reader *r, const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    hid_t opened = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (opened < 0)
        return lora_fail_at(r->err, LORA_E_HDF5, 0, "libhdf5 cannot open the file: it is truncated, damaged or locked");
    lora_code code = LORA_OK;
    if (!same_file(r->source, opened)) {
        code = lora_fail(r->err, LORA_E_HDF5, "the path leads to another file than before");
    } else {
        hid_t root = H5Gopen2(opened, "/", H5P_DEFAULT);
        code = root < 0 ? broken(r, "the root cannot be opened") : read_attributes(r, root);
        if (!code)
            code = walk(r, root);
        H5Gclose(root);
    }
    H5Fclose(opened);
    return code;
}

lora_code hdf5_read(const char *path, const file *f, arena *mem, catalog *cat, lora_error *err)
{
    reader r = {.source = f, .mem = mem, .err = err};
    H5E_auto2_t report = NULL;
    void *report_to = NULL;
    unsigned plugins = 0;
    strbuf_putc(&r.path, '/'); /* from here on it has memory */
    strbuf_clear(&r.path);
    if (r.path.failed)
        return no_memory(&r);
    hdf5_lock();
    H5Eget_auto2(H5E_DEFAULT, &report, &report_to);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* faults are ours to tell */
    H5PLget_loading_state(&plugins);
    H5PLset_loading_state(0);
    lora_code code = read_file(&r, path);
    H5PLset_loading_state(plugins);
    H5Eset_auto2(H5E_DEFAULT, report, report_to);
    hdf5_unlock();
    tensor *tensors = code ? NULL : arena_alloc(mem, r.n_tensors, sizeof *tensors);
    if (!code && !tensors)
        code = no_memory(&r);
    if (!code && r.n_tensors)
        memcpy(tensors, r.tensors, r.n_tensors * sizeof *tensors);
    free(r.tensors);
    strbuf_free(&r.path);
    if (!code)
        code = catalog_check_names(tensors, r.n_tensors, err);
    if (code)
        return code;
    catalog_sort(tensors, r.n_tensors);
    *cat = (catalog){.container = "hdf5", .source = f, .tensors = tensors, .n_tensors = r.n_tensors,
                     .metadata = r.metadata, .n_metadata = r.n_metadata};
    return LORA_OK;
}
