/* open.c - the one place that knows which reader reads what.
 *
 * Content decides. Only where the content is like nothing known does the name speak: a damaged file that claims to be
 * safetensors is handed to that reader, which says where it went wrong.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/open.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/formats/gguf.h"
#include "analyzer/formats/hdf5.h"
#include "analyzer/formats/npz.h"
#include "analyzer/formats/pickle.h"
#include "analyzer/formats/safetensors.h"
#include "analyzer/formats/suspicious.h"
#include "analyzer/formats/tar.h"
#include "analyzer/formats/torch_legacy.h"
#include "analyzer/formats/torch_zip.h"

#include <string.h>

static bool claims_safetensors(const char *path)
{
    static const char ending[] = ".safetensors";
    size_t n = strlen(path), m = sizeof ending - 1;
    return n >= m && strcmp(path + n - m, ending) == 0;
}

/* What the pickle machine found in bytes that are told as something else: a text may begin like a pickle, and is one only as
 * far as its STOP, behind which a loader does not look. */
static void keep_findings(const observations *found, content_kind kind, uint64_t first_end, observations *seen)
{
    bool certain = kind == CONTENT_PICKLE || kind == CONTENT_TAR;
    for (size_t i = 0; i < found->n; i++)
        if (certain || (found->list[i].kind == SEEN_FORBIDDEN_GLOBAL && (kind != CONTENT_TEXT || found->list[i].offset < first_end)))
            observe(seen, found->list[i].kind, found->list[i].offset, found->list[i].subject, "%s", found->list[i].text);
}

/* What holds no weights may still be a pickle to a loader that does not ask: torch.load takes anything. */
static lora_code refuse_content(const file *f, content_kind kind, observations *seen, lora_error *err)
{
    lora_error none = {0};
    if (kind == CONTENT_PICKLE || kind == CONTENT_TAR || kind == CONTENT_UNKNOWN || kind == CONTENT_TEXT) {
        observations found = {.mem = seen->mem};
        uint64_t first_end = 0;
        lora_code code = kind == CONTENT_TAR ? tar_scan(f, &found, &none) : pickle_file_scan(f, &found, &first_end, &none);
        if (code == LORA_E_MEMORY || found.no_memory)
            return lora_fail(err, LORA_E_MEMORY, "no memory to look for pickles");
        keep_findings(&found, kind, first_end, seen);
    }
    if (kind == CONTENT_PICKLE)
        return lora_fail_at(err, LORA_E_CONTAINER, 0, "a bare Python pickle, whose tensors are not read");
    return lora_fail_at(err, LORA_E_FORMAT, 0, "%s is not a weight container", content_name(kind));
}

static lora_code read_kind(const char *path, const file *f, const formats_options *options, arena *mem, content_kind kind,
                           observations *seen, catalog *cat, lora_error *err)
{
    switch (kind) {
    case CONTENT_SAFETENSORS: return safetensors_read(f, mem, cat, err);
    case CONTENT_ZIP_TORCH:
    case CONTENT_ZIP: return torch_zip_read(f, mem, seen, cat, err);
    case CONTENT_TORCH_LEGACY: return torch_legacy_read(f, mem, seen, cat, err);
    case CONTENT_ZIP_NPZ: return npz_read(f, mem, seen, cat, err);
    case CONTENT_NPY: return npy_read(f, mem, seen, cat, err);
    case CONTENT_GGUF: return gguf_read(f, mem, cat, err);
    case CONTENT_HDF5:
        if (!options->trust_hdf5)
            return lora_fail_at(err, LORA_E_UNTRUSTED, 0,
                                "an HDF5 file: its library makes no promise on hostile files; --trust-hdf5 reads it");
        return hdf5_read(path, f, mem, cat, err);
    case CONTENT_EMPTY: return lora_fail_at(err, LORA_E_EMPTY, 0, "the file is empty");
    case CONTENT_LFS_POINTER:
        return lora_fail_at(err, LORA_E_LFS_POINTER, 0,
                            "a git-lfs pointer of %llu bytes, not the weights; fetch them with 'git lfs pull'",
                            (unsigned long long)f->size);
    default: return refuse_content(f, kind, seen, err);
    }
}

