/* detect.c - telling file kinds apart by their first bytes.
 *
 * Order of the tests, and why: safetensors with a plausible length and a '{' first, because its four zero bytes at 4..7
 * fit no other kind here; then magic numbers; then words that a downloaded page or pointer begins with; then text; last
 * the weak signs, which say safetensors so that its reader can tell what is broken.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/detect.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { WINDOW = 4096, HEADER_LENGTH_BYTES = 8, TAR_MAGIC_AT = 257, ZIP_LOCAL_HEADER = 30 };

typedef struct {
    unsigned char bytes[WINDOW];
    size_t length;
    bool whole; /* the window is the whole file */
} window;

static bool has_at(const window *w, size_t at, const char *magic, size_t n)
{
    return at + n <= w->length && memcmp(w->bytes + at, magic, n) == 0;
}
#define HAS_AT(w, at, literal) has_at(w, at, literal, sizeof(literal) - 1)
#define HAS(w, literal) HAS_AT(w, 0, literal)

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_space(const window *w, size_t at)
{
    while (at < w->length && is_space(w->bytes[at]))
        at++;
    return at;
}

/* ---- safetensors ---- */

static bool length_is_plausible(const window *w)
{
    uint64_t length = w->length >= HEADER_LENGTH_BYTES ? bytes_le64(w->bytes) : 0;
    return length > 0 && length <= LIMIT_HEADER_BYTES;
}

static bool brace_follows(const window *w)
{
    size_t at = skip_space(w, HEADER_LENGTH_BYTES);
    return at < w->length && w->bytes[at] == '{';
}

/* The beginning of an object in full, where the length alone is no evidence. */
static bool object_follows(const window *w)
{
    size_t at = skip_space(w, HEADER_LENGTH_BYTES) + 1;
    at = skip_space(w, at);
    return brace_follows(w) && at < w->length && (w->bytes[at] == '"' || w->bytes[at] == '}');
}

/* ---- zip ---- */

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t m = strlen(end);
    return n >= m && memcmp(s + n - m, end, m) == 0;
}

/* The local headers that the window shows, found by their signature: sizes are often only in the central directory.
 * torch.save writes <root>/data.pkl first, or a record of its own before it; numpy.savez writes <array>.npy. */
static content_kind zip_kind(const window *w)
{
    static const char *const torch_records[] = {"/data.pkl",       "/version",           "/byteorder",
                                                "/.format_version", "/.storage_alignment", "/.data/serialization_id"};
    for (size_t at = 0; at + ZIP_LOCAL_HEADER <= w->length; at++) {
        if (!HAS_AT(w, at, "PK\3\4"))
            continue;
        const char *name = (const char *)w->bytes + at + ZIP_LOCAL_HEADER;
        size_t n = (size_t)w->bytes[at + 26] | (size_t)w->bytes[at + 27] << 8;
        if (n > w->length - at - ZIP_LOCAL_HEADER)
            break;
        for (size_t i = 0; i < sizeof torch_records / sizeof torch_records[0]; i++) {
            if (ends_with(name, n, torch_records[i]))
                return CONTENT_ZIP_TORCH;
        }
        if (n == 8 && ends_with(name, n, "data.pkl"))
            return CONTENT_ZIP_TORCH;
        if (at == 0 && ends_with(name, n, ".npy"))
            return CONTENT_ZIP_NPZ;
    }
    return CONTENT_ZIP;
}

/* ---- pickle without a protocol byte ---- */

/* A dotted Python name and its newline from `at`; the position behind it, or 0. */
static size_t after_name_line(const window *w, size_t at)
{
    size_t start = at;
    for (; at < w->length; at++) {
        unsigned char c = w->bytes[at];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (c == '\n')
            return at > start ? at + 1 : 0;
        if (!letter && (at == start || !((c >= '0' && c <= '9') || c == '.')))
            return 0;
    }
    return 0;
}

/* Protocols 0 and 1 begin with an opcode: a GLOBAL and what commonly follows it, a marked INST or GLOBAL, or an empty
 * or marked container that is put into the memo. */
