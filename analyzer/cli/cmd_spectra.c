/* cmd_spectra.c - norms and spectra as data: an HDF5 archive. What cannot be read is said on stderr, a line each.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/cli/commands.h"
#include "analyzer/cli/output.h"
#include "analyzer/cli/scan.h"
#include "analyzer/store/archive.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void say(const char *path, const char *code, const char *message)
{
    strbuf text = {0};
    text_escape(&text, path, strlen(path));
    fprintf(stderr, "loraudit: %s: %s: %s\n", text.data ? text.data : "", code, message);
    strbuf_free(&text);
}

static bool archive_record(void *ctx, const lora_record *r, size_t index)
{
    lora_error err = {0};
    if (r->status == STATUS_ERROR || r->status == STATUS_UNSUPPORTED)
        say(r->path, lora_code_name(r->error.code), r->error.message);
    if (archive_add(ctx, r, index, &err) == LORA_OK)
        return true;
    fprintf(stderr, "loraudit: %s\n", err.message);
    return false;
}

static int write_archive(scan *s, const char *path)
{
    archive *a = NULL;
    lora_error err = {0};
    if (archive_create(path, &a, &err) != LORA_OK) {
        fprintf(stderr, "loraudit: %s\n", err.message);
        return EXIT_INTERNAL;
    }
    scan_sink sink = {a, archive_record};
    int exit_code = scan_run(s, &sink, !s->o->quiet && !s->o->no_progress && isatty(STDERR_FILENO) == 1);
    if (archive_close(a, &err) != LORA_OK) {
        if (exit_code != EXIT_INTERNAL)
            fprintf(stderr, "loraudit: %s\n", err.message);
        return EXIT_INTERNAL;
    }
    return exit_code;
}

int command_spectra(const cli_options *o)
{
    scan s;
    output out;
    int exit_code = scan_open(&s, o);
    if (exit_code == EXIT_CLEAN) {
        exit_code = EXIT_INTERNAL;
        if (output_open(&out, o->output)) {
            if (out.temporary)
                exit_code = write_archive(&s, out.temporary);
            else
                fprintf(stderr, "loraudit: an archive needs a regular file, not '%s'\n", o->output);
            if (!output_close(&out, exit_code != EXIT_INTERNAL))
                exit_code = EXIT_INTERNAL;
        }
    }
    scan_close(&s);
    return exit_code;
}
