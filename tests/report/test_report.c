/* Report writers: the JSON writer's commas, brackets and numbers; tables that stay inside their columns and let no
 * terminal escape through; what banks say, in words and as data.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/loraudit.h"
#include "analyzer/report/json_writer.h"
#include "analyzer/report/table_text.h"
#include "tests/support/auditing.h"

#include <cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void the_writer_keeps_commas_and_brackets(void **state)
{
    (void)state;
    strbuf out = {0};
    json_writer w = {.out = &out};
    json_open(&w, NULL, '{');
    json_open(&w, "empty", '[');
    json_close(&w, ']');
    json_open(&w, "list", '[');
    json_count(&w, NULL, 18446744073709551615u);
    json_text(&w, NULL, "a\"\n");
    json_null(&w, NULL);
    json_close(&w, ']');
    json_number(&w, "nan", NAN);
    json_number(&w, "tenth", 0.1);
    json_numbers(&w, "x", (double[]){1, INFINITY}, 2);
    json_numbers(&w, "none", NULL, 2);
    json_close(&w, '}');
    assert_string_equal(out.data, "{\"empty\":[],\"list\":[18446744073709551615,\"a\\\"\\n\",null],\"nan\":null,"
                                  "\"tenth\":0.1,\"x\":[1,null],\"none\":null}");
    strbuf_free(&out);
}

static void the_indented_form_parses_to_the_same(void **state)
{
    (void)state;
    strbuf out = {0};
    json_writer w = {.out = &out, .indented = true};
    json_open(&w, NULL, '{');
    json_open(&w, "a", '{');
    json_close(&w, '}');
    json_numbers(&w, "x", (double[]){1, 2}, 2);
    json_close(&w, '}');
    assert_string_equal(out.data, "{\n  \"a\": {},\n  \"x\": [1, 2]\n}");
    strbuf_free(&out);
}

/* An adapter whose module names hold what a terminal would obey. */
static lora_record *hostile_record(fixture *fx)
{
    tensor_file t;
    float ones[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    fixture_open(fx);
    tensors_begin(&t);
    tensors_add_f32(&t, "\\u001b[2Jevil\\u202e.q_proj.lora_A.weight", 2, 4, ones);
    tensors_add_f32(&t, "\\u001b[2Jevil\\u202e.q_proj.lora_B.weight", 4, 2, ones);
    tensors_add_f32(&t, "\\u001b]0;title\\u0007.weight", 2, 2, ones);
    tensors_save(&t, fx, "x/adapter_model.safetensors");
    fixture_text(fx, "x/adapter_config.json", "{\"r\":2,\"lora_alpha\":2,\"base_model_name_or_path\":\"\\u001b[31mred\"}");
    lora_record *r = audit_with(&(lora_options){0}, fixture_path(fx, "x/adapter_model.safetensors"));
    assert_int_equal(r->status, STATUS_OK);
    return r;
}

static void no_escape_of_a_file_reaches_the_terminal(void **state)
{
    (void)state;
    fixture fx;
    lora_record *r = hostile_record(&fx);
    static const report_format *const formats[] = {&report_table, &report_json, &report_ndjson};
    report_context ctx = {.backend = "b", .threads = 1, .modules = true, .columns = 80, .folder = ""};
    for (size_t i = 0; i < 3; i++) {
        strbuf out = {0};
        scan_summary sum = {0};
        summary_add(&sum, r);
        formats[i]->begin(&out, &ctx);
        formats[i]->record(&out, &ctx, r, 0);
        formats[i]->end(&out, &ctx, &sum);
        formats[i]->inspect(&out, &ctx, r);
        assert_false(out.failed);
        assert_null(memchr(out.data, 0x1b, out.length));
        assert_null(memchr(out.data, 0x07, out.length));
        assert_null(strstr(out.data, i == 0 ? "\xe2\x80\xae" : "\x1b"));
        assert_int_equal(text_utf8_invalid(out.data, out.length), out.length);
        strbuf_free(&out);
    }
    record_destroy(r);
    fixture_close(&fx);
}

static void tables_keep_to_their_columns(void **state)
{
    (void)state;
    static const char *const samples[] = {"ablation-r3/adapter_model.safetensors", "kohya-unet-f16.safetensors",
                                          "not-finite/adapter_model.safetensors", "PROVENANCE.md",
                                          "peft-rslora-patterns-bf16/adapter_model.safetensors"};
    for (size_t columns = 80; columns <= 200; columns += 60)
        for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
            char path[200];
            report_context ctx = {.columns = columns, .folder = ""};
            strbuf out = {0};
            scan_summary sum = {0};
            snprintf(path, sizeof path, "benchmark-data/samples/%s", samples[i]);
            lora_record *r = audit_with(&(lora_options){0}, path);
            summary_add(&sum, r);
            report_table.begin(&out, &ctx);
            report_table.record(&out, &ctx, r, 0);
            report_table.end(&out, &ctx, &sum);
            report_table.inspect(&out, &ctx, r);
            for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1) {
                size_t n = strcspn(line, "\n");
                if (text_width(line, n) > columns)
                    fail_msg("%zu columns wanted: %.*s", columns, (int)n, line);
            }
            strbuf_free(&out);
            record_destroy(r);
        }
}

