/* fuzz_pickle.c - the pickle machine, its scan, and tensors from what it describes; storages are made up.
 *
 * A forbidden global that the machine met must be found by the scan of the same bytes too.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/limits.h"
#include "analyzer/formats/pickle.h"
#include "analyzer/formats/torch_object.h"
#include "tests/fuzz/check.h"

#include <string.h>

enum { WALK_STEPS = 20000, WALK_DEPTH = 200, STORAGE_BYTES = 1 << 16 };

/* Values may be shared and contain themselves: the walk ends by its budget. */
static void walk(const pickle_value *v, size_t n, unsigned depth, unsigned *steps)
{
    CHECK(v != NULL);
    if (depth > WALK_DEPTH || ++*steps > WALK_STEPS)
        return;
    CHECK(v->at < n);
    switch (v->kind) {
    case PICKLE_NONE:
    case PICKLE_BOOL:
    case PICKLE_INT:
    case PICKLE_BIG:
    case PICKLE_FLOAT:
        return;
    case PICKLE_STRING:
    case PICKLE_BYTES:
    case PICKLE_GLOBAL:
        CHECK(v->text != NULL && v->text[v->length] == '\0');
        return;
    case PICKLE_PERSISTENT:
        CHECK(v->n == 1);
        break;
    case PICKLE_DICT:
        CHECK(v->n % 2 == 0);
        break;
    case PICKLE_CALL:
        CHECK(v->n == 2 || v->n == 3);
        CHECK(v->items[1] != NULL);
        break;
    case PICKLE_TUPLE:
    case PICKLE_LIST:
    case PICKLE_SET:
        break;
    default:
        CHECK((unsigned)v->kind <= PICKLE_CALL);
    }
    CHECK(v->n <= v->capacity || v->kind == PICKLE_TUPLE || v->kind == PICKLE_CALL || v->kind == PICKLE_PERSISTENT);
    for (size_t i = 0; i < v->n; i++)
        walk(v->items[i], n, depth + 1, steps);
}

/* Every key names a storage of 64 KiB, but those that begin with 'x'. */
static lora_code find_storage(void *ctx, const char *key, uint64_t bytes, uint64_t at, const tensor_storage **out,
                              lora_error *err)
{
    static const unsigned char zeros[STORAGE_BYTES];
    static const tensor_storage all = {.memory = zeros, .bytes = STORAGE_BYTES};
    CHECK(at <= *(const size_t *)ctx);
    CHECK(key != NULL);
    if (key[0] == 'x')
        return lora_fail_at(err, LORA_E_STORAGE_MISSING, at, "no such storage");
    if (bytes > STORAGE_BYTES)
        return lora_fail_at(err, LORA_E_STORAGE, at, "the storage is smaller");
    *out = &all;
    return LORA_OK;
}

static void tensors_of(const pickle_value *root, size_t n, arena *mem, const file *f)
{
    observations seen = {.mem = mem};
    torch_storages storages = {&n, find_storage};
    catalog cat = {0};
    lora_error err = {0};
    lora_code code = torch_catalog(root, &storages, mem, &seen, &cat, &err);
    check_outcome(code, &err, n);
    check_observations(&seen, n);
    if (code == LORA_OK)
        check_catalog(f, &cat);
}

static void check_scan_finds(const observations *met, const observations *scanned)
{
    if (scanned->n_dropped || scanned->no_memory || met->no_memory)
        return;
    for (size_t i = 0; i < met->n; i++) {
        bool found = met->list[i].kind != SEEN_FORBIDDEN_GLOBAL;
        for (size_t k = 0; k < scanned->n && !found; k++)
            found = scanned->list[k].kind == SEEN_FORBIDDEN_GLOBAL &&
                    strcmp(scanned->list[k].subject, met->list[i].subject) == 0;
        CHECK_ABOUT(found, met->list[i].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    arena *mem = arena_create();
    if (!mem)
        return 0;
    file f = file_of_memory(bytes, n);
    pickle_source source = {.bytes = bytes, .length = n, .budget = LIMIT_PICKLE_MEMORY + n / 2};
    observations met = {.mem = mem}, scanned = {.mem = mem};
    pickle_value *root = NULL;
    lora_error err = {0}, err_scan = {0};
    size_t at = 0;
    pickle_looks_like(bytes, n);
    lora_code code = pickle_run(&source, &at, mem, &met, &root, &err);
    check_outcome(code, &err, n);
    check_observations(&met, n);
    CHECK(at <= n);
    CHECK((code == LORA_OK) == (root != NULL));
    CHECK(code == LORA_OK || code == LORA_E_PICKLE || code == LORA_E_PICKLE_LIMIT || code == LORA_E_MEMORY);
    if (code == LORA_OK) {
        unsigned steps = 0;
        walk(root, n, 0, &steps);
        tensors_of(root, n, mem, &f);
    }
    code = pickle_scan(&source, &scanned, &err_scan);
    check_outcome(code, &err_scan, n);
    check_observations(&scanned, n);
    CHECK(code == LORA_OK || check_memory_may_fail);
    if (code == LORA_OK)
        check_scan_finds(&met, &scanned);
    arena_destroy(mem);
    return 0;
}
