/* archive.c - see archive.h.
 *
 * Every HDF5 call gives a negative value on failure; `failed` collects them, and a fault is told once, by the public
 * function. Identifiers are closed even when negative: HDF5 refuses those without harm. Files may be read with the same
 * library on other threads: each public function holds its lock while it calls it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/store/archive.h"

#include "analyzer/audit/recipe.h"
#include "analyzer/formats/hdf5.h"
#include "analyzer/loraudit.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 1 << 20, DEFLATE_LEVEL = 4 };

struct archive {
    hid_t file, text; /* text: variable-length UTF-8 */
    bool failed;
};

static void note(archive *a, herr_t result)
{
    a->failed |= result < 0;
}

static lora_code write_fault(lora_error *err, const char *what)
{
    return lora_fail(err, LORA_E_WRITE, "cannot write the spectra archive: %s", what);
}

static void put_attribute(archive *a, hid_t object, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    note(a, H5Awrite(attribute, type, value));
    note(a, H5Aclose(attribute));
    note(a, H5Sclose(space));
}

static void put_text(archive *a, hid_t object, const char *name, const char *value)
{
    put_attribute(a, object, name, a->text, &value);
}

lora_code archive_create(const char *path, archive **out, lora_error *err)
{
    *out = NULL;
    archive *a = calloc(1, sizeof *a);
    if (!a)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a spectra archive");
    hdf5_lock();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* faults are ours to tell */
    a->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    a->text = H5Tcopy(H5T_C_S1);
    note(a, H5Tset_size(a->text, H5T_VARIABLE));
    note(a, H5Tset_cset(a->text, H5T_CSET_UTF8));
    put_text(a, a->file, "schema", "loraudit.spectra/1");
    put_text(a, a->file, "tool_version", LORAUDIT_VERSION);
    hdf5_unlock();
    if (a->failed) {
        archive_close(a, NULL);
        return write_fault(err, "it cannot be created");
    }
    *out = a;
    return LORA_OK;
}