static void the_scan_document_is_json_with_every_field_of_the_contract(void **state)
{
    (void)state;
    fixture fx;
    lora_record *r = hostile_record(&fx);
    report_context ctx = {.backend = "b", .threads = 1, .modules = true, .columns = 80, .folder = ""};
    strbuf out = {0};
    scan_summary sum = {0};
    summary_add(&sum, r);
    summary_add(&sum, r);
    report_json.begin(&out, &ctx);
    report_json.record(&out, &ctx, r, 0);
    report_json.record(&out, &ctx, r, 1);
    report_json.end(&out, &ctx, &sum);
    cJSON *tree = cJSON_ParseWithLength(out.data, out.length);
    assert_non_null(tree);
    static const char *const top[] = {"schema", "tool", "summary", "adapters"};
    static const char *const fields[] = {"schema", "path", "status", "error", "container", "layout", "method", "bytes", "adapter",
                                         "totals", "modules", "dataset_size", "safety", "findings"};
    static const char *const module_fields[] = {
        "name", "component", "role", "layer", "out", "in", "rank", "scale", "frobenius", "residual", "sigma", "sigma_a", "sigma_b",
        "stable_rank", "effective_rank", "entropy", "concentration", "energy_top1", "kurtosis", "kurtosis_se"};
    for (size_t i = 0; i < sizeof top / sizeof *top; i++)
        assert_non_null(cJSON_GetObjectItem(tree, top[i]));
    cJSON *adapters = cJSON_GetObjectItem(tree, "adapters");
    assert_int_equal(cJSON_GetArraySize(adapters), 2);
    cJSON *first = cJSON_GetArrayItem(adapters, 0);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_non_null(cJSON_GetObjectItem(first, fields[i]));
    cJSON *module = cJSON_GetArrayItem(cJSON_GetObjectItem(first, "modules"), 0);
    for (size_t i = 0; i < sizeof module_fields / sizeof *module_fields; i++)
        assert_non_null(cJSON_GetObjectItem(module, module_fields[i]));
    cJSON_Delete(tree);
    strbuf_free(&out);
    record_destroy(r);
    fixture_close(&fx);
}

/* ---- what banks say ---- */

static lora_record *judged_record(const size_estimate *estimate)
{
    lora_record *r = audit_with(&(lora_options){0}, "benchmark-data/samples/peft-llama-f32/adapter_model.safetensors");
    r->estimate = estimate;
    r->abstained = NULL;
    r->safety = SAFETY_NOT_FLAGGED;
    r->safety_bank = "lan\033guage";
    r->safety_score = 0.25;
    r->safety_threshold = 0.875;
    r->safety_controls = 120;
    r->safety_fpr_bound = 0.0165;
    r->safety_reason = NULL;
    return r;
}

static const size_estimate twenty = {
    .bank = "ima\033ges",
    .answer = {.value = 20, .low = 11.4, .high = 33.2, .coverage = 0.9, .n_votes = 2, .vote_size = {20, 10.5}, .vote_count = {30, 2},
               .n_neighbours = 2, .distance = 0.5, .distance_limit = 1},
    .neighbour = {"a\033[2J\xff", "b"},
    .neighbour_size = {20, 10},
};

