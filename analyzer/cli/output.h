/* output.h - where a report goes: stdout, or a file that appears whole or not at all.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_OUTPUT_H
#define LORAUDIT_OUTPUT_H

#include "analyzer/cli/options.h"

#include <stdio.h>

typedef struct {
    int fd;
    const char *path;  /* NULL: stdout */
    char *temporary;   /* written there, renamed at the end; NULL when writing in place */
    bool failed;       /* said on stderr already */
} output;

/* output_open - path NULL: stdout. A regular or new file is written as PATH.tmp.PID beside it. false: said on stderr. */
bool output_open(output *out, const char *path);

/* output_write - all of the buffer, which is emptied; after a failure nothing more is written. */
void output_write(output *out, strbuf *text);

/* output_close - flush to the disk and rename when keep, else remove; false when anything failed. */
bool output_close(output *out, bool keep);

/* output_context - colour and width for this destination. */
report_context output_context(const output *out, const cli_options *o);

#endif
