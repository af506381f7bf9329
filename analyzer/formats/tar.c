/* tar.c - members of a ustar archive, one header of 512 bytes each: name (100 bytes), size (12 octal digits at 124), type at 156.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/tar.h"

#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/pickle.h"
#include "analyzer/formats/suspicious.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, NAME_BYTES = 100, SIZE_AT = 124, SIZE_BYTES = 12 };

/* Octal digits, or base 256 with the top bit set. */
static uint64_t member_size(const unsigned char *p)
{
    uint64_t n = 0;
    if (p[0] & 0x80) {
        for (int i = 4; i < SIZE_BYTES; i++)
            n = n << 8 | p[i];
        return n;
    }
    for (int i = 0; i < SIZE_BYTES && p[i]; i++)
        if (p[i] >= '0' && p[i] <= '7')
            n = n << 3 | (uint64_t)(p[i] - '0');
    return n;
}

static lora_code scan_member(const file *f, const char *name, uint64_t at, uint64_t n, observations *seen, lora_error *err)
{
    unsigned char first[64];
    size_t peek = n < sizeof first ? (size_t)n : sizeof first;
    if (n > LIMIT_PICKLE_BYTES || file_read_at(f, at, first, peek, NULL) != LORA_OK || !pickle_looks_like(first, peek))
        return LORA_OK;
    unsigned char *bytes = malloc((size_t)n);
    if (!bytes)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a member of %llu bytes", (unsigned long long)n);
    lora_code code = LORA_OK;
    pickle_source source = {.bytes = bytes, .length = (size_t)n, .offset = at, .member = name,
                            .budget = LIMIT_PICKLE_MEMORY + f->size / 2};
    if (file_read_at(f, at, bytes, (size_t)n, NULL) == LORA_OK)
        code = pickle_scan(&source, seen, err);
    free(bytes);
    return code;
}

lora_code tar_scan(const file *f, observations *seen, lora_error *err)
{
    unsigned char header[BLOCK];
    for (uint64_t at = 0, members = 0; f->size >= BLOCK && at <= f->size - BLOCK && members < LIMIT_ZIP_MEMBERS; members++) {
        if (file_read_at(f, at, header, BLOCK, NULL) != LORA_OK || header[0] == 0)
            break;
        char name[NAME_BYTES + 1], label[160];
        memcpy(name, header, NAME_BYTES);
        name[NAME_BYTES] = '\0';
        uint64_t n = member_size(header + SIZE_AT);
        if (suspicious_name(name, strlen(name)) || name[0] == '/')
            observe(seen, SEEN_ARCHIVE_TRAVERSAL, at, name, "the tar member %s could be written outside its folder",
                    text_label(label, sizeof label, name, strlen(name)));
        at += BLOCK;
        if (n > f->size - at)
            break;
        lora_code code = scan_member(f, name, at, n, seen, err);
        if (code != LORA_OK)
            return code;
        at += n / BLOCK * BLOCK + (n % BLOCK ? BLOCK : 0);
    }
    return LORA_OK;
}
