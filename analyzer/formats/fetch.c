/* fetch.c - from stored bytes to entries in C order, in a dtype that numerics know.
 *
 * Three steps, each left out where it has nothing to do: the bytes (read, copied or inflated), the order (strides, byte
 * order), the dtype. A plain tensor takes one read and nothing else.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/fetch.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { Q8_ENTRIES = 32, Q8_BYTES = 34, PIECE_BYTES = 65536, IN_BYTES = 8192, CRC_HEADER_BYTES = 131072 };

tensor_dtype fetch_dtype(const tensor *t)
{
    switch (t->dtype) {
    case DTYPE_F64:
    case DTYPE_F32:
    case DTYPE_F16:
    case DTYPE_BF16: return t->dtype;
    case DTYPE_U8:
    case DTYPE_I8:
    case DTYPE_I16:
    case DTYPE_U16:
    case DTYPE_F8_E5M2:
    case DTYPE_F8_E4M3:
    case DTYPE_F8_E4M3FNUZ:
    case DTYPE_F8_E5M2FNUZ:
    case DTYPE_Q8_0: return DTYPE_F32;
    case DTYPE_I32:
    case DTYPE_U32:
    case DTYPE_I64:
    case DTYPE_U64: return DTYPE_F64;
    default: return DTYPE_COUNT;
    }
}

uint64_t fetch_entries_bytes(const tensor *t, uint64_t n)
{
    uint64_t bytes = 0;
    tensor_dtype as = fetch_dtype(t);
    return as != DTYPE_COUNT && checked_mul(n, dtype_bits(as) / 8, &bytes) ? bytes : 0;
}

/* ---- the bytes ---- */

static lora_code no_memory(const tensor *t, lora_error *err)
{
    return lora_fail(err, LORA_E_MEMORY, "no memory for a tensor of %llu bytes", (unsigned long long)t->bytes);
}

static lora_code bad_stream(const tensor_storage *s, lora_error *err)
{
    return lora_fail_at(err, LORA_E_INFLATE, s->offset, "the deflate stream of %llu bytes does not give %llu bytes",
                        (unsigned long long)s->stored_bytes, (unsigned long long)s->bytes);
}

/* Is the CRC of a storage known once bytes [from, from + n) are? When they are all but a short header before the entries,
 * or, in a deflated one, when they are its end: what comes before is inflated in any case. */
static bool crc_is_due(const tensor_storage *s, uint64_t from, uint64_t n)
{
    return s->has_crc && from + n == s->bytes && (from <= CRC_HEADER_BYTES || (s->deflated && !s->memory));
}

typedef struct {
    z_stream z;
    const file *source;
    const tensor_storage *s;
    uint64_t read; /* stored bytes given to z so far */
    bool ended;
    unsigned char in[IN_BYTES];
} inflater;

/* n more inflated bytes; 1 more than there are shows whether the stream ends. Returns how many came; fewer only when the
 * stream ends or *code is set. */
static size_t inflate_some(inflater *i, unsigned char *dst, size_t n, lora_code *code, lora_error *err)
{
    i->z.next_out = dst;
    i->z.avail_out = (uInt)n;
    while (i->z.avail_out > 0 && !i->ended) {
        if (i->z.avail_in == 0 && i->read < i->s->stored_bytes) {
            uint64_t left = i->s->stored_bytes - i->read;
            size_t piece = left < IN_BYTES ? (size_t)left : IN_BYTES;
            *code = file_read_at(i->source, i->s->offset + i->read, i->in, piece, err);
            if (*code)
                break;
            i->z.next_in = i->in;
            i->z.avail_in = (uInt)piece;
            i->read += piece;
        }
        int state = inflate(&i->z, Z_NO_FLUSH);
        i->ended = state == Z_STREAM_END;
        if (state != Z_OK && state != Z_STREAM_END) { /* Z_BUF_ERROR: the stored bytes end before the stream does */
            *code = state == Z_MEM_ERROR ? lora_fail(err, LORA_E_MEMORY, "no memory to inflate") : bad_stream(i->s, err);
            break;
        }
    }
    return n - i->z.avail_out;
}

