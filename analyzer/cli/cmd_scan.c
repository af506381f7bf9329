/* cmd_scan.c - audit many files side by side, report in input order.
 *
 * Every worker audits a file and puts the record into its slot; whoever completes the next slot in order writes it out,
 * and all that follow it and are ready. So records leave as soon as order allows.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/cli/commands.h"
#include "analyzer/cli/output.h"
#include "analyzer/cli/walk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    const cli_options *o;
    const walk *inputs;
    lora_auditor *auditor;
    output out;
    report_context ctx;
    pthread_mutex_t lock; /* guards what follows */
    lora_record **records; /* by input */
    size_t next;           /* the first not yet written */
    strbuf text;
    scan_summary summary;
    lora_error fault; /* out of memory */
    bool progress;
} scan;

int exit_code_of(const scan_summary *s, severity fail_on)
{
    if (s->by_status[STATUS_ERROR] || s->by_status[STATUS_UNSUPPORTED])
        return EXIT_UNREADABLE;
    for (unsigned k = fail_on; k < SEVERITY_NONE; k++)
        if (s->by_severity[k])
            return EXIT_FINDINGS;
    return EXIT_CLEAN;
}

static void show_progress(const scan *s)
{
    if (s->progress)
        fprintf(stderr, "\r\033[K%zu of %zu", s->next, s->inputs->n);
}

static void write_ready(scan *s)
{
    while (s->next < s->inputs->n && s->records[s->next]) {
        lora_record *r = s->records[s->next];
        s->o->format->record(&s->text, &s->ctx, r, s->next);
        summary_add(&s->summary, r);
        record_destroy(r);
        s->records[s->next++] = NULL;
        output_write(&s->out, &s->text);
    }
    show_progress(s);
}

static void scan_one(void *arg, size_t index, size_t worker)
{
    scan *s = arg;
    lora_record *r = NULL;
    lora_error err = {0};
    pthread_mutex_lock(&s->lock);
    bool stop = s->fault.code != LORA_OK || s->out.failed;
    pthread_mutex_unlock(&s->lock);
    if (stop)
        return;
    lora_code code = lora_audit_file(s->auditor, worker, s->inputs->paths[index], &r, &err);
    pthread_mutex_lock(&s->lock);
    s->records[index] = r;
    if (code != LORA_OK && s->fault.code == LORA_OK)
        s->fault = err;
    else if (index == s->next)
        write_ready(s);
    pthread_mutex_unlock(&s->lock);
}

static lora_code list_inputs(const cli_options *o, walk *w, lora_error *err)
{
    lora_code code = LORA_OK;
    w->mem = arena_create();
    w->include = &o->include;
    w->exclude = &o->exclude;
    if (!w->mem)
        return lora_fail(err, LORA_E_MEMORY, "no memory for the list of files");
    for (size_t i = 0; i < o->paths.n && code == LORA_OK; i++)
        code = walk_add(w, o->paths.items[i], err);
    if (code == LORA_OK && o->files_from)
        code = walk_add_list(w, o->files_from, o->null_separated, err);
    return code;
}

static int internal_error(const lora_error *err)
{
    fprintf(stderr, "loraudit: %s: %s\n", lora_code_name(err->code), err->message);
    return err->code == LORA_E_MEMORY || err->code == LORA_E_INTERNAL ? EXIT_INTERNAL : EXIT_USAGE;
}

static int run_scan(scan *s)
{
    const cli_options *o = s->o;
    s->ctx = output_context(&s->out, o);
    s->ctx.backend = lora_auditor_backend(s->auditor);
    s->ctx.threads = lora_auditor_workers(s->auditor);
    s->ctx.folder = walk_common_folder(s->inputs);
    if (!s->ctx.folder) {
        lora_fail(&s->fault, LORA_E_MEMORY, "no memory for the list of files");
        return internal_error(&s->fault);
    }
    s->progress = !o->quiet && !o->no_progress && s->inputs->n > 1 && isatty(STDERR_FILENO) == 1 && !isatty(s->out.fd);
    s->summary.n_passed_over = s->inputs->n_passed_over;
    if (o->verbose)
        fprintf(stderr, "loraudit: %zu files, %zu threads, %s\n", s->inputs->n, s->ctx.threads, s->ctx.backend);
    o->format->begin(&s->text, &s->ctx);
    output_write(&s->out, &s->text);
    lora_auditor_run(s->auditor, s->inputs->n, scan_one, s);
    if (s->progress)
        fprintf(stderr, "\r\033[K");
    if (s->fault.code != LORA_OK)
        return internal_error(&s->fault);
    o->format->end(&s->text, &s->ctx, &s->summary);
    output_write(&s->out, &s->text);
    return exit_code_of(&s->summary, o->fail_on);
}

int command_scan(const cli_options *o)
{
    walk inputs = {0};
    scan s = {.o = o, .inputs = &inputs};
    int exit_code = EXIT_INTERNAL;
    pthread_mutex_init(&s.lock, NULL);
    if (list_inputs(o, &inputs, &s.fault) != LORA_OK) {
        exit_code = internal_error(&s.fault);
        goto done;
    }
    if (inputs.n == 0 && !o->allow_empty) {
        fprintf(stderr, "loraudit: nothing to scan: no weight file among %zu files\n", inputs.n_passed_over);
        exit_code = EXIT_NOTHING;
        goto done;
    }
    s.records = calloc(inputs.n + 1, sizeof *s.records);
    if (!s.records || lora_auditor_create(&o->audit, &s.auditor, &s.fault) != LORA_OK) {
        fprintf(stderr, "loraudit: out of memory\n");
        goto done;
    }
    if (!output_open(&s.out, o->output))
        goto done;
    exit_code = run_scan(&s);
    if (!output_close(&s.out, exit_code != EXIT_INTERNAL))
        exit_code = EXIT_INTERNAL;
done:
    for (size_t i = s.next; s.records && i < inputs.n; i++)
        record_destroy(s.records[i]);
    free(s.records);
    strbuf_free(&s.text);
    lora_auditor_destroy(s.auditor);
    arena_destroy(inputs.mem);
    pthread_mutex_destroy(&s.lock);
    return exit_code;
}
