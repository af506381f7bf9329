/* gguf_cursor.h - the numbers and strings of a GGUF header, one after another. Internal to gguf.c.
 *
 * Read through a window of 64 KiB. Nothing is believed beyond the end of the file, nor beyond LIMIT_HEADER_BYTES: that
 * bounds the time and memory which a header can take. `what` names a field in messages.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_GGUF_CURSOR_H
#define LORAUDIT_GGUF_CURSOR_H

#include "analyzer/base/arena.h"
#include "analyzer/base/error.h"
#include "analyzer/base/file.h"

typedef struct {
    const file *source;
    lora_error *err;
    unsigned char *window;
    uint64_t window_at, window_bytes;
    uint64_t at, end; /* the next byte; behind the last that may be header */
} gguf_cursor;

/* Errs: LORA_E_MEMORY; close is right after that too. */
lora_code gguf_cursor_open(gguf_cursor *c, const file *f, lora_error *err);
void gguf_cursor_close(gguf_cursor *c);

/* gguf_need - n bytes remain. Errs: LORA_E_TRUNCATED; LORA_E_GGUF when only the limit is in the way */
lora_code gguf_need(gguf_cursor *c, uint64_t n, const char *what);

/* gguf_take - n bytes to dst; gguf_u32, gguf_u64 - a number. Errs: those of gguf_need, LORA_E_READ, LORA_E_SHRUNK */
lora_code gguf_take(gguf_cursor *c, void *dst, uint64_t n, const char *what);
lora_code gguf_u32(gguf_cursor *c, uint32_t *value, const char *what);
lora_code gguf_u64(gguf_cursor *c, uint64_t *value, const char *what);

/* gguf_string - length and bytes, NUL-terminated in mem. Errs: those of gguf_take; LORA_E_GGUF when it is not UTF-8 or
 * holds U+0000; LORA_E_MEMORY */
lora_code gguf_string(gguf_cursor *c, arena *mem, const char **text, size_t *length, const char *what);

#endif
