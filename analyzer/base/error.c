/* error.c - how an error value is filled: once, on one line, without anything that could steer a terminal.
 *
 * Invariant: after the first lora_fail* the value never changes, whatever fails later during clean-up.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of text without a character that the end of the buffer cut in two. */
static size_t whole_characters(const char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return length;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t needs = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return needs > length - (start - 1) ? start - 1 : length;
}

static void set_message(lora_error *err, const char *fmt, va_list args)
{
    int wanted = vsnprintf(err->message, sizeof err->message, fmt, args);
    if (wanted < 0)
        err->message[0] = '\0';
    else if ((size_t)wanted >= sizeof err->message)
        err->message[whole_characters(err->message, sizeof err->message - 1)] = '\0';
    for (char *p = err->message; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
}

static bool takes(const lora_error *err)
{
    return err && err->code == LORA_OK;
}

lora_code lora_fail(lora_error *err, lora_code code, const char *fmt, ...)
{
    if (takes(err)) {
        va_list args;
        va_start(args, fmt);
        *err = (lora_error){.code = code};
        set_message(err, fmt, args);
        va_end(args);
    }
    return code;
}

lora_code lora_fail_at(lora_error *err, lora_code code, uint64_t offset, const char *fmt, ...)
{
    if (takes(err)) {
        va_list args;
        va_start(args, fmt);
        *err = (lora_error){.code = code, .has_offset = true, .offset = offset};
        set_message(err, fmt, args);
        va_end(args);
    }
    return code;
}

lora_code lora_fail_sys(lora_error *err, lora_code code, int sys, const char *fmt, ...)
{
    if (sys == ENOENT)
        code = LORA_E_NOT_FOUND;
    else if (sys == EACCES)
        code = LORA_E_PERMISSION;
    else if (sys == ENOMEM)
        code = LORA_E_MEMORY;
    if (takes(err)) {
        va_list args;
        va_start(args, fmt);
        *err = (lora_error){.code = code, .sys = sys};
        set_message(err, fmt, args);
        va_end(args);

        /* The cause is worth more than the end of a long name: it is kept whole and the text before it is cut. */
        char why[96];
        if (strerror_r(sys, why, sizeof why) != 0)
            snprintf(why, sizeof why, "error %d", sys);
        size_t room = sizeof err->message - 1 - strlen(why) - 2;
        size_t used = strlen(err->message);
        if (used > room)
            used = whole_characters(err->message, room);
        snprintf(err->message + used, sizeof err->message - used, ": %s", why);
    }
    return code;
}

const char *lora_code_name(lora_code code)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        LORA_CODES(X)
#undef X
    };
    return (unsigned)code < LORA_N_CODES ? names[code] : "internal-error";
}
