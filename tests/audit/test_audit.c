/* The pipeline on made-up files: what each fault becomes, what never counts as clean, and memory that ends anywhere.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/support/alloc_fault.h"
#include "tests/support/auditing.h"

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

static lora_record *audit(const char *name)
{
    return audit_path(fixture_path(auditing_folder(), name));
}

static void what_is_no_adapter_file_says_what_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        lora_code code;
        record_status status;
    } cases[] = {
        {"", 0, LORA_E_EMPTY, STATUS_ERROR},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", 64, LORA_E_LFS_POINTER, STATUS_ERROR},
        {"\x89PNG\r\n\x1a\n0000", 12, LORA_E_FORMAT, STATUS_ERROR},
        {"<!DOCTYPE html><html>", 21, LORA_E_FORMAT, STATUS_ERROR},
        {"GGUF\x03\0\0\0", 8, LORA_E_TRUNCATED, STATUS_ERROR},
        {"\x80\x02N.", 4, LORA_E_CONTAINER, STATUS_UNSUPPORTED},
        {"\x89HDF\r\n\x1a\n\0", 9, LORA_E_UNTRUSTED, STATUS_UNSUPPORTED},
        {"\xff\0\0\0\0\0\0\0{", 9, LORA_E_HEADER_TRUNCATED, STATUS_ERROR},
        {"\x02\0\0\0\0\0\0\0{}", 10, LORA_OK, STATUS_NOT_LORA},
        {"\x02\0\0\0\0\0\0\0{}x", 11, LORA_E_TRAILING, STATUS_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_write(auditing_folder(), "case.safetensors", cases[i].bytes, cases[i].n);
        lora_record *r = audit("case.safetensors");
        if (r->status != cases[i].status || r->error.code != cases[i].code)
            fail_msg("case %zu: %s, %s", i, status_name(r->status), lora_code_name(r->error.code));
        assert_int_equal(find_rule(r, "unreadable-file") != NULL, cases[i].code != LORA_OK);
        record_destroy(r);
    }
}

static void what_is_no_file_is_an_error_and_never_blocks(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(fixture_path(auditing_folder(), "pipe.safetensors"), 0600), 0);
    static const struct {
        const char *name;
        lora_code code;
    } cases[] = {{"pipe.safetensors", LORA_E_NOT_REGULAR}, {"absent.safetensors", LORA_E_NOT_FOUND}, {".", LORA_E_NOT_REGULAR}};
    for (size_t i = 0; i < 3; i++) {
        lora_record *r = audit(cases[i].name);
        assert_int_equal(r->status, STATUS_ERROR);
        assert_int_equal(r->error.code, cases[i].code);
        record_destroy(r);
    }
}

/* One module; size_b 0 leaves B zero. */
static void make_adapter(const char *name, double size_b)
{
    tensor_file t;
    uint64_t seed = 7;
    tensors_begin(&t);
    tensors_add_pair(&t, "layers.0.q_proj", 32, 48, 4, 0.1, size_b, &seed);
    tensors_add_pair(&t, "layers.1.q_proj", 32, 48, 4, 0.1, size_b, &seed);
    tensors_save(&t, auditing_folder(), name);
}

static void an_untrained_adapter_is_told_from_a_trained_one(void **state)
{
    (void)state;
    make_adapter("zero/adapter_model.safetensors", 0);
    lora_record *r = audit("zero/adapter_model.safetensors");
    assert_int_equal(r->status, STATUS_UNTRAINED);
    assert_non_null(find_rule(r, "untrained-adapter"));
    assert_null(strstr(find_rule(r, "untrained-adapter")->message, "although"));
    assert_true(isnan(r->modules[0].scalars.stable_rank));
    record_destroy(r);
    fixture_text(auditing_folder(), "zero/adapter_config.json", "{\"r\":4,\"lora_alpha\":8,\"init_lora_weights\":\"pissa\"}");
    r = audit("zero/adapter_model.safetensors");
    assert_non_null(strstr(find_rule(r, "untrained-adapter")->message, "although init_lora_weights = pissa"));
    record_destroy(r);
    make_adapter("one.safetensors", 0.1);
    r = audit("one.safetensors");
    assert_int_equal(r->status, STATUS_OK);
    assert_null(find_rule(r, "untrained-adapter"));
    record_destroy(r);
}