/* Rows × columns of type, compressed in chunks of whole rows. Variable-length text is stored plain. */
static void put_dataset(archive *a, hid_t group, const char *name, hid_t type, hsize_t rows, hsize_t columns,
                        const void *values)
{
    hsize_t shape[2] = {rows, columns}, chunk[2] = {rows, columns};
    int n_dims = columns > 0 ? 2 : 1;
    size_t row_bytes = 8 * (size_t)(columns > 0 ? columns : 1);
    if (rows * row_bytes > CHUNK_BYTES)
        chunk[0] = row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1;
    hid_t space = H5Screate_simple(n_dims, shape, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
    if (type != a->text) {
        note(a, H5Pset_chunk(plan, n_dims, chunk));
        note(a, H5Pset_shuffle(plan));
        note(a, H5Pset_deflate(plan, DEFLATE_LEVEL));
    }
    note(a, H5Pset_obj_track_times(plan, false)); /* the same input gives the same bytes */
    hid_t data = H5Dcreate2(group, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    note(a, H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
    note(a, H5Dclose(data));
    note(a, H5Pclose(plan));
    note(a, H5Sclose(space));
}

typedef enum { TABLE_SIGMA, TABLE_SIGMA_A, TABLE_SIGMA_B, TABLE_COUNT } sigma_table;

/* σ of one kind, a row a module, NaN behind the last one, and everywhere in a module that is not finite. */
static void fill_sigma(const lora_record *r, sigma_table kind, size_t width, double *to)
{
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        const double *sigma = kind == TABLE_SIGMA     ? m->spectrum.sigma
                              : kind == TABLE_SIGMA_A ? m->spectrum.sigma_a
                                                      : m->spectrum.sigma_b;
        size_t n = m->spectrum.status != SPECTRAL_OK ? 0
                   : kind == TABLE_SIGMA             ? m->n_sigma
                   : kind == TABLE_SIGMA_A           ? m->n_sigma_a
                                                     : m->n_sigma_b;
        for (size_t k = 0; k < width; k++)
            to[i * width + k] = k < n ? sigma[k] : NAN;
    }
}

static void put_columns(archive *a, hid_t group, const lora_record *r, int64_t *whole, double *real, const char **text)
{
    static const char *const names[] = {"layer", "out", "in", "rank"};
    size_t n = r->adapter.n_modules;
    for (unsigned c = 0; c < 4; c++) {
        for (size_t i = 0; i < n; i++) {
            const lora_module *m = r->modules[i].module;
            whole[i] = c == 0 ? m->layer : (int64_t)(c == 1 ? m->m : c == 2 ? m->n : m->r);
        }
        put_dataset(a, group, names[c], H5T_NATIVE_INT64, n, 0, whole);
    }
    for (size_t i = 0; i < n; i++)
        real[i] = r->modules[i].module->scale;
    put_dataset(a, group, "scale", H5T_NATIVE_DOUBLE, n, 0, real);
    for (size_t i = 0; i < n; i++)
        real[i] = r->modules[i].spectrum.status == SPECTRAL_OK ? r->modules[i].spectrum.frobenius : NAN;
    put_dataset(a, group, "frobenius", H5T_NATIVE_DOUBLE, n, 0, real);
    for (size_t i = 0; i < n; i++)
        text[i] = r->modules[i].module->name;
    put_dataset(a, group, "module", a->text, n, 0, text);
    for (size_t i = 0; i < n; i++)
        text[i] = role_name(r->modules[i].module->role);
    put_dataset(a, group, "role", a->text, n, 0, text);
}

static void put_labels(archive *a, hid_t group, const lora_record *r, const char *recipe)
{
    put_text(a, group, "path", r->path);
    put_text(a, group, "status", status_name(r->status));
    put_text(a, group, "layout", layout_name(r->adapter.layout));
    put_text(a, group, "method", r->adapter.method);
    put_text(a, group, "recipe", recipe);
    if (r->base_model)
        put_text(a, group, "base_model", r->base_model);
    if (r->declared.present)
        put_attribute(a, group, "declared_size", H5T_NATIVE_DOUBLE, &r->declared.value);
}

lora_code archive_add(archive *a, const lora_record *r, size_t index, lora_error *err)
{
    static const char *const tables[] = {"sigma", "sigma_a", "sigma_b"};
    size_t n = r->adapter.n_modules, width = (size_t)r->rank_max;
    if (!r->modules || n == 0 || r->status == STATUS_ERROR)
        return LORA_OK;
    const char *recipe = recipe_key(r), **text = malloc(n * sizeof *text);
    int64_t *whole = malloc(n * sizeof *whole);
    double *real = malloc(n * sizeof *real), *sigma = calloc(n, width * sizeof *sigma);
    lora_code code = LORA_OK;
    if (!recipe || !text || !whole || !real || !sigma) {
        code = lora_fail(err, LORA_E_MEMORY, "no memory for the spectra of %zu modules", n);
        goto done;
    }
    char name[24];
    snprintf(name, sizeof name, "%zu", index);
    hdf5_lock();
    hid_t group = H5Gcreate2(a->file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_labels(a, group, r, recipe);
    put_columns(a, group, r, whole, real, text);
    for (unsigned k = 0; k < TABLE_COUNT; k++) {
        fill_sigma(r, (sigma_table)k, width, sigma);
        put_dataset(a, group, tables[k], H5T_NATIVE_DOUBLE, n, width, sigma);
    }
    note(a, H5Gclose(group));
    hdf5_unlock();
    if (a->failed)
        code = write_fault(err, r->path);
done:
    free(text);
    free(whole);
    free(real);
    free(sigma);
    return code;
}

lora_code archive_close(archive *a, lora_error *err)
{
    if (!a)
        return LORA_OK;
    hdf5_lock();
    note(a, H5Fflush(a->file, H5F_SCOPE_GLOBAL));
    note(a, H5Tclose(a->text));
    note(a, H5Fclose(a->file));
    hdf5_unlock();
    bool failed = a->failed;
    free(a);
    return failed ? write_fault(err, "it cannot be closed") : LORA_OK;
}
