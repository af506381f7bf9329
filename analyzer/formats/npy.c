/* npy.c - see npy.h. A scanner that never goes back, over at most 64 KiB of text.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/npy.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/text.h"

#include <string.h>

typedef struct {
    const unsigned char *text;
    size_t at, end;
    uint64_t offset; /* of text[0] in the file */
    lora_error *err;
    const char *unknown; /* the descr, if it is no dtype known here: told once the syntax is known to be right */
    size_t unknown_bytes;
    uint64_t unknown_at;
} scanner;

lora_code npy_header_bytes(const unsigned char *bytes, size_t n, uint64_t at, size_t *header_bytes, lora_error *err)
{
    if (n >= 6 && memcmp(bytes, "\x93NUMPY", 6) != 0)
        return lora_fail_at(err, LORA_E_NPY, at, "an array does not begin with \\x93NUMPY");
    if (n >= 8 && (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0))
        return lora_fail_at(err, LORA_E_NPY, at + 6, ".npy version %u.%u, versions 1.0 to 3.0 are read", bytes[6], bytes[7]);
    size_t prefix = n >= 8 && bytes[6] > 1 ? 12 : NPY_LEAST_BYTES;
    if (n < prefix)
        return lora_fail_at(err, LORA_E_TRUNCATED, at + n, "an array of %zu bytes cannot hold the %zu before its header", n, prefix);
    uint64_t length = prefix == 12 ? bytes_le32(bytes + 8) : bytes_le16(bytes + 8);
    if (length > NPY_MOST_BYTES - 12)
        return lora_fail_at(err, LORA_E_NPY, at + 8, "a .npy header of %llu bytes exceeds the limit of %d",
                            (unsigned long long)length, NPY_MOST_BYTES - 12);
    *header_bytes = prefix + (size_t)length;
    return LORA_OK;
}

/* ---- the literal ---- */

static lora_code syntax(scanner *s, const char *expected)
{
    return lora_fail_at(s->err, LORA_E_NPY, s->offset + s->at, "the .npy header is not what NumPy writes: %s expected", expected);
}

static void blanks(scanner *s)
{
    while (s->at < s->end && memchr(" \t\n\r\f", s->text[s->at], 5))
        s->at++;
}

/* Past blanks, is c next? Then also past it. */
static bool accept(scanner *s, char c)
{
    blanks(s);
    if (s->at == s->end || s->text[s->at] != (unsigned char)c)
        return false;
    s->at++;
    return true;
}

/* A text in quotes of either kind, without escapes. */
static bool quoted_text(scanner *s, const char **text, size_t *n)
{
    blanks(s);
    if (s->at == s->end || (s->text[s->at] != '\'' && s->text[s->at] != '"'))
        return false;
    unsigned char quote = s->text[s->at];
    size_t begin = s->at + 1, end = begin;
    while (end < s->end && s->text[end] != quote && s->text[end] != '\\' && s->text[end] != '\n')
        end++;
    if (end == s->end || s->text[end] != quote)
        return false;
    *text = (const char *)s->text + begin;
    *n = end - begin;
    s->at = end + 1;
    return true;
}