/* Bytes [from, from + n) of a deflated storage, and the CRC-32 of [0, from + n) when it is wanted. A stream that should end
 * there must. */
static lora_code inflate_range(const file *f, const tensor_storage *s, uint64_t from, uint64_t n, unsigned char *dst,
                               uint32_t *crc, lora_error *err)
{
    lora_code code = LORA_OK;
    inflater *i = malloc(sizeof *i);
    unsigned char *skipped = malloc(PIECE_BYTES);
    if (i)
        *i = (inflater){.source = f, .s = s};
    if (!i || !skipped || inflateInit2(&i->z, -MAX_WBITS) != Z_OK) {
        free(i);
        free(skipped);
        return lora_fail(err, LORA_E_MEMORY, "no memory to inflate");
    }
    uLong sum = 0;
    for (uint64_t at = 0; code == LORA_OK && at < from + n;) {
        uint64_t left = at < from ? from - at : from + n - at;
        unsigned char *to = at < from ? skipped : dst + (at - from);
        size_t piece = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, got = inflate_some(i, to, piece, &code, err);
        if (crc)
            sum = crc32(sum, to, (uInt)got);
        if (code == LORA_OK && got < piece)
            code = bad_stream(s, err);
        at += got;
    }
    if (code == LORA_OK && from + n == s->bytes && inflate_some(i, skipped, 1, &code, err) > 0)
        code = bad_stream(s, err);
    uint64_t used = i->read - i->z.avail_in;
    if (code == LORA_OK && i->ended && used < s->stored_bytes)
        code = lora_fail_at(err, LORA_E_INFLATE, s->offset + used, "%" PRIu64 " bytes follow the end of a deflate stream",
                            s->stored_bytes - used);
    if (crc)
        *crc = (uint32_t)sum;
    inflateEnd(&i->z);
    free(i);
    free(skipped);
    return code;
}

/* The CRC-32 of the `from` bytes before dst in the storage and the n at dst. */
static lora_code crc_plain(const file *f, const tensor_storage *s, uint64_t from, uint64_t n, const unsigned char *dst,
                           uint32_t *crc, lora_error *err)
{
    uLong sum = 0;
    for (uint64_t at = 0; at < from;) {
        unsigned char piece[4096];
        uint64_t count = from - at < sizeof piece ? from - at : sizeof piece;
        lora_code code = LORA_OK;
        if (s->memory)
            memcpy(piece, (const unsigned char *)s->memory + at, (size_t)count);
        else
            code = file_read_at(f, s->offset + at, piece, (size_t)count, err);
        if (code)
            return code;
        sum = crc32(sum, piece, (uInt)count);
        at += count;
    }
    for (uint64_t at = 0; at < n; at += 1u << 30)
        sum = crc32(sum, dst + at, (uInt)(n - at < 1u << 30 ? n - at : 1u << 30));
    *crc = (uint32_t)sum;
    return LORA_OK;
}

lora_code fetch_storage(const file *f, const tensor_storage *s, uint64_t from, uint64_t n, void *dst, lora_error *err)
{
    if (from > s->bytes || n > s->bytes - from)
        return lora_fail_at(err, LORA_E_STORAGE, s->offset, "bytes %" PRIu64 " to %" PRIu64 " are wanted of a storage of %" PRIu64,
                            from, from + n, s->bytes);
    lora_code code = LORA_OK;
    uint32_t crc = 0;
    bool due = crc_is_due(s, from, n);
    if (s->memory)
        memcpy(dst, (const unsigned char *)s->memory + from, (size_t)n);
    else if (s->deflated)
        code = inflate_range(f, s, from, n, dst, due ? &crc : NULL, err);
    else
        code = file_read_at(f, s->offset + from, dst, (size_t)n, err);
    if (code == LORA_OK && due && (s->memory || !s->deflated))
        code = crc_plain(f, s, from, n, dst, &crc, err);
    if (code == LORA_OK && due && crc != s->crc)
        code = lora_fail_at(err, LORA_E_CHECKSUM, s->offset, "%" PRIu64 " bytes have the CRC-32 %08" PRIx32 ", their directory says %08" PRIx32,
                            s->bytes, crc, s->crc);
    return code;
}

