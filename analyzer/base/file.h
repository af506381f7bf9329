/* file.h - read-only access to one regular file by position.
 *
 * Opening never blocks and never touches a device: a FIFO, a socket, a directory or a device node is an error. Reads use
 * pread, so that a file which shrinks meanwhile is an error and not a signal.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_FILE_H
#define LORAUDIT_FILE_H

#include "analyzer/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int fd;               /* -1 when closed, or when the bytes are in memory */
    const unsigned char *memory; /* borrowed; NULL: read through fd */
    uint64_t size;
} file;

/* file_of_memory - n bytes that are at hand already, as a file; nothing to close. */
static inline file file_of_memory(const void *bytes, size_t n)
{
    return (file){.fd = -1, .memory = (const unsigned char *)bytes, .size = n};
}

/* file_open - open path for reading; symbolic links are followed.
 * Errs: LORA_E_NOT_FOUND, LORA_E_PERMISSION, LORA_E_OPEN, LORA_E_NOT_REGULAR; *f has fd -1 then. */
lora_code file_open(const char *path, file *f, lora_error *err);
void file_close(file *f); /* accepts a closed one */

/* file_read_at - exactly n bytes from offset into dst.
 * Errs: LORA_E_SHRUNK when the file ends before, LORA_E_READ; both carry the offset. Thread: safe. */
lora_code file_read_at(const file *f, uint64_t offset, void *dst, size_t n, lora_error *err);

#endif