static void a_value_that_is_no_number_is_a_finding_not_a_clean_pass(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[6] = {1, 2, 3, 4, 5, 6};
        (i == 1 ? b : a)[3] = bad[i];
        tensor_file t;
        tensors_begin(&t);
        tensors_add_f32(&t, "q.lora_A.weight", 2, 4, a);
        tensors_add_f32(&t, "q.lora_B.weight", 3, 2, b);
        tensors_save(&t, auditing_folder(), "nan.safetensors");
        lora_record *r = audit("nan.safetensors");
        const finding *f = find_rule(r, "non-finite-weights");
        assert_non_null(f);
        assert_int_equal(f->severity, SEVERITY_HIGH);
        assert_string_equal(f->module, "q");
        assert_true(isnan(r->frobenius) && isnan(r->spectral));
        assert_int_equal(r->status, STATUS_OK);
        record_destroy(r);
    }
}

static void shapes_that_do_not_fit_and_strays_are_named(void **state)
{
    (void)state;
    tensor_file t;
    uint64_t seed = 3;
    float ones[64];
    for (int i = 0; i < 64; i++)
        ones[i] = 1;
    tensors_begin(&t);
    tensors_add_pair(&t, "q", 8, 8, 2, 1, 1, &seed);
    tensors_add_f32(&t, "k.lora_A.weight", 4, 8, ones);
    tensors_add_f32(&t, "k.lora_B.weight", 8, 2, ones);
    tensors_add_f32(&t, "v.lora_A.weight", 2, 8, ones);
    tensors_add_f32(&t, "score.weight", 2, 8, ones);
    tensors_save(&t, auditing_folder(), "odd/adapter_model.safetensors");
    lora_record *r = audit("odd/adapter_model.safetensors");
    assert_int_equal(r->status, STATUS_OK);
    assert_int_equal(r->adapter.n_modules, 1);
    assert_string_equal(find_rule(r, "rank-mismatch")->module, "k");
    assert_int_equal(find_rule(r, "stray-tensors")->severity, SEVERITY_MEDIUM);
    record_destroy(r);
}

static void a_declared_head_is_no_stray_to_worry_about(void **state)
{
    (void)state;
    tensor_file t;
    uint64_t seed = 3;
    float ones[64] = {0};
    tensors_begin(&t);
    tensors_add_pair(&t, "q", 8, 8, 2, 1, 1, &seed);
    tensors_add_f32(&t, "base_model.model.score.weight", 2, 8, ones);
    tensors_save(&t, auditing_folder(), "head/adapter_model.safetensors");
    lora_record *r = audit("head/adapter_model.safetensors");
    assert_int_equal(find_rule(r, "stray-tensors")->severity, SEVERITY_LOW);
    record_destroy(r);
    fixture_text(auditing_folder(), "head/adapter_config.json", "{\"r\":3,\"lora_alpha\":8,\"modules_to_save\":[\"score\"]}");
    r = audit("head/adapter_model.safetensors");
    assert_int_equal(find_rule(r, "stray-tensors")->severity, SEVERITY_INFO);
    assert_non_null(strstr(find_rule(r, "rank-mismatch")->message, "declares rank 3"));
    record_destroy(r);
}

/* Factors that are there and are not computed never pass as "no adapter", whatever stands beside them. */
static void factors_that_cannot_be_computed_are_unsupported(void **state)
{
    (void)state;
    static const unsigned char bytes[128];
    for (int with_foreign = 0; with_foreign < 2; with_foreign++) {
        tensor_file t;
        tensors_begin(&t);
        tensors_add(&t, "q.lora_A.weight", "C64", 2, (uint64_t[]){2, 8}, bytes, 128);
        tensors_add(&t, "q.lora_B.weight", "C64", 2, (uint64_t[]){8, 2}, bytes, 128);
        if (with_foreign)
            tensors_add(&t, "norm.diff", "U8", 1, (uint64_t[]){8}, bytes, 8);
        tensors_save(&t, auditing_folder(), "complex.safetensors");
        lora_record *r = audit("complex.safetensors");
        assert_int_equal(r->status, STATUS_UNSUPPORTED);
        assert_int_equal(r->error.code, LORA_E_LAYOUT);
        record_destroy(r);
    }
    tensor_file t;
    uint64_t seed = 1;
    tensors_begin(&t);
    tensors_add_pair(&t, "a", 8, 8, 2, 1, 0, &seed);
    tensors_add(&t, "q.lora_A.weight", "C64", 2, (uint64_t[]){2, 8}, bytes, 128);
    tensors_add(&t, "q.lora_B.weight", "C64", 2, (uint64_t[]){8, 2}, bytes, 128);
    tensors_save(&t, auditing_folder(), "partly.safetensors");
    lora_record *r = audit("partly.safetensors");
    assert_int_equal(r->status, STATUS_OK); /* the one zero update is not the whole file */
    assert_int_equal(find_rule(r, "unsupported-modules")->severity, SEVERITY_HIGH);
    record_destroy(r);
}