static bool is_word(scanner *s, const char *word)
{
    size_t n = strlen(word);
    blanks(s);
    if (s->end - s->at < n || memcmp(s->text + s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

static bool natural(scanner *s, uint64_t *value)
{
    blanks(s);
    size_t begin = s->at;
    uint64_t v = 0;
    while (s->at < s->end && s->text[s->at] >= '0' && s->text[s->at] <= '9') {
        if (!checked_mul(v, 10, &v) || !checked_add(v, s->text[s->at] - '0', &v))
            return false;
        s->at++;
    }
    if (s->at == begin || (s->text[begin] == '0' && s->at > begin + 1))
        return false;
    if (s->at < s->end && s->text[s->at] == 'L') /* a long of Python 2 */
        s->at++;
    *value = v;
    return true;
}

/* ---- its values ---- */

/* '<f4': byte order (may be missing), kind, bytes. */
static bool known_descr(const char *d, size_t n, npy_header *out)
{
    static const struct {
        const char *name;
        tensor_dtype dtype;
    } kinds[] = {{"f2", DTYPE_F16}, {"f4", DTYPE_F32}, {"f8", DTYPE_F64},  {"i1", DTYPE_I8},   {"i2", DTYPE_I16},
                 {"i4", DTYPE_I32}, {"i8", DTYPE_I64}, {"u1", DTYPE_U8},   {"u2", DTYPE_U16},  {"u4", DTYPE_U32},
                 {"u8", DTYPE_U64}, {"b1", DTYPE_BOOL}, {"c8", DTYPE_C64}, {"c16", DTYPE_C128}, {"V2", DTYPE_BF16}};
    bool ordered = n > 0 && memchr("<>|=", d[0], 4);
    out->big_endian = ordered && d[0] == '>';
    d += ordered;
    n -= ordered;
    out->objects = (n == 1 && d[0] == 'O') || (n == 2 && d[0] == 'O' && (d[1] == '4' || d[1] == '8'));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (n == strlen(kinds[i].name) && memcmp(d, kinds[i].name, n) == 0) {
            out->dtype = kinds[i].dtype;
            return true;
        }
    return out->objects;
}

static lora_code read_descr(scanner *s, npy_header *out)
{
    const char *d;
    size_t n;
    blanks(s);
    uint64_t at = s->offset + s->at;
    if (s->at < s->end && (s->text[s->at] == '[' || s->text[s->at] == '('))
        return lora_fail_at(s->err, LORA_E_DTYPE, at, "an array of records is no array of numbers");
    if (!quoted_text(s, &d, &n))
        return syntax(s, "the dtype as a text");
    if (!known_descr(d, n, out)) {
        s->unknown = d;
        s->unknown_bytes = n;
        s->unknown_at = at;
    }
    return LORA_OK;
}

static lora_code read_order(scanner *s, npy_header *out)
{
    out->fortran_order = is_word(s, "True");
    return out->fortran_order || is_word(s, "False") ? LORA_OK : syntax(s, "True or False");
}

static lora_code read_shape(scanner *s, npy_header *out)
{
    unsigned n = 0;
    if (!accept(s, '('))
        return syntax(s, "a tuple");
    while (!accept(s, ')')) {
        if (n == LIMIT_TENSOR_DIMS)
            return lora_fail_at(s->err, LORA_E_NPY, s->offset + s->at, "an array has more than %u axes", LIMIT_TENSOR_DIMS);
        if (!natural(s, &out->shape[n]))
            return syntax(s, "an axis of at most 64 bits");
        n++;
        bool comma = accept(s, ',');
        if (!comma && (n == 1 || !accept(s, ')'))) /* (3) is no tuple */
            return syntax(s, "',' or the end of the tuple");
        if (!comma)
            break;
    }
    out->n_dims = n;
    return LORA_OK;
}

static lora_code read_entry(scanner *s, bool *seen, npy_header *out)
{
    typedef lora_code value_reader(scanner *, npy_header *);
    static const struct {
        const char *key;
        value_reader *read;
    } entries[] = {{"descr", read_descr}, {"fortran_order", read_order}, {"shape", read_shape}};
    const char *key;
    size_t n, i = 0;
    if (!quoted_text(s, &key, &n))
        return syntax(s, "a key");
    while (i < 3 && (n != strlen(entries[i].key) || memcmp(key, entries[i].key, n) != 0))
        i++;
    if (i == 3 || seen[i])
        return syntax(s, i == 3 ? "one of the keys descr, fortran_order, shape" : "each key once");
    seen[i] = true;
    return accept(s, ':') ? entries[i].read(s, out) : syntax(s, "':'");
}

lora_code npy_parse(const unsigned char *bytes, size_t header_bytes, uint64_t at, npy_header *out, lora_error *err)
{
    size_t prefix = bytes[6] > 1 ? 12 : 10;
    scanner s = {.text = bytes, .at = prefix, .end = header_bytes, .offset = at, .err = err};
    bool seen[3] = {false};
    *out = (npy_header){.dtype = DTYPE_COUNT};
    if (!accept(&s, '{'))
        return syntax(&s, "'{'");
    while (!accept(&s, '}')) {
        lora_code code = read_entry(&s, seen, out);
        if (code)
            return code;
        bool comma = accept(&s, ',');
        if (!comma && !accept(&s, '}'))
            return syntax(&s, "',' or '}'");
        if (!comma)
            break;
    }
    blanks(&s);
    if (s.at < s.end)
        return syntax(&s, "nothing more");
    if (!seen[0] || !seen[1] || !seen[2])
        return syntax(&s, "descr, fortran_order and shape");
    char l[160];
    return s.unknown ? lora_fail_at(err, LORA_E_DTYPE, s.unknown_at, "unknown NumPy dtype %s", text_label(l, sizeof l, s.unknown, s.unknown_bytes))
                     : LORA_OK;
}