static double number_in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void an_estimate_and_a_score_are_in_the_json_as_the_contract_has_them(void **state)
{
    (void)state;
    lora_record *r = judged_record(&twenty);
    report_context ctx = {.columns = 80, .folder = ""};
    strbuf out = {0};
    report_ndjson.record(&out, &ctx, r, 0);
    assert_null(memchr(out.data, 0x1b, out.length));
    cJSON *tree = cJSON_ParseWithLength(out.data, out.length);
    assert_non_null(tree);
    const cJSON *size = cJSON_GetObjectItem(tree, "dataset_size"), *e = cJSON_GetObjectItem(size, "estimate");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(size, "abstained")));
    assert_true(number_in(cJSON_GetObjectItem(size, "declared"), "value") == 60);
    assert_true(number_in(e, "value") == 20 && number_in(e, "low") == 11.4 && number_in(e, "high") == 33.2 && number_in(e, "coverage") == 0.9);
    assert_string_equal(cJSON_GetObjectItem(e, "bank")->valuestring, "ima\033ges");
    assert_true(number_in(cJSON_GetObjectItem(e, "votes"), "20") == 30 && number_in(cJSON_GetObjectItem(e, "votes"), "10.5") == 2);
    const cJSON *neighbours = cJSON_GetObjectItem(e, "neighbours");
    assert_int_equal(cJSON_GetArraySize(neighbours), 2);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(neighbours, 1), "name")->valuestring, "b");
    assert_true(number_in(cJSON_GetArrayItem(neighbours, 1), "size") == 10);
    const cJSON *safety = cJSON_GetObjectItem(tree, "safety");
    assert_string_equal(cJSON_GetObjectItem(safety, "verdict")->valuestring, "not_flagged");
    assert_true(number_in(safety, "score") == 0.25 && number_in(safety, "threshold") == 0.875 && number_in(safety, "controls") == 120 &&
                number_in(safety, "fpr_bound") == 0.0165);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(safety, "reason")));
    cJSON_Delete(tree);
    strbuf_free(&out);
    record_destroy(r);
}

static void without_a_bank_the_json_has_null_and_the_reason(void **state)
{
    (void)state;
    static const char *const nulls[] = {"score", "threshold", "bank", "controls", "fpr_bound"};
    lora_record *r = audit_with(&(lora_options){0}, "benchmark-data/samples/loralib-f32.safetensors");
    report_context ctx = {.columns = 80, .folder = ""};
    strbuf out = {0};
    report_ndjson.record(&out, &ctx, r, 0);
    cJSON *tree = cJSON_ParseWithLength(out.data, out.length);
    const cJSON *size = cJSON_GetObjectItem(tree, "dataset_size"), *safety = cJSON_GetObjectItem(tree, "safety");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(size, "estimate")));
    assert_true(cJSON_IsString(cJSON_GetObjectItem(size, "abstained")));
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        assert_true(cJSON_IsNull(cJSON_GetObjectItem(safety, nulls[i])));
    assert_true(cJSON_IsString(cJSON_GetObjectItem(safety, "reason")));
    cJSON_Delete(tree);
    strbuf_free(&out);
    record_destroy(r);
}

/* The answer in a row of the scan's table, which ends with `cell` and is as wide as wanted; σ₁ and ‖ΔW‖ stay whole. */
static void expect_cell(const size_answer *answer, size_t columns, const char *cell)
{
    size_estimate e = {.bank = "x", .answer = *answer};
    lora_record *r = judged_record(&e);
    report_context ctx = {.columns = columns, .folder = ""};
    strbuf out = {0};
    report_table.record(&out, &ctx, r, 0);
    size_t line = strcspn(out.data, "\n");
    if (strncmp(out.data + line - strlen(cell), cell, strlen(cell)) != 0 || text_width(out.data, line) != columns ||
        !strstr(out.data, " 3.243 ") || !strstr(out.data, " 1.339 "))
        fail_msg("%s wanted in: %.*s", cell, (int)line, out.data);
    strbuf_free(&out);
    record_destroy(r);
}