/* A name that claims another format, and code under the name of a format that holds none. */
static void an_extension_that_lies_is_a_finding(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t n;
        severity severity; /* NONE: no finding */
    } cases[] = {
        {"x.safetensors", "\x80\x02N.", 4, SEVERITY_HIGH},  {"x.gguf", "\x80\x02N.", 4, SEVERITY_HIGH},
        {"x.pt", "\x89PNG\r\n\x1a\n0", 9, SEVERITY_MEDIUM}, {"x.BIN", "GGUF\3\0\0\0", 8, SEVERITY_MEDIUM},
        {"x.safetensors", "<html>", 6, SEVERITY_MEDIUM},     {"x.pkl", "\x80\x02N.", 4, SEVERITY_NONE},
        {"x.pt", "\x80\x02N.", 4, SEVERITY_NONE},            {"x.dat", "\x89PNG\r\n\x1a\n0", 9, SEVERITY_NONE},
        {"x.pt", "", 0, SEVERITY_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_write(auditing_folder(), cases[i].name, cases[i].bytes, cases[i].n);
        lora_record *r = audit(cases[i].name);
        const finding *f = find_rule(r, "extension-mismatch");
        if ((f ? f->severity : SEVERITY_NONE) != cases[i].severity)
            fail_msg("case %zu: %s", i, f ? severity_name(f->severity) : "no finding");
        record_destroy(r);
    }
}

/* What was seen in a file is reported also when nothing of it could be read. */
static void a_forbidden_global_is_a_finding_whatever_follows_it(void **state)
{
    (void)state;
    static const char payload[] = "\x80\x02" "cposix\nsystem\nX\2\0\0\0id\x85R";
    fixture_write(auditing_folder(), "payload.pkl", payload, sizeof payload - 1); /* without its STOP */
    lora_record *r = audit("payload.pkl");
    const finding *f = find_rule(r, "pickle-forbidden-global");
    assert_non_null(f);
    assert_int_equal(f->severity, SEVERITY_CRITICAL);
    assert_string_equal(f->evidence[0].text, "posix.system");
    assert_non_null(find_rule(r, "pickle-anomaly"));
    assert_int_equal(r->status, STATUS_UNSUPPORTED);
    record_destroy(r);
}

static void a_config_that_promises_lora_must_be_kept(void **state)
{
    (void)state;
    tensor_file t;
    float ones[16] = {0};
    tensors_begin(&t);
    tensors_add_f32(&t, "q.something.weight", 2, 8, ones);
    tensors_save(&t, auditing_folder(), "promise/adapter_model.safetensors");
    lora_record *r = audit("promise/adapter_model.safetensors");
    assert_int_equal(r->status, STATUS_NOT_LORA);
    record_destroy(r);
    fixture_text(auditing_folder(), "promise/adapter_config.json", "{\"peft_type\":\"LORA\"}");
    r = audit("promise/adapter_model.safetensors");
    assert_int_equal(r->status, STATUS_UNSUPPORTED);
    record_destroy(r);
    fixture_text(auditing_folder(), "promise/adapter_config.json", "{\"peft_type\":\"\\u001b[31mEVIL\"}");
    r = audit("promise/adapter_model.safetensors");
    assert_string_equal(r->adapter.method, "unknown");
    record_destroy(r);
}

static void a_decoy_under_another_name_is_a_finding(void **state)
{
    (void)state;
    tensor_file t;
    uint64_t seed = 1;
    float ones[64] = {0};
    tensors_begin(&t);
    tensors_add_f32(&t, "q.lora_A.weight", 2, 8, ones);
    tensors_add_f32(&t, "q.lora_B.weight", 8, 2, ones);
    tensors_add_pair(&t, "q", 8, 8, 2, 1, 1, &seed);
    tensors_save(&t, auditing_folder(), "decoy.safetensors");
    lora_record *r = audit("decoy.safetensors");
    assert_int_equal(r->status, STATUS_OK);
    assert_true(r->frobenius > 0);
    assert_int_equal(find_rule(r, "ambiguous-module")->severity, SEVERITY_HIGH);
    record_destroy(r);
}

static void a_scale_of_zero_is_not_called_untrained_by_its_factors(void **state)
{
    (void)state;
    make_adapter("alpha0/adapter_model.safetensors", 0.1);
    fixture_text(auditing_folder(), "alpha0/adapter_config.json", "{\"r\":4,\"lora_alpha\":0}");
    lora_record *r = audit("alpha0/adapter_model.safetensors");
    assert_non_null(strstr(find_rule(r, "untrained-adapter")->message, "scale is 0"));
    record_destroy(r);
}

