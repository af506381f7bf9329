/* fuzz_zip.c - the directory of an archive, every member of it loaded, and every hidden stretch.
 *
 * Some errors leave what could be read of the directory: as much is promised of that as of a whole one.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/limits.h"
#include "analyzer/formats/zip.h"
#include "tests/fuzz/check.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LOAD_LIMIT = 1 << 16, LOAD_ALL = 1 << 21 };

static bool saw(const observations *seen, observation_kind kind)
{
    for (size_t i = 0; i < seen->n; i++)
        if (seen->list[i].kind == kind)
            return true;
    return seen->n_dropped > 0 || seen->no_memory;
}

static void check_range(const file *f, const zip_member *m)
{
    CHECK(m->data_offset <= f->size && m->stored_bytes <= f->size - m->data_offset);
}

static void check_member(const file *f, const zip_member *m, arena *mem)
{
    check_range(f, m);
    CHECK(m->name != NULL);
    CHECK(m->entry_offset <= f->size && m->local_offset <= f->size);
    CHECK(m->deflated || m->stored_bytes == m->bytes);
    const tensor_storage *s = zip_storage(m, mem);
    CHECK(s || check_memory_may_fail);
    if (!s)
        return;
    check_storage(f, s);
    CHECK(!s->memory && s->bytes == m->bytes && s->offset == m->data_offset && s->deflated == m->deflated);
    CHECK(!s->has_crc || s->crc == m->crc);
}

static void load_member(const file *f, const zip_member *m, arena *mem)
{
    observations seen = {.mem = mem};
    lora_error err = {0};
    unsigned char *bytes = NULL;
    lora_code code = zip_load(f, m, LOAD_LIMIT, &seen, &bytes, &err);
    check_outcome(code, &err, f->size);
    check_observations(&seen, f->size);
    CHECK(code == LORA_OK || code == LORA_E_INFLATE || code == LORA_E_INFLATES_TOO_LARGE || code == LORA_E_MEMORY);
    CHECK((code == LORA_OK) == (bytes != NULL));
    if (code == LORA_OK) {
        CHECK(m->bytes <= LOAD_LIMIT && bytes[m->bytes] == '\0');
        bool crc_holds = (uint32_t)crc32(0, bytes, (uInt)m->bytes) == m->crc;
        CHECK_ABOUT(crc_holds || saw(&seen, SEEN_CHECKSUM), m->name);
        CHECK_ABOUT(!crc_holds || seen.n == 0, m->name);
    }
    free(bytes);
}

/* Members, and hidden stretches whatever their headers say: a part without a check, at most as long as asked for. */
static void load_some(const file *f, const zip_member *m, uint64_t limit)
{
    lora_error err = {0};
    unsigned char *bytes = NULL;
    size_t n = 0;
    lora_code code = zip_load_some(f, m, limit, &bytes, &n, &err);
    check_outcome(code, &err, f->size);
    CHECK(code == LORA_OK || code == LORA_E_MEMORY);
    CHECK((code == LORA_OK) == (bytes != NULL));
    if (code == LORA_OK) {
        CHECK(n <= limit && bytes[n] == '\0');
        CHECK(m->deflated || n == m->stored_bytes || n == limit);
    }
    free(bytes);
    zip_member tail;
    err = (lora_error){0};
    code = zip_tail(f, m, limit, &tail, &err);
    check_outcome(code, &err, f->size);
    CHECK(code == LORA_OK || code == LORA_E_MEMORY);
    if (code == LORA_OK)
        check_range(f, &tail);
}

static void check_hidden(const file *f, const zip_member *m)
{
    check_range(f, m);
    CHECK(!m->name || strlen(m->name) <= 120);
    CHECK(m->entry_offset == m->local_offset && m->local_offset <= m->data_offset && m->bytes == m->stored_bytes);
    load_some(f, m, LOAD_LIMIT);
}

static void check_directory(const file *f, const zip_directory *dir, arena *mem)
{
    uint64_t loaded = 0;
    CHECK(dir->n <= LIMIT_ZIP_MEMBERS && (dir->n == 0 || dir->members) && (dir->n_hidden == 0 || dir->hidden));
    for (size_t i = 0; i < dir->n; i++) {
        const zip_member *m = &dir->members[i];
        check_member(f, m, mem);
        if (loaded < LOAD_ALL)
            load_member(f, m, mem);
        if (loaded < LOAD_ALL)
            load_some(f, m, LOAD_LIMIT / 2);
        loaded += m->bytes < LOAD_LIMIT ? m->bytes : LOAD_LIMIT;
    }
    for (size_t i = 1; i < dir->n_hidden; i++) /* in the order of the file, none twice */
        CHECK(dir->hidden[i - 1].local_offset < dir->hidden[i].local_offset);
    for (size_t i = 0; i < dir->n_hidden && i < LOAD_ALL / LOAD_LIMIT; i++)
        check_hidden(f, &dir->hidden[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    file f = file_of_memory(bytes, n);
    arena *mem = arena_create();
    if (!mem)
        return 0;
    observations seen = {.mem = mem};
    zip_directory dir, before;
    memset(&dir, 0x5a, sizeof dir);
    before = dir;
    lora_error err = {0};
    lora_code code = zip_read_directory(&f, mem, &seen, &dir, &err);
    check_outcome(code, &err, n);
    check_observations(&seen, n);
    bool some = code == LORA_E_ZIP || code == LORA_E_ZIP_MEMBER || code == LORA_E_TOO_MANY;
    CHECK(code == LORA_OK || some || code == LORA_E_MEMORY);
    if (code == LORA_OK || some)
        check_directory(&f, &dir, mem);
    else
        CHECK(memcmp(&dir, &before, sizeof dir) == 0);
    arena_destroy(mem);
    return 0;
}
