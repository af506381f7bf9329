/* open.c - the one place that knows which reader reads what.
 *
 * Content decides. Only where the content is like nothing known does the name speak: a damaged file that claims to be
 * safetensors is handed to that reader, which says where it went wrong.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/open.h"

#include "analyzer/formats/safetensors.h"

#include <stdbool.h>
#include <string.h>

static bool claims_safetensors(const char *path)
{
    static const char ending[] = ".safetensors";
    size_t n = strlen(path), m = sizeof ending - 1;
    return n >= m && strcmp(path + n - m, ending) == 0;
}

lora_code formats_open(const char *path, uint64_t max_bytes, arena *mem, file *f, content_kind *kind, catalog *cat,
                       lora_error *err)
{
    *kind = CONTENT_UNKNOWN;
    lora_code code = file_open(path, f, err);
    if (code == LORA_OK && max_bytes && f->size > max_bytes)
        code = lora_fail(err, LORA_E_TOO_LARGE, "the file has %llu bytes, the limit is %llu",
                         (unsigned long long)f->size, (unsigned long long)max_bytes);
    if (code == LORA_OK)
        code = detect_content(f, kind, err);
    if (code != LORA_OK)
        return code;
    if (*kind == CONTENT_UNKNOWN && claims_safetensors(path))
        *kind = CONTENT_SAFETENSORS;
    switch (*kind) {
    case CONTENT_SAFETENSORS:
        return safetensors_read(f, mem, cat, err);
    case CONTENT_EMPTY:
        return lora_fail_at(err, LORA_E_EMPTY, 0, "the file is empty");
    case CONTENT_LFS_POINTER:
        return lora_fail_at(err, LORA_E_LFS_POINTER, 0,
                            "a git-lfs pointer of %llu bytes, not the weights; fetch them with 'git lfs pull'",
                            (unsigned long long)f->size);
    default:
        if (content_container(*kind))
            return lora_fail_at(err, LORA_E_CONTAINER, 0, "%s: no reader for this container yet", content_name(*kind));
        return lora_fail_at(err, LORA_E_FORMAT, 0, "%s is not a weight container", content_name(*kind));
    }
}
