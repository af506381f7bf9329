/* window.h - small reads that lie near each other in a file, answered from one larger read.
 *
 * Archives of many small members are read this way: a read that begins within WINDOW_NEAR bytes behind the last one takes
 * WINDOW_BYTES at once; one that is far from it takes only what is asked for, so that members of megabytes cost no more.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_WINDOW_H
#define LORAUDIT_WINDOW_H

#include "analyzer/base/error.h"
#include "analyzer/base/file.h"

#include <stddef.h>

enum { WINDOW_BYTES = 65536, WINDOW_NEAR = 4096 };

typedef struct {
    const file *f;
    unsigned char *bytes; /* malloc'd: n of them, which stand at `at` */
    uint64_t at;
    size_t n, room;
} file_window;

/* window_read - bytes [at, at + n) of the file, valid until the next call. Errs: LORA_E_MEMORY, read errors. */
lora_code window_read(file_window *w, uint64_t at, size_t n, const unsigned char **bytes, lora_error *err);

/* window_free - leaves a window that may be used again. */
void window_free(file_window *w);

#endif