/* Bytes [from, from + n) as they are stored, inflated; without a storage the range is inside the file. */
static lora_code stored_bytes(const file *f, const tensor *t, uint64_t from, uint64_t n, unsigned char *dst, lora_error *err)
{
    return t->storage ? fetch_storage(f, t->storage, from, n, dst, err) : file_read_at(f, from, dst, (size_t)n, err);
}

/* ---- the order ---- */

static void swap_bytes(unsigned char *p, uint64_t n, size_t width)
{
    for (uint64_t at = 0; at + width <= n; at += width)
        for (size_t i = 0; i < width / 2; i++) {
            unsigned char c = p[at + i];
            p[at + i] = p[at + width - 1 - i];
            p[at + width - 1 - i] = c;
        }
}

/* Entry `index`, counted in C order, as a position in units of entries. */
static uint64_t entry_place(const tensor *t, uint64_t index)
{
    uint64_t place = 0;
    for (unsigned i = t->n_dims; i-- > 0;) {
        place += index % t->shape[i] * t->strides[i];
        index /= t->shape[i];
    }
    return place;
}

/* The rows of a strided tensor one after another; its last axis moves fastest. */
static lora_code gather(const file *f, const tensor *t, size_t width, uint64_t first, uint64_t n, unsigned char *dst, lora_error *err)
{
    uint64_t low = UINT64_MAX, high = 0;
    uint64_t run = t->n_dims ? t->shape[t->n_dims - 1] : 1, step = t->n_dims ? t->strides[t->n_dims - 1] : 0;
    for (uint64_t i = first; i < first + n;) {
        uint64_t left = run - i % run, count = left < first + n - i ? left : first + n - i, place = entry_place(t, i);
        low = place < low ? place : low;
        high = place + (count - 1) * step > high ? place + (count - 1) * step : high;
        i += count;
    }
    uint64_t span = (high - low + 1) * width;
    unsigned char *bytes = span > SIZE_MAX / 2 ? NULL : malloc((size_t)span);
    if (!bytes)
        return no_memory(t, err);
    lora_code code = stored_bytes(f, t, t->offset + low * width, span, bytes, err);
    unsigned char *to = dst;
    for (uint64_t i = first; code == LORA_OK && i < first + n;) {
        uint64_t left = run - i % run, count = left < first + n - i ? left : first + n - i, place = entry_place(t, i) - low;
        for (uint64_t k = 0; k < count; k++, to += width)
            memcpy(to, bytes + (place + k * step) * width, width);
        i += count;
    }
    free(bytes);
    return code;
}

/* ---- the dtype ---- */

/* A float of 8 bits: sign, exponent and mantissa with the bias. fnuz: one NaN at 0x80, no infinity, no minus zero;
 * finite: no infinity, NaN where exponent and mantissa are all ones (E4M3FN); otherwise as IEEE 754.
 * Source: arXiv 2209.05433; onnx float8 description for the FNUZ kinds. */
static float float8(unsigned char c, int mantissa_bits, int bias, bool fnuz, bool finite)
{
    int mantissa = c & ((1 << mantissa_bits) - 1), exponent = (c & 0x7f) >> mantissa_bits;
    int top = (0x7f >> mantissa_bits);
    if (fnuz && c == 0x80)
        return NAN;
    if (!fnuz && exponent == top) {
        if (!finite)
            return mantissa ? NAN : c & 0x80 ? -INFINITY : INFINITY;
        if (mantissa == (1 << mantissa_bits) - 1)
            return NAN;
    }
    float x = exponent == 0 ? ldexpf((float)mantissa, 1 - bias - mantissa_bits)
                            : ldexpf((float)(mantissa + (1 << mantissa_bits)), exponent - bias - mantissa_bits);
    return c & 0x80 ? -x : x;
}

static float half(const unsigned char *p)
{
    int h = bytes_le16(p), exponent = h >> 10 & 31, fraction = h & 1023;
    float x = exponent == 31  ? (fraction ? NAN : INFINITY)
              : exponent == 0 ? ldexpf((float)fraction, -24)
                              : ldexpf((float)(1024 + fraction), exponent - 25);
    return h >> 15 ? -x : x;
}