static bool is_old_pickle(const window *w)
{
    bool marked = HAS(w, "(");
    size_t at = marked ? 1 : 0;
    if (at + 2 >= w->length)
        return false;
    unsigned char opcode = w->bytes[at], next = w->bytes[at + 1], third = w->bytes[at + 2];
    if (opcode == 'c' || (opcode == 'i' && marked)) {
        size_t behind = after_name_line(w, at + 1);
        behind = behind ? after_name_line(w, behind) : 0;
        return behind && behind < w->length && strchr("()pqNtoV.", w->bytes[behind]) && w->bytes[behind];
    }
    if (marked && (opcode == 'd' || opcode == 'l' || opcode == 't'))
        return next == 'q' || (next == 'p' && third >= '0' && third <= '9');
    return !marked && (opcode == '}' || opcode == ']' || opcode == ')') && next == 'q';
}

/* ---- text ---- */

/* Does the text at `at` begin with the word, letters compared without case? word is in lower case. */
static bool has_word(const window *w, size_t at, const char *word)
{
    for (; *word; word++, at++) {
        if (at >= w->length)
            return false;
        unsigned char c = w->bytes[at];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (unsigned char)*word)
            return false;
    }
    return true;
}

/* UTF-8 without controls other than white space; a character that the window cut does not count against it. */
static bool is_text(const window *w)
{
    for (size_t i = 0; i < w->length; i++) {
        unsigned char c = w->bytes[i];
        if ((c < 0x20 && !is_space(c) && c != '\f' && c != 0x1b) || c == 0x7f)
            return false;
    }
    size_t bad = text_utf8_invalid((const char *)w->bytes, w->length);
    return bad == w->length || (!w->whole && bad + 3 >= w->length);
}

static content_kind text_kind(const window *w)
{
    static const char *const html[] = {"<!doctype html", "<html", "<head", "<body", "<script"};
    size_t at = skip_space(w, HAS(w, "\xEF\xBB\xBF") ? 3 : 0);
    for (size_t i = 0; i < sizeof html / sizeof html[0]; i++) {
        if (has_word(w, at, html[i]))
            return CONTENT_HTML;
    }
    if (!is_text(w))
        return CONTENT_UNKNOWN;
    if (at < w->length && (w->bytes[at] == '{' || w->bytes[at] == '['))
        return CONTENT_JSON;
    return CONTENT_TEXT;
}

/* ---- all kinds ---- */