static void a_scale_that_overflows_is_no_number(void **state)
{
    (void)state;
    make_adapter("scale/adapter_model.safetensors", 0.1);
    fixture_text(auditing_folder(), "scale/adapter_config.json", "{\"r\":4,\"lora_alpha\":1e308}");
    lora_record *r = audit("scale/adapter_model.safetensors");
    assert_true(r->status == STATUS_OK || r->status == STATUS_ERROR);
    assert_false(isinf(r->frobenius) || isinf(r->spectral));
    record_destroy(r);
}

static void rules_can_be_left_out(void **state)
{
    (void)state;
    lora_options options = {.rules = RULE_SET_ALL & ~((rule_set)1 << rules_find("untrained-adapter", 17))};
    make_adapter("zero2.safetensors", 0);
    lora_record *r = audit_with(&options, fixture_path(auditing_folder(), "zero2.safetensors"));
    assert_int_equal(r->n_findings, 0);
    record_destroy(r);
}

static void a_file_above_max_bytes_is_refused(void **state)
{
    (void)state;
    make_adapter("large.safetensors", 1);
    lora_record *r = audit_with(&(lora_options){.max_bytes = 100}, fixture_path(auditing_folder(), "large.safetensors"));
    assert_int_equal(r->error.code, LORA_E_TOO_LARGE);
    record_destroy(r);
}

/* Every allocation of an audit fails in turn, alone and with all that follow: an error, no leak, no wrong record. */
static void memory_may_end_at_any_allocation(void **state)
{
    (void)state;
    static const char *const files[] = {"benchmark-data/samples/ablation-r3/adapter_model.safetensors",
                                        "benchmark-data/samples/kohya-unet-f16.safetensors",
                                        "benchmark-data/samples/peft-rslora-patterns-bf16/adapter_model.safetensors",
                                        "benchmark-data/samples/PROVENANCE.md"};
    lora_options options = {.jobs = 1, .rules = RULE_SET_ALL};
    long most = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int kind = ALLOC_FAULT_STICKY; kind <= ALLOC_FAULT_ONCE; kind++) {
            bool refused = true;
            for (long k = 0; refused; k++) {
                lora_auditor *other = NULL;
                lora_record *r = NULL;
                lora_error err = {0};
                alloc_fault_after(k, (alloc_fault_kind)kind);
                lora_code code = lora_auditor_create(&options, &other, &err);
                if (code == LORA_OK)
                    code = lora_audit_file(other, 0, files[i], &r, &err);
                refused = alloc_fault_end();
                if (code != LORA_OK) {
                    assert_true(refused);
                    assert_int_equal(code, LORA_E_MEMORY);
                    assert_int_equal(err.code, LORA_E_MEMORY);
                    assert_null(r);
                } else if (i < 3) { /* a side file may have been passed over, the weights may not */
                    assert_int_equal(r->status, STATUS_OK);
                }
                record_destroy(r);
                lora_auditor_destroy(other);
                most = k > most ? k : most;
            }
        }
    assert_true(most > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_adapter_file_says_what_it_is),
        cmocka_unit_test(what_is_no_file_is_an_error_and_never_blocks),
        cmocka_unit_test(an_untrained_adapter_is_told_from_a_trained_one),
        cmocka_unit_test(a_value_that_is_no_number_is_a_finding_not_a_clean_pass),
        cmocka_unit_test(shapes_that_do_not_fit_and_strays_are_named),
        cmocka_unit_test(a_declared_head_is_no_stray_to_worry_about),
        cmocka_unit_test(factors_that_cannot_be_computed_are_unsupported),
        cmocka_unit_test(an_extension_that_lies_is_a_finding),
        cmocka_unit_test(a_forbidden_global_is_a_finding_whatever_follows_it),
        cmocka_unit_test(a_config_that_promises_lora_must_be_kept),
        cmocka_unit_test(a_decoy_under_another_name_is_a_finding),
        cmocka_unit_test(a_scale_of_zero_is_not_called_untrained_by_its_factors),
        cmocka_unit_test(a_scale_that_overflows_is_no_number),
        cmocka_unit_test(rules_can_be_left_out),
        cmocka_unit_test(a_file_above_max_bytes_is_refused),
        cmocka_unit_test(memory_may_end_at_any_allocation),
    };
    return cmocka_run_group_tests(tests, auditing_set_up, auditing_tear_down);
}