static void convert_small(tensor_dtype d, const unsigned char *from, uint64_t n, float *to)
{
    float table[256];
    for (int c = 0; c < 256; c++)
        table[c] = d == DTYPE_U8             ? (float)c
                   : d == DTYPE_I8           ? (float)(int8_t)c
                   : d == DTYPE_F8_E5M2      ? float8((unsigned char)c, 2, 15, false, false)
                   : d == DTYPE_F8_E4M3      ? float8((unsigned char)c, 3, 7, false, true)
                   : d == DTYPE_F8_E4M3FNUZ  ? float8((unsigned char)c, 3, 8, true, true)
                                             : float8((unsigned char)c, 2, 16, true, true);
    for (uint64_t i = 0; i < n; i++)
        to[i] = table[from[i]];
}

static void convert(tensor_dtype d, const unsigned char *from, uint64_t n, void *dst)
{
    float *f = dst;
    double *x = dst;
    for (uint64_t i = 0; i < n; i++) {
        switch (d) {
        case DTYPE_I16: f[i] = (float)(int16_t)bytes_le16(from + 2 * i); break;
        case DTYPE_U16: f[i] = (float)bytes_le16(from + 2 * i); break;
        case DTYPE_I32: x[i] = (double)(int32_t)bytes_le32(from + 4 * i); break;
        case DTYPE_U32: x[i] = (double)bytes_le32(from + 4 * i); break;
        case DTYPE_I64: x[i] = (double)(int64_t)bytes_le64(from + 8 * i); break;
        case DTYPE_U64: x[i] = (double)bytes_le64(from + 8 * i); break;
        default: convert_small(d, from, n, f); return;
        }
    }
}

static lora_code fetch_q8(const file *f, const tensor *t, uint64_t first, uint64_t n, float *dst, lora_error *err)
{
    unsigned char block[64 * Q8_BYTES];
    uint64_t end = first + n, last = (end + Q8_ENTRIES - 1) / Q8_ENTRIES;
    for (uint64_t at = first / Q8_ENTRIES; at < last;) {
        uint64_t count = last - at < 64 ? last - at : 64;
        lora_code code = stored_bytes(f, t, t->offset + at * Q8_BYTES, count * Q8_BYTES, block, err);
        if (code != LORA_OK)
            return code;
        for (uint64_t k = 0; k < count; k++, at++) {
            const unsigned char *p = block + k * Q8_BYTES;
            float scale = half(p);
            for (uint64_t i = 0; i < Q8_ENTRIES; i++) {
                uint64_t index = at * Q8_ENTRIES + i;
                if (index >= first && index < end)
                    dst[index - first] = scale * (float)(int8_t)p[2 + i];
            }
        }
    }
    return LORA_OK;
}

lora_code fetch_entries(const file *f, const tensor *t, uint64_t first, uint64_t n, void *dst, lora_error *err)
{
    tensor_dtype as = fetch_dtype(t);
    if (as == DTYPE_COUNT) {
        char label[160];
        return lora_fail_at(err, LORA_E_DTYPE, t->entry_offset, "tensor %s has dtype %s, which is not computed",
                            text_label(label, sizeof label, t->name, strlen(t->name)), dtype_name(t->dtype));
    }
    if (n == 0)
        return LORA_OK;
    if (t->dtype == DTYPE_Q8_0)
        return fetch_q8(f, t, first, n, dst, err);
    size_t width = dtype_bits(t->dtype) / 8;
    unsigned char *stored = dst;
    if (as != t->dtype && !(stored = n > SIZE_MAX / width ? NULL : malloc((size_t)n * width)))
        return no_memory(t, err);
    lora_code code = t->strides ? gather(f, t, width, first, n, stored, err)
                                : stored_bytes(f, t, t->offset + first * width, n * width, stored, err);
    if (code == LORA_OK && t->storage && t->storage->big_endian)
        swap_bytes(stored, n * width, width);
    if (as != t->dtype) {
        if (code == LORA_OK)
            convert(t->dtype, stored, n, dst);
        free(stored);
    }
    return code;
}