static content_kind magic_kind(const window *w)
{
    static const struct {
        content_kind kind;
        unsigned char length;
        const char *magic;
    } magics[] = {
#define MAGIC(kind, literal) {kind, sizeof(literal) - 1, literal}
        /* protocol 2, then LONG1 with ten bytes: 0x1950a86a20f9469cfc6c */
        MAGIC(CONTENT_TORCH_LEGACY, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"),
        MAGIC(CONTENT_PICKLE, "\x80\x00"),
        MAGIC(CONTENT_PICKLE, "\x80\x01"),
        MAGIC(CONTENT_PICKLE, "\x80\x02"),
        MAGIC(CONTENT_PICKLE, "\x80\x03"),
        MAGIC(CONTENT_PICKLE, "\x80\x04"),
        MAGIC(CONTENT_PICKLE, "\x80\x05"),
        MAGIC(CONTENT_GGUF, "GGUF"),
        MAGIC(CONTENT_HDF5, "\x89HDF\r\n\x1a\n"),
        MAGIC(CONTENT_7Z, "7z\xBC\xAF\x27\x1C"),
        MAGIC(CONTENT_GZIP, "\x1F\x8B"),
        MAGIC(CONTENT_PNG, "\x89PNG\r\n\x1a\n"),
        MAGIC(CONTENT_JPEG, "\xFF\xD8\xFF"),
        MAGIC(CONTENT_GIF, "GIF87a"),
        MAGIC(CONTENT_GIF, "GIF89a"),
        MAGIC(CONTENT_NPY, "\x93NUMPY"),
        MAGIC(CONTENT_XZ, "\xFD" "7zXZ\0"),
        MAGIC(CONTENT_ZSTD, "\x28\xB5\x2F\xFD"),
        MAGIC(CONTENT_BZIP2, "BZh"),
        MAGIC(CONTENT_RAR, "Rar!\x1A\x07"),
        MAGIC(CONTENT_PDF, "%PDF-"),
        MAGIC(CONTENT_PROGRAM, "\x7F" "ELF"),
        MAGIC(CONTENT_PROGRAM, "MZ\x90\0"),
        MAGIC(CONTENT_PROGRAM, "\xCF\xFA\xED\xFE"),
        MAGIC(CONTENT_PROGRAM, "#!"),
        MAGIC(CONTENT_ZIP, "PK\5\6"), /* an archive of nothing */
        MAGIC(CONTENT_LFS_POINTER, "version https://git-lfs.github.com/spec/"),
        MAGIC(CONTENT_LFS_POINTER, "version https://hawser.github.com/spec/"),
        MAGIC(CONTENT_LFS_POINTER, "version http://git-media.io/v/"),
#undef MAGIC
    };
    if (HAS(w, "PK\3\4"))
        return zip_kind(w);
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        if (has_at(w, 0, magics[i].magic, magics[i].length))
            return magics[i].kind;
    }
    if (HAS(w, "RIFF") && HAS_AT(w, 8, "WEBP"))
        return CONTENT_WEBP;
    if (HAS_AT(w, TAR_MAGIC_AT, "ustar"))
        return CONTENT_TAR;
    for (size_t at = 512; at < WINDOW; at *= 2) { /* HDF5 allows a user block in front */
        if (HAS_AT(w, at, "\x89HDF\r\n\x1a\n"))
            return CONTENT_HDF5;
    }
    return CONTENT_UNKNOWN;
}

static content_kind kind_of(const window *w)
{
    if (w->length == 0)
        return CONTENT_EMPTY;
    if (length_is_plausible(w) && brace_follows(w))
        return CONTENT_SAFETENSORS;
    content_kind kind = magic_kind(w);
    if (kind == CONTENT_UNKNOWN && is_old_pickle(w))
        kind = CONTENT_PICKLE;
    if (kind == CONTENT_UNKNOWN)
        kind = text_kind(w);
    if (kind == CONTENT_UNKNOWN && (length_is_plausible(w) || object_follows(w)))
        kind = CONTENT_SAFETENSORS;
    return kind;
}

lora_code detect_content(const file *f, content_kind *kind, lora_error *err)
{
    window w;
    w.length = f->size < WINDOW ? (size_t)f->size : WINDOW;
    w.whole = f->size <= WINDOW;
    lora_code code = file_read_at(f, 0, w.bytes, w.length, err);
    if (!code)
        *kind = kind_of(&w);
    return code;
}