/* What tensors cost beyond their bytes must follow the bytes too. */
static lora_code check_counts(const catalog *cat, const file *f, lora_error *err)
{
    uint64_t most = LIMIT_FREE_TENSORS + f->size / LIMIT_TENSOR_SHARE;
    if (cat->n_tensors > most)
        return lora_fail_at(err, LORA_E_TOO_MANY, 0, "%zu tensors in a file of %llu bytes, the limit is %llu: %u and one more each %u bytes",
                            cat->n_tensors, (unsigned long long)f->size, (unsigned long long)most, LIMIT_FREE_TENSORS,
                            LIMIT_TENSOR_SHARE);
    for (size_t i = 0; i < cat->n_tensors; i++) {
        const tensor_storage *s = cat->tensors[i].storage;
        if (s && s->deflated && s->bytes > f->size + LIMIT_INFLATE_BYTES)
            return lora_fail_at(err, LORA_E_INFLATES_TOO_LARGE, s->offset, "a member inflates to %llu bytes, the limit is %llu",
                                (unsigned long long)s->bytes, (unsigned long long)(f->size + LIMIT_INFLATE_BYTES));
        size_t n = strlen(cat->tensors[i].name);
        if (n > LIMIT_NAME_BYTES)
            return lora_fail_at(err, LORA_E_HEADER_FIELD, cat->tensors[i].entry_offset,
                                "a tensor's name has %zu bytes, the limit is %u", n, LIMIT_NAME_BYTES);
    }
    return LORA_OK;
}

/* Tensors that share bytes could ask for any amount of reading. */
static lora_code check_expansion(const catalog *cat, const file *f, lora_error *err)
{
    uint64_t sum = 0, most = 0;
    bool fits = checked_mul(f->size, LIMIT_EXPANSION, &most) && checked_add(most, LIMIT_EXPANSION_FREE, &most);
    for (size_t i = 0; i < cat->n_tensors && fits; i++)
        fits = checked_add(sum, cat->tensors[i].bytes, &sum);
    if (fits && sum <= most)
        return LORA_OK;
    return lora_fail_at(err, LORA_E_STORAGE, 0, "the tensors of a file of %llu bytes span %llu bytes, the limit is %llu",
                        (unsigned long long)f->size, (unsigned long long)sum, (unsigned long long)most);
}

lora_code formats_read(const char *path, const file *f, const formats_options *options, arena *mem, content_kind *kind,
                       observations *seen, catalog *cat, lora_error *err)
{
    catalog found = {0};
    lora_code code = detect_content(f, kind, err);
    if (code != LORA_OK)
        return code;
    if (*kind == CONTENT_UNKNOWN && claims_safetensors(path))
        *kind = CONTENT_SAFETENSORS;
    code = read_kind(path, f, options, mem, *kind, seen, &found, err);
    if (code == LORA_OK)
        code = check_counts(&found, f, err);
    if (code == LORA_OK)
        code = check_expansion(&found, f, err);
    if (code == LORA_OK)
        suspicious_catalog(&found, seen);
    if (seen->no_memory) {
        if (err && err->code != LORA_E_MEMORY)
            *err = (lora_error){0}; /* what is missing is worse than what is known */
        return lora_fail(err, LORA_E_MEMORY, "no memory for what was noticed in a file");
    }
    if (code == LORA_OK)
        *cat = found;
    return code;
}

lora_code formats_open(const char *path, const formats_options *options, arena *mem, file *f, content_kind *kind,
                       observations *seen, catalog *cat, lora_error *err)
{
    *kind = CONTENT_UNKNOWN;
    lora_code code = file_open(path, f, err);
    if (code == LORA_OK && options->max_bytes && f->size > options->max_bytes)
        code = lora_fail(err, LORA_E_TOO_LARGE, "the file has %llu bytes, the limit is %llu", (unsigned long long)f->size,
                         (unsigned long long)options->max_bytes);
    return code == LORA_OK ? formats_read(path, f, options, mem, kind, seen, cat, err) : code;
}
