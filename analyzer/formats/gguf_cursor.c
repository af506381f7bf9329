/* gguf_cursor.c - see gguf_cursor.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/gguf_cursor.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 65536 };

lora_code gguf_cursor_open(gguf_cursor *c, const file *f, lora_error *err)
{
    *c = (gguf_cursor){.source = f, .err = err, .window = malloc(WINDOW_BYTES),
                       .end = f->size < LIMIT_HEADER_BYTES ? f->size : LIMIT_HEADER_BYTES};
    return c->window ? LORA_OK : lora_fail(err, LORA_E_MEMORY, "no memory to read a GGUF header");
}

void gguf_cursor_close(gguf_cursor *c)
{
    free(c->window);
    c->window = NULL;
}

lora_code gguf_need(gguf_cursor *c, uint64_t n, const char *what)
{
    uint64_t remain = c->source->size - c->at;
    if (n <= c->end - c->at)
        return LORA_OK;
    if (n <= remain)
        return lora_fail_at(c->err, LORA_E_GGUF, c->at, "%s of %" PRIu64 " bytes goes beyond the limit of %u bytes of header",
                            what, n, LIMIT_HEADER_BYTES);
    return lora_fail_at(c->err, LORA_E_TRUNCATED, c->at, "%s needs %" PRIu64 " bytes, %" PRIu64 " remain in the file", what,
                        n, remain);
}

static lora_code fill(gguf_cursor *c)
{
    uint64_t left = c->end - c->at;
    c->window_at = c->at;
    c->window_bytes = left < WINDOW_BYTES ? left : WINDOW_BYTES;
    return file_read_at(c->source, c->at, c->window, (size_t)c->window_bytes, c->err);
}

lora_code gguf_take(gguf_cursor *c, void *dst, uint64_t n, const char *what)
{
    unsigned char *to = dst;
    lora_code code = gguf_need(c, n, what);
    while (!code && n > 0) {
        if (c->at - c->window_at >= c->window_bytes) {
            code = fill(c);
            if (code)
                break;
        }
        uint64_t from = c->at - c->window_at, here = c->window_bytes - from, piece = n < here ? n : here;
        memcpy(to, c->window + from, (size_t)piece);
        to += piece;
        n -= piece;
        c->at += piece;
    }
    return code;
}

lora_code gguf_u32(gguf_cursor *c, uint32_t *value, const char *what)
{
    unsigned char bytes[4];
    lora_code code = gguf_take(c, bytes, sizeof bytes, what);
    if (!code)
        *value = bytes_le32(bytes);
    return code;
}

lora_code gguf_u64(gguf_cursor *c, uint64_t *value, const char *what)
{
    unsigned char bytes[8];
    lora_code code = gguf_take(c, bytes, sizeof bytes, what);
    if (!code)
        *value = bytes_le64(bytes);
    return code;
}

lora_code gguf_string(gguf_cursor *c, arena *mem, const char **text, size_t *length, const char *what)
{
    uint64_t n = 0;
    lora_code code = gguf_u64(c, &n, what);
    if (!code)
        code = gguf_need(c, n, what);
    if (code)
        return code;
    uint64_t begin = c->at;
    char *copy = arena_alloc(mem, (size_t)n + 1, 1);
    if (!copy)
        return lora_fail(c->err, LORA_E_MEMORY, "no memory for %s of %" PRIu64 " bytes", what, n);
    code = gguf_take(c, copy, n, what);
    if (code)
        return code;
    size_t bad = text_utf8_invalid(copy, (size_t)n), nul = strlen(copy);
    if (bad < n)
        return lora_fail_at(c->err, LORA_E_GGUF, begin + bad, "%s holds byte 0x%02x, which is not valid UTF-8", what,
                            (unsigned char)copy[bad]);
    if (nul < n)
        return lora_fail_at(c->err, LORA_E_GGUF, begin + nul, "%s holds the character U+0000", what);
    *text = copy;
    *length = (size_t)n;
    return LORA_OK;
}
