/* fuzz_audit.c - the whole way: bytes as a file → content → reader → modules → spectra → rules → reports.
 *
 * An audit takes a path, so the bytes lie in a memory file that /proc names. No side files lie beside it.
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* memfd_create */
#include "analyzer/base/json.h"
#include "analyzer/base/limits.h"
#include "analyzer/loraudit.h"
#include "analyzer/report/report.h"
#include "tests/fuzz/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static lora_auditor *auditor;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    lora_options options = {.jobs = 1, .rules = RULE_SET_ALL};
    lora_error err = {0};
    CHECK(lora_auditor_create(&options, &auditor, &err) == LORA_OK);
    return 0;
}

static void check_descending(const double *sigma, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        CHECK_ABOUT(isfinite(sigma[i]) && sigma[i] >= 0 && (i == 0 || sigma[i] <= sigma[i - 1]), name);
}

static void check_record(const lora_record *r)
{
    CHECK((unsigned)r->status < STATUS_COUNT);
    bool refused = r->status == STATUS_ERROR || r->status == STATUS_UNSUPPORTED;
    CHECK(refused == (r->error.code != LORA_OK));
    if (refused)
        check_outcome(r->error.code, &r->error, r->bytes);
    CHECK(r->status != STATUS_OK || (r->has_adapter && r->adapter.n_modules > 0));
    for (size_t i = 0; i < r->n_findings; i++) {
        const finding *f = &r->findings[i];
        CHECK(rules_find(f->rule, strlen(f->rule)) < rules_count);
        CHECK((unsigned)f->severity < SEVERITY_NONE && f->n_evidence <= FINDING_MAX_EVIDENCE);
        check_line(f->message);
    }
    for (size_t i = 0; r->modules && !refused && i < r->adapter.n_modules; i++) {
        const module_record *m = &r->modules[i];
        if (m->spectrum.status != SPECTRAL_OK)
            continue;
        check_descending(m->spectrum.sigma, m->n_sigma, m->module->name);
        check_descending(m->spectrum.sigma_a, m->n_sigma_a, m->module->name);
        check_descending(m->spectrum.sigma_b, m->n_sigma_b, m->module->name);
    }
}

/* JSON must be JSON, and a table must not steer a terminal. */
static void check_report(const lora_record *r, const report_format *format, bool is_json)
{
    report_context ctx = {.backend = "cpu", .threads = 1, .modules = true, .columns = 100, .folder = ""};
    scan_summary sum = {0};
    strbuf out = {0};
    summary_add(&sum, r);
    format->begin(&out, &ctx);
    format->record(&out, &ctx, r, 0);
    format->end(&out, &ctx, &sum);
    CHECK(!out.failed || check_memory_may_fail);
    if (!out.failed && is_json) {
        json_scan scan;
        CHECK(text_utf8_invalid(out.data, out.length) == out.length);
        json_begin(&scan, out.data, out.length);
        CHECK_ABOUT(json_skip(&scan, LIMIT_JSON_DEPTH) && json_finish(&scan), scan.wrong);
    } else if (!out.failed) {
        CHECK(text_utf8_invalid(out.data, out.length) == out.length);
        for (size_t i = 0; i < out.length; i++)
            CHECK((unsigned char)out.data[i] >= 0x20 || out.data[i] == '\n');
    }
    strbuf_clear(&out);
    format->inspect(&out, &ctx, r);
    strbuf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[40];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, bytes, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    lora_record *r = NULL;
    lora_error err = {0};
    lora_code code = lora_audit_file(auditor, 0, path, &r, &err);
    check_outcome(code, &err, n);
    CHECK(code == LORA_OK || code == LORA_E_MEMORY);
    CHECK((code == LORA_OK) == (r != NULL));
    if (r) {
        check_record(r);
        check_report(r, &report_json, true);
        check_report(r, &report_ndjson, true);
        check_report(r, &report_table, false);
    }
    record_destroy(r);
    close(fd);
    return 0;
}
