/* table.c - the scan as a table for people: a line an adapter, its findings below it, the sums at the end.
 *
 *     ADAPTER                LAYOUT       MODS   RANK     ‖ΔW‖        σ₁      SAMPLES
 *
 * The last three columns share their room. In 80 columns SAMPLES has 12 of it, which short answers fit; a longer one takes what the numbers
 * beside it do not need, so that no row loses a value, an interval, or a part of its path. Wider tables have room for all.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/table_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_COLUMNS = 12, LONG_SIZE_COLUMNS = 16, NUMBER_COLUMNS = 9, FIXED_COLUMNS = 46, MIN_PATH_COLUMNS = 12, USUAL_COLUMNS = 80 };

static size_t size_columns(const report_context *ctx)
{
    return ctx->columns >= USUAL_COLUMNS + LONG_SIZE_COLUMNS - SIZE_COLUMNS ? LONG_SIZE_COLUMNS : SIZE_COLUMNS;
}

static size_t path_columns(const report_context *ctx)
{
    size_t fixed = FIXED_COLUMNS + size_columns(ctx);
    return ctx->columns > fixed + MIN_PATH_COLUMNS ? ctx->columns - fixed : MIN_PATH_COLUMNS;
}

static void table_begin(strbuf *out, const report_context *ctx)
{
    if (*ctx->folder) {
        text_escape(out, ctx->folder, strlen(ctx->folder));
        strbuf_puts(out, "\n\n");
    }
    table_style(out, ctx, "1");
    table_cell(out, "ADAPTER", path_columns(ctx), ALIGN_LEFT);
    strbuf_puts(out, " LAYOUT       MODS   RANK     ‖ΔW‖        σ₁ ");
    table_cell(out, "SAMPLES", size_columns(ctx), ALIGN_RIGHT);
    table_style(out, ctx, NULL);
    strbuf_putc(out, '\n');
}

/* Adapter folders all hold files of the same two names: the folder tells them apart. */
static void put_path(strbuf *out, const report_context *ctx, const char *path)
{
    static const char *const usual[] = {"adapter_model.safetensors", "pytorch_lora_weights.safetensors"};
    char folder[4096];
    path += strlen(ctx->folder);
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (slash && strcmp(slash + 1, usual[i]) == 0 && (size_t)(slash - path) + 2 < sizeof folder) {
            memcpy(folder, path, (size_t)(slash - path) + 1);
            folder[slash - path + 1] = '\0';
            path = folder;
            break;
        }
    table_cell(out, path, path_columns(ctx), ALIGN_LEFT);
}

static void put_rank(strbuf *out, const lora_record *r)
{
    char text[48];
    if (r->rank_min == r->rank_max)
        snprintf(text, sizeof text, "%llu", (unsigned long long)r->rank_min);
    else
        snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)r->rank_min, (unsigned long long)r->rank_max);
    table_cell(out, text, 6, ALIGN_RIGHT);
}

/* At most four columns: "9999", "12k", "1.2M"; the bounds of an interval are rounded outward. */
static void size_text(char out[16], double x, double (*rounded)(double))
{
    static const char units[] = "\0kMGTPE";
    double shown = rounded(x);
    size_t k = 0;
    for (double limit = 10000; shown >= limit && units[k + 1]; limit = 1000) {
        k++;
        x /= 1000;
        shown = x < 10 ? rounded(10 * x) / 10 : rounded(x);
    }
    snprintf(out, 16, "%.4g%.1s", shown, &units[k]);
}

/* "20 (11-34)" as estimated; the length of a text that is at most LONG_SIZE_COLUMNS wide up to 999E. */
static size_t estimate_text(char out[64], const size_answer *a)
{
    char value[16], low[16], high[16];
    size_text(value, a->value, round);
    size_text(low, a->low, floor);
    size_text(high, a->high, ceil);
    return (size_t)snprintf(out, 64, "%s (%s-%s)", value, low, high);
}

/* ‖ΔW‖, σ₁, and the samples: estimated with their interval, or a plain number as declared. */
static void put_numbers(strbuf *out, const report_context *ctx, const lora_record *r)
{
    char estimate[64] = "-";
    size_t columns = NUMBER_COLUMNS, room = size_columns(ctx);
    if (r->estimate && estimate_text(estimate, &r->estimate->answer) > room) {
        columns -= (LONG_SIZE_COLUMNS - room) / 2;
        room = LONG_SIZE_COLUMNS;
    }
    table_number(out, r->frobenius, columns);
    strbuf_putc(out, ' ');
    table_number(out, r->spectral, columns);
    strbuf_putc(out, ' ');
    if (!r->estimate && r->declared.present)
        table_count(out, (unsigned long long)r->declared.value, room);
    else
        table_cell(out, estimate, room, ALIGN_RIGHT);
}

static void table_record(strbuf *out, const report_context *ctx, const lora_record *r, size_t index)
{
    (void)index;
    put_path(out, ctx, r->path);
    strbuf_putc(out, ' ');
    if (r->status == STATUS_OK || r->status == STATUS_UNTRAINED) {
        table_cell(out, layout_name(r->adapter.layout), 11, ALIGN_LEFT);
        strbuf_putc(out, ' ');
        table_count(out, r->adapter.n_modules, 5);
        strbuf_putc(out, ' ');
        put_rank(out, r);
        strbuf_putc(out, ' ');
        put_numbers(out, ctx, r);
    } else {
        strbuf_puts(out, status_name(r->status));
        if (r->status == STATUS_NOT_LORA && r->adapter.method && strcmp(r->adapter.method, "unknown") != 0)
            strbuf_printf(out, " (%s)", r->adapter.method); /* a plain word: adapter.h */
    }
    strbuf_putc(out, '\n');
    table_findings(out, ctx, r);
}

static void table_end(strbuf *out, const report_context *ctx, const scan_summary *s)
{
    strbuf sums = {0};
    strbuf_printf(&sums, "%zu adapter%s:", s->n_records, s->n_records == 1 ? "" : "s");
    const char *comma = " ";
    for (unsigned k = 0; k < STATUS_COUNT; k++)
        if (s->by_status[k]) {
            strbuf_printf(&sums, "%s%zu %s", comma, s->by_status[k], status_name((record_status)k));
            comma = ", ";
        }
    comma = "; worst finding: ";
    for (unsigned k = SEVERITY_NONE; k-- > 0;)
        if (s->by_severity[k]) {
            strbuf_printf(&sums, "%s%zu %s", comma, s->by_severity[k], severity_name((severity)k));
            comma = ", ";
        }
    strbuf_putc(out, '\n');
    table_wrapped(out, ctx, sums.data ? sums.data : "", 0, 0);
    out->failed |= sums.failed;
    strbuf_free(&sums);
    if (s->n_passed_over)
        strbuf_printf(out, "%zu other file%s passed over.\n", s->n_passed_over, s->n_passed_over == 1 ? "" : "s");
    table_wrapped(out, ctx,
                  "SAMPLES: 20 (11-34) is an estimate with its interval, by a bank of the same recipe; a number alone is what the "
                  "file declares. Findings are facts about the bytes, or name the bank whose statistic they are; their absence proves "
                  "nothing.",
                  0, 0);
}

const report_format report_table = {"table", table_begin, table_record, table_end, table_inspect};
