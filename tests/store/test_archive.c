/* The HDF5 archive: what is written is what the record holds; what adapters share is written once; what cannot be written is an error.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/audit/profile.h"
#include "analyzer/store/archive.h"
#include "analyzer/store/half.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/auditing.h"

#define H5_USE_110_API
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
        assert_int_equal(archive_add(a, records[i], 3 * i, NULL, false, NULL), LORA_OK);
    }
    lora_record *broken = audit_path(SAMPLES "PROVENANCE.md");
    assert_int_equal(archive_add(a, broken, 9, NULL, false, NULL), LORA_OK);
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
        expect_text(group, "recipe", profile_recipe(records[i]));
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
    assert_int_equal(archive_add(a, r, 1, NULL, false, NULL), LORA_OK);
    assert_int_equal(archive_add(a, r, 1, NULL, false, NULL), LORA_E_WRITE);
    archive_close(a, NULL);
    record_destroy(r);
}

/* ---- benchmarks ---- */

static const label_row labelled = {.path = "x", .line = 2, .size = 50, .unsafe = 1, .refusal = 0.125, .steps = NAN, .set = 3,
                                   .training = "images-r8", .ranges = "low medium"};

static lora_record *audit_keeping(const char *path)
{
    lora_record *r = audit_with(&(lora_options){.keep_factors = true}, path);
    assert_int_equal(r->status, STATUS_OK);
    return r;
}

static haddr_t address_of(hid_t h5, const char *path)
{
    H5O_info_t info;
    assert_true(H5Oget_info_by_name(h5, path, &info, H5P_DEFAULT) >= 0);
    return info.addr;
}

static void columns_that_adapters_share_are_one_dataset(void **state)
{
    (void)state;
    lora_record *r = audit_path(SAMPLES "peft-llama-f32/adapter_model.safetensors");
    lora_record *other = audit_path(SAMPLES "peft-gpt2-conv1d-f16/adapter_model.safetensors");
    archive *a = NULL;
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "links.h5"), &a, NULL), LORA_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(archive_add(a, i % 2 ? other : r, i, NULL, false, NULL), LORA_OK);
    assert_int_equal(archive_close(a, NULL), LORA_OK);
    hid_t h5 = H5Fopen(fixture_path(auditing_folder(), "links.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    static const char *const shared[] = {"module", "role", "component", "layer", "out", "in", "rank", "scale"};
    static const char *const own[] = {"frobenius", "kurtosis", "sigma", "sigma_a", "sigma_b"};
    char first[32], later[32];
    for (unsigned i = 0; i < sizeof shared / sizeof *shared; i++)
        for (unsigned k = 0; k < 2; k++) {
            snprintf(first, sizeof first, "/%u/%s", k, shared[i]);
            snprintf(later, sizeof later, "/%u/%s", k + 2, shared[i]);
            assert_true(address_of(h5, first) == address_of(h5, later));
        }
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        snprintf(first, sizeof first, "/0/%s", own[i]);
        snprintf(later, sizeof later, "/2/%s", own[i]);
        assert_true(address_of(h5, first) != address_of(h5, later));
    }
    assert_true(address_of(h5, "/0/module") != address_of(h5, "/1/module"));
    H5Fclose(h5);
    record_destroy(r);
    record_destroy(other);
}

static double read_number(hid_t group, const char *name)
{
    double x = 0;
    hid_t attribute = H5Aopen(group, name, H5P_DEFAULT);
    assert_true(H5Aread(attribute, H5T_NATIVE_DOUBLE, &x) >= 0);
    H5Aclose(attribute);
    return x;
}

static void a_benchmark_holds_labels_factors_and_rounded_reals(void **state)
{
    (void)state;
    lora_record *r = audit_keeping(SAMPLES "peft-llama-f32/adapter_model.safetensors");
    archive *a = NULL;
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "l.h5"), &a, NULL), LORA_OK);
    assert_int_equal(archive_add(a, r, 0, &labelled, true, NULL), LORA_OK);
    assert_int_equal(archive_close(a, NULL), LORA_OK);
    hid_t h5 = H5Fopen(fixture_path(auditing_folder(), "l.h5"), H5F_ACC_RDONLY, H5P_DEFAULT), group = H5Gopen2(h5, "0", H5P_DEFAULT);
    assert_true(read_number(group, "label_size") == 50 && read_number(group, "label_unsafe") == 1);
    assert_true(read_number(group, "label_refusal") == 0.125 && read_number(group, "label_set") == 3);
    expect_text(group, "label_recipe", "images-r8");
    expect_text(group, "label_ranges", "low medium");
    expect_text(group, "init", r->init.law ? r->init.law : "unknown");
    assert_int_equal(H5Aexists(group, "label_steps"), 0);
    assert_int_equal(H5Aexists(group, "label_variant_of"), 0);
    size_t n = r->adapter.n_modules, width = (size_t)r->rank_max, n_a = 0, n_b = 0;
    double *sigma = read_table(group, "sigma", n, width);
    for (size_t i = 0; i < n; i++) {
        const module_record *m = &r->modules[i];
        n_a += m->module->r * m->module->n;
        n_b += m->module->m * m->module->r;
        for (size_t k = 0; k < m->n_sigma; k++) {
            double x = sigma[i * width + k];
            assert_true((double)(float)x == x && fabs(x - m->spectrum.sigma[k]) <= 0x1p-24 * x);
        }
    }
    double *fa = read_table(group, "factors_a", n_a, 0), *fb = read_table(group, "factors_b", n_b, 0);
    const double *at_a = fa, *at_b = fb;
    for (size_t i = 0; i < n; i++) {
        const module_record *m = &r->modules[i];
        for (size_t k = 0; k < m->module->r * m->module->n; k++)
            assert_true(*at_a++ == (double)half_to_float(half_of_float(m->a[k])));
        for (size_t k = 0; k < m->module->m * m->module->r; k++)
            assert_true(*at_b++ == (double)half_to_float(half_of_float(m->b[k])));
    }
    free(sigma);
    free(fa);
    free(fb);
    H5Gclose(group);
    H5Fclose(h5);
    record_destroy(r);
}

