/* factors_stage.c - see factors_stage.h.
 *
 * Small factors lie one behind the other in most files: a window reads many of them at once.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/audit/factors_stage.h"

#include "analyzer/base/bytes.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/window.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Half precision, finite: the exponent is moved by a multiplication, which takes subnormal numbers along. */
static float half(uint16_t h)
{
    return from_bits((uint32_t)(h & 0x8000) << 16 | bits_of(from_bits((uint32_t)(h & 0x7fff) << 13) * 0x1p112f));
}

static uint16_t load16(const unsigned char *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* n entries as fetch delivers them, in any of its dtypes and at any address, to float32. */
static void convert(const void *src, tensor_dtype dtype, size_t n, float *to)
{
    const unsigned char *from = src;
    if (dtype == DTYPE_F16) {
        for (size_t i = 0; i < n; i++)
            to[i] = half(load16(from + 2 * i));
    } else if (dtype == DTYPE_BF16) {
        for (size_t i = 0; i < n; i++)
            to[i] = from_bits((uint32_t)load16(from + 2 * i) << 16);
    } else if (dtype == DTYPE_F64) {
        for (size_t i = 0; i < n; i++) {
            double x;
            memcpy(&x, from + 8 * i, sizeof x);
            to[i] = (float)x;
        }
    } else {
        memcpy(to, src, n * sizeof *to);
    }
}

/* rows × cols that lie column after column, in order. In tiles, so that neither side strides through memory. */
static void turn(const float *src, size_t rows, size_t cols, float *to)
{
    enum { TILE = 32 };
    for (size_t i = 0; i < rows; i += TILE)
        for (size_t j = 0; j < cols; j += TILE)
            for (size_t y = i; y < rows && y < i + TILE; y++)
                for (size_t x = j; x < cols && x < j + TILE; x++)
                    to[y * cols + x] = src[x * rows + y];
}

static bool all_finite(const float *x, size_t n)
{
    int odd = 0;
    for (size_t i = 0; i < n; i++)
        odd |= !(fabsf(x[i]) <= FLT_MAX);
    return !odd;
}

static lora_code no_memory(const lora_factor *f, lora_error *err)
{
    return lora_fail(err, LORA_E_MEMORY, "no memory for a factor of %llu entries", (unsigned long long)(f->rows * f->cols));
}

/* Are the entries, as fetch delivers them, so few plain bytes of the file that they are worth a window? */
static bool is_small(const tensor *t, uint64_t bytes)
{
    return !t->storage && !t->strides && fetch_dtype(t) == t->dtype && bytes <= WINDOW_BYTES / 4;
}

/* Entries as stored into *stored: in the window, or in *own, which is malloc'd; those that need no conversion right into kept, *stored is kept then. */
static lora_code fetch_factor(file_window *window, const lora_factor *f, size_t n, float *kept, const void **stored, void **own, lora_error *err)
{
    uint64_t bytes = fetch_entries_bytes(f->t, n);
    if (is_small(f->t, bytes)) {
        const unsigned char *seen = NULL;
        lora_code code = window_read(window, f->t->offset + f->first * (dtype_bits(f->t->dtype) / 8), (size_t)bytes, &seen, err);
        *stored = seen;
        return code;
    }
    bool direct = fetch_dtype(f->t) == DTYPE_F32 && !f->transposed;
    if (!direct && !(*own = malloc((size_t)bytes)))
        return no_memory(f, err);
    *stored = direct ? kept : *own;
    return fetch_entries(window->f, f->t, f->first, n, direct ? kept : *own, err);
}

/* kept: as many entries as f has. *out is kept, or NULL where float32 cannot hold them: only float64 has such once a spectrum is known. */
static lora_code keep_factor(file_window *window, const lora_factor *f, float *kept, const float **out, lora_error *err)
{
    size_t n = (size_t)(f->rows * f->cols);
    tensor_dtype dtype = fetch_dtype(f->t);
    const void *stored = NULL;
    void *own = NULL;
    float *upright = NULL;
    lora_code code = fetch_factor(window, f, n, kept, &stored, &own, err);
    if (code == LORA_OK && f->transposed && !(upright = malloc(n * sizeof *upright)))
        code = no_memory(f, err);
    if (code == LORA_OK && stored != kept)
        convert(stored, dtype, n, f->transposed ? upright : kept);
    if (code == LORA_OK && f->transposed)
        turn(upright, (size_t)f->rows, (size_t)f->cols, kept);
    free(upright);
    free(own);
    if (code == LORA_OK)
        *out = dtype != DTYPE_F64 || all_finite(kept, n) ? kept : NULL;
    return code;
}

static bool is_plain(const lora_module *m)
{
    return !m->more && m->b.t;
}

uint64_t factors_stage_bytes(const lora_record *r)
{
    uint64_t entries = 0, bytes = 0;
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const lora_module *m = &r->adapter.modules[i];
        if (is_plain(m) && !checked_add(entries, m->a.rows * m->a.cols + m->b.rows * m->b.cols, &entries))
            return UINT64_MAX;
    }
    return checked_mul(entries, sizeof(float), &bytes) ? bytes : UINT64_MAX;
}

static bool is_kept(const module_record *m)
{
    return is_plain(m->module) && m->spectrum.status == SPECTRAL_OK;
}

/* Entries of a factor, and of its padding: each begins at an address of 16 bytes. */
static uint64_t padded_entries(const lora_factor *f)
{
    return (f->rows * f->cols + 3) / 4 * 4;
}

lora_code factors_stage_run(lora_record *r, const file *source, arena *mem, lora_error *err)
{
    file_window window = {.f = source};
    uint64_t entries = 0;
    lora_code code = LORA_OK;
    for (size_t i = 0; i < r->adapter.n_modules; i++) {
        const lora_module *m = r->modules[i].module;
        if (is_kept(&r->modules[i]) && !checked_add(entries, padded_entries(&m->a) + padded_entries(&m->b), &entries))
            entries = SIZE_MAX;
    }
    float *next = arena_alloc(mem, (size_t)entries, sizeof *next);
    if (!next)
        return lora_fail(err, LORA_E_MEMORY, "no memory for factors of %llu entries", (unsigned long long)entries);
    for (size_t i = 0; i < r->adapter.n_modules && code == LORA_OK; i++) {
        module_record *m = &r->modules[i];
        if (!is_kept(m))
            continue;
        const float *a = NULL, *b = NULL;
        code = keep_factor(&window, &m->module->a, next, &a, err);
        next += padded_entries(&m->module->a);
        if (code == LORA_OK)
            code = keep_factor(&window, &m->module->b, next, &b, err);
        next += padded_entries(&m->module->b);
        if (code == LORA_OK) {
            m->a = b ? a : NULL;
            m->b = a ? b : NULL;
        }
    }
    window_free(&window);
    return code;
}

void factors_stage_forget(lora_record *r)
{
    for (size_t i = 0; i < r->adapter.n_modules; i++)
        r->modules[i].a = r->modules[i].b = NULL;
}
