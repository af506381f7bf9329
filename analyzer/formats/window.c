/* window.c - see window.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/window.h"

#include <stdlib.h>

static bool room_for(file_window *w, size_t n)
{
    if (n <= w->room)
        return true;
    free(w->bytes); /* nothing in it is wanted any more */
    w->bytes = malloc(n);
    w->room = w->bytes ? n : 0;
    return w->bytes;
}

lora_code window_read(file_window *w, uint64_t at, size_t n, const unsigned char **bytes, lora_error *err)
{
    uint64_t end = w->at + w->n;
    *bytes = (const unsigned char *)"";
    if (n == 0)
        return LORA_OK;
    if (at < w->at || at > end || n > end - at) {
        bool near = w->n && at >= w->at && (at <= end || at - end <= WINDOW_NEAR);
        size_t wanted = near && n < WINDOW_BYTES ? WINDOW_BYTES : n;
        uint64_t left = at < w->f->size ? w->f->size - at : 0;
        wanted = wanted > n && wanted > left ? (left > n ? (size_t)left : n) : wanted;
        w->n = 0;
        if (!room_for(w, wanted))
            return lora_fail(err, LORA_E_MEMORY, "no memory to read %zu bytes", wanted);
        lora_code code = file_read_at(w->f, at, w->bytes, wanted, err);
        if (code != LORA_OK)
            return code;
        w->at = at;
        w->n = wanted;
    }
    *bytes = w->bytes + (at - w->at);
    return LORA_OK;
}

void window_free(file_window *w)
{
    free(w->bytes);
    *w = (file_window){.f = w->f};
}