static const struct {
    const char *words, *container;
} kinds[CONTENT_COUNT] = {
    [CONTENT_UNKNOWN] = {"a file of unknown kind", NULL},
    [CONTENT_EMPTY] = {"an empty file", NULL},
    [CONTENT_SAFETENSORS] = {"a safetensors file", "safetensors"},
    [CONTENT_ZIP_TORCH] = {"a torch zip checkpoint", "torch-zip"},
    [CONTENT_ZIP_NPZ] = {"a NumPy npz archive", "npz"},
    [CONTENT_ZIP] = {"a zip archive", NULL},
    [CONTENT_TORCH_LEGACY] = {"a torch checkpoint of the time before zip", "torch-legacy"},
    [CONTENT_PICKLE] = {"a Python pickle", NULL},
    [CONTENT_GGUF] = {"a GGUF file", "gguf"},
    [CONTENT_HDF5] = {"an HDF5 file", "hdf5"},
    [CONTENT_LFS_POINTER] = {"a git-lfs pointer", NULL},
    [CONTENT_HTML] = {"an HTML page", NULL},
    [CONTENT_JSON] = {"a JSON text", NULL},
    [CONTENT_TEXT] = {"a text file", NULL},
    [CONTENT_7Z] = {"a 7z archive", NULL},
    [CONTENT_GZIP] = {"a gzip archive", NULL},
    [CONTENT_TAR] = {"a tar archive", NULL},
    [CONTENT_PNG] = {"a PNG image", NULL},
    [CONTENT_JPEG] = {"a JPEG image", NULL},
    [CONTENT_NPY] = {"a NumPy array", "npy"},
    [CONTENT_GIF] = {"a GIF image", NULL},
    [CONTENT_WEBP] = {"a WebP image", NULL},
    [CONTENT_XZ] = {"an xz archive", NULL},
    [CONTENT_ZSTD] = {"a zstd archive", NULL},
    [CONTENT_BZIP2] = {"a bzip2 archive", NULL},
    [CONTENT_RAR] = {"a RAR archive", NULL},
    [CONTENT_PDF] = {"a PDF document", NULL},
    [CONTENT_PROGRAM] = {"a program", NULL},
};

const char *content_name(content_kind kind)
{
    return kinds[(unsigned)kind < CONTENT_COUNT ? kind : CONTENT_UNKNOWN].words;
}

const char *content_container(content_kind kind)
{
    return kinds[(unsigned)kind < CONTENT_COUNT ? kind : CONTENT_UNKNOWN].container;
}

/* What an extension promises. torch.load reads all three of its kinds under each of its names. */
static const struct {
    const char *extension, *promise;
    bool harmless;
    content_kind kinds[4]; /* up to the first CONTENT_UNKNOWN */
} extensions[] = {
    {".safetensors", "a safetensors file", true, {CONTENT_SAFETENSORS}},
    {".gguf", "a GGUF file", true, {CONTENT_GGUF}},
    {".npz", "a NumPy npz archive", true, {CONTENT_ZIP_NPZ}},
    {".npy", "a NumPy array", true, {CONTENT_NPY}},
    {".h5", "an HDF5 file", true, {CONTENT_HDF5}},
    {".hdf5", "an HDF5 file", true, {CONTENT_HDF5}},
    {".bin", "a torch checkpoint", false, {CONTENT_ZIP_TORCH, CONTENT_TORCH_LEGACY, CONTENT_PICKLE}},
    {".pt", "a torch checkpoint", false, {CONTENT_ZIP_TORCH, CONTENT_TORCH_LEGACY, CONTENT_PICKLE}},
    {".pth", "a torch checkpoint", false, {CONTENT_ZIP_TORCH, CONTENT_TORCH_LEGACY, CONTENT_PICKLE}},
    {".ckpt", "a torch checkpoint", false, {CONTENT_ZIP_TORCH, CONTENT_TORCH_LEGACY, CONTENT_PICKLE}},
    {".pkl", "a Python pickle", false, {CONTENT_PICKLE, CONTENT_TORCH_LEGACY, CONTENT_ZIP_TORCH}},
    {".pickle", "a Python pickle", false, {CONTENT_PICKLE, CONTENT_TORCH_LEGACY, CONTENT_ZIP_TORCH}},
};

static bool ends_without_case(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n > m && strcasecmp(s + n - m, ending) == 0;
}

const char *content_claimed_by(const char *path, content_kind kind, bool *harmless)
{
    *harmless = false;
    if (kind == CONTENT_UNKNOWN || kind == CONTENT_EMPTY || kind == CONTENT_LFS_POINTER)
        return NULL; /* damaged, or not there: another kind is not claimed */
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        if (!ends_without_case(path, extensions[i].extension))
            continue;
        for (size_t k = 0; k < 4 && extensions[i].kinds[k] != CONTENT_UNKNOWN; k++)
            if (extensions[i].kinds[k] == kind)
                return NULL;
        *harmless = extensions[i].harmless;
        return extensions[i].promise;
    }
    return NULL;
}