static void factors_beyond_half_precision_are_left_out(void **state)
{
    (void)state;
    lora_record *r = audit_keeping(SAMPLES "peft-llama-f32/adapter_model.safetensors");
    float *large = calloc(r->modules[1].module->r * r->modules[1].module->n, sizeof *large);
    archive *a = NULL;
    large[5] = 70000;
    r->modules[1].a = large;
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "large.h5"), &a, NULL), LORA_OK);
    assert_int_equal(archive_add(a, r, 0, NULL, true, NULL), LORA_OK);
    r->modules[1].a = NULL;
    assert_int_equal(archive_add(a, r, 1, NULL, true, NULL), LORA_OK);
    assert_int_equal(archive_close(a, NULL), LORA_OK);
    hid_t h5 = H5Fopen(fixture_path(auditing_folder(), "large.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_int_equal(H5Lexists(h5, "/0/factors_a", H5P_DEFAULT), 0);
    assert_int_equal(H5Lexists(h5, "/1/factors_b", H5P_DEFAULT), 0);
    assert_true(H5Lexists(h5, "/1/sigma", H5P_DEFAULT) > 0);
    H5Fclose(h5);
    free(large);
    record_destroy(r);
}

/* An adapter of 24 modules of rank 8, 64 × 64. */
static const char *small_adapter(void)
{
    tensor_file t;
    uint64_t seed = 7;
    char name[64];
    tensors_begin(&t);
    for (unsigned i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "base_model.model.model.layers.%u.self_attn.%c_proj", i / 4, "qkvo"[i % 4]);
        tensors_add_pair(&t, name, 64, 64, 8, 0.1, 0.01, &seed);
    }
    tensors_save(&t, auditing_folder(), "small.safetensors");
    return fixture_path(auditing_folder(), "small.safetensors");
}

static void a_small_adapter_takes_few_bytes(void **state)
{
    (void)state;
    enum { ADAPTERS = 50, MOST_BYTES = 9000 };
    lora_record *r = audit_path(small_adapter());
    archive *a = NULL;
    assert_int_equal(archive_create(fixture_path(auditing_folder(), "many.h5"), &a, NULL), LORA_OK);
    for (size_t i = 0; i < ADAPTERS; i++)
        assert_int_equal(archive_add(a, r, i, &labelled, false, NULL), LORA_OK);
    assert_int_equal(archive_close(a, NULL), LORA_OK);
    struct stat st;
    assert_int_equal(stat(fixture_path(auditing_folder(), "many.h5"), &st), 0);
    assert_true(st.st_size < ADAPTERS * MOST_BYTES);
    record_destroy(r);
}

static void a_lack_of_memory_is_an_error_each_time(void **state)
{
    (void)state;
    lora_record *r = audit_keeping(SAMPLES "peft-llama-f32/adapter_model.safetensors");
    char path[512];
    snprintf(path, sizeof path, "%s", fixture_path(auditing_folder(), "memory.h5"));
    bool done = false;
    long k = 0;
    for (; !done; k++) {
        archive *a = NULL;
        lora_error err = {0};
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        lora_code code = archive_create(path, &a, &err);
        if (!code)
            code = archive_add(a, r, 0, &labelled, true, &err);
        done = !alloc_fault_end();
        assert_int_equal(code, done ? LORA_OK : LORA_E_MEMORY);
        assert_int_equal(err.code, code);
        archive_close(a, NULL);
    }
    assert_true(k > 10);
    record_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_archive_holds_what_the_record_holds),
        cmocka_unit_test(an_archive_that_cannot_be_written_is_an_error),
        cmocka_unit_test(one_index_is_written_once),
        cmocka_unit_test(columns_that_adapters_share_are_one_dataset),
        cmocka_unit_test(a_benchmark_holds_labels_factors_and_rounded_reals),
        cmocka_unit_test(factors_beyond_half_precision_are_left_out),
        cmocka_unit_test(a_small_adapter_takes_few_bytes),
        cmocka_unit_test(a_lack_of_memory_is_an_error_each_time),
    };
    return cmocka_run_group_tests(tests, auditing_set_up, auditing_tear_down);
}
