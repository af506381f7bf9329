/* check.c - see check.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/check.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Work on one input beyond the reader's own: entries fetched, and bytes inflated for them. */
enum { FETCH_BYTES = 1 << 18, INFLATE_BYTES = 1 << 22 };

bool check_memory_may_fail;

_Noreturn void check_failed(const char *source, int line, const char *condition, const char *about)
{
    fprintf(stderr, "%s:%d: does not hold: %s", source, line, condition);
    if (about)
        fprintf(stderr, " (%s)", about);
    fputc('\n', stderr);
    abort();
}

void check_line(const char *text)
{
    CHECK(text != NULL);
    CHECK(text[0] != '\0');
    CHECK_ABOUT(text_utf8_invalid(text, strlen(text)) == strlen(text), text);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        CHECK_ABOUT(*p >= 0x20 && *p != 0x7f && !(*p == 0xC2 && p[1] < 0xA0), text);
}

void check_outcome(lora_code code, const lora_error *err, uint64_t file_size)
{
    char about[sizeof err->message + 80];
    snprintf(about, sizeof about, "returned %s, error %s: %s", lora_code_name(code), lora_code_name(err->code), err->message);
    CHECK_ABOUT(err->code == code, about);
    if (code == LORA_OK)
        return;
    CHECK_ABOUT((unsigned)code < LORA_N_CODES && code != LORA_E_INTERNAL, about);
    CHECK_ABOUT(code != LORA_E_MEMORY || check_memory_may_fail, about);
    CHECK(memchr(err->message, '\0', sizeof err->message) != NULL);
    check_line(err->message);
    CHECK_ABOUT(!err->has_offset || err->offset <= file_size, err->message);
}

void check_observations(const observations *seen, uint64_t file_size)
{
    CHECK(seen->n <= LIMIT_OBSERVATIONS);
    CHECK(!seen->no_memory || check_memory_may_fail);
    for (size_t i = 0; i < seen->n; i++) {
        const observation *o = &seen->list[i];
        CHECK((unsigned)o->kind < SEEN_COUNT && observation_rule(o->kind) != NULL);
        if (!seen->no_memory || o->text[0] != '\0') /* its text may be what there was no memory for */
            check_line(o->text);
        CHECK_ABOUT(o->offset <= file_size, o->text);
        for (size_t k = 0; k < i; k++) {
            const observation *p = &seen->list[k];
            if (p->kind == o->kind && o->subject && p->subject)
                CHECK_ABOUT(strcmp(p->subject, o->subject) != 0, o->text);
        }
    }
}

void check_storage(const file *f, const tensor_storage *s)
{
    CHECK(s != NULL);
    if (s->memory)
        return;
    CHECK(s->offset <= f->size && s->stored_bytes <= f->size - s->offset);
    CHECK(s->deflated || s->stored_bytes == s->bytes);
}

/* ---- one tensor ---- */

static bool count_entries(const tensor *t, uint64_t *n)
{
    *n = 1;
    for (unsigned i = 0; i < t->n_dims; i++)
        if (t->shape[i] == 0)
            return *n = 0, true;
    for (unsigned i = 0; i < t->n_dims; i++)
        if (!checked_mul(*n, t->shape[i], n))
            return false;
    return true;
}

/* The last byte that the strides reach lies in the storage. */
static void check_strides(const tensor *t, uint64_t n)
{
    uint64_t reach = 1, step, end;
    CHECK_ABOUT(t->storage && dtype_bits(t->dtype) >= 8, t->name);
    for (unsigned i = 0; i < t->n_dims && n > 0; i++) {
        CHECK_ABOUT(checked_mul(t->shape[i] - 1, t->strides[i], &step), t->name);
        CHECK_ABOUT(checked_add(reach, step, &reach), t->name);
    }
    CHECK_ABOUT(checked_mul(n ? reach : 0, dtype_bits(t->dtype) / 8, &end), t->name);
    CHECK_ABOUT(checked_add(end, t->offset, &end) && end <= t->storage->bytes, t->name);
}

static void check_tensor(const file *f, const tensor *t, uint64_t *n)
{
    CHECK(t->name != NULL);
    CHECK(text_utf8_invalid(t->name, strlen(t->name)) == strlen(t->name));
    CHECK_ABOUT((unsigned)t->dtype < DTYPE_COUNT, t->name);
    CHECK_ABOUT(t->n_dims <= LIMIT_TENSOR_DIMS && (t->n_dims == 0 || t->shape != NULL), t->name);
    CHECK_ABOUT(t->entry_offset <= f->size, t->name);
    CHECK_ABOUT(count_entries(t, n), t->name);
    uint64_t bits = 0;
    if (dtype_bits(t->dtype))
        CHECK_ABOUT(checked_mul(*n, dtype_bits(t->dtype), &bits) && bits % 8 == 0 && t->bytes == bits / 8, t->name);
    else if (t->dtype == DTYPE_Q8_0)
        CHECK_ABOUT(*n % 32 == 0 && t->bytes == *n / 32 * 34, t->name);
    if (t->storage)
        check_storage(f, t->storage);
    if (t->strides)
        check_strides(t, *n);
    else if (t->storage)
        CHECK_ABOUT(t->offset <= t->storage->bytes && t->bytes <= t->storage->bytes - t->offset, t->name);
    else
        CHECK_ABOUT(t->offset <= f->size && t->bytes <= f->size - t->offset, t->name);
}