static void the_scan_table_shows_the_estimate_with_its_interval(void **state)
{
    (void)state;
    static const struct {
        size_answer answer;
        const char *cell;
    } cases[] = {{{.value = 20, .low = 11.4, .high = 33.2}, "     1.339   20 (11-34)"},
                 {{.value = 100, .low = 72, .high = 150}, "     1.339 100 (72-150)"},
                 {{.value = 500, .low = 330.1, .high = 756.2}, "   1.339    500 (330-757)"},
                 {{.value = 1000, .low = 812, .high = 1340}, " 1000 (812-1340)"},
                 {{.value = 9999.7, .low = 9999.7, .high = 9999.2}, "  10k (9999-10k)"},
                 {{.value = 12345, .low = 10999, .high = 17001}, "   12k (10k-18k)"},
                 {{.value = 123456, .low = 100999, .high = 999001}, " 123k (100k-1M)"},
                 {{.value = 1e6, .low = 123456, .high = 2234567}, "  1M (123k-2.3M)"},
                 {{.value = 1.26e9, .low = 9.99e6, .high = 9.91e9}, "1.3G (9.9M-10G)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_cell(&cases[i].answer, 80, cases[i].cell);
}

/* Where the terminal has room, all rows keep to one column for each number. */
static void a_wide_table_keeps_its_numbers_in_line(void **state)
{
    (void)state;
    expect_cell(&(size_answer){.value = 20, .low = 11.4, .high = 33.2}, 84, "     3.243     1.339       20 (11-34)");
    expect_cell(&(size_answer){.value = 1000, .low = 812, .high = 1340}, 84, "     3.243     1.339  1000 (812-1340)");
    expect_cell(&(size_answer){.value = 1000, .low = 812, .high = 1340}, 200, "     3.243     1.339  1000 (812-1340)");
}

static void an_answer_that_is_no_number_keeps_to_the_columns(void **state)
{
    (void)state;
    static const double ends[] = {0, 0.4, 1e18, 1e30, 1e300, INFINITY, NAN};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        expect_cell(&(size_answer){.value = ends[i], .low = ends[i], .high = ends[i]}, 80, ")");
}

static void inspect_shows_what_an_answer_rests_on(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "  declared    60 samples, by all_results.json",
        "  estimate    20 samples; 11 to 34 with a coverage of 90 %, by the bank\n              ima\\x1bges\n",
        "  votes       30 for 20, 2 for 10.5\n",
        "  neighbours  a\\x1b[2J\\xff (20), b (10)\n",
        ("  safety      not_flagged: score 0.250, threshold 0.875, by the bank\n"
        "              lan\\x1bguage, set on 120 controls: false alarms at most 0.0165 of\n              all\n")};
    lora_record *r = judged_record(&twenty);
    report_context ctx = {.columns = 80, .folder = ""};
    strbuf out = {0};
    report_table.inspect(&out, &ctx, r);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(out.data, lines[i]))
            fail_msg("missing: %s\n%s", lines[i], out.data);
    assert_null(memchr(out.data, 0x1b, out.length));
    assert_null(strstr(out.data, " safe "));
    strbuf_clear(&out);
    r->safety = SAFETY_INCONCLUSIVE;
    r->safety_reason = "between two answers";
    report_table.inspect(&out, &ctx, r);
    assert_non_null(strstr(out.data, "inconclusive: score 0.250"));
    assert_non_null(strstr(out.data, "; between two answers"));
    strbuf_clear(&out);
    r->safety = SAFETY_FLAGGED; /* by an exact rule */
    r->safety_reason = r->safety_bank = NULL;
    report_table.inspect(&out, &ctx, r);
    assert_non_null(strstr(out.data, "  safety      flagged: see the finding\n"));
    strbuf_free(&out);
    record_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_writer_keeps_commas_and_brackets),
        cmocka_unit_test(the_indented_form_parses_to_the_same),
        cmocka_unit_test(no_escape_of_a_file_reaches_the_terminal),
        cmocka_unit_test(tables_keep_to_their_columns),
        cmocka_unit_test(the_scan_document_is_json_with_every_field_of_the_contract),
        cmocka_unit_test(an_estimate_and_a_score_are_in_the_json_as_the_contract_has_them),
        cmocka_unit_test(without_a_bank_the_json_has_null_and_the_reason),
        cmocka_unit_test(the_scan_table_shows_the_estimate_with_its_interval),
        cmocka_unit_test(a_wide_table_keeps_its_numbers_in_line),
        cmocka_unit_test(an_answer_that_is_no_number_keeps_to_the_columns),
        cmocka_unit_test(inspect_shows_what_an_answer_rests_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
