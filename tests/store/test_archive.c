/* The HDF5 archive: what is written is what the record holds; what cannot be written is an error.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/recipe.h"
#include "analyzer/store/archive.h"
#include "tests/support/auditing.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLES "benchmark-data/samples/"

static void expect_text(hid_t object, const char *name, const char *value)
{
    char *text = NULL;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(attribute);
    assert_true(H5Aread(attribute, type, &text) >= 0);
    assert_string_equal(text, value);
    H5free_memory(text);
    H5Tclose(type);
    H5Aclose(attribute);
}

static double *read_table(hid_t group, const char *name, hsize_t rows, hsize_t columns)
{
    hid_t data = H5Dopen2(group, name, H5P_DEFAULT), space = H5Dget_space(data);
    hsize_t shape[2] = {0};
    assert_int_equal(H5Sget_simple_extent_ndims(space), columns ? 2 : 1);
    H5Sget_simple_extent_dims(space, shape, NULL);
    assert_int_equal(shape[0], rows);
    if (columns)
        assert_int_equal(shape[1], columns);
    double *x = calloc(rows, (columns ? columns : 1) * sizeof *x);
    assert_true(H5Dread(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Sclose(space);
    H5Dclose(data);
    return x;
}

static void the_archive_holds_what_the_record_holds(void **state)
{
    (void)state;
    static const char *const files[] = {SAMPLES "peft-rslora-patterns-bf16/adapter_model.safetensors",
                                        SAMPLES "not-finite/adapter_model.safetensors"};
    archive *a = NULL;
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "s.h5"), &a, NULL), LORA_OK);
    lora_record *records[2];
    for (size_t i = 0; i < 2; i++) {
        records[i] = audit_path(files[i]);
        assert_int_equal(archive_add(a, records[i], 3 * i, NULL), LORA_OK);
    }
    lora_record *broken = audit_path(SAMPLES "PROVENANCE.md");
    assert_int_equal(archive_add(a, broken, 9, NULL), LORA_OK);
    record_destroy(broken);
    assert_int_equal(archive_close(a, NULL), LORA_OK);

    hid_t h5 = H5Fopen(fixture_path(auditing_folder(), "s.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(h5 >= 0);
    expect_text(h5, "schema", "loraudit.spectra/1");
    assert_true(H5Lexists(h5, "9", H5P_DEFAULT) == 0);
    static const char *const names[] = {"0", "3"};
    for (size_t i = 0; i < 2; i++) {
        const lora_record *r = records[i];
        size_t n = r->adapter.n_modules, width = (size_t)r->rank_max;
        hid_t group = H5Gopen2(h5, names[i], H5P_DEFAULT);
        expect_text(group, "path", files[i]);
        expect_text(group, "layout", "peft");
        expect_text(group, "recipe", recipe_key(records[i]));
        double *sigma = read_table(group, "sigma", n, width), *norm = read_table(group, "frobenius", n, 0);
        double *rank = read_table(group, "rank", n, 0);
        for (size_t k = 0; k < n; k++) {
            const module_record *m = &r->modules[k];
            bool ok = m->spectrum.status == SPECTRAL_OK;
            assert_true(rank[k] == (double)m->module->r);
            assert_true(ok ? norm[k] == m->spectrum.frobenius : isnan(norm[k]));
            for (size_t j = 0; j < width; j++) {
                double x = sigma[k * width + j];
                assert_true(ok && j < m->n_sigma ? x == m->spectrum.sigma[j] : isnan(x));
            }
        }
        free(sigma);
        free(norm);
        free(rank);
        H5Gclose(group);
        record_destroy(records[i]);
    }
    H5Fclose(h5);
}

static void an_archive_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    lora_error err = {0};
    archive *a = (archive *)&err; /* anything but NULL */
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "no/such/folder.h5"), &a, &err), LORA_E_WRITE);
    assert_null(a);
    assert_int_equal(err.code, LORA_E_WRITE);
    assert_int_equal(archive_close(NULL, NULL), LORA_OK);
}

static void one_index_is_written_once(void **state)
{
    (void)state;
    archive *a = NULL;
    lora_record *r = audit_path(SAMPLES "untrained/adapter_model.safetensors");
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "twice.h5"), &a, NULL), LORA_OK);
    assert_int_equal(archive_add(a, r, 1, NULL), LORA_OK);
    assert_int_equal(archive_add(a, r, 1, NULL), LORA_E_WRITE);
    archive_close(a, NULL);
    record_destroy(r);
}

static void the_recipe_key_names_every_kind_of_module(void **state)
{
    (void)state;
    lora_record *r = audit_path(SAMPLES "untrained/adapter_model.safetensors");
    assert_string_equal(recipe_key(r), "peft lora init=kaiming-uniform transformer.q:128x128:r8:s2*4 transformer.v:64x128:r8:s2*4");
    record_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_archive_holds_what_the_record_holds),
        cmocka_unit_test(an_archive_that_cannot_be_written_is_an_error),
        cmocka_unit_test(one_index_is_written_once),
        cmocka_unit_test(the_recipe_key_names_every_kind_of_module),
    };
    return cmocka_run_group_tests(tests, auditing_set_up, auditing_tear_down);
}