static bool may_fail_so(lora_code code)
{
    return code == LORA_OK || code == LORA_E_INFLATE || code == LORA_E_CHECKSUM ||
           (code == LORA_E_MEMORY && check_memory_may_fail);
}

/* All entries at once, and some of them by themselves: the same bytes. */
static void check_fetch(const file *f, const tensor *t, uint64_t n, size_t bytes)
{
    lora_error err = {0}, err_part = {0};
    uint64_t first = n / 3, count = n - first - n / 4;
    size_t width = bytes / (size_t)n;
    unsigned char *whole = malloc(bytes), *part = malloc((size_t)count * width);
    if (whole && part) {
        lora_code code = fetch_entries(f, t, 0, n, whole, &err);
        lora_code code_part = fetch_entries(f, t, first, count, part, &err_part);
        check_outcome(code, &err, f->size);
        check_outcome(code_part, &err_part, f->size);
        CHECK_ABOUT(may_fail_so(code) && may_fail_so(code_part), t->name);
        if (code == LORA_OK && code_part == LORA_OK)
            CHECK_ABOUT(memcmp(part, whole + (size_t)first * width, (size_t)count * width) == 0, t->name);
    }
    free(whole);
    free(part);
}

/* ---- all of them ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const tensor *const *)a)->name, (*(const tensor *const *)b)->name);
}

static void check_names_differ(const catalog *cat)
{
    const tensor **sorted = malloc((cat->n_tensors + 1) * sizeof *sorted);
    if (!sorted)
        return;
    for (size_t i = 0; i < cat->n_tensors; i++)
        sorted[i] = &cat->tensors[i];
    qsort(sorted, cat->n_tensors, sizeof *sorted, by_name);
    for (size_t i = 1; i < cat->n_tensors; i++)
        CHECK_ABOUT(strcmp(sorted[i - 1]->name, sorted[i]->name) != 0, sorted[i]->name);
    free(sorted);
}

void check_catalog(const file *f, const catalog *cat)
{
    uint64_t fetched = 0, inflated = 0, n, bytes;
    CHECK(cat->n_tensors <= LIMIT_TENSORS);
    CHECK(cat->n_tensors == 0 || cat->tensors != NULL);
    CHECK(cat->n_metadata == 0 || cat->metadata != NULL);
    for (size_t i = 0; i < cat->n_metadata; i++) {
        const char *key = cat->metadata[i].key, *value = cat->metadata[i].value;
        CHECK(key != NULL && value != NULL);
        CHECK_ABOUT(text_utf8_invalid(key, strlen(key)) == strlen(key), key);
        CHECK_ABOUT(text_utf8_invalid(value, strlen(value)) == strlen(value), key);
    }
    for (size_t i = 0; i < cat->n_tensors; i++) {
        const tensor *t = &cat->tensors[i];
        check_tensor(f, t, &n);
        if (i > 0 && !t->storage && !t[-1].storage)
            CHECK_ABOUT(t[-1].offset <= t->offset, t->name);
        bytes = fetch_entries_bytes(t, n);
        CHECK_ABOUT(fetch_dtype(t) == DTYPE_COUNT ? bytes == 0 : bytes > 0 || n == 0 || n > UINT64_MAX / 8, t->name);
        uint64_t work = t->storage && (t->storage->deflated || t->strides) ? t->storage->bytes : 0;
        if (bytes == 0 || bytes > FETCH_BYTES - fetched || work > INFLATE_BYTES - inflated)
            continue;
        fetched += bytes;
        inflated += work;
        check_fetch(f, t, n, (size_t)bytes);
    }
    check_names_differ(cat);
}

lora_code check_reader(const uint8_t *bytes, size_t n, const char *container, check_read read)
{
    file f = file_of_memory(bytes, n);
    arena *mem = arena_create();
    if (!mem)
        return LORA_E_MEMORY;
    catalog cat, before;
    memset(&cat, 0x5a, sizeof cat);
    before = cat;
    observations seen = {.mem = mem};
    lora_error err = {0};
    lora_code code = read(&f, mem, &seen, &cat, &err);
    check_outcome(code, &err, n);
    check_observations(&seen, n);
    if (code == LORA_OK) {
        check_line(cat.container);
        CHECK(!container || strcmp(cat.container, container) == 0);
        CHECK(cat.source == &f);
        check_catalog(&f, &cat);
    } else {
        CHECK(memcmp(&cat, &before, sizeof cat) == 0);
    }
    arena_destroy(mem);
    return code;
}
